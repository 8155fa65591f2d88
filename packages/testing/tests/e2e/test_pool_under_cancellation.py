"""Requests that are cancelled while they wait for a connection."""

import asyncio
from typing import Any

import pytest

from antiphon import web
from antiphon.client import ClientSession, TCPConnector


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("cancelled", [1, 2, 3, 4])
async def test_cancelling_several_at_once_gives_each_slot_back_once(
    test_server: Any, limit: int, cancelled: int
) -> None:
    """A waiter cancelled in the step in which it is granted a slot was let go twice."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    server = await test_server(app)

    connector = TCPConnector(limit=limit)
    async with ClientSession(connector=connector) as session:

        async def ask() -> int:
            async with session.get(server.make_url("/")) as response:
                return response.status

        for _ in range(3):
            tasks = [asyncio.create_task(ask()) for _ in range(cancelled + 2)]
            await asyncio.wait(tasks, timeout=0)
            for task in tasks[:cancelled]:
                task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert answers[cancelled:] == [200, 200]
            assert len(server.runner.server.connections) <= limit
        assert connector.stats().active == 0
