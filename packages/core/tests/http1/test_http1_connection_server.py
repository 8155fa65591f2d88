"""The server's end of a connection: which message may follow which, and what is written."""

from typing import Any

import pytest
from multidict import CIMultiDict

from antiphon.core.errors import BadHttpMessage, LocalProtocolError, TransferEncodingError
from antiphon.core.http import RawRequestMessage
from antiphon.core.http1 import CLOSED, END, NEED_DATA, PAUSED, Http1Connection, Role, State

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n"
NONE: CIMultiDict[str] = CIMultiDict()


def server(wire: bytes) -> Http1Connection:
    """A connection that has got *wire* and given its first head."""
    connection = Http1Connection(Role.SERVER)
    connection.receive_data(wire)
    assert isinstance(connection.next_event(), RawRequestMessage)
    return connection


def states(connection: Http1Connection) -> tuple[State, State]:
    """Our state and theirs."""
    return connection.our_state, connection.their_state


def done(connection: Http1Connection) -> bool:
    return connection.cycle_done


def fields(**values: str) -> CIMultiDict[str]:
    return CIMultiDict({name.replace("_", "-"): value for name, value in values.items()})


@pytest.mark.parametrize(
    ("request_head", "status", "headers", "body", "expected"),
    [
        pytest.param(
            GET, 200, NONE, b"hi", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", id="plain"
        ),
        pytest.param(
            GET, 200, NONE, b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", id="empty"
        ),
        pytest.param(
            GET, 299, NONE, b"", b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", id="unknown status"
        ),
        pytest.param(
            GET,
            200,
            fields(A="b", c="ä"),
            bytearray(b"x"),
            "HTTP/1.1 200 OK\r\nA: b\r\nc: ä\r\nContent-Length: 1\r\n\r\nx".encode(),
            id="fields",
        ),
        pytest.param(
            GET,
            200,
            fields(A="\udce4"),
            memoryview(b"x"),
            b"HTTP/1.1 200 OK\r\nA: \xe4\r\nContent-Length: 1\r\n\r\nx",
            id="obs-text leaves as it came",
        ),
        pytest.param(
            GET,
            200,
            fields(
                content_LENGTH="9", Transfer_Encoding="chunked", Connection="keep-alive", Host="x"
            ),
            b"hi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            id="framing is the connection's",
        ),
        pytest.param(
            GET,
            200,
            fields(connection="foo, Close"),
            b"hi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
            id="close in the fields is a wish",
        ),
        pytest.param(GET, 204, NONE, b"hi", b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
        pytest.param(GET, 304, NONE, b"", b"HTTP/1.1 304 Not Modified\r\n\r\n", id="304"),
        pytest.param(
            GET,
            304,
            fields(Content_Length="7"),
            b"",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
            id="304 with the length a GET would have",
        ),
        pytest.param(
            b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            200,
            NONE,
            b"hi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
            id="HEAD",
        ),
        pytest.param(
            b"GET / HTTP/1.0\r\n\r\n",
            200,
            NONE,
            b"hi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
            id="HTTP/1.0",
        ),
        pytest.param(
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            200,
            NONE,
            b"hi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
            id="HTTP/1.0 keep-alive",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            200,
            NONE,
            b"hi",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
            id="close wished by the client",
        ),
    ],
)
def test_whole_response(
    request_head: bytes, status: int, headers: Any, body: Any, expected: bytes
) -> None:
    connection = server(request_head)
    assert connection.respond_complete(status, headers, body) == expected
    closes = b"Connection: close" in expected
    assert connection.our_state is (State.MUST_CLOSE if closes else State.DONE)
    assert connection.keep_alive is not closes
    assert connection.cycle_done


DEFAULTS = b"Date: now\r\nServer: me\r\n"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(NONE, b"Date: now\r\nServer: me\r\n", id="both missing"),
        pytest.param(fields(date="x"), b"Server: me\r\n", id="Date given"),
        pytest.param(fields(SERVER="x"), b"Date: now\r\n", id="Server given"),
        pytest.param(fields(Date="x", Server="y"), b"", id="both given"),
    ],
)
def test_default_fields(headers: CIMultiDict[str], expected: bytes) -> None:
    for wire in (
        server(GET).respond_complete(200, headers, b"", default_fields=DEFAULTS),
        server(GET).respond(200, headers, length=0, default_fields=DEFAULTS),
    ):
        assert wire.endswith(b"Content-Length: 0\r\n" + expected + b"\r\n")


