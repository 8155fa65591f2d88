"""Time limits, lost connections, the silent resend, cancellation, closing."""

import asyncio
import io

import pytest

from antiphon.client.errors import (
    ClientConnectionError,
    ClientConnectorDNSError,
    ClientOSError,
    ClientResponseError,
    ConnectionTimeoutError,
    ServerDisconnectedError,
    ServerTimeoutError,
    SocketTimeoutError,
)
from antiphon.client.options import ClientTimeout
from antiphon.client.session import ClientSession
from antiphon.core.errors import BadStatusLine


@pytest.fixture
def warm(origin, memory):
    """Make the connection of the next request a used one."""

    async def warmed(session):
        async with session.get("http://h/") as response:
            await response.read()

    return warmed


@pytest.mark.parametrize(
    ("timeout", "kind", "phase", "after"),
    [
        pytest.param(ClientTimeout(total=5), ServerTimeoutError, "first_byte", 5, id="total"),
        pytest.param(2.5, ServerTimeoutError, "first_byte", 2.5, id="a number is the total"),
        pytest.param(
            ClientTimeout(sock_read=3), SocketTimeoutError, "first_byte", 3, id="sock_read"
        ),
        pytest.param(
            ClientTimeout(first_byte=4), SocketTimeoutError, "first_byte", 4, id="first_byte"
        ),
        pytest.param(
            ClientTimeout(total=9, sock_read=3),
            SocketTimeoutError,
            "first_byte",
            3,
            id="the smaller one",
        ),
    ],
)
def test_no_answer_in_time(run, origin, memory, timeout, kind, phase, after):
    origin.script = lambda asked: memory.NEVER

    async def scenario(session):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(
            kind, match=f"phase {phase}; connection .* sending again is safe"
        ) as info:
            await session.get("http://h/", timeout=timeout)
        assert isinstance(info.value, TimeoutError)
        assert loop.time() - begun == pytest.approx(after, abs=0.01)
        assert info.value.failure.phase == phase

    run(scenario)
    assert origin.open_connections == 0


def test_content_that_does_not_end_in_time(run, origin, memory):
    origin.script = lambda asked: memory.Reply(body=b"x", keep_open=True)

    async def scenario(session):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(ServerTimeoutError, match="phase content"):
            async with session.get("http://h/", timeout=ClientTimeout(total=5)) as response:
                await response.read()
        assert loop.time() - begun == pytest.approx(5, abs=0.01)
        with pytest.raises(SocketTimeoutError, match="sock_read=2"):
            async with session.get("http://h/", timeout=ClientTimeout(sock_read=2)) as response:
                await response.content.read()

    run(scenario)


def test_sock_read_begins_anew_with_every_arrival(run, origin, memory):
    origin.script = lambda asked: memory.Reply(body=b"x", keep_open=True)

    async def scenario(session):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with session.get("http://h/", timeout=ClientTimeout(sock_read=3)) as response:
            exchange = origin.exchanges[0]
            for at in (2, 4, 6):
                loop.call_at(begun + at, exchange.feed, b"y")
            with pytest.raises(SocketTimeoutError):
                await response.read()
        assert loop.time() - begun == pytest.approx(9, abs=0.01)

    run(scenario)


def test_sock_read_does_not_count_while_nobody_reads(run, origin, memory):
    """It is our reader that is slow, not the server."""
    origin.script = lambda asked: memory.Reply(body=b"x" * 3000, keep_open=True)

    async def scenario(session):
        loop = asyncio.get_running_loop()
        timeout = ClientTimeout(sock_read=3)
        async with session.get("http://h/", timeout=timeout, read_bufsize=1000) as response:
            assert origin.exchanges[0].reading_paused
            done = loop.create_future()
            loop.call_later(60, done.set_result, None)
            await done
            origin.exchanges[0].content_ended = True
            response.content.feed_eof()
            assert len(await response.read()) == 3000

    run(scenario)


def test_total_counts_the_users_own_functions(run, origin, memory):
    async def stuck(request, handler):
        await asyncio.get_running_loop().create_future()

    async def scenario(session):
        with pytest.raises(ServerTimeoutError, match=r"total=1 s, .*phase total"):
            await session.get("http://h/", timeout=ClientTimeout(total=1))

    run(scenario, middlewares=[stuck])


