"""A WebSocket over a channel: receiving, sending, heartbeats and the end; the test is the peer."""

import asyncio
import gc
import random
import warnings
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from antiphon.core.aio.channel import PingTimeout, WebSocketChannel
from antiphon.core.errors import LocalProtocolError, WebSocketError
from antiphon.core.limits import WebSocketLimits
from antiphon.core.websocket.connection import Fragment, Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters
from antiphon.core.websocket.models import WS_CLOSED_MESSAGE, WS_CLOSING_MESSAGE, WSMsgType

TEXT, BINARY, CLOSE = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CLOSE
PING, PONG, ERROR = WSMsgType.PING, WSMsgType.PONG, WSMsgType.ERROR
Run = Callable[["Coroutine[Any, Any, None]"], None]
Frame = Callable[..., bytes]


class Peer:
    """A channel under test and the other end of it."""

    def __init__(
        self,
        below: Any,
        frame: Frame,
        role: Role = Role.SERVER,
        *,
        max_msg_size: int = 4096,
        deflate: DeflateParameters | None = None,
        **options: Any,
    ) -> None:
        self.below = below
        self._frame = frame
        self._masked = role is Role.SERVER
        connection = WebSocketConnection(role, max_msg_size=max_msg_size, deflate=deflate)
        self.ws = WebSocketChannel(below, connection, **options)

    def feed(self, *frames: tuple[int, bytes]) -> None:
        self.below.feed(*(self._frame(*item, masked=self._masked) for item in frames))

    async def end(self) -> None:
        self.below.lose()
        await turns()


@pytest.fixture
def peer(memory_channel: Any, frame: Frame) -> Callable[..., Peer]:
    return lambda *args, **options: Peer(memory_channel(), frame, *args, **options)


async def turns(count: int = 4) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def pass_time(seconds: float) -> None:
    loop: Any = asyncio.get_running_loop()
    await loop.pass_time(seconds)


async def thread_done(ws: WebSocketChannel) -> None:
    """Wait until no thread compresses for *ws*; real time passes."""
    while ws.write_paused:
        await asyncio.sleep(0)


# --- receiving -------------------------------------------------------------------------------


