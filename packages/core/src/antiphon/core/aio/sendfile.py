"""Content from a file, without passing through Python where the system can do that.

Where there is `os.sendfile` it is called here, and not by the loop's method of that name:
uvloop has none, and asyncio's stops and starts reading around each call. The socket is
written through a duplicate of its descriptor, which the loop lets us watch while the
transport, whose buffer is empty then, keeps the original.
"""

import asyncio
import errno
import io
import os
from typing import BinaryIO, Final

from ..errors import LocalProtocolError
from ..http1.connection import Http1Connection
from .flow import ConnectionProtocol
from .writer import Http1ContentWriter

__all__ = ("send_file",)

# A block is what the write deadline looks at: a peer that takes less than a block within it
# counts as standing still.
_BLOCK: Final = 256 * 1024

_TURN: Final = 8
"""Blocks after which others get a turn of the loop, however fast the peer reads."""

_STAND_IN: Final = memoryview(bytes(_BLOCK))
"""Passed to the framing in place of content that never comes to Python, to be counted."""

_CANNOT: Final = frozenset((
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTSOCK,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
))
"""What systems say to a file or socket that is of no kind for `sendfile`."""


async def send_file(
    protocol: ConnectionProtocol,
    connection: Http1Connection,
    writer: Http1ContentWriter,
    file: BinaryIO,
    offset: int,
    count: int,
) -> None:
    """Send *count* bytes of *file* from *offset* as content of *writer*.

    Raises:
        LocalProtocolError: It is more than was announced.
        ConnectionError: The connection is lost.
        EOFError: The file is shorter.
    """
    if writer.length is not None and count > writer.length:
        raise LocalProtocolError(f"{count} bytes of file, {writer.length} were announced")
    sent = 0
    if protocol.ssl_object is None and writer.passes_through:
        sending = _Direct(protocol, connection, writer, file)
        protocol.file_under_way = True
        try:
            sent = await sending.send(offset, count)
        finally:
            protocol.file_under_way = False
    if sent < count:
        await _copied(writer, file, offset + sent, count - sent)


class _Direct:
    """Sends from descriptor to descriptor."""

    __slots__ = ("_connection", "_file", "_protocol", "_writer")

    def __init__(
        self,
        protocol: ConnectionProtocol,
        connection: Http1Connection,
        writer: Http1ContentWriter,
        file: BinaryIO,
    ) -> None:
        self._protocol = protocol
        self._connection = connection
        self._writer = writer
        self._file = file

    async def send(self, offset: int, count: int) -> int:
        """Send as much as the system can by itself, all or nothing, and return that."""
        await self._writer.drain()
        protocol = self._protocol
        transport = protocol.transport
        if transport is None or transport.is_closing():
            raise protocol.lost_error()
        sock = transport.get_extra_info("socket")
        try:
            source = self._file.fileno()
        except (AttributeError, io.UnsupportedOperation):
            return 0
        if not hasattr(os, "sendfile") or sock is None or sock.fileno() < 0:
            return await self._by_loop(transport, offset, count)
        low, high = transport.get_write_buffer_limits()
        target = os.dup(sock.fileno())
        try:
            # Nothing may stand in the transport's buffer: it would leave too late.
            transport.set_write_buffer_limits(0)
            await protocol.drain()
            return await self._pump(target, source, offset, count)
        finally:
            os.close(target)
            if not transport.is_closing():  # uvloop's have no limits any more when they are closed
                transport.set_write_buffer_limits(high, low)

    async def _pump(self, target: int, source: int, offset: int, count: int) -> int:
        sent = blocks = 0
        while sent < count:
            if self._protocol.closing:
                raise self._protocol.lost_error()
            try:
                done = os.sendfile(target, source, offset + sent, min(_BLOCK, count - sent))
            except BlockingIOError:
                await self._writable(target)
                continue
            except OSError as exc:
                if not sent and exc.errno in _CANNOT:
                    return 0
                transport = self._protocol.transport
                if transport is not None:
                    transport.abort()  # it did not write, and so does not know yet
                raise ConnectionResetError(f"Connection lost: {exc}") from exc
            if not done:
                raise EOFError(f"The file ended {count - sent} bytes too early")
            self._count(done)
            sent += done
            blocks += 1
            if blocks % _TURN == 0:
                await asyncio.sleep(0)
        return sent

    async def _writable(self, target: int) -> None:
        """Wait for room in the socket, or for the end of the connection."""
        loop = self._protocol.loop
        waiter = self._protocol.write_waiter()
        loop.add_writer(target, _wake, waiter)
        try:
            await waiter
        finally:
            loop.remove_writer(target)
            self._protocol.forget_write_waiter(waiter)

    async def _by_loop(self, transport: asyncio.Transport, offset: int, count: int) -> int:
        """Leave it to the loop: Windows has a call of its own for this."""
        loop = asyncio.get_running_loop()
        sent = 0
        while sent < count:
            if transport.is_closing():
                raise self._protocol.lost_error()
            size = min(_BLOCK, count - sent)
            try:
                done = await loop.sendfile(
                    transport, self._file, offset + sent, size, fallback=False
                )
            except (asyncio.SendfileNotAvailableError, NotImplementedError):
                return sent
            if not done:
                raise EOFError(f"The file ended {count - sent} bytes too early")
            self._count(done)
            sent += done
        return sent

    def _count(self, done: int) -> None:
        self._connection.send_data(_STAND_IN[:done])
        self._writer.count_passed(done)
        self._protocol.bytes_passed += done


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


async def _copied(writer: Http1ContentWriter, file: BinaryIO, offset: int, count: int) -> None:
    """Read and write, block by block; reading happens off the loop."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, file.seek, offset)
    while count:
        block = await loop.run_in_executor(None, file.read, min(_BLOCK, count))
        if not block:
            raise EOFError(f"The file ended {count} bytes too early")
        count -= len(block)
        await writer.write(block)
        await writer.drain()
