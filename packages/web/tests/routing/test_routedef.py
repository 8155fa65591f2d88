"""Routes declared beside their handlers."""

from collections.abc import Callable
from typing import Any

import pytest

from antiphon.web.app import Application
from antiphon.web.exceptions import HTTPMethodNotAllowed
from antiphon.web.middlewares import middleware
from antiphon.web.routing import routedef
from antiphon.web.routing.routedef import RouteDef, RouteTableDef, StaticDef
from antiphon.web.routing.view import View


async def handle(request: Any) -> Any:
    return "handled"


@pytest.mark.parametrize(
    ("declare", "methods"),
    [
        (routedef.get, ["HEAD", "GET"]),
        (routedef.head, ["HEAD"]),
        (routedef.options, ["OPTIONS"]),
        (routedef.post, ["POST"]),
        (routedef.put, ["PUT"]),
        (routedef.patch, ["PATCH"]),
        (routedef.delete, ["DELETE"]),
    ],
)
def test_a_method_each(declare: Any, methods: list[str]) -> None:
    app = Application()
    (route,) = app.add_routes([declare("/a", handle, name="n")])
    assert route.method == methods[-1]
    assert [r.method for r in app.router.routes()] == methods
    assert app.router["n"] is route.resource


@pytest.mark.parametrize(
    ("method", "registered"),
    [("*", "*"), ("GET", "GET"), ("post", "POST"), ("PURGE", "PURGE"), ("CONNECT", "CONNECT")],
)
def test_any_method(method: str, registered: str) -> None:
    app = Application()
    (route,) = app.add_routes([routedef.route(method, "/a", handle)])
    assert route.method == registered


def test_get_without_head() -> None:
    app = Application()
    app.add_routes([routedef.get("/a", handle, allow_head=False)])
    assert [route.method for route in app.router.routes()] == ["GET"]


def test_table() -> None:
    table = RouteTableDef()

    @table.get("/get", name="n")
    async def get(request: Any) -> Any:
        return "get"

    decorators: list[Callable[..., Any]] = [
        table.post, table.put, table.patch, table.delete, table.head, table.options,
    ]  # fmt: skip
    for decorator in decorators:
        assert decorator("/x")(handle) is handle
    table.route("*", "/any")(handle)
    table.static("/files", "/somewhere")

    @table.view("/view")
    class Seen(View):
        async def get(self) -> Any:
            return "seen"

    assert len(table) == 10
    assert table[0] == RouteDef("GET", "/get", get, {"name": "n"})
    assert table[0:1] == [table[0]]
    assert table[0] in table
    assert table[8] == StaticDef("/files", "/somewhere", {})
    assert repr(table) == "<RouteTableDef count=10>"
    assert repr(table[0]) == "<RouteDef GET /get -> 'get', name='n'>"
    assert repr(table[8]) == "<StaticDef /files -> /somewhere>"
    app = Application()
    app.add_routes([definition for definition in table if isinstance(definition, RouteDef)])
    assert {route.method for route in app.router.routes()} == {
        "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*",
    }  # fmt: skip


async def test_middlewares_and_defaults_of_a_table(make_request: Callable[..., Any]) -> None:
    calls: list[str] = []

    def noting(name: str) -> Any:
        @middleware
        async def note(request: Any, handler: Any) -> Any:
            calls.append(name)
            return await handler(request)

        return note

    table = RouteTableDef(middlewares=[noting("table")], client_max_size=5, timeout=3.0)
    table.get("/a", middlewares=[noting("route")], timeout=1.0)(handle)
    table.get("/b")(handle)
    app = Application(middlewares=[noting("app")])
    app.add_routes(table)
    app.freeze()
    for path, expected, timeout in [
        ("/a", ["app", "table", "route"], 1.0),
        ("/b", ["app", "table"], 3.0),
    ]:
        calls.clear()
        info = app.router.match("GET", path, make_request("GET", path))
        assert info is not None
        assert await info.serve(make_request("GET", path)) == "handled"
        assert calls == expected
        assert info.options.timeout == timeout
        assert info.options.client_max_size == 5


class Things(View):
    async def get(self) -> Any:
        return f"got {self.request.rel_url.path}"

    async def delete(self) -> Any:
        return "deleted"


async def test_views(make_request: Callable[..., Any]) -> None:
    app = Application()
    app.add_routes([routedef.view("/{name}", Things)])
    app.freeze()

    async def ask(method: str) -> Any:
        request = make_request(method, "/a")
        info = app.router.match(method, "/a", request)
        assert info is not None
        assert info.handler is Things
        return await info.serve(request)

    assert await ask("GET") == "got /a"
    assert await ask("DELETE") == "deleted"
    for method in ("POST", "REQUEST", "__CLASS__", "get"):
        with pytest.raises(HTTPMethodNotAllowed) as raised:
            await ask(method)
        assert raised.value.allowed_methods == {"GET", "DELETE"}
