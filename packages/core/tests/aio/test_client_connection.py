"""One connection of a client: what goes out, what comes back, when it may be used again."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from multidict import CIMultiDict

from antiphon.core.aio.exchange import Timeline
from antiphon.core.errors import (
    BadHttpMessage,
    BadStatusLine,
    ContentEncodingError,
    ContentLengthError,
    HttpProcessingError,
    LocalProtocolError,
    TransferEncodingError,
)

Run = Callable[["Coroutine[Any, Any, Any]"], Any]
Asked = Any  # the fixture's class
Turns = Callable[..., "Coroutine[Any, Any, None]"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("wire", "code", "content", "reusable"),
    [
        pytest.param(OK, 200, b"ok", True, id="by length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
            200, b"ok", True, id="chunked",
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, id="no content"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK,
            200, b"ok", True, id="informational first",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            200, b"ok", False, id="close",
        ),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False, id="1.0"),
    ],
)  # fmt: skip
def test_responses_however_they_are_cut(
    wire: bytes, code: int, content: bytes, reusable: bool, run: Run, asked: Asked, turns: Turns
) -> None:
    async def check(pieces: list[bytes]) -> None:
        connection = asked()
        exchange = connection.open()
        waiting = asyncio.ensure_future(exchange.response())
        for piece in filter(None, pieces):
            connection.transport.feed(piece)
            await turns(1)
        head = await waiting
        assert (head.code, await exchange.content.read()) == (code, content)
        assert exchange.done
        assert connection.protocol.free() == reusable
        assert connection.transport.closed is not reusable
        assert len(exchange.informational) == 2 * (b"103" in wire)
        await connection.end()

    async def every_cut() -> None:
        for cut in range(len(wire)):
            await check([wire[:cut], wire[cut:]])
        await check([bytes([byte]) for byte in wire])

    run(every_cut())


def test_head_and_body_leave_in_one_write(run: Run, asked: Asked, turns: Turns) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open("POST", "/a", body=b"content", headers={"A": "b"})
        (data,) = connection.transport.writes
        assert data.startswith(b"POST /a HTTP/1.1\r\nHost: h\r\n")
        assert data.endswith(b"\r\n\r\ncontent")
        assert not exchange.done
        assert connection.protocol.free() == 0
        with pytest.raises(LocalProtocolError, match="No exchange can start"):
            connection.open()
        connection.transport.feed(OK)
        assert exchange.done
        assert (await exchange.response()).code == 200
        await connection.end()

    run(check())


def test_what_was_refused_leaves_the_connection_free(run: Run, asked: Asked) -> None:
    """CVE-2023-49082, CVE-2023-49081: nothing of such a request is sent."""

    async def check() -> None:
        connection = asked()
        for bad in (
            {"method": "GE\r\nT"},
            {"target": "/ HTTP/1.1\r\nA: b"},
            {"headers": {"A": "\n"}},
        ):
            with pytest.raises(ValueError):
                connection.open(**bad)
        assert connection.transport.written == b""
        assert connection.protocol.free() == 1
        assert connection.protocol.uses == 0
        await connection.end()

    run(check())


def test_content_that_is_here_is_read_without_waiting(run: Run, asked: Asked) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        connection.transport.feed(OK)
        for coro in (exchange.response(), exchange.content.read()):
            with pytest.raises(StopIteration):
                coro.send(None)
        await connection.end()

    run(check())


def test_one_exchange_after_the_other(run: Run, asked: Asked, turns: Turns) -> None:
    async def check() -> None:
        connection = asked()
        freed: list[int] = []
        for number in range(1, 4):
            exchange = connection.open()
            exchange.add_done_callback(lambda: freed.append(connection.protocol.free()))
            connection.transport.feed(OK)
            assert await exchange.content.read() == b"ok"
            assert connection.protocol.uses == number
        assert freed == [1, 1, 1], "free when told"
        exchange.add_done_callback(lambda: freed.append(0))
        assert freed[-1] == 0
        await connection.end()

    run(check())


def test_the_timeline_is_filled(run: Run, asked: Asked) -> None:
    async def check() -> None:
        connection = asked()
        timeline = Timeline(asyncio.get_running_loop().time())
        exchange = connection.open(timeline=timeline, deadline=1e9)
        assert exchange.timeline is timeline
        assert timeline.head_sent == timeline.body_sent
        assert not exchange.response_started
        connection.transport.feed(b"H")
        assert exchange.response_started
        assert exchange.last_read == timeline.first_byte
        connection.transport.feed(OK[1:])
        assert timeline.end is not None
        assert exchange.deadline == 1e9
        await connection.end()

    run(check())


# --------------------------------------------------------------------- content to send


def test_streamed_content_and_an_answer_after_it(run: Run, asked: Asked, turns: Turns) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open("PUT", chunked=True)
        writer = exchange.writer
        writer.set_trailers(CIMultiDict({"Digest": "x"}))
        await writer.write(b"abc")
        before = exchange.timeline.body_sent
        await writer.write_eof(b"de")
        assert before is None
        assert exchange.timeline.body_sent is not None
        assert connection.transport.written.endswith(
            b"3\r\nabc\r\n2\r\nde\r\n0\r\nDigest: x\r\n\r\n"
        )
        connection.transport.feed(OK)
        assert exchange.done
        assert connection.protocol.free() == 1
        await connection.end()

    run(check())


def test_an_answer_before_the_content_is_complete(run: Run, asked: Asked, turns: Turns) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open("PUT", length=5)
        await exchange.writer.write(b"ab")
        connection.transport.feed(OK)
        assert (await exchange.response()).code == 200
        assert await exchange.content.read() == b"ok"
        assert not exchange.done
        assert connection.protocol.free() == 0
        await exchange.writer.write_eof(b"cde")
        assert exchange.done
        assert connection.protocol.free() == 1
        await connection.end()

    run(check())


def test_a_server_that_closes_early_ends_the_upload(run: Run, asked: Asked, turns: Turns) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open("PUT", length=1000)
        await exchange.writer.write(b"ab")
        connection.transport.feed(
            b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
        )
        assert (await exchange.response()).code == 413
        assert await exchange.content.read() == b"no"
        assert exchange.done
        await turns()
        with pytest.raises((ConnectionError, LocalProtocolError)):
            await exchange.writer.write(b"c")
        assert connection.protocol.closed

    run(check())


@pytest.mark.parametrize("content", [b"abc", b"abcdef"], ids=["short", "long"])
def test_content_of_another_size_is_our_error(content: bytes, run: Run, asked: Asked) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open("PUT", length=5)
        with pytest.raises(LocalProtocolError):
            await exchange.writer.write_eof(content)
        assert b"abcdef" not in connection.transport.written
        assert connection.protocol.free() == 0
        exchange.abort()
        await connection.transport.lost

    run(check())


def test_upload_waits_for_a_server_that_does_not_read(run: Run, asked: Asked, turns: Turns) -> None:
    async def check() -> None:
        connection = asked()
        connection.transport.blocked = True
        exchange = connection.open("PUT", chunked=True)

        async def upload() -> None:
            for _ in range(100):
                await exchange.writer.write(b"x" * 10_000)
            await exchange.writer.write_eof()

        task = asyncio.ensure_future(upload())
        await turns(50)
        assert connection.transport.unsent < 200_000
        while not task.done():
            connection.transport.sent(1 << 20)
            await turns(2)
        connection.transport.feed(OK)
        assert exchange.done
        await connection.end()

    run(check())


# --------------------------------------------------------------------- Expect: 100-continue


@pytest.mark.parametrize("at_hand", [True, False])
def test_content_waits_until_the_server_wants_it(
    at_hand: bool, run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        options: dict[str, Any] = {"body": b"abc"} if at_hand else {"length": 3}
        exchange = connection.open("PUT", expect_continue=True, **options)
        waiting = asyncio.ensure_future(exchange.wait_continue())
        await turns()
        assert b"Expect: 100-continue" in connection.transport.take()
        connection.transport.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await waiting is True
        if not at_hand:
            await exchange.writer.write_eof(b"abc")
        assert connection.transport.take() == b"abc"
        connection.transport.feed(OK)
        assert (await exchange.response()).code == 200
        assert connection.protocol.free() == 1
        await connection.end()

    run(check())


def test_cve_2024_24791_content_not_wanted_ends_the_connection(
    run: Run, asked: Asked, turns: Turns
) -> None:
    """CVE-2024-24791: after such an answer the two ends disagree about what comes next."""

    async def check() -> None:
        connection = asked()
        exchange = connection.open("PUT", body=b"abc", expect_continue=True)
        connection.transport.take()
        waiting = asyncio.ensure_future(exchange.wait_continue())
        await turns()
        connection.transport.feed(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        assert await waiting is False
        assert (await exchange.response()).code == 401
        assert exchange.done
        assert connection.transport.written == b""
        assert connection.transport.closed
        assert connection.protocol.free() == 0

    run(check())


def test_a_cancelled_expectation_makes_the_connection_unusable(
    run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open("PUT", length=3, expect_continue=True)
        task = asyncio.ensure_future(exchange.wait_continue())
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.protocol.free() == 0
        exchange.abort()
        await connection.transport.lost
        assert connection.protocol.closed

    run(check())


# --------------------------------------------------------------------- bytes nobody asked for


@pytest.mark.parametrize("extra", [OK, b"\r\n", b"x"], ids=["a response", "an empty line", "x"])
def test_surplus_bytes_never_answer_the_next_request(
    extra: bytes, run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        connection.transport.feed(OK + extra)
        assert await exchange.content.read() == b"ok"
        assert connection.protocol.free() == 0
        assert connection.transport.closed
        await turns()
        connection = asked()
        connection.transport.feed(extra)
        assert connection.protocol.free() == 0
        assert connection.transport.closed

    run(check())


def test_an_idle_connection_that_the_server_ends_is_closed(
    run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        told: list[str] = []
        connection.protocol.add_close_callback(lambda: told.append("closed"))
        connection.transport.feed_eof()
        assert connection.protocol.free() == 0
        await connection.protocol.wait_closed()
        await connection.protocol.wait_closed()
        assert told == ["closed"]
        connection.protocol.add_close_callback(lambda: told.append("late"))
        assert told == ["closed", "late"]
        assert connection.protocol.transport is None
        assert connection.protocol.get_extra_info("peername") is None
        assert connection.protocol.peername == ("192.0.2.1", 4711)

    run(check())


# --------------------------------------------------------------------- what breaks


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        pytest.param(b"", ConnectionResetError, id="nothing"),
        pytest.param(b"HTTP/1.1 200 O", BadStatusLine, id="half a head"),
        pytest.param(b"HTTP/1.1 103 E\r\n\r\n", ConnectionResetError, id="only informational"),
    ],
)
def test_a_server_that_ends_before_its_head(
    wire: bytes, error: type[Exception], run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        done: list[int] = []
        exchange.add_done_callback(lambda: done.append(1))
        if wire:
            connection.transport.feed(wire)
        connection.transport.feed_eof()
        with pytest.raises(error):
            await exchange.response()
        assert exchange.response_started is bool(wire)
        assert not exchange.done
        assert done == [1]
        await connection.transport.lost

    run(check())


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"SSH-2.0\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", id="bad field"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"
        ),
        pytest.param(
            b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", id="101 unasked"
        ),
        pytest.param(b"HTTP/1.1 103 E\r\n\r\n" * 9, id="endless informational"),
    ],
)
def test_bytes_that_are_no_response_are_one_typed_error(
    wire: bytes, run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        waiting = asyncio.ensure_future(exchange.response())
        await turns()
        connection.transport.feed(wire)
        with pytest.raises(HttpProcessingError):
            await waiting
        assert connection.transport.aborted
        assert connection.protocol.free() == 0

    run(check())


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", ContentLengthError, id="length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            TransferEncodingError, id="chunked",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("waits", [True, False])
def test_a_truncated_body_never_passes_as_whole(
    wire: bytes, error: type[Exception], waits: bool, run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        connection.transport.feed(wire)
        task = asyncio.ensure_future(exchange.content.read())
        if waits:
            await turns()
        connection.transport.feed_eof()
        with pytest.raises(error):
            await task
        assert not exchange.done
        await turns()

    run(check())


@pytest.mark.parametrize("reset", [False, True])
def test_content_until_close_is_whole_only_after_an_orderly_end(
    reset: bool, run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        connection.transport.feed(b"HTTP/1.1 200 OK\r\n\r\nsome")
        task = asyncio.ensure_future(exchange.content.read())
        await turns()
        if reset:
            connection.transport.reset()
            with pytest.raises(ConnectionResetError):
                await task
        else:
            connection.transport.feed_eof()
            assert await task == b"some"
            assert exchange.done
        await turns()

    run(check())


def test_a_slow_reader_gets_what_came_before_an_orderly_end(
    run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open(read_bufsize=1000)
        connection.transport.feed(b"HTTP/1.1 200 OK\r\n\r\n")
        await turns()
        connection.transport.feed(b"x" * 3000)
        assert exchange.reading_paused
        assert not connection.transport.reading
        connection.transport.protocol.data_received(b"y" * 3000)  # was under way already
        connection.transport.feed_eof()
        await turns()
        assert connection.protocol.transport is None
        assert not exchange.done
        assert len(await exchange.content.read()) == 6000
        assert exchange.done

    run(check())


def test_content_is_decoded_or_not_as_asked(
    run: Run, asked: Asked, turns: Turns, gzipped: Callable[[bytes], bytes]
) -> None:
    async def check() -> None:
        data = gzipped(b"hello" * 100)
        wire = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(
            data
        )
        for decompress, expected in ((True, b"hello" * 100), (False, data)):
            connection = asked()
            exchange = connection.open(decompress=decompress)
            connection.transport.feed(wire + data)
            assert await exchange.content.read() == expected
            assert exchange.content.total_raw_bytes == len(data)
            assert connection.protocol.free() == 1
            await connection.end()

    run(check())


def test_a_truncated_coding_never_passes_as_whole(
    run: Run, asked: Asked, turns: Turns, gzipped: Callable[[bytes], bytes]
) -> None:
    async def check() -> None:
        data = gzipped(b"hello" * 100)[:-4]
        connection = asked()
        exchange = connection.open()
        connection.transport.feed(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(data)
            + data
        )
        with pytest.raises(ContentEncodingError):
            await exchange.content.read()
        assert connection.protocol.free() == 1, "the framing was intact"
        await connection.end()

    run(check())


def test_cve_2025_66471_a_bomb_inflates_no_further_than_it_is_read(
    run: Run, asked: Asked, turns: Turns, gzipped: Callable[[bytes], bytes]
) -> None:
    """CVE-2025-66471, CVE-2025-66418: neither while read slowly nor when dropped."""

    async def check() -> None:
        data = gzipped(bytes(32 << 20))
        connection = asked()
        exchange = connection.open()
        connection.transport.feed(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(data)
            + data
        )
        content = exchange.content
        assert content.buffered < 300_000
        total = 0
        while piece := await content.readany():
            assert len(piece) < 300_000
            total += len(piece)
        assert total == 32 << 20
        assert exchange.done
        await connection.end()

    run(check())


# --------------------------------------------------------------------- giving up


@pytest.mark.parametrize("stage", ["head", "content"])
@pytest.mark.parametrize("how", ["exchange", "connection close", "connection abort"])
def test_giving_up_wakes_whoever_waits_and_closes(
    stage: str, how: str, run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        if stage == "content":
            connection.transport.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
            task = asyncio.ensure_future(exchange.content.readexactly(5))
        else:
            task = asyncio.ensure_future(exchange.response())
        await turns()
        error: type[BaseException] = ConnectionAbortedError
        if how == "exchange":
            error = TimeoutError
            exchange.abort(TimeoutError("total"))
            exchange.abort()
        elif how == "connection close":
            connection.protocol.close()
        else:
            connection.protocol.abort()
        assert connection.transport.closed, "in this very step"
        with pytest.raises(error):
            await task
        assert connection.protocol.free() == 0

    run(check())


def test_aborting_a_finished_exchange_leaves_the_connection_alone(
    run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        first = connection.open()
        connection.transport.feed(OK)
        second = connection.open()
        first.abort()
        with pytest.raises(LocalProtocolError):
            await first.writer.write(b"into the other's content")
        connection.transport.feed(OK)
        assert (await second.response()).code == 200
        connection.protocol.close()
        connection.protocol.close()
        await connection.protocol.wait_closed()

    run(check())


def test_a_lost_connection_is_told(run: Run, asked: Asked, turns: Turns) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open("PUT", length=5)
        task = asyncio.ensure_future(exchange.response())
        await turns()
        connection.transport.reset()
        with pytest.raises(ConnectionResetError, match="Connection lost"):
            await task
        with pytest.raises(ConnectionResetError):
            await exchange.writer.write(b"a")
        with pytest.raises(ConnectionResetError):
            await exchange.response()

    run(check())


def test_a_second_waiter_is_refused(run: Run, asked: Asked, turns: Turns) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open("PUT", length=1, expect_continue=True)
        tasks = [
            asyncio.ensure_future(exchange.response()),
            asyncio.ensure_future(exchange.wait_continue()),
        ]
        await turns()
        with pytest.raises(RuntimeError, match="another task"):
            await exchange.response()
        with pytest.raises(RuntimeError, match="another task"):
            await exchange.wait_continue()
        exchange.abort()
        for task in tasks:
            with pytest.raises(ConnectionAbortedError):
                await task

    run(check())


# --------------------------------------------------------------------- the rest


@pytest.mark.parametrize(
    ("value", "hint"), [("timeout=5, max=100", 5), ("max=3", None), ("timeout=x", None), ("", None)]
)
def test_the_keep_alive_hint(value: str, hint: float | None, run: Run, asked: Asked) -> None:
    async def check() -> None:
        connection = asked()
        assert connection.protocol.keep_alive_hint is None
        connection.open()
        field = f"Keep-Alive: {value}\r\n".encode() if value else b""
        connection.transport.feed(b"HTTP/1.1 204 No\r\n" + field + b"\r\n")
        assert connection.protocol.keep_alive_hint == hint
        assert connection.protocol.keep_alive_hint == hint
        await connection.end()

    run(check())


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_an_upgrade_hands_over_every_byte(
    method: str, run: Run, asked: Asked, turns: Turns
) -> None:
    async def check() -> None:
        connection = asked()
        got: list[bytes] = []

        class Receiver:
            def data_received(self, data: bytes) -> None:
                got.append(data)

            def eof_received(self) -> None: ...

            def connection_lost(self, exc: Exception | None) -> None:
                got.append(b"lost")

            def resume_writing(self) -> None: ...

        if method == "GET":
            exchange = connection.open(upgrade="x")
            answer = b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
        else:
            exchange = connection.open("CONNECT", "h:1")
            answer = b"HTTP/1.1 200 OK\r\n\r\n"
        with pytest.raises(LocalProtocolError, match="did not agree"):
            exchange.upgrade()
        connection.transport.feed(answer + b"early ")
        assert (await exchange.response()).upgrade
        connection.transport.feed(b"bytes ")
        channel = exchange.upgrade()
        channel.attach(Receiver())
        connection.transport.feed(b"later")
        assert b"".join(got) == b"early bytes later"
        assert connection.protocol.free() == 0
        channel.close()
        await turns()
        assert got[-1] == b"lost"

    run(check())


def test_a_refused_upgrade_is_an_ordinary_response(run: Run, asked: Asked) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open(upgrade="x")
        connection.transport.feed(OK)
        assert await exchange.content.read() == b"ok"
        with pytest.raises(LocalProtocolError):
            exchange.upgrade()
        assert connection.protocol.free() == 1
        await connection.end()

    run(check())


def test_trailers_are_known_after_the_content(run: Run, asked: Asked) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        connection.transport.feed(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n"
        )
        assert exchange.trailers["x"] == "y"
        assert BadHttpMessage.code == 400
        await connection.end()

    run(check())
