"""Content on its way from a connection to a `StreamReader`, decoded on the way.

Decoding happens in steps of bounded output, and only while the reader wants
more: content that nobody reads is not inflated, and a bomb never inflates
ahead of its reader.
"""

from typing import Final, final

from .. import coding
from ..errors import ContentEncodingError
from ..http1.connection import EndOfMessage
from .streams import StreamReader

__all__ = ("ContentSink",)

_STEP: Final = 64 * 1024
"""Bytes of decoded content that one step makes at most."""


@final
class ContentSink:
    """Feeds one message's content into *stream*.

    Args:
        stream: What is read by the user.
        encoding: The ``Content-Encoding`` to decode, ``None`` for content as it comes. One
            that is not known here comes as it is, too.
    """

    __slots__ = ("_decoder", "broken", "held", "received", "stream")

    def __init__(self, stream: StreamReader, encoding: str | None) -> None:
        self.stream = stream
        self.broken = False
        """Whether the content does not decode; what else comes of it is dropped."""
        self.held = False
        """Whether nothing is to be taken before a reader asks."""
        self.received = 0
        """Bytes of content that came, before decoding."""
        self._decoder: coding.ContentDecoder | None = None
        if encoding is not None:
            try:
                self._decoder = coding.decoder(encoding)
                stream.total_compressed_bytes = 0
            except coding.UnknownContentCoding:
                pass  # the reader gets what came, and the header fields say what that is
            except ContentEncodingError as exc:
                self._fail(exc)

    @property
    def decodes(self) -> bool:
        """Whether there is a coding to undo."""
        return self._decoder is not None

    @property
    def pending(self) -> bool:
        """Whether `step` would give more content without more input."""
        decoder = self._decoder
        return decoder is not None and not decoder.needs_input

    def feed(self, data: bytes, chunk_ends: tuple[int, ...] = ()) -> None:
        """Take *data* as it came; at most one step of it is decoded.

        Args:
            data: A piece of content.
            chunk_ends: Offsets in *data* where HTTP chunks end; used if nothing is decoded.
        """
        stream = self.stream
        decoder = self._decoder
        self.received += len(data)
        if decoder is not None:
            stream.total_compressed_bytes = self.received
            self._decode(decoder, data)
        elif self.broken:
            pass
        elif chunk_ends:
            stream.feed_chunks(data, chunk_ends)
        else:
            stream.feed_data(data)

    def step(self) -> None:
        """Decode one step more of what is here."""
        if self._decoder is not None:
            self._decode(self._decoder, b"")

    def end(self, event: EndOfMessage) -> None:
        """End the content; call it when nothing is `pending`."""
        decoder = self._decoder
        if decoder is not None:
            try:
                decoder.finish()
            except ContentEncodingError as exc:
                self._fail(exc)
        if not self.broken:
            self.stream.feed_eof()

    def drop(self, exc: BaseException) -> None:
        """Let reads raise *exc* and forget what else comes."""
        self._decoder = None
        self.broken = True
        if not self.stream.is_eof():
            self.stream.set_exception(exc)

    def _decode(self, decoder: coding.ContentDecoder, data: bytes) -> None:
        try:
            out = decoder.decompress(data, _STEP)
        except ContentEncodingError as exc:
            self._fail(exc)
            return
        if out:
            self.stream.feed_data(out)

    def _fail(self, exc: ContentEncodingError) -> None:
        self.drop(exc)
