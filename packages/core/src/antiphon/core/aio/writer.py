"""Content as written by a user."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final, final

from multidict import CIMultiDict

from .. import coding
from ..errors import LocalProtocolError
from ..http1.connection import Http1Connection
from ..typedefs import Byteish
from .flow import ConnectionProtocol

__all__ = ("AbstractStreamWriter", "ContentWriter", "Http1ContentWriter")

_DRAIN_AFTER: Final = 64 * 1024
"""Bytes written after which `write` waits for the transport."""

_JOIN: Final = 64 * 1024
"""Pieces up to this size are copied together; larger ones are cheaper to write alone."""


_NOTHING: Final = memoryview(b"")


def _nothing() -> None:
    """Do nothing."""


class AbstractStreamWriter(ABC):
    """Where a payload writes itself to."""

    buffer_size: int = 0
    """Bytes handed over since the last wait."""
    output_size: int = 0
    """Bytes handed to the transport so far."""
    length: int | None = 0
    """Bytes of content still to come; ``None`` if not known."""
    on_body_write: Callable[[bytes], Any] | None = None
    """Called with each piece of content that is written, before it is encoded."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport below, where there is one."""
        return None

    @abstractmethod
    async def write(self, chunk: Byteish) -> None:
        """Write *chunk* of content; waits when much is still to leave."""

    @abstractmethod
    async def write_eof(self, chunk: Byteish = b"") -> None:
        """Write *chunk* and end the content."""

    @abstractmethod
    async def drain(self) -> None:
        """Wait until what was written has left for the most part."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Encode the content from here on; who calls sets ``Content-Encoding``.

        Args:
            encoding: One of `antiphon.core.coding.available_codings`.
            strategy: One of zlib's ``Z_...`` strategies, for gzip and deflate.

        Raises:
            NotImplementedError: This writer cannot.
        """
        raise NotImplementedError(f"{type(self).__name__} does not encode content")


class ContentWriter(AbstractStreamWriter):
    """What `ServerExchange.respond` and `ClientExchange.writer` give."""

    @abstractmethod
    def write_nowait(self, chunk: Byteish) -> None:
        """Hand *chunk* to the transport at once; the caller drains."""

    @abstractmethod
    def set_trailers(self, trailers: CIMultiDict[str]) -> None:
        """Send *trailers* after the content, where the framing can carry them."""


