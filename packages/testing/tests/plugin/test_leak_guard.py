"""Whatever a test leaves behind is told, with the line that made it."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.usefixtures("project")

Run = Callable[..., pytest.RunResult]

LEAKS = """
import asyncio, os, socket, subprocess, sys, tempfile, threading, pytest
from antiphon import web
from antiphon.client import ClientSession
from antiphon.testing import ScriptedPeer
from service import create_app

kept = []
stop = threading.Event()

def create_much():
    app = web.Application()
    app.router.add_get("/", much)
    return app

async def much(request):
    return web.Response(body=bytes(2**22))

@pytest.fixture(scope="module", autouse=True)
def wide(tmp_path_factory):
    with socket.socket() as sock, open(tmp_path_factory.mktemp("wide") / "x", "w"):
        yield sock
    stop.set()
    for thing in kept:
        getattr(thing, "kill", int)()

@pytest.fixture
def files(tmp_path):
    tempfile.tempdir = str(tmp_path)
    yield
    tempfile.tempdir = None

# The line that leaks is the last one of each test.

async def test_session():
    kept.append(ClientSession())

async def test_response(test_client):
    client = await test_client(create_much)
    kept.append(await client.get("/"))

async def test_socket():
    kept.append(socket.socket())

async def test_connection(test_client):
    client = await test_client(create_app, transport="memory")
    kept.append(await ScriptedPeer.connect(client.server))

async def test_task():
    kept.append(asyncio.create_task(asyncio.sleep(3600)))

def test_thread():
    threading.Thread(target=stop.wait, daemon=True).start()

def test_process():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_mkstemp(files):
    kept.append(tempfile.mkstemp())

def test_mkdtemp(files):
    kept.append(tempfile.mkdtemp())

def test_named(files):
    kept.append(tempfile.NamedTemporaryFile(delete=False))

def test_nameless(files):
    kept.append(tempfile.TemporaryFile())

def test_spooled(files):
    kept.append(tempfile.SpooledTemporaryFile())

def test_open_file(tmp_path):
    kept.append(open(tmp_path / "file", "w"))
"""

KINDS = {
    "session": "session: <ClientSession",
    "response": "response: <ClientResponse",
    "socket": "socket: <socket.socket",
    "connection": "connection: <MemoryConnection",
    "task": "task: ",
    "thread": "thread: <Thread",
    "process": "process: <Popen",
    "mkstemp": "temporary file: ",
    "mkdtemp": "temporary file: ",
    "named": "temporary file: ",
    "nameless": "temporary file: ",
    "spooled": "temporary file: <",
    "open_file": "file: descriptor",
}


def line_of(name: str) -> int:
    """The last line of the test *name*."""
    lines = LEAKS.strip().splitlines()
    begin = next(n for n, line in enumerate(lines) if f"def test_{name}(" in line)
    return next((n for n in range(begin, len(lines)) if not lines[n]), len(lines))


def test_every_kind_with_its_line(pytester: pytest.Pytester, run_apart: Run) -> None:
    """An error of the clean-up, since only then it is known: the test itself has passed."""
    pytester.makepyfile(LEAKS.strip())
    result = run_apart("--antiphon-leaks=error", "-W", "ignore::ResourceWarning")
    result.assert_outcomes(passed=len(KINDS), errors=len(KINDS))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = result.stdout.str()
    for name, shown in KINDS.items():
        report = text[text.index(f"::test_{name} left behind:") :]
        report = report[: report.find("____", 1)]
        told = report.splitlines()[1:3]
        assert any(line.strip().startswith(shown) for line in report.splitlines()), report
        assert f".py:{line_of(name)}" in report, (name, told)


def test_what_is_cleaned_up_is_no_leak(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import asyncio, subprocess, sys, tempfile, threading, pytest
        from antiphon.client import ClientSession
        from service import create_app

        kept = []

        @pytest.fixture(scope="session")
        async def wide():
            async with ClientSession() as session:
                yield session

        @pytest.mark.parametrize("transport", ["memory", "socket"])
        async def test_requests(test_client, transport, wide):
            client = await test_client(create_app, transport=transport)
            async with client.get("/") as response:
                assert await response.text() == "hello"
            kept.append(response)

        async def test_threads_and_tasks():
            await asyncio.to_thread(int)
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(5)))
            thread = threading.Thread(target=int)
            thread.start()

        def test_files(tmp_path):
            with tempfile.TemporaryDirectory(dir=tmp_path) as directory:
                with tempfile.TemporaryFile(dir=directory) as file:
                    file.write(b"x")
                with tempfile.NamedTemporaryFile(dir=directory):
                    pass
            (tmp_path / "kept").write_text("a file that is closed is no leak")

        def test_process():
            subprocess.run([sys.executable, "-c", ""], check=True)
    """)
    run("--antiphon-leaks=error").assert_outcomes(passed=5)


TWO = """
import tempfile

def test_it(tmp_path): tempfile.mkdtemp(dir=tmp_path)
def test_asked(tmp_path, antiphon_leak_guard): tempfile.mkdtemp(dir=tmp_path)
"""


@pytest.mark.parametrize(
    ("policy", "warnings", "errors"),
    [("off", 0, 1), ("warn", 1, 1), ("error", 0, 2)],
)
def test_the_option_and_the_fixture(
    pytester: pytest.Pytester, run: Run, policy: str, warnings: int, errors: int
) -> None:
    pytester.makepyfile(TWO)
    result = run(f"--antiphon-leaks={policy}", "-W", "default::pytest.PytestWarning")
    result.assert_outcomes(passed=2, warnings=warnings, errors=errors)
    if warnings:
        result.stdout.fnmatch_lines([
            "*PytestWarning: *::test_it left behind:*",
            "*temporary file: *",
            "*made at *test_the_option_and_the_fixture.py:3",
        ])


def test_a_blocked_loop_is_reported(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import asyncio, time

        async def test_blocking(antiphon_blocked_loop):
            await asyncio.sleep(0)
            time.sleep(0.5)

        async def test_waiting(antiphon_blocked_loop):
            antiphon_blocked_loop.threshold = 60
            await asyncio.sleep(0.01)
    """)
    result = run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*did not turn for*held up by*", "*time.sleep(0.5)*"])
