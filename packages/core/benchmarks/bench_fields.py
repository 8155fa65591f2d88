"""Cost of field values and content codings, next to the standard library's where it has them.

Run it by itself: ``python packages/core/benchmarks/bench_fields.py``. CPU time of this process,
best of several rounds, one line per case. The last lines are what a peer may send to be slow.
"""

import email.utils
import gzip
import http.cookies
import time
import zlib
from collections.abc import Callable
from functools import partial

from antiphon.core.coding import decoder
from antiphon.core.fields.accept import negotiate_coding, parse_accept
from antiphon.core.fields.cookies import (
    format_set_cookie,
    parse_cookie_header,
    parse_set_cookie,
    unquote_cookie_value,
)
from antiphon.core.fields.dates import format_http_date, parse_http_date
from antiphon.core.fields.disposition import parse_disposition
from antiphon.core.fields.etag import parse_etags
from antiphon.core.fields.forwarded import parse_forwarded
from antiphon.core.fields.lists import split_list
from antiphon.core.fields.media_type import parse_media_type
from antiphon.core.fields.ranges import parse_range

COOKIE = (
    "session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes; _ga=GA1.2.1234567890.1700000000; "
    "lang=en-GB"
)
SET_COOKIE = (
    "session=0123456789abcdef; Path=/; Domain=example.com; HttpOnly; Secure; SameSite=Lax; Max-Age=3600; "
    "Expires=Sun, 06 Nov 2044 08:49:37 GMT"
)
ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
DISPOSITION = 'form-data; name="file"; filename="a b.txt"'
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
MEGABYTE = b"".join(b"%d bottles of beer on the wall\n" % i for i in range(30_000))[: 1 << 20]


def best(run: Callable[[], object], count: int, rounds: int = 15) -> float:
    """Microseconds of CPU time for one call of *run*."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(count):
            run()
        times.append(time.process_time() - start)
    return min(times) / count * 1e6


def cookie_mapping() -> dict[str, str]:
    return {name: unquote_cookie_value(value) for name, value in parse_cookie_header(COOKIE)}


def simple_cookie(text: str) -> dict[str, str]:
    return {name: morsel.value for name, morsel in http.cookies.SimpleCookie(text).items()}


def simple_set_cookie() -> str:
    cookie = http.cookies.SimpleCookie()
    cookie["session"] = "0123456789abcdef"
    cookie["session"]["path"] = "/"
    return cookie["session"].OutputString()


def inflate(wire: bytes, encoding: str, size: int = 65536) -> None:
    coder = decoder(encoding)
    coder.decompress(wire, size)
    while not coder.needs_input:
        coder.decompress(b"", size)
    coder.finish()


def main() -> None:
    cases: list[tuple[str, Callable[[], object], int]] = [
        ("Cookie, 5 of them", lambda: parse_cookie_header(COOKIE), 5000),
        ("  as a mapping, unquoted", cookie_mapping, 5000),
        ("  http.cookies", lambda: simple_cookie(COOKIE), 1000),
        ("Set-Cookie read", lambda: parse_set_cookie(SET_COOKIE), 2000),
        ("  http.cookies", lambda: http.cookies.SimpleCookie(SET_COOKIE), 1000),
        ("Set-Cookie written", partial(format_set_cookie, "session", "0123456789abcdef"), 5000),
        ("  http.cookies", simple_set_cookie, 1000),
        ("Content-Type", partial(parse_media_type, "text/html; charset=utf-8"), 5000),
        (
            "  a long one",
            partial(parse_media_type, f"multipart/form-data; boundary={'x' * 60}"),
            5000,
        ),
        ("Accept, 6 ranges", lambda: parse_accept(ACCEPT), 2000),
        (
            "Accept-Encoding chosen",
            partial(negotiate_coding, "gzip, br", ("zstd", "br", "gzip")),
            5000,
        ),
        ("Content-Disposition", partial(parse_disposition, DISPOSITION), 5000),
        ("If-None-Match", lambda: parse_etags('W/"0123456789abcdef", "fedcba"'), 5000),
        ("Range", lambda: parse_range("bytes=0-1023"), 5000),
        ("date read", lambda: parse_http_date(DATE), 5000),
        ("  email.utils", lambda: email.utils.parsedate_to_datetime(DATE), 2000),
        ("date written, same second", lambda: format_http_date(784111777.5), 20000),
        ("  email.utils", lambda: email.utils.formatdate(784111777.5, usegmt=True), 5000),
        ("1 MB of gzip, 64 KB steps", partial(inflate, gzip.compress(MEGABYTE), "gzip"), 5),
        ("  zlib in one piece", partial(zlib.decompress, gzip.compress(MEGABYTE), 31), 5),
        ("100 bytes of gzip", partial(inflate, gzip.compress(MEGABYTE[:100]), "gzip"), 2000),
    ]
    for character in ';,\\"':
        text = character * 7000
        cases += [
            (f"7 KB of {character} in Cookie", partial(parse_cookie_header, text), 50),
            (f"7 KB of {character} in Content-Type", partial(parse_media_type, "a/b;" + text), 50),
            (
                f"7 KB of {character} in Content-Disposition",
                partial(parse_disposition, "a;" + text),
                50,
            ),
            (f"7 KB of {character} in a list", partial(split_list, text), 50),
            (f"7 KB of {character} in Forwarded", partial(parse_forwarded, text), 50),
        ]
    for name, run, count in cases:
        print(f"{name:45} {best(run, count):10.2f} us")


if __name__ == "__main__":
    main()
