"""What makes two requests able to share a connection."""

from ssl import SSLContext
from typing import final

import attrs
from yarl import URL

from antiphon.core.limits import HttpLimits

from ..options import Fingerprint

__all__ = ("ConnectionKey",)

_DEFAULT_LIMITS = HttpLimits()


@final
@attrs.frozen(cache_hash=True)
class ConnectionKey:
    """Everything that a connection depends on: address, TLS, proxy and parser limits.

    A pooled connection serves only requests whose whole key is equal to its own, so that
    one opened without verification, for another ``server_hostname`` or through another
    proxy account is never taken for a stricter request.
    """

    host: str
    """Host to reach, as the resolver shall see it: ASCII (IDNA), IPv6 without brackets."""

    port: int | None
    """Port to reach; ``None`` only where the connector does not need one."""

    is_ssl: bool
    """Whether TLS is spoken with the host."""

    ssl: SSLContext | bool | Fingerprint = True
    """How the host's certificate is checked: ``True`` as the connector says, ``False`` not
    at all, a context by its rules, a fingerprint by comparison."""

    scheme: str = ""
    """Scheme of the URL, lower case; filled in from *is_ssl* when empty."""

    server_hostname: str | None = None
    """Name to ask for (SNI) and to check the certificate against, where it is not *host*."""

    proxy: URL | None = None
    """The proxy's URL without user and password."""

    proxy_headers: tuple[tuple[str, str], ...] = ()
    """Fields for the proxy alone, ``Proxy-Authorization`` included: they go with CONNECT,
    never to the host."""

    limits: HttpLimits = _DEFAULT_LIMITS
    """What a response's head may cost on this connection."""

    @classmethod
    def for_url(
        cls,
        url: URL,
        *,
        ssl: SSLContext | bool | Fingerprint = True,
        server_hostname: str | None = None,
        proxy: URL | None = None,
        proxy_headers: tuple[tuple[str, str], ...] = (),
        limits: HttpLimits = _DEFAULT_LIMITS,
    ) -> "ConnectionKey":
        """Return the key of requests to *url*.

        Raises:
            ValueError: The URL has no host.
        """
        host = url.raw_host
        if not host:
            raise ValueError(f"URL {str(url)!r} has no host")
        scheme = url.scheme
        return cls(
            host,
            url.port,
            scheme in ("https", "wss"),
            ssl,
            scheme,
            server_hostname,
            proxy,
            proxy_headers,
            limits,
        )

    def __attrs_post_init__(self) -> None:
        if not self.scheme:
            object.__setattr__(self, "scheme", "https" if self.is_ssl else "http")

    @property
    def endpoint(self) -> tuple[str, int | None, bool]:
        """What ``limit_per_host`` counts by."""
        return (self.host, self.port, self.is_ssl)

    @property
    def tunnel(self) -> bool:
        """Whether the proxy is asked for a tunnel rather than to forward requests.

        TLS always goes through a tunnel (RFC 9110 section 9.3.6), and so does a plain
        WebSocket (RFC 6455 section 4.1 item 3): its upgrade would end at the proxy.
        """
        return self.proxy is not None and (self.is_ssl or self.scheme in ("ws", "wss"))

    def __repr__(self) -> str:
        # Proxy credentials stay out of logs.
        via = f" via {self.proxy.origin()}" if self.proxy is not None else ""
        return f"<ConnectionKey {self.scheme}://{self.host}:{self.port}{via}>"
