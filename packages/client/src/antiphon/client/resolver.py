"""Names to addresses.

A resolver is asked for names only: what is an IP address already never gets
here. The cache lies with the connector.
"""

import asyncio
import ipaddress
import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, TypedDict, cast

from antiphon.core.deprecations import warn_deprecated

__all__ = (
    "AbstractResolver",
    "AsyncResolver",
    "ChainResolver",
    "DefaultResolver",
    "ResolveResult",
    "ThreadedResolver",
    "ip_address",
)

_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
# AI_ADDRCONFIG: no IPv6 addresses on a machine that has no IPv6 (RFC 3493 section 6.1).
_LOOKUP_FLAGS: Final = socket.AI_ADDRCONFIG

# A host whose last label is a number is meant as an IPv4 address (WHATWG URL, section 3.5).
_NUMBER_LAST: Final = re.compile(r"(?:[^.]*+\.)*+(?:[0-9]++|0[xX][0-9A-Fa-f]*+)\.?")


class ResolveResult(TypedDict):
    """One address of a name."""

    hostname: str
    """The name that was asked for."""
    host: str
    """The address as text; a link-local one may end in ``%`` and its zone."""
    port: int
    family: int
    """`socket.AF_INET` or `socket.AF_INET6`."""
    proto: int
    flags: int


class AbstractResolver(ABC):
    """Names to addresses."""

    @abstractmethod
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*, the best one first.

        Args:
            host: A name in ASCII (IDNA).
            port: What to put into the results.
            family: `socket.AF_INET`, `socket.AF_INET6` or `socket.AF_UNSPEC`.

        Raises:
            OSError: The name does not resolve.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give up what the resolver holds; it is not used afterwards."""


def ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that *host* is, or ``None`` for a name.

    Only the one canonical spelling of IPv4 counts (RFC 3986 section 3.2.2). What
    ``inet_aton`` also takes is refused, as it gets around filters on hosts.

    Raises:
        ValueError: ``127.1``, ``0x7f.0.0.1``, ``2130706433``, ``0177.0.0.1`` and the like.
    """
    if ":" in host:
        return ipaddress.IPv6Address(host)
    if not _NUMBER_LAST.fullmatch(host):
        return None
    try:
        return ipaddress.IPv4Address(host)
    except ValueError as exc:
        raise ValueError(f"{host!r} is not a canonical IPv4 address") from exc


class ThreadedResolver(AbstractResolver):
    """The operating system's resolver, in the loop's thread pool.

    It knows what the machine knows: hosts file, search domains, mDNS, VPN rules.

    Args:
        loop: Obsolete (ANT-0004).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        if loop is not None:
            warn_deprecated("ANT-0004")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`. A cancelled call lets its thread run out."""
        infos = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family, flags=_LOOKUP_FLAGS
        )
        results: list[ResolveResult] = []
        for found, _, proto, _, address in infos:
            text = str(address[0])
            if found == socket.AF_INET6:
                if len(address) < 4:
                    continue  # a Python without IPv6: address is (10, b"...")
                if address[3] and "%" not in text:
                    text = f"{text}%{address[3]}"
            results.append(_result(host, text, port, found, proto))
        return results

    async def close(self) -> None:
        """Do nothing: the thread pool is the loop's."""


class AsyncResolver(AbstractResolver):
    """DNS questions asked by c-ares in the event loop; needs ``antiphon-client[dns]``.

    It asks name servers itself, so that what only the operating system knows (mDNS, VPN
    rules) is out of its reach. That is why it has to be asked for.

    Args:
        loop: Obsolete (ANT-0004).
        *args: Go to `aiodns.DNSResolver`.
        **kwargs: Go to `aiodns.DNSResolver`, such as ``nameservers=["192.0.2.1"]``.

    Raises:
        RuntimeError: aiodns is not installed, or no event loop runs.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        *args: Any,  # Any: whatever aiodns takes
        **kwargs: Any,
    ) -> None:
        if loop is not None:
            warn_deprecated("ANT-0004")
        try:
            import aiodns
        except ImportError as exc:
            raise RuntimeError(
                "AsyncResolver needs aiodns: pip install 'antiphon-client[dns]'"
            ) from exc
        asyncio.get_running_loop()  # aiodns wants one, and would only say so later
        self._dns_error: type[Exception] = aiodns.error.DNSError
        self._resolver: aiodns.DNSResolver | None = aiodns.DNSResolver(*args, **kwargs)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`."""
        resolver = self._resolver
        if resolver is None:
            raise OSError(None, "the resolver is closed")
        try:
            answer = await resolver.getaddrinfo(
                host, port=port, type=socket.SOCK_STREAM, family=family, flags=_LOOKUP_FLAGS
            )
        except self._dns_error as exc:
            # c-ares' number, which is no errno, and its text.
            raise OSError(None, str(exc.args[-1]) if exc.args else "DNS lookup failed") from exc
        results: list[ResolveResult] = []
        for node in answer.nodes:
            # Any: two or four members, by family; the types of aiodns say anything but that.
            address = cast(Any, node.addr)
            text = _text(address[0])
            if node.family == socket.AF_INET6 and len(address) > 3 and address[3]:
                text = f"{text}%{address[3]}"
            results.append(_result(host, text, address[1], node.family, socket.IPPROTO_TCP))
        if not results:
            raise OSError(None, "the name has no address")
        return results

    async def close(self) -> None:
        """Cancel what is being asked and free the channel."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()


DefaultResolver = ThreadedResolver
"""What a `TCPConnector` uses unless told otherwise."""


class ChainResolver(AbstractResolver):
    """Several resolvers, one after the other until one has an answer.

    Args:
        *resolvers: In the order in which to ask them. The chain owns and closes them.

    Raises:
        ValueError: There are none.
    """

    def __init__(self, *resolvers: AbstractResolver) -> None:
        if not resolvers:
            raise ValueError("a chain needs at least one resolver")
        self._resolvers: Sequence[AbstractResolver] = resolvers

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`.

        Raises:
            OSError: None of them knows the name; this is what the last one said.
        """
        failures: list[OSError] = []
        for resolver in self._resolvers:
            try:
                results = await resolver.resolve(host, port, family)
            except OSError as exc:
                failures.append(exc)
            else:
                if results:
                    return results
        if failures:
            raise failures[-1]
        raise OSError(None, "no resolver knows the name")

    async def close(self) -> None:
        """Close all of them, also when closing one fails."""
        results = await asyncio.gather(
            *(resolver.close() for resolver in self._resolvers), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result


def _result(name: str, address: str, port: int, family: int, proto: int) -> ResolveResult:
    return ResolveResult(
        hostname=name, host=address, port=port, family=family, proto=proto, flags=_NUMERIC
    )


def _text(address: str | bytes) -> str:
    return address.decode("ascii") if isinstance(address, bytes) else address


def socket_address(result: ResolveResult) -> tuple[Any, ...]:  # Any: as the socket module has it
    """Return what `socket.socket.connect` wants for *result*.

    Raises:
        OSError: The zone of a link-local address does not exist here.
    """
    host, port = result["host"], result["port"]
    if result["family"] != socket.AF_INET6:
        return (host, port)
    address, _, zone = host.partition("%")
    if not zone:
        return (address, port, 0, 0)
    scope = int(zone) if zone.isascii() and zone.isdigit() else socket.if_nametoindex(zone)
    return (address, port, 0, scope)
