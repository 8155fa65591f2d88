"""The pipe in memory keeps the promises of asyncio's socket transports."""

import asyncio
import weakref

import pytest

from antiphon.testing.transport import _ON_THE_WAY as ON_THE_WAY
from antiphon.testing.transport import MemoryListener, MemoryTransport, memory_pair


class Recorder(asyncio.Protocol):
    def __init__(self, *, keep_open: bool = False) -> None:
        self.events: list[object] = []
        self.keep_open = keep_open
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.note("made")

    def data_received(self, data: bytes) -> None:
        self.note(data)

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("lost" if exc is None else type(exc).__name__)
        self.lost.set_result(exc)

    def note(self, event: object) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, event: object) -> None:
        async with asyncio.timeout(30):
            while event not in self.events:
                self.changed.clear()
                await self.changed.wait()

    async def until_data(self, size: int) -> None:
        async with asyncio.timeout(30):
            while len(self.data) < size:
                self.changed.clear()
                await self.changed.wait()

    @property
    def data(self) -> bytes:
        return b"".join(event for event in self.events if isinstance(event, bytes))


def connected(
    **kwargs: bool,
) -> tuple[Recorder, MemoryTransport, Recorder, MemoryTransport]:
    near, far = Recorder(**kwargs), Recorder(**kwargs)
    near_transport, far_transport = memory_pair(near, far)
    return near, near_transport, far, far_transport


async def test_nothing_is_delivered_from_inside_write() -> None:
    _, transport, far, _ = connected()
    transport.write(b"ab")
    transport.write(b"c")
    assert far.events == ["made"]
    await far.until(b"abc")


async def test_nothing_is_delivered_while_reading_is_paused() -> None:
    _, transport, far, far_transport = connected()
    far_transport.pause_reading()
    transport.write(b"x")
    for _ in range(5):
        await asyncio.sleep(0)
    assert far.events == ["made"]
    assert not far_transport.is_reading()
    far_transport.resume_reading()
    assert far.events == ["made"]
    await far.until(b"x")


async def test_a_writer_is_paused_above_the_high_mark_and_resumed_below_the_low_one() -> None:
    """What is on its way counts as sent, as with a socket."""
    near, transport, far, far_transport = connected()
    transport.set_write_buffer_limits(high=10, low=2)
    far_transport.pause_reading()
    transport.write(b"x" * ON_THE_WAY)
    assert near.events == ["made"]
    assert transport.get_write_buffer_size() == 0
    transport.write(b"x" * 11)
    assert near.events == ["made", "pause"]
    assert transport.get_write_buffer_size() == 11
    far_transport.resume_reading()
    await near.until("resume")
    await far.until_data(ON_THE_WAY + 11)


async def test_much_is_delivered_in_pieces_as_from_a_socket() -> None:
    _, transport, far, _ = connected()
    transport.write(b"x" * 600_000)
    transport.write_eof()
    await far.until("eof")
    sizes = [len(event) for event in far.events if isinstance(event, bytes)]
    assert sum(sizes) == 600_000
    assert max(sizes) == 262_144


async def test_close_delivers_what_was_written_and_ends_both_ends() -> None:
    near, transport, far, _ = connected()
    transport.write(b"last words")
    transport.close()
    transport.write(b"too late")
    assert await far.lost is None
    assert await near.lost is None
    assert far.events == ["made", b"last words", "eof", "lost"]
    assert near.events == ["made", "lost"]


async def test_each_direction_can_end_by_itself() -> None:
    near, transport, far, far_transport = connected(keep_open=True)
    transport.write_eof()
    with pytest.raises(RuntimeError, match="write_eof"):
        transport.write(b"x")
    await far.until("eof")
    far_transport.write(b"still here")
    await near.until(b"still here")
    far_transport.close()
    await near.until("eof")
    transport.close()
    await near.lost


@pytest.mark.parametrize("marks", [(1, 2), (-1, -2)], ids=["low above high", "negative"])
async def test_marks_that_make_no_sense_are_refused(marks: tuple[int, int]) -> None:
    _, transport, _, _ = connected()
    with pytest.raises(ValueError, match="must be"):
        transport.set_write_buffer_limits(high=marks[0], low=marks[1])


async def test_a_closed_listener_refuses() -> None:
    listener = MemoryListener(Recorder)
    transport, _ = listener.connect(Recorder)
    assert transport.get_extra_info("peername") == ("127.0.0.1", listener.port)
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        listener.connect(Recorder)


class Buffered(asyncio.BufferedProtocol):
    """Takes bytes into a buffer of its own, which is smaller than what comes."""

    def __init__(self) -> None:
        self.buffer = bytearray(4)
        self.received = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self.buffer[:nbytes]


async def test_a_protocol_may_have_a_buffer_of_its_own() -> None:
    near, far = Recorder(), Buffered()
    transport, _ = memory_pair(near, far)
    transport.write(b"0123456789")
    transport.close()
    await near.lost
    assert far.received == b"0123456789"


async def test_an_answer_needs_no_turn_of_the_loop_of_its_own() -> None:
    class Answering(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            transports[1].write(b"answer")

    near, far = Recorder(), Answering()
    transports = memory_pair(near, far)
    transports[0].write(b"question")
    await asyncio.sleep(0)
    assert far.data == b"question"
    assert near.data == b"answer"


async def test_two_who_answer_each_other_for_ever_leave_turns_to_others() -> None:
    class Echoing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            transports[self.number].write(data)

        number = 0

    near, far = Echoing(), Echoing()
    far.number = 1
    transports = memory_pair(near, far)
    transports[0].write(b"x")
    for turn in range(1, 20):
        await asyncio.sleep(0)
        assert len(near.data) < 20 * turn
    transports[0].abort()
    await near.lost


async def test_a_protocol_that_fails_loses_its_connection() -> None:
    class Failing(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ValueError("in data_received")

    told: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: told.append(context))
    near, far = Recorder(), Failing()
    transport, _ = memory_pair(near, far)
    transport.write(b"x")
    assert isinstance(await far.lost, ValueError)
    assert await near.lost is None
    assert [str(context["message"]) for context in told] == [
        "Fatal error: protocol.data_received() call failed."
    ]


async def test_nothing_is_left_in_a_circle() -> None:
    """A connection that is over is freed at once: no work for the collector of cycles."""
    near, transport, far, _ = connected()
    gone = weakref.ref(transport)
    transport.close()
    await near.lost
    await far.lost
    await asyncio.sleep(0)
    del transport, near, far, _
    assert gone() is None
