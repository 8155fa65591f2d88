"""For `unittest`: a test case with a client, and loops for code that wants one by hand."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import IsolatedAsyncioTestCase

from antiphon.core.deprecations import deprecated, warn_deprecated
from antiphon.web import Application

from .client import TestClient
from .server import BaseTestServer, TestServer

__all__ = (
    "AioHTTPTestCase",
    "loop_context",
    "setup_test_loop",
    "teardown_test_loop",
    "unittest_run_loop",
)


class AioHTTPTestCase(IsolatedAsyncioTestCase):
    """A test case with an application, a server and a client of its own for every test.

    Override `get_application`. Tests are ``async def`` methods and use ``self.client``.
    """

    app: Application
    """The application of this test."""
    server: BaseTestServer
    """The server of this test."""
    client: TestClient
    """The client of this test."""

    async def get_application(self) -> Application:
        """Return the application; to be overridden, unless `get_app` is."""
        return self.get_app()

    def get_app(self) -> Application:
        """Return the application; the older name of `get_application`.

        Raises:
            RuntimeError: Neither is overridden.
        """
        raise RuntimeError("Did you forget to define get_application()?")

    async def get_server(self, app: Application) -> BaseTestServer:
        """Return the server that is to run *app*; started later."""
        return TestServer(app)

    async def get_client(self, server: BaseTestServer) -> TestClient:
        """Return the client that is to talk to *server*."""
        return TestClient(server)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the test."""
        return asyncio.get_running_loop()

    async def asyncSetUp(self) -> None:
        """Start the server."""
        self.app = await self.get_application()
        self.server = await self.get_server(self.app)
        self.client = await self.get_client(self.server)
        await self.client.start_server()
        await self.setUpAsync()

    async def asyncTearDown(self) -> None:
        """Close client and server."""
        try:
            await self.tearDownAsync()
        finally:
            await self.client.close()

    async def setUpAsync(self) -> None:
        """Called once client and server are there; may be overridden."""

    async def tearDownAsync(self) -> None:
        """Called before client and server are closed; may be overridden."""


@deprecated("Leave it out: AioHTTPTestCase runs coroutine functions by itself (ANT-0036)")
def unittest_run_loop(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Return *func* as it is: `AioHTTPTestCase` runs coroutine functions by itself.

    Obsolete (ANT-0036).
    """
    warn_deprecated("ANT-0036")
    return func


def setup_test_loop(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> asyncio.AbstractEventLoop:
    """Make an event loop and set it as the present thread's."""
    loop = loop_factory()
    asyncio.set_event_loop(loop)
    return loop


def teardown_test_loop(loop: asyncio.AbstractEventLoop, fast: bool = False) -> None:
    """Close *loop*, after what had been scheduled.

    Args:
        loop: The loop.
        fast: Do not collect garbage; accepted, as nothing here needs that.
    """
    try:
        if not loop.is_closed():
            loop.run_until_complete(asyncio.sleep(0))
            left = asyncio.all_tasks(loop)
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
    finally:
        asyncio.set_event_loop(None)


@contextlib.contextmanager
def loop_context(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    fast: bool = False,
) -> Iterator[asyncio.AbstractEventLoop]:
    """A context manager around `setup_test_loop` and `teardown_test_loop`."""
    loop = setup_test_loop(loop_factory)
    try:
        yield loop
    finally:
        teardown_test_loop(loop, fast=fast)
