"""An application's storage, life, and nesting."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from antiphon.core.deprecations import AntiphonDeprecationWarning
from antiphon.web._lifecycle import CleanupError
from antiphon.web.app import Application
from antiphon.web.keys import AppKey
from antiphon.web.routing.match_info import UrlMappingMatchInfo
from antiphon.web.routing.subapp import Domain, MaskDomain


async def handle(request: Any) -> Any:
    return request.app


# --- storage ---


def test_storage_takes_strings_and_keys() -> None:
    key = AppKey("key", int)
    app = Application()
    app["db"] = "database"
    app[key] = 1
    assert (app["db"], app[key]) == ("database", 1)
    assert (len(app), list(app), "db" in app, key in app) == (2, ["db", key], True, True)
    assert (app.get("no"), app.get("no", 2), app.get(key)) == (None, 2, 1)
    assert app.setdefault("db", "other") == "database"
    del app["db"]
    assert "db" not in app
    with pytest.raises(KeyError):
        app["db"]


def test_an_application_is_itself() -> None:
    app = Application()
    assert app
    assert app == app  # what is tested
    assert app != Application()
    assert len({app, Application()}) == 2
    assert app() is app
    assert repr(app) == f"<Application {id(app):#x}>"


async def test_storage_is_open_until_started_and_while_cleaning_up() -> None:
    app, below = Application(), Application()

    async def start(which: Application) -> None:
        which["started"] = True
        below["by the one above"] = True

    async def clean(which: Application) -> None:
        del which["started"]

    for which in (app, below):
        which.on_startup.append(start)
        which.on_cleanup.append(clean)
    app.add_subapp("/below", below)
    app.freeze()
    await app.startup()
    for which in (app, below):
        assert which["started"]
        with pytest.raises(RuntimeError, match="The application has started"):
            which["late"] = 1
        with pytest.raises(RuntimeError, match="The application has started"):
            del which["started"]
    await app.cleanup()
    assert "started" not in app
    assert "started" not in below


# --- the loop, and what is obsolete ---


async def test_the_loop_is_there_through_a_deprecation() -> None:
    app = Application()
    with pytest.warns(AntiphonDeprecationWarning, match="ANT-0002"):
        assert app.loop is asyncio.get_running_loop()


def test_without_a_running_loop_there_is_none() -> None:
    with pytest.warns(AntiphonDeprecationWarning, match="ANT-0002"):
        assert Application().loop is None


def test_the_loop_argument_is_honoured() -> None:
    mine, other = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        with pytest.warns(AntiphonDeprecationWarning, match="ANT-0001") as caught:
            app = Application(loop=mine)
        assert caught[0].filename == __file__
        assert app.wanted_loop is mine
        app.use_loop(mine)
        above = Application()
        above.add_subapp("/a", app)
        with pytest.raises(RuntimeError, match="different loop"):
            above.use_loop(other)
    finally:
        mine.close()
        other.close()


@pytest.mark.parametrize(("given", "shown"), [(True, True), (False, False), (..., False)])
def test_debug(given: Any, shown: bool) -> None:
    with pytest.deprecated_call():
        assert Application(debug=given).debug is shown


async def test_debug_follows_the_loop() -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_debug()
    loop.set_debug(True)
    try:
        with pytest.deprecated_call(match="ANT-0023"):
            assert Application().debug is True
        with pytest.deprecated_call():
            assert Application(debug=False).debug is False
    finally:
        loop.set_debug(before)


def test_arguments() -> None:
    with pytest.raises(TypeError, match="router must be a UrlDispatcher"):
        Application(router=object())  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ValueError, match="client_max_size"):
        Application(client_max_size=-1)
    assert Application(handler_args={"a": 1}).handler_args == {"a": 1}
    assert set(vars(Application())) == Application.ATTRS


async def test_subclasses_as_in_the_faq(make_request: Callable[..., Any]) -> None:
    """The FAQ: who wants ``@app.route`` derives from Application and adds it."""

    class Decorating(Application):
        def route(self, path: str, method: str = "GET") -> Callable[[Any], Any]:
            def add(handler: Any) -> Any:
                self.router.add_route(method, path, handler)
                return handler

            return add

    app = Decorating()

    @app.route("/")
    async def index(request: Any) -> Any:
        return "index"

    app.freeze()
    assert await app._handle(make_request("GET", "/")) == "index"


# --- life ---


def noting(calls: list[str], name: str, error: BaseException | None = None) -> Any:
    async def note(app: Application) -> None:
        calls.append(name)
        if error is not None:
            raise error

    return note


def context(calls: list[str], name: str, error: BaseException | None = None) -> Any:
    async def around(app: Application) -> AsyncIterator[None]:
        calls.append(f"+{name}")
        yield
        calls.append(f"-{name}")
        if error is not None:
            raise error

    return around


def context_manager(calls: list[str], name: str) -> Any:
    return asynccontextmanager(context(calls, name))


async def test_order_of_a_life() -> None:
    calls: list[str] = []
    app, below = Application(), Application()
    for which, name in ((app, "app"), (below, "below")):
        which.on_startup.append(noting(calls, f"{name} startup"))
        which.on_shutdown.append(noting(calls, f"{name} shutdown"))
        which.on_cleanup.append(noting(calls, f"{name} cleanup"))
        which.cleanup_ctx.append(context(calls, f"{name} 1"))
        which.cleanup_ctx.append(context_manager(calls, f"{name} 2"))
    app.add_subapp("/below", below)
    app.on_startup.append(noting(calls, "app last"))
    app.freeze()
    await app.startup()
    assert calls == [
        "+app 1", "+app 2", "app startup", "+below 1", "+below 2", "below startup", "app last",
    ]  # fmt: skip
    calls.clear()
    await app.shutdown()
    assert calls == ["app shutdown", "below shutdown"]
    calls.clear()
    await app.cleanup()
    assert calls == [
        "-app 2", "-app 1", "app cleanup", "-below 2", "-below 1", "below cleanup",
    ]  # fmt: skip


def failure(place: str) -> BaseException | None:
    return asyncio.CancelledError() if place == "cancelled" else OSError("no")


@pytest.mark.parametrize("place", ["startup", "context", "below", "cancelled"])
async def test_a_start_that_fails_half_way_leaves_what_was_entered(place: str) -> None:
    calls: list[str] = []
    error = failure(place)
    app, below = Application(), Application()
    app.cleanup_ctx.append(context(calls, "app"))
    below.cleanup_ctx.append(context_manager(calls, "below"))

    async def broken(which: Application) -> AsyncIterator[None]:
        if error is not None:
            raise error
        yield

    if place == "context":
        below.cleanup_ctx.append(broken)
    elif place == "below":
        below.on_startup.append(noting([], "", error))
    below.cleanup_ctx.append(context(calls, "below 2"))
    app.add_subapp("/below", below)
    if place in {"startup", "cancelled"}:
        app.on_startup.append(noting([], "", error))
    app.freeze()
    with pytest.raises((OSError, asyncio.CancelledError)) as raised:
        await app.startup()
    assert raised.value is error
    entered = ["+app", "+below", *(["+below 2"] if place != "context" else [])]
    left = [*(["-below 2"] if place != "context" else []), "-below", "-app"]
    assert calls == entered + left
    calls.clear()
    await app.cleanup()
    assert calls == [], "nothing is left twice"


async def test_on_cleanup_runs_after_a_failed_start() -> None:
    calls: list[str] = []
    app = Application()
    app.on_startup.append(noting(calls, "startup", OSError("no")))
    app.on_cleanup.append(noting(calls, "cleanup"))
    with pytest.raises(OSError, match="no"):
        await app.startup()
    await app.cleanup()
    assert calls == ["startup", "cleanup"]


async def test_errors_of_leaving_do_not_hide_why_the_start_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Application()
    app.cleanup_ctx.append(context([], "a", ValueError("while leaving")))
    app.on_startup.append(noting([], "", OSError("the cause")))
    with pytest.raises(OSError, match="the cause") as raised:
        await app.startup()
    assert "while leaving" in raised.value.__notes__[0]
    assert "Error leaving the contexts" in caplog.text


async def test_every_cleanup_runs_whatever_fails() -> None:
    calls: list[str] = []
    first, second, third = ValueError("1"), KeyError("2"), OSError("3")
    app, below = Application(), Application()
    app.cleanup_ctx.append(context(calls, "a"))
    app.cleanup_ctx.append(context(calls, "b", first))
    below.on_cleanup.append(noting(calls, "below", second))
    app.add_subapp("/below", below)
    app.on_cleanup.append(noting(calls, "one", third))
    app.on_cleanup.append(noting(calls, "two"))
    await app.startup()
    calls.clear()
    with pytest.raises(CleanupError) as raised:
        await app.cleanup()
    assert calls == ["-b", "-a", "below", "one", "two"]
    assert list(raised.value.exceptions) == [first, second, third]
    assert isinstance(raised.value, RuntimeError)
    matched, rest = raised.value.split(OSError)
    assert matched is not None
    assert rest is not None
    assert (matched.exceptions, rest.exceptions) == ((third,), (first, second))


@pytest.mark.parametrize("method", ["cleanup", "shutdown"])
async def test_a_single_error_is_raised_as_it_is(method: str) -> None:
    calls: list[str] = []
    error = ValueError("x")
    app = Application()
    signal = app.on_cleanup if method == "cleanup" else app.on_shutdown
    signal.append(noting(calls, "one", error))
    signal.append(noting(calls, "two"))
    await app.startup()
    with pytest.raises(ValueError, match="x") as raised:
        await getattr(app, method)()
    assert raised.value is error
    assert calls == ["one", "two"]


async def test_a_cancelled_cleanup_lets_the_others_run_and_stays_cancelled() -> None:
    calls: list[str] = []
    app = Application()
    app.on_cleanup.append(noting(calls, "one", ValueError("x")))
    app.on_cleanup.append(noting(calls, "two", asyncio.CancelledError()))
    app.on_cleanup.append(noting(calls, "three"))
    await app.startup()
    with pytest.raises(asyncio.CancelledError) as raised:
        await app.cleanup()
    assert isinstance(raised.value.__cause__, ValueError)
    assert calls == ["one", "two", "three"]


async def test_contexts_that_are_none() -> None:
    async def twice(app: Application) -> AsyncIterator[None]:
        yield
        yield

    async def never(app: Application) -> AsyncIterator[None]:
        if "never" in app:
            yield

    async def coroutine(app: Application) -> None:
        raise AssertionError("is not awaited")

    app = Application()
    app.cleanup_ctx.append(twice)
    await app.startup()
    with pytest.raises(RuntimeError, match="has more than one 'yield'"):
        await app.cleanup()

    app = Application()
    app.cleanup_ctx.append(never)
    with pytest.raises(RuntimeError, match="has no 'yield'"):
        await app.startup()

    app = Application()
    app.cleanup_ctx.append(lambda app: object())  # type: ignore[arg-type,return-value]  # what is tested
    with pytest.raises(TypeError, match="a cleanup context must be"):
        await app.startup()


async def test_what_was_never_started_has_nothing_to_clean_up() -> None:
    calls: list[str] = []
    app = Application()
    app.on_cleanup.append(noting(calls, "cleanup"))
    app.cleanup_ctx.append(context(calls, "context"))
    await app.cleanup()
    assert calls == []


async def test_make_handler_gives_a_server_with_the_applications_arguments() -> None:
    app = Application(handler_args={"max_line_size": 100, "max_headers": 5})
    app.router.add_get("/", handle)
    with pytest.deprecated_call(match="ANT-0024"):
        server = app.make_handler(max_headers=6)
    assert app.frozen
    assert server.options.max_line_size == 100
    assert server.options.max_headers == 6
    with pytest.deprecated_call(), pytest.raises(TypeError):
        app.make_handler(no_such_option=1)


# --- frozen ---


def test_what_is_frozen_when() -> None:
    app, below = Application(), Application()
    app.add_subapp("/below", below)
    assert (below.pre_frozen, below.frozen, app.pre_frozen) == (True, False, False)
    with pytest.raises(RuntimeError, match="frozen router"):
        below.router.add_get("/", handle)
    lists: list[Any] = [
        below.middlewares, below.on_startup, below.on_shutdown, below.on_cleanup,
        below.on_response_prepare, below.cleanup_ctx,
    ]  # fmt: skip
    for frozen in lists:
        with pytest.raises(RuntimeError, match="Cannot modify frozen list"):
            frozen.append(handle)
    below["still"] = "open"
    app.freeze()
    assert app.frozen
    assert below.frozen
    with pytest.raises(RuntimeError, match="Cannot add sub application to frozen application"):
        app.add_subapp("/more", Application())
    with pytest.raises(RuntimeError, match="Cannot add frozen application"):
        Application().add_subapp("/more", app)
    app.freeze()


# --- nesting ---


@pytest.mark.parametrize(
    ("prefix", "error"),
    [("", ValueError), ("/", ValueError), ("x", ValueError), (None, TypeError), (1, TypeError)],
)
def test_prefixes_that_are_none(prefix: Any, error: type[Exception]) -> None:
    app, below = Application(), Application()
    with pytest.raises(error):
        app.add_subapp(prefix, below)
    assert len(app.router.resources()) == 0


def test_an_application_is_in_one_place() -> None:
    app, below = Application(), Application()
    app.add_subapp("/a", below)
    with pytest.raises(RuntimeError, match="a sub-application already"):
        app.add_subapp("/b", below)
    with pytest.raises(RuntimeError, match="a sub-application already"):
        Application().add_domain("example.com", below)
    with pytest.raises(RuntimeError, match="cannot be below itself"):
        below.add_subapp("/c", app)


def test_the_resource_of_a_subapplication() -> None:
    app, below = Application(), Application()
    below.router.add_get("/a", handle, allow_head=False)
    resource = app.add_subapp("/below/", below)
    assert resource.canonical == "/below"
    assert resource.get_info() == {"app": below, "prefix": "/below"}
    assert len(resource) == 1
    assert [route.url_for().path for route in resource] == ["/below/a"]
    assert repr(resource) == f"<PrefixedSubAppResource /below -> {below!r}>"
    assert not resource.raw_match("/below")
    with pytest.raises(RuntimeError, match=r"\.url_for\(\) is not supported"):
        resource.url_for()


@pytest.mark.parametrize("frozen", [True, False], ids=["matched", "resolved"])
async def test_nesting_to_any_depth(frozen: bool, make_request: Callable[..., Any]) -> None:
    apps = [Application() for _ in range(5)]
    for app in apps:
        app.router.add_get("/leaf", handle)
        app.router.add_get(r"/{x:\d+}/leaf", handle, name="leaf")
        app.router.add_get("", handle)
    # From the inside out, and from the outside in: prefixes come to the same.
    apps[3].add_subapp("/d4", apps[4])
    apps[2].add_subapp("/d3", apps[3])
    apps[1].add_subapp("/d2", apps[2])
    apps[0].add_subapp("/d1", apps[1])
    apps[0].freeze()
    path = ""
    for depth, app in enumerate(apps):
        if depth:
            path += f"/d{depth}"
        for tail in ("/leaf", "/7/leaf", ""):
            request = make_request("GET", path + tail)
            if frozen:
                info = apps[0].router.match("GET", path + tail, request)
                assert info is not None
            else:
                found = await apps[0].router.resolve(request)
                found.add_app(apps[0])
                assert isinstance(found, UrlMappingMatchInfo)
                info = found
            assert info.http_exception is None
            assert info.apps == tuple(apps[: depth + 1])
            assert info.current_app is app
        assert str(app.router["leaf"].url_for(x="1")) == f"{path}/1/leaf"


async def test_a_subapplication_answers_for_everything_below_its_prefix(
    make_request: Callable[..., Any],
) -> None:
    app, below = Application(), Application()
    below.router.add_get("/a", handle)
    app.router.add_get("/below/before", handle)
    app.add_subapp("/below", below)
    app.router.add_get("/below/after", handle)
    app.router.add_get("/below-not", handle)
    app.freeze()
    for path, status, apps in [
        ("/below/before", None, (app,)),
        ("/below/a", None, (app, below)),
        ("/below/after", 404, (app, below)),
        ("/below", 404, (app, below)),
        ("/below-not", None, (app,)),
        ("/elsewhere", 404, (app,)),
    ]:
        info = app.router.match("GET", path, make_request("GET", path))
        assert info is not None
        assert (getattr(info.http_exception, "status", None), info.apps) == (status, apps), path
    info = app.router.match("PUT", "/below/a", make_request("PUT", "/below/a"))
    assert info is not None
    assert info.http_exception is not None
    assert info.http_exception.headers["Allow"] == "GET,HEAD"


@pytest.mark.parametrize(
    "domain", ["bad..com", "ex ample", "http://x", "", "a/b", "a?b", "u@h", "-a"]
)
def test_domains_that_are_none(domain: str) -> None:
    with pytest.raises(ValueError, match=r"Domain|Scheme"):
        Application().add_domain(domain, Application())


def test_domains_are_text() -> None:
    with pytest.raises(TypeError, match="Domain must be str"):
        Application().add_domain(b"example.com", Application())  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("domain", "host", "fits"),
    [
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com", True),
        ("Example.COM", "example.com", True),
        ("example.com", "example.com:80", True),
        ("example.com:80", "example.com", True),
        ("example.com", "example.com:8080", False),
        ("example.com:8080", "example.com:8080", True),
        ("example.com:8080", "example.com", False),
        ("example.com", "www.example.com", False),
        ("example.com", "example.com.evil", False),
        ("example.com", "evil-example.com", False),
        ("example.com", "", False),
        ("привет.рф", "xn--b1agh1afp.xn--p1ai", True),
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "a.b.example.com:8080", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "www.example.com.evil", False),
        ("*.example.com", "wwwexample.com", False),
        ("*.example.com:81", "www.example.com:81", True),
        ("*.example.com:81", "www.example.com:82", False),
        ("a.*.b", "a.x.b", True),
        ("a.*.b", "a.b", False),
        ("*", "anything:1", True),
    ],
)
def test_domains(domain: str, host: str, fits: bool, make_request: Callable[..., Any]) -> None:
    app, at_domain = Application(), Application()
    at_domain.router.add_get("/", handle)
    app.router.add_get("/first", handle)
    resource = app.add_domain(domain, at_domain)
    app.router.add_get("/", handle)
    app.freeze()
    info = app.router.match("GET", "/", make_request("GET", "/", host))
    assert info is not None
    assert info.apps == ((app, at_domain) if fits else (app,))
    info = app.router.match("GET", "/first", make_request("GET", "/first", host))
    assert info is not None
    assert info.apps == (app,), "the order of registration decides"
    assert resource.get_info() == {"app": at_domain, "rule": resource.rule}
    assert isinstance(resource.rule, MaskDomain if "*" in domain else Domain)


async def test_one_application_at_two_domains_and_below_a_prefix(
    make_request: Callable[..., Any],
) -> None:
    calls: list[str] = []
    app, middle, at_domain = Application(), Application(), Application()
    at_domain.router.add_get("/a", handle)
    at_domain.on_startup.append(noting(calls, "startup"))
    middle.add_domain("one.example", at_domain)
    middle.add_domain("two.example", at_domain)
    app.add_subapp("/middle", middle)
    app.freeze()
    for host in ("one.example", "two.example"):
        info = app.router.match("GET", "/middle/a", make_request("GET", "/middle/a", host))
        assert info is not None
        assert info.apps == (app, middle, at_domain)
    await app.startup()
    assert calls == ["startup"], "it starts once"
