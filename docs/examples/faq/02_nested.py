from antiphon import web

TITLE = web.AppKey("title", str)


async def users(request: web.Request) -> web.Response:
    title = request.config_dict[TITLE]  # set in the application above
    return web.Response(text=f"{title}: users, at {request.path}")


async def index(request: web.Request) -> web.Response:
    return web.Response(text=request.app[TITLE])


def create_admin() -> web.Application:
    admin = web.Application()
    admin.router.add_get("/users", users, name="users")
    return admin


def create_app() -> web.Application:
    app = web.Application()
    app[TITLE] = "Shop"
    app.router.add_get("/", index)
    app.add_subapp("/admin/", create_admin())
    return app


if __name__ == "__main__":
    web.run_app(create_app())
