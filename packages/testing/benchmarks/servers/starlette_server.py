"""The scenarios on Starlette, for uvicorn to run."""

from _start import JSON_ANSWER, PIECE, PIECES, PLAIN, THINGS, files
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect


async def plaintext(request):
    return PlainTextResponse(PLAIN)


async def as_json(request):
    return JSONResponse(JSON_ANSWER)


async def browser(request):
    language = request.headers["Accept-Language"]
    agent = request.headers["User-Agent"]
    return PlainTextResponse(f"{language} {len(agent)} {request.cookies['session']}")


async def post_json(request):
    data = await request.json()
    return JSONResponse({"items": len(data["items"])})


async def thing(request):
    return PlainTextResponse(request.path_params["id"])


async def upload(request: Request):
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return PlainTextResponse(str(size))


async def pieces():
    for _ in range(PIECES):
        yield PIECE


async def download(request):
    return StreamingResponse(pieces())


async def echo(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.send_bytes(await socket.receive_bytes())
    except WebSocketDisconnect:
        pass


class AddField:
    """A pure ASGI middleware, which Starlette's documentation recommends for its speed."""

    def __init__(self, app, name, value):
        self.app = app
        self.name = name
        self.value = value

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_field(message):
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append(self.name, self.value)
            await send(message)

        await self.app(scope, receive, send_with_field)


ROUTES = [
    Route("/plaintext", plaintext),
    Route("/json", as_json),
    Route("/browser", browser),
    Route("/post", post_json, methods=["POST"]),
    Route("/upload", upload, methods=["POST"]),
    Route("/download", download),
    WebSocketRoute("/echo", echo),
    Mount("/static", StaticFiles(directory=files())),
    *(Route(f"/api/v1/things{number}", plaintext) for number in range(THINGS)),
    *(Route(f"/api/v1/things{number}/{{id}}", thing) for number in range(THINGS)),
]

plain = Starlette(routes=ROUTES)
middlewares = Starlette(
    routes=ROUTES,
    middleware=[
        Middleware(AddField, name="X-First", value="1"),
        Middleware(AddField, name="X-Second", value="2"),
        Middleware(AddField, name="X-Third", value="3"),
    ],
)
