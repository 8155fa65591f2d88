"""Responses given back before their end: what little is still to come is let past."""

import asyncio
import gzip

import pytest

from antiphon.client import ClientConnectionError, ClientSession, TCPConnector

from .conftest import DEADLINE, Leftovers, Peer, Reader, Runner, Writer, listening, until


class Halves(Peer):
    """Sends a head and the beginning of the content; the rest when it is told to."""

    def __init__(self, size: int, fields: bytes = b"", start: bytes = b"x") -> None:
        super().__init__(self._script_)
        self.size = size
        self.fields = fields
        self.start = start
        self.go_on = asyncio.Event()

    async def _script_(self, reader: Reader, writer: Writer) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            self.requests.append("a request")
            if len(self.requests) > 1:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
                continue
            writer.write(
                b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n" % (self.fields, self.size)
            )
            writer.write(self.start)
            await self.go_on.wait()
            writer.write(b"y" * (self.size - len(self.start)))


def test_a_small_rest_is_let_past(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Halves(1000)
        connector = TCPConnector(limit=1)
        async with listening(peer), ClientSession(connector=connector) as session:
            response = await session.get(f"http://127.0.0.1:{peer.port}/")
            response.release()
            assert response.closed
            assert response.connection is None
            with pytest.raises(ClientConnectionError, match="released"):
                await response.read()
            peer.go_on.set()
            await until(lambda: connector.stats().active == 0, "not given back")
            assert connector.stats().idle == 1
            async with session.get(f"http://127.0.0.1:{peer.port}/") as response:
                assert await response.read() == b"next"
            assert peer.accepted == 1
        await before.check(peer)

    run(main())


@pytest.mark.parametrize(
    ("size", "fields", "start"),
    [
        pytest.param(70_000, b"", b"x", id="a large rest"),
        pytest.param(1000, b"Connection: close\r\n", b"x", id="the server closes anyway"),
        pytest.param(
            1000,
            b"Content-Encoding: gzip\r\n",
            gzip.compress(b"x")[:15],
            id="CVE-2026-54278 coded content is not inflated for nobody",
        ),
    ],
)
def test_what_is_not_let_past(run: Runner, size: int, fields: bytes, start: bytes) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Halves(size, fields, start)
        connector = TCPConnector(limit=1)
        async with listening(peer), ClientSession(connector=connector) as session:
            async with session.get(f"http://127.0.0.1:{peer.port}/"):
                pass
            assert connector.stats().total == 0
        await before.check(peer)

    run(main())


def test_a_rest_that_does_not_come_is_not_waited_for_for_long(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Halves(1000)
        connector = TCPConnector(limit=1)
        async with listening(peer), ClientSession(connector=connector) as session:
            async with session.get(f"http://127.0.0.1:{peer.port}/"):
                pass
            await until(lambda: connector.stats().total == 0, "not given up")
            async with session.get(f"http://127.0.0.1:{peer.port}/") as response:
                assert await response.read() == b"next"
            assert peer.accepted == 2
        await before.check(peer)

    run(main())


def test_who_stands_in_line_gets_the_slot_at_once(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Halves(1000)
        connector = TCPConnector(limit=1)
        async with listening(peer), ClientSession(connector=connector) as session:
            url = f"http://127.0.0.1:{peer.port}/"
            response = await session.get(url)
            second = asyncio.ensure_future(session.get(url))
            await until(lambda: connector.stats().waiting == 1, "nobody waits")
            response.release()
            assert connector.stats().active == 0
            async with await second as response:
                assert await response.read() == b"next"
        await before.check(peer)

    run(main())


@pytest.mark.parametrize("limit", ["limit", "limit_per_host"])
def test_who_comes_to_stand_in_line_gets_the_slot_at_once(
    run: Runner, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Nobody's time limits count while a rest is let past that nobody wants."""
    monkeypatch.setattr("antiphon.client._drain.DRAIN_TIMEOUT", 100 * DEADLINE)

    async def main() -> None:
        before = Leftovers()
        peer = Halves(1000)
        connector = TCPConnector(limit=1) if limit == "limit" else TCPConnector(limit_per_host=1)
        async with listening(peer), ClientSession(connector=connector) as session:
            url = f"http://127.0.0.1:{peer.port}/"
            response = await session.get(url)
            response.release()
            assert connector.stats().active == 1
            async with asyncio.timeout(DEADLINE):
                async with session.get(url) as response:
                    assert await response.read() == b"next"
            assert peer.accepted == 2
            assert not connector._yielding
        await before.check(peer)

    run(main())


def test_a_cancelled_reader_frees_its_slot_at_once(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Halves(1000)
        connector = TCPConnector(limit=1)
        async with listening(peer), ClientSession(connector=connector) as session:
            inside = asyncio.Event()

            async def read_and_wait() -> None:
                async with session.get(f"http://127.0.0.1:{peer.port}/"):
                    inside.set()
                    await asyncio.get_running_loop().create_future()

            task = asyncio.ensure_future(read_and_wait())
            await inside.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert connector.stats().total == 0
        await before.check(peer)

    run(main())


def test_closing_the_session_ends_it(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Halves(1000)
        async with listening(peer), ClientSession() as session:
            response = await session.get(f"http://127.0.0.1:{peer.port}/")
            response.release()
        await before.check(peer)

    run(main())
