"""A peer that says bytes and expects bytes, for tests of either end.

As a server, which any client can talk to::

    async with ScriptedServer() as server:
        task = asyncio.create_task(session.get(server.url))
        peer = await server.accept()
        await peer.expect_head()
        peer.say(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")

As a client of a test server::

    peer = await ScriptedPeer.connect(server)
    peer.say(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    head = await peer.expect_head()
"""

import asyncio
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, cast, final

from yarl import URL

from ._tls import speaking_tls
from .server import BaseTestServer
from .transport import MemoryListener, reset_connection

__all__ = ("ScriptedPeer", "ScriptedServer")

TIMEOUT: Final = 10.0
"""Seconds of loop time that an expectation waits; far beyond what any test should take."""


@final
class ScriptedPeer(asyncio.Protocol):
    """One end of a connection, in the hands of a test.

    Args:
        timeout: Seconds that each expectation waits.
    """

    def __init__(self, *, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()
        self._buffer = bytearray()
        self._eof = False
        self._lost = False
        self._error: Exception | None = None

    @classmethod
    async def connect(
        cls, server: "BaseTestServer | MemoryListener", *, timeout: float = TIMEOUT
    ) -> Self:
        """Connect to a server that is started, or to a listener in memory."""
        listener = server if isinstance(server, MemoryListener) else server.listener
        if listener is not None:
            return cast(Self, listener.connect(lambda: cls(timeout=timeout))[1])
        assert isinstance(server, BaseTestServer)
        _, peer = await asyncio.get_running_loop().create_connection(
            lambda: cls(timeout=timeout), server.host, server.port
        )
        return peer

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._buffer += data
        self._changed.set()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`; our direction stays open."""
        self._eof = True
        self._changed.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._lost = True
        self._error = exc
        self._changed.set()

    # -- saying

    @property
    def transport(self) -> asyncio.Transport:
        """The transport."""
        assert self._transport is not None
        return self._transport

    def say(self, data: bytes, *, split: int | None = None) -> None:
        """Send *data*, in pieces of *split* bytes if given."""
        for start in range(0, len(data), split or max(1, len(data))):
            self.transport.write(data[start : start + (split or len(data))])

    def say_eof(self) -> None:
        """End our direction; the other one stays open."""
        self.transport.write_eof()

    def close(self) -> None:
        """Close politely."""
        self.transport.close()

    def reset(self) -> None:
        """Close with a reset."""
        reset_connection(self.transport)

    def pause(self) -> None:
        """Read nothing: what the other end writes stays there."""
        self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self.transport.resume_reading()

    # -- expecting

    @property
    def received(self) -> bytes:
        """What came and was not expected yet."""
        return bytes(self._buffer)

    async def expect(self, expected: "bytes | re.Pattern[bytes]") -> bytes:
        """Wait for exactly these bytes, or for a match at the beginning, and take them.

        Returns:
            What was taken.

        Raises:
            AssertionError: Something else came, the end did, or nothing in time.
        """
        if isinstance(expected, bytes):
            await self._until(
                lambda: (
                    len(self._buffer) >= len(expected)
                    or not expected.startswith(bytes(self._buffer))
                ),
                f"{expected!r}",
            )
            assert self._buffer[: len(expected)] == expected, (
                f"expected {expected!r}, and there came {bytes(self._buffer)!r}"
            )
            return self._take(len(expected))
        await self._until(lambda: expected.match(self._buffer) is not None, f"{expected!r}")
        match = expected.match(self._buffer)
        assert match is not None
        return self._take(match.end())

    async def expect_head(self) -> bytes:
        """Wait for a message head, and take it with the empty line that ends it."""
        return await self.expect_until(b"\r\n\r\n")

    async def expect_until(self, end: bytes) -> bytes:
        """Wait for *end*, and take everything up to it and with it."""
        await self._until(lambda: end in self._buffer, f"something that ends with {end!r}")
        return self._take(self._buffer.index(end) + len(end))

    async def expect_bytes(self, count: int) -> bytes:
        """Wait for *count* bytes and take them."""
        await self._until(lambda: len(self._buffer) >= count, f"{count} bytes")
        return self._take(count)

    async def expect_eof(self) -> bytes:
        """Wait until the other end has no more to say; take what it had said."""
        await self._until(lambda: self._eof or self._lost, "the end")
        return self._take(len(self._buffer))

    async def expect_lost(self) -> Exception | None:
        """Wait until the connection is lost; return why, ``None`` for an orderly end."""
        await self._until(lambda: self._lost, "a lost connection", after_eof=True)
        return self._error

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def _until(self, true: Callable[[], bool], what: str, *, after_eof: bool = False) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                while not true():
                    if self._lost or (self._eof and not after_eof):
                        raise AssertionError(
                            f"expected {what}; {self._state()} after {bytes(self._buffer)!r}"
                        )
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                f"expected {what}; {self._timeout:g} s later there was {bytes(self._buffer)!r}"
            ) from None

    def _state(self) -> str:
        if self._error is not None:
            return f"the connection broke ({self._error!r})"
        return "the other end closed"

    def __repr__(self) -> str:
        state = "lost" if self._lost else "ended" if self._eof else "open"
        return f"<{type(self).__name__} {state} received={bytes(self._buffer[:60])!r}>"


@final
class ScriptedServer:
    """Accepts connections and hands each of them to the test.

    Args:
        host: The address to listen on.
        transport: ``"socket"`` or ``"memory"``; the latter is reached through `listener`.
        ssl: Speak TLS.
        timeout: Seconds that each expectation waits.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        transport: str = "socket",
        ssl: Any = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self.host: Final = host
        """The address it listens on."""
        self.port = 0
        """The port it listens on, once started."""
        self.listener: MemoryListener | None = None
        """Where connections come in, in memory."""
        self.peers: list[ScriptedPeer] = []
        """Every connection so far."""
        self._transport = transport
        self._ssl = ssl
        self._timeout = timeout
        self._server: asyncio.Server | None = None
        self._accepted: asyncio.Queue[ScriptedPeer] = asyncio.Queue()

    @property
    def url(self) -> URL:
        """The URL of its root."""
        scheme = "http" if self._ssl is None else "https"
        return URL.build(scheme=scheme, host=self.host, port=self.port, path="/")

    def _make(self) -> ScriptedPeer:
        peer = ScriptedPeer(timeout=self._timeout)
        self.peers.append(peer)
        self._accepted.put_nowait(peer)
        return peer

    async def start(self) -> None:
        """Listen."""
        if self._transport == "memory":
            factory: Callable[[], asyncio.BaseProtocol] = self._make
            if self._ssl is not None:
                factory = speaking_tls(factory, self._ssl)
            self.listener = MemoryListener(factory, host=self.host)
            self.port = self.listener.port
            return
        self._server = await asyncio.get_running_loop().create_server(
            self._make, self.host, 0, ssl=self._ssl
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def accept(self) -> ScriptedPeer:
        """Wait for the next connection.

        Raises:
            AssertionError: None came in time.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._accepted.get()
        except TimeoutError:
            raise AssertionError(f"nobody connected within {self._timeout:g} s") from None

    async def close(self) -> None:
        """Stop listening and reset what is open."""
        if self.listener is not None:
            self.listener.close()
        if self._server is not None:
            self._server.close()
        for peer in self.peers:
            if peer._transport is not None:
                peer._transport.abort()
        for peer in self.peers:
            if peer._transport is not None:
                await peer.expect_lost()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()
