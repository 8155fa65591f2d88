"""The scenarios on antiphon.web."""

import argparse

from _start import JSON_ANSWER, PIECE, PIECES, PLAIN, THINGS, files, run

from antiphon import web


async def plaintext(request: web.Request) -> web.Response:
    return web.Response(text=PLAIN)


async def as_json(request: web.Request) -> web.Response:
    return web.json_response(JSON_ANSWER)


async def browser(request: web.Request) -> web.Response:
    language = request.headers["Accept-Language"]
    agent = request.headers["User-Agent"]
    return web.Response(text=f"{language} {len(agent)} {request.cookies['session']}")


async def post_json(request: web.Request) -> web.Response:
    data = await request.json()
    return web.json_response({"items": len(data["items"])})


async def thing(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["id"])


async def upload(request: web.Request) -> web.Response:
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return web.Response(text=str(size))


async def download(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(PIECES):
        await response.write(PIECE)
    await response.write_eof()
    return response


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_bytes(message.data)
    return socket


@web.middleware
async def first(request, handler):  # type: ignore[no-untyped-def]  # the same text for both
    response = await handler(request)
    response.headers["X-First"] = "1"
    return response


@web.middleware
async def second(request, handler):  # type: ignore[no-untyped-def]  # the same text for both
    response = await handler(request)
    response.headers["X-Second"] = "2"
    return response


@web.middleware
async def third(request, handler):  # type: ignore[no-untyped-def]  # the same text for both
    response = await handler(request)
    response.headers["X-Third"] = "3"
    return response


def make_app(*, middlewares: bool) -> web.Application:
    app = web.Application(middlewares=[first, second, third] if middlewares else [])
    app.router.add_get("/plaintext", plaintext)
    app.router.add_get("/json", as_json)
    app.router.add_get("/browser", browser)
    app.router.add_post("/post", post_json)
    app.router.add_post("/upload", upload)
    app.router.add_get("/download", download)
    app.router.add_get("/echo", echo)
    app.router.add_static("/static", files())
    for number in range(THINGS):
        app.router.add_get(f"/api/v1/things{number}", plaintext)
        app.router.add_get(f"/api/v1/things{number}/{{id}}", thing)
    return app


async def serve(wanted: argparse.Namespace) -> None:
    runner = web.AppRunner(make_app(middlewares=wanted.middlewares), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", wanted.port).start()


run(serve)
