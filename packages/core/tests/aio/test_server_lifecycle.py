"""Deadlines by the sweep, graceful stop, upgrades, limits on connections."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from multidict import CIMultiDict

from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.server import HttpServer, http_server_protocol
from antiphon.core.aio.server_protocol import Phase
from antiphon.core.errors import HttpProcessingError, LocalProtocolError
from antiphon.core.limits import ServerTimeouts

Run = Callable[["Coroutine[Any, Any, Any]"], Any]
Served = Any  # the fixture's class
Turns = Callable[..., "Coroutine[Any, Any, None]"]

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"


async def ok(exchange: ServerExchange) -> None:
    status = 200 if exchange.error is None else exchange.error.status
    exchange.respond_complete(status, CIMultiDict(), b"ok")


async def reading(exchange: ServerExchange) -> None:
    try:
        await exchange.content.read()
    except HttpProcessingError as exc:
        exchange.respond_complete(exc.status, CIMultiDict(), b"")
    else:
        exchange.respond_complete(200, CIMultiDict(), b"")


class Clock:
    """Sweeps a server at chosen times."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.now = asyncio.get_running_loop().time()

    def pass_(self, seconds: float, step: float = 1.0) -> None:
        """Let *seconds* pass, with a sweep each *step*."""
        for _ in range(round(seconds / step)):
            self.now += step
            self.server.sweep(self.now)


# --------------------------------------------------------------------- deadlines


