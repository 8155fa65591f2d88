"""The files that the guides show do what the guides say."""

import asyncio
import os
import socket
import subprocess
import sys

import pytest

from antiphon import web
from antiphon.client import (
    ClientConnectorError,
    ClientSession,
    ServerDisconnectedError,
    TCPConnector,
)
from antiphon.testing import ScriptedServer


@pytest.mark.subprocess
def test_the_samples_about_testing_pass(docs):
    folder = docs / "examples/testing"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder,
         "-c", os.devnull, "-p", "no:asyncio", "-p", "no:anyio", folder],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


class TestRetry:
    async def test_a_busy_server_is_asked_again(self, test_client, example):
        statuses = iter([503, 429, 200])
        asked = []

        async def busy(request: web.Request) -> web.Response:
            asked.append(request.method)
            return web.Response(status=next(statuses))

        app = web.Application()
        app.router.add_route("*", "/", busy)
        retry = example("client/retry.py").Retry(pause=0.001)
        client = await test_client(app, middlewares=[retry])
        assert (await client.get("/")).status == 200
        assert asked == ["GET"] * 3

    async def test_work_that_may_be_done_is_not_done_twice(self, example):
        async with ScriptedServer() as server:
            retry = example("client/retry.py").Retry(pause=0.001)
            async with ClientSession(middlewares=[retry]) as session:
                asking = asyncio.create_task(session.post(server.url, data=b"x"))
                peer = await server.accept()
                await peer.expect_head()
                peer.close()
                with pytest.raises(ServerDisconnectedError):
                    await asking

    async def test_what_never_left_is_sent_again_whatever_it_is(
        self, example, unused_port, test_server
    ):
        port = unused_port()
        tries = 0

        async def opening(request, handler):
            nonlocal tries
            tries += 1
            return await handler(request)

        retry = example("client/retry.py").Retry(tries=3, pause=0.001)
        async with ClientSession(middlewares=[retry, opening]) as session:
            with pytest.raises(ClientConnectorError):
                await session.post(f"http://127.0.0.1:{port}/", data=b"x")
        assert tries == 3


async def test_a_refused_token_is_replaced_once_for_all(test_server, example):
    good = "second"
    fetched = []

    async def guarded(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {good}":
            raise web.HTTPUnauthorized
        return web.Response(text="welcome")

    async def fetch() -> str:
        fetched.append(1)
        return "first" if len(fetched) == 1 else "second"

    app = web.Application()
    app.router.add_get("/", guarded)
    server = await test_server(app)
    origin = str(server.make_url("/").origin())
    middleware = example("client/bearer.py").Token(origin, fetch)
    async with ClientSession(middlewares=[middleware]) as session:
        responses = await asyncio.gather(*(session.get(server.make_url("/")) for _ in range(5)))
        assert [response.status for response in responses] == [200] * 5
    assert len(fetched) == 2


async def test_requests_are_logged_with_their_failures(test_client, example, caplog, unused_port):
    module = example("client/logs.py")
    client = await test_client(web.Application(), middlewares=[module.log_requests])
    with caplog.at_level("INFO", logger=module.logger.name):
        await client.get("/nowhere")
        with pytest.raises(ClientConnectorError):
            await client.session.get(f"http://127.0.0.1:{unused_port()}/")
    answered, failed = [record.getMessage() for record in caplog.records]
    assert " 404 " in answered
    assert "failed" in failed


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_only_public_addresses_are_connected_to(example, host):
    async with ClientSession(connector=example("client/vetting.py").vetted_connector()) as session:
        with pytest.raises(ClientConnectorError, match="not public"):
            await session.get(f"http://{host}:1/")


async def test_an_upload_streams_and_tells_its_progress(test_server, example, tmp_path, capsys):
    async def receive(request: web.Request) -> web.Response:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.Response(text=str(size))

    app = web.Application()
    app.router.add_put("/", receive)
    server = await test_server(app)
    file = tmp_path / "large"
    file.write_bytes(bytes(3_000_000))
    sent = await example("howto/upload.py").upload(file, str(server.make_url("/")))
    assert sent == 3_000_000
    assert "%" in capsys.readouterr().err


async def test_one_session_serves_all_requests_of_a_server(test_server, test_client, example):
    peers = set()

    async def upstream(request: web.Request) -> web.Response:
        peers.add(request.get_extra_info("peername"))
        return web.Response(text="from above")

    app = web.Application()
    app.router.add_get("/", upstream)
    server = await test_server(app)
    client = await test_client(
        example("howto/one_session.py").create_app(str(server.make_url("/")))
    )
    for _ in range(3):
        assert await (await client.get("/")).text() == "from above"
    assert len(peers) == 1


async def test_mutual_tls_tells_the_client_by_its_certificate(test_server, example, tmp_path):
    trustme = pytest.importorskip("trustme")
    module = example("howto/mutual_tls.py")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("localhost", "client.example"):
        issued = authority.issue_cert(name)
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        with (tmp_path / f"{name}.pem").open("wb") as file:
            for blob in issued.cert_chain_pems:
                file.write(blob.bytes())
    paths = {
        name: (str(tmp_path / f"{name}.pem"), str(tmp_path / f"{name}.key"))
        for name in ("localhost", "client.example")
    }
    ca = str(tmp_path / "ca.pem")
    server = await test_server(
        module.create_app(), ssl=module.server_context(*paths["localhost"], ca)
    )
    url = f"https://localhost:{server.port}/"
    context = module.client_context(*paths["client.example"], ca)
    connector = TCPConnector(ssl=context, family=socket.AF_INET)
    async with ClientSession(connector=connector) as session, session.get(url) as response:
        assert await response.text() == "client.example"
    assert await module.ask(url, context) == "client.example"


async def test_a_stream_without_end_hears_of_the_stop(test_server, example):
    server = await test_server(example("howto/graceful.py").create_app())
    async with ClientSession() as session:
        assert (await session.get(server.make_url("/-/ready"))).status == 200
        stream = await session.get(server.make_url("/events"))
        assert await stream.content.readline() == b"data: hello\n"
        closing = asyncio.create_task(server.close())
        rest = await stream.text()
        assert rest.strip() == "data: goodbye"
        await closing
