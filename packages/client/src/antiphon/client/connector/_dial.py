"""One attempt to get a connection: who is watching, and how long it may take."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, NoReturn, Protocol, final

from antiphon.core.aio.exchange import Timeline

from ..errors import ClientConnectionError, ConnectionTimeoutError, Failure
from ..options import ClientTimeout
from .key import ConnectionKey

__all__ = ("ConnectionTrace", "DialContext", "Phase")

_NEVER: Final = float("inf")


class ConnectionTrace(Protocol):
    """What a connector tells an observer; `tracing.Trace` does it all."""

    async def send_connection_queued_start(self) -> None:
        """The request waits in line for a connection."""

    async def send_connection_queued_end(self) -> None:
        """It waits no more."""

    async def send_connection_create_start(self) -> None:
        """A new connection is opened."""

    async def send_connection_create_end(self) -> None:
        """It is open."""

    async def send_connection_reuseconn(self) -> None:
        """A kept connection is used."""

    async def send_dns_resolvehost_start(self, host: str) -> None:
        """The addresses of *host* are looked up."""

    async def send_dns_resolvehost_end(self, host: str) -> None:
        """They are known."""

    async def send_dns_cache_hit(self, host: str) -> None:
        """They were known already."""

    async def send_dns_cache_miss(self, host: str) -> None:
        """They were not known."""


@final
class _Run:
    """What an attempt has in common with its way to a proxy."""

    __slots__ = ("ended", "phases")

    def __init__(self) -> None:
        self.ended = False
        self.phases: list[Phase] = []


@final
class DialContext:
    """What travels down while a connection is being got.

    Attributes:
        key: Whom to reach, and how.
        request: Whose request it is for; ``None`` when nobody's. Errors show it.
        traces: Observers.
        timeout: The request's own time limits.
        timeline: Where the times go.
    """

    __slots__ = ("_bounds", "_run", "key", "loop", "request", "timeline", "timeout", "traces")

    def __init__(
        self,
        key: ConnectionKey,
        loop: asyncio.AbstractEventLoop,
        *,
        request: Any = None,  # Any: only ever shown by errors
        traces: Sequence[ConnectionTrace] = (),
        timeout: ClientTimeout,
        timeline: Timeline | None = None,
        deadline: float | None = None,
    ) -> None:
        self.key = key
        self.loop = loop
        self.request = request
        self.traces = traces
        self.timeout = timeout
        now = loop.time()
        self.timeline = Timeline(now) if timeline is None else timeline
        self._run = _Run()
        self._bounds: list[tuple[float, str]] = []
        if deadline is not None:
            self._bounds.append((deadline, "total"))
        self.bound("connect", timeout.connect)

    def bound(self, name: str, seconds: float | None) -> None:
        """Let everything from now on take no more than *seconds*; ``None`` or 0 is no bound."""
        if seconds:
            self._bounds.append((self.loop.time() + seconds, name))

    def phase(self, name: str, seconds: float | None = None) -> "Phase":
        """Limit one phase: to *seconds* of its own and to all that was bound before.

        Leaving it late raises `ConnectionTimeoutError`, which names the phase and the limit.
        """
        when, reason = min(self._bounds, default=(_NEVER, ""))
        if seconds:
            own = self.loop.time() + seconds
            if own < when:
                when, reason = own, name
        return Phase(self, name, None if when == _NEVER else when, reason)

    def end(self) -> None:
        """End the attempt at its next or present wait: nobody wants the connection any more.

        What waits raises `ClientConnectionError`.
        """
        self._run.ended = True
        for phase in tuple(self._run.phases):
            phase.end()

    def towards(self, key: ConnectionKey) -> "DialContext":
        """The same attempt, on its way to *key* first (a proxy)."""
        other = DialContext.__new__(DialContext)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.key = key
        return other

    def failure(self, phase: str) -> Failure:
        """What is known when *phase* fails: nothing was sent, so sending again is safe."""
        timeline = self.timeline
        return Failure(phase=phase, tries=timeline.tries, timeline=timeline)


@final
class Phase:
    """An asynchronous context manager that limits one phase of a `DialContext`."""

    __slots__ = ("_context", "_name", "_reason", "_start", "_timeout")

    def __init__(self, context: DialContext, name: str, when: float | None, reason: str) -> None:
        self._context = context
        self._name = name
        self._reason = reason
        self._timeout = asyncio.timeout_at(when)
        self._start = context.loop.time()

    async def __aenter__(self) -> None:
        run = self._context._run
        if run.ended:
            raise ClientConnectionError("Connector is closed.")
        await self._timeout.__aenter__()
        run.phases.append(self)

    def end(self) -> None:
        """Let whoever waits inside wake up, and raise."""
        if not self._timeout.expired():
            self._timeout.reschedule(self._context.loop.time())

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        run = self._context._run
        run.phases.remove(self)
        try:
            await self._timeout.__aexit__(exc_type, exc, traceback)
        except TimeoutError as caught:
            # Not what the operating system calls a time-out: that one has not come from here.
            if run.ended:
                raise ClientConnectionError("Connector is closed.") from caught
            self._raise(caught)

    def _raise(self, cause: BaseException) -> NoReturn:
        context = self._context
        key = context.key
        failure = context.failure(self._name)
        took = context.loop.time() - self._start
        error = ConnectionTimeoutError(
            f"Connection timeout to host {key.host}:{key.port}: the limit {self._reason!r} "
            f"ended phase {self._name!r} after {took:.3f} s ({failure})"
        )
        error.failure = failure
        raise error from cause
