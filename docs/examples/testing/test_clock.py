import asyncio

import pytest
from shop import create_app, fetch_price

from antiphon import web
from antiphon.client import ClientTimeout


async def test_an_hour_passes_at_once(antiphon_clock):
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() >= 3600


async def test_the_client_gives_up_after_ten_seconds(antiphon_clock, test_client):
    client = await test_client(create_app, transport="memory")
    with pytest.raises(TimeoutError):
        await client.get("/slow", timeout=ClientTimeout(total=10))
    assert 10 <= asyncio.get_running_loop().time() < 11


async def test_the_second_try_comes_a_minute_later(antiphon_clock, test_client):
    asked = []

    async def price(request):
        asked.append(asyncio.get_running_loop().time())
        if len(asked) == 1:
            await asyncio.sleep(30)  # longer than anybody waits
        return web.json_response({"price": 42})

    app = web.Application()
    app.router.add_get("/price", price)
    client = await test_client(app, transport="memory")
    assert await fetch_price(client.session, str(client.make_url("/price"))) == 42
    first, second = asked
    assert 70 <= second - first < 71
