"""Everything obsolete warns exactly once, with its id, at the line of whoever uses it.

One row for each place that warns. The line that must be blamed ends with the
comment ``here``.
"""

import asyncio
import importlib
import inspect
import os
import pathlib
import ssl
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import registry
import scan
from multidict import CIMultiDict, CIMultiDictProxy
from repository import Repository
from yarl import URL

from antiphon import client, core, web
from antiphon.core.deprecations import AntiphonDeprecationWarning, warn_deprecated
from antiphon.testing.case import unittest_run_loop
from antiphon.testing.client import TestClient
from antiphon.testing.server import TestServer

ROWS: list[tuple[str, Callable[..., Any]]] = []

RESPONSE = web.StreamResponse()


def row(id: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put a use of what is obsolete into the table, as one of *id*."""

    def add(use: Callable[..., Any]) -> Callable[..., Any]:
        ROWS.append((id, use))
        return use

    return add


INFO = client.RequestInfo(
    URL("http://a/"), "GET", CIMultiDictProxy(CIMultiDict()), URL("http://a/")
)

ERROR = client.ClientResponseError(INFO, (), status=404)


class Unpausable:
    """What feeds a stream that never gets too much."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


def application() -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    return app


async def served(handler: Callable[[web.Request], Any]) -> None:
    """Let *handler* answer one request."""
    app = web.Application()
    app.router.add_get("/", handler)
    async with TestClient(app) as tested:
        response = await tested.get("/")
        assert response.status == 200


# --- antiphon-core


@row("ANT-0005")
def basic_auth() -> None:
    core.BasicAuth("login", "password")  # here


@row("ANT-0005")
def basic_auth_of_a_field() -> None:
    core.BasicAuth.decode("Basic YTpi")  # here


@row("ANT-0005")
def basic_auth_of_a_url() -> None:
    core.BasicAuth.from_url(URL("http://login:password@localhost"))  # here


@row("ANT-0007")
def streamer() -> None:
    @core.streamer  # here
    async def content(writer: Any) -> None:
        await writer.write(b"x")


@row("ANT-0027")
async def unread_data() -> None:
    reader = core.StreamReader(Unpausable(), 2**16)
    reader.unread_data(b"x")  # here


# --- antiphon-web


@row("ANT-0001")
async def application_with_loop() -> None:
    web.Application(loop=asyncio.get_running_loop())  # here


@row("ANT-0002")
def loop_of_application() -> None:
    web.Application().loop  # here  # noqa: B018  # reading is the use


@row("ANT-0003")
def middleware_factory() -> None:
    async def factory(app: web.Application, handler: Any) -> Any:
        return handler

    app = web.Application(middlewares=[factory])  # here
    app.freeze()


@row("ANT-0003")
def middleware_factory_added_later() -> None:
    async def factory(app: web.Application, handler: Any) -> Any:
        return handler

    app = web.Application()
    app.middlewares.append(factory)  # here
    app.freeze()


@row("ANT-0003")
def middleware_factory_of_a_route() -> None:
    async def factory(app: web.Application, handler: Any) -> Any:
        return handler

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler, middlewares=[factory])  # here
    app.freeze()


@row("ANT-0009")
def size_of_chunks() -> None:
    web.StreamResponse().enable_chunked_encoding(10)  # here


@row("ANT-0010")
def forced_compression() -> None:
    web.StreamResponse().enable_compression(True)  # here


@row("ANT-0011")
def output_length() -> None:
    RESPONSE.output_length  # here  # noqa: B018  # reading is the use


@row("ANT-0012")
async def message_of_request() -> None:
    async def handler(request: web.Request) -> web.Response:
        request.message  # here  # noqa: B018  # reading is the use
        return web.Response()

    await served(handler)


@row("ANT-0013")
async def loop_of_request() -> None:
    async def handler(request: web.Request) -> web.Response:
        request.loop  # here  # noqa: B018  # reading is the use
        return web.Response()

    await served(handler)


@row("ANT-0014")
async def has_body() -> None:
    async def handler(request: web.Request) -> web.Response:
        request.has_body  # here  # noqa: B018  # reading is the use
        return web.Response()

    await served(handler)


@row("ANT-0017")
def plain_handler() -> None:
    def handler(request: web.Request) -> web.Response:
        return web.Response()

    web.Application().router.add_post("/", handler)  # type: ignore[arg-type]  # obsolete  # here


