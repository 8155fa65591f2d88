"""What servers of this kind got wrong, byte by byte over a socket.

Each row was found by running one of them (aiohttp 3.14 for the most part) or is a published attack;
its id says which.
"""

import asyncio
import gzip
import logging

import pytest

from antiphon.web.app import Application
from antiphon.web.response import Response, StreamResponse
from antiphon.web.runner import AppRunner
from antiphon.web.sites import TCPSite

LIMIT = 30.0


async def hello(request):
    return Response(text="hello")


async def stream(request):
    response = StreamResponse()
    await response.prepare(request)
    await response.write(b"one")
    await response.write(b"two")
    return response


async def read(request):
    return Response(text=f"read {len(await request.read())}")


async def text(request):
    return Response(text=f"text {len(await request.text())}")


async def form(request):
    return Response(text=f"form {len(await request.post())}")


async def json_(request):
    return Response(text=f"json {await request.json()}")


async def url(request):
    return Response(text=f"url {request.url} {request.query}")


async def part(request):
    start, stop = request.http_range.start, request.http_range.stop
    return Response(text=f"part {start} {stop}")


async def cookies(request):
    return Response(text=f"cookies {len(request.cookies)}")


def app():
    made = Application()
    for handler in (hello, stream, read, text, form, json_, url, part, cookies):
        made.router.add_route("*", "/" + handler.__name__.rstrip("_"), handler)
    return made


async def talk(segments):
    """Send *segments* one by one; everything that comes back, to the end."""
    runner = AppRunner(app(), shutdown_timeout=0)
    await runner.setup()
    try:
        site = TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        requests = 0
        for segment in segments:
            if segment is WAIT:
                # Until the request before is with its handler: what follows is another segment.
                requests += 1
                async with asyncio.timeout(LIMIT):
                    while runner.server.requests_count < requests:
                        await asyncio.sleep(0)
            else:
                writer.write(segment)
        answer = await asyncio.wait_for(reader.read(), LIMIT)
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass  # it had closed first
        return answer
    finally:
        await runner.cleanup()


WAIT = object()
END = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def get(path, *fields, method="GET", version="1.1"):
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: a", *fields, "", ""]).encode(
        "utf-8", "surrogateescape"
    )


def post(path, body, *fields):
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST") + body


