import asyncio

from antiphon import web

STOPPING = web.AppKey("stopping", asyncio.Event)


async def tell(app: web.Application) -> None:
    app[STOPPING].set()


async def events(request: web.Request) -> web.StreamResponse:
    """A stream without end: it has to hear of the stop, or it is cut off when the time is up."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: hello\n\n")
    await request.app[STOPPING].wait()
    await response.write(b"data: goodbye\n\n")
    await response.write_eof()
    return response


async def ready(request: web.Request) -> web.Response:
    stopping = request.app[STOPPING].is_set()
    return web.Response(text="stopping" if stopping else "ready", status=503 if stopping else 200)


async def live(request: web.Request) -> web.Response:
    return web.Response(text="alive")


def create_app() -> web.Application:
    app = web.Application()
    app[STOPPING] = asyncio.Event()
    app.on_shutdown.append(tell)
    app.router.add_get("/events", events)
    app.router.add_get("/-/ready", ready)
    app.router.add_get("/-/live", live)
    return app


if __name__ == "__main__":
    web.run_app(create_app(), shutdown_timeout=20)
