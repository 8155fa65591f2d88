"""Real servers and clients for the sessions ``deployment`` and ``browser`` of the noxfile.

The tests here need programs that pip does not install, so nothing of this folder is collected
unless the session's variable asks for it; then what is missing is a failure.
"""

import asyncio
import contextlib
import os
import pathlib
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Callable

import attrs
import pytest
import trustme

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parents[3] / "docs"
SNIPPETS = DOCS / "examples/howto/deploy"
SECONDS = 120

collect_ignore_glob = [] if os.environ.get("ANTIPHON_REAL_SERVERS") else ["test_*.py"]


def program(name: str) -> str:
    """Return the path of a program; the test fails where it is not installed."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.fail(f"{name} is not installed: the session cannot show what it is for")
    return found


@attrs.define
class Running:
    """A process that has said that it is ready, and what it has printed since."""

    process: asyncio.subprocess.Process
    reading: asyncio.Task[None] | None = None
    lines: list[str] = attrs.field(factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    def peak_memory(self) -> int:
        """Most bytes that were in memory at once (``VmHWM`` of proc(5))."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        row = next(row for row in status.splitlines() if row.startswith("VmHWM"))
        return int(row.split()[1]) * 1024

    async def until(self, sign: str) -> None:
        """Read what it prints until *sign* comes."""
        stdout = self.process.stdout
        assert stdout is not None
        async with asyncio.timeout(SECONDS):
            async for line in stdout:
                self.lines.append(line.decode())
                if sign in self.lines[-1]:
                    return
        pytest.fail(f"it ended before it said {sign!r}:\n{''.join(self.lines)}")

    async def rest(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode())

    async def stop(self) -> int:
        """Ask it to end and wait until it has."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
        return await self.end()

    async def end(self) -> int:
        async with asyncio.timeout(SECONDS):
            if self.reading is not None:
                await self.reading
            return await self.process.wait()


Start = Callable[..., "asyncio.Future[Running]"]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Function that starts a program, waits for its sign, and stops it after the test."""
    running: list[Running] = []

    async def begin(
        *command: object, sign: str | None, env: dict[str, str] | None = None, **options: object
    ) -> Running:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            **options,  # type: ignore[arg-type]  # what subprocess.Popen takes
        )
        running.append(Running(process))
        if sign is not None:
            await running[-1].until(sign)
        running[-1].reading = asyncio.ensure_future(running[-1].rest())
        return running[-1]

    try:
        yield begin  # type: ignore[misc]  # a coroutine function is such a callable
    finally:
        for one in reversed(running):
            await one.stop()


@pytest.fixture
def serve(start: Start, tmp_path: pathlib.Path) -> Callable[..., "asyncio.Future[Running]"]:
    """Function that runs ``python -m antiphon.web`` with an application of the documentation."""

    async def run(app: str, *arguments: object, **options: object) -> Running:
        folders = [HERE, SNIPPETS, DOCS / "examples/filestore", DOCS / "examples/howto"]
        env = {"PYTHONPATH": os.pathsep.join(map(str, folders)), "TMPDIR": str(tmp_path)}
        command = [sys.executable, "-m", "antiphon.web", app, *arguments]
        return await start(*command, sign="Running on", env=env, **options)

    return run  # type: ignore[return-value]  # likewise


@attrs.define
class Certificates:
    """A certificate for localhost in files, and a context that trusts it."""

    chain: pathlib.Path
    key: pathlib.Path
    context: ssl.SSLContext


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "shop.key")
    with (folder / "shop.pem").open("wb") as chain:
        chain.writelines(blob.bytes() for blob in issued.cert_chain_pems)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return Certificates(folder / "shop.pem", folder / "shop.key", context)
