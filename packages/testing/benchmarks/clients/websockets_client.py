"""websockets, for the scenario that its name says."""

from collections.abc import Awaitable, Callable

import websockets
from _start import run


class Client:
    def __init__(self, connections: int) -> None:
        pass

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        await self.socket.close()

    async def connect(self, url: str) -> Callable[[bytes], Awaitable[bytes]]:
        self.socket = socket = await websockets.connect(url, compression=None)

        async def echo(message: bytes) -> bytes:
            await socket.send(message)
            return await socket.recv()  # type: ignore[return-value]  # bytes answer bytes

        return echo


run(Client)
