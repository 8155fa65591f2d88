"""Which answer a conditional or range request gets (RFC 9110 sections 13 and 14).

Pure: a representation's validators and size, and the request's fields, give
a `Decision`. Nothing is opened, read or sent here.
"""

from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

from antiphon.core import hdrs
from antiphon.core.fields.dates import parse_http_date
from antiphon.core.fields.etag import (
    ETAG_ANY,
    ETag,
    parse_etag,
    parse_etags,
    strong_match,
    weak_match,
)
from antiphon.core.fields.ranges import format_content_range, parse_range, resolve_ranges

__all__ = ("CONDITIONS", "MAX_RANGES", "WHOLE", "ByteRanges", "Decision", "Outcome", "decide")

_Headers = CIMultiDictProxy[str] | CIMultiDict[str]

CONDITIONS: Final = (
    hdrs.IF_NONE_MATCH,
    hdrs.IF_MODIFIED_SINCE,
    hdrs.RANGE,
    hdrs.IF_MATCH,
    hdrs.IF_UNMODIFIED_SINCE,
)
"""The fields that `decide` looks at first; without any of them the answer is `WHOLE`."""

MAX_RANGES: Final = 100
"""Ranges one request may ask for. Readers of documents ask for a few tens at most; with more, the
field is ignored, as section 14.2 advises for requests that are "egregious"."""


class Outcome(Enum):
    """What is answered; the value is the status."""

    WHOLE = 200
    PARTIAL = 206
    NOT_MODIFIED = 304
    PRECONDITION_FAILED = 412
    UNSATISFIABLE = 416


class Decision(NamedTuple):
    """An outcome, and for `Outcome.PARTIAL` the ranges, as positions ``(start, stop)``."""

    outcome: Outcome
    ranges: tuple[tuple[int, int], ...] = ()


WHOLE: Final = Decision(Outcome.WHOLE)
_NOT_MODIFIED: Final = Decision(Outcome.NOT_MODIFIED)
_FAILED: Final = Decision(Outcome.PRECONDITION_FAILED)
_UNSATISFIABLE: Final = Decision(Outcome.UNSATISFIABLE)


def decide(
    method: str, headers: _Headers, *, etag: ETag | None, modified: datetime | None, size: int
) -> Decision:
    """Decide how to answer a request that without conditions would get a 200.

    Args:
        method: The request's; conditions count for GET and HEAD, ranges for GET alone
            (section 14.2).
        headers: The request's fields.
        etag: The representation's entity tag, if it has one.
        modified: What its ``Last-Modified`` says, in whole seconds, if it has one.
        size: Its size in bytes.
    """
    if method != hdrs.METH_GET and method != hdrs.METH_HEAD:
        return WHOLE
    # The order is that of section 13.2.2.
    if hdrs.IF_MATCH in headers:
        if not _any_match(headers, hdrs.IF_MATCH, etag, strong=True):
            return _FAILED
    elif modified is not None:
        limit = _date(headers, hdrs.IF_UNMODIFIED_SINCE)
        if limit is not None and modified > limit:
            return _FAILED
    if hdrs.IF_NONE_MATCH in headers:
        if _any_match(headers, hdrs.IF_NONE_MATCH, etag, strong=False):
            return _NOT_MODIFIED
    elif modified is not None:
        known = _date(headers, hdrs.IF_MODIFIED_SINCE)
        if known is not None and modified <= known:
            return _NOT_MODIFIED
    if method == hdrs.METH_GET and hdrs.RANGE in headers and _range_counts(headers, etag, modified):
        return _ranges(headers.getall(hdrs.RANGE), size)
    return WHOLE


def _any_match(headers: _Headers, name: str, etag: ETag | None, *, strong: bool) -> bool:
    """Whether a condition's tags fit *etag*; ``*`` fits whatever there is."""
    tags = parse_etags(", ".join(headers.getall(name)))
    if tags and tags[0].value == ETAG_ANY and len(tags) == 1:
        return True
    match = strong_match if strong else weak_match
    return etag is not None and any(match(tag, etag) for tag in tags)


def _date(headers: _Headers, name: str) -> datetime | None:
    # Section 13.1.3: no date, or several, is as no field.
    values = headers.getall(name, ())
    return parse_http_date(values[0]) if len(values) == 1 else None


def _range_counts(headers: _Headers, etag: ETag | None, modified: datetime | None) -> bool:
    """Whether ``If-Range`` lets ``Range`` count (section 13.1.5)."""
    values = headers.getall(hdrs.IF_RANGE, ())
    if not values:
        return True
    if len(values) > 1:
        return False
    tag = parse_etag(values[0])
    if tag is not None:
        return etag is not None and strong_match(tag, etag)
    # An exact match: "not modified since" would join parts of different contents.
    date = parse_http_date(values[0])
    return date is not None and date == modified


def _ranges(values: list[str], size: int) -> Decision:
    if len(values) > 1:
        return WHOLE
    try:
        specs = parse_range(values[0], max_ranges=MAX_RANGES)
    except ValueError:
        return WHOLE  # section 14.2: as if there were no such field
    ranges = resolve_ranges(specs, size)  # one sort, one pass: CVE-2025-62727
    if not ranges:
        return _UNSATISFIABLE
    if len(ranges) > 1:
        asked = resolve_ranges(specs, size, merge=False)
        if len(asked) == len(ranges):
            ranges = asked  # section 15.3.7.2: in the order of the field, where nothing was joined
    return Decision(Outcome.PARTIAL, tuple(ranges))


class ByteRanges:
    """The content of a 206 with several ranges, ``multipart/byteranges`` (section 14.6).

    Args:
        ranges: Positions ``(start, stop)``.
        size: Size in bytes of the whole content.
        content_type: Of the whole content.
        boundary: Text that nobody can foresee, at most 70 letters and digits.
    """

    __slots__ = ("boundary", "end", "heads", "ranges")

    def __init__(
        self, ranges: tuple[tuple[int, int], ...], size: int, content_type: str, boundary: str
    ) -> None:
        self.ranges = ranges
        self.boundary = boundary
        self.heads = [
            (
                f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n"
                f"Content-Range: {format_content_range(start, stop, size)}\r\n\r\n"
            ).encode()
            for start, stop in ranges
        ]
        """What stands before each range."""
        self.end = f"\r\n--{boundary}--\r\n".encode("ascii")
        """What stands behind the last."""

    @property
    def content_type(self) -> str:
        """The media type of the whole answer."""
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def size(self) -> int:
        """Bytes of all parts with their heads."""
        inside = sum(stop - start for start, stop in self.ranges)
        return inside + sum(map(len, self.heads)) + len(self.end)
