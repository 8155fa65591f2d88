"""Runners, sites and the stop, over real sockets."""

import asyncio
import logging
import os
import socket
import ssl

import pytest

from antiphon.core.limits import ServerTimeouts
from antiphon.web.app import Application
from antiphon.web.response import Response, StreamResponse
from antiphon.web.runner import AppRunner, BaseRunner, GracefulExit, ServerRunner
from antiphon.web.server import Server
from antiphon.web.sites import NamedPipeSite, SockSite, TCPSite, UnixSite

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(request):
    return Response(text="hello")


def app_with(handler=hello):
    app = Application()
    app.router.add_route("*", "/", handler)
    return app


async def started(runner, host="127.0.0.1"):
    await runner.setup()
    site = TCPSite(runner, host, 0)
    await site.start()
    return site


async def read_response(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line[15:])
    return head, await reader.readexactly(length)


async def ask(port, data=GET):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await read_response(reader)
    finally:
        writer.close()
        await writer.wait_closed()


# --- sites


def test_tcp_site(run):
    async def test():
        runner = AppRunner(app_with())
        site = await started(runner)
        assert site.port > 0
        assert site.name == f"http://127.0.0.1:{site.port}"
        assert runner.sites == {site}
        assert runner.addresses == [("127.0.0.1", site.port)]
        assert (await ask(site.port))[1] == b"hello"
        assert runner.server.requests_count == 1
        await runner.cleanup()
        assert runner.server is None
        assert runner.sites == set()
        with pytest.raises(ConnectionRefusedError):
            await ask(site.port)
        await runner.cleanup()

    run(test)


def test_unix_site_removes_its_file(run, tmp_path):
    path = tmp_path / "s.sock"

    async def test():
        runner = AppRunner(app_with())
        await runner.setup()
        site = UnixSite(runner, path)
        await site.start()
        assert site.name == f"http://unix:{path}:"
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(GET)
        assert (await read_response(reader))[1] == b"hello"
        writer.close()
        await runner.cleanup()

    run(test)
    assert not path.exists()


def test_unix_site_leaves_a_newer_file_of_the_name_alone(run, tmp_path):
    path = tmp_path / "s.sock"

    async def test():
        first, second = AppRunner(app_with()), AppRunner(app_with())
        for runner in (first, second):
            await runner.setup()
            await UnixSite(runner, path).start()
        await first.cleanup()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(GET)
        assert (await read_response(reader))[1] == b"hello"
        writer.close()
        await second.cleanup()

    run(test)


def test_sock_site(run):
    async def test():
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        runner = AppRunner(app_with())
        await runner.setup()
        site = SockSite(runner, sock)
        assert site.name == f"http://127.0.0.1:{port}"
        await site.start()
        assert (await ask(port))[1] == b"hello"
        await runner.cleanup()
        assert sock.fileno() == -1

    run(test)


def test_named_pipes_need_windows(run):
    async def test():
        runner = AppRunner(app_with())
        await runner.setup()
        with pytest.raises(RuntimeError, match="proactor"):
            NamedPipeSite(runner, r"\\.\pipe\x")
        await runner.cleanup()

    run(test)


def test_sites_want_a_runner_that_is_set_up_and_start_once(run):
    async def test():
        runner = AppRunner(app_with())
        with pytest.raises(RuntimeError, match="setup"):
            TCPSite(runner)
        site = await started(runner)
        with pytest.raises(RuntimeError, match="already"):
            await site.start()
        await site.stop()
        with pytest.raises(RuntimeError, match="not registered"):
            await site.stop()
        await runner.cleanup()

    run(test)


def test_an_address_in_use_leaves_nothing_registered(run):
    async def test():
        runner = AppRunner(app_with())
        site = await started(runner)
        with pytest.raises(OSError):
            await TCPSite(runner, "127.0.0.1", site.port).start()
        assert runner.sites == {site}
        await runner.cleanup()

    run(test)


