"""What a test leaves behind.

`LeakGuard` knows of sessions, responses, connections (sockets, and pipes in memory), tasks,
threads, processes, and files, temporary and other, each with the line that made it.
"""

import asyncio
import contextlib
import functools
import os
import stat
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final, final

import attrs

from antiphon.client import ClientResponse, ClientSession

from ._blocked import BlockedLoopReporter
from .client import TestClient
from .transport import MemoryConnection

__all__ = ("BlockedLoopReporter", "Leak", "LeakGuard")

_STDLIB: Final = sysconfig.get_paths()["stdlib"]
_OURS: Final = f"{os.sep}antiphon{os.sep}"
_PLACES: Final = ("client", "web", "core", "testing")
_DESCRIPTORS: Final = "/proc/self/fd"
_DELETED: Final = " (deleted)"
"""How the system marks the name of a file that has none any more, or never had."""


@final
@attrs.frozen
class Leak:
    """One thing that was left behind."""

    kind: str
    """``"session"``, ``"response"``, ``"socket"``, ``"connection"`` (in memory), ``"task"``,
    ``"thread"``, ``"process"``, ``"temporary file"`` or ``"file"`` (open, but not temporary)."""
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
        self._responses: list[Leak] = []
        self._files: list[tuple[str, str]] = []
        self._descriptors: dict[int, str] = {}
        self._opened: dict[str, str] = {}
        self._threads: set[threading.Thread] = set()
        self._thread_places: dict[int, str] = {}

    def start(self) -> None:
        """Begin to note."""
        _install()
        self._threads = set(threading.enumerate())
        self._descriptors = _open_files()
        LeakGuard._active = self

    def stop(self) -> list[Leak]:
        """Note no more; return what was left behind."""
        LeakGuard._active = None
        leaks = [*self._tasks, *self._responses]
        for kind, thing, place in self._objects:
            if _is_open(kind, thing):
                leaks.append(Leak(kind, repr(thing), place))
        for path, place in self._files:
            if os.path.exists(path):
                leaks.append(Leak("temporary file", path, place))
        leaks += self._files_left_open()
        for thread in set(threading.enumerate()) - self._threads:
            thread.join(0.2)  # one that is about to end is no leak
            if thread.is_alive():
                place = self._thread_places.get(id(thread), "an unknown place")
                leaks.append(Leak("thread", repr(thread), place))
        self._objects.clear()
        self._thread_places.clear()
        return leaks

    def _files_left_open(self) -> list[Leak]:
        """Look for files by their descriptors: most of those that open one leave no trace else."""
        leaks = []
        told = {os.path.realpath(path) for path, _ in self._files}
        for number, path in _open_files().items():
            if self._descriptors.get(number) == path or path in told:
                continue
            name = path.removesuffix(_DELETED)
            place = self._opened.get(name) or self._opened.get(os.path.dirname(name))
            if place is None:
                continue  # not opened by Python code: a database's own, or a coverage tool's
            kind = "file" if name == path else "temporary file"
            leaks.append(Leak(kind, f"descriptor {number}, {path}", place))
        return leaks

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Note nothing meanwhile; threads that begin meanwhile are no leak either."""
        was, LeakGuard._active = LeakGuard._active, None  # it may be paused already
        before = set(threading.enumerate())
        files = set(_open_files().items())
        try:
            yield
        finally:
            self._threads |= set(threading.enumerate()) - before
            self._descriptors.update(set(_open_files().items()) - files)
            LeakGuard._active = was

    def note_responses(self, client: TestClient) -> None:
        """Note the responses that *client* is about to close, as their test did not."""
        origin = client.make_url("/").origin() if client.server.started else None
        for kind, response, place in self._objects:
            if kind == "response" and not response.closed and response.url.origin() == origin:
                self._responses.append(Leak(kind, repr(response), place))

    def note_tasks(self, tasks: "set[asyncio.Task[Any]]") -> None:
        """Note *tasks* of a loop that is about to be closed."""
        for task in tasks:
            self._tasks.append(Leak("task", _task_text(task), _task_place(task)))


def _open_files() -> dict[int, str]:
    """Return the descriptors of regular files, with their paths; nothing where none can be had."""
    found: dict[int, str] = {}
    try:
        numbers = os.listdir(_DESCRIPTORS)
    except OSError:
        return found  # no Linux
    for number in numbers:
        try:
            if stat.S_ISREG(os.fstat(int(number)).st_mode):
                found[int(number)] = os.readlink(f"{_DESCRIPTORS}/{number}")
        except OSError:
            continue  # that of the listing itself
    return found


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
    if kind == "process":
        return thing.poll() is None
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
    _note_responses_left_to_clients()
    _note_threads()
    _note_instances(MemoryConnection, "connection")
    _note_instances(subprocess.Popen, "process")
    _note_instances(tempfile.SpooledTemporaryFile, "temporary file")


def _on_audit(event: str, args: tuple[Any, ...]) -> None:
    guard = LeakGuard._active
    if guard is None:
        return
    if event == "socket.__new__":
        guard._objects.append(("socket", args[0], place_of_user()))
    elif event in {"tempfile.mkstemp", "tempfile.mkdtemp"}:
        guard._files.append((os.fspath(args[0]), place_of_user()))
    elif event == "open" and isinstance(args[0], str | bytes | os.PathLike):
        guard._opened[os.path.realpath(os.fsdecode(args[0]))] = place_of_user()


def _note_threads() -> None:
    original = threading.Thread.start

    @functools.wraps(original)
    def noting(self: threading.Thread) -> None:
        guard = LeakGuard._active
        if guard is not None:
            guard._thread_places[id(self)] = place_of_user()
        original(self)

    threading.Thread.start = noting  # type: ignore[method-assign]  # what this is for


def _note_responses_left_to_clients() -> None:
    original = TestClient.close

    @functools.wraps(original)
    async def noting(self: TestClient) -> None:
        guard = LeakGuard._active
        if guard is not None:
            guard.note_responses(self)
        await original(self)

    TestClient.close = noting  # type: ignore[method-assign]  # what this is for


def _note_instances(cls: type[Any], kind: str) -> None:
    original: Callable[..., None] = cls.__init__

    @functools.wraps(original)
    def noting(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        guard = LeakGuard._active
        if guard is not None:
            guard._objects.append((kind, self, place_of_user()))

    cls.__init__ = noting