@final
class Http1ContentWriter(ContentWriter):
    """Content of one HTTP/1.1 message, on either end.

    Args:
        protocol: Where bytes go.
        connection: What frames them.
        head: A head to leave with the first content, or at the latest when the loop
            comes round; ``b""`` if it left already.
        length: Size of the content in bytes, ``None`` if not known.
        on_end: Called once when the content is complete.
    """

    def __init__(
        self,
        protocol: ConnectionProtocol,
        connection: Http1Connection,
        loop: asyncio.AbstractEventLoop,
        *,
        head: bytes = b"",
        length: int | None,
        on_end: Callable[[], None],
    ) -> None:
        self.length = length
        self.buffer_size = 0
        self.output_size = 0
        self.ended = False
        """Whether the content is complete, or never will be."""
        self._protocol = protocol
        self._connection = connection
        self._head = head
        self._on_end = on_end
        self._encoder: coding.ContentEncoder | None = None
        self._trailers: CIMultiDict[str] | None = None
        if head:
            # Somebody may begin a response and then think for long.
            loop.call_soon(self.send_headers)

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport below; ``None`` once the connection is lost."""
        return self._protocol.transport

    def send_headers(self) -> None:
        """Let the head leave now, if it did not."""
        head = self._head
        if head:
            self._head = b""
            self.output_size += len(head)
            self._protocol.write(head)

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Encode the content from here on; who calls sets ``Content-Encoding``.

        Args:
            encoding: One of `antiphon.core.coding.available_codings`.
            strategy: One of zlib's ``Z_...`` strategies, for gzip and deflate.

        Raises:
            UnknownContentCoding: *encoding* is not here.
            LocalProtocolError: The size of the content was announced, or content was written:
                what is encoded has another size.
        """
        if self.length is not None or self.buffer_size:
            raise LocalProtocolError(
                "enable_compression() needs content of unknown size, unwritten"
            )
        self._encoder = coding.encoder(encoding, strategy=strategy)

    def set_trailers(self, trailers: CIMultiDict[str]) -> None:
        """Send *trailers* after the content, where the framing can carry them."""
        self._trailers = trailers

    def write_nowait(self, chunk: Byteish) -> None:
        """Hand *chunk* to the transport at once; the caller drains.

        Raises:
            LocalProtocolError: It is more than was announced, or the content was ended.
            ConnectionError: The connection is lost.
        """
        protocol = self._protocol
        if protocol.closing:
            raise protocol.lost_error()
        if self.ended:
            # The connection may be serving another exchange by now.
            raise LocalProtocolError("The content was ended: nothing can be written any more")
        size = chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)
        if not size:
            return
        if self.on_body_write is not None:
            self.on_body_write(bytes(chunk))
        if self._encoder is not None:
            chunk = self._encoder.compress(chunk)
            if not chunk:
                return
        self._put(self._connection.send_data(chunk))
        if self.length is not None:
            self.length -= size
        self.buffer_size += size

    async def write(self, chunk: Byteish) -> None:
        """Write *chunk* of content; waits when more than 64 KiB were written since the last wait.

        Raises:
            LocalProtocolError: It is more than was announced, or the content was ended.
            ConnectionError: The connection is lost.
        """
        self.write_nowait(chunk)
        if self.buffer_size > _DRAIN_AFTER:
            await self.drain()

    async def write_eof(self, chunk: Byteish = b"") -> None:
        """Write *chunk*, if there is any, and end the content. A second call does nothing.

        Raises:
            LocalProtocolError: The content is not of the size that was announced. Too short a
                content ends the connection, because the peer waits for the rest.
            ConnectionError: The connection is lost.
        """
        if self.ended:
            return
        if self._protocol.closing:
            raise self._protocol.lost_error()
        if chunk and self.on_body_write is not None:
            self.on_body_write(bytes(chunk))
        size = chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)
        self.end_nowait(chunk)
        if self._protocol.write_paused or size > _DRAIN_AFTER:
            await self.drain()

    def end_nowait(self, chunk: Byteish = b"") -> None:
        """What `write_eof` does, without waiting."""
        if self.length is not None:
            self.length -= chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)
        if self._encoder is not None:
            chunk = self._encoder.compress(chunk) + self._encoder.flush()
        data = self._connection.send_data(chunk) if chunk else b""
        self.ended = True
        try:
            last = self._connection.send_end(self._trailers)
        except LocalProtocolError:
            self._put(data)
            self._end()
            raise
        if len(data) <= _JOIN:
            self._put(b"".join((data, last)) if last else data)
        else:
            self._put(data)
            self._put(last)
        self._end()

    def _end(self) -> None:
        # The callback leads back to who holds this: letting go of it leaves no cycle behind.
        on_end, self._on_end = self._on_end, _nothing
        on_end()

    @property
    def passes_through(self) -> bool:
        """Whether content goes on the wire as it is: neither chunked nor encoded, nor left out."""
        return self._encoder is None and self._connection.send_data(_NOTHING) is _NOTHING

    def count_passed(self, size: int) -> None:
        """Note *size* bytes of content that left without passing through here."""
        if self.length is not None:
            self.length -= size
        self.output_size += size

    async def drain(self) -> None:
        """Wait until the transport's buffer is below its low mark.

        Raises:
            ConnectionError: The connection is lost.
        """
        self.send_headers()
        self.buffer_size = 0
        await self._protocol.drain()

    def _put(self, data: Byteish) -> None:
        head = self._head
        if head:
            self._head = b""
            if len(data) <= _JOIN:
                data = b"".join((head, data))
            else:
                self.output_size += len(head)
                self._protocol.write(head)
        if data:
            self.output_size += data.nbytes if isinstance(data, memoryview) else len(data)
            self._protocol.write(data)