def test_two_processes_may_share_a_port(run):
    async def test():
        runners = [AppRunner(app_with()) for _ in range(2)]
        port = 0
        for runner in runners:
            await runner.setup()
            site = TCPSite(runner, "127.0.0.1", port, reuse_port=True)
            await site.start()
            port = site.port
        for runner in runners:
            await runner.cleanup()

    run(test)


def test_server_runner(run):
    async def test():
        server = Server(hello)
        runner = ServerRunner(server)
        site = await started(runner)
        assert (await ask(site.port))[1] == b"hello"
        assert runner.server is server
        await runner.cleanup()

    run(test)


def test_wrong_arguments():
    with pytest.raises(TypeError, match="Application"):
        AppRunner(hello)
    with pytest.raises(TypeError):
        BaseRunner()

    async def test():
        app = app_with()
        started = []
        app.on_startup.append(started.append)
        with pytest.raises(TypeError, match="nonsense"):
            await AppRunner(app, nonsense=1).setup()
        assert not started, "told before anything starts"

    asyncio.run(test())


# --- life


def test_order_of_life(run):
    order = []

    def note(word):
        async def receiver(app):
            order.append(word)

        return receiver

    async def context(app):
        order.append("enter")
        yield
        order.append("leave")

    async def test():
        app = app_with()
        app.cleanup_ctx.append(context)
        app.on_startup.append(note("startup"))
        app.on_shutdown.append(note("shutdown"))
        app.on_cleanup.append(note("cleanup"))
        runner = AppRunner(app)
        await started(runner)
        assert app.frozen
        with pytest.raises(RuntimeError):
            await runner.setup()
        await runner.cleanup()

    run(test)
    assert order == ["enter", "startup", "shutdown", "leave", "cleanup"] or order == [
        "enter", "startup", "shutdown", "cleanup", "leave",
    ]  # fmt: skip


def test_failed_start_is_cleaned_up(run):
    order = []

    async def context(app):
        order.append("enter")
        yield
        order.append("leave")

    async def fail(app):
        raise KeyError("start")

    async def test():
        app = app_with()
        app.cleanup_ctx.append(context)
        app.on_startup.append(fail)
        runner = AppRunner(app)
        with pytest.raises(KeyError):
            await runner.setup()
        assert runner.server is None
        await runner.cleanup()

    run(test)
    assert order == ["enter", "leave"]


def test_every_phase_runs_whatever_fails(run):
    order = []

    async def shutdown(app):
        order.append("shutdown")
        raise KeyError("shutdown")

    async def cleanup(app):
        order.append("cleanup")
        raise ValueError("cleanup")

    async def test():
        app = app_with()
        app.on_shutdown.append(shutdown)
        app.on_cleanup.append(cleanup)
        runner = AppRunner(app)
        await started(runner)
        with pytest.raises(ExceptionGroup) as caught:
            await runner.cleanup()
        assert {type(exc) for exc in caught.value.exceptions} == {KeyError, ValueError}

    run(test)
    assert order == ["shutdown", "cleanup"]


# --- the stop


def test_request_under_way_is_answered_and_told_that_the_connection_ends(run):
    async def test():
        arrived, go = asyncio.Event(), asyncio.Event()

        async def slow(request):
            arrived.set()
            await go.wait()
            return Response(text="done")

        runner = AppRunner(app_with(slow))
        site = await started(runner)
        answer = asyncio.create_task(ask(site.port))
        await arrived.wait()
        stop = asyncio.create_task(runner.cleanup())
        while runner.sites:
            await asyncio.sleep(0)
        go.set()
        head, body = await answer
        assert body == b"done"
        assert b"connection: close" in head.lower()
        await stop

    run(test)


