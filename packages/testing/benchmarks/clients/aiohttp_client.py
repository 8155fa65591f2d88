"""aiohttp, as its documentation shows it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from _start import COOKIES, OWN_COOKIES, run
from aiohttp import ClientSession, TCPConnector
from yarl import URL


class Client:
    def __init__(self, connections: int) -> None:
        self.connections = connections

    async def open(self) -> None:
        connector = TCPConnector(limit=max(100, self.connections))
        self.session = ClientSession(connector=connector)

    async def close(self) -> None:
        await self.session.close()

    async def get(self, url: str) -> bytes:
        async with self.session.get(url) as response:
            return await response.read()

    async def json(self, url: str, value: Any) -> Any:
        async with self.session.post(url, json=value) as response:
            return await response.json()

    async def download(self, url: str) -> int:
        size = 0
        async with self.session.get(url) as response:
            async for piece in response.content.iter_any():
                size += len(piece)
        return size

    async def upload(self, url: str, pieces: AsyncIterator[bytes]) -> None:
        async with self.session.post(url, data=pieces) as response:
            await response.read()

    def fill_jar(self, host: str) -> None:
        jar = self.session.cookie_jar
        for name, value, other in COOKIES:
            jar.update_cookies({name: value}, URL(f"http://{other}/"))
        jar.update_cookies(dict(OWN_COOKIES), URL(f"http://{host}/"))

    async def connect(self, url: str) -> Callable[[bytes], Awaitable[bytes]]:
        socket = await self.session.ws_connect(url)

        async def echo(message: bytes) -> bytes:
            await socket.send_bytes(message)
            return await socket.receive_bytes()

        return echo


run(Client)
