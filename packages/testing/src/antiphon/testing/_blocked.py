"""What keeps an event loop from turning."""

import asyncio
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Self, final

__all__ = ("BlockedLoopReporter",)


@final
class BlockedLoopReporter:
    """Notes when a running loop does not turn for too long, and what held it up.

    Args:
        loop: The loop to watch; the running one if not given.
        threshold: Seconds that one callback or step of a task may take.

    Use it as ``with``. It watches from a thread.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop | None = None, *, threshold: float = 0.1
    ) -> None:
        self._loop = loop if loop is not None else asyncio.get_running_loop()
        self.threshold = threshold
        """Seconds that one step may take."""
        self.reports: list[str] = []
        """One text per time that the loop was blocked: how long at least, and the stack."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._watched = threading.get_ident()

    def __enter__(self) -> Self:
        self._watched = threading.get_ident()
        self._thread = threading.Thread(
            target=self._watch, name="antiphon blocked-loop reporter", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        loop = self._loop
        while not self._stop.wait(self.threshold / 4):
            if loop.is_closed():
                return
            if not loop.is_running():
                continue
            turned = threading.Event()
            asked = time.monotonic()
            try:
                loop.call_soon_threadsafe(turned.set)
            except RuntimeError:
                return  # closed just now
            if turned.wait(self.threshold) or not loop.is_running():
                continue
            stack = traceback.format_stack(sys._current_frames().get(self._watched))
            while not turned.wait(self.threshold / 4) and loop.is_running():
                if self._stop.is_set():
                    break
            took = time.monotonic() - asked
            self.reports.append(
                f"the event loop did not turn for {took:.3f} s, held up by\n{''.join(stack)}"
            )
