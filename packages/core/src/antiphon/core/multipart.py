"""Multipart bodies (RFC 2046 section 5.1) taken apart, without I/O.

A `MultipartScanner` is given bytes and asked for events. It keeps no more than
one part's header section, or the beginning of what may be a delimiter, beside
what it was given and not yet asked about. The work is linear in the input
however the input is cut.

The grammar is strict: lines end in CRLF, field lines are not folded, every
delimiter is there and so is the last one.

    Exception
     ├─ BadHttpMessage, ValueError
     │   └─ BadMultipart              400: the body breaks the grammar
     │       └─ MultipartTooLarge     413: it breaks a limit
"""

import os
import re
from enum import Enum
from typing import Final, final

from multidict import CIMultiDict, CIMultiDictProxy

from . import hdrs
from .errors import BadHttpMessage, LocalProtocolError, quoted
from .fields.disposition import Disposition, content_disposition_filename, parse_disposition
from .fields.media_type import MediaType, parse_media_type
from .limits import MultipartLimits

__all__ = (
    "END",
    "NEED_DATA",
    "PART_END",
    "BadMultipart",
    "Event",
    "MultipartScanner",
    "MultipartTooLarge",
    "PartCounts",
    "PartHead",
    "Signal",
    "find_boundary",
    "new_boundary",
)

# RFC 2046 section 5.1.1 has fewer characters and ends at 70. Peers use others too; what
# matters is that none can begin or end a line.
_BOUNDARY = re.compile(r"[\x20-\x7e]{0,69}[\x21-\x7e]")

_WHITE_SPACE = re.compile(rb"[ \t]*+")
_MAX_PADDING: Final = 256
"""Bytes of white space behind a delimiter. Mail gateways may add some; nobody adds many."""

_MAX_AROUND: Final = 8 * 1024
"""Bytes before the first delimiter, and after the last one: a line for readers of mail."""

_FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ONCE: Final = frozenset((
    b"content-disposition",
    b"content-encoding",
    b"content-length",
    b"content-transfer-encoding",
    b"content-type",
))

_NO_LIMITS: Final = MultipartLimits()


class BadMultipart(BadHttpMessage, ValueError):
    """A multipart body, or a part of one, breaks the grammar."""


class MultipartTooLarge(BadMultipart):
    """A multipart body breaks a limit."""

    code = 413


class Signal(Enum):
    """Events without content."""

    NEED_DATA = "the next event depends on bytes that did not come yet"
    PART_END = "the part is complete"
    END = "the body is complete; what may follow means nothing"


NEED_DATA: Final = Signal.NEED_DATA
PART_END: Final = Signal.PART_END
END: Final = Signal.END


@final
class PartHead:
    """The header section of a part.

    Attributes:
        headers: The fields; bytes outside UTF-8 as surrogate escapes.
    """

    __slots__ = ("_disposition", "headers")

    def __init__(self, headers: CIMultiDictProxy[str]) -> None:
        self.headers = headers
        self._disposition: Disposition | None = None

    def __repr__(self) -> str:
        return f"<PartHead {dict(self.headers)!r}>"

    @property
    def disposition(self) -> Disposition:
        """What ``Content-Disposition`` says; its type is ``None`` if missing or malformed."""
        found = self._disposition
        if found is None:
            text = self.headers.get(hdrs.CONTENT_DISPOSITION)
            found = Disposition(None, {}) if text is None else parse_disposition(text)
            self._disposition = found
        return found

    @property
    def name(self) -> str | None:
        """The name of the form's field; ``None`` if there is none."""
        return content_disposition_filename(self.disposition.parameters, "name")

    @property
    def filename(self) -> str | None:
        """The name of the file; ``None`` if the part is none. A peer's word: no path."""
        return content_disposition_filename(self.disposition.parameters)

    @property
    def is_file(self) -> bool:
        """Whether there is a file name."""
        text = self.headers.get(hdrs.CONTENT_DISPOSITION)
        return text is not None and "filename" in text.lower() and self.filename is not None


@final
class PartCounts:
    """How many parts there were, in a body and in the ones inside of it together."""

    __slots__ = ("fields", "files")

    def __init__(self) -> None:
        self.fields = 0
        self.files = 0


Event = PartHead | bytes | Signal


class _State(Enum):
    PREAMBLE = "before the first delimiter"
    HEAD = "in a part's header section"
    CONTENT = "in a part's content"
    EPILOGUE = "after the last delimiter"
    BROKEN = "an error was raised"


