import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from antiphon import web


class Hub:
    """Publish and subscribe inside one process."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[str]] = set()

    async def publish(self, text: str) -> None:
        for queue in self._queues:
            queue.put_nowait(text)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[str]]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues.add(queue)

        async def messages() -> AsyncIterator[str]:
            while True:
                yield await queue.get()

        try:
            yield messages()
        finally:
            self._queues.remove(queue)


HUB = web.AppKey("hub", Hub)


async def forward(messages: AsyncIterator[str], ws: web.WebSocketResponse) -> None:
    async for text in messages:
        await ws.send_str(text)


async def chat(request: web.Request) -> web.WebSocketResponse:
    hub = request.app[HUB]
    ws = web.WebSocketResponse()
    async with hub.subscribe() as messages:  # subscribed before the handshake is answered
        await ws.prepare(request)
        task = asyncio.create_task(forward(messages, ws))
        try:
            async for msg in ws:
                if msg.type is web.WSMsgType.TEXT:
                    await hub.publish(msg.data)
        finally:
            task.cancel()
    return ws


def create_app(
    make_hub: Callable[[], AbstractAsyncContextManager[Hub]] | None = None,
) -> web.Application:
    async def hub(app: web.Application) -> AsyncIterator[None]:
        if make_hub is None:
            app[HUB] = Hub()
            yield
        else:
            async with make_hub() as app[HUB]:
                yield

    app = web.Application()
    app.cleanup_ctx.append(hub)
    app.router.add_get("/chat", chat)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
