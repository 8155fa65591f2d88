"""A clock in hand: an event loop whose time jumps to the next timer when nothing else is ready.

A heartbeat of 30 seconds, a retry after a minute or a keep-alive of an hour are tested without
waiting. In tests with pytest, the fixture ``antiphon_clock`` is all that is needed.

Only the loop's time is virtual (``loop.time()``, timers, `asyncio.sleep`, `asyncio.timeout`),
not that of the `time` module. Threads that the loop waits for (``run_in_executor``) hold the
clock. Bytes between sockets take real time, of which the clock knows nothing: it gives open
sockets a moment before it jumps. In memory (``transport="memory"``) there is nothing to guess.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from ._stacks import describe_tasks

__all__ = ("DeadlockError", "VirtualClock", "VirtualClockLoop")

SOCKET_MOMENT: Final = 0.005
"""Real seconds that open sockets are given to become ready before the clock jumps."""

SOCKET_PATIENCE: Final = 1.0
"""Real seconds without any timer or ready socket, while sockets are open, that are a deadlock."""


class DeadlockError(RuntimeError):
    """Nothing will ever happen: no timer, no byte under way, no thread; only tasks that wait.

    The text says what each of them waits for.
    """


@final
class VirtualClock:
    """The time of one loop, in seconds."""

    def __init__(self) -> None:
        self.autojump = True
        """Whether time jumps by itself; otherwise only `advance` moves it."""
        self._now = 0.0
        self._jumps = 0

    def time(self) -> float:
        """What ``loop.time()`` returns."""
        return self._now

    @property
    def jumps(self) -> int:
        """How often time jumped."""
        return self._jumps

    def _move(self, seconds: float) -> None:
        self._now += seconds
        self._jumps += 1

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass, timer by timer; what becomes due in them runs first.

        Raises:
            ValueError: *seconds* is negative.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualClockLoop)
        until = self._now + seconds
        await loop.settle()
        while (when := loop.next_timer()) is not None and when <= until:
            if when > self._now:
                self._now = when
                self._jumps += 1
            await loop.settle()
        self._now = until
        await loop.settle()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._now:.3f} s, {self._jumps} jumps>"


class _Selector(selectors.BaseSelector):
    """Asks the real selector, and moves the clock where that one would sleep."""

    def __init__(self, clock: VirtualClock) -> None:
        self._real = selectors.DefaultSelector()
        self._clock = clock
        self.threads = 0
        self.own_files = 0
        self.report: Callable[[], str] = str
        self._silent_since: float | None = None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.threads and timeout != 0:
            # A thread works in real time; only it, or a timer long overdue, can wake us up.
            return self._real.select(None)
        sockets = len(self._real.get_map()) > self.own_files
        ready = self._real.select(SOCKET_MOMENT if sockets and timeout != 0 else 0)
        if ready or timeout == 0:
            self._silent_since = None
            return ready
        if timeout is not None and self._clock.autojump:
            self._silent_since = None
            self._clock._move(timeout)
            return ready
        if sockets and self._still_patient():
            return ready
        raise DeadlockError(self.report())

    def _still_patient(self) -> bool:
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        return now - self._silent_since < SOCKET_PATIENCE


@final
class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop with a `VirtualClock`, which begins at 0.

    Running into a state where nothing can ever happen raises `DeadlockError`.

    Args:
        clock: The clock, where the caller wants its own.
    """

    def __init__(self, clock: VirtualClock | None = None) -> None:
        self.clock: Final = clock or VirtualClock()
        """The clock."""
        self._own_selector = _Selector(self.clock)
        super().__init__(self._own_selector)
        self._own_selector.own_files = len(self._own_selector.get_map())
        self._own_selector.report = self._report

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self.clock._now

    def _report(self) -> str:
        tasks = describe_tasks(asyncio.all_tasks(self))
        held = "" if self.clock.autojump else " (autojump is off, so timers do not count)"
        return f"deadlock at {self.clock._now:.3f} s: nothing is left to happen{held}\n\n{tasks}"

    def run_in_executor(  # type: ignore[override]  # typeshed's variadic generic says no more
        self, executor: Any, func: Any, *args: Any
    ) -> "asyncio.Future[Any]":
        """Run in a thread; the clock stands still meanwhile."""
        future = super().run_in_executor(executor, func, *args)
        self._own_selector.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads of `run_in_executor`, in real time; *timeout* is not used."""
        self._own_selector.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._own_selector.threads -= 1

    def _thread_ended(self, future: "asyncio.Future[Any]") -> None:
        self._own_selector.threads -= 1

    def next_timer(self) -> float | None:
        """When the next timer is due; ``None`` if there is none."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # asyncio tells nobody
        return min((timer.when() for timer in scheduled if not timer.cancelled()), default=None)

    async def settle(self) -> None:
        """Let everything that is ready run until nothing is, without moving the clock."""
        ready: Any = self._ready  # type: ignore[attr-defined]  # asyncio tells nobody
        quiet = 0
        while quiet < 2:
            await asyncio.sleep(0)
            quiet = 0 if ready else quiet + 1
