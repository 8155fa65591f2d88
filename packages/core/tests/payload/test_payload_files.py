"""Files as content to be sent."""

import asyncio
import gzip
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from antiphon.core.aio.payload import (
    BufferedReaderPayload,
    BytesIOPayload,
    IOBasePayload,
    TextIOPayload,
    get_payload,
)

NewWriter = Callable[..., Any]

DATA = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


class WatchedFile(io.FileIO):
    """Tells which threads read it and how much at once, and how often it was closed."""

    def __init__(self, path: Any) -> None:
        super().__init__(path, "rb")
        self.threads: set[int] = set()
        self.sizes: set[int] = set()
        self.closings = 0
        self.reading = False
        self.closed_while_read = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.threads.add(threading.get_ident())
        self.sizes.add(-1 if size is None else size)
        self.reading = True
        try:
            return super().read(size) or b""
        finally:
            self.reading = False

    def close(self) -> None:
        if not self.closed:
            self.closings += 1
            self.closed_while_read |= self.reading
        super().close()


async def test_a_file_is_read_off_the_loop_in_bounded_pieces(
    path: Path, collecting_writer: NewWriter
) -> None:
    file = WatchedFile(path)
    payload = get_payload(file)
    assert payload.size == len(DATA)
    writer = collecting_writer()
    await payload.write(writer)
    assert writer.data == DATA
    assert threading.get_ident() not in file.threads
    assert file.sizes <= set(range(1, 256 * 1024 + 1))
    await payload.close()
    await payload.close()
    assert file.closed
    assert file.closings == 1


@pytest.mark.parametrize("position", [0, 5, len(DATA)])
async def test_a_file_begins_where_it_is_and_can_be_sent_again(
    position: int, path: Path, collecting_writer: NewWriter
) -> None:
    with path.open("rb") as file:
        file.seek(position)
        payload = BufferedReaderPayload(file)
        assert payload.size == len(DATA) - position
        assert payload.replayable
        for _ in range(2):
            writer = collecting_writer()
            await payload.write(writer)
            assert writer.data == DATA[position:]
        assert not payload.consumed
        assert await payload.as_bytes() == DATA[position:]
        assert payload.decode("latin1") == DATA[position:].decode("latin1")
        writer = collecting_writer()
        await payload.write_with_length(writer, 10)
        assert writer.data == DATA[position : position + 10]


async def test_a_retry_sends_all_of_a_file_again(path: Path, collecting_writer: NewWriter) -> None:
    """A write that was cut off leaves the file somewhere; the next one begins where it began."""
    with path.open("rb") as file:
        payload = BufferedReaderPayload(file)
        with pytest.raises(ConnectionResetError):
            await payload.write(collecting_writer(fail_at=2))
        assert payload.replayable
        writer = collecting_writer()
        await payload.write(writer)
        assert writer.data == DATA


async def test_no_more_is_sent_than_was_announced(path: Path, collecting_writer: NewWriter) -> None:
    with path.open("rb") as file:
        payload = BufferedReaderPayload(file)
        assert payload.size == len(DATA)
        with path.open("ab") as more:
            more.write(b"more")
        writer = collecting_writer()
        await payload.write(writer)
        assert writer.data == DATA


def test_headers_of_a_named_file(path: Path) -> None:
    with path.open("rb") as file:
        payload = BufferedReaderPayload(file)
        assert payload.filename == "data.bin"
        assert payload.headers["Content-Disposition"] == 'attachment; filename="data.bin"'
        assert payload.content_type == "application/octet-stream"
        payload = BufferedReaderPayload(file, headers={"Content-Disposition": "inline"})
        assert payload.headers["Content-Disposition"] == "inline"
        payload = BufferedReaderPayload(file, headers={"X-Own": "1"}, filename="é.png")
        assert "filename*=utf-8''%C3%A9.png" in payload.headers["Content-Disposition"]
        assert payload.content_type == "image/png"
        payload = BufferedReaderPayload(file, None)
        assert "Content-Disposition" not in payload.headers
        payload = BufferedReaderPayload(file, "form-data")
        assert payload.headers["Content-Disposition"].startswith("form-data;")