def test_total_spans_redirects(run, origin, memory):
    async def scenario(session):
        loop = asyncio.get_running_loop()
        begun = loop.time()

        def answer(asked):
            reply = memory.Reply(status=302, headers=[("Location", "/")])
            loop.call_later(2, origin.exchanges[-1].answer, reply)
            return memory.NEVER

        origin.script = answer
        with pytest.raises(ServerTimeoutError):
            await session.get("http://h/", timeout=ClientTimeout(total=5))
        assert loop.time() - begun == pytest.approx(5, abs=0.01)

    run(scenario)


def test_many_requests_share_one_timer(run, origin, memory):
    async def scenario(session):
        loop = asyncio.get_running_loop()
        before = len(loop._scheduled)
        for _ in range(50):
            async with session.get("http://h/") as response:
                await response.read()
        # The session's one and the pool's idle sweep.
        assert len(loop._scheduled) - before <= 2

    run(scenario)


def test_waiting_for_the_pool_has_its_own_limit(run, origin, memory):
    origin.script = lambda asked: memory.NEVER

    async def scenario(session):
        first = asyncio.create_task(session.get("http://h/"))
        await asyncio.sleep(0)
        with pytest.raises(ConnectionTimeoutError, match="pool"):
            await session.get("http://h/", timeout=ClientTimeout(pool=1))
        first.cancel()
        await asyncio.wait([first])

    run(scenario, connector={"limit": 1})


# -- lost connections


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(ConnectionResetError("closed"), ServerDisconnectedError, id="closed"),
        pytest.param(ConnectionResetError(104, "reset by peer"), ClientOSError, id="reset"),
        pytest.param(BrokenPipeError(32, "broken pipe"), ClientOSError, id="broken pipe"),
    ],
)
def test_lost_before_an_answer(run, origin, memory, error, kind):
    origin.script = lambda asked: memory.Lost(error)

    async def scenario(session):
        with pytest.raises(kind, match=r"phase first_byte; connection \d+, .* use 1; .* is safe"):
            await session.get("http://h/")
        with pytest.raises(kind, match="sending again is not safe"):
            await session.post("http://h/", data=b"x")

    run(scenario)
    assert len(origin.asked) == 2


def test_what_is_no_response(run, origin, memory):
    origin.script = lambda asked: memory.Lost(BadStatusLine(b"SSH-2.0"), True)

    async def scenario(session):
        with pytest.raises(ClientResponseError, match="Bad status line") as info:
            await session.get("http://h/")
        assert info.value.status == 400

    run(scenario)


def test_a_connection_that_cannot_be_made(run, origin):
    async def scenario(session):
        session.connector.dial_error = error = ClientConnectorDNSError(
            session.connector, OSError(None, "no such name")
        )
        with pytest.raises(ClientConnectorDNSError) as info:
            await session.get("http://h/")
        assert info.value is error

    run(scenario)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_an_idempotent_request_is_sent_again_once(run, origin, memory, warm, method):
    async def scenario(session):
        await warm(session)
        origin.replies(memory.Lost(ConnectionResetError("closed")), memory.Reply(body=b"ok"))
        async with session.request(method, "http://h/", data=b"x") as response:
            assert response.status == 200
            assert response.timeline.tries == 2

    run(scenario)
    assert len(origin.asked) == 3
    assert origin.asked[1].body == origin.asked[2].body


async def _pieces():
    yield b"x"


@pytest.mark.parametrize(
    ("method", "data", "after_first_byte"),
    [
        pytest.param("POST", b"x", False, id="POST never"),
        pytest.param("PATCH", b"x", False, id="PATCH never"),
        pytest.param("GET", None, True, id="not after a byte of an answer"),
        pytest.param("PUT", "stream", False, id="not what cannot be had again"),
    ],
)
def test_what_is_not_sent_again(run, origin, memory, warm, method, data, after_first_byte):
    async def scenario(session):
        await warm(session)
        origin.replies(memory.Lost(ConnectionResetError("closed"), after_first_byte))
        with pytest.raises(ServerDisconnectedError, match="use 2; sending again is not safe"):
            await session.request(method, "http://h/", data=_pieces() if data == "stream" else data)

    run(scenario)
    assert len(origin.asked) == 2


def test_not_sent_again_on_a_new_connection_nor_twice(run, origin, memory, warm):
    async def scenario(session):
        lost = memory.Lost(ConnectionResetError("closed"))
        origin.replies(lost)
        with pytest.raises(ServerDisconnectedError):
            await session.get("http://h/")
        origin.replies(memory.Reply())
        await warm(session)
        origin.replies(lost, lost)
        with pytest.raises(ServerDisconnectedError, match="tried 2 times"):
            await session.get("http://h/")

    run(scenario)