def test_messages_come_in_order_waited_for_or_not(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.feed((0x81, b"one"), (0x82, b"two"))
        waiting = None
        assert (await p.ws.receive()).data == "one"
        assert (await p.ws.receive()).data == b"two"
        waiting = asyncio.create_task(p.ws.receive())
        await turns()
        p.feed((0x81, b"three"))
        assert await waiting == (TEXT, "three", None)
        await p.end()

    run(main())


def test_what_came_with_the_handshake_is_received(
    memory_channel: Any, frame: Frame, run: Run
) -> None:
    async def main() -> None:
        p = Peer(memory_channel(frame(0x81, b"early")), frame)
        assert (await p.ws.receive()).data == "early"
        await p.end()

    run(main())


def test_pings_are_answered_while_nobody_receives(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.feed((0x89, b"are you there"), (0x8A, b"unasked"))
        assert p.below.take() == [(0x8A, b"are you there")]
        p.feed((0x81, b"x"))
        assert (await p.ws.receive()).data == "x"
        await p.end()

    run(main())


def test_without_autoping_pings_and_pongs_are_the_applications(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(autoping=False)
        p.feed((0x89, b"?"), (0x8A, b"!"))
        assert await p.ws.receive() == (PING, b"?", None)
        assert await p.ws.receive() == (PONG, b"!", None)
        assert p.below.take() == []
        await p.ws.pong(b"?")
        assert p.below.take() == [(0x8A, b"?")]
        await p.end()

    run(main())


def test_a_second_receive_is_a_clear_error(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        first = asyncio.create_task(p.ws.receive())
        await turns()
        with pytest.raises(RuntimeError, match="Concurrent call to receive"):
            await p.ws.receive()
        p.feed((0x81, b"x"))
        assert (await first).data == "x"
        await p.end()

    run(main())


def test_a_cancelled_receive_loses_nothing(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        for at in range(2):
            task = asyncio.create_task(p.ws.receive())
            await turns()
            if at == 1:
                p.feed((0x81, b"x"))  # comes, and before the task runs it is cancelled
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await p.ws.receive()).data == "x"
        await p.end()

    run(main())


def test_receive_in_time_and_not(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        task = asyncio.create_task(p.ws.receive(2))
        await pass_time(1.9)
        assert not task.done()
        p.feed((0x81, b"x"))
        assert (await task).data == "x"
        task = asyncio.create_task(p.ws.receive(2))
        await pass_time(2.1)
        with pytest.raises(TimeoutError):
            await task
        assert not p.ws.closed
        p.feed((0x81, b"y"))
        assert (await p.ws.receive(2)).data == "y"
        await p.end()

    run(main())


def test_reading_stops_at_so_many_messages_and_goes_on(peer: Any, run: Run) -> None:
    """GHSA-2g87-pp6c-29x5: small messages count too, and are not even parsed ahead."""

    async def main() -> None:
        p = peer(limits=WebSocketLimits(max_queue=4))
        p.feed(*[(0x82, b"%d" % at) for at in range(1000)])
        assert not p.below.reading
        assert "queued=4" in repr(p.ws)
        seen = []
        for _ in range(998):
            seen.append((await p.ws.receive()).data)
            assert len(p.ws._queue) <= 4
        assert p.below.reading
        p.feed((0x82, b"1000"))
        seen += [(await p.ws.receive()).data for _ in range(3)]
        assert seen == [b"%d" % at for at in range(1001)]
        await p.end()

    run(main())


def test_reading_stops_at_so_many_bytes(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(limits=WebSocketLimits(max_queue_size=250))
        p.feed(*[(0x82, b"x" * 100)] * 10)
        assert "queued=3" in repr(p.ws)
        assert not p.below.reading
        for _ in range(10):
            assert len((await p.ws.receive()).data) == 100
        assert p.below.reading
        await p.end()

    run(main())


# --- pieces ----------------------------------------------------------------------------------


def test_fragments_of_a_message_larger_than_the_limit(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(max_msg_size=10)
        task = asyncio.create_task(p.ws.receive_fragment())
        await turns()
        p.feed((0x02, b"x" * 9))
        assert await task == Fragment(BINARY, b"x" * 9, False)
        p.feed((0x00, b"y" * 9), (0x80, b"z"), (0x81, b"t"))
        assert await p.ws.receive_fragment() == Fragment(BINARY, b"y" * 9, False)
        assert await p.ws.receive_fragment() == Fragment(BINARY, b"z", True)
        assert await p.ws.receive_fragment() == Fragment(TEXT, "t", True)
        p.feed((0x88, b"\x03\xe8"))
        assert await p.ws.receive_fragment() == (CLOSE, 1000, "")
        assert await p.ws.receive_fragment() == WS_CLOSED_MESSAGE
        await turns()

    run(main())


def test_a_message_that_came_whole_is_one_fragment(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.feed((0x01, b"a"), (0x80, b"b"))
        assert await p.ws.receive_fragment() == Fragment(TEXT, "ab", True)
        await p.end()

    run(main())


def test_a_message_left_in_the_middle_is_skipped(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.ws.connection.streaming = True
        p.feed((0x01, b"a"), (0x00, b"b"))
        assert await p.ws.receive_fragment() == Fragment(TEXT, "a", False)
        p.feed((0x80, b"c"), (0x01, b"d"), (0x80, b"e"), (0x82, b"f"))
        assert await p.ws.receive() == (TEXT, "de", None)
        assert await p.ws.receive() == (BINARY, b"f", None)
        await p.end()

    run(main())


def test_pieces_read_ahead_become_a_message_within_the_limit(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(max_msg_size=10)
        p.ws.connection.streaming = True
        p.feed((0x02, b"x" * 6))
        task = asyncio.create_task(p.ws.receive(5))
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        p.feed((0x80, b"y" * 4))
        assert await p.ws.receive() == (BINARY, b"x" * 6 + b"y" * 4, None)
        p.ws.connection.streaming = True
        p.feed((0x02, b"x" * 6), (0x00, b"y" * 5))
        message = await p.ws.receive()
        assert message.type is ERROR
        assert p.ws.close_code == 1009
        await p.end()

    run(main())


def test_a_message_sent_in_pieces(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        await p.ws.send_fragment("a", final=False)
        await p.ws.ping(b"?")
        with pytest.raises(LocalProtocolError, match="under way"):
            p.ws.send_str("no")
        await p.ws.send_fragment("b", final=True)
        assert p.below.take() == [(0x01, b"a"), (0x89, b"?"), (0x80, b"b")]
        await p.end()

    run(main())


# --- sending ---------------------------------------------------------------------------------


def test_sends_leave_at_call_time_awaited_or_not(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            p.ws.send_str("a")
            p.ws.send_bytes(bytearray(b"b"))
            p.below.write_paused = True
            p.ws.send_bytes(memoryview(b"c"))
            gc.collect()
        assert p.below.take() == [(0x81, b"a"), (0x82, b"b"), (0x82, b"c")]
        p.below.write_paused = False
        await p.ws.send_text_bytes("ä".encode())
        await asyncio.create_task(p.ws.send_str("d"))
        await asyncio.gather(p.ws.send_str("e"), p.ws.ping("f"), p.ws.pong())
        await p.ws.send_frame(b"g", PING)
        await p.ws.send_frame(b"h", BINARY)
        assert p.below.take() == [
            (0x81, "ä".encode()),
            (0x81, b"d"),
            (0x81, b"e"),
            (0x89, b"f"),
            (0x8A, b""),
            (0x89, b"g"),
            (0x82, b"h"),
        ]
        await p.end()

    run(main())


@pytest.mark.parametrize("as_task", [False, True])
def test_awaiting_a_send_waits_for_room(as_task: bool, peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.below.write_paused = True
        sending = p.ws.send_str("a")
        assert p.below.take() == [(0x81, b"a")]
        task = asyncio.create_task(sending) if as_task else asyncio.ensure_future(sending)
        await turns()
        assert not task.done()
        p.below.make_room()
        await task
        p.below.write_paused = True
        task = asyncio.create_task(p.ws.drain())
        await turns()
        p.below.lose()
        with pytest.raises(ConnectionResetError):
            await task

    run(main())


@pytest.mark.parametrize(
    "send",
    [
        lambda ws: ws.send_str(b"bytes"),
        lambda ws: ws.send_str(None),
        lambda ws: ws.send_bytes("str"),
        lambda ws: ws.send_text_bytes("str"),
    ],
)
def test_wrong_types(send: Callable[[Any], object], peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        with pytest.raises(TypeError, match="data argument must be"):
            send(p.ws)
        with pytest.raises(ValueError, match="125"):
            p.ws.ping(b"x" * 126)
        with pytest.raises(ValueError, match="close"):
            p.ws.send_frame(b"", CLOSE)
        assert p.below.take() == []
        await p.end()

    run(main())


def test_a_closed_socket_tells_only_who_awaits(peer: Any, run: Run) -> None:
    """One closed socket must not keep a broadcast from the others."""

    class Refused(ConnectionResetError):
        pass

    async def main() -> None:
        p, other = peer(error=Refused), peer()
        p.below.lose()
        p.ws.send_str("not awaited")
        results = await asyncio.gather(
            *(ws.send_str("x") for ws in (p.ws, other.ws)), return_exceptions=True
        )
        assert isinstance(results[0], Refused)
        assert str(results[0]) == "Cannot write to closing transport"
        assert results[1] is None
        assert other.below.take() == [(0x81, b"x")]
        for send in (p.ws.ping, p.ws.pong, lambda: p.ws.send_fragment("x", final=True)):
            with pytest.raises(Refused):
                await send()
        with pytest.raises(Refused):
            await asyncio.create_task(p.ws.send_bytes(b"x"))
        await other.end()

    run(main())


def test_large_messages_are_compressed_in_a_thread_and_leave_in_order(
    peer: Any, run: Run, events: Any
) -> None:
    async def main() -> None:
        p = peer(deflate=DeflateParameters(), compress_in_thread_from=10_000)
        large = random.Random(1).choices(b"abcdef", k=300_000)
        messages = [bytes(large), b"small " * 20, bytes(large[:200_000]), b"x", bytes(large)]
        data = bytearray(messages[0])
        p.ws.send_bytes(data)
        data[:] = bytes(len(data))  # the caller's buffer is the caller's again
        for message in messages[1:]:
            last = p.ws.send_bytes(message)
        assert p.below.take() == []
        assert p.ws.write_paused
        p.feed((0x89, b"?"))
        assert p.below.take() == [(0x8A, b"?")]  # not behind the thread
        closing = asyncio.create_task(p.ws.close(4000))
        await last
        await thread_done(p.ws)
        wire = b"".join(p.below.writes)
        other = WebSocketConnection(Role.CLIENT, max_msg_size=0, deflate=DeflateParameters())
        assert events(other, [wire]) == [
            *((BINARY, message, None) for message in messages),
            (CLOSE, 4000, ""),
        ]
        p.feed((0x88, b"\x0f\xa0"))
        assert await closing

    run(main())


class Refusing(ThreadPoolExecutor):
    """An executor that takes so many jobs, and then none, as one that was shut down."""

    def __init__(self, takes: int) -> None:
        super().__init__(1)
        self.takes = takes

    def submit(self, *args: Any, **options: Any) -> Any:
        if not self.takes:
            raise RuntimeError("cannot schedule new futures after shutdown")
        self.takes -= 1
        return super().submit(*args, **options)


def test_a_thread_that_is_refused_ends_the_connection(peer: Any, run: Run) -> None:
    """What waits behind the first message is told, and nothing of it is sent."""

    async def main() -> None:
        p = peer(deflate=DeflateParameters(), compress_in_thread_from=10_000)
        asyncio.get_running_loop().set_default_executor(Refusing(1))
        sends = [
            asyncio.ensure_future(send)
            for send in (
                p.ws.send_bytes(bytes(20_000)),
                p.ws.send_bytes(bytes(20_001)),
                p.ws.send_str("x"),
            )
        ]
        closing = asyncio.create_task(p.ws.receive())
        await thread_done(p.ws)
        results = await asyncio.wait_for(asyncio.gather(*sends, return_exceptions=True), 30)
        assert [type(result) for result in results] == [ConnectionAbortedError] * 3
        assert "cannot schedule" in str(results[1])
        message = await closing
        assert message.type is ERROR
        assert "cannot schedule" in str(message.data)
        assert p.below.aborted
        assert len(p.below.take()) == 1
        assert p.ws.closed

    run(main())


def test_a_refused_thread_is_told_to_who_awaits_the_send(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(deflate=DeflateParameters(), compress_in_thread_from=10_000)
        asyncio.get_running_loop().set_default_executor(Refusing(0))
        sending = p.ws.send_bytes(bytes(20_000))
        with pytest.raises(ConnectionAbortedError, match="cannot schedule"):
            await sending
        assert p.below.aborted
        assert p.below.take() == []
        assert (await p.ws.receive()).type is ERROR
        assert await p.ws.receive() == WS_CLOSED_MESSAGE

    run(main())


def test_compression_is_chosen_per_message(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(deflate=DeflateParameters())
        for compress in (None, 0, 1, 9):
            await p.ws.send_str("x" * 100, compress)
        assert [first for first, _ in p.below.take()] == [0xC1, 0x81, 0xC1, 0xC1]
        await p.end()

    run(main())


def test_a_lost_connection_ends_the_wait_for_a_thread(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(deflate=DeflateParameters(), compress_in_thread_from=1000)
        task = asyncio.create_task(p.ws.send_str("x" * 100_000))
        await turns(1)
        p.below.lose()
        with pytest.raises(ConnectionResetError):
            await task

    run(main())


# --- the end ---------------------------------------------------------------------------------


def test_the_peer_closes_while_we_wait(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        task = asyncio.create_task(p.ws.receive())
        await turns()
        p.feed((0x88, b"\x0f\xa1bye"))
        assert p.below.take() == [(0x88, b"\x0f\xa1")]
        assert p.below.closed  # RFC 6455 section 7.1.1: the server ends it
        assert await task == (CLOSE, 4001, "bye")
        assert (p.ws.close_code, p.ws.close_reason) == (4001, "bye")
        assert p.ws.closed
        assert p.ws.exception() is None
        assert await p.ws.receive() == WS_CLOSED_MESSAGE
        assert not await p.ws.close()

    run(main())


def test_what_came_before_the_close_frame_can_be_answered(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.feed((0x81, b"a"), (0x81, b"b"), (0x88, b"\x03\xe8"))
        for _ in range(2):
            await p.ws.send_str((await p.ws.receive()).data)
        assert not p.ws.closed
        assert p.below.take() == [(0x81, b"a"), (0x81, b"b")]
        assert (await p.ws.receive()).type is CLOSE
        assert p.below.take() == [(0x88, b"\x03\xe8")]
        assert p.ws.closed
        await turns()

    run(main())


def test_a_close_frame_is_answered_though_nobody_receives(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.feed((0x81, b"a"), (0x88, b"\x03\xe9"))
        await pass_time(0.9)
        assert p.below.take() == []
        await pass_time(0.2)
        assert p.below.take() == [(0x88, b"\x03\xe9")]
        assert p.ws.closed
        assert (await p.ws.receive()).data == "a"
        assert await p.ws.receive() == (CLOSE, 1001, "")
        assert await p.ws.receive() == WS_CLOSED_MESSAGE

    run(main())


def test_without_autoclose_the_application_answers(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(autoclose=False)
        p.feed((0x88, b"\x03\xe8"))
        assert await p.ws.receive() == (CLOSE, 1000, "")
        await pass_time(5)
        assert p.below.take() == []
        assert not p.ws.closed
        assert await p.ws.close(4002, "mine")
        assert p.below.take() == [(0x88, b"\x0f\xa2mine")]
        assert p.ws.close_code == 1000

    run(main())


def test_we_close(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.feed((0x81, b"not taken"))
        closing = asyncio.create_task(p.ws.close(1001, b"going"))
        await turns()
        assert p.below.take() == [(0x88, b"\x03\xe9going")]
        assert p.ws.closed
        assert await p.ws.receive() == WS_CLOSING_MESSAGE
        p.feed((0x81, b"still sent"), (0x89, b"?"), (0x88, b"\x03\xe9"))
        assert p.below.take() == []
        assert p.below.closed
        assert await closing
        assert p.ws.close_code == 1001
        assert p.ws.exception() is None
        assert await p.ws.receive() == WS_CLOSED_MESSAGE

    run(main())


def test_closing_wakes_who_receives_and_all_who_close(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        receiving = asyncio.create_task(p.ws.receive())
        await turns()
        closing = [asyncio.create_task(p.ws.close()) for _ in range(3)]
        assert await receiving == WS_CLOSING_MESSAGE
        p.feed((0x88, b"\x03\xe8"))
        assert await asyncio.gather(*closing) == [True, False, False]

    run(main())


def test_closing_with_a_full_queue_reads_on_to_the_close_frame(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(limits=WebSocketLimits(max_queue=2))
        p.feed(*[(0x81, b"x")] * 50)
        assert not p.below.reading
        closing = asyncio.create_task(p.ws.close())
        await turns()
        p.feed(*[(0x81, b"x")] * 50, (0x88, b"\x03\xe8"))
        assert await closing
        assert p.ws.close_code == 1000

    run(main())


def test_a_peer_that_does_not_answer_our_close_frame(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(close_timeout=3)
        closing = asyncio.create_task(p.ws.close())
        await pass_time(2.9)
        assert not closing.done()
        await pass_time(0.2)
        assert await closing
        assert p.below.aborted
        assert p.ws.close_code == 1006
        assert isinstance(p.ws.exception(), TimeoutError)

    run(main())


def test_a_cancelled_close_still_ends(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(close_timeout=3)
        closing = asyncio.create_task(p.ws.close())
        await turns()
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await pass_time(3.1)
        assert p.below.aborted

    run(main())


def test_a_peer_that_takes_nothing_is_not_waited_for_for_ever(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(close_timeout=3)
        p.below.hangs = True
        closing = asyncio.create_task(p.ws.close())
        await turns()
        p.feed((0x88, b"\x03\xe8"))
        await pass_time(2.9)
        assert not p.below.aborted
        await pass_time(0.2)
        assert p.below.aborted
        assert await closing
        assert p.ws.close_code == 1000

    run(main())


@pytest.mark.parametrize("server_ends", [True, False])
def test_a_client_waits_for_the_server_to_end(server_ends: bool, peer: Any, run: Run) -> None:
    """RFC 6455 section 7.1.1."""

    async def main() -> None:
        p = peer(Role.CLIENT)
        closing = asyncio.create_task(p.ws.close())
        await turns()
        p.feed((0x88, b"\x03\xe8"))
        await turns()
        assert not p.below.closed
        if server_ends:
            p.ws.eof_received()
        else:
            await pass_time(1.1)
        assert p.below.closed
        assert await closing
        assert p.ws.close_code == 1000

    run(main())


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lambda p: p.ws.eof_received(), id="end of stream"),
        pytest.param(lambda p: p.below.lose(), id="lost"),
        pytest.param(lambda p: p.below.lose(ConnectionResetError("reset")), id="reset"),
        pytest.param(lambda p: p.ws.abort(), id="aborted here"),
    ],
)
def test_a_lost_connection_is_1006(lose: Callable[[Any], None], peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.feed((0x81, b"before"), (0x01, b"half"))
        lose(p)
        assert (await p.ws.receive()).data == "before"
        assert await p.ws.receive() == WS_CLOSED_MESSAGE
        assert p.ws.close_code == 1006
        assert p.ws.closed
        await turns()
        assert not await p.ws.close()

    run(main())


def test_a_lost_connection_wakes_who_waits(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        receiving = asyncio.create_task(p.ws.receive(10))
        await turns()
        reset = ConnectionResetError("reset")
        p.below.lose(reset)
        assert await receiving == WS_CLOSED_MESSAGE
        assert p.ws.exception() is reset

    run(main())


def test_a_peer_that_breaks_the_protocol_is_told(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        receiving = asyncio.create_task(p.ws.receive())
        await turns()
        p.feed((0x83, b""))
        assert p.below.take() == [(0x88, b"\x03\xeaOpcode 0x3 is reserved")]
        # Ended only on our side, so that no reset overtakes the close frame.
        assert p.below.eof_written
        assert not p.below.closed
        message = await receiving
        assert message.type is ERROR
        assert isinstance(message.data, WebSocketError)
        assert p.ws.exception() is message.data
        assert p.ws.close_code == 1002
        assert await p.ws.receive() == WS_CLOSED_MESSAGE
        for _ in range(100):
            p.feed((0x81, b"x" * 100))
        assert p.ws.connection.next_event() is not None
        assert await p.ws.receive() == WS_CLOSED_MESSAGE
        await pass_time(1.1)
        assert p.below.closed

    run(main())


def test_what_came_before_an_error_can_be_answered(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.feed((0x81, b"good"), (0x83, b""))
        await p.ws.send_str((await p.ws.receive()).data)
        assert (await p.ws.receive()).type is ERROR
        assert [first for first, _ in p.below.take()] == [0x81, 0x88]
        p.ws.eof_received()
        await turns()

    run(main())


def test_closing_after_an_error_tells_the_error(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.feed((0x81, b"\xff"))
        closing = asyncio.create_task(p.ws.close(1000))
        await turns()
        assert [payload[:2] for _, payload in p.below.take()] == [b"\x03\xef"]
        p.ws.eof_received()
        assert not await closing
        assert p.ws.close_code == 1007

    run(main())


def test_closing_with_a_code_that_may_not_be_sent(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        with pytest.raises(ValueError, match="1006"):
            await p.ws.close(1006)
        assert not p.ws.closed
        await p.end()

    run(main())


# --- heartbeat -------------------------------------------------------------------------------


def test_a_heartbeat_needs_nobody_to_receive(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(heartbeat=4)
        await pass_time(3.9)
        assert p.below.take() == []
        await pass_time(0.2)
        assert p.below.take() == [(0x89, b"")]
        await pass_time(1)
        p.feed((0x8A, b""))
        assert p.ws.latency == pytest.approx(1.1, abs=0.02)
        await pass_time(3.9)
        assert p.below.take() == []
        await pass_time(0.2)
        assert p.below.take() == [(0x89, b"")]
        await p.end()

    run(main())


def test_anything_that_comes_is_a_sign_of_life(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(heartbeat=4)
        for _ in range(6):
            await pass_time(3.5)
            p.feed((0x82, b"x"))
            assert (await p.ws.receive()).data == b"x"
        assert p.below.take() == []
        await pass_time(5)
        assert p.below.take() == [(0x89, b"")]
        p.feed((0x82, b"x"))
        await pass_time(3)
        assert not p.ws.closed
        await p.end()

    run(main())


@pytest.mark.parametrize("receiving", [False, True])
def test_no_sign_of_life_ends_the_connection(receiving: bool, peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(heartbeat=4)
        task = asyncio.create_task(p.ws.receive()) if receiving else None
        await pass_time(5.9)
        assert not p.ws.closed
        await pass_time(0.2)
        assert p.below.aborted
        message = await (task or p.ws.receive())
        assert message.type is ERROR
        assert isinstance(message.data, PingTimeout)
        assert str(message.data) == "No PONG received after 2.0 seconds"
        assert p.ws.close_code == 1006
        assert p.ws.exception() is message.data
        assert await p.ws.receive() == WS_CLOSED_MESSAGE

    run(main())


def test_a_reader_that_is_paused_by_us_does_not_count_as_dead(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(heartbeat=4, limits=WebSocketLimits(max_queue=2))
        p.feed(*[(0x81, b"x")] * 2)
        await pass_time(30)
        assert not p.ws.closed
        await p.ws.receive()
        await p.ws.receive()
        p.below.take()
        await pass_time(4.1)
        assert p.below.take() == [(0x89, b"")]
        await p.end()

    run(main())


def test_a_heartbeat_ends_with_the_connection(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(heartbeat=1)
        closing = asyncio.create_task(p.ws.close())
        await turns()
        p.below.take()
        await pass_time(3)
        assert p.below.take() == []
        p.feed((0x88, b"\x03\xe8"))
        assert await closing

    run(main())


def test_a_heartbeat_is_positive(memory_channel: Any, run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="heartbeat must be positive"):
            WebSocketChannel(memory_channel(), WebSocketConnection(Role.SERVER), heartbeat=0)

    run(main())


def test_at_most_one_timer_and_no_task(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer(heartbeat=4)
        loop: Any = asyncio.get_running_loop()
        before = len(asyncio.all_tasks())
        task = asyncio.create_task(p.ws.receive(3))
        await turns()
        closing = asyncio.create_task(p.ws.close())
        await turns()
        assert len([handle for handle in loop._scheduled if not handle.cancelled()]) == 1
        assert len(asyncio.all_tasks()) <= before + 2
        p.feed((0x88, b"\x03\xe8"))
        await asyncio.gather(task, closing)

    run(main())


# --- what must not be lost -------------------------------------------------------------------


def test_a_send_whose_waiting_is_cancelled_has_left_all_the_same(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.below.write_paused = True
        waiting = [asyncio.create_task(p.ws.send_str(text)) for text in ("a", "b", "c")]
        await turns()
        waiting[1].cancel()
        await turns()
        assert [task.done() for task in waiting] == [False, True, False]
        p.below.make_room()
        await asyncio.gather(waiting[0], waiting[2])
        await p.ws.send_str("d")
        assert p.below.take() == [(0x81, b"a"), (0x81, b"b"), (0x81, b"c"), (0x81, b"d")]
        await p.end()

    run(main())


def test_fragments_wait_for_messages_that_a_thread_compresses(
    peer: Any, run: Run, events: Any
) -> None:
    """All share one window: what is compressed out of turn would be read as something else."""

    async def main() -> None:
        p = peer(deflate=DeflateParameters(), compress_in_thread_from=10_000)
        large = bytes(random.Random(1).choices(b"abcdef", k=300_000))
        p.ws.send_bytes(large)
        p.ws.send_fragment(large[:100], final=False)
        p.ws.send_fragment(large[100:50_000], final=False)
        p.ws.ping(b"between")
        p.ws.send_fragment(large[50_000:50_100], final=True)
        p.ws.send_bytes(large)
        p.ws.send_fragment("plain", final=False, compress=0)
        await p.ws.send_fragment(" text", final=True)
        await thread_done(p.ws)
        other = WebSocketConnection(Role.CLIENT, max_msg_size=0, deflate=DeflateParameters())
        assert events(other, [b"".join(p.below.writes)]) == [
            (BINARY, large, None),
            (PING, b"between", None),
            (BINARY, large[:50_100], None),
            (BINARY, large, None),
            (TEXT, "plain text", None),
        ]
        await p.end()

    run(main())


def test_async_for_takes_what_receive_would(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        seen: list[object] = []

        async def iterate() -> None:
            async for message in p.ws:
                seen.append(message.data)

        iterating = asyncio.create_task(iterate())
        await turns()
        p.feed((0x81, b"one"))
        await turns()
        with pytest.raises(RuntimeError, match="Concurrent call to receive"):
            await anext(p.ws)
        p.feed((0x01, b"t"), (0x80, b"wo"), (0x82, b"three"))
        await turns()
        iterating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await iterating
        p.feed((0x82, b"four"), (0x88, b"\x03\xe8"))
        await iterate()
        assert seen == ["one", "two", b"three", b"four"]
        await turns()

    run(main())


def test_async_for_keeps_its_time_limit(peer: Any, run: Run) -> None:
    async def main() -> None:
        p = peer()
        p.ws.iteration_timeout = 2
        task = asyncio.ensure_future(anext(p.ws))
        await pass_time(2.1)
        with pytest.raises(TimeoutError):
            await task
        p.feed((0x81, b"x"))
        assert (await anext(p.ws)).data == "x"
        await p.end()

    run(main())