@pytest.mark.parametrize(
    ("request_head", "status", "options", "expected", "content", "end"),
    [
        pytest.param(GET, 200, {"length": 2}, b"Content-Length: 2\r\n", b"hi", b"", id="length"),
        pytest.param(
            GET,
            200,
            {},
            b"Transfer-Encoding: chunked\r\n",
            b"2\r\nhi\r\n",
            b"0\r\n\r\n",
            id="unknown",
        ),
        pytest.param(
            GET,
            200,
            {"length": 2, "chunked": True},
            b"Transfer-Encoding: chunked\r\n",
            b"2\r\nhi\r\n",
            b"0\r\n\r\n",
            id="chunked wished",
        ),
        pytest.param(
            b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            200,
            {"length": 2},
            b"Content-Length: 2\r\n",
            b"",
            b"",
            id="HEAD",
        ),
        pytest.param(
            b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, {}, b"", b"", b"", id="HEAD, unknown length"
        ),
        pytest.param(GET, 204, {}, b"", b"", b"", id="204"),
        pytest.param(GET, 304, {"length": 2}, b"", b"", b"", id="304"),
        pytest.param(
            b"GET / HTTP/1.0\r\n\r\n", 200, {}, b"Connection: close\r\n", b"hi", b"", id="1.0"
        ),
        pytest.param(
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            200,
            {"chunked": True},
            b"Connection: close\r\n",
            b"hi",
            b"",
            id="1.0 keep-alive ends by closing",
        ),
        pytest.param(
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            200,
            {"length": 2},
            b"Content-Length: 2\r\nConnection: keep-alive\r\n",
            b"hi",
            b"",
            id="1.0 keep-alive, length",
        ),
    ],
)
def test_response_in_pieces(
    request_head: bytes, status: int, options: Any, expected: bytes, content: bytes, end: bytes
) -> None:
    connection = server(request_head)
    head = connection.respond(status, NONE, **options)
    assert head.partition(b"\r\n")[2] == expected + b"\r\n"
    assert connection.our_state is State.SEND_BODY
    assert connection.send_data(b"hi") == content
    assert connection.send_end() == end
    assert connection.our_state is (State.MUST_CLOSE if b"close" in head else State.DONE)


def test_trailers_of_a_response() -> None:
    connection = server(GET)
    connection.respond(200, NONE)
    with pytest.raises(ValueError, match="not allowed"):
        connection.send_end(fields(Content_Length="1"))
    assert connection.send_end(fields(A="b")) == b"0\r\nA: b\r\n\r\n"
    assert connection.cycle_done


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        pytest.param({}, fields(A="b\r\nC: d"), id="CVE-2020-7695 CR LF in a value"),
        pytest.param({}, fields(A="b\nC: d"), id="CVE-2018-1000164 LF in a value"),
        pytest.param({}, fields(A="b\rC: d"), id="CR in a value"),
        pytest.param({}, fields(A="b\0"), id="NUL in a value"),
        pytest.param({}, fields(A="\x7f"), id="DEL in a value"),
        pytest.param({}, CIMultiDict({"A\r\nB": "c"}), id="CR LF in a name"),
        pytest.param({}, CIMultiDict({"A ": "c"}), id="space in a name"),
        pytest.param({}, CIMultiDict({"A:": "c"}), id="colon in a name"),
        pytest.param({}, CIMultiDict({"": "c"}), id="empty name"),
        pytest.param({}, CIMultiDict({"Ä": "c"}), id="name that is not ASCII"),
        pytest.param(
            {"reason": "OK\r\nSet-Cookie: a=b"}, NONE, id="CVE-2026-34519 CR LF in the reason"
        ),
        pytest.param({"reason": "a\nb"}, NONE, id="CVE-2025-67724 LF in the reason"),
        pytest.param({"status": 99}, NONE, id="status 99"),
        pytest.param({"status": 1000}, NONE, id="status 1000"),
        pytest.param({"status": 101}, NONE, id="status 101"),
    ],
)
def test_nothing_is_injected_into_a_response(
    options: dict[str, Any], headers: CIMultiDict[str]
) -> None:
    options = {"status": 200, **options}
    status = options.pop("status")
    connection = server(GET)
    for _ in range(2):
        with pytest.raises(ValueError):
            connection.respond_complete(status, headers, b"", **options)
        with pytest.raises(ValueError):
            connection.respond(status, headers, **options)
    # Nothing has changed: another response is possible.
    assert connection.respond_complete(500, NONE, b"") == (
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
    )


def test_pipelined_requests_wait_for_their_cycle() -> None:
    connection = server(GET * 3)
    for left in (2, 1, 0):
        assert connection.next_event() is PAUSED
        assert connection.buffered == left * len(GET)
        with pytest.raises(LocalProtocolError):
            connection.start_next_cycle()
        connection.respond_complete(200, NONE, b"")
        assert connection.next_event() is PAUSED
        connection.start_next_cycle()
        if left:
            assert isinstance(connection.next_event(), RawRequestMessage)
    assert connection.next_event() is NEED_DATA


