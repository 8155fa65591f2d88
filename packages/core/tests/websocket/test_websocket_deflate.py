"""permessage-deflate (RFC 7692): parameters, contexts, bounds; websockets' own as the other end."""

import random
import types
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from antiphon.core.coding import set_zlib_backend
from antiphon.core.errors import WebSocketError
from antiphon.core.websocket.connection import NEED_DATA, Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters, Deflater, Inflater
from antiphon.core.websocket.models import WSMsgType

TEXT, BINARY = WSMsgType.TEXT, WSMsgType.BINARY
Frame = Callable[..., bytes]
Events = Callable[..., list[Any]]

# RFC 7692 section 7.2.3
EXAMPLES = [
    pytest.param("f248cdc9c90700", b"Hello", id="one block"),
    pytest.param("000500faff48656c6c6f00", b"Hello", id="no compression"),
    pytest.param("f348cdc9c9070000", b"Hello", id="BFINAL"),
    pytest.param("f248050000 00ffffcac9c90700".replace(" ", ""), b"Hello", id="two blocks"),
    pytest.param("00", b"", id="empty message"),
    pytest.param("0300", b"", id="empty last block"),
]


@pytest.mark.parametrize(("wire", "expected"), EXAMPLES)
def test_examples_of_the_rfc(wire: str, expected: bytes, frame: Frame, events: Events) -> None:
    data = bytes.fromhex(wire)
    for cut in range(len(data) + 1):
        connection = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
        frames = frame(0x42, data[:cut]) + frame(0x80, data[cut:])
        assert events(connection, [frames]) == [(BINARY, expected, None)]


def test_a_context_is_kept_between_messages(frame: Frame, events: Events) -> None:
    """Section 7.2.3.2: the second message refers to the first."""
    connection = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
    wire = frame(0xC1, bytes.fromhex("f248cdc9c90700")) + frame(0xC1, bytes.fromhex("f200110000"))
    assert events(connection, [wire]) == [(TEXT, "Hello", None)] * 2


def test_a_context_that_is_not_kept_cannot_be_referred_to(frame: Frame, events: Events) -> None:
    connection = WebSocketConnection(
        Role.SERVER, deflate=DeflateParameters(client_no_context_takeover=True)
    )
    wire = frame(0xC1, bytes.fromhex("f248cdc9c90700")) + frame(0xC1, bytes.fromhex("f200110000"))
    assert events(connection, [wire]) == [(TEXT, "Hello", None), 1007]


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("sender", [Role.SERVER, Role.CLIENT])
def test_every_parameter_both_ways(
    bits: int, takeover: bool, sender: Role, events: Events, frames_in: Callable[..., Any]
) -> None:
    agreed = DeflateParameters(
        server_max_window_bits=bits,
        client_max_window_bits=bits,
        server_no_context_takeover=not takeover,
        client_no_context_takeover=not takeover,
    )
    ours = WebSocketConnection(sender, deflate=agreed)
    theirs = WebSocketConnection(
        Role.CLIENT if sender is Role.SERVER else Role.SERVER, deflate=agreed
    )
    chance = random.Random(bits)
    messages = [chance.randbytes(3000) * 3 + b"the same", b"", b"the same", b"the same" * 20] * 3
    inflater = zlib.decompressobj(-bits)
    for message in messages:
        wire = ours.send_message(message, text=False, compress=True)
        [(first, payload)] = frames_in(wire)
        assert first == 0xC2
        # A peer that keeps to the window that was agreed on can read it.
        assert inflater.decompress(payload + b"\0\0\xff\xff") == message
        if not takeover:
            inflater = zlib.decompressobj(-bits)
        assert events(theirs, [wire]) == [(BINARY, message, None)]


def test_a_kept_context_makes_repetition_cheap() -> None:
    message = b"".join(bytes([at % 251]) for at in range(400))
    kept = Deflater(15, keep_context=True)
    fresh = Deflater(15, keep_context=False)
    for deflater in (kept, fresh):
        deflater.compress(message)
    assert len(kept.compress(message)) < 30 < 200 < len(fresh.compress(message))


