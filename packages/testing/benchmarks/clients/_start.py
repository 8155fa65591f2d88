"""What every client of the benchmark shares. Not part of what is measured but for the loop below."""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--url", required=True)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    return parser.parse_args()


async def measure(get: Callable[[], Awaitable[None]], in_flight: int, seconds: float) -> None:
    """Call *get* over and over, *in_flight* at a time, and print requests and CPU seconds."""
    done = 0

    async def worker(end: float) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await get()
            done += 1

    async def crowd(duration: float) -> None:
        end = time.perf_counter() + duration
        await asyncio.gather(*(worker(end) for _ in range(in_flight)))

    await crowd(0.3)
    done = 0
    started = time.process_time()
    await crowd(seconds)
    print(json.dumps({"requests": done, "cpu": time.process_time() - started}))


def run(main: Callable[[argparse.Namespace], Coroutine[Any, Any, None]]) -> None:
    wanted = arguments()
    if wanted.loop == "uvloop":
        import uvloop

        uvloop.run(main(wanted))
    else:
        asyncio.run(main(wanted))
