"""Both ends together over real sockets: large bodies, many connections, TLS, sendfile."""

import asyncio
import contextlib
import hashlib
import ssl
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import trustme
from multidict import CIMultiDict

from antiphon.core.aio.client_protocol import Http1ClientProtocol, http_client_protocol
from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.negotiate import ALPN_PROTOCOLS, client_protocol_class
from antiphon.core.aio.server import HttpServer
from antiphon.core.aio.timers import Sweep, deadline_after, earliest, sweep_period
from antiphon.core.http import RequestHead

Run = Callable[["Coroutine[Any, Any, Any]"], Any]

MIB = 1 << 20


def head(method: str = "GET", target: str = "/") -> RequestHead:
    return RequestHead(method=method, target=target, authority="localhost", headers=CIMultiDict())


@contextlib.asynccontextmanager
async def listening(
    server: HttpServer, tls: ssl.SSLContext | None = None
) -> "AsyncIterator[tuple[str, int]]":
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(server, "127.0.0.1", 0, ssl=tls)
    try:
        yield listener.sockets[0].getsockname()[:2]
    finally:
        listener.close()
        await server.shutdown(5)
        await listener.wait_closed()


async def connect(
    address: tuple[str, int], tls: ssl.SSLContext | None = None
) -> Http1ClientProtocol:
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {"ssl": tls, "server_hostname": "localhost"} if tls else {}
    _, protocol = await loop.create_connection(http_client_protocol, *address, **options)
    return protocol


async def close(connection: Http1ClientProtocol) -> None:
    connection.close()
    await connection.wait_closed()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    for context in (server, client):
        context.set_alpn_protocols(list(ALPN_PROTOCOLS))
    return server, client


