"""TLS in memory is the TLS of sockets."""

import asyncio
import hashlib
import ssl
from typing import Any

import pytest

from antiphon import web
from antiphon.client import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientSession,
    Fingerprint,
    ServerFingerprintMismatch,
)
from antiphon.testing import MemoryConnector, ScriptedServer
from antiphon.testing.faults import FaultPlan, Faults
from antiphon.web.ws import WebSocketResponse

BODY = bytes(range(256)) * 4000


async def tell(request: web.Request) -> web.Response:
    assert request.transport is not None
    tls = request.transport.get_extra_info("ssl_object")
    return web.Response(text=f"{request.scheme} {tls is not None}")


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def talk(request: web.Request) -> WebSocketResponse:
    websocket = WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        await websocket.send_str(str(message.data).upper())
    return websocket


def make_app() -> web.Application:
    app = web.Application(client_max_size=2**22)
    app.router.add_get("/", tell)
    app.router.add_post("/", echo)
    app.router.add_get("/talk", talk)
    return app


@pytest.fixture(params=["memory", "socket"])
def opened(request: pytest.FixtureRequest, test_client: Any, server_tls: ssl.SSLContext) -> Any:
    async def open_client(**server_kwargs: Any) -> Any:
        kwargs = {"ssl": server_tls, **server_kwargs}
        return await test_client(make_app, server_kwargs=kwargs, transport=request.param)

    return open_client


async def test_requests_and_websockets(opened: Any, trusting: ssl.SSLContext) -> None:
    client = await opened()
    assert client.make_url("/").scheme == "https"
    async with client.get("/", ssl=trusting) as response:
        assert await response.text() == "https True"
    async with client.post("/", data=BODY, ssl=trusting) as response:
        assert await response.read() == BODY
    async with client.ws_connect("/talk", ssl=trusting) as websocket:
        await websocket.send_str("hello")
        assert (await websocket.receive(timeout=30)).data == "HELLO"
    assert len(client.server.handler.connections) >= 1


async def test_a_certificate_that_nobody_knows_is_refused(opened: Any) -> None:
    client = await opened()
    with pytest.raises(ClientConnectorCertificateError):
        await client.get("/")


async def test_a_fingerprint_is_compared(opened: Any, server_tls: ssl.SSLContext) -> None:
    client = await opened()
    with pytest.raises(ServerFingerprintMismatch) as caught:
        await client.get("/", ssl=Fingerprint(hashlib.sha256(b"another").digest()))
    async with client.get("/", ssl=Fingerprint(caught.value.got)) as response:
        assert response.status == 200


async def test_one_end_that_does_not_speak_it(
    opened: Any, test_client: Any, trusting: ssl.SSLContext
) -> None:
    client = await opened()
    with pytest.raises(ClientError):
        await client.session.get(client.make_url("/").with_scheme("http"))
    plain = await test_client(make_app, transport=client.server.transport)
    with pytest.raises(ClientConnectorSSLError):
        await plain.session.get(plain.make_url("/").with_scheme("https"), ssl=trusting)


async def test_a_connector_has_a_context_of_its_own(
    server_tls: ssl.SSLContext, trusting: ssl.SSLContext, test_client: Any
) -> None:
    client = await test_client(make_app, server_kwargs={"ssl": server_tls}, transport="memory")
    connector = MemoryConnector(client.server.listener, ssl=trusting)
    async with (
        ClientSession(connector=connector) as session,
        session.get(client.make_url("/")) as response,
    ):
        assert response.status == 200


@pytest.mark.parametrize("kind", ["memory", "socket"])
async def test_a_scripted_server_speaks_it(
    kind: str, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with ScriptedServer(transport=kind, ssl=server_tls) as server:
        connector = None if server.listener is None else MemoryConnector(server.listener)
        async with ClientSession(connector=connector) as session:
            asking = asyncio.create_task(session._request("GET", server.url, ssl=trusting))
            peer = await server.accept()
            await peer.expect_head()
            peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            async with await asking as response:
                assert await response.text() == "ok"


# -- faults are those of the wire: encrypted bytes go wrong


def plan_of(direction: str, **faults: Any) -> FaultPlan:
    wrong = Faults(**faults)
    return FaultPlan(to_server=wrong) if direction == "to_server" else FaultPlan(to_client=wrong)


async def test_records_may_come_byte_by_byte(opened: Any, trusting: ssl.SSLContext) -> None:
    client = await opened(faults=FaultPlan(to_server=Faults(split=7), to_client=Faults(split=1)))
    async with client.post("/", data=b"x" * 500, ssl=trusting) as response:
        assert await response.read() == b"x" * 500


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.parametrize("ending", ["cut_after", "reset_after", "half_close_after"])
async def test_a_handshake_that_breaks_off_is_an_error_of_connecting(
    opened: Any, trusting: ssl.SSLContext, direction: str, ending: str
) -> None:
    client = await opened(faults=plan_of(direction, **{ending: 100}))
    with pytest.raises(ClientConnectorError):
        await client.post("/", data=b"x", ssl=trusting)


@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.parametrize("ending", ["cut_after", "reset_after", "half_close_after"])
async def test_an_exchange_that_breaks_off_is_an_error(
    opened: Any, trusting: ssl.SSLContext, direction: str, ending: str
) -> None:
    client = await opened(faults=plan_of(direction, **{ending: 100_000}))
    with pytest.raises(ClientError):
        await (await client.post("/", data=BODY, ssl=trusting)).read()
