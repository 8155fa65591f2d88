"""The scenarios on Sanic's own server, in a single process."""

from _start import JSON_ANSWER, PIECE, PIECES, PLAIN, THINGS, arguments, files
from sanic import Request, Sanic, Websocket
from sanic.response import json, text


async def plaintext(request):
    return text(PLAIN)


async def as_json(request):
    return json(JSON_ANSWER)


async def browser(request):
    language = request.headers["Accept-Language"]
    agent = request.headers["User-Agent"]
    return text(f"{language} {len(agent)} {request.cookies.get('session')}")


async def post_json(request):
    return json({"items": len(request.json["items"])})


async def thing(request, id):
    return text(id)


async def upload(request: Request):
    size = 0
    while (piece := await request.stream.read()) is not None:
        size += len(piece)
    return text(str(size))


async def download(request: Request):
    response = await request.respond(content_type="application/octet-stream")
    for _ in range(PIECES):
        await response.send(PIECE)
    await response.eof()


async def echo(request: Request, ws: Websocket):
    async for message in ws:
        await ws.send(message)


def adds(name, value):
    async def middleware(request, response):
        response.headers[name] = value

    return middleware


def make_app(*, loop: str, middlewares: bool) -> Sanic:
    app = Sanic("benchmark", configure_logging=False)
    app.config.USE_UVLOOP = loop == "uvloop"
    app.config.REQUEST_MAX_SIZE = 100 * 1024 * 1024
    app.config.ACCESS_LOG = False
    if middlewares:
        app.on_response(adds("X-First", "1"))
        app.on_response(adds("X-Second", "2"))
        app.on_response(adds("X-Third", "3"))
    for number in range(THINGS):
        app.add_route(plaintext, f"/api/v1/things{number}", name=f"things{number}")
        app.add_route(thing, f"/api/v1/things{number}/<id>", name=f"thing{number}")
    app.add_route(plaintext, "/plaintext")
    app.add_route(as_json, "/json")
    app.add_route(browser, "/browser")
    app.add_route(post_json, "/post", methods=["POST"])
    app.add_route(upload, "/upload", methods=["POST"], stream=True)
    app.add_route(download, "/download")
    app.add_websocket_route(echo, "/echo")
    app.static("/static", files())
    return app


wanted = arguments()
make_app(loop=wanted.loop, middlewares=wanted.middlewares).run(
    host="127.0.0.1", port=wanted.port, single_process=True, access_log=False, motd=False
)
