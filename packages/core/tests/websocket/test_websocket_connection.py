"""Messages, UTF-8, the closing handshake, streamed messages, and what may be sent when."""

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from antiphon.core.errors import LocalProtocolError, WebSocketError
from antiphon.core.websocket.connection import (
    NEED_DATA,
    Fragment,
    Role,
    State,
    WebSocketConnection,
    may_be_received,
)
from antiphon.core.websocket.deflate import DeflateParameters
from antiphon.core.websocket.models import WSCloseCode, WSMessageText, WSMsgType

TEXT, BINARY, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE
Frame = Callable[..., bytes]
Events = Callable[..., list[Any]]


def server(**options: Any) -> WebSocketConnection:
    return WebSocketConnection(Role.SERVER, **options)


# --- UTF-8 -----------------------------------------------------------------------------------

GOOD_TEXT = [
    pytest.param("κόσμε".encode(), id="two bytes"),
    pytest.param(b"\x00\x7f", id="ends of one byte"),
    pytest.param(b"\xc2\x80\xdf\xbf", id="ends of two bytes"),
    pytest.param(b"\xe0\xa0\x80\xef\xbf\xbf", id="ends of three bytes"),
    pytest.param(b"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", id="ends of four bytes"),
    pytest.param(b"\xed\x9f\xbf\xee\x80\x80", id="around the surrogates"),
]
BAD_TEXT = [
    pytest.param(b"ab\x80", 3, id="lone continuation"),
    pytest.param(b"ab\xc0", 3, id="C0"),
    pytest.param(b"ab\xc1", 3, id="C1"),
    pytest.param(b"ab\xf5", 3, id="F5"),
    pytest.param(b"ab\xff", 3, id="FF"),
    pytest.param(b"ab\xe0\x80", 4, id="overlong in three"),
    pytest.param(b"ab\xf0\x80", 4, id="overlong in four"),
    pytest.param(b"ab\xed\xa0", 4, id="surrogate"),
    pytest.param(b"ab\xed\xbf", 4, id="last surrogate"),
    pytest.param(b"ab\xf4\x90", 4, id="above U+10FFFF"),
    pytest.param(b"ab\xe2\x28", 4, id="no continuation"),
]


@pytest.mark.parametrize("text", GOOD_TEXT)
def test_text_in_any_pieces(
    text: bytes, frame: Frame, every_split: Callable[[bytes], Iterator[list[bytes]]], events: Events
) -> None:
    for pieces in every_split(text):
        wire = b"".join(frame(0x00 if at else 0x01, piece) for at, piece in enumerate(pieces))
        wire += frame(0x80, b"")
        assert events(server(), [wire]) == [(TEXT, text.decode(), None)]
        assert events(server(decode_text=False), [wire]) == [(TEXT, text, None)]


@pytest.mark.parametrize(("text", "seen"), BAD_TEXT)
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("decode_text", [False, True])
@pytest.mark.parametrize("fragmented", [False, True])
def test_text_is_refused_at_its_first_wrong_byte(
    text: bytes,
    seen: int,
    streaming: bool,
    decode_text: bool,
    fragmented: bool,
    frame: Frame,
) -> None:
    """As the Autobahn suite's section 6.4 has it: within a frame too, not at its end."""
    connection = server(decode_text=decode_text)
    connection.streaming = streaming
    following = b"x" * 100
    if fragmented:
        wires = [frame(0x00 if at else 0x01, text[at : at + 1]) for at in range(len(text))]
    else:
        whole = frame(0x01, text + following)
        head = len(whole) - len(text + following)
        wires = [
            whole[: head + 1],
            *(whole[head + at : head + at + 1] for at in range(1, len(text))),
        ]
    codes = []
    for wire in wires:
        connection.receive_data(wire)
        try:
            while connection.next_event() is not NEED_DATA:
                pass
        except WebSocketError as exc:
            codes.append(exc.code)
            break
        codes.append(0)
    assert codes == [0] * (seen - 1) + [1007]


