"""What a test costs over memory and over loopback sockets.

    python bench_testing.py [--rounds N] [--only NAME] [--count]

Both transports take turns within one process; the figures are CPU time of the process, system
calls included, as medians over the rounds. ``--count`` prints the calls of Python functions
instead, which no other program on the machine can change.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

from antiphon import web
from antiphon.testing import TestClient
from antiphon.testing.transport import MemoryListener

PIECE = bytes(65536)
MUCH = 320  # pieces: 20 MiB

Transport = Literal["memory", "socket"]
TRANSPORTS: tuple[Transport, ...] = ("memory", "socket")


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def download(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(MUCH):
        await response.write(PIECE)
    await response.write_eof()
    return response


async def upload(request: web.Request) -> web.Response:
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return web.Response(text=str(size))


async def echo(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        await websocket.send_str(str(message.data))
    return websocket


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/download", download)
    app.router.add_post("/upload", upload)
    app.router.add_get("/echo", echo)
    return app


def make_client(transport: Transport) -> TestClient:
    return TestClient(make_app(), transport=transport)


class Echoing(asyncio.Protocol):
    """Says what it hears."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Asking(asyncio.Protocol):
    """Counts down with what it hears."""

    def __init__(self) -> None:
        self.left = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.left -= 1
        if self.left:
            self.transport.write(data)
        else:
            self.done.set_result(None)


Work = Callable[[Transport, int], Coroutine[Any, Any, float]]


async def timed(work: Awaitable[Any]) -> float:
    begun = time.process_time()
    await work
    return time.process_time() - begun


async def transport_alone(transport: Transport, count: int) -> float:
    """A round trip of 200 bytes between two protocols that do nothing."""
    peer = Asking()
    peer.left = count
    server = None
    if transport == "memory":
        MemoryListener(Echoing).connect(lambda: peer)
    else:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echoing, "127.0.0.1", 0)
        await loop.create_connection(lambda: peer, *server.sockets[0].getsockname())

    async def play() -> None:
        peer.transport.write(b"x" * 200)
        await peer.done

    took = await timed(play())
    peer.transport.close()
    if server is not None:
        server.close()
        await server.wait_closed()
    return took


async def one_test(transport: Transport, count: int) -> float:
    """Start an application and a client, make one request, and stop both."""

    async def tests() -> None:
        for _ in range(count):
            async with make_client(transport) as client, client.get("/") as response:
                await response.text()

    return await timed(tests())


async def one_request(transport: Transport, count: int) -> float:
    """One request of a client that is connected."""
    async with make_client(transport) as client:

        async def requests() -> None:
            for _ in range(count):
                async with client.get("/") as response:
                    await response.text()

        await requests()
        return await timed(requests())


async def one_download(transport: Transport, count: int) -> float:
    """20 MiB from the server."""
    async with make_client(transport) as client:

        async def downloads() -> None:
            for _ in range(count):
                size = 0
                async with client.get("/download") as response:
                    async for piece in response.content.iter_any():
                        size += len(piece)
                assert size == MUCH * len(PIECE)

        return await timed(downloads())


async def one_upload(transport: Transport, count: int) -> float:
    """20 MiB to the server."""

    async def pieces() -> Any:
        for _ in range(MUCH):
            yield PIECE

    async with make_client(transport) as client:

        async def uploads() -> None:
            for _ in range(count):
                async with client.post("/upload", data=pieces()) as response:
                    assert int(await response.text()) == MUCH * len(PIECE)

        return await timed(uploads())


async def one_message(transport: Transport, count: int) -> float:
    """A WebSocket message there and back."""
    async with make_client(transport) as client, client.ws_connect("/echo") as websocket:

        async def messages() -> None:
            for _ in range(count):
                await websocket.send_str("hello")
                await websocket.receive()

        return await timed(messages())


SCENARIOS: dict[str, tuple[Work, int]] = {
    "bytes there and back": (transport_alone, 2000),
    "start, one request, stop": (one_test, 40),
    "request": (one_request, 300),
    "download of 20 MiB": (one_download, 2),
    "upload of 20 MiB": (one_upload, 2),
    "WebSocket message": (one_message, 500),
}


def python_calls(work: Work, transport: Transport, count: int) -> float:
    calls = 0

    def watch(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(watch)
    try:
        asyncio.run(_only(work, transport, count))
    finally:
        sys.setprofile(None)
    return calls / count


async def _only(work: Work, transport: Transport, count: int) -> None:
    await work(transport, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", action="append", help="only these")
    parser.add_argument("--count", action="store_true", help="count calls")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    wanted = parser.parse_args()
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if wanted.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    unit = "Python calls" if wanted.count else "CPU us"
    print(f"| one | memory, {unit} | socket, {unit} | memory is cheaper by |")
    print("|---|--:|--:|--:|")
    for name, (work, count) in SCENARIOS.items():
        if wanted.only and name not in wanted.only:
            continue
        figures: dict[Transport, list[float]] = {"memory": [], "socket": []}
        for _ in range(1 if wanted.count else wanted.rounds):
            for transport in TRANSPORTS:
                if wanted.count:
                    figures[transport].append(python_calls(work, transport, count))
                    continue
                with asyncio.Runner(loop_factory=factory) as runner:
                    took = runner.run(work(transport, count))
                figures[transport].append(took / count * 1e6)
        memory, over_socket = (statistics.median(figures[key]) for key in TRANSPORTS)
        print(f"| {name} | {memory:,.1f} | {over_socket:,.1f} | {over_socket / memory:.2f} |")


if __name__ == "__main__":
    main()