def test_small_messages_are_not_compressed_unless_told(frames_in: Callable[..., Any]) -> None:
    ours = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
    firsts = [
        frames_in(ours.send_message("x" * size, text=True, compress=compress))[0][0]
        for size, compress in ((63, None), (64, None), (1, True), (1000, False))
    ]
    assert firsts == [0x81, 0xC1, 0xC1, 0x81]


def test_a_level_counts_for_one_message_and_keeps_the_window_right(events: Events) -> None:
    ours = WebSocketConnection(Role.CLIENT, deflate=DeflateParameters())
    theirs = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
    sizes = []
    for level in (None, 9, None, 1, 1, None):
        message = random.Random(1).choices(b"abcdefgh", k=5000)
        wire = ours.send_message(bytes(message), text=False, compress=True, level=level)
        sizes.append(len(wire))
        assert events(theirs, [wire]) == [(BINARY, bytes(message), None)]
    assert sizes[0] == sizes[2] == sizes[5]  # each begins a new context
    assert sizes[3] > sizes[1]
    assert sizes[4] < sizes[3] / 4  # the level stayed, and so did the context


# --- bounds ----------------------------------------------------------------------------------


def test_inflation_stops_at_the_limit(frame: Frame, events: Events) -> None:
    """CVE-2018-1000518, CVE-2026-1526: it is what comes out that counts."""
    bomb = Deflater(15, keep_context=True).compress(bytes(50_000_000))
    connection = WebSocketConnection(Role.SERVER, max_msg_size=100_000, deflate=DeflateParameters())
    assert len(bomb) < 60_000
    assert events(connection, [frame(0xC2, bomb)]) == [1009]


def test_inflation_stops_at_the_limit_in_fragments_too(frame: Frame, events: Events) -> None:
    bomb = Deflater(15, keep_context=True).compress(bytes(200_000))
    connection = WebSocketConnection(Role.SERVER, max_msg_size=100_000, deflate=DeflateParameters())
    wire = b"".join(frame(0x00 if at else 0x42, bomb[at : at + 1]) for at in range(len(bomb)))
    assert events(connection, [wire]) == [1009]


@pytest.mark.parametrize("size", [99_999, 100_000])
def test_a_message_just_within_the_limit(size: int, frame: Frame, events: Events) -> None:
    data = bytes(size)
    wire = frame(0xC2, Deflater(15, keep_context=True).compress(data))
    connection = WebSocketConnection(Role.SERVER, max_msg_size=100_000, deflate=DeflateParameters())
    assert events(connection, [wire]) == [(BINARY, data, None)]


def test_inflater_never_makes_more_than_a_byte_above_the_limit() -> None:
    bomb = Deflater(15, keep_context=True).compress(bytes(10_000))
    assert Inflater(keep_context=True).decompress(bomb, 10_000, final=True) == bytes(10_000)
    with pytest.raises(WebSocketError) as caught:
        Inflater(keep_context=True).decompress(bomb, 9_999, final=True)
    assert caught.value.code == 1009


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"\xff\xff\xff\xff", id="no block type"),
        pytest.param(b"\x00\x05\x00\x00\x00Hello", id="lengths disagree"),
        pytest.param(bytes.fromhex("f2001100"), id="refers to what never was"),
    ],
)
def test_broken_data_is_1007(wire: bytes, frame: Frame, events: Events) -> None:
    connection = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
    assert events(connection, [frame(0xC2, wire)]) == [1007]


class CountingZlib(types.ModuleType):
    """zlib, and how many decompressors it was asked for."""

    decompressors = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(zlib, name)

    def decompressobj(self, wbits: int = 15) -> Any:
        self.decompressors += 1
        return zlib.decompressobj(wbits)


def test_last_blocks_without_end_are_refused(frame: Frame, events: Events) -> None:
    """Two bytes suffice for one, and each costs a decompressor and a copy of what follows."""
    counting = CountingZlib("zlib")
    try:
        set_zlib_backend(counting)
        connection = WebSocketConnection(Role.CLIENT, deflate=DeflateParameters())
        assert events(connection, [frame(0xC2, b"\x03\x00" * 500_000, masked=False)]) == [1007]
    finally:
        set_zlib_backend(zlib)
    assert 1 < counting.decompressors < 50


