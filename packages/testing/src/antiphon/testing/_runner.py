"""The loop of a test: one task in which its fixtures, itself and their clean-up run.

That they share a task means that they share context variables, and that a fixture may open a
task group, a timeout or any other asynchronous context manager around its ``yield``.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, final

import attrs

from ._stacks import describe_tasks

__all__ = ("LoopRunner", "TestTimeoutError")

_T = TypeVar("_T")

_GRACE: Final = 2.0
"""Seconds that a coroutine has to end after it was cancelled for taking too long."""


class TestTimeoutError(AssertionError):
    """An asynchronous test or fixture took too long; the text has the stack of every task."""

    __test__ = False


@final
@attrs.define
class _Job:
    coroutine: Coroutine[Any, Any, Any]
    is_test: bool
    done: bool = False
    value: Any = None
    error: BaseException | None = None


@final
class LoopRunner:
    """Owns one event loop and the task in which everything given to `run` runs.

    Args:
        factory: Makes the loop.
        debug: Switch the loop's debug mode on.
    """

    def __init__(
        self, factory: Callable[[], asyncio.AbstractEventLoop], *, debug: bool = False
    ) -> None:
        self.loop: Final = factory()
        """The loop."""
        if debug:
            self.loop.set_debug(True)
        self._task: asyncio.Task[None] | None = None
        self._next: asyncio.Future[_Job] | None = None
        self._cancelled_idle = False
        self._errors: list[dict[str, Any]] = []
        self._given_up = False
        self._closing = False
        self.loop.set_exception_handler(self._on_error)

    def take_errors(self) -> list[dict[str, Any]]:
        """Take what was reported to the loop's exception handler so far."""
        errors, self._errors = self._errors, []
        return errors

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._errors.append(context)
        loop.default_exception_handler(context)

    def run(
        self,
        coroutine: Coroutine[Any, Any, _T],
        *,
        timeout: float | None = None,
        is_test: bool = False,
    ) -> _T:
        """Run *coroutine* in the task and return its result, or raise what it raises.

        Args:
            coroutine: What to run.
            timeout: Seconds it may take.
            is_test: Whether it is to be cancelled if the task was cancelled in between, as
                the task group of a fixture does when one of its tasks fails.

        Raises:
            TestTimeoutError: It took too long.
            RuntimeError: This was called from within the loop.
        """
        __tracebackhide__ = True
        if asyncio._get_running_loop() is not None:
            coroutine.close()
            raise RuntimeError(
                "an asynchronous fixture was asked for while the event loop runs "
                "(request.getfixturevalue in async code?): name it as an argument instead"
            )
        if self._given_up:
            coroutine.close()
            raise RuntimeError("the event loop was given up after a test that would not end")
        loop = self.loop
        asyncio.set_event_loop(loop)
        job = _Job(coroutine, is_test)
        if self._task is None:
            self._task = loop.create_task(self._serve(), name="test")
            loop.run_until_complete(asyncio.sleep(0))
        assert self._next is not None
        self._next.set_result(job)
        self._spin(job, timeout)
        if job.error is not None:
            try:
                raise job.error
            finally:
                job.error = None  # else the traceback and the job hold each other
        value: _T = job.value
        return value

    def _spin(self, job: _Job, timeout: float | None) -> None:
        __tracebackhide__ = True
        report: list[str] = []
        timer = None
        begun = time.monotonic()
        task = self._task
        assert task is not None
        if timeout is not None:
            timer = _RealTimer(self.loop, timeout, lambda: self._too_long(job, report))
        try:
            self._until_done(job)
        except BaseException as exc:
            # Out of the loop itself: Ctrl-C, or a virtual clock that found a deadlock.
            task.cancel()
            with contextlib.suppress(BaseException):
                self._until_done(job)
            self._given_up = not job.done
            raise exc
        finally:
            if timer is not None:
                timer.cancel()
        if report:
            raise TestTimeoutError(
                f"took longer than {timeout:g} seconds. What every task was doing:\n\n{report[0]}"
            )
        taken = time.monotonic() - begun
        if timeout is not None and taken > timeout and job.error is None:
            raise TestTimeoutError(
                f"took longer than {timeout:g} seconds, namely {taken:.3f}: it could not be "
                "stopped before, since it held the event loop up (with time.sleep()?)"
            )

    def _until_done(self, job: _Job) -> None:
        __tracebackhide__ = True
        while not job.done:
            if self._given_up:
                return
            self.loop.run_forever()
            if self._task is not None and self._task.done() and not job.done:
                raise RuntimeError("the loop was stopped for good")

    def _too_long(self, job: _Job, report: list[str]) -> None:
        task = self._task
        if job.done or task is None:
            return
        if report:
            self._given_up = True
            report[0] += "\nIt did not end when it was cancelled, either: the loop was given up.\n"
            self.loop.stop()
            return
        report.append(describe_tasks(asyncio.all_tasks(self.loop)))
        task.cancel()
        _RealTimer(self.loop, _GRACE, lambda: self._too_long(job, report))

    async def _serve(self) -> None:
        """Run job after job, all in this task."""
        __tracebackhide__ = True
        task = asyncio.current_task()
        assert task is not None
        while True:
            job = await self._wait()
            if job is None:
                return
            if job.is_test and self._cancelled_idle:
                task.cancel()
            self._cancelled_idle = False
            try:
                job.value = await job.coroutine
            except BaseException as exc:
                job.error = exc
            finally:
                while task.cancelling():
                    task.uncancel()
                job.done = True
                self.loop.stop()
                del job

    async def _wait(self) -> _Job | None:
        self._next = self.loop.create_future()
        while True:
            try:
                return await asyncio.shield(self._next)
            except asyncio.CancelledError:
                if self._closing:
                    return None
                self._cancelled_idle = True

    def left(self) -> "set[asyncio.Task[Any]]":
        """Give what is under way some turns to end; return the tasks that did not."""
        if self._given_up or self.loop.is_closed():
            return set()

        async def turns() -> None:
            for _ in range(50):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())
        return {task for task in asyncio.all_tasks(self.loop) if task is not self._task}

    def close(self) -> None:
        """Cancel what is left, wait for it, and close the loop."""
        loop = self.loop
        if loop.is_closed():
            return
        try:
            self._closing = True
            if not self._given_up:
                left = asyncio.all_tasks(loop)
                for task in left:
                    task.cancel()
                if left:
                    loop.run_until_complete(asyncio.wait(left, timeout=_GRACE))
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


class _RealTimer:
    """Calls back in the loop after real seconds, also where the loop's own time is virtual."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[[], None]
    ) -> None:
        self._handle: asyncio.TimerHandle | threading.Timer
        if hasattr(loop, "clock"):
            # A timer of such a loop would let time jump to it.
            self._handle = threading.Timer(
                seconds, loop.call_soon_threadsafe, args=(self._fire, callback)
            )
            self._handle.daemon = True
            self._handle.start()
        else:
            self._handle = loop.call_later(seconds, self._fire, callback)
        self._cancelled = False

    def _fire(self, callback: Callable[[], None]) -> None:
        if not self._cancelled:
            callback()

    def cancel(self) -> None:
        self._cancelled = True
        self._handle.cancel()
