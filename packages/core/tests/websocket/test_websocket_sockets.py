"""Both ends over real sockets: from the opening handshake to the end of the connection."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from multidict import CIMultiDict

from antiphon.core.aio.channel import WebSocketChannel
from antiphon.core.aio.client_protocol import http_client_protocol
from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.server import HttpServer
from antiphon.core.http import RequestHead
from antiphon.core.websocket.connection import Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters
from antiphon.core.websocket.handshake import ClientHandshake, check_response, negotiate
from antiphon.core.websocket.models import WSMsgType

Handler = Callable[[WebSocketChannel], Awaitable[object]]


async def connect(handler: Handler, client: Handler, deflate: DeflateParameters | None) -> None:
    """Run *handler* at the server's end of one connection and *client* at the other."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serve(exchange: ServerExchange) -> None:
        answer = negotiate(exchange.head.method, exchange.head.headers, deflate=deflate)
        below = exchange.upgrade(101, answer.headers)
        try:
            await handler(
                WebSocketChannel(below, WebSocketConnection(Role.SERVER, deflate=answer.deflate))
            )
        except BaseException as exc:
            ended.set_exception(exc)
            raise
        ended.set_result(None)

    loop = asyncio.get_running_loop()
    http = HttpServer(serve)
    server = await loop.create_server(http, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, connection = await loop.create_connection(http_client_protocol, "127.0.0.1", port)
    asked = ClientHandshake(deflate=deflate)
    head = RequestHead(
        method="GET",
        target="/",
        authority=f"127.0.0.1:{port}",
        headers=CIMultiDict(asked.headers()),
        upgrade="websocket",
    )
    exchange = connection.open(head)
    response = await exchange.response()
    _, agreed = check_response(asked, response.code, response.headers)
    assert agreed == deflate
    ws = WebSocketConnection(Role.CLIENT, deflate=agreed)
    await client(WebSocketChannel(exchange.upgrade(), ws))
    await ended
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("deflate", [None, DeflateParameters()], ids=["plain", "deflate"])
def test_echo_of_small_and_large_messages(deflate: DeflateParameters | None) -> None:
    sent: list[str | bytes] = ["x", "ä" * 100_000, b"", bytes(range(256)) * 8000]

    async def echo(ws: WebSocketChannel) -> None:
        while (message := await ws.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
            if message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                ws.send_bytes(message.data)
        assert ws.close_code == 4000
        assert ws.close_reason == "enough"

    async def client(ws: WebSocketChannel) -> None:
        for data in sent:
            if isinstance(data, str):
                ws.send_str(data)
            else:
                ws.send_bytes(data)
        for data in sent:
            assert (await ws.receive(30)).data == data
        assert await ws.close(4000, "enough")
        assert ws.close_code == 4000

    asyncio.run(asyncio.wait_for(connect(echo, client, deflate), 60))


def test_a_server_that_reads_nothing_stops_a_client() -> None:
    """Reading stops at the queue's limit, TCP passes that on, and awaited sends wait."""
    sent = 0

    async def main() -> None:
        stuck = asyncio.Event()

        async def handler(ws: WebSocketChannel) -> None:
            await stuck.wait()
            for _ in range(sent):
                message = await ws.receive(30)
                assert message.type is WSMsgType.BINARY
                assert len(message.data) == 1 << 20
            assert (await ws.receive(30)).type is WSMsgType.CLOSE

        async def client(ws: WebSocketChannel) -> None:
            nonlocal sent
            while not ws.write_paused:
                sent += 1
                sending = asyncio.ensure_future(ws.send_bytes(bytes(1 << 20)))
                done, _ = await asyncio.wait([sending], timeout=1)
                assert sent < 200
                if not done:
                    break
            stuck.set()
            await sending
            await ws.close()

        await asyncio.wait_for(connect(handler, client, None), 60)

    asyncio.run(main())
    assert sent > 8