def test_upload_under_way_goes_on_being_read(run):
    async def test():
        arrived = asyncio.Event()

        async def upload(request):
            arrived.set()
            return Response(text=str(len(await request.read())))

        runner = AppRunner(app_with(upload))
        site = await started(runner)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
        await arrived.wait()
        stop = asyncio.create_task(runner.cleanup())
        while runner.sites:
            await asyncio.sleep(0)
        for _ in range(20):
            writer.write(b"x" * 10_000)
            await writer.drain()
            await asyncio.sleep(0)
        _, body = await read_response(reader)
        assert body == b"200000"
        writer.close()
        await stop

    run(test)


def test_request_whose_first_byte_came_is_served(run):
    async def test():
        runner = AppRunner(app_with())
        site = await started(runner)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(GET)
        await read_response(reader)
        writer.write(GET[:5])
        await writer.drain()
        # The server has read it once it has answered somebody who came later.
        await ask(site.port)
        stop = asyncio.create_task(runner.cleanup())
        while runner.sites:
            await asyncio.sleep(0)
        writer.write(GET[5:])
        head, body = await read_response(reader)
        assert body == b"hello"
        assert b"connection: close" in head.lower()
        assert await reader.read() == b""
        writer.close()
        await stop

    run(test)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_connections_waiting_in_the_listening_socket_are_served(loop):
    async def test():
        runner = AppRunner(app_with())
        site = await started(runner)
        # Connected by the kernel, not accepted by the loop, for that has had no turn since.
        clients = []
        for _ in range(50):
            client = socket.create_connection(("127.0.0.1", site.port))
            client.sendall(GET)
            client.setblocking(False)
            clients.append(client)
        await runner.cleanup()
        loop = asyncio.get_running_loop()
        for client in clients:
            assert b"hello" in await asyncio.wait_for(loop.sock_recv(client, 1000), 5)
            client.close()

    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="accepts one connection a turn").run(test())
    else:
        asyncio.run(test())


def test_idle_connections_do_not_delay_the_stop(run):
    async def test():
        runner = AppRunner(app_with(), shutdown_timeout=3600)
        site = await started(runner)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(GET)
        await read_response(reader)
        await asyncio.wait_for(runner.cleanup(), 5)
        assert await reader.read() == b""
        writer.close()

    run(test)


def test_handlers_are_cancelled_when_the_time_is_up(run, caplog):
    caplog.set_level(logging.INFO, "antiphon.server")
    outcome = []

    async def test():
        arrived = asyncio.Event()

        async def endless(request):
            arrived.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                outcome.append("cancelled")
                raise

        cleaned = []

        async def cleanup(app):
            cleaned.append(True)

        app = app_with(endless)
        app.on_cleanup.append(cleanup)
        runner = AppRunner(app, shutdown_timeout=0.05)
        site = await started(runner)
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(GET)
        await arrived.wait()
        await asyncio.wait_for(runner.cleanup(), 5)
        assert cleaned
        writer.close()

    run(test)
    assert outcome == ["cancelled"]
    assert "1 handler is cancelled" in caplog.text


@pytest.mark.parametrize("ends", [False, True], ids=["cancelled", "ends by itself"])
def test_cleanup_comes_after_shielded_handlers(run, caplog, ends):
    caplog.set_level(logging.INFO, "antiphon.server")
    order = []

    async def test():
        arrived, stopping = asyncio.Event(), asyncio.Event()

        async def work(request):
            arrived.set()
            try:
                await (stopping if ends else asyncio.Event()).wait()
                for _ in range(100):
                    await asyncio.sleep(0)
                order.append("ended")
            except asyncio.CancelledError:
                order.append("cancelled")
                raise
            return Response()

        async def shutdown(app):
            stopping.set()

        async def cleanup(app):
            order.append("cleanup")

        app = Application()
        app.router.add_get("/", work, disconnect="shield")
        app.on_shutdown.append(shutdown)
        app.on_cleanup.append(cleanup)
        runner = AppRunner(app, shutdown_timeout=30 if ends else 0)
        site = await started(runner)
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(GET)
        await arrived.wait()
        await runner.cleanup()
        writer.close()

    run(test)
    assert order == ["ended" if ends else "cancelled", "cleanup"]
    assert ("1 shielded handler is cancelled" in caplog.text) == (not ends)


