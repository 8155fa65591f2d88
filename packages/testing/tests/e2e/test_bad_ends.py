"""Requests that end badly, and what is left of them."""

import asyncio
from typing import Any

import pytest

from antiphon import web
from antiphon.client import ClientPayloadError, FormData


@pytest.fixture(params=["memory", "socket"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_handler_that_fails_after_it_began_is_not_asked_twice(
    test_client: Any, transport: str
) -> None:
    calls = []

    async def broken(request: web.Request) -> web.StreamResponse:
        calls.append(request.method)
        if len(calls) == 1:
            return web.Response(text="the connection is used now")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * 100)
        raise ValueError("after the first bytes")

    app = web.Application()
    app.router.add_get("/", broken)
    client = await test_client(app, transport=transport)
    assert (await client.get("/")).status == 200
    response = await client.get("/")
    assert response.status == 200
    with pytest.raises(ClientPayloadError):
        await response.read()
    assert len(calls) == 2


async def test_files_of_a_form_are_closed_with_their_request(
    test_client: Any, transport: str
) -> None:
    files = []

    async def upload(request: web.Request) -> web.Response:
        form = await request.post()
        field = form["file"]
        assert isinstance(field, web.FileField)
        files.append(field.file)
        return web.Response(text=field.file.read().decode())

    app = web.Application()
    app.router.add_post("/", upload)
    client = await test_client(app, transport=transport)
    form = FormData()
    form.add_field("file", b"abc", filename="a.txt")
    response = await client.post("/", data=form)
    assert await response.text() == "abc"
    assert [file.closed for file in files] == [True]


async def test_a_stop_leaves_its_code_on_the_websocket(test_client: Any, transport: str) -> None:
    codes = []

    async def listen(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for _ in ws:
            pass
        codes.append(ws.close_code)
        return ws

    app = web.Application()
    app.router.add_get("/", listen)
    client = await test_client(app, transport=transport)
    ws = await client.ws_connect("/")
    await client.server.close()
    assert (await ws.receive()).data == 1001
    assert codes == [1001]


@pytest.mark.parametrize("half", [True, False], ids=["half-closed", "closed"])
async def test_a_websocket_client_that_just_leaves_is_no_error(
    test_server: Any, caplog: pytest.LogCaptureFixture, half: bool
) -> None:
    """A peer must not be able to write tracebacks into the log."""
    ended = asyncio.Event()

    async def echo(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
        ended.set()
        return ws

    app = web.Application()
    app.router.add_get("/", echo)
    server = await test_server(app)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    if half:
        writer.write_eof()
    else:
        writer.close()
    await ended.wait()
    await server.close()
    writer.close()
    await writer.wait_closed()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
