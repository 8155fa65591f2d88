from antiphon import web

USER = web.RequestKey("user", str)


@web.middleware
async def who(request: web.Request, handler) -> web.StreamResponse:
    request[USER] = request.headers.get("X-User", "nobody")
    return await handler(request)


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"Hello, {request[USER]}!")


def create_app() -> web.Application:
    app = web.Application(middlewares=[who])
    app.router.add_get("/", hello)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
