"""The addresses of hosts, remembered for a while and asked for once at a time."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import final

from ..errors import ClientConnectionError, ClientConnectorDNSError
from ..resolver import AbstractResolver, ResolveResult, ip_address
from ._dial import DialContext

__all__ = ("HostCache",)

_Name = tuple[str, int]


@final
class _Lookup:
    """A question under way, and how many wait for its answer."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: "asyncio.Task[list[ResolveResult]]") -> None:
        self.task = task
        self.waiting = 0


@final
class HostCache:
    """Addresses by (host, port).

    Args:
        resolver: Whom to ask.
        family: Which addresses to ask for.
        enabled: Remember answers.
        ttl: Seconds for which an answer is good; ``None`` for ever.
        max_size: Answers to remember; the one not used for the longest time goes first.
    """

    __slots__ = ("_answers", "_family", "_lookups", "_max_size", "_resolver", "_ttl", "enabled")

    def __init__(
        self,
        resolver: AbstractResolver,
        *,
        family: socket.AddressFamily,
        enabled: bool,
        ttl: float | None,
        max_size: int,
    ) -> None:
        self._resolver = resolver
        self._family = family
        self.enabled = enabled
        self._ttl = ttl
        self._max_size = max_size
        self._answers: OrderedDict[_Name, tuple[float | None, list[ResolveResult]]] = OrderedDict()
        self._lookups: dict[_Name, _Lookup] = {}

    @property
    def hosts(self) -> Mapping[_Name, Sequence[ResolveResult]]:
        """What is remembered."""
        return MappingProxyType({name: tuple(found) for name, (_, found) in self._answers.items()})

    def clear(self, host: str | None = None, port: int | None = None) -> None:
        """Forget one host, or all.

        Raises:
            ValueError: Only one of *host* and *port* is given.
        """
        if host is not None and port is not None:
            self._answers.pop((host, port), None)
        elif host is not None or port is not None:
            raise ValueError("either both host and port or none of them are allowed")
        else:
            self._answers.clear()

    async def addresses(self, host: str, port: int, context: DialContext) -> list[ResolveResult]:
        """Return the addresses of *host*, in the order in which to try them.

        An address is given back as it is. Several callers share one question; several
        addresses take turns at being first.

        Raises:
            ClientConnectorDNSError: The name does not resolve.
            ConnectionTimeoutError: It took too long.
        """
        try:
            literal = ip_address(host.rstrip("."))
        except ValueError as exc:
            raise _dns_error(context, OSError(socket.EAI_NONAME, str(exc))) from exc
        if literal is not None:
            return [_literal(host, port, literal.version)]
        traces = context.traces
        name = (host, port)
        if self.enabled:
            found = self._remembered(name, context.loop.time())
            for trace in traces:
                if found is None:
                    await trace.send_dns_cache_miss(host)
                else:
                    await trace.send_dns_cache_hit(host)
            if found is not None:
                return found
        for trace in traces:
            await trace.send_dns_resolvehost_start(host)
        context.timeline.dns_start = context.loop.time()
        try:
            async with context.phase("dns", context.timeout.dns):
                found = await self._ask(name)
        except OSError as exc:
            if isinstance(exc, TimeoutError) and getattr(exc, "failure", None) is not None:
                raise  # the phase's own limit, which has said everything
            raise _dns_error(context, exc) from exc
        context.timeline.dns_end = context.loop.time()
        for trace in traces:
            await trace.send_dns_resolvehost_end(host)
        return found

    def close(self) -> None:
        """Give up every question under way."""
        for lookup in list(self._lookups.values()):
            lookup.task.cancel()
        self._answers.clear()

    def _remembered(self, name: _Name, now: float) -> list[ResolveResult] | None:
        answer = self._answers.get(name)
        if answer is None:
            return None
        expires, found = answer
        if expires is not None and expires <= now:
            del self._answers[name]
            return None
        self._answers.move_to_end(name)
        result = list(found)
        if len(found) > 1:
            found.append(found.pop(0))
        return result

    async def _ask(self, name: _Name) -> list[ResolveResult]:
        lookup = self._lookups.get(name)
        if lookup is None:
            # A task of its own: whoever asked first may be cancelled while others wait.
            lookup = _Lookup(asyncio.get_running_loop().create_task(self._resolve(name)))
            self._lookups[name] = lookup
        lookup.waiting += 1
        try:
            return list(await asyncio.shield(lookup.task))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if lookup.task.cancelled() and not (task is not None and task.cancelling()):
                raise ClientConnectionError("Connector is closed.") from None
            raise
        finally:
            lookup.waiting -= 1
            if not lookup.waiting and not lookup.task.done():
                lookup.task.cancel()
                if self._lookups.get(name) is lookup:
                    del self._lookups[name]

    async def _resolve(self, name: _Name) -> list[ResolveResult]:
        try:
            found = await self._resolver.resolve(*name, family=self._family)
            if not found:
                raise OSError(socket.EAI_NONAME, "the name has no address")
            if self.enabled:
                self._remember(name, found)
            return found
        finally:
            lookup = self._lookups.get(name)
            if lookup is not None and lookup.task is asyncio.current_task():
                del self._lookups[name]

    def _remember(self, name: _Name, found: Sequence[ResolveResult]) -> None:
        now = asyncio.get_running_loop().time()
        # What was just used first is not first for the next one.
        turned = [*found[1:], found[0]]
        self._answers[name] = (None if self._ttl is None else now + self._ttl, turned)
        self._answers.move_to_end(name)
        while len(self._answers) > self._max_size:
            self._answers.popitem(last=False)


def _literal(host: str, port: int, version: int) -> ResolveResult:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return ResolveResult(
        hostname=host,
        host=host.rstrip("."),
        port=port,
        family=family,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


def _dns_error(context: DialContext, cause: OSError) -> ClientConnectorDNSError:
    if cause.strerror is None:
        cause = OSError(None, str(cause) or "DNS lookup failed")
    error = ClientConnectorDNSError(context.key, cause)
    error.failure = context.failure("dns")
    return error
