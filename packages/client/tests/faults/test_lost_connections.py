"""Servers that close, refuse, reset or prove to be somebody else; over real sockets."""

import asyncio
import contextlib
import datetime as dt
import errno
import hashlib
import io
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trustme

from antiphon.client import (
    AbstractResolver,
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    Fingerprint,
    ResolveResult,
    ServerDisconnectedError,
    ServerFingerprintMismatch,
    TCPConnector,
)

from .conftest import DEADLINE, Leftovers, Origin, Runner, listening

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Sockets:
    """A server without an event loop's help: it closes when it is told to, not a step later."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        self.heads: list[bytes] = []

    async def accept(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEADLINE):
            connection, _ = await loop.sock_accept(self._listener)
        connection.setblocking(False)
        self.connections.append(connection)
        return connection

    async def request(self, connection: socket.socket) -> bytes:
        """Take one request: its head, and what content came with it."""
        loop = asyncio.get_running_loop()
        data = b""
        async with asyncio.timeout(DEADLINE):
            while b"\r\n\r\n" not in data:
                if not (more := await loop.sock_recv(connection, 65536)):
                    raise EOFError("the client closed")
                data += more
        self.heads.append(data)
        return data

    async def answer(self, connection: socket.socket, response: bytes = OK) -> None:
        await self.request(connection)
        await asyncio.get_running_loop().sock_sendall(connection, response)

    def close(self) -> None:
        self._listener.close()
        for connection in self.connections:
            connection.close()


def reset(connection: socket.socket) -> None:
    """Close so that the other side gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def ending(end: Callable[[socket.socket], None], connection: socket.socket) -> ClientMiddlewareType:
    """Close the connection when the request is just about to be written.

    No turn of the loop lies between, so the client cannot have noticed.
    """

    async def middleware(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        end(connection)
        return await handler(request)

    return middleware


async def warmed(session: ClientSession, server: Sockets) -> socket.socket:
    """Make one request, so that the next one finds an idle connection."""
    asked = asyncio.ensure_future(session.get(server.url))
    connection = await server.accept()
    await server.answer(connection)
    async with await asked as response:
        assert await response.read() == b"ok"
    return connection


@contextlib.asynccontextmanager
async def scene() -> AsyncIterator[tuple[ClientSession, Sockets]]:
    before = Leftovers()
    server = Sockets()
    try:
        async with ClientSession(connector=TCPConnector(limit=1)) as session:
            yield session, server
    finally:
        server.close()
    await before.check()


async def _stream() -> AsyncIterator[bytes]:
    yield b"content"


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["closed", "reset"])
@pytest.mark.parametrize("unseen", [True, False], ids=["before the request", "after its arrival"])
@pytest.mark.parametrize(
    ("method", "data"),
    [
        pytest.param("GET", None, id="GET"),
        pytest.param("PUT", "file", id="PUT a file"),
    ],
)
def test_an_idempotent_request_is_sent_again_once(
    run: Runner, end: Any, unseen: bool, method: str, data: Any
) -> None:
    """The server closes the idle connection when the request is already on its way."""

    async def main() -> None:
        async with scene() as (session, server):
            connection = await warmed(session, server)
            body = io.BytesIO(b"content") if data == "file" else data
            asked = asyncio.ensure_future(
                session.request(
                    method,
                    server.url,
                    data=body,
                    middlewares=[ending(end, connection)] if unseen else [],
                )
            )
            if not unseen:
                await server.request(connection)
                end(connection)
            second = await server.accept()
            await server.answer(second)
            async with await asked as response:
                assert await response.read() == b"ok"
                assert response.timeline is not None
                assert response.timeline.tries == 2
            assert server.heads[-1].startswith(method.encode() + b" / HTTP/1.1\r\n")
            assert len(server.heads) == (2 if unseen else 3)

    run(main())


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["closed", "reset"])
@pytest.mark.parametrize("unseen", [True, False], ids=["before the request", "after its arrival"])
@pytest.mark.parametrize(
    ("method", "data"),
    [
        pytest.param("POST", b"content", id="POST"),
        pytest.param("PUT", "stream", id="PUT of what cannot be had twice"),
    ],
)
def test_what_is_never_sent_again(
    run: Runner, end: Any, unseen: bool, method: str, data: Any
) -> None:
    async def main() -> None:
        async with scene() as (session, server):
            connection = await warmed(session, server)
            asked = asyncio.ensure_future(
                session.request(
                    method,
                    server.url,
                    data=_stream() if data == "stream" else data,
                    middlewares=[ending(end, connection)] if unseen else [],
                )
            )
            if not unseen:
                await server.request(connection)
                end(connection)
            with pytest.raises(ClientConnectionError, match="sending again is not safe") as info:
                await asked
            assert isinstance(info.value, ServerDisconnectedError | ClientOSError)
            assert info.value.failure is not None
            assert (info.value.failure.uses, info.value.failure.tries) == (2, 1)
            assert len(server.heads) == (1 if unseen else 2)
            # The pool is whole: whoever comes next gets through.
            await warmed(session, server)

    run(main())


def test_a_server_that_closes_every_time_is_asked_twice(run: Runner) -> None:
    async def main() -> None:
        async with scene() as (session, server):
            connection = await warmed(session, server)
            asked = asyncio.ensure_future(session.get(server.url))
            for _ in range(2):
                await server.request(connection)
                connection.close()
                if len(server.heads) < 3:
                    connection = await server.accept()
            with pytest.raises(ServerDisconnectedError, match="tried 2 times"):
                await asked
            await warmed(session, server)

    run(main())


