"""Requests cancelled at every place where they wait, over real sockets.

Each run cancels one step later than the one before, until one comes through.
After each, in the same step, the pool's slot is free; the next request gets
through a pool of one; and no task and no descriptor is left.
"""

import asyncio
import os
import random
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any

import pytest

from antiphon.client import ClientSession, FormData, TCPConnector
from antiphon.client.resolver import AbstractResolver, ResolveResult

from .conftest import TEXT, Leftovers, Origin, Peer, Proxy, Runner, listening

Scenario = Callable[[ClientSession, str], Awaitable[object]]


class CancelledAt:
    """Awaits *coroutine*, and has its own task cancelled while it waits for the *n*-th time.

    Args:
        coroutine: What to run.
        n: Which time, from 1.
        late: Cancel when what it waits for has just happened, before it learns of that.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], n: int, late: bool) -> None:
        self._coroutine = coroutine
        self._n = n
        self._late = late
        self.waits = 0

    def __await__(self) -> Generator[Any, None, Any]:
        task = asyncio.current_task()
        assert task is not None
        inner = self._coroutine.__await__()
        resume: Callable[[], Any] = partial(next, inner)
        while True:
            try:
                awaited = resume()
            except StopIteration as end:
                return end.value
            self.waits += 1
            if self.waits == self._n:
                if self._late and awaited is not None:
                    # Called before the task's own callback, which is added after the yield.
                    awaited.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            try:
                yield awaited
            except BaseException as exc:
                resume = partial(inner.throw, exc)
            else:
                resume = partial(next, inner)


# -- what is cancelled


async def get(session: ClientSession, url: str, **options: Any) -> bytes:
    async with session.get(url, **options) as response:
        return await response.read()


async def read_in_pieces(session: ClientSession, url: str) -> bytes:
    async with session.get(f"{url}/gzip", read_bufsize=4096) as response:
        return b"".join([piece async for piece in response.content.iter_chunked(30000)])


async def _pieces() -> AsyncIterator[bytes]:
    for start in range(0, len(TEXT), 20000):
        await asyncio.sleep(0)
        yield TEXT[start : start + 20000]


async def upload(session: ClientSession, url: str, **options: Any) -> bytes:
    async with session.post(f"{url}/upload", data=_pieces(), **options) as response:
        return await response.read()


async def form(session: ClientSession, url: str) -> bytes:
    data = FormData()
    data.add_field("file", TEXT, filename="text", content_type="text/plain")
    async with session.post(f"{url}/upload", data=data, expect100=True) as response:
        body = await response.read()
        return TEXT if TEXT in body else body


async def websocket(session: ClientSession, url: str) -> bytes:
    async with session.ws_connect(f"{url}/ws") as connection:
        await connection.send_bytes(b"hello")
        return await connection.receive_bytes()


SCENARIOS: list[Any] = [
    pytest.param(lambda session, url: get(session, f"{url}/"), b"hello", id="plain"),
    pytest.param(lambda session, url: get(session, f"{url}/redirect"), b"hello", id="redirect"),
    pytest.param(lambda session, url: get(session, f"{url}/gzip"), TEXT, id="compressed"),
    pytest.param(read_in_pieces, TEXT, id="read in pieces"),
    pytest.param(upload, TEXT, id="upload"),
    pytest.param(partial(upload, expect100=True), TEXT, id="upload with expect"),
    pytest.param(form, TEXT, id="form"),
    pytest.param(websocket, b"hello", id="websocket"),
]


class Loopback(AbstractResolver):
    """Knows every name, after a moment."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        await asyncio.sleep(0)
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing to close."""


async def sweep(
    scenario: Scenario,
    expected: bytes,
    url: str,
    peers: tuple[Peer, ...],
    *,
    late: bool = False,
    reused: bool = False,
    proxy: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Cancel *scenario* at its first, second, ... wait until it comes through.

    Returns:
        How often it waits.
    """
    n = 0
    while True:
        n += 1
        before = Leftovers()
        connector = TCPConnector(limit=1, resolver=Loopback(), ssl=tls or True)
        async with ClientSession(connector=connector, proxy=proxy) as session:
            if reused:
                assert await get(session, f"{url}/") == b"hello"

            async def run_once(session: ClientSession = session) -> object:
                return await scenario(session, url)

            attempt = CancelledAt(run_once(), n, late)
            task = asyncio.ensure_future(attempt)
            await asyncio.wait([task])
            stats = connector.stats()
            assert (stats.connecting, stats.waiting) == (0, 0), f"wait {n}"
            if scenario is not websocket:  # its closing handshake goes on for a moment
                assert stats.active == 0, f"wait {n}"
            assert not session.flights, f"wait {n}"
            if attempt.waits < n:
                assert task.result() == expected
            else:
                assert task.cancelled(), f"wait {n}: {task}"
            assert await get(session, f"{url}/") == b"hello"
        await before.check(*peers)
        if attempt.waits < n:
            return n - 1


