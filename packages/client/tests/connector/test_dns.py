"""Names and addresses: literals, the cache, shared lookups, happy eyeballs, resolvers."""

import asyncio
import socket

import pytest

from antiphon.client.connector.key import ConnectionKey
from antiphon.client.connector.tcp import TCPConnector
from antiphon.client.errors import ClientConnectorDNSError, ConnectionTimeoutError
from antiphon.client.options import ClientTimeout
from antiphon.client.resolver import (
    AbstractResolver,
    AsyncResolver,
    ChainResolver,
    DefaultResolver,
    ResolveResult,
    ThreadedResolver,
    ip_address,
    socket_address,
)
from antiphon.core.deprecations import AntiphonDeprecationWarning

from .conftest import Fixed, Runner, get, key_for, serving
from .test_connector import Silent, Watching, turn


class Waiting(Fixed):
    """Answers when told to."""

    def __init__(self, *addresses: str) -> None:
        super().__init__(*addresses)
        self.go_on = asyncio.Event()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        await self.go_on.wait()
        return found


class Failing(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        raise OSError("it does not close either")


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.0.0.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "256.1.1.1",
        "a.0x1",
        "a.1",
        "1",
    ],
)
def test_odd_ipv4_forms_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="not a canonical IPv4 address"):
        ip_address(host)


@pytest.mark.parametrize(
    ("host", "version"),
    [
        ("127.0.0.1", 4),
        ("::1", 6),
        ("fe80::1%1", 6),
        ("localhost", None),
        ("1a", None),
        ("1.example", None),
        ("0x1.example", None),
        ("\u0661.\u0662", None),
    ],
)
def test_addresses_and_names(host: str, version: int | None) -> None:
    found = ip_address(host)
    assert (found.version if found else None) == version


def test_odd_forms_never_reach_a_resolver(run: Runner) -> None:
    async def main() -> None:
        resolver = Fixed("127.0.0.1")
        async with TCPConnector(resolver=resolver) as connector:
            for host in ("127.1", "0x7f.1", "0177.0.0.1."):
                with pytest.raises(ClientConnectorDNSError, match="canonical"):
                    await connector.connect(ConnectionKey(host, 80, False))
        assert not resolver.asked

    run(main())


def test_addresses_need_no_resolver(run: Runner) -> None:
    async def main() -> None:
        resolver = Fixed()
        async with serving() as site, TCPConnector(resolver=resolver) as connector:
            assert (await get(connector, key_for(site)))[0] == 200
        assert not resolver.asked

    run(main())


@pytest.mark.parametrize(
    ("host", "family", "expected"),
    [
        ("127.0.0.1", socket.AF_INET, ("127.0.0.1", 80)),
        ("::1", socket.AF_INET6, ("::1", 80, 0, 0)),
        ("fe80::1%5", socket.AF_INET6, ("fe80::1", 80, 0, 5)),
    ],
)
def test_socket_addresses(host: str, family: int, expected: tuple[object, ...]) -> None:
    result = ResolveResult(hostname="h", host=host, port=80, family=family, proto=0, flags=0)
    assert socket_address(result) == expected


