"""Request heads: what is taken, and what is refused with which status (RFC 9112 sections 2 to 5)."""

from collections.abc import Callable

import pytest

from antiphon.core.errors import BadHttpMessage, LineTooLong, TooManyFields
from antiphon.core.http import RawRequestMessage
from antiphon.core.http1 import HttpRequestParser, NeedData
from antiphon.core.limits import HttpLimits

H = b"Host: a\r\n"


def head(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def fields(*lines: bytes) -> bytes:
    return head(b"GET / HTTP/1.1", b"Host: a", *lines)


@pytest.mark.parametrize(
    ("line", "method", "target", "version"),
    [
        pytest.param(b"GET / HTTP/1.1", "GET", "/", (1, 1), id="origin-form"),
        pytest.param(b"GET /a/b?c=d&e HTTP/1.1", "GET", "/a/b?c=d&e", (1, 1), id="query"),
        pytest.param(b"GET //a HTTP/1.1", "GET", "//a", (1, 1), id="double slash stays"),
        pytest.param(b"GET /%41 HTTP/1.1", "GET", "/%41", (1, 1), id="percent stays"),
        pytest.param(
            b'GET /?q={|}^`"<>\\ HTTP/1.1', "GET", '/?q={|}^`"<>\\', (1, 1), id="browsers"
        ),
        pytest.param(b"get / HTTP/1.1", "get", "/", (1, 1), id="method keeps its case"),
        pytest.param(b"M-SEARCH / HTTP/1.1", "M-SEARCH", "/", (1, 1), id="unknown method"),
        pytest.param(b"!#$%&'*+-.^_`|~09 / HTTP/1.1", "!#$%&'*+-.^_`|~09", "/", (1, 1), id="tchar"),
        pytest.param(b"OPTIONS * HTTP/1.1", "OPTIONS", "*", (1, 1), id="asterisk-form"),
        pytest.param(b"CONNECT a:443 HTTP/1.1", "CONNECT", "a:443", (1, 1), id="authority-form"),
        pytest.param(b"CONNECT [::1]:443 HTTP/1.1", "CONNECT", "[::1]:443", (1, 1), id="IPv6"),
        pytest.param(
            b"GET http://a/b?c HTTP/1.1", "GET", "http://a/b?c", (1, 1), id="absolute-form"
        ),
        pytest.param(
            b"GET HTTPS://a:1 HTTP/1.1", "GET", "HTTPS://a:1", (1, 1), id="absolute, no path"
        ),
        pytest.param(
            b"OPTIONS http://a HTTP/1.1", "OPTIONS", "http://a", (1, 1), id="absolute OPTIONS"
        ),
        pytest.param(b"GET / HTTP/1.0", "GET", "/", (1, 0), id="HTTP/1.0"),
        pytest.param(b"GET / HTTP/1.7", "GET", "/", (1, 7), id="a later minor version"),
    ],
)
def test_request_line_is_taken(
    line: bytes,
    method: str,
    target: str,
    version: object,
    requests: Callable[..., list[tuple[object, ...]]],
) -> None:
    outcome = requests(head(line, b"Host: a"))
    assert outcome[0][:4] == ("request", method, target, version)
    assert outcome[1:] == [("closed",)]


@pytest.mark.parametrize(
    ("wire", "error", "status"),
    [
        pytest.param(head(b"GET /", b"Host: a"), "BadHttpMethod", 400, id="HTTP/0.9"),
        pytest.param(head(b"GET  / HTTP/1.1", b"Host: a"), "BadHttpMethod", 400, id="two spaces"),
        pytest.param(head(b"GET\t/ HTTP/1.1", b"Host: a"), "BadHttpMethod", 400, id="tab"),
        pytest.param(head(b" GET / HTTP/1.1", b"Host: a"), "BadHttpMethod", 400, id="space before"),
        pytest.param(head(b"GET / HTTP/1.1 ", b"Host: a"), "BadHttpMethod", 400, id="space after"),
        pytest.param(
            head(b"GET / http/1.1", b"Host: a"), "BadHttpMethod", 400, id="lower-case HTTP"
        ),
        pytest.param(
            head(b"GET / HTTP/1", b"Host: a"), "BadHttpMethod", 400, id="no minor version"
        ),
        pytest.param(head(b"GET / HTTP/11.1", b"Host: a"), "BadHttpMethod", 400, id="two digits"),
        pytest.param(head(b"GET / HTTP/1.10", b"Host: a"), "BadHttpMethod", 400, id="minor 10"),
        pytest.param(
            "GET / HTTP/1.\u0661\r\nHost: a\r\n\r\n".encode(),
            "BadHttpMethod",
            400,
            id="CVE-2025-69224 non-ASCII digit in the version",
        ),
        pytest.param(head(b"G@T / HTTP/1.1", b"Host: a"), "BadHttpMethod", 400, id="no tchar"),
        pytest.param(
            head(b"G\x00T / HTTP/1.1", b"Host: a"), "BadHttpMethod", 400, id="NUL in method"
        ),
        pytest.param(
            head(b"GET /\x00 HTTP/1.1", b"Host: a"), "BadHttpMethod", 400, id="NUL in target"
        ),
        pytest.param(
            head(b"GET /\x7f HTTP/1.1", b"Host: a"), "BadHttpMethod", 400, id="DEL in target"
        ),
        pytest.param(
            head(b"GET /a b HTTP/1.1", b"Host: a"), "BadHttpMethod", 400, id="space in target"
        ),
        pytest.param(
            head("GET /ä HTTP/1.1".encode(), b"Host: a"),
            "InvalidURLError",
            400,
            id="target is not ASCII",
        ),
        pytest.param(head(b"GET /#f HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="fragment"),
        pytest.param(
            head(b"GET a HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="relative target"
        ),
        pytest.param(
            head(b"GET * HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="asterisk, GET"
        ),
        pytest.param(
            head(b"GET a:80 HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="authority, GET"
        ),
        pytest.param(
            head(b"CONNECT / HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="CONNECT path"
        ),
        pytest.param(
            head(b"CONNECT a HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="CONNECT no port"
        ),
        pytest.param(
            head(b"CONNECT a: HTTP/1.1", b"Host: a"),
            "InvalidURLError",
            400,
            id="CONNECT empty port",
        ),
        pytest.param(
            head(b"CONNECT :1 HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="CONNECT no host"
        ),
        pytest.param(
            head(b"CONNECT a:65536 HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="CONNECT port"
        ),
        pytest.param(
            head(b"CONNECT u@a:1 HTTP/1.1", b"Host: a"),
            "InvalidURLError",
            400,
            id="CONNECT userinfo",
        ),
        pytest.param(
            head(b"GET http:///a HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="no authority"
        ),
        pytest.param(
            head(b"GET http:/a HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="one slash"
        ),
        pytest.param(
            head(b"GET http://u@a/ HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="userinfo"
        ),
        pytest.param(
            head(b"GET http://a:x/ HTTP/1.1", b"Host: a"),
            "InvalidURLError",
            400,
            id="absolute port",
        ),
        pytest.param(
            head(b"GET ftp://a/ HTTP/1.1", b"Host: a"), "InvalidURLError", 400, id="other scheme"
        ),
        pytest.param(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "UnsupportedVersion", 505, id="HTTP/2 preface"
        ),
        pytest.param(
            head(b"GET / HTTP/0.9", b"Host: a"), "UnsupportedVersion", 505, id="HTTP/0.9 named"
        ),
        pytest.param(head(b"GET / HTTP/3.0"), "UnsupportedVersion", 505, id="HTTP/3"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", "BadHttpMethod", 400, id="TLS to a plain port"),
        pytest.param(
            b"GET / HTTP/1.1\nHost: a\n\n", "BadHttpMethod", 400, id="bare LF ends the request line"
        ),
        pytest.param(b"\n" + fields(), "BadHttpMethod", 400, id="bare LF before the request line"),
        pytest.param(
            b"\rGET / HTTP/1.1\r\n" + H + b"\r\n", "BadHttpMethod", 400, id="bare CR first"
        ),
        pytest.param(b"GET / HTTP/1.1\r\r\n" + H + b"\r\n", "BadHttpMethod", 400, id="CR CR LF"),
    ],
)
def test_request_line_is_refused(
    wire: bytes, error: str, status: int, requests: Callable[..., list[tuple[object, ...]]]
) -> None:
    assert requests(wire) == [("error", error, status)]


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "InvalidHeader", id="bare LF ends a field"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nX: b\n\n", "InvalidHeader", id="bare LF ends the head"
        ),
        pytest.param(fields(b"X: a\rb"), "InvalidHeader", id="CVE-2023-37276 bare CR in a value"),
        pytest.param(fields(b"X: a\r"), "InvalidHeader", id="CR CR LF ends a field"),
        pytest.param(fields(b"X: a\x00b"), "InvalidHeader", id="NUL in a value"),
        pytest.param(fields(b"X: a\x01b"), "InvalidHeader", id="control character in a value"),
        pytest.param(fields(b"X: a\x7fb"), "InvalidHeader", id="DEL in a value"),
        pytest.param(fields(b"X: a", b" b"), "InvalidHeader", id="CVE-2022-32215 obs-fold, space"),
        pytest.param(fields(b"X: a", b"\tb"), "InvalidHeader", id="obs-fold, tab"),
        pytest.param(fields(b" X: a"), "InvalidHeader", id="space before the first name"),
        pytest.param(fields(b"X : a"), "InvalidHeader", id="CVE-2024-27982 space before the colon"),
        pytest.param(fields(b"X\t: a"), "InvalidHeader", id="tab before the colon"),
        pytest.param(fields(b": a"), "InvalidHeader", id="empty name"),
        pytest.param(fields(b"X"), "InvalidHeader", id="no colon"),
        pytest.param(fields(b"X Y"), "InvalidHeader", id="no colon, space"),
        pytest.param(fields(b"X(y): a"), "InvalidHeader", id="delimiter in a name"),
        pytest.param(fields("Ä: a".encode()), "InvalidHeader", id="name is not ASCII"),
        pytest.param(fields(b"X\x00: a"), "InvalidHeader", id="NUL in a name"),
        pytest.param(fields(b'"X": a'), "InvalidHeader", id="quoted name"),
        pytest.param(head(b"GET / HTTP/1.1"), "InvalidHeader", id="Host missing in 1.1"),
        pytest.param(
            head(b"GET / HTTP/1.1", b"Accept: a"), "InvalidHeader", id="Host missing, others"
        ),
        pytest.param(fields(b"Host: a"), "InvalidHeader", id="CVE-2026-34525 two equal Hosts"),
        pytest.param(fields(b"hOST: b"), "InvalidHeader", id="CVE-2026-34525 two Hosts"),
        pytest.param(
            head(b"GET / HTTP/1.0", b"Host: a", b"Host: b"), "InvalidHeader", id="two Hosts in 1.0"
        ),
        *[
            pytest.param(
                head(b"GET / HTTP/1.1", b"Host: " + value), "InvalidHeader", id=f"Host {value!r}"
            )
            for value in (
                *(
                    b"a b",
                    b"a/b",
                    b"a?b",
                    b"a#b",
                    b"u@a",
                    b"a:x",
                    b"a:99999",
                    b"a:80:80",
                    b"[::1",
                    b"::1",
                ),
                *(
                    b"[::1]x",
                    b"a,b",
                    b"a\\b",
                    b"<a>",
                    b'"a"',
                    b"a%",
                    b"a%4",
                    b"\xe4",
                    b"[fe80::1%25a]",
                ),
                *(b"a:-1", b"a:+1", b"a: 80", b"a:\xd9\xa1"),
            )
        ],
        pytest.param(
            fields(b"Content-Length: 1", b"Content-Length: 1"), "InvalidHeader", id="CL twice"
        ),
        *[
            pytest.param(
                fields(b"Content-Length: " + value), "InvalidHeader", id=f"Content-Length {value!r}"
            )
            for value in (
                *(b"", b"+1", b"-1", b"1 1", b"1,1", b"5, 5", b"0x5", b"1_0", b"1.0", b"1e1", b"a"),
                *(b"\xd9\xa1", b"\xb2", b"1;", b"12345678901234567890"),
            )
        ],
        pytest.param(
            fields(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
            "BadHttpMessage",
            id="CVE-2023-47641 TE with CL",
        ),
        pytest.param(
            fields(b"Transfer-Encoding: chunked", b"Content-Length: 0"),
            "BadHttpMessage",
            id="TE with CL 0",
        ),
        pytest.param(
            head(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked"),
            "BadHttpMessage",
            id="TE in HTTP/1.0",
        ),
        *[
            pytest.param(
                fields(b"Transfer-Encoding: " + value), "BadHttpMessage", id=f"TE {value!r}"
            )
            for value in (
                *(
                    b"",
                    b",chunked",
                    b"chunked,",
                    b"chunked, chunked",
                    b"chunked, gzip",
                    b"chunked,identity",
                ),
                *(b'"chunked"', b"chun ked", b"chunked chunked"),
            )
        ],
        pytest.param(
            fields(b"Transfer-Encoding: chunked", b"transfer-encoding: chunked"),
            "BadHttpMessage",
            id="CVE-2022-32213 two TE fields",
        ),
        pytest.param(
            fields(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
            "BadHttpMessage",
            id="CVE-2024-1135 identity after chunked",
        ),
        pytest.param(
            head(b"CONNECT a:1 HTTP/1.1", b"Host: a:1", b"Content-Length: 1"),
            "BadHttpMessage",
            id="CONNECT with content",
        ),
        pytest.param(fields()[:-2], "BadHttpMethod", id="end within a head"),
        pytest.param(b"GE", "BadHttpMethod", id="end within a request line"),
    ],
)
def test_fields_are_refused(
    wire: bytes, error: str, requests: Callable[..., list[tuple[object, ...]]]
) -> None:
    assert requests(wire) == [("error", error, 400)]


@pytest.mark.parametrize(
    "value",
    [b"gzip", b"gzip, chunked", b"identity", b"foo", b"xchunked", b"chunked;q=1", b"chunkedd"],
)
def test_unknown_transfer_codings_are_not_implemented(
    value: bytes, requests: Callable[..., list[tuple[object, ...]]]
) -> None:
    wire = fields(b"Transfer-Encoding: " + value)
    assert requests(wire) == [("error", "UnknownTransferCoding", 501)]


@pytest.mark.parametrize(
    "values",
    [
        [b"200-ok"],
        [b""],
        [b"100-continue, x"],
        [b"100-continue", b"100-continue"],
        [b"\xe4"],
        [b"100"],
    ],
    ids=repr,
)
def test_other_expectations_fail(
    values: list[bytes], requests: Callable[..., list[tuple[object, ...]]]
) -> None:
    wire = fields(*[b"Expect: " + value for value in values])
    assert requests(wire) == [("error", "ExpectationFailed", 417)]


FACTS = ("framing", "should_close", "upgrade", "expect_continue", "compression")


def facts(head: tuple[object, ...]) -> dict[str, object]:
    """What differs from a plain GET over HTTP/1.1."""
    plain = ("EMPTY", False, False, False, None)
    return {k: v for k, v, p in zip(FACTS, head[5:], plain, strict=True) if v != p}


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(fields(), {}, id="nothing"),
        pytest.param(fields(b"Content-Length: 0"), {}, id="length 0 is no content"),
        pytest.param(fields(b"Connection: close"), {"should_close": True}, id="close"),
        pytest.param(fields(b"Connection: CLOSE"), {"should_close": True}, id="close in capitals"),
        pytest.param(
            fields(b"Connection: foo, close"), {"should_close": True}, id="close in a list"
        ),
        pytest.param(
            fields(b"Connection: keep-alive", b"Connection: close"),
            {"should_close": True},
            id="close wins",
        ),
        pytest.param(fields(b"Connection: keep-alive"), {}, id="keep-alive"),
        pytest.param(fields(b"Connection: closed"), {}, id="another option"),
        pytest.param(fields(b"X-Connection: close"), {}, id="another field"),
        pytest.param(head(b"GET / HTTP/1.0"), {"should_close": True}, id="1.0 closes"),
        pytest.param(head(b"GET / HTTP/1.0", b"Connection: keep-alive"), {}, id="1.0 keep-alive"),
        pytest.param(
            head(b"GET / HTTP/1.0", b"Connection: close, keep-alive"),
            {"should_close": True},
            id="1.0 both",
        ),
        pytest.param(
            head(b"GET / HTTP/1.0", b"Host: a"), {"should_close": True}, id="1.0 Host alone"
        ),
        pytest.param(head(b"GET / HTTP/1.2", b"Host: a"), {}, id="1.2 is kept like 1.1"),
        pytest.param(
            fields(b"Connection: Upgrade", b"Upgrade: websocket"), {"upgrade": True}, id="upgrade"
        ),
        pytest.param(
            fields(b"Connection: keep-alive, upgrade", b"Upgrade: x"),
            {"upgrade": True},
            id="upgrade in a list",
        ),
        pytest.param(fields(b"Upgrade: websocket"), {}, id="Upgrade without the option"),
        pytest.param(fields(b"Connection: upgrade"), {}, id="option without Upgrade"),
        pytest.param(
            head(b"GET / HTTP/1.0", b"Connection: upgrade, keep-alive", b"Upgrade: x"),
            {},
            id="no upgrade in 1.0",
        ),
        pytest.param(fields(b"Expect: 100-continue"), {}, id="nothing to wait for"),
        pytest.param(fields(b"Content-Encoding: GZip"), {"compression": "gzip"}, id="coding"),
        pytest.param(
            fields(b"Content-Encoding: a", b"Content-Encoding: b"),
            {"compression": "a, b"},
            id="two codings",
        ),
        pytest.param(fields(b"Content-Encoding:"), {}, id="empty coding"),
        pytest.param(head(b"GET / HTTP/1.1", b"Host:"), {}, id="empty Host"),
        *[
            pytest.param(head(b"GET / HTTP/1.1", b"Host: " + value), {}, id=f"Host {value!r}")
            for value in (
                b"a.b:80",
                b"[::1]:80",
                b"[::1]",
                b"127.0.0.1",
                b"a_b",
                b"a%41",
                b"a:",
                b"\t a \t",
            )
        ],
    ],
)
def test_facts_of_a_head(
    wire: bytes, expected: object, requests: Callable[..., list[tuple[object, ...]]]
) -> None:
    outcome = requests(wire)
    assert facts(outcome[0]) == expected
    assert outcome[1:] == [("closed",)]


def test_expectation_in_http_1_0_is_ignored(
    requests: Callable[..., list[tuple[object, ...]]],
) -> None:
    wire = head(b"POST / HTTP/1.0", b"Expect: x", b"Content-Length: 1") + b"a"
    assert facts(requests(wire)[0]) == {"framing": 1, "should_close": True}


def test_expectation_with_content(requests: Callable[..., list[tuple[object, ...]]]) -> None:
    wire = fields(b"Expect: 100-Continue", b"Content-Length: 1") + b"a"
    assert facts(requests(wire)[0]) == {"framing": 1, "expect_continue": True}


def test_fields_as_they_came() -> None:
    parser = HttpRequestParser()
    parser.feed_data(fields(b"A:b", b"c: \t d e\t ", b"a: \xe4\xff", b"E:", "F: ä".encode()))
    message = parser.next_event()
    assert isinstance(message, RawRequestMessage)
    assert message.raw_headers == (
        *((b"Host", b"a"), (b"A", b"b"), (b"c", b"d e"), (b"a", b"\xe4\xff"), (b"E", b"")),
        (b"F", "ä".encode()),
    )
    assert message.headers.getall("A") == ["b", "\udce4\udcff"]
    assert message.headers["f"] == "ä"
    assert message.headers is message.headers


@pytest.mark.parametrize("count", range(5))
def test_empty_lines_before_a_request_line_are_skipped(
    count: int, requests: Callable[..., list[tuple[object, ...]]]
) -> None:
    outcome = requests(b"\r\n" * count + fields() + b"\r\n" * count + fields())
    assert [event[0] for event in outcome] == ["request", "request", "closed"]


def test_too_many_empty_lines_are_refused(
    requests: Callable[..., list[tuple[object, ...]]],
) -> None:
    assert requests(b"\r\n" * 5 + fields()) == [("error", "BadHttpMethod", 400)]


def test_empty_lines_begin_no_head() -> None:
    parser = HttpRequestParser()
    for piece, expected in ((b"\r", False), (b"\n", False), (b"\r\n", False), (b"G", True)):
        parser.feed_data(piece)
        parser.next_event()
        assert parser.partial_head is expected
    parser.feed_data(fields()[1:])
    parser.next_event()
    assert not parser.partial_head


def test_a_head_like_the_last_one_is_judged_by_its_own_request_line() -> None:
    """The section is remembered, the version and the target are not."""
    parser = HttpRequestParser()
    parser.feed_data(fields() + head(b"GET /b HTTP/1.0", b"Host: a") + fields())
    heads = [parser.next_event() for _ in range(3)]
    assert [(h.path, h.should_close) for h in heads if isinstance(h, RawRequestMessage)] == [
        ("/", False),
        ("/b", True),
        ("/", False),
    ]


def test_a_remembered_section_does_not_excuse_the_next_target(
    requests: Callable[..., list[tuple[object, ...]]],
) -> None:
    section = (b"Host: a", b"Content-Length: 0")
    wire = head(b"GET / HTTP/1.1", *section) + head(b"GET * HTTP/1.1", *section)
    assert requests(wire)[1:] == [("error", "InvalidURLError", 400)]


LIMITS = HttpLimits(max_line_size=30, max_field_size=20, max_headers=3, max_head_size=90)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(
            head(b"GET /" + b"a" * 16 + b" HTTP/1.1", b"Host: a"), None, id="line of 30 bytes"
        ),
        pytest.param(
            head(b"GET /" + b"a" * 17 + b" HTTP/1.1", b"Host: a"),
            ("LineTooLong", 414),
            id="line of 31 bytes",
        ),
        pytest.param(fields(b"X: " + b"a" * 17), None, id="field of 20 bytes"),
        pytest.param(fields(b"X: " + b"a" * 18), ("LineTooLong", 431), id="field of 21 bytes"),
        pytest.param(fields(b"A: b", b"B: c"), None, id="three fields"),
        pytest.param(fields(b"A: b", b"B: c", b"C: d"), ("TooManyFields", 431), id="four fields"),
        pytest.param(
            head(
                b"GET / HTTP/1.1",
                b"Host: a",
                b"X: " + b"a" * 17,
                b"Y: " + b"a" * 17,
                b"Z: abcdefghijkl",
            ),
            ("TooManyFields", 431),
            id="count before size",
        ),
        pytest.param(
            head(
                b"GET /" + b"a" * 16 + b" HTTP/1.1",
                b"Host: aaaaa",
                b"X: " + b"a" * 17,
                b"Y: " + b"a" * 17,
            ),
            ("LineTooLong", 431),
            id="head of 91 bytes",
        ),
        pytest.param(
            head(
                b"GET /" + b"a" * 16 + b" HTTP/1.1",
                b"Host: aaaa",
                b"X: " + b"a" * 17,
                b"Y: " + b"a" * 17,
            ),
            None,
            id="head of 90 bytes",
        ),
    ],
)
def test_limits_of_a_head(
    wire: bytes, expected: object, requests: Callable[..., list[tuple[object, ...]]]
) -> None:
    first = requests(wire, LIMITS)[0]
    assert (first[1:] if first[0] == "error" else None) == expected


@pytest.mark.parametrize(
    "beginning", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"]
)
def test_cve_2026_54277_a_line_in_pieces_is_limited_too(beginning: bytes) -> None:
    parser = HttpRequestParser(LIMITS)
    parser.feed_data(beginning)

    def feed_for_ever() -> None:
        for _ in range(100):
            parser.feed_data(b"a")
            parser.next_event()

    with pytest.raises(LineTooLong):
        feed_for_ever()
    assert parser.buffered == 0


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"\r\n", id="an empty line"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no field"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n\r\n\r\n", id="no field, and empty lines behind"),
        pytest.param(b"GET / HTTP/1.1\r\nX: y\r\n\r\n", id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", id="two Hosts"),
        pytest.param(b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", id="CONNECT to a path"),
        pytest.param(b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", id="a target of no form"),
    ],
)
@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"", id="first"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", id="after one without fields"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", id="after a usual one"),
        pytest.param(b"GET /b HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", id="after one that ends alike"),
    ],
)
def test_what_is_remembered_of_a_head_makes_no_other_valid(before: bytes, wire: bytes) -> None:
    parser = HttpRequestParser()
    parser.feed_data(before)
    while isinstance(parser.next_event(), RawRequestMessage):
        pass
    assert parser.take_head(wire) is None
    parser.feed_data(wire)
    parser.feed_eof()
    outcome: object
    try:
        outcome = parser.next_event()
    except BadHttpMessage as exc:
        outcome = exc.status
    assert outcome == (400 if len(wire) > 2 else NeedData.CLOSED)


def test_a_head_that_repeats_itself_is_found_among_others() -> None:
    first = b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
    other = b"GET /bc HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"
    third = b"GET /a HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n"
    parser = HttpRequestParser()
    parser.feed_data(first + first + other + third + other + first)
    seen = []
    while isinstance(event := parser.next_event(), RawRequestMessage):
        seen.append((event.path, event.headers["Host"], len(event.raw_headers)))
    assert seen == [
        *(("/a", "a", 2), ("/a", "a", 2), ("/bc", "a", 2), ("/a", "b", 2)),
        *(("/bc", "a", 2), ("/a", "a", 2)),
    ]


@pytest.mark.parametrize("count", [62, 63, 64, 65, 126, 127, 128, 129])
@pytest.mark.parametrize("behind", [0, 1, 63, 64, 65])
def test_the_number_of_fields_is_limited_wherever_host_stands(count: int, behind: int) -> None:
    if behind >= count:
        behind = count - 1
    lines = [b"X: y"] * (count - 1 - behind) + [b"Host: a"] + [b"X: y"] * behind
    parser = HttpRequestParser()
    parser.feed_data(head(b"GET / HTTP/1.1", *lines))
    if count <= 128:
        event = parser.next_event()
        assert isinstance(event, RawRequestMessage)
        assert len(event.raw_headers) == count
    else:
        with pytest.raises(TooManyFields):
            parser.next_event()
