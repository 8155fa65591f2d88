"""A response that comes whole in one piece, and requests that repeat the last one's fields."""

import pytest
from multidict import CIMultiDict

from antiphon.core.errors import LocalProtocolError
from antiphon.core.http import RawResponseMessage, RequestHead
from antiphon.core.http1.connection import END, Http1Connection, Role, State

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


def head_for(
    headers: CIMultiDict[str], method: str = "GET", target: str = "/", **more: object
) -> RequestHead:
    return RequestHead(
        method=method,
        target=target,
        authority="example.org",
        headers=headers,
        **more,  # type: ignore[arg-type]  # fields of the head
    )


def asked(method: str = "GET", headers: CIMultiDict[str] | None = None) -> Http1Connection:
    connection = Http1Connection(Role.CLIENT)
    connection.open(head_for(headers or CIMultiDict(), method))
    return connection


@pytest.mark.parametrize(
    ("method", "data", "content"),
    [
        pytest.param("GET", _OK + b"hello", b"hello", id="content-of-a-length"),
        pytest.param("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="status-without-content"),
        pytest.param("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", id="length-0"),
        pytest.param("HEAD", _OK, b"", id="answer-to-HEAD"),
    ],
)
def test_a_whole_response_ends_the_cycle(method: str, data: bytes, content: bytes) -> None:
    connection = asked(method)
    found = connection.receive_whole(data, 100, True)
    assert found is not None
    assert found[1] == content
    assert connection.our_state is connection.their_state is State.IDLE
    assert connection.keep_alive
    assert connection.open(head_for(CIMultiDict()))


@pytest.mark.parametrize(
    ("method", "data"),
    [
        pytest.param("GET", _OK + b"hell", id="content-cut-short"),
        pytest.param("GET", _OK + b"hello!", id="surplus-byte"),
        pytest.param("GET", _OK + b"hello" + _OK + b"again", id="second-response-nobody-asked-for"),
        pytest.param("HEAD", _OK + b"hello", id="content-after-HEAD"),
        pytest.param("GET", b"HTTP/1.1 204 No Content\r\n\r\nx", id="content-after-204"),
        pytest.param("GET", _OK[:-2], id="head-cut-short"),
        pytest.param("GET", b"HTTP/1.1 100 Continue\r\n\r\n", id="informational"),
        pytest.param(
            "GET", b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", id="upgrade"
        ),
        pytest.param(
            "GET", b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", id="close"
        ),
        pytest.param("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="http-1.0"),
        pytest.param("GET", b"HTTP/1.1 200 OK\r\n\r\nhello", id="until-close"),
        pytest.param(
            "GET",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="chunked",
        ),
        pytest.param(
            "GET",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
            id="coded",
        ),
        pytest.param(
            "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101, id="big"
        ),
        pytest.param("GET", b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n", id="malformed"),
        pytest.param("GET", b"HTTP/1.1 200 OK\r\nA: " + b"a" * 3000 + b"\r\n\r\n", id="long-head"),
    ],
)
def test_whatever_is_out_of_the_ordinary_is_left_to_events(method: str, data: bytes) -> None:
    connection = asked(method)
    assert connection.receive_whole(data, 100, True) is None
    assert connection.our_state is State.DONE
    assert connection.their_state is State.SEND_RESPONSE
    assert not connection.buffered


def test_surplus_makes_the_connection_unusable() -> None:
    connection = asked()
    data = _OK + b"hello!"
    assert connection.receive_whole(data, 100, True) is None
    connection.receive_data(data)
    assert isinstance(connection.next_event(), RawResponseMessage)
    assert connection.next_event() == b"hello"
    assert connection.next_event() is END
    assert not connection.keep_alive


def test_bytes_that_nobody_asked_for_are_no_response() -> None:
    connection = Http1Connection(Role.CLIENT)
    assert connection.receive_whole(_OK + b"hello", 100, True) is None
    connection.open(head_for(CIMultiDict()), length=3)
    # Its content is still under way: the answer does not end the cycle.
    assert connection.receive_whole(_OK + b"hello", 100, True) is None


def test_after_bytes_that_wait_nothing_is_taken_past_them() -> None:
    connection = asked()
    connection.receive_data(b"HTTP/1.1 200 OK\r\n")
    assert connection.receive_whole(_OK + b"hello", 100, True) is None


def test_a_connection_that_ends_is_not_made_ready_again() -> None:
    closing = asked(headers=CIMultiDict({"Connection": "close"}))
    assert closing.receive_whole(_OK + b"hello", 100, True) is None
    ended = asked()
    ended.receive_eof()
    assert ended.receive_whole(_OK + b"hello", 100, True) is None


def exchange(connection: Http1Connection, head: RequestHead) -> bytes:
    written = connection.open(head)
    data = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert connection.receive_whole(data, 0, True) is not None
    return written


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "POST", "TRACE"])
@pytest.mark.parametrize("target", ["/", "/other?a=b"])
def test_a_repeated_request_is_written_as_a_first_one(method: str, target: str) -> None:
    headers = CIMultiDict({"Accept": "*/*", "X": "caf\xe9"})
    again = Http1Connection(Role.CLIENT)
    exchange(again, head_for(headers))
    first = Http1Connection(Role.CLIENT)
    wanted = exchange(first, head_for(headers, method, target))
    assert exchange(again, head_for(headers, method, target)) == wanted
    assert exchange(again, head_for(headers, method, target)) == wanted


def test_fields_changed_in_place_are_written_anew() -> None:
    headers = CIMultiDict({"Accept": "*/*"})
    connection = Http1Connection(Role.CLIENT)
    exchange(connection, head_for(headers))
    headers["Accept"] = "text/html"
    assert b"Accept: text/html\r\n" in exchange(connection, head_for(headers))
    head = head_for(headers)
    head.authority = "example.com"
    assert b"Host: example.com\r\n" in exchange(connection, head)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(
            lambda headers: head_for(headers, target="/\r\nX: y"), id="CVE-2023-49081-target"
        ),
        pytest.param(
            lambda headers: head_for(headers, method="GET / HTTP/1.1\r\nX:"),
            id="CVE-2023-49082-method",
        ),
    ],
)
def test_what_is_not_allowed_is_refused_after_a_good_one_too(head) -> None:  # type: ignore[no-untyped-def]  # a lambda of the table
    headers: CIMultiDict[str] = CIMultiDict()
    connection = Http1Connection(Role.CLIENT)
    exchange(connection, head_for(headers))
    with pytest.raises(ValueError):
        connection.open(head(headers))


def test_a_repeated_request_has_to_wait_its_turn() -> None:
    headers: CIMultiDict[str] = CIMultiDict()
    connection = Http1Connection(Role.CLIENT)
    exchange(connection, head_for(headers))
    connection.receive_data(b"x")
    with pytest.raises(LocalProtocolError):
        connection.open(head_for(headers))


def test_asking_to_close_is_written_after_a_request_that_did_not() -> None:
    headers: CIMultiDict[str] = CIMultiDict()
    connection = Http1Connection(Role.CLIENT)
    exchange(connection, head_for(headers))
    assert b"Connection: close\r\n" in connection.open(head_for(headers, keep_alive=False))
