"""What the page about differences says of this side is so."""

import re

import pytest

from antiphon import client, core, web
from antiphon.testing import ScriptedPeer

HOST = b"Host: a\r\n"


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        pytest.param(b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n", 400, id="fragment in a target"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, id="Host with a comma"),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: foo\r\n\r\n",
            501,
            id="unknown transfer coding",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
            501,
            id="gzip as a transfer coding",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 200 + b"\r\n", 431, id="too many fields"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 9000 + b"\r\n\r\n",
            431,
            id="too long a field",
        ),
        pytest.param(
            b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, id="too long a line"
        ),
        pytest.param(b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505, id="HTTP/2.0"),
        pytest.param(b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 405, id="method in lower case"),
        pytest.param(
            b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 1\r\n\r\nx",
            400,
            id="CONNECT with content",
        ),
        pytest.param(
            b"POST /json HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\n{", 400, id="bad JSON"
        ),
        pytest.param(b"GET /a/b HTTP/1.1\r\n" + HOST + b"\r\n", 202, id="the first route wins"),
        pytest.param(b"GET /store HTTP/1.1\r\n" + HOST + b"\r\n", 500, id="storing after start"),
    ],
)
async def test_the_server_answers_as_the_page_says(test_server, wire: bytes, status: int):
    async def root(request: web.Request) -> web.Response:
        return web.Response()

    async def data(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    async def variable(request: web.Request) -> web.Response:
        return web.Response(status=202)

    async def store(request: web.Request) -> web.Response:
        request.app["late"] = 1
        return web.Response()

    app = web.Application()
    app.router.add_get("/", root)
    app.router.add_post("/json", data)
    app.router.add_get("/store", store)
    app.router.add_get("/{name}/b", variable)
    app.router.add_get("/a/b", root)
    server = await test_server(app)
    peer = await ScriptedPeer.connect(server)
    peer.say(wire)
    try:
        head = await peer.expect_head()
    finally:
        peer.close()
    assert head.split(b" ")[:2] == [b"HTTP/1.1", str(status).encode()]


async def test_credentials_of_any_name_stay_with_their_origin(test_server):
    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound(str(other.make_url("/names")))

    async def names(request: web.Request) -> web.Response:
        return web.json_response(sorted(name.lower() for name in request.headers))

    app, target = web.Application(), web.Application()
    app.router.add_get("/", away)
    target.router.add_get("/names", names)
    server, other = await test_server(app), await test_server(target)
    sent = {"X-Api-Key": "k", "PRIVATE-TOKEN": "t", "Authorization": "a", "X-Plain": "p"}
    async with client.ClientSession(headers=sent) as session:
        response = await session.get(server.make_url("/"))
        arrived = await response.json()
    assert "x-plain" in arrived
    assert not {"x-api-key", "private-token", "authorization"}.intersection(arrived)


def test_names_that_the_page_says_are_gone_are_gone(docs):
    page = (docs / "differences.md").read_text()
    table = page[page.index("## Names that do not exist here") :]
    where = {"ClientRequest": client, "ClientResponse": client, "AbstractStreamWriter": core}
    checked = 0
    for owner, module in where.items():
        for row in table.splitlines():
            found = re.search(rf"`{owner}\.(\w+)`((?:, `\w+`)*)", row)
            if found is not None:
                for name in [found[1], *re.findall(r"`(\w+)`", found[2])]:
                    assert not hasattr(getattr(module, owner), name)
                    checked += 1
    assert checked == 7
    assert client.DefaultResolver is client.ThreadedResolver
