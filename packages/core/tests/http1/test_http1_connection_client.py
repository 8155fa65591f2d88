"""The client's end of a connection."""

from typing import Any

import pytest
from multidict import CIMultiDict

from antiphon.core.errors import (
    BadHttpMessage,
    BadStatusLine,
    ContentLengthError,
    LocalProtocolError,
    TransferEncodingError,
)
from antiphon.core.http import HttpVersion, HttpVersion10, RawResponseMessage, RequestHead
from antiphon.core.http1 import CLOSED, END, NEED_DATA, PAUSED, Http1Connection, Role, State
from antiphon.core.limits import HttpLimits

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
BARE = b"HTTP/1.1 200 OK\r\n\r\n"


def ask(**values: Any) -> RequestHead:
    defaults: dict[str, Any] = {
        "method": "GET",
        "target": "/",
        "authority": "a",
        "headers": CIMultiDict(),
    }
    return RequestHead(**{**defaults, **values})


def client(head: RequestHead | None = None, **content: Any) -> Http1Connection:
    connection = Http1Connection(Role.CLIENT)
    connection.open(head or ask(), **content)
    return connection


def states(connection: Http1Connection) -> tuple[State, State]:
    """Our state and theirs."""
    return connection.our_state, connection.their_state


def done(connection: Http1Connection) -> bool:
    return connection.cycle_done


def take(connection: Http1Connection) -> list[object]:
    """All events there are, heads as their codes."""
    events: list[object] = []
    while True:
        event = connection.next_event()
        if event in (NEED_DATA, PAUSED, CLOSED):
            return [*events, event]
        events.append(event.code if isinstance(event, RawResponseMessage) else event)


H = b"Host: a\r\n"


@pytest.mark.parametrize(
    ("head", "content", "expected"),
    [
        pytest.param({}, {}, b"GET / HTTP/1.1\r\n" + H + b"\r\n", id="plain"),
        pytest.param(
            {"headers": CIMultiDict({"A": "b"})},
            {},
            b"GET / HTTP/1.1\r\n" + H + b"A: b\r\n\r\n",
            id="field",
        ),
        pytest.param(
            {"headers": CIMultiDict({"A": "b", "host": "x:1"})},
            {},
            b"GET / HTTP/1.1\r\nHost: x:1\r\nA: b\r\n\r\n",
            id="Host of the user, first",
        ),
        pytest.param(
            {"method": "POST"},
            {},
            b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 0\r\n\r\n",
            id="POST",
        ),
        pytest.param(
            {"method": "POST"},
            {"body": b""},
            b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 0\r\n\r\n",
            id="POST of nothing",
        ),
        pytest.param({"method": "DELETE"}, {}, b"DELETE / HTTP/1.1\r\n" + H + b"\r\n", id="DELETE"),
        pytest.param(
            {"method": "PUT"},
            {"body": b"hi"},
            b"PUT / HTTP/1.1\r\n" + H + b"Content-Length: 2\r\n\r\nhi",
            id="body",
        ),
        pytest.param(
            {"method": "PUT"},
            {"length": 2},
            b"PUT / HTTP/1.1\r\n" + H + b"Content-Length: 2\r\n\r\n",
            id="length",
        ),
        pytest.param(
            {"method": "PUT"},
            {"chunked": True},
            b"PUT / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n",
            id="chunked",
        ),
        pytest.param(
            {
                "method": "PUT",
                "headers": CIMultiDict({"content-length": "9", "Transfer-Encoding": "x"}),
            },
            {"body": b"hi"},
            b"PUT / HTTP/1.1\r\n" + H + b"Content-Length: 2\r\n\r\nhi",
            id="CVE-2026-1525 framing is the connection's",
        ),
        pytest.param(
            {"keep_alive": False},
            {},
            b"GET / HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n",
            id="close",
        ),
        pytest.param(
            {"headers": CIMultiDict({"Connection": "Close"})},
            {},
            b"GET / HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n",
            id="close in the fields",
        ),
        pytest.param(
            {"version": HttpVersion10},
            {},
            b"GET / HTTP/1.0\r\n" + H + b"Connection: keep-alive\r\n\r\n",
            id="HTTP/1.0",
        ),
        pytest.param(
            {"upgrade": "x"},
            {},
            b"GET / HTTP/1.1\r\n" + H + b"Upgrade: x\r\nConnection: Upgrade\r\n\r\n",
            id="upgrade",
        ),
        pytest.param(
            {"headers": CIMultiDict({"TE": "trailers"})},
            {},
            b"GET / HTTP/1.1\r\n" + H + b"TE: trailers\r\nConnection: TE\r\n\r\n",
            id="TE is hop-by-hop",
        ),
        pytest.param(
            {"method": "PUT", "expect_continue": True},
            {"body": b"hi"},
            b"PUT / HTTP/1.1\r\n" + H + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n",
            id="expect",
        ),
        pytest.param(
            {"expect_continue": True},
            {},
            b"GET / HTTP/1.1\r\n" + H + b"\r\n",
            id="nothing to expect",
        ),
        pytest.param(
            {"target": "*", "method": "OPTIONS"},
            {},
            b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n",
            id="asterisk",
        ),
        pytest.param(
            {"target": "a:1", "method": "CONNECT", "authority": "a:1"},
            {},
            b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
            id="CONNECT",
        ),
    ],
)
def test_request_as_written(head: Any, content: Any, expected: bytes) -> None:
    assert Http1Connection(Role.CLIENT).open(ask(**head), **content) == expected


