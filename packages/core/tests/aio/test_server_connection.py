"""One connection of a server: what is answered, in which order, and when it ends."""

import asyncio
import gc
import gzip
import re
import sys
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from multidict import CIMultiDict

from antiphon.core.aio.exchange import ContentOptions, ServerExchange
from antiphon.core.aio.server import HttpServer
from antiphon.core.aio.streams import EMPTY_PAYLOAD
from antiphon.core.errors import (
    ContentEncodingError,
    ContentLengthError,
    LocalProtocolError,
    TransferEncodingError,
)
from antiphon.core.limits import ServerTimeouts

Run = Callable[["Coroutine[Any, Any, Any]"], Any]
Served = Any  # the fixture's class
Turns = Callable[..., "Coroutine[Any, Any, None]"]

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

eager = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="tasks start within data_received from CPython 3.12 on"
)


def fields(**values: str) -> CIMultiDict[str]:
    return CIMultiDict({name.replace("_", "-"): value for name, value in values.items()})


async def echo(exchange: ServerExchange) -> None:
    """Answer with method, path and content."""
    status = 200 if exchange.error is None else exchange.error.status
    body = b"" if exchange.error is not None else await exchange.content.read()
    head = exchange.head
    exchange.respond_complete(
        status, CIMultiDict(), f"{head.method} {head.path} ".encode() + body, default_fields=False
    )


def bodies(wire: bytes) -> list[bytes]:
    """The content of each response with a Content-Length."""
    out = []
    while wire:
        head, _, rest = wire.partition(b"\r\n\r\n")
        match = re.search(rb"Content-Length: (\d+)", head)
        size = int(match[1]) if match else 0
        out.append(rest[:size])
        wire = rest[size:]
    return out


def statuses(wire: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d\d\d) ", wire)]


# --------------------------------------------------------------------- requests and answers


