"""No field value costs more than time in proportion to its length."""

import time
from collections.abc import Callable

import pytest

from antiphon.core.fields.accept import best_language, best_media_type, negotiate_coding
from antiphon.core.fields.basic_auth import decode_basic_auth
from antiphon.core.fields.cookies import (
    parse_cookie_date,
    parse_cookie_header,
    parse_set_cookie,
    unquote_cookie_value,
)
from antiphon.core.fields.dates import parse_http_date
from antiphon.core.fields.disposition import content_disposition_filename, parse_disposition
from antiphon.core.fields.etag import parse_etag, parse_etags
from antiphon.core.fields.forwarded import parse_forwarded, parse_node
from antiphon.core.fields.keep_alive import parse_keep_alive
from antiphon.core.fields.link import parse_links
from antiphon.core.fields.lists import join_list, split_list
from antiphon.core.fields.media_type import parse_media_type
from antiphon.core.fields.ranges import parse_content_range, parse_range, resolve_ranges


def _ranges(text: str) -> object:
    try:
        return resolve_ranges(parse_range(text, max_ranges=10**6), 10**6)
    except ValueError:
        return None


def _basic(text: str) -> object:
    try:
        return decode_basic_auth("Basic " + text)
    except ValueError:
        return None


PARSERS: dict[str, Callable[[str], object]] = {
    "Content-Type, CVE-2024-24762": lambda text: parse_media_type("a/b;" + text),
    "Content-Type, from its start": parse_media_type,
    "Accept": lambda text: best_media_type(text, ("a/b", "c/d")),
    "Accept-Language": lambda text: best_language(text, ("en", "de")),
    "Accept-Encoding": lambda text: negotiate_coding(text, ("gzip", "br")),
    "Content-Disposition, CVE-2025-67726": (
        lambda text: content_disposition_filename(parse_disposition("x;" + text).parameters)
    ),
    "ETag": parse_etag,
    "If-None-Match": parse_etags,
    "Date": parse_http_date,
    "Cookie": lambda text: parse_cookie_header(text, 10**6),
    "Cookie value, CVE-2024-52804": lambda text: unquote_cookie_value(f'"{text}"'),
    "Set-Cookie": parse_set_cookie,
    "Set-Cookie, attributes": lambda text: parse_set_cookie("a=b;" + text),
    "Expires": parse_cookie_date,
    "Range, CVE-2025-62727": lambda text: _ranges("bytes=" + text),
    "Content-Range": parse_content_range,
    "Link": parse_links,
    "Forwarded": parse_forwarded,
    "Forwarded node": parse_node,
    "Keep-Alive": parse_keep_alive,
    "list": split_list,
    "list and back, CVE-2025-67725": lambda text: join_list(split_list(text)),
    "Authorization": _basic,
}
PIECES = [
    ";", ",", "\\", '"', "=", " ", "\t", "/", "<", "-", "*", "'", "%", "0", "a", "\u20ac",
    "a=", 'a="', '="', '\\"', '";', '",', ';a="\\"', 'a="b"', "a=b;", "; ", ", ", "=;", '"\\', "a*0=b;",
    "a*0*='';", "0-,", "0-1,", "<a>;", "<a>,", 'W/"', '"a",', 'W/"a",', "a;q=", "1 jan ", "00:00:00 ",
    "\\073", "a-", "for=a;", 'for="a",',
]  # fmt: skip


QUICK = 0.02  # seconds; a loop quadratic in 20 KB takes longer, save where it only moves memory


def seconds(parse: Callable[[str], object], text: str) -> float:
    started = time.process_time()
    parse(text)
    return time.process_time() - started


@pytest.mark.parametrize("name", PARSERS)
def test_work_is_in_proportion_to_length(name: str, assert_linear: Callable[..., None]) -> None:
    parse = PARSERS[name]
    for piece in PIECES:
        if seconds(parse, piece * (20_000 // len(piece))) < QUICK:
            continue
        # It took long, or the machine was busy: compare two lengths, as often as need be.
        texts = {size: piece * (size // len(piece)) for size in (2_500, 20_000)}
        assert_linear(lambda size, texts=texts: parse(texts[size]), 2_500)
