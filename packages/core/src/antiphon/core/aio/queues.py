"""Queues of values from a protocol to one task, with the manners of a stream."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, Protocol, TypeVar, final

__all__ = ("DataQueue", "EofStream", "FlowControlDataQueue", "Pausable")

_T = TypeVar("_T")


class EofStream(Exception):
    """The queue or stream has ended."""


class Pausable(Protocol):
    """What feeds a stream, as far as the stream cares."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class DataQueue(Generic[_T]):
    """A queue of values from a protocol to one task, with an end.

    Args:
        loop: The loop to wait on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._eof = False
        self._waiter: asyncio.Future[None] | None = None
        self._exception: BaseException | None = None
        self._buffer: deque[tuple[_T, int]] = deque()

    def __len__(self) -> int:
        return len(self._buffer)

    def is_eof(self) -> bool:
        """Whether the end was fed."""
        return self._eof

    def at_eof(self) -> bool:
        """Whether the end was fed and everything was read."""
        return self._eof and not self._buffer

    def exception(self) -> BaseException | None:
        """What `read` raises when nothing is left, if it is not `EofStream`."""
        return self._exception

    def set_exception(
        self, exc: type[BaseException] | BaseException, exc_cause: BaseException | None = None
    ) -> None:
        """End the queue with *exc*; values fed before can still be read."""
        if isinstance(exc, type):
            exc = exc()
        if exc_cause is not None:
            exc.__cause__ = exc_cause
        self._exception = exc
        self._eof = True
        self._wake()

    def feed_data(self, data: _T, size: int = 0) -> None:
        """Append *data*, which counts as *size* bytes."""
        self._buffer.append((data, size))
        self._wake()

    def feed_eof(self) -> None:
        """End the queue."""
        self._eof = True
        self._wake()

    async def read(self) -> _T:
        """Return the next value, waiting for it.

        Raises:
            EofStream: The queue has ended.
            RuntimeError: Another task waits already.
        """
        while not self._buffer:
            if self._exception is not None:
                raise self._exception
            if self._eof:
                raise EofStream
            if self._waiter is not None:
                raise RuntimeError("read() called while another coroutine is already waiting")
            waiter = (self._loop or asyncio.get_running_loop()).create_future()
            self._waiter = waiter
            try:
                await waiter
            finally:
                self._waiter = None
        return self._take()

    def __aiter__(self) -> AsyncIterator[_T]:
        """Iterate over values until the queue ends."""
        return _QueueIterator(self.read)

    def _take(self) -> _T:
        return self._buffer.popleft()[0]

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class FlowControlDataQueue(DataQueue[_T]):
    """A `DataQueue` that pauses *protocol* while it holds more than twice *limit* bytes.

    Args:
        protocol: What to pause and resume.
        limit: The low mark, in the sizes given to `feed_data`.
        loop: The loop to wait on.
    """

    def __init__(
        self, protocol: Pausable, limit: int, *, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(loop)
        self._protocol = protocol
        self._limit = limit * 2
        self._size = 0
        self._paused = False

    def feed_data(self, data: _T, size: int = 0) -> None:
        """Append *data*, which counts as *size* bytes."""
        super().feed_data(data, size)
        self._size += size
        if self._size > self._limit and not self._paused:
            self._paused = True
            self._protocol.pause_reading()

    def _take(self) -> _T:
        data, size = self._buffer.popleft()
        self._size -= size
        if self._paused and self._size < self._limit:
            self._paused = False
            self._protocol.resume_reading()
        return data


@final
class _QueueIterator(Generic[_T]):
    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], Awaitable[_T]]) -> None:
        self._read = read

    def __aiter__(self) -> "_QueueIterator[_T]":
        return self

    async def __anext__(self) -> _T:
        try:
            return await self._read()
        except EofStream:
            raise StopAsyncIteration from None
