"""Requests that come in one piece: what is here is here when the handler starts, and leaves at once."""

import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from multidict import CIMultiDict

from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.server import HttpServer
from antiphon.core.errors import TransferEncodingError

Run = Callable[["Coroutine[Any, Any, Any]"], Any]
Served = Any  # the fixture's class

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="tasks start within data_received from CPython 3.12 on"
)

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
NONE: CIMultiDict[str] = CIMultiDict()


async def echo(exchange: ServerExchange) -> None:
    body = await exchange.content.read()
    exchange.respond_complete(200, NONE, body, default_fields=False)


def test_content_in_one_piece_is_read_without_waiting(run: Run, served: Served) -> None:
    async def check() -> None:
        connection = served(HttpServer(echo))
        connection.transport.feed(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
        )
        assert connection.transport.written.count(b"\r\n\r\nhello") == 2
        await connection.end()

    run(check())


def test_content_that_breaks_its_framing_is_told_to_the_first_read(
    run: Run, served: Served
) -> None:
    seen: list[BaseException] = []

    async def handler(exchange: ServerExchange) -> None:
        try:
            await exchange.content.read()
        except TransferEncodingError as exc:
            seen.append(exc)
        exchange.respond_complete(400, NONE, b"", default_fields=False)

    async def check() -> None:
        connection = served(HttpServer(handler))
        connection.transport.feed(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
        )
        assert len(seen) == 1
        assert b"Connection: close\r\n" in connection.transport.written
        await connection.end()

    run(check())


def test_content_nobody_asked_for_is_not_sent_for(run: Run, served: Served) -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.respond_complete(417, NONE, b"", default_fields=False)

    async def check() -> None:
        connection = served(HttpServer(handler))
        connection.transport.feed(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.transport.written.startswith(b"HTTP/1.1 417 ")
        await connection.end()

    run(check())


def test_an_informational_response_leaves_with_the_whole_one(run: Run, served: Served) -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.send_informational(103, CIMultiDict({"Link": "</a>"}))
        exchange.respond_complete(200, NONE, b"hi", default_fields=False)

    async def check() -> None:
        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        assert len(connection.transport.writes) == 1
        assert connection.transport.written.startswith(b"HTTP/1.1 103 Early Hints\r\nLink")
        assert connection.transport.written.endswith(b"hi")
        await connection.end()

    run(check())


def test_pieces_of_one_response_leave_together(run: Run, served: Served) -> None:
    async def handler(exchange: ServerExchange) -> None:
        writer = exchange.respond(200, NONE, length=4, default_fields=False)
        await writer.write(b"he")
        await writer.write(b"y")
        await writer.write_eof(b"!")

    async def check() -> None:
        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        assert len(connection.transport.writes) == 1
        assert connection.transport.written.endswith(b"hey!")
        await connection.end()

    run(check())


@pytest.mark.parametrize("wire", [GET, GET * 3], ids=["alone", "pipelined"])
def test_a_handler_that_fails_closes_and_answers_nothing_else(
    run: Run, served: Served, wire: bytes
) -> None:
    async def handler(exchange: ServerExchange) -> None:
        raise LookupError("broken")

    async def check() -> None:
        server = HttpServer(handler)
        connection = served(server)
        connection.transport.feed(wire)
        assert connection.transport.written.count(b"HTTP/1.1 500 ") == 1
        assert server.requests_count == 1
        await connection.end()

    run(check())
