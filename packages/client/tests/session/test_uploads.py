"""Content that is sent piece by piece: progress, early answers, failures, closing."""

import asyncio
import io

import pytest

from antiphon.client.errors import (
    ClientConnectionResetError,
    ServerDisconnectedError,
    SocketTimeoutError,
    UploadAbortedError,
)
from antiphon.client.options import ClientTimeout
from antiphon.client.progress import UploadTracker
from antiphon.core.aio.payload import Payload


class Content(Payload):
    """Writes pieces, and notes when it is closed."""

    def __init__(self, *pieces, replayable=False, size=None):
        super().__init__(b"")
        self.pieces = pieces
        self.closed = 0
        self.written = 0
        self.may_replay = replayable
        self._size = size

    @property
    def replayable(self):
        return self.may_replay

    async def write(self, writer):
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            if isinstance(piece, asyncio.Event):
                await piece.wait()
                continue
            await writer.write(piece)
            self.written += len(piece)

    async def close(self):
        self.closed += 1


def test_content_is_closed_after_the_answer(run, origin):
    content = Content(b"a", b"b")

    async def scenario(session):
        await session.post("http://h/", data=content)
        assert content.closed

    run(scenario)
    assert origin.asked[0].body == b"ab"


@pytest.mark.parametrize("how", ["lost", "dial", "refused"])
def test_content_is_closed_after_a_failure(run, origin, memory, how):
    """CVE-2026-54280: files must not stay open when the write is cut."""
    content = Content(b"a")

    async def scenario(session):
        if how == "lost":
            origin.script = lambda asked: memory.Lost(ConnectionResetError("closed"))
        elif how == "dial":
            session.connector.dial_error = OSError("refused")
        headers = {"X": "a\r\nb"} if how == "refused" else {}
        with pytest.raises((ServerDisconnectedError, OSError, ValueError)):
            await session.post("http://h/", data=content, headers=headers)
        assert content.closed

    run(scenario)


def test_content_is_closed_after_a_cancellation(run, origin):
    content = Content(b"a", asyncio.Event())

    async def scenario(session):
        task = asyncio.create_task(session.post("http://h/", data=content))
        while not content.written:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert content.closed
        await asyncio.sleep(0)

    run(scenario)
    assert origin.open_connections == 0


def test_the_users_own_failure_passes_through(run, origin):
    content = Content(b"half", ZeroDivisionError("mine"))

    async def scenario(session):
        with pytest.raises(ZeroDivisionError, match="mine"):
            await session.post("http://h/", data=content)
        assert content.closed

    run(scenario)
    assert origin.open_connections == 0, "half a body must not pass for a whole one"


def test_an_early_answer_is_given_while_content_is_still_sent(run, origin, memory):
    held = asyncio.Event()
    content = Content(b"a", held, b"b")

    async def scenario(session):
        posting = asyncio.create_task(session.post("http://h/", data=content))
        while not content.written:
            await asyncio.sleep(0)
        origin.exchanges[0].answer(memory.Reply(status=413, body=b"too big"))
        response = await posting
        assert response.status == 413
        with pytest.deprecated_call(match="ANT-0032"):
            assert not response.upload_complete
        assert await response.read() == b"too big"
        assert not content.closed
        await response.wait_for_close()
        assert content.closed

    run(scenario)
    assert origin.open_connections == 0


def test_a_broken_upload_does_not_hide_an_answer(run, origin, memory):
    """The server answered and closed; that it did not read on is no news."""
    content = Content(b"a", ClientConnectionResetError("closed"))

    async def scenario(session):
        origin.on_open = lambda exchange: exchange.connection.loop.call_soon(
            exchange.answer, memory.Reply(status=400)
        )
        async with session.post("http://h/", data=content) as response:
            assert response.status == 400

    run(scenario)


@pytest.mark.parametrize(
    ("wants", "body", "status"), [(True, b"x" * 10, 200), (False, b"", 417)], ids=["yes", "no"]
)
def test_content_is_sent_if_the_server_wants_it(run, origin, memory, wants, body, status):
    def expected(exchange):
        loop = exchange.connection.loop
        if wants:
            loop.call_soon(exchange.continued.set_result, True)
        else:
            loop.call_soon(exchange.answer, memory.Reply(status=417))

    origin.on_expect = expected

    async def scenario(session):
        async with session.post("http://h/", data=b"x" * 10, expect100=True) as response:
            assert response.status == status

    run(scenario)
    assert origin.asked[0].body == body


def test_a_server_that_does_not_say_is_not_waited_for_for_ever(run, origin):
    async def scenario(session):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        headers = {"Expect": "100-continue"}
        async with session.post("http://h/", data=b"x", headers=headers) as response:
            assert response.status == 200
        assert loop.time() - begun == pytest.approx(1, abs=0.01)

    run(scenario)
    assert origin.asked[0].body == b"x"


def test_a_server_that_does_not_read(run, origin):
    origin.on_open = lambda exchange: setattr(exchange.writer, "blocked", asyncio.Event())

    async def scenario(session):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(SocketTimeoutError, match="write=3 s .phase write"):
            await session.post(
                "http://h/", data=Content(b"a", b"b"), timeout=ClientTimeout(write=3)
            )
        assert 3 <= loop.time() - begun < 3.8

    run(scenario)
    assert origin.open_connections == 0


# -- progress


def test_the_tracker_of_a_whole_upload(run, origin):
    async def scenario(session):
        tracker = UploadTracker()
        assert (tracker.attempts, tracker.bytes_written) == (0, 0)
        await session.post("http://h/", data=b"abc", upload_tracker=tracker)
        assert (tracker.attempts, tracker.bytes_written) == (1, 3)
        assert await tracker.upload_complete is None
        with pytest.raises(RuntimeError, match="one request"):
            await session.post("http://h/", data=b"abc", upload_tracker=tracker)

    run(scenario)


def test_the_tracker_counts_what_is_sent_again(run, origin, memory):
    async def scenario(session):
        async with session.get("http://h/") as response:
            await response.read()
        origin.replies(
            memory.Lost(ConnectionResetError("closed")),
            memory.Reply(status=307, headers=[("Location", "/b")]),
            memory.Reply(),
        )
        tracker = UploadTracker()
        await session.put("http://h/", data=io.BytesIO(b"abc"), upload_tracker=tracker)
        assert (tracker.attempts, tracker.bytes_written) == (3, 3)
        await tracker.upload_complete

    run(scenario)


@pytest.mark.parametrize("how", ["lost", "failed", "cancelled"])
def test_the_tracker_of_an_upload_that_fails(run, origin, memory, how):
    async def scenario(session):
        tracker = UploadTracker()
        pieces = [b"ab", ZeroDivisionError()] if how == "failed" else [b"ab", asyncio.Event()]
        posting = asyncio.create_task(
            session.post("http://h/", data=Content(*pieces), upload_tracker=tracker)
        )
        while not tracker.bytes_written:
            await asyncio.sleep(0)
        if how == "lost":
            origin.connections[0].abort()
        elif how == "cancelled":
            posting.cancel()
        await asyncio.wait([posting])
        assert posting.cancelled() or posting.exception() is not None
        with pytest.raises(UploadAbortedError):
            await tracker.upload_complete
        assert tracker.bytes_written == 2

    run(scenario)


def test_the_tracker_of_a_request_without_content(run):
    async def scenario(session):
        tracker = UploadTracker()
        await session.get("http://h/", upload_tracker=tracker)
        await tracker.upload_complete
        assert tracker.bytes_written == 0

    run(scenario)