@pytest.mark.parametrize("name", ["<stdin>", 3, b"x", None, ""])
def test_names_that_are_no_file_names(name: Any) -> None:
    class Odd(io.BytesIO):
        name: Any = None

    odd = Odd(b"x")
    odd.name = name
    assert BytesIOPayload(odd).filename is None


# --- what is no regular file ------------------------------------------------------------------


async def test_a_pipe_has_no_size_and_is_sent_once(collecting_writer: NewWriter) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"from a pipe")
    os.close(writing)
    payload = get_payload(os.fdopen(reading, "rb"))
    assert payload.size is None
    assert not payload.replayable
    writer = collecting_writer()
    await payload.write(writer)
    assert writer.data == b"from a pipe"
    assert payload.consumed
    with pytest.raises(RuntimeError, match="cannot go back"):
        await payload.write(collecting_writer())
    await payload.close()


async def test_the_size_of_a_compressed_file_is_not_that_of_its_content(
    tmp_path: Path, collecting_writer: NewWriter
) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(DATA))
    with path.open("rb") as compressed, gzip.GzipFile(fileobj=compressed) as file:
        payload = get_payload(file)
        assert payload.size is None
        writer = collecting_writer()
        await payload.write(writer)
        assert writer.data == DATA


async def test_a_spooled_file_stays_in_memory(collecting_writer: NewWriter) -> None:
    with tempfile.SpooledTemporaryFile() as file:
        file.write(b"0123456789")
        file.seek(4)
        payload = get_payload(file)
        assert payload.size == 6
        writer = collecting_writer()
        await payload.write(writer)
        assert writer.data == b"456789"
        assert not file._rolled  # type: ignore[attr-defined]  # the only way to know
        await payload.close()


