"""The client of a test server: paths instead of URLs, and everything closed in the end."""

import asyncio
import inspect
from collections.abc import Awaitable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar, final

from yarl import URL

from antiphon.client import BaseConnector, ClientResponse, ClientSession, CookieJar
from antiphon.client.cookiejar import AbstractCookieJar
from antiphon.core.deprecations import warn_deprecated
from antiphon.web import Application

from .memory import MemoryConnector
from .server import BaseTestServer, TestServer

__all__ = ("TestClient",)

_Path: TypeAlias = "str | URL"


_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)


class Pending(Protocol[_T_co]):
    """What a verb returns: awaited for a response, or entered with ``async with``."""

    def __await__(self) -> Generator[Any, None, _T_co]: ...
    async def __aenter__(self) -> _T_co: ...
    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> Awaitable[Any]: ...


@final
class _Opening(Generic[_T]):
    """A WebSocket that is being opened; a coroutine, too, so that tasks can be made of it."""

    def __init__(self, coroutine: Coroutine[Any, Any, _T]) -> None:
        self._coroutine = coroutine
        self.send = coroutine.send
        self.throw = coroutine.throw
        self.close = coroutine.close
        self._opened: Any = None

    def __await__(self) -> Generator[Any, None, _T]:
        return self._coroutine.__await__()

    async def __aenter__(self) -> _T:
        self._opened = await self._coroutine
        entered: _T = await self._opened.__aenter__()
        return entered

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._opened.__aexit__(exc_type, exc, tb)


