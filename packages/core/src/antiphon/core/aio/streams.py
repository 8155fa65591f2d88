"""Content as seen by a user.

A `StreamReader` is fed by a protocol and read by one task. Waiting and taking
are separate steps, so a cancelled read loses nothing. Above its high mark the
reader pauses what feeds it, below its low mark it resumes that.
The half of it that is fed is in `_stream_buffer`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, final

from ..errors import LineTooLong
from ..typedefs import Byteish
from ._stream_buffer import StreamBuffer
from .queues import DataQueue, EofStream, FlowControlDataQueue, Pausable

__all__ = (
    "EMPTY_PAYLOAD",
    "AsyncStreamIterator",
    "ChunkTupleAsyncStreamIterator",
    "DataQueue",
    "EmptyStreamReader",
    "EofStream",
    "FlowControlDataQueue",
    "Pausable",
    "StreamReader",
)

# What a read that ends with the content only waits for.
_EVERYTHING: Final = 1 << 62


@final
class AsyncStreamIterator:
    """Calls one reading method until it gives nothing."""

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], Awaitable[bytes]]) -> None:
        self._read = read

    def __aiter__(self) -> "AsyncStreamIterator":
        return self

    async def __anext__(self) -> bytes:
        data = await self._read()
        if not data:
            raise StopAsyncIteration
        return data


@final
class ChunkTupleAsyncStreamIterator:
    """Calls `StreamReader.readchunk` until the content ends."""

    __slots__ = ("_stream",)

    def __init__(self, stream: "StreamReader") -> None:
        self._stream = stream

    def __aiter__(self) -> "ChunkTupleAsyncStreamIterator":
        return self

    async def __anext__(self) -> tuple[bytes, bool]:
        pair = await self._stream.readchunk()
        if pair == (b"", False):
            raise StopAsyncIteration
        return pair


class StreamReader(StreamBuffer):
    """Content of one message, decoded, in the order it came.

    One task reads at a time: a second one that would have to wait gets a
    `RuntimeError`. Every reading method raises the stream's `exception`
    first, if one is set; and a cancelled one loses no bytes.

    Args:
        protocol: What to pause above the high mark and to resume below the low one.
        limit: The low mark in bytes; the high mark is twice that.
        timer: A context manager entered around every wait.
        loop: The loop to wait on; the running one by default.
    """

    __slots__ = ("__weakref__",)

    async def read(self, n: int = -1) -> bytes:
        """Return up to *n* bytes, waiting for the first of them if need be.

        Args:
            n: Size in bytes; a negative one (the default) reads to the end of the content,
                however much that is; 0 returns at once.

        Returns:
            ``b""`` at the end of the content (or for 0).
        """
        if self._exception is not None:
            raise self._exception
        if n < 0:
            while not self._eof:
                await self._wait("read", _EVERYTHING)
            return self._take(-1)
        if not n:
            return b""
        while not self._size and not self._eof:
            await self._wait("read", 1)
        return self._take(n)

    async def readany(self) -> bytes:
        """Return everything that is here, waiting only if nothing is; ``b""`` at the end."""
        if self._exception is not None:
            raise self._exception
        while not self._size and not self._eof:
            await self._wait("readany", 1)
        return self._take(-1)

    async def readexactly(self, n: int) -> bytes:
        """Return exactly *n* bytes of content, waiting for them if needed.

        Args:
            n: Size in bytes, after content decoding; 0 returns at once.

        Raises:
            asyncio.IncompleteReadError: The content ended first; ``partial`` has the rest,
                which counts as read.
            ValueError: *n* is negative.
        """
        if self._exception is not None:
            raise self._exception
        if n < 0:
            raise ValueError("readexactly size can not be less than zero")
        while self._size < n:
            if self._eof:
                raise asyncio.IncompleteReadError(self._take(-1), n)
            await self._wait("readexactly", n)
        return self._take(n) if n else b""

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """Return the next line with its ``\\n``; what is left at the end of the content.

        Args:
            max_line_length: Bytes a line may have; the high mark by default.

        Raises:
            LineTooLong: The line is longer. Nothing was taken.
        """
        return await self.readuntil(b"\n", max_size=max_line_length)

    async def readuntil(self, separator: bytes = b"\n", *, max_size: int | None = None) -> bytes:
        """Return content up to and including *separator*; what is left at the end.

        Args:
            separator: At least one byte.
            max_size: Bytes the result may have; the high mark by default.

        Raises:
            LineTooLong: There is no separator within that. Nothing was taken.
            ValueError: *separator* is empty.
        """
        width = len(separator)
        if not width:
            raise ValueError("Separator should be at least one-byte string")
        if self._exception is not None:
            raise self._exception
        limit = self._high if max_size is None else max_size
        searched = 0
        while True:
            found = self._find(separator, searched, limit)
            if found >= 0:
                return self._take(found)
            if self._size > limit:
                raise LineTooLong(self._peek(limit), limit, code=400)
            if self._eof:
                return self._take(-1)
            searched = max(0, self._size - width + 1)
            await self._wait("readuntil", self._size + 1)

    async def readchunk(self) -> tuple[bytes, bool]:
        """Return data and whether an HTTP chunk (RFC 9112 section 7.1) ends with it.

        Chunks that came in parts come in parts. ``(b"", False)`` is the end.
        """
        while True:
            if self._exception is not None:
                raise self._exception
            splits = self._splits
            while splits:
                position = splits.popleft()
                if position == self._cursor:
                    return b"", True
                if position > self._cursor:
                    return self._take(position - self._cursor), True
            if self._size:
                assert self._chunks is not None
                return self._take(len(self._chunks[0]) - self._offset), False
            if self._eof:
                return b"", False
            await self._wait("readchunk", 1)

    def read_nowait(self, n: int = -1) -> bytes:
        """Return up to *n* bytes of what is here; everything by default.

        Raises:
            RuntimeError: Somebody waits for data in another method.
        """
        if self._exception is not None:
            raise self._exception
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError("read_nowait() called while a coroutine is waiting for data")
        return self._take(n) if n else b""

    def peek_nowait(self, n: int) -> bytes:
        """Return the first *n* bytes of what is here, or all of it; they stay to be read."""
        if self._exception is not None:
            raise self._exception
        found = bytearray()
        offset = self._offset
        for block in self._chunks or ():
            found += memoryview(block)[offset : offset + n - len(found)]
            offset = 0
            if len(found) >= n:
                break
        return bytes(found)

    async def wait_eof(self) -> None:
        """Wait until the content has come to its end, without reading it."""
        if self._exception is not None:
            raise self._exception
        if self._eof:
            return
        if self._eof_waiter is not None:
            raise RuntimeError("wait_eof() called while another coroutine waits in it")
        self._ask()
        loop = self._loop or asyncio.get_running_loop()
        waiter = self._eof_waiter = loop.create_future()
        try:
            await waiter
        finally:
            self._eof_waiter = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over lines, each with its ``\\n``."""
        return AsyncStreamIterator(self.readline)

    def iter_chunked(self, n: int) -> AsyncStreamIterator:
        """Iterate over blocks of at most *n* bytes."""
        return AsyncStreamIterator(lambda: self.read(n))

    def iter_any(self) -> AsyncStreamIterator:
        """Iterate over data as it comes."""
        return AsyncStreamIterator(self.readany)

    def iter_chunks(self) -> ChunkTupleAsyncStreamIterator:
        """Iterate over what `readchunk` returns."""
        return ChunkTupleAsyncStreamIterator(self)

    # --------------------------------------------------------------- inside

    def _ask(self) -> None:
        callback = self._on_demand
        if callback is not None:
            self._on_demand = None
            callback()

    async def _wait(self, caller: str, need: int) -> None:
        if self._waiter is not None:
            raise RuntimeError(
                f"{caller}() called while another coroutine is already waiting for incoming data"
            )
        waiter = self._waiter = (self._loop or asyncio.get_running_loop()).create_future()
        self._need = need
        try:
            self._ask()
            if self._paused:
                # More is wanted than the marks allow to hold.
                self._paused = False
                self._protocol.resume_reading()
            if self._timer is None:
                await waiter
            else:
                with self._timer:
                    await waiter
        finally:
            self._waiter = None
            self._need = 0
            if self._size > self._high and not self._paused and not self._eof:
                self._paused = True
                self._protocol.pause_reading()
        if self._exception is not None:
            raise self._exception


