"""One direction of a byte stream: heads, content, ends.

The parsers are pulled. `feed_data` only stores; `next_event` answers what
comes next. Whoever does not want more stops asking. None of them knows which
message may follow which: that is `Http1Connection`'s part.

A message whose head announces no content (`framing` is ``EMPTY``) is its head:
no `EndOfMessage` follows. Every other ends with one.
"""

from typing import Final, final

from ..errors import BadHttpMethod, BadStatusLine, HttpProcessingError, InvalidHeader
from ..http import EMPTY, RawRequestMessage, RawResponseMessage, split_fields
from ..limits import HttpLimits
from ..typedefs import RawHeaders
from ._body import Decoder, decoder_for
from ._buffer import ReceiveBuffer
from ._events import CLOSED, NEED_DATA, EndOfMessage, NeedData
from ._grammar import NEVER_IN_HEAD
from ._head import RequestHeadParser, ResponseHeadParser, examine_fields, examine_head
from ._inner import field_names

__all__ = ("HeadersParser", "HttpRequestParser", "HttpResponseParser")

# RFC 9112 section 2.2 wants at least one tolerated; old browsers sent one after a POST.
_MAX_EMPTY_LINES: Final = 4

_DEFAULT_LIMITS: Final = HttpLimits()


class _MessageParser:
    """What requests and responses have in common: buffer, content, end of input."""

    __slots__ = ("_decoder", "_eof", "_failed", "buffer", "feed_data", "limits")

    _bad_line: type[BadHttpMethod] | type[BadStatusLine] = BadHttpMethod

    def __init__(self, limits: HttpLimits = _DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.buffer = ReceiveBuffer()
        self._decoder: Decoder | None = None
        self._eof = False
        self._failed = False
        self.feed_data = self.buffer.append
        """Store bytes that came. They must not change later: pass `bytes`."""

    def feed_eof(self) -> None:
        """Note that nothing more will come."""
        self._eof = True

    @property
    def buffered(self) -> int:
        """Bytes stored and not parsed yet."""
        return len(self.buffer)

    @property
    def partial_head(self) -> bool:
        """Whether a head has begun and is not parsed; empty lines before it do not count."""
        buffer = self.buffer
        return (
            self._decoder is None
            and buffer.pos < len(buffer.data)
            and buffer.data[buffer.pos] not in b"\r\n"
        )

    @property
    def chunk_ends(self) -> "tuple[int, ...]":
        """Where chunks of the chunked coding end in the content last returned, as offsets."""
        return tuple(self._decoder.chunk_ends) if self._decoder is not None else ()

    def take_trailing(self) -> bytes:
        """Remove and return everything that is not parsed."""
        return self.buffer.take_all()

    def _next_content(self, decoder: Decoder) -> bytes | EndOfMessage | NeedData:
        try:
            event = decoder.next_event(self.buffer)
            if type(event) is bytes:
                return event
            if event is NEED_DATA:
                if not self._eof:
                    return NEED_DATA
                event = decoder.finish()
        except HttpProcessingError:
            self.give_up()
            raise
        self._decoder = None
        return event

    def _head_pending(self) -> NeedData:
        """Decide about a head whose end has not come; refuse early what can only be refused."""
        buffer = self.buffer
        data = buffer.data
        start = buffer.pos
        end = len(data)
        if start == end:
            return CLOSED if self._eof else NEED_DATA
        searched = max(buffer.searched, start)
        buffer.searched = max(start, end - 3)
        last_line = data.rfind(b"\n", start) + 1
        limit = self.limits.max_field_size if last_line else self.limits.max_line_size
        if (
            end - start > self.limits.max_head_size
            or end - max(last_line, start) > limit
            or NEVER_IN_HEAD.search(data, max(start, searched - 1))
        ):
            self._examine(bytes(memoryview(data)[start:]), complete=False)
        if self._eof:
            self._end_in_head(bytes(memoryview(data)[start:]))
        return NEED_DATA

    def _end_in_head(self, begun: bytes) -> None:
        self._examine(begun, complete=False)
        self.give_up()
        raise self._bad_line(begun, "The connection ended within a head")

    def _examine(self, head: bytes, *, complete: bool) -> None:
        try:
            examine_head(head, self.limits, self._bad_line, complete=complete)
        except HttpProcessingError:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Forget what is stored, and answer `CLOSED` from now on."""
        self._failed = True
        self._decoder = None
        self.buffer.clear()


@final
class HttpRequestParser(_MessageParser):
    """Parses requests, one after the other.

    Args:
        limits: What a request may cost.
    """

    __slots__ = ("_empty_lines", "_heads")

    def __init__(self, limits: HttpLimits = _DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self._heads = RequestHeadParser(limits)
        self._empty_lines = 0

    def next_event(self) -> RawRequestMessage | bytes | EndOfMessage | NeedData:
        """Return the next event in what is stored.

        Raises:
            HttpProcessingError: The bytes are no request. Raised once; from then on the answer
                is `CLOSED`.
        """
        decoder = self._decoder
        if decoder is not None:
            return self._next_content(decoder)
        if self._failed:
            self.buffer.clear()
            return CLOSED
        buffer = self.buffer
        data = buffer.data
        taken = None
        if type(data) is bytes:
            taken = self._heads.take_usual(data, buffer.pos)
        if taken is None:
            taken = self._search_head()
            if taken is None:
                return self._head_pending()
        head, end = taken
        self._empty_lines = 0
        if end == len(buffer.data):
            buffer.clear()
        else:
            buffer.pos = buffer.searched = end
        if head.framing is not EMPTY:
            self._decoder = decoder_for(head.framing, self.limits)
        return head

    def _search_head(self) -> tuple[RawRequestMessage, int] | None:
        """Parse the next head and tell where it ends; ``None`` if its end has not come."""
        buffer = self.buffer
        while True:
            data = buffer.data
            pos = buffer.pos
            searched = buffer.searched
            end = data.find(b"\r\n\r\n", searched if searched > pos else pos)
            if end < 0:
                if self._skip_empty_lines():
                    continue
                return None
            try:
                if type(data) is bytes:
                    head = self._heads.parse(data, pos, end)
                else:
                    head = self._heads.parse(bytes(memoryview(data)[pos : end + 4]), 0, end - pos)
            except HttpProcessingError:
                self.give_up()
                raise
            if head is not None:
                return head, end + 4
            self._skip_empty_lines()

    def take_head(self, data: bytes) -> RawRequestMessage | None:
        """Take the head that *data* begins with, and store what comes behind it.

        Args:
            data: What came after all that was parsed.

        Returns:
            ``None``, and nothing is taken, if there is no whole head, or it is malformed.
        """
        if self._failed or self._decoder is not None:
            return None
        taken = self._heads.take_usual(data, 0)
        if taken is not None:
            head, end = taken
        else:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return None
            try:
                other = self._heads.parse(data, 0, end)
            except HttpProcessingError:
                return None  # it is parsed again to be refused, by whoever takes it
            if other is None:
                return None
            head = other
            end += 4
        self._empty_lines = 0
        if end != len(data):
            buffer = self.buffer
            buffer.data = data
            buffer.pos = buffer.searched = end
        if head.framing is not EMPTY:
            self._decoder = decoder_for(head.framing, self.limits)
        return head

    def _skip_empty_lines(self) -> bool:
        """Skip CRLFs before a request line (RFC 9112 section 2.2); whether there were any."""
        buffer = self.buffer
        start = buffer.pos
        while buffer.data.startswith(b"\r\n", buffer.pos):
            buffer.pos += 2
            self._empty_lines += 1
            if self._empty_lines > _MAX_EMPTY_LINES:
                self.give_up()
                raise BadHttpMethod(b"", "Too many empty lines before a request line")
        return buffer.pos > start


@final
class HttpResponseParser(_MessageParser):
    """Parses responses, one after the other.

    How a response ends depends on the request it answers: set `method` first.

    Args:
        limits: What a response may cost.
        method: The method of the request that is answered.
    """

    __slots__ = ("_heads", "method")

    _bad_line = BadStatusLine

    def __init__(self, limits: HttpLimits = _DEFAULT_LIMITS, method: str = "GET") -> None:
        super().__init__(limits)
        self._heads = ResponseHeadParser(limits)
        self.method = method

    def peek_head(self, data: bytes, end: int) -> RawResponseMessage | None:
        """Return the head that *data* begins with, taking nothing; ``None`` if it is none.

        Args:
            data: What came after all that was parsed.
            end: Where the head's empty line begins (CR LF CR LF).
        """
        if self._decoder is not None or self._failed:
            return None
        try:
            return self._heads.parse(data, 0, end, self.method)
        except HttpProcessingError:
            return None  # it is parsed again to be refused, by whoever takes it

    def next_event(self) -> RawResponseMessage | bytes | EndOfMessage | NeedData:
        """Return the next event in what is stored.

        Raises:
            HttpProcessingError: The bytes are no response. Raised once; from then on the answer
                is `CLOSED`.
        """
        decoder = self._decoder
        if decoder is not None:
            return self._next_content(decoder)
        if self._failed:
            self.buffer.clear()
            return CLOSED
        buffer = self.buffer
        pos = buffer.pos
        searched = buffer.searched
        end = buffer.data.find(b"\r\n\r\n", searched if searched > pos else pos)
        if end < 0:
            return self._head_pending()
        data = buffer.data
        try:
            if type(data) is not bytes:
                data = bytes(memoryview(data)[pos : end + 4])
                head = self._heads.parse(data, 0, end - pos, self.method)
            else:
                head = self._heads.parse(data, pos, end, self.method)
        except HttpProcessingError:
            self.give_up()
            raise
        end += 4
        if end == len(buffer.data):
            buffer.clear()
        else:
            buffer.pos = buffer.searched = end
        if head.framing is not EMPTY:
            self._decoder = decoder_for(head.framing, self.limits)
        return head


@final
class HeadersParser:
    """Parses one header section by itself, as in a part of a multipart body.

    Args:
        max_size: Bytes of the section, its empty line included.
        max_field_size: Bytes of one field line.
        max_headers: Field lines.
    """

    __slots__ = ("_eof", "buffer", "feed_data", "max_field_size", "max_headers", "max_size")

    def __init__(
        self,
        *,
        max_size: int = _DEFAULT_LIMITS.max_head_size,
        max_field_size: int = _DEFAULT_LIMITS.max_field_size,
        max_headers: int = _DEFAULT_LIMITS.max_headers,
    ) -> None:
        self.max_size = max_size
        self.max_field_size = max_field_size
        self.max_headers = max_headers
        self.buffer = ReceiveBuffer()
        self._eof = False
        self.feed_data = self.buffer.append

    def feed_eof(self) -> None:
        """Note that nothing more will come."""
        self._eof = True

    def next_event(self) -> RawHeaders | NeedData:
        """Return the fields once the empty line has come.

        Raises:
            InvalidHeader: A field line is malformed.
            LineTooLong: A line or the section is too long.
            BadHttpMessage: There are too many fields.
        """
        buffer = self.buffer
        data = buffer.data
        start = buffer.pos
        if data.startswith(b"\r\n", start):
            buffer.pos = start + 2
            return ()
        searched = max(buffer.searched, start)
        end = data.find(b"\r\n\r\n", searched)
        if end < 0:
            buffer.searched = max(start, len(data) - 3)
            last_line = max(data.rfind(b"\n", start) + 1, start)
            if (
                len(data) - start > self.max_size
                or len(data) - last_line > self.max_field_size
                or NEVER_IN_HEAD.search(data, max(start, searched - 1))
            ):
                self._examine(bytes(memoryview(data)[start:]), complete=False)
            if not self._eof:
                return NEED_DATA
            if start == len(data):
                return CLOSED
            raise InvalidHeader(bytes(data[start:]), "The input ended within a header section")
        block = bytes(memoryview(data)[start : end + 2])
        names = field_names(block, b"\n" + block.lower())
        if (
            names is None
            or len(names) > self.max_headers
            or len(block) > min(self.max_field_size, self.max_size - 2)
        ):
            self._examine(block + b"\r\n", complete=True)
        buffer.pos = end + 4
        return split_fields(block)

    def take_trailing(self) -> bytes:
        """Remove and return everything that is not parsed."""
        return self.buffer.take_all()

    def _examine(self, block: bytes, *, complete: bool) -> None:
        lines = block.split(b"\r\n")
        if complete:
            del lines[-2:]
        examine_fields(
            lines,
            max_field=self.max_field_size,
            max_count=self.max_headers,
            max_size=self.max_size,
            complete=complete,
        )
