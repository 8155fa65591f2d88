"""HTTP proxies: the way to them, and tunnels through them (RFC 9110 section 9.3.6)."""

import asyncio
from typing import final

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from antiphon.core.aio.exchange import ByteChannel, HttpConnection
from antiphon.core.errors import HttpProcessingError
from antiphon.core.http import RequestHead

from .._target import host_fault
from ..errors import ClientHttpProxyError, ClientProxyConnectionError, InvalidURL
from ..options import Fingerprint, SSLOption
from ..request_info import RequestInfo
from ._dial import DialContext
from ._handshake import over_transport
from .key import ConnectionKey

__all__ = ("check_proxy_url", "open_tunnel", "proxy_context")


def check_proxy_url(url: URL) -> None:
    """Accept the URL of a proxy that can be used.

    Raises:
        InvalidURL: It is no HTTP proxy, or has no host.
    """
    scheme = url.scheme
    shown = url.with_user(None) if url.absolute else url  # no password in a log
    if scheme.startswith("socks"):
        raise InvalidURL(
            shown,
            "SOCKS proxies are not built in: give the session a connector that speaks SOCKS, "
            "or use an http:// or https:// proxy",
        )
    if scheme not in ("http", "https"):
        raise InvalidURL(shown, "a proxy's URL begins with http:// or https://")
    host = url.raw_host
    if not host:
        raise InvalidURL(shown, "a proxy's URL has a host")
    fault = host_fault(host)
    if fault:
        raise InvalidURL(shown, fault)


def proxy_context(
    context: DialContext, proxy_ssl: SSLOption | None, connector_ssl: SSLOption
) -> DialContext:
    """Return *context* on its way to its proxy."""
    key = context.key
    url = key.proxy
    assert url is not None
    check_proxy_url(url)
    if proxy_ssl is None:
        # CVE-2021-28363 of urllib3: a proxy's certificate is checked no less than a host's.
        # A fingerprint names the host's own certificate and says nothing of a proxy's.
        proxy_ssl = connector_ssl if key.ssl is True else key.ssl
        if isinstance(proxy_ssl, Fingerprint):
            proxy_ssl = True
    return context.towards(ConnectionKey.for_url(url, ssl=proxy_ssl, limits=key.limits))


async def open_tunnel(
    context: DialContext, http: HttpConnection, ssl_option: SSLOption
) -> HttpConnection:
    """Ask the proxy at the other end of *http* for a tunnel, and speak HTTP through it.

    Raises:
        ClientHttpProxyError: The proxy answers with something else than 2xx.
        ClientProxyConnectionError: The proxy breaks off, or the rules.
    """
    try:
        transport = await _tunnel(context, http)
    except BaseException:
        http.abort()
        raise
    return await over_transport(context, transport, ssl_option)


async def _tunnel(context: DialContext, http: HttpConnection) -> asyncio.Transport:
    head = _connect_head(context.key)
    try:
        async with context.phase("proxy"):
            exchange = http.open(head, timeline=None)
            response = await exchange.response()
    except (ConnectionError, HttpProcessingError) as exc:
        raise _broken(context, exc) from exc
    if not 200 <= response.code < 300:
        raise ClientHttpProxyError(
            _request_info(context),
            (),
            status=response.code,
            message=response.reason,
            headers=response.headers,
        )
    channel = exchange.upgrade()
    early = _EarlyBytes()
    channel.attach(early)
    transport = _transport(channel)
    if early.seen or transport is None:
        # Nobody has spoken to the host yet: such bytes are the proxy's own, and would be
        # taken for the host's.
        raise _broken(context, ConnectionResetError("bytes came before the tunnel was used"))
    return transport


def _connect_head(key: ConnectionKey) -> RequestHead:
    host = f"[{key.host}]" if ":" in key.host else key.host
    authority = f"{host}:{key.port}"
    return RequestHead(
        method="CONNECT",
        target=authority,
        authority=authority,
        headers=CIMultiDict(key.proxy_headers),
    )


def _transport(channel: ByteChannel) -> asyncio.Transport | None:
    return None if channel.closed else channel.info.transport


def _request_info(context: DialContext) -> RequestInfo:
    info = getattr(context.request, "request_info", None)
    if isinstance(info, RequestInfo):
        return info
    key = context.key
    url = URL.build(scheme=key.scheme, host=key.host, port=key.port)
    return RequestInfo(url, "CONNECT", CIMultiDictProxy(CIMultiDict()))


def _broken(context: DialContext, cause: Exception) -> ClientProxyConnectionError:
    text = str(cause) or "the proxy closed the connection"
    reason = OSError(getattr(cause, "errno", None), text)
    proxy = context.key.proxy
    assert proxy is not None
    error = ClientProxyConnectionError(ConnectionKey.for_url(proxy), reason)
    error.failure = context.failure("proxy")
    return error


@final
class _EarlyBytes:
    """Takes what comes over a tunnel before anything was sent into it: nothing should."""

    def __init__(self) -> None:
        self.seen = False

    def data_received(self, data: bytes) -> None:
        self.seen = True

    def eof_received(self) -> None:
        self.seen = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen = True

    def resume_writing(self) -> None:
        """Nothing is being written."""