@pytest.mark.parametrize("decode_text", [False, True])
@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([(0x81, b"\xc3")], id="one frame"),
        pytest.param([(0x01, b"\xc3"), (0x80, b"")], id="empty last fragment"),
        pytest.param([(0x01, b"a"), (0x80, b"\xe2\x82")], id="last fragment"),
    ],
)
def test_text_that_ends_within_a_character(
    frames: list[tuple[int, bytes]], decode_text: bool, frame: Frame, events: Events
) -> None:
    wire = b"".join(frame(*item) for item in frames)
    assert events(server(decode_text=decode_text), [wire]) == [1007]


# --- messages --------------------------------------------------------------------------------


def test_json_of_a_message(frame: Frame) -> None:
    connection = server()
    connection.receive_data(frame(0x81, b'{"a": [1]}'))
    message = connection.next_event()
    assert isinstance(message, WSMessageText)
    assert message.json() == {"a": [1]}
    assert message.json(loads=len) == 10


def test_a_message_in_very_many_pieces_takes_the_memory_of_its_bytes(frame: Frame) -> None:
    """GHSA-2g87-pp6c-29x5: small pieces must not be kept each on its own."""
    connection = server(max_msg_size=1_000_000)
    connection.receive_data(frame(0x01, b"a"))
    piece = frame(0x00, b"a") * 1000
    tracemalloc.start()
    try:
        for _ in range(8):
            connection.receive_data(piece)
            assert connection.next_event() is NEED_DATA
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 60_000
    connection.receive_data(frame(0x80, b"z"))
    message = connection.next_event()
    assert isinstance(message, WSMessageText)
    assert message.data == "a" * 8_001 + "z"


def test_a_frame_under_way_is_bounded_by_what_it_declared(frame: Frame, events: Events) -> None:
    """CVE-2026-54274: the sum is refused by the next frame's header."""
    connection = server(max_msg_size=100)
    connection.receive_data(frame(0x02, b"x" * 60))
    assert connection.next_event() is NEED_DATA
    assert events(connection, [frame(0x00, length=41)]) == [1009]


# --- close -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(b"", (CLOSE, 1000, ""), id="no code"),
        pytest.param(b"\x03\xe8", (CLOSE, 1000, ""), id="code"),
        pytest.param(b"\x03\xe9bye", (CLOSE, 1001, "bye"), id="code and reason"),
        pytest.param(b"\x03\xe8" + "ü".encode() * 61, (CLOSE, 1000, "ü" * 61), id="long reason"),
        pytest.param(b"\x03", 1002, id="half a code"),
        pytest.param(b"\x03\xe8\xff", 1007, id="reason is no UTF-8"),
        pytest.param(b"\x03\xe8\xc3", 1007, id="reason ends within a character"),
        *(
            pytest.param(code.to_bytes(2, "big"), (CLOSE, code, ""), id=f"{code} may be received")
            for code in (1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
        ),
        *(
            pytest.param(code.to_bytes(2, "big"), (CLOSE, code, ""), id=f"{code} may be received")
            for code in (3000, 3999, 4000, 4999)
        ),
        *(
            pytest.param(code.to_bytes(2, "big"), 1002, id=f"{code} may not be received")
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
        ),
    ],
)
def test_received_close_frames(
    payload: bytes, expected: object, frame: Frame, events: Events
) -> None:
    connection = server()
    wire = frame(0x88, payload) + frame(0x81, b"after")
    assert events(connection, [wire]) == [expected]
    if isinstance(expected, tuple):
        assert connection.close_received
        assert (connection.close_code, connection.close_reason) == expected[1:]
        assert connection.state is State.CLOSING
        connection.receive_data(frame(0x81, b"later"))
        assert connection.next_event() is NEED_DATA
    else:
        assert not connection.close_received
        assert connection.close_code is None


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1014, 3000, 4999, WSCloseCode.GOING_AWAY])
def test_sent_close_frames(
    code: int, role: Role, frames_in: Callable[[bytes], list[tuple[int, bytes]]]
) -> None:
    connection = WebSocketConnection(role)
    wire = connection.close(code, "gone")
    assert frames_in(wire) == [(0x88, int(code).to_bytes(2, "big") + b"gone")]
    assert connection.state is State.CLOSING
    assert connection.close_sent
    assert connection.close(code) == b""


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, -1, 70000])
def test_close_codes_that_may_not_be_sent(code: int) -> None:
    connection = server()
    with pytest.raises(ValueError, match=str(code)):
        connection.close(code)
    assert connection.state is State.OPEN
    assert not may_be_received(code)


