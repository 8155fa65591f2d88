"""One table of what connections do, and both kinds of them do it: loopback sockets and memory."""

import asyncio
import contextlib
import contextvars
import select
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from antiphon import web
from antiphon.testing.transport import memory_pair, reset_connection

MUCH = 20_000_000  # more than any kernel holds
PIPE = "BrokenPipeError"
RESET = "ConnectionResetError"
LOST = {"lost", PIPE, RESET}


class End(asyncio.Protocol):
    """Notes what it is told; bytes by their number."""

    transport: asyncio.Transport

    def __init__(self, keep_open: bool) -> None:
        self.events: list[object] = []
        self.keep_open = keep_open
        self.changed = asyncio.Event()
        self.made = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.made.set()

    def data_received(self, data: bytes) -> None:
        if self.events and isinstance(self.events[-1], int):
            self.events[-1] += len(data)
            self.changed.set()
        else:
            self.note(len(data))

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("lost" if exc is None else type(exc).__name__)

    def note(self, event: object) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():
                self.changed.clear()
                await self.changed.wait()

    async def heard(self, event: object) -> None:
        await self.until(lambda: event in self.events)

    async def arrived(self) -> None:
        """Wait until something lies there that a paused end does not read."""
        sock = self.transport.get_extra_info("socket")
        async with asyncio.timeout(30):
            while sock is not None and not select.select([sock.fileno()], [], [], 0)[0]:
                await asyncio.sleep(0)


async def connect(kind: str, near_keeps: bool, far_keeps: bool) -> tuple[End, End]:
    near, far = End(near_keeps), End(far_keeps)
    if kind == "memory":
        memory_pair(near, far)
    else:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: far, "127.0.0.1", 0)
        await loop.create_connection(lambda: near, *server.sockets[0].getsockname())
        await far.made.wait()
        server.close()
    return near, far


async def close(near: End, far: End) -> None:
    near.transport.write(bytes(100))
    near.transport.close()


async def abort(near: End, far: End) -> None:
    near.transport.write(bytes(100))
    near.transport.abort()


async def abort_twice_and_close(near: End, far: End) -> None:
    await abort(near, far)
    near.transport.close()
    near.transport.abort()
    near.transport.write(b"too late")


async def reset(near: End, far: End) -> None:
    near.transport.write(bytes(100))
    reset_connection(near.transport)


async def abort_with_unread(near: End, far: End) -> None:
    near.transport.pause_reading()
    far.transport.write(bytes(50))
    await near.arrived()
    near.transport.write(bytes(100))
    near.transport.abort()


async def close_with_unread(near: End, far: End) -> None:
    near.transport.pause_reading()
    far.transport.write(bytes(50))
    await near.arrived()
    near.transport.write(bytes(100))
    near.transport.close()


async def abort_while_the_other_is_paused(near: End, far: End) -> None:
    far.transport.pause_reading()
    near.transport.write(bytes(100))
    near.transport.abort()
    await near.heard("lost")
    await far.arrived()
    assert far.events == []
    far.transport.resume_reading()


async def reset_while_the_other_is_paused(near: End, far: End) -> None:
    far.transport.pause_reading()
    await reset(near, far)
    await near.heard("lost")
    await far.arrived()
    assert far.events == []
    far.transport.resume_reading()


async def write_after_a_reset(near: End, far: End) -> None:
    await reset(near, far)
    await far.heard(RESET)
    with contextlib.suppress(RuntimeError):  # which some loops raise, and others do not
        far.transport.write(b"nobody hears")


async def write_to_who_closed(near: End, far: End) -> None:
    near.transport.close()
    await far.heard("eof")
    async with asyncio.timeout(30):
        while not far.transport.is_closing():
            far.transport.write(b"nobody hears")
            await asyncio.sleep(0)


async def abort_much(near: End, far: End) -> None:
    far.transport.pause_reading()
    near.transport.write(bytes(MUCH))
    assert near.transport.get_write_buffer_size() > 0
    near.transport.abort()
    await near.heard("lost")
    far.transport.resume_reading()
    await far.heard("eof")
    received = far.events[0]
    assert isinstance(received, int)
    assert 0 < received < MUCH
    far.events[0] = "some"


