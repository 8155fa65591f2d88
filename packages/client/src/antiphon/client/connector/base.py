"""A pool's decisions made into waiting, opening and closing."""

import asyncio
import logging
import sys
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Final, Self, cast

from yarl import URL

from antiphon.core.aio.exchange import HttpConnection, Timeline
from antiphon.core.deprecations import warn_deprecated

from ..errors import ClientConnectionError
from ..options import DEFAULT_TIMEOUT, ClientTimeout
from ._connection import Closing, Connection
from ._dial import ConnectionTrace, DialContext
from ._limits import limits_of_hosts, require_count, require_seconds
from ._pool import Entry, Pool, PoolLimits, PoolStats, Waiter, WaiterState
from .key import ConnectionKey

__all__ = ("BaseConnector", "Connection", "ConnectionKey", "PoolStats")

logger = logging.getLogger("antiphon.client")

CLOSE_GRACE: Final = 2.0
"""Seconds that `BaseConnector.close` lets sockets finish politely (TLS goodbyes) before it
aborts what is left."""

_SWEEP_STEP: Final = 0.1
"""Seconds between two sweeps at least: deadlines that lie close together share one."""


class Unset(Enum):
    """An argument that was not given."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class BaseConnector(ABC):
    """A pool of connections, without a way to open them.

    Subclasses implement `dial`.

    Args:
        keepalive_timeout: Seconds a connection may be idle, 15 by default; ``None`` leaves
            it to the server.
        force_close: Use every connection once.
        limit: Connections in all, idle ones included; 0 or ``None`` for any number.
        limit_per_host: Connections to one (host, port, TLS or not); 0 for any number.
        limits_by_host: Exceptions to *limit_per_host*, by ``"host"``, ``"host:port"`` or
            ``"scheme://host[:port]"``, IPv6 in brackets where a port follows; a scheme stands
            for its port, and a port counts before a host alone. Case does not matter.
        max_age: Seconds after which a connection takes no further request. Up to a tenth
            less for some, so that not all are remade at once.
        max_uses: Requests after which a connection takes no further one; likewise.
        enable_cleanup_closed: Obsolete (ANT-0026): closing is always cleaned up.
        loop: Obsolete (ANT-0004).
        timeout_ceil_threshold: Accepted as aiohttp documents it; time limits are not rounded.

    Raises:
        ValueError: *keepalive_timeout* together with *force_close*; a negative limit; a key of
            *limits_by_host* that no connection can match.
        TypeError: A limit is no number.
    """

    allowed_protocol_schema_set: frozenset[str] = frozenset(("", "http", "https", "ws", "wss"))
    """URL schemes that this connector can be used for."""

    uses_proxies: ClassVar[bool] = True
    """Whether proxies of the environment are for it. One that leads to a place on this machine
    has no use for them."""

    _closed = True  # for __del__, should __init__ not get far
    _live: "set[Entry]" = set()

    def __init__(
        self,
        *,
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
    ) -> None:
        if loop is not None:
            warn_deprecated("ANT-0004")
        if enable_cleanup_closed is not None:
            warn_deprecated("ANT-0026")
        for name, count in (
            ("limit", limit),
            ("limit_per_host", limit_per_host),
            ("max_uses", max_uses),
        ):
            require_count(name, count)
        require_seconds("max_age", max_age)
        if keepalive_timeout is not UNSET:
            require_seconds("keepalive_timeout", keepalive_timeout)
        if force_close:
            if keepalive_timeout is not None and keepalive_timeout is not UNSET:
                raise ValueError("keepalive_timeout cannot be set if force_close is True")
            keepalive_timeout = None
        elif keepalive_timeout is UNSET:
            keepalive_timeout = 15.0
        self._pool = Pool(
            PoolLimits(
                limit=limit or 0,
                limit_per_host=limit_per_host or 0,
                limits_by_host=limits_of_hosts(limits_by_host or {}),
                keepalive_timeout=keepalive_timeout,
                max_age=max_age,
                max_uses=max_uses,
                force_close=force_close,
            )
        )
        self._loop = loop if loop is not None else _running_loop_or_none()
        self._made_at = place_of_user()
        self._live = set()  # every connection whose transport is not known to be gone
        self._dialing: set[DialContext] = set()
        self._yielding: dict[Entry, Callable[[], None]] = {}  # leased, but not needed; oldest first
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._grace_timer: asyncio.TimerHandle | None = None
        # What timers and transports hold: they keep nothing alive.
        self._ref: Callable[[], BaseConnector | None] = weakref.ref(self)
        self._closed = False

    # -- what a connector is

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def force_close(self) -> bool:
        """Whether every connection is used once."""
        return self._pool.limits.force_close

    @property
    def limit(self) -> int:
        """Connections in all; 0 for any number."""
        return self._pool.limits.limit

    @property
    def limit_per_host(self) -> int:
        """Connections to one (host, port, TLS or not); 0 for any number."""
        return self._pool.limits.limit_per_host

    def stats(self) -> PoolStats:
        """A snapshot of the pool; costs nothing."""
        return self._pool.stats()

    def __repr__(self) -> str:
        stats = self.stats()
        return (
            f"<{type(self).__name__}{' closed' if self._closed else ''} "
            f"limit={self.limit or 'none'} per_host={self.limit_per_host or 'none'} "
            f"active={stats.active} idle={stats.idle} connecting={stats.connecting} "
            f"waiting={stats.waiting}>"
        )

    # -- getting connections

    @abstractmethod
    async def dial(self, context: DialContext) -> HttpConnection:
        """Open a new connection for ``context.key``.

        Runs in a slot of the pool that it need not care for. Fills the context's timeline
        and runs each wait inside ``context.phase(...)``.

        Raises:
            ClientConnectorError: It cannot be done.
            ConnectionTimeoutError: It took too long.
        """

    def take_idle(self, key: ConnectionKey, now: float | None = None) -> "Connection | None":
        """Give a connection that is open and free, without waiting; ``None`` if there is none.

        Args:
            key: Whom to reach, and how.
            now: The loop's time, if the caller has it.
        """
        loop = self._loop
        if loop is None or _running_loop_or_none() is not loop:
            return None  # `connect` says what is wrong
        pool = self._pool
        entry = pool.take(key, loop.time() if now is None else now)
        if pool.doomed or pool.granted:
            self._settle()
        return None if entry is None else Connection(self, entry)

    async def connect(
        self,
        key: ConnectionKey,
        *,
        request: Any = None,  # Any: only ever shown by errors
        traces: Sequence[ConnectionTrace] = (),
        timeout: ClientTimeout = DEFAULT_TIMEOUT,
        timeline: Timeline | None = None,
        deadline: float | None = None,
    ) -> "Connection":
        """Give a connection for *key*: an idle one, a new one, or the next to be free.

        Args:
            key: Whom to reach, and how.
            request: Whose request it is; errors show it.
            traces: Observers.
            timeout: ``pool``, ``connect``, ``sock_connect``, ``dns`` and ``tls`` count here.
            timeline: Where the times go. A second try (``tries``) gets no idle connection.
            deadline: Loop time by which it must be done, whatever *timeout* says.

        Raises:
            ClientConnectorError: No connection can be made.
            ConnectionTimeoutError: It took too long; the text says in which phase.
            ClientConnectionError: The connector is closed.
        """
        self._check_usable()
        # A second try must not meet the fate of the first: it gets a connection of its own.
        again = timeline is not None and timeline.tries > 1
        connection = None if again else self.take_idle(key)
        if connection is not None:
            for trace in traces:
                try:
                    await trace.send_connection_reuseconn()
                except BaseException:
                    connection.close()
                    raise
            return connection
        context = DialContext(
            key,
            self._running_loop(),
            request=request,
            traces=traces,
            timeout=timeout,
            timeline=timeline,
            deadline=deadline,
        )
        if not self._reserve(key):
            entry = await self._stand_in_line(context)
            if entry is not None:
                return Connection(self, entry)
        context.timeline.queued = context.loop.time()
        http = await self._open(context)
        return Connection(self, self._enter(self._pool.add, context, http))

    async def warm(self, target: "ConnectionKey | URL | str", count: int = 1) -> int:
        """Open connections before they are needed.

        Args:
            target: Whom to reach: a URL, or a key where TLS or a proxy are out of the ordinary.
            count: How many to have idle. What the limits do not allow is left out.

        Returns:
            How many were opened.

        Raises:
            ClientConnectorError: One of them could not be made.
        """
        self._check_usable()
        key = target if isinstance(target, ConnectionKey) else ConnectionKey.for_url(URL(target))
        wanted = count - self._pool.idle_count(key)
        contexts: list[DialContext] = []
        while len(contexts) < wanted and self._pool.reserve_spare(key):
            contexts.append(DialContext(key, self._running_loop(), timeout=DEFAULT_TIMEOUT))
        results = await asyncio.gather(
            *(self._open_idle(context) for context in contexts), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(results)

    async def _open_idle(self, context: DialContext) -> None:
        http = await self._open(context)
        self._after_release(self._enter(self._pool.park, context, http))

    def _enter(
        self,
        enter: Callable[[ConnectionKey, HttpConnection, float], Entry],
        context: DialContext,
        http: HttpConnection,
    ) -> Entry:
        """Have the pool take *http* in; what it does not take is not kept open either."""
        try:
            entry = enter(context.key, http, context.loop.time())
        except BaseException:
            http.abort()
            self._pool.cancel(context.key)
            self._settle()
            raise
        self._watch(entry)
        return entry

    async def _open(self, context: DialContext) -> HttpConnection:
        """Dial in a reserved slot; whatever goes wrong gives the slot back in the same step."""
        http: HttpConnection | None = None
        self._dialing.add(context)
        try:
            for trace in context.traces:
                await trace.send_connection_create_start()
            context.bound("sock_connect", context.timeout.sock_connect)
            http = await self.dial(context)
            for trace in context.traces:
                await trace.send_connection_create_end()
            if self._closed:
                raise ClientConnectionError("Connector is closed.")
        except BaseException:
            if http is not None:
                http.abort()
            self._pool.cancel(context.key)
            self._settle()
            raise
        finally:
            self._dialing.discard(context)
        return http

    async def _stand_in_line(self, context: DialContext) -> Entry | None:
        """Wait for a connection, or for the right to open one (``None``)."""
        future: asyncio.Future[None] = context.loop.create_future()
        waiter = self._pool.wait(context.key, future)
        self._ask_for_way(waiter)
        try:
            for trace in context.traces:
                await trace.send_connection_queued_start()
            async with context.phase("pool", context.timeout.pool):
                await future
            for trace in context.traces:
                await trace.send_connection_queued_end()
        except BaseException:
            self._give_up(waiter)
            raise
        context.timeline.queued = context.loop.time()
        if waiter.state is WaiterState.GONE:
            raise ClientConnectionError("Connector is closed.")
        entry = waiter.entry
        if entry is None:
            return None
        if entry.http.free() > 0:
            return entry
        # It was lost between being given and being taken: what was its slot is ours.
        self._pool.replace(entry)
        self._settle()
        return None

    def _ask_for_way(self, waiter: Waiter) -> None:
        """Have connections given up, until one's slot is for *waiter*, that are not needed."""
        endpoint = waiter.group.endpoint
        for entry, give_up in tuple(self._yielding.items()):
            if waiter.state is not WaiterState.WAITING:
                return
            if entry.group.endpoint is endpoint or not endpoint.blocked:
                give_up()

    def _give_up(self, waiter: Waiter) -> None:
        """Leave the line, or give back what was got there; once, however often it is asked for.

        A waiter that is cancelled is asked twice if it is granted something before its task runs.
        """
        state, entry = waiter.state, waiter.entry
        if state is WaiterState.WAITING:
            self._pool.leave(waiter)
        waiter.state = WaiterState.GONE
        waiter.entry = None
        if state is WaiterState.SLOT:
            self._pool.cancel(waiter.group.key)
        elif entry is not None:
            self._give_back(entry, True)
        self._settle()

    def _reserve(self, key: ConnectionKey) -> bool:
        reserved = self._pool.reserve(key)
        self._settle()
        return reserved

    def _watch(self, entry: Entry) -> None:
        self._live.add(entry)
        http = cast(HttpConnection, entry.http)
        http.add_close_callback(partial(_on_lost, self._ref, entry))

    # -- getting rid of connections

    def _give_back(self, entry: Entry, reusable: bool) -> None:
        pool = self._pool
        if self._yielding:
            self._yielding.pop(entry, None)
        loop = self._loop
        if loop is None or loop.is_closed():
            return  # nothing can be closed any more; the transports complain themselves
        # Without a greatest age nobody asks what time it is.
        now = 0.0 if pool.limits.max_age is None else loop.time()
        pool.release(entry, now, reusable=reusable and not self._closed)
        if (
            self._sweep_timer is None
            or pool.doomed
            or pool.granted
            or entry.http.keep_alive_hint is not None
        ):
            self._after_release(entry)

    def _after_release(self, entry: Entry) -> None:
        pool = self._pool
        if pool.doomed or pool.granted:
            self._settle()
        timer = self._sweep_timer
        if timer is None:
            if pool.has_idle:
                self._sweep_at(pool.idle_until(entry))
        elif entry.http.keep_alive_hint is not None and not entry.leases:
            until = pool.idle_until(entry)
            if until < timer.when():
                timer.cancel()
                self._sweep_at(until)

    def _settle(self) -> None:
        """Do what the pool has decided."""
        pool = self._pool
        while pool.doomed or pool.granted:
            doomed, pool.doomed = pool.doomed, []
            granted, pool.granted = pool.granted, []
            for entry in doomed:
                cast(HttpConnection, entry.http).close()
            for waiter in granted:
                future = cast("asyncio.Future[None]", waiter.payload)
                if future.done():  # cancelled, and its task has not run yet
                    self._give_up(waiter)
                else:
                    future.set_result(None)

    def _sweep_at(self, when: float) -> None:
        loop = cast(asyncio.AbstractEventLoop, self._loop)
        if when == float("inf"):
            return
        when = max(when, loop.time() + _SWEEP_STEP)
        self._sweep_timer = loop.call_at(when, _on_sweep, self._ref)

    def _sweep(self) -> None:
        self._sweep_timer = None
        loop = cast(asyncio.AbstractEventLoop, self._loop)
        nearest = self._pool.sweep(loop.time())
        self._settle()
        if nearest is not None:
            self._sweep_at(nearest)

    def _lost(self, entry: Entry) -> None:
        self._live.discard(entry)
        if self._grace_timer is not None and not self._live:
            self._grace_timer.cancel()
            self._grace_timer = None
        self._pool.discard(entry)
        self._settle()

    # -- closing

    def close(self, *, abort_ssl: bool = False) -> Awaitable[None]:
        """Close every connection; whoever waits on one gets an error at once.

        Closing happens now. Awaiting what this returns also waits until the sockets are
        gone, at most `CLOSE_GRACE` seconds: then what is left is aborted.

        Args:
            abort_ssl: Do without TLS goodbyes.
        """
        if not self._closed:
            self._closed = True
            if self._sweep_timer is not None:
                self._sweep_timer.cancel()
                self._sweep_timer = None
            if self._loop is not None and not self._loop.is_closed():
                self._close_connections(abort_ssl)
        return Closing(self._wait_closed)

    def _close_connections(self, abort_ssl: bool) -> None:
        pool = self._pool
        pool.clear()
        idle = set(pool.doomed)
        self._settle()
        for context in self._dialing:
            context.end()
        for entry in list(self._live):
            if abort_ssl or entry not in idle:
                cast(HttpConnection, entry.http).abort()
        if self._live:
            loop = cast(asyncio.AbstractEventLoop, self._loop)
            self._grace_timer = loop.call_later(CLOSE_GRACE, _abort_all, self._live)

    async def _wait_closed(self) -> None:
        loop = self._loop
        if loop is None or loop is not asyncio.get_running_loop():
            return
        connections = [cast(HttpConnection, entry.http) for entry in self._live]
        try:
            async with asyncio.timeout(CLOSE_GRACE + 1.0):  # aborting takes no more than a moment
                for connection in connections:
                    await connection.wait_closed()
        except TimeoutError:
            logger.warning("%d connections are still not closed", len(self._live))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        exc_traceback: TracebackType | None = None,
    ) -> None:
        await self.close()

    def __enter__(self) -> Self:
        warn_deprecated("ANT-0037")
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._closed or not self._live:
            return
        stats = repr(self)
        warnings.warn(
            f"Unclosed connector {stats}, made at {self._made_at}",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )
        self.close()

    # -- loops

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        return cast(asyncio.AbstractEventLoop, self._loop)

    def _check_usable(self) -> None:
        if self._closed:
            raise ClientConnectionError("Connector is closed.")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                f"{type(self).__name__} belongs to another event loop; "
                f"it was made at {self._made_at}"
            )


# Public in all but its name: it is what `asyncio.get_running_loop` is made of, without the raise.
_running_loop_or_none = asyncio._get_running_loop


def _on_lost(ref: "Callable[[], BaseConnector | None]", entry: Entry) -> None:
    connector = ref()
    if connector is not None:
        connector._lost(entry)


def _on_sweep(ref: "Callable[[], BaseConnector | None]") -> None:
    connector = ref()
    if connector is not None:
        connector._sweep()


def _abort_all(entries: set[Entry]) -> None:
    for entry in list(entries):
        cast(HttpConnection, entry.http).abort()


def place_of_user() -> str:
    """Where the user's own code made what is being made: ``file:line``."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _is_ours(module: str) -> bool:
    return module.startswith("antiphon.client.")
