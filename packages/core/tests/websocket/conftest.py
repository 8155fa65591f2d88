"""Frames made by hand, every way of cutting bytes, and a channel that speaks bytes."""

import asyncio
import gc
import itertools
import struct
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from antiphon.core.aio.exchange import ByteReceiver
from antiphon.core.errors import WebSocketError
from antiphon.core.websocket.connection import NEED_DATA, Fragment, Role, WebSocketConnection

T = TypeVar("T")
KEY = b"\x37\xfa\x21\x3d"
"""The masking key of the examples in RFC 6455 section 5.7."""


def make_frame(
    first: int,
    payload: bytes = b"",
    *,
    masked: bool = True,
    length: int | None = None,
    width: int | None = None,
    key: bytes = KEY,
) -> bytes:
    """A frame written by the letter of section 5.2, one byte after the other.

    *length* and *width* (bytes of the length: 1, 3 or 9) may lie.
    """
    size = len(payload) if length is None else length
    if width is None:
        width = 1 if size < 126 else 3 if size < 65536 else 9
    bit = 0x80 if masked else 0
    if width == 1:
        head = bytes([first, bit | size])
    elif width == 3:
        head = bytes([first, bit | 126]) + struct.pack("!H", size)
    else:
        head = bytes([first, bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def parse_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Frames written by us: their first bytes and payloads."""
    frames = []
    while data:
        size = data[1] & 0x7F
        at = 2
        if size == 126:
            size, at = struct.unpack_from("!H", data, 2)[0], 4
        elif size == 127:
            size, at = struct.unpack_from("!Q", data, 2)[0], 10
        key = b""
        if data[1] & 0x80:
            key, at = data[at : at + 4], at + 4
        payload = data[at : at + size]
        assert len(payload) == size
        if key:
            payload = bytes(byte ^ key[n % 4] for n, byte in enumerate(payload))
        frames.append((data[0], payload))
        data = data[at + size :]
    return frames


def splits(data: bytes) -> Iterator[list[bytes]]:
    """Whole, each byte, every cut in two (of long ones near the ends), of short ones in three."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    cuts = range(1, len(data))
    for cut in cuts if len(data) < 150 else [*cuts[:20], *cuts[60::97], *cuts[-10:]]:
        yield [data[:cut], data[cut:]]
    if len(data) < 25:
        for one, two in itertools.combinations(range(1, len(data)), 2):
            yield [data[:one], data[one:two], data[two:]]


def outcome(connection: WebSocketConnection, pieces: list[bytes]) -> list[Any]:
    """What comes out: messages as (type, data, extra), pieces joined, and the error's code."""
    seen: list[Any] = []
    for piece in pieces:
        connection.receive_data(piece)
        while True:
            try:
                event = connection.next_event()
            except WebSocketError as exc:
                seen.append(exc.code)
                connection.receive_data(make_frame(0x81, b"after", masked=True))
                assert connection.next_event() is NEED_DATA, "an event after an error"
                return seen
            if event is NEED_DATA:
                break
            if (
                isinstance(event, Fragment)
                and seen
                and isinstance(seen[-1], Fragment)
                and not seen[-1].final
            ):
                event = Fragment(event.type, seen[-1].data + event.data, event.final)  # type: ignore[operator]  # both are str or both bytes
                seen[-1] = event
            else:
                seen.append(event if isinstance(event, Fragment) else tuple(event))
    return seen


class MemoryChannel:
    """A `ByteChannel` of which the test is the peer."""

    def __init__(self, begun: bytes = b"") -> None:
        self.receiver: Any = None
        self.begun = begun
        self.writes: list[bytes] = []
        self.write_paused = False
        self.reading = True
        self.closed = False
        self.aborted = False
        self.eof_written = False
        self.hangs = False
        """Whether `close` does not end the connection, as with a peer that takes nothing."""
        self._rooms: list[asyncio.Future[None]] = []
        self._lost = False

    @property
    def info(self) -> Any:
        return self

    def attach(self, receiver: ByteReceiver) -> None:
        self.receiver = receiver
        if self.begun:
            receiver.data_received(self.begun)

    def write(self, data: bytes) -> None:
        assert not self.eof_written, "write after write_eof"
        if not self.closed:
            self.writes.append(bytes(data))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    async def drain(self) -> None:
        if self._lost:
            raise ConnectionResetError("Connection lost")
        if self.write_paused:
            room = asyncio.get_running_loop().create_future()
            self._rooms.append(room)
            await room

    def write_eof(self) -> None:
        self.eof_written = True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if not self.hangs:
                asyncio.get_running_loop().call_soon(self.lose)

    def abort(self) -> None:
        self.aborted = self.closed = True
        asyncio.get_running_loop().call_soon(self.lose)

    # --- the peer
    def feed(self, *frames: bytes) -> None:
        assert self.reading, "fed although reading is paused"
        self.receiver.data_received(b"".join(frames))

    def lose(self, exc: Exception | None = None) -> None:
        if not self._lost:
            self._lost = self.closed = True
            for room in self._rooms:
                if not room.done():
                    room.set_exception(ConnectionResetError("Connection lost"))
            self.receiver.connection_lost(exc)

    def make_room(self) -> None:
        self.write_paused = False
        rooms, self._rooms = self._rooms, []
        assert rooms, "nobody waits"
        for room in rooms:
            if not room.done():
                room.set_result(None)
        self.receiver.resume_writing()

    def take(self) -> list[tuple[int, bytes]]:
        data = b"".join(self.writes)
        self.writes.clear()
        return parse_frames(data)


@pytest.fixture
def frame() -> Callable[..., bytes]:
    return make_frame


@pytest.fixture
def frames_in() -> Callable[[bytes], list[tuple[int, bytes]]]:
    return parse_frames


@pytest.fixture
def every_split() -> Callable[[bytes], Iterator[list[bytes]]]:
    return splits


@pytest.fixture
def events() -> Callable[[WebSocketConnection, list[bytes]], list[Any]]:
    return outcome


@pytest.fixture
def memory_channel() -> type[MemoryChannel]:
    return MemoryChannel


@pytest.fixture(params=[Role.SERVER, Role.CLIENT], ids=lambda role: role.value)
def role(request: pytest.FixtureRequest) -> Role:
    result: Role = request.param
    return result


class ManualClock(asyncio.SelectorEventLoop):
    """A loop whose time is what the test says: waiting costs nothing."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    async def pass_time(self, seconds: float) -> None:
        """Let *seconds* pass, and what is due in them happen when it is due."""
        await asyncio.sleep(0)  # what has just been started begins now, not later
        end = self.now + seconds
        while self.now < end:
            timers = self._scheduled  # type: ignore[attr-defined]  # asyncio's own
            due = [handle.when() for handle in timers if not handle.cancelled()]
            self.now = max(self.now, min([end, *due]))
            for _ in range(3):
                await asyncio.sleep(0)


@pytest.fixture
def run() -> Callable[["Coroutine[Any, Any, T]"], T]:
    """Run a coroutine in a loop with a manual clock; fail on tasks, timers and errors left."""

    def runner(coro: "Coroutine[Any, Any, T]") -> T:
        reported: list[dict[str, Any]] = []

        async def watched() -> T:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: reported.append(context))
            result = await coro
            for _ in range(5):
                await asyncio.sleep(0)
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            assert not left, f"tasks left behind: {left}"
            timers = [
                handle
                for handle in loop._scheduled  # type: ignore[attr-defined]  # asyncio's own
                if not handle.cancelled()
            ]
            assert not timers, f"timers left behind: {timers}"
            return result

        with asyncio.Runner(loop_factory=ManualClock) as loop_runner:
            result = loop_runner.run(watched())
        gc.collect()
        assert not reported, reported
        return result

    return runner