@pytest.mark.parametrize(
    ("wire", "answers", "closes"),
    [
        pytest.param(GET, [b"GET / "], False, id="HTTP/1.1 stays open"),
        pytest.param(GET * 3, [b"GET / "] * 3, False, id="pipelined"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", [b"GET / "], True, id="HTTP/1.0 closes"),
        pytest.param(
            b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [b"GET / "], False,
            id="HTTP/1.0 keep-alive",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", [b"GET / "], True, id="close"
        ),
        pytest.param(
            b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + GET,
            [b"POST /a abc", b"GET / "], False, id="content by length",
        ),
        pytest.param(
            b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: 1\r\n\r\n" + GET,
            [b"POST /a abc", b"GET / "], False, id="content in chunks",
        ),
    ],
)  # fmt: skip
def test_requests_get_their_answers_however_they_are_cut(
    wire: bytes, answers: list[bytes], closes: bool, run: Run, served: Served, turns: Turns
) -> None:
    async def check(pieces: list[bytes]) -> None:
        connection = served(HttpServer(echo))
        for piece in filter(None, pieces):
            connection.transport.feed(piece)
            await turns(2)
        await turns()
        assert bodies(connection.transport.written) == answers
        assert connection.transport.closed is closes
        assert (b"Connection: close" in connection.transport.written) is closes
        await connection.end()

    async def every_cut() -> None:
        for cut in range(len(wire)):
            await check([wire[:cut], wire[cut:]])
        await check([bytes([byte]) for byte in wire])

    run(every_cut())


def test_a_thousand_pipelined_requests_in_one_segment(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        server = HttpServer(echo)
        connection = served(server)
        wire = b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(1000))
        connection.transport.feed(wire)
        assert len(bodies(connection.transport.written)) < 1000, "the loop gets a turn in between"
        while server.requests_count < 1000 or server.active:
            await turns(1)
        assert bodies(connection.transport.written) == [b"GET /%d " % n for n in range(1000)]
        assert server.requests_count == 1000
        await connection.end()

    run(check())


@eager
def test_sixteen_pipelined_requests_are_answered_in_one_write(run: Run, served: Served) -> None:
    async def check() -> None:
        connection = served(HttpServer(echo))
        connection.transport.feed(GET * 16)
        assert len(connection.transport.writes) == 1
        await connection.end()

    run(check())


def test_a_handler_that_does_not_wait_is_done_within_data_received(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        owners = []

        async def handler(exchange: ServerExchange) -> None:
            owners.append((exchange.task, asyncio.current_task()))
            await echo(exchange)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns(2)
        assert bodies(connection.transport.written) == [b"GET / "]
        assert owners[0][0] is owners[0][1] is not None
        await connection.end()

    run(check())


def test_pipelined_requests_wait_for_their_turn_unparsed(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go = asyncio.Event()
        seen: list[str] = []

        async def handler(exchange: ServerExchange) -> None:
            seen.append(exchange.head.path)
            await go.wait()
            await echo(exchange)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET + GET.replace(b"/", b"/2", 1))
        await turns()
        assert seen == ["/"]
        go.set()
        await turns()
        assert seen == ["/", "/2"]
        await connection.end()

    run(check())


def test_cve_2026_54273_pipelined_bytes_are_bounded(run: Run, served: Served, turns: Turns) -> None:
    """CVE-2026-54273: requests that nobody answers yet must not pile up."""

    async def check() -> None:
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            await go.wait()
            await echo(exchange)

        connection = served(HttpServer(handler))
        transport = connection.transport
        fed = 0
        while transport.reading:
            transport.feed(GET * 100)
            await turns(1)
            fed += 100
            assert fed * len(GET) < 200_000
        assert connection.protocol.connection.buffered < 100_000
        go.set()
        while connection.server.requests_count < fed or connection.server.active:
            await turns(1)
        assert transport.reading
        assert len(bodies(transport.written)) == fed
        await connection.end()

    run(check())


def test_a_bad_request_does_not_discard_the_good_ones_before_it(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            await go.wait()
            await echo(exchange)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET * 2 + b"GET  / HTTP/1.1\r\n\r\n" + GET)
        go.set()
        await turns(20)
        wire = connection.transport.written
        assert statuses(wire) == [200, 200, 400]
        assert wire.count(b"Connection: close") == 1
        assert connection.transport.eof_written, "what follows a bad request is never parsed"
        await connection.end()

    run(check())


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", 400, id="bare LF"),
        pytest.param(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, id="version"),
        pytest.param(b"GET /" + b"a" * 9000, 414, id="target too long"),
        pytest.param(b"GET / HTTP/1.1\r\nA: " + b"a" * 9000, 431, id="field too long"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501, id="coding"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\nContent-Length: 1\r\n\r\n", 417,
            id="expectation",
        ),
    ],
)  # fmt: skip
def test_bad_requests_are_exchanges_with_an_error(
    wire: bytes, status: int, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        errors = []

        async def handler(exchange: ServerExchange) -> None:
            assert exchange.error is not None
            errors.append(exchange.error.status)
            assert exchange.content is EMPTY_PAYLOAD
            await echo(exchange)

        connection = served(HttpServer(handler))
        connection.transport.feed(wire)
        await turns()
        assert errors == [status]
        assert statuses(connection.transport.written) == [status]
        assert b"Connection: close" in connection.transport.written
        assert connection.transport.eof_written or connection.transport.closed
        await connection.end()

    run(check())


def test_default_fields_are_written_where_they_lack(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            own = fields(Server="mine") if exchange.head.path == "/own" else fields()
            exchange.respond_complete(204, own, b"")

        connection = served(HttpServer(handler, server_software="theirs"))
        connection.transport.feed(GET)
        await turns(2)
        first = connection.transport.take()
        connection.transport.feed(GET.replace(b"/", b"/own", 1))
        await turns(2)
        second = connection.transport.take()
        assert first.count(b"\r\nServer: theirs\r\n") == first.count(b"\r\nDate: ") == 1
        assert second.count(b"Server: mine") == second.count(b"Server:") == 1
        await connection.end()

    run(check())


def test_a_second_answer_is_refused(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        refused: list[str] = []

        async def handler(exchange: ServerExchange) -> None:
            before = exchange.responding
            exchange.respond_complete(200, fields(), b"x")
            assert (before, exchange.responding) == (False, True)
            with pytest.raises(LocalProtocolError) as caught:
                exchange.respond(200, fields())
            refused.append(str(caught.value))
            with pytest.raises(LocalProtocolError) as caught:
                exchange.respond_complete(200, fields(), b"")
            refused.append(str(caught.value))

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns(2)
        assert len(refused) == 2
        assert statuses(connection.transport.written) == [200]
        await connection.end()

    run(check())


def test_forbidden_bytes_leave_the_exchange_open(run: Run, served: Served, turns: Turns) -> None:
    """CVE-2026-34519, CVE-2026-34520: neither reason nor fields can split the response."""

    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            with pytest.raises(ValueError, match="Control"):
                exchange.respond_complete(200, fields(A="b\r\nC: d"), b"")
            with pytest.raises(ValueError, match="Control"):
                exchange.respond(200, fields(), reason="a\r\nb")
            exchange.respond_complete(200, fields(), b"ok")

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns(2)
        assert bodies(connection.transport.written) == [b"ok"]
        await connection.end()

    run(check())


# --------------------------------------------------------------------- streamed answers


def test_head_and_first_content_leave_together(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        sent: list[int] = []

        async def handler(exchange: ServerExchange) -> None:
            writer = exchange.respond(200, fields(), length=4)
            await writer.write(b"ab")
            await writer.write_eof(b"cd")
            sent.append(exchange.bytes_sent)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns(4)
        assert connection.transport.writes[0].startswith(b"HTTP/1.1 200 OK")
        assert b"\r\n\r\nab" in connection.transport.writes[0]
        assert connection.transport.written.endswith(b"\r\n\r\nabcd")
        assert sent == [len(connection.transport.written)]
        await connection.end()

    run(check())


def test_a_head_leaves_by_itself_when_no_content_follows_soon(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            writer = exchange.respond(200, fields())
            await go.wait()
            await writer.write_eof(b"late")

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns(3)
        assert statuses(connection.transport.written) == [200]
        go.set()
        await turns(3)
        assert connection.transport.written.endswith(b"4\r\nlate\r\n0\r\n\r\n")
        await connection.end()

    run(check())


@pytest.mark.parametrize(
    ("request_line", "length", "head", "tail", "closes"),
    [
        (b"GET / HTTP/1.1", None, b"Transfer-Encoding: chunked", b"2\r\nab\r\n0\r\n\r\n", False),
        (b"GET / HTTP/1.1", 2, b"Content-Length: 2", b"\r\n\r\nab", False),
        (b"GET / HTTP/1.0", None, b"Connection: close", b"\r\n\r\nab", True),
        (b"HEAD / HTTP/1.1", 2, b"Content-Length: 2", b"\r\n\r\n", False),
        (b"HEAD / HTTP/1.1", None, b"200 OK", b"\r\n\r\n", False),
    ],
    ids=["chunked", "length", "until close", "HEAD with length", "HEAD without"],
)
def test_framing_of_streamed_answers(
    request_line: bytes, length: int | None, head: bytes, tail: bytes, closes: bool,
    run: Run, served: Served, turns: Turns,
) -> None:  # fmt: skip
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            writer = exchange.respond(200, fields(), length=length, default_fields=False)
            await writer.write(b"ab")
            await writer.write_eof()
            await writer.write_eof()
            assert writer.length in {0, None}

        connection = served(HttpServer(handler))
        connection.transport.feed(request_line + b"\r\nHost: h\r\n\r\n")
        await turns(4)
        assert head in connection.transport.written
        assert connection.transport.written.endswith(tail)
        assert connection.transport.closed is closes
        await connection.end()

    run(check())


@pytest.mark.parametrize("content", [b"too long", b"a"])
def test_content_of_another_size_than_announced_ends_the_connection(
    content: bytes, run: Run, served: Served, turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            writer = exchange.respond(200, fields(), length=3)
            await writer.write_eof(content)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns()
        assert connection.transport.closed
        assert not connection.transport.written.endswith(b"too long")
        assert "Content is" in caplog.text

    run(check())


def test_writing_waits_for_a_peer_that_does_not_read(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        written = 0

        async def handler(exchange: ServerExchange) -> None:
            nonlocal written
            writer = exchange.respond(200, fields())
            for _ in range(1000):
                await writer.write(b"x" * 10_000)
                written += 10_000
            await writer.write_eof()

        connection = served(HttpServer(handler))
        transport = connection.transport
        transport.blocked = True
        transport.feed(GET)
        await turns(50)
        assert written < 200_000, "10 MB must not pile up"
        before = written
        transport.sent(1 << 20)
        await turns(50)
        assert written > before
        while connection.server.active:
            transport.sent(1 << 20)
            await turns(2)
        assert written == 10_000_000
        await connection.end()

    run(check())


def test_a_client_that_pipelines_and_does_not_read_is_not_answered_without_end(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            exchange.respond_complete(200, fields(), b"x" * 10_000)

        connection = served(HttpServer(handler))
        transport = connection.transport
        transport.blocked = True
        transport.feed(GET * 500)
        await turns(50)
        assert transport.unsent < 1_000_000
        assert connection.server.requests_count < 100
        while connection.server.requests_count < 500:
            transport.sent(1 << 20)
            await turns(1)
        await connection.end()

    run(check())


def test_trailers_and_compression_of_the_writer(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            writer = exchange.respond(200, fields(Content_Encoding="gzip"))
            writer.enable_compression("gzip")
            writer.set_trailers(fields(Digest="1"))
            await writer.write(b"hello " * 100)
            await writer.write_eof(b"world")
            with pytest.raises(LocalProtocolError):
                writer.write_nowait(b"more")

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns()
        wire = connection.transport.written
        assert wire.endswith(b"0\r\nDigest: 1\r\n\r\n")
        chunks = wire.partition(b"\r\n\r\n")[2]
        data = b""
        while not chunks.startswith(b"0\r\n"):
            size, _, chunks = chunks.partition(b"\r\n")
            data += chunks[: int(size, 16)]
            chunks = chunks[int(size, 16) + 2 :]
        assert gzip.decompress(data) == b"hello " * 100 + b"world"
        await connection.end()

    run(check())


def test_a_streamed_answer_leaves_no_reference_cycle(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            kept.append(weakref.ref(exchange.content))
            await exchange.content.read()
            writer = exchange.respond(200, fields())
            await writer.write_eof(b"x")

        kept: list[weakref.ref[Any]] = []
        connection = served(HttpServer(handler))
        gc.disable()
        try:
            connection.transport.feed(post(1) + b"a")
            await turns()
            assert kept[0]() is None
        finally:
            gc.enable()
        await connection.end()

    run(check())


def test_large_bodies_are_not_copied_into_the_head(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        body = bytes(1 << 20)

        async def handler(exchange: ServerExchange) -> None:
            exchange.respond_complete(200, fields(), body)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns()
        assert len(connection.transport.writes) == 2
        assert bodies(connection.transport.written) == [body]
        await connection.end()

    run(check())


# --------------------------------------------------------------------- request content


def post(size: int, *more: bytes) -> bytes:
    return b"\r\n".join((
        b"POST / HTTP/1.1",
        b"Host: h",
        b"Content-Length: %d" % size,
        *more,
        b"",
        b"",
    ))


def test_a_reader_that_is_slow_pauses_the_transport(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        go = asyncio.Event()
        total = 0

        async def handler(exchange: ServerExchange) -> None:
            nonlocal total
            await go.wait()
            async for piece in exchange.content.iter_any():
                total += len(piece)
            await echo(exchange)

        connection = served(HttpServer(handler))
        transport = connection.transport
        size = 4_000_000
        transport.feed(post(size))
        fed = 0
        while transport.reading and fed < size:
            transport.feed(b"x" * 10_000)
            fed += 10_000
        assert fed < 200_000
        go.set()
        while fed < size:
            await turns(1)
            if transport.reading:
                transport.feed(b"x" * 10_000)
                fed += 10_000
        await turns()
        assert total == size
        assert statuses(transport.written) == [200]
        await connection.end()

    run(check())


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        pytest.param(post(5) + b"ab", ContentLengthError, id="client ends within its content"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nxyz\r\n",
            TransferEncodingError, id="malformed chunk in a later segment",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("early", [True, False], ids=["reader waits", "reader comes later"])
def test_broken_content_reaches_the_reader_and_ends_the_connection(
    wire: bytes, error: type[Exception], early: bool, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            if not early:
                await go.wait()
            with pytest.raises(error):
                await exchange.content.read()
            exchange.respond_complete(400, fields(), b"")

        connection = served(HttpServer(handler))
        head, mark, rest = wire.partition(b"\r\n\r\n")
        connection.transport.feed(head + mark)
        await turns()
        connection.transport.feed(rest)
        if error is ContentLengthError:
            connection.transport.feed_eof()
        await turns()
        go.set()
        await turns()
        assert statuses(connection.transport.written) == [400]
        assert b"Connection: close" in connection.transport.written
        assert connection.transport.closed or connection.transport.eof_written
        await connection.end()

    run(check())


def test_trailers_are_known_after_the_content(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        got: list[Any] = []

        async def handler(exchange: ServerExchange) -> None:
            got.append(exchange.trailers)
            await exchange.content.read()
            got.append(exchange.trailers)
            exchange.respond_complete(200, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        await turns()
        connection.transport.feed(b"1\r\na\r\n0\r\nX: y\r\n\r\n")
        await turns()
        assert got[0] is None
        assert got[1]["x"] == "y"
        await connection.end()

    run(check())


def test_chunks_of_the_wire_can_be_told_apart(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        got: list[Any] = []

        async def handler(exchange: ServerExchange) -> None:
            got.extend([pair async for pair in exchange.content.iter_chunks()])
            exchange.respond_complete(200, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        )
        await turns()
        assert got == [(b"ab", True), (b"c", True)]
        await connection.end()

    run(check())


# --------------------------------------------------------------------- content codings


def test_content_is_decoded_and_counted(
    run: Run, served: Served, turns: Turns, gzipped: Callable[[bytes], bytes]
) -> None:
    async def check() -> None:
        got: list[Any] = []

        async def handler(exchange: ServerExchange) -> None:
            got.append(await exchange.content.read())
            got.append(exchange.content.total_raw_bytes)
            exchange.respond_complete(200, fields(), b"")

        data = gzipped(b"hello " * 1000)
        connection = served(HttpServer(handler))
        connection.transport.feed(post(len(data), b"Content-Encoding: gzip") + data)
        await turns()
        assert got == [b"hello " * 1000, len(data)]
        await connection.end()

    run(check())


@pytest.mark.parametrize("encoding", [b"unheard-of", b"identity"])
def test_an_unknown_coding_passes_as_it_is(
    encoding: bytes, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        connection = served(HttpServer(echo))
        connection.transport.feed(post(3, b"Content-Encoding: " + encoding) + b"abc")
        await turns()
        assert bodies(connection.transport.written) == [b"POST / abc"]
        await connection.end()

    run(check())


def test_decoding_can_be_switched_off(
    run: Run, served: Served, turns: Turns, gzipped: Callable[[bytes], bytes]
) -> None:
    async def check() -> None:
        data = gzipped(b"x")
        connection = served(HttpServer(echo, content=ContentOptions(decompress=False)))
        connection.transport.feed(post(len(data), b"Content-Encoding: gzip") + data)
        await turns()
        assert bodies(connection.transport.written) == [b"POST / " + data]
        await connection.end()

    run(check())


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        pytest.param(b"gzip", b"no gzip at all", id="garbage"),
        pytest.param(b"gzip", b"\x1f\x8b\x08\x00", id="truncated"),
        pytest.param(b"gzip, gzip, gzip", b"x", id="too many codings"),
    ],
)
def test_content_that_does_not_decode_is_an_error_of_the_reader(
    encoding: bytes, data: bytes, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            if exchange.head.method == "POST":
                with pytest.raises(ContentEncodingError):
                    await exchange.content.read()
            exchange.respond_complete(200, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(post(len(data), b"Content-Encoding: " + encoding) + data + GET)
        await turns(20)
        assert statuses(connection.transport.written) == [200, 200], "the framing was intact"
        await connection.end()

    run(check())


def test_cve_2025_69223_a_bomb_inflates_no_further_than_it_is_read(
    run: Run, served: Served, turns: Turns, gzipped: Callable[[bytes], bytes]
) -> None:
    """CVE-2025-69223: 64 MB of zeros in 64 KB must not be in memory at once."""

    async def check() -> None:
        go = asyncio.Event()
        held: list[int] = []

        async def handler(exchange: ServerExchange) -> None:
            content = exchange.content
            held.append(content.buffered)
            piece = await content.read(10)
            held.append(content.buffered)
            await go.wait()
            total = len(piece)
            async for piece in content.iter_any():
                held.append(len(piece))
                total += len(piece)
            held.append(total)
            exchange.respond_complete(200, fields(), b"")

        data = gzipped(bytes(64 << 20))
        connection = served(HttpServer(handler))
        connection.transport.feed(post(len(data), b"Content-Encoding: gzip") + data)
        await turns()
        assert held[0] == 0
        assert max(held) < 300_000
        go.set()
        while connection.server.active:
            await turns(50)
        assert held.pop() == 64 << 20
        assert max(held) < 300_000
        await connection.end()

    run(check())


def test_cve_2026_54278_content_that_nobody_reads_is_not_inflated(
    run: Run, served: Served, turns: Turns, gzipped: Callable[[bytes], bytes]
) -> None:
    """CVE-2026-54278: neither while the handler ignores it nor when it is dropped."""

    async def check() -> None:
        contents = []

        async def handler(exchange: ServerExchange) -> None:
            contents.append(exchange.content)
            exchange.respond_complete(200, fields(), b"")

        data = gzipped(bytes(10 << 20))
        connection = served(HttpServer(handler))
        connection.transport.feed(post(len(data), b"Content-Encoding: gzip") + data + GET)
        await turns()
        assert contents[0].total_bytes == 0
        assert statuses(connection.transport.written) == [200, 200]
        await connection.end()

    run(check())


# --------------------------------------------------------------------- Expect: 100-continue


EXPECT = b"Expect: 100-continue"


def test_100_continue_is_sent_when_content_is_first_read(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            await go.wait()
            await echo(exchange)

        connection = served(HttpServer(handler))
        connection.transport.feed(post(3, EXPECT))
        await turns()
        assert connection.transport.take() == b""
        go.set()
        await turns()
        assert connection.transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.transport.feed(b"abc" + GET)
        await turns()
        assert bodies(connection.transport.written) == [b"POST / abc", b"GET / "]
        await connection.end()

    run(check())


def test_no_100_when_the_client_did_not_wait(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        connection = served(HttpServer(echo))
        connection.transport.feed(post(3, EXPECT) + b"abc")
        await turns()
        assert statuses(connection.transport.written) == [200]
        await connection.end()

    run(check())


@pytest.mark.parametrize("decline", [True, False])
def test_cve_2024_24791_content_that_was_not_wanted_ends_the_connection(
    decline: bool, run: Run, served: Served, turns: Turns
) -> None:
    """CVE-2024-24791: after a final answer nobody knows whether content follows."""

    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            if decline:
                exchange.decline_body()
                with pytest.raises(LocalProtocolError, match="declined"):
                    await exchange.content.read()
            exchange.respond_complete(401, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(post(3, EXPECT))
        await turns()
        wire = connection.transport.written
        assert statuses(wire) == [401]
        assert b"Connection: close" in wire
        assert connection.transport.eof_written
        connection.transport.feed(GET)
        await turns()
        assert statuses(connection.transport.written) == [401]
        await connection.end()

    run(check())


# --------------------------------------------------------------------- unread content


def test_unread_content_is_dropped_and_the_next_request_answered(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            exchange.respond_complete(200, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(post(100_000))
        await turns()
        assert statuses(connection.transport.written) == [200]
        for _ in range(10):
            connection.transport.feed(b"x" * 10_000)
        connection.transport.feed(GET)
        await turns()
        assert statuses(connection.transport.written) == [200, 200]
        await connection.end()

    run(check())


def test_too_much_unread_content_ends_the_connection_and_says_so(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            exchange.respond_complete(413, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(post(10_000_000))
        await turns()
        assert b"Connection: close" in connection.transport.written
        assert connection.transport.eof_written
        assert not connection.transport.closed, "a reset would eat the answer"
        connection.transport.feed(b"x" * 100_000)
        connection.transport.feed_eof()
        await turns()
        assert connection.transport.closed

    run(check())


def test_endless_unread_chunks_end_the_connection(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            exchange.respond_complete(200, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        fed = 0
        while not connection.transport.eof_written:
            connection.transport.feed(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            await turns(2)
            fed += 10_000
            assert fed < 300_000
        assert fed > 256 * 1024
        await connection.end()

    run(check())


def test_content_read_after_the_exchange_is_an_error(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        contents = []

        async def handler(exchange: ServerExchange) -> None:
            contents.append(exchange.content)
            exchange.respond_complete(200, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(post(5))
        await turns()
        with pytest.raises(LocalProtocolError, match="exchange is over"):
            await contents[0].read()
        await connection.end()

    run(check())


# --------------------------------------------------------------------- half-close, disconnect


def test_a_half_closed_client_gets_its_slow_answer(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            await go.wait()
            await echo(exchange)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET + GET)
        connection.transport.feed_eof()
        await turns()
        assert not connection.transport.closed
        go.set()
        await turns(20)
        assert bodies(connection.transport.written) == [b"GET / "] * 2
        assert connection.transport.closed

    run(check())


def test_a_lost_connection_keeps_nothing_of_what_was_being_written(
    run: Run, served: Served, turns: Turns
) -> None:
    """The error comes with the frames it passed, which hold 64 KB and more."""

    class Data(bytearray):
        pass

    def failing_write(data: Data) -> None:
        raise BrokenPipeError(f"{len(data)} bytes")

    async def check() -> None:
        connection = served(HttpServer(echo))
        protocol = connection.protocol
        data = Data(65536)
        kept = weakref.ref(data)
        try:
            failing_write(data)
        except BrokenPipeError as exc:
            protocol.connection_lost(exc)
        del data
        assert kept() is None
        assert protocol.lost
        assert "65536 bytes" in str(protocol.lost_error().__cause__)
        await turns()

    run(check())


def test_whoever_asked_to_know_is_told_that_the_client_ended_its_side(
    run: Run, served: Served, turns: Turns
) -> None:
    """It may have left, or not: nobody can tell before something is written to it."""

    async def check() -> None:
        go = asyncio.Event()
        told: list[str] = []

        async def handler(exchange: ServerExchange) -> None:
            exchange.add_disconnect_callback(lambda: told.append(exchange.head.path))
            await go.wait()
            await echo(exchange)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns()
        assert not told
        connection.transport.feed_eof()
        await turns()
        assert told == ["/"]
        go.set()
        await turns(20)
        assert bodies(connection.transport.written) == [b"GET / "]
        assert told == ["/"]

    run(check())


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(b"", [], id="idle"),
        pytest.param(GET, [200], id="after an answer"),
        pytest.param(b"GET / HT", [400], id="within a head"),
        pytest.param(b"\r\n", [], id="after an empty line"),
    ],
)
def test_an_ended_client_that_asks_nothing_is_let_go(
    wire: bytes, expected: list[int], run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        connection = served(HttpServer(echo))
        if wire:
            connection.transport.feed(wire)
        await turns()
        connection.transport.feed_eof()
        await turns()
        assert statuses(connection.transport.written) == expected
        assert connection.transport.closed
        assert not connection.server.connections

    run(check())


@pytest.mark.parametrize("stage", ["reading", "thinking", "writing", "draining"])
def test_a_lost_connection_is_told_and_cancels_nothing(
    stage: str, run: Run, served: Served, turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        go = asyncio.Event()
        told: list[str] = []

        async def handler(exchange: ServerExchange) -> None:
            exchange.add_disconnect_callback(lambda: told.append("gone"))
            removed = lambda: told.append("removed")  # noqa: E731  # one line says it
            exchange.add_disconnect_callback(removed)
            exchange.remove_disconnect_callback(removed)
            exchange.remove_disconnect_callback(removed)
            try:
                if stage == "reading":
                    await exchange.content.read()
                elif stage == "thinking":
                    await go.wait()
                    assert exchange.closed
                    exchange.respond_complete(200, fields(), b"")
                    await exchange.drain()
                else:
                    writer = exchange.respond(200, fields())
                    if stage == "draining":
                        writer.write_nowait(b"x" * 100_000)
                        await exchange.drain()
                    await go.wait()
                    await writer.write(b"more")
            except ConnectionResetError:
                told.append("raised")
                raise

        connection = served(HttpServer(handler))
        connection.transport.blocked = True
        connection.transport.feed(post(5) if stage == "reading" else GET)
        await turns()
        connection.transport.reset()
        await turns()
        assert told[:1] == ["gone"]
        go.set()
        await turns()
        assert sorted(told) == ["gone", "raised"]
        assert not connection.server.connections
        assert not [record for record in caplog.records if record.levelname == "ERROR"]

    run(check())


def test_content_that_was_complete_survives_the_connection(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        go = asyncio.Event()
        got = []

        async def handler(exchange: ServerExchange) -> None:
            await go.wait()
            got.append(await exchange.content.read())
            exchange.respond_complete(200, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(post(3) + b"abc")
        await turns()
        connection.transport.reset()
        await turns()
        go.set()
        await turns()
        assert got == [b"abc"]

    run(check())


# --------------------------------------------------------------------- handlers that fail


def raising(exc: BaseException) -> Any:
    async def handler(exchange: ServerExchange) -> None:
        raise exc

    return handler


async def silent(exchange: ServerExchange) -> None:
    pass


def not_a_coroutine(exchange: ServerExchange) -> Any:
    raise RuntimeError("boom")


@pytest.mark.parametrize("handler", [raising(RuntimeError("boom")), silent, not_a_coroutine])
@pytest.mark.parametrize("waits", [False, True])
def test_a_handler_that_fails_before_it_answers_gets_a_500(
    handler: Any, waits: bool, run: Run, served: Served, turns: Turns,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    async def check() -> None:
        async def later(exchange: ServerExchange) -> None:
            await asyncio.sleep(0)
            await handler(exchange)

        connection = served(HttpServer(later if waits else handler))
        connection.transport.feed(GET)
        await turns()
        assert statuses(connection.transport.written) == [500]
        assert b"boom" not in connection.transport.written
        assert connection.transport.closed
        assert len(caplog.records) == 1

    run(check())


@pytest.mark.parametrize("ending", ["raises", "returns", "cancelled"])
def test_an_answer_that_breaks_off_is_cut_not_completed(
    ending: str, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            writer = exchange.respond(200, fields())
            await writer.write(b"half")
            if ending == "raises":
                raise RuntimeError("boom")
            if ending == "cancelled":
                task = exchange.task
                assert task is not None
                task.cancel()
                await asyncio.sleep(0)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns()
        assert connection.transport.aborted
        assert b"0\r\n\r\n" not in connection.transport.written

    run(check())


def test_abort_closes_the_connection_and_frees_the_handler(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            exchange.abort()
            with pytest.raises(LocalProtocolError):
                exchange.respond(200, fields())

        connection = served(HttpServer(handler))
        connection.transport.feed(GET * 2)
        await turns()
        assert connection.transport.aborted
        assert connection.transport.written == b""
        assert connection.server.requests_count == 1

    run(check())


def test_a_finished_exchange_cannot_touch_the_next_one(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        kept: list[ServerExchange] = []
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            kept.append(exchange)
            if len(kept) == 2:
                await go.wait()
            exchange.respond_complete(200, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(GET * 2)
        await turns()
        kept[0].abort()
        with pytest.raises(LocalProtocolError):
            kept[0].respond_complete(200, fields(), b"wrong")
        go.set()
        await turns()
        assert statuses(connection.transport.written) == [200, 200]
        await connection.end()

    run(check())


def test_a_request_after_the_last_is_not_read(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        connection = served(HttpServer(echo, timeouts=ServerTimeouts(max_requests=2)))
        connection.transport.feed(GET * 3)
        await turns()
        wire = connection.transport.written
        assert statuses(wire) == [200, 200]
        assert wire.count(b"Connection: close") == 1
        await connection.end()

    run(check())


def test_set_keep_alive_false_says_close(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            exchange.set_keep_alive(True)
            before = exchange.keep_alive
            exchange.set_keep_alive(False)
            assert (before, exchange.keep_alive) == (True, False)
            exchange.respond_complete(200, fields(), b"")

        connection = served(HttpServer(handler))
        connection.transport.feed(GET)
        await turns()
        assert b"Connection: close" in connection.transport.written
        assert connection.transport.closed

    run(check())


def test_informational_answers_come_before_the_final_one(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            exchange.send_informational(103, fields(Link="</a.css>"))
            exchange.respond_complete(200, fields(), b"")
            with pytest.raises(LocalProtocolError):
                exchange.send_informational(103, fields())

        for version, expected in ((b"1.1", [103, 200]), (b"1.0", [200])):
            connection = served(HttpServer(handler))
            connection.transport.feed(GET.replace(b"1.1", version))
            await turns()
            assert statuses(connection.transport.written) == expected
            await connection.end()

    run(check())


def test_the_timeline_and_the_connection_are_known(run: Run, served: Served, turns: Turns) -> None:
    async def check() -> None:
        seen: list[Any] = []
        sizes: list[int] = []

        async def handler(exchange: ServerExchange) -> None:
            info = exchange.info
            seen.append((info.peername, info.uses, info.id))
            assert exchange.timeline is exchange.timeline
            assert exchange.timeline.start >= info.created
            assert info.get_extra_info("nothing", 5) == 5
            assert info.ssl_object is None
            assert info.transport is connection.transport
            exchange.respond_complete(200, fields(), b"abc", default_fields=False)
            sizes.append(exchange.bytes_sent)

        connection = served(HttpServer(handler))
        connection.transport.feed(GET * 2)
        await turns()
        assert [uses for _, uses, _ in seen] == [1, 2]
        assert seen[0][0] == ("192.0.2.1", 4711)
        assert seen[0][2] == seen[1][2]
        assert sum(sizes) == len(connection.transport.written)
        await connection.end()

    run(check())


# ------------------------------------------------------------------ peers that want too much


def test_answers_that_nobody_takes_stop_the_reading(run: Run, served: Served, turns: Turns) -> None:
    """A client that asks on and on and reads nothing must not make us keep its requests."""

    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            exchange.respond_complete(200, fields(), b"x" * 60_000)

        connection = served(HttpServer(handler))
        transport = connection.transport
        transport.blocked = True
        fed = 0
        while transport.reading:
            transport.feed(GET * 100)
            fed += 100
            assert fed * len(GET) < 200_000
            await turns(1)
        assert connection.protocol.connection.buffered < 100_000
        assert len(transport.written) < 300_000
        while connection.server.requests_count < fed or connection.server.active:
            transport.sent(1_000_000)
            await turns(1)
        assert transport.reading
        await connection.end()

    run(check())


def test_one_connection_has_one_turn_at_a_time(run: Run, served: Served, turns: Turns) -> None:
    """However much of it comes meanwhile, the others are served in between."""

    async def check() -> None:
        server = HttpServer(echo)
        connection = served(server)
        transport = connection.transport
        fed = 0
        for _ in range(200):
            before = server.requests_count
            if transport.reading:
                transport.feed(GET * 500)
                fed += 500
            await turns(1)
            assert server.requests_count - before <= 2 * 32
            assert connection.protocol.connection.buffered < 100_000
        while server.requests_count < fed or server.active:
            await turns(1)
        assert len(bodies(transport.written)) == fed
        assert transport.reading
        await connection.end()

    run(check())


def test_a_head_larger_than_the_read_buffer_is_read_to_its_end(
    run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        server = HttpServer(echo, content=ContentOptions(read_bufsize=100))
        connection = served(server)
        connection.transport.feed(GET * 40)  # more than one turn
        while server.requests_count < 40 or server.active:
            await turns(1)
        for _ in range(2):
            connection.transport.feed(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 500)
            connection.transport.feed(b"x" * 500 + b"\r\n\r\n")
            await turns(3)
        assert len(bodies(connection.transport.written)) == 42
        await connection.end()

    run(check())


@pytest.mark.parametrize("wire", [GET, GET + GET], ids=["asked late", "pipelined"])
def test_whoever_asks_late_is_told_that_the_peer_has_left(
    wire: bytes, run: Run, served: Served, turns: Turns
) -> None:
    async def check() -> None:
        told: list[str] = []
        go = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            await go.wait()
            kept, forgotten = (lambda: told.append("kept")), (lambda: told.append("forgotten"))
            exchange.add_disconnect_callback(kept)
            exchange.add_disconnect_callback(forgotten)
            exchange.remove_disconnect_callback(forgotten)
            await turns(2)
            await echo(exchange)

        connection = served(HttpServer(handler))
        connection.transport.feed(wire)
        await turns(1)
        connection.transport.feed_eof()
        go.set()
        await turns(20)
        assert told == ["kept"] * wire.count(b"GET")
        assert len(bodies(connection.transport.written)) == wire.count(b"GET")

    run(check())


@pytest.mark.parametrize("upgraded", [False, True], ids=["server", "after an upgrade"])
def test_a_peer_that_resets_before_we_half_close_is_no_error(
    upgraded: bool, run: Run, served: Served, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio shuts the socket down in the call, and the kernel says ENOTCONN."""

    async def check() -> None:
        async def handler(exchange: ServerExchange) -> None:
            if upgraded:
                exchange.upgrade(101, fields(Upgrade="x")).write_eof()
            else:
                await echo(exchange)

        def refused() -> None:
            raise OSError(107, "Transport endpoint is not connected")

        connection = served(HttpServer(handler))
        monkeypatch.setattr(connection.transport, "write_eof", refused)
        ask = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        connection.transport.feed(ask if upgraded else b"GET  / HTTP/1.1\r\n\r\n" + GET)
        await connection.transport.lost
        assert connection.transport.aborted
        assert not connection.server.connections

    run(check())
