"""Content and its framing: one decoder and one encoder for each (RFC 9112 sections 6 and 7).

A decoder answers one question at a time: what comes next in this buffer. It
returns content, `END` (or another `EndOfMessage`, with trailers) or `NEED_DATA`,
and keeps nothing but numbers. An encoder turns content into what goes on the wire.
"""

from collections.abc import Sequence
from typing import Final, final

from multidict import CIMultiDict

from ..errors import (
    ContentLengthError,
    InvalidHeader,
    LocalProtocolError,
    TransferEncodingError,
    quoted,
)
from ..http import CHUNKED, EMPTY, Framing, Length
from ..limits import HttpLimits
from ..typedefs import Byteish
from ._buffer import ReceiveBuffer
from ._events import END, NEED_DATA, EndOfMessage, NeedData
from ._grammar import (
    FIRST_CHUNK,
    FIRST_CHUNK_PREFIX,
    NEVER_IN_HEAD,
    NEXT_CHUNK,
    NEXT_CHUNK_PREFIX,
)
from ._head import examine_fields
from ._inner import encode_lines, field_lines, field_names

__all__ = (
    "ChunkedDecoder",
    "ChunkedEncoder",
    "Decoder",
    "DiscardEncoder",
    "Encoder",
    "LengthDecoder",
    "LengthEncoder",
    "UntilEofDecoder",
    "UntilEofEncoder",
    "decoder_for",
    "encoder_for",
)

# Content of small chunks is joined up to this size, so that a peer that sends a byte a chunk
# does not cost an event a byte.
_JOINED_SIZE: Final = 64 * 1024

