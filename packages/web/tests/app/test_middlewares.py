"""Handlers inside middlewares."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from antiphon.core.deprecations import AntiphonDeprecationWarning
from antiphon.web.app import Application
from antiphon.web.exceptions import HTTPFound, HTTPMove, HTTPNotFound, HTTPPermanentRedirect
from antiphon.web.middlewares import middleware, normalize_path_middleware
from antiphon.web.routing.options import RouteOptions


class Log:
    """Makes middlewares and handlers that note when they run, and in which application."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.apps: list[Any] = []

    def middleware(self, name: str) -> Any:
        @middleware
        async def note(request: Any, handler: Any) -> Any:
            self.calls.append(name)
            self.apps.append(request.app)
            try:
                return await handler(request)
            finally:
                self.calls.append(f"/{name}")
                self.apps.append(request.app)

        return note

    async def handle(self, request: Any) -> Any:
        self.calls.append("handler")
        self.apps.append(request.app)
        return "handled"


@pytest.fixture
def log() -> Log:
    return Log()


async def test_order(log: Log, make_request: Callable[..., Any]) -> None:
    """Applications from the outside in, then the resource, then the route."""
    below = Application(middlewares=[log.middleware("below")])
    resource = below.router.add_resource(
        "/a", middlewares=[log.middleware("resource 1"), log.middleware("resource 2")]
    )
    resource.add_route("GET", log.handle, middlewares=[log.middleware("route")])
    app = Application(middlewares=[log.middleware("app 1"), log.middleware("app 2")])
    app.add_subapp("/below", below)
    app.freeze()
    assert await app._handle(make_request("GET", "/below/a")) == "handled"
    names = ["app 1", "app 2", "below", "resource 1", "resource 2", "route"]
    assert log.calls == [*names, "handler", *(f"/{name}" for name in reversed(names))]
    assert log.apps == [app, app, *[below] * 9, app, app]


@pytest.mark.parametrize(
    "which", [(1, 1, 1), (1, 0, 0), (0, 1, 0), (1, 0, 1), (0, 0, 0), (0, 0, 1)]
)
async def test_the_current_application_is_the_one_whose_code_runs(
    which: tuple[int, ...], log: Log, make_request: Callable[..., Any]
) -> None:
    apps = [
        Application(middlewares=[log.middleware(f"m{n}")] * count) for n, count in enumerate(which)
    ]
    apps[2].router.add_get("/a", log.handle)
    apps[1].add_subapp("/2", apps[2])
    apps[0].add_subapp("/1", apps[1])
    apps[0].freeze()
    request = make_request("GET", "/1/2/a")
    await apps[0]._handle(request)
    passed = [app for app, count in zip(apps, which, strict=True) if count]
    assert log.apps == [*passed, apps[2], *reversed(passed)]
    assert request.app is apps[2], "and the innermost one outside of all"


async def test_errors_of_the_router_pass_middlewares_too(
    log: Log, make_request: Callable[..., Any]
) -> None:
    below = Application(middlewares=[log.middleware("below")])
    below.router.add_get("/a", log.handle)
    app = Application(middlewares=[log.middleware("app")])
    app.add_subapp("/below", below)
    app.freeze()
    for method, path, names in [
        ("GET", "/no", ["app", "/app"]),
        ("GET", "/below/no", ["app", "below", "/below", "/app"]),
        ("PUT", "/below/a", ["app", "below", "/below", "/app"]),
    ]:
        log.calls.clear()
        request = make_request(method, path)
        with pytest.raises(HTTPNotFound if method == "GET" else Exception, match="Not") as raised:
            await app._handle(request)
        assert raised.value is request.match_info.http_exception
        assert log.calls == names


async def test_a_middleware_can_answer_and_change_answers(make_request: Callable[..., Any]) -> None:
    @middleware
    async def guard(request: Any, handler: Any) -> Any:
        if "X-Let-Me-In" not in request.headers:
            return "no"
        return (await handler(request)) + "!"

    async def handle(request: Any) -> Any:
        return "yes"

    app = Application(middlewares=[guard])
    app.router.add_get("/", handle)
    app.freeze()
    request = make_request("GET", "/")
    assert await app._handle(request) == "no"
    request.headers["X-Let-Me-In"] = "1"
    assert await app._handle(request) == "yes!"


