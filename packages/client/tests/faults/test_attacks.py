"""Published attacks that need a whole client and a server to be shown not to work."""

import asyncio
import gc
import gzip
import ssl
from collections.abc import Awaitable, Callable

import pytest
from yarl import URL

from antiphon.client import (
    ClientConnectorCertificateError,
    ClientError,
    ClientPayloadError,
    ClientResponseError,
    ClientSession,
    TCPConnector,
    encode_basic_auth,
)

from .conftest import Leftovers, Origin, Peer, Reader, Runner, Writer, listening

Step = Callable[[ClientSession, str], Awaitable[None]]


def answering(*pieces: bytes) -> Peer:
    """A server that answers every request with *pieces*, each in a segment of its own."""

    async def script(reader: Reader, writer: Writer) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    return Peer(script)


async def _against(peer: Peer, step: Step) -> None:
    before = Leftovers()
    async with (
        listening(peer) as server,
        ClientSession(connector=TCPConnector(limit=1)) as session,
    ):
        await step(session, f"http://127.0.0.1:{server.port}/")
        assert session.connector is not None
        assert session.connector.stats().active == 0
    await before.check(peer)


_LAYERS = gzip.compress(gzip.compress(gzip.compress(b"x" * 1000)))


@pytest.mark.parametrize(
    "codings", ["gzip, gzip, gzip", ", ".join(["gzip"] * 500)], ids=["three", "five hundred"]
)
def test_cve_2026_22036_a_chain_of_codings_is_not_followed(run: Runner, codings: str) -> None:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {codings}\r\nContent-Length: {len(_LAYERS)}\r\n\r\n"
    )

    async def step(session: ClientSession, url: str) -> None:
        with pytest.raises(ClientError):
            async with session.get(url) as response:
                await response.read()

    run(_against(answering(head.encode() + _LAYERS), step))


@pytest.mark.parametrize(
    "piece", [b"x" * 4000, b"x" * 100], ids=["in some pieces", "in many pieces"]
)
def test_cve_2026_54277_a_field_that_comes_in_pieces_is_limited(run: Runner, piece: bytes) -> None:
    pieces = [b"HTTP/1.1 200 OK\r\nX-Long: ", *([piece] * (20_000 // len(piece))), b"\r\n\r\n"]

    async def step(session: ClientSession, url: str) -> None:
        with pytest.raises(ClientResponseError) as info:
            await session.get(url)
        assert info.value.status == 431

    run(_against(answering(*pieces), step))


def test_cve_2026_54277_a_line_that_comes_in_pieces_is_limited(run: Runner) -> None:
    pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n", *([b"x" * 5000] * 100)]

    async def step(session: ClientSession, url: str) -> None:
        with pytest.raises(ClientPayloadError, match="line"):
            async with session.get(url, read_bufsize=4096) as response:
                async for _ in response.iter_lines():
                    pass

    run(_against(answering(*pieces), step))


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:{port}/a\r\nX-Evil: 1", id="path"),
        pytest.param("http://127.0.0.1:{port}/?a\r\nX-Evil: 1", id="query"),
        pytest.param("http://127.0.0.1:{port}/a b", id="space"),
        pytest.param("http://127.0.0.1:{port}/\x00", id="NUL"),
    ],
)
def test_cve_2021_41945_a_url_built_of_unchecked_parts(run: Runner, url: str) -> None:
    """``encoded=True`` is the user's word that the parts are fine; they are checked all the same."""
    origin = Origin()

    async def step(session: ClientSession, _: str) -> None:
        with pytest.raises(ValueError, match="Target .* is not allowed"):
            await session.get(URL(url.format(port=origin.port), encoded=True))
        assert origin.requests == []

    run(_against(origin, step))


def test_cve_2025_50181_redirects_that_are_off_stay_off(run: Runner) -> None:
    origin = Origin()

    async def step(session: ClientSession, url: str) -> None:
        for method in ("GET", "POST", "HEAD"):
            async with session.request(method, f"{url}redirect", allow_redirects=False) as response:
                assert response.status == 302
        assert origin.requests == ["GET /redirect", "POST /redirect", "HEAD /redirect"]

    run(_against(origin, step))


def test_tornado_6_5_7_options_of_a_request_do_not_stay_on_its_connection(run: Runner) -> None:
    heads: list[bytes] = []

    async def script(reader: Reader, writer: Writer) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    peer = Peer(script)

    async def step(session: ClientSession, url: str) -> None:
        secrets = {"Authorization": encode_basic_auth("user", "pass"), "X-Key": "secret"}
        async with session.get(url, headers=secrets, cookies={"sid": "1"}) as response:
            await response.read()
        async with session.get(url) as response:
            await response.read()
        assert peer.accepted == 1
        assert b"secret" in heads[0]
        for word in (b"Authorization", b"X-Key", b"Cookie", b"secret"):
            assert word not in heads[1]

    run(_against(peer, step))


def test_cve_2025_47279_bad_certificates_leave_nothing_behind(
    run: Runner, server_tls: ssl.SSLContext
) -> None:
    def left() -> int:
        gc.collect()
        kinds = (ssl.SSLObject, ssl.SSLContext, ssl.MemoryBIO, ClientConnectorCertificateError)
        return sum(isinstance(found, kinds) for found in gc.get_objects())

    async def main() -> None:
        async with listening(Origin(), server_tls) as origin, ClientSession() as session:

            async def fail() -> None:
                with pytest.raises(ClientConnectorCertificateError):
                    await session.get(f"https://localhost:{origin.port}/")

            await fail()
            await origin.until_alone()
            before = left()
            for _ in range(10):
                await fail()
            await origin.until_alone()
            # The last one's may be on their way out; ten times three would not be.
            assert left() < before + 10

    run(main())
