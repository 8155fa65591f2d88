"""What a response shows, and how its content is read."""

import asyncio
import gc
import json

import pytest
from multidict import CIMultiDict
from yarl import URL

from antiphon.client.errors import (
    ClientConnectionError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ContentTypeError,
    ServerDisconnectedError,
)
from antiphon.core.errors import ContentEncodingError, ContentLengthError


def with_reply(run, origin, reply, scenario, **kwargs):
    origin.script = lambda asked: reply

    async def get(session):
        async with session.get("http://example.com/dir/page") as response:
            return await scenario(response)

    return run(get, **kwargs)


def test_the_head(run, origin, memory):
    reply = memory.Reply(
        status=201,
        reason="Made",
        headers=[
            ("X-A", "1"),
            ("x-a", "2"),
            ("Content-Type", "Text/HTML; charset=Latin-1"),
            ("Content-Length", "2"),
        ],
        body=b"\xe4!",
    )

    async def scenario(response):
        assert (response.status, response.reason, response.ok) == (201, "Made", True)
        assert response.headers.getall("x-A") == ["1", "2"]
        assert response.raw_headers[0] == (b"X-A", b"1")
        assert response.content_type == "text/html"
        assert response.charset == "Latin-1"
        assert response.content_length == 2
        assert response.version == (1, 1)
        assert response.host == "example.com"
        assert response.url == URL("http://example.com/dir/page")
        assert response.request_info.method == "GET"
        assert response.request_info.headers["Host"] == "example.com"
        assert await response.text() == "ä!"
        assert "201 Made" in repr(response)
        assert response.closed
        assert response.connection is None
        assert response.timeline.first_byte is not None
        assert response.download_progress == (2, 2)

    with_reply(run, origin, reply, scenario)


def test_cookies_links_and_disposition(run, origin, memory):
    reply = memory.Reply(
        headers=[
            ("Set-Cookie", "a=1; Path=/; HttpOnly"),
            ("Set-Cookie", "b=2; Max-Age=10"),
            ("Link", '</next?p=2>; rel=next; title="a, b"'),
            ("Link", "<https://other/>; rel=prev, <x>"),
            ("Content-Disposition", "attachment; filename*=UTF-8''na%C3%AFve.txt"),
        ]
    )

    async def scenario(response):
        assert response.cookies["a"].value == "1"
        assert response.cookies["a"]["httponly"]
        assert response.cookies["b"]["max-age"] == "10"
        links = response.links
        assert links["next"]["url"] == URL("http://example.com/next?p=2")
        assert links["next"]["title"] == "a, b"
        assert links["prev"]["url"] == URL("https://other/")
        assert links["x"]["url"] == URL("http://example.com/dir/x")
        disposition = response.content_disposition
        assert (disposition.type, disposition.filename) == ("attachment", "naïve.txt")

    with_reply(run, origin, reply, scenario)


@pytest.mark.parametrize(
    "target", ["http://[::1", "http://h:99999/", "//\udcff", "http://[z]/", "http://h:x/"]
)
def test_a_link_to_no_url_is_left_out(run, origin, memory, target):
    reply = memory.Reply(headers=[("Link", f"<{target}>; rel=bad, </next>; rel=next")])

    async def scenario(response):
        assert list(response.links) == ["next"]
        assert response.links["next"]["url"] == URL("http://example.com/next")

    with_reply(run, origin, reply, scenario)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        pytest.param("text/plain; charset=utf-16-le", "hä".encode("utf-16-le"), "hä", id="named"),
        pytest.param("text/plain", "hä".encode(), "hä", id="UTF-8 by default"),
        pytest.param("text/plain; charset=klingon", "hä".encode(), "hä", id="unknown charset"),
        pytest.param("text/plain; charset=zlib", b"x", "x", id="a codec that is no charset"),
        pytest.param(None, b"x", "x", id="no type"),
    ],
)
def test_text(run, origin, memory, content_type, body, expected):
    headers = [("Content-Type", content_type)] if content_type else []

    async def scenario(response):
        assert await response.text() == expected

    with_reply(run, origin, memory.Reply(headers=headers, body=body), scenario)


def test_the_charset_hook(run, origin, memory):
    async def scenario(response):
        with pytest.raises(RuntimeError, match="not yet read"):
            response.get_encoding()
        assert await response.text() == "ä"

    reply = memory.Reply(body=b"\xe4", headers=[("Content-Type", "text/plain")])
    with_reply(run, origin, reply, scenario, fallback_charset_resolver=lambda r, b: "latin-1")


