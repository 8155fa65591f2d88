"""Everything obsolete warns exactly once, with its id, at the line of whoever uses it.

One row for each place that warns. The line that must be blamed ends with the
comment ``here``.
"""

import asyncio
import inspect
import pathlib
import ssl
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import registry
import scan
from repository import Repository
from yarl import URL

from antiphon import client, core, web
from antiphon.core.deprecations import AntiphonDeprecationWarning, warn_deprecated
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


# --- antiphon-testing


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


@pytest.mark.parametrize(
    ("id", "use"), [pytest.param(id, use, id=f"{id}-{use.__name__}") for id, use in ROWS]
)
def test_obsolete_use_warns_once_where_it_stands(id: str, use: Callable[..., Any]) -> None:
    (warning,) = used(use)
    assert isinstance(warning.message, AntiphonDeprecationWarning)
    assert (warning.message.id, pathlib.Path(warning.filename).name, warning.lineno) == (
        id,
        pathlib.Path(__file__).name,
        marked_line(use),
    )
    assert str(warning.message).endswith(f" [{id}]")


def test_the_table_has_every_entry_and_no_other() -> None:
    entries = registry.load(Repository())
    assert {id for id, _ in ROWS} == {entry.id for entry in entries if entry.state == "warning"}


def test_each_place_that_warns_has_a_row() -> None:
    """A place more in the code needs a row more here."""
    calls, _ = scan.uses(Repository())
    places, rows = Counter(call.id for call in calls), Counter(id for id, _ in ROWS)
    assert {id: count for id, count in places.items() if rows[id] < count} == {}


def test_helper_refuses_an_unknown_id() -> None:
    with pytest.raises(KeyError):
        warn_deprecated("ANT-9999")


def test_url_is_not_obsolete() -> None:
    """The table would notice a use that does not warn at all."""
    assert used(lambda: URL("http://example.com/")) == []
