"""The real gunicorn with workers of ours, and clients that keep asking."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# What takes longer than the rest together runs in the session ``faults``.
collect_ignore = [] if os.environ.get("ANTIPHON_FAULTS") else ["test_gunicorn_faults.py"]

APP = """
import asyncio, logging, os, time
from antiphon import web

log = logging.getLogger("gunicorn.error")

async def whoami(request):
    return web.Response(text=str(os.getpid()))

async def slow(request):
    await asyncio.sleep(0.3)
    return web.Response(text="slow")

async def hang(request):
    time.sleep(3600)

async def forever(request):
    log.error("forever")
    await asyncio.Event().wait()

async def cleanup(app):
    log.error("cleaned up")

async def started(app):
    if os.environ.get("BREAK") == "startup":
        raise RuntimeError("no database")

app = web.Application()
app.add_routes([web.get("/", whoami), web.get("/slow", slow)])
app.add_routes([web.get("/hang", hang), web.get("/forever", forever)])
app.on_startup.append(started)
app.on_cleanup.append(cleanup)

async def factory():
    return app

async def runner():
    return web.AppRunner(app)

async def wrong():
    return 42

def function(): pass
"""

LIMIT = 60.0


class Gunicorn:
    """A master with its workers."""

    def __init__(self, directory: Path, entry: str, *options: str, env: dict[str, str]) -> None:
        (directory / "served.py").write_text(APP)
        self.log = directory / "log"
        self.socket = directory / "socket"
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [
                sys.executable, "-m", "gunicorn", entry, "--bind", f"unix:{self.socket}",
                "-k", "antiphon.web.worker.GunicornWebWorker", "--error-logfile", str(self.log),
                "--graceful-timeout", "8", *options,
            ],
            cwd=directory, env={**os.environ, "PYTHONPATH": str(directory), **env},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        try:
            peer.settimeout(LIMIT)
            peer.connect(str(self.socket))
        except BaseException:
            peer.close()
            raise
        return peer

    def get(self, path: str = "/", *, status: int = 200) -> str:
        with self.connect() as peer:
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
        head, _, body = answer.decode().partition("\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} "), head
        return body

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until the log has *text* so often: it is all that the master tells."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            log = self.log.read_text() if self.log.exists() else ""
            if log.count(text) >= count:
                return log
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
                _, told = self.process.communicate()
                log = self.log.read_text() if self.log.exists() else ""
                if log.count(text) >= count:
                    return log
                raise AssertionError(f"gunicorn ended: {told}\n{log}")
        raise AssertionError(f"{text!r} is not {count} times in the log:\n{log}")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)


@contextlib.contextmanager
def _gunicorn(directory: Path, entry: str, *options: str, **env: str) -> Iterator[Gunicorn]:
    master = Gunicorn(directory, entry, *options, env=env)
    try:
        yield master
    finally:
        if master.process.poll() is None:
            master.process.kill()
        master.process.communicate()


class Load(threading.Thread):
    """Asks for slow pages, one after the other, until told to end."""

    def __init__(self, master: Gunicorn) -> None:
        super().__init__()
        self.master = master
        self.ending = threading.Event()
        self.answers: list[str] = []
        self.errors: list[BaseException] = []

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                self.answers.append(self.master.get("/slow"))
            except (ConnectionRefusedError, FileNotFoundError):
                return  # the master listens no more: nothing was asked, so nothing is lost
            except BaseException as exc:
                self.errors.append(exc)
                return


class KeptAlive(Load):
    """The same on connections that are kept alive."""

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                with self.master.connect() as peer:
                    self.ask_on(peer)
            except (ConnectionRefusedError, FileNotFoundError):
                return  # the master listens no more
            except BaseException as exc:
                self.errors.append(exc)
                return

    def ask_on(self, peer: socket.socket) -> None:
        while not self.ending.is_set():
            peer.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while not answer.endswith(b"slow"):
                data = peer.recv(65536)
                if not data:
                    raise ConnectionResetError("no answer")
                answer += data
            self.answers.append(answer.decode())
            if b"Connection: close" in answer:
                return


def _loads(master: Gunicorn, count: int, kept_alive: bool = False) -> list[Load]:
    threads = [(KeptAlive if kept_alive else Load)(master) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


@pytest.fixture
def gunicorn() -> Callable[..., Any]:
    """Runs a master for a block: ``gunicorn(directory, entry, *options, **environment)``."""
    return _gunicorn


@pytest.fixture
def loads() -> Callable[..., list[Load]]:
    """Starts so many clients: ``loads(master, count, kept_alive)``."""
    return _loads


@pytest.fixture
def source() -> str:
    """The module ``served``."""
    return APP