@pytest.mark.parametrize(
    ("head", "content"),
    [
        pytest.param(
            {"method": "GET / HTTP/1.1\r\nX: y\r\n\r\nGET"},
            {},
            id="CVE-2023-49082 CR LF in the method",
        ),
        pytest.param({"method": ""}, {}, id="empty method"),
        pytest.param({"method": "G T"}, {}, id="space in the method"),
        pytest.param({"target": "/ HTTP/1.1\r\nX: y"}, {}, id="CVE-2022-31150 CR LF in the target"),
        pytest.param({"target": "/a b"}, {}, id="CVE-2019-11236 space in the target"),
        pytest.param({"target": ""}, {}, id="empty target"),
        pytest.param({"target": "/ä"}, {}, id="target that is not ASCII"),
        pytest.param({"target": "/#a"}, {}, id="fragment"),
        pytest.param({"authority": "a\r\nX: y"}, {}, id="CVE-2023-23936 CR LF in the authority"),
        pytest.param({"authority": "a\x01"}, {}, id="CVE-2023-29406 control character in Host"),
        pytest.param({"headers": CIMultiDict({"Host": "a b"})}, {}, id="malformed Host"),
        pytest.param({"headers": CIMultiDict({"A": "b\r\nC: d"})}, {}, id="CR LF in a value"),
        pytest.param({"headers": CIMultiDict({"A": "b\n"})}, {}, id="LF in a value"),
        pytest.param({"headers": CIMultiDict({"A\r\nB": "c"})}, {}, id="CR LF in a name"),
        pytest.param({"headers": CIMultiDict({"A b": "c"})}, {}, id="space in a name"),
        pytest.param({"upgrade": "x\r\nA: b"}, {}, id="CVE-2026-1527 CR LF in the upgrade"),
        pytest.param({"version": HttpVersion(2, 0)}, {}, id="CVE-2023-49081 another version"),
        pytest.param({"version": ("1", "1\r\nX: y")}, {}, id="CVE-2023-49081 CR LF in the version"),
        pytest.param(
            {"version": HttpVersion10, "method": "PUT"}, {"chunked": True}, id="chunked in HTTP/1.0"
        ),
        pytest.param(
            {"method": "CONNECT", "target": "a:1"}, {"body": b"x"}, id="CONNECT with content"
        ),
    ],
)
def test_nothing_is_injected_into_a_request(head: Any, content: Any) -> None:
    connection = Http1Connection(Role.CLIENT)
    with pytest.raises(ValueError):
        connection.open(ask(**head), **content)
    # Nothing has changed.
    assert connection.our_state is connection.their_state is State.IDLE
    assert connection.open(ask()) == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_cycles_on_one_connection() -> None:
    connection = Http1Connection(Role.CLIENT)
    for _ in range(3):
        connection.open(ask())
        assert connection.our_state is State.DONE
        assert connection.their_state is State.SEND_RESPONSE
        connection.receive_data(OK)
        assert take(connection) == [200, b"hi", END, PAUSED]
        assert connection.keep_alive
        assert connection.cycle_done
        connection.start_next_cycle()
    assert connection.our_state is connection.their_state is State.IDLE


