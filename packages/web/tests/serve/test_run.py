"""`run_app` and the command line, as processes of their own."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

from antiphon.web.cli import main

SERVICE = """
import asyncio, os, sys
from antiphon import web
from antiphon.web import Application, Response, run_app

async def hello(request):
    return Response(text="hello")

async def slow(request):
    print("arrived", flush=True)
    await asyncio.sleep(float(request.query["s"]))
    return Response(text="slow")

async def stop(request):
    raise web.GracefulExit

async def soon(request):
    await asyncio.sleep(0.001)
    return Response(text="soon")

async def stop_later(request):
    await asyncio.sleep(0)
    raise web.GracefulExit

async def cleanup(app):
    print("cleaned up", flush=True)

def make():
    app = Application()
    app.router.add_get("/", hello)
    app.router.add_get("/slow", slow)
    app.router.add_get("/soon", soon)
    app.router.add_get("/stop", stop)
    app.router.add_get("/stop-later", stop_later)
    app.on_cleanup.append(cleanup)
    return app

async def amake():
    return make()

def with_arguments(argv):
    print("arguments", argv, flush=True)
    return make()

def say(text):
    print(text, flush=True)

app = make()
number = 5

def gives_number():
    return 5

async def agives_number():
    return 5

def needs_two(a, b):
    return make()

def needs_keyword(*, a):
    return make()

class Page(web.View):
    pass

async def no_database(app):
    raise ConnectionRefusedError(111, "no database")