def test_a_file_is_sent_again_whole(run, origin, memory, warm):
    """A retried request must not have a truncated file as its body."""

    async def scenario(session):
        await warm(session)
        origin.replies(memory.Lost(ConnectionResetError("closed")), memory.Reply())
        await session.put("http://h/", data=io.BytesIO(b"whole file"))

    run(scenario)
    assert [asked.body for asked in origin.asked[1:]] == [b"whole file"] * 2


# -- cancellation


def test_cancelled_at_every_await(origin, memory, run):
    """For n = 1 ... end: the n-th step of a request is where it is cancelled."""

    async def request(session):
        async with session.post(
            "http://h/", data=_pieces(), headers={"X": "1"}, compress="gzip"
        ) as response:
            return await response.read()

    async def scenario(session):
        steps = 0
        while True:
            steps += 1
            origin.script = lambda asked: memory.Reply(body=b"done")
            task = asyncio.create_task(request(session))
            for _ in range(steps):
                await asyncio.sleep(0)
                if task.done():
                    break
            task.cancel()
            await asyncio.wait([task])
            stats = session.connector.stats()
            assert (stats.active, stats.waiting) == (0, 0), f"after {steps} steps: {stats}"
            assert len(session.flights) == 0
            if not task.cancelled():
                assert task.result() == b"done"
                break
        assert steps > 4
        return steps

    run(scenario, connector={"limit": 1})


def test_a_cancelled_request_frees_its_slot_in_the_same_step(run, origin, memory):
    origin.script = lambda asked: memory.NEVER

    async def scenario(session):
        task = asyncio.create_task(session.get("http://h/"))
        while not origin.asked:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert session.connector.stats().active == 0
        assert origin.connections[0].closed
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scenario)


# -- closing


def test_a_closed_session_refuses():
    async def main():
        session = ClientSession()
        await session.close()
        with pytest.raises(RuntimeError, match="Session is closed"):
            await session.get("http://h/")
        await session.close()

    asyncio.run(main())


def test_closing_ends_requests_and_readers_at_once(run, origin, memory):
    async def scenario(session):
        origin.script = lambda asked: (
            memory.Reply(body=b"x", keep_open=True) if asked.target == "/read" else memory.NEVER
        )
        response = await session.get("http://h/read")
        reading = asyncio.ensure_future(response.read())
        waiting = asyncio.ensure_future(session.get("http://h/wait"))
        while len(origin.asked) < 2:
            await asyncio.sleep(0)
        flights = session.flights
        await session.close()
        for task, phase in ((reading, "content"), (waiting, "first_byte")):
            with pytest.raises(ClientConnectionError, match=f"session was closed.*phase {phase}"):
                await task
        assert len(flights) == 0

    run(scenario)


def test_a_connector_of_others_stays_open(origin, memory):
    async def main():
        connector = memory.MemoryConnector(origin)
        async with ClientSession(connector=connector, connector_owner=False) as session:
            await session.get("http://h/")
        assert session.closed
        assert not connector.closed
        other = ClientSession(connector=connector)
        other.detach()
        assert other.closed
        assert other.connector is None
        assert not connector.closed
        await connector.close()

    asyncio.run(main())


def test_an_unclosed_session_warns(origin, memory):
    import gc

    told = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context))
        connector = memory.MemoryConnector(origin)
        session = ClientSession(connector=connector)
        with pytest.warns(
            ResourceWarning, match=r"Unclosed client session .*, made at .*test_failures\.py:\d+"
        ):
            del session
            gc.collect()
        await connector.close()

    asyncio.run(main(), debug=True)
    assert told[0]["message"] == "Unclosed client session"
    assert any("test_failures" in str(frame) for frame in told[0]["source_traceback"])


def test_a_session_belongs_to_one_loop(origin, memory):
    async def make():
        return ClientSession(connector=memory.MemoryConnector(origin))

    async def use(session):
        with pytest.raises(RuntimeError, match="another event loop"):
            await session.get("http://h/")

    session = asyncio.run(make())
    asyncio.run(use(session))
    session._closed = True


def test_no_sync_context_manager(origin, memory):
    async def main():
        async with ClientSession(connector=memory.MemoryConnector(origin)) as session:
            with pytest.raises(TypeError, match="async with"), session:
                pass

    asyncio.run(main())
