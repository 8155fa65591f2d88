"""A client's connections to a listener in memory."""

import asyncio
import errno
from typing import Any, final

from antiphon.client import BaseConnector, ClientConnectionError, ClientConnectorError
from antiphon.client.connector.tls import check_peer, context_for, server_name, tls_error
from antiphon.client.options import SSLOption
from antiphon.core.aio.client_protocol import http_client_protocol
from antiphon.core.aio.exchange import HttpConnection

from ._tls import connect_tls
from .transport import MemoryListener

__all__ = ("MemoryConnector",)


@final
class MemoryConnector(BaseConnector):
    """A connector whose connections all lead to one `MemoryListener`.

    Any other host or port refuses them. ``https`` and ``wss`` speak TLS through memory.

    Args:
        listener: Who listens.
        ssl: How certificates are checked where a request does not say, as for `TCPConnector`.
        kwargs: Arguments of `BaseConnector`.
    """

    def __init__(self, listener: MemoryListener, *, ssl: SSLOption = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._listener = listener
        self._ssl = ssl

    async def dial(self, context: Any) -> HttpConnection:  # Any: its type is the client's own
        """See `BaseConnector.dial`."""
        key = context.key
        listener = self._listener
        if key.proxy is not None or (key.host, key.port) != (listener.host, listener.port):
            raise ClientConnectorError(
                key,
                ConnectionRefusedError(
                    errno.ECONNREFUSED,
                    f"in memory only {listener.host}:{listener.port} can be reached",
                ),
            )
        timeline = context.timeline
        timeline.connect_start = context.loop.time()
        protocol = http_client_protocol(limits=key.limits)
        try:
            if key.is_ssl:
                await self._dial_tls(context, protocol)
            else:
                listener.connect(lambda: protocol)
        except ConnectionRefusedError as exc:
            raise ClientConnectorError(key, exc) from exc
        timeline.connect_end = context.loop.time()
        return protocol

    async def _dial_tls(self, context: Any, protocol: asyncio.BaseProtocol) -> None:
        key = context.key
        timeline = context.timeline
        timeline.tls_start = context.loop.time()
        try:
            async with context.phase("tls", context.timeout.tls):
                transport = await connect_tls(
                    self._listener, protocol, context_for(key.ssl, self._ssl), server_name(key)
                )
        except (ConnectionRefusedError, ClientConnectionError):
            raise
        except OSError as exc:
            raise tls_error(context, exc) from exc
        timeline.tls_end = context.loop.time()
        try:
            check_peer(transport, key.ssl, self._ssl)
        except BaseException:
            transport.abort()
            raise
