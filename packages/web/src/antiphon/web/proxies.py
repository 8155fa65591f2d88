"""Behind a proxy: whom to believe about the client's address, scheme and host.

``Forwarded`` (RFC 7239) and ``X-Forwarded-*`` are written by proxies, and by
anybody who wants to look like somebody else. They are read from the right,
where the nearest proxy writes, and only as long as the one who wrote is in a
network that is trusted. A proxy passes on what it does not write itself: of a
field that it leaves alone the client is the author, so only those fields count
that the proxies are said to write.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from antiphon.core import hdrs
from antiphon.core.fields.forwarded import parse_forwarded, parse_node, parse_x_forwarded_for

from .middlewares import middleware
from .request import Request
from .response import StreamResponse
from .typedefs import Handler, Middleware

__all__ = ("ForwardedFor", "TrustedProxies", "trusted_proxies")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SCHEMES: Final = frozenset(("http", "https"))

_FIELDS: Final = frozenset((
    hdrs.FORWARDED,
    hdrs.X_FORWARDED_FOR,
    hdrs.X_FORWARDED_PROTO,
    hdrs.X_FORWARDED_HOST,
))
_WRITTEN: Final = (hdrs.X_FORWARDED_FOR, hdrs.X_FORWARDED_PROTO)

_MAX_HOPS: Final = 32
"""Elements that are looked at, from the right: more proxies than anybody has in a row."""


class ForwardedFor(NamedTuple):
    """What trusted proxies say; ``None`` for what they do not say."""

    remote: str | None
    scheme: str | None
    host: str | None


class TrustedProxies:
    """The networks whose word counts.

    Args:
        networks: Addresses or networks such as ``10.0.0.0/8`` or ``::1``; ``"unix"`` stands
            for peers on a Unix domain socket, which have no address.
        fields: Those that every one of these proxies writes or removes: any of ``Forwarded``,
            ``X-Forwarded-For``, ``X-Forwarded-Proto`` and ``X-Forwarded-Host``, in any case.
            Naming one that a proxy passes on as it came lets clients forge it. Where
            ``Forwarded`` is named and present, the others are not looked at.

    Raises:
        ValueError: A network or a field is none.
    """

    def __init__(
        self, networks: "Iterable[str | _Network | _Address]", *, fields: Iterable[str] = _WRITTEN
    ) -> None:
        given = list(networks)
        self._fields = frozenset(name.title() for name in fields)
        if unknown := self._fields - _FIELDS:
            raise ValueError(f"not fields that say who asked: {', '.join(sorted(unknown))}")
        self._unix = "unix" in given
        self._networks: list[_Network] = [
            ipaddress.ip_network(network) for network in given if network != "unix"
        ]

    def trusts(self, remote: str | None) -> bool:
        """Whether the peer with this address is to be believed."""
        address = _address(remote)
        if address is None:
            # No address at all is a Unix socket; a name or "unknown" is nobody we know.
            return self._unix and remote is None
        return any(address in network for network in self._networks)

    def resolve(self, peer: str | None, headers: "Mapping[str, str]") -> ForwardedFor | None:
        """Find out who is behind *peer*; ``None`` if *peer* is not trusted or says nothing.

        Args:
            peer: The address of the connection's other end, ``None`` for a Unix socket.
            headers: The request's fields, a `multidict.CIMultiDictProxy`.
        """
        if not self.trusts(peer):
            return None
        forwarded = self._value(headers, hdrs.FORWARDED)
        if forwarded:
            return self._by_forwarded(parse_forwarded(forwarded))
        return self._by_x_forwarded(
            parse_x_forwarded_for(self._value(headers, hdrs.X_FORWARDED_FOR)),
            parse_x_forwarded_for(self._value(headers, hdrs.X_FORWARDED_PROTO)),
            parse_x_forwarded_for(self._value(headers, hdrs.X_FORWARDED_HOST)),
        )

    def _value(self, headers: "Mapping[str, str]", name: str) -> str:
        if name not in self._fields:
            return ""
        getall = headers.getall  # type: ignore[attr-defined]  # any multidict
        return ", ".join(getall(name, ()))

    def _by_forwarded(self, elements: Sequence[Mapping[str, str]]) -> ForwardedFor | None:
        remote = scheme = host = None
        for element in reversed(elements[-_MAX_HOPS:]):
            # Written by somebody we trust: the peer, or a proxy that one of ours named.
            scheme = _scheme(element.get("proto")) or scheme
            host = element.get("host") or host
            node = element.get("for")
            if node is None:
                break
            # An empty one must leave neither what is left of it nor the proxy to be believed.
            remote = parse_node(node)[0] or "unknown"
            if not self.trusts(remote):
                break
        return _found(remote, scheme, host)

    def _by_x_forwarded(
        self, nodes: Sequence[str], schemes: Sequence[str], hosts: Sequence[str]
    ) -> ForwardedFor | None:
        remote = None
        hops = 0
        for node in reversed(nodes[-_MAX_HOPS:]):
            remote = parse_node(node)[0]
            hops += 1
            if not self.trusts(remote):
                break
        # The lists grow together where every proxy appends; where one proxy sets, there is one.
        hops = max(hops, 1)
        scheme = _scheme(schemes[-min(hops, len(schemes))]) if schemes else None
        host = hosts[-min(hops, len(hosts))] if hosts else None
        return _found(remote, scheme, host)


def _found(remote: str | None, scheme: str | None, host: str | None) -> ForwardedFor | None:
    if remote is None and scheme is None and host is None:
        return None
    return ForwardedFor(remote, scheme, host)


def _scheme(text: str | None) -> str | None:
    lower = None if text is None else text.lower()
    return lower if lower in _SCHEMES else None


def _address(text: str | None) -> _Address | None:
    if not text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def trusted_proxies(
    networks: "Iterable[str | _Network | _Address]", *, fields: Iterable[str] = _WRITTEN
) -> Middleware:
    """Make a middleware that sets `Request.remote`, `Request.scheme` and `Request.host`
    to what trusted proxies say.

    Put it first among the application's middlewares. `Request.clone` sees no change, and
    ``request.transport`` still tells of the proxy.

    Args:
        networks: As `TrustedProxies` takes them.
        fields: Likewise: what your proxy writes, whatever the client sent.

    Raises:
        ValueError: A network or a field is none.
    """
    proxies = TrustedProxies(networks, fields=fields)

    @middleware
    async def forwarded(request: Request, handler: Handler) -> StreamResponse:
        found = proxies.resolve(request.remote, request.headers)
        if found is not None:
            request._set_forwarded(found.remote, found.scheme, found.host)
        return await handler(request)

    return forwarded
