"""The scenarios on BlackSheep, for uvicorn to run."""

from _start import JSON_ANSWER, PIECE, PIECES, PLAIN, THINGS, files
from blacksheep import (
    Application,
    Request,
    Response,
    Router,
    StreamedContent,
    WebSocket,
    json,
    text,
)
from blacksheep.server.websocket import WebSocketDisconnectError


async def plaintext() -> Response:
    return text(PLAIN)


async def as_json() -> Response:
    return json(JSON_ANSWER)


async def browser(request: Request) -> Response:
    language = request.get_first_header(b"Accept-Language").decode()
    agent = request.get_first_header(b"User-Agent").decode()
    return text(f"{language} {len(agent)} {request.cookies['session']}")


async def post_json(request: Request) -> Response:
    data = await request.json()
    return json({"items": len(data["items"])})


async def thing(request: Request) -> Response:
    return text(request.route_values["id"])


async def upload(request: Request) -> Response:
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return text(str(size))


async def pieces():
    for _ in range(PIECES):
        yield PIECE


async def download() -> Response:
    return Response(200, content=StreamedContent(b"application/octet-stream", pieces))


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_bytes(await websocket.receive_bytes())
    except WebSocketDisconnectError:
        pass


def adds(name: bytes, value: bytes):
    async def middleware(request, handler):
        response = await handler(request)
        response.headers.add(name, value)
        return response

    return middleware


def make_app(*fields: tuple[bytes, bytes]) -> Application:
    app = Application(router=Router())
    for field in fields:
        app.middlewares.append(adds(*field))
    for number in range(THINGS):
        app.router.add_get(f"/api/v1/things{number}", plaintext)
        app.router.add_get(f"/api/v1/things{number}/{{id}}", thing)
    app.router.add_get("/plaintext", plaintext)
    app.router.add_get("/json", as_json)
    app.router.add_get("/browser", browser)
    app.router.add_post("/post", post_json)
    app.router.add_post("/upload", upload)
    app.router.add_get("/download", download)
    app.router.add_ws("/echo", echo)
    app.serve_files(files(), root_path="static", extensions={".txt", ".bin"})
    return app


plain = make_app()
middlewares = make_app((b"X-First", b"1"), (b"X-Second", b"2"), (b"X-Third", b"3"))