async def close_much(near: End, far: End) -> None:
    far.transport.pause_reading()
    near.transport.write(bytes(MUCH))
    near.transport.close()
    assert near.events == ["pause"]
    far.transport.resume_reading()


async def abort_who_has_much_to_read(near: End, far: End) -> None:
    far.transport.pause_reading()
    near.transport.write(bytes(MUCH))
    await far.arrived()
    far.transport.abort()


async def end_both_directions(near: End, far: End) -> None:
    near.transport.write_eof()
    await far.heard("eof")
    far.transport.write(bytes(7))
    await near.heard(7)
    far.transport.write_eof()
    await near.heard("eof")
    with pytest.raises(RuntimeError, match="write_eof"):
        near.transport.write(b"x")
    near.transport.close()
    far.transport.close()


async def both_abort(near: End, far: End) -> None:
    near.transport.abort()
    far.transport.abort()


CASES = [
    (close, False, ["lost"], [100, "eof", "lost"]),
    (close, True, ["lost"], [100, "eof"]),
    (abort, False, ["lost"], [100, "eof", "lost"]),
    (abort, True, ["lost"], [100, "eof"]),
    (abort_twice_and_close, False, ["lost"], [100, "eof", "lost"]),
    (reset, False, ["lost"], [100, RESET]),
    (abort_with_unread, False, ["lost"], [100, RESET]),
    (close_with_unread, False, ["lost"], [100, RESET]),
    (abort_while_the_other_is_paused, False, ["lost"], [100, "eof", "lost"]),
    (reset_while_the_other_is_paused, False, ["lost"], [100, RESET]),
    (write_after_a_reset, False, ["lost"], [100, RESET]),
    (write_to_who_closed, True, ["lost"], ["eof", PIPE]),
    (abort_much, False, ["pause", "lost"], ["some", "eof", "lost"]),
    (close_much, False, ["pause", "resume", "lost"], [MUCH, "eof", "lost"]),
    (abort_who_has_much_to_read, False, ["pause", RESET], ["lost"]),
    (end_both_directions, True, [7, "eof", "lost"], ["eof", "lost"]),
    (both_abort, False, ["lost"], ["lost"]),
]


@pytest.mark.parametrize("kind", ["socket", "memory"])
@pytest.mark.parametrize(
    ("script", "keep_open", "near_hears", "far_hears"),
    CASES,
    ids=[f"{case[0].__name__}{'-half-open' if case[1] else ''}" for case in CASES],
)
async def test_what_each_end_hears(
    kind: str,
    script: Callable[[End, End], Awaitable[None]],
    keep_open: bool,
    near_hears: list[object],
    far_hears: list[object],
) -> None:
    near, far = await connect(kind, keep_open, keep_open)
    await script(near, far)
    try:
        await near.until(lambda: len(near.events) >= len(near_hears))
        await far.until(lambda: len(far.events) >= len(far_hears))
        if isinstance(far_hears[0], int):
            await far.until(lambda: far.events[0] == far_hears[0])
    finally:
        for end in near, far:
            if not LOST.intersection(map(str, end.events)):
                end.transport.abort()
    assert near.events[: len(near_hears)] == near_hears
    assert far.events[: len(far_hears)] == far_hears
    for end, hears in (near, near_hears), (far, far_hears):
        await end.until(lambda end=end: bool(LOST.intersection(map(str, end.events))))  # type: ignore[misc]  # a default
        # Whoever had not heard of the loss has now, by its own abort.
        assert end.events[len(hears) :] in ([], ["lost"])


VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


@pytest.mark.parametrize("transport", ["socket", "memory"])
async def test_a_handler_does_not_see_context_variables_of_its_client(
    test_client: Any, transport: str
) -> None:
    """It sees those that were set when its server started."""

    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=VARIABLE.get())

    app = web.Application()
    app.router.add_get("/", tell)
    VARIABLE.set("before the start")
    client = await test_client(app, transport=transport)
    VARIABLE.set("after the start")
    async with client.get("/") as response:
        assert await response.text() == "before the start"