@row("ANT-0017")
def plain_handler_for_get_and_head() -> None:
    def handler(request: web.Request) -> web.Response:
        return web.Response()

    web.Application().router.add_get("/", handler)  # type: ignore[arg-type]  # obsolete  # here


@row("ANT-0017")
def plain_handler_in_table() -> None:
    def handler(request: web.Request) -> web.Response:
        return web.Response()

    web.Application().add_routes([web.post("/", handler)])  # type: ignore[arg-type]  # here


@row("ANT-0022")
def debug_of_application() -> None:
    web.Application(debug=True)  # here


@row("ANT-0023")
def whether_an_application_is_debugged() -> None:
    web.Application().debug  # here  # noqa: B018  # reading is the use


@row("ANT-0024")
async def make_handler() -> None:
    web.Application().make_handler()  # here


async def site_with_timeout(make: Callable[[web.AppRunner], web.BaseSite]) -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    make(runner)
    await runner.cleanup()


@row("ANT-0025")
async def shutdown_timeout_of_tcp_site() -> None:
    await site_with_timeout(
        lambda runner: web.TCPSite(runner, shutdown_timeout=1)  # here
    )


@row("ANT-0025")
async def shutdown_timeout_of_unix_site() -> None:
    await site_with_timeout(
        lambda runner: web.UnixSite(runner, "/nowhere", shutdown_timeout=1)  # here
    )


@row("ANT-0035")
def body_of_exception() -> None:
    web.HTTPForbidden(body=b"x")  # here


# --- antiphon-client


@row("ANT-0004")
async def loop_of_session() -> None:
    client.ClientSession(loop=asyncio.get_running_loop())._base_url  # here  # noqa: B018


@row("ANT-0004")
async def loop_of_one_request() -> None:
    async with TestServer(application()) as server:
        url, loop = server.make_url("/"), asyncio.get_running_loop()
        context = client.request("GET", url, loop=loop)  # here
        async with context as response:
            assert response.status == 200


@row("ANT-0004")
async def loop_of_connector() -> None:
    connector = client.TCPConnector(loop=asyncio.get_running_loop())  # here
    await connector.close()


@row("ANT-0004")
async def loop_of_local_connector() -> None:
    connector = client.UnixConnector("/nowhere", loop=asyncio.get_running_loop())  # here
    await connector.close()


@row("ANT-0004")
async def loop_of_cookie_jar() -> None:
    client.CookieJar(loop=asyncio.get_running_loop())  # here


@row("ANT-0004")
async def loop_of_dummy_cookie_jar() -> None:
    client.DummyCookieJar(loop=asyncio.get_running_loop())  # here


@row("ANT-0004")
async def loop_of_own_cookie_jar() -> None:
    class Jar(client.DummyCookieJar):
        pass

    Jar(loop=asyncio.get_running_loop())  # here


@row("ANT-0004")
async def loop_of_resolver() -> None:
    client.ThreadedResolver(loop=asyncio.get_running_loop())  # here


@row("ANT-0006")
async def auth_of_session() -> None:
    session = client.ClientSession(auth=CREDENTIALS)  # here
    await session.close()


@row("ANT-0006")
async def auth_of_request() -> None:
    async with TestServer(application()) as server, client.ClientSession() as session:
        response = await session.get(server.make_url("/"), auth=CREDENTIALS)  # here
        assert response.status == 200


@row("ANT-0006")
async def auth_of_request_with_block() -> None:
    async with TestServer(application()) as server, client.ClientSession() as session:
        url = server.make_url("/")
        async with session.get(url, auth=CREDENTIALS) as response:  # here
            assert response.status == 200


@row("ANT-0008")
async def verify_ssl_of_connector() -> None:
    connector = client.TCPConnector(verify_ssl=False)  # here
    await connector.close()


@row("ANT-0008")
async def ssl_context_of_connector() -> None:
    connector = client.TCPConnector(ssl_context=ssl.create_default_context())  # here
    await connector.close()


@row("ANT-0008")
async def fingerprint_of_connector() -> None:
    connector = client.TCPConnector(fingerprint=bytes(32))  # here
    await connector.close()


@row("ANT-0008")
async def verify_ssl_of_request() -> None:
    async with TestServer(application()) as server, client.ClientSession() as session:
        response = await session.get(server.make_url("/"), verify_ssl=False)  # here
        assert response.status == 200


@row("ANT-0015")
async def ssl_shutdown_timeout() -> None:
    connector = client.TCPConnector(ssl_shutdown_timeout=1)  # here
    await connector.close()