async def test_middlewares_see_what_decorators_left_on_the_handler(
    make_request: Callable[..., Any],
) -> None:
    seen = []

    @middleware
    async def look(request: Any, handler: Any) -> Any:
        seen.append((handler.__name__, handler.needs_login))
        return await handler(request)

    async def secret(request: Any) -> Any:
        return None

    secret.needs_login = True  # type: ignore[attr-defined]  # a mark
    app = Application(middlewares=[look, look])
    app.router.add_get("/", secret)
    app.freeze()
    await app._handle(make_request("GET", "/"))
    assert seen == [("secret", True)] * 2


# --- which style ---


class ByObject:
    @middleware
    async def __call__(self, request: Any, handler: Any) -> Any:
        return await handler(request)


async def unmarked(request: Any, handler: Any) -> Any:
    return await handler(request)


@middleware
async def other_names(a: Any, b: Any) -> Any:
    return await b(a)


@pytest.mark.parametrize("given", [ByObject(), unmarked, other_names])
async def test_new_style(given: Any, log: Log, make_request: Callable[..., Any]) -> None:
    app = Application(middlewares=[given])
    app.router.add_get("/", log.handle)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        app.freeze()
    assert await app._handle(make_request("GET", "/")) == "handled"


async def test_old_style_factories_work_through_a_deprecation(
    log: Log, make_request: Callable[..., Any]
) -> None:
    made_for = []

    async def factory(app: Any, handler: Any) -> Any:
        made_for.append(app)

        async def around(request: Any) -> Any:
            log.calls.append("around")
            return await handler(request)

        return around

    with pytest.warns(AntiphonDeprecationWarning, match="ANT-0003") as caught:
        app = Application(middlewares=[factory, log.middleware("new")])
    app.router.add_get("/", log.handle)
    app.freeze()
    assert [warning.filename for warning in caught] == [__file__]
    assert await app._handle(make_request("GET", "/")) == "handled"
    assert log.calls == ["around", "new", "handler", "/new"]
    assert made_for == [app]


def test_what_is_no_middleware() -> None:
    with pytest.raises(TypeError, match="must be callable"):
        Application(middlewares=["no"]).freeze()  # type: ignore[list-item]  # what is tested


# --- options ---


@pytest.mark.parametrize(
    ("on_app", "on_below", "on_resource", "on_route", "size", "timeout"),
    [
        pytest.param(None, None, {}, {}, 1024**2, None, id="defaults"),
        pytest.param(5, None, {}, {}, 5, None, id="application"),
        pytest.param(5, 6, {}, {}, 6, None, id="sub-application"),
        pytest.param(5, 0, {}, {}, 0, None, id="no limit in the sub-application"),
        pytest.param(5, 6, {"client_max_size": 7, "timeout": 1.0}, {}, 7, 1.0, id="resource"),
        pytest.param(
            5, 6, {"client_max_size": 7, "timeout": 1.0}, {"client_max_size": 8}, 8, 1.0, id="route"
        ),
        pytest.param(
            5,
            None,
            {"timeout": 1.0},
            {"timeout": float("inf")},
            5,
            None,
            id="limit lifted on the route",
        ),
    ],
)
def test_options_from_the_inside_out(
    on_app: int | None,
    on_below: int | None,
    on_resource: dict[str, Any],
    on_route: dict[str, Any],
    size: int,
    timeout: float | None,
    log: Log,
    make_request: Callable[..., Any],
) -> None:
    app, below = Application(client_max_size=on_app), Application(client_max_size=on_below)
    resource = below.router.add_resource("/a", options=RouteOptions(**on_resource))
    route = resource.add_route("GET", log.handle, options=RouteOptions(**on_route))
    app.add_subapp("/below", below)
    app.freeze()
    info = app.router.match("GET", "/below/a", make_request("GET", "/below/a"))
    assert info is not None
    assert info.route is route
    assert (info.options.client_max_size, info.options.timeout) == (size, timeout)
    assert info.options.client_max_fields == 1000


