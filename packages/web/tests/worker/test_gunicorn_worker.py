"""The workers under the real gunicorn: several processes, reload, stop, wrong applications."""

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


def test_workers_serve_and_a_reload_under_load_loses_no_request(
    tmp_path: Path, gunicorn: Any, loads: Any
) -> None:
    with gunicorn(tmp_path, "served:app", "--workers", "2") as master:
        before = set(re.findall(r"pid: (\d+)", master.wait_for("Booting worker", 2)))
        assert master.get() in before
        threads = [*loads(master, 2), *loads(master, 2, kept_alive=True)]
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


def test_a_stop_under_load_answers_what_was_asked(
    tmp_path: Path, gunicorn: Any, loads: Any
) -> None:
    with gunicorn(tmp_path, "served:factory") as master:
        master.wait_for("Booting worker")
        threads = [*loads(master, 4), *loads(master, 4, kept_alive=True)]
        master.get()
        assert master.stop() == 0
        for thread in threads:
            thread.ending.set()
            thread.join(LIMIT)
        errors = [exc for thread in threads for exc in thread.errors]
        # Connections the kernel had queued when the master closed its socket never were requests.
        # Those of a worker, kept alive ones among them, were.
        assert not [exc for exc in errors if not isinstance(exc, ConnectionResetError)]
        assert all("slow" in answer for thread in threads for answer in thread.answers)


def test_max_requests_starts_another_worker(tmp_path: Path, gunicorn: Any) -> None:
    with gunicorn(tmp_path, "served:runner", "--max-requests", "3") as master:
        master.wait_for("Booting worker")
        first = {master.get() for _ in range(4)}
        log = master.wait_for("Booting worker", 2)
        assert "ends after" in log
        assert master.get() not in first


@pytest.mark.parametrize(
    ("entry", "env", "said"),
    [
        pytest.param("served:function", {}, "must be a web.Application", id="a plain function"),
        pytest.param("served:wrong", {}, "not 42", id="a coroutine function of something else"),
        pytest.param("absent:app", {}, "absent", id="a module that is not there"),
        pytest.param("served:app", {"BREAK": "startup"}, "no database", id="startup fails"),
        pytest.param("served:absent", {}, "absent", id="a name that is not there"),
        pytest.param(
            "served:app",
            {"GUNICORN_CMD_ARGS": "--access-logformat=%(h)s"},
            "antiphon's",
            id="a log format of gunicorn's",
        ),
    ],
)
def test_a_wrong_application_ends_the_master(
    tmp_path: Path, gunicorn: Any, entry: str, env: dict[str, str], said: str
) -> None:
    """And does not start worker after worker."""
    with gunicorn(tmp_path, entry, **env) as master:
        _, told = master.process.communicate(timeout=LIMIT)
        assert master.process.returncode in {3, 4}
        assert said in told + master.log.read_text()


def test_the_worker_on_uvloop_serves(tmp_path: Path, gunicorn: Any) -> None:
    pytest.importorskip("uvloop", reason="the worker on uvloop needs uvloop")
    options = ("-k", "antiphon.web.worker.GunicornUVLoopWebWorker")
    with gunicorn(tmp_path, "served:app", *options) as master:
        pid = re.findall(r"Booting worker with pid: (\d+)", master.wait_for("Booting worker"))
        assert master.get() == pid[0]
        assert master.stop() == 0