@row("ANT-0015")
async def ssl_shutdown_timeout_of_session() -> None:
    session = client.ClientSession(ssl_shutdown_timeout=1)  # here
    await session.close()


@row("ANT-0016")
def transfer_encoding_of_form() -> None:
    client.FormData().add_field("name", "value", content_transfer_encoding="binary")  # here


@row("ANT-0018")
def bytes_in_form() -> None:
    client.FormData().add_field("name", b"value")  # here


@row("ANT-0019")
async def read_timeout() -> None:
    session = client.ClientSession(read_timeout=1)  # here
    await session.close()


@row("ANT-0019")
async def conn_timeout() -> None:
    session = client.ClientSession(conn_timeout=1)  # here
    await session.close()


@row("ANT-0021")
async def loop_of_running_session() -> None:
    async with client.ClientSession() as session:
        session.loop  # here  # noqa: B018  # reading is the use


@row("ANT-0026")
async def enable_cleanup_closed() -> None:
    connector = client.TCPConnector(enable_cleanup_closed=True)  # here
    await connector.close()


@row("ANT-0028")
def code_of_error() -> None:
    client.ClientResponseError(INFO, (), code=404)  # here


@row("ANT-0029")
def reading_code_of_error() -> None:
    ERROR.code  # here  # noqa: B018  # reading is the use


@row("ANT-0029")
def setting_code_of_error() -> None:
    ERROR.code = 404  # here


@row("ANT-0030")
async def requoting() -> None:
    async with client.ClientSession() as session:
        session.requote_redirect_url = False  # here


@row("ANT-0031")
async def output_size() -> None:
    async with TestClient(application()) as tested, tested.get("/") as response:
        response.output_size  # here  # noqa: B018  # reading is the use


@row("ANT-0032")
async def upload_complete() -> None:
    async with TestClient(application()) as tested, tested.get("/") as response:
        response.upload_complete  # here  # noqa: B018  # reading is the use


async def sockets(request: web.Request) -> web.StreamResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await ws.close()
    return ws


def application_with_sockets() -> web.Application:
    app = web.Application()
    app.router.add_get("/", sockets)
    return app


@row("ANT-0033")
async def receive_timeout() -> None:
    async with TestServer(application_with_sockets()) as server, client.ClientSession() as session:
        ws = await session.ws_connect(server.make_url("/"), receive_timeout=60)  # here
        await ws.close()


@row("ANT-0034")
async def number_as_timeout_of_websocket() -> None:
    async with TestServer(application_with_sockets()) as server, client.ClientSession() as session:
        ws = await session.ws_connect(server.make_url("/"), timeout=60)  # here
        await ws.close()


@row("ANT-0037")
async def connector_in_with() -> None:
    connector = client.TCPConnector()
    with connector:  # here
        pass


# --- antiphon-testing


@row("ANT-0036")
def decorator_of_cases() -> None:
    @unittest_run_loop  # here
    async def test() -> None: ...


@row("ANT-0020")
async def loop_of_test_client() -> None:
    tested = TestClient(application(), loop=asyncio.get_running_loop())  # here
    await tested.close()


with warnings.catch_warnings():
    warnings.simplefilter("ignore", AntiphonDeprecationWarning)
    CREDENTIALS = core.BasicAuth("login", "password")


