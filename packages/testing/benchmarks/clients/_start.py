"""What every client of the benchmark shares: scenarios and their measuring.

A client is a class with those of `Client`'s methods that it has something for.
"""

import argparse
import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

PIECE = bytes(64 * 1024)
UPLOADED = 1600
"""Pieces of an upload: 100 MiB."""
MESSAGE = b"x" * 64
QUESTION = {"message": "Hello, World!", "numbers": [1, 2, 3], "nested": {"key": "value"}}
COOKIES = [(f"name{n}", f"value{n}", f"host{n % 100}.example") for n in range(995)]
"""Of a jar of 1,000: name, value, host. None of these hosts is asked."""
OWN_COOKIES = [(f"own{n}", f"value{n}") for n in range(5)]
"""The five that go to the server."""
BURST = 1000


class Client(Protocol):
    """What is measured. Each method does one request and takes all of its answer."""

    def __init__(self, connections: int) -> None: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def get(self, url: str) -> bytes: ...
    async def json(self, url: str, value: Any) -> Any: ...
    async def download(self, url: str) -> int: ...
    async def upload(self, url: str, pieces: AsyncIterator[bytes]) -> None: ...
    def fill_jar(self, host: str) -> None: ...
    async def connect(self, url: str) -> "Callable[[bytes], Awaitable[bytes]]": ...


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--what", required=True)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    return parser.parse_args()


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(UPLOADED):
        yield PIECE


async def prepare(client: Client, what: str, port: int) -> Callable[[], Awaitable[int]]:
    """Return what is to be called over and over: it gives how many requests it has made."""
    base = f"http://127.0.0.1:{port}"

    async def plaintext() -> int:
        assert await client.get(f"{base}/plaintext") == b"Hello, World!"
        return 1

    async def block() -> int:
        assert len(await client.get(f"{base}/64k")) == len(PIECE)
        return 1

    async def question() -> int:
        assert await client.json(f"{base}/json", QUESTION) == QUESTION
        return 1

    async def download() -> int:
        assert await client.download(f"{base}/100m") == UPLOADED * len(PIECE)
        return 1

    async def upload() -> int:
        await client.upload(f"{base}/upload", pieces())
        return 1

    async def burst() -> int:
        await asyncio.gather(*(plaintext() for _ in range(BURST)))
        return BURST

    async def cookies() -> int:
        assert await client.get(f"http://localhost:{port}/plaintext")
        return 1

    if what == "cookies":
        client.fill_jar("localhost")
        return cookies
    if what == "websocket":
        echo = await client.connect(f"ws://127.0.0.1:{port}/ws")

        async def message() -> int:
            assert await echo(MESSAGE) == MESSAGE
            return 1

        return message
    return {
        "plaintext": plaintext,
        "64k": block,
        "json": question,
        "download": download,
        "upload": upload,
        "burst": burst,
    }[what]


async def measure(call: Callable[[], Awaitable[int]], in_flight: int, seconds: float) -> None:
    """Make calls, *in_flight* at a time, and print requests and CPU seconds."""
    done = 0

    async def worker(end: float) -> None:
        nonlocal done
        while True:
            made = await call()
            done += made  # not in one: others count while this one waits
            if time.perf_counter() >= end:
                return

    async def crowd(duration: float) -> None:
        end = time.perf_counter() + duration
        await asyncio.gather(*(worker(end) for _ in range(in_flight)))

    await crowd(0.3)
    done = 0
    started = time.process_time()
    await crowd(seconds)
    print(json.dumps({"requests": done, "cpu": time.process_time() - started}), flush=True)


def run(kind: type[Client]) -> None:
    """Measure a client as the command line says."""
    wanted = arguments()

    async def main() -> None:
        client = kind(wanted.in_flight)
        await client.open()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(client.close)
            call = await prepare(client, wanted.what, wanted.port)
            await measure(call, wanted.in_flight, wanted.seconds)

    if wanted.loop == "uvloop":
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
    # The figures are out. Threads of a peer written in Rust may outlive the interpreter by a
    # moment, and would abort the process then.
    os._exit(0)
