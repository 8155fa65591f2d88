"""Published attacks on parsers of other HTTP stacks, each under the id it was published with.

Most ids are beside the rule that stops them, in the tests of that rule. Here is what belongs to
no single rule, or to several.
"""

import gzip
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from antiphon.core import BodyPartReader, MultipartReader, StreamReader
from antiphon.core.coding import decoder
from antiphon.core.errors import HttpProcessingError
from antiphon.core.fields.cookies import parse_cookie_header
from antiphon.core.http1 import HttpRequestParser, HttpResponseParser, NeedData
from antiphon.core.limits import HttpLimits, MultipartLimits
from antiphon.core.multipart import END, NEED_DATA, BadMultipart, MultipartScanner

HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
NEXT = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"


def requests(wire: bytes, limits: HttpLimits | None = None) -> list[object]:
    """Targets of the requests that *wire* is taken for, and the status it is refused with."""
    parser = HttpRequestParser(limits or HttpLimits())
    parser.feed_data(wire)
    parser.feed_eof()
    seen: list[object] = []
    try:
        while not isinstance(event := parser.next_event(), NeedData):
            if path := getattr(event, "path", None):
                seen.append(path)
    except HttpProcessingError as exc:
        seen.append(exc.status)
    return seen


# --- where a message ends ---------------------------------------------------------------------

# Each hides a second request from one reading, or shows one that another reading does not see.
_SMUGGLED = {
    "GHSA-pjjw-qhg8-p2p9 CR alone ends a field": GET + b"X: y\rContent-Length: 30\r\n\r\n" + NEXT,
    "GHSA-pjjw-qhg8-p2p9 LF alone ends the head": GET + b"X: y\n\n" + NEXT,
    "GHSA-pjjw-qhg8-p2p9 space behind chunked": POST
    + b"Transfer-Encoding: chunked \x0b\r\n\r\n0\r\n\r\n"
    + NEXT,
    "CVE-2023-47627 sign in a length": POST + b"Content-Length: +0\r\n\r\n" + NEXT,
    "CVE-2023-47627 underscore in a length": POST + b"Content-Length: 0_0\r\n\r\n" + NEXT,
    "CVE-2023-47627 separator in a name": POST + b"Content-Length[: 0\r\n\r\n" + NEXT,
    "CVE-2023-47627 control character in a name": POST + b"Content-\x0cLength: 0\r\n\r\n" + NEXT,
    "CVE-2024-23829 white space in the version": b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n" + NEXT,
    "CVE-2024-23829 two digits in the version": b"GET / HTTP/1.11\r\n" + HOST + b"\r\n" + NEXT,
    "CVE-2024-23829 separator in the method": b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n" + NEXT,
    "CVE-2022-32214 LF alone between fields": GET + b"X: y\nContent-Length: 0\r\n\r\n" + NEXT,
    "CVE-2022-32215 Transfer-Encoding on two lines": POST
    + b"Transfer-Encoding: chunked\r\n , identity\r\n\r\n0\r\n\r\n"
    + NEXT,
    "CVE-2023-30589 CR alone between fields": GET + b"X: y\rTransfer-Encoding: a\r\n\r\n" + NEXT,
    "CVE-2022-1705 Transfer-Encoding that is none": POST
    + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"
    + NEXT,
    "CVE-2019-16785 LF alone ends the request line": b"GET / HTTP/1.1\n" + HOST + b"\r\n" + NEXT,
    "CVE-2019-16786 a coding before chunked": POST
    + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
    + NEXT,
    "CVE-2019-16789 white space before chunked": POST
    + b"Content-Length: 5\r\nTransfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n"
    + NEXT,
    "CVE-2022-24761 two lengths": POST + b"Content-Length: 0\r\nContent-Length: 31\r\n\r\n" + NEXT,
    "CVE-2022-24761 a list of lengths": POST + b"Content-Length: 0, 31\r\n\r\n" + NEXT,
    "CVE-2022-24761 0x in a chunk size": POST
    + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n"
    + NEXT,
    "CVE-2024-6827 coding in doubt": POST + b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n" + NEXT,
}


