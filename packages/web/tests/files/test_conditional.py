"""RFC 9110 sections 13 and 14 as tables."""

import time
from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from antiphon.core.fields.etag import ETag
from antiphon.web._conditional import MAX_RANGES, ByteRanges, Decision, Outcome, decide

MODIFIED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SAME = "Fri, 02 Jan 2026 03:04:05 GMT"
EARLIER = "Fri, 02 Jan 2026 03:04:04 GMT"
LATER = "Fri, 02 Jan 2026 03:04:06 GMT"
SIZE = 100


def outcome(
    *fields: tuple[str, str], method: str = "GET", etag: ETag | None = ETag("x"), size: int = SIZE
) -> Decision:
    return decide(method, CIMultiDict(fields), etag=etag, modified=MODIFIED, size=size)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([], Outcome.WHOLE, id="no conditions"),
        pytest.param([("If-Match", '"x"')], Outcome.WHOLE, id="If-Match fits"),
        pytest.param([("If-Match", '"y", "x"')], Outcome.WHOLE, id="If-Match, the second fits"),
        pytest.param([("If-Match", '"y"'), ("If-Match", '"x"')], Outcome.WHOLE, id="two fields"),
        pytest.param([("If-Match", "*")], Outcome.WHOLE, id="If-Match any"),
        pytest.param([("If-Match", '"y"')], Outcome.PRECONDITION_FAILED, id="If-Match fails"),
        pytest.param([("If-Match", 'W/"x"')], Outcome.PRECONDITION_FAILED, id="weak is no match"),
        pytest.param([("If-Match", "x")], Outcome.PRECONDITION_FAILED, id="If-Match malformed"),
        pytest.param([("If-Unmodified-Since", SAME)], Outcome.WHOLE, id="unmodified since"),
        pytest.param(
            [("If-Unmodified-Since", EARLIER)], Outcome.PRECONDITION_FAILED, id="modified since"
        ),
        pytest.param([("If-Unmodified-Since", "x")], Outcome.WHOLE, id="no date is no condition"),
        pytest.param(
            [("If-Match", '"x"'), ("If-Unmodified-Since", EARLIER)],
            Outcome.WHOLE,
            id="If-Match goes before If-Unmodified-Since",
        ),
        pytest.param([("If-None-Match", '"x"')], Outcome.NOT_MODIFIED, id="If-None-Match fits"),
        pytest.param([("If-None-Match", 'W/"x"')], Outcome.NOT_MODIFIED, id="weak match is enough"),
        pytest.param([("If-None-Match", "*")], Outcome.NOT_MODIFIED, id="If-None-Match any"),
        pytest.param([("If-None-Match", '"y"')], Outcome.WHOLE, id="If-None-Match does not fit"),
        pytest.param([("If-Modified-Since", SAME)], Outcome.NOT_MODIFIED, id="not modified"),
        pytest.param([("If-Modified-Since", LATER)], Outcome.NOT_MODIFIED, id="known later"),
        pytest.param([("If-Modified-Since", EARLIER)], Outcome.WHOLE, id="modified"),
        pytest.param(
            [("If-Modified-Since", SAME), ("If-Modified-Since", SAME)],
            Outcome.WHOLE,
            id="two dates are none",
        ),
        pytest.param(
            [("If-None-Match", '"y"'), ("If-Modified-Since", SAME)],
            Outcome.WHOLE,
            id="If-None-Match goes before If-Modified-Since",
        ),
        pytest.param(
            [("If-Match", '"y"'), ("If-None-Match", '"x"')],
            Outcome.PRECONDITION_FAILED,
            id="412 goes before 304",
        ),
        pytest.param(
            [("If-None-Match", '"x"'), ("Range", "bytes=0-1")],
            Outcome.NOT_MODIFIED,
            id="304 goes before Range",
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_preconditions(fields: list[tuple[str, str]], expected: Outcome, method: str) -> None:
    assert outcome(*fields, method=method).outcome is expected


def test_conditions_do_not_count_after_the_work_of_another_method_is_done() -> None:
    fields = [("If-None-Match", "*"), ("If-Match", '"y"'), ("Range", "bytes=0-1")]
    assert outcome(*fields, method="POST").outcome is Outcome.WHOLE


def test_without_validators_only_any_matches() -> None:
    fields = CIMultiDict({"If-None-Match": '"x"', "If-Modified-Since": SAME})
    assert decide("GET", fields, etag=None, modified=None, size=1).outcome is Outcome.WHOLE
    fields = CIMultiDict({"If-None-Match": "*"})
    assert decide("GET", fields, etag=None, modified=None, size=1).outcome is Outcome.NOT_MODIFIED


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        pytest.param("bytes=0-9", [(0, 10)], id="first ten"),
        pytest.param("bytes=90-", [(90, 100)], id="open end"),
        pytest.param("bytes=-10", [(90, 100)], id="last ten"),
        pytest.param("bytes=-1000", [(0, 100)], id="more of the end than there is"),
        pytest.param("bytes=50-1000", [(50, 100)], id="end behind the end"),
        pytest.param("bytes=0-9,20-29", [(0, 10), (20, 30)], id="two ranges"),
        pytest.param("bytes=20-29,0-9", [(20, 30), (0, 10)], id="in the order of the field"),
        pytest.param("bytes=0-9,5-19", [(0, 20)], id="overlapping ranges are joined"),
        pytest.param("bytes=0-9,10-19", [(0, 20)], id="touching ranges are joined"),
        pytest.param("bytes=0-59,60-99,0-99", [(0, 100)], id="all of it in pieces is one range"),
        pytest.param("bytes=0-9,200-", [(0, 10)], id="one range behind the end"),
        pytest.param("bytes=200-", None, id="behind the end"),
        pytest.param("bytes=-0", None, id="the last none"),
    ],
)
def test_ranges(value: str, ranges: list[tuple[int, int]] | None) -> None:
    decision = outcome(("Range", value))
    if ranges is None:
        assert decision == Decision(Outcome.UNSATISFIABLE)
    else:
        assert decision == Decision(Outcome.PARTIAL, tuple(ranges))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([("Range", "lines=0-9")], id="another unit"),
        pytest.param([("Range", "bytes=9-0")], id="ends before it begins"),
        pytest.param([("Range", "bytes=a-b")], id="no digits"),
        pytest.param(
            [("Range", "bytes=\u0661-\u0662")], id="CVE-2025-69225 digits of another script"
        ),
        pytest.param([("Range", "bytes=0-9"), ("Range", "bytes=0-9")], id="two fields"),
        pytest.param(
            [("Range", "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 2 * MAX_RANGES + 2, 2)))],
            id="too many ranges",
        ),
        pytest.param([("Range", "bytes=0-9"), ("If-Range", '"y"')], id="If-Range is another"),
        pytest.param([("Range", "bytes=0-9"), ("If-Range", 'W/"x"')], id="If-Range is weak"),
        pytest.param([("Range", "bytes=0-9"), ("If-Range", EARLIER)], id="If-Range, earlier date"),
        pytest.param([("Range", "bytes=0-9"), ("If-Range", LATER)], id="If-Range, later date"),
        pytest.param([("Range", "bytes=0-9"), ("If-Range", "x")], id="If-Range malformed"),
    ],
)
def test_a_range_that_does_not_count_gives_the_whole(fields: list[tuple[str, str]]) -> None:
    assert outcome(*fields, size=10 * SIZE if len(fields[0][1]) > 100 else SIZE).outcome is (
        Outcome.WHOLE
    )