# What must not come in a trailer section because it would change how the message was framed,
# routed or to be understood (RFC 9110 section 6.5.1).
_NEVER_IN_TRAILERS: Final = frozenset((
    *(b"transfer-encoding", b"content-length", b"host", b"connection", b"keep-alive"),
    *(b"proxy-connection", b"upgrade", b"te", b"trailer", b"expect", b"max-forwards"),
    *(b"content-encoding", b"content-type", b"content-range", b"range"),
    *(b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"),
))


@final
class LengthDecoder:
    """Content of a declared length (RFC 9112 section 6.2)."""

    __slots__ = ("_left", "chunk_ends")

    def __init__(self, size: int) -> None:
        self._left = size
        self.chunk_ends: Sequence[int] = ()

    def next_event(self, buffer: ReceiveBuffer) -> bytes | EndOfMessage | NeedData:
        """Return what comes next in *buffer*."""
        left = self._left
        if not left:
            return END
        content = buffer.take(left)
        if not content:
            return NEED_DATA
        self._left = left - len(content)
        return content

    def finish(self) -> EndOfMessage:
        """Say what the end of input means here.

        Raises:
            ContentLengthError: The content is not complete.
        """
        raise ContentLengthError(f"Content ended {self._left} bytes before its Content-Length")


@final
class UntilEofDecoder:
    """Content that ends with the connection (RFC 9112 section 6.3 item 8)."""

    __slots__ = ("chunk_ends",)

    def __init__(self) -> None:
        self.chunk_ends: Sequence[int] = ()

    def next_event(self, buffer: ReceiveBuffer) -> bytes | EndOfMessage | NeedData:
        """Return what comes next in *buffer*."""
        return buffer.take_all() or NEED_DATA

    def finish(self) -> EndOfMessage:
        """Return `END`: this is how such content ends."""
        return END


@final
class ChunkedDecoder:
    """Content in the chunked transfer coding (RFC 9112 section 7.1)."""

    __slots__ = ("_extensions", "_in_trailers", "_left", "_limits", "_started", "chunk_ends")

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._left = 0
        self._started = False
        self._in_trailers = False
        self._extensions = 0
        self.chunk_ends: Sequence[int] = ()
        """Where chunks end in the content last returned, as offsets."""

    def next_event(self, buffer: ReceiveBuffer) -> bytes | EndOfMessage | NeedData:
        """Return what comes next in *buffer*; small chunks are joined.

        Raises:
            TransferEncodingError: The framing is malformed.
            InvalidHeader, LineTooLong, BadHttpMessage: The trailer section is.
        """
        pieces: list[bytes] = []
        ends: list[int] = []
        total = 0
        while total < _JOINED_SIZE and not self._in_trailers:
            if not self._left:
                try:
                    if not self._next_chunk(buffer):
                        break
                except TransferEncodingError:
                    if not pieces:
                        raise
                    # The good content first; the same bytes raise again on the next call.
                    break
                continue
            piece = buffer.take(self._left)
            if not piece:
                break
            pieces.append(piece)
            total += len(piece)
            self._left -= len(piece)
            if not self._left:
                ends.append(total)
        if pieces:
            self.chunk_ends = ends
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._in_trailers:
            return self._trailers(buffer)
        return NEED_DATA

    def _next_chunk(self, buffer: ReceiveBuffer) -> bool:
        """Take the line that begins a chunk, with the CRLF that ends the one before."""
        data = buffer.data
        line = (NEXT_CHUNK if self._started else FIRST_CHUNK).match(data, buffer.pos)
        if line is None:
            self._check_incomplete(data, buffer.pos)
            return False
        digits, extension = line.groups()
        if extension:
            self._count_extension(len(extension))
        buffer.pos = line.end()
        self._started = True
        self._left = int(digits, 16)
        if not self._left:
            self._in_trailers = True
            buffer.searched = buffer.pos
        return True

    def _count_extension(self, size: int) -> None:
        self._extensions += size
        if (
            size > self._limits.max_chunk_extension
            or self._extensions > self._limits.max_chunk_extensions_total
        ):
            raise TransferEncodingError(
                f"More than {self._limits.max_chunk_extension} bytes of "
                "extensions on a chunk, or "
                f"{self._limits.max_chunk_extensions_total} on a message"
            )

    def _check_incomplete(self, data: bytes | bytearray, start: int) -> None:
        # 16 digits, and CRLF before and after.
        longest = self._limits.max_chunk_extension + 20
        line = bytes(memoryview(data)[start : start + longest + 1])
        prefix = NEXT_CHUNK_PREFIX if self._started else FIRST_CHUNK_PREFIX
        if not prefix.fullmatch(line):
            raise TransferEncodingError(f"Malformed chunk {quoted(line)}")
        if len(line) > longest:
            raise TransferEncodingError(f"Chunk extension too long: {quoted(line)}")

    def _trailers(self, buffer: ReceiveBuffer) -> EndOfMessage | NeedData:
        data = buffer.data
        start = buffer.pos
        if data.startswith(b"\r\n", start):
            buffer.pos = start + 2
            return END
        searched = buffer.searched
        end = data.find(b"\r\n\r\n", searched)
        if end < 0:
            size = len(data) - start
            buffer.searched = max(start, len(data) - 3)
            line_start = max(data.rfind(b"\n", start) + 1, start)
            if (
                size > self._limits.max_trailer_size
                or len(data) - line_start > self._limits.max_field_size
                or NEVER_IN_HEAD.search(data, max(start, searched - 1))
            ):
                self._examine(bytes(memoryview(data)[start:]), complete=False)
            return NEED_DATA
        block = bytes(memoryview(data)[start : end + 2])
        names = field_names(block, b"\n" + block.lower())
        if (
            names is None
            or len(names) > self._limits.max_trailers
            or len(block) > min(self._limits.max_field_size, self._limits.max_trailer_size - 2)
        ):
            self._examine(block + b"\r\n", complete=True)
        if names is None:  # pragma: no cover  # _examine has raised
            raise InvalidHeader(block)
        if not _NEVER_IN_TRAILERS.isdisjoint(names):
            found = b", ".join(sorted(_NEVER_IN_TRAILERS.intersection(names)))
            raise InvalidHeader(found, f"Not allowed in a trailer section: {quoted(found)}")
        buffer.pos = end + 4
        return EndOfMessage(block)

    def _examine(self, block: bytes, *, complete: bool) -> None:
        lines = block.split(b"\r\n")
        if complete:
            del lines[-2:]
        examine_fields(
            lines,
            max_field=self._limits.max_field_size,
            max_count=self._limits.max_trailers,
            max_size=self._limits.max_trailer_size,
            complete=complete,
        )

    def finish(self) -> EndOfMessage:
        """Say what the end of input means here.

        Raises:
            TransferEncodingError: The last chunk or the trailer section has not come.
        """
        raise TransferEncodingError("Content ended before its last chunk")


Decoder = LengthDecoder | ChunkedDecoder | UntilEofDecoder


def decoder_for(framing: Framing | Length, limits: HttpLimits) -> Decoder | None:
    """Return what decodes content of this framing, ``None`` where there is none."""
    if framing is EMPTY:
        return None
    if type(framing) is Length:
        return LengthDecoder(framing.size)
    if framing is CHUNKED:
        return ChunkedDecoder(limits)
    return UntilEofDecoder()


# --- encoders --------------------------------------------------------------------------------


def _size(data: Byteish) -> int:
    return data.nbytes if isinstance(data, memoryview) else len(data)


@final
class LengthEncoder:
    """Content of a declared length."""

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        self._left = size

    def encode(self, data: Byteish) -> Byteish:
        """Return *data* itself.

        Raises:
            LocalProtocolError: It is more than was declared.
        """
        left = self._left - _size(data)
        if left < 0:
            raise LocalProtocolError(f"Content is {-left} bytes longer than its Content-Length")
        self._left = left
        return data

    def end(self, trailers: CIMultiDict[str] | None) -> bytes:
        """Return nothing: the last byte was the end. Trailers cannot be carried.

        Raises:
            LocalProtocolError: It is less than was declared.
        """
        if self._left:
            raise LocalProtocolError(f"Content is {self._left} bytes short of its Content-Length")
        return b""


@final
class ChunkedEncoder:
    """Content in the chunked transfer coding."""

    __slots__ = ()

    def encode(self, data: Byteish) -> Byteish:
        """Return *data* as one chunk; nothing for nothing, which would end the content."""
        size = _size(data)
        if not size:
            return b""
        return b"".join((b"%x\r\n" % size, data, b"\r\n"))

    def end(self, trailers: CIMultiDict[str] | None) -> bytes:
        """Return the last chunk and the trailer section.

        Raises:
            ValueError: *trailers* has what a trailer section must not have.
        """
        if not trailers:
            return b"0\r\n\r\n"
        for name in trailers:
            if name.lower().encode("utf-8", "surrogateescape") in _NEVER_IN_TRAILERS:
                raise ValueError(f"{name} is not allowed in a trailer section")
        text, count, _ = field_lines(trailers.items())
        return b"0\r\n%b\r\n" % encode_lines(text, count)


@final
class UntilEofEncoder:
    """Content that ends with the connection."""

    __slots__ = ()

    def encode(self, data: Byteish) -> Byteish:
        """Return *data* itself."""
        return data

    def end(self, trailers: CIMultiDict[str] | None) -> bytes:
        """Return nothing; closing says it. Trailers cannot be carried."""
        return b""


@final
class DiscardEncoder:
    """Content of a message that has none: the answer to HEAD, 204, 304."""

    __slots__ = ()

    def encode(self, data: Byteish) -> Byteish:
        """Return nothing."""
        return b""

    def end(self, trailers: CIMultiDict[str] | None) -> bytes:
        """Return nothing."""
        return b""


Encoder = LengthEncoder | ChunkedEncoder | UntilEofEncoder | DiscardEncoder

_CHUNKED_ENCODER: Final = ChunkedEncoder()
_UNTIL_EOF_ENCODER: Final = UntilEofEncoder()
_DISCARD_ENCODER: Final = DiscardEncoder()


def encoder_for(framing: Framing | Length) -> Encoder:
    """Return what encodes content of this framing."""
    if type(framing) is Length:
        return LengthEncoder(framing.size)
    if framing is CHUNKED:
        return _CHUNKED_ENCODER
    return _DISCARD_ENCODER if framing is EMPTY else _UNTIL_EOF_ENCODER
