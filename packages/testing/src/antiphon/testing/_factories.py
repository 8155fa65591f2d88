"""What the fixtures give: functions that open servers and clients, and close them all."""

import asyncio
import functools
import warnings
from collections.abc import Callable
from typing import Any, Final, final

from .client import TestClient
from .server import BaseTestServer, RawTestServer, TestServer, Transport, app_from

__all__ = ("Factories",)


@final
class Factories:
    """Opens servers and clients of one test, and closes them in reverse order.

    Args:
        client_class: What `client` makes.
        transport: What carries the bytes to applications that `client` is given.
    """

    def __init__(self, client_class: type[TestClient], transport: Transport) -> None:
        self._client_class = client_class
        self._transport: Final = transport
        self.opened: list[Any] = []
        """What is to be closed, in the order of its making."""
        self._loop: asyncio.AbstractEventLoop | None = None

    async def client(
        self,
        source: Any,
        *args: Any,
        server_kwargs: dict[str, Any] | None = None,
        transport: Transport | None = None,
        client_class: type[TestClient] | None = None,
        **kwargs: Any,
    ) -> TestClient:
        """Open a client of *source*: an application, a factory of one, or a server.

        Args:
            source: Whom to talk to.
            args: Arguments of the factory.
            server_kwargs: Arguments of `TestServer`, if *source* is no server.
            transport: ``"socket"`` or ``"memory"``; the default is an option of pytest.
            client_class: What to make, instead of what ``antiphon_client_cls`` says.
            kwargs: Arguments of the client, and by it of `ClientSession`.
        """
        if isinstance(source, BaseTestServer):
            if args or server_kwargs:
                raise TypeError("a server that exists takes no more arguments")
            server = source
        else:
            app = await app_from(source, *args)
            options = {"transport": transport or self._transport, **(server_kwargs or {})}
            server = TestServer(app, **options)
            transport = None
        client = (client_class or self._client_class)(server, transport=transport, **kwargs)
        self._keep(client)
        await client.start_server()
        return client

    async def server(self, app: Any, *, port: int | None = None, **kwargs: Any) -> TestServer:
        """Start a server for *app*, an application or a factory of one.

        *kwargs* are arguments of `TestServer` and of its ``start_server`` (``ssl=``).
        """
        server = TestServer(await app_from(app), port=port, **kwargs)
        self._keep(server)
        await server.start_server()
        return server

    async def raw_server(
        self, handler: Callable[..., Any], *, port: int | None = None, **kwargs: Any
    ) -> RawTestServer:
        """Start a server for the bare *handler*."""
        server = RawTestServer(handler, port=port, **kwargs)
        self._keep(server)
        await server.start_server()
        return server

    def _keep(self, thing: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self.opened.append(thing)

    async def close(self) -> None:
        """Close everything, last first; an error does not keep the others from being closed."""
        errors: list[Exception] = []
        while self.opened:
            try:
                await self.opened.pop().close()
            except Exception as exc:
                errors.append(exc)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("errors while closing servers and clients", errors)

    def closing_after(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """Return the coroutine function *test* with `close` at its end.

        For plugins that close the loop before fixtures are done.
        """

        @functools.wraps(test)
        async def closing(*args: Any, **kwargs: Any) -> Any:
            try:
                return await test(*args, **kwargs)
            finally:
                await self.close()

        return closing

    def close_from_outside(self) -> None:
        """Close everything on the loop where it was opened, which does not run now.

        For tests that another plugin runs.
        """
        loop = self._loop
        if not self.opened or loop is None:
            return
        if loop.is_closed():
            warnings.warn(
                f"not closed, as another plugin closed the event loop first: {self.opened}",
                ResourceWarning,
                stacklevel=1,
            )
            return
        loop.run_until_complete(self.close())
