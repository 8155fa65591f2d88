"""The scenarios on antiphon.web."""

from _start import JSON_ANSWER, PLAIN, run

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


async def serve(port: int) -> int:
    app = web.Application()
    app.router.add_get("/plaintext", plaintext)
    app.router.add_get("/json", as_json)
    app.router.add_get("/browser", browser)
    app.router.add_post("/post", post_json)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    return runner.addresses[0][1]


run(serve)