@pytest.mark.parametrize("wire", [pytest.param(wire, id=id) for id, wire in _SMUGGLED.items()])
def test_what_two_parsers_may_read_differently_is_refused_with_all_that_follows(
    wire: bytes,
) -> None:
    seen = requests(wire)
    assert "/admin" not in seen
    assert seen[-1] in {400, 501}
    assert all(requests(wire[:at]) != ["/", "/admin"] for at in range(len(wire)))


# --- work and memory --------------------------------------------------------------------------

_SLOW_HEADS: dict[str, Callable[[int], bytes]] = {
    "CVE-2023-24807 white space in a value": lambda n: GET + b"X:" + b" \t" * n + b"\x00",
    "CVE-2023-24807 white space between words": lambda n: GET + b"X: " + b"a " * n + b"\x00",
    "CVE-2018-12121 one large field": lambda n: GET + b"X: " + b"a" * n,
    "CVE-2018-12121 very many fields": lambda n: GET + b"X: a\r\n" * n,
    "CVE-2021-33503 at-signs in a target": lambda n: (
        b"GET http://" + b"@" * n + b" HTTP/1.1\r\n" + HOST
    ),
    "CVE-2020-7212 percent signs in a target": lambda n: (
        b"GET http://a" + b"%" * n + b" HTTP/1.1\r\n" + HOST
    ),
    "CVE-2020-7212 percent signs in Host": lambda n: (
        b"GET / HTTP/1.1\r\nHost: " + b"%41" * n + b"%\r\n"
    ),
    "colons in Host": lambda n: b"GET / HTTP/1.1\r\nHost: " + b"a:" * n + b"\r\n",
    "commas in Connection": lambda n: GET + b"Connection: " + b"," * n + b"\r\n",
    "commas in Transfer-Encoding": lambda n: POST + b"Transfer-Encoding: " + b"," * n + b"\r\n",
    "digits of a length": lambda n: POST + b"Content-Length: " + b"0" * n + b"\r\n",
}


@pytest.mark.parametrize("make", [pytest.param(make, id=id) for id, make in _SLOW_HEADS.items()])
def test_no_head_takes_more_time_than_its_length_allows(
    make: Callable[[int], bytes], assert_linear: Callable[..., None]
) -> None:
    limits = HttpLimits(
        max_line_size=10**6, max_field_size=10**6, max_head_size=10**6, max_headers=10**6
    )
    wires = {size: make(size) + b"\r\n\r\n" for size in (2000, 16000)}
    assert_linear(lambda size: requests(wires[size], limits), 2000)


def _endless_parts() -> Iterator[bytes]:
    while True:
        yield b"--b\r\n" + b"A: " + b"x" * 60 + b"\r\n\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(_endless_parts, id="CVE-2023-24536 very many small parts"),
        pytest.param(
            lambda: iter([b"--b\r\n", *[b"A: b\r\n"] * 10**5]), id="CVE-2023-24536 part headers"
        ),
        pytest.param(
            lambda: iter([b"--b\r\nA: ", *[b"x" * 100] * 10**5]),
            id="CVE-2022-41725 one part header without end",
        ),
    ],
)
def test_parts_without_end_are_refused_before_they_cost_memory(
    pieces: Callable[[], Iterator[bytes]],
) -> None:
    limits = MultipartLimits(max_fields=50, max_files=5)
    scanner = MultipartScanner(b"b", limits)
    most = fed = 0
    with pytest.raises(BadMultipart):
        for piece in pieces():
            scanner.receive_data(piece)
            fed += len(piece)
            assert fed < 100_000
            while (event := scanner.next_event()) is not NEED_DATA and event is not END:
                pass
            most = max(most, scanner.buffered)
    assert most <= limits.max_part_header_size + 300


class _NoPressure:
    def pause_reading(self) -> None:
        """There is nothing to pause."""

    def resume_reading(self) -> None:
        """There is nothing to resume."""


