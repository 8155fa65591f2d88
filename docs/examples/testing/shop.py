"""What the samples about testing test."""

import asyncio

from antiphon import web
from antiphon.client import ClientSession, ClientTimeout


async def price(request: web.Request) -> web.Response:
    return web.json_response({"price": 42})


async def report(request: web.Request) -> web.Response:
    return web.Response(text="42\n" * 40_000)


async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response(text="at last")


def create_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/price", price)
    app.router.add_get("/report", report)
    app.router.add_get("/slow", slow)
    return app


async def fetch_price(session: ClientSession, url: str) -> int:
    """Ask for the price, and once more after a minute if that fails."""
    for last in (False, True):
        try:
            async with session.get(url, timeout=ClientTimeout(total=10)) as response:
                response.raise_for_status()
                return (await response.json())["price"]
        except (OSError, TimeoutError):
            if last:
                raise
            await asyncio.sleep(60)
    raise AssertionError("the loop above returns or raises")