@final
class _NoProtocol:
    __slots__ = ()

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@final
class EmptyStreamReader(StreamReader):
    """Content that is none: at its end from the start. One object serves everybody."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_NoProtocol(), 2**16)
        self._eof = True

    def feed_data(self, data: Byteish, size: int = 0) -> None:
        """Do nothing."""

    def feed_eof(self) -> None:
        """Do nothing."""

    def set_exception(
        self, exc: type[BaseException] | BaseException, exc_cause: BaseException | None = None
    ) -> None:
        """Do nothing: this object is shared."""

    def translate_errors(self, translate: Callable[[BaseException], BaseException]) -> None:
        """Do nothing: nothing goes wrong here, and this object is shared."""

    def set_read_chunk_size(self, n: int) -> None:
        """Do nothing: this object is shared."""

    def on_demand(self, callback: Callable[[], None] | None) -> None:
        """Do nothing: nobody ever waits here."""

    def begin_http_chunk_receiving(self) -> None:
        """Do nothing: this object is shared."""

    def end_http_chunk_receiving(self) -> None:
        """Do nothing: this object is shared."""

    def _put_back(self, data: Byteish) -> None:
        # It would appear in other messages.
        if data:
            raise RuntimeError("unread_data() on empty content: nothing was read from it")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


EMPTY_PAYLOAD: Final[StreamReader] = EmptyStreamReader()
"""The content of every message that has none."""
