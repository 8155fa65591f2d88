"""Very many messages each way at once, cut at random, compressed, and read slowly.

``ANTIPHON_WS_MESSAGES=100000 pytest packages/core/tests/websocket/test_websocket_torture.py`` is
the long form; the number is the count each way.
"""

import asyncio
import itertools
import os
import random
from collections.abc import Iterator

import pytest

from antiphon.core.aio.channel import WebSocketChannel
from antiphon.core.aio.upgrade import TransportChannel
from antiphon.core.limits import WebSocketLimits
from antiphon.core.websocket.connection import Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters
from antiphon.core.websocket.models import WSMsgType

COUNT = int(os.environ.get("ANTIPHON_WS_MESSAGES", "1500"))
LIMITS = WebSocketLimits(max_queue=16, max_queue_size=512 * 1024)
READ = 256 * 1024
"""What asyncio reads at a time."""
HIGH_WATER = 64 * 1024
LARGEST = 70_000


class Owner(asyncio.Protocol):
    """What keeps the books of a connection, as far as a channel needs it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.write_paused = False
        self.closing = False
        self.ssl_object = None
        self.lost = asyncio.get_running_loop().create_future()
        self._room: list[asyncio.Future[None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        room, self._room = self._room, []
        for waiter in room:
            waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self.lost.set_result(None)

    async def drain(self) -> None:
        if self.write_paused:
            waiter = asyncio.get_running_loop().create_future()
            self._room.append(waiter)
            await waiter


def messages(seed: int) -> Iterator[str | bytes]:
    """*COUNT* messages, each with its number: mostly short, some above 65535 bytes."""
    chance = random.Random(seed)
    for number in range(COUNT):
        kind = chance.random()
        size = chance.randrange(60) if kind < 0.9 else chance.randrange(5000)
        if kind > 0.998:
            size = LARGEST
        filling = chance.choice("aäb€") * size
        text = f"{number}:{filling}"
        yield text if chance.random() < 0.5 else text.encode()


async def send_all(ws: WebSocketChannel, owner: Owner, seed: int) -> None:
    """Send whole and in fragments, compressed or not, with pings between; wait where told to."""
    chance = random.Random(seed + 1)
    for message in messages(seed):
        if chance.random() < 0.2:
            cuts = sorted(chance.randrange(len(message) + 1) for _ in range(chance.randrange(5)))
            edges = [0, *cuts, len(message)]
            compress = chance.choice([None, 0])
            for at, (begin, end) in enumerate(itertools.pairwise(edges)):
                final = at == len(edges) - 2
                await ws.send_fragment(message[begin:end], final=final, compress=compress)
                if chance.random() < 0.3:
                    ws.ping(b"between")
        elif isinstance(message, str):
            await ws.send_str(message, chance.choice([None, None, 0, 1, 9]))
        else:
            await ws.send_bytes(message, chance.choice([None, None, 0, 1, 9]))
        assert owner.transport.get_write_buffer_size() <= HIGH_WATER + 4 * LARGEST


async def receive_all(ws: WebSocketChannel, seed: int) -> None:
    """Receive everything, in order and unhurried; what is kept meanwhile is bounded."""
    chance = random.Random(seed + 2)
    for expected in messages(seed):
        if chance.random() < 0.02:
            for _ in range(chance.randrange(30)):
                await asyncio.sleep(0)
        assert len(ws._queue) <= LIMITS.max_queue
        assert ws._size <= LIMITS.max_queue_size + 4 * LARGEST
        assert ws.connection.reader.buffered <= 2 * READ
        if chance.random() < 0.05:
            # Given up in the middle: it must not cost a message.
            receiving = asyncio.ensure_future(ws.receive())
            await asyncio.sleep(0)
            if receiving.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await receiving
                message = await ws.receive(60)
            else:
                message = await receiving
        else:
            message = await ws.receive(60)
        assert message.data == expected
        kind = WSMsgType.TEXT if isinstance(expected, str) else WSMsgType.BINARY
        assert message.type is kind


@pytest.mark.parametrize("deflate", [None, DeflateParameters()], ids=["plain", "deflate"])
def test_many_messages_each_way(deflate: DeflateParameters | None) -> None:
    ends: list[tuple[WebSocketChannel, Owner]] = []

    def end(role: Role) -> Owner:
        owner = Owner()

        class Begin(Owner):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                owner.connection_made(transport)
                assert isinstance(transport, asyncio.Transport)
                connection = WebSocketConnection(role, max_msg_size=1 << 20, deflate=deflate)
                below = TransportChannel(owner, transport, b"")  # type: ignore[arg-type]  # it has what is used
                channel = WebSocketChannel(
                    below, connection, limits=LIMITS, compress_in_thread_from=4000
                )
                ends.append((channel, owner))

        return Begin()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: end(Role.SERVER), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await loop.create_connection(lambda: end(Role.CLIENT), "127.0.0.1", port)
        while len(ends) < 2:
            await asyncio.sleep(0)
        (one, its), (other, others) = ends
        await asyncio.gather(
            send_all(one, its, 1),
            send_all(other, others, 2),
            receive_all(one, 2),
            receive_all(other, 1),
        )
        await asyncio.gather(one.close(4000, "done"), other.close(4000, "done"))
        assert one.close_code == other.close_code == 4000
        await asyncio.gather(its.lost, others.lost)
        server.close()
        await server.wait_closed()

    asyncio.run(asyncio.wait_for(main(), 30 + COUNT / 50))
