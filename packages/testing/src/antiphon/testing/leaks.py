"""What a test leaves behind.

`LeakGuard` knows of sessions, responses, connections (sockets, and pipes in memory), tasks,
threads, processes, and files, temporary and other, each with the line that made it.
"""

import asyncio
import contextlib
import functools
import itertools
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

from antiphon.client import BaseConnector, ClientResponse, ClientSession

from ._blocked import BlockedLoopReporter
from .client import TestClient
from .server import BaseTestServer
from .transport import MemoryConnection

__all__ = ("BlockedLoopReporter", "Leak", "LeakGuard")

_STDLIB: Final = sysconfig.get_paths()["stdlib"]
_OURS: Final = f"{os.sep}antiphon{os.sep}"
_PLACES: Final = ("client", "web", "core", "testing")
_NUMBERS: Final = itertools.count()
_DESCRIPTORS: Final = "/proc/self/fd"
_UNKNOWN: Final = "an unknown place"
_PACKAGES: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_HAPPY_EYEBALLS: Final = f"{os.sep}aiohappyeyeballs{os.sep}"
_CLIENT: Final = f"{_OURS}client{os.sep}"
_TEST_CLIENT: Final = f"{_OURS}testing{os.sep}client.py"
_TEST_SERVER: Final = f"{_OURS}testing{os.sep}server.py"
_OWNERS: Final = {
    "socket": (_CLIENT, _TEST_SERVER),
    "connection": (_CLIENT,),
    "session": (_TEST_CLIENT,),
    "connector": (f"{_CLIENT}session.py", _TEST_CLIENT),
}
"""Files of those that own what they make, by kind."""

_DELETED: Final = " (deleted)"
"""How the system marks the name of a file that has none any more, or never had."""


@final
@attrs.frozen
class Leak:
    """One thing that was left behind."""

    kind: str
    """``"client"``, ``"server"``, ``"session"``, ``"connector"``, ``"response"``,
    ``"socket"``, ``"connection"`` (in memory), ``"task"``,
    ``"thread"``, ``"process"``, ``"temporary file"`` or ``"file"`` (open, but not temporary)."""
    what: str
    """The thing, as it shows itself."""
    made_at: str
    """Where it was made: the innermost line outside of the libraries."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}\n    made at {self.made_at}"


def place_of_user() -> str:
    """Name the innermost line on the stack that is of the test's or the user's own code.

    Where there is none, as in a task of a library, it is the line that made the task.
    """
    frame = _own_frames()[1]
    if frame is not None:
        return f"{frame.f_code.co_filename}:{frame.f_lineno}"
    task = asyncio.current_task() if asyncio._get_running_loop() is not None else None
    made_at: str = getattr(task, "_antiphon_made_at", None) or _UNKNOWN
    return made_at


def _own_frames() -> tuple[list[FrameType], FrameType | None]:
    """Return the frames of libraries inside of the user's innermost one, and that one, if any."""
    frame: FrameType | None = sys._getframe(1)
    inside: list[FrameType] = []
    while frame is not None:
        name = frame.f_code.co_filename
        if f"{os.sep}_pytest{os.sep}" in name:
            break  # who calls pytest made nothing
        if not _is_library(name):
            return inside, frame
        inside.append(frame)
        frame = frame.f_back
    return inside, None


def _has_owner(kind: str) -> bool:
    """Whether what is made now belongs to something that is noted itself.

    That is the session or the client of a connection, the server of a socket that listens or
    was accepted. They may be wider than this test, and keep it for the next one.
    """
    owners = _OWNERS.get(kind)
    if owners is None:
        return False
    inside, user = _own_frames()
    if any(owner in frame.f_code.co_filename for frame in inside for owner in owners):
        return True
    if kind != "socket" or user is not None:
        return False
    return any(
        frame.f_code.co_name == "_accept_connection" or _HAPPY_EYEBALLS in frame.f_code.co_filename
        for frame in inside
    )


def _is_library(filename: str) -> bool:
    if filename.startswith(("<", _STDLIB)) or any(part in filename for part in _PACKAGES):
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
        self._number = next(_NUMBERS)
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
                place = self._thread_places.get(id(thread), _UNKNOWN)
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
            if getattr(task, "_antiphon_guard", self._number) != self._number:
                continue  # of another test, or of a fixture that is wider than one
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
        return _UNKNOWN
    return f"an unknown place; its code is at {code.co_filename}:{code.co_firstlineno}"


def _is_open(kind: str, thing: Any) -> bool:
    if kind == "socket":
        return bool(thing.fileno() != -1)
    if kind == "client":
        return bool(thing._session is not None and not thing._session.closed)
    if kind == "server":
        return bool(thing.started and not thing.closed)
    if kind == "process":
        return thing.poll() is None
    return not thing.closed


class _PlacedTask(asyncio.Task[Any]):
    """A task that knows where it was made."""

    _antiphon_made_at: str
    _antiphon_guard: int | None


def task_factory(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **kwargs: Any
) -> "asyncio.Task[Any]":
    """Make tasks that know where they were made; for ``loop.set_task_factory``."""
    task = _PlacedTask(coroutine, loop=loop, **kwargs)
    task._antiphon_made_at = place_of_user()
    guard = LeakGuard._active
    task._antiphon_guard = None if guard is None else guard._number
    return task


def _install() -> None:
    """Begin to hear of everything that is made; there is no way back, and it costs little."""
    if LeakGuard._installed:
        return
    LeakGuard._installed = True
    sys.addaudithook(_on_audit)
    _note_instances(TestClient, "client")
    _note_instances(BaseTestServer, "server")
    _note_instances(ClientSession, "session")
    _note_instances(BaseConnector, "connector")
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
        if not _has_owner("socket"):
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
        if guard is not None and not _has_owner(kind):
            guard._objects.append((kind, self, place_of_user()))

    cls.__init__ = noting
