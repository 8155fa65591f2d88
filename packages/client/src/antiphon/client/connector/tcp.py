"""TCP connections: addresses, sockets, TLS and proxies put together."""

import asyncio
import socket
import ssl as ssl_module
from collections.abc import Awaitable, Mapping, Sequence

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType, SocketFactoryType

from antiphon.core.aio.exchange import HttpConnection
from antiphon.core.deprecations import warn_deprecated

from ..errors import ClientConnectorError, ClientProxyConnectionError, ConnectionTimeoutError
from ..options import SSLOption, ssl_option
from ..resolver import AbstractResolver, DefaultResolver, ResolveResult, socket_address
from ._dial import DialContext
from ._dns import HostCache
from ._handshake import over_socket
from ._limits import require_seconds
from .base import UNSET, BaseConnector, Unset
from .proxy import open_tunnel, proxy_context

__all__ = ("AddrInfoType", "SocketFactoryType", "TCPConnector")


class TCPConnector(BaseConnector):
    """Connections over TCP, with and without TLS, direct and through HTTP proxies.

    Arguments that are not listed are those of `BaseConnector`.

    Args:
        ssl: How certificates are checked where a request does not say: ``True`` against the
            system's authorities, ``False`` not at all, a context by its own rules, a
            `Fingerprint` by comparison.
        proxy_ssl: The same for ``https://`` proxies. By default as *ssl* and the request
            say, except that a fingerprint is never compared with a proxy's certificate.
        family: Addresses to use: `socket.AF_INET`, `socket.AF_INET6` or both (0).
        local_addr: (host, port) to connect from; port 0 for any.
        resolver: Names to addresses; `DefaultResolver` by default. One that is given is not
            closed by the connector.
        use_dns_cache: Remember addresses.
        ttl_dns_cache: Seconds for which addresses are good; ``None`` for ever.
        dns_cache_max_size: Hosts to remember.
        happy_eyeballs_delay: Seconds after which the next address is tried beside the one
            that has not answered (RFC 8305 section 5); ``None`` tries one after the other.
        interleave: Addresses of one family before the other gets its turn.
        socket_factory: Makes the sockets, from what `socket.getaddrinfo` says.
        ssl_shutdown_timeout: Obsolete (ANT-0015): closing waits two seconds at most.
        verify_ssl: Obsolete (ANT-0008): ``ssl=False``.
        ssl_context: Obsolete (ANT-0008): ``ssl=context``.
        fingerprint: Obsolete (ANT-0008): ``ssl=Fingerprint(...)``.

    Raises:
        ValueError: Arguments that contradict each other.
        TypeError: *ssl* is none of what it may be.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"tcp"}

    def __init__(
        self,
        *,
        verify_ssl: bool = True,
        fingerprint: bytes | None = None,
        use_dns_cache: bool = True,
        ttl_dns_cache: float | None = 10,
        dns_cache_max_size: int = 1000,
        family: socket.AddressFamily = socket.AddressFamily.AF_UNSPEC,
        ssl_context: ssl_module.SSLContext | None = None,
        ssl: SSLOption | None = True,
        proxy_ssl: SSLOption | None = None,
        local_addr: tuple[str, int] | None = None,
        resolver: AbstractResolver | None = None,
        keepalive_timeout: float | Unset | None = UNSET,
        force_close: bool = False,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        limits_by_host: Mapping[str, int] | None = None,
        max_age: float | None = None,
        max_uses: int | None = None,
        enable_cleanup_closed: bool | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        timeout_ceil_threshold: float = 5,
        happy_eyeballs_delay: float | None = 0.25,
        interleave: int | None = None,
        socket_factory: SocketFactoryType | None = None,
        ssl_shutdown_timeout: float | Unset | None = UNSET,
    ) -> None:
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            limits_by_host=limits_by_host,
            max_age=max_age,
            max_uses=max_uses,
            enable_cleanup_closed=enable_cleanup_closed,
            loop=loop,
            timeout_ceil_threshold=timeout_ceil_threshold,
        )
        self._ssl = ssl_option(
            ssl,
            verify_ssl=None if verify_ssl else False,
            ssl_context=ssl_context,
            fingerprint=fingerprint,
        )
        if ssl_shutdown_timeout is not UNSET:
            warn_deprecated("ANT-0015")
        require_seconds("happy_eyeballs_delay", happy_eyeballs_delay)
        require_seconds("ttl_dns_cache", ttl_dns_cache)
        if resolver is not None:
            _require_resolver(resolver)
        if dns_cache_max_size < 1:
            raise ValueError(f"dns_cache_max_size must be positive, not {dns_cache_max_size!r}")
        self._proxy_ssl = None if proxy_ssl is None else ssl_option(proxy_ssl)
        self._local_addr_infos = (
            None if local_addr is None else aiohappyeyeballs.addr_to_addr_infos(local_addr)
        )
        self._family = family
        self._owns_resolver = resolver is None
        self._resolver = DefaultResolver() if resolver is None else resolver
        self._hosts = HostCache(
            self._resolver,
            family=family,
            enabled=use_dns_cache,
            ttl=ttl_dns_cache,
            max_size=dns_cache_max_size,
        )
        self._happy_eyeballs_delay = happy_eyeballs_delay
        self._interleave = interleave
        self._socket_factory = socket_factory

    @property
    def family(self) -> int:
        """Addresses that are used: `socket.AF_INET`, `socket.AF_INET6` or both (0)."""
        return self._family

    @property
    def use_dns_cache(self) -> bool:
        """Whether addresses are remembered."""
        return self._hosts.enabled

    @property
    def cached_hosts(self) -> Mapping[tuple[str, int], Sequence[ResolveResult]]:
        """The addresses that are remembered, by (host, port)."""
        return self._hosts.hosts

    @property
    def dns_cache(self) -> bool:
        """The same as `use_dns_cache`."""
        return self._hosts.enabled

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Forget the addresses of one host, or of all.

        Raises:
            ValueError: Only one of *host* and *port* is given.
        """
        self._hosts.clear(host, port)

    async def dial(self, context: DialContext) -> HttpConnection:
        """See `BaseConnector.dial`."""
        key = context.key
        if key.proxy is None:
            sock = await self._connected_socket(context, ClientConnectorError)
            return await over_socket(context, sock, self._ssl)
        leg = proxy_context(context, self._proxy_ssl, self._ssl)
        sock = await self._connected_socket(leg, ClientProxyConnectionError)
        http = await over_socket(leg, sock, leg.key.ssl)
        if not key.tunnel:
            return http
        return await open_tunnel(context, http, self._ssl)

    async def _connected_socket(
        self, context: DialContext, error_type: type[ClientConnectorError]
    ) -> socket.socket:
        key = context.key
        if key.port is None:
            raise error_type(key, OSError(None, "there is no port to connect to"))
        addresses = await self._hosts.addresses(key.host, key.port, context)
        timeline = context.timeline
        timeline.connect_start = context.loop.time()
        try:
            async with context.phase("connect"):
                sock = await aiohappyeyeballs.start_connection(
                    [_addr_info(address) for address in addresses],
                    local_addr_infos=self._local_addr_infos,
                    happy_eyeballs_delay=self._happy_eyeballs_delay,
                    interleave=self._interleave,
                    loop=context.loop,
                    socket_factory=self._socket_factory,
                )
        except ConnectionTimeoutError:
            raise
        except OSError as exc:
            error = error_type(key, exc)
            error.failure = context.failure("connect")
            raise error from exc
        timeline.connect_end = context.loop.time()
        # So that a peer that vanished without a word is noticed, some day.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # asyncio does this too, but not where the resolver or a factory left `proto` at 0.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def close(self, *, abort_ssl: bool = False) -> Awaitable[None]:
        """See `BaseConnector.close`; also ends lookups, and the resolver if it is our own."""
        if not self._closed:
            self._hosts.close()
        return super().close(abort_ssl=abort_ssl)

    async def _wait_closed(self) -> None:
        await super()._wait_closed()
        if self._owns_resolver:
            await self._resolver.close()


def _require_resolver(resolver: object) -> None:
    if isinstance(resolver, type) or not callable(getattr(resolver, "resolve", None)):
        raise TypeError(f"resolver must be an AbstractResolver, not {resolver!r}")


def _addr_info(address: ResolveResult) -> AddrInfoType:
    return (
        address["family"],
        socket.SOCK_STREAM,
        address["proto"],
        "",
        socket_address(address),
    )