@pytest.mark.parametrize(
    ("content_type", "arguments", "accepted"),
    [
        ("application/json", {}, True),
        ("application/json; charset=utf-8", {}, True),
        ("application/problem+json", {}, True),
        ("APPLICATION/JSON", {}, True),
        ("text/html", {}, False),
        ("application/jsonp", {}, False),
        ("text/html", {"content_type": None}, True),
        ("text/html", {"content_type": "text/html"}, True),
    ],
)
def test_json_insists_on_its_type(run, origin, memory, content_type, arguments, accepted):
    async def scenario(response):
        if accepted:
            assert await response.json(**arguments) == {"a": 1}
        else:
            with pytest.raises(ContentTypeError) as info:
                await response.json(**arguments)
            assert info.value.status == 200
            assert info.value.body == b'{"a": 1}'

    reply = memory.Reply(headers=[("Content-Type", content_type)], body=b'{"a": 1}')
    with_reply(run, origin, reply, scenario)


def test_empty_json_and_own_loads(run, origin, memory):
    async def scenario(response):
        assert await response.json() is None
        assert await response.json(loads=lambda text: 1 / 0) is None

    reply = memory.Reply(headers=[("Content-Type", "application/json")], body=b" \n")
    with_reply(run, origin, reply, scenario)


def test_content_is_kept(run, origin, memory):
    async def scenario(response):
        assert await response.read() == b"abc"
        assert await response.read() == b"abc"
        assert await response.text() == "abc"

    with_reply(run, origin, memory.Reply(body=b"abc"), scenario)


def test_content_that_comes_in_pieces(run, origin, memory):
    origin.script = lambda asked: memory.Reply(body=b"a", keep_open=True, sized=False)

    async def scenario(session):
        response = await session.get("http://h/")
        assert response.connection is not None
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        exchange = origin.exchanges[0]
        exchange.feed(b"b")
        exchange.end()
        assert await reading == b"ab"
        assert response.closed

    run(scenario)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(ContentLengthError("short"), ClientPayloadError, id="truncated"),
        pytest.param(ContentEncodingError("bad"), ClientPayloadError, id="corrupt coding"),
        pytest.param(ConnectionResetError(104, "reset"), ClientOSError, id="reset"),
        pytest.param(ConnectionResetError("gone"), ServerDisconnectedError, id="closed"),
    ],
)
@pytest.mark.parametrize("how", ["read", "content", "lines"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_content_that_breaks_is_an_error(run, origin, memory, error, expected, how, late):
    """A truncated body never passes for a whole one, however it is read."""
    if late:
        origin.script = lambda asked: memory.Reply(body=b"ab", keep_open=True)
    else:
        origin.script = lambda asked: memory.Reply(body=b"ab", content_error=error)

    async def scenario(session):
        async with session.get("http://h/") as response:
            if late:
                asyncio.get_running_loop().call_soon(origin.exchanges[0].lose, error)
                origin.connections[0].closed = True
            with pytest.raises(expected, match=r"phase content; connection \d+, .* s old, use 1"):
                if how == "read":
                    await response.read()
                elif how == "content":
                    while await response.content.readany():
                        pass
                else:
                    async for _ in response.iter_lines():
                        pass

    run(scenario)
    assert origin.open_connections == 0


def test_the_size_limit(run, origin, memory):
    origin.script = lambda asked: memory.Reply(
        body=b"x" * 11, sized=asked.target == "/sized", keep_open=asked.target == "/slow"
    )

    async def scenario(session):
        for path in ("sized", "unsized", "slow"):
            with pytest.raises(ClientPayloadError, match="more than 10 bytes"):
                async with session.get(f"http://h/{path}") as response:
                    await response.read()
        async with session.get("http://h/", max_size=11) as response:
            assert len(await response.read()) == 11
        async with session.get("http://h/") as response:
            assert len(await response.read(max_size=20)) == 11

    run(scenario, max_size=10)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        pytest.param([b"a\nb\r\nc\rd"], ["a", "b", "c", "d"], id="three kinds of ends"),
        pytest.param([b"a\r", b"\nb"], ["a", "b"], id="CR LF in two pieces"),
        pytest.param([b"a\r", b"b"], ["a", "b"], id="CR at the end of a piece"),
        pytest.param([b"a\r", b"\r\n", b"b"], ["a", "", "b"], id="CR, CR LF"),
        pytest.param([b"\xc3", b"\xa4\n"], ["ä"], id="character in two pieces"),
        pytest.param([b"a\n\n"], ["a", ""], id="empty line"),
        pytest.param([b""], [], id="nothing"),
        pytest.param([b"a", b"b", b"c"], ["abc"], id="one line, no end"),
    ],
)
def test_lines(run, origin, memory, pieces, lines):
    origin.script = lambda asked: memory.Reply(keep_open=True, body=b"", sized=False)

    async def scenario(session):
        async with session.get("http://h/") as response:
            exchange = origin.exchanges[0]
            found = []

            async def read():
                async for line in response.iter_lines():
                    found.append(line)

            reading = asyncio.ensure_future(read())
            for piece in pieces:
                exchange.feed(piece)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            exchange.end()
            await reading
            assert found == lines

    run(scenario)