def used(use: Callable[..., Any]) -> list[warnings.WarningMessage]:
    """Return our warnings of one use."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if inspect.iscoroutinefunction(use):
            asyncio.run(use())
        else:
            use()
    return [each for each in caught if issubclass(each.category, DeprecationWarning)]


def marked_line(use: Callable[..., Any]) -> int:
    lines, first = inspect.getsourcelines(use)
    (line,) = [number for number, line in enumerate(lines, first) if "# here" in line]
    return line


def fault(id: str, use: Callable[..., Any]) -> str | None:
    """Say what is wrong with the warnings of one use, that of the entry *id*."""
    caught = used(use)
    if len(caught) != 1:
        return f"{len(caught)} warnings"
    (warning,) = caught
    if not isinstance(warning.message, AntiphonDeprecationWarning) or warning.message.id != id:
        return f"another warning: {warning.message}"
    if not str(warning.message).endswith(f" [{id}]"):
        return f"no id at the end: {warning.message}"
    here = (pathlib.Path(__file__).name, marked_line(use))
    blamed = (pathlib.Path(warning.filename).name, warning.lineno)
    return None if blamed == here else f"blames {blamed}, not {here}"


@pytest.mark.parametrize(
    ("id", "use"), [pytest.param(id, use, id=f"{id}-{use.__name__}") for id, use in ROWS]
)
def test_obsolete_use_warns_once_where_it_stands(id: str, use: Callable[..., Any]) -> None:
    assert fault(id, use) is None


def silent() -> None:
    web.Application()  # here


def twice() -> None:
    for _ in range(2):
        web.Application().loop  # here  # noqa: B018  # reading is the use


def another() -> None:
    web.Application().debug  # here  # noqa: B018  # reading is the use


def elsewhere() -> None:
    web.Application().loop  # noqa: B018  # reading is the use
    # here


def raw() -> None:
    warnings.warn("loop [ANT-0002]", DeprecationWarning, stacklevel=1)  # here


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        pytest.param(silent, "0 warnings", id="no warning"),
        pytest.param(twice, "2 warnings", id="two warnings"),
        pytest.param(another, "another warning", id="another id"),
        pytest.param(elsewhere, "blames", id="another line"),
        pytest.param(raw, "another warning", id="without the helper"),
    ],
)
def test_a_use_that_warns_otherwise_is_seen(use: Callable[..., Any], expected: str) -> None:
    assert str(fault("ANT-0002", use)).startswith(expected)


def untested(places: Counter[str], rows: Counter[str], ids: set[str]) -> list[str]:
    """Return entries without a row, rows without an entry, and ids with fewer rows than places."""
    known = {id for id in rows | places if rows[id] < places[id]}
    return sorted(known | (ids ^ set(rows)))


def test_each_entry_and_each_place_that_warns_has_a_row() -> None:
    """A place more in the code needs a row more here."""
    calls, _ = scan.uses(Repository())
    current = {each.id for each in registry.load(Repository()) if each.state == "warning"}
    places, rows = Counter(call.id for call in calls), Counter(id for id, _ in ROWS)
    assert untested(places, rows, current) == []


@pytest.mark.parametrize(
    ("places", "rows", "ids", "expected"),
    [
        pytest.param("A", "A", "A", [], id="each has one"),
        pytest.param("AA", "A", "A", ["A"], id="two places and one row"),
        pytest.param("AB", "A", "AB", ["B"], id="an entry without a row"),
        pytest.param("A", "AB", "A", ["B"], id="a row without an entry"),
    ],
)
def test_the_check_of_rows_sees_what_is_missing(
    places: str, rows: str, ids: str, expected: list[str]
) -> None:
    assert untested(Counter(places), Counter(rows), set(ids)) == expected


NAMED = [
    pytest.param(entry, id=entry.id)
    for entry in registry.load(Repository())
    if entry.kind in {"attribute", "class", "function", "method"} and entry.state == "warning"
]


@pytest.mark.parametrize("entry", NAMED)
def test_names_are_marked_for_type_checkers_and_editors(entry: registry.Entry) -> None:
    """PEP 702; an argument cannot be marked without an overload for each combination."""
    _, package, *path = entry.object.split(".")
    found: Any = importlib.import_module(f"antiphon.{package}")
    for name in path:
        found = (
            inspect.getattr_static(found, name) if isinstance(found, type) else getattr(found, name)
        )
    found = found.fget if isinstance(found, property) else found
    assert vars(found)["__deprecated__"] == f"{entry.replacement} ({entry.id})"


def test_helper_refuses_an_unknown_id() -> None:
    with pytest.raises(KeyError):
        warn_deprecated("ANT-9999")


def test_url_is_not_obsolete() -> None:
    """The table would notice a use that does not warn at all."""
    assert used(lambda: URL("http://example.com/")) == []


@pytest.mark.subprocess
def test_the_policys_command_makes_errors_of_ours(tmp_path: pathlib.Path) -> None:
    page = (Repository().root / "docs/deprecation-policy.md").read_text()
    (command,) = [line for line in page.splitlines() if line.startswith("python -m pytest")]
    (tmp_path / "test_ours.py").write_text(
        "import warnings\n"
        "from antiphon import web\n"
        "def test_theirs(): warnings.warn('theirs', DeprecationWarning)\n"
        "def test_ours(): web.Application().loop\n"
    )
    own = ["-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", os.devnull]
    done = subprocess.run(
        [sys.executable, *command.split()[1:], "-p", "no:asyncio", "-p", "no:anyio", *own, tmp_path],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "[ANT-0002]" in done.stdout
