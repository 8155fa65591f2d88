"""Processes that are measured or make load: start them, pin them, see what they used."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil

__all__ = ("HERE", "LOAD_CORE", "MEASURED_CORE", "Fleet", "Served", "pinned", "server")

HERE = pathlib.Path(__file__).resolve().parent
MEASURED_CORE, LOAD_CORE = 0, max(1, (os.cpu_count() or 2) - 1)

_START_WITHIN = 30.0


def pinned(core: int, command: list[str]) -> list[str]:
    """*command*, to run on one core where that can be said."""
    taskset = shutil.which("taskset")
    if taskset is None or (os.cpu_count() or 1) < 2:
        return command
    return [taskset, "-c", str(core), *command]


class Served:
    """A server that listens, with whatever processes it consists of."""

    def __init__(self, port: int, process: psutil.Process) -> None:
        self.port = port
        self._process = process

    def _all(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def cpu(self) -> float:
        """Seconds of CPU time so far, those of children that work for it included."""
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    def memory(self) -> int:
        """Bytes of resident memory."""
        return sum(process.memory_info().rss for process in self._all())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(
    command: Callable[[int], list[str]], core: int = MEASURED_CORE, name: str = "server"
) -> Iterator[Served]:
    """Run what *command* gives for a port, and wait until it listens there."""
    port = _free_port()
    process = subprocess.Popen(
        pinned(core, command(port)), cwd=HERE / "servers", stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + _START_WITHIN
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{name} does not listen") from None
                time.sleep(0.05)
        yield Served(port, psutil.Process(process.pid))
    finally:
        _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for child in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


class Fleet:
    """Servers that stay up from their first turn to the end: an idle one uses no CPU time."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._up: dict[tuple[str, ...], Served] = {}

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def get(self, key: tuple[str, ...], command: Callable[[int], list[str]]) -> Served:
        """The server called *key*, started with *command* if it is not up yet."""
        if key not in self._up:
            self._up[key] = self._stack.enter_context(server(command, name=" ".join(key)))
        return self._up[key]


def python(program: str, *arguments: str) -> list[str]:
    """The command that runs *program* of ``benchmarks/`` on this interpreter."""
    return [sys.executable, str(HERE / program), *arguments]
