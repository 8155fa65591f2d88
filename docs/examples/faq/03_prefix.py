from antiphon import web


async def sink(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {request.match_info['tail']}")


def create_app() -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/path/to/{tail:.+}", sink)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
