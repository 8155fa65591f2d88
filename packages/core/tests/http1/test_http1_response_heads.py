"""Response heads and how their content ends (RFC 9112 sections 4 and 6.3)."""

from collections.abc import Callable

import pytest

from antiphon.core.limits import HttpLimits

Responses = Callable[..., list[tuple[object, ...]]]


def head(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        pytest.param(b"HTTP/1.1 200 OK", 200, "OK", id="plain"),
        pytest.param(b"HTTP/1.1 200 ", 200, "", id="empty reason"),
        pytest.param(b"HTTP/1.1 200", 200, "", id="no space after the code"),
        pytest.param(b"HTTP/1.1 200  a\tb ", 200, " a\tb ", id="reason keeps its spaces"),
        pytest.param(b"HTTP/1.1 404 \xe4", 404, "\udce4", id="obs-text in the reason"),
        pytest.param(b"HTTP/1.1 999 x", 999, "x", id="999"),
        pytest.param(b"HTTP/1.0 200 OK", 200, "OK", id="HTTP/1.0"),
    ],
)
def test_status_line_is_taken(line: bytes, code: int, reason: str, responses: Responses) -> None:
    outcome = responses(head(line, b"Content-Length: 0"))
    assert outcome[0][:3] == ("response", code, reason)
    assert outcome[1:] == [("closed",)]


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        pytest.param(head(b"HTTP/1.1 20 OK"), "BadStatusLine", id="two digits"),
        pytest.param(head(b"HTTP/1.1 2000 OK"), "BadStatusLine", id="four digits"),
        pytest.param(head(b"HTTP/1.1 099 OK"), "BadStatusLine", id="code below 100"),
        pytest.param(
            head("HTTP/1.1 20\u0661 OK".encode()),
            "BadStatusLine",
            id="CVE-2025-69224 non-ASCII digit",
        ),
        pytest.param(head(b"HTTP/1.1  200 OK"), "BadStatusLine", id="two spaces"),
        pytest.param(head(b"HTTP/1.1 200\tOK"), "BadStatusLine", id="tab"),
        pytest.param(head(b"http/1.1 200 OK"), "BadStatusLine", id="lower case"),
        pytest.param(head(b"ICY 200 OK"), "BadStatusLine", id="Shoutcast"),
        pytest.param(b"\r\n" + head(b"HTTP/1.1 200 OK"), "BadStatusLine", id="empty line first"),
        pytest.param(head(b"HTTP/1.1 200 a\x00b"), "BadStatusLine", id="NUL in the reason"),
        pytest.param(head(b"HTTP/1.1 200 a\x1bb"), "BadStatusLine", id="escape in the reason"),
        pytest.param(b"HTTP/1.1 200 OK\n\n", "BadStatusLine", id="bare LF"),
        pytest.param(head(b"HTTP/1.1 200 a\rb"), "BadStatusLine", id="bare CR"),
        pytest.param(head(b"HTTP/2.0 200 OK"), "UnsupportedVersion", id="HTTP/2.0"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\n\n", "InvalidHeader", id="bare LF ends a field"),
        pytest.param(head(b"HTTP/1.1 200 OK", b"A: b", b" c"), "InvalidHeader", id="obs-fold"),
        pytest.param(
            head(b"HTTP/1.1 200 OK", b"A : b"), "InvalidHeader", id="space before the colon"
        ),
        pytest.param(
            head(b"HTTP/1.1 200 OK", b"A: \x00"), "InvalidHeader", id="CVE-2026-34520 NUL"
        ),
        pytest.param(
            head(b"HTTP/1.1 200 OK", b"A: \x1b"), "InvalidHeader", id="CVE-2026-34520 escape"
        ),
        pytest.param(
            head(b"HTTP/1.1 200 OK", b"Content-Length: 1", b"Content-Length: 2"),
            "InvalidHeader",
            id="two CL",
        ),
        pytest.param(
            head(b"HTTP/1.1 200 OK", b"Content-Length: 1, 1"), "InvalidHeader", id="CL list"
        ),
        pytest.param(
            head(b"HTTP/1.1 200 OK", b"Content-Length: -1"), "InvalidHeader", id="negative CL"
        ),
        pytest.param(
            head(b"HTTP/1.1 200 OK", b"Content-Length: 1", b"Transfer-Encoding: chunked"),
            "BadHttpMessage",
            id="TE, CL",
        ),
        pytest.param(
            head(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked"),
            "BadHttpMessage",
            id="TE in HTTP/1.0",
        ),
        pytest.param(
            head(b"HTTP/1.1 200 OK", b"Transfer-Encoding: gzip"),
            "UnknownTransferCoding",
            id="TE gzip",
        ),
        pytest.param(
            head(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked, gzip"),
            "BadHttpMessage",
            id="chunked first",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\r\n", "BadStatusLine", id="end within a head"),
    ],
)
def test_response_is_refused(wire: bytes, error: str, responses: Responses) -> None:
    outcome = responses(wire)
    assert [event[:2] for event in outcome] == [("error", error)]


OK = b"HTTP/1.1 200 OK"
CL = b"Content-Length: 5"
TE = b"Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("method", "wire", "expected"),
    [
        pytest.param(
            "GET", head(OK, CL) + b"hello", [5, ("content", b"hello"), ("end", None)], id="length"
        ),
        pytest.param(
            "GET",
            head(OK) + b"hello",
            ["UNTIL_CLOSE", ("content", b"hello"), ("end", None)],
            id="until close",
        ),
        pytest.param("GET", head(OK), ["UNTIL_CLOSE", ("end", None)], id="until close, empty"),
        pytest.param("GET", head(OK, TE) + b"0\r\n\r\n", ["CHUNKED", ("end", None)], id="chunked"),
        pytest.param("HEAD", head(OK, CL), ["EMPTY"], id="HEAD with length"),
        pytest.param("HEAD", head(OK, TE), ["EMPTY"], id="HEAD with chunked"),
        pytest.param("HEAD", head(OK), ["EMPTY"], id="HEAD with neither"),
        pytest.param("GET", head(b"HTTP/1.1 204 No", CL), ["EMPTY"], id="204"),
        pytest.param("GET", head(b"HTTP/1.1 304 No", CL), ["EMPTY"], id="304"),
        pytest.param("GET", head(b"HTTP/1.1 103 Hints", CL), ["EMPTY"], id="1xx"),
        pytest.param("CONNECT", head(OK, CL), ["EMPTY"], id="2xx to CONNECT"),
        pytest.param(
            "CONNECT",
            head(b"HTTP/1.1 407 No", CL) + b"hello",
            [5, ("content", b"hello"), ("end", None)],
            id="refused CONNECT",
        ),
        pytest.param(
            "GET",
            head(OK, CL) + b"hel",
            [5, ("content", b"hel"), ("error", "ContentLengthError", 400)],
            id="truncated length",
        ),
        pytest.param(
            "GET", head(OK, CL), [5, ("error", "ContentLengthError", 400)], id="no content at all"
        ),
        pytest.param(
            "GET",
            head(OK, TE) + b"3\r\nabc\r\n",
            ["CHUNKED", ("content", b"abc"), ("error", "TransferEncodingError", 400)],
            id="no last chunk",
        ),
        pytest.param(
            "GET",
            head(OK, TE) + b"0\r\n",
            ["CHUNKED", ("error", "TransferEncodingError", 400)],
            id="no end of the trailer section",
        ),
    ],
)
def test_end_of_content(
    method: str, wire: bytes, expected: list[object], responses: Responses
) -> None:
    outcome = responses(wire, method=method)
    assert [outcome[0][5], *[event for event in outcome[1:] if event != ("closed",)]] == expected


@pytest.mark.parametrize(
    ("wire", "close"),
    [
        pytest.param(head(OK, CL), False, id="1.1"),
        pytest.param(head(OK, CL, b"Connection: close"), True, id="1.1 close"),
        pytest.param(head(OK), True, id="until close"),
        pytest.param(head(b"HTTP/1.0 200 OK", CL), True, id="1.0"),
        pytest.param(
            head(b"HTTP/1.0 200 OK", CL, b"Connection: Keep-Alive"), False, id="1.0 keep-alive"
        ),
    ],
)
def test_whether_the_connection_ends(wire: bytes, close: bool, responses: Responses) -> None:
    assert responses(wire)[0][6] is close


def test_limits_hold_for_responses_too(responses: Responses) -> None:
    limits = HttpLimits(max_line_size=30, max_field_size=30, max_headers=2, max_head_size=80)
    for wire, status in (
        (head(b"HTTP/1.1 200 " + b"a" * 20), 431),
        (head(OK, b"X: " + b"a" * 40), 431),
        (head(OK, b"A: b", b"B: c", b"C: d"), 431),
        (head(OK, b"A: " + b"a" * 27, b"B: " + b"a" * 27), 431),
    ):
        assert responses(wire, limits)[0][2] == status
