"""A writer that keeps what it gets, streams cut into pieces, and what a scanner makes of bytes."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from antiphon.core.aio.streams import StreamReader
from antiphon.core.aio.writer import AbstractStreamWriter
from antiphon.core.limits import MultipartLimits
from antiphon.core.multipart import END, NEED_DATA, BadMultipart, MultipartScanner, PartHead
from antiphon.core.typedefs import Byteish

Outcome = list[tuple[object, ...]]


class CollectingWriter(AbstractStreamWriter):
    """Keeps every chunk as it came.

    Args:
        fail_at: Number of the write that fails as one to a lost connection does.
        block_at: Number of the write that waits for ever; `blocked` is set when it does.
    """

    def __init__(self, *, fail_at: int | None = None, block_at: int | None = None) -> None:
        self.chunks: list[bytes] = []
        self.ended = False
        self.length = None
        self.blocked = asyncio.Event()
        self._fail_at = fail_at
        self._block_at = block_at

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)

    async def write(self, chunk: Byteish) -> None:
        if len(self.chunks) == self._fail_at:
            raise ConnectionResetError("the peer is gone")
        if len(self.chunks) == self._block_at:
            self.blocked.set()
            await asyncio.get_running_loop().create_future()
        self.chunks.append(bytes(chunk))

    async def write_eof(self, chunk: Byteish = b"") -> None:
        if chunk:
            await self.write(chunk)
        self.ended = True

    async def drain(self) -> None:
        pass


class Transport:
    """What a stream pauses; nothing here ever minds."""

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def make_stream(*pieces: bytes, eof: bool = True) -> StreamReader:
    stream = StreamReader(Transport(), 2**16)
    for piece in pieces:
        stream.feed_data(piece)
    if eof:
        stream.feed_eof()
    return stream


class PieceStream(StreamReader):
    """A stream whose reads give its pieces one by one, cut as they were cut."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__(Transport(), 2**16)
        self._pieces = iter(pieces)

    async def read(self, n: int = -1) -> bytes:
        return next(self._pieces, b"")


def splits(data: bytes) -> Iterator[list[bytes]]:
    """Give *data* whole, byte by byte, and cut once at every place."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for cut in range(1, len(data)):
        yield [data[:cut], data[cut:]]


def scan(
    pieces: list[bytes], boundary: bytes = b"abc", limits: MultipartLimits | None = None
) -> Outcome:
    """Return what a scanner says to *pieces*, pieces of content joined."""
    scanner = MultipartScanner(boundary, limits or MultipartLimits())
    outcome: Outcome = []
    content = bytearray()

    def flush() -> None:
        if content:
            outcome.append(("content", bytes(content)))
            content.clear()

    def drain() -> bool:
        while True:
            event = scanner.next_event()
            if isinstance(event, bytes):
                assert event, "content is never empty"
                content.extend(event)
                continue
            if event is NEED_DATA:
                return True
            flush()
            if isinstance(event, PartHead):
                outcome.append(("part", dict(event.headers), event.name, event.filename))
            else:
                outcome.append((event.name,))
            if event is END:
                return False

    try:
        for piece in pieces:
            scanner.receive_data(piece)
            if not drain():
                break
        else:
            scanner.receive_eof()
            drain()
    except BadMultipart as exc:
        flush()
        outcome.append(("error", type(exc).__name__, exc.status))
    return outcome


@pytest.fixture
def collecting_writer() -> type[CollectingWriter]:
    return CollectingWriter


@pytest.fixture(name="make_stream")
def make_stream_fixture() -> Callable[..., StreamReader]:
    return make_stream


@pytest.fixture
def piece_stream() -> type[PieceStream]:
    return PieceStream


@pytest.fixture(name="splits")
def splits_fixture() -> Callable[[bytes], Iterator[list[bytes]]]:
    return splits


@pytest.fixture(name="scan")
def scan_fixture() -> Callable[..., Outcome]:
    return scan
