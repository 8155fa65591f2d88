"""Connections that stay on this machine: Unix sockets and Windows' named pipes."""

import asyncio
import socket
from abc import abstractmethod
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Final

from antiphon.core.aio.exchange import HttpConnection

from ..errors import ClientConnectionError, ClientConnectorError
from ._dial import DialContext
from ._handshake import HeldStill, over_socket, over_transport
from .base import UNSET, BaseConnector, Unset

__all__ = ("NamedPipeConnector", "UnixConnector")


class _PathConnector(BaseConnector):
    """Connections to one place, whatever host a URL names."""

    uses_proxies = False

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
        if context.key.proxy is not None:
            raise ClientConnectionError(f"{type(self).__name__} cannot go through a proxy")
        return await self._reach(context)

    @abstractmethod
    async def _reach(self, context: DialContext) -> HttpConnection:
        """Open the connection."""

    def _error(self, context: DialContext, cause: OSError) -> ClientConnectorError:
        # Names the path: the host of the URL is not where the connection would have led.
        error = ClientConnectorError(
            context.key, OSError(cause.errno, f"{cause.strerror or cause}: {self._path}")
        )
        error.failure = context.failure("connect")
        return error


class UnixConnector(_PathConnector):
    """Connections to a Unix socket.

    Args:
        path: The socket's path; a leading NUL names one in Linux's abstract namespace.

    All others are those of `BaseConnector`.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"unix"}

    async def _reach(self, context: DialContext) -> HttpConnection:
        loop = context.loop
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        context.timeline.connect_start = loop.time()
        try:
            sock.setblocking(False)
            async with context.phase("connect"):
                await loop.sock_connect(sock, self._path)
        except BaseException as exc:
            sock.close()
            if isinstance(exc, OSError) and not isinstance(exc, ClientConnectionError):
                raise self._error(context, exc) from exc
            raise
        context.timeline.connect_end = loop.time()
        return await over_socket(context, sock, True)


class NamedPipeConnector(_PathConnector):
    r"""Connections to a named pipe; Windows only, in a proactor event loop.

    Args:
        path: The pipe's name, such as ``\\.\pipe\docker_engine``.

    All others are those of `BaseConnector`.

    Raises:
        RuntimeError: The event loop that runs has no named pipes.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"npipe"}

    def __init__(
        self,
        path: str | PathLike[str],
        force_close: bool = False,
        keepalive_timeout: float | Unset | None = UNSET,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(path, force_close, keepalive_timeout, limit, limit_per_host, loop)
        if self._loop is not None:
            _require_pipes(self._loop)

    async def _reach(self, context: DialContext) -> HttpConnection:
        loop = context.loop
        _require_pipes(loop)
        pipe_end = HeldStill()
        context.timeline.connect_start = loop.time()
        try:
            async with context.phase("connect"):
                # Only the proactor loop has it, so the type of loops in general does not.
                transport, _ = await loop.create_pipe_connection(lambda: pipe_end, self._path)  # type: ignore[attr-defined]  # looked for just above
        except ClientConnectionError:
            raise
        except OSError as exc:
            raise self._error(context, exc) from exc
        context.timeline.connect_end = loop.time()
        return await over_transport(context, transport, True)


_NO_PIPES: Final = "Named pipes are only available in a proactor loop under Windows"


def _require_pipes(loop: asyncio.AbstractEventLoop) -> None:
    if not hasattr(loop, "create_pipe_connection"):
        raise RuntimeError(_NO_PIPES)
