from antiphon import web


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"Hello, {request.match_info['name']}!")


def create_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/hello/{name}", hello)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