async def _only_part(wire: bytes, limit: int) -> BodyPartReader:
    stream = StreamReader(_NoPressure(), 2**16)
    stream.feed_data(wire)
    stream.feed_eof()
    reader = MultipartReader(
        {"Content-Type": "multipart/mixed; boundary=b"}, stream, client_max_size=limit
    )
    part = await reader.next()
    assert isinstance(part, BodyPartReader)
    return part


@pytest.mark.parametrize("method", ["read", "text", "json", "form"])
async def test_cve_2024_47874_a_text_field_has_a_limit(method: str) -> None:
    wire = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"1" * 1001 + b"\r\n--b--"
    part = await _only_part(wire, 1000)
    with pytest.raises(ValueError, match="1000"):
        await getattr(part, method)()


async def test_cve_2026_49855_a_limit_counts_what_was_inflated() -> None:
    packed = gzip.compress(b"1" * 1001)
    assert len(packed) < 100
    part = await _only_part(
        b"--b\r\nContent-Encoding: gzip\r\n\r\n" + packed + b"\r\n--b--", limit=1000
    )
    with pytest.raises(ValueError, match="1000"):
        await part.text()
    coder = decoder("gzip")
    assert len(coder.decompress(packed, 100)) <= 100


# --- what is said about it --------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    ["a b=c; " * 1000, "=;" * 5000, "\x00=\x7f; " * 1000, '"; "' * 2000, "a=\x01b;" * 1000],
    ids=["names", "nothing", "controls", "quotes", "values"],
)
def test_cve_2025_69230_a_bad_cookie_field_does_not_fill_the_log(
    header: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        parse_cookie_header(header)
    assert len(caplog.records) <= 1


_REFUSED = [
    b"GET /\xff\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x" * 300 + b"\x00\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"g" * 300 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: " + b"\x80" * 300 + b"\r\n\r\n",
]


@pytest.mark.parametrize("kind", [HttpRequestParser, HttpResponseParser])
@pytest.mark.parametrize("wire", _REFUSED, ids=["target", "field", "TLS", "chunk", "response"])
def test_cve_2026_69244_an_error_quotes_little_and_only_what_came(
    wire: bytes, kind: type[HttpRequestParser] | type[HttpResponseParser]
) -> None:
    refused = 0
    for at in range(len(wire) + 1):
        parser = kind()
        parser.feed_data(wire[:at])
        parser.feed_eof()
        try:
            while not isinstance(parser.next_event(), NeedData):
                pass
        except HttpProcessingError as exc:
            refused += 1
            text = str(exc)
            assert len(text) < 600
            assert text.isascii()
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert refused


@pytest.mark.subprocess
def test_cve_2025_69227_no_loop_depends_on_an_assertion() -> None:
    """Asserts that ended a loop are gone with ``python -O``: bodies that end too early still end."""
    script = """
import sys
from antiphon.core.http1 import HttpRequestParser, NeedData
from antiphon.core.errors import HttpProcessingError
from antiphon.core.multipart import BadMultipart, END, NEED_DATA, MultipartScanner

form = b'--b\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\nx\\r\\n--b--\\r\\n'
post = b"POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n1\\r\\na\\r\\n0\\r\\n\\r\\n"
for at in range(len(form)):
    scanner = MultipartScanner(b"b")
    scanner.receive_data(form[:at])
    scanner.receive_eof()
    try:
        for _ in range(100):
            if scanner.next_event() is END:
                break
        else:
            sys.exit(f"no end of a form of {at} bytes")
    except BadMultipart:
        pass
for at in range(len(post)):
    parser = HttpRequestParser()
    parser.feed_data(post[:at])
    parser.feed_eof()
    try:
        for _ in range(100):
            if isinstance(parser.next_event(), NeedData):
                break
        else:
            sys.exit(f"no end of a request of {at} bytes")
    except HttpProcessingError:
        pass
assert False, "assertions are off here"
print("ended")
"""
    done = subprocess.run(
        [sys.executable, "-O", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
