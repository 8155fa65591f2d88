"""A small service as it is run behind a proxy: it says whom it takes you for, and talks."""

import asyncio

from antiphon import web

READY = web.AppKey("ready", asyncio.Event)


async def who(request: web.Request) -> web.Response:
    return web.json_response({
        "remote": request.remote,
        "scheme": request.scheme,
        "host": request.host,
    })


async def talk(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(heartbeat=30)
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(f"{request.remote} said {message.data}")
    return ws


async def live(request: web.Request) -> web.Response:
    return web.Response(text="alive")


async def ready(request: web.Request) -> web.Response:
    if not request.app[READY].is_set():
        raise web.HTTPServiceUnavailable(text="starting or stopping")
    return web.Response(text="ready")


async def is_ready(app: web.Application) -> None:
    app[READY].set()


async def not_ready(app: web.Application) -> None:
    app[READY].clear()


def create_app() -> web.Application:
    app = web.Application(middlewares=[web.trusted_proxies(["unix", "127.0.0.1"])])
    app[READY] = asyncio.Event()
    app.add_routes([
        web.get("/", who),
        web.get("/ws", talk),
        web.get("/-/live", live),
        web.get("/-/ready", ready),
    ])
    app.on_startup.append(is_ready)
    app.on_shutdown.append(not_ready)
    return app