class TestCache:
    def test_an_answer_is_used_again(self, run: Runner) -> None:
        async def main() -> None:
            resolver, watching = Fixed("127.0.0.1"), Watching()
            async with (
                serving() as site,
                TCPConnector(resolver=resolver, force_close=True) as connector,
            ):
                key = key_for(site, "named.test")
                for _ in range(2):
                    await get(connector, key, traces=[watching])
                assert len(resolver.asked) == 1
                assert list(connector.cached_hosts) == [("named.test", site.port)]
                connector.clear_dns_cache("named.test", site.port)
                await get(connector, key)
                connector.clear_dns_cache()
                await get(connector, key)
                assert len(resolver.asked) == 3
                with pytest.raises(ValueError):
                    connector.clear_dns_cache("named.test")
            assert not resolver.closed
            assert [said for said in watching.told if said.startswith("dns")] == [
                "dns_cache_miss named.test",
                "dns_resolvehost_start named.test",
                "dns_resolvehost_end named.test",
                "dns_cache_hit named.test",
            ]

        run(main())

    @pytest.mark.parametrize(
        "arguments", [{"use_dns_cache": False}, {"ttl_dns_cache": 0}], ids=["off", "no time"]
    )
    def test_without_a_cache(self, run: Runner, arguments: dict[str, object]) -> None:
        async def main() -> None:
            resolver = Fixed("127.0.0.1")
            async with (
                serving() as site,
                TCPConnector(resolver=resolver, force_close=True, **arguments) as connector,  # type: ignore[arg-type]  # one at a time
            ):
                for _ in range(2):
                    await get(connector, key_for(site, "named.test"))
            assert len(resolver.asked) == 2

        run(main())

    def test_it_does_not_grow_without_end(self, run: Runner) -> None:
        """CVE-2026-34513"""

        async def main() -> None:
            async with (
                serving() as site,
                TCPConnector(
                    resolver=Fixed("127.0.0.1"), dns_cache_max_size=3, force_close=True
                ) as connector,
            ):
                for number in range(10):
                    await get(connector, key_for(site, f"h{number}.test"))
                assert [host for host, _ in connector.cached_hosts] == [
                    "h7.test",
                    "h8.test",
                    "h9.test",
                ]

        run(main())

    def test_addresses_take_turns(self, run: Runner) -> None:
        async def main() -> None:
            async with (
                serving(host="0.0.0.0") as site,
                TCPConnector(resolver=Fixed("127.0.0.1", "127.0.0.2")) as connector,
            ):
                seen = []
                for _ in range(4):
                    connection = await connector.connect(key_for(site, "named.test"))
                    seen.append(connection.info.peername[0])
                    connection.close()
                assert seen == ["127.0.0.1", "127.0.0.2"] * 2

        run(main())


class TestLookups:
    def test_concurrent_ones_share_one_question(self, run: Runner) -> None:
        async def main() -> None:
            resolver = Waiting("127.0.0.1")
            async with serving() as site, TCPConnector(resolver=resolver) as connector:
                asking = [
                    asyncio.create_task(get(connector, key_for(site, "named.test")))
                    for _ in range(5)
                ]
                await turn()
                asking[0].cancel()
                await turn()
                resolver.go_on.set()
                results = await asyncio.gather(*asking, return_exceptions=True)
                assert isinstance(results[0], asyncio.CancelledError)
                assert results[1:] == [(200, b"hi")] * 4
                assert len(resolver.asked) == 1

        run(main())

    def test_nobody_waits_any_more(self, run: Runner) -> None:
        async def main() -> None:
            resolver = Waiting("127.0.0.1")
            async with TCPConnector(resolver=resolver) as connector:
                key = ConnectionKey("named.test", 80, False)
                task = asyncio.create_task(connector.connect(key))
                await turn()
                task.cancel()
                await asyncio.wait([task])
                await turn()
                assert len(asyncio.all_tasks()) == 1, "the question was dropped too"
                assert connector.stats().total == 0

        run(main())

    def test_failures_are_not_remembered(self, run: Runner) -> None:
        async def main() -> None:
            async with TCPConnector(resolver=Failing()) as connector:
                for _ in range(2):
                    with pytest.raises(ClientConnectorDNSError, match="phase dns") as info:
                        await connector.connect(ConnectionKey("nowhere.test", 80, False))
                    assert info.value.errno == socket.EAI_NONAME
                assert not connector.cached_hosts
                assert connector.stats().total == 0

        run(main())

    def test_no_addresses_are_a_failure(self, run: Runner) -> None:
        async def main() -> None:
            async with TCPConnector(resolver=Fixed()) as connector:
                with pytest.raises(ClientConnectorDNSError):
                    await connector.connect(ConnectionKey("empty.test", 80, False))

        run(main())

    def test_the_time_limit_of_dns(self, run: Runner) -> None:
        async def main() -> None:
            async with TCPConnector(resolver=Silent()) as connector:
                with pytest.raises(ConnectionTimeoutError, match="'dns' ended phase 'dns'"):
                    await connector.connect(
                        ConnectionKey("silent.test", 80, False), timeout=ClientTimeout(dns=0.01)
                    )

        run(main())

    def test_the_family_is_asked_for(self, run: Runner) -> None:
        async def main() -> None:
            resolver = Fixed("127.0.0.1")
            async with (
                serving() as site,
                TCPConnector(resolver=resolver, family=socket.AF_INET) as connector,
            ):
                await get(connector, key_for(site, "named.test"))
            assert resolver.asked == [("named.test", site.port, socket.AF_INET)]

        run(main())


