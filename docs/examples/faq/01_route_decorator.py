from collections.abc import Awaitable, Callable
from typing import TypeVar

from antiphon import web

Handler = TypeVar("Handler", bound=Callable[[web.Request], Awaitable[web.StreamResponse]])


class App(web.Application):
    def route(self, path: str, *, method: str = "GET") -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.router.add_route(method, path, handler)
            return handler

        return add


app = App()


@app.route("/hello/{name}")
async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"Hello, {request.match_info['name']}!")


if __name__ == "__main__":
    web.run_app(app)
