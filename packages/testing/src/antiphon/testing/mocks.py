"""Stand-ins for what a handler gets, where a test wants no server at all."""

import asyncio
from collections.abc import Mapping
from ssl import SSLContext
from typing import Any, cast
from unittest import mock

from multidict import CIMultiDict, CIMultiDictProxy

from antiphon.core.aio.streams import EMPTY_PAYLOAD, StreamReader
from antiphon.core.aio.writer import AbstractStreamWriter
from antiphon.core.http import EMPTY, HttpVersion, HttpVersion11, RawRequestMessage
from antiphon.core.typedefs import LooseHeaders
from antiphon.web import (
    Application,
    HTTPNotFound,
    Request,
    StreamResponse,
    UrlMappingMatchInfo,
)

__all__ = ("make_mocked_coro", "make_mocked_request")


class _Info:
    """A connection that is none: what a request may ask of it."""

    id = 0
    created = 0.0
    uses = 1

    def __init__(self, protocol: Any, transport: Any, sslcontext: SSLContext | None) -> None:
        self.protocol = protocol
        self.transport = transport
        self._sslcontext = sslcontext

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._sslcontext if self._sslcontext is not None else default
        if self.transport is None:
            return default
        return self.transport.get_extra_info(name, default)

    @property
    def peername(self) -> Any:
        return self.get_extra_info("peername")

    @property
    def sockname(self) -> Any:
        return self.get_extra_info("sockname")

    @property
    def ssl_object(self) -> Any:
        # A request tells https by there being one.
        return self._sslcontext


def make_mocked_request(
    method: str,
    path: str,
    headers: LooseHeaders | None = None,
    *,
    match_info: Mapping[str, str] | None = None,
    version: HttpVersion = HttpVersion11,
    closing: bool = False,
    app: Application | None = None,
    writer: AbstractStreamWriter | None = None,
    protocol: Any = None,
    transport: Any = None,
    payload: StreamReader = EMPTY_PAYLOAD,
    sslcontext: SSLContext | None = None,
    client_max_size: int = 1024**2,
    client_max_fields: int = 1000,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Request:
    """Make a request as a handler would get it, without any connection.

    For handlers that are hard to reach otherwise; a `TestClient` over memory shows more and
    is as quick.

    Args:
        method: The method.
        path: The request target, such as ``"/path?query"``.
        headers: The header section.
        match_info: Variables of the path, as the router would have found them.
        version: The protocol version.
        closing: Whether the connection is to end with this request.
        app: The application; an empty one by default.
        writer: Where a response goes; one that swallows everything by default.
        protocol: What ``request.protocol`` is to show.
        transport: What ``request.transport`` is to show; a mock by default.
        payload: The content.
        sslcontext: If given, the request came over TLS.
        client_max_size: Limit in bytes on content that is gathered.
        client_max_fields: Limit on fields of forms and queries.
        loop: Accepted and not needed.
    """
    fields = CIMultiDict(headers or ())
    block = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    head = RawRequestMessage(
        method, path, version, block.encode("utf-8", "surrogateescape"), EMPTY, closing
    )
    head._headers = CIMultiDictProxy(fields)  # the mapping itself, whatever it holds
    if transport is None:
        transport = mock.Mock(spec=asyncio.Transport)
        transport.get_extra_info.side_effect = lambda name, default=None: default
        transport.is_closing.return_value = False
    request = Request(
        head,
        payload,
        _Info(protocol, transport, sslcontext),
        writer if writer is not None else _SwallowingWriter(),
        client_max_size=client_max_size,
        client_max_fields=client_max_fields,
    )
    application = Application() if app is None else app
    match = UrlMappingMatchInfo(dict(match_info or {}), _route())
    match.add_app(application)
    request._match_info = match
    return request


async def _no_handler(request: Any) -> StreamResponse:
    raise HTTPNotFound


def _route() -> Any:
    """A route of nobody's router, so that the application stays as it is."""
    return Application().router.add_route("*", "/{tail:.*}", _no_handler)


class _SwallowingWriter(AbstractStreamWriter):
    """Takes everything and keeps nothing."""

    async def write(self, chunk: Any) -> None:
        self.output_size += len(chunk)

    async def write_eof(self, chunk: Any = b"") -> None:
        self.output_size += len(chunk)

    async def drain(self) -> None:
        """Nothing is ever left."""


def make_mocked_coro(
    return_value: Any = mock.sentinel.return_value,
    raise_exception: Any = mock.sentinel.raise_exception,
) -> Any:
    """Return a mock of a coroutine function, which returns or raises what is given."""

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        if raise_exception is not mock.sentinel.raise_exception:
            raise cast(BaseException, raise_exception)
        if not asyncio.isfuture(return_value) and not asyncio.iscoroutine(return_value):
            return return_value
        return await return_value

    return mock.Mock(wraps=coroutine)
