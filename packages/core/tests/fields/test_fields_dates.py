"""HTTP dates: three forms in, one out (RFC 9110 section 5.6.7)."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.fields.dates import format_http_date, parse_http_date

RFC_DATE = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT", RFC_DATE, id="IMF-fixdate"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", RFC_DATE, id="RFC 850"),
        pytest.param("Sun Nov  6 08:49:37 1994", RFC_DATE, id="asctime"),
        pytest.param("  Sun, 06 Nov 1994 08:49:37 GMT\t", RFC_DATE, id="white space around"),
        pytest.param("Sun, 6 Nov 1994 08:49:37 GMT", RFC_DATE, id="without the leading zero"),
        pytest.param("06 Nov 1994 08:49:37 GMT", RFC_DATE, id="without the day's name"),
        pytest.param("Mon, 06 nov 1994 08:49:37 UTC", RFC_DATE, id="wrong day's name, case, UTC"),
        pytest.param(
            "Sat, 31 Dec 2016 23:59:60 GMT",
            datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC),
            id="leap",
        ),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", datetime(1970, 1, 1, tzinfo=UTC), id="1970"),
        pytest.param("Sun, 06 Nov 1994 08:49:37", None, id="no zone"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 +0100", None, id="another zone"),
        pytest.param("Sun, 31 Feb 1994 08:49:37 GMT", None, id="no such day"),
        pytest.param("Sun, 06 Foo 1994 08:49:37 GMT", None, id="no such month"),
        pytest.param("Sun, 06 Nov 1994 24:00:00 GMT", None, id="no such hour"),
        pytest.param("Sun, 06 Nov 0000 08:49:37 GMT", None, id="no such year"),
        pytest.param("Sun, 0\u0666 Nov 1994 08:49:37 GMT", None, id="other digits, CVE-2025-69224"),
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT\n", None, id="line end"),
        pytest.param("784111777", None, id="a number"),
        pytest.param("x" * 8000, None, id="8 KB"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_dates_in(text: str, expected: datetime | None) -> None:
    assert parse_http_date(text) == expected


def test_year_of_two_digits_is_at_most_fifty_years_ahead() -> None:
    now = time.gmtime().tm_year
    for ahead, expected in ((50, now + 50), (51, now - 49), (0, now), (-10, now - 10)):
        found = parse_http_date(f"Sunday, 06-Nov-{(now + ahead) % 100:02d} 08:49:37 GMT")
        assert found is not None
        assert found.year == expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784111777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (784111777.999, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (-0.5, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (RFC_DATE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (RFC_DATE.replace(tzinfo=None), "Sun, 06 Nov 1994 08:49:37 GMT"),
        (RFC_DATE.astimezone(timezone(timedelta(hours=5))), "Sun, 06 Nov 1994 08:49:37 GMT"),
        (datetime(1601, 1, 1, tzinfo=UTC), "Mon, 01 Jan 1601 00:00:00 GMT"),
        (datetime(1, 1, 1, tzinfo=UTC), "Mon, 01 Jan 0001 00:00:00 GMT"),
    ],
)
def test_dates_out(moment: datetime | float, expected: str) -> None:
    for _ in range(2):
        assert format_http_date(moment) == expected


@pytest.mark.parametrize("moment", [1e12, -1e12, 1e30])
def test_moment_that_no_date_can_say(moment: float) -> None:
    with pytest.raises(ValueError, match="no HTTP date"):
        format_http_date(moment)


def test_text_of_one_second_is_made_once() -> None:
    assert format_http_date(1000.1) is format_http_date(1000.9)
    assert format_http_date(1001) != format_http_date(1000)


def test_now_is_said_without_an_argument() -> None:
    before = int(time.time())
    found = parse_http_date(format_http_date())
    assert found is not None
    assert before <= found.timestamp() <= time.time()


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001  # bounds are naive by contract
def test_dates_round_trip(moment: datetime) -> None:
    assert parse_http_date(format_http_date(moment)) == moment.replace(microsecond=0)


@given(st.text(max_size=60))
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = parse_http_date(text)
    assert found is None or found.tzinfo is UTC
