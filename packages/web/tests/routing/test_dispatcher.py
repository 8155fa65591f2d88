"""Which route a request goes to."""

from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL

from antiphon.core.deprecations import AntiphonDeprecationWarning
from antiphon.web.app import Application
from antiphon.web.exceptions import HTTPExpectationFailed, HTTPMethodNotAllowed, HTTPNotFound
from antiphon.web.routing.dispatcher import UrlDispatcher, match_for
from antiphon.web.routing.match_info import UrlMappingMatchInfo
from antiphon.web.routing.resources import (
    AbstractResource,
    DynamicResource,
    PlainResource,
    PrefixResource,
    Resource,
)
from antiphon.web.routing.routes import ResourceRoute, SystemRoute


def handler(name: str) -> Any:
    async def handle(request: Any) -> Any:
        return name

    handle.__name__ = name
    return handle


def app_with(*routes: str) -> Application:
    """An application with a handler for each "METHOD path", called like that."""
    app = Application()
    for route in routes:
        method, _, path = route.partition(" ")
        app.router.add_route(method, path, handler(route))
    return app


def outcome(info: Any) -> Any:
    """The handler's name with the values, or the status with the methods there are."""
    if info.http_exception is None:
        return (info.handler.__name__, dict(info)) if info else info.handler.__name__
    if isinstance(info.http_exception, HTTPMethodNotAllowed):
        return (405, info.http_exception.allowed_methods)
    return info.http_exception.status


TABLE = [
    pytest.param(["GET /a"], "GET /a", "GET /a", id="plain"),
    pytest.param(["GET /a"], "GET /a?b=c", "GET /a", id="the query does not matter"),
    pytest.param(["GET /a"], "GET /a/", 404, id="a slash more is another path"),
    pytest.param(["GET /a"], "GET /A", 404, id="case matters"),
    pytest.param(["GET /a"], "GET //a", 404, id="an empty segment more is another path"),
    pytest.param(["GET /"], "GET /", "GET /", id="root"),
    pytest.param(["GET "], "GET ", "GET ", id="empty path"),
    pytest.param(["GET /a"], "POST /a", (405, {"GET"}), id="other method"),
    pytest.param(
        ["GET /a"], "get /a", (405, {"GET"}), id="methods are case-sensitive, RFC 9110 §9.1"
    ),
    pytest.param(["* /a"], "PURGE /a", "* /a", id="any method"),
    pytest.param(["GET /a", "* /a"], "GET /a", "GET /a", id="a method before any"),
    pytest.param(["GET /a", "* /a"], "PUT /a", "* /a", id="any for the rest"),
    pytest.param(["PROPFIND /a"], "PROPFIND /a", "PROPFIND /a", id="method of an extension"),
    pytest.param(["GET /{x}"], "GET /a", ("GET /{x}", {"x": "a"}), id="variable"),
    pytest.param(["GET /{x}"], "GET /a%2Fb", ("GET /{x}", {"x": "a/b"}), id="encoded slash"),
    pytest.param(["GET /get me"], "GET /get%20me", "GET /get me", id="text given, encoded asked"),
    pytest.param(["GET /get%20me"], "GET /get%20me", "GET /get%20me", id="encoded given and asked"),
    pytest.param(["GET /a%2Fb"], "GET /a%2fb", "GET /a%2Fb", id="encoded slash in a plain path"),
    pytest.param(["GET /a%2Fb"], "GET /a/b", 404, id="an encoded slash is no slash"),
    pytest.param(
        ["* /path/to/{tail:.+}"],
        "DELETE /path/to/some/thing?x",
        ("* /path/to/{tail:.+}", {"tail": "some/thing"}),
        id="FAQ: everything with a prefix",
    ),
    pytest.param(
        ["* /path/to/{tail:.+}"], "GET /path/to", 404, id="the prefix itself is not below it"
    ),
    # Registration order decides.
    pytest.param(["GET /{x}", "GET /a"], "GET /a", ("GET /{x}", {"x": "a"}), id="variable first"),
    pytest.param(["GET /a", "GET /{x}"], "GET /a", "GET /a", id="plain first"),
    pytest.param(
        ["GET /{x}/b", "GET /a/{y}"], "GET /a/b", ("GET /{x}/b", {"x": "a"}), id="first of two"
    ),
    pytest.param(
        ["GET /a/{y}", "GET /{x}/b"], "GET /a/b", ("GET /a/{y}", {"y": "b"}), id="and the other way"
    ),
    pytest.param(
        ["GET /{all:.*}", "GET /a/b"], "GET /a/b", ("GET /{all:.*}", {"all": "a/b"}), id="all first"
    ),
    pytest.param(["GET /a/b", "GET /{all:.*}"], "GET /a/b", "GET /a/b", id="all last"),
    pytest.param(
        ["GET /a/{x:.+}", "GET /a/b/c"],
        "GET /a/b/c",
        ("GET /a/{x:.+}", {"x": "b/c"}),
        id="below first",
    ),
    pytest.param(
        [r"GET /{x:\d+}", "GET /{y}"],
        "GET /a",
        ("GET /{y}", {"y": "a"}),
        id="next if it does not match",
    ),
    # Methods of all the resources for a path count.
    pytest.param(
        ["GET /a", "POST /{x}"], "POST /a", ("POST /{x}", {"x": "a"}), id="method found further on"
    ),
    pytest.param(
        ["GET /a", "POST /{x}"], "PUT /a", (405, {"GET", "POST"}), id="methods are gathered"
    ),
    pytest.param(["POST /{x}", "GET /a"], "GET /a", "GET /a", id="method of a later plain path"),
    pytest.param(["* /{x}", "GET /a"], "GET /a", ("* /{x}", {"x": "a"}), id="any method, first"),
    pytest.param(
        ["GET /a", "GET /b", "POST /a"], "POST /a", "POST /a", id="same path, not together"
    ),
    pytest.param(
        ["GET /a/{x}", "GET /b/{x}", "POST /a/{x}"],
        "POST /a/1",
        ("POST /a/{x}", {"x": "1"}),
        id="same pattern, not together",
    ),
    pytest.param(["GET /a"], "OPTIONS *", 404, id="asterisk-form is no path"),
    pytest.param([], "GET /", 404, id="nothing there"),
]