def test_hurry_cuts_the_wait_short(run):
    async def test():
        arrived = asyncio.Event()

        async def endless(request):
            arrived.set()
            await asyncio.Event().wait()

        runner = AppRunner(app_with(endless), shutdown_timeout=3600)
        site = await started(runner)
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(GET)
        await arrived.wait()
        stop = asyncio.create_task(runner.cleanup())
        while runner.sites:
            await asyncio.sleep(0)
        runner.server.hurry()
        await asyncio.wait_for(stop, 5)
        writer.close()

    run(test)


def test_streams_say_goodbye_at_the_stop(run):
    async def test():
        server = Server(hello)
        runner = ServerRunner(server)
        await started(runner)
        said = []

        async def goodbye():
            said.append(True)

        async def broken():
            raise ConnectionResetError

        server.request_handler.add_stop_callback(goodbye)
        server.request_handler.add_stop_callback(broken)
        await runner.cleanup()
        assert said == [True]

    run(test)


def test_shutdown_signal_that_hangs_is_given_up(run):
    async def test():
        async def hang(app):
            await asyncio.Event().wait()

        app = app_with()
        app.on_shutdown.append(hang)
        runner = AppRunner(app, shutdown_timeout=0.05)
        await started(runner)
        await asyncio.wait_for(runner.cleanup(), 5)

    run(test)


def test_phases_are_logged_with_counts(run, caplog):
    caplog.set_level(logging.INFO, "antiphon.server")

    async def test():
        runner = AppRunner(app_with())
        await started(runner)
        await runner.cleanup()

    run(test)
    assert "1 listening site closed" in caplog.text
    assert "0 requests under way" in caplog.text
    assert "Stopped" in caplog.text


def test_signals_raise_graceful_exit(run):
    assert GracefulExit.code == 1
    assert issubclass(GracefulExit, SystemExit)


def test_early_hints_and_stream_over_a_socket(run):
    async def handler(request):
        await request.send_informational(103, {"Link": "</a.css>"})
        response = StreamResponse()
        response.set_trailers({"X-Sum": "1"})
        await response.prepare(request)
        await response.write(b"abc")
        return response

    async def test():
        runner = AppRunner(app_with(handler))
        site = await started(runner)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(GET.replace(b"Host", b"Connection: close\r\nHost"))
        data = await reader.read()
        assert data.startswith(b"HTTP/1.1 103 ")
        assert b"HTTP/1.1 200 OK" in data
        assert data.endswith(b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
        writer.close()
        await runner.cleanup()

    run(test)


def test_tls(run, tmp_path):
    trustme = pytest.importorskip("trustme", reason="makes the certificate")
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    client = ssl.create_default_context()
    authority.configure_trust(client)

    async def handler(request):
        return Response(text=str(request.url))

    async def test():
        runner = AppRunner(app_with(handler))
        await runner.setup()
        site = TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        assert site.name.startswith("https://")
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", site.port, ssl=client, server_hostname="localhost"
        )
        writer.write(GET)
        assert (await read_response(reader))[1] == b"https://x/"
        writer.close()
        await writer.wait_closed()
        await runner.cleanup()

    run(test)


def test_whoever_does_not_begin_tls_is_cut_off(run):
    async def test():
        runner = AppRunner(app_with(), timeouts=ServerTimeouts(tls_handshake=0.01))
        await runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        site = TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()
        await runner.cleanup()

    run(test)


def test_descriptors_are_back_where_they_were():
    async def test():
        runner = AppRunner(app_with())
        site = await started(runner)
        for _ in range(20):
            await ask(site.port)
        await runner.cleanup()

    asyncio.run(test())
    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(test())
    assert len(os.listdir("/proc/self/fd")) == before
