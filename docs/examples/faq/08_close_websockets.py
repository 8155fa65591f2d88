import asyncio
from collections import defaultdict

from antiphon import web

SOCKETS: web.AppKey[dict[str, set[web.WebSocketResponse]]] = web.AppKey("sockets")
TASKS: web.AppKey[dict[str, set[asyncio.Task]]] = web.AppKey("tasks")


def authenticate(request: web.Request) -> str:
    """Say who asks. Yours would look at a session."""
    return request.query["user"]


# [close]
async def echo(request: web.Request) -> web.WebSocketResponse:
    user = authenticate(request)
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    sockets = request.app[SOCKETS][user]
    sockets.add(ws)
    try:
        async for msg in ws:
            await ws.send_str(msg.data)
    finally:
        sockets.discard(ws)
    return ws


async def logout(request: web.Request) -> web.Response:
    sockets = list(request.app[SOCKETS][authenticate(request)])
    await asyncio.gather(*(ws.close(message=b"logged out") for ws in sockets))
    return web.Response(text=f"closed {len(sockets)}")


# [/close]


# [cancel]
async def echo_by_task(request: web.Request) -> web.WebSocketResponse:
    user = authenticate(request)
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    tasks = request.app[TASKS][user]
    task = asyncio.current_task()
    tasks.add(task)
    try:
        async for msg in ws:
            await ws.send_str(msg.data)
    except asyncio.CancelledError:
        await ws.close(message=b"logged out")
        raise
    finally:
        tasks.discard(task)
    return ws


async def logout_by_task(request: web.Request) -> web.Response:
    tasks = list(request.app[TASKS][authenticate(request)])
    for task in tasks:
        task.cancel()
    return web.Response(text=f"cancelled {len(tasks)}")


# [/cancel]


def create_app() -> web.Application:
    app = web.Application()
    app[SOCKETS] = defaultdict(set)
    app[TASKS] = defaultdict(set)
    app.router.add_get("/echo", echo)
    app.router.add_post("/logout", logout)
    app.router.add_get("/echo-by-task", echo_by_task)
    app.router.add_post("/logout-by-task", logout_by_task)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
