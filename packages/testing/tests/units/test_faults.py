"""Every fault does what it says, over sockets and in memory."""

import asyncio
from typing import Any

import pytest

from antiphon import web
from antiphon.client import ClientConnectionError, ClientError, ClientPayloadError
from antiphon.testing.faults import FaultPlan, Faults
from antiphon.testing.scripted import ScriptedPeer

BODY = b"0123456789" * 20
ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def answer(request: web.Request) -> web.Response:
    return web.Response(body=await request.read() or BODY)


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/", answer)
    return app


@pytest.fixture(params=["memory", "socket"])
def opened(request: pytest.FixtureRequest, test_client: Any) -> Any:
    async def open_client(**plan: Any) -> Any:
        server_kwargs = {"faults": FaultPlan(**plan)}
        return await test_client(make_app, server_kwargs=server_kwargs, transport=request.param)

    return open_client


async def test_every_read_can_be_split(opened: Any) -> None:
    client = await opened(to_server=Faults(split=1), to_client=Faults(split=3))
    async with client.post("/", data=b"abc" * 50) as response:
        assert await response.read() == b"abc" * 50


async def test_bytes_drip(opened: Any) -> None:
    client = await opened(to_client=Faults(drip=0.0001, split=50))
    async with client.get("/") as response:
        assert await response.read() == BODY


async def test_everything_can_come_later(antiphon_clock: Any, test_client: Any) -> None:
    plan = FaultPlan(to_server=Faults(delay=2.0), to_client=Faults(delay=3.0))
    client = await test_client(make_app, server_kwargs={"faults": plan}, transport="memory")
    begun = antiphon_clock.time()
    async with client.get("/") as response:
        assert await response.read() == BODY
    assert antiphon_clock.time() - begun == pytest.approx(5.0)


async def test_a_response_that_is_cut_is_an_error(opened: Any) -> None:
    client = await opened(to_client=Faults(cut_after=250))
    with pytest.raises(ClientPayloadError):
        await (await client.get("/")).read()


async def test_a_response_that_is_reset_is_an_error(opened: Any) -> None:
    client = await opened(to_client=Faults(reset_after=10))
    with pytest.raises(ClientConnectionError):
        await client.get("/")


async def test_a_response_that_half_closes_is_an_error(opened: Any) -> None:
    client = await opened(to_client=Faults(half_close_after=250))
    with pytest.raises(ClientPayloadError):
        await (await client.get("/")).read()


async def test_a_request_that_is_cut_never_reaches_the_handler(opened: Any) -> None:
    client = await opened(to_server=Faults(cut_after=5))
    with pytest.raises(ClientError):
        await client.post("/", data=b"x")


async def test_a_stall_runs_into_the_time_limit(antiphon_clock: Any, test_client: Any) -> None:
    plan = FaultPlan(to_client=Faults(stall_after=30))
    client = await test_client(make_app, server_kwargs={"faults": plan}, transport="memory")
    with pytest.raises(TimeoutError):
        await client.get("/", timeout=20)
    assert antiphon_clock.time() == pytest.approx(20.0)


async def test_only_the_connections_that_are_named_go_wrong(opened: Any) -> None:
    client = await opened(to_client=Faults(reset_after=0), connections={0})
    with pytest.raises(ClientError):
        await client.post("/", data=b"x")
    async with client.post("/", data=b"x") as response:
        assert await response.read() == b"x"


async def test_a_peer_sees_exactly_the_bytes_before_the_cut(opened: Any) -> None:
    client = await opened(to_client=Faults(cut_after=17))
    peer = await ScriptedPeer.connect(client.server)
    peer.say(ASK)
    assert await peer.expect_eof() == b"HTTP/1.1 200 OK\r\n"
    peer.close()
    await peer.expect_lost()


@pytest.mark.parametrize(
    "wrong", [{"split": 0}, {"drip": 0}, {"delay": -1}, {"cut_after": -1}], ids=str
)
def test_faults_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        Faults(**wrong)


async def test_back_pressure_passes_through_a_plan(opened: Any) -> None:
    client = await opened(to_server=Faults(split=40_000), to_client=Faults(split=50_000))
    data = bytes(900_000)
    async with asyncio.timeout(20), client.post("/", data=data) as response:
        assert await response.read() == data
