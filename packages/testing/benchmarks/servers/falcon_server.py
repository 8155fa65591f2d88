"""The scenarios on Falcon's ASGI side, for uvicorn to run."""

import falcon
import falcon.asgi
from _start import JSON_ANSWER, PIECE, PIECES, PLAIN, THINGS, files


class Plaintext:
    async def on_get(self, req, resp):
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = PLAIN


class Json:
    async def on_get(self, req, resp):
        resp.media = JSON_ANSWER


class Browser:
    async def on_get(self, req, resp):
        language = req.get_header("Accept-Language")
        agent = req.get_header("User-Agent")
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"{language} {len(agent)} {req.cookies['session']}"


class Post:
    async def on_post(self, req, resp):
        data = await req.get_media()
        resp.media = {"items": len(data["items"])}


class Thing:
    async def on_get(self, req, resp, thing):
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = thing


class Upload:
    async def on_post(self, req, resp):
        size = 0
        async for piece in req.stream:
            size += len(piece)
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = str(size)


class Download:
    async def on_get(self, req, resp):
        async def pieces():
            for _ in range(PIECES):
                yield PIECE

        resp.stream = pieces()


class Echo:
    async def on_websocket(self, req, ws):
        await ws.accept()
        try:
            while True:
                await ws.send_data(await ws.receive_data())
        except falcon.WebSocketDisconnected:
            pass


class AddField:
    def __init__(self, name, value):
        self.name = name
        self.value = value

    async def process_response(self, req, resp, resource, req_succeeded):
        resp.set_header(self.name, self.value)


def make_app(*fields):
    app = falcon.asgi.App(middleware=[AddField(*field) for field in fields])
    plaintext, thing = Plaintext(), Thing()
    for number in range(THINGS):
        app.add_route(f"/api/v1/things{number}", plaintext)
        app.add_route(f"/api/v1/things{number}/{{thing}}", thing)
    app.add_route("/plaintext", plaintext)
    app.add_route("/json", Json())
    app.add_route("/browser", Browser())
    app.add_route("/post", Post())
    app.add_route("/upload", Upload())
    app.add_route("/download", Download())
    app.add_route("/echo", Echo())
    app.add_static_route("/static", files())
    return app


plain = make_app()
middlewares = make_app(("X-First", "1"), ("X-Second", "2"), ("X-Third", "3"))