@pytest.mark.parametrize(("routes", "asked", "expected"), TABLE)
def test_match(
    routes: list[str], asked: str, expected: Any, make_request: Callable[..., Any]
) -> None:
    app = app_with(*routes)
    app.freeze()
    method, _, target = asked.partition(" ")
    info = app.router.match(method, target, make_request(method, target))
    assert outcome(info) == expected
    assert info is not None
    assert info.apps == (app,)
    assert info.current_app is app
    with pytest.raises(RuntimeError):
        info.add_app(app)


@pytest.mark.parametrize(("routes", "asked", "expected"), TABLE)
@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "not frozen"])
async def test_resolve(
    routes: list[str], asked: str, expected: Any, frozen: bool, make_request: Callable[..., Any]
) -> None:
    """`resolve` finds what `match` finds, and leaves it to the caller to add applications."""
    app = app_with(*routes)
    if frozen:
        app.freeze()
    info = await app.router.resolve(make_request(*asked.split(" ", 1)))
    assert outcome(info) == expected
    assert list(info.apps) == []
    with pytest.raises(RuntimeError):
        _ = info.current_app
    info.add_app(app)
    assert list(info.apps) == [app]
    assert info.current_app is app
    info.freeze()
    with pytest.raises(RuntimeError):
        info.add_app(app)


@pytest.mark.parametrize(("routes", "asked", "expected"), TABLE)
async def test_a_resource_of_ones_own_that_knows_nothing_changes_nothing(
    routes: list[str], asked: str, expected: Any, make_request: Callable[..., Any]
) -> None:
    app = Application()
    app.router.register_resource(Silent())
    for route in routes:
        method, _, path = route.partition(" ")
        app.router.add_route(method, path, handler(route))
    app.freeze()
    method, _, target = asked.partition(" ")
    request = make_request(method, target)
    assert app.router.match(method, target, request) is None, "it has to be awaited"
    info = await match_for(app, request)
    assert outcome(info) == expected
    assert info.apps == (app,)


class Silent(AbstractResource):
    """A resource of one's own that matches nothing."""

    canonical = "/silent"

    async def resolve(self, request: Any) -> Any:
        return None, set()

    def url_for(self, **kwargs: str) -> URL:
        return URL("/silent")

    def add_prefix(self, prefix: str) -> None:
        raise AssertionError("not below a prefix here")

    def get_info(self) -> dict[str, Any]:
        return {}

    def raw_match(self, path: str) -> bool:
        return False

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


