"""The workers under the real gunicorn: several processes, reload, stop, wrong applications."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gunicorn", reason="the workers are for gunicorn, an extra")
if sys.platform == "win32":
    pytest.skip("gunicorn does not run on Windows", allow_module_level=True)

APP = """
import asyncio, os
from antiphon import web

async def whoami(request):
    return web.Response(text=str(os.getpid()))

async def slow(request):
    await asyncio.sleep(0.3)
    return web.Response(text="slow")

async def started(app):
    if os.environ.get("BREAK") == "startup":
        raise RuntimeError("no database")

app = web.Application()
app.add_routes([web.get("/", whoami), web.get("/slow", slow)])
app.on_startup.append(started)

async def factory():
    return app

async def runner():
    return web.AppRunner(app)

async def wrong():
    return 42

def function(): pass
"""

LIMIT = 20.0


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

    def get(self, path: str = "/") -> str:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(LIMIT)
            peer.connect(str(self.socket))
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
        head, _, body = answer.decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 "), head
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
        raise AssertionError(f"{text!r} is not {count} times in the log:\n{log}")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)


@contextlib.contextmanager
def gunicorn(directory: Path, entry: str, *options: str, **env: str) -> Iterator[Gunicorn]:
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


def loads(master: Gunicorn, count: int) -> list[Load]:
    threads = [Load(master) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_workers_serve_and_a_reload_under_load_loses_no_request(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "served:app", "--workers", "2") as master:
        before = set(re.findall(r"pid: (\d+)", master.wait_for("Booting worker", 2)))
        assert master.get() in before
        threads = loads(master, 4)
        master.process.send_signal(signal.SIGHUP)
        master.wait_for("Booting worker", 4)
        deadline = time.monotonic() + LIMIT
        while master.get() in before:
            assert time.monotonic() < deadline, "the old workers still serve"
        for thread in threads:
            thread.ending.set()
            thread.join(LIMIT)
        assert [thread.errors for thread in threads] == [[], [], [], []]
        assert all(thread.answers for thread in threads)
        assert master.stop() == 0


def test_a_stop_under_load_answers_what_was_asked(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "served:factory") as master:
        master.wait_for("Booting worker")
        threads = loads(master, 4)
        master.get()
        assert master.stop() == 0
        for thread in threads:
            thread.ending.set()
            thread.join(LIMIT)
        errors = [exc for thread in threads for exc in thread.errors]
        # Connections the kernel had queued when the master closed its socket never were requests.
        assert not [exc for exc in errors if not isinstance(exc, ConnectionResetError)]
        assert all("slow" in answer for thread in threads for answer in thread.answers)


def test_max_requests_starts_another_worker(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "served:runner", "--max-requests", "3") as master:
        master.wait_for("Booting worker")
        first = {master.get() for _ in range(4)}
        log = master.wait_for("Booting worker", 2)
        assert "Autorestarting worker" in log
        assert master.get() not in first


@pytest.mark.parametrize(
    ("entry", "env", "said"),
    [
        pytest.param("served:function", {}, "must be a web.Application", id="a plain function"),
        pytest.param("served:wrong", {}, "not 42", id="a coroutine function of something else"),
        pytest.param("absent:app", {}, "absent", id="a module that is not there"),
        pytest.param("served:app", {"BREAK": "startup"}, "no database", id="startup fails"),
    ],
)
def test_a_wrong_application_ends_the_master(
    tmp_path: Path, entry: str, env: dict[str, str], said: str
) -> None:
    """And does not start worker after worker."""
    with gunicorn(tmp_path, entry, **env) as master:
        _, told = master.process.communicate(timeout=LIMIT)
        assert master.process.returncode in {3, 4}
        assert said in told + master.log.read_text()


def test_the_worker_on_uvloop_serves(tmp_path: Path) -> None:
    pytest.importorskip("uvloop", reason="the worker on uvloop needs uvloop")
    options = ("-k", "antiphon.web.worker.GunicornUVLoopWebWorker")
    with gunicorn(tmp_path, "served:app", *options) as master:
        pid = re.findall(r"Booting worker with pid: (\d+)", master.wait_for("Booting worker"))
        assert master.get() == pid[0]
        assert master.stop() == 0
