"""Byte pipes in memory: a pair of transports, and somebody who listens.

They keep the promises of asyncio's socket transports, and those of the operating system below.
Nothing is delivered from inside `write`, nothing while reading is paused. Each direction holds
some bytes that are on their way, as a kernel does; what does not fit waits with the writer, who
is told to pause above the high mark. `close` delivers everything; `abort` what is on its way.
An end that goes away with bytes unread resets the connection.
"""

import asyncio
import contextvars
import enum
import errno
import functools
import itertools
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar, cast, final

__all__ = ("MemoryListener", "MemoryTransport", "memory_pair")

_P = TypeVar("_P", bound=asyncio.BaseProtocol)

_HIGH: Final = 65536
"""Bytes that may wait with a writer before it is told to pause, unless it says otherwise."""
_ON_THE_WAY: Final = 262144
"""Bytes that one direction holds: less than Linux does on loopback, more than others."""
_TURN: Final = 262144
"""Bytes delivered in one turn of the loop and one direction, as asyncio reads from a socket."""
_WHOLE: Final = 131072
"""Pieces up to this size are never cut up, and larger ones never joined: both would copy."""
_ROUNDS: Final = 8
"""How often bytes may go to and fro in one turn of the loop; then others get theirs."""

_ports: Final = itertools.cycle(range(49152, 65536))
"""Numbers that stand for ports, so that addresses look as they do elsewhere."""


class _End(enum.Enum):
    """How one direction has ended, once its last byte is taken."""

    NOT = "more may come"
    EOF = "the other end has no more to say"
    RESET = "the other end is gone"


_NOT: Final = _End.NOT


@final
class MemoryConnection:
    """What joins two ends: moves bytes in both directions, in one callback of the loop.

    Args:
        loop: The loop.
    """

    __slots__ = ("_call_soon", "_context", "again", "ends", "scheduled")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._context = contextvars.copy_context()
        self.ends: tuple[MemoryTransport, ...] = ()
        self.scheduled = False
        self.again = False

    @property
    def closed(self) -> bool:
        """Whether both ends know that it is over."""
        return all(end.closed for end in self.ends)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ends[0]!r}>" if self.ends else "<closed>"

    def schedule(self) -> None:
        """Move bytes in the next turn of the loop."""
        if not self.scheduled:
            self.scheduled = True
            self._call_soon(self._turn, context=self._context)

    def _turn(self) -> None:
        # An answer to what is delivered here is delivered here as well: it does not wait for the
        # next turn. What is written meanwhile need not ask for one, therefore.
        ends = self.ends
        for end in ends:
            end.room = _TURN
        self.again = False
        rounds = _ROUNDS
        moved = True
        try:
            while moved and rounds:
                rounds -= 1
                moved = False
                for end in ends:
                    if end.take():
                        moved = True
        finally:
            self.scheduled = False
            if moved or self.again:
                self.schedule()


