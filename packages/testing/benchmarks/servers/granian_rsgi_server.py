"""The scenarios on granian's own interface, RSGI, without any framework."""

import json
from http.cookies import SimpleCookie

from _start import JSON_ANSWER, PIECE, PIECES, PLAIN, THINGS, files

TEXT = [("content-type", "text/plain; charset=utf-8")]
JSON = [("content-type", "application/json")]
ROOT = files()
TREE = {f"/static/{path.name}": str(path) for path in ROOT.iterdir()}


async def plaintext(scope, protocol):
    protocol.response_str(200, TEXT, PLAIN)


async def as_json(scope, protocol):
    protocol.response_bytes(200, JSON, json.dumps(JSON_ANSWER).encode())


async def browser(scope, protocol):
    language = scope.headers["accept-language"]
    agent = scope.headers["user-agent"]
    session = SimpleCookie(scope.headers["cookie"])["session"].value
    protocol.response_str(200, TEXT, f"{language} {len(agent)} {session}")


async def post_json(scope, protocol):
    data = json.loads(await protocol())
    protocol.response_bytes(200, JSON, json.dumps({"items": len(data["items"])}).encode())


async def thing(scope, protocol):
    protocol.response_str(200, TEXT, scope.path.rpartition("/")[2])


async def upload(scope, protocol):
    size = 0
    async for piece in protocol:
        size += len(piece)
    protocol.response_str(200, TEXT, str(size))


async def download(scope, protocol):
    transport = protocol.response_stream(200, [])
    for _ in range(PIECES):
        await transport.send_bytes(PIECE)


async def static(scope, protocol):
    protocol.response_file(200, [("content-type", "application/octet-stream")], TREE[scope.path])


async def nothing(scope, protocol):
    protocol.response_empty(404, [])


async def echo(scope, protocol):
    transport = await protocol.accept()
    while True:
        message = await transport.receive()
        if message.kind == 0:
            return
        await transport.send_bytes(message.data)


EXACT = {
    "/plaintext": plaintext,
    "/json": as_json,
    "/browser": browser,
    "/post": post_json,
    "/upload": upload,
    "/download": download,
    **dict.fromkeys(TREE, static),
    **{f"/api/v1/things{number}": plaintext for number in range(THINGS)},
}
MEMBERS = {f"/api/v1/things{number}": thing for number in range(THINGS)}


async def app(scope, protocol):
    if scope.proto == "ws":
        await echo(scope, protocol)
        return
    path = scope.path
    handler = EXACT.get(path) or MEMBERS.get(path.rpartition("/")[0]) or nothing
    await handler(scope, protocol)