@pytest.mark.parametrize(
    "options",
    [{"timeout": 0}, {"timeout": -1}, {"client_max_size": -1}, {"disconnect": "no"},
     {"client_max_size": True}, {"client_max_fields": -1}],
)  # fmt: skip
def test_options_that_are_none(options: dict[str, Any], log: Log) -> None:
    with pytest.raises(ValueError, match="must be"):
        Application().router.add_get("/", log.handle, **options)


async def test_signals_of_responses_are_those_with_receivers(
    log: Log, make_request: Callable[..., Any]
) -> None:
    app, middle, below = Application(), Application(), Application()

    async def receive(request: Any, response: Any) -> None:
        log.calls.append((request, response))

    app.on_response_prepare.append(receive)
    below.on_response_prepare(receive)
    below.router.add_get("/a", log.handle)
    middle.add_subapp("/2", below)
    app.add_subapp("/1", middle)
    app.freeze()
    info = app.router.match("GET", "/1/2/a", make_request("GET", "/1/2/a"))
    assert info is not None
    assert info.response_signals == (app.on_response_prepare, below.on_response_prepare)
    for signal in info.response_signals:
        await signal.send("request", "response")  # type: ignore[arg-type]  # the receiver does not care
    assert log.calls == [("request", "response")] * 2


# --- normalize_path_middleware ---


async def ask(app: Application, request: Any) -> Any:
    """Where the redirection leads, or what the handler said, or the status."""
    try:
        return await app._handle(request)
    except HTTPMove as exc:
        return exc.headers["Location"]
    except Exception as exc:
        return getattr(exc, "status", exc)


APPEND = {"append_slash": True, "merge_slashes": True}
REMOVE = {"append_slash": False, "remove_slash": True}
MERGE = {"append_slash": False, "merge_slashes": True}


@pytest.mark.parametrize(
    ("options", "target", "expected"),
    [
        pytest.param(APPEND, "/dir/", "handled", id="right already"),
        pytest.param(APPEND, "/dir", "/dir/", id="slash appended"),
        pytest.param(APPEND, "/dir?a=b%20c", "/dir/?a=b%20c", id="query kept as it is"),
        pytest.param(APPEND, "//dir", "/dir/", id="merged and appended"),
        pytest.param(APPEND, "/file/", 404, id="nothing removed"),
        pytest.param(APPEND, "//file", "/file", id="merged"),
        pytest.param(APPEND, "/a///b", "/a/b", id="merged inside"),
        pytest.param(APPEND, "/no", 404, id="leads nowhere either way"),
        pytest.param(REMOVE, "/file/", "/file", id="slash removed"),
        pytest.param(REMOVE, "/file/?q", "/file?q", id="slash removed, query kept"),
        pytest.param(REMOVE, "//file//", "/file", id="merged and removed"),
        pytest.param(REMOVE, "/dir", 404, id="nothing appended"),
        pytest.param(MERGE, "/dir//", "/dir/", id="merged only"),
        pytest.param({**APPEND, "merge_slashes": False}, "/a//b", 404, id="not merged"),
        pytest.param(APPEND, "/caf%C3%A9", "/caf%C3%A9/", id="encoded stays encoded"),
        # A location that begins with two slashes, or a slash and a backslash, names another site.
        pytest.param(APPEND, "//evil.example/x", "/evil.example/x/", id="CVE-2021-21330"),
        pytest.param(
            APPEND,
            "///evil.example/x",
            "/evil.example/x/",
            id="CVE-2021-21330, CVE-2020-28724, three",
        ),
        pytest.param(
            {**APPEND, "merge_slashes": False},
            "//evil.example/x",
            "/evil.example/x/",
            id="CVE-2021-21330, not merging",
        ),
        pytest.param(
            REMOVE, "//evil.example/x//", "/evil.example/x/", id="CVE-2021-21330, removing"
        ),
        pytest.param(
            APPEND, "/\\evil.example/x", "/%5Cevil.example/x/", id="CVE-2021-21330, backslash"
        ),
        pytest.param(
            APPEND, "/\t/evil.example/x", "/%09/evil.example/x/", id="CVE-2021-21330, tab"
        ),
        pytest.param(
            APPEND, "/%2Fevil.example/x", "/%2Fevil.example/x/", id="an encoded slash is none"
        ),
    ],
)
async def test_normalize_path(
    options: dict[str, Any], target: str, expected: Any, log: Log, make_request: Callable[..., Any]
) -> None:
    app = Application(middlewares=[normalize_path_middleware(**options)])
    for path in ("/dir/", "/file", "/a/b", "/café/", "/{site}/x/", "/{one}/{site}/x/"):
        app.router.add_get(path, log.handle)
    app.freeze()
    assert await ask(app, make_request("GET", target)) == expected


