"""httpx, as its documentation shows it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
from _start import COOKIES, OWN_COOKIES, run


class Client:
    def __init__(self, connections: int) -> None:
        self.connections = max(100, connections)

    async def open(self) -> None:
        limits = httpx.Limits(
            max_connections=self.connections, max_keepalive_connections=self.connections
        )
        self.client = httpx.AsyncClient(limits=limits, timeout=300)

    async def close(self) -> None:
        await self.client.aclose()

    async def get(self, url: str) -> bytes:
        return (await self.client.get(url)).content

    async def json(self, url: str, value: Any) -> Any:
        return (await self.client.post(url, json=value)).json()

    async def download(self, url: str) -> int:
        size = 0
        async with self.client.stream("GET", url) as response:
            async for piece in response.aiter_bytes():
                size += len(piece)
        return size

    async def upload(self, url: str, pieces: AsyncIterator[bytes]) -> None:
        await self.client.post(url, content=pieces)

    def fill_jar(self, host: str) -> None:
        for name, value, other in COOKIES:
            self.client.cookies.set(name, value, domain=other)
        for name, value in OWN_COOKIES:
            self.client.cookies.set(name, value, domain=f"{host}.local")


run(Client)
