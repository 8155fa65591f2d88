"""Fakes that speak bytes, and a runner that notices what is left behind."""

import asyncio
import gc
import zlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from multidict import CIMultiDict

from antiphon.core.aio.client_protocol import Http1ClientProtocol, http_client_protocol
from antiphon.core.aio.server import HttpServer
from antiphon.core.http import RequestHead

T = TypeVar("T")


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; the test plays the peer.

    `write_limit` is the high mark; what is written counts as unsent until `sent` is called,
    if `blocked` is set.
    """

    def __init__(self, protocol: asyncio.Protocol, *, eof: bool = True, **extra: object) -> None:
        super().__init__(extra={"peername": ("192.0.2.1", 4711), **extra})
        self.protocol: asyncio.BaseProtocol = protocol
        self.writes: list[bytes] = []
        self.eof_written = False
        self.aborted = False
        self.closed = False
        self.reading = True
        self.blocked = False
        self.unsent = 0
        self.high = 64 * 1024
        self._eof = eof
        self._paused = False
        self.lost = asyncio.get_running_loop().create_future()
        protocol.connection_made(self)

    # --- what asyncio's protocols use
    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.eof_written, "write after write_eof"
        if self.closed:
            return
        self.writes.append(bytes(data))
        if self.blocked:
            self.unsent += len(data)
            if self.unsent > self.high and not self._paused:
                self._paused = True
                self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def can_write_eof(self) -> bool:
        return self._eof

    def write_eof(self) -> None:
        self.eof_written = True

    def is_closing(self) -> bool:
        return self.closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self.aborted = True
        self._end(None)

    def _end(self, exc: Exception | None) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._lose, exc)

    def _lose(self, exc: Exception | None) -> None:
        self.protocol.connection_lost(exc)
        if not self.lost.done():
            self.lost.set_result(None)

    # --- the peer
    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def take(self) -> bytes:
        """What was written since the last call."""
        data = self.written
        self.writes.clear()
        return data

    def feed(self, data: bytes) -> None:
        """The peer sends *data*; the transport must be reading."""
        assert self.reading, "fed although reading is paused"
        if not self.closed:
            self.protocol.data_received(data)  # type: ignore[attr-defined]  # a Protocol here

    def feed_eof(self) -> None:
        """The peer ends its side."""
        if not self.protocol.eof_received() and not self.closed:  # type: ignore[attr-defined]  # a Protocol here
            self.close()

    def reset(self) -> None:
        """The peer resets the connection."""
        self._end(ConnectionResetError(104, "Connection reset by peer"))

    def sent(self, size: int) -> None:
        """The kernel takes *size* bytes."""
        self.unsent = max(0, self.unsent - size)
        if self._paused and self.unsent <= self.high // 4:
            self._paused = False
            self.protocol.resume_writing()


def settle(rounds: int = 8) -> "Coroutine[Any, Any, None]":
    """Let the loop come round a few times: callbacks and wake-ups run, no time passes."""

    async def turns() -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)

    return turns()


@pytest.fixture
def run() -> Callable[["Coroutine[Any, Any, T]"], T]:
    """Run a coroutine in a new loop; fail on what it leaves: tasks, timers, reported errors."""

    def runner(coro: "Coroutine[Any, Any, T]") -> T:
        reported: list[dict[str, Any]] = []

        async def watched() -> T:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: reported.append(context))
            result = await asyncio.wait_for(coro, 60)
            await settle()
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            assert not left, f"tasks left behind: {left}"
            return result

        result = asyncio.run(watched())
        gc.collect()
        assert not reported, reported
        return result

    return runner


class Served:
    """One connection to an `HttpServer`, seen by the client."""

    def __init__(self, server: HttpServer, **extra: Any) -> None:
        self.server = server
        self.protocol: Any = server()
        self.transport = MemoryTransport(self.protocol, **extra)

    async def end(self) -> None:
        self.transport.abort()
        await self.transport.lost


class Asked:
    """One client connection, seen by the server."""

    def __init__(self, **extra: Any) -> None:
        self.protocol: Http1ClientProtocol = http_client_protocol()
        self.transport = MemoryTransport(self.protocol, **extra)

    def open(self, method: str = "GET", target: str = "/", **options: Any) -> Any:
        fields = options.pop("headers", {})
        head = {
            key: options.pop(key)
            for key in ("expect_continue", "upgrade", "keep_alive")
            if key in options
        }
        return self.protocol.open(
            RequestHead(
                method=method, target=target, authority="h", headers=CIMultiDict(fields), **head
            ),
            **options,
        )

    async def end(self) -> None:
        self.transport.abort()
        await self.transport.lost


@pytest.fixture
def served() -> type[Served]:
    return Served


@pytest.fixture
def asked() -> type[Asked]:
    return Asked


@pytest.fixture
def turns() -> Callable[..., "Coroutine[Any, Any, None]"]:
    return settle


@pytest.fixture
def gzipped() -> Callable[[bytes], bytes]:
    def compress(data: bytes) -> bytes:
        encoder = zlib.compressobj(wbits=31)
        return encoder.compress(data) + encoder.flush()

    return compress
