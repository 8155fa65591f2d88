"""Frames on their way out: in the order of the calls, also when threads compress some of them."""

import asyncio
from abc import ABC
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, final

from ..typedefs import Byteish
from ..websocket.connection import WebSocketConnection
from ..websocket.frames import FIN
from .exchange import ByteChannel

__all__ = ("SENT", "FailedSend", "Outbox", "Sending")

_THREAD_FROM: Final = 32 * 1024
"""Bytes from which compressing a message would hold up the loop longer than a thread costs."""


class Sending(Coroutine[Any, Any, None], ABC):
    """What a send returns: awaiting it, once, waits until there is room for more.

    Not a coroutine of the language, which would warn if nobody awaited it; yet one as far as
    `asyncio.create_task` cares.
    """

    __slots__ = ()


@final
class _Sent(Sending):
    """What there is to await after a send that nothing holds up: nothing."""

    __slots__ = ()

    # Written in C, and called for every message that is sent.
    __await__ = staticmethod(().__iter__)  # type: ignore[assignment]  # an iterator that ends at once

    def send(self, value: Any) -> Any:
        raise StopIteration

    def throw(self, *args: Any) -> Any:
        raise args[0]

    def close(self) -> None:
        pass


SENT: Final[Sending] = _Sent()


@final
class FailedSend(Sending):
    """A send that could not be: whoever awaits it is told, whoever does not is not disturbed.

    ``asyncio.gather(*(ws.send_str(text) for ws in sockets), return_exceptions=True)`` must reach
    every socket, the ones behind a closed one too.
    """

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __await__(self) -> Generator[Any, Any, None]:
        raise self._error

    def send(self, value: Any) -> Any:
        raise self._error

    def throw(self, *args: Any) -> Any:
        raise args[0]

    def close(self) -> None:
        pass


@final
class _Waiting(Sending):
    """What there is to await after a send that has not left yet."""

    __slots__ = ("_begun", "_wait")

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._wait = wait
        self._begun: Coroutine[Any, Any, None] | None = None

    def _begin(self) -> Coroutine[Any, Any, None]:
        if self._begun is None:
            self._begun = self._wait()
        return self._begun

    def __await__(self) -> Generator[Any, Any, None]:
        return self._begin().__await__()

    def send(self, value: Any) -> Any:
        return self._begin().send(value)

    def throw(self, *args: Any) -> Any:
        return self._begin().throw(*args)

    def close(self) -> None:
        if self._begun is not None:
            self._begun.close()


@final
class _Message:
    """A message, or a piece of one, that is still to be compressed."""

    __slots__ = ("first", "level", "payload")

    def __init__(self, first: int, payload: bytes, level: int | None) -> None:
        self.first = first
        self.payload = payload
        self.level = level


@final
class Outbox:
    """Hands frames to a channel; only while a thread compresses does anything wait here.

    Args:
        channel: Where frames leave.
        connection: What makes them.
        failed: Called with an error of the compressor; the connection cannot go on then.
        thread_from: Bytes of a message from which a thread compresses it.
    """

    __slots__ = (
        "_channel",
        "_connection",
        "_failed",
        "_jobs",
        "_loop",
        "_thread_from",
        "working",
    )

    def __init__(
        self,
        channel: ByteChannel,
        connection: WebSocketConnection,
        failed: Callable[[BaseException], None],
        *,
        thread_from: int = _THREAD_FROM,
    ) -> None:
        self._channel = channel
        self._connection = connection
        self._failed = failed
        self._thread_from = thread_from
        self._loop = asyncio.get_running_loop()
        # Behind the message that a thread compresses: frames, messages, and whoever waits for
        # all that was put before.
        self._jobs: deque[bytes | _Message | asyncio.Future[None] | Callable[[], None]] = deque()
        self.working: asyncio.Future[bytes] | None = None
        """What a thread compresses; frames wait for it. ``None`` for nothing."""

    def put(self, frame: bytes) -> Sending:
        """Send *frame* after all that was put before."""
        if self.working is None:
            self._channel.write(frame)
            if not self._channel.write_paused:
                return SENT
        else:
            self._jobs.append(frame)
        return self.waiting()

    def waiting(self) -> Sending:
        """Return what to await until everything put so far has left for the most part."""
        return _Waiting(self.drain)

    def put_message(self, first: int, payload: Byteish, level: int | None) -> Sending:
        """Compress a message, or a piece of one, and send it after all that was put before.

        Args:
            first: FIN, where this ends the message, and the opcode.
            payload: The message or piece.
            level: Compression level of this message; ``None`` for the connection's own.
        """
        if self.working is None:
            if len(payload) < self._thread_from:
                return self.put(self._frame(first, payload, level))
            failed = self._work(_Message(first, bytes(payload), level))
            if failed is not None:
                return FailedSend(failed)
        else:
            # bytes: by the time its turn comes the caller may have changed what can be changed.
            self._jobs.append(_Message(first, bytes(payload), level))
        return _Waiting(self.drain)

    async def drain(self) -> None:
        """Wait until everything put so far has left for the most part.

        Raises:
            ConnectionError: The connection is lost.
        """
        if self.working is not None:
            waiter = self._loop.create_future()
            self._jobs.append(waiter)
            await waiter
        await self._channel.drain()

    def then(self, call: Callable[[], None]) -> None:
        """Call *call* as soon as everything put so far was handed over."""
        if self.working is None:
            call()
        else:
            self._jobs.append(call)

    def _frame(self, first: int, payload: Byteish, level: int | None) -> bytes:
        connection = self._connection
        deflated = connection.deflate(payload, final=first >= FIN, level=level)
        return connection.deflated_frame(first, deflated)

    def _work(self, message: _Message) -> ConnectionError | None:
        """Have a thread compress *message*; return the error of a connection that cannot go on."""
        # Nothing else is compressed meanwhile: later messages wait in `_jobs`.
        deflate, payload, level = self._connection.deflate, message.payload, message.level
        first = message.first
        try:
            self.working = self._loop.run_in_executor(
                None, lambda: deflate(payload, final=first >= FIN, level=level)
            )
        except RuntimeError as exc:
            # The executor was shut down, or there is no thread to be had.
            return self._give_up(exc)
        self.working.add_done_callback(lambda done: self._worked(first, done))
        return None

    def _give_up(self, cause: BaseException) -> ConnectionError:
        """End the connection for want of a message: what follows refers to it. Whoever waits for
        what was put is told."""
        error = ConnectionAbortedError(f"A message could not be compressed: {cause}")
        error.__cause__ = cause
        jobs, self._jobs = self._jobs, deque()
        self._failed(error)
        for job in jobs:
            if isinstance(job, asyncio.Future):
                if not job.done():
                    job.set_exception(error)
            elif not isinstance(job, bytes | _Message):
                job()
        return error

    def _worked(self, first: int, done: "asyncio.Future[bytes]") -> None:
        self.working = None
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or error is not None:
            self._give_up(error or ConnectionAbortedError("its thread was cancelled"))
            return
        self._channel.write(self._connection.deflated_frame(first, done.result()))
        jobs = self._jobs
        while jobs:
            job = jobs.popleft()
            if isinstance(job, bytes):
                self._channel.write(job)
            elif not isinstance(job, _Message):
                _call(job)
            elif len(job.payload) < self._thread_from:
                self._channel.write(self._frame(job.first, job.payload, job.level))
            else:
                self._work(job)
                return


def _call(job: "asyncio.Future[None] | Callable[[], None]") -> None:
    if not isinstance(job, asyncio.Future):
        job()
    elif not job.done():
        job.set_result(None)