async def digest(exchange: ServerExchange) -> None:
    """Answer with the digest of the content, or send as much as the target says."""
    if exchange.head.method == "POST":
        sha = hashlib.sha256()
        async for data in exchange.content.iter_any():
            sha.update(data)
        exchange.respond_complete(200, CIMultiDict(), sha.hexdigest().encode())
        return
    writer = exchange.respond(200, CIMultiDict())
    for _ in range(int(exchange.head.path[1:])):
        await writer.write(b"x" * 64 * 1024)
    await writer.write_eof()


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_large_bodies_both_ways_in_bounded_memory(
    secure: bool, run: Run, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server_tls, client_tls = contexts if secure else (None, None)
    blocks = 400  # of 64 KiB: 25 MiB

    async def check() -> None:
        server = HttpServer(digest)
        async with listening(server, server_tls) as address:
            connection = await connect(address, client_tls)
            assert client_protocol_class(connection.ssl_object) is Http1ClientProtocol
            tracemalloc.start()
            exchange = connection.open(head("POST"), chunked=True)
            for _ in range(blocks):
                await exchange.writer.write(b"x" * 64 * 1024)
            await exchange.writer.write_eof()
            await exchange.response()
            expected = hashlib.sha256(b"x" * 64 * 1024 * blocks).hexdigest().encode()
            received = await exchange.content.read()
            exchange = connection.open(head("GET", f"/{blocks}"))
            await exchange.response()
            size = 0
            async for data in exchange.content.iter_any():
                size += len(data)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert received == expected
            assert size == blocks * 64 * 1024
            # `expected` was made of 25 MiB in one piece; the bodies themselves never are.
            assert peak < 25 * MIB + 8 * MIB
            assert connection.uses == 2
            await close(connection)

    run(check())


def test_many_connections_and_requests_at_once(run: Run) -> None:
    async def hello(exchange: ServerExchange) -> None:
        if exchange.head.path == "/wait":
            await asyncio.sleep(0)
        exchange.respond_complete(200, CIMultiDict(), exchange.head.path.encode())

    async def client(address: tuple[str, int], number: int) -> None:
        connection = await connect(address)
        for turn in range(20):
            target = "/wait" if turn % 2 else f"/{number}/{turn}"
            exchange = connection.open(head("GET", target))
            assert (await exchange.response()).code == 200
            assert await exchange.content.read() == target.encode()
        await close(connection)

    async def check() -> None:
        server = HttpServer(hello)
        async with listening(server) as address:
            await asyncio.gather(*(client(address, number) for number in range(50)))
            assert server.requests_count == 1000
        assert not server.connections

    run(check())


def test_a_stop_under_load_loses_no_request(run: Run) -> None:
    """Whoever sent a request that was read before the stop gets its answer."""

    async def check() -> None:
        begun: list[str] = []
        answered: list[str] = []

        async def slow(exchange: ServerExchange) -> None:
            begun.append(exchange.head.path)
            await asyncio.sleep(0.02)
            exchange.respond_complete(200, CIMultiDict(), exchange.head.path.encode())

        async def client(address: tuple[str, int], number: int) -> None:
            connection = await connect(address)
            for turn in range(1000):
                if not connection.free():
                    break
                exchange = connection.open(head("GET", f"/{number}/{turn}"))
                try:
                    await exchange.response()
                except ConnectionError:
                    assert f"/{number}/{turn}" not in begun
                    break
                answered.append((await exchange.content.read()).decode())
            await close(connection)

        server = HttpServer(slow)
        async with listening(server) as address:
            clients = [asyncio.ensure_future(client(address, n)) for n in range(20)]
            while len(begun) < 60:
                await asyncio.sleep(0)
            server.begin_drain()
            assert await server.wait_drained(10)
            await asyncio.gather(*clients)
        assert sorted(begun) == sorted(answered)

    run(check())


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
def test_files_are_sent_whatever_carries_them(
    secure: bool, known: bool, run: Run, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server_tls, client_tls = contexts if secure else (None, None)

    async def check() -> None:
        content = bytes(range(256)) * 4096
        counts = []
        with tempfile.TemporaryFile() as file:
            file.write(content)

            async def handler(exchange: ServerExchange) -> None:
                size = len(content) - 100
                writer = exchange.respond(200, CIMultiDict(), length=size if known else None)
                await exchange.sendfile(writer, file, 100, size)
                await writer.write_eof()
                counts.append(exchange.bytes_sent)

            async with listening(HttpServer(handler), server_tls) as address:
                connection = await connect(address, client_tls)
                for _ in range(2):
                    exchange = connection.open(head())
                    await exchange.response()
                    assert await exchange.content.read() == content[100:]
                await close(connection)
        assert all(count > len(content) - 100 for count in counts)

    run(check())


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_is_too_short_cuts_the_answer(
    known: bool, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        with tempfile.TemporaryFile() as file:
            file.write(b"short")
            file.flush()

            async def handler(exchange: ServerExchange) -> None:
                writer = exchange.respond(200, CIMultiDict(), length=10 if known else None)
                await exchange.sendfile(writer, file, 0, 10)

            async with listening(HttpServer(handler)) as address:
                connection = await connect(address)
                exchange = connection.open(head())
                await exchange.response()
                with pytest.raises(Exception, match=r"ended|lost|reset"):
                    await exchange.content.read()
                await close(connection)

    run(check())
    assert "too early" in caplog.text


def test_idle_connections_are_small(run: Run) -> None:
    """At most 5 KiB of Python objects for an idle connection, our protocol and asyncio's parts."""

    async def hello(exchange: ServerExchange) -> None:
        exchange.respond_complete(200, CIMultiDict(), b"")

    async def check() -> None:
        count = 100
        server = HttpServer(hello)
        async with listening(server) as (host, port):
            streams = []

            async def ask() -> None:
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                await reader.readuntil(b"\r\n\r\n")
                streams.append(writer)

            await ask()
            tracemalloc.start(1)
            before = tracemalloc.take_snapshot()
            for _ in range(count):
                await ask()
            after = tracemalloc.take_snapshot()
            tracemalloc.stop()
            ours = [
                stat.size_diff
                for stat in after.compare_to(before, "filename")
                if "antiphon" in stat.traceback[0].filename
            ]
            assert sum(ours) / count < 3 * 1024
            for writer in streams:
                writer.close()
                await writer.wait_closed()

    run(check())


# --------------------------------------------------------------------- small parts


class Tls:
    def __init__(self, chosen: str | None) -> None:
        self.chosen = chosen

    def selected_alpn_protocol(self) -> str | None:
        return self.chosen


def test_alpn_decides_about_the_protocol() -> None:
    assert client_protocol_class(None) is Http1ClientProtocol
    assert client_protocol_class(Tls(None)) is Http1ClientProtocol  # type: ignore[arg-type]  # enough of one
    assert client_protocol_class(Tls("http/1.1")) is Http1ClientProtocol  # type: ignore[arg-type]  # enough of one
    with pytest.raises(ConnectionError, match="'h2'"):
        client_protocol_class(Tls("h2"))  # type: ignore[arg-type]  # enough of one


@pytest.mark.parametrize(
    ("limits", "period"), [((20, 75, None), 1.0), ((2,), 0.5), ((0.001,), 0.01), ((), 1.0)]
)
def test_the_sweep_is_finer_for_short_limits(
    limits: tuple[float | None, ...], period: float
) -> None:
    assert sweep_period(limits) == period


def test_deadlines() -> None:
    assert deadline_after(5.0, None) is None
    assert deadline_after(5.0, 2) == 7.0
    assert earliest(None, None) is None
    assert earliest(None, 3.0, 2.0) == 2.0


def test_a_sweep_looks_until_told_to_stop(run: Run) -> None:
    async def check() -> None:
        loop = asyncio.get_running_loop()
        looks: list[float] = []
        done = asyncio.Event()

        def look(now: float) -> bool:
            looks.append(now)
            if len(looks) == 3:
                done.set()
            return len(looks) < 3

        sweep = Sweep(look, 0.001)
        sweep.arm(loop)
        sweep.arm(loop)
        await done.wait()
        assert not sweep.armed
        assert len(looks) == 3
        assert looks == sorted(looks)
        sweep.arm(loop)
        sweep.cancel()
        sweep.cancel()
        assert not sweep.armed

    run(check())