def test_a_close_that_was_seen_costs_nothing(run: Runner) -> None:
    """An idle connection whose end the loop has seen is not tried, not even by a POST."""

    async def main() -> None:
        async with scene() as (session, server):
            connection = await warmed(session, server)
            connector = session.connector
            assert connector is not None
            connection.close()
            async with asyncio.timeout(DEADLINE):
                while connector.stats().idle:
                    await asyncio.sleep(0)
            asked = asyncio.ensure_future(session.post(server.url, data=b"content"))
            await server.answer(await server.accept())
            async with await asked as response:
                assert response.timeline is not None
                assert response.timeline.tries == 1

    run(main())


# -- no connection at all


class Addresses(AbstractResolver):
    """Resolves every name to the same addresses, or fails."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        await asyncio.sleep(0)
        if not self._addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


def closed_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_a_refused_connection(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        async with (
            listening(Origin()) as origin,
            ClientSession(connector=TCPConnector(limit=1)) as session,
        ):
            for _ in range(3):
                with pytest.raises(ClientConnectorError, match="phase connect") as info:
                    await session.get(f"http://127.0.0.1:{closed_port()}/")
                assert info.value.errno == errno.ECONNREFUSED
                async with session.get(f"http://127.0.0.1:{origin.port}/") as response:
                    assert await response.read() == b"hello"
        await before.check(origin)

    run(main())


@pytest.mark.parametrize(
    "addresses", [("127.0.0.2", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")], ids=["first", "last"]
)
def test_one_of_several_addresses_is_dead(run: Runner, addresses: tuple[str, str]) -> None:
    """The server listens at 127.0.0.1 alone."""

    async def main() -> None:
        before = Leftovers()
        connector = TCPConnector(limit=1, resolver=Addresses(*addresses), force_close=True)
        async with listening(Origin()) as origin, ClientSession(connector=connector) as session:
            for _ in range(4):  # addresses take turns
                async with session.get(f"http://many.test:{origin.port}/") as response:
                    assert await response.read() == b"hello"
        await before.check(origin)

    run(main())


def test_all_of_several_addresses_are_dead(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        connector = TCPConnector(limit=1, resolver=Addresses("127.0.0.1", "127.0.0.2"))
        async with ClientSession(connector=connector) as session:
            with pytest.raises(ClientConnectorError, match=r"many\.test"):
                await session.get(f"http://many.test:{closed_port()}/")
            assert connector.stats().total == 0
        await before.check()

    run(main())


def test_a_name_that_does_not_resolve(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        async with (
            listening(Origin()) as origin,
            ClientSession(connector=TCPConnector(limit=1, resolver=Addresses())) as session,
        ):
            with pytest.raises(ClientConnectorDNSError, match=r"phase dns.*is safe"):
                await session.get(f"http://nowhere.test:{origin.port}/")
            async with session.get(f"http://127.0.0.1:{origin.port}/") as response:
                assert await response.read() == b"hello"
        await before.check(origin)

    run(main())


# -- somebody else


def _context(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


_YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("names", "options", "text"),
    [
        pytest.param(("localhost",), {"not_after": _YESTERDAY}, "expired", id="expired"),
        pytest.param(("other.test",), {}, "ostname mismatch", id="another host"),
    ],
)
def test_a_certificate_that_is_not_good(
    run: Runner,
    authority: trustme.CA,
    trusting: ssl.SSLContext,
    names: tuple[str, ...],
    options: dict[str, Any],
    text: str,
) -> None:
    async def main() -> None:
        before = Leftovers()
        async with (
            listening(Origin(), _context(authority, *names, **options)) as origin,
            ClientSession(connector=TCPConnector(limit=1, ssl=trusting)) as session,
        ):
            for _ in range(2):
                with pytest.raises(ClientConnectorCertificateError, match=text) as info:
                    await session.get(f"https://localhost:{origin.port}/")
                assert info.value.failure is not None
                assert info.value.failure.phase == "tls"
            assert origin.requests == []
            async with session.get(f"https://localhost:{origin.port}/", ssl=False) as response:
                assert await response.read() == b"hello"
        await before.check(origin)

    run(main())


def test_an_authority_that_is_not_known(run: Runner, server_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        before = Leftovers()
        async with listening(Origin(), server_tls) as origin, ClientSession() as session:
            with pytest.raises(ClientConnectorCertificateError):
                await session.get(f"https://localhost:{origin.port}/")
            assert origin.requests == []
        await before.check(origin)

    run(main())


def test_another_fingerprint(
    run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async def main() -> None:
        before = Leftovers()
        async with (
            listening(Origin(), server_tls) as origin,
            ClientSession(connector=TCPConnector(limit=1)) as session,
        ):
            url = f"https://localhost:{origin.port}/"
            with pytest.raises(ServerFingerprintMismatch) as info:
                await session.get(url, ssl=Fingerprint(hashlib.sha256(b"other").digest()))
            assert origin.requests == []
            # What was got is what it should have been.
            async with session.get(url, ssl=Fingerprint(info.value.got)) as response:
                assert await response.read() == b"hello"
        await before.check(origin)

    run(main())
