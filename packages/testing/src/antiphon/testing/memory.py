"""A client's connections to a listener in memory."""

import errno
from typing import Any, final

from antiphon.client import BaseConnector, ClientConnectorError
from antiphon.core.aio.client_protocol import http_client_protocol
from antiphon.core.aio.exchange import HttpConnection

from .transport import MemoryListener

__all__ = ("MemoryConnector",)


@final
class MemoryConnector(BaseConnector):
    """A connector whose connections all lead to one `MemoryListener`.

    Any other host or port refuses them, and so do ``https`` and ``wss``.

    Args:
        listener: Who listens.
        kwargs: Arguments of `BaseConnector`.
    """

    def __init__(self, listener: MemoryListener, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._listener = listener

    async def dial(self, context: Any) -> HttpConnection:  # Any: its type is the client's own
        """See `BaseConnector.dial`."""
        key = context.key
        listener = self._listener
        if key.is_ssl:
            raise ClientConnectorError(key, OSError(None, "there is no TLS in memory"))
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
        try:
            _, protocol = listener.connect(lambda: http_client_protocol(limits=key.limits))
        except OSError as exc:
            raise ClientConnectorError(key, exc) from exc
        timeline.connect_end = context.loop.time()
        return protocol
