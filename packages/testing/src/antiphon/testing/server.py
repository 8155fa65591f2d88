"""Servers for tests: an application or a bare handler behind a loopback socket, or without one."""

import abc
import asyncio
import inspect
import socket
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

from yarl import URL

from antiphon.web import Application, AppRunner, BaseRequest, Server, ServerRunner, StreamResponse

from ._tls import speaking_tls
from .faults import FaultPlan
from .ports import get_port_socket
from .transport import MemoryListener

__all__ = ("BaseTestServer", "RawTestServer", "SocketFactory", "TestServer", "Transport")

Transport: TypeAlias = Literal["socket", "memory"]
"""What carries the bytes: a loopback socket, or a pipe in memory."""

SocketFactory: TypeAlias = Callable[[str, int, socket.AddressFamily], socket.socket]
"""Makes a bound socket of host, port and address family."""

SHUTDOWN_TIMEOUT: Final = 1.0
"""Seconds that a test server waits, when it closes, for handlers that still run. Short: in a
test nobody is served any more, and a handler that hangs should not hold the test up."""


class BaseTestServer(abc.ABC):
    """A server that a test starts, asks and closes.

    Args:
        scheme: ``"http"`` or ``"https"``; what ``ssl=`` of `start_server` implies by default.
        loop: Accepted and not needed: it is the running one.
        host: The address to listen on.
        port: The port; any that is free by default.
        skip_url_asserts: Let `make_url` take absolute URLs.
        socket_factory: Makes the listening socket.
        transport: ``"socket"`` (the default) or ``"memory"``: byte pipes without any socket,
            which only `TestClient` and `MemoryListener.connect` can reach.
        faults: What goes wrong on its connections.
        kwargs: Options of the server, see `antiphon.web.AppRunner`.
    """

    __test__ = False  # pytest should not collect it

    def __init__(
        self,
        *,
        scheme: str = "",
        loop: asyncio.AbstractEventLoop | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        skip_url_asserts: bool = False,
        socket_factory: SocketFactory = get_port_socket,
        transport: Transport = "socket",
        faults: FaultPlan | None = None,
        **kwargs: Any,  # Any: options of the server, checked where they are used
    ) -> None:
        self.scheme = scheme
        """``"http"`` or ``"https"``; known once the server is started."""
        self.host = host
        """The address it listens on."""
        self.port = 0 if port is None else port
        """The port it listens on; known once the server is started."""
        self.skip_url_asserts = skip_url_asserts
        self.socket_factory = socket_factory
        """Makes the listening socket."""
        self.transport: Transport = transport
        """What carries the bytes."""
        self.faults = faults
        """What goes wrong on its connections."""
        self.runner: AppRunner | ServerRunner | None = None
        """What runs the server, once it is started."""
        self.server: asyncio.AbstractServer | None = None
        """The listening server, once it is started; ``None`` in memory."""
        self.listener: MemoryListener | None = None
        """Where connections come in when ``transport`` is ``"memory"``."""
        self._kwargs = kwargs
        self._closed = False
        # Last: a traceback shows what is half made, too.
        if transport not in {"socket", "memory"}:
            raise ValueError(f"transport is 'socket' or 'memory', not {transport!r}")

    @property
    def started(self) -> bool:
        """Whether `start_server` was called."""
        return self.runner is not None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def handler(self) -> Server:
        """What makes the protocol of each connection.

        Raises:
            RuntimeError: The server does not run.
        """
        server = None if self.runner is None else self.runner.server
        if server is None:
            raise RuntimeError(f"{self!r} is not running")
        return server

    @abc.abstractmethod
    def _make_runner(self, **kwargs: Any) -> AppRunner | ServerRunner:
        """Make what runs the server; it is not set up yet."""

    async def start_server(
        self, loop: asyncio.AbstractEventLoop | None = None, **kwargs: Any
    ) -> None:
        """Start, unless it is started already.

        Args:
            loop: Accepted and not needed.
            kwargs: Options of the server, over those given when it was made; ``ssl=`` takes
                an `ssl.SSLContext`.

        Raises:
            OSError: The port is taken.
            RuntimeError: The server was closed.
        """
        if self.runner is not None:
            return
        if self._closed:
            raise RuntimeError(f"{self!r} was closed")
        options = {"shutdown_timeout": SHUTDOWN_TIMEOUT, **self._kwargs, **kwargs}
        ssl_context: SSLContext | None = options.pop("ssl", None)
        if not self.scheme:
            self.scheme = "http" if ssl_context is None else "https"
        runner = self._make_runner(**options)
        await runner.setup()
        self.runner = runner
        try:
            await self._listen(ssl_context)
        except BaseException:
            await self.close()
            raise

    async def _listen(self, ssl_context: SSLContext | None) -> None:
        factory: Callable[[], asyncio.BaseProtocol] = self.handler
        if ssl_context is not None and (self.transport == "memory" or self.faults is not None):
            # Inside of the faults, which are those of a wire: encrypted bytes go wrong.
            factory = speaking_tls(factory, ssl_context)
            ssl_context = None
        if self.faults is not None:
            factory = self.faults.wrap(factory)
        if self.transport == "memory":
            self.listener = MemoryListener(factory, host=self.host, port=self.port)
            self.port = self.listener.port
            return
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = self.socket_factory(self.host, self.port, family)
        try:
            self.server = await asyncio.get_running_loop().create_server(
                factory, sock=sock, ssl=ssl_context
            )
        except BaseException:
            sock.close()
            raise
        self.port = sock.getsockname()[1]

    def make_url(self, path: "str | URL") -> URL:
        """Return the absolute URL of *path* on this server.

        Raises:
            ValueError: *path* is absolute already.
            RuntimeError: The server is not started.
        """
        if self.runner is None:
            raise RuntimeError(f"{self!r} is not started")
        url = URL(path)
        if url.absolute and not self.skip_url_asserts:
            raise ValueError(f"a path on the test server is wanted, not {str(url)!r}")
        return URL.build(scheme=self.scheme, host=self.host, port=self.port).join(url)

    async def close(self) -> None:
        """Stop listening, stop the server and clean the application up; twice does no harm."""
        if self._closed:
            return
        self._closed = True
        runner = self.runner
        if runner is None:
            return
        if self.server is not None:
            # One turn of the loop accepts what waits in the socket, the next one reads it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.server.close()
        if self.listener is not None:
            self.listener.close()
        await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start_server()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __enter__(self) -> None:
        raise TypeError("Use async with instead")

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        raise AssertionError("never called: entering raises")

    def __repr__(self) -> str:
        state = "closed" if self._closed else "running" if self.started else "not started"
        where = f"{self.scheme or 'http'}://{self.host}:{self.port}"
        return f"<{type(self).__name__} {where} {self.transport} {state}>"