class ByHeader(Silent):
    """A resource of one's own that looks at a field."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.inner = PlainResource("/")
        self.route = self.inner.add_route("GET", handler("by header"))

    async def resolve(self, request: Any) -> Any:
        self.asked += 1
        if "X-Special" in request.headers:
            return UrlMappingMatchInfo({"special": request.headers["X-Special"]}, self.route), set()
        return None, {"TEAPOT"}


async def test_a_resource_of_ones_own_takes_part_in_its_turn(
    make_request: Callable[..., Any],
) -> None:
    own = ByHeader()
    app = app_with("GET /first")
    app.router.register_resource(own)
    app.router.add_get("/second", handler("second"))
    app.freeze()

    assert outcome(app.router.match("GET", "/first", make_request("GET", "/first"))) == "GET /first"
    assert own.asked == 0, "what comes before it does not wait for it"

    request = make_request("GET", "/second")
    assert outcome(await match_for(app, request)) == "second"
    request.headers["X-Special"] = "1"
    info = await match_for(app, request)
    assert outcome(info) == ("by header", {"special": "1"})
    assert info.apps == (app,)
    assert await info.serve(request) == "by header"

    request = make_request("PUT", "/second")
    assert outcome(await match_for(app, request)) == (405, {"GET", "HEAD", "TEAPOT"})


# --- cost ---


class CountingResource(DynamicResource):
    """A dynamic resource that counts how often it is tried."""

    tries = 0

    def match_path(self, path: str) -> dict[str, str] | None:
        CountingResource.tries += 1
        return self._pattern.match(path)

    def _set(self, pattern: Any) -> None:
        self._pattern = pattern


@pytest.mark.parametrize("size", [10, 1000])
@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ("/things{n}/{{id}}", "/things5/1"),
        ("/repos/{{owner}}/{{repo}}/thing{n}", "/repos/a/b/thing5"),
        (r"/{{id:\d+}}/thing{n}", "/7/thing5"),
        ("/files{n}/{{tail:.*}}", "/files5/a/b/c"),
    ],
    ids=["text first", "text last", "regular expression first", "tails"],
)
def test_one_pattern_is_tried_whatever_the_number_of_routes(
    shape: str, path: str, size: int, make_request: Callable[..., Any]
) -> None:
    app = Application()
    for n in range(size):
        resource = CountingResource(shape.format(n=n))
        resource.add_route("GET", handler(f"h{n}"))
        app.router.register_resource(resource)
    app.freeze()
    CountingResource.tries = 0
    info = app.router.match("GET", path, make_request("GET", path))
    assert info is not None
    assert info.handler.__name__ == "h5"
    assert CountingResource.tries == 1


def test_plain_paths_are_not_tried_at_all(make_request: Callable[..., Any]) -> None:
    app = Application()
    for n in range(1000):
        resource = CountingResource(f"/{{x}}/{n}")
        resource.add_route("POST", handler("dynamic"))
        app.router.register_resource(resource)
    app.router.add_get("/plain/7", handler("plain"))
    app.freeze()
    CountingResource.tries = 0
    assert outcome(app.router.match("GET", "/plain/7", make_request("GET", "/plain/7"))) == "plain"
    assert CountingResource.tries == 0


def test_a_path_of_very_many_segments_costs_no_more_than_its_length(
    make_request: Callable[..., Any],
) -> None:
    """Text and variable both fit at every step; the tree has only so many nodes."""
    app = Application()
    for depth in range(12):
        for text in ("a", "{x}"):
            resource = CountingResource("/a" * depth + f"/{text}/{{z:.*}}/b")
            resource.add_route("GET", handler("h"))
            app.router.register_resource(resource)
    app.freeze()
    CountingResource.tries = 0
    path = "/a" * 4000
    assert outcome(app.router.match("GET", path, make_request("GET", path))) == 404
    assert CountingResource.tries <= 24


# --- adding ---


def test_get_brings_head() -> None:
    router = UrlDispatcher()
    route = router.add_get("/a", handler("a"))
    assert route.method == "GET"
    assert [r.method for r in router.routes()] == ["HEAD", "GET"]
    assert len(router.resources()) == 1


def test_get_without_head() -> None:
    router = UrlDispatcher()
    router.add_get("/a", handler("a"), allow_head=False)
    assert [r.method for r in router.routes()] == ["GET"]


@pytest.mark.parametrize("method", ["head", "options", "post", "put", "patch", "delete"])
def test_a_method_each(method: str) -> None:
    router = UrlDispatcher()
    add = getattr(router, f"add_{method}")
    assert add("/a", handler("a")).method == method.upper()


def test_the_last_resource_is_used_again_for_the_same_path() -> None:
    router = UrlDispatcher()
    first = router.add_resource("/a", name="n")
    assert router.add_resource("/a", name="n") is first
    router.add_post("/a", handler("a"), name="n")
    assert len(router.resources()) == 1
    second = router.add_resource("/{x}")
    assert router.add_resource("/{x}") is second
    assert router.add_resource("/{y}") is not second
    assert router.add_resource("/{x}") is not second, "only the last one is"


@pytest.mark.parametrize("method", ["GE T", "", "GET\n", "G/T", "GÉT", "GET\r\nX"])
def test_methods_that_are_no_tokens(method: str) -> None:
    with pytest.raises(ValueError, match="is not allowed HTTP method"):
        UrlDispatcher().add_route(method, "/", handler("a"))


def test_methods_are_written_in_capitals() -> None:
    assert UrlDispatcher().add_route("get", "/", handler("a")).method == "GET"


@pytest.mark.parametrize("second", ["GET", "*"])
def test_routes_that_would_never_be_reached_are_refused(second: str) -> None:
    router = UrlDispatcher()
    router.add_route(second, "/", handler("a"))
    with pytest.raises(RuntimeError, match="will never be executed"):
        router.add_route("GET", "/", handler("b"))


@pytest.mark.parametrize("path", ["a", "a/{x}", "{x}", "http://host/a"])
def test_paths_begin_with_a_slash(path: str) -> None:
    with pytest.raises(ValueError, match="path should be started with / or be empty"):
        UrlDispatcher().add_resource(path)


def test_frozen_routers_take_nothing_more() -> None:
    router = UrlDispatcher()
    resource = router.add_resource("/a")
    router.freeze()
    assert router.frozen
    with pytest.raises(RuntimeError, match="frozen router"):
        router.add_get("/a", handler("a"))
    with pytest.raises(RuntimeError, match="frozen router"):
        router.register_resource(PlainResource("/b"))
    with pytest.raises(RuntimeError, match="frozen router"):
        resource.add_route("GET", handler("a"))


def test_only_resources_can_be_registered() -> None:
    with pytest.raises(TypeError):
        UrlDispatcher().register_resource("/a")  # type: ignore[arg-type]  # what is tested


# --- handlers ---


class Callable_:
    async def __call__(self, request: Any) -> Any:
        return "object"


def plain_around_coroutine(request: Any) -> Any:
    return handler("wrapped")(request)


plain_around_coroutine.__wrapped__ = handler("wrapped")  # type: ignore[attr-defined]  # as functools.wraps does


@pytest.mark.parametrize(
    ("given", "result"),
    [
        pytest.param(handler("coroutine"), "coroutine", id="coroutine function"),
        pytest.param(Callable_(), "object", id="object whose call is one"),
        pytest.param(plain_around_coroutine, "wrapped", id="decorated coroutine function"),
    ],
)
async def test_handlers(given: Any, result: str, make_request: Callable[..., Any]) -> None:
    app = Application()
    route = app.router.add_get("/", given)
    assert route.handler is given
    app.freeze()
    info = app.router.match("GET", "/", make_request("GET", "/"))
    assert info is not None
    assert await info.serve(make_request("GET", "/")) == result


def plain(request: Any) -> Any:
    return "plain"


async def test_plain_functions_are_handlers_through_a_deprecation(
    make_request: Callable[..., Any],
) -> None:
    app = Application()
    with pytest.warns(AntiphonDeprecationWarning, match="ANT-0017") as caught:
        app.router.add_get("/", plain, allow_head=False)
    assert caught[0].filename == __file__
    app.freeze()
    info = app.router.match("GET", "/", make_request("GET", "/"))
    assert info is not None
    assert await info.serve(make_request("GET", "/")) == "plain"


def generator(request: Any) -> Any:
    yield


async def async_generator(request: Any) -> Any:
    yield


@pytest.mark.parametrize("given", ["handler", None, generator, async_generator, dict, object()])
def test_what_is_no_handler(given: Any) -> None:
    with pytest.raises(TypeError, match="a handler must be"):
        UrlDispatcher().add_post("/", given)


# --- Expect ---


@pytest.mark.parametrize(
    ("value", "accepted"),
    [("100-continue", True), (" 100-Continue", True), ("", True), ("200-ok", False)],
)
async def test_the_default_expect_handler(
    value: str, accepted: bool, make_request: Callable[..., Any]
) -> None:
    route = UrlDispatcher().add_post("/", handler("a"))
    assert not route.has_expect_handler
    request = make_request("POST", "/")
    request.headers["Expect"] = value
    if accepted:
        assert await route.handle_expect_header(request) is None
    else:
        with pytest.raises(HTTPExpectationFailed):
            await route.handle_expect_header(request)


async def test_an_expect_handler_of_the_route(make_request: Callable[..., Any]) -> None:
    seen = []

    async def expect(request: Any) -> Any:
        seen.append(request)
        return "early"

    app = Application()
    app.router.add_post("/", handler("a"), expect_handler=expect)
    app.freeze()
    request = make_request("POST", "/")
    info = app.router.match("POST", "/", request)
    assert info is not None
    assert await info.expect_handler(request) == "early"
    assert seen == [request]
    with pytest.raises(TypeError, match="Coroutine is expected"):
        UrlDispatcher().add_post("/", handler("a"), expect_handler=len)


# --- names and URLs ---


@pytest.mark.parametrize("name", ["a", "a.b", "a:b-c", "_x1", "été"])
def test_names(name: str) -> None:
    router = UrlDispatcher()
    resource = router.add_get("/a", handler("a"), name=name).resource
    assert router[name] is resource
    assert name in router
    assert list(router) == [name]
    assert len(router) == 1
    assert dict(router.named_resources()) == {name: resource}


@pytest.mark.parametrize("name", ["", "1a", "a b", "class", "a.class", "a..b", "a/b"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="Incorrect route name"):
        UrlDispatcher().add_get("/a", handler("a"), name=name)


def test_a_name_is_used_once() -> None:
    router = UrlDispatcher()
    router.add_get("/a", handler("a"), name="n")
    with pytest.raises(ValueError, match="Duplicate 'n', already handled by"):
        router.add_get("/b", handler("b"), name="n")


@pytest.mark.parametrize(
    ("path", "parts", "url"),
    [
        ("/a", {}, "/a"),
        ("/get me", {}, "/get%20me"),
        ("/get%20me", {}, "/get%20me"),
        ("/a%2Fb", {}, "/a%2Fb"),
        ("/50%", {}, "/50%25"),
        ("", {}, ""),
        ("/{x}", {"x": "a b/c"}, "/a%20b%2Fc"),
        ("/u/{x}/{tail:.*}", {"x": "é", "tail": "a/b?"}, "/u/%C3%A9/a/b%3F"),
    ],
)
def test_url_for(path: str, parts: dict[str, str], url: str) -> None:
    router = UrlDispatcher()
    router.add_get(path, handler("a"), name="n")
    made = router["n"].url_for(**parts)
    assert isinstance(made, URL)
    assert str(made) == url
    assert not made.absolute
    route = next(iter(router.routes()))
    assert route.name == "n"
    assert route.url_for(**parts) == made


def test_no_url_of_a_dynamic_resource_leads_to_another_host() -> None:
    router = UrlDispatcher()
    resource = router.add_resource("/{tail:.*}")
    made = resource.url_for(tail="/evil.example/x")
    assert made.host is None
    assert URL("https://good.example/a").join(URL(str(made))).host == "good.example"


# --- looking in ---


def test_views() -> None:
    router = UrlDispatcher()
    route = router.add_post("/a", handler("a"))
    router.add_post("/{x}", handler("b"))
    resources, routes = router.resources(), router.routes()
    assert len(resources) == len(routes) == 2
    assert route in routes
    assert route.resource in resources
    assert object() not in resources
    assert object() not in routes
    assert [type(resource) for resource in resources] == [PlainResource, DynamicResource]
    assert bool(UrlDispatcher())


def test_canonical_and_info() -> None:
    router = UrlDispatcher()
    plain = router.add_resource("/a b")
    dynamic = router.add_resource(r"/{x:\d+}/{y}")
    assert plain.canonical == "/a b"
    assert plain.get_info() == {"path": "/a b"}
    assert dynamic.canonical == "/{x}/{y}"
    info = dynamic.get_info()
    assert info["formatter"] == "/{x}/{y}"
    assert info["pattern"].pattern == r"/(?P<x>\d+)/(?P<y>[^{}/]+)"
    assert repr(plain) == "<PlainResource  /a b>"
    assert repr(dynamic) == "<DynamicResource  /{x}/{y}>"
    assert "[GET]" in repr(plain.add_route("GET", handler("a")))


async def test_the_match_of_an_error(make_request: Callable[..., Any]) -> None:
    app = app_with("GET /a")
    app.freeze()
    request = make_request("PUT", "/a")
    info = app.router.match("PUT", "/a", request)
    assert info is not None
    request._match_info = info
    assert isinstance(info.route, SystemRoute)
    assert (info.route.status, info.route.reason) == (405, "Method Not Allowed")
    assert info.route.method == "*"
    assert info.route.name is None
    assert info.route.resource is None
    assert info.get_info() == {"http_exception": info.http_exception}
    assert repr(info) == "<MatchInfoError 405: Method Not Allowed>"
    assert repr(info.route) == "<SystemRoute 405: Method Not Allowed>"
    with pytest.raises(RuntimeError, match="not allowed for SystemRoute"):
        info.route.url_for()
    with pytest.raises(HTTPMethodNotAllowed) as raised:
        await info.serve(request)
    assert raised.value.headers["Allow"] == "GET"
    with pytest.raises(HTTPMethodNotAllowed):
        await info.handler(request)


def test_every_error_is_a_new_one(make_request: Callable[..., Any]) -> None:
    app = Application()
    app.freeze()
    first = app.router.match("GET", "/a", make_request("GET", "/a"))
    second = app.router.match("GET", "/a", make_request("GET", "/a"))
    assert first is not None
    assert second is not None
    assert isinstance(first.http_exception, HTTPNotFound)
    assert first.http_exception is not second.http_exception


def test_a_match_is_its_requests_own(make_request: Callable[..., Any]) -> None:
    app = app_with("GET /a")
    app.freeze()
    first = app.router.match("GET", "/a", make_request("GET", "/a"))
    assert first is not None
    first["x"] = "y"
    second = app.router.match("GET", "/a", make_request("GET", "/a"))
    assert second == {}


async def test_resources_can_be_asked_themselves(make_request: Callable[..., Any]) -> None:
    resource = DynamicResource("/{x}")
    route = resource.add_route("GET", handler("a"))
    info, methods = await resource.resolve(make_request("GET", "/a%20b"))
    assert info is not None
    assert outcome(info) == ("a", {"x": "a b"})
    assert info.handler is route.handler
    assert methods == {"GET"}
    assert await resource.resolve(make_request("PUT", "/a")) == (None, {"GET"})
    assert await resource.resolve(make_request("PUT", "/a/b")) == (None, set())


@pytest.mark.parametrize(
    ("prefix", "path", "below"),
    [
        ("/s", "/s", True),
        ("/s", "/s/", True),
        ("/s", "/s/a/b", True),
        ("/s", "/sibling", False),
        ("/s", "/", False),
        ("", "/anything", True),
        ("/a b", "/a b/c", True),
    ],
    ids=repr,
)
def test_prefixes_end_at_a_slash(prefix: str, path: str, below: bool) -> None:
    """CVE-2023-29159 of another project: a sibling with the same beginning is not below."""

    class Tree(PrefixResource):
        def url_for(self, **kwargs: str) -> URL:
            return URL(self.canonical)

        def get_info(self) -> dict[str, Any]:
            return {}

    assert Tree(prefix).is_below(path) is below
    for wrong in ("s", "/s/", "/"):
        with pytest.raises(ValueError, match="a prefix starts with /"):
            Tree(wrong)


async def test_a_router_of_ones_own_is_always_awaited(make_request: Callable[..., Any]) -> None:
    class Upside(UrlDispatcher):
        async def resolve(self, request: Any) -> Any:
            return await super().resolve(make_request(request.method, "/other"))

    app = Application(router=Upside())
    app.router.add_get("/other", handler("other"))
    app.freeze()
    request = make_request("GET", "/asked")
    assert app.router.match("GET", "/asked", request) is None
    info = await match_for(app, request)
    assert outcome(info) == "other"
    assert info.apps == (app,)
    with pytest.raises(RuntimeError, match="belongs to another application"):
        Application(router=app.router)


def test_resource_route_can_be_made_and_registered() -> None:
    resource: Resource = PlainResource("/")
    route = ResourceRoute("PUT", handler("a"), resource)
    assert resource.register_route(route) is route
    assert list(resource) == [route]
    assert len(resource) == 1
