"""Every fault, in both directions, over sockets and in memory, does the same."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from antiphon import web
from antiphon.client import (
    ClientPayloadError,
    ClientResponseError,
    ClientWSTimeout,
    ServerDisconnectedError,
    ServerTimeoutError,
)
from antiphon.testing.faults import FaultPlan, Faults
from antiphon.testing.transport import MemoryListener
from antiphon.web.ws import WebSocketResponse

KINDS = ["memory", "socket"]
RESET = "ConnectionResetError"
PATIENCE = 0.15
"""Seconds that a test waits for what stalls; it would be the same if it waited for ever."""


# -- bytes


def plan_of(direction: str, **faults: Any) -> FaultPlan:
    wrong = Faults(**faults)
    return FaultPlan(to_server=wrong) if direction == "to_server" else FaultPlan(to_client=wrong)


class End(asyncio.Protocol):
    """Writes ten bytes at once, and notes what it hears; half open connections suit it."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.data = b""
        self.end: str | None = None
        self.lost: str | None = None
        self.changed = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(b"0123456789")

    def data_received(self, data: bytes) -> None:
        assert self.end is None, "bytes after the end"
        self.data += data
        self.changed.set()

    def eof_received(self) -> bool:
        self.end = "eof"
        self.changed.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = "closed" if exc is None else type(exc).__name__
        self.changed.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                self.changed.clear()
                await self.changed.wait()


async def connected(kind: str, plan: FaultPlan) -> tuple[End, End]:
    """Connect two ends through *plan*; the second one is the server's."""
    loop = asyncio.get_running_loop()
    far, near = End(), End()
    made = plan.wrap(lambda: far)
    if kind == "memory":
        MemoryListener(made).connect(lambda: near)
    else:
        server = await loop.create_server(made, "127.0.0.1", 0)
        await loop.create_connection(lambda: near, *server.sockets[0].getsockname())
        while not hasattr(far, "transport"):
            await asyncio.sleep(0)
        server.close()
    return near, far


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.parametrize(
    ("ending", "receiver", "sender"),
    [
        pytest.param("cut_after", ("eof", "closed"), ("eof", "closed"), id="cut"),
        pytest.param("reset_after", (None, RESET), (None, RESET), id="reset"),
        pytest.param("half_close_after", ("eof", None), (None, None), id="half-close"),
        pytest.param("stall_after", (None, None), (None, None), id="stall"),
    ],
)
async def test_an_ending_as_both_ends_see_it(
    kind: str,
    direction: str,
    ending: str,
    receiver: tuple[str | None, str | None],
    sender: tuple[str | None, str | None],
) -> None:
    near, far = await connected(kind, plan_of(direction, **{ending: 4}))
    hears, says = (far, near) if direction == "to_server" else (near, far)
    await hears.until(lambda: len(hears.data) >= 4)
    if receiver[0] is not None:
        await hears.until(lambda: hears.end is not None)
    if receiver[1] == "closed":
        for end in near, far:
            # The end that the plan closes need not hear of an end that it makes itself.
            await end.until(lambda end=end: end.end is not None or end.lost is not None)  # type: ignore[misc]  # a default
            end.transport.close()
    if receiver[1] is not None:
        for end in near, far:
            await end.until(lambda end=end: end.lost is not None)  # type: ignore[misc]  # a default
    else:
        # The other direction lives on.
        await says.until(lambda: len(says.data) == 10)
        hears.transport.write(b"!")
        await says.until(lambda: len(says.data) == 11)
    assert hears.data == b"0123"
    assert hears.end == receiver[0]
    assert (near.lost, far.lost) == (receiver[1], sender[1])
    for end in near, far:
        end.transport.abort()
    for end in near, far:
        await end.until(lambda end=end: end.lost is not None)  # type: ignore[misc]  # a default


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.parametrize("ending", ["cut_after", "reset_after", "half_close_after"])
async def test_an_ending_before_the_first_byte(kind: str, direction: str, ending: str) -> None:
    near, far = await connected(kind, plan_of(direction, **{ending: 0}))
    hears = far if direction == "to_server" else near
    await hears.until(lambda: hears.end is not None or hears.lost is not None)
    assert hears.data == b""
    for end in near, far:
        end.transport.abort()
    for end in near, far:
        await end.until(lambda end=end: end.lost is not None)  # type: ignore[misc]  # a default


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
@pytest.mark.parametrize("how", ["close", "eof", "reset"])
async def test_ends_come_later_as_bytes_do(kind: str, direction: str, how: str) -> None:
    """Nothing overtakes what was written before it."""
    near, far = await connected(kind, plan_of(direction, delay=0.02))
    hears, says = (far, near) if direction == "to_server" else (near, far)
    begun = asyncio.get_running_loop().time()
    says.transport.write(b"more")
    if how == "eof":
        says.transport.write_eof()
    else:
        says.transport.close()
    await hears.until(lambda: hears.end is not None or hears.lost is not None)
    assert asyncio.get_running_loop().time() - begun > 0.01  # some clocks count milliseconds only
    assert hears.data == b"0123456789more"
    for end in near, far:
        end.transport.abort()
    for end in near, far:
        await end.until(lambda end=end: end.lost is not None)  # type: ignore[misc]  # a default


