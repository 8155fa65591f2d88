"""A peer that leaves a download is no error of ours, whatever the loop."""

import asyncio
import importlib
import logging
import socket
import tempfile

import pytest
from multidict import CIMultiDict

from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.server import HttpServer

LIMIT = 30.0
SIZE = 64 * 1024 * 1024  # more than two sockets hold


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> asyncio.Runner:
    if request.param == "asyncio":
        return asyncio.Runner()
    pytest.importorskip("uvloop", reason="one of the two loops that are served on")
    return asyncio.Runner(loop_factory=importlib.import_module("uvloop").new_event_loop)


def test_a_download_that_is_cut_ends_with_a_connection_error(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    async def check() -> BaseException:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[BaseException] = loop.create_future()
        begun: asyncio.Future[ServerExchange] = loop.create_future()

        async def handler(exchange: ServerExchange) -> None:
            begun.set_result(exchange)
            with tempfile.TemporaryFile() as file:
                file.truncate(SIZE)
                writer = exchange.respond(200, CIMultiDict(), length=SIZE)
                try:
                    await exchange.sendfile(writer, file, 0, SIZE)
                except BaseException as exc:
                    ended.set_result(exc)
                    raise

        server = HttpServer(handler)
        listener = await loop.create_server(server, "127.0.0.1", 0)
        with socket.socket() as peer:
            peer.setblocking(False)
            await loop.sock_connect(peer, listener.sockets[0].getsockname())
            await loop.sock_sendall(peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            exchange = await begun
            sent, turns = -1, 0
            while turns < 10:  # until it waits for room
                await asyncio.sleep(0)
                turns = turns + 1 if exchange.bytes_sent == sent else 0
                sent = exchange.bytes_sent
            assert 0 < sent < SIZE
            # What the loop does when it hears of a reset before the next write does.
            exchange.abort()
        exc = await asyncio.wait_for(ended, LIMIT)
        listener.close()
        await server.shutdown(LIMIT)
        await listener.wait_closed()
        return exc

    with runner:
        assert isinstance(runner.run(check()), ConnectionError)
    assert not caplog.records
