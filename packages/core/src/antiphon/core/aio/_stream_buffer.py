"""Content on its way through a stream: what is fed, what is held, what is taken.

`StreamBuffer` is the half of a `StreamReader` that its protocol feeds and that
never waits; the half that a task reads with is in `streams`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from ..deprecations import deprecated, warn_deprecated
from ..errors import LocalProtocolError
from ..typedefs import Byteish
from .queues import Pausable

__all__ = ("StreamBuffer",)

_logger: Final = logging.getLogger("antiphon.core")

# Chunks up to _SMALL bytes are gathered in blocks of up to _BLOCK bytes: a peer that sends
# one byte at a time would otherwise make each byte cost some 50 bytes of memory.
_SMALL: Final = 512
_BLOCK: Final = 8192


class StreamBuffer:
    """Content that came and was not taken; pauses what feeds it above the high mark.

    Args:
        protocol: What to pause above the high mark and to resume below the low one.
        limit: The low mark in bytes; the high mark is twice that.
        timer: A context manager entered around every wait.
        loop: The loop to wait on; the running one by default.
    """

    __slots__ = (
        "_chunks",
        "_compressed",
        "_cursor",
        "_eof",
        "_eof_callbacks",
        "_eof_waiter",
        "_exception",
        "_high",
        "_loop",
        "_low",
        "_need",
        "_offset",
        "_on_demand",
        "_paused",
        "_protocol",
        "_size",
        "_splits",
        "_timer",
        "_total",
        "_translate",
        "_waiter",
    )

    def __init__(
        self,
        protocol: Pausable,
        limit: int,
        *,
        timer: AbstractContextManager[Any] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._protocol = protocol
        self._low = limit
        self._high = limit * 2
        self._loop = loop
        self._timer = timer
        # Blocks not taken yet; bytes already taken of the first of them; bytes in all.
        self._chunks: deque[bytes | bytearray] | None = None
        self._offset = 0
        self._size = 0
        # Bytes ever fed, ever taken, ever received before content decoding.
        self._total = 0
        self._cursor = 0
        self._compressed: int | None = None
        # Ends of HTTP chunks not read past yet, counted in bytes from the beginning.
        self._splits: deque[int] | None = None
        self._eof = False
        self._exception: BaseException | None = None
        self._translate: Callable[[BaseException], BaseException] | None = None
        # The one reader that waits, and the size that is worth waking it for.
        self._waiter: asyncio.Future[None] | None = None
        self._need = 0
        self._eof_waiter: asyncio.Future[None] | None = None
        self._eof_callbacks: list[Callable[[], None]] | None = None
        self._on_demand: Callable[[], None] | None = None
        self._paused = False

    # ---------------------------------------------------------------- facts

    @property
    def total_bytes(self) -> int:
        """Bytes of content that came so far, after content decoding."""
        return self._total

    @property
    def total_compressed_bytes(self) -> int | None:
        """Bytes that came so far, before content decoding; ``None`` if there is no decoding."""
        return self._compressed

    @total_compressed_bytes.setter
    def total_compressed_bytes(self, value: int | None) -> None:
        self._compressed = value

    @property
    def total_raw_bytes(self) -> int:
        """Bytes of content that came so far, before content decoding."""
        return self._total if self._compressed is None else self._compressed

    @property
    def waiting(self) -> bool:
        """Whether a task waits for content right now."""
        return self._waiter is not None or self._eof_waiter is not None

    @property
    def paused(self) -> bool:
        """Whether this stream holds back what feeds it."""
        return self._paused

    @property
    def buffered(self) -> int:
        """Bytes that can be read without waiting."""
        return self._size

    def get_read_buffer_limits(self) -> tuple[int, int]:
        """The low and the high mark, in bytes."""
        return self._low, self._high

    def set_read_chunk_size(self, n: int) -> None:
        """Make *n* bytes the low mark, and twice that the high one."""
        if n <= 0:
            raise ValueError(f"read chunk size must be positive, not {n!r}")
        self._low = n
        self._high = n * 2

    def exception(self) -> BaseException | None:
        """What every read raises, if the content broke."""
        return self._exception

    def is_eof(self) -> bool:
        """Whether the content has come to its end, read or not."""
        return self._eof

    def is_whole(self) -> bool:
        """Whether the content has come to its end, and nothing is wrong with it."""
        return self._eof and self._exception is None

    def at_eof(self) -> bool:
        """Whether the content has come to its end and all of it was read."""
        return self._eof and not self._size

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._size:
            info.append(f"{self._size} bytes")
        if self._eof:
            info.append("eof")
        info.append(f"low={self._low} high={self._high}")
        if self._waiter is not None:
            info.append("w=waiting")
        if self._exception is not None:
            info.append(f"e={self._exception!r}")
        return f"<{' '.join(info)}>"

    # -------------------------------------------------------------- feeding

    def feed_data(self, data: Byteish, size: int = 0) -> None:
        """Append *data*; *size* is ignored, it is there for old callers.

        Raises:
            LocalProtocolError: The end was fed already.
        """
        if self._eof:
            raise LocalProtocolError("feed_data() after feed_eof()")
        if type(data) is not bytes:
            data = bytes(data)
        count = len(data)
        if not count:
            return
        chunks = self._chunks
        if chunks is None:
            self._chunks = deque((data,))
        elif count <= _SMALL and chunks:
            last = chunks[-1]
            if len(last) > _BLOCK:
                chunks.append(data)
            elif type(last) is bytearray:
                last += data
            else:
                chunks.append(bytearray(data))
        else:
            chunks.append(data)
        self._total += count
        held = self._size = self._size + count
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if held < self._need:
                return  # somebody wants more than this in one piece: no reason to pause
            waiter.set_result(None)
        if held > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_reading()

    def feed_whole(self, data: bytes) -> None:
        """Feed *data* as all the content there is, with its end, to a stream fresh from its making.

        Never pauses what feeds it: nothing more will come.
        """
        self._eof = True
        count = len(data)
        if count:
            self._chunks = deque((data,))
            self._total = self._size = count

    def feed_chunks(self, data: bytes, ends: Sequence[int]) -> None:
        """Append *data* in which HTTP chunks end at the offsets *ends*, for `readchunk`."""
        start = self._total
        self.feed_data(data)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            return  # they end inside what somebody waits to read as a whole
        splits = self._splits
        if splits is None:
            splits = self._splits = deque()
        splits.extend([start + end for end in ends])
        # An end costs as much memory as some bytes: count them against the mark too.
        if len(splits) > self._high >> 3 and not self._paused:
            self._paused = True
            self._protocol.pause_reading()

    def feed_eof(self) -> None:
        """Mark the end of the content, wake the reader, call the `on_eof` callbacks."""
        if self._eof:
            return
        self._eof = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        waiter = self._eof_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self._paused:
            # Nothing more will come through here, so this stream holds nobody back.
            self._paused = False
            self._protocol.resume_reading()
        self._run_eof_callbacks()

    def set_exception(
        self, exc: type[BaseException] | BaseException, exc_cause: BaseException | None = None
    ) -> None:
        """Let every read from now on raise *exc*, caused by *exc_cause*."""
        if isinstance(exc, type):
            exc = exc()
        if exc_cause is not None:
            exc.__cause__ = exc_cause
        if self._translate is not None:
            exc = self._translate(exc)
        self._exception = exc
        self._eof_callbacks = None
        for waiter in (self._waiter, self._eof_waiter):
            if waiter is not None and not waiter.done():
                waiter.set_exception(exc)

    def translate_errors(self, translate: Callable[[BaseException], BaseException]) -> None:
        """Raise what *translate* makes of an exception, also of one that is set already.

        For layers above whose users know other exceptions than those of the wire.
        """
        self._translate = translate
        if self._exception is not None:
            self._exception = translate(self._exception)

    @deprecated("Keep what was read too much where it was read (ANT-0027)")
    def unread_data(self, data: Byteish) -> None:
        """Put *data* back, to be what is read next. Obsolete (ANT-0027)."""
        warn_deprecated("ANT-0027")
        self._put_back(data)

    def _put_back(self, data: Byteish) -> None:
        if not data:
            return
        chunks = self._chunks
        if chunks is None:
            chunks = self._chunks = deque()
        if self._offset:
            chunks[0] = chunks[0][self._offset :]
            self._offset = 0
        chunks.appendleft(bytes(data))
        self._size += len(data)
        self._cursor -= len(data)
        waiter = self._waiter
        if waiter is not None and not waiter.done() and self._size >= self._need:
            waiter.set_result(None)

    def on_eof(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the content ends; now, if it has ended."""
        if self._eof:
            _call(callback)
        elif self._eof_callbacks is None:
            self._eof_callbacks = [callback]
        else:
            self._eof_callbacks.append(callback)

    def on_demand(self, callback: Callable[[], None] | None) -> None:
        """Call *callback* once, when a reader has to wait for the first time from now."""
        self._on_demand = callback

    def begin_http_chunk_receiving(self) -> None:
        """The data fed from now on is an HTTP chunk's.

        Raises:
            RuntimeError: Data that belonged to no chunk was fed before.
        """
        if self._splits is None:
            if self._total:
                raise RuntimeError(
                    "begin_http_chunk_receiving() called when data was already fed outside a chunk"
                )
            self._splits = deque()

    def end_http_chunk_receiving(self) -> None:
        """The HTTP chunk begun last is complete.

        Raises:
            RuntimeError: No chunk was begun.
        """
        splits = self._splits
        if splits is None:
            raise RuntimeError(
                "end_http_chunk_receiving() called without begin_http_chunk_receiving() first"
            )
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            return  # it ends inside what somebody waits to read as a whole
        position = self._total
        if position > (splits[-1] if splits else 0):
            splits.append(position)

    # --------------------------------------------------------------- taking

    def _find(self, separator: bytes, searched: int, limit: int) -> int:
        """Size of what ends with the first *separator* at or after *searched*, or -1.

        -1 too if that is longer than *limit*.
        """
        chunks = self._chunks
        if not chunks:
            return -1
        first = chunks[0]
        offset = self._offset
        found = first.find(separator, offset + searched)
        if found < 0 and len(chunks) > 1:
            # Make one block of what is scanned: it is wanted as one anyway, and it is
            # bounded by the limit and the marks. Each byte is copied a few times at most,
            # because the block then is larger than what comes after it.
            first = self._merge(min(self._size, limit + len(separator)))
            offset = 0
            found = first.find(separator, searched)
        if found < 0:
            return -1
        size = found + len(separator) - offset
        return size if size <= limit else -1

    def _merge(self, size: int) -> bytes | bytearray:
        """Make the first block hold *size* bytes at least, and no offset."""
        chunks = self._chunks
        assert chunks
        if self._offset:
            chunks[0] = chunks[0][self._offset :]
            self._offset = 0
        first = chunks.popleft()
        if len(first) < size:
            # A bytearray grows in amortised constant time, also over many calls.
            block = first if type(first) is bytearray else bytearray(first)
            while chunks and len(block) < size:
                block += chunks.popleft()
            first = block
        chunks.appendleft(first)
        return first

    def _peek(self, n: int) -> bytes:
        """The first up to *n* bytes (at most 200), not taken."""
        assert self._chunks is not None
        return bytes(self._chunks[0][self._offset : self._offset + min(n, 200)])

    def _take(self, n: int) -> bytes:
        """Remove and return up to *n* bytes, all for a negative *n*; never waits."""
        held = self._size
        if not held:
            return b""
        chunks = self._chunks
        assert chunks is not None
        offset = self._offset
        first = chunks[0]
        if n < 0 or n >= held:
            n = held
            if len(chunks) == 1:
                data = bytes(first[offset:] if offset else first)
            else:
                if offset:
                    chunks[0] = first[offset:]
                data = b"".join(chunks)
            chunks.clear()
            self._offset = 0
        elif n < len(first) - offset:
            self._offset = offset + n
            data = bytes(first[offset : offset + n])
        else:
            data = self._gather(n)
        self._cursor += n
        self._size = held = held - n
        if self._splits:
            self._forget_splits()
        if self._paused and held < self._low:
            self._paused = False
            self._protocol.resume_reading()
        return data

    def _gather(self, n: int) -> bytes:
        """Remove *n* bytes that reach to the end of the first block at least."""
        chunks = self._chunks
        assert chunks is not None
        first = chunks.popleft()
        parts = [first[self._offset :] if self._offset else first]
        n -= len(parts[0])
        self._offset = 0
        while n:
            if len(chunks[0]) > n:
                parts.append(chunks[0][:n])
                self._offset = n
                break
            first = chunks.popleft()
            n -= len(first)
            parts.append(first)
        return b"".join(parts)

    def _forget_splits(self) -> None:
        splits = self._splits
        while splits and splits[0] < self._cursor:
            splits.popleft()

    def _run_eof_callbacks(self) -> None:
        callbacks = self._eof_callbacks
        if callbacks is not None:
            self._eof_callbacks = None
            for callback in callbacks:
                _call(callback)


def _call(callback: Callable[[], None]) -> None:
    # Whoever feeds the stream must not suffer from whoever watches it.
    try:
        callback()
    except Exception:
        _logger.exception("Exception in an on_eof callback of a stream")
