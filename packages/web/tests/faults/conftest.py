"""A server in a process of its own, whose memory can be looked at. For the session ``faults``.

Thousands of connections and gigabytes take a while, so nothing of this folder is collected unless
the session's variable asks for it.
"""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

collect_ignore_glob = [] if os.environ.get("ANTIPHON_FAULTS") else ["test_*.py"]

LIMIT = 120.0

SCRIPT = """
import asyncio, logging, resource, sys
from antiphon import web
from antiphon.core.limits import ServerTimeouts

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
written = 0

async def hello(request):
    return web.Response(text="hello")

async def upload(request):
    size = 0
    async for chunk in request.content.iter_chunked(1024 * 1024):
        size += len(chunk)
        await asyncio.sleep(0.001)  # it has something to do with it
    return web.Response(text=str(size))

async def endless(request):
    global written
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)
        written += 65536

async def wait(request):
    await request.disconnected()
    return web.Response()

async def stats(request):
    return web.json_response({"written": written, "connections": len(runners[0].server.connections)})

app = web.Application()
app.router.add_get("/", hello)
app.router.add_post("/upload", upload)
app.router.add_get("/endless", endless)
app.router.add_get("/wait", wait)
app.router.add_get("/stats", stats)
runners = []

async def main():
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=0, handle_signals=True,
        timeouts=ServerTimeouts(head=float(sys.argv[2]), body_idle=float(sys.argv[2])),
    )
    runners.append(runner)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
    await site.start()
    print(site.port, flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()

if sys.argv[1] == "uvloop":
    import uvloop
    loop = uvloop.new_event_loop()
else:
    loop = asyncio.new_event_loop()
task = loop.create_task(main())
try:
    loop.run_until_complete(task)
except web.GracefulExit:
    task.cancel()
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        print("stopped", flush=True)
"""


class Service:
    """The process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the server did not start: see the log"
        self.port = int(line)
        self._before = 0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)

    def ask(self, path: str = "/") -> str:
        with self.connect() as peer:
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: peer.recv(65536), b"")).decode()
        head, _, body = answer.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 "), head
        return body

    def memory(self, row: str) -> int:
        """Bytes of one row of proc(5)'s status."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{row}:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def remember_memory(self) -> None:
        """Call it once everything was used, so that what is imported late is imported."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # the peak begins anew
        self._before = self.memory("VmRSS")

    def growth(self) -> int:
        """Bytes by which the peak of memory is above what was remembered."""
        return self.memory("VmHWM") - self._before


@contextlib.contextmanager
def _service(tmp_path: Path, loop: str, patience: float = 3600.0) -> Iterator[Service]:
    script = tmp_path / "service.py"
    script.write_text(SCRIPT)
    with open(tmp_path / "log", "w+") as log:
        process = subprocess.Popen(
            [sys.executable, str(script), loop, str(patience)],
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            yield Service(process)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=LIMIT)
            assert "stopped" in out
            log.seek(0)
            # Nothing that clients do is worth a line.
            assert log.read() == ""
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
            log.seek(0)
            print(log.read())  # shown if the test fails


@pytest.fixture(params=["asyncio", "uvloop"])
def service(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[..., contextlib.AbstractContextManager[Service]]:
    """Runs the server for a block: ``service(patience=seconds)``."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="one of the two loops that are served on")

    def start(**options: float) -> contextlib.AbstractContextManager[Service]:
        return _service(tmp_path, request.param, **options)

    return start


@pytest.fixture(scope="session")
def many() -> int:
    """Connections that this process can have at once: 4,000 where the system allows it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(4000, hard - 200)
