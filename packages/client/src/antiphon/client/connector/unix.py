"""Connections that stay on this machine: Unix sockets and Windows' named pipes."""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from antiphon.core.aio.client_protocol import Http1ClientProtocol, http_client_protocol
from antiphon.core.aio.exchange import HttpConnection

from ..errors import ClientConnectionError, ClientConnectorError
from ._dial import DialContext
from ._handshake import over_transport
from .base import UNSET, BaseConnector, Unset

__all__ = ("NamedPipeConnector", "UnixConnector")


class _PathConnector(BaseConnector):
    """Connections to one place, whatever host a URL names."""

    def __init__(
        self,
        path: str | PathLike[str],
        force_close: bool = False,
        keepalive_timeout: float | Unset | None = UNSET,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits_by_host: Mapping[str, int] | None = None,
        max_age: float | None = None,
        max_uses: int | None = None,
    ) -> None:
        super().__init__(
            force_close=force_close,
            keepalive_timeout=keepalive_timeout,
            limit=limit,
            limit_per_host=limit_per_host,
            limits_by_host=limits_by_host,
            max_age=max_age,
            max_uses=max_uses,
            loop=loop,
        )
        self._path = fspath(path)

    @property
    def path(self) -> str:
        """Where the connections lead."""
        return self._path

    async def dial(self, context: DialContext) -> HttpConnection:
        """See `BaseConnector.dial`. TLS is spoken for ``https`` URLs."""
        key = context.key
        if key.proxy is not None:
            raise ClientConnectionError(f"{type(self).__name__} cannot go through a proxy")
        timeline = context.timeline
        timeline.connect_start = context.loop.time()
        try:
            async with context.phase("connect"):
                transport, http = await self._connect(context.loop, key.limits)
        except OSError as exc:
            if isinstance(exc, ClientConnectionError):
                raise
            reason = OSError(exc.errno, f"{exc.strerror or exc}: {self._path}")
            error = ClientConnectorError(key, reason)
            error.failure = context.failure("connect")
            raise error from exc
        timeline.connect_end = context.loop.time()
        if key.is_ssl:
            return await over_transport(context, transport, True)
        return http

    @abstractmethod
    async def _connect(
        self, loop: asyncio.AbstractEventLoop, limits: Any
    ) -> tuple[asyncio.Transport, Http1ClientProtocol]:
        """Open the connection."""


class UnixConnector(_PathConnector):
    """Connections to a Unix socket.

    Args:
        path: The socket's path; a leading NUL names one in Linux's abstract namespace.

    All others are those of `BaseConnector`.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"unix"}

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, limits: Any
    ) -> tuple[asyncio.Transport, Http1ClientProtocol]:
        protocol = http_client_protocol(limits=limits)
        transport, _ = await loop.create_unix_connection(lambda: protocol, self._path)
        return transport, protocol


class NamedPipeConnector(_PathConnector):
    r"""Connections to a named pipe; Windows only, in a proactor event loop.

    Args:
        path: The pipe's name, such as ``\\.\pipe\docker_engine``.

    All others are those of `BaseConnector`.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"npipe"}

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, limits: Any
    ) -> tuple[asyncio.Transport, Http1ClientProtocol]:
        create = getattr(loop, "create_pipe_connection", None)
        if create is None:
            raise RuntimeError("Named pipes are only available in a proactor loop under Windows")
        protocol = http_client_protocol(limits=limits)
        transport, _ = await create(lambda: protocol, self._path)
        return transport, protocol