class TestClient:
    """A `ClientSession` that talks to one test server.

    Args:
        server: The server; an application is taken, too. Started if it is not.
        cookie_jar: By default one that keeps cookies of IP addresses.
        loop: Obsolete (ANT-0020).
        transport: ``"memory"`` or ``"socket"``: how to reach a server that is not started yet.
        server_kwargs: Options of the server that is made when *server* is an application.
        kwargs: Arguments of `ClientSession`.

    Use it as ``async with``, or call `start_server` and `close`.
    """

    __test__ = False  # pytest should not collect it

    _closed = False  # for the representation of one that is half made
    _server: BaseTestServer

    def __init__(
        self,
        server: "BaseTestServer | Application",
        *,
        cookie_jar: AbstractCookieJar | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        transport: Any = None,
        server_kwargs: "dict[str, Any] | None" = None,
        **kwargs: Any,  # Any: arguments of ClientSession
    ) -> None:
        if loop is not None:
            warn_deprecated("ANT-0020")
        if isinstance(server, Application):
            server = TestServer(server, **(server_kwargs or {}))
        elif server_kwargs:
            raise TypeError("server_kwargs are for servers that are made here")
        if not isinstance(server, BaseTestServer):
            raise TypeError(f"server must be TestServer instance, found type: {type(server)!r}")
        if transport is not None and transport != server.transport:
            if server.started:
                raise ValueError(f"{server!r} was started already")
            server.transport = transport
        self._server = server
        _check_session_arguments(kwargs)
        self._cookie_jar = CookieJar(unsafe=True) if cookie_jar is None else cookie_jar
        self._session_kwargs = kwargs
        self._session: ClientSession | None = None
        self._closed = False
        self._websockets: list[Any] = []

    @property
    def host(self) -> str:
        """The server's host."""
        return self._server.host

    @property
    def port(self) -> int:
        """The server's port."""
        return self._server.port

    @property
    def scheme(self) -> str:
        """The server's scheme."""
        return self._server.scheme

    @property
    def server(self) -> BaseTestServer:
        """The server."""
        return self._server

    @property
    def app(self) -> Application | None:
        """The application, ``None`` if the server has none."""
        return getattr(self._server, "app", None)

    @property
    def session(self) -> ClientSession:
        """The session behind it; it takes absolute URLs only.

        Made when first asked for, which must be inside the running loop.
        """
        if self._session is None:
            if self._closed:
                raise RuntimeError("the test client was closed")
            self._session = self._make_session()
        return self._session

    def _make_session(self) -> ClientSession:
        kwargs = dict(self._session_kwargs)
        connector: BaseConnector | None = kwargs.pop("connector", None)
        if connector is None and self._server.transport == "memory":
            listener = self._server.listener
            if listener is None:
                raise RuntimeError("the test client was not started")
            connector = MemoryConnector(listener)
        return ClientSession(connector=connector, cookie_jar=self._cookie_jar, **kwargs)

    async def start_server(self) -> None:
        """Start the server if it does not run."""
        await self._server.start_server()

    def make_url(self, path: _Path) -> URL:
        """Return the absolute URL of *path* on the server."""
        return self._server.make_url(path)

    def request(self, method: str, path: _Path, **kwargs: Any) -> Pending[ClientResponse]:
        """Make a request; ``await`` it or use it in ``async with``."""
        return self.session.request(method, self.make_url(path), **kwargs)

    def get(self, path: _Path, **kwargs: Any) -> Pending[ClientResponse]:
        """Make a GET request."""
        return self.session.get(self.make_url(path), **kwargs)

    def post(self, path: _Path, **kwargs: Any) -> Pending[ClientResponse]:
        """Make a POST request."""
        return self.session.post(self.make_url(path), **kwargs)

    def options(self, path: _Path, **kwargs: Any) -> Pending[ClientResponse]:
        """Make an OPTIONS request."""
        return self.session.options(self.make_url(path), **kwargs)

    def head(self, path: _Path, **kwargs: Any) -> Pending[ClientResponse]:
        """Make a HEAD request."""
        return self.session.head(self.make_url(path), **kwargs)

    def put(self, path: _Path, **kwargs: Any) -> Pending[ClientResponse]:
        """Make a PUT request."""
        return self.session.put(self.make_url(path), **kwargs)

    def patch(self, path: _Path, **kwargs: Any) -> Pending[ClientResponse]:
        """Make a PATCH request."""
        return self.session.patch(self.make_url(path), **kwargs)

    def delete(self, path: _Path, **kwargs: Any) -> Pending[ClientResponse]:
        """Make a DELETE request."""
        return self.session.delete(self.make_url(path), **kwargs)

    def query(self, path: _Path, **kwargs: Any) -> Pending[ClientResponse]:
        """Make a QUERY request."""
        return self.session.query(self.make_url(path), **kwargs)

    def ws_connect(self, path: _Path, *, decode_text: bool = True, **kwargs: Any) -> Pending[Any]:
        """Open a WebSocket; ``await`` it or use it in ``async with``."""
        session: Any = self.session
        opening = session.ws_connect(self.make_url(path), decode_text=decode_text, **kwargs)
        return _Opening(self._opened(opening))

    async def _opened(self, opening: Awaitable[Any]) -> Any:
        websocket = await opening
        self._websockets.append(websocket)
        return websocket

    async def close(self) -> None:
        """Close what was opened through this client, then the session, then the server.

        Twice does no harm.
        """
        if self._closed:
            return
        self._closed = True
        try:
            for websocket in self._websockets:
                await websocket.close()
            if self._session is not None:
                await self._session.close()
        finally:
            await self._server.close()

    async def __aenter__(self) -> Self:
        await self.start_server()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    def __enter__(self) -> None:
        raise TypeError("Use async with instead")

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        raise AssertionError("never called: entering raises")

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__} {state} {getattr(self, '_server', None)!r}>"


def _check_session_arguments(kwargs: dict[str, Any]) -> None:
    """Refuse at once what `ClientSession`, which is made later, would refuse."""
    if not kwargs:
        return
    try:
        inspect.signature(ClientSession).bind(**kwargs)
    except TypeError as exc:
        raise TypeError(f"ClientSession, which gets the client's arguments, {exc}") from None
