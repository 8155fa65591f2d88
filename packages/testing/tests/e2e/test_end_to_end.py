"""web and client together, over real sockets and in memory."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon import web
from antiphon.client import ClientError
from antiphon.testing.scripted import ScriptedPeer
from antiphon.web.ws import WebSocketResponse

PIECE = bytes(range(256)) * 256  # 64 KiB
MUCH = 512  # pieces: 32 MiB


@pytest.fixture(params=["memory", "socket"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Service:
    """What the handlers below share with the tests."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.ended: list[str] = []


SERVICE = web.AppKey("service", Service)


async def plain(request: web.Request) -> web.Response:
    return web.Response(text=request.query.get("n", "-"))


async def digest(request: web.Request) -> web.Response:
    seen = hashlib.sha256()
    async for piece in request.content.iter_any():
        seen.update(piece)
    return web.Response(text=seen.hexdigest())


async def download(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(MUCH):
        await response.write(PIECE)
    await response.write_eof()
    return response


async def wait(request: web.Request) -> web.Response:
    service = request.app[SERVICE]
    service.entered.set()
    try:
        await service.gate.wait()
    finally:
        service.ended.append(request.query.get("n", "-"))
    return web.Response(text="waited")


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "10"})
    await response.prepare(request)
    await response.write(b"01234")
    raise ValueError("in the middle of an answer")


async def broken(request: web.Request) -> web.Response:
    raise ValueError("before the answer")


def create_app() -> web.Application:
    app = web.Application()
    app[SERVICE] = Service()
    app.router.add_get("/", plain)
    app.router.add_post("/digest", digest)
    app.router.add_get("/download", download)
    app.router.add_get("/wait", wait)
    app.router.add_get("/half", half)
    app.router.add_get("/broken", broken)
    return app


@pytest.fixture
async def client(test_client: Any, transport: str) -> Any:
    return await test_client(create_app, transport=transport, server_kwargs={"shutdown_timeout": 5})


async def test_one_connection_serves_many_requests(client: Any) -> None:
    for number in range(50):
        async with client.get("/", params={"n": str(number)}) as response:
            assert await response.text() == str(number)
    assert len(client.server.handler.connections) == 1
    assert client.server.handler.requests_count == 50