async def test_normalize_path_of_other_methods(log: Log, make_request: Callable[..., Any]) -> None:
    """Somewhere else there must be a route for the method; then 405 is no reason to give up."""
    app = Application(middlewares=[normalize_path_middleware()])
    app.router.add_post("/a", log.handle)
    app.router.add_get("/a/", log.handle)
    app.freeze()
    assert await ask(app, make_request("GET", "/a")) == "/a/"
    assert await ask(app, make_request("POST", "/a/")) == 405


async def test_normalize_path_below_a_prefix(log: Log, make_request: Callable[..., Any]) -> None:
    app, below = Application(), Application(middlewares=[normalize_path_middleware()])
    below.router.add_get("/a/", log.handle)
    app.add_subapp("/below", below)
    app.freeze()
    assert await ask(app, make_request("GET", "/below/a")) == "/below/a/"
    assert await ask(app, make_request("GET", "/below/b")) == 404


@pytest.mark.parametrize("kind", [HTTPPermanentRedirect, HTTPFound])
async def test_normalize_path_raises_what_it_is_told_to(
    kind: type[HTTPMove], log: Log, make_request: Callable[..., Any]
) -> None:
    app = Application(middlewares=[normalize_path_middleware(redirect_class=kind)])
    app.router.add_get("/a/", log.handle)
    app.freeze()
    with pytest.raises(kind):
        await app._handle(make_request("GET", "/a"))


def test_normalize_path_cannot_do_both() -> None:
    with pytest.raises(ValueError, match="Cannot both remove and append slash"):
        normalize_path_middleware(append_slash=True, remove_slash=True)


async def test_nothing_is_kept_of_requests_that_match_nothing(
    log: Log, make_request: Callable[..., Any]
) -> None:
    """CVE-2024-52303: each 404 added an entry to a cache."""
    app = Application(middlewares=[normalize_path_middleware(), log.middleware("other")])
    route = app.router.add_get("/a/", log.handle)
    app.freeze()
    await ask(app, make_request("GET", "/a/"))
    log.calls.clear()
    log.apps.clear()
    before = _reachable_size(app)
    for n in range(50):
        assert await ask(app, make_request("GET", f"/no{n}")) == 404
        assert await ask(app, make_request("PUT", "/a/")) == 405
    log.calls.clear()
    log.apps.clear()
    assert _reachable_size(app) == before
    assert len(route._bindings) == 1


def _reachable_size(app: Application) -> int:
    """Items in all the containers that hang on the application's router."""
    seen: dict[int, Any] = {}  # with the things, so that no id comes twice
    todo: list[Any] = [app.router, app.middlewares]
    size = 0
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, dict):
            size += len(thing)
            todo += thing.values()
        elif isinstance(thing, list | tuple | set | frozenset):
            size += len(thing)
            todo += thing
        else:
            todo += [getattr(thing, "__dict__", {})]
            todo += [getattr(thing, name, None) for name in getattr(type(thing), "__slots__", ())]
    assert size > 10, "it has looked inside"
    return size
