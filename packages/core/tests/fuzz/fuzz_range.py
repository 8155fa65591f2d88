"""Fuzz target for ``Range`` and ``Content-Range``."""

from antiphon.core.fields import ranges
from antiphon.core.fields.ranges import (
    RangeSpec,
    format_content_range,
    format_range,
    parse_content_range,
    parse_range,
    resolve_ranges,
)

SIZE = 40
LIMIT = 10


def fuzz_one(data: bytes) -> None:
    """Check one field value, as either field.

    Raises:
        AssertionError: A property does not hold.
    """
    text = data.decode("utf-8", "surrogateescape")
    error = ""
    try:
        specs = parse_range(text, max_ranges=LIMIT)
    except ValueError as exc:
        error = str(exc)
    else:
        check_ranges(specs)
    assert len(error) < 700
    whole = parse_content_range(text)
    if whole is not None:
        assert parse_content_range(format_content_range(*whole)) == whole


def check_ranges(specs: list[RangeSpec]) -> None:
    """Merging changes no byte that is asked for, and leaves no overlap."""
    assert 0 < len(specs) <= LIMIT
    assert parse_range(format_range(specs)) == specs
    apart = resolve_ranges(specs, SIZE, merge=False)
    merged = resolve_ranges(specs, SIZE)
    assert len(merged) <= len(apart) <= len(specs)
    assert positions(merged) == positions(apart)
    before = -1
    for start, stop in merged:
        assert before < start < stop <= SIZE
        before = stop


def positions(found: list[tuple[int, int]]) -> set[int]:
    """All positions that are in one of the ranges."""
    return {position for start, stop in found for position in range(start, stop)}


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, ranges)
