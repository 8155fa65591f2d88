"""What most requests and responses have in common is made once, and stays everybody's own."""

import asyncio
import json

import pytest

from antiphon.web.app import Application
from antiphon.web.middlewares import middleware
from antiphon.web.response import Response, json_response
from antiphon.web.server import Server

MAKERS = [
    pytest.param(lambda: Response(text="hi"), "text/plain; charset=utf-8", id="text"),
    pytest.param(lambda: json_response({}), "application/json; charset=utf-8", id="json"),
]


@pytest.mark.parametrize(("make", "content_type"), MAKERS)
def test_fields_of_one_response_are_not_those_of_the_next(make, content_type):
    first = make()
    assert first.content_type == content_type.partition(";")[0]
    first.headers["X-Mine"] = "1"
    first.content_type = "text/html"
    second = make()
    assert list(second.headers.items()) == [("Content-Type", content_type)]
    assert second.headers is second.headers


@pytest.mark.parametrize(("make", "content_type"), MAKERS)
def test_fields_that_nobody_looked_at_are_sent(run, exchange, make, content_type):
    async def handler(request):
        return make()

    async def test():
        made = exchange()
        await Server(handler).request_handler.serve(made)
        assert made.response.headers == {"Content-Type": content_type}
        assert made.response.default_fields

    run(test)


def test_a_subclass_that_forgot_its_base_is_told_so():
    class Forgetful(Response):
        def __init__(self):
            pass

    with pytest.raises(AttributeError, match="not initialised"):
        Forgetful().headers  # noqa: B018  # to look at it is the test


def test_json_is_what_json_dumps_makes_of_it():
    data = {"ä": [1, 2.5, None, True], "nested": {"a": '"'}, 1: "key"}
    assert json_response(data).text == json.dumps(data)
    assert json_response(data, dumps=lambda value: "own").text == "own"
    with pytest.raises(TypeError, match="not JSON serializable"):
        json_response(object())


def served(run, exchange, app, **request):
    made = exchange(**request)

    async def test():
        await app.startup()
        app.freeze()
        task = asyncio.create_task(Server(app).request_handler.serve(made))
        made.task = task
        await task
        await app.cleanup()

    run(test)
    return made


@pytest.mark.parametrize("limit", [1024**2, 17, 0])
@pytest.mark.parametrize("path", ["/plain", "/plain?a=b", "/with/value"])
def test_a_request_knows_its_match_and_limits(run, exchange, path, limit):
    seen = []

    async def handler(request):
        clone = request.clone()
        info = request.match_info
        assert info is request.match_info is clone.match_info
        seen.append((dict(info), info.route.name, request.app, request.client_max_size))
        assert request.config_dict["who"] == "me"
        return Response(text="ok")

    app = Application(client_max_size=limit)
    app["who"] = "me"
    app.router.add_get("/plain", handler, name="plain")
    app.router.add_get("/with/{value}", handler, name="variable")
    assert served(run, exchange, app, path=path).response.text == "ok"
    values = {"value": "value"} if path == "/with/value" else {}
    assert seen == [(values, "variable" if values else "plain", app, limit)]


def test_a_middleware_sees_the_match_and_may_change_the_fields(run, exchange):
    @middleware
    async def mark(request, handler):
        response = await handler(request)
        response.headers["X-Route"] = request.match_info.route.resource.canonical
        return response

    async def handler(request):
        return Response(text="ok")

    app = Application(middlewares=[mark])
    app.router.add_get("/plain", handler)
    made = served(run, exchange, app, path="/plain")
    assert made.response.headers["X-Route"] == "/plain"
    assert made.response.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_signal_sees_a_response_that_nobody_looked_at(run, exchange):
    async def sign(request, response):
        response.headers["X-Length"] = response.headers["Content-Length"]

    async def handler(request):
        return Response(text="ok")

    app = Application()
    app.on_response_prepare.append(sign)
    app.router.add_get("/plain", handler)
    assert served(run, exchange, app, path="/plain").response.headers["X-Length"] == "2"
