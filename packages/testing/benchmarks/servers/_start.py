"""What the servers of the benchmark share: loop, port, data. Not part of what is measured."""

import argparse
import asyncio
import pathlib
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any

JSON_ANSWER = {"message": "Hello, World!", "numbers": [1, 2, 3], "nested": {"key": "value"}}
PLAIN = "Hello, World!"

# What is downloaded: so many pieces of so many bytes.
PIECE = bytes(64 * 1024)
PIECES = 128

THINGS = 100
"""Collections, each with a route for itself and one for its members: 200 routes."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--middlewares", action="store_true", help="inside three of them")
    return parser.parse_args()


def files() -> pathlib.Path:
    """A directory with the files to serve; all servers share it, and it stays."""
    root = pathlib.Path(tempfile.gettempdir()) / "antiphon-benchmark-files"
    root.mkdir(exist_ok=True)
    for name, size in (("4k.txt", 4096), ("10m.bin", 10 * 1024 * 1024)):
        path = root / name
        if not path.exists() or path.stat().st_size != size:
            path.write_bytes(b"x" * size)
    return root


def run(serve: Callable[[argparse.Namespace], Coroutine[Any, Any, None]]) -> None:
    """Run *serve*, which listens, and stay until killed."""
    wanted = arguments()

    async def main() -> None:
        await serve(wanted)
        await asyncio.Event().wait()

    if wanted.loop == "uvloop":
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