class Nonblocking(io.RawIOBase):
    """A file in non-blocking mode with nothing to read yet."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes | None:
        return None


async def test_a_file_in_non_blocking_mode_is_no_empty_file(collecting_writer: NewWriter) -> None:
    with pytest.raises(BlockingIOError):
        await IOBasePayload(Nonblocking()).write(collecting_writer())  # type: ignore[arg-type]  # an IOBase is one


# --- in memory --------------------------------------------------------------------------------


async def test_bytes_io_is_neither_moved_nor_closed_nor_handed_to_a_thread(
    collecting_writer: NewWriter,
) -> None:
    buffer = io.BytesIO(DATA)
    buffer.seek(2)
    payload = get_payload(buffer)
    assert isinstance(payload, BytesIOPayload)
    assert payload.size == len(DATA) - 2
    writer = collecting_writer()
    writing = payload.write(writer)
    with pytest.raises(StopIteration):
        writing.send(None)  # it never waits
    assert writer.data == DATA[2:]
    assert max(map(len, writer.chunks)) <= 256 * 1024
    assert buffer.tell() == 2
    writer = collecting_writer()
    await payload.write_with_length(writer, 3)
    assert writer.data == DATA[2:5]
    assert await payload.as_bytes() == DATA[2:]
    assert payload.decode("latin1") == DATA[2:].decode("latin1")
    assert payload.replayable
    assert not payload.consumed
    assert payload.autoclose
    await payload.close()
    assert not buffer.closed


# --- text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "newline", "kwargs", "expected", "size_known"),
    [
        pytest.param("utf-8", None, {}, "é\r\nb".encode(), True, id="as it is"),
        pytest.param("utf-8", "", {}, "é\r\nb".encode(), True, id="as it is, no translation"),
        pytest.param(
            "utf-8", "", {"encoding": "utf-16-le"}, "é\r\nb".encode("utf-16-le"), False, id="other"
        ),
        pytest.param(
            "utf-8",
            "",
            {"content_type": "text/html; charset=latin1"},
            b"\xe9\r\nb",
            False,
            id="in the encoding of the media type",
        ),
    ],
)
async def test_a_text_file(
    encoding: str,
    newline: str | None,
    kwargs: Any,
    expected: bytes,
    size_known: bool,
    tmp_path: Path,
    collecting_writer: NewWriter,
) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes("é\r\nb".encode(encoding))
    with path.open(encoding=encoding, newline=newline) as file:
        payload = get_payload(file, **kwargs)
        assert isinstance(payload, TextIOPayload)
        assert payload.size == (len(expected) if size_known else None)
        assert payload.replayable
        for _ in range(2):
            writer = collecting_writer()
            await payload.write(writer)
            assert writer.data == expected
        for length in range(len(expected) + 2):
            writer = collecting_writer()
            await payload.write_with_length(writer, length)
            assert writer.data == expected[:length]
        assert await payload.as_bytes() == expected
        assert payload.decode().replace("\r", "") == "é\nb"
        await payload.close()
        assert file.closed


async def test_a_text_file_begins_where_it_is(tmp_path: Path, collecting_writer: NewWriter) -> None:
    path = tmp_path / "x.txt"
    path.write_text("first é\nsecond é\n", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        assert file.readline() == "first é\n"
        payload = get_payload(file)
        expected = "second é\n".encode()
        assert payload.size == len(expected)
        writer = collecting_writer()
        await payload.write(writer)
        assert writer.data == expected


# --- closing ----------------------------------------------------------------------------------


@pytest.fixture
def slow_file(path: Path) -> Iterator[tuple[WatchedFile, threading.Event, threading.Event]]:
    """A file whose second read waits: it tells that it began, and goes on when it is let."""
    began, go_on = threading.Event(), threading.Event()

    class Slow(WatchedFile):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            if self.reads == 2:
                self.reading = True
                began.set()
                assert go_on.wait(30)
            return super().read(size)

    file = Slow(path)
    yield file, began, go_on
    go_on.set()


async def test_a_file_is_closed_behind_the_read_that_was_cut_off(
    slow_file: tuple[WatchedFile, threading.Event, threading.Event], collecting_writer: NewWriter
) -> None:
    """CVE-2026-54280: a write that is cut off leaves no file open, and closes none under a read."""
    file, began, go_on = slow_file
    payload = IOBasePayload(file)
    writing = asyncio.ensure_future(payload.write(collecting_writer()))
    await asyncio.get_running_loop().run_in_executor(None, began.wait)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    closing = asyncio.ensure_future(payload.close())
    await asyncio.sleep(0)
    assert file.closings == 0
    go_on.set()
    await closing
    assert (file.closed, file.closings, file.closed_while_read) == (True, 1, False)


async def test_a_file_is_closed_also_if_the_wait_for_it_is_cancelled(
    slow_file: tuple[WatchedFile, threading.Event, threading.Event], collecting_writer: NewWriter
) -> None:
    file, began, go_on = slow_file
    payload = IOBasePayload(file)
    closed = threading.Event()
    closing_file = file.close

    def close() -> None:
        closing_file()
        closed.set()

    file.close = close  # type: ignore[method-assign]  # tells when it happened
    writing = asyncio.ensure_future(payload.write(collecting_writer()))
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, began.wait)
    writing.cancel()
    closing = asyncio.ensure_future(payload.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(asyncio.CancelledError):
        await writing
    go_on.set()
    await loop.run_in_executor(None, closed.wait)
    assert file.closed
    assert file.closings == 1


async def test_a_closed_payload_cannot_be_sent(path: Path, collecting_writer: NewWriter) -> None:
    payload = BufferedReaderPayload(path.open("rb"))
    await payload.close()
    assert not payload.replayable
    with pytest.raises(RuntimeError, match="closed"):
        await payload.write(collecting_writer())


async def test_closing_waits_for_no_free_thread_it_cannot_get(
    path: Path, collecting_writer: NewWriter
) -> None:
    """A loop whose threads are gone closes files by itself."""
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    file = WatchedFile(path)
    payload = IOBasePayload(file)
    assert payload.size == len(DATA)
    executor.shutdown()
    await payload.close()
    assert file.closed


async def test_an_error_of_the_disk_is_the_writers_to_see(
    path: Path, collecting_writer: NewWriter
) -> None:
    class Broken(WatchedFile):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("disk")

    file = Broken(path)
    payload = IOBasePayload(file)
    with pytest.raises(OSError, match="disk"):
        await payload.write(collecting_writer())
    await payload.close()
    assert file.closings == 1