fails = make()
fails.on_startup.append(no_database)
"""


@pytest.fixture
def service(tmp_path):
    (tmp_path / "service.py").write_text(SERVICE)
    return tmp_path


class Process:
    """A running server."""

    def __init__(self, directory, *arguments, **environment):
        self.process = subprocess.Popen(
            [sys.executable, *arguments], cwd=directory, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment},
        )  # fmt: skip

    def expect(self, part):
        """Read output up to a line with *part*."""
        for line in self.process.stdout:
            if part in line:
                return line
        raise AssertionError(f"no {part!r}; standard error: {self.process.stderr.read()}")

    def end(self, number=None):
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def start(service):
    processes = []

    def start_(*arguments, **environment):
        processes.append(Process(service, *arguments, **environment))
        return processes[-1]

    yield start_
    for process in processes:
        process.close()


def run_app_script(arguments):
    return textwrap.dedent(f"""
        from service import *
        run_app({arguments}, print=say)
    """)


def port_of(line):
    return int(line.rstrip(" =\n").rpartition(":")[2])


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def get(port, path="/"):
    with connect(port) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return read_all(client)


def read_all(client):
    data = b""
    while block := client.recv(65536):
        data += block
    return data


@pytest.mark.parametrize("app", ["app", "amake()"], ids=["application", "coroutine"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_a_signal(start, app, number):
    process = start("-c", run_app_script(f"{app}, host='127.0.0.1', port=0"))
    port = port_of(process.expect("Running on"))
    assert b"hello" in get(port)
    code, out, err = process.end(number)
    assert code == 0, err
    assert "cleaned up" in out
    # Not even the access log: logging is for the program to set up.
    assert err == ""


def test_request_under_way_survives_a_signal(start):
    process = start("-c", run_app_script("app, host='127.0.0.1', port=0"))
    port = port_of(process.expect("Running on"))
    with connect(port) as client:
        client.sendall(b"GET /slow?s=0.5 HTTP/1.1\r\nHost: x\r\n\r\n")
        process.expect("arrived")
        process.process.send_signal(signal.SIGTERM)
        answer = read_all(client)
    assert answer.endswith(b"slow")
    assert b"connection: close" in answer.lower()
    code, out, _ = process.end()
    assert code == 0
    assert "cleaned up" in out


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_stop_under_load_loses_no_request(start, loop):
    """Clients that keep their connections alive learn of the stop by an answer."""
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="one of the two loops")
    script = f"""
        import {loop} as loops
        from antiphon.core.limits import ServerTimeouts
        from service import *
        # A stop ends as soon as every client was told, however slow they are.
        run_app(
            app, host="127.0.0.1", port=0, print=say, loop=loops.new_event_loop(),
            access_log=None, timeouts=ServerTimeouts(stop_idle=3600),
        )
    """
    process = start("-c", textwrap.dedent(script))
    port = port_of(process.expect("Running on"))
    warm = threading.Barrier(21)
    ends = []

    def client(number):
        asked = answered = 0
        path = "/soon" if number % 2 else "/"
        with connect(port) as peer:
            peer.settimeout(60)
            while True:
                peer.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                asked += 1
                answer = b""
                while not answer.endswith((b"hello", b"soon")):
                    data = peer.recv(65536)
                    if not data:
                        ends.append((asked, answered))
                        return
                    answer += data
                answered += 1
                if answered == 5:
                    warm.wait(60)
                if b"Connection: close" in answer:
                    ends.append((asked, answered))
                    return

    clients = [threading.Thread(target=client, args=(number,)) for number in range(20)]
    for thread in clients:
        thread.start()
    warm.wait(60)
    process.process.send_signal(signal.SIGTERM)
    for thread in clients:
        thread.join(60)
    assert len(ends) == 20
    assert all(asked == answered for asked, answered in ends), ends
    code, out, _ = process.end()
    assert code == 0
    assert "cleaned up" in out


def test_second_signal_is_immediate_and_cleans_up(start):
    process = start("-c", run_app_script("app, host='127.0.0.1', port=0, shutdown_timeout=3600"))
    port = port_of(process.expect("Running on"))
    with connect(port) as client:
        client.sendall(b"GET /slow?s=3600 HTTP/1.1\r\nHost: x\r\n\r\n")
        process.expect("arrived")
        process.process.send_signal(signal.SIGTERM)
        # The listening socket is closed once the first signal was taken.
        while True:
            try:
                connect(port).close()
            except OSError:
                break
        code, out, err = process.end(signal.SIGTERM)
    assert code == 0, err
    assert "cleaned up" in out


def test_graceful_exit_raised_in_a_handler_stops(start):
    process = start("-c", run_app_script("app, host='127.0.0.1', port=0"))
    port = port_of(process.expect("Running on"))
    get(port, "/stop")
    code, out, _ = process.end()
    assert code == 0
    assert "cleaned up" in out


def test_several_addresses(start, tmp_path):
    path = tmp_path / "s.sock"
    process = start(
        "-c", run_app_script(f"app, host=['127.0.0.1', '127.0.0.2'], port=0, path={str(path)!r}")
    )
    line = process.expect("Running on")
    assert "unix:" in line
    assert "127.0.0.1" in line
    assert "127.0.0.2" in line
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"hello" in read_all(client)
    assert process.end(signal.SIGTERM)[0] == 0
    assert not path.exists()


def test_all_interfaces_are_of_both_families(start):
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as probe:
            port = probe.getsockname()[1]
    except OSError:
        pytest.skip("there is no IPv6 here")
    process = start("-c", run_app_script(f"app, port={port}"))
    process.expect("Running on")
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, port), timeout=30) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"hello" in read_all(client)
    assert process.end(signal.SIGTERM)[0] == 0


def test_the_access_log_of_the_command_line_is_on_by_default(start):
    process = start(
        "-m", "antiphon.web", "service:app", "-H", "127.0.0.1", "-P", "0", PYTHONUNBUFFERED="1"
    )
    port = port_of(process.expect("Running on"))
    get(port)
    assert '"GET / HTTP/1.1" 200 ' in process.expect("GET")
    with connect(port) as client:
        client.sendall(b"\x16\x03\x01 no request\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 400 ")
    assert '"-" 400 ' in process.expect("400")
    code, _, err = process.end(signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in err


def test_run_app_shows_the_access_log_in_debug_mode(start):
    """As aiohttp does; else it is for the program to set logging up."""
    script = """
        from service import *
        loop = asyncio.new_event_loop()
        loop.set_debug(True)
        run_app(app, host="127.0.0.1", port=0, print=say, loop=loop)
    """
    process = start("-c", textwrap.dedent(script))
    get(port_of(process.expect("Running on")))
    code, _, err = process.end(signal.SIGTERM)
    assert code == 0
    assert "GET / HTTP/1.1" in err


def test_sockets_passed_by_systemd(start):
    """sd_listen_fds(3): descriptors from 3 on, if LISTEN_PID is this process."""
    script = """
        import os, socket
        passed = socket.socket(); passed.bind(("127.0.0.1", 0)); passed.listen()
        if passed.fileno() != 3:
            os.dup2(passed.fileno(), 3)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
        from service import *
        run_app(app, print=say)
    """
    process = start("-c", textwrap.dedent(script))
    line = process.expect("Running on")
    assert "127.0.0.1" in line
    assert b"hello" in get(port_of(line))
    assert process.end(signal.SIGTERM)[0] == 0


def test_failed_start_ends_the_process_cleaned_up(start):
    script = """
        from service import *
        async def fail(app): raise KeyError("start")
        app.on_startup.append(fail)
        run_app(app, print=say)
    """
    code, out, err = start("-c", textwrap.dedent(script)).end()
    assert code == 1
    assert "KeyError: 'start'" in err
    assert "cleaned up" in out


def test_loop_argument(start):
    script = """
        import warnings; warnings.simplefilter("ignore")
        from service import *
        loop = asyncio.new_event_loop()
        app = Application(loop=loop)
        app.router.add_get("/", hello)
        async def check(app): say("same " + str(asyncio.get_running_loop() is loop))
        app.on_startup.append(check)
        run_app(app, host="127.0.0.1", port=0, print=say)
        say("closed " + str(loop.is_closed()))
    """
    process = start("-c", textwrap.dedent(script))
    process.expect("same True")
    process.expect("Running on")
    assert "closed True" in process.end(signal.SIGTERM)[1]


# --- the command line


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
@pytest.mark.parametrize("entry", ["service:app", "service:make", "service:amake"])
def test_command_line(start, entry, loop):
    process = start(
        "-W", "error", "-m", "antiphon.web", entry, "-H", "127.0.0.1", "-P", "0", "--loop", loop,
        "--access-log", "json", PYTHONUNBUFFERED="1",
    )  # fmt: skip
    port = port_of(process.expect("Running on"))
    assert b"hello" in get(port)
    assert '"status": 200' in process.expect('"target": "/"')
    code, out, err = process.end(signal.SIGTERM)
    assert code == 0, err
    assert "cleaned up" in out


def test_arguments_of_a_factory(start):
    process = start(
        "-m", "antiphon.web", "-H", "127.0.0.1", "-P", "0", "service:with_arguments", "a", "b",
        PYTHONUNBUFFERED="1",
    )  # fmt: skip
    process.expect("arguments ['a', 'b']")
    process.expect("Running on")
    assert process.end(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "required: module:name", id="no entry"),
        pytest.param(["service"], "not of the form module:name", id="no name"),
        pytest.param([":app"], "not of the form", id="no module"),
        pytest.param([".service:app"], "relative", id="relative"),
        pytest.param(["nowhere_at_all:app"], "no module 'nowhere_at_all'", id="no such module"),
        pytest.param(["service:nothing"], "no attribute 'nothing'", id="no such name"),
        pytest.param(["service:number"], "neither an Application", id="a number"),
        pytest.param(["service:gives_number"], "gave int", id="factory of a number"),
        pytest.param(["service:agives_number"], "gave int", id="async factory of a number"),
        pytest.param(["service:hello"], "it is a handler", id="handler"),
        pytest.param(["service:Page"], "it is a handler", id="view"),
        pytest.param(["service:needs_two"], "other arguments", id="factory of two arguments"),
        pytest.param(["service:needs_keyword"], "other arguments", id="factory of a keyword"),
        pytest.param(["service:app", "-P", "65536"], "no port", id="port too large"),
        pytest.param(["service:app", "-P", "x"], "no port", id="port no number"),
        pytest.param(["service:app", "-P", "٣"], "no port", id="non-ASCII digits"),
        pytest.param(["service:app", "--shutdown-timeout", "-1"], "seconds", id="negative time"),
        pytest.param(["service:app", "--prot", "1"], "--prot", id="mistyped option"),
        pytest.param(["service:app", "extra"], "extra", id="arguments for an application"),
        pytest.param(["service:app", "--tls-key", "x"], "needs --tls-cert", id="key alone"),
        pytest.param(["service:app", "--tls-cert", "/nowhere"], "cannot use", id="no certificate"),
        pytest.param(["service:app", "--access-log-format", "%q"], "%q", id="log format"),
        pytest.param(["service:app", "--loop", "trio"], "invalid choice", id="loop"),
    ],
)
def test_wrong_arguments_are_told(service, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(service)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "service", raising=False)
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield str(listener.getsockname()[1])


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
def test_port_in_use_is_told(start, taken, loop):
    code, out, err = start(
        "-m", "antiphon.web", "service:app", "-H", "127.0.0.1", "-P", taken, "--loop", loop
    ).end()
    assert code == 1
    assert f"cannot listen on 127.0.0.1, port {taken}: Address already in use" in err
    assert "Traceback" not in err
    assert "cleaned up" in out
    # Nothing was served, so nothing is stopped.
    assert "Stopping" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["-H", "host.invalid"], "host.invalid, port 8080", id="host"),
        pytest.param(["-U", "/nowhere/s"], "socket /nowhere/s: No such file", id="path"),
    ],
)
def test_addresses_that_cannot_be_had_are_told(start, arguments, said):
    code, out, err = start("-m", "antiphon.web", "service:app", *arguments).end()
    assert code == 1
    assert "cannot listen on" in err
    assert said in err
    assert "Traceback" not in err
    assert "cleaned up" in out


def test_an_os_error_of_the_application_is_its_own(start):
    code, _, err = start("-m", "antiphon.web", "service:fails").end()
    assert code == 1
    assert "Traceback" in err
    assert "no database" in err
    assert "cannot listen" not in err


def test_run_app_on_a_port_in_use(start, taken):
    script = f"""
        from service import *
        try:
            run_app(app, host=["127.0.0.2", "127.0.0.1"], port={taken}, print=say)
        except OSError as exc:
            say(f"{{exc.errno == __import__('errno').EADDRINUSE}} {{exc}}")
    """
    code, out, err = start("-c", textwrap.dedent(script)).end()
    assert code == 0, err
    assert f"True [Errno 98] cannot listen on 127.0.0.1, port {taken}" in out
    assert "cleaned up" in out
    assert "Running on" not in out


@pytest.mark.parametrize(("loop", "path"), [("auto", "/stop"), ("asyncio", "/stop-later")])
def test_graceful_exit_leaves_every_loop(start, loop, path):
    """uvloop keeps to itself what is raised while bytes come."""
    process = start(
        "-m", "antiphon.web", "service:app", "-H", "127.0.0.1", "-P", "0", "--loop", loop,
        PYTHONUNBUFFERED="1",
    )  # fmt: skip
    port = port_of(process.expect("Running on"))
    with connect(port) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert not read_all(client)
    code, out, err = process.end()
    assert code == 0
    assert "cleaned up" in out
    assert "Traceback" not in err