def test_a_response_before_the_content_has_come() -> None:
    connection = server(POST + b"he")
    connection.respond_complete(413, NONE, b"")
    assert not done(connection)
    assert connection.next_event() == b"he"
    connection.receive_data(b"llo" + GET)
    assert connection.next_event() == b"llo"
    assert connection.next_event() is END
    assert connection.cycle_done
    connection.start_next_cycle()
    assert isinstance(connection.next_event(), RawRequestMessage)


def test_half_closed_client_gets_its_answer() -> None:
    connection = server(GET + GET)
    connection.receive_eof()
    assert connection.keep_alive
    connection.respond_complete(200, NONE, b"")
    connection.start_next_cycle()
    assert isinstance(connection.next_event(), RawRequestMessage)
    assert b"Connection: close" in connection.respond_complete(200, NONE, b"")


def test_end_between_requests() -> None:
    connection = server(GET)
    connection.respond_complete(200, NONE, b"")
    connection.start_next_cycle()
    connection.receive_data(b"\r\n")
    connection.receive_eof()
    assert not connection.partial_head
    assert connection.next_event() is CLOSED
    assert connection.their_state is State.CLOSED
    assert connection.next_event() is CLOSED


def test_end_within_content() -> None:
    connection = server(POST + b"hel")
    assert connection.next_event() == b"hel"
    connection.receive_eof()
    with pytest.raises(BadHttpMessage, match="2 bytes before"):
        connection.next_event()
    assert connection.their_state is State.ERROR
    assert connection.next_event() is CLOSED


