"""Fill a file store with a whole folder, read it back, and compare."""

import asyncio
import hashlib
import pathlib
import time
from collections.abc import Awaitable, Callable, Iterable

import attrs
from yarl import URL

from antiphon.client import ClientSession, TCPConnector

IN_FLIGHT = 32


@attrs.define
class Tally:
    """What a run came to."""

    requests: int = 0
    bytes: int = 0
    mismatches: int = 0
    connections: int = 0
    seconds: float = 0.0


class Driver:
    """Sends files to one store and fetches them again, many at a time."""

    def __init__(self, store: URL, folder: pathlib.Path, advance: Callable[[], None]) -> None:
        self.store = store
        self.folder = folder
        self.advance = advance
        self.tally = Tally()
        self.digests: dict[str, str] = {}

    async def run(self, names: list[str]) -> Tally:
        started = time.perf_counter()
        connector = TCPConnector(limit=IN_FLIGHT)
        async with ClientSession(self.store, connector=connector) as self.session:
            await each(names, self.upload)
            await self.compare_listing()
            await each(names, self.download)
            self.tally.connections = connector.stats().created
        self.tally.seconds = time.perf_counter() - started
        return self.tally

    async def upload(self, name: str) -> None:
        path = self.folder / name
        self.digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        with path.open("rb") as file:
            async with self.session.put(
                self.url(name), data=file, raise_for_status=True
            ) as response:
                stored = await response.json()
        self.count(stored["size"], same=stored["sha256"] == self.digests[name])

    async def compare_listing(self) -> None:
        async with self.session.get("/files", raise_for_status=True) as response:
            listed = {row["name"]: row["sha256"] for row in await response.json()}
        self.tally.requests += 1
        self.tally.mismatches += listed != self.digests

    async def download(self, name: str) -> None:
        digest = hashlib.sha256()
        size = 0
        async with self.session.get(self.url(name), raise_for_status=True) as response:
            async for piece in response.content.iter_any():
                digest.update(piece)
                size += len(piece)
        self.count(size, same=digest.hexdigest() == self.digests[name])

    def url(self, name: str) -> URL:
        return self.store / "files" / name

    def count(self, size: int, *, same: bool) -> None:
        self.tally.requests += 1
        self.tally.bytes += size
        self.tally.mismatches += not same
        self.advance()


async def each(names: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Do *work* for every name, `IN_FLIGHT` at a time; the first error ends it."""
    todo = iter(names)

    async def worker() -> None:
        for name in todo:
            await work(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(worker())
