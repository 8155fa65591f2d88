"""StreamReader: what each method gives, waiting, flow control, cancellation."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from antiphon.core.aio.streams import (
    EMPTY_PAYLOAD,
    DataQueue,
    EofStream,
    FlowControlDataQueue,
    StreamReader,
)
from antiphon.core.errors import LineTooLong, LocalProtocolError

Run = Callable[["Coroutine[Any, Any, Any]"], Any]


class Source:
    """What feeds a stream: remembers whether it is paused."""

    def __init__(self) -> None:
        self.paused = False
        self.calls: list[str] = []
        self.on_resume: Callable[[], None] = lambda: None

    def pause_reading(self) -> None:
        self.paused = True
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.paused = False
        self.calls.append("resume")
        self.on_resume()


def stream(*pieces: bytes, eof: bool = True, limit: int = 1 << 16) -> StreamReader:
    reader = StreamReader(Source(), limit)
    for piece in pieces:
        reader.feed_data(piece)
    if eof:
        reader.feed_eof()
    return reader


async def collect(
    reader: StreamReader, method: Callable[[StreamReader], Awaitable[Any]], end: Any
) -> Any:
    out = []
    while (item := await method(reader)) != end:
        out.append(item)
    return out


READS = [
    pytest.param([b"abc", b"def"], lambda r: r.read(4), [b"abcd", b"ef"], id="read over blocks"),
    pytest.param([b"abc", b"def"], lambda r: r.read(3), [b"abc", b"def"], id="read of one block"),
    pytest.param([b"abcdef"], lambda r: r.read(2), [b"ab", b"cd", b"ef"], id="read within a block"),
    pytest.param([b"abc", b"def"], lambda r: r.read(), [b"abcdef"], id="read to the end"),
    pytest.param([b"abc", b"def"], lambda r: r.readany(), [b"abcdef"], id="readany gives all"),
]

LINES = [
    pytest.param(
        [b"a\nb", b"c\n", b"d"], lambda r: r.readline(), [b"a\n", b"bc\n", b"d"], id="lines"
    ),
    pytest.param([b"\n\n", b"\n"], lambda r: r.readline(), [b"\n"] * 3, id="empty lines"),
    pytest.param(
        [b"a-", b"-b--c"],
        lambda r: r.readuntil(b"--"),
        [b"a--", b"b--", b"c"],
        id="separator split between blocks",
    ),
    pytest.param(
        [b"a" * 600, b"-", b"-", b"b"],
        lambda r: r.readuntil(b"--"),
        [b"a" * 600 + b"--", b"b"],
        id="separator split after a large block",
    ),
]


@pytest.mark.parametrize(("pieces", "method", "expected"), [*READS, *LINES])
def test_reading_what_is_here(pieces: list[bytes], method: Any, expected: Any, run: Run) -> None:
    assert run(collect(stream(*pieces), method, b"")) == expected


@pytest.mark.parametrize(("pieces", "method", "expected"), LINES)
def test_lines_do_not_depend_on_the_cuts(
    pieces: list[bytes], method: Any, expected: Any, run: Run
) -> None:
    whole = b"".join(pieces)

    async def check() -> None:
        for cut in range(len(whole)):
            reader = stream(whole[:cut], whole[cut:])
            assert await collect(reader, method, b"") == expected
        reader = StreamReader(Source(), 1 << 16)
        task = asyncio.ensure_future(collect(reader, method, b""))
        for byte in whole:
            reader.feed_data(bytes([byte]))
            await asyncio.sleep(0)
        reader.feed_eof()
        assert await task == expected

    run(check())


def test_readexactly_waits_for_the_last_byte_and_keeps_the_rest(run: Run) -> None:
    async def check() -> None:
        reader = stream(b"ab", eof=False)
        task = asyncio.ensure_future(reader.readexactly(4))
        await asyncio.sleep(0)
        reader.feed_data(b"c")
        await asyncio.sleep(0)
        assert not task.done()
        reader.feed_data(b"de")
        assert await task == b"abcd"
        assert reader.read_nowait() == b"e"
        assert await reader.readexactly(0) == b""
        reader.feed_data(b"xy")
        reader.feed_eof()
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await reader.readexactly(3)
        assert caught.value.partial == b"xy"
        with pytest.raises(ValueError, match="less than zero"):
            await reader.readexactly(-1)

    run(check())


@pytest.mark.parametrize(
    ("method", "feed", "result"),
    [
        pytest.param(lambda r: r.read(5), b"abc", b"abc", id="read"),
        pytest.param(lambda r: r.readany(), b"abc", b"abc", id="readany"),
        pytest.param(lambda r: r.readexactly(5), b"de", b"abcde", id="readexactly"),
        pytest.param(lambda r: r.readline(), b"d\n", b"abcd\n", id="readline"),
        pytest.param(lambda r: r.readchunk(), b"abc", (b"abc", False), id="readchunk"),
        pytest.param(lambda r: r.read(), b"de", b"abcde", id="read to the end"),
    ],
)
def test_a_cancelled_read_loses_nothing(method: Any, feed: bytes, result: Any, run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(Source(), 1 << 16)
        waits_with_data = result not in (b"abc", (b"abc", False))
        if waits_with_data:
            reader.feed_data(b"abc")
        task = asyncio.ensure_future(method(reader))
        await asyncio.sleep(0)
        task.cancel()
        if not waits_with_data:
            # Data and cancellation in the same turn of the loop.
            reader.feed_data(feed)
        with pytest.raises(asyncio.CancelledError):
            await task
        if waits_with_data:
            reader.feed_data(feed)
        reader.feed_eof()
        assert await method(reader) == result

    run(check())


def test_a_second_reader_gets_a_clear_error_and_the_first_its_data(run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(Source(), 1 << 16)
        first = asyncio.ensure_future(reader.readline())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match=r"readany\(\) called while another coroutine"):
            await reader.readany()
        with pytest.raises(RuntimeError, match=r"read_nowait\(\) called while"):
            reader.read_nowait()
        reader.feed_data(b"x\n")
        assert await first == b"x\n"

    run(check())


@pytest.mark.parametrize("n", range(9))
def test_what_is_peeked_at_is_still_to_be_read(n: int) -> None:
    reader = stream(b"xab", b"cd", b"efg")
    assert reader.read_nowait(1) == b"x"
    for _ in range(2):
        assert reader.peek_nowait(n) == b"abcdefg"[:n]
    assert reader.read_nowait() == b"abcdefg"
    assert reader.peek_nowait(n) == EMPTY_PAYLOAD.peek_nowait(n) == b""
    reader.set_exception(error := ValueError("lost"))
    with pytest.raises(ValueError, match="lost") as caught:
        reader.peek_nowait(n)
    assert caught.value is error


def test_nothing_is_waited_for_while_data_is_here(run: Run) -> None:
    reader = stream(b"abc\nde", eof=False)
    for coro, expected in [
        (reader.readline(), b"abc\n"),
        (reader.read(1), b"d"),
        (reader.readany(), b"e"),
    ]:
        with pytest.raises(StopIteration) as stopped:
            coro.send(None)  # would raise for want of a loop if it made a future
        assert stopped.value.value == expected


# --------------------------------------------------------------------- flow control


def test_pauses_above_twice_the_limit_and_resumes_below_it(run: Run) -> None:
    reader = StreamReader(source := Source(), 16)
    assert reader.get_read_buffer_limits() == (16, 32)
    reader.feed_data(b"x" * 32)
    assert source.calls == []
    reader.feed_data(b"y")
    assert source.calls == ["pause"]
    run(reader.read(17))
    assert source.calls == ["pause"]
    run(reader.read(1))
    assert source.calls == ["pause", "resume"]
    reader.set_read_chunk_size(100)
    assert reader.get_read_buffer_limits() == (100, 200)
    with pytest.raises(ValueError, match="positive"):
        reader.set_read_chunk_size(0)


def test_a_read_of_more_than_the_marks_allow_still_ends(run: Run) -> None:
    async def check() -> None:
        source = Source()
        reader = StreamReader(source, 16)
        feeding = itertools.repeat(b"z" * 10, 20)

        def go_on() -> None:
            for piece in feeding:
                reader.feed_data(piece)

        source.on_resume = go_on
        reader.feed_data(b"z" * 33)
        assert source.paused
        assert len(await reader.readexactly(200)) == 200

    run(check())


def test_reading_to_the_end_wakes_once(run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(source := Source(), 16)
        task = asyncio.ensure_future(reader.read())
        await asyncio.sleep(0)
        for _ in range(1000):
            reader.feed_data(b"0123456789")
        assert source.calls == []
        reader.feed_eof()
        assert len(await task) == 10_000

    run(check())


def test_a_cancelled_large_read_pauses_what_it_let_come(run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(source := Source(), 16)
        task = asyncio.ensure_future(reader.read())
        await asyncio.sleep(0)
        reader.feed_data(b"x" * 100)
        assert not source.paused
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.paused

    run(check())


def test_the_end_releases_what_was_paused() -> None:
    reader = StreamReader(source := Source(), 16)
    reader.feed_data(b"x" * 33)
    reader.feed_eof()
    assert source.calls == ["pause", "resume"]
    assert reader.read_nowait(20) + reader.read_nowait() == b"x" * 33
    assert source.calls == ["pause", "resume"], "a finished stream holds nobody back"


@pytest.mark.parametrize(
    ("size", "pieces"), [(1, 40_000), (7, 40_000), (1000, 80_000), (1 << 20, 80_000)]
)
def test_ghsa_2g87_one_byte_pieces_are_linear(
    size: int, pieces: int, run: Run, assert_linear: Callable[..., None]
) -> None:
    """GHSA-2g87-pp6c-29x5, CVE-2025-69229: small pieces must not cost more with each one."""

    def feed_and_read(count: int) -> None:
        reader = StreamReader(Source(), 1 << 30)
        for _ in range(count):
            reader.feed_data(b"x")
        reader.feed_eof()

        async def drain() -> int:
            return sum([len(piece) async for piece in reader.iter_chunked(size)])

        assert run(drain()) == count

    assert_linear(feed_and_read, pieces // 8)


def test_a_million_one_byte_pieces_are_read_whole(run: Run) -> None:
    reader = StreamReader(Source(), 1 << 30)
    for _ in range(1_000_000):
        reader.feed_data(b"x")
    reader.feed_eof()
    assert run(reader.read()) == b"x" * 1_000_000


def test_small_pieces_do_not_each_cost_an_object() -> None:
    reader = StreamReader(Source(), 1 << 30)
    for _ in range(100_000):
        reader.feed_data(b"x")
    assert reader._chunks is not None
    assert len(reader._chunks) < 100


def test_a_line_in_many_pieces_is_linear(run: Run, assert_linear: Callable[..., None]) -> None:
    def feed_and_read(count: int) -> None:
        async def check() -> None:
            reader = StreamReader(Source(), 1 << 30)
            task = asyncio.ensure_future(reader.readline())
            await asyncio.sleep(0)
            for _ in range(count):
                reader.feed_data(b"x" * 600)  # above the size that is gathered anyway
                await asyncio.sleep(0)
            reader.feed_data(b"\n")
            assert len(await task) == count * 600 + 1

        run(check())

    assert_linear(feed_and_read, 500)


# --------------------------------------------------------------------- limits, errors, ends


@pytest.mark.parametrize(
    ("call", "limit"),
    [
        pytest.param(lambda r: r.readline(), 32, id="the high mark by default"),
        pytest.param(lambda r: r.readline(max_line_length=10), 10, id="max_line_length"),
        pytest.param(lambda r: r.readuntil(b"\n", max_size=10), 10, id="max_size"),
    ],
)
@pytest.mark.parametrize("newline", [False, True])
def test_a_line_too_long_is_refused_and_kept(
    call: Any, limit: int, newline: bool, run: Run
) -> None:
    reader = stream(b"z" * 40 + b"\n" * newline, limit=16)
    with pytest.raises(LineTooLong, match=f"more than {limit} bytes") as caught:
        run(call(reader))
    assert caught.value.status == 400
    assert reader.read_nowait() == b"z" * 40 + b"\n" * newline


def test_a_line_of_exactly_the_limit_passes(run: Run) -> None:
    assert run(stream(b"123456789\n").readline(max_line_length=10)) == b"123456789\n"


def test_a_separator_must_not_be_empty(run: Run) -> None:
    with pytest.raises(ValueError, match="at least one-byte"):
        run(stream(b"a").readuntil(b""))


@pytest.mark.parametrize(
    "method",
    ["read", "readany", "readline", "readchunk", "readuntil", "wait_eof", "read_nowait"],
)
def test_an_exception_is_raised_by_every_read(method: str, run: Run) -> None:
    async def check() -> None:
        reader = stream(b"data", eof=False)
        cause = KeyError("why")
        reader.set_exception(ValueError("broken"), cause)

        async def call() -> None:
            result = getattr(reader, method)()
            if asyncio.iscoroutine(result):
                await result

        with pytest.raises(ValueError, match="broken") as caught:
            await call()
        assert caught.value.__cause__ is cause
        assert reader.exception() is caught.value

    run(check())


def test_an_exception_wakes_whoever_waits(run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(Source(), 16)
        tasks = [asyncio.ensure_future(reader.read(1)), asyncio.ensure_future(reader.wait_eof())]
        await asyncio.sleep(0)
        assert reader.waiting
        reader.set_exception(ConnectionResetError)
        for task in tasks:
            with pytest.raises(ConnectionResetError):
                await task
        assert not reader.waiting

    run(check())


def test_the_end_can_be_told_and_waited_for(run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(Source(), 16)
        calls: list[str] = []
        reader.on_eof(lambda: calls.append("a"))
        reader.on_eof(lambda: calls.append("b"))
        task = asyncio.ensure_future(reader.wait_eof())
        reader.feed_data(b"x")
        await asyncio.sleep(0)
        assert not reader.is_eof()
        assert not task.done()
        reader.feed_eof()
        await task
        assert calls == ["a", "b"]
        assert reader.is_eof()
        assert not reader.at_eof()
        assert await reader.read() == b"x"
        assert reader.at_eof()
        assert await reader.read() == await reader.readany() == await reader.read(3) == b""
        reader.on_eof(lambda: calls.append("c"))
        assert calls == ["a", "b", "c"]
        reader.feed_eof()
        with pytest.raises(LocalProtocolError):
            reader.feed_data(b"late")

    run(check())


def test_an_error_in_an_eof_callback_is_logged_and_hurts_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reader = StreamReader(Source(), 16)
    calls: list[int] = []
    reader.on_eof(lambda: 1 // 0)  # type: ignore[arg-type]  # what it returns is of no interest
    reader.on_eof(lambda: calls.append(1))
    reader.feed_eof()
    assert calls == [1]
    assert "on_eof callback" in caplog.text


def test_unread_data_comes_first(run: Run) -> None:
    reader = stream(b"abcdef", eof=False)
    assert run(reader.read(3)) == b"abc"
    with pytest.deprecated_call(match="ANT-0027"):
        reader.unread_data(b"xyz")
    with pytest.deprecated_call(match="ANT-0027"):
        reader.unread_data(b"")
    assert run(reader.readany()) == b"xyzdef"


def test_iteration_by_line_block_and_arrival(run: Run) -> None:
    async def check() -> None:
        pieces = (b"ab\ncd", b"\nef")
        assert [line async for line in stream(*pieces)] == [b"ab\n", b"cd\n", b"ef"]
        assert [block async for block in stream(*pieces).iter_chunked(3)] == [
            b"ab\n",
            b"cd\n",
            b"ef",
        ]
        assert [data async for data in stream(*pieces).iter_any()] == [b"ab\ncd\nef"]

    run(check())


def test_sizes_before_and_after_decoding() -> None:
    reader = stream(b"abcdef", eof=False)
    assert (reader.total_bytes, reader.total_raw_bytes, reader.total_compressed_bytes) == (
        6,
        6,
        None,
    )
    reader.total_compressed_bytes = 4
    assert (reader.total_bytes, reader.total_raw_bytes, reader.total_compressed_bytes) == (6, 4, 4)


def test_a_timer_is_entered_around_waits_only(run: Run) -> None:
    class Timer:
        entered = 0

        def __enter__(self) -> None:
            self.entered += 1

        def __exit__(self, *exc_info: object) -> None: ...

    async def check() -> None:
        timer = Timer()
        reader = StreamReader(Source(), 16, timer=timer, loop=asyncio.get_running_loop())
        reader.feed_data(b"a")
        await reader.readany()
        assert timer.entered == 0
        task = asyncio.ensure_future(reader.readany())
        await asyncio.sleep(0)
        reader.feed_data(b"b")
        assert await task == b"b"
        assert timer.entered == 1

    run(check())


def test_demand_is_told_once_and_only_when_somebody_waits(run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(Source(), 16)
        asked: list[int] = []
        reader.on_demand(lambda: (asked.append(1), reader.feed_data(b"now"))[0])  # type: ignore[func-returns-value]  # both are calls
        reader.feed_data(b"here")
        assert await reader.readany() == b"here"
        assert asked == []
        assert await reader.readany() == b"now"
        assert asked == [1]

    run(check())


# --------------------------------------------------------------------- HTTP chunks


def test_chunks_are_told_apart(run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(Source(), 1 << 16)
        reader.begin_http_chunk_receiving()
        reader.feed_data(b"abc")
        reader.feed_data(b"de")
        reader.end_http_chunk_receiving()
        reader.begin_http_chunk_receiving()
        reader.feed_data(b"f")
        assert await reader.readchunk() == (b"abcde", True)
        assert await reader.readchunk() == (b"f", False)
        reader.end_http_chunk_receiving()
        assert await reader.readchunk() == (b"", True)
        reader.feed_eof()
        assert await reader.readchunk() == (b"", False)

    run(check())


def test_chunks_that_come_joined_are_told_apart(run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(Source(), 1 << 16)
        reader.feed_chunks(b"abcdef", (2, 5))
        reader.feed_chunks(b"g", (1,))
        reader.feed_eof()
        assert [pair async for pair in reader.iter_chunks()] == [
            (b"ab", True),
            (b"cde", True),
            (b"fg", True),
        ]

    run(check())


def test_chunk_ends_passed_by_other_reads_are_forgotten(run: Run) -> None:
    async def check() -> None:
        reader = StreamReader(Source(), 1 << 16)
        reader.feed_chunks(b"abcdef", (2, 4, 6))
        assert await reader.read(3) == b"abc"
        assert await reader.readchunk() == (b"d", True)
        assert await reader.readchunk() == (b"ef", True)

    run(check())


def test_cve_2025_69229_many_tiny_chunks_pause_the_source() -> None:
    reader = StreamReader(source := Source(), 1 << 16)
    fed = 0
    while not source.paused:
        assert fed < 20_000
        reader.feed_chunks(b"x" * 100, range(1, 101))
        fed += 100


def test_chunk_marks_out_of_order_are_refused() -> None:
    reader = StreamReader(Source(), 16)
    with pytest.raises(RuntimeError, match="without begin"):
        reader.end_http_chunk_receiving()
    reader.feed_data(b"abc")
    with pytest.raises(RuntimeError, match="already fed"):
        reader.begin_http_chunk_receiving()


# --------------------------------------------------------------------- the empty stream


def test_empty_content_is_shared_and_never_changes(run: Run) -> None:
    async def check() -> None:
        empty = EMPTY_PAYLOAD
        empty.feed_data(b"x")
        empty.set_exception(ValueError("x"))
        empty.set_read_chunk_size(1)
        empty.on_demand(lambda: None)
        empty.begin_http_chunk_receiving()
        empty.end_http_chunk_receiving()
        empty.feed_eof()
        called: list[int] = []
        empty.on_eof(lambda: called.append(1))
        assert called == [1]
        assert empty.exception() is None
        assert empty.at_eof()
        assert empty.is_eof()
        assert empty.total_bytes == empty.total_raw_bytes == 0
        assert await empty.read() == await empty.readline() == await empty.readany() == b""
        assert await empty.readchunk() == (b"", False)
        assert [chunk async for chunk in empty.iter_chunks()] == []
        assert empty.read_nowait() == b""
        await empty.wait_eof()
        with pytest.raises(asyncio.IncompleteReadError):
            await empty.readexactly(1)
        with (
            pytest.raises(RuntimeError, match="nothing was read"),
            pytest.deprecated_call(match="ANT-0027"),
        ):
            empty.unread_data(b"x")
        assert await empty.read() == b""

    run(check())


# --------------------------------------------------------------------- queues


def test_a_queue_gives_values_in_order_and_then_its_end(run: Run) -> None:
    async def check() -> None:
        queue: DataQueue[str] = DataQueue(asyncio.get_running_loop())
        task = asyncio.ensure_future(queue.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already waiting"):
            await queue.read()
        queue.feed_data("a", 1)
        queue.feed_data("b")
        assert await task == "a"
        assert len(queue) == 1
        queue.feed_eof()
        assert queue.is_eof()
        assert not queue.at_eof()
        assert [value async for value in queue] == ["b"]
        assert queue.at_eof()
        with pytest.raises(EofStream):
            await queue.read()

    run(check())


def test_a_broken_queue_gives_what_came_before(run: Run) -> None:
    async def check() -> None:
        queue: DataQueue[str] = DataQueue(asyncio.get_running_loop())
        queue.feed_data("a")
        queue.set_exception(ValueError("broken"), KeyError("why"))
        assert await queue.read() == "a"
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await queue.read()
        assert isinstance(queue.exception(), ValueError)

    run(check())


def test_a_cancelled_read_of_a_queue_loses_no_value(run: Run) -> None:
    async def check() -> None:
        queue: DataQueue[str] = DataQueue(asyncio.get_running_loop())
        task = asyncio.ensure_future(queue.read())
        await asyncio.sleep(0)
        queue.feed_data("a")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await queue.read() == "a"

    run(check())


def test_a_queue_with_flow_control_pauses_and_resumes(run: Run) -> None:
    async def check() -> None:
        source = Source()
        queue: FlowControlDataQueue[str] = FlowControlDataQueue(
            source, 4, loop=asyncio.get_running_loop()
        )
        queue.feed_data("a", 8)
        assert source.calls == []
        queue.feed_data("b", 1)
        assert source.calls == ["pause"]
        await queue.read()
        assert source.calls == ["pause", "resume"]

    run(check())