moment = pytest.mark.parametrize(
    "late", [pytest.param(False, id="while waiting"), pytest.param(True, id="just answered")]
)


@moment
@pytest.mark.parametrize("reused", [False, True], ids=["new", "reused"])
@pytest.mark.parametrize(("scenario", "expected"), SCENARIOS)
def test_at_every_await(
    run: Runner, scenario: Scenario, expected: bytes, late: bool, reused: bool
) -> None:
    async def main() -> None:
        async with listening(Origin()) as origin:
            url = f"http://localhost:{origin.port}"
            waits = await sweep(scenario, expected, url, (origin,), late=late, reused=reused)
            assert waits >= (1 if reused else 3)

    run(main())


@moment
def test_at_every_await_over_tls(
    run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext, late: bool
) -> None:
    async def main() -> None:
        async with listening(Origin(), server_tls) as origin:
            url = f"https://localhost:{origin.port}"
            waits = await sweep(upload, TEXT, url, (origin,), late=late, tls=trusting)
            assert waits >= 4

    run(main())


@moment
@pytest.mark.parametrize("scheme", ["http", "https", "ws"])
def test_at_every_await_through_a_proxy(
    run: Runner,
    server_tls: ssl.SSLContext,
    trusting: ssl.SSLContext,
    late: bool,
    scheme: str,
) -> None:
    """``http`` is forwarded; the two others go through a tunnel."""

    async def main() -> None:
        tls = server_tls if scheme == "https" else None
        tunnels: Peer = Origin() if scheme == "http" else Proxy()
        async with listening(Origin(), tls) as origin, listening(tunnels) as proxy:
            scenario: Scenario = websocket if scheme == "ws" else upload
            waits = await sweep(
                scenario,
                b"hello" if scheme == "ws" else TEXT,
                f"{scheme}://localhost:{origin.port}",
                (origin, proxy),
                late=late,
                proxy=f"http://127.0.0.1:{proxy.port}",
                tls=trusting,
            )
            assert waits >= (3 if scheme == "http" else 4)

    run(main())


# -- at random


BATCHES = int(os.environ.get("ANTIPHON_CANCELLATION_BATCHES", "4"))
"""How many times fifty requests."""


async def _cancelled_after(turns: int, task: "asyncio.Task[bytes]") -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()


def test_at_random(run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    """Five connections for fifty requests at a time, of every kind, each cancelled somewhere.

    Two hundred of them here; ``nox -s cancellations`` makes it two thousand.
    """
    dice = random.Random(20261122)

    async def main() -> None:
        before = Leftovers()
        outcomes: Counter[str] = Counter()
        async with (
            listening(Origin()) as origin,
            listening(Origin(), server_tls) as secured,
            ClientSession(
                connector=TCPConnector(limit=5, resolver=Loopback(), ssl=trusting)
            ) as session,
        ):
            urls = [f"http://localhost:{origin.port}", f"https://localhost:{secured.port}"]
            kinds: list[tuple[Scenario, int]] = [
                (lambda session, url: get(session, f"{url}/"), 8),
                (lambda session, url: get(session, f"{url}/redirect"), 2),
                (read_in_pieces, 1),
                (upload, 2),
                (partial(upload, expect100=True), 1),
            ]
            scenarios, weights = zip(*kinds, strict=True)
            for _ in range(BATCHES):
                tasks = [
                    asyncio.ensure_future(scenario(session, dice.choices(urls, (4, 1))[0]))
                    for scenario in dice.choices(scenarios, weights, k=50)
                ]
                await asyncio.gather(
                    *(_cancelled_after(int(dice.expovariate(0.02)), task) for task in tasks)
                )
                await asyncio.wait(tasks)
                for task in tasks:
                    outcomes["cancelled" if task.cancelled() else "done"] += 1
                    assert task.cancelled() or task.result() in (b"hello", TEXT)
                stats = session.connector.stats() if session.connector else None
                assert stats is not None
                assert (stats.active, stats.connecting, stats.waiting) == (0, 0, 0)
                assert stats.idle <= 5
            for url in urls:
                assert await get(session, f"{url}/") == b"hello"
        await before.check(origin, secured)
        assert outcomes["cancelled"] + outcomes["done"] == 50 * BATCHES
        assert min(outcomes["cancelled"], outcomes["done"]) > 5, outcomes

    run(main())
