import asyncio
import json
from typing import Any

from antiphon import web

SEARCH = ("127.0.0.1", 9200)


class SearchService:
    """Asks a search engine about itself. Wants to be given a loop, as was once the custom."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_event_loop_policy().get_event_loop()

    async def get_info(self) -> dict[str, Any]:
        host, port = SEARCH
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        wire = await self._loop.create_task(reader.read())
        writer.close()
        await writer.wait_closed()
        return json.loads(wire.partition(b"\r\n\r\n")[2])


class MyService:
    def __init__(self) -> None:
        self.search = SearchService()

    async def get_search_info(self) -> dict[str, Any]:
        return await self.search.get_info()


async def hello(request: web.Request) -> web.Response:
    info = await MyService().get_search_info()
    return web.json_response(info)


def create_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
