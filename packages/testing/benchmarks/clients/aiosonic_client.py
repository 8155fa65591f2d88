"""aiosonic, as its documentation shows it."""

from collections.abc import AsyncIterator
from typing import Any

import aiosonic
from _start import run
from aiosonic.connectors import TCPConnector
from aiosonic.pools import PoolConfig


class Client:
    def __init__(self, connections: int) -> None:
        self.connections = max(100, connections)

    async def open(self) -> None:
        pool = PoolConfig(size=self.connections, max_conn_requests=None)
        self.client = aiosonic.HTTPClient(TCPConnector(pool_configs={":default": pool}))

    async def close(self) -> None:
        await self.client.connector.cleanup()

    async def get(self, url: str) -> bytes:
        return await (await self.client.get(url)).content()

    async def json(self, url: str, value: Any) -> Any:
        return await (await self.client.post(url, json=value)).json()

    async def download(self, url: str) -> int:
        size = 0
        response = await self.client.get(url)
        async for piece in response.iter_bytes():
            size += len(piece)
        return size

    async def upload(self, url: str, pieces: AsyncIterator[bytes]) -> None:
        response = await self.client.post(url, data=pieces)
        await response.content()


run(Client)
