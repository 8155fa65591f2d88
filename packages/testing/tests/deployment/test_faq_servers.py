"""The samples of the FAQ that talk to a database and to a broker, with real ones."""

import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator

import pytest

from antiphon.client import ClientSession

from .conftest import DOCS, program

FAQ = DOCS / "examples/faq"


@pytest.fixture
async def postgresql(start, monkeypatch) -> AsyncIterator[str]:
    """URL of a PostgreSQL server with an empty database."""
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    if versions:  # Debian keeps them off the path
        monkeypatch.setenv("PATH", f"{versions[-1]}:{os.environ['PATH']}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postgresql-"))
    identity = {}
    if os.geteuid() == 0:  # which PostgreSQL refuses to be
        shutil.chown(folder, "postgres", "postgres")
        identity = {"user": "postgres", "group": "postgres", "extra_groups": []}
    data = folder / "data"
    try:
        made = await start(
            program("initdb"), "-D", data, "-U", "antiphon", "-A", "trust", "--no-sync",
            sign="Success", cwd=folder, **identity,
        )  # fmt: skip
        await made.end()
        await start(
            program("postgres"), "-D", data, "-k", folder, "-h", "",
            sign="ready to accept connections", cwd=folder, **identity,
        )  # fmt: skip
        yield f"postgresql://antiphon@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # the server goes on until the test has ended


@pytest.mark.parametrize("again", [False, True], ids=["new", "after a restart"])
async def test_the_database_sample_with_postgresql(start, postgresql, unused_port, again):
    for _ in range(1 + again):
        port = str(unused_port())
        service = await start(
            sys.executable, "-m", "antiphon.web", "04_database:create_app",
            "--host", "127.0.0.1", "--port", port, sign="Running on",
            env={"PYTHONPATH": str(FAQ), "DATABASE_URL": postgresql},
        )  # fmt: skip
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as response:
            assert (response.status, await response.text()) == (200, "42")
        assert await service.stop() == 0


async def test_two_server_processes_share_a_channel_of_redis(start, tmp_path, unused_port):
    redis, *ports = unused_port(), unused_port(), unused_port()
    await start(
        program("redis-server"), "--port", redis, "--bind", "127.0.0.1", "--save", "",
        "--dir", tmp_path, sign="Ready to accept connections",
    )  # fmt: skip
    env = {"REDIS_URL": f"redis://127.0.0.1:{redis}"}
    for port in ports:
        script = FAQ / "07_two_sources_redis.py"
        await start(sys.executable, script, port, sign="Running on", env=env)
    async with ClientSession() as session:
        first = await session.ws_connect(f"http://127.0.0.1:{ports[0]}/chat")
        second = await session.ws_connect(f"http://127.0.0.1:{ports[1]}/chat")
        await first.send_str("through Redis")
        assert await second.receive_str() == "through Redis"
        assert await first.receive_str() == "through Redis"
        await first.close()
        await second.close()