class TestHappyEyeballs:
    def test_one_address_is_dead(self, run: Runner) -> None:
        async def main() -> None:
            async with (
                serving() as site,
                TCPConnector(resolver=Fixed("127.0.0.3", "127.0.0.1")) as connector,
            ):
                assert (await get(connector, key_for(site, "named.test")))[0] == 200

        run(main())

    def test_one_address_does_not_answer(self, run: Runner) -> None:
        """A full backlog swallows the first attempt; the second goes on beside it."""

        async def main() -> None:
            with socket.socket() as deaf:
                deaf.bind(("127.0.0.4", 0))
                deaf.listen(0)
                port = deaf.getsockname()[1]
                fillers = []
                for _ in range(8):
                    filler = socket.socket()
                    filler.setblocking(False)
                    filler.connect_ex(("127.0.0.4", port))
                    fillers.append(filler)
                server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", port)
                try:
                    async with TCPConnector(
                        resolver=Fixed("127.0.0.4", "127.0.0.1"), happy_eyeballs_delay=0.02
                    ) as connector:
                        key = ConnectionKey("named.test", port, False)
                        connection = await asyncio.wait_for(connector.connect(key), 5)
                        assert connection.info.peername[0] == "127.0.0.1"
                        connection.close()
                finally:
                    server.close()
                    for filler in fillers:
                        filler.close()

        run(main())


class TestResolvers:
    @pytest.mark.parametrize("make", [ThreadedResolver, DefaultResolver, AsyncResolver])
    def test_localhost(self, make: type[AbstractResolver]) -> None:
        if make is AsyncResolver:
            pytest.importorskip("aiodns", reason="AsyncResolver is an extra")

        async def main() -> None:
            resolver = make()
            found = await resolver.resolve("localhost", 8080)
            assert found[0]["host"] == "127.0.0.1"
            assert found[0]["port"] == 8080
            assert found[0]["hostname"] == "localhost"
            assert found[0]["family"] == socket.AF_INET
            await resolver.close()
            await resolver.close()

        asyncio.run(main())

    def test_a_name_that_does_not_exist(self, run: Runner) -> None:
        async def main() -> None:
            with pytest.raises(OSError):
                await ThreadedResolver().resolve("does-not-exist.invalid", 80)

        run(main())

    def test_the_default_is_the_operating_systems(self) -> None:
        assert DefaultResolver is ThreadedResolver

    def test_a_closed_async_resolver(self) -> None:
        pytest.importorskip("aiodns", reason="AsyncResolver is an extra")

        async def main() -> None:
            resolver = AsyncResolver()
            await resolver.close()
            with pytest.raises(OSError, match="closed"):
                await resolver.resolve("localhost")

        asyncio.run(main())  # c-ares closes its descriptors in a thread, a moment later

    def test_loop_is_obsolete(self) -> None:
        async def main() -> None:
            with pytest.warns(AntiphonDeprecationWarning, match="ANT-0004"):
                ThreadedResolver(loop=asyncio.get_running_loop())

        asyncio.run(main())

    def test_a_chain_asks_until_one_knows(self, run: Runner) -> None:
        async def main() -> None:
            first, last = Fixed(), Fixed("127.0.0.1")
            chain = ChainResolver(Failing(), first, last)
            (found,) = await chain.resolve("h", 1)
            assert found["host"] == "127.0.0.1"
            with pytest.raises(OSError, match="does not close"):
                await chain.close()
            assert first.closed
            assert last.closed

        run(main())

    def test_a_chain_that_knows_nothing_says_why(self, run: Runner) -> None:
        async def main() -> None:
            with pytest.raises(socket.gaierror):
                await ChainResolver(Fixed(), Failing()).resolve("h", 1)
            with pytest.raises(OSError):
                await ChainResolver(Fixed()).resolve("h", 1)

        run(main())

    def test_an_empty_chain_is_a_mistake(self) -> None:
        with pytest.raises(ValueError):
            ChainResolver()