@pytest.mark.parametrize(("count", "passes"), [(32, True), (33, False)])
def test_last_blocks_are_counted_alike_however_they_come(
    count: int, passes: bool, frame: Frame, events: Events
) -> None:
    wire = frame(0xC2, b"\x03\x00" * count)
    for pieces in ([wire], [wire[at : at + 1] for at in range(len(wire))]):
        connection = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
        assert events(connection, pieces) == ([(BINARY, b"", None)] if passes else [1007])
        if passes:  # and each message has its own count
            assert events(connection, pieces) == [(BINARY, b"", None)]


def test_what_came_of_text_is_checked_after_inflation(frame: Frame, events: Events) -> None:
    connection = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
    data = Deflater(15, keep_context=True).compress(b"\xff")
    assert events(connection, [frame(0xC1, data)]) == [1007]


def test_plain_messages_between_compressed_ones_leave_the_context_alone(events: Events) -> None:
    ours = WebSocketConnection(Role.CLIENT, deflate=DeflateParameters())
    theirs = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
    wire = b"".join(
        ours.send_message("same text " * 10, text=True, compress=compress)
        for compress in (True, False, True)
    )
    assert events(theirs, [wire]) == [(TEXT, "same text " * 10, None)] * 3


@pytest.mark.parametrize("field", ["server_max_window_bits", "client_max_window_bits"])
@pytest.mark.parametrize("bits", [7, 16, 0, -15, 2**31])
def test_windows_out_of_range(field: str, bits: int) -> None:
    """CVE-2026-2229: such a number must not reach zlib."""
    options: Any = {field: bits}
    with pytest.raises(ValueError, match=f"{field} must be from 8 to 15"):
        DeflateParameters(**options)


def test_zlib_cannot_do_with_a_window_of_8() -> None:
    with pytest.raises(ValueError, match="from 9 to 15"):
        Deflater(8, keep_context=True)


def test_other_backends_do_as_well(events: Events) -> None:
    import isal.isal_zlib

    try:
        set_zlib_backend(isal.isal_zlib)
        ours = WebSocketConnection(Role.CLIENT, deflate=DeflateParameters())
        theirs = WebSocketConnection(Role.SERVER, deflate=DeflateParameters())
        for text in ("Hello " * 50, "", "Hello " * 50):
            wire = ours.send_message(text, text=True, compress=True)
            assert events(theirs, [wire]) == [(TEXT, text, None)]
    finally:
        set_zlib_backend(zlib)


# --- the other implementation ----------------------------------------------------------------


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("bits", [9, 12, 15])
def test_websockets_reads_what_we_write_and_we_what_it_writes(
    takeover: bool, bits: int, frames_in: Callable[..., Any], frame: Frame, events: Events
) -> None:
    deflate = pytest.importorskip("websockets.extensions.permessage_deflate")
    frames = pytest.importorskip("websockets.frames")
    theirs = deflate.PerMessageDeflate(not takeover, not takeover, bits, bits)
    agreed = DeflateParameters(
        server_no_context_takeover=not takeover,
        client_no_context_takeover=not takeover,
        server_max_window_bits=bits,
        client_max_window_bits=bits,
    )
    ours = WebSocketConnection(Role.SERVER, deflate=agreed)
    chance = random.Random(bits)
    for size in (0, 1, 100, 5_000, 70_000, 100):
        message = bytes(chance.choices(b"abcdefghij", k=size))
        [(first, payload)] = frames_in(ours.send_message(message, text=False, compress=True))
        assert first == 0xC2
        read = theirs.decode(frames.Frame(frames.Opcode.BINARY, payload, rsv1=True))
        assert bytes(read.data) == message
        sent = theirs.encode(frames.Frame(frames.Opcode.BINARY, message))
        assert sent.rsv1
        assert events(ours, [frame(0xC2, bytes(sent.data))]) == [(BINARY, message, None)]
    assert ours.next_event() is NEED_DATA
