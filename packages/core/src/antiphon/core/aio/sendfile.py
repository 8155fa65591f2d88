"""Content from a file, without passing through Python where the loop can do that."""

import asyncio
from typing import BinaryIO, Final

from ..errors import LocalProtocolError
from ..http1.connection import Http1Connection
from .flow import ConnectionProtocol
from .writer import Http1ContentWriter

__all__ = ("send_file",)

# A block is what the write deadline looks at: a peer that takes less than a block within it
# counts as standing still.
_BLOCK: Final = 256 * 1024

_STAND_IN: Final = memoryview(bytes(_BLOCK))
"""Passed to the framing in place of content that never comes to Python, to be counted."""


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
        protocol.file_under_way = True
        try:
            sent = await _native(protocol, connection, writer, file, offset, count)
        finally:
            protocol.file_under_way = False
    if sent < count:
        await _copied(writer, file, offset + sent, count - sent)


async def _native(
    protocol: ConnectionProtocol,
    connection: Http1Connection,
    writer: Http1ContentWriter,
    file: BinaryIO,
    offset: int,
    count: int,
) -> int:
    """Send by the loop's `sendfile`; return how much that could."""
    await writer.drain()
    loop = asyncio.get_running_loop()
    sent = 0
    while sent < count:
        transport = protocol.transport
        if transport is None or transport.is_closing():
            raise protocol.lost_error()
        size = min(_BLOCK, count - sent)
        try:
            done = await loop.sendfile(transport, file, offset + sent, size, fallback=False)
        except (asyncio.SendfileNotAvailableError, NotImplementedError):
            return sent
        if not done:
            raise EOFError(f"The file ended {count - sent} bytes too early")
        connection.send_data(_STAND_IN[:done])
        writer.count_passed(done)
        protocol.bytes_passed += done
        sent += done
    return sent


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
