"""Clients that leave, hang, dribble and do not read: each costs itself and nobody else.

What takes many connections, much memory or minutes is in ``tests/faults`` (``nox -s faults``).
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
import sys

import pytest

from antiphon.core.limits import ServerTimeouts
from antiphon.web.app import Application
from antiphon.web.response import Response, StreamResponse
from antiphon.web.runner import AppRunner
from antiphon.web.sites import TCPSite

LIMIT = 30.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Service:
    """An application on loopback, and what its handlers have seen."""

    def __init__(self, runner, port):
        self.runner = runner
        self.port = port
        self.arrived = asyncio.Event()
        self.written = 0
        self.outcomes = asyncio.Queue()

    async def connect(self):
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        return sock

    async def ask(self, data=GET):
        """Send *data*; everything that comes until the end."""
        with await self.connect() as sock:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, data)
            return await read_all(sock)

    async def still_serves(self):
        answer = await self.ask(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert answer.endswith(b"\r\n\r\nhello"), answer

    async def is_rid_of_everybody(self):
        async with asyncio.timeout(LIMIT):
            while self.runner.server.connections:
                await asyncio.sleep(0)


async def read_all(sock):
    loop = asyncio.get_running_loop()
    answer = b""
    async with asyncio.timeout(LIMIT):
        with contextlib.suppress(ConnectionResetError):
            while data := await loop.sock_recv(sock, 65536):
                answer += data
    return answer


@contextlib.asynccontextmanager
async def service(**options):
    app = Application()
    runner = AppRunner(app, shutdown_timeout=0, **options)
    made = Service(runner, 0)

    async def hello(request):
        return Response(text="hello")

    async def upload(request):
        made.arrived.set()
        try:
            await request.read()
        except BaseException as exc:
            made.outcomes.put_nowait(exc)
            raise
        made.outcomes.put_nowait(None)
        return Response(text="got it")

    async def wait(request):
        made.arrived.set()
        await request.disconnected()
        made.outcomes.put_nowait(None)
        return Response(text="late")

    async def endless(request):
        response = StreamResponse()
        try:
            await response.prepare(request)
            made.arrived.set()
            while True:
                await response.write(b"x" * 65536)
                made.written += 65536
        except BaseException as exc:
            made.outcomes.put_nowait(exc)
            raise

    async def slow(request):
        made.arrived.set()
        await made.outcomes.get()
        return Response(text="slow")

    app.router.add_get("/", hello)
    app.router.add_post("/upload", upload)
    app.router.add_get("/wait", wait)
    app.router.add_get("/endless", endless)
    app.router.add_get("/slow", slow)
    await runner.setup()
    try:
        site = TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.port = site.port
        yield made
    finally:
        await runner.cleanup()


def leave(sock, how):
    if how == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


UPLOAD = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"

STAGES = {
    "connected": b"",
    "half a line": b"GE",
    "half a head": b"GET / HTTP/1.1\r\nHost",
    "a head that announces content": UPLOAD,
    "half the content": UPLOAD + b"12345",
    "half a chunk": b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "a request that takes its time": GET.replace(b"/", b"/wait", 1),
    "a response that does not end": GET.replace(b"/", b"/endless", 1),
    "half of the second request": GET + b"GET / HT",
    "pipelined behind one that takes its time": GET.replace(b"/", b"/wait", 1) + GET * 3,
}
HANDLED = {
    name for name in STAGES if name.startswith(("a ", "half the content", "half a chunk", "pipe"))
}


@pytest.mark.parametrize("how", ["close", pytest.param("reset", id="CVE-2022-31015: reset")])
@pytest.mark.parametrize("stage", STAGES)
def test_a_client_that_leaves_is_forgotten_without_a_word(run, caplog, stage, how):
    caplog.set_level(logging.DEBUG)

    async def test():
        async with service() as served:
            sock = await served.connect()
            await asyncio.get_running_loop().sock_sendall(sock, STAGES[stage])
            if stage in HANDLED:
                await asyncio.wait_for(served.arrived.wait(), LIMIT)
            leave(sock, how)
            if stage in HANDLED:
                await asyncio.wait_for(served.outcomes.get(), LIMIT)
            await served.is_rid_of_everybody()
            await served.still_serves()

    run(test)
    told = [r for r in caplog.records if r.levelno > logging.INFO or r.exc_info]
    assert not [(r.levelname, r.getMessage()) for r in told if r.levelno > logging.DEBUG]


def test_a_client_that_ends_its_side_still_gets_its_answer(run):
    async def test():
        async with service() as served:
            with await served.connect() as sock:
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(sock, GET.replace(b"/", b"/slow", 1))
                sock.shutdown(socket.SHUT_WR)
                await asyncio.wait_for(served.arrived.wait(), LIMIT)
                served.outcomes.put_nowait(None)
                answer = await read_all(sock)
            assert answer.endswith(b"slow")

    run(test)


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", UPLOAD[:-2]], ids=["nothing", "half a line", "half a head"]
)
def test_a_client_that_ends_its_side_in_a_head_is_let_go(run, caplog, sent):
    caplog.set_level(logging.INFO)

    async def test():
        async with service() as served:
            with await served.connect() as sock:
                await asyncio.get_running_loop().sock_sendall(sock, sent)
                sock.shutdown(socket.SHUT_WR)
                answer = await read_all(sock)
            assert answer[:12] in {b"", b"HTTP/1.1 400"}
            await served.is_rid_of_everybody()

    run(test)
    assert not [r for r in caplog.records if r.levelno > logging.INFO]


@pytest.mark.parametrize(
    ("first", "rest", "answers"),
    [
        pytest.param(b"", b"", [b""], id="slow-loris: nothing"),
        pytest.param(b"GET / HTTP/1.1\r\n", b"X: y\r\n", [b"408"], id="slow-loris: fields"),
        pytest.param(UPLOAD, b"", [b"408"], id="slow body: nothing"),
    ],
)
def test_slow_clients_are_given_up_while_others_are_served(run, caplog, first, rest, answers):
    """GHSA-5wr8-gcqf-gqf3, CVE-2018-12122."""
    caplog.set_level(logging.INFO)
    timeouts = ServerTimeouts(head=0.5, body_idle=0.5)

    async def slow(served):
        loop = asyncio.get_running_loop()
        with await served.connect() as sock:
            await loop.sock_sendall(sock, first)
            reading = asyncio.ensure_future(read_all(sock))
            # A field now and then does not prolong anything.
            while rest and not reading.done():
                try:
                    await loop.sock_sendall(sock, rest)
                except ConnectionError:
                    break
                await asyncio.wait([reading], timeout=0.1)
            return await reading

    async def test():
        async with service(timeouts=timeouts) as served:
            many = [asyncio.ensure_future(slow(served)) for _ in range(50)]
            while len(served.runner.server.connections) < 50:
                await asyncio.sleep(0)
            await served.still_serves()
            got = {answer[9:12] for answer in await asyncio.gather(*many)}
            assert got == set(answers)
            await served.is_rid_of_everybody()

    run(test)
    assert not [r for r in caplog.records if r.levelno > logging.INFO]


def test_a_reader_that_does_not_read_stops_the_writer_and_is_given_up(run):
    async def test():
        timeouts = ServerTimeouts(write_idle=0.5)
        async with service(timeouts=timeouts) as served:
            with await served.connect() as sock:
                await asyncio.get_running_loop().sock_sendall(
                    sock, GET.replace(b"/", b"/endless", 1)
                )
                outcome = await asyncio.wait_for(served.outcomes.get(), LIMIT)
            assert isinstance(outcome, ConnectionError)
            # What the kernel takes for both ends, and a little.
            assert served.written < 32 * 1024**2
            await served.is_rid_of_everybody()
            await served.still_serves()

    run(test)


def test_handler_errors_and_cancellation_leave_the_others_alone(run, caplog):
    async def test():
        async with service(handler_cancellation=True) as served:
            socks = [await served.connect() for _ in range(20)]
            loop = asyncio.get_running_loop()
            for sock in socks:
                await loop.sock_sendall(sock, GET.replace(b"/", b"/wait", 1))
            async with asyncio.timeout(LIMIT):
                while served.runner.server.active < 20:
                    await asyncio.sleep(0)
            for sock in socks[::2]:
                leave(sock, "reset")
            async with asyncio.timeout(LIMIT):
                while served.runner.server.active > 10:
                    await asyncio.sleep(0)
            await served.still_serves()
            for sock in socks[1::2]:
                sock.close()
            await served.is_rid_of_everybody()

    run(test)
    assert not [r for r in caplog.records if r.levelno > logging.INFO]


SCRIPT = """
import asyncio, resource, sys
from antiphon import web

