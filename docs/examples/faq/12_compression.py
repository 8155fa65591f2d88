from antiphon import web


async def poem(request: web.Request) -> web.Response:
    return web.Response(text="All work and no play makes Jack a dull boy.\n" * 100)


async def short(request: web.Request) -> web.Response:
    return web.Response(text="brief")


def create_app() -> web.Application:
    app = web.Application(middlewares=[web.compression_middleware(min_size=1000)])
    app.router.add_get("/poem", poem)
    app.router.add_get("/short", short)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
