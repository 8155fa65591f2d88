"""How much one peer may have done for it in one turn of the event loop, counted in frames."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from antiphon.core.aio.channel import WebSocketChannel
from antiphon.core.limits import WebSocketLimits
from antiphon.core.websocket.connection import Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters, Deflater
from antiphon.core.websocket.models import WS_CLOSED_MESSAGE, WSMsgType

TEXT, BINARY, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE
Run = Callable[["Coroutine[Any, Any, None]"], None]
Frame = Callable[..., bytes]

PER_TURN = 300
"""Frames that may be looked at between two turns of the loop."""
FLOOD = 10_000
"""Empty masked frames in one read; 43,000 fit into 256 KiB."""


class CountingConnection:
    """A `WebSocketConnection` that counts what is asked of it, by turn of the loop."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self._real = connection
        self.turns = [0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_real", "turns"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._real, name, value)

    def step(self) -> Any:
        self.turns[-1] += 1
        return self._real.step()


async def count_turns(connection: CountingConnection, done: Callable[[], bool]) -> None:
    """Begin a new count with every turn of the loop until *done* says so."""
    connection.turns.append(0)
    while not done():
        assert len(connection.turns) < 10 * FLOOD, "it never ends"
        await asyncio.sleep(0)
        connection.turns.append(0)


def flooded(
    below: Any, wire: bytes, *, deflate: DeflateParameters | None = None, **options: Any
) -> tuple[WebSocketChannel, CountingConnection]:
    real = WebSocketConnection(Role.SERVER, max_msg_size=4 << 20, deflate=deflate)
    counting = CountingConnection(real)
    channel = WebSocketChannel(below, counting, **options)  # type: ignore[arg-type]  # it does what one does
    below.feed(wire)
    counting.turns.append(0)
    return channel, counting


@pytest.mark.parametrize(
    ("first", "unit", "last", "expected"),
    [
        pytest.param(b"", (0x89, b""), (0x81, b"x"), (TEXT, "x", None), id="pings"),
        pytest.param(b"", (0x8A, b""), (0x81, b"x"), (TEXT, "x", None), id="pongs"),
        pytest.param(
            (0x01, b""), (0x00, b""), (0x80, b"x"), (TEXT, "x", None), id="empty fragments"
        ),
        pytest.param(
            (0x02, b""),
            (0x00, b"y"),
            (0x80, b""),
            (BINARY, b"y" * FLOOD, None),
            id="fragments of a byte",
        ),
    ],
)
def test_a_flood_of_frames_is_looked_at_in_many_turns(
    first: Any, unit: Any, last: Any, expected: Any, memory_channel: Any, frame: Frame, run: Run
) -> None:
    async def main() -> None:
        below = memory_channel()
        wire = frame(*unit) * FLOOD + frame(*last)
        ws, counting = flooded(below, frame(*first) + wire if first else wire)
        assert not below.reading, "more is read although there is enough to look at"
        receiving = asyncio.create_task(ws.receive())
        await count_turns(counting, receiving.done)
        assert await receiving == expected
        assert max(counting.turns) <= PER_TURN
        assert sum(counting.turns) >= FLOOD
        assert below.reading
        below.lose()

    run(main())


def test_messages_are_taken_in_many_turns_by_who_never_waits(
    memory_channel: Any, frame: Frame, run: Run
) -> None:
    """GHSA-2g87-pp6c-29x5: `receive` of what is there does not wait, so it alone would never let
    others have a turn."""
    count = 5000

    async def main() -> None:
        below = memory_channel()
        ws, counting = flooded(below, frame(0x82, b"") * count)
        got = 0

        async def receive_all() -> None:
            nonlocal got
            while got < count:
                assert await ws.receive() == (BINARY, b"", None)
                got += 1

        receiving = asyncio.create_task(receive_all())
        await count_turns(counting, receiving.done)
        await receiving
        assert max(counting.turns) <= PER_TURN
        below.lose()

    run(main())


def test_what_messages_inflate_to_counts(memory_channel: Any, frame: Frame, run: Run) -> None:
    """CVE-2018-1000518: 4 KB that inflate to 4 MB, sixty times in one read."""
    bomb = Deflater(15, keep_context=False).compress(bytes(4 << 20))

    async def main() -> None:
        below = memory_channel()
        wire = frame(0xC2, bomb) * (256 * 1024 // len(bomb))
        ws, counting = flooded(below, wire, deflate=DeflateParameters())
        got = 0
        while got * len(bomb) < len(wire) - len(bomb):
            before = sum(counting.turns)
            assert (await ws.receive()).data == bytes(4 << 20)
            got += 1
            assert sum(counting.turns) - before <= 2
        below.lose()

    run(main())


class CountingInflater:
    """An inflater that counts what comes out of it."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.out = 0

    def decompress(self, *args: Any, **options: Any) -> bytes:
        data: bytes = self._real.decompress(*args, **options)
        self.out += len(data)
        return data


@pytest.mark.parametrize("begun", [False, True], ids=["whole", "amid a message"])
def test_what_comes_behind_our_close_frame_is_not_inflated(
    begun: bool, memory_channel: Any, frame: Frame, run: Run
) -> None:
    """Nobody is to see it, so 4 KB that would be 4 MB cost no more than 4 KB."""
    bomb = Deflater(15, keep_context=False).compress(bytes(4 << 20))

    async def main() -> None:
        below = memory_channel()
        ws, _ = flooded(below, frame(0x42, bomb) if begun else b"", deflate=DeflateParameters())
        assembly = ws.connection._assembly
        counting = CountingInflater(assembly._inflater)
        assembly._inflater = counting  # type: ignore[assignment]  # it does what one does
        closing = asyncio.create_task(ws.close(4000))
        await asyncio.sleep(0)
        below.feed(frame(0xC2, bomb) * (256 * 1024 // len(bomb)))
        # The pieces of a message, one with a ping between, one that is no deflate data at all.
        below.feed(
            frame(0x42, bomb), frame(0x89, b"?"), frame(0x80, bomb), frame(0xC2, b"\xff" * 9)
        )
        assert counting.out == 0
        assert not closing.done()
        below.feed(frame(0x88, b"\x0f\xa0"))
        assert await closing
        assert counting.out == 0
        assert ws.close_code == 4000
        assert [first for first, _ in below.take()] == [0x88]

    run(main())


def test_pongs_of_a_turn_leave_in_one_write(memory_channel: Any, frame: Frame, run: Run) -> None:
    async def main() -> None:
        below = memory_channel()
        ws, _ = flooded(below, b"".join(frame(0x89, b"%d" % at) for at in range(1000)))
        receiving = asyncio.create_task(ws.receive())
        while not below.reading:
            await asyncio.sleep(0)
        assert len(below.writes) <= 5
        assert below.take() == [(0x8A, b"%d" % at) for at in range(1000)]
        below.lose()
        assert await receiving == WS_CLOSED_MESSAGE

    run(main())


def test_a_peer_that_asks_and_does_not_read_is_owed_one_pong(
    memory_channel: Any, frame: Frame, run: Run
) -> None:
    """RFC 6455 section 5.5.3: the others may be left out; kept, they would fill the memory."""

    async def main() -> None:
        below = memory_channel()
        ws, _ = flooded(below, frame(0x89, b"first"))
        assert below.take() == [(0x8A, b"first")]
        below.write_paused = True
        for at in range(100):
            below.feed(frame(0x89, b"%d" % at))
        assert below.take() == []
        waiting = asyncio.create_task(ws.drain())
        await asyncio.sleep(0)
        below.make_room()
        assert below.take() == [(0x8A, b"99")]
        await waiting
        below.feed(frame(0x89, b"again"))
        assert below.take() == [(0x8A, b"again")]
        below.lose()

    run(main())


def test_an_owed_pong_is_not_sent_behind_our_close_frame(
    memory_channel: Any, frame: Frame, run: Run
) -> None:
    async def main() -> None:
        below = memory_channel()
        ws, _ = flooded(below, b"")
        below.write_paused = True
        below.feed(frame(0x89, b"?"))
        ws.begin_close()
        waiting = asyncio.create_task(ws.drain())
        await asyncio.sleep(0)
        below.make_room()
        await waiting
        assert [first for first, _ in below.take()] == [0x88]
        below.lose()

    run(main())


@pytest.mark.parametrize("end", ["close frame", "end of stream", "lost"])
def test_nothing_of_a_flood_is_lost_at_the_end(
    end: str, memory_channel: Any, frame: Frame, run: Run
) -> None:
    count = 2000

    async def main() -> None:
        below = memory_channel()
        wire = frame(0x89, b"") * 1000
        wire += b"".join(frame(0x82, b"%d" % at) for at in range(count))
        if end == "close frame":
            wire += frame(0x88, b"\x0f\xa1bye")
        ws, _ = flooded(below, wire)
        if end == "end of stream":
            ws.eof_received()
        elif end == "lost":
            below.lose()
        got = [(await ws.receive()).data for _ in range(count)]
        assert got == [b"%d" % at for at in range(count)]
        last = await ws.receive()
        if end == "close frame":
            assert last == (CLOSE, 4001, "bye")
            assert [item for item in below.take() if item[0] == 0x88] == [(0x88, b"\x0f\xa1")]
        else:
            assert last == WS_CLOSED_MESSAGE
            assert ws.close_code == 1006
        below.lose()

    run(main())


def test_a_close_frame_before_the_end_of_the_stream_is_seen_behind_a_full_queue(
    memory_channel: Any, frame: Frame, run: Run
) -> None:
    async def main() -> None:
        below = memory_channel()
        wire = frame(0x82, b"x") * 5 + frame(0x88, b"\x03\xe9")
        ws, _ = flooded(below, wire, limits=WebSocketLimits(max_queue=2))
        ws.eof_received()
        for _ in range(5):
            assert (await ws.receive()).data == b"x"
        assert await ws.receive() == (CLOSE, 1001, "")
        assert ws.close_code == 1001
        assert below.take() == [(0x88, b"\x03\xe9")]
        assert below.closed
        await asyncio.sleep(0)

    run(main())


def test_closing_amid_a_flood_is_prompt(memory_channel: Any, frame: Frame, run: Run) -> None:
    async def main() -> None:
        below = memory_channel()
        ws, counting = flooded(below, frame(0x82, b"") * FLOOD + frame(0x88, b"\x03\xe8"))
        closing = asyncio.create_task(ws.close(4000))
        await asyncio.sleep(0)
        assert below.take() == [(0x88, b"\x0f\xa0")]
        await count_turns(counting, closing.done)
        assert await closing
        assert ws.close_code == 1000
        assert max(counting.turns) <= PER_TURN

    run(main())


def test_a_flood_does_not_keep_another_connection_waiting(
    memory_channel: Any, frame: Frame, run: Run
) -> None:
    async def main() -> None:
        flood, quiet = memory_channel(), memory_channel()
        one, counting = flooded(flood, frame(0x89, b"") * FLOOD)
        other, _ = flooded(quiet, b"")
        receiving = asyncio.create_task(other.receive())
        await asyncio.sleep(0)
        quiet.feed(frame(0x81, b"me too"))
        before = sum(counting.turns)
        assert (await receiving).data == "me too"
        assert sum(counting.turns) - before <= 3 * PER_TURN
        one.abort()
        quiet.lose()
        await asyncio.sleep(0)

    run(main())
