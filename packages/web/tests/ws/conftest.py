"""A server on loopback, and a WebSocket client that knows nothing of antiphon.client."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from multidict import CIMultiDict

from antiphon import web
from antiphon.core.websocket import (
    NEED_DATA,
    ClientHandshake,
    DeflateParameters,
    Role,
    WebSocketConnection,
    WSMessage,
    check_response,
)

LIMIT = 10.0


class Peer:
    """The client's end of a WebSocket."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: str,
        connection: WebSocketConnection,
        protocol: str | None,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.head = head
        self.connection = connection
        self.protocol = protocol

    async def receive(self) -> Any:
        """The next message; ``None`` when the server ended the connection."""
        while True:
            event: Any = self.connection.next_event()
            if event is not NEED_DATA:
                return event
            try:
                data = await asyncio.wait_for(self.reader.read(65536), LIMIT)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.connection.receive_data(data)

    def send(self, data: str | bytes) -> None:
        self.writer.write(self.connection.send_message(data, text=isinstance(data, str)))

    def write(self, frame: bytes) -> None:
        self.writer.write(frame)

    async def close(self, code: int = 1000, reason: str = "") -> WSMessage | None:
        """Close politely; the server's close frame, if it came."""
        self.write(self.connection.close(code, reason))
        last = None
        while (message := await self.receive()) is not None:
            last = message
        await self.leave()
        return last

    async def leave(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass  # the server was first


class Site:
    """A running application."""

    def __init__(self, runner: web.AppRunner) -> None:
        self.runner = runner
        self.port = runner.addresses[0][1]

    async def request(self, *fields: str, method: str = "GET", target: str = "/") -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            "\r\n".join([f"{method} {target} HTTP/1.1", "Host: a", *fields, "", ""]).encode()
        )
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)).decode()
        return reader, writer, head

    async def connect(
        self,
        *fields: str,
        protocols: tuple[str, ...] = (),
        deflate: bool = False,
        target: str = "/",
    ) -> Peer:
        asked = ClientHandshake(
            protocols=protocols, deflate=DeflateParameters() if deflate else None
        )
        lines = [f"{name}: {value}" for name, value in asked.headers().items()]
        reader, writer, head = await self.request(
            "Connection: Upgrade", *lines, *fields, target=target
        )
        status, *rest = head.strip().split("\r\n")
        headers = CIMultiDict(line.split(": ", 1) for line in rest)
        protocol, agreed = check_response(asked, int(status.split()[1]), headers)
        connection = WebSocketConnection(Role.CLIENT, deflate=agreed)
        return Peer(reader, writer, head, connection, protocol)


@pytest.fixture
def site() -> Callable[..., Any]:
    """Runs a handler at ``/`` while the block lasts."""

    @asynccontextmanager
    async def running(handler: Any, *, app: web.Application | None = None, **options: Any) -> Any:
        app = app or web.Application()
        app.router.add_route("*", "/", handler)
        runner = web.AppRunner(app, shutdown_timeout=5, **options)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield Site(runner)
        finally:
            await runner.cleanup()

    return running


@pytest.fixture
def run() -> Callable[[Callable[[], Awaitable[None]]], None]:
    def run_(test: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await test()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"

        asyncio.run(main())

    return run_
