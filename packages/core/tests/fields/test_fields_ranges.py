"""Range and Content-Range (RFC 9110 section 14)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.fields.ranges import (
    ContentRange,
    RangeSpec,
    format_content_range,
    format_range,
    parse_content_range,
    parse_range,
    resolve_ranges,
)

FAR = 10**18


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("bytes=0-9", [(0, 9)], id="first ten"),
        pytest.param("bytes=5-", [(5, None)], id="from the sixth"),
        pytest.param("bytes=-5", [(None, 5)], id="last five"),
        pytest.param("bytes=-0", [(None, 0)], id="last none: valid, not satisfiable"),
        pytest.param(
            "Bytes = 0-0 , 5-6,-1", [(0, 0), (5, 6), (None, 1)], id="several, blanks, case"
        ),
        pytest.param("bytes=,0-1,,2-3,", [(0, 1), (2, 3)], id="empty members"),
        pytest.param("bytes=007-010", [(7, 10)], id="leading zeros"),
        pytest.param("bytes=0-" + "9" * 19, [(0, FAR)], id="beyond the end of any content"),
        pytest.param("bytes=" + "9" * 6000 + "-", [(FAR, None)], id="6000 digits"),
    ],
)
def test_ranges_in(text: str, expected: list[tuple[int | None, int | None]]) -> None:
    assert parse_range(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("bytes=5-3", id="ends before it begins"),
        pytest.param("bytes=", id="no range"),
        pytest.param("bytes=,", id="no range, comma"),
        pytest.param("bytes=-", id="neither end"),
        pytest.param("bytes", id="no equals sign"),
        pytest.param("bytes 0-1", id="blank for the equals sign"),
        pytest.param("items=0-1", id="another unit"),
        pytest.param("bytes=a-b", id="letters"),
        pytest.param("bytes=0-1-2", id="three ends"),
        pytest.param("bytes=--1", id="two dashes"),
        pytest.param("bytes=+1-2", id="sign"),
        pytest.param("bytes=1_0-20", id="underscore"),
        pytest.param("bytes=0x1-2", id="hex"),
        pytest.param("bytes=\u0661-\u0662", id="other digits, CVE-2025-69225"),
        pytest.param("bytes=\u00b2-3", id="superscript, CVE-2025-69225"),
        pytest.param("bytes=0-1\n", id="line end"),
        pytest.param("", id="nothing"),
        pytest.param("bytes=" + ",".join(["0-"] * 101), id="101 ranges"),
        pytest.param("bytes=" + "," * 8000, id="8000 commas"),
    ],
)
def test_range_that_is_as_if_not_there(text: str) -> None:
    with pytest.raises(ValueError, match="range") as info:
        parse_range(text)
    assert len(str(info.value)) < 300


@pytest.mark.parametrize(
    ("text", "merged", "apart"),
    [
        ("bytes=0-3", [(0, 4)], [(0, 4)]),
        ("bytes=5-", [(5, 10)], [(5, 10)]),
        ("bytes=0-99", [(0, 10)], [(0, 10)]),
        ("bytes=-3", [(7, 10)], [(7, 10)]),
        ("bytes=-99", [(0, 10)], [(0, 10)]),
        ("bytes=-0", [], []),
        ("bytes=10-", [], []),
        ("bytes=99-,0-0", [(0, 1)], [(0, 1)]),
        ("bytes=5-6,0-1", [(0, 2), (5, 7)], [(5, 7), (0, 2)]),
        ("bytes=0-4,5-9", [(0, 10)], [(0, 5), (5, 10)]),
        ("bytes=0-9,2-3", [(0, 10)], [(0, 10), (2, 4)]),
        ("bytes=-2,0-8", [(0, 10)], [(8, 10), (0, 9)]),
    ],
)
def test_ranges_of_ten_bytes(text: str, merged: list[object], apart: list[object]) -> None:
    assert resolve_ranges(parse_range(text), 10) == merged
    assert resolve_ranges(parse_range(text), 10, merge=False) == apart


def test_empty_content_has_no_range() -> None:
    assert resolve_ranges(parse_range("bytes=0-, -5"), 0) == []


@pytest.mark.parametrize(
    ("start", "stop", "size", "expected"),
    [
        (0, 10, 100, "bytes 0-9/100"),
        (5, 6, None, "bytes 5-5/*"),
        (None, None, 100, "bytes */100"),
        (None, None, 0, "bytes */0"),
    ],
)
def test_content_range_out_and_in(
    start: int | None, stop: int | None, size: int | None, expected: str
) -> None:
    assert format_content_range(start, stop, size) == expected
    assert parse_content_range(f" {expected}") == ContentRange(start, stop, size)


@pytest.mark.parametrize(
    ("start", "stop", "size"),
    [(5, 5, 10), (6, 5, 10), (-1, 5, 10), (0, 11, 10), (None, None, None), (None, None, -1)],
)
def test_content_range_that_makes_no_sense(
    start: int | None, stop: int | None, size: int | None
) -> None:
    with pytest.raises(ValueError, match="range"):
        format_content_range(start, stop, size)


@pytest.mark.parametrize(
    "text",
    [
        "bytes 5-3/10",
        "bytes 0-10/10",
        "bytes */*",
        "bytes 0-/10",
        "bytes -5/10",
        "bytes 0-5",
        "items 0-5/10",
        "bytes=0-5/10",
        "bytes 0-\u0665/10",
        "",
    ],
)
def test_malformed_content_range(text: str) -> None:
    assert parse_content_range(text) is None


@pytest.mark.parametrize("specs", [[], [(None, None)], [(-1, 5)], [(None, -5)]])
def test_range_that_cannot_be_asked_for(specs: list[tuple[int | None, int | None]]) -> None:
    with pytest.raises(ValueError, match="range"):
        format_range([RangeSpec(*spec) for spec in specs])


POSITION = st.integers(0, 10**17)
SPEC = (
    st.tuples(POSITION, POSITION).map(lambda ends: RangeSpec(min(ends), max(ends)))
    | POSITION.map(lambda first: RangeSpec(first, None))
    | POSITION.map(lambda size: RangeSpec(None, size))
)


@given(st.lists(SPEC, min_size=1, max_size=100))
def test_range_round_trip(specs: list[RangeSpec]) -> None:
    assert parse_range(format_range(specs)) == specs


@given(
    st.lists(SPEC.map(lambda s: RangeSpec(*(None if e is None else e % 50 for e in s)))),
    st.integers(0, 40),
)
def test_merging_keeps_every_byte_once(specs: list[RangeSpec], size: int) -> None:
    apart = resolve_ranges(specs, size, merge=False)
    merged = resolve_ranges(specs, size)
    assert {at for start, stop in apart for at in range(start, stop)} == {
        at for start, stop in merged for at in range(start, stop)
    }
    for (_, stop), (start, _) in itertools.pairwise(merged):
        assert stop < start


@given(st.text(max_size=50))
def test_any_text_is_ranges_or_one_error(text: str) -> None:
    for wire in (text, "bytes=" + text):
        try:
            specs = parse_range(wire)
        except ValueError:
            continue
        assert specs
    parse_content_range("bytes " + text)