def test_json_lines(run, origin, memory):
    values = [{"a": 1}, [2], "ä", None]
    body = "\n\n".join(json.dumps(value, ensure_ascii=False) for value in values).encode()

    async def scenario(response):
        assert [value async for value in response.iter_json_lines()] == values

    with_reply(run, origin, memory.Reply(body=body), scenario)


def test_a_line_without_end_is_bounded(run, origin, memory):
    origin.script = lambda asked: memory.Reply(body=b"x" * 5000, keep_open=True)

    async def scenario(session):
        async with session.get("http://h/", read_bufsize=1000) as response:
            with pytest.raises(ClientPayloadError, match="more than 4000 characters"):
                async for _ in response.iter_lines():
                    pass

    run(scenario)


def test_content_that_only_the_connections_end_would_end(run, origin, memory):
    """With ``read_until_eof=False`` it is not waited for, and its connection is given up."""
    origin.script = lambda asked: memory.Reply(body=b"x", sized=False, keep_open=True)

    async def scenario(session):
        async with session.get("http://h/", read_until_eof=False) as response:
            assert await response.read() == b""
            assert response.closed
        assert origin.open_connections == 0
        origin.script = lambda asked: memory.Reply(body=b"sized")
        async with session.get("http://h/", read_until_eof=False) as response:
            assert await response.read() == b"sized"

    run(scenario)


def test_trailers_are_shown(run, origin, memory):
    async def scenario(response):
        await response.read()
        assert response.trailers == CIMultiDict(digest="x")
        assert response.informational == []

    with_reply(run, origin, memory.Reply(body=b"a", trailers=CIMultiDict(Digest="x")), scenario)


# -- status


def test_raise_for_status_keeps_the_beginning_of_the_content(run, origin, memory):
    reply = memory.Reply(
        status=404, reason="Not Found", body=b"nothing " * 20_000, headers=[("X-Why", "gone")]
    )

    async def scenario(response):
        with pytest.raises(ClientResponseError) as info:
            response.raise_for_status()
        error = info.value
        assert (error.status, error.message) == (404, "Not Found")
        assert error.headers["X-Why"] == "gone"
        assert len(error.body) == 64 * 1024
        assert error.text.startswith("nothing ")
        assert "http://example.com/dir/page" in str(error)

    with_reply(run, origin, reply, scenario)


def test_content_can_be_read_after_raise_for_status(run, origin, memory):
    body = b'{"why": 1}'
    reply = memory.Reply(status=422, body=body, headers=[("Content-Type", "application/json")])

    async def scenario(response):
        for _ in range(2):
            with pytest.raises(ClientResponseError) as info:
                response.raise_for_status()
            assert info.value.body == body
        assert await response.json() == {"why": 1}
        with pytest.raises(ClientResponseError) as info:
            response.raise_for_status()
        assert info.value.body == await response.read() == body

    with_reply(run, origin, reply, scenario)


def test_content_that_comes_after_raise_for_status_can_be_read(run, origin, memory):
    origin.script = lambda asked: memory.Reply(status=500, body=b"first", keep_open=True)

    async def scenario(session):
        async with session.get("http://h/") as response:
            for _ in range(2):
                with pytest.raises(ClientResponseError) as info:
                    response.raise_for_status()
                assert info.value.body == b"first"
            origin.exchanges[0].feed(b" second")
            origin.exchanges[0].end()
            assert await response.read() == b"first second"
        response = await session.get("http://h/")
        with pytest.raises(ClientResponseError) as info:
            response.raise_for_status()
        assert info.value.body == b"first"
        assert response.closed

    run(scenario)