def test_long_reasons_are_cut_at_a_character(
    frames_in: Callable[[bytes], list[tuple[int, bytes]]],
) -> None:
    wire = server().close(1000, "€" * 100)
    assert frames_in(wire) == [(0x88, b"\x03\xe8" + "€".encode() * 41)]


def test_closing_handshake_begun_here(frame: Frame) -> None:
    connection = server()
    connection.close(4000)
    connection.receive_data(frame(0x81, b"still") + frame(0x88, b"\x0f\xa1ok"))
    message = connection.next_event()
    assert tuple(message) == (TEXT, "still", None)  # type: ignore[arg-type]  # a message
    assert tuple(connection.next_event()) == (CLOSE, 4001, "ok")  # type: ignore[arg-type]  # likewise
    assert connection.state is State.CLOSED
    connection.receive_eof()
    assert (connection.close_code, connection.close_reason) == (4001, "ok")


def test_closing_handshake_begun_there(frame: Frame) -> None:
    connection = server()
    connection.receive_data(frame(0x88, b"\x03\xe8"))
    connection.next_event()
    assert connection.send_message("last words", text=True)
    assert connection.close(1000)
    assert connection.state is State.CLOSED
    with pytest.raises(LocalProtocolError):
        connection.send_message("more", text=True)


@pytest.mark.parametrize("begun", [b"", b"\x81", b"\x81\x85abcdx"])
def test_end_without_a_close_frame_is_abnormal(begun: bytes) -> None:
    connection = server()
    connection.receive_data(begun)
    assert connection.next_event() is NEED_DATA
    connection.receive_eof()
    assert connection.close_code == 1006
    assert connection.state is State.CLOSED
    with pytest.raises(LocalProtocolError):
        connection.send_ping()
    with pytest.raises(LocalProtocolError):
        connection.close()


def test_after_an_error_the_close_frame_can_be_sent(
    frames_in: Callable[[bytes], list[tuple[int, bytes]]],
) -> None:
    connection = server()
    connection.receive_data(b"\xff")
    with pytest.raises(WebSocketError) as caught:
        connection.next_event()
    assert str(caught.value) == "Reserved bits 0x70 are set"
    assert connection.state is State.CLOSING
    assert frames_in(connection.close(caught.value.code)) == [(0x88, b"\x03\xea")]


# --- streamed messages -----------------------------------------------------------------------


def test_a_streamed_message_comes_in_pieces(frame: Frame) -> None:
    connection = server(max_msg_size=20)
    connection.streaming = True
    seen: list[Any] = []
    for wire in (
        frame(0x01, b"x" * 15),
        frame(0x00, "ä".encode()[:1]),
        frame(0x89, b"?"),
        frame(0x00, "ä".encode()[1:] + b"y" * 10),
        frame(0x80, b""),
        frame(0x82, b"1234567890")[:10],
        frame(0x82, b"1234567890")[10:],
    ):
        connection.receive_data(wire)
        while (event := connection.next_event()) is not NEED_DATA:
            seen.append(event)
    assert seen == [
        Fragment(TEXT, "x" * 15, False),
        (WSMsgType.PING, b"?", None),
        Fragment(TEXT, "ä" + "y" * 10, False),
        Fragment(TEXT, "", True),
        Fragment(BINARY, b"1234", False),
        Fragment(BINARY, b"567890", True),
    ]


def test_streaming_begins_and_ends_with_the_next_message(frame: Frame, events: Events) -> None:
    connection = server()
    connection.receive_data(frame(0x02, b"a"))
    assert connection.next_event() is NEED_DATA
    connection.streaming = True
    assert events(connection, [frame(0x80, b"b")]) == [(BINARY, b"ab", None)]
    assert events(connection, [frame(0x02, b"c")]) == [Fragment(BINARY, b"c", False)]
    connection.streaming = False
    assert events(connection, [frame(0x80, b"d")]) == [Fragment(BINARY, b"d", True)]
    assert events(connection, [frame(0x82, b"e")]) == [(BINARY, b"e", None)]