def test_content_in_pieces() -> None:
    connection = client(ask(method="PUT"), chunked=True)
    assert connection.send_data(b"hi") == b"2\r\nhi\r\n"
    assert connection.send_end(CIMultiDict(A="b")) == b"0\r\nA: b\r\n\r\n"
    assert connection.our_state is State.DONE


def test_bytes_behind_a_response_end_the_connection() -> None:
    """Desync: they never answer the next request."""
    connection = client()
    connection.receive_data(OK + OK)
    assert take(connection) == [200, b"hi", END, PAUSED]
    assert not connection.keep_alive
    connection.start_next_cycle()
    with pytest.raises(LocalProtocolError):
        connection.open(ask())
    with pytest.raises(BadHttpMessage, match="no request asked"):
        connection.next_event()
    assert connection.our_state is State.ERROR


def test_bytes_on_an_idle_connection_end_it() -> None:
    connection = client()
    connection.receive_data(OK)
    take(connection)
    connection.start_next_cycle()
    connection.receive_data(OK)
    assert not connection.keep_alive
    with pytest.raises(LocalProtocolError):
        connection.open(ask())


def test_content_behind_the_answer_to_head_is_not_taken() -> None:
    connection = client(ask(method="HEAD"))
    connection.receive_data(OK)
    assert take(connection) == [200, PAUSED]
    assert not connection.keep_alive


@pytest.mark.parametrize(
    ("wire", "events", "keep"),
    [
        pytest.param(OK, [200, b"hi", END, PAUSED], True, id="kept"),
        pytest.param(
            OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"),
            [200, b"hi", END, PAUSED],
            False,
            id="close",
        ),
        pytest.param(OK.replace(b"1.1", b"1.0"), [200, b"hi", END, PAUSED], False, id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 204 No\r\n\r\n", [204, PAUSED], True, id="204"),
        pytest.param(
            b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n",
            [204, PAUSED],
            False,
            id="204 and close",
        ),
    ],
)
def test_whether_a_connection_is_kept(wire: bytes, events: list[object], keep: bool) -> None:
    connection = client()
    connection.receive_data(wire)
    assert take(connection) == events
    assert connection.keep_alive is keep
    if not keep:
        with pytest.raises(LocalProtocolError):
            connection.start_next_cycle()


def test_close_wished_by_us() -> None:
    connection = client(ask(keep_alive=False))
    connection.receive_data(OK)
    take(connection)
    assert not connection.keep_alive


def test_content_until_close() -> None:
    connection = client()
    connection.receive_data(BARE + b"hi")
    assert take(connection) == [200, b"hi", NEED_DATA]
    connection.receive_eof()
    assert take(connection) == [END, PAUSED]
    assert not connection.keep_alive


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        pytest.param(OK[:-1], ContentLengthError, id="length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
            TransferEncodingError,
            id="chunked",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Enco", BadStatusLine, id="head"),
    ],
)
def test_truncated_responses_never_pass_as_whole(wire: bytes, error: type[Exception]) -> None:
    connection = client()
    connection.receive_data(wire)
    assert END not in take(connection)
    connection.receive_eof()
    with pytest.raises(error):
        take(connection)
    assert connection.their_state is State.ERROR
    assert take(connection) == [CLOSED]


def test_end_instead_of_a_response() -> None:
    connection = client()
    connection.receive_eof()
    assert take(connection) == [CLOSED]
    assert connection.their_state is State.CLOSED
    assert not connection.keep_alive


def test_end_on_an_idle_connection() -> None:
    connection = Http1Connection(Role.CLIENT)
    assert connection.next_event() is NEED_DATA
    connection.receive_eof()
    assert connection.next_event() is CLOSED
    assert not connection.keep_alive


def test_informational_responses_come_before_the_final_one() -> None:
    connection = client()
    connection.receive_data(b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + OK)
    assert take(connection) == [103, 100, 200, b"hi", END, PAUSED]