def test_a_whole_response_keeps_its_content_without_async_with(run, origin, memory):
    origin.script = lambda asked: memory.Reply(status=404, body=b"x" * 70_000)

    async def scenario(session):
        response = await session.get("http://h/")
        with pytest.raises(ClientResponseError) as info:
            response.raise_for_status()
        assert info.value.body == b"x" * 65_536
        assert len(await response.read()) == 70_000

    run(scenario)


def test_an_error_is_not_held_back_by_content_that_trickles(run, origin, memory):
    origin.replies(memory.Reply(status=500, body=b"a", keep_open=True))

    async def scenario(session):
        loop = asyncio.get_running_loop()
        begun = loop.time()

        def trickle():
            exchange = origin.exchanges[0]
            if exchange.gone is None:
                exchange.feed(b"b")
                loop.call_later(1, trickle)

        loop.call_later(1, trickle)
        with pytest.raises(ClientResponseError) as caught:
            await session.get("http://h/", raise_for_status=True, timeout=1000)
        assert caught.value.status == 500
        assert caught.value.body.startswith(b"abbb")
        assert loop.time() - begun < 10  # of a clock that moves when it is waited for

    run(scenario)
    assert origin.open_connections == 0


def test_raise_for_status_looks_at_what_is_left(run, origin, memory):
    async def scenario(response):
        assert await response.content.read(3) == b"abc"
        with pytest.raises(ClientResponseError) as info:
            response.raise_for_status()
        assert info.value.body == b"def"
        assert await response.content.read() == b"def"

    with_reply(run, origin, memory.Reply(status=404, body=b"abcdef"), scenario)


@pytest.mark.parametrize("where", ["session", "call"])
def test_raise_for_status_of_session_and_call(run, origin, memory, where):
    origin.script = lambda asked: memory.Reply(status=500, body=b'{"why": 1}', reason="Oops")

    async def scenario(session):
        arguments = {"raise_for_status": True} if where == "call" else {}
        with pytest.raises(ClientResponseError) as info:
            await session.get("http://h/", **arguments)
        assert info.value.body == b'{"why": 1}'
        response = await session.get("http://h/", raise_for_status=False)
        assert response.status == 500

    run(scenario, raise_for_status=where == "session")


def test_an_error_page_that_does_not_end_is_bounded(run, origin, memory):
    origin.script = lambda asked: memory.Reply(status=500, body=b"x" * 70_000, keep_open=True)

    async def scenario(session):
        with pytest.raises(ClientResponseError) as info:
            await session.get("http://h/", raise_for_status=True)
        assert len(info.value.body) == 64 * 1024

    run(scenario)
    assert origin.open_connections == 0


def test_a_judge_of_ones_own(run, origin, memory):
    origin.script = lambda asked: memory.Reply(status=418, body=b"tea", keep_open=True)

    async def judge(response):
        if response.status == 418:
            raise ZeroDivisionError

    async def scenario(session):
        with pytest.raises(ZeroDivisionError):
            await session.get("http://h/")

    run(scenario, raise_for_status=judge)
    assert origin.open_connections == 0


# -- giving back


def test_leaving_early_closes_the_connection(run, origin, memory):
    origin.script = lambda asked: memory.Reply(body=b"x", keep_open=True)

    async def scenario(session):
        async with session.get("http://h/") as response:
            pass
        assert response.closed
        with pytest.raises(ClientConnectionError, match="released"):
            await response.read()

    run(scenario)
    assert origin.open_connections == 0


def test_leaving_when_all_has_come_keeps_the_connection(run, origin, memory):
    origin.script = lambda asked: memory.Reply(body=b"x")

    async def scenario(session):
        for _ in range(3):
            async with session.get("http://h/"):
                pass

    run(scenario)
    assert len(origin.connections) == 1


def test_a_response_dropped_unread_warns_and_frees_the_slot(run, origin, memory):
    origin.script = lambda asked: memory.Reply(body=b"x", keep_open=True)
    told = []

    async def scenario(session):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
        response = await session.get("http://h/")
        with pytest.warns(ResourceWarning, match="Unclosed response"):
            del response
            gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run(scenario)
    assert told == ["Unclosed response"]
    assert origin.open_connections == 0


def test_a_response_of_ones_own(run, origin, memory):
    from antiphon.client.response import ClientResponse

    class Mine(ClientResponse):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.extra = "set"

        async def json(self, **kwargs):
            return ["mine"]

    async def scenario(response):
        assert response.extra == "set"
        assert await response.json() == ["mine"]

    with_reply(run, origin, memory.Reply(), scenario, response_class=Mine)
