"""What a peer's frames may be (RFC 6455 section 5), in every split."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from antiphon.core.errors import LocalProtocolError, WebSocketError
from antiphon.core.websocket.connection import Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters
from antiphon.core.websocket.frames import NEED_DATA, WebSocketReader, WebSocketWriter
from antiphon.core.websocket.models import WSMsgType

TEXT, BINARY, PING, PONG = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG
LIMIT = 1000


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        pytest.param([(0x81, b"Hello")], [(TEXT, "Hello", None)], id="text"),
        pytest.param([(0x81, b"")], [(TEXT, "", None)], id="empty text"),
        pytest.param([(0x82, b"\x00\xff")], [(BINARY, b"\x00\xff", None)], id="binary"),
        pytest.param([(0x82, b"")], [(BINARY, b"", None)], id="empty binary"),
        pytest.param(
            [(0x01, b"Hel"), (0x80, b"lo")], [(TEXT, "Hello", None)], id="text in two frames"
        ),
        pytest.param(
            [(0x02, b""), (0x00, b""), (0x80, b"")], [(BINARY, b"", None)], id="empty fragments"
        ),
        pytest.param(
            [(0x01, "ä€".encode()[:1]), (0x00, "ä€".encode()[1:3]), (0x80, "ä€".encode()[3:])],
            [(TEXT, "ä€", None)],
            id="characters across fragments",
        ),
        pytest.param(
            [(0x01, b"a"), (0x89, b"?"), (0x00, b"b"), (0x8A, b"!"), (0x80, b"c")],
            [(PING, b"?", None), (PONG, b"!", None), (TEXT, "abc", None)],
            id="control frames between fragments",
        ),
        pytest.param([(0x89, b"x" * 125)], [(PING, b"x" * 125, None)], id="longest ping"),
        pytest.param([(0x8A, b"")], [(PONG, b"", None)], id="unasked pong"),
        pytest.param(
            [(0x82, b"x" * 125), (0x82, b"y" * 126)],
            [(BINARY, b"x" * 125, None), (BINARY, b"y" * 126, None)],
            id="lengths in 7 and 16 bits",
        ),
        pytest.param([(0x91, b"a")], [1002], id="RSV3"),
        pytest.param([(0xA1, b"a")], [1002], id="RSV2"),
        pytest.param([(0xC1, b"a")], [1002], id="RSV1 without compression, CVE-2026-59881"),
        pytest.param([(0xC9, b"")], [1002], id="RSV1 on a ping"),
        *(pytest.param([(0x80 | op, b"")], [1002], id=f"opcode {op:#x}") for op in (3, 7, 11, 15)),
        pytest.param([(0x09, b"")], [1002], id="fragmented ping"),
        pytest.param([(0x08, b"")], [1002], id="fragmented close"),
        pytest.param([(0x89, b"x" * 126)], [1002], id="ping too long"),
        pytest.param([(0x88, b"\x03\xe8" + b"x" * 124)], [1002], id="close too long"),
        pytest.param([(0x80, b"a")], [1002], id="continuation of nothing"),
        pytest.param([(0x00, b"a")], [1002], id="unfinished continuation of nothing"),
        pytest.param([(0x01, b"a"), (0x81, b"b")], [1002], id="text inside a message"),
        pytest.param([(0x01, b"a"), (0x02, b"b")], [1002], id="binary inside a message"),
        pytest.param(
            [(0x02, b"a"), (0x80, b"b"), (0x80, b"c")],
            [(BINARY, b"ab", None), 1002],
            id="continuation after the end",
        ),
        pytest.param(
            [(0x81, b"ok"), (0x83, b"")],
            [(TEXT, "ok", None), 1002],
            id="what came before an error stays",
        ),
        pytest.param(
            [(0x83, b""), (0x81, b"no")], [1002], id="nothing follows an error, GHSA-2g87-pp6c-29x5"
        ),
        pytest.param([(0x82, b"x" * (LIMIT + 1))], [1009], id="too large"),
        pytest.param([(0x02, b"x" * LIMIT), (0x80, b"x")], [1009], id="too large in sum"),
        pytest.param(
            [(0x02, b"x" * LIMIT), (0x80, b"")], [(BINARY, b"x" * LIMIT, None)], id="just not"
        ),
    ],
)
def test_received_frames(
    frames: list[tuple[int, bytes]],
    expected: list[Any],
    role: Role,
    frame: Callable[..., bytes],
    every_split: Callable[[bytes], Iterator[list[bytes]]],
    events: Callable[..., list[Any]],
) -> None:
    wire = b"".join(frame(*item, masked=role is Role.SERVER) for item in frames)
    for pieces in every_split(wire):
        assert events(WebSocketConnection(role, max_msg_size=LIMIT), pieces) == expected


def test_frames_masked_against_the_rules_are_refused(
    role: Role,
    frame: Callable[..., bytes],
    every_split: Callable[[bytes], Iterator[list[bytes]]],
    events: Callable[..., list[Any]],
) -> None:
    """Section 5.1: a client masks, a server does not."""
    wire = frame(0x81, b"Hello", masked=role is Role.CLIENT)
    for pieces in every_split(wire):
        assert events(WebSocketConnection(role), pieces) == [1002]


@pytest.mark.parametrize(
    ("length", "width", "code"),
    [
        pytest.param(5, 3, 1002, id="5 in 16 bits"),
        pytest.param(125, 9, 1002, id="125 in 64 bits"),
        pytest.param(65535, 9, 1002, id="65535 in 64 bits"),
        pytest.param(2**63, 9, 1002, id="most significant bit, CVE-2026-1528"),
        pytest.param(2**63 - 1, 9, 1009, id="largest legal length"),
        pytest.param(LIMIT + 1, 3, 1009, id="a byte above the limit, CVE-2026-54274"),
    ],
)
def test_lengths_are_judged_before_any_payload(
    length: int,
    width: int,
    code: int,
    role: Role,
    frame: Callable[..., bytes],
    events: Callable[..., list[Any]],
) -> None:
    wire = frame(0x82, length=length, width=width, masked=role is Role.SERVER)
    assert events(WebSocketConnection(role, max_msg_size=LIMIT), [wire]) == [code]


@pytest.mark.parametrize(
    ("beginning", "code"),
    [
        pytest.param(b"\x83", 1002, id="opcode, from one byte"),
        pytest.param(b"\xf1", 1002, id="reserved bits, from one byte"),
        pytest.param(b"\x09", 1002, id="fragmented ping, from one byte"),
        pytest.param(b"\x81\x05", 1002, id="no mask, from two bytes"),
        pytest.param(b"\x89\xfe", 1002, id="long ping, from two bytes"),
    ],
)
def test_a_beginning_that_cannot_become_right_is_refused_at_once(
    beginning: bytes, code: int, events: Callable[..., list[Any]]
) -> None:
    assert events(WebSocketConnection(Role.SERVER), [beginning]) == [code]


def test_the_limit_counts_for_a_message_and_not_for_all(
    frame: Callable[..., bytes], events: Callable[..., list[Any]]
) -> None:
    connection = WebSocketConnection(Role.SERVER, max_msg_size=10)
    wire = (frame(0x02, b"12345") + frame(0x80, b"67890")) * 3
    assert events(connection, [wire]) == [(BINARY, b"1234567890", None)] * 3


def test_no_limit(frame: Callable[..., bytes], events: Callable[..., list[Any]]) -> None:
    connection = WebSocketConnection(Role.CLIENT, max_msg_size=0)
    data = bytes(5_000_000)
    assert events(connection, [frame(0x82, data, masked=False)]) == [(BINARY, data, None)]


def test_reader_gives_large_frames_in_pieces_and_keeps_nothing(
    frame: Callable[..., bytes],
) -> None:
    reader = WebSocketReader(Role.SERVER)
    wire = frame(0x82, b"0123456789" * 20)
    parts = []
    for at in range(0, len(wire), 7):
        reader.receive_data(wire[at : at + 7])
        while True:
            part = reader.next_part()
            if part is NEED_DATA:
                break
            parts.append(part)
        assert reader.buffered < 14
    assert b"".join(part.data for part in parts) == b"0123456789" * 20
    assert [part.begins for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [part.ends for part in parts] == [False] * (len(parts) - 1) + [True]
    assert not reader.within_frame


def test_reader_knows_whether_a_frame_is_incomplete(frame: Callable[..., bytes]) -> None:
    reader = WebSocketReader(Role.SERVER)
    assert not reader.within_frame
    reader.receive_data(frame(0x81, b"abc")[:3])
    assert reader.next_part() is NEED_DATA
    assert reader.within_frame


def test_reader_drops_what_comes_after_an_error(frame: Callable[..., bytes]) -> None:
    reader = WebSocketReader(Role.SERVER)
    reader.receive_data(b"\xff\xff")
    with pytest.raises(WebSocketError):
        reader.next_part()
    for _ in range(100):
        reader.receive_data(frame(0x81, b"x" * 100))
        assert reader.next_part() is NEED_DATA
    assert reader.buffered == 0


@pytest.mark.parametrize(
    ("first", "payload"),
    [(0x81, b""), (0x82, b"x" * 125), (0x82, b"x" * 126), (0x02, b"x" * 65536), (0x89, b"ping")],
)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_written_frames(
    first: int,
    payload: bytes,
    kind: Callable[[bytes], Any],
    role: Role,
    frame: Callable[..., bytes],
) -> None:
    wire = WebSocketWriter(role).frame(first, kind(payload))
    if role is Role.SERVER:
        assert wire == frame(first, payload, masked=False)
    else:
        header = len(wire) - len(payload)
        key = wire[header - 4 : header]
        assert wire == frame(first, payload, key=key)


def test_each_frame_of_a_client_has_its_own_key() -> None:
    writer = WebSocketWriter(Role.CLIENT)
    assert len({writer.frame(0x82, b"")[2:6] for _ in range(50)}) == 50


@pytest.mark.parametrize(("first", "size"), [(0x89, 126), (0x09, 1), (0x88, 126)])
def test_control_frames_against_the_rules_are_not_written(
    first: int, size: int, role: Role
) -> None:
    with pytest.raises(LocalProtocolError, match="control frame"):
        WebSocketWriter(role).frame(first, b"x" * size)


def test_rsv1_has_a_meaning_once_compression_is_agreed_on(
    frame: Callable[..., bytes], events: Callable[..., list[Any]]
) -> None:
    connection = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
    # RFC 7692 section 7.2.3.1
    assert events(connection, [frame(0xC1, bytes.fromhex("f248cdc9c90700"))]) == [
        (TEXT, "Hello", None)
    ]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param([(0xC9, b"")], 1002, id="ping"),
        pytest.param([(0xC8, b"")], 1002, id="close"),
        pytest.param([(0x41, b""), (0xC0, b"")], 1002, id="continuation"),
        pytest.param([(0x01, b""), (0xC0, b"")], 1002, id="continuation of a plain message"),
    ],
)
def test_rsv1_belongs_to_first_frames_of_messages(
    frames: list[tuple[int, bytes]],
    code: int,
    frame: Callable[..., bytes],
    events: Callable[..., list[Any]],
) -> None:
    connection = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
    assert events(connection, [b"".join(frame(*item) for item in frames)]) == [code]


def test_storing_bytes_costs_no_more_the_more_there_are(frame: Callable[..., bytes]) -> None:
    """Somebody who does not look at what comes, as who has paused, must not pay for its square."""
    reader = WebSocketReader(Role.SERVER)
    wire = frame(0x82, b"x" * 300) * 100
    for at in range(0, len(wire), 7):
        reader.receive_data(wire[at : at + 7])
        assert len(reader.data) <= 7, "what was stored is copied with each piece that comes"
    assert reader.buffered == len(wire)
    assert reader.within_frame
    got = b""
    while (part := reader.next_part()) is not NEED_DATA:
        got += part.data
    assert got == b"x" * 300 * 100
    assert not reader.within_frame
    assert reader.buffered == 0
    assert reader.data == b""


@pytest.mark.parametrize("size", [5, 300])
def test_looking_at_less_than_comes_copies_it_once(frame: Callable[..., bytes], size: int) -> None:
    """One frame is taken for every two that come."""
    reader = WebSocketReader(Role.SERVER)
    one = frame(0x82, b"x" * size)
    stored: list[bytes] = []
    for _ in range(1000):
        reader.receive_data(one[:4])
        reader.receive_data(one[4:] + one)
        assert reader.next_part() == (0x82, b"x" * size, True, True)
        if not stored or stored[-1] is not reader.data:
            stored.append(reader.data)
    # Each time all that had been stored, and each time twice as much.
    assert len(stored) <= 15
    assert sum(map(len, stored)) <= 4 * 1000 * 2 * len(one)
    for _ in range(1000):
        assert reader.next_part() == (0x82, b"x" * size, True, True)
    assert reader.next_part() is NEED_DATA
    reader.receive_data(one[:3])
    reader.receive_data(one[3:-1])
    reader.fail()
    assert reader.buffered == 0
    assert reader.next_part() is NEED_DATA
