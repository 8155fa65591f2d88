"""What newcomers see first works: the samples of the start page and the demonstration's service."""

import asyncio
import hashlib
import sys

import pytest


async def test_the_first_server_says_hello(test_client, example):
    client = await test_client(example("start/hello.py").create_app)
    assert await (await client.get("/hello/world")).text() == "Hello, world!"


async def test_the_first_test_passes(test_client, example):
    await example("start/test_hello.py").test_hello(test_client)


@pytest.mark.subprocess
async def test_the_first_client_prints_what_it_got(test_server, example, docs):
    server = await test_server(example("start/hello.py").create_app)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        docs / "examples/start/ask.py",
        str(server.make_url("/hello/you")),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert said.decode().strip() == "200 Hello, you!"


async def test_the_file_store_keeps_what_it_is_given(test_client, example):
    pytest.importorskip("aiosqlite")
    client = await test_client(example("filestore/service.py").create_app)
    content = bytes(range(256)) * 1000
    response = await client.put("/files/a/b.bin", data=content)
    assert response.status == 201
    assert (await response.json())["sha256"] == hashlib.sha256(content).hexdigest()
    assert await (await client.get("/files/a/b.bin")).read() == content
    assert [row["name"] for row in await (await client.get("/files")).json()] == ["a/b.bin"]
    assert "a/b.bin" in await (await client.get("/")).text()
    assert (await client.get("/files/missing")).status == 404
