"""Responses that come in one piece: what is not done for them, and that nobody can tell."""

import platform
import subprocess
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from antiphon.core.aio.exchange import Timeline
from antiphon.core.aio.streams import EMPTY_PAYLOAD

Run = Callable[["Coroutine[Any, Any, Any]"], Any]
Asked = Any  # the fixture's class

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_whole_content_is_bytes_and_a_stream(run: Run, asked: Asked) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        connection.transport.feed(OK)
        assert exchange.whole == b"ok"
        stream = exchange.content
        assert stream is exchange.content
        assert stream.is_whole()
        assert stream.total_bytes == 2
        assert await stream.read() == b"ok"
        assert stream.at_eof()
        await connection.end()

    run(check())


@pytest.mark.parametrize(
    ("pieces", "content"),
    [
        pytest.param([OK[:-1], b"k"], b"ok", id="the end comes later"),
        pytest.param([OK[:10], OK[10:]], b"ok", id="the head in two"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
            b"ok",
            id="chunked",
        ),
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], b"", id="length 0"),
        pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], b"", id="no content"),
    ],
)
def test_all_other_content_is_in_its_stream(
    pieces: list[bytes], content: bytes, run: Run, asked: Asked
) -> None:
    async def check() -> None:
        connection = asked()
        exchange = connection.open()
        assert exchange.content is EMPTY_PAYLOAD
        for piece in pieces:
            connection.transport.feed(piece)
        assert not exchange.whole
        assert await exchange.content.read() == content
        await connection.end()

    run(check())


def test_the_hint_is_that_of_the_last_head(run: Run, asked: Asked) -> None:
    async def check() -> None:
        connection = asked()
        hints = []
        for field in (b"Keep-Alive: timeout=5\r\n", b"", b"keep-alive: timeout=7\r\n"):
            for _ in range(2):
                exchange = connection.open()
                connection.transport.feed(b"HTTP/1.1 204 No\r\n" + field + b"\r\n")
                assert exchange.done
                hints.append(connection.protocol.keep_alive_hint)
        assert hints == [5, 5, None, None, 7, 7]
        await connection.end()

    run(check())


def test_who_knows_the_time_is_believed(run: Run, asked: Asked) -> None:
    async def check() -> None:
        connection = asked()
        timeline = Timeline(5.0)
        timeline.head_sent = 6.0
        exchange = connection.open(timeline=timeline)
        assert exchange.last_read == timeline.body_sent == timeline.head_sent == 6.0
        connection.transport.feed(OK)
        timeline = Timeline(5.0)
        connection.open(timeline=timeline)
        assert timeline.head_sent is not None
        assert timeline.head_sent > 6.0
        connection.transport.feed(OK)
        await connection.end()

    run(check())


_FAULTS = """
import asyncio, resource, socket
from antiphon.core.aio.client_protocol import http_client_protocol

async def main():
    http_client_protocol()

asyncio.run(main())
left, right = socket.socketpair()

def receive(count):
    for _ in range(count):
        left.send(b"x")
        right.recv(256 * 1024)  # as a selector loop does it

receive(100)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
receive(1000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.subprocess
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about the GNU C library's malloc")
def test_receiving_maps_no_memory_of_its_own() -> None:
    """Every mapping costs a page fault at its first byte; there was one for every read."""
    said = subprocess.run(
        [sys.executable, "-c", _FAULTS], check=True, capture_output=True, text=True, timeout=60
    )
    assert int(said.stdout) < 300
