import asyncio

import pytest
from shop import create_app

from antiphon.client import ClientSession, ServerDisconnectedError
from antiphon.testing import ScriptedPeer, ScriptedServer


async def test_a_server_that_hangs_up():
    async with ScriptedServer() as server, ClientSession() as session:
        asking = asyncio.create_task(session.post(server.url, data=b"x"))
        peer = await server.accept()
        await peer.expect_head()
        peer.close()
        with pytest.raises(ServerDisconnectedError):
            await asking


async def test_what_the_server_says_to_nonsense(test_server):
    server = await test_server(create_app())
    peer = await ScriptedPeer.connect(server)
    peer.say(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    head = await peer.expect_head()
    peer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