@pytest.mark.parametrize("value", [pytest.param('"x"', id="tag"), pytest.param(SAME, id="date")])
def test_if_range_that_fits(value: str) -> None:
    assert outcome(("Range", "bytes=0-9"), ("If-Range", value)).outcome is Outcome.PARTIAL


def test_ranges_are_for_get_alone() -> None:
    assert outcome(("Range", "bytes=0-9"), method="HEAD").outcome is Outcome.WHOLE
    assert outcome(("Range", "bytes=999-"), method="HEAD").outcome is Outcome.WHOLE


def test_many_ranges_take_linear_work_cve_2025_62727() -> None:
    """A head's worth of ranges is refused in about the time it takes to look at it."""
    value = "bytes=" + "0-," * 2700
    start = time.perf_counter()
    for _ in range(20):
        assert outcome(("Range", value)).outcome is Outcome.WHOLE
    assert time.perf_counter() - start < 1.0


def test_parts_are_as_long_as_announced() -> None:
    several = ByteRanges(((0, 2), (5, 9)), 10, "text/plain", "b")
    parts = [several.heads[0], b"01", several.heads[1], b"5678", several.end]
    assert b"".join(parts) == (
        b"\r\n--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
        b"\r\n--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-8/10\r\n\r\n5678"
        b"\r\n--b--\r\n"
    )
    assert several.size == len(b"".join(parts))
    assert several.content_type == "multipart/byteranges; boundary=b"
