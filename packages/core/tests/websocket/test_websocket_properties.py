"""What holds for any input: any split gives the same, any bytes end in events or one error."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.core.errors import WebSocketError
from antiphon.core.websocket._inner import xor_mask
from antiphon.core.websocket.connection import (
    NEED_DATA,
    Fragment,
    Role,
    WebSocketConnection,
)
from antiphon.core.websocket.deflate import DeflateParameters
from antiphon.core.websocket.models import WSMsgType

LIMIT = 300
RELAXED = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FIRSTS = [0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0x41, 0xC1, 0xC2, 0xC0, 0x83, 0xFF]

payloads = st.one_of(
    st.binary(max_size=140),
    st.text(max_size=40).map(str.encode),
    st.binary(min_size=LIMIT - 2, max_size=LIMIT + 2),
    st.integers(0, 65535).map(lambda code: code.to_bytes(2, "big")),
)
frames = st.tuples(st.sampled_from(FIRSTS), payloads)
cuts = st.lists(st.integers(0, 2000), max_size=12)
deflates = st.sampled_from([None, DeflateParameters()])


def encode(first: int, payload: bytes, *, masked: bool = True) -> bytes:
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    if not masked:
        return bytes([first]) + length + payload
    head = bytes([first, length[0] | 0x80]) + length[1:]
    return head + b"\x01\x80\xfe\x55" + xor_mask(payload, b"\x01\x80\xfe\x55")


def pieces_of(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def drive(connection: WebSocketConnection, pieces: list[bytes]) -> list[Any]:
    """Events and the error's code; streamed pieces joined; retained bytes bounded throughout."""
    seen: list[Any] = []
    failed = False
    for piece in pieces:
        connection.receive_data(piece)
        while True:
            try:
                event = connection.next_event()
            except WebSocketError as exc:
                assert not failed, "a second error"
                failed = True
                seen.append(exc.code)
                continue
            if event is NEED_DATA:
                break
            assert not failed, "an event after an error"
            before = seen[-1] if seen else None
            if isinstance(event, Fragment) and isinstance(before, Fragment) and not before.final:
                data: Any = before.data + event.data  # type: ignore[operator]  # both are str or both bytes
                seen[-1] = Fragment(event.type, data, event.final)
            else:
                seen.append(event)
        assert connection.reader.buffered <= 14 + 125
        assert connection._assembly.kept <= LIMIT + 3
    return seen


@RELAXED
@given(st.lists(frames, max_size=6), cuts, deflates, st.booleans(), st.booleans())
def test_any_split_of_frames_means_the_same(
    items: list[tuple[int, bytes]],
    at: list[int],
    deflate: DeflateParameters | None,
    streaming: bool,
    decode_text: bool,
) -> None:
    wire = b"".join(encode(*item) for item in items)

    def seen(pieces: list[bytes]) -> list[Any]:
        connection = WebSocketConnection(
            Role.SERVER, max_msg_size=LIMIT, deflate=deflate, decode_text=decode_text
        )
        connection.streaming = streaming
        outcome = drive(connection, pieces)
        if streaming and outcome[-1:] == [1007]:
            # How much of a text was given out before its first wrong byte depends on the pieces.
            outcome = [
                item for item in outcome if not (isinstance(item, Fragment) and not item.final)
            ]
        return outcome

    whole = seen([wire])
    assert seen(pieces_of(wire, at)) == whole
    assert seen([wire[n : n + 1] for n in range(len(wire))]) == whole


@RELAXED
@given(st.binary(max_size=300), cuts, deflates, st.sampled_from(list(Role)))
def test_any_bytes_end_in_events_or_one_error(
    wire: bytes, at: list[int], deflate: DeflateParameters | None, role: Role
) -> None:
    whole = drive(WebSocketConnection(role, max_msg_size=LIMIT, deflate=deflate), [wire])
    again = WebSocketConnection(role, max_msg_size=LIMIT, deflate=deflate)
    assert drive(again, pieces_of(wire, at)) == whole


