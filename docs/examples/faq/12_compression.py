from antiphon import web

COMPRESSIBLE = ("text/", "application/json", "application/javascript", "image/svg+xml")


@web.middleware
async def compress(request: web.Request, handler) -> web.StreamResponse:
    response = await handler(request)
    if (
        isinstance(response, web.Response)
        and not response.prepared
        and response.content_type.startswith(COMPRESSIBLE)
        and len(response.body or b"") > 1000
        and "Content-Encoding" not in response.headers
    ):
        response.enable_compression()  # what the client accepts, or nothing
    return response


async def poem(request: web.Request) -> web.Response:
    return web.Response(text="All work and no play makes Jack a dull boy.\n" * 100)


async def short(request: web.Request) -> web.Response:
    return web.Response(text="brief")


def create_app() -> web.Application:
    app = web.Application(middlewares=[compress])
    app.router.add_get("/poem", poem)
    app.router.add_get("/short", short)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