@final
class MultipartScanner:
    """Bytes in, events out: a `PartHead`, content in pieces, `PART_END`, and so on, `END`.

    Args:
        boundary: The delimiters' own part, 1 to 70 bytes, as `find_boundary` returns it.
        limits: What one body may cost.
        counts: Parts seen already, if bodies inside one another share their limits.
        in_part: Begin inside the content of a part, as if its header section had just ended.
    """

    __slots__ = (
        "_around",
        "_buffer",
        "_counts",
        "_delimiter",
        "_eof",
        "_error",
        "_limits",
        "_searched",
        "_skip",
        "_state",
    )

    def __init__(
        self,
        boundary: bytes,
        limits: MultipartLimits = _NO_LIMITS,
        *,
        counts: PartCounts | None = None,
        in_part: bool = False,
    ) -> None:
        if not 1 <= len(boundary) <= 70:
            raise ValueError(f"a boundary has 1 to 70 bytes, not {len(boundary)}")
        self._delimiter = b"\r\n--" + boundary
        self._limits = limits
        self._counts = counts or PartCounts()
        # The line end before a delimiter belongs to it. In front of all content there is one
        # that is nobody else's: that of the empty line, or at the beginning one we put there.
        self._buffer = bytearray(b"\r\n")
        self._skip = 2
        # Nothing before this index begins a delimiter, or ends a header section.
        self._searched = 0
        self._state = _State.CONTENT if in_part else _State.PREAMBLE
        self._around = 0
        self._eof = False
        self._error: BadMultipart | None = None

    @property
    def limits(self) -> MultipartLimits:
        """What one body may cost."""
        return self._limits

    @property
    def counts(self) -> PartCounts:
        """How many parts there were."""
        return self._counts

    @property
    def buffered(self) -> int:
        """Bytes that are kept now."""
        return len(self._buffer)

    @property
    def ended(self) -> bool:
        """Whether the last delimiter was seen."""
        return self._state is _State.EPILOGUE

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes of the body.

        Raises:
            LocalProtocolError: After `receive_eof`.
        """
        if self._eof:
            raise LocalProtocolError("more bytes after the end")
        if self._state is _State.EPILOGUE:
            self._around += len(data)
        elif self._state is not _State.BROKEN:
            self._buffer += data

    def receive_eof(self) -> None:
        """Take note that the body ends here."""
        self._eof = True

    def take_rest(self) -> bytes:
        """Give back what came behind the delimiter that ended the part just read."""
        if self._state is not _State.HEAD:
            return b""
        rest = bytes(self._buffer[2:])
        self._buffer.clear()
        return rest

    def next_event(self) -> Event:
        """Return the next event.

        Raises:
            BadMultipart: The body breaks the grammar or a limit. From then on every call
                raises this again.
        """
        state = self._state
        try:
            if state is _State.CONTENT:
                return self._next_content()
            if state is _State.HEAD:
                return self._next_head()
            if state is _State.PREAMBLE:
                return self._skip_preamble()
            if state is _State.EPILOGUE:
                return self._next_epilogue()
        except BadMultipart as exc:
            self._state = _State.BROKEN
            self._buffer.clear()
            self._error = exc
            raise
        assert self._error is not None
        raise self._error

    # --- what lies between delimiters ---------------------------------------------------------

    def _next_content(self) -> Event:
        if not self._buffer:
            return self._need_data()
        end, line_end = self._find_delimiter()
        if end > self._skip:
            with memoryview(self._buffer) as view:
                data = bytes(view[self._skip : end])
            self._drop(end)
            return data
        if line_end == 0:
            return self._need_data()
        self._leave_delimiter(end, line_end)
        return PART_END

    def _skip_preamble(self) -> Event:
        end, line_end = self._find_delimiter()
        if end > self._skip:
            self._around += end - self._skip
            if self._around > _MAX_AROUND:
                raise MultipartTooLarge(f"More than {_MAX_AROUND} bytes before the first boundary")
            self._drop(end)
            end, line_end = self._find_delimiter()
        if line_end == 0:
            return self._need_data()
        self._leave_delimiter(end, line_end)
        return self.next_event()

    def _next_epilogue(self) -> Event:
        if self._around > _MAX_AROUND:
            raise MultipartTooLarge(f"More than {_MAX_AROUND} bytes after the last boundary")
        return END

    def _need_data(self) -> Event:
        if self._eof:
            raise BadMultipart(
                f"The body ends before its boundary {quoted(self._delimiter[4:])} does"
            )
        return NEED_DATA

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._skip = 0
        self._searched = max(0, self._searched - size)

    def _find_delimiter(self) -> tuple[int, int]:
        """Return where content ends for now, and where the line of the delimiter there ends.

        The latter is 0 as long as there is no delimiter, or only the beginning of one. It
        points at the CRLF of the line, or behind the ``--`` of the last delimiter.
        """
        buffer = self._buffer
        delimiter = self._delimiter
        while True:
            start = buffer.find(delimiter, self._searched)
            if start < 0:
                return self._keep_beginning(), 0
            end = start + len(delimiter)
            behind = buffer[end : end + 2]
            if behind == b"--":
                self._searched = start
                return start, end + 2
            line_end = self._skip_padding(end)
            if line_end - end > _MAX_PADDING:
                if start <= self._skip:
                    raise MultipartTooLarge(f"More than {_MAX_PADDING} spaces behind a boundary")
                self._searched = start
                return start, 0  # the content before it first
            behind = buffer[line_end : line_end + 2]
            if behind == b"\r\n":
                self._searched = start
                return start, line_end
            if not behind or behind == b"\r" or (behind == b"-" and line_end == end):
                self._searched = start
                return start, 0
            # A longer line that begins alike, such as the boundary of a body inside this one.
            self._searched = start + 2

    def _skip_padding(self, start: int) -> int:
        match = _WHITE_SPACE.match(self._buffer, start)
        return start if match is None else match.end()

    def _keep_beginning(self) -> int:
        # Only the last CR can begin a delimiter that is not complete: it has no other inside.
        buffer = self._buffer
        start = buffer.rfind(b"\r", max(self._searched, len(buffer) - len(self._delimiter) + 1))
        if start < 0 or not self._delimiter.startswith(buffer[start:]):
            start = len(buffer)
        self._searched = start
        return start

    def _leave_delimiter(self, start: int, line_end: int) -> None:
        """Go on behind a delimiter; its CRLF stays, in front of the header section."""
        buffer = self._buffer
        last = buffer[start + len(self._delimiter)] == 0x2D
        self._drop(line_end)
        self._searched = 0
        self._around = 0
        if last:
            self._state = _State.EPILOGUE
            self._around = len(buffer)
            buffer.clear()
        else:
            self._state = _State.HEAD

    # --- header sections ----------------------------------------------------------------------

    def _next_head(self) -> Event:
        buffer = self._buffer
        limit = self._limits.max_part_header_size
        end = buffer.find(b"\r\n\r\n", self._searched)
        # The first CRLF is the delimiter's, the last one is that of the empty line.
        if (end if end >= 0 else len(buffer) - 3) - 2 > limit:
            raise MultipartTooLarge(f"More than {limit} bytes of header fields in a part")
        if end < 0:
            self._searched = max(0, len(buffer) - 3)
            return self._need_data()
        head = self._parse_head(bytes(buffer[2:end]))
        del buffer[: end + 2]
        self._searched = 0
        self._skip = 2
        self._state = _State.CONTENT
        return head

    def _parse_head(self, block: bytes) -> PartHead:
        headers: CIMultiDict[str] = CIMultiDict()
        if block:
            lines = block.split(b"\r\n", self._limits.max_part_headers)
            if len(lines) > self._limits.max_part_headers:
                raise MultipartTooLarge(
                    f"More than {self._limits.max_part_headers} header fields in a part"
                )
            for line in lines:
                name, colon, value = line.partition(b":")
                if not colon or _FIELD_NAME.fullmatch(name) is None or _CONTROL.search(value):
                    raise BadMultipart(f"Not a header field of a part: {quoted(line)}")
                key = name.decode("ascii")
                # Two names for one part: one for whoever checks it, one for whoever stores it.
                if name.lower() in _ONCE and key in headers:
                    raise BadMultipart(f"A header field of a part comes twice: {quoted(name)}")
                # surrogateescape: RFC 9110 section 5.5 allows obs-text, browsers send UTF-8.
                headers.add(key, value.strip(b" \t").decode("utf-8", "surrogateescape"))
        head = PartHead(CIMultiDictProxy(headers))
        self._count(head)
        return head

    def _count(self, head: PartHead) -> None:
        counts = self._counts
        if head.is_file:
            counts.files += 1
            if counts.files > self._limits.max_files:
                raise MultipartTooLarge(f"More than {self._limits.max_files} files")
        else:
            counts.fields += 1
            if counts.fields > self._limits.max_fields:
                raise MultipartTooLarge(f"More than {self._limits.max_fields} fields")


def new_boundary() -> str:
    """Return a boundary that nobody can guess: 128 random bits, 32 characters."""
    return os.urandom(16).hex()


def find_boundary(content_type: str) -> tuple[MediaType, bytes]:
    """Return what a ``Content-Type`` says and its boundary.

    Raises:
        BadMultipart: It is not one of ``multipart/*``, or has no usable boundary.
    """
    media_type = parse_media_type(content_type)
    if media_type is None or media_type.type != "multipart":
        raise BadMultipart(f"multipart/* content type expected, not {quoted(content_type)}")
    boundary = media_type.get("boundary")
    if not boundary:
        raise BadMultipart(f"boundary missed for Content-Type: {quoted(content_type)}")
    if len(boundary) > 70:
        raise BadMultipart(f"boundary {quoted(boundary)} is too long (70 chars max)")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise BadMultipart(f"boundary {quoted(boundary)} has characters that it must not have")
    return media_type, boundary.encode("ascii")