@pytest.mark.parametrize(
    ("wire", "field", "answer"),
    [
        pytest.param(b"", "head", b"", id="GHSA-5wr8-gcqf-gqf3 nothing is sent"),
        pytest.param(b"GET / HT", "head", b"HTTP/1.1 408 ", id="GHSA-5wr8-gcqf-gqf3 half a head"),
        pytest.param(GET + b"GET", "head", b"HTTP/1.1 408 ", id="half of the second head"),
        pytest.param(GET, "keep_alive", b"", id="idle after an answer"),
        pytest.param(GET + b"\r\n", "keep_alive", b"", id="an empty line is no request"),
    ],
)
def test_a_silent_client_is_let_go(
    wire: bytes, field: str, answer: bytes, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        timeouts = ServerTimeouts(head=20, keep_alive=75, linger_close=2)
        server = HttpServer(ok, timeouts=timeouts)
        connection = served(server)
        if wire:
            connection.transport.feed(wire)
        await turns()
        connection.transport.take()
        clock = Clock(server)
        limit = getattr(timeouts, field)
        clock.pass_(limit - 1)
        assert not connection.transport.closed
        assert connection.transport.take() == b""
        clock.pass_(3)
        await turns()
        assert connection.transport.take().startswith(answer)
        clock.pass_(4)
        await turns()
        assert connection.transport.closed
        assert not server.connections

    run(check())


def test_slowloris_a_byte_now_and_then_does_not_prolong_a_head(
    run: Run, served: Served, turns: Turns
) -> None:
    """CVE-2018-12122 of another server: the deadline is for the whole head."""

    async def check() -> None:
        server = HttpServer(ok, timeouts=ServerTimeouts(head=20))
        connection = served(server)
        clock = Clock(server)
        connection.transport.feed(b"GET / HTTP/1.1\r\n")
        for _ in range(25):
            clock.pass_(1)
            if connection.protocol.phase is not Phase.ACTIVE:
                break
            connection.transport.feed(b"A: b\r\n")
        await turns()
        assert connection.transport.written.startswith(b"HTTP/1.1 408 ")
        await connection.end()

    run(check())


def test_none_switches_a_limit_off(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        server = HttpServer(
            ok, timeouts=ServerTimeouts(head=None, keep_alive=None, max_age=None, write_idle=None)
        )
        connection = served(server)
        Clock(server).pass_(100_000, step=1000)
        connection.transport.feed(GET)
        await turns()
        Clock(server).pass_(100_000, step=1000)
        assert not connection.transport.closed
        await connection.end()

    run(check())


def test_content_that_does_not_come_is_a_408(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        server = HttpServer(reading, timeouts=ServerTimeouts(body_idle=30, body_min_rate=None))
        connection = served(server)
        connection.transport.feed(POST + b"some")
        await turns()
        clock = Clock(server)
        clock.pass_(29)
        await turns()
        assert connection.transport.written == b""
        clock.pass_(3)
        await turns()
        assert connection.transport.written.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in connection.transport.written
        await connection.end()

    run(check())


@pytest.mark.parametrize(("rate", "refused"), [(400, True), (600, False)])
def test_content_must_reach_a_rate_after_its_grace(
    rate: int, refused: bool, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        server = HttpServer(
            reading, timeouts=ServerTimeouts(body_min_rate=500, body_grace=30, body_idle=None)
        )
        connection = served(server)
        connection.transport.feed(POST)
        await turns()
        clock = Clock(server)
        for second in range(1, 60):
            connection.transport.feed(b"x" * rate)
            clock.pass_(1)
            await turns(2)
            if second < 30:
                assert connection.transport.written == b""
        assert connection.transport.written.startswith(b"HTTP/1.1 408 ") is refused
        await connection.end()

    run(check())


def test_a_handler_that_does_not_read_is_not_the_clients_fault(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go = asyncio.Event()

        async def busy(exchange: ServerExchange) -> None:
            await go.wait()
            await ok(exchange)

        server = HttpServer(busy)
        connection = served(server)
        connection.transport.feed(POST)
        await turns()
        Clock(server).pass_(300)
        assert not connection.transport.closed
        go.set()
        await turns()
        assert connection.transport.written.startswith(b"HTTP/1.1 200 ")
        await connection.end()

    run(check())


@pytest.mark.parametrize("streams", [True, False])
def test_a_client_that_does_not_read_is_cut(
    streams: bool, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        async def large(exchange: ServerExchange) -> None:
            if not streams:
                exchange.respond_complete(200, CIMultiDict(), b"x" * 30_000)
                return
            writer = exchange.respond(200, CIMultiDict())
            while True:
                await writer.write(b"x" * 50_000)

        server = HttpServer(large, timeouts=ServerTimeouts(write_idle=60))
        connection = served(server)
        connection.transport.blocked = True
        connection.transport.feed(GET)
        await turns()
        clock = Clock(server)
        for _ in range(10):
            clock.pass_(50)
            connection.transport.sent(1)  # progress, however little
        assert not connection.transport.closed
        clock.pass_(62)
        assert connection.transport.aborted
        await turns()

    run(check())


def test_draining_unread_content_has_a_time_limit(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        server = HttpServer(ok, timeouts=ServerTimeouts(linger=5, linger_close=2))
        connection = served(server)
        connection.transport.feed(POST.replace(b"1000000", b"1000"))
        await turns()
        clock = Clock(server)
        clock.pass_(5)
        assert not connection.transport.eof_written
        clock.pass_(2)
        assert connection.transport.eof_written
        assert not connection.transport.closed
        clock.pass_(4)
        assert connection.transport.closed
        await turns()

    run(check())


def test_an_old_connection_is_closed_after_its_answer(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        server = HttpServer(ok, timeouts=ServerTimeouts(max_age=100, keep_alive=None, head=None))
        busy, idle = served(server), served(server)
        idle.transport.feed(GET)
        busy.transport.feed(GET + b"GET / HTTP/1.1\r\n")
        await turns(20)
        busy.transport.take()
        clock = Clock(server)
        clock.pass_(103, step=10)
        await turns()
        assert idle.transport.closed
        busy.transport.feed(b"Host: h\r\n\r\n")
        await turns()
        assert b"Connection: close" in busy.transport.written
        assert busy.transport.closed

    run(check())


def test_no_timer_without_connections_and_one_with_many(run: Run, served: Served) -> None:
    async def check() -> None:
        server = HttpServer(ok)
        armed = [server._sweep.armed]
        connections = [served(server) for _ in range(5)]
        armed.append(server._sweep.armed)
        assert armed == [False, True]
        for connection in connections:
            await connection.end()
        assert not server._sweep.armed

    run(check())


def test_the_sweep_runs_by_itself(run: Run, served: Served) -> None:
    async def check() -> None:
        server = HttpServer(ok, timeouts=ServerTimeouts(head=0.05))
        connection = served(server)
        await asyncio.wait_for(connection.transport.lost, 5)

    run(check())


# --------------------------------------------------------------------- graceful stop


def test_drain_lets_requests_end_and_closes_the_rest(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            if exchange.head.method == "POST":
                body = await exchange.content.read()
                exchange.respond_complete(200, CIMultiDict(), b"%d" % len(body))
                return
            if exchange.head.path == "/slow":
                await go.wait()
            exchange.respond_complete(200, CIMultiDict(), b"")

        server = HttpServer(handler, timeouts=ServerTimeouts(stop_idle=0))
        idle, begun, slow, upload, fresh = (served(server) for _ in range(5))
        idle.transport.feed(GET)
        begun.transport.feed(GET + b"GET / HT")
        slow.transport.feed(GET.replace(b"/", b"/slow", 1) + GET)
        upload.transport.feed(POST)
        await turns()
        for connection in (idle, begun):
            connection.transport.take()
        assert server.active == 2

        server.begin_drain()
        server.begin_drain()
        await turns()
        assert idle.transport.closed
        assert idle.transport.written == b""
        for connection in (begun, slow, upload, fresh):
            assert not connection.transport.closed

        begun.transport.feed(b"TP/1.1\r\nHost: h\r\n\r\n")
        upload.transport.feed(b"x" * 100_000)
        fresh.transport.feed(GET)
        late = served(server)
        late.transport.feed(GET)
        await turns()
        for _ in range(9):
            upload.transport.feed(b"x" * 100_000)
            await turns(2)
        waiting = asyncio.ensure_future(server.wait_drained(30))
        await turns()
        assert not waiting.done()
        go.set()
        for connection in (begun, slow, upload, fresh, late):
            await turns()
            wire = connection.transport.written
            assert wire.startswith(b"HTTP/1.1 200 ")
            assert wire.count(b"Connection: close") == 1
        assert b"1000000" in upload.transport.written
        slow.transport.feed_eof()  # the request behind the slow one was never begun
        assert await waiting is True
        assert await server.wait_drained() is True

    run(check())


def test_a_request_that_the_kernel_had_when_draining_began_is_served(run: Run) -> None:
    async def check() -> None:
        server = HttpServer(ok)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(server, "127.0.0.1", 0)
        with socket.create_connection(listener.sockets[0].getsockname()) as client:
            client.setblocking(False)
            client.sendall(GET)
            answer = b""
            while not answer.endswith(b"ok"):
                answer += await loop.sock_recv(client, 1000)
            client.sendall(GET)
            # Now it is in the kernel, unread: there was no turn of the loop since.
            listener.close()
            server.begin_drain()
            answer = b""
            while data := await loop.sock_recv(client, 1000):
                answer += data
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"Connection: close" in answer
        assert await server.wait_drained(5)

    run(check())


def test_a_connection_used_a_moment_ago_is_given_another(
    run: Run, served: Served, turns: Turns
) -> None:
    """Its client may be sending: it learns of the stop by the answer, not by losing a request."""

    async def check() -> None:
        server = HttpServer(ok, timeouts=ServerTimeouts(stop_idle=3))
        idle, used, busy, begun = (served(server) for _ in range(4))
        idle.transport.feed(GET)
        await turns()
        clock = Clock(server)
        clock.now -= 100
        clock.pass_(1)  # the sweep saw it idle long ago
        for connection in (used, busy, begun):
            connection.transport.feed(GET)
        begun.transport.feed(b"GET / HT")
        await turns()
        for connection in (used, busy, begun):
            connection.transport.take()

        server.begin_drain()
        await turns()
        assert idle.transport.closed
        clock.pass_(3)
        assert not used.transport.closed
        busy.transport.feed(GET)
        await turns()
        assert b"Connection: close" in busy.transport.written
        clock.pass_(3)
        assert used.transport.closed
        assert used.transport.written == b""
        assert not begun.transport.closed
        begun.transport.feed(b"TP/1.1\r\nHost: h\r\n\r\n")
        await turns()
        assert b"Connection: close" in begun.transport.written
        for connection in (busy, begun):
            connection.transport.feed_eof()
        assert await server.wait_drained(30)

    run(check())


@pytest.mark.parametrize("whole", [True, False])
def test_a_client_that_was_told_to_keep_alive_can_still_ask(
    run: Run, served: Served, turns: Turns, whole: bool
) -> None:
    """The answer said so before draining began, and ended, or its owner did, after that."""

    async def check() -> None:
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            if exchange.head.path == "/next":
                exchange.respond_complete(200, CIMultiDict(), b"next")
            elif whole:
                exchange.respond_complete(200, CIMultiDict(), b"first")
                await go.wait()
            else:
                writer = exchange.respond(200, CIMultiDict(), length=5)
                await writer.write(b"fir")
                await go.wait()
                await writer.write_eof(b"st")

        server = HttpServer(handler, timeouts=ServerTimeouts(stop_idle=3))
        connection = served(server)
        connection.transport.feed(GET)
        await turns()
        server.begin_drain()
        await turns()
        go.set()
        await turns()
        first = connection.transport.take()
        assert first.endswith(b"first")
        assert b"Connection: close" not in first
        assert not connection.transport.closed
        connection.transport.feed(GET.replace(b"/", b"/next", 1))
        await turns()
        assert b"Connection: close" in connection.transport.written
        assert connection.transport.written.endswith(b"next")
        connection.transport.feed_eof()
        assert await server.wait_drained(30)

    run(check())


def test_an_old_connection_is_not_closed_behind_an_answer_that_said_otherwise(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            exchange.respond_complete(200, CIMultiDict(), b"")
            await go.wait()

        server = HttpServer(handler, timeouts=ServerTimeouts(max_age=10))
        connection = served(server)
        connection.transport.feed(GET)
        await turns()
        Clock(server).pass_(12)
        assert b"Connection: close" not in connection.transport.take()
        go.set()
        await turns()
        assert not connection.transport.closed
        Clock(server).pass_(12)
        await server.shutdown(0)

    run(check())


def test_the_moment_of_grace_ends_with_the_time_of_the_stop(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        server = HttpServer(ok, timeouts=ServerTimeouts(stop_idle=3600))
        used = served(server)
        used.transport.feed(GET)
        await turns()
        await asyncio.wait_for(server.shutdown(0), 30)
        assert used.transport.closed

    run(check())


def test_a_fresh_connection_does_not_hold_up_the_stop(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        server = HttpServer(ok, timeouts=ServerTimeouts(linger_close=2))
        connection = served(server)
        server.begin_drain()
        await turns()
        assert not connection.transport.closed
        Clock(server).pass_(3)
        assert connection.transport.closed
        await turns()

    run(check())


@pytest.mark.parametrize("stubborn", [False, True])
def test_shutdown_cancels_and_then_cuts(
    stubborn: bool, run: Run, served: Served, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.core.aio.server._AFTER_CANCEL", 0.05)

    async def check() -> None:
        events: list[str] = []
        end = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                events.append("cancelled")
                if stubborn:
                    await end.wait()
                raise

        server = HttpServer(handler)
        connection = served(server)
        connection.transport.feed(GET)
        await turns()
        await server.shutdown(0.01)
        assert events == ["cancelled"]
        assert connection.transport.aborted
        assert not server.connections
        end.set()
        await turns()

    run(check())


def test_shutdown_of_an_idle_server_is_immediate(run: Run) -> None:
    async def check() -> None:
        server = HttpServer(ok)
        await server.shutdown(60)
        assert "connections=0" in repr(server)

    run(check())


# --------------------------------------------------------------------- connections


def test_connections_beyond_the_limit_are_turned_away(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        server = HttpServer(ok, max_connections=1)
        first, second = served(server), served(server)
        assert second.transport.written.startswith(b"HTTP/1.1 503 ")
        assert second.transport.closed
        second.transport.feed(GET)
        await turns()
        assert len(server.connections) == 1
        await first.end()
        third = served(server)
        third.transport.feed(GET)
        await turns()
        assert third.transport.written.startswith(b"HTTP/1.1 200 ")
        await third.end()

    run(check())


def test_the_date_is_of_this_second(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 784111777.5
    monkeypatch.setattr("antiphon.core.aio.server.time.time", lambda: now)
    server = HttpServer(ok, server_software="")
    assert server.default_fields() == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert server.default_fields() is server.default_fields()
    now += 0.6
    assert server.default_fields() == b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
    now -= 3600  # the clock is set back
    assert b"07:49:38" in server.default_fields()


def test_server_software_is_one_line() -> None:
    with pytest.raises(ValueError, match="one line"):
        HttpServer(ok, server_software="a\r\nb: c")


def test_the_factory_makes_protocols_of_the_running_loop(run: Run) -> None:
    async def check() -> None:
        protocol = http_server_protocol(HttpServer(ok))
        assert protocol.loop is asyncio.get_running_loop()  # type: ignore[attr-defined]  # ours has one

    run(check())


# --------------------------------------------------------------------- upgrade


class Receiver:
    def __init__(self) -> None:
        self.data = b""
        self.events: list[str] = []

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")

    def resume_writing(self) -> None:
        self.events.append("resume")


UPGRADE = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"


@pytest.mark.parametrize(
    ("wire", "status"),
    [(UPGRADE, 101), (b"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", 200)],
    ids=["101", "CONNECT"],
)
@pytest.mark.parametrize("attach_late", [False, True])
def test_an_upgrade_hands_over_every_byte_once(
    wire: bytes, status: int, attach_late: bool, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        receiver = Receiver()
        go, end = asyncio.Event(), asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            channel = exchange.upgrade(status, CIMultiDict())
            assert channel.info is exchange.info
            if attach_late:
                await go.wait()
            channel.attach(receiver)
            channel.write(b"hello")
            await end.wait()
            channel.write_eof()

        server = HttpServer(handler)
        connection = served(server)
        connection.transport.feed(wire + b"early ")
        connection.transport.feed(b"bytes ")
        await turns()
        go.set()
        await turns()
        connection.transport.feed(b"later")
        assert receiver.data == b"early bytes later"
        head = connection.transport.written
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert head.endswith(b"\r\n\r\nhello")
        connection.transport.feed_eof()
        assert receiver.events == ["eof"]
        assert not connection.transport.closed
        end.set()
        await turns()
        assert connection.transport.eof_written
        assert connection.transport.closed, "the channel ends with its owner"
        assert receiver.events == ["eof", "lost"]
        assert not server.connections

    run(check())


def test_bytes_that_nobody_claims_stop_the_transport(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        receiver = Receiver()
        go, end = asyncio.Event(), asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            channel = exchange.upgrade(101, CIMultiDict())
            await go.wait()
            channel.attach(receiver)
            channel.pause_reading()
            channel.pause_reading()
            await end.wait()

        connection = served(HttpServer(handler))
        connection.transport.feed(UPGRADE)
        await turns()
        fed = 0
        while connection.transport.reading:
            connection.transport.feed(b"x" * 10_000)
            fed += 10_000
        assert fed < 100_000
        go.set()
        await turns()
        assert len(receiver.data) == fed
        assert not connection.transport.reading
        end.set()
        await turns()

    run(check())


def test_a_channel_has_flow_control_and_an_end(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        receiver = Receiver()
        end = asyncio.Event()
        drained: list[str] = []

        async def handler(exchange: ServerExchange) -> None:
            channel = exchange.upgrade(101, CIMultiDict())
            channel.attach(receiver)
            channel.write(b"x" * 100_000)
            assert channel.write_paused
            await channel.drain()
            drained.append("once")
            channel.write(b"x" * 100_000)
            with pytest.raises(ConnectionResetError):
                await channel.drain()
            assert channel.closed
            channel.write(b"dropped")
            drained.append("lost")

        connection = served(HttpServer(handler))
        connection.transport.blocked = True
        connection.transport.feed(UPGRADE)
        await turns()
        connection.transport.sent(1 << 20)
        await turns()
        assert drained == ["once"]
        assert receiver.events == ["resume"]
        connection.transport.reset()
        await turns()
        assert drained == ["once", "lost"]
        assert receiver.events == ["resume", "lost"]
        end.set()

    run(check())


def test_cve_2026_69243_a_refused_upgrade_swallows_nothing(
    run: Run, served: Served, turns: Turns
) -> None:
    """CVE-2026-69243: content of a refused upgrade is content, and what follows a request."""

    async def check() -> None:
        paths: list[str] = []

        async def handler(exchange: ServerExchange) -> None:
            paths.append(exchange.head.path)
            if exchange.head.path == "/plain":
                with pytest.raises(LocalProtocolError):
                    exchange.upgrade(101, CIMultiDict())
            await exchange.content.read()
            exchange.respond_complete(200, CIMultiDict(), b"")

        connection = served(HttpServer(handler))
        content = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        connection.transport.feed(
            UPGRADE[:-2] + b"Content-Length: %d\r\n\r\n" % len(content) + content
            + UPGRADE + GET.replace(b"/", b"/plain", 1)
        )  # fmt: skip
        await turns(20)
        assert paths == ["/ws", "/ws", "/plain"]
        await connection.end()

    run(check())