def parts(answer):
    """Status and content of each response; content without a length goes to the end."""
    found = []
    while answer:
        head, _, answer = answer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        body, answer = answer, b""
        if "content-length" in fields:
            size = int(fields["content-length"])
            body, answer = body[:size], body[size:]
        found.append((int(lines[0].split(" ")[1]), body))
    return found


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        pytest.param(
            [get("/read", "Transfer-Encoding: chunked", method="POST"), WAIT, b"zz\r\n"],
            [(400, None)],
            id="a malformed chunk in a later segment ends the wait",
        ),
        pytest.param(
            [get("/stream", "Connection: close", method="HEAD")],
            [(200, b"")],
            id="HEAD on a streamed response has no content",
        ),
        pytest.param(
            [get("/stream", "Connection: keep-alive", version="1.0")],
            [(200, b"onetwo")],
            id="a stream to an HTTP/1.0 client that keeps alive ends",
        ),
        pytest.param(
            [get("/hello", "Connection: Upgrade", "Upgrade: spam") + END],
            [(200, b"hello"), (200, b"hello")],
            id="an ignored Upgrade swallows nothing",
        ),
        pytest.param(
            [get("/hello") + get("/hello") + b"\x00bad\r\n\r\n" + END],
            [(200, b"hello"), (200, b"hello"), (400, None)],
            id="good requests before a bad one are answered, and none after it",
        ),
        pytest.param([get("/url?a=b", "Host: b")], [(400, None)], id="CVE-2026-34525: two hosts"),
        pytest.param(
            [b"GET /url HTTP/1.1\r\nHost: a:99999\r\n\r\n"], [(400, None)], id="a port of 99999"
        ),
        pytest.param(
            [b"GET /url HTTP/1.1\r\nHost: a/b?c@d\r\n\r\n"],
            [(400, None)],
            id="CVE-2026-48710: a host that is a path",
        ),
        pytest.param(
            [b"GET /url HTTP/1.1\r\nHost: [::1\r\n\r\n"],
            [(400, None)],
            id="CVE-2022-33124: a bad IPv6 host",
        ),
        pytest.param(
            [get("/url?" + "&".join(["a=b"] * 1001)) + END],
            [(400, None), (200, b"hello")],
            id="1,001 pairs in a query",
        ),
        pytest.param(
            [post("/hello", b"", "Expect: 100-contin\udcffue", "Connection: close")],
            [(417, None)],
            id="an Expect that is no ASCII",
        ),
        pytest.param(
            [get("/part", "Range: bytes=٣-٤") + END],
            [(400, None), (200, b"hello")],
            id="CVE-2025-69225: digits of other scripts in a range",
        ),
        pytest.param(
            [post("/read", b"no gzip", "Content-Encoding: gzip") + END],
            [(400, None), (200, b"hello")],
            id="corrupt gzip",
        ),
        pytest.param(
            [post("/read", gzip.compress(bytes(2 * 1024**2)), "Content-Encoding: gzip") + END],
            [(413, None), (200, b"hello")],
            id="CVE-2025-69223: a bomb",
        ),
        pytest.param(
            [post("/text", b"x", "Content-Type: text/plain; charset=nonsense") + END],
            [(400, None), (200, b"hello")],
            id="a charset that does not exist",
        ),
        pytest.param(
            [post("/text", b"\xff", "Content-Type: text/plain; charset=utf-8") + END],
            [(400, None), (200, b"hello")],
            id="text that is none",
        ),
        pytest.param(
            [post("/json", b"[" * 100_000) + END],
            [(400, None), (200, b"hello")],
            id="JSON nested beyond reason",
        ),
        pytest.param(
            [
                post("/form", b"--b\r\nno header", "Content-Type: multipart/form-data; boundary=b")
                + END
            ],
            [(400, None), (200, b"hello")],
            id="CVE-2024-30251: a multipart body that ends in a header",
        ),
        pytest.param(
            [post("/form", b"x", "Content-Type: multipart/form-data") + END],
            [(400, None), (200, b"hello")],
            id="multipart without a boundary",
        ),
        pytest.param(
            [
                post(
                    "/form",
                    b"&".join([b"a=b"] * 1001),
                    "Content-Type: application/x-www-form-urlencoded",
                )
                + END
            ],
            [(413, None), (200, b"hello")],
            id="CVE-2026-54283: 1,001 fields of a form",
        ),
        pytest.param(
            [post("/form", b"x", "Content-Type: " + ";" * 7000) + END],
            [(200, b"form 0"), (200, b"hello")],
            id="7 KB of semicolons",
        ),
        pytest.param(
            [get("/cookies", "Cookie: " + "; ".join(["a=b c\x7f"] * 100)) + END],
            [(400, None)],
            id="CVE-2025-69230: a control character in a cookie",
        ),
        pytest.param(
            [get("/cookies", "Cookie: " + "; ".join(["=", "\udcff=1", 'a="', "b"] * 50)) + END],
            [(200, None), (200, b"hello")],
            id="CVE-2025-69230: nonsense for cookies",
        ),
    ],
)
def test_a_server_is_not_confused(run, caplog, segments, expected):
    """Mistakes of a client are 4xx, and nothing above DEBUG in the server's log."""
    caplog.set_level(logging.DEBUG)

    async def test():
        found = parts(await talk(segments))
        assert [status for status, _ in found] == [status for status, _ in expected], found
        for (_, body), (_, wanted) in zip(found, expected, strict=True):
            assert wanted is None or body == wanted

    run(test)
    told = [record for record in caplog.records if record.name == "antiphon.server"]
    assert not [record.getMessage() for record in told if record.levelno > logging.INFO]
