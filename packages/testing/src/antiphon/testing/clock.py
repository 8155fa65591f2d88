"""A clock in hand: an event loop whose time jumps to the next timer when nothing else is ready.

A heartbeat of 30 seconds, a retry after a minute or a keep-alive of an hour are tested without
waiting. In tests with pytest, the fixture ``antiphon_clock`` is all that is needed.

Only the loop's time is virtual (``loop.time()``, timers, `asyncio.sleep`, `asyncio.timeout`),
not that of the `time` module. Threads that the loop waits for (``run_in_executor``) hold the
clock. Bytes between sockets take real time, of which the clock knows nothing: it gives open
sockets a moment before it jumps. In memory (``transport="memory"``) there is nothing to guess.
"""

import asyncio
import math
import selectors
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from antiphon.core.aio.timers import Sweep

from ._stacks import describe_tasks

__all__ = ("DeadlockError", "VirtualClock", "VirtualClockLoop")

SOCKET_MOMENT: Final = 0.005
"""Real seconds that open sockets are given to become ready before the clock jumps."""

SOCKET_PATIENCE: Final = 1.0
"""Real seconds without any timer or ready socket, while sockets are open, that are a deadlock."""

SILENCE: Final = 24 * 3600.0
"""Virtual seconds in which timers fire, but no task gets any further, that are a deadlock."""

SILENT_JUMPS: Final = 500
"""So many jumps it must be at least: a few timers hours apart are what a test may wait for."""

HASTE: Final = 0.001
"""How late housekeeping may come, as a share of the time in which no task got any further."""

SOCKET_HASTE: Final = 0.01
"""The same while sockets are open, where each jump costs real time."""

SHORT_MOMENT: Final = 0.001
"""What is left of `SOCKET_MOMENT` after `UNHEARD` jumps in which no task got any further."""

UNHEARD: Final = 200


class DeadlockError(RuntimeError):
    """Nothing will ever happen: no timer, no byte under way, no thread; only tasks that wait.

    Timers that only repeat themselves, as those of a server that looks after its connections or
    of a heartbeat, do not count: when they fired for 24 hours of virtual time without any task
    getting any further, that is a deadlock, too.

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
        self.silence: _Silence | None = None
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
        ready = self._real.select(self._moment() if sockets and timeout != 0 else 0)
        if ready or timeout == 0:
            self._silent_since = None
            return ready
        if timeout is not None and self._clock.autojump:
            self._silent_since = None
            if self.silence is not None:
                timeout = self.silence.next_jump(timeout, SOCKET_HASTE if sockets else HASTE)
                if timeout is None:
                    raise DeadlockError(self.report())
            self._clock._move(timeout)
            return ready
        if sockets and self._still_patient():
            return ready
        raise DeadlockError(self.report())

    def _moment(self) -> float:
        silent = self.silence is not None and self.silence.jumps > UNHEARD
        return SHORT_MOMENT if silent else SOCKET_MOMENT

    def _still_patient(self) -> bool:
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        return now - self._silent_since < SOCKET_PATIENCE


@final
class _Silence:
    """Notices that time passes and no task gets any further.

    Only sweeps and the like are left to fire then. They are hurried along, by jumps that grow
    with the silence: whatever they watch over is noticed late by a share of it.
    """

    def __init__(self, loop: "VirtualClockLoop") -> None:
        self._loop = loop
        self._since = 0.0
        self._until = 0.0
        self.jumps = 0
        # Weak, so that nothing lives longer under this clock; and not by number alone, as the
        # next future may lie where the last one lay.
        self._waiting: dict[int, tuple[Any, Any]] = {}

    def next_jump(self, timeout: float, haste: float) -> float | None:
        """Return how far to jump where the next timer is due in *timeout* seconds.

        Sweeps may come late by the share *haste* of the silence. ``None`` means that it is no use.
        """
        loop = self._loop
        now = loop.clock._now
        tasks = asyncio.all_tasks(loop)
        if self._has_moved(tasks):
            self._waiting = {id(task): (_weak(task), _weak(_waiter(task))) for task in tasks}
            self.jumps = 0
            self._since = now
            # What was to fire when the silence began may be what everybody waits for.
            self._until = max(now + SILENCE, loop.last_timer())
        self.jumps += 1
        if self.jumps > SILENT_JUMPS and now > self._until:
            return None
        late = (now - self._since) * haste
        return timeout if late <= timeout else max(timeout, min(late, loop.until_no_sweep()))

    def _has_moved(self, tasks: "set[asyncio.Task[Any]]") -> bool:
        if len(tasks) != len(self._waiting):
            return True
        for task in tasks:
            known = self._waiting.get(id(task))
            if known is None or known[0]() is not task or known[1]() is not _waiter(task):
                return True
        return False


def _waiter(task: "asyncio.Task[Any]") -> Any:
    return getattr(task, "_fut_waiter", None)


def _weak(thing: Any) -> Callable[[], Any]:
    return (lambda: None) if thing is None else weakref.ref(thing)


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
        self._own_selector.silence = _Silence(self)

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

    def _timers(self) -> list[asyncio.TimerHandle]:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # asyncio tells nobody
        return [timer for timer in scheduled if not timer.cancelled()]

    def next_timer(self) -> float | None:
        """When the next timer is due; ``None`` if there is none."""
        return min((timer.when() for timer in self._timers()), default=None)

    def last_timer(self) -> float:
        """When the last timer is due; 0 if there is none."""
        return max((timer.when() for timer in self._timers()), default=0.0)

    def until_no_sweep(self) -> float:
        """Seconds until the next timer that is no `Sweep`; infinite if there is none."""
        whens = (timer.when() for timer in self._timers() if not _is_sweep(timer))
        return min(whens, default=math.inf) - self.clock._now

    async def settle(self) -> None:
        """Let everything that is ready run until nothing is, without moving the clock."""
        ready: Any = self._ready  # type: ignore[attr-defined]  # asyncio tells nobody
        quiet = 0
        while quiet < 2:
            await asyncio.sleep(0)
            quiet = 0 if ready else quiet + 1


def _is_sweep(timer: asyncio.TimerHandle) -> bool:
    callback: Any = timer._callback  # type: ignore[attr-defined]  # asyncio tells nobody
    return isinstance(getattr(callback, "__self__", None), Sweep)
