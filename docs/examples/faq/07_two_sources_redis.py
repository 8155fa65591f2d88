import importlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio

from antiphon import web

two_sources = importlib.import_module("07_two_sources")  # the application above


class RedisHub(two_sources.Hub):
    """Publish and subscribe among all processes that share one Redis."""

    def __init__(self, connections: redis.asyncio.Redis, channel: str) -> None:
        self._redis = connections
        self._channel = channel

    async def publish(self, text: str) -> None:
        await self._redis.publish(self._channel, text)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[str]]:
        async with self._redis.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            await anext(subscription.listen())  # the server's word that it counts

            async def messages() -> AsyncIterator[str]:
                async for message in subscription.listen():
                    yield message["data"].decode()

            yield messages()


@asynccontextmanager
async def redis_hub() -> AsyncIterator[RedisHub]:
    url = os.environ.get("REDIS_URL", "redis://localhost")
    async with redis.asyncio.from_url(url) as connections:
        yield RedisHub(connections, "chat")


if __name__ == "__main__":
    web.run_app(two_sources.create_app(redis_hub), port=int(sys.argv[1]))