messages = st.one_of(st.text(max_size=300), st.binary(max_size=300))


@RELAXED
@given(
    st.lists(st.tuples(messages, st.booleans(), st.sampled_from([None, 1, 9])), max_size=6),
    st.builds(
        DeflateParameters,
        server_no_context_takeover=st.booleans(),
        client_no_context_takeover=st.booleans(),
        server_max_window_bits=st.integers(9, 15),
        client_max_window_bits=st.integers(9, 15),
    )
    | st.none(),
    st.sampled_from(list(Role)),
    cuts,
)
def test_what_one_end_sends_the_other_receives(
    sent: list[tuple[str | bytes, bool, int | None]],
    deflate: DeflateParameters | None,
    role: Role,
    at: list[int],
) -> None:
    ours = WebSocketConnection(role, deflate=deflate)
    theirs = WebSocketConnection(
        Role.CLIENT if role is Role.SERVER else Role.SERVER, max_msg_size=0, deflate=deflate
    )
    wire = b"".join(
        ours.send_message(data, text=isinstance(data, str), compress=compress, level=level)
        for data, compress, level in sent
    )
    got = []
    for piece in pieces_of(wire, at):
        theirs.receive_data(piece)
        while (event := theirs.next_event()) is not NEED_DATA:
            got.append((event.type, event.data))
    assert got == [
        (WSMsgType.TEXT if isinstance(data, str) else WSMsgType.BINARY, data) for data, _, _ in sent
    ]


# --- other implementations, run as oracles ---------------------------------------------------


def by_websockets(wire: bytes) -> list[Any]:
    """Messages and the error's code as websockets has them."""
    protocol = pytest.importorskip("websockets.protocol")
    end = protocol.Protocol(protocol.Side.SERVER, max_size=LIMIT)
    end.receive_data(wire)
    seen: list[Any] = []
    parts: list[bytes] = []
    text = False
    for frame in end.events_received():
        code = int(frame.opcode)
        if code in (1, 2):
            text, parts = code == 1, []
        if code in (0, 1, 2):
            parts.append(bytes(frame.data))
            if frame.fin:
                data = b"".join(parts)
                if not text:
                    seen.append((2, data))
                    continue
                try:
                    seen.append((1, data.decode()))
                except UnicodeDecodeError:  # it leaves text to its caller
                    return [*seen, 1007]
        elif code != 8:
            seen.append((code, bytes(frame.data)))
        else:
            return [*seen, 8]
    if end.parser_exc is not None and not isinstance(end.parser_exc, EOFError):
        seen.append(end.close_sent.code if end.close_sent else 1006)
    return seen


def by_wsproto(wire: bytes) -> list[Any]:
    """Messages and the error's code as wsproto has them, which has no limit of size."""
    proto = pytest.importorskip("wsproto.connection")
    events = pytest.importorskip("wsproto.events")
    utilities = pytest.importorskip("wsproto.utilities")
    end = proto.Connection(proto.ConnectionType.SERVER)
    end.receive_data(wire)
    seen: list[Any] = []
    parts: list[Any] = []
    try:
        for event in end.events():
            if isinstance(event, events.TextMessage | events.BytesMessage):
                data = event.data if isinstance(event, events.TextMessage) else bytes(event.data)
                parts.append(data)
                if event.message_finished:
                    is_text = isinstance(event, events.TextMessage)
                    seen.append((1 if is_text else 2, type(data)().join(parts)))
                    parts = []
            elif isinstance(event, events.Ping):
                seen.append((9, bytes(event.payload)))
            elif isinstance(event, events.Pong):
                seen.append((10, bytes(event.payload)))
            elif isinstance(event, events.CloseConnection):
                # It reports the peer's frame and its own failures alike.
                seen.append(8)
                break
    except utilities.RemoteProtocolError:
        seen.append(1002)
    return seen


