"""The samples of the FAQ do what the answers say; `nox -s deployment` has those that need servers."""

import asyncio
import os
import pathlib
import subprocess
import sys

import pytest

from antiphon import web
from antiphon.client import WSMsgType


async def test_a_subclass_has_its_own_route_decorator(test_client, example):
    client = await test_client(example("faq/01_route_decorator.py").app)
    response = await client.get("/hello/world")
    assert await response.text() == "Hello, world!"


async def test_nested_applications_see_what_is_stored_above(test_client, example):
    client = await test_client(example("faq/02_nested.py").create_app())
    assert await (await client.get("/")).text() == "Shop"
    assert await (await client.get("/admin/users")).text() == "Shop: users, at /admin/users"


async def test_a_prefix_catches_every_method_and_path_below_it(test_client, example):
    client = await test_client(example("faq/03_prefix.py").create_app())
    assert await (await client.get("/path/to/a/b")).text() == "GET a/b"
    assert await (await client.delete("/path/to/c")).text() == "DELETE c"
    assert (await client.get("/path/to/")).status == 404


async def test_a_database_lives_as_long_as_the_application(
    test_client, example, tmp_path, monkeypatch
):
    pytest.importorskip("aiosqlite")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:{tmp_path / 'db.sqlite'}")
    client = await test_client(example("faq/04_database.py").create_app())
    assert await (await client.get("/")).text() == "42"


async def test_a_middleware_hands_data_to_the_handler(test_client, example):
    client = await test_client(example("faq/06_middleware_data.py").create_app())
    assert await (await client.get("/", headers={"X-User": "ann"})).text() == "Hello, ann!"
    assert await (await client.get("/")).text() == "Hello, nobody!"


async def test_what_one_user_says_reaches_all(test_client, example):
    client = await test_client(example("faq/07_two_sources.py").create_app())
    first = await client.ws_connect("/chat")
    second = await client.ws_connect("/chat")
    await first.send_bytes(b"not what this chat is for")
    await first.send_str("hello")
    assert await first.receive_str() == "hello"
    assert await second.receive_str() == "hello"
    await second.send_str("and to you")
    assert await first.receive_str() == "and to you"


@pytest.mark.parametrize("suffix", ["", "-by-task"])
async def test_logging_out_closes_the_websockets_of_that_user_alone(test_client, example, suffix):
    client = await test_client(example("faq/08_close_websockets.py").create_app())
    ann = await client.ws_connect(f"/echo{suffix}?user=ann")
    bob = await client.ws_connect(f"/echo{suffix}?user=bob")
    for ws in (ann, bob):
        await ws.send_str("ping")
        assert await ws.receive_str() == "ping"
    receiving = asyncio.create_task(ann.receive())
    response = await client.post(f"/logout{suffix}?user=ann")
    assert (await response.text()).endswith("1")
    message = await receiving
    assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 1000, "logged out")
    await bob.send_str("still here")
    assert await bob.receive_str() == "still here"


@pytest.mark.skipif(sys.platform == "darwin", reason="127.0.0.2 is no address there by default")
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
async def test_requests_come_from_the_address_that_was_chosen(test_server, example, address):
    async def remote(request: web.Request) -> web.Response:
        return web.Response(text=str(request.remote))

    app = web.Application()
    app.router.add_get("/", remote)
    server = await test_server(app)
    fetch_from = example("faq/09_local_address.py").fetch_from
    assert await fetch_from(address, str(server.make_url("/"))) == address


@pytest.mark.subprocess
def test_the_tests_of_the_loop_sample_pass(docs):
    folder = docs / "examples/faq/10_implicit_loop"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder,
         "-c", os.devnull, "-p", "no:asyncio", "-p", "no:anyio", folder],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr


async def test_compression_is_a_middleware(test_client, example):
    client = await test_client(example("faq/12_compression.py").create_app(), auto_decompress=False)
    response = await client.get("/poem", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(await response.read()) < 500
    for path, accepts in (("/poem", "identity"), ("/short", "gzip")):
        response = await client.get(path, headers={"Accept-Encoding": accepts})
        assert "Content-Encoding" not in response.headers


def test_every_sample_is_shown(docs: pathlib.Path):
    page = (docs / "faq.md").read_text()
    samples = sorted((docs / "examples/faq").rglob("*.py"))
    assert samples
    for path in samples:
        assert f"{{literalinclude}} {path.relative_to(docs)}" in page
