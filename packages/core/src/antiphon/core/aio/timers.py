"""Time limits without a timer per connection.

Idle times are found by looking: one `Sweep` per server or connector calls
back once a period, as long as somebody asks it to. A limit is then noticed up
to two periods late, which is why the period follows the shortest limit.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Final, final

__all__ = ("Sweep", "deadline_after", "earliest", "sweep_period")

_LONGEST: Final = 1.0
_SHORTEST: Final = 0.01


def sweep_period(limits: Iterable[float | None]) -> float:
    """Seconds between two looks, given the limits to be kept: a quarter of the shortest one,
    between 10 ms and 1 s."""
    shortest = min((limit for limit in limits if limit is not None), default=math.inf)
    return min(_LONGEST, max(_SHORTEST, shortest / 4))


def deadline_after(now: float, timeout: float | None) -> float | None:
    """The absolute loop time *timeout* seconds after *now*; ``None`` for ever."""
    return None if timeout is None else now + timeout


def earliest(*deadlines: float | None) -> float | None:
    """The first of *deadlines*; ``None`` if none is set."""
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


@final
class Sweep:
    """Calls *look* with the loop's time, every *period* seconds while it returns true.

    Args:
        look: What to call. It returns whether there is still something to look after.
        period: Seconds between two calls.
    """

    __slots__ = ("_handle", "_look", "_loop", "period")

    def __init__(self, look: Callable[[float], bool], period: float) -> None:
        self.period = period
        self._look = look
        self._handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def armed(self) -> bool:
        """Whether a look is due."""
        return self._handle is not None

    def arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look, if that has not begun."""
        if self._handle is None:
            self._loop = loop
            self._handle = loop.call_later(self.period, self._run)

    def cancel(self) -> None:
        """Stop looking."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        self._handle = None
        again = True
        try:
            again = self._look(loop.time())
        finally:
            # An error in one look is the loop's to report, and no reason to stop looking.
            if again:
                self.arm(loop)
