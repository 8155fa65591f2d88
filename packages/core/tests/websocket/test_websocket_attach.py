"""Bytes that come with the handshake or before anybody receives, and who may stop reading."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from antiphon.core.aio.channel import WebSocketChannel
from antiphon.core.aio.upgrade import TransportChannel
from antiphon.core.limits import WebSocketLimits
from antiphon.core.websocket.connection import Role, WebSocketConnection

Run = Callable[["Coroutine[Any, Any, None]"], None]
Frame = Callable[..., bytes]


class Wire(asyncio.Transport):
    """A transport whose other end is the test: bytes reach it only while it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.protocol: Any = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        raise AssertionError(f"nothing is to be sent, yet {bytes(data)!r} was")

    def deliver(self, data: bytes) -> None:
        assert self.reading, "bytes although reading is paused"
        self.protocol.data_received(data)


class Owner:
    """What keeps the books of a connection, as far as a channel needs it."""

    write_paused = False
    closing = False
    ssl_object = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True


def switched(begun: bytes = b"") -> tuple[Wire, TransportChannel]:
    wire = Wire()
    return wire, TransportChannel(Owner(), wire, begun)  # type: ignore[arg-type]  # it has what is used


@pytest.mark.parametrize("early", ["with the handshake", "before a receiver"])
@pytest.mark.parametrize("role", [Role.SERVER, Role.CLIENT])
@pytest.mark.parametrize("size", [1, 4096], ids=["few bytes", "more than is kept"])
def test_early_frames_that_fill_the_queue_stop_reading(
    role: Role, early: str, size: int, frame: Frame, run: Run
) -> None:
    """Reading on would put without limit what nobody takes."""
    frames = frame(0x82, b"x" * size, masked=role is Role.SERVER) * 20

    async def main() -> None:
        if early == "with the handshake":
            wire, below = switched(frames)
        else:
            wire, below = switched()
            wire.deliver(frames)
        connection = WebSocketConnection(role)
        ws = WebSocketChannel(below, connection, limits=WebSocketLimits(max_queue=16))
        assert not wire.reading
        for _ in range(20):
            assert len((await ws.receive()).data) == size
        assert wire.reading
        wire.deliver(frame(0x81, b"more", masked=role is Role.SERVER))
        assert (await ws.receive()).data == "more"
        wire.protocol.connection_lost(None)

    run(main())


def test_what_was_held_back_for_a_receiver_comes_once_there_is_one(frame: Frame, run: Run) -> None:
    async def main() -> None:
        wire, below = switched()
        wire.deliver(frame(0x82, bytes(70_000)))
        assert not wire.reading
        ws = WebSocketChannel(below, WebSocketConnection(Role.SERVER))
        assert wire.reading
        assert len((await ws.receive()).data) == 70_000
        wire.protocol.connection_lost(None)

    run(main())


def test_bytes_kept_for_a_receiver_are_not_counted_anew_with_each(run: Run) -> None:
    """A peer that sends single bytes must not cost the square of them."""

    class Counted(bytes):
        lengths = 0

        def __len__(self) -> int:
            Counted.lengths += 1
            return super().__len__()

    async def main() -> None:
        wire, _ = switched()
        sent = 0
        while wire.reading:
            wire.deliver(Counted(b"x" * 64))
            sent += 1
        assert 1000 < sent < 1100
        assert Counted.lengths <= 2 * sent

    run(main())
