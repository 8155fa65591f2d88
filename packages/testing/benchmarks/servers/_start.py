"""What every server of the benchmark shares: loop, port, canned data. Not part of what is measured."""

import argparse
import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

JSON_ANSWER = {"message": "Hello, World!", "numbers": [1, 2, 3], "nested": {"key": "value"}}
PLAIN = "Hello, World!"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--port", type=int, default=0)
    return parser.parse_args()


def run(serve: Callable[[int], Coroutine[Any, Any, int]]) -> None:
    """Run *serve*, which listens and returns its port, and stay until killed."""
    wanted = arguments()

    async def main() -> None:
        port = await serve(wanted.port)
        print(json.dumps({"port": port}), flush=True)
        await asyncio.Event().wait()

    if wanted.loop == "uvloop":
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