def test_informational_responses_are_limited() -> None:
    connection = Http1Connection(Role.CLIENT, HttpLimits(max_informational=2))
    for _ in range(2):
        connection.open(ask())
        connection.receive_data(b"HTTP/1.1 103 Hints\r\n\r\n" * 2 + OK)
        assert take(connection) == [103, 103, 200, b"hi", END, PAUSED]
        connection.start_next_cycle()
    connection.open(ask())
    connection.receive_data(b"HTTP/1.1 103 Hints\r\n\r\n" * 3)
    with pytest.raises(BadHttpMessage, match="More than 2 informational"):
        take(connection)


def test_expected_content_goes_after_100() -> None:
    connection = client(ask(method="PUT", expect_continue=True), body=b"hi")
    assert connection.our_state is State.SEND_BODY
    connection.receive_data(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert take(connection) == [100, NEED_DATA]
    assert connection.send_data(b"hi") == b"hi"
    connection.send_end()
    connection.receive_data(OK)
    assert take(connection) == [200, b"hi", END, PAUSED]
    connection.start_next_cycle()


def test_cve_2024_24791_content_that_was_not_wanted_leaves_the_cycle_open() -> None:
    connection = client(ask(method="PUT", expect_continue=True), body=b"hi")
    connection.receive_data(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
    assert take(connection) == [417, PAUSED]
    assert not connection.cycle_done
    with pytest.raises(LocalProtocolError):
        connection.start_next_cycle()


SWITCH = b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"


def test_upgrade_is_agreed_to() -> None:
    connection = client(ask(upgrade="x"))
    assert states(connection) == (State.MIGHT_SWITCH, State.SEND_RESPONSE)
    connection.receive_data(SWITCH + b"frames")
    assert take(connection) == [101, PAUSED]
    assert connection.our_state is connection.their_state is State.SWITCHED
    assert connection.take_trailing() == b"frames"
    assert not connection.keep_alive


def test_upgrade_is_ignored() -> None:
    connection = client(ask(upgrade="x"))
    connection.receive_data(OK)
    assert take(connection) == [200, b"hi", END, PAUSED]
    connection.start_next_cycle()


@pytest.mark.parametrize(
    ("head", "content", "wire"),
    [
        pytest.param({}, {}, SWITCH, id="nobody asked"),
        pytest.param({"upgrade": "x"}, {}, b"HTTP/1.1 101 S\r\n\r\n", id="to what?"),
        pytest.param(
            {"upgrade": "x", "method": "PUT"}, {"length": 2}, SWITCH, id="before the content"
        ),
        pytest.param(
            {"method": "CONNECT", "target": "a:1"}, {}, b"HTTP/1.1 101 S\r\n\r\n", id="to CONNECT"
        ),
    ],
)
def test_protocol_changes_unasked(head: Any, content: Any, wire: bytes) -> None:
    connection = client(ask(**head), **content)
    connection.receive_data(wire)
    with pytest.raises(BadHttpMessage, match="unasked"):
        take(connection)


def test_tunnel() -> None:
    connection = client(ask(method="CONNECT", target="a:1"))
    connection.receive_data(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbytes")
    assert take(connection) == [200, PAUSED]
    assert connection.take_trailing() == b"bytes"


def test_refused_tunnel() -> None:
    connection = client(ask(method="CONNECT", target="a:1"))
    connection.receive_data(b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno")
    assert take(connection) == [407, b"no", END, PAUSED]
    connection.start_next_cycle()


def test_trailers_of_a_response() -> None:
    connection = client()
    connection.receive_data(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n"
    )
    connection.next_event()
    end: Any = connection.next_event()
    assert dict(end.trailers) == {"A": "b"}
    assert end.trailers is end.trailers


def test_a_head_like_the_last_one_is_framed_by_its_own_request() -> None:
    connection = Http1Connection(Role.CLIENT)
    wire = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    for method, content in (("GET", b"hi"), ("HEAD", b""), ("GET", b"hi")):
        connection.open(ask(method=method))
        connection.receive_data(wire + content)
        assert take(connection) == ([200, content, END, PAUSED] if content else [200, PAUSED])
        connection.start_next_cycle()


def test_an_early_response_does_not_end_our_content() -> None:
    connection = client(ask(method="PUT"), length=2)
    connection.receive_data(OK)
    assert take(connection) == [200, b"hi", END, PAUSED]
    assert not done(connection)
    connection.send_data(b"hi")
    connection.send_end()
    assert connection.cycle_done
    connection.start_next_cycle()