@pytest.mark.parametrize("kind", KINDS)
async def test_every_read_is_split(kind: str) -> None:
    class Noting(End):
        def __init__(self) -> None:
            super().__init__()
            self.pieces: list[int] = []

        def data_received(self, data: bytes) -> None:
            self.pieces.append(len(data))
            super().data_received(data)

    far, near = Noting(), End()
    made = FaultPlan(to_server=Faults(split=4)).wrap(lambda: far)
    server = None
    if kind == "memory":
        MemoryListener(made).connect(lambda: near)
    else:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(made, "127.0.0.1", 0)
        await loop.create_connection(lambda: near, *server.sockets[0].getsockname())
    await far.until(lambda: len(far.data) == 10)
    assert far.pieces == [4, 4, 2]
    for end in near, far:
        end.transport.abort()
    for end in near, far:
        await end.until(lambda end=end: end.lost is not None)  # type: ignore[misc]  # a default
    if server is not None:
        server.close()


# -- HTTP: what a client gets, and what the handler did

HTTP = [
    # fault, client's outcome and handler's: towards the server, then towards the client
    ({"split": 1}, 200, 1000, 200, 1000),
    ({"delay": 0.01}, 200, 1000, 200, 1000),
    ({"drip": 0.0001, "split": 100}, 200, 1000, 200, 1000),
    ({"cut_after": 10}, ServerDisconnectedError, None, ClientResponseError, 1000),
    (
        {"cut_after": 700},
        ServerDisconnectedError,
        "ContentLengthError",
        ClientPayloadError,
        1000,
    ),
    ({"reset_after": 10}, ServerDisconnectedError, None, ServerDisconnectedError, 1000),
    ({"reset_after": 700}, ServerDisconnectedError, RESET, ServerDisconnectedError, 1000),
    ({"half_close_after": 10}, 400, None, ClientResponseError, 1000),
    ({"half_close_after": 700}, 400, "ContentLengthError", ClientPayloadError, 1000),
    ({"stall_after": 700}, ServerTimeoutError, "CancelledError", ServerTimeoutError, 1000),
]
HTTP_CASES = [
    pytest.param(*case, id=f"{direction}-{fault}")
    for fault, *outcomes in HTTP
    for direction, case in (
        ("to_server", ("to_server", fault, outcomes[0], outcomes[1])),
        ("to_client", ("to_client", fault, outcomes[2], outcomes[3])),
    )
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("direction", "fault", "client_gets", "handler_sees"), HTTP_CASES)
async def test_an_exchange(
    test_client: Any, kind: str, direction: str, fault: Any, client_gets: Any, handler_sees: Any
) -> None:
    seen: list[object] = []

    async def answer(request: web.Request) -> web.Response:
        try:
            seen.append(len(await request.read()))
        except BaseException as exc:
            seen.append(type(exc).__name__)
            raise
        return web.Response(body=bytes(2000))

    app = web.Application()
    app.router.add_post("/", answer)
    plan = plan_of(direction, **fault)
    client = await test_client(
        app, transport=kind, server_kwargs={"faults": plan, "shutdown_timeout": 0.01}
    )
    timeout = PATIENCE if "stall_after" in fault else 30
    asking = client.post("/", data=bytes(1000), timeout=timeout)
    if isinstance(client_gets, int):
        async with asking as response:
            assert response.status == client_gets
            if client_gets == 200:
                assert await response.read() == bytes(2000)
    else:
        with pytest.raises(client_gets):
            await (await asking).read()
    await client.close()
    assert seen == ([] if handler_sees is None else [handler_sees])


# -- WebSocket: what each end hears of a message of 5000 bytes there and back

WEBSOCKET = [
    # fault; whether the message comes back; whether the server had it, to_server and to_client
    ({"split": 50}, True, True, True),
    ({"delay": 0.01}, True, True, True),
    ({"drip": 0.0001, "split": 500}, True, True, True),
    ({"cut_after": 2000}, False, False, True),
    ({"reset_after": 2000}, False, False, True),
    ({"half_close_after": 2000}, False, False, True),
    ({"stall_after": 2000}, False, False, True),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("direction", "fault", "comes_back", "had_it"),
    [
        pytest.param(direction, fault, back, had, id=f"{direction}-{fault}")
        for (fault, back, *both), number in itertools.product(WEBSOCKET, range(2))
        for direction, had in [(("to_server", "to_client")[number], both[number])]
    ],
)
async def test_a_websocket(
    test_client: Any, kind: str, direction: str, fault: Any, comes_back: bool, had_it: bool
) -> None:
    seen: list[str] = []
    codes: list[int | None] = []

    async def echo(request: web.Request) -> WebSocketResponse:
        websocket = WebSocketResponse(timeout=PATIENCE)
        await websocket.prepare(request)
        async for message in websocket:
            seen.append(str(message.data))
            await websocket.send_str(str(message.data))
        codes.append(websocket.close_code)
        return websocket

    app = web.Application()
    app.router.add_get("/", echo)
    plan = plan_of(direction, **fault)
    client = await test_client(
        app, transport=kind, server_kwargs={"faults": plan, "shutdown_timeout": 1}
    )
    text = "x" * 5000
    websocket = await client.ws_connect("/", timeout=ClientWSTimeout(ws_close=PATIENCE))
    await websocket.send_str(text)
    stalls = "stall_after" in fault
    if comes_back:
        assert (await websocket.receive(timeout=30)).data == text
        await websocket.close()
    elif stalls:
        with pytest.raises(TimeoutError):
            await websocket.receive(timeout=PATIENCE)
    else:
        assert (await websocket.receive(timeout=30)).type.name == "CLOSED"
        assert websocket.close_code == 1006
    await client.close()
    assert seen == ([text] if had_it else [])
    if not stalls:
        assert codes == [1000 if comes_back else 1006]