class TestServer(BaseTestServer):
    """An application behind a socket of its own.

    Args:
        app: The application; started and cleaned up with the server.

    The others are those of `BaseTestServer`.
    """

    def __init__(
        self,
        app: Application,
        *,
        scheme: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        **kwargs: Any,  # Any: arguments of BaseTestServer
    ) -> None:
        super().__init__(scheme=scheme, host=host, port=port, **kwargs)
        self.app = app
        """The application."""

    def _make_runner(self, **kwargs: Any) -> AppRunner:
        return AppRunner(self.app, **kwargs)


class RawTestServer(BaseTestServer):
    """A bare handler, without any routing, behind a socket of its own.

    Args:
        handler: A coroutine function that takes a `BaseRequest` and returns a response; or a
            `Server` that has one.

    The others are those of `BaseTestServer`.
    """

    def __init__(
        self,
        handler: "Callable[[BaseRequest], Awaitable[StreamResponse]] | Server",
        *,
        scheme: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        **kwargs: Any,  # Any: arguments of BaseTestServer
    ) -> None:
        super().__init__(scheme=scheme, host=host, port=port, **kwargs)
        self._handler = handler

    def _make_runner(self, **kwargs: Any) -> ServerRunner:
        shutdown_timeout = kwargs.pop("shutdown_timeout")
        kwargs.pop("debug", None)
        handler = self._handler
        server = handler if isinstance(handler, Server) else Server(handler, **kwargs)
        return ServerRunner(server, shutdown_timeout=shutdown_timeout)


async def app_from(source: Any, *args: Any, **kwargs: Any) -> Application:
    """Make an application of *source*: an application, or a function that returns one.

    A function may be a coroutine function. It gets *args* and *kwargs*, and the running loop if
    it has a parameter ``loop`` that must be given.

    Raises:
        TypeError: That is no application.
    """
    made = source
    if callable(source) and not isinstance(source, Application):
        if "loop" not in kwargs and _wants_loop(source):
            args = (asyncio.get_running_loop(), *args)
        made = source(*args, **kwargs)
        if inspect.isawaitable(made):
            made = await made
    if not isinstance(made, Application):
        raise TypeError(f"an antiphon.web.Application is wanted, not {made!r}")
    return made


def _wants_loop(factory: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except ValueError:
        return False
    if not parameters:
        return False
    first = parameters[0]
    return first.name == "loop" and first.default is first.empty