@final
class MemoryTransport(asyncio.Transport):
    """One end of a byte pipe in memory; made in pairs by `memory_pair`."""

    @property
    def _sendfile_compatible(self) -> NoReturn:
        # What loop.sendfile() looks at first. Its own answers for a transport that is no socket
        # are a RuntimeError, or to copy the file itself; this one lets the caller do it.
        raise asyncio.SendfileNotAvailableError("there is no socket to send a file to")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        extra: dict[str, Any],
        protocol: asyncio.BaseProtocol,
        wire: MemoryConnection,
        context: contextvars.Context,
    ) -> None:
        super().__init__(extra)
        self._loop = loop
        self._wire = wire
        self._context = context  # of whoever opened this end, as callbacks of sockets have it
        self._peer: MemoryTransport = self
        self._protocol = protocol
        self._receive = receiver_of(protocol)
        # This direction of reading.
        self._inbox: deque[bytes] = deque()
        self._unread = 0
        self._end = _NOT
        self._end_seen = False
        self._reading = True
        self.room = 0
        """Bytes that may still be delivered in this turn of the loop."""
        # That of writing.
        self._waiting: deque[bytes | memoryview] = deque()
        self._size = 0
        self._high = _HIGH
        self._low = _HIGH // 4
        self._write_paused = False
        self._eof_written = False
        self._broken: OSError | None = None  # what the next write runs into
        # Both.
        self._closing = False
        self._ending = False
        self._hard = False
        self._lost = False

    def __repr__(self) -> str:
        state = "closed" if self._lost else "closing" if self._closing else "open"
        return (
            f"<{type(self).__name__} {self.get_extra_info('sockname')} -> "
            f"{self.get_extra_info('peername')} {state} buffered={self._size}>"
        )

    # -- what everybody may ask

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to *protocol* from now on."""
        self._protocol = protocol
        self._receive = receiver_of(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whom bytes are delivered to."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether the pipe is closed or about to be."""
        return self._closing

    @property
    def closed(self) -> bool:
        """Whether the connection is over, and the protocol was told."""
        return self._lost

    # -- reading

    def is_reading(self) -> bool:
        """Whether bytes are delivered."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`; the peer's bytes wait."""
        self._reading = False

    def resume_reading(self) -> None:
        """Deliver again, from the next turn of the loop."""
        if not self._reading:
            self._reading = True
            self._wire.schedule()

    # -- writing

    def write(self, data: "bytes | bytearray | memoryview") -> None:
        """Send *data*; never waits.

        Raises:
            RuntimeError: After `write_eof`.
        """
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return  # as sockets do: the protocol hears of the loss by connection_lost
        if type(data) is not bytes:
            data = bytes(data)
        peer = self._peer
        if peer._lost:
            self._write_to_nobody()
            return
        size = len(data)
        if not self._waiting and size <= _WHOLE and peer._unread < _ON_THE_WAY:
            peer._inbox.append(data)
            peer._unread += size
            wire = self._wire
            if not wire.scheduled:
                wire.schedule()
            return
        self._waiting.append(data)
        self._size += size
        self._send_waiting()
        if self._size > self._high and not self._write_paused:
            self._write_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        """Send several pieces."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """True: each direction can end by itself."""
        return True

    def write_eof(self) -> None:
        """End this direction once everything written is delivered."""
        if not self._eof_written and not self._closing:
            self._eof_written = True
            if not self._waiting:
                self._peer._announce(_End.EOF)

    def get_write_buffer_size(self) -> int:
        """Bytes written that are not on their way yet."""
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high mark in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks, in bytes.

        Raises:
            ValueError: Not ``high >= low >= 0``.
        """
        if high is None:
            high = _HIGH if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be >= low ({low}) must be >= 0")
        self._high, self._low = high, low

    # -- ending

    def close(self) -> None:
        """Deliver what was written, then close."""
        if not self._closing:
            self._closing = True
            if not self._waiting:
                self._end_soon(None)

    def abort(self) -> None:
        """Close now; what is on its way arrives, what still waits to leave is lost."""
        self._force_close(None)

    def reset(self) -> None:
        """Close now, and have the peer see a reset after what is on its way.

        The same as closing a socket that has ``SO_LINGER`` on and 0.
        """
        self._hard = True
        self._force_close(None)

    # -- inside

    def _force_close(self, exc: Exception | None) -> None:  # asyncio's TLS calls it, too
        self._closing = True
        self._waiting.clear()
        self._size = 0
        self._end_soon(exc)

    def _end_soon(self, exc: Exception | None) -> None:
        if not self._ending:
            self._ending = True
            self._loop.call_soon(self._lose, exc, context=self._context)

    def _lose(self, exc: Exception | None) -> None:
        self._lost = True
        end = _End.RESET if self._unread or self._hard else _End.EOF
        self._inbox.clear()
        self._unread = 0
        peer = self._peer
        if not peer._lost:
            peer._announce(end)
        else:
            # So that nothing is left in a circle; who is lost asks nothing of the other end.
            self._wire.ends = ()
            del self._peer, peer._peer
        self._receive = _drop
        self._protocol.connection_lost(exc)

    def _announce(self, end: _End) -> None:
        """Let this end know that nothing more comes."""
        if self._end is _End.EOF and self._end_seen and end is _End.RESET:
            self._broken = BrokenPipeError(errno.EPIPE, "Broken pipe")
        elif end is _End.RESET or self._end is _NOT:
            self._end = end
        if end is _End.RESET:
            if self._broken is None:
                self._broken = _reset_error()
            if self._waiting:
                self._force_close(self._broken)
        self._wire.schedule()

    def _write_to_nobody(self) -> None:
        """Write to an end that is closed. It answers with a reset, of which the next write hears."""
        if self._broken is not None:
            self._force_close(self._broken)
        self._broken = BrokenPipeError(errno.EPIPE, "Broken pipe")

    def _send_waiting(self) -> None:
        """Put on the way what fits."""
        peer = self._peer
        waiting = self._waiting
        while waiting and (room := _ON_THE_WAY - peer._unread) > 0:
            data = waiting.popleft()
            if len(data) > max(room, _WHOLE):
                data = memoryview(data)
                waiting.appendleft(data[room:])
                data = data[:room]
            self._size -= len(data)
            peer._inbox.append(bytes(data))
            peer._unread += len(data)
        self._wire.schedule()

    def _made_room(self) -> None:
        """The peer has taken something."""
        self._send_waiting()
        if self._write_paused and self._size <= self._low:
            self._write_paused = False
            self._context.run(self._protocol.resume_writing)
        if not self._waiting:
            if self._eof_written:
                self._peer._announce(_End.EOF)
            if self._closing:
                self._end_soon(None)

    def take(self) -> bool:
        """Deliver one piece of what has come, or that nothing more comes.

        Returns:
            Whether there was something, so that there may be more.
        """
        if not self._reading or self._closing:
            return False
        if self._inbox:
            if self.room <= 0:
                self._wire.again = True
                return False
            data = self._next_piece()
            size = len(data)
            self._unread -= size
            self.room -= size
            try:
                self._context.run(self._receive, data)
            except Exception as exc:
                self._fail(exc, "data_received")
            if self._peer._waiting:
                self._peer._made_room()
            return True
        if self._end is _NOT or self._end_seen:
            return False
        self._end_seen = True
        if self._end is _End.RESET:
            self._force_close(_reset_error())
            return False
        try:
            keep_open = self._context.run(cast(asyncio.Protocol, self._protocol).eof_received)
        except Exception as exc:
            self._fail(exc, "eof_received")
            return False
        if not keep_open:
            self.close()
        return True

    def _next_piece(self) -> bytes:
        inbox = self._inbox
        data = inbox.popleft()
        size = len(data)
        if size > _WHOLE or not inbox or size + len(inbox[0]) > _WHOLE:
            return data
        pieces = [data]
        while inbox and size + len(inbox[0]) <= _WHOLE:
            data = inbox.popleft()
            size += len(data)
            pieces.append(data)
        return b"".join(pieces)

    def _fail(self, exc: Exception, where: str) -> None:
        """A protocol has failed: tell the loop, and end the connection, as asyncio does."""
        self._loop.call_exception_handler({
            "message": f"Fatal error: protocol.{where}() call failed.",
            "exception": exc,
            "transport": self,
            "protocol": self._protocol,
        })
        self._force_close(exc)


