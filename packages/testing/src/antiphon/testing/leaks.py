"""What a test leaves behind, and what keeps an event loop from turning.

`LeakGuard` knows of sessions, responses, sockets, tasks, threads and temporary files, each with
the line that made it. `BlockedLoopReporter` watches one loop from a thread of its own.
"""

import asyncio
import contextlib
import functools
import os
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Final, Self, final

import attrs

from antiphon.client import ClientResponse, ClientSession

__all__ = ("BlockedLoopReporter", "Leak", "LeakGuard")

_STDLIB: Final = sysconfig.get_paths()["stdlib"]
_OURS: Final = f"{os.sep}antiphon{os.sep}"
_PLACES: Final = ("client", "web", "core", "testing")


@final
@attrs.frozen
class Leak:
    """One thing that was left behind."""

    kind: str
    """``"session"``, ``"response"``, ``"socket"``, ``"task"``, ``"thread"`` or ``"temporary file"``."""
    what: str
    """The thing, as it shows itself."""
    made_at: str
    """Where it was made: the innermost line outside of the libraries."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}\n    made at {self.made_at}"


def place_of_user() -> str:
    """Name the innermost line on the stack that is neither ours nor the standard library's."""
    frame: FrameType | None = sys._getframe(1)
    last = "an unknown place"
    while frame is not None:
        name = frame.f_code.co_filename
        if not _is_library(name):
            return f"{name}:{frame.f_lineno}"
        last = f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return last


def _is_library(filename: str) -> bool:
    if filename.startswith(("<", _STDLIB)):
        return True
    return any(f"{_OURS}{package}{os.sep}" in filename for package in _PLACES)


@final
class LeakGuard:
    """Notes what is made between `start` and `stop`, and says what of it is still there.

    One guard is active at a time. Everything noted is kept alive until `stop`.
    """

    _active: "LeakGuard | None" = None
    _installed = False

    def __init__(self) -> None:
        self._objects: list[tuple[str, Any, str]] = []
        self._tasks: list[Leak] = []
        self._files: list[tuple[str, str]] = []
        self._threads: set[threading.Thread] = set()
        self._thread_places: dict[int, str] = {}

    def start(self) -> None:
        """Begin to note."""
        _install()
        self._threads = set(threading.enumerate())
        LeakGuard._active = self

    def stop(self) -> list[Leak]:
        """Note no more; return what was left behind."""
        LeakGuard._active = None
        leaks = [*self._tasks]
        for kind, thing, place in self._objects:
            if _is_open(kind, thing):
                leaks.append(Leak(kind, repr(thing), place))
        for path, place in self._files:
            if os.path.exists(path):
                leaks.append(Leak("temporary file", path, place))
        for thread in set(threading.enumerate()) - self._threads:
            thread.join(0.2)  # one that is about to end is no leak
            if thread.is_alive():
                place = self._thread_places.get(id(thread), "an unknown place")
                leaks.append(Leak("thread", repr(thread), place))
        self._objects.clear()
        self._thread_places.clear()
        return leaks

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Note nothing meanwhile; threads that begin meanwhile are no leak either."""
        LeakGuard._active = None
        before = set(threading.enumerate())
        try:
            yield
        finally:
            self._threads |= set(threading.enumerate()) - before
            LeakGuard._active = self

    def note_tasks(self, tasks: "set[asyncio.Task[Any]]") -> None:
        """Note *tasks* of a loop that is about to be closed."""
        for task in tasks:
            self._tasks.append(Leak("task", _task_text(task), _task_place(task)))


def _task_text(task: "asyncio.Task[Any]") -> str:
    coroutine = task.get_coro()
    return f"{task.get_name()} ({getattr(coroutine, '__qualname__', coroutine)})"


def _task_place(task: "asyncio.Task[Any]") -> str:
    made: str | None = getattr(task, "_antiphon_made_at", None)
    if made is not None:
        return made
    code = getattr(task.get_coro(), "cr_code", None)
    if code is None:
        return "an unknown place"
    return f"an unknown place; its code is at {code.co_filename}:{code.co_firstlineno}"


def _is_open(kind: str, thing: Any) -> bool:
    if kind == "socket":
        return bool(thing.fileno() != -1)
    return not thing.closed


class _PlacedTask(asyncio.Task[Any]):
    """A task that knows where it was made."""

    _antiphon_made_at: str


def task_factory(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any
) -> "asyncio.Task[Any]":
    """Make tasks that know where they were made; for ``loop.set_task_factory``."""
    task = _PlacedTask(coroutine, loop=loop, **kwargs)
    task._antiphon_made_at = place_of_user()
    return task


def _install() -> None:
    """Begin to hear of everything that is made; there is no way back, and it costs little."""
    if LeakGuard._installed:
        return
    LeakGuard._installed = True
    sys.addaudithook(_on_audit)
    _note_instances(ClientSession, "session")
    _note_instances(ClientResponse, "response")


def _on_audit(event: str, args: tuple[Any, ...]) -> None:
    guard = LeakGuard._active
    if guard is None:
        return
    if event == "socket.__new__":
        guard._objects.append(("socket", args[0], place_of_user()))
    elif event in {"tempfile.mkstemp", "tempfile.mkdtemp"}:
        guard._files.append((os.fspath(args[0]), place_of_user()))
    elif event in {"_thread.start_new_thread", "_thread.start_joinable_thread"}:
        thread = getattr(args[0], "__self__", None)
        if thread is not None:
            guard._thread_places[id(thread)] = place_of_user()


def _note_instances(cls: type[Any], kind: str) -> None:
    original: Callable[..., None] = cls.__init__

    @functools.wraps(original)
    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        guard = LeakGuard._active
        if guard is not None:
            guard._objects.append((kind, self, place_of_user()))

    cls.__init__ = noting


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