def by_us(wire: bytes) -> list[Any]:
    connection = WebSocketConnection(Role.SERVER, max_msg_size=LIMIT)
    seen: list[Any] = []
    for event in drive(connection, [wire]):
        if isinstance(event, int):
            seen.append(event)
        elif event.type is WSMsgType.CLOSE:
            seen.append(8)
        else:
            seen.append((int(event.type), event.data))
    return seen


plain_frames = st.tuples(
    st.sampled_from([0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0x83, 0xC1]),
    st.one_of(
        st.binary(max_size=140),
        st.text(max_size=40).map(str.encode),
        st.sampled_from([1000, 1001, 3000, 4999]).map(lambda code: code.to_bytes(2, "big")),
    ),
)


@RELAXED
@given(st.lists(plain_frames, max_size=5))
def test_websockets_sees_the_same(items: list[tuple[int, bytes]]) -> None:
    wire = b"".join(encode(*item) for item in items)
    ours, theirs = by_us(wire), by_websockets(wire)
    if ours[-1:] == [1007]:
        # We refuse text at its first wrong byte, websockets at the message's end at the earliest.
        assert theirs[: len(ours) - 1] == ours[:-1]
        assert not any(isinstance(item, tuple) and item[0] == 1 for item in theirs[len(ours) :])
    elif (ours[-1:], theirs[-1:]) in (([8], [1002]), ([1002], [1007])):
        # It refuses to be closed inside a message, where RFC 6455 section 5.4 lets any control
        # frame in; and of a close frame with a wrong code and a wrong reason it names the reason.
        assert 0x88 in [first for first, _ in items]
        assert theirs[:-1] == ours[:-1]
    else:
        assert theirs == ours


@RELAXED
@given(st.lists(plain_frames.filter(lambda item: item[0] != 0x88), max_size=5))
def test_wsproto_sees_the_same(items: list[tuple[int, bytes]]) -> None:
    wire = b"".join(encode(*item) for item in items)
    ours, theirs = by_us(wire), by_wsproto(wire)
    failed = bool(ours) and isinstance(ours[-1], int)
    if failed and ours[-1] == 1009:
        return
    assert theirs[: len(ours) - failed] == ours[: len(ours) - failed]
    assert (bool(theirs) and isinstance(theirs[-1], int)) == failed


# --- linear ----------------------------------------------------------------------------------


def cost(wire: bytes, size: int, **options: Any) -> float:
    """CPU seconds to take *wire* in pieces of *size* bytes."""
    best = float("inf")
    for _ in range(2):
        connection = WebSocketConnection(Role.SERVER, **options)
        began = time.thread_time()
        for at in range(0, len(wire), size):
            connection.receive_data(wire[at : at + size])
            try:
                while connection.next_event() is not NEED_DATA:
                    pass
            except WebSocketError:
                pass
        best = min(best, time.thread_time() - began)
    return best


def grows_linearly(measure: Callable[[int], float]) -> bool:
    """Whether forty times the input costs nearer to forty times as much than to 1600 times, in
    one of several attempts: what else the machine does makes things slower, never faster."""
    return any(measure(40) < measure(1) * 40 * 6 + 0.01 for _ in range(8))


@pytest.mark.parametrize(
    ("unit", "size", "count"),
    [
        pytest.param(encode(0x89, b""), 1 << 30, 50, id="empty pings in one piece"),
        pytest.param(encode(0x82, b"x"), 4096, 50, id="small messages"),
        pytest.param(encode(0x82, b"x" * 60), 1, 2, id="a byte a time"),
        pytest.param(encode(0x01, b"x") + encode(0x80, b""), 1 << 30, 50, id="two frames each"),
    ],
)
def test_work_is_linear(unit: bytes, size: int, count: int) -> None:
    assert grows_linearly(lambda times: cost(unit * count * times, size))


@pytest.mark.parametrize("last", [b"", b"x"])
def test_very_many_fragments_are_linear(last: bytes) -> None:
    def wire(count: int) -> bytes:
        return encode(0x01, b"") + encode(0x00, last) * count

    assert grows_linearly(lambda times: cost(wire(50 * times), 1 << 30))
