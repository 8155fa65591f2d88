"""Ranges of bytes (RFC 9110 section 14)."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = (
    "ContentRange",
    "RangeSpec",
    "format_content_range",
    "format_range",
    "parse_content_range",
    "parse_range",
    "resolve_ranges",
)

_MAX_DIGITS: Final = 18
"""No content is longer than 10**18 bytes: a position with more digits lies behind the end of any."""

_FAR: Final = 10**_MAX_DIGITS

# ASCII digits only (CVE-2025-69225)
_SPEC = re.compile(r"([0-9]*+)[ \t]*+-[ \t]*+([0-9]*+)")
_CONTENT_RANGE = re.compile(r"bytes[ \t]++(?:([0-9]++)-([0-9]++)|\*)/([0-9]++|\*)", re.IGNORECASE)


class RangeSpec(NamedTuple):
    """One range as asked for, positions counted from 0 and both included.

    ``(0, 9)`` are the first ten bytes, ``(5, None)`` all but the first five, ``(None, 5)``
    the last five.
    """

    first: int | None
    last: int | None


class ContentRange(NamedTuple):
    """What a ``Content-Range`` field says.

    ``start`` and ``stop`` are ``None`` in an answer 416; ``size`` is ``None`` where unknown.
    """

    start: int | None
    stop: int | None
    """The position behind the last byte."""
    size: int | None


def parse_range(text: str, *, max_ranges: int = 100) -> list[RangeSpec]:
    """Return the ranges of a ``Range`` field in bytes, in the order of the field.

    Args:
        text: The field's value.
        max_ranges: More ranges than this are no honest request.

    Raises:
        ValueError: Another unit, a malformed range, or too many. A server answers as if
            there were no such field (section 14.2).
    """
    unit, equals, rest = text.partition("=")
    if not equals or unit.strip(" \t").lower() != "bytes":
        raise ValueError("not a range of bytes")
    members = rest.split(",", max_ranges)
    if len(members) > max_ranges:
        raise ValueError(f"more than {max_ranges} ranges")
    found = []
    for member in members:
        member = member.strip(" \t")
        if member:
            found.append(_spec(member))
    if not found:
        raise ValueError("no range")
    return found


def _spec(text: str) -> RangeSpec:
    match = _SPEC.fullmatch(text)
    if match is None or text == "-":
        raise ValueError(f"malformed range {text[:100]!r}")
    first = _position(match[1]) if match[1] else None
    last = _position(match[2]) if match[2] else None
    if first is None and last is None:
        raise ValueError(f"malformed range {text[:100]!r}")
    if first is not None and last is not None and last < first:
        raise ValueError("range ends before it begins")
    return RangeSpec(first, last)


def _position(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MAX_DIGITS else _FAR


def resolve_ranges(
    specs: Sequence[RangeSpec], size: int, *, merge: bool = True
) -> list[tuple[int, int]]:
    """Return the ranges that content of *size* bytes has, as ``(start, stop)``.

    Args:
        specs: What was asked for.
        size: Size in bytes.
        merge: Put ranges in order and join those that overlap or touch, as section 14.2
            allows where somebody asks for the same bytes over and over. One sort and
            one pass (CVE-2025-62727).

    Returns:
        An empty list if no range can be satisfied: answer 416.
    """
    found = []
    for first, last in specs:
        if first is None:
            start, stop = max(0, size - (last or 0)), size
        else:
            start, stop = first, size if last is None else min(last + 1, size)
        if start < stop:
            found.append((start, stop))
    if not merge or len(found) < 2:
        return found
    found.sort()
    merged = [found[0]]
    for start, stop in found[1:]:
        before_start, before_stop = merged[-1]
        if start <= before_stop:
            merged[-1] = (before_start, max(before_stop, stop))
        else:
            merged.append((start, stop))
    return merged


def format_range(specs: Sequence[RangeSpec]) -> str:
    """Return the value of a ``Range`` field.

    Raises:
        ValueError: There is no range, or one that says nothing or is negative.
    """
    parts = []
    for first, last in specs:
        if (first is None and last is None) or (first or 0) < 0 or (last or 0) < 0:
            raise ValueError(f"not a range: {(first, last)!r}")
        parts.append(f"{'' if first is None else first}-{'' if last is None else last}")
    if not parts:
        raise ValueError("no range")
    return f"bytes={','.join(parts)}"


def format_content_range(start: int | None, stop: int | None, size: int | None) -> str:
    """Return the value of a ``Content-Range`` field (section 14.4).

    Args:
        start: Position of the first byte; ``None`` says that no range can be satisfied.
        stop: Position behind the last byte.
        size: Size of the whole content; ``None`` if it is not known.

    Raises:
        ValueError: The range is empty or reaches beyond *size*, or nothing is said.
    """
    whole = "*" if size is None else str(size)
    if start is None or stop is None:
        if size is None or size < 0:
            raise ValueError("an unsatisfied range needs the size")
        return f"bytes */{whole}"
    if not 0 <= start < stop or (size is not None and stop > size):
        raise ValueError(f"not a range: {start} to {stop} of {whole}")
    return f"bytes {start}-{stop - 1}/{whole}"


def parse_content_range(text: str) -> ContentRange | None:
    """Return what a ``Content-Range`` field says, ``None`` if it is malformed or not in bytes."""
    match = _CONTENT_RANGE.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    first, last, whole = match.groups()
    size = None if whole == "*" else _position(whole)
    if first is None:
        return None if size is None else ContentRange(None, None, size)
    start, stop = _position(first), _position(last) + 1
    if stop <= start or (size is not None and stop > size):
        return None
    return ContentRange(start, stop, size)
