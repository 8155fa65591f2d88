"""One connection as asyncio sees it: identity, write flow control, what is known of it.

`ConnectionProtocol` is what both ends of HTTP/1.1 have in common. It keeps
one flag for writing, `write_paused`; whoever produces much awaits `drain`.
"""

import asyncio
import itertools
import ssl
import time
from collections.abc import Callable
from typing import Any, Final, cast

__all__ = ("ConnectionProtocol", "connection_lost_error", "half_close")

_numbers: Final = itertools.count(1)

_ASYNCIOS_TIME: Final = asyncio.BaseEventLoop.time


def half_close(transport: asyncio.WriteTransport) -> None:
    """End our side of the connection; *transport* can do that.

    A selector loop shuts the socket down in this very call if nothing is left to be sent, and
    a peer may have reset it before: that is told by `connection_lost`, as ever.
    """
    try:
        transport.write_eof()
    except OSError:
        transport.abort()


def connection_lost_error(cause: BaseException | None = None) -> ConnectionResetError:
    """The error of whoever still wants something from a connection that is gone."""
    error = ConnectionResetError(
        "Connection lost" if cause is None else f"Connection lost: {cause}"
    )
    error.__cause__ = cause
    return error


def _clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """What `loop.time` comes to: for asyncio's own loops the system's clock, without a call between."""
    return time.monotonic if type(loop).time is _ASYNCIOS_TIME else loop.time


class ConnectionProtocol(asyncio.Protocol):
    """The asyncio side of one connection; also its `ConnectionInfo`.

    Args:
        loop: The loop that the transport belongs to.
    """

    __slots__ = (
        "_drain_waiters",
        "_loop",
        "_lost",
        "_peername",
        "_reading_paused",
        "_sockname",
        "_time",
        "_transport",
        "bytes_passed",
        "created",
        "file_under_way",
        "id",
        "last_read",
        "uses",
        "write_paused",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._time: Callable[[], float] = _clock_of(loop)
        self._transport: asyncio.Transport | None = None
        self._lost: BaseException | bool = False
        self._drain_waiters: list[asyncio.Future[None]] | None = None
        self._reading_paused = False
        self._peername: Any = None
        self._sockname: Any = None
        self.id = next(_numbers)
        """A number that no other connection of this process has."""
        self.created = 0.0
        """Loop time at which the connection was made."""
        self.last_read = 0.0
        """Loop time at which bytes last came, or of the connection's making."""
        self.uses = 0
        """Exchanges begun on this connection."""
        self.bytes_passed = 0
        """Bytes that left by `sendfile`, past the transport's buffer."""
        self.file_under_way = False
        """Whether `sendfile` is at work."""
        self.write_paused = False
        """Whether the transport's buffer is above its high mark."""

    # ----------------------------------------------------------------- facts

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the transport belongs to."""
        return self._loop

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, ``None`` once the connection is lost."""
        return self._transport

    @property
    def peername(self) -> Any:
        """The peer's address as the transport tells it; ``None`` when unknown."""
        if self._peername is None and self._transport is not None:
            self._peername = self._transport.get_extra_info("peername")
        return self._peername

    @property
    def sockname(self) -> Any:
        """Our own address as the transport tells it; ``None`` when unknown."""
        if self._sockname is None and self._transport is not None:
            self._sockname = self._transport.get_extra_info("sockname")
        return self._sockname

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """The TLS session, ``None`` without TLS."""
        return cast("ssl.SSLObject | None", self.get_extra_info("ssl_object"))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport says about *name*; *default* once the connection is lost."""
        transport = self._transport
        return default if transport is None else transport.get_extra_info(name, default)

    @property
    def lost(self) -> bool:
        """Whether the connection is lost."""
        return self._lost is not False

    @property
    def closing(self) -> bool:
        """Whether the connection is lost or about to be: nothing written will arrive."""
        transport = self._transport
        return transport is None or transport.is_closing()

    def write_buffer_size(self) -> int:
        """Bytes that wait in the transport to leave."""
        transport = self._transport
        return 0 if transport is None else transport.get_write_buffer_size()

    # ---------------------------------------------------- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.created = self.last_read = self._time()
        # While the socket is known: afterwards it may be gone, and logs want the address.
        self._peername = transport.get_extra_info("peername")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            # The frames it passed hold what was being written, and this object: a circle, of
            # 100 KB and more, that would last until the garbage is collected.
            exc.__traceback__ = None
        self._lost = exc or True
        self._transport = None
        self.write_paused = False
        waiters = self._drain_waiters
        if waiters:
            self._drain_waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(connection_lost_error(exc))

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        waiters = self._drain_waiters
        if waiters:
            self._drain_waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # --------------------------------------------------------------- writing

    def lost_error(self) -> ConnectionResetError:
        """Why nothing can be sent or awaited any more."""
        lost = self._lost
        return connection_lost_error(lost if isinstance(lost, BaseException) else None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand *data* to the transport; dropped once the connection is lost."""
        transport = self._transport
        if transport is not None:
            transport.write(data)

    def flush(self) -> None:
        """Hand over what was held back to leave together. Nothing is, here."""

    async def drain(self) -> None:
        """Wait until the transport's buffer is below its low mark.

        Raises:
            ConnectionError: The connection is lost.
        """
        self.flush()
        if self._lost is not False:
            raise self.lost_error()
        if self.write_paused:
            await self.write_waiter()

    def write_waiter(self) -> "asyncio.Future[None]":
        """Return a future that is done when writing resumes, and fails if the connection is lost."""
        waiter = self._loop.create_future()
        if self._drain_waiters is None:
            self._drain_waiters = []
        self._drain_waiters.append(waiter)
        return waiter

    def forget_write_waiter(self, waiter: "asyncio.Future[None]") -> None:
        """Forget a future of `write_waiter` that nobody waits for any more."""
        if self._drain_waiters is not None and waiter in self._drain_waiters:
            self._drain_waiters.remove(waiter)

    # --------------------------------------------------------------- reading

    def hold_reading(self, hold: bool) -> None:
        """Stop or continue taking bytes from the transport."""
        if hold is not self._reading_paused:
            transport = self._transport
            if transport is not None and not transport.is_closing():
                self._reading_paused = hold
                if hold:
                    transport.pause_reading()
                else:
                    transport.resume_reading()
