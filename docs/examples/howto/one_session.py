from collections.abc import AsyncIterator

from antiphon import web
from antiphon.client import ClientSession

SESSION = web.AppKey("session", ClientSession)
UPSTREAM = web.AppKey("upstream", str)


async def session(app: web.Application) -> AsyncIterator[None]:
    """One session for the life of the server: one pool of connections, kept warm."""
    async with ClientSession() as app[SESSION]:
        yield


async def answer(request: web.Request) -> web.Response:
    async with request.app[SESSION].get(request.app[UPSTREAM]) as response:
        return web.Response(text=await response.text(), status=response.status)


def create_app(upstream: str) -> web.Application:
    app = web.Application()
    app[UPSTREAM] = upstream
    app.cleanup_ctx.append(session)
    app.router.add_get("/", answer)
    return app
