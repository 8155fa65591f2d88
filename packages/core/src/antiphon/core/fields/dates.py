"""HTTP dates (RFC 9110 section 5.6.7): three forms in, one out."""

import re
import time
from datetime import UTC, datetime
from typing import Final

__all__ = ("format_http_date", "parse_http_date")

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

_TIME: Final = r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
# Sun, 06 Nov 1994 08:49:37 GMT. Real senders also leave out the day's name or a leading zero.
_IMF = re.compile(
    rf"(?:[A-Za-z]{{3}}, ?)?([0-9]{{1,2}}) ([A-Za-z]{{3}}) ([0-9]{{4}}) {_TIME} (?:GMT|UTC)"
)
# Sunday, 06-Nov-94 08:49:37 GMT
_RFC850 = re.compile(
    rf"[A-Za-z]{{3,9}}, ([0-9]{{2}})-([A-Za-z]{{3}})-([0-9]{{2}}|[0-9]{{4}}) {_TIME} (?:GMT|UTC)"
)
# Sun Nov  6 08:49:37 1994
_ASCTIME = re.compile(rf"[A-Za-z]{{3}} ([A-Za-z]{{3}}) ([ 0-9][0-9]) {_TIME} ([0-9]{{4}})")

_MAX_DATE: Final = 40


def parse_http_date(text: str) -> datetime | None:
    """Return the point in time that *text* says, in UTC; ``None`` if it says none.

    A year of two digits more than fifty years ahead is one of the past. A leap second is
    taken for the second before.
    """
    text = text.strip(" \t")
    if len(text) > _MAX_DATE:
        return None
    if match := _IMF.fullmatch(text):
        day, month, year, hour, minute, second = match.groups()
    elif match := _RFC850.fullmatch(text):
        day, month, year, hour, minute, second = match.groups()
        if len(year) == 2:
            return _moment(_full_year(int(year)), month, day, hour, minute, second)
    elif match := _ASCTIME.fullmatch(text):
        month, day, hour, minute, second, year = match.groups()
    else:
        return None
    return _moment(int(year), month, day, hour, minute, second)


def _full_year(short: int) -> int:
    now = time.gmtime().tm_year
    year = now - now % 100 + short
    return year - 100 if year > now + 50 else year


def _moment(
    year: int, month: str, day: str, hour: str, minute: str, second: str
) -> datetime | None:
    number = MONTH_NUMBERS.get(month.lower())
    if number is None:
        return None
    try:
        return datetime(
            year, number, int(day), int(hour), int(minute), 59 if second == "60" else int(second),
            tzinfo=UTC,
        )  # fmt: skip
    except ValueError:  # no such day or time
        return None


_last: tuple[int, str] = (-1, "")


def format_http_date(moment: datetime | float | None = None) -> str:
    """Return a moment as fields say it, such as ``Sun, 06 Nov 1994 08:49:37 GMT``.

    Args:
        moment: Seconds since the epoch, or a `datetime.datetime`; a naive one means UTC.
            ``None`` means now. Fractions of a second are dropped. The text of the last
            second that was asked for is kept.

    Raises:
        ValueError: The year is not one of four digits.
    """
    global _last  # noqa: PLW0603  # one text, replaced as a whole
    if moment is None:
        moment = time.time()
    elif isinstance(moment, datetime):
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    seconds = int(moment // 1)
    last, text = _last
    if seconds == last:
        return text
    try:
        year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(seconds)
    except (OverflowError, OSError) as exc:
        raise ValueError(f"no HTTP date: {moment!r}") from exc
    if not 1 <= year <= 9999:
        raise ValueError(f"no HTTP date: {moment!r}")
    text = (
        f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month - 1]} {year:04d} "
        f"{hour:02d}:{minute:02d}:{second:02d} GMT"
    )
    _last = (seconds, text)
    return text
