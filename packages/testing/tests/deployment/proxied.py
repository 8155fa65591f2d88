"""The demo's file store as it is served behind a proxy, with the shop's pages beside it."""

import asyncio

import service  # the demo, docs/examples/filestore
import shop  # docs/examples/howto/deploy

from antiphon import web

GOING = web.AppKey("going", asyncio.Event)


async def zeros(request: web.Request) -> web.StreamResponse:
    """Stream as many megabytes as asked."""
    megabytes = int(request.match_info["megabytes"])
    response = web.StreamResponse()
    response.content_length = megabytes << 20
    await response.prepare(request)
    for _ in range(megabytes):
        await response.write(bytes(1 << 20))
    await response.write_eof()
    return response


async def two_lines(request: web.Request) -> web.StreamResponse:
    """Send a line, and another when somebody says go."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"one\n")
    await request.app[GOING].wait()
    await response.write(b"two\n")
    await response.write_eof()
    return response


async def go(request: web.Request) -> web.Response:
    request.app[GOING].set()
    return web.Response(text="gone")


def create_app() -> web.Application:
    app = shop.create_app()
    app[GOING] = asyncio.Event()
    app.router.add_get("/zeros/{megabytes}", zeros)
    app.router.add_get("/lines", two_lines)
    app.router.add_post("/go", go)
    app.add_subapp("/store", service.create_app())
    return app
