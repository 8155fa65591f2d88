"""A scripted peer says and expects bytes, and says what was wrong."""

import asyncio
import re
from typing import Any

import pytest

from antiphon.client import ClientSession, ServerDisconnectedError
from antiphon.testing.memory import MemoryConnector
from antiphon.testing.scripted import ScriptedPeer, ScriptedServer


@pytest.fixture(params=["memory", "socket"])
async def server(request: pytest.FixtureRequest) -> Any:
    async with ScriptedServer(transport=request.param, timeout=5) as server:
        yield server


@pytest.fixture
async def session(server: ScriptedServer) -> Any:
    connector = None if server.listener is None else MemoryConnector(server.listener)
    async with ClientSession(connector=connector) as session:
        yield session


async def test_it_answers_a_client(server: ScriptedServer, session: ClientSession) -> None:
    asking = asyncio.create_task(session._request("GET", server.url / "x"))
    peer = await server.accept()
    assert (await peer.expect_head()).startswith(b"GET /x HTTP/1.1\r\n")
    peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", split=1)
    async with await asking as response:
        assert await response.read() == b"ok"


async def test_it_resets_a_client(server: ScriptedServer, session: ClientSession) -> None:
    asking = asyncio.create_task(session._request("GET", server.url))
    peer = await server.accept()
    await peer.expect_head()
    peer.close()
    with pytest.raises(ServerDisconnectedError):
        await asking


async def test_what_was_expected_and_what_came_are_told() -> None:
    server = ScriptedServer(transport="memory")
    await server.start()
    assert server.listener is not None
    peer = await ScriptedPeer.connect(server.listener)
    other = await server.accept()
    peer.say(b"apples and pears")
    assert await other.expect(re.compile(rb"app\w+")) == b"apples"
    with pytest.raises(AssertionError, match=r"expected b' or pears'.*b' and pears'"):
        await other.expect(b" or pears")
    peer.close()
    with pytest.raises(AssertionError, match="the other end closed"):
        await other.expect_bytes(100)


async def test_an_expectation_does_not_wait_for_ever(antiphon_clock: Any) -> None:
    async with ScriptedServer(transport="memory") as server:
        with pytest.raises(AssertionError, match="nobody connected"):
            await server.accept()
        assert server.listener is not None
        peer = await ScriptedPeer.connect(server.listener)
        with pytest.raises(AssertionError, match=r"10 s later there was b''"):
            await peer.expect(b"x")
        peer.close()