def test_a_refused_head_can_be_answered_and_ends_the_connection() -> None:
    connection = Http1Connection(Role.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\n\r\n" + GET)
    with pytest.raises(BadHttpMessage):
        connection.next_event()
    assert connection.next_event() is CLOSED
    assert connection.buffered == 0
    answer = connection.respond_complete(400, NONE, b"")
    assert answer == b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with pytest.raises(LocalProtocolError):
        connection.start_next_cycle()


def test_broken_content_ends_the_connection() -> None:
    connection = server(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n")
    with pytest.raises(TransferEncodingError):
        connection.next_event()
    assert not connection.keep_alive
    assert b"Connection: close" in connection.respond_complete(400, NONE, b"")


def test_a_bad_request_behind_good_ones_spoils_only_itself() -> None:
    connection = server(GET + b"BAD\r\n\r\n")
    assert connection.next_event() is PAUSED
    assert b"close" not in connection.respond_complete(200, NONE, b"")
    connection.start_next_cycle()
    with pytest.raises(BadHttpMessage):
        connection.next_event()


def test_closing_on_our_wish() -> None:
    connection = server(GET)
    connection.close_after()
    assert not connection.keep_alive
    assert b"\r\nConnection: close\r\n" in connection.respond_complete(200, NONE, b"")
    assert connection.our_state is State.MUST_CLOSE


EXPECT = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")


def test_expected_content_is_asked_for() -> None:
    connection = server(EXPECT)
    assert connection.send_informational(100, NONE) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b"close" not in connection.respond_complete(200, NONE, b"")


def test_cve_2024_24791_expected_content_that_nobody_asked_for_ends_the_connection() -> None:
    connection = server(EXPECT)
    assert b"Connection: close" in connection.respond_complete(417, NONE, b"")


def test_expected_content_that_came_unasked_keeps_the_connection() -> None:
    connection = server(EXPECT + b"hello")
    assert connection.next_event() == b"hello"
    assert b"close" not in connection.respond_complete(200, NONE, b"")


def test_informational_responses() -> None:
    connection = server(GET)
    wire = connection.send_informational(103, fields(Link="</a>", Content_Length="3"))
    assert wire == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    for status in (99, 101, 200):
        with pytest.raises(ValueError, match="no informational"):
            connection.send_informational(status, NONE)
    connection.respond_complete(200, NONE, b"")
    with pytest.raises(LocalProtocolError):
        connection.send_informational(103, NONE)


def test_http_1_0_gets_no_informational_response() -> None:
    assert server(b"GET / HTTP/1.0\r\n\r\n").send_informational(103, NONE) == b""


def test_upgrade_is_agreed_to() -> None:
    connection = server(UPGRADE + b"\r\nframes")
    assert states(connection) == (State.SEND_RESPONSE, State.MIGHT_SWITCH)
    assert connection.next_event() is PAUSED
    with pytest.raises(LocalProtocolError):
        connection.take_trailing()
    wire = connection.switch(101, fields(Upgrade="x"))
    assert wire == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    assert connection.our_state is connection.their_state is State.SWITCHED
    assert not connection.keep_alive
    assert connection.take_trailing() == b"frames"
    connection.receive_data(GET)
    assert connection.next_event() is PAUSED
    assert connection.take_trailing() == GET


def test_ignored_upgrade_swallows_no_request() -> None:
    connection = server(UPGRADE + b"\r\n" + GET)
    connection.respond_complete(200, NONE, b"")
    connection.start_next_cycle()
    assert isinstance(connection.next_event(), RawRequestMessage)
    with pytest.raises(LocalProtocolError):
        connection.switch(101, NONE)


def test_cve_2026_69243_content_of_a_refused_upgrade_is_no_request() -> None:
    connection = server(UPGRADE + b"Content-Length: %d\r\n\r\n" % len(GET) + GET + POST)
    assert states(connection) == (State.SEND_RESPONSE, State.SEND_BODY)
    with pytest.raises(LocalProtocolError):
        connection.switch(101, NONE)
    connection.respond_complete(200, NONE, b"")
    assert connection.next_event() == GET
    assert connection.next_event() is END
    assert connection.their_state is State.DONE
    connection.start_next_cycle()
    head = connection.next_event()
    assert isinstance(head, RawRequestMessage)
    assert head.method == "POST"


def test_upgrade_with_content_switches_after_the_content() -> None:
    connection = server(UPGRADE + b"Content-Length: 2\r\n\r\nhi" + b"frames")
    assert connection.next_event() == b"hi"
    assert connection.next_event() is END
    assert connection.their_state is State.MIGHT_SWITCH
    connection.switch(101, fields(Upgrade="x"))
    assert connection.take_trailing() == b"frames"


def test_tunnel() -> None:
    connection = server(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nbytes")
    with pytest.raises(ValueError, match="does not change"):
        connection.switch(101, NONE)
    assert connection.switch(200, fields(Content_Length="3")) == b"HTTP/1.1 200 OK\r\n\r\n"
    assert connection.take_trailing() == b"bytes"


def test_refused_tunnel() -> None:
    connection = server(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    wire = connection.respond_complete(403, NONE, b"no")
    assert wire == b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    connection.start_next_cycle()


def test_success_to_connect_without_a_tunnel_ends_the_connection() -> None:
    connection = server(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + GET)
    assert connection.respond_complete(200, NONE, b"no") == (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    )
    assert states(connection) == (State.MUST_CLOSE, State.DONE)


def test_our_own_mistakes() -> None:
    connection = Http1Connection(Role.SERVER)
    with pytest.raises(LocalProtocolError):
        connection.respond_complete(200, NONE, b"")
    with pytest.raises(LocalProtocolError):
        connection.send_data(b"a")
    connection.receive_data(GET)
    connection.next_event()
    connection.respond(200, NONE, length=2)
    with pytest.raises(LocalProtocolError):
        connection.respond(200, NONE)
    with pytest.raises(LocalProtocolError, match="longer"):
        connection.send_data(b"abc")
    connection.send_data(b"a")
    with pytest.raises(LocalProtocolError, match="short"):
        connection.send_end()
    assert connection.our_state is State.MUST_CLOSE
    assert not connection.keep_alive
    assert "MUST_CLOSE" in repr(connection)


def test_a_thousand_pipelined_requests() -> None:
    connection = Http1Connection(Role.SERVER)
    connection.receive_data(GET * 1000)
    for _ in range(1000):
        assert isinstance(connection.next_event(), RawRequestMessage)
        connection.respond_complete(200, NONE, b"")
        connection.start_next_cycle()
    assert connection.next_event() is NEED_DATA


def test_a_head_that_takes_too_long_is_refused_and_answered() -> None:
    connection = Http1Connection(Role.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHos")
    assert connection.next_event() is NEED_DATA
    connection.refuse_head()
    assert states(connection) == (State.SEND_RESPONSE, State.ERROR)
    assert connection.buffered == 0
    connection.receive_data(b"t: a\r\n\r\nGET / HTTP/1.1\r\n")
    assert connection.next_event() is CLOSED
    assert connection.respond_complete(408, NONE, b"") == (
        b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    assert not connection.keep_alive


@pytest.mark.parametrize(
    ("role", "wire"),
    [
        pytest.param(Role.SERVER, b"", id="nothing has come"),
        pytest.param(Role.SERVER, b"\r\n", id="an empty line is no head"),
        pytest.param(Role.CLIENT, b"HTTP/1.1 2", id="a client has nobody to tell"),
    ],
)
def test_only_a_server_refuses_a_head_and_only_one_that_has_begun(role: Role, wire: bytes) -> None:
    connection = Http1Connection(role)
    connection.receive_data(wire)
    with pytest.raises(LocalProtocolError, match="refuse a head"):
        connection.refuse_head()


def test_a_head_that_is_complete_is_not_refused_any_more() -> None:
    connection = server(POST)
    with pytest.raises(LocalProtocolError, match="refuse a head"):
        connection.refuse_head()
