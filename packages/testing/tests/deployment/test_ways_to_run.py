"""The files that the page on deployment shows, used as far as one machine can."""

import configparser
import inspect
import json
import pathlib
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml
from yarl import URL

from antiphon import web
from antiphon.client import ClientSession, UnixConnector

from .conftest import DOCS, SNIPPETS, program

SHUTDOWN = inspect.signature(web.run_app).parameters["shutdown_timeout"].default


@pytest.fixture
def shop(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with the shop in it, as on a server."""
    shutil.copy(SNIPPETS / "shop.py", tmp_path)
    return tmp_path


async def test_gunicorn_runs_the_command_of_the_page(start, shop):
    page = (DOCS / "guide/deploy.md").read_text()
    line = next(row for row in page.splitlines() if row.startswith("gunicorn "))
    path = "/run/shop/shop.sock"
    assert path in line
    command = shlex.split(line.replace(path, f"{shop}/s"))
    master = await start(sys.executable, "-m", *command, sign="Booting worker", cwd=shop)
    async with (
        ClientSession(connector=UnixConnector(f"{shop}/s")) as session,
        session.get("http://shop/-/ready") as response,
    ):
        assert (response.status, await response.text()) == (200, "ready")
    assert await master.stop() == 0
    assert not any("Traceback" in line for line in master.lines), master.lines


def test_systemd_takes_the_units(tmp_path):
    python, folder = "/srv/shop/venv/bin/python", "/srv/shop\n"
    service = (SNIPPETS / "shop.service").read_text()
    assert service.count(python) == 1
    assert service.count(folder) == 1
    service = service.replace(python, sys.executable).replace(folder, f"{tmp_path}\n")
    (tmp_path / "shop.service").write_text(service)
    shutil.copy(SNIPPETS / "shop.socket", tmp_path)
    units = [str(tmp_path / "shop.service"), str(tmp_path / "shop.socket")]
    done = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", *units],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, "shop." in done.stderr) == (0, False), done.stderr


def test_the_unit_gives_the_service_time_to_stop():
    unit = configparser.ConfigParser()
    unit.read(SNIPPETS / "shop.service")
    assert unit.getfloat("Service", "TimeoutStopSec") > SHUTDOWN


async def test_the_container_runs_what_its_last_line_says(start, shop, unused_port):
    last = (SNIPPETS / "Dockerfile").read_text().splitlines()[-1]
    instruction, command = last.split(" ", 1)
    assert instruction == "CMD"
    python, *arguments = json.loads(command)
    assert python == "python"
    port = str(unused_port())
    where = ["--host", "127.0.0.1", "--port", port]
    service = await start(sys.executable, *arguments, *where, sign="Running on", cwd=shop)
    async with (
        ClientSession(URL(f"http://127.0.0.1:{port}")) as session,
        session.get("/-/live") as response,
    ):
        assert await response.text() == "alive"
    assert await service.stop() == 0
    (logged,) = [json.loads(line) for line in service.lines if line.startswith("{")]
    assert logged["status"] == 200


async def test_the_pod_asks_for_paths_that_answer(test_client, shop, monkeypatch):
    monkeypatch.syspath_prepend(str(shop))
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    import shop as module

    spec = yaml.safe_load((SNIPPETS / "pod.yaml").read_text())["spec"]
    (container,) = spec["containers"]
    client = await test_client(module.create_app())
    for probe in ("readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == container["ports"][0]["containerPort"]
        assert (await client.get(asked["path"])).status == 200
    wait = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] > wait + SHUTDOWN
