"""Connectors over real sockets: reuse, limits, waiting, time limits, closing."""

import asyncio
import socket
import ssl
from typing import Any

import pytest
from yarl import URL

from antiphon.client.connector import BaseConnector, DialContext
from antiphon.client.connector.key import ConnectionKey
from antiphon.client.connector.tcp import TCPConnector
from antiphon.client.errors import (
    ClientConnectionError,
    ClientConnectorError,
    ConnectionTimeoutError,
)
from antiphon.client.options import ClientTimeout
from antiphon.client.resolver import AbstractResolver, ResolveResult
from antiphon.core.aio.exchange import Timeline
from antiphon.core.deprecations import AntiphonDeprecationWarning

from .conftest import HI, Runner, Site, ask, get, key_for, serving

NO_LIMIT = ClientTimeout()


class Watching:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        async def note(*args: object) -> None:
            self.told.append(" ".join([name.removeprefix("send_"), *map(str, args)]))

        return note


class TestReuse:
    def test_one_connection_serves_request_after_request(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector() as connector:
                for _ in range(5):
                    assert await get(connector, key_for(site)) == (200, b"hi")
                assert site.accepted == 1
                assert connector.stats().reused == 4

        run(main())

    def test_force_close(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(force_close=True) as connector:
                for _ in range(3):
                    await get(connector, key_for(site))
                assert site.accepted == 3
                assert connector.stats().idle == 0

        run(main())

    def test_a_connection_released_before_the_end_is_closed(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector() as connector:
                connection = await connector.connect(key_for(site))
                connection.http.open(request_head())
                connection.release()
                assert connector.stats().idle == 0
                assert (await get(connector, key_for(site)))[0] == 200
                assert site.accepted == 2

        run(main())

    def test_surplus_bytes_after_a_response_make_it_unusable(self, run: Runner) -> None:
        async def twice(
            site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HI + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            await reader.read()

        async def main() -> None:
            async with serving(twice) as site, TCPConnector() as connector:
                for _ in range(3):
                    assert await get(connector, key_for(site)) == (200, b"hi")
                assert site.accepted == 3

        run(main())

    def test_the_servers_close_is_noticed_while_idle(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector() as connector:
                connection = await connector.connect(key_for(site))
                await ask(connection)
                lost = asyncio.Event()
                connection.http.add_close_callback(lost.set)
                connection.release()
                assert connector.stats().idle == 1
                site.writers[0].close()
                await lost.wait()
                assert connector.stats().total == 0
                assert connector.take_idle(key_for(site)) is None

        run(main())

    def test_a_second_try_gets_a_connection_of_its_own(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector() as connector:
                await get(connector, key_for(site))
                again = Timeline(0.0)
                again.tries = 2
                connection = await connector.connect(key_for(site), timeline=again)
                assert connection.info.uses == 0
                connection.release()

        run(main())

    def test_idle_connections_are_swept_by_one_timer(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(keepalive_timeout=0.05) as connector:
                assert await connector.warm(f"http://127.0.0.1:{site.port}/", 3) == 3
                assert connector.stats().idle == 3
                await site_alone(site, connector)
                assert connector.stats().total == 0
                assert connector._sweep_timer is None

        run(main())

    def test_the_servers_hint_shortens_the_idle_time(self, run: Runner) -> None:
        async def hinting(
            site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(
                    b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n"
                )

        async def main() -> None:
            async with serving(hinting) as site, TCPConnector() as connector:
                for _ in range(2):
                    await get(connector, key_for(site))
                assert site.accepted == 2, "one second before one second is at once"

        run(main())

    def test_warming_opens_what_is_missing(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=3) as connector:
                url = URL(f"http://127.0.0.1:{site.port}/")
                assert await connector.warm(url, 2) == 2
                assert await connector.warm(url, 2) == 0
                assert await connector.warm(url, 9) == 1
                await get(connector, key_for(site))
                assert connector.stats().created == 3

        run(main())

    def test_warming_a_dead_port_says_so(self, run: Runner) -> None:
        async def main() -> None:
            async with TCPConnector() as connector:
                with pytest.raises(ClientConnectorError):
                    await connector.warm(f"http://127.0.0.1:{dead_port()}/", 2)
                assert connector.stats().total == 0

        run(main())


class TestWaiting:
    def test_a_released_connection_goes_to_who_waits(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                first = await connector.connect(key_for(site))
                second = asyncio.create_task(connector.connect(key_for(site)))
                await turn()
                assert connector.stats().waiting == 1
                await ask(first)
                first.release()
                connection = await second
                assert connection.http is first.http
                connection.release()

        run(main())

    def test_a_closed_connection_makes_room_for_who_waits(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                first = await connector.connect(key_for(site))
                second = asyncio.create_task(connector.connect(key_for(site)))
                await turn()
                first.close()
                connection = await second
                assert connection.http is not first.http
                connection.release()

        run(main())

    def test_lost_between_being_given_and_being_taken(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                first = await connector.connect(key_for(site))
                second = asyncio.create_task(connector.connect(key_for(site)))
                await turn()
                http = first.http
                first.release()
                http.abort()
                connection = await second
                assert connection.http is not http
                assert await ask(connection) == (200, b"hi")
                connection.release()
                assert connector.stats().total == 1

        run(main())

    def test_waiting_has_a_time_limit_of_its_own(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                first = await connector.connect(key_for(site))
                with pytest.raises(
                    ConnectionTimeoutError, match="'pool' ended phase 'pool'"
                ) as info:
                    await connector.connect(key_for(site), timeout=ClientTimeout(pool=0.01))
                assert info.value.failure is not None
                assert info.value.failure.resend_safe
                assert connector.stats().waiting == 0
                first.release()

        run(main())

    @pytest.mark.parametrize(
        ("timeout", "deadline", "named"),
        [
            pytest.param(ClientTimeout(connect=0.01), None, "connect", id="connect"),
            pytest.param(ClientTimeout(pool=5, connect=0.01), None, "connect", id="the smaller"),
            pytest.param(ClientTimeout(connect=5), 0.01, "total", id="the deadline"),
        ],
    )
    def test_other_limits_count_while_waiting(
        self, run: Runner, timeout: ClientTimeout, deadline: float | None, named: str
    ) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                first = await connector.connect(key_for(site))
                until = None
                if deadline is not None:
                    until = asyncio.get_running_loop().time() + deadline
                with pytest.raises(ConnectionTimeoutError, match=f"{named!r} ended phase 'pool'"):
                    await connector.connect(key_for(site), timeout=timeout, deadline=until)
                first.release()

        run(main())

    def test_sock_connect_does_not_count_while_waiting(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                first = await connector.connect(key_for(site))
                second = asyncio.create_task(
                    connector.connect(key_for(site), timeout=ClientTimeout(sock_connect=0.01))
                )
                await asyncio.sleep(0.03)  # longer than the limit: that is what is shown
                assert not second.done()
                first.close()
                (await second).release()

        run(main())

    def test_observers_hear_of_the_wait(self, run: Runner) -> None:
        async def main() -> None:
            watching = Watching()
            async with serving() as site, TCPConnector(limit=1) as connector:
                first = await connector.connect(key_for(site), traces=[watching])
                second = asyncio.create_task(connector.connect(key_for(site), traces=[watching]))
                await turn()
                first.release()
                (await second).release()
                (await connector.connect(key_for(site), traces=[watching])).release()
            assert watching.told == [
                "connection_create_start",
                "connection_create_end",
                "connection_queued_start",
                "connection_queued_end",
                "connection_reuseconn",
            ]

        run(main())


class TestDialling:
    def test_a_refused_connection(self, run: Runner) -> None:
        async def main() -> None:
            port = dead_port()
            async with TCPConnector() as connector:
                with pytest.raises(ClientConnectorError) as info:
                    await connector.connect(ConnectionKey("127.0.0.1", port, False))
                assert info.value.errno is not None
                assert (info.value.host, info.value.port) == ("127.0.0.1", port)
                assert "phase connect" in str(info.value)
                assert connector.stats().total == 0

        run(main())

    def test_a_refused_connection_lets_the_next_one_try(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                dead = ConnectionKey("127.0.0.1", dead_port(), False)
                failing = asyncio.create_task(connector.connect(dead))
                working = asyncio.create_task(connector.connect(key_for(site)))
                with pytest.raises(ClientConnectorError):
                    await failing
                (await working).release()

        run(main())

    def test_the_timeline_is_filled(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector() as connector:
                timeline = Timeline(asyncio.get_running_loop().time())
                key = ConnectionKey("localhost", site.port, False)
                (await connector.connect(key, timeline=timeline)).release()
                points = [
                    timeline.start,
                    timeline.queued,
                    timeline.dns_start,
                    timeline.dns_end,
                    timeline.connect_start,
                    timeline.connect_end,
                ]
                assert None not in points
                assert points == sorted(points)  # type: ignore[type-var]  # none is None
                assert timeline.tls_start is None

        run(main())

    def test_local_addr(self, run: Runner) -> None:
        async def main() -> None:
            port = dead_port()
            async with (
                serving() as site,
                TCPConnector(local_addr=("127.0.0.2", port)) as connector,
            ):
                connection = await connector.connect(key_for(site))
                assert connection.info.sockname[:2] == ("127.0.0.2", port)
                connection.release()

        run(main())

    def test_socket_factory(self, run: Runner) -> None:
        made: list[Any] = []

        def factory(info: Any) -> socket.socket:
            made.append(info)
            family, kind, proto, _, _ = info
            return socket.socket(family, kind, proto)

        async def main() -> None:
            async with serving() as site, TCPConnector(socket_factory=factory) as connector:
                await get(connector, key_for(site))
                assert made[0][4] == ("127.0.0.1", site.port)

        run(main())

    def test_sockets_are_tuned(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector() as connector:
                connection = await connector.connect(key_for(site))
                sock = connection.info.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                connection.release()

        run(main())

    def test_no_port(self, run: Runner) -> None:
        async def main() -> None:
            async with TCPConnector() as connector:
                with pytest.raises(ClientConnectorError, match="no port"):
                    await connector.connect(ConnectionKey("h", None, False))

        run(main())


class Unruly:
    """A connection that cannot say whether it is free."""

    def __init__(self) -> None:
        self.aborted = False

    def free(self) -> int:
        raise RuntimeError("who knows")

    def abort(self) -> None:
        self.aborted = True


class TestNotTakenIn:
    def test_a_connection_that_the_pool_does_not_take_is_not_kept_open(self, run: Runner) -> None:
        made: list[Unruly] = []

        class Odd(BaseConnector):
            async def dial(self, context: DialContext) -> Any:
                made.append(Unruly())
                return made[-1]

        async def main() -> None:
            async with Odd(limit=1) as connector:
                for _ in range(2):
                    with pytest.raises(RuntimeError, match="who knows"):
                        await connector.connect(ConnectionKey("h", 80, False))
                assert all(http.aborted for http in made)
                assert connector.stats().total == 0

        run(main())


class TestCancelling:
    def test_at_every_await_of_connect(self, run: Runner) -> None:
        """After the n-th suspension, for every n: the pool is whole, and nothing is left."""

        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                key = ConnectionKey("localhost", site.port, False)
                for count in range(100):
                    connector.clear_dns_cache()
                    if await cancelled_after(connector.connect(key), count):
                        assert connector.stats().total == connector.stats().idle
                        continue
                    break
                else:
                    pytest.fail("it never came to an end")
                assert count >= 3, "DNS, TCP and the transport each wait"
                assert (await get(connector, key))[0] == 200

        run(main())

    def test_while_waiting_frees_the_place_in_the_same_step(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                first = await connector.connect(key_for(site))
                second = asyncio.create_task(connector.connect(key_for(site)))
                third = asyncio.create_task(connector.connect(key_for(site)))
                await turn()
                second.cancel()
                first.release()
                connection = await third
                assert second.cancelled()
                connection.release()
                assert connector.stats().waiting == 0

        run(main())

    def test_after_being_granted_gives_back_what_was_got(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                first = await connector.connect(key_for(site))
                second = asyncio.create_task(connector.connect(key_for(site)))
                await turn()
                first.release()
                second.cancel()
                await asyncio.wait([second])
                assert connector.stats().idle == 1
                first = await connector.connect(key_for(site))
                third = asyncio.create_task(connector.connect(key_for(site)))
                await turn()
                first.close()
                third.cancel()
                await asyncio.wait([third])
                assert connector.stats().total == 0

        run(main())

    def test_an_observer_that_fails_leaves_the_pool_whole(self, run: Runner) -> None:
        class Failing(Watching):
            def __init__(self, at: str) -> None:
                super().__init__()
                self.at = at

            def __getattr__(self, name: str) -> Any:
                async def fail() -> None:
                    raise RuntimeError(name)

                return fail if name.endswith(self.at) else super().__getattr__(name)

        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                for at in ("create_start", "create_end", "reuseconn"):
                    if at == "reuseconn":
                        await get(connector, key_for(site))
                    with pytest.raises(RuntimeError):
                        await connector.connect(key_for(site), traces=[Failing(at)])
                    assert connector.stats().active == connector.stats().connecting == 0
                first = await connector.connect(key_for(site))
                for at in ("queued_start", "queued_end"):
                    task = asyncio.create_task(
                        connector.connect(key_for(site), traces=[Failing(at)])
                    )
                    await turn()
                    if at == "queued_end":
                        first.release()
                    with pytest.raises(RuntimeError):
                        await task
                assert connector.stats().active == connector.stats().waiting == 0

        run(main())


class TestClosing:
    def test_it_waits_until_the_sockets_are_gone(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site:
                connector = TCPConnector()
                await connector.warm(f"http://127.0.0.1:{site.port}/", 3)
                await connector.close()
                assert not connector._live
                assert connector.closed
                await connector.close()

        run(main())

    def test_it_need_not_be_awaited(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site:
                connector = TCPConnector()
                await get(connector, key_for(site))
                connector.close()
                assert connector.closed
                assert connector.stats().total == 0
                await site.until_alone()

        run(main())

    def test_readers_in_flight_get_an_error_at_once(self, run: Runner) -> None:
        async def never(
            site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            site.heads.append(b"asked")
            await reader.read()

        async def main() -> None:
            async with serving(never) as site:
                connector = TCPConnector()
                connection = await connector.connect(key_for(site))
                exchange = connection.http.open(request_head())
                reading = asyncio.create_task(exchange.response())
                await turn()
                await connector.close()
                with pytest.raises(ConnectionError):
                    await reading
                connection.release()
                assert connector.stats().total == 0

        run(main())

    def test_those_in_line_and_those_who_dial_get_an_error(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site:
                connector = TCPConnector(limit=2, resolver=Silent())
                first = await connector.connect(key_for(site))
                dialling = asyncio.create_task(connector.connect(key_for(site, "silent.test")))
                await turn()
                in_line = asyncio.create_task(connector.connect(key_for(site)))
                await turn()
                await connector.close()
                for task in (in_line, dialling):
                    with pytest.raises(ClientConnectionError, match="closed"):
                        await task
                first.release()
                with pytest.raises(ClientConnectionError, match="closed"):
                    await connector.connect(key_for(site))
                assert connector.take_idle(key_for(site)) is None

        run(main())

    def test_a_server_that_does_not_say_goodbye_is_not_waited_for(
        self,
        run: Runner,
        server_tls: ssl.SSLContext,
        trusting: ssl.SSLContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("antiphon.client.connector.base.CLOSE_GRACE", 0.05)

        async def main() -> None:
            async with (
                serving(ssl=server_tls) as site,
                deaf_relay(site.port) as port,
                TCPConnector(ssl=trusting) as connector,
            ):
                await get(connector, ConnectionKey("localhost", port, True))
                await asyncio.wait_for(connector.close(), 5)
                assert not connector._live

        run(main())

    @pytest.mark.parametrize("abort_ssl", [False, True])
    def test_abort_ssl(
        self, run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext, abort_ssl: bool
    ) -> None:
        async def main() -> None:
            async with serving(ssl=server_tls) as site:
                connector = TCPConnector(ssl=trusting)
                await get(connector, key_for(site, "localhost", is_ssl=True))
                await connector.close(abort_ssl=abort_ssl)
                assert not connector._live

        run(main())

    def test_a_forgotten_connector_warns_and_says_where_it_was_made(self) -> None:
        async def main() -> None:
            async with serving() as site:
                connector = TCPConnector()
                await get(connector, key_for(site))
                forgotten = [connector]
                del connector
                with pytest.warns(ResourceWarning, match=r"Unclosed connector.*test_connector\.py"):
                    forgotten.clear()

        asyncio.run(main())

    def test_a_forgotten_connection_warns_and_gives_its_slot_back(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=1) as connector:
                forgotten = [await connector.connect(key_for(site))]
                with pytest.warns(ResourceWarning, match="Unclosed connection"):
                    forgotten.clear()
                assert connector.stats().total == 0
                await get(connector, key_for(site))

        run(main())

    def test_after_its_loop_was_closed(self) -> None:
        made: list[TCPConnector] = []

        async def first() -> None:
            made.append(TCPConnector())

        async def second() -> None:
            (connector,) = made
            with pytest.raises(RuntimeError, match="another event loop"):
                await connector.connect(ConnectionKey("127.0.0.1", 1, False))
            await connector.close()
            assert connector.closed

        asyncio.run(first())
        asyncio.run(second())

    def test_it_can_be_made_before_the_loop_runs(self, run: Runner) -> None:
        connector = TCPConnector()

        async def main() -> None:
            async with serving() as site, connector:
                await get(connector, key_for(site))

        run(main())


class TestConnection:
    def test_documented_members(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector() as connector:
                connection = await connector.connect(key_for(site))
                called: list[str] = []
                connection.add_callback(lambda: called.append("released"))
                connection.add_callback(None)
                assert connection.loop is asyncio.get_running_loop()
                transport = connection.transport
                assert isinstance(transport, asyncio.Transport)
                assert connection.protocol is connection.http
                assert connection.key == key_for(site)
                before = connection.closed
                connection.release()
                connection.release()
                connection.close()
                assert (before, connection.closed) == (False, True)
                assert connection.transport is None
                assert called == ["released"]
                assert connector.stats().idle == 1, "giving back twice is giving back once"

        run(main())


class TestArguments:
    def test_defaults(self) -> None:
        connector = TCPConnector()
        assert (connector.limit, connector.limit_per_host) == (100, 0)
        assert not connector.force_close
        assert not connector.closed
        assert connector.use_dns_cache
        assert connector.family == 0
        assert "tcp" in connector.allowed_protocol_schema_set

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"keepalive_timeout": 3, "force_close": True}, ValueError),
            ({"ssl": 3}, TypeError),
            ({"dns_cache_max_size": 0}, ValueError),
        ],
    )
    def test_refused(self, arguments: dict[str, Any], error: type[Exception]) -> None:
        with pytest.raises(error):
            TCPConnector(**arguments)

    def test_none_is_no_limit(self) -> None:
        assert TCPConnector(limit=None).limit == 0

    @pytest.mark.parametrize(
        ("arguments", "number"),
        [
            ({"verify_ssl": False}, "ANT-0008"),
            ({"ssl_context": ssl.create_default_context()}, "ANT-0008"),
            ({"fingerprint": b"x" * 32}, "ANT-0008"),
            ({"ssl_shutdown_timeout": 1}, "ANT-0015"),
        ],
    )
    def test_obsolete(self, arguments: dict[str, Any], number: str) -> None:
        with pytest.warns(AntiphonDeprecationWarning, match=number) as caught:
            TCPConnector(**arguments)
        assert caught[0].filename == __file__

    def test_loop_is_obsolete_and_works(self) -> None:
        async def main() -> None:
            with pytest.warns(AntiphonDeprecationWarning, match="ANT-0004") as caught:
                connector = TCPConnector(loop=asyncio.get_running_loop())
            assert caught[0].filename == __file__
            await connector.close()

        asyncio.run(main())

    def test_repr(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as site, TCPConnector(limit=7) as connector:
                await get(connector, key_for(site))
                assert repr(connector) == (
                    "<TCPConnector limit=7 per_host=none active=0 idle=1 connecting=0 waiting=0>"
                )
            assert repr(connector).startswith("<TCPConnector closed ")

        run(main())


# --- helpers


class Silent(AbstractResolver):
    """A resolver that never answers."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer: asyncio.Future[list[ResolveResult]] = asyncio.get_running_loop().create_future()
        return await answer

    async def close(self) -> None:
        raise AssertionError("a resolver that was given is not the connector's to close")


def request_head() -> Any:
    from multidict import CIMultiDict

    from antiphon.core.http import RequestHead

    return RequestHead(method="GET", target="/", authority="h", headers=CIMultiDict())


async def turn() -> None:
    """Let tasks that can go on do so, up to where they wait for others."""
    for _ in range(3):
        await asyncio.sleep(0)


async def site_alone(site: Site, connector: TCPConnector) -> None:
    """Wait until the server has seen all connections and lost them again."""
    while site.accepted < connector.stats().created:
        await asyncio.sleep(0)
    await site.until_alone()


def dead_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def cancelled_after(coroutine: Any, count: int) -> bool:
    """Cancel *coroutine* at its *count*-th suspension; False if it ended before."""
    suspended = 0

    class Counting:
        def __await__(self) -> Any:
            nonlocal suspended
            inner = coroutine.__await__()
            value = error = None
            while True:
                try:
                    future = inner.throw(error) if error is not None else inner.send(value)
                except StopIteration as stop:
                    return stop.value
                suspended += 1
                if suspended > count:
                    asyncio.get_running_loop().call_soon(task.cancel)
                value = error = None
                try:
                    value = yield future
                except BaseException as exc:
                    error = exc

    async def main() -> Any:
        return await Counting()

    task = asyncio.ensure_future(main())
    try:
        connection = await task
    except asyncio.CancelledError:
        return True
    connection.release()
    return False


class deaf_relay:
    """Passes bytes on until told to stop; then takes whatever comes and says nothing."""

    def __init__(self, port: int) -> None:
        self.target = port

    async def __aenter__(self) -> int:
        self.tasks: list[asyncio.Task[None]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers += [writer, there]
        self.tasks.append(asyncio.create_task(self.pump(reader, there)))
        self.tasks.append(asyncio.create_task(self.pump(there_reader, writer, deaf_to_close=True)))

    async def pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        deaf_to_close: bool = False,
    ) -> None:
        while data := await reader.read(65536):
            # A TLS alert (21) is the goodbye: it gets lost.
            if data[0] != 21:
                writer.write(data)

    async def __aexit__(self, *exc: object) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for writer in self.writers:
            writer.transport.abort()
