"""Messages of which pieces were read ahead, put together by `receive`; and two who receive."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from antiphon.core.aio.channel import WebSocketChannel
from antiphon.core.limits import WebSocketLimits
from antiphon.core.websocket.connection import Fragment, Role, WebSocketConnection
from antiphon.core.websocket.models import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WSMsgType,
)

TEXT, BINARY, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE
PING, ERROR = WSMsgType.PING, WSMsgType.ERROR
Run = Callable[["Coroutine[Any, Any, None]"], None]
Frame = Callable[..., bytes]


@pytest.fixture
def reading_ahead(memory_channel: Any, frame: Frame) -> Callable[..., Any]:
    """A channel below, and one above it that looks at the next messages piece by piece."""

    def make(*frames: tuple[int, bytes], max_msg_size: int = 1000, **options: Any) -> Any:
        below = memory_channel()
        connection = WebSocketConnection(Role.SERVER, max_msg_size=max_msg_size)
        ws = WebSocketChannel(below, connection, **options)
        connection.streaming = True
        below.feed(*(frame(*item) for item in frames))
        return below, ws

    return make


async def turns(count: int = 4) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_nothing_is_delivered_behind_a_message_that_is_too_large(
    reading_ahead: Any, run: Run
) -> None:
    """The pieces behind the one that broke the limit are no message of their own."""

    async def main() -> None:
        below, ws = reading_ahead(
            (0x02, b"a" * 900), (0x00, b"b" * 900), (0x00, b"c"), (0x80, b"tail"), (0x82, b"next")
        )
        message = await ws.receive()
        assert message.type is ERROR
        assert message.data.code == 1009
        assert await ws.receive() == WS_CLOSED_MESSAGE
        assert await ws.receive() == WS_CLOSED_MESSAGE
        assert [first for first, _ in below.take()] == [0x88]
        below.lose()

    run(main())


def test_what_came_behind_a_full_queue_is_not_delivered_after_an_error(
    reading_ahead: Any, run: Run
) -> None:
    async def main() -> None:
        below, ws = reading_ahead(
            (0x02, b"a" * 900),
            (0x00, b"b" * 900),
            *[(0x82, b"next")] * 600,
            (0x89, b"?"),
            limits=WebSocketLimits(max_queue=2),
        )
        assert (await ws.receive()).type is ERROR
        assert await ws.receive() == WS_CLOSED_MESSAGE
        await turns()
        assert await ws.receive() == WS_CLOSED_MESSAGE
        below.lose()

    run(main())


@pytest.mark.parametrize("kind", [0x89, 0x8A], ids=["ping", "pong"])
def test_a_control_frame_inside_a_message_costs_none_of_it(
    kind: int, reading_ahead: Any, run: Run
) -> None:
    async def main() -> None:
        below, ws = reading_ahead(
            (0x02, b"AAAA"), (kind, b"1"), (0x00, b"BBBB"), (kind, b"2"), (0x80, b"CC"),
            autoping=False,
        )  # fmt: skip
        assert (await ws.receive()).data == b"1"
        assert (await ws.receive()).data == b"2"
        assert await ws.receive() == (BINARY, b"AAAABBBBCC", None)
        below.lose()

    run(main())


def test_receiving_in_pieces_goes_on_where_receiving_whole_was(
    reading_ahead: Any, run: Run
) -> None:
    async def main() -> None:
        below, ws = reading_ahead(
            (0x02, b"AAAA"), (0x00, b"BB"), (0x89, b"1"), (0x80, b"CC"), (0x81, b"t"),
            autoping=False,
        )  # fmt: skip
        assert (await ws.receive()).type is PING
        assert await ws.receive_fragment() == Fragment(BINARY, b"AAAABB", False)
        assert await ws.receive_fragment() == Fragment(BINARY, b"CC", True)
        assert await ws.receive() == (TEXT, "t", None)
        below.lose()

    run(main())


def test_a_message_begun_in_pieces_and_left_is_skipped_after_a_ping(
    reading_ahead: Any, run: Run
) -> None:
    async def main() -> None:
        below, ws = reading_ahead(
            (0x02, b"AAAA"), (0x89, b"1"), (0x00, b"BB"), (0x80, b"CC"), (0x81, b"t"),
            autoping=False,
        )  # fmt: skip
        assert (await ws.receive()).type is PING
        assert await ws.receive_fragment() == Fragment(BINARY, b"AAAA", False)
        assert await ws.receive() == (TEXT, "t", None)
        below.lose()

    run(main())


@pytest.mark.parametrize("closed_by", ["us", "peer"])
def test_half_a_message_is_not_given_out_after_the_end(
    closed_by: str, reading_ahead: Any, frame: Frame, run: Run
) -> None:
    async def main() -> None:
        below, ws = reading_ahead((0x02, b"AAAA"), (0x89, b"1"), autoping=False)
        assert (await ws.receive()).type is PING
        if closed_by == "us":
            ws.begin_close()
            assert await ws.receive_fragment() == WS_CLOSING_MESSAGE
        else:
            below.feed(frame(0x88, b"\x03\xe8"))
            assert (await ws.receive()).type is CLOSE
            assert await ws.receive_fragment() == WS_CLOSED_MESSAGE
        below.lose()

    run(main())


@pytest.mark.parametrize("too_many", [False, True])
def test_the_limit_of_a_text_in_pieces_is_of_bytes(
    too_many: bool, reading_ahead: Any, run: Run
) -> None:
    """250 characters of four bytes are the 1000 bytes that may be."""
    text = "\U0001f600" * 250

    async def main() -> None:
        wire = text.encode() + b"x" * too_many
        # Cut within characters too.
        pieces = [(0x00, wire[at : at + 97]) for at in range(97, len(wire), 97)]
        below, ws = reading_ahead((0x01, wire[:97]), *pieces, (0x80, b""))
        message = await ws.receive()
        if too_many:
            assert message.type is ERROR
            assert message.data.code == 1009
        else:
            assert message == (TEXT, text, None)
        below.lose()

    run(main())


# --- two who receive -------------------------------------------------------------------------


def test_a_message_taken_by_another_leaves_the_connection_open(
    reading_ahead: Any, frame: Frame, run: Run
) -> None:
    async def main() -> None:
        below, ws = reading_ahead()
        first = asyncio.create_task(ws.receive())
        await turns()
        below.feed(frame(0x82, b"one"))
        # Before the task runs that was woken for it.
        assert (await ws.receive()).data == b"one"
        await turns()
        assert not first.done()
        with pytest.raises(RuntimeError, match="Concurrent call"):
            await ws.receive()
        below.feed(frame(0x82, b"two"))
        assert (await first).data == b"two"
        below.lose()

    run(main())


def test_a_message_taken_by_another_does_not_begin_the_time_anew(
    reading_ahead: Any, frame: Frame, run: Run
) -> None:
    async def main() -> None:
        below, ws = reading_ahead()
        loop: Any = asyncio.get_running_loop()
        first = asyncio.create_task(ws.receive(10))
        await turns()
        await loop.pass_time(6)
        below.feed(frame(0x82, b"one"))
        assert (await ws.receive()).data == b"one"
        await loop.pass_time(3)
        assert not first.done()
        await loop.pass_time(2)
        with pytest.raises(TimeoutError):
            await first
        assert not ws.closed
        below.lose()

    run(main())
