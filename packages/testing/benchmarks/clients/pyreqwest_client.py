"""pyreqwest (Rust), as its documentation shows it."""

from collections.abc import AsyncIterator
from typing import Any

from _start import run
from pyreqwest.client import ClientBuilder


class Client:
    def __init__(self, connections: int) -> None:
        self.connections = max(100, connections)

    async def open(self) -> None:
        self.client = ClientBuilder().max_connections(self.connections).build()
        await self.client.__aenter__()

    async def close(self) -> None:
        await self.client.__aexit__(None, None, None)

    async def get(self, url: str) -> bytes:
        response = await self.client.get(url).build().send()
        return bytes(await response.bytes())

    async def json(self, url: str, value: Any) -> Any:
        response = await self.client.post(url).body_json(value).build().send()
        return await response.json()

    async def download(self, url: str) -> int:
        size = 0
        async with self.client.get(url).build_streamed() as response:
            while piece := await response.body_reader.read_chunk():
                size += len(piece)
        return size

    async def upload(self, url: str, pieces: AsyncIterator[bytes]) -> None:
        response = await self.client.post(url).body_stream(pieces).build().send()
        await response.bytes()


run(Client)
