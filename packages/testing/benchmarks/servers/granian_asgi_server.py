"""The scenarios on granian's ASGI side, without any framework."""

import json
from http.cookies import SimpleCookie

from _start import JSON_ANSWER, PIECE, PIECES, PLAIN, THINGS

TEXT = (b"content-type", b"text/plain; charset=utf-8")
JSON = (b"content-type", b"application/json")


async def answer(send, body, kind=TEXT, status=200):
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [kind, length]})
    await send({"type": "http.response.body", "body": body})


async def plaintext(scope, receive, send):
    await answer(send, PLAIN.encode())


async def as_json(scope, receive, send):
    await answer(send, json.dumps(JSON_ANSWER).encode(), JSON)


async def browser(scope, receive, send):
    headers = dict(scope["headers"])
    language = headers[b"accept-language"].decode()
    agent = headers[b"user-agent"].decode()
    session = SimpleCookie(headers[b"cookie"].decode())["session"].value
    await answer(send, f"{language} {len(agent)} {session}".encode())


async def content(receive):
    while True:
        event = await receive()
        yield event.get("body", b"")
        if not event.get("more_body", False):
            return


async def post_json(scope, receive, send):
    data = json.loads(b"".join([piece async for piece in content(receive)]))
    await answer(send, json.dumps({"items": len(data["items"])}).encode(), JSON)


async def thing(scope, receive, send):
    await answer(send, scope["path"].rpartition("/")[2].encode())


async def upload(scope, receive, send):
    size = 0
    async for piece in content(receive):
        size += len(piece)
    await answer(send, str(size).encode())


async def download(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(PIECES):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def nothing(scope, receive, send):
    await answer(send, b"", status=404)


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] != "websocket.receive":
            return
        await send({"type": "websocket.send", "bytes": event["bytes"]})


EXACT = {
    "/plaintext": plaintext,
    "/json": as_json,
    "/browser": browser,
    "/post": post_json,
    "/upload": upload,
    "/download": download,
    **{f"/api/v1/things{number}": plaintext for number in range(THINGS)},
}
MEMBERS = {f"/api/v1/things{number}": thing for number in range(THINGS)}


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
    elif scope["type"] == "http":
        path = scope["path"]
        handler = EXACT.get(path) or MEMBERS.get(path.rpartition("/")[0]) or nothing
        await handler(scope, receive, send)
