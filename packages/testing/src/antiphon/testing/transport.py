"""Byte pipes in memory: a pair of transports, and somebody who listens.

They keep the promises of asyncio's socket transports: nothing is delivered from inside
`write`, nothing while reading is paused; a writer is told to pause above its high mark;
`close` delivers what was written, `abort` does not.
"""

import asyncio
import errno
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar, cast, final

__all__ = ("MemoryListener", "MemoryTransport", "memory_pair")

_P = TypeVar("_P", bound=asyncio.BaseProtocol)

_HIGH: Final = 65536
_MAX_READ: Final = 262144
"""Bytes delivered at once, as asyncio reads from a socket."""

_ports: Final = itertools.cycle(range(49152, 65536))
"""Numbers that stand for ports, so that addresses look as they do elsewhere."""


@final
class MemoryTransport(asyncio.Transport):
    """One end of a byte pipe in memory; made in pairs by `memory_pair`."""

    @property
    def _sendfile_compatible(self) -> NoReturn:
        # What loop.sendfile() looks at first. Its own answers for a transport that is no socket
        # are a RuntimeError, or to copy the file itself; this one lets the caller do it.
        raise asyncio.SendfileNotAvailableError("there is no socket to send a file to")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, extra: dict[str, Any], protocol: asyncio.BaseProtocol
    ) -> None:
        super().__init__(extra)
        self._loop = loop
        self._peer: MemoryTransport | None = None
        self._protocol = protocol
        self._buffer: deque[bytes] = deque()  # written and not yet delivered to the peer
        self._size = 0
        self._high = _HIGH
        self._low = _HIGH // 4
        self._write_paused = False
        self._reading = True
        self._eof_written = False
        self._eof_delivered = False
        self._closing = False
        self._lost = False
        self._scheduled = False

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

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whom bytes are delivered to."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether the pipe is closed or about to be."""
        return self._closing

    # -- reading

    def is_reading(self) -> bool:
        """Whether bytes are delivered."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Deliver nothing until `resume_reading`; the peer's buffer fills."""
        self._reading = False

    def resume_reading(self) -> None:
        """Deliver again, from the next turn of the loop."""
        if self._reading:
            return
        self._reading = True
        if self._peer is not None:
            self._peer._schedule()

    # -- writing

    def write(self, data: "bytes | bytearray | memoryview") -> None:
        """Send *data*; never waits.

        Raises:
            RuntimeError: After `write_eof`.
        """
        if self._closing or not data:
            return  # as sockets do: the protocol hears of the loss by connection_lost
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        self._buffer.append(bytes(data))
        self._size += len(data)
        self._schedule()
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
            self._schedule()

    def get_write_buffer_size(self) -> int:
        """Bytes written that the peer did not take yet."""
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
        if self._closing:
            return
        self._closing = True
        self._eof_written = True
        self._schedule()

    def abort(self) -> None:
        """Close now; what was not delivered yet is lost, and the peer sees a reset."""
        self._closing = True
        self._drop_buffer()
        self._loop.call_soon(self._lose, None)
        peer = self._peer
        if peer is not None and not peer._lost and not peer._eof_read:
            self._loop.call_soon(peer._reset)

    # -- inside

    @property
    def _eof_read(self) -> bool:
        peer = self._peer
        return peer is not None and peer._eof_delivered

    def _reset(self) -> None:
        if not self._lost:
            self._closing = True
            self._drop_buffer()
            self._lose(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))

    def _drop_buffer(self) -> None:
        self._buffer.clear()
        self._size = 0

    def _lose(self, exc: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._closing = True
        self._drop_buffer()
        self._protocol.connection_lost(exc)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """One turn: give the peer at most one read's worth, as a selector would."""
        self._scheduled = False
        peer = self._peer
        if peer is None or self._lost:
            return
        if peer._lost or peer._closing:
            # Nobody will ever read it. A socket would answer with a reset.
            had_more = bool(self._buffer)
            self._drop_buffer()
            self._resume_writer()
            if self._closing:
                self._lose(None)
            elif had_more and peer._lost:
                self._reset()
            return
        if self._buffer:
            if not peer._reading:
                return
            data = self._take()
            cast(asyncio.Protocol, peer._protocol).data_received(data)
            self._resume_writer()
            if self._buffer or self._eof_written:
                self._schedule()
            return
        if self._eof_written and not self._eof_delivered:
            if not peer._reading:
                return
            self._eof_delivered = True
            peer._take_eof()
        if self._closing:
            self._lose(None)

    def _take(self) -> bytes:
        buffer = self._buffer
        if len(buffer) == 1 and self._size <= _MAX_READ:
            self._size = 0
            return buffer.popleft()
        pieces: list[bytes] = []
        room = _MAX_READ
        while buffer and room:
            piece = buffer.popleft()
            if len(piece) > room:
                buffer.appendleft(piece[room:])
                piece = piece[:room]
            pieces.append(piece)
            room -= len(piece)
        data = b"".join(pieces)
        self._size -= len(data)
        return data

    def _take_eof(self) -> None:
        keep_open = cast(asyncio.Protocol, self._protocol).eof_received()
        if not keep_open:
            self.close()

    def _resume_writer(self) -> None:
        if self._write_paused and self._size <= self._low:
            self._write_paused = False
            if not self._lost:
                self._protocol.resume_writing()


def memory_pair(
    client: asyncio.BaseProtocol,
    server: asyncio.BaseProtocol,
    *,
    client_address: tuple[str, int] = ("127.0.0.1", 0),
    server_address: tuple[str, int] = ("127.0.0.1", 0),
) -> tuple[MemoryTransport, MemoryTransport]:
    """Connect two protocols of the running loop; the server's ``connection_made`` comes first.

    Returns:
        The transports of *client* and of *server*.
    """
    loop = asyncio.get_running_loop()
    near = MemoryTransport(loop, {"sockname": client_address, "peername": server_address}, client)
    far = MemoryTransport(loop, {"sockname": server_address, "peername": client_address}, server)
    near._peer, far._peer = far, near
    server.connection_made(far)
    client.connection_made(near)
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
            self._factory(),
            client_address=(self.host, next(_ports)),
            server_address=(self.host, self.port),
        )
        return transport, protocol

    def close(self) -> None:
        """Take no more connections; those that exist live on."""
        self._closed = True
