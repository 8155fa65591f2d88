"""A request whose head comes in one piece, and fields that many responses share."""

import pytest
from multidict import CIMultiDict

from antiphon.core.errors import HttpProcessingError
from antiphon.core.http import RawRequestMessage, SharedFields
from antiphon.core.http1.connection import END, Http1Connection, Role, State

_GET = b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"
_POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"


def facts(head: object) -> tuple[object, ...]:
    assert isinstance(head, RawRequestMessage)
    return (
        *(head.method, head.path, head.version, head.raw_headers, head.framing),
        *(head.should_close, head.upgrade, head.expect_continue, head.compression),
    )


def outcome(connection: Http1Connection) -> object:
    """What comes next, as something that can be compared."""
    try:
        event = connection.next_event()
    except HttpProcessingError as exc:
        return type(exc), exc.status
    return facts(event) if isinstance(event, RawRequestMessage) else event


def in_steps(wire: bytes) -> Http1Connection:
    connection = Http1Connection(Role.SERVER)
    connection.receive_data(wire)
    return connection


TAKEN = [
    pytest.param(_GET, id="no-content"),
    pytest.param(_GET + _GET, id="another-behind-it"),
    pytest.param(_GET + b"\x00", id="rubbish-behind-it"),
    pytest.param(_POST + b"hello", id="with-its-content"),
    pytest.param(_POST + b"he", id="with-some-content"),
    pytest.param(_POST, id="content-to-come"),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        id="chunked",
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        id="expectation",
    ),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", id="close"),
    pytest.param(b"GET / HTTP/1.0\r\n\r\n", id="http-1.0"),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nmore", id="upgrade"
    ),
    pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", id="connect"),
    pytest.param(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", id="head"),
]


@pytest.mark.parametrize("wire", TAKEN)
@pytest.mark.parametrize("closing", [False, True], ids=["", "draining"])
def test_a_head_in_one_piece_is_what_it_is_in_steps(wire: bytes, closing: bool) -> None:
    one, other = Http1Connection(Role.SERVER), in_steps(wire)
    if closing:
        one.close_after()
        other.close_after()
    assert facts(one.receive_request(wire)) == facts(other.next_event())
    for _ in range(2):
        assert (one.our_state, one.their_state) == (other.our_state, other.their_state)
        assert (one.buffered, one.keep_alive) == (other.buffered, other.keep_alive)
        assert one.next_event() == other.next_event()
    fields = CIMultiDict({"A": "b"})
    assert one.respond_complete(200, fields, b"x") == other.respond_complete(200, fields, b"x")
    assert (one.our_state, one.their_state) == (other.our_state, other.their_state)


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(_GET[:-1], id="head-cut-short"),
        pytest.param(b"\r\n" + _GET, id="empty-line-before"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no-host"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", id="bare-line-feeds"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", id="space-before-colon"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            id="two-framings",
        ),
        pytest.param(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", id="another-version"),
    ],
)
def test_what_is_out_of_the_ordinary_changes_nothing(wire: bytes) -> None:
    one, other = Http1Connection(Role.SERVER), in_steps(wire)
    assert one.receive_request(wire) is None
    assert one.buffered == 0
    one.receive_data(wire)
    assert outcome(one) == outcome(other)
    assert (one.our_state, one.their_state) == (other.our_state, other.their_state)


def test_bytes_of_a_head_that_has_begun_are_not_overtaken() -> None:
    connection = in_steps(_GET[:9])
    assert connection.receive_request(_GET[9:] + _GET) is None
    connection.receive_data(_GET[9:] + _GET)
    head = connection.next_event()
    assert isinstance(head, RawRequestMessage)
    assert head.path == "/a?b"


def test_a_second_request_waits_for_the_first() -> None:
    connection = Http1Connection(Role.SERVER)
    assert connection.receive_request(_GET) is not None
    assert connection.receive_request(_GET) is None
    assert connection.their_state is State.DONE


def test_content_behind_the_head_comes_as_events() -> None:
    connection = Http1Connection(Role.SERVER)
    assert connection.receive_request(_POST + b"hello" + _GET) is not None
    assert connection.next_event() == b"hello"
    assert connection.next_event() is END
    assert connection.respond_complete(200, CIMultiDict(), b"")
    connection.start_next_cycle()
    assert isinstance(connection.next_event(), RawRequestMessage)


SHARED = SharedFields([("Content-Type", "text/plain"), ("X-A", "\udce4")])


@pytest.mark.parametrize("status", [200, 204, 299, 304, 404, 500])
@pytest.mark.parametrize("reason", [None, "Fine"])
@pytest.mark.parametrize(
    "wire",
    [
        _GET,
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ],
    ids=["get", "head", "http-1.0", "close"],
)
@pytest.mark.parametrize("body", [b"hello", bytearray(b"hi"), memoryview(b"x"), b""], ids=repr)
def test_shared_fields_are_written_like_any(
    status: int, reason: str | None, wire: bytes, body: bytes | bytearray | memoryview
) -> None:
    one, other = Http1Connection(Role.SERVER), Http1Connection(Role.SERVER)
    for connection in (one, other):
        assert connection.receive_request(wire) is not None
    default = b"Date: now\r\nServer: x\r\n"
    shared = one.respond_complete(status, SHARED, body, reason=reason, default_fields=default)
    plain = CIMultiDict(SHARED)
    assert shared == other.respond_complete(
        status, plain, body, reason=reason, default_fields=default
    )
    assert (one.our_state, one.keep_alive) == (other.our_state, other.keep_alive)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([("A", "b\r\nC: d")], id="line-break"),
        pytest.param([("A b", "c")], id="name"),
        pytest.param([("Content-Length", "3")], id="framing"),
        pytest.param([("Connection", "close")], id="connection"),
        pytest.param([("Date", "never")], id="default-field"),
    ],
)
def test_shared_fields_are_checked(fields: list[tuple[str, str]]) -> None:
    connection = Http1Connection(Role.SERVER)
    assert connection.receive_request(_GET) is not None
    with pytest.raises(ValueError, match="allowed|Control|share"):
        connection.respond_complete(200, SharedFields(fields), b"")
    assert connection.our_state is State.SEND_RESPONSE