async def test_a_thousand_pipelined_requests(client: Any) -> None:
    peer = await ScriptedPeer.connect(client.server, timeout=30)
    peer.say(b"".join(b"GET /?n=%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(1000)))
    for number in range(1000):
        assert (await peer.expect_head()).startswith(b"HTTP/1.1 200 OK\r\n")
        await peer.expect(b"%d" % number)
    peer.close()
    await peer.expect_lost()


async def test_a_large_upload_takes_bounded_memory(client: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(MUCH):
            yield PIECE

    tracemalloc.start()
    try:
        async with client.post("/digest", data=pieces()) as response:
            text = await response.text()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert text == hashlib.sha256(PIECE * MUCH).hexdigest()
    assert peak < 4 * 2**20


async def test_a_large_download_takes_bounded_memory(client: Any) -> None:
    tracemalloc.start()
    try:
        size = 0
        async with client.get("/download") as response:
            async for piece in response.content.iter_any():
                size += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == MUCH * len(PIECE)
    assert peak < 4 * 2**20


async def test_a_slow_reader_holds_the_writer_up(client: Any) -> None:
    peer = await ScriptedPeer.connect(client.server)
    peer.pause()
    tracemalloc.start()
    try:
        peer.say(b"GET /download HTTP/1.1\r\nHost: a\r\n\r\n")
        async with client.get("/") as response:
            assert response.status == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20
    peer.reset()
    await peer.expect_lost()


async def test_a_client_that_leaves_in_the_middle_of_a_download(client: Any) -> None:
    response = await client.get("/download")
    await response.content.readexactly(1000)
    response.close()
    async with client.get("/") as again:
        assert again.status == 200


async def test_a_client_that_leaves_in_the_middle_of_an_upload(client: Any) -> None:
    peer = await ScriptedPeer.connect(client.server)
    peer.say(b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome")
    async with client.get("/") as response:
        assert response.status == 200
    peer.reset()
    await peer.expect_lost()
    async with client.get("/") as response:
        assert response.status == 200


async def test_an_error_of_a_handler(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    async with client.get("/broken") as response:
        assert response.status == 500
        assert "before the answer" not in await response.text()
    assert "before the answer" in caplog.text
    with pytest.raises(ClientError):  # which one depends on how much had left by then
        await (await client.get("/half")).read()
    async with client.get("/") as response:
        assert response.status == 200


async def steps_of(coroutine: Any, cancel_at: int) -> bool:
    """Run *coroutine* in a task and cancel it at its await number *cancel_at*.

    Returns:
        Whether it ended before it got there.
    """
    suspended = 0
    reached: asyncio.Event = asyncio.Event()

    class Counted:
        def __await__(self) -> Any:
            nonlocal suspended
            inner = coroutine.__await__() if hasattr(coroutine, "__await__") else coroutine
            value: Any = None
            error: BaseException | None = None
            while True:
                try:
                    waited = inner.send(value) if error is None else inner.throw(error)
                except StopIteration as stop:
                    return stop.value
                if suspended == cancel_at:
                    reached.set()
                suspended += 1
                value, error = None, None
                try:
                    value = yield waited
                except BaseException as exc:
                    error = exc

    async def run() -> Any:
        return await Counted()

    task = asyncio.ensure_future(run())
    watcher = asyncio.ensure_future(reached.wait())
    await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
    watcher.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return False
    return cancel_at >= suspended


async def test_a_request_can_be_cancelled_at_every_await(client: Any) -> None:
    async def request() -> str:
        async with client.post("/digest", data=b"x" * 300_000) as response:
            return str(await response.text())

    for step in range(100):
        ended = await steps_of(request(), step)
        async with client.get("/", params={"n": str(step)}) as response:
            assert await response.text() == str(step)
        assert client.session.connector.stats().active == 0
        if ended:
            break
    else:
        pytest.fail("a request of more than a hundred awaits")
    assert step > 0


async def test_a_graceful_stop_loses_no_request(client: Any) -> None:
    service = client.app[SERVICE]
    asking = [
        asyncio.create_task(client.session._request("GET", client.make_url(f"/wait?n={number}")))
        for number in range(20)
    ]
    while client.server.handler.active < 20:
        await asyncio.sleep(0)
    closing = asyncio.create_task(client.server.close())
    await asyncio.sleep(0)
    service.gate.set()
    for response in await asyncio.gather(*asking):
        assert response.status == 200
        assert await response.text() == "waited"
    await closing
    assert sorted(service.ended, key=int) == [str(number) for number in range(20)]
    with pytest.raises(ClientError):
        await client.get("/")


async def test_a_handler_that_hangs_is_cancelled_when_time_is_up(
    test_client: Any, antiphon_clock: Any
) -> None:
    client = await test_client(
        create_app, transport="memory", server_kwargs={"shutdown_timeout": 50}
    )
    asking = asyncio.create_task(client.session._request("GET", client.make_url("/wait")))
    await client.app[SERVICE].entered.wait()
    begun = antiphon_clock.time()
    await client.server.close()
    assert 49 < antiphon_clock.time() - begun < 60
    assert client.app[SERVICE].ended == ["-"]
    with pytest.raises(ClientError):
        await asking


async def test_a_websocket_works_over_both(test_client: Any, transport: str) -> None:
    async def talk(request: web.Request) -> WebSocketResponse:
        websocket = WebSocketResponse()
        await websocket.prepare(request)
        async for message in websocket:
            assert isinstance(message.data, str)
            await websocket.send_str(message.data.upper())
        return websocket

    app = web.Application()
    app.router.add_get("/", talk)
    client = await test_client(app, transport=transport)
    async with client.ws_connect("/") as websocket:
        await websocket.send_str("hello")
        assert (await websocket.receive(timeout=5)).data == "HELLO"
