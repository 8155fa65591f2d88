"""niquests, as its documentation shows it."""

from collections.abc import AsyncIterator
from typing import Any

import niquests
from _start import COOKIES, OWN_COOKIES, run


class Client:
    def __init__(self, connections: int) -> None:
        self.connections = max(100, connections)

    async def open(self) -> None:
        self.session = niquests.AsyncSession(
            pool_connections=10, pool_maxsize=self.connections, disable_http2=True
        )
        await self.session.__aenter__()

    async def close(self) -> None:
        await self.session.close()

    async def get(self, url: str) -> bytes:
        return (await self.session.get(url)).content or b""

    async def json(self, url: str, value: Any) -> Any:
        return (await self.session.post(url, json=value)).json()

    async def download(self, url: str) -> int:
        size = 0
        response = await self.session.get(url, stream=True)
        async for piece in await response.iter_content(64 * 1024):
            size += len(piece)
        return size

    async def upload(self, url: str, pieces: AsyncIterator[bytes]) -> None:
        await self.session.post(url, data=pieces)

    def fill_jar(self, host: str) -> None:
        for name, value, other in COOKIES:
            self.session.cookies.set(name, value, domain=other)
        for name, value in OWN_COOKIES:
            self.session.cookies.set(name, value, domain=f"{host}.local")


run(Client)