def reset_connection(transport: asyncio.Transport) -> None:
    """Close *transport* now, and have the peer see a reset, over a socket or in memory."""
    if isinstance(transport, MemoryTransport):
        transport.reset()
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        # Closing sends a reset instead of an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def receiver_of(protocol: asyncio.BaseProtocol) -> Callable[[bytes], None]:
    """Return what takes bytes for *protocol*, which may have a buffer of its own."""
    if isinstance(protocol, asyncio.BufferedProtocol):
        return functools.partial(_fill, protocol)
    return cast(asyncio.Protocol, protocol).data_received


def _fill(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        buffer = memoryview(protocol.get_buffer(len(rest))).cast("B")
        size = min(len(buffer), len(rest))
        if not size:
            raise RuntimeError("get_buffer() returned an empty buffer")
        buffer[:size] = rest[:size]
        rest = rest[size:]
        protocol.buffer_updated(size)


def _drop(data: bytes) -> None:
    """Take what nobody listens to."""


def _reset_error() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


def memory_pair(
    client: asyncio.BaseProtocol,
    server: asyncio.BaseProtocol,
    *,
    client_address: tuple[str, int] = ("127.0.0.1", 0),
    server_address: tuple[str, int] = ("127.0.0.1", 0),
    server_context: contextvars.Context | None = None,
) -> tuple[MemoryTransport, MemoryTransport]:
    """Connect two protocols of the running loop; the server's ``connection_made`` comes first.

    Args:
        client: Who connects.
        server: Who is connected to.
        client_address: What the server sees as the peer's address.
        server_address: What the client sees as the peer's address.
        server_context: Context in which the server's callbacks run; a copy of the present one
            by default, as the client's is.

    Returns:
        The transports of *client* and of *server*.
    """
    loop = asyncio.get_running_loop()
    wire = MemoryConnection(loop)
    context = contextvars.copy_context()
    if server_context is None:
        server_context = contextvars.copy_context()
    near = MemoryTransport(
        loop, {"sockname": client_address, "peername": server_address}, client, wire, context
    )
    far = MemoryTransport(
        loop, {"sockname": server_address, "peername": client_address}, server, wire, server_context
    )
    near._peer, far._peer = far, near
    wire.ends = (far, near)
    server_context.run(server.connection_made, far)
    context.run(client.connection_made, near)
    return near, far


@final
class MemoryListener:
    """Somebody who waits for connections, in memory.

    Args:
        protocol_factory: Makes the protocol of each connection, as for ``loop.create_server``.
        host: What connections see as the address.
        port: The port they see; made up if 0.
    """

    def __init__(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._factory = protocol_factory
        self._context = contextvars.copy_context()
        self.host: Final = host
        """What connections see as the address."""
        self.port: Final = port or next(_ports)
        """The port they see."""
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nobody listens any more."""
        return self._closed

    def connect(self, protocol_factory: Callable[[], _P]) -> tuple[MemoryTransport, _P]:
        """Connect; the same as ``loop.create_connection``, but there is nothing to wait for.

        Raises:
            ConnectionRefusedError: The listener is closed.
        """
        if self._closed:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        protocol = protocol_factory()
        transport, _ = memory_pair(
            protocol,
            self._context.copy().run(self._factory),
            client_address=(self.host, next(_ports)),
            server_address=(self.host, self.port),
            server_context=self._context.copy(),
        )
        return transport, protocol

    def close(self) -> None:
        """Take no more connections; those that exist live on."""
        self._closed = True
