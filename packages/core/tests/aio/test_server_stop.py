"""A stop knows every handler that runs, also those whose peer has left."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.server import HttpServer

Run = Callable[["Coroutine[Any, Any, Any]"], Any]
Served = Any  # the fixture's class
Turns = Callable[..., "Coroutine[Any, Any, None]"]

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def test_a_stop_waits_for_a_handler_whose_peer_has_left(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go_on = asyncio.Event()
        ended = []

        async def slow(exchange: ServerExchange) -> None:
            await go_on.wait()
            ended.append("handler")

        server = HttpServer(slow)
        connection = served(server)
        connection.transport.feed(GET)
        await turns()
        connection.transport.abort()
        await turns()
        stop = asyncio.ensure_future(server.shutdown(60))
        await turns()
        assert not stop.done()
        go_on.set()
        await stop
        assert ended == ["handler"]
        assert not server.connections

    run(check())


def test_a_stop_cancels_a_handler_whose_peer_has_left(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        ended = []

        async def endless(exchange: ServerExchange) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("handler")

        server = HttpServer(endless)
        connection = served(server)
        connection.transport.feed(GET)
        await turns()
        connection.transport.abort()
        await turns()
        await server.shutdown(0.01)
        assert ended == ["handler"]
        assert not server.connections

    run(check())