async def hello(request):
    return web.Response(text="hello")

async def file(request):
    with open(__file__) as opened:  # the application has descriptors left
        return web.Response(text=opened.readline())

app = web.Application()
app.router.add_get("/", hello)
app.router.add_get("/file", file)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
loop = asyncio.new_event_loop()
if sys.argv[1] == "uvloop":
    import uvloop
    loop = uvloop.new_event_loop()
import logging
logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
web.run_app(app, host="127.0.0.1", port=0, loop=loop)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no descriptors there")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_descriptor_exhaustion_is_told_and_passes(tmp_path, loop):
    """Clients hear 503 instead of nothing, the application can still open files, and everything is
    as before once clients have left."""
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="accepts by itself")
    script = tmp_path / "service.py"
    script.write_text(SCRIPT)

    async def ask(port, path="/"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
        return head[9:12], writer

    async def test():
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), loop, stdout=-1, stderr=-1,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            line = (await process.stdout.readline()).decode()
            port = int(line.split(" =====")[0].rpartition(":")[2])
            kept = []
            while True:
                status, writer = await ask(port)
                if status == b"503":
                    break
                kept.append(writer)
                assert len(kept) < 64
            writer.close()
            for _ in range(20):
                status, writer = await ask(port)
                assert status == b"503"
                writer.close()
            # One client leaves, one comes: it is served, and a file can be opened.
            gone = kept.pop()
            gone.close()
            await gone.wait_closed()
            async with asyncio.timeout(LIMIT):
                status = b"503"
                while status == b"503":
                    status, writer = await ask(port, "/file")
                    writer.close()
            assert status == b"200"
            for writer in kept:
                writer.close()
            for writer in kept:
                await writer.wait_closed()
            async with asyncio.timeout(LIMIT):
                more = []
                while len(more) < len(kept) // 2:
                    status, writer = await ask(port)
                    if status == b"200":
                        more.append(writer)
                    else:
                        writer.close()
            for writer in more:
                writer.close()
        finally:
            process.terminate()
            _, told = await process.communicate()
        assert told.count(b"Out of file descriptors") == 1, told.decode()
        assert b"Traceback" not in told
        assert process.returncode == 0

    asyncio.run(test())