def test_the_limit_counts_for_each_piece_of_a_streamed_message(
    frame: Frame, events: Events
) -> None:
    connection = server(max_msg_size=10)
    connection.streaming = True
    wire = frame(0x02, b"x" * 10) + frame(0x00, b"x" * 10) + frame(0x00, b"x" * 11)
    assert events(connection, [wire]) == [Fragment(BINARY, b"x" * 20, False), 1009]


@pytest.mark.parametrize("deflate", [None, DeflateParameters()])
def test_a_message_sent_in_pieces(
    deflate: DeflateParameters | None, events: Events, frames_in: Callable[..., Any]
) -> None:
    ours = WebSocketConnection(Role.CLIENT, deflate=deflate)
    wire = ours.send_fragment("Hel" * 50, text=True, final=False)
    wire += ours.send_ping(b"?")
    with pytest.raises(LocalProtocolError, match="under way"):
        ours.send_message("no", text=True)
    with pytest.raises(LocalProtocolError, match="either text or binary"):
        ours.send_fragment(b"no", text=False, final=True)
    wire += ours.send_fragment("lo", text=True, final=False)
    wire += ours.send_fragment("", text=True, final=True)
    wire += ours.send_message(b"next", text=False)
    rsv = 0x40 if deflate else 0
    assert [first for first, _ in frames_in(wire)] == [0x01 | rsv, 0x89, 0x00, 0x80, 0x82]
    assert events(server(deflate=deflate), [wire]) == [
        (WSMsgType.PING, b"?", None),
        (TEXT, "Hel" * 50 + "lo", None),
        (BINARY, b"next", None),
    ]


def test_streamed_message_that_is_not_to_be_compressed(frames_in: Callable[..., Any]) -> None:
    ours = server(deflate=DeflateParameters())
    wire = ours.send_fragment(b"a", text=False, final=False, compress=False)
    wire += ours.send_fragment(b"b", text=False, final=True)
    assert frames_in(wire) == [(0x02, b"a"), (0x80, b"b")]


# --- what may be sent when -------------------------------------------------------------------


def test_nothing_is_sent_after_our_close_frame(role: Role) -> None:
    connection = WebSocketConnection(role)
    connection.close()
    for send in (
        lambda: connection.send_message("x", text=True),
        lambda: connection.send_fragment("x", text=True, final=True),
        connection.send_ping,
        connection.send_pong,
        lambda: connection.send_raw(b"", 1),
        lambda: connection.send_raw(b"", 9),
        connection.check_sendable,
    ):
        with pytest.raises(LocalProtocolError, match="closing"):
            send()


def test_raw_frames(frames_in: Callable[[bytes], list[tuple[int, bytes]]]) -> None:
    connection = server()
    wire = connection.send_raw(b"t", 1) + connection.send_raw(b"p", 10)
    assert frames_in(wire) == [(0x81, b"t"), (0x8A, b"p")]
    with pytest.raises(LocalProtocolError, match="whole messages"):
        connection.send_raw(b"", 0)


def test_a_small_message_takes_few_calls() -> None:
    """The shape of the path; counts for what a message costs."""
    client, ours = WebSocketConnection(Role.CLIENT), server()
    wire = client.send_message("x" * 64, text=True)
    calls = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal calls
        calls += event == "call"

    def counted(work: Callable[[], object]) -> int:
        nonlocal calls
        calls = -1  # the lambda's own
        sys.setprofile(count)
        try:
            work()
        finally:
            sys.setprofile(None)
        return calls

    ours.receive_data(wire)
    assert counted(ours.next_event) + 1 <= 4
    assert counted(lambda: ours.receive_data(wire)) <= 2
    assert counted(lambda: ours.send_message("x" * 64, text=True)) <= 3


def test_repr(role: Role) -> None:
    assert repr(WebSocketConnection(role)) == f"<WebSocketConnection {role.value} OPEN>"
