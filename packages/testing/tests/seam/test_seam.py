"""web and client work against each other through exchanges that contain no HTTP/1.

Whatever of HTTP/1 is reached raises, so that a duty that slips above the seam is found here.
"""

import asyncio
import importlib.util
import json
import pkgutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

import antiphon.core.http1
from antiphon import web
from antiphon.client import ClientSession

spec = importlib.util.spec_from_file_location("seam_objects", Path(__file__).parent / "objects.py")
assert spec is not None
assert spec.loader is not None
objects = importlib.util.module_from_spec(spec)
spec.loader.exec_module(objects)


def refuse(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("HTTP/1 was reached")


@pytest.fixture(autouse=True)
def http1_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every function and constructor of antiphon.core.http1 raises."""
    package = antiphon.core.http1
    count = 0
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        module = importlib.import_module(found.name)
        for value in list(vars(module).values()):
            if getattr(value, "__module__", None) != module.__name__:
                continue
            function = vars(value).get("__init__") if isinstance(value, type) else value
            # Some that attrs has written close over a name; what they hold does nothing.
            if isinstance(function, FunctionType) and not function.__code__.co_freevars:
                monkeypatch.setattr(function, "__code__", refuse.__code__)
                count += 1
    assert count > 10


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"hello {request.match_info['name']} at {request.host}")


async def echo(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"X-Kind": "echo"})
    await response.prepare(request)
    async for piece in request.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


async def double(request: web.Request) -> web.Response:
    return web.json_response({"twice": 2 * (await request.json())["value"]})


async def fail(request: web.Request) -> web.Response:
    raise ValueError("a handler's own mistake")


async def moved(request: web.Request) -> web.Response:
    raise web.HTTPFound("/hello/you")


async def hints(request: web.Request) -> web.Response:
    await request.send_informational(103, {"Link": "</style.css>; rel=preload"})
    return web.Response(text="after a hint")


async def talk(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse(protocols=["shout"])
    await websocket.prepare(request)
    async for message in websocket:
        await websocket.send_str(str(message.data).upper())
    return websocket


@pytest.fixture
async def reached() -> AsyncIterator[tuple[ClientSession, Any]]:
    app = web.Application()
    app.router.add_get("/hello/{name}", hello)
    app.router.add_post("/echo", echo)
    app.router.add_post("/double", double)
    app.router.add_get("/fail", fail)
    app.router.add_get("/moved", moved)
    gate = app["gate"] = asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        await gate.wait()
        return web.Response(text="open")

    async def open_gate(request: web.Request) -> web.Response:
        gate.set()
        return web.Response()

    app.router.add_get("/hints", hints)
    app.router.add_get("/talk", talk)
    app.router.add_static("/files", Path(__file__).parent)
    app.router.add_get("/wait", wait)
    app.router.add_get("/open", open_gate)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    connector = objects.ObjectConnector(runner.server.request_handler.serve)
    async with ClientSession("http://seam/", connector=connector) as session:
        yield session, connector
    await runner.cleanup()


async def test_a_request_and_its_response(reached: Any) -> None:
    async with reached[0].get("hello/you") as response:
        assert response.status == 200
        assert await response.text() == "hello you at seam"


async def test_json_both_ways(reached: Any) -> None:
    async with reached[0].post("double", json={"value": 21}) as response:
        assert response.status == 200, await response.text()
        assert json.loads(await response.text()) == {"twice": 42}


async def test_streams_both_ways(reached: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(100):
            yield bytes([number]) * 1000

    async with reached[0].post("echo", data=pieces()) as response:
        assert response.headers["X-Kind"] == "echo"
        assert len(await response.read()) == 100_000


async def test_redirects_and_errors(reached: Any, caplog: pytest.LogCaptureFixture) -> None:
    session = reached[0]
    async with session.get("moved") as response:
        assert response.url.path == "/hello/you"
        assert len(response.history) == 1
    async with session.get("nowhere") as response:
        assert response.status == 404
    async with session.get("fail") as response:
        assert response.status == 500
    assert "a handler's own mistake" in caplog.text


async def test_informational_responses(reached: Any) -> None:
    async with reached[0].get("hints") as response:
        assert await response.text() == "after a hint"
        (early,) = response.informational
        assert (early.code, early.headers["Link"]) == (103, "</style.css>; rel=preload")


async def test_files_and_parts_of_them(reached: Any) -> None:
    own = Path(__file__).read_bytes()
    async with reached[0].get("files/test_seam.py") as response:
        assert response.status == 200
        assert await response.read() == own
    async with reached[0].get("files/test_seam.py", headers={"Range": "bytes=10-19"}) as response:
        assert response.status == 206
        assert await response.read() == own[10:20]


@pytest.mark.parametrize("compress", [0, 15])
async def test_websockets(reached: Any, compress: int) -> None:
    async with reached[0].ws_connect("talk", protocols=["shout"], compress=compress) as websocket:
        assert websocket.protocol == "shout"
        for text in ("hello", "x" * 200_000):
            await websocket.send_str(text)
            assert (await websocket.receive(timeout=30)).data == text.upper()
        await websocket.close()
        assert websocket.close_code == 1000


async def test_many_exchanges_on_one_connection_at_a_time(reached: Any) -> None:
    session, connector = reached
    waiting = [asyncio.create_task(session._request("GET", "wait")) for _ in range(5)]
    await asyncio.sleep(0)
    async with session.get("open") as response:
        assert response.status == 200
    for response in await asyncio.gather(*waiting):
        assert await response.text() == "open"
    assert connector.connections


async def test_a_client_that_gives_up_is_noticed(reached: Any) -> None:
    session, _ = reached
    with pytest.raises(TimeoutError):
        await session.get("wait", timeout=0.01)
    async with session.get("hello/again") as response:
        assert response.status == 200
