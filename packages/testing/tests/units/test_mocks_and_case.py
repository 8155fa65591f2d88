"""aiohttp's documented testing API."""

import asyncio
import socket
import ssl
import unittest
from typing import Any

import pytest

from antiphon import web
from antiphon.testing.case import (
    AioHTTPTestCase,
    loop_context,
    setup_test_loop,
    teardown_test_loop,
    unittest_run_loop,
)
from antiphon.testing.client import TestClient
from antiphon.testing.mocks import make_mocked_coro, make_mocked_request
from antiphon.testing.ports import get_port_socket, get_unused_port_socket, unused_port
from antiphon.testing.server import RawTestServer, TestServer


async def hello(request: web.BaseRequest) -> web.Response:
    return web.Response(text="hello")


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    return app


class CaseOfSuccess(AioHTTPTestCase):
    async def get_application(self) -> web.Application:
        return make_app()

    async def test_hello(self) -> None:
        async with self.client.get("/") as response:
            assert await response.text() == "hello"
        assert self.client.app is self.app
        assert self.loop is asyncio.get_running_loop()

    async def check_server(self) -> None:
        assert self.server.started

    with pytest.deprecated_call(match="ANT-0036"):
        test_decorated = unittest_run_loop(check_server)


def outcome(case: type[unittest.TestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


def test_a_case_has_a_client() -> None:
    result = outcome(CaseOfSuccess)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])


def test_a_case_without_an_application_says_so() -> None:
    # In here, so that pytest does not collect it.
    class CaseWithoutApplication(AioHTTPTestCase):
        async def test_never_gets_here(self) -> None:
            raise AssertionError

    result = outcome(CaseWithoutApplication)
    assert "get_application" in result.errors[0][1]


def test_loops_by_hand() -> None:
    with loop_context() as loop:
        assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"
    assert loop.is_closed()
    loop = setup_test_loop()
    task = loop.create_task(asyncio.sleep(1000))
    teardown_test_loop(loop)
    assert task.cancelled()


async def test_mocked_coro() -> None:
    coro = make_mocked_coro(5)
    assert await coro(1, key=2) == 5
    coro.assert_called_once_with(1, key=2)
    with pytest.raises(ValueError, match="wrong"):
        await make_mocked_coro(raise_exception=ValueError("wrong"))()


async def test_mocked_request_is_a_request() -> None:
    app = web.Application()
    app["key"] = "value"
    request = make_mocked_request(
        "GET", "/a/b?c=d", {"X-Field": "f"}, match_info={"name": "n"}, app=app
    )
    assert (request.method, request.path, request.query["c"]) == ("GET", "/a/b", "d")
    assert request.headers["x-field"] == "f"
    assert request.match_info["name"] == "n"
    assert request.app["key"] == "value"
    assert request.scheme == "http"
    assert await request.read() == b""


def test_mocked_request_over_tls() -> None:
    context = ssl.create_default_context()
    request = make_mocked_request("GET", "/", sslcontext=context, closing=True)
    assert request.scheme == "https"
    assert not request.keep_alive


def test_ports() -> None:
    port = unused_port()
    with get_port_socket("127.0.0.1", port, socket.AF_INET) as sock:
        assert sock.getsockname() == ("127.0.0.1", port)
    with get_unused_port_socket("127.0.0.1") as sock:
        assert sock.getsockname()[1] > 0


async def test_a_server_by_hand() -> None:
    server = TestServer(make_app())
    assert not server.started
    with pytest.raises(RuntimeError, match="not started"):
        server.make_url("/")
    async with server:
        assert server.make_url("/x?y=1").path_qs == "/x?y=1"
        with pytest.raises(ValueError, match="path"):
            server.make_url("http://elsewhere/")
        assert server.handler.requests_count == 0
        assert server.server is not None
    assert server.closed
    with pytest.raises(TypeError, match="async with"), server:  # the point is that it raises
        pass


async def test_a_client_starts_and_closes_its_server() -> None:
    server = RawTestServer(hello)
    async with TestClient(server) as client:
        async with client.request("GET", "/") as response:
            assert await response.text() == "hello"
        assert client.app is None
        assert (client.host, client.port, client.scheme) == (server.host, server.port, "http")
    assert server.closed
    await client.close()


async def test_a_client_refuses_what_is_no_server() -> None:
    wrong: Any = object()
    with pytest.raises(TypeError, match="TestServer"):
        TestClient(wrong)


async def test_memory_reaches_nothing_else() -> None:
    from antiphon.client import ClientConnectorError

    async with TestClient(TestServer(make_app(), transport="memory")) as client:
        with pytest.raises(ClientConnectorError, match="in memory only"):
            await client.session.get("http://127.0.0.1:1/")


async def test_a_file_is_sent_through_memory(tmp_path: Any, test_client: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    app = web.Application()

    async def send(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(path.stat().st_size)})
        await response.prepare(request)
        await response.write(path.read_bytes())
        return response

    app.router.add_get("/", send)
    client = await test_client(app, transport="memory")
    async with client.get("/") as response:
        assert await response.read() == path.read_bytes()
