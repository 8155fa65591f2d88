"""Every live connection of one server: limits, deadlines, graceful stop."""

import asyncio
import logging
import socket
import sys
import time
from email.utils import formatdate
from types import ModuleType
from typing import Final, final

from multidict import CIMultiDict

from ..http import SERVER_SOFTWARE
from ..limits import HttpLimits, ServerTimeouts
from .deadlines import keep_deadlines, known_idle
from .exchange import ContentOptions, ExchangeHandler
from .server_protocol import Http1ServerProtocol
from .timers import Sweep, sweep_period

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows, where sockets are no descriptors
    resource = None

__all__ = ("HttpServer", "http_server_protocol")

_logger: Final = logging.getLogger("antiphon.server")

# Seconds that handlers have after they were cancelled, before their connections are cut.
_AFTER_CANCEL: Final = 2.0

# Descriptors that connections leave to others, where there are many; else an eighth of them.
_RESERVE: Final = 32

# Seconds between two warnings that there are too few.
_WARN_PERIOD: Final = 10.0

_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
    b"Retry-After: 1\r\nConnection: close\r\n\r\n"
)


@final
class HttpServer:
    """The connections of one server, and the factory of their protocols.

    Pass it to `asyncio.loop.create_server` as the protocol factory.

    Args:
        handler: Called with each exchange; what it returns runs as the task that owns it. On
            CPython 3.12 and newer the task starts at once, inside `data_received`.
        limits: What a message may cost.
        timeouts: How long to wait for peers.
        content: How content is taken.
        server_software: Value of the ``Server`` field; ``""`` leaves the field out.
        max_connections: Connections at a time; those beyond get a 503 and are closed.
        logger: Where errors of handlers go.
        tcp_keepalive: Switch on the kernel's probes of silent TCP connections.
    """

    def __init__(
        self,
        handler: ExchangeHandler,
        *,
        limits: HttpLimits | None = None,
        timeouts: ServerTimeouts | None = None,
        content: ContentOptions | None = None,
        server_software: str = SERVER_SOFTWARE,
        max_connections: int | None = None,
        logger: logging.Logger = _logger,
        tcp_keepalive: bool = True,
    ) -> None:
        self.handler = handler
        self.limits = limits or HttpLimits()
        self.timeouts = timeouts = timeouts or ServerTimeouts()
        self.content = content or ContentOptions()
        self.max_connections = max_connections
        self.max_requests = timeouts.max_requests or sys.maxsize
        self.logger = logger
        self.tcp_keepalive = tcp_keepalive
        self.connections: set[Http1ServerProtocol] = set()
        """The live connections."""
        self.requests_count = 0
        """Exchanges begun so far."""
        self.draining = False
        """Whether `begin_drain` was called."""
        self._server_line = f"Server: {server_software}\r\n".encode() if server_software else b""
        if b"\r\n" in self._server_line[:-2]:
            raise ValueError("server_software must be one line")
        self._default_fields = b""
        self._date_until = 0.0
        self._waiters: list[asyncio.Future[None]] = []
        self._last_look = 0.0
        self._last_descriptor = _last_descriptor()
        self._refused = 0
        self._warn_again = 0.0
        self._sweep = Sweep(
            self.sweep,
            sweep_period((
                timeouts.head,
                timeouts.body_idle,
                timeouts.body_grace,
                timeouts.write_idle,
                timeouts.keep_alive,
                timeouts.max_age,
                timeouts.linger,
                timeouts.linger_close,
            )),
        )

    def __call__(self) -> asyncio.Protocol:
        """Return a protocol for one new connection of the running loop."""
        return Http1ServerProtocol(self, asyncio.get_running_loop())

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} connections={len(self.connections)} active={self.active} "
            f"requests={self.requests_count}{' draining' if self.draining else ''}>"
        )

    @property
    def active(self) -> int:
        """Exchanges under way."""
        return sum(protocol.exchange is not None for protocol in self.connections)

    def default_fields(self) -> bytes:
        """The lines of ``Date`` and ``Server`` as of now."""
        now = time.time()
        if now >= self._date_until or now < self._date_until - 1:
            second = int(now)
            self._date_until = second + 1.0
            date = formatdate(second, usegmt=True)
            self._default_fields = b"Date: %b\r\n%b" % (date.encode(), self._server_line)
        return self._default_fields

    # ------------------------------------------------- told by the protocols

    def connection_made(self, protocol: Http1ServerProtocol) -> None:
        """Take *protocol* in, or turn it away if there are too many."""
        limit = self.max_connections
        if limit is not None and len(self.connections) >= limit:
            self.logger.debug("Connection refused: %d are open", limit)
            protocol.turn_away(_BUSY)
            return
        sock = protocol.get_extra_info("socket")
        if sock is not None and sock.fileno() >= self._last_descriptor:
            self._warn_of_descriptors()
            protocol.turn_away(_BUSY)
            return
        self.connections.add(protocol)
        if self.draining:
            protocol.connection.close_after()
        if self.tcp_keepalive and sock is not None:
            _switch_on_keepalive(sock)
        if not self._sweep.armed:
            self._last_look = protocol.created
            self._sweep.arm(protocol.loop)

    def _warn_of_descriptors(self) -> None:
        """Tell the operator, not each time."""
        self._refused += 1
        # The limit may have been raised meanwhile.
        self._last_descriptor = _last_descriptor()
        now = time.monotonic()
        if now < self._warn_again:
            return
        self._warn_again = now + _WARN_PERIOD
        self.logger.warning(
            "Out of file descriptors: %d connections refused so far, %d are open. "
            "Raise the limit (ulimit -n, LimitNOFILE=) or set max_connections",
            self._refused,
            len(self.connections),
        )

    def connection_lost(self, protocol: Http1ServerProtocol) -> None:
        """Forget *protocol*, whose connection is lost."""
        self.connections.discard(protocol)
        if not self.connections:
            self._sweep.cancel()
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # ------------------------------------------------------------- deadlines

    def sweep(self, now: float) -> bool:
        """Look after every connection once; return whether there are any.

        Args:
            now: Loop time.
        """
        elapsed = now - self._last_look
        self._last_look = now
        for protocol in tuple(self.connections):
            keep_deadlines(protocol, now, elapsed)
        return bool(self.connections)

    # ----------------------------------------------------------- graceful stop

    def begin_drain(self) -> None:
        """Let no connection live longer than it must, and lose no request by that.

        Every answer that begins from now on says ``Connection: close``. Idle connections are
        closed, except those that never asked anything and those on which a request has begun to
        come, as far as the kernel knows: bytes that arrived before this call are still served. A
        connection whose client was told nothing yet and may be sending, because it was used a
        moment ago, is given another moment (`ServerTimeouts.stop_idle`).
        """
        if self.draining:
            return
        self.draining = True
        # Which makes every further request the last of its connection.
        self.max_requests = 0
        for protocol in self.connections:
            exchange = protocol.exchange
            # An answer that has begun said that the connection goes on. So it does for a while.
            if exchange is None or not exchange.responding:
                protocol.connection.close_after()
        if self.connections:
            loop = next(iter(self.connections)).loop
            # Two rounds of the loop: what had arrived by now is read in the first.
            loop.call_soon(loop.call_soon, self._close_idle)
            self._sweep.cancel()
            self._sweep.period = min(
                self._sweep.period, sweep_period((self.timeouts.stop_idle or None,))
            )
            self._sweep.arm(loop)

    def _close_idle(self) -> None:
        self._close_idle_for(self.timeouts.stop_idle)

    def _close_idle_for(self, seconds: float) -> None:
        for protocol in tuple(self.connections):
            if protocol.uses and known_idle(protocol, protocol.loop.time()) >= seconds:
                protocol.close_idle()

    async def wait_drained(self, timeout: float | None = None) -> bool:
        """Wait until no connection is left; return whether that is so.

        Args:
            timeout: Seconds to wait at most; ``None`` for ever.
        """
        if not self.connections:
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await asyncio.wait([waiter], timeout=timeout)
        return not self.connections

    def cancel_exchanges(self) -> int:
        """Cancel the owner of every exchange under way, and close the idle connections.

        Returns:
            How many exchanges there were.
        """
        self._close_idle_for(0.0)
        count = 0
        for protocol in tuple(self.connections):
            exchange = protocol.exchange
            if exchange is not None and exchange.owner is not None:
                exchange.owner.cancel()
                count += 1
        return count

    async def shutdown(self, timeout: float | None = 60.0) -> None:
        """Stop: drain, and after *timeout* seconds cancel, and 2 s later cut what is left.

        Returns once no connection is left.
        """
        self.begin_drain()
        if await self.wait_drained(timeout):
            return
        self.cancel_exchanges()
        if await self.wait_drained(_AFTER_CANCEL):
            return
        self.abort()
        # An aborted transport reports its end in the next round of the loop.
        if not await self.wait_drained(_AFTER_CANCEL):
            # What is left are owners that did not stop when they were cancelled.
            for protocol in tuple(self.connections):
                if protocol.lost:
                    self.connection_lost(protocol)

    def abort(self) -> None:
        """Cut every connection now."""
        for protocol in tuple(self.connections):
            protocol.abort()

    def error_fields(self) -> CIMultiDict[str]:
        """The fields of an answer that no handler gave."""
        return CIMultiDict()


def _last_descriptor() -> int:
    """The first descriptor that no connection may have.

    The kernel gives the lowest that is free, so whoever gets this one knows that all below are
    taken. The rest is for the application's files and connections, and for `accept`, without which
    clients would hang in the listener's queue instead of being told.
    """
    if resource is None:
        return sys.maxsize
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    return int(limit - min(_RESERVE, limit // 8))


def _switch_on_keepalive(sock: socket.socket) -> None:
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError:
            # The peer is gone already; reading will say so.
            return


def http_server_protocol(server: HttpServer) -> asyncio.Protocol:
    """Return a protocol for one new connection of *server*."""
    return server()
