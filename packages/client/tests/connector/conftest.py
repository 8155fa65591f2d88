"""Servers on loopback that say what a test tells them to, and a check that nothing is left."""

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from antiphon.client.connector.base import BaseConnector, Connection
from antiphon.client.connector.key import ConnectionKey
from antiphon.client.resolver import AbstractResolver, ResolveResult
from antiphon.core.http import RequestHead

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Runner = Callable[[Coroutine[Any, Any, None]], None]

HI = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Site:
    """A server, what it was asked, and its connections."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.heads: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.accepted = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        self.writers.append(writer)
        try:
            await self.handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()
            self._gone.set()

    async def until_alone(self) -> None:
        """Wait until no connection is served any more."""
        while self._tasks:
            self._gone.clear()
            await self._gone.wait()

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def hello(site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request with the same two bytes."""
    while True:
        site.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HI)


@contextlib.asynccontextmanager
async def serving(
    handler: Callable[[Site, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = hello,
    **options: Any,
) -> AsyncIterator[Site]:
    site = Site(lambda reader, writer: handler(site, reader, writer))
    if "path" in options:
        server = await asyncio.start_unix_server(site.serve, options.pop("path"), **options)
    else:
        server = await asyncio.start_server(
            site.serve, options.pop("host", "127.0.0.1"), 0, **options
        )
        site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await site.end()


async def ask(connection: Connection, **head: Any) -> tuple[int, bytes]:
    """Send a GET over *connection* and read the whole answer."""
    exchange = connection.http.open(
        RequestHead(**{
            "method": "GET",
            "target": "/",
            "authority": "host",
            "headers": CIMultiDict(),
            **head,
        })
    )
    message = await exchange.response()
    return message.code, await exchange.content.read()


async def get(connector: BaseConnector, key: ConnectionKey, **options: Any) -> tuple[int, bytes]:
    """What a session does: an idle connection or a new one, one exchange, give it back."""
    connection = connector.take_idle(key) or await connector.connect(key, **options)
    try:
        return await ask(connection)
    finally:
        connection.release()


class Fixed(AbstractResolver):
    """Resolves every name to the same addresses, and writes down what it was asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int, int]] = []
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append((host, port, family))
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        self.closed = True


def key_for(site: Site, host: str = "127.0.0.1", **more: Any) -> ConnectionKey:
    return ConnectionKey(host, site.port, more.pop("is_ssl", False), **more)


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


async def _and_nothing_is_left(main: Coroutine[Any, Any, None]) -> None:
    await main
    for _ in range(5):
        await asyncio.sleep(0)  # what is being closed is gone after a turn or two
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:  # a server's end of a connection that was aborted takes its time to notice
        _, left = await asyncio.wait(left, timeout=5)
    assert not left, f"tasks are left: {left}"


@pytest.fixture
def run() -> Runner:
    """Run a coroutine; afterwards no task, socket, descriptor or complaint is left."""

    def runner(main: Coroutine[Any, Any, None]) -> None:
        gc.collect()
        before = _descriptors()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            asyncio.run(_and_nothing_is_left(main))
            gc.collect()
        assert _descriptors() <= before, "descriptors are left open"

    return runner
