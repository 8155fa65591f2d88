"""Workers that are killed, hang, and are reloaded; and what takes as long."""

import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gunicorn", reason="the workers are for gunicorn, an extra")
if sys.platform == "win32":
    pytest.skip("gunicorn does not run on Windows", allow_module_level=True)

LIMIT = 60.0


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path, gunicorn: Any) -> None:
    with gunicorn(tmp_path, "served:app", "--workers", "2") as master:
        before = set(re.findall(r"pid: (\d+)", master.wait_for("Booting worker", 2)))
        with master.connect() as idle:
            idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            victim = idle.recv(65536).decode().rpartition("\r\n")[2]
            assert victim in before
            os.kill(int(victim), signal.SIGKILL)
            assert idle.recv(65536) == b""
        log = master.wait_for("Booting worker", 3)
        (after,) = set(re.findall(r"Booting worker with pid: (\d+)", log)) - before
        deadline = time.monotonic() + LIMIT
        while master.get() != after:
            assert time.monotonic() < deadline, "the new worker does not serve"
        assert master.stop() == 0


def test_a_worker_that_hangs_is_replaced(tmp_path: Path, gunicorn: Any) -> None:
    with gunicorn(tmp_path, "served:app", "--timeout", "2") as master:
        master.wait_for("Booting worker")
        with master.connect() as peer:
            peer.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
            log = master.wait_for("Booting worker", 2)
        assert "WORKER TIMEOUT" in log
        assert master.get().isdigit()


def test_int_does_not_wait_for_handlers(tmp_path: Path, gunicorn: Any) -> None:
    with gunicorn(tmp_path, "served:app", "--graceful-timeout", "3600") as master:
        pid = re.findall(r"pid: (\d+)", master.wait_for("Booting worker"))[0]
        with master.connect() as peer:
            peer.sendall(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
            master.wait_for("forever")
            os.kill(int(pid), signal.SIGINT)
            assert peer.recv(65536) == b""
        assert "cleaned up" in master.wait_for("Booting worker", 2)


def test_reload_on_change(tmp_path: Path, gunicorn: Any, source: str) -> None:
    """Also out of a state that is no Python."""
    with gunicorn(tmp_path, "served:app", "--reload", "--reload-engine", "poll") as master:
        first = re.findall(r"pid: (\d+)", master.wait_for("Booting worker"))[0]
        assert master.get() == first
        changed = tmp_path / "served.py"
        changed.write_text("this is no Python")
        master.wait_for("Booting worker", 2)
        assert "SyntaxError" in master.get("/", status=500)
        changed.write_text(source)
        master.wait_for("Booting worker", 3)
        assert master.get().isdigit()


def test_the_access_log_has_antiphons_format(tmp_path: Path, gunicorn: Any) -> None:
    access = tmp_path / "access"
    options = ("--access-logfile", str(access), "--access-logformat", "%s %r")
    with gunicorn(tmp_path, "served:app", *options) as master:
        master.wait_for("Booting worker")
        master.get()
        assert master.stop() == 0
    assert access.read_text() == "200 GET / HTTP/1.1\n"
