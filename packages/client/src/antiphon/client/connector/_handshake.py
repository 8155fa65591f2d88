"""A connected socket or a tunnel made into a connection that speaks HTTP."""

import asyncio
import socket
import ssl
from typing import cast, final

from antiphon.core.aio.client_protocol import Http1ClientProtocol, http_client_protocol
from antiphon.core.aio.exchange import HttpConnection
from antiphon.core.aio.negotiate import client_protocol_class

from ..errors import ClientConnectionError, ClientConnectorError
from ..options import SSLOption
from ._dial import DialContext
from .tls import check_peer, context_for, server_name, tls_error

__all__ = ("HeldStill", "over_socket", "over_transport")


@final
class HeldStill(asyncio.Protocol):
    """Has a new transport wait until TLS or HTTP takes it over."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read nothing for now."""
        cast(asyncio.Transport, transport).pause_reading()


async def over_socket(
    context: DialContext, sock: socket.socket, ssl_option: SSLOption
) -> HttpConnection:
    """Speak HTTP over *sock*, which is taken over, with TLS if the key says so."""
    loop = context.loop
    made: list[asyncio.BaseProtocol] = []

    def protocol() -> asyncio.BaseProtocol:
        # With TLS the transport has to be in our hands before the handshake begins: one that is
        # cancelled can then be ended for certain, whatever state the event loop's TLS is in.
        made.append(HeldStill() if context.key.is_ssl else http_client_protocol(limits=limits))
        return made[0]

    limits = context.key.limits
    # uvloop tells the two kinds of socket apart by the method only.
    local = sock.family == getattr(socket, "AF_UNIX", None)
    create = loop.create_unix_connection if local else loop.create_connection
    try:
        async with context.phase("connect"):
            transport, _ = await create(protocol, sock=sock)
    except BaseException as exc:
        if not made:  # else there is a transport; it was closed, and closes its socket itself
            sock.close()
        if isinstance(exc, OSError) and not isinstance(exc, ClientConnectionError):
            raise tls_error(context, exc) from exc
        raise
    if context.key.is_ssl:
        return await over_transport(context, transport, ssl_option)
    return cast(Http1ClientProtocol, made[0])


async def over_transport(
    context: DialContext, transport: asyncio.Transport, ssl_option: SSLOption
) -> HttpConnection:
    """Speak HTTP over *transport*, which is taken over, with TLS if the key says so."""
    loop = context.loop
    key = context.key
    protocol = http_client_protocol(limits=key.limits)
    if not key.is_ssl:
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()
        return protocol
    context.timeline.tls_start = loop.time()
    try:
        async with context.phase("tls", context.timeout.tls):
            secured = await loop.start_tls(
                transport,
                protocol,
                context_for(key.ssl, ssl_option),
                server_hostname=server_name(key),
            )
    except BaseException as exc:
        transport.abort()
        if isinstance(exc, OSError) and not isinstance(exc, ClientConnectionError):
            raise tls_error(context, exc) from exc
        if isinstance(exc, TypeError) and transport.get_extra_info("ssl_object") is not None:
            raise _no_tls_in_tls(context) from exc
        raise
    if secured is None:
        raise tls_error(context, ConnectionResetError("the peer closed during the handshake"))
    protocol.connection_made(secured)
    return _ready(context, protocol, secured, ssl_option)


def _ready(
    context: DialContext,
    protocol: Http1ClientProtocol,
    transport: asyncio.BaseTransport,
    ssl_option: SSLOption,
) -> HttpConnection:
    if context.key.is_ssl:
        context.timeline.tls_end = context.loop.time()
        try:
            _check_alpn(context, transport)
            check_peer(transport, context.key.ssl, ssl_option)
        except BaseException:
            cast(asyncio.Transport, transport).abort()
            raise
    return protocol


def _check_alpn(context: DialContext, transport: asyncio.BaseTransport) -> None:
    """Refuse what this client does not speak; a context of the user's may have offered it."""
    tls = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
    try:
        client_protocol_class(tls)
    except ConnectionError as exc:
        raise tls_error(context, OSError(None, str(exc))) from exc


def _no_tls_in_tls(context: DialContext) -> ClientConnectorError:
    return tls_error(
        context,
        OSError(None, "this event loop cannot speak TLS inside TLS, as an https:// proxy wants"),
    )
