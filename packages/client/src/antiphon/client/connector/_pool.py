"""Who may use which connection, who waits, and what must close: decisions, no I/O.

The pool counts *slots*. A slot is a connection that is open, idle or being
made. A new one is allowed while the pool is below its limit and the endpoint
below its own; an idle connection that nobody asks for gives its slot up, the
longest idle one first. Whoever gets no slot waits in line.

================================ ==============================================
what happens                     what the pool decides
================================ ==============================================
a request, idle connection there the most recently used one, if it is still good
a request, slot free             open a new connection
a request, only others idle      close the longest idle one, open a new one
a request, nothing free          wait
a good connection comes back     its own line first, unless others have been
                                 overtaken too often or have none; else idle
a bad or surplus one comes back  close; its slot goes to who waits longest
================================ ==============================================

Lines are first come, first served. Between lines of different keys the oldest
waiter goes first too, with one exception: a connection that is good for a
later waiter is not closed for an earlier one that needs another, more than
`MAX_OVERTAKEN` times or while that one's endpoint has no connection at all.

Each decision takes constant time, or logarithmic time in the number of hosts
that somebody waits for; only opening a connection where several keys share one
endpoint at its limit looks through what is idle.
"""

import enum
import heapq
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, final

from ._pool_values import Poolable, PoolLimits, PoolStats
from .key import ConnectionKey

__all__ = ("Entry", "Pool", "PoolLimits", "PoolStats", "Poolable", "Waiter", "WaiterState")

MAX_OVERTAKEN: Final = 8
"""How often reuse may go before age. Without it two busy hosts in a full pool would close
each other's connections at every request; without an end to it one could shut the other out."""

_HINT_MARGIN: Final = 1.0
"""Seconds before the server's own ``Keep-Alive: timeout=`` at which a connection is dropped:
a request must not meet the server's close on its way."""

_JITTER: Final = 0.1
"""Share of an age or number of uses by which connections made together differ, so that
they are not all remade together."""

_NEVER: Final = float("inf")

_EndpointName = tuple[str, int | None, bool]


class _Endpoint:
    """One (host, port, is_ssl): what is counted together."""

    __slots__ = ("idle", "in_heap", "limit", "name", "total", "waiting")

    def __init__(self, name: _EndpointName, limit: int) -> None:
        self.name = name
        self.limit = limit
        self.total = 0
        self.idle = 0
        self.waiting: OrderedDict[Waiter, None] = OrderedDict()
        self.in_heap = False

    @property
    def blocked(self) -> bool:
        """Whether it may not open another connection even by closing an idle one."""
        return bool(self.limit) and self.total >= self.limit and not self.idle


class _Group:
    """One key: connections that can take a request now, and who waits for one."""

    __slots__ = ("available", "endpoint", "key", "total", "waiting")

    def __init__(self, key: ConnectionKey, endpoint: _Endpoint) -> None:
        self.key = key
        self.endpoint = endpoint
        self.total = 0
        self.available: dict[Entry, None] = {}  # most recently used last
        self.waiting: OrderedDict[Waiter, None] = OrderedDict()


@final
class Entry:
    """A connection in the pool."""

    __slots__ = ("available", "capacity", "expires", "group", "http", "leases", "max_uses", "uses")

    def __init__(self, http: Poolable, group: _Group, expires: float, max_uses: float) -> None:
        self.http = http
        self.group = group
        self.expires = expires
        """Loop time after which it takes no further request."""
        self.max_uses = max_uses
        self.uses = 0
        """Requests it was given to."""
        self.leases = 0
        """Requests on it now; idle means none."""
        self.capacity = 1
        """Requests it can carry at once: 1 on HTTP/1."""
        self.available = False
        """Whether it can take a request now."""

    @property
    def key(self) -> ConnectionKey:
        return self.group.key


class WaiterState(enum.Enum):
    """Where a waiter stands."""

    WAITING = "in line"
    ENTRY = "was given a connection"
    SLOT = "was given the right to open one"
    GONE = "left the line"


@final
class Waiter:
    """A place in line."""

    __slots__ = ("entry", "group", "overtaken", "payload", "state", "ticket")

    def __init__(self, group: _Group, ticket: int, payload: object) -> None:
        self.group = group
        self.ticket = ticket
        self.payload = payload
        """Whatever the caller needs to wake who waits."""
        self.state = WaiterState.WAITING
        self.entry: Entry | None = None
        self.overtaken = 0


@final
class Pool:
    """Connections by key, and the lines of those who wait for one.

    Args:
        limits: What may be held, and for how long.
        jitter: Random numbers from 0 to 1.

    Every method that takes *now* wants the loop time. Connections that must be closed and
    waiters that must be woken are collected in `doomed` and `granted`; the caller empties
    both after each call that may fill them.
    """

    __slots__ = (
        "_active",
        "_created",
        "_discarded",
        "_endpoints",
        "_groups",
        "_idle",
        "_jitter",
        "_ready",
        "_reused",
        "_ticket",
        "_total",
        "_waiting",
        "doomed",
        "granted",
        "limits",
    )

    def __init__(self, limits: PoolLimits, *, jitter: Callable[[], float] = random.random) -> None:
        self.limits = limits
        self.doomed: list[Entry] = []
        self.granted: list[Waiter] = []
        self._jitter = jitter
        self._groups: dict[ConnectionKey, _Group] = {}
        self._endpoints: dict[_EndpointName, _Endpoint] = {}
        self._idle: OrderedDict[Entry, None] = OrderedDict()  # longest idle first
        self._ready: list[tuple[int, _Endpoint]] = []  # heap: (ticket of its first waiter, it)
        self._ticket = 0
        self._total = 0
        self._active = 0
        self._waiting = 0
        self._created = 0
        self._reused = 0
        self._discarded = 0

    # -- asking for a connection

    def take(self, key: ConnectionKey, now: float) -> Entry | None:
        """Give the most recently used good connection for *key*, or ``None``."""
        group = self._groups.get(key)
        if group is None:
            return None
        available = group.available
        keepalive = self.limits.keepalive_timeout
        while available:
            entry = next(reversed(available))
            http = entry.http
            # Checked at the last moment: the server may have closed, or sent what nobody asked for.
            free = http.free()
            if free <= 0:
                good = False
            elif entry.expires == _NEVER and http.keep_alive_hint is None:
                # What `idle_until` comes to, mostly.
                good = keepalive is None or now < http.last_used + keepalive or entry.leases > 0
            else:
                good = entry.leases > 0 or now < self.idle_until(entry)
            if good:
                self._lease(entry, free)
                return entry
            self._set_available(entry, False)
            if not entry.leases:
                self._take_out(entry)
                self._serve()
        return None

    def reserve(self, key: ConnectionKey) -> bool:
        """Give the right to open a connection for *key*, if there is one to give.

        It is used up by `add` or given back by `cancel`.
        """
        group = self._group(key)
        if group.endpoint.blocked or (self._full and not self._idle):
            self._forget(group)
            return False
        self._grant_slot(group)
        return True

    def reserve_spare(self, key: ConnectionKey) -> bool:
        """The same, but only where nothing has to be closed for it."""
        group = self._group(key)
        endpoint = group.endpoint
        if self._full or (endpoint.limit and endpoint.total >= endpoint.limit):
            self._forget(group)
            return False
        self._grant_slot(group)
        return True

    def wait(self, key: ConnectionKey, payload: object) -> Waiter:
        """Stand in line for *key*; the answer comes through `granted`."""
        group = self._group(key)
        self._ticket += 1
        waiter = Waiter(group, self._ticket, payload)
        group.waiting[waiter] = None
        group.endpoint.waiting[waiter] = None
        self._waiting += 1
        self._mark_ready(group.endpoint)
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Leave the line. Of what was granted already, the caller gives back."""
        if waiter.state is WaiterState.WAITING:
            self._unqueue(waiter, WaiterState.GONE)
            self._forget(waiter.group)
            if len(self._ready) > 2 * self._waiting + 64:
                self._rebuild_ready()

    # -- connections come and go

    def add(self, key: ConnectionKey, http: Poolable, now: float) -> Entry:
        """Use a reserved slot for the new connection *http*, leased to who made it."""
        limits = self.limits
        expires, max_uses = _NEVER, _NEVER
        if limits.max_age is not None:
            expires = now + limits.max_age * (1.0 - _JITTER * self._jitter())
        if limits.max_uses is not None:
            max_uses = max(1, round(limits.max_uses * (1.0 - _JITTER * self._jitter())))
        entry = Entry(http, self._groups[key], expires, max_uses)
        entry.capacity = http.free()  # the last that can fail: only then anything is counted
        self._created += 1
        self._active += 1
        entry.leases = entry.uses = 1
        if entry.capacity > 1:
            self._set_available(entry, True)
        return entry

    def park(self, key: ConnectionKey, http: Poolable, now: float) -> Entry:
        """Use a reserved slot for a connection that nobody wants yet."""
        entry = self.add(key, http, now)
        entry.uses = 0
        self.release(entry, now)
        return entry

    def cancel(self, key: ConnectionKey) -> None:
        """Give a reserved slot back: the connection did not come to be."""
        self._free_slot(self._groups[key])
        self._serve()

    def release(self, entry: Entry, now: float, *, reusable: bool = True) -> None:
        """End one request's use of *entry*.

        Args:
            reusable: False to have the connection closed whatever its state.
        """
        entry.leases -= 1
        if (
            reusable
            and not self.limits.force_close
            and entry.uses < entry.max_uses
            and now < entry.expires
            and (entry.http.free() > 0 or (entry.leases > 0 and not entry.http.closed))
        ):
            if not entry.available:
                entry.available = True
                entry.group.available[entry] = None
            if not entry.leases:
                self._active -= 1
                self._idle[entry] = None
                entry.group.endpoint.idle += 1
            if self._waiting:
                self._serve_line(entry)
            return
        entry.expires = -_NEVER  # the last of its requests takes it away
        if entry.available:
            self._set_available(entry, False)
        if not entry.leases:
            self._active -= 1
            self._discarded += 1
            self.doomed.append(entry)
            self._free_slot(entry.group)
            self._serve()

    def replace(self, entry: Entry) -> None:
        """Give up *entry*, given to a waiter and found dead, for the right to open another."""
        entry.leases -= 1
        entry.expires = -_NEVER
        if entry.available:
            self._set_available(entry, False)
        if entry.leases:  # others have yet to notice; until then there is one slot more
            entry.group.total += 1
            entry.group.endpoint.total += 1
            self._total += 1
        else:
            self._active -= 1
            self._discarded += 1
            self.doomed.append(entry)

    def discard(self, entry: Entry) -> None:
        """Take out a connection that was lost. Leased ones go when released."""
        if entry.available:
            self._set_available(entry, False)
            if not entry.leases:
                self._take_out(entry)
                self._serve()

    def sweep(self, now: float) -> float | None:
        """Take out what has been idle too long.

        Returns:
            When to sweep again; ``None`` while nothing is idle.
        """
        nearest = _NEVER
        for entry in list(self._idle):
            until = self.idle_until(entry)
            if until <= now or entry.http.free() <= 0:
                self._set_available(entry, False)
                self._take_out(entry)
            else:
                nearest = min(nearest, until)
        self._serve()
        return nearest if self._idle else None

    def clear(self) -> None:
        """Take out everything idle and send everyone in line away (`WaiterState.GONE`)."""
        for endpoint in list(self._endpoints.values()):
            for waiter in list(endpoint.waiting):
                self.leave(waiter)
                self.granted.append(waiter)
        for entry in list(self._idle):
            self._set_available(entry, False)
            self._take_out(entry)
        self._ready.clear()

    # -- questions

    @property
    def has_idle(self) -> bool:
        return bool(self._idle)

    def idle_count(self, key: ConnectionKey) -> int:
        """How many connections for *key* are idle."""
        group = self._groups.get(key)
        return 0 if group is None else sum(1 for entry in group.available if not entry.leases)

    def idle_until(self, entry: Entry) -> float:
        """Loop time at which *entry*, if it stays idle, is not good any more."""
        keepalive = self.limits.keepalive_timeout
        http = entry.http
        until = entry.expires
        if keepalive is not None:
            end = http.last_used + keepalive
            if end < until:
                until = end
        hint = http.keep_alive_hint
        if hint is not None:
            end = http.last_used + hint - _HINT_MARGIN
            if end < until:
                until = end
        return until

    def stats(self) -> PoolStats:
        """Count everything; costs nothing."""
        idle = len(self._idle)
        return PoolStats(
            connecting=self._total - self._active - idle,
            active=self._active,
            idle=idle,
            waiting=self._waiting,
            created=self._created,
            reused=self._reused,
            closed=self._discarded,
        )

    # -- one connection

    def _lease(self, entry: Entry, free: int) -> None:
        self._reused += 1
        if not entry.leases:
            self._active += 1
            del self._idle[entry]
            entry.group.endpoint.idle -= 1
            entry.capacity = free
        entry.leases += 1
        entry.uses += 1
        if entry.leases >= entry.capacity or entry.uses >= entry.max_uses:
            entry.available = False
            del entry.group.available[entry]

    def _set_available(self, entry: Entry, value: bool) -> None:
        entry.available = value
        if value:
            entry.group.available[entry] = None
        else:
            del entry.group.available[entry]

    def _take_out(self, entry: Entry) -> None:
        """Remove an idle connection; its slot is free then, and nobody has it yet."""
        del self._idle[entry]
        entry.group.endpoint.idle -= 1
        self._discarded += 1
        self.doomed.append(entry)
        self._free_slot(entry.group)

    # -- slots

    @property
    def _full(self) -> bool:
        return bool(self.limits.limit) and self._total >= self.limits.limit

    def _grant_slot(self, group: _Group) -> None:
        endpoint = group.endpoint
        group.total += 1  # first, so that an eviction does not take the group away
        endpoint.total += 1
        self._total += 1
        if endpoint.limit and endpoint.total > endpoint.limit:
            # Another key of the same endpoint, say with other TLS settings, gives way.
            self._evict(next(entry for entry in self._idle if entry.group.endpoint is endpoint))
        elif self.limits.limit and self._total > self.limits.limit:
            self._evict(next(iter(self._idle)))

    def _evict(self, entry: Entry) -> None:
        self._set_available(entry, False)
        self._take_out(entry)

    def _free_slot(self, group: _Group) -> None:
        group.total -= 1
        group.endpoint.total -= 1
        self._total -= 1
        self._mark_ready(group.endpoint)
        self._forget(group)

    def _group(self, key: ConnectionKey) -> _Group:
        group = self._groups.get(key)
        if group is None:
            name = key.endpoint
            endpoint = self._endpoints.get(name)
            if endpoint is None:
                endpoint = _Endpoint(name, self.limits.for_host(key.host, key.port))
                self._endpoints[name] = endpoint
            group = self._groups[key] = _Group(key, endpoint)
        return group

    def _forget(self, group: _Group) -> None:
        """Keep nothing of hosts that nobody talks to any more."""
        if not group.total and not group.waiting:
            self._groups.pop(group.key, None)
            endpoint = group.endpoint
            if not endpoint.total and not endpoint.waiting:
                self._endpoints.pop(endpoint.name, None)

    # -- lines

    def _serve_line(self, entry: Entry) -> None:
        """Give *entry*, just become available, to its own line, unless others are due."""
        group = entry.group
        self._mark_ready(group.endpoint)
        while group.waiting and entry.available:
            own = next(iter(group.waiting))
            head = self._first_ready()
            if head is not None and head.group is not group and head.ticket < own.ticket:
                may_open = self._idle or not self._full
                if may_open and (head.group.total == 0 or head.overtaken >= MAX_OVERTAKEN):
                    self._serve_one(head)
                    continue
                head.overtaken += 1
            self._unqueue(own, WaiterState.ENTRY)
            own.entry = entry
            self._lease(entry, entry.http.free())
            self.granted.append(own)
        self._serve()

    def _serve(self) -> None:
        """Hand out slots, oldest waiter first, as long as there are any."""
        while self._waiting and not (self._full and not self._idle):
            head = self._first_ready()
            if head is None:
                return
            self._serve_one(head)

    def _serve_one(self, waiter: Waiter) -> None:
        self._unqueue(waiter, WaiterState.SLOT)
        self._grant_slot(waiter.group)
        self.granted.append(waiter)

    def _unqueue(self, waiter: Waiter, state: WaiterState) -> None:
        group = waiter.group
        del group.waiting[waiter]
        del group.endpoint.waiting[waiter]
        self._waiting -= 1
        waiter.state = state

    def _mark_ready(self, endpoint: _Endpoint) -> None:
        if endpoint.waiting and not endpoint.in_heap and not endpoint.blocked:
            endpoint.in_heap = True
            heapq.heappush(self._ready, (next(iter(endpoint.waiting)).ticket, endpoint))

    def _first_ready(self) -> Waiter | None:
        """The oldest waiter whose endpoint may open a connection."""
        ready = self._ready
        while ready:
            ticket, endpoint = ready[0]
            if not endpoint.waiting or endpoint.blocked:
                heapq.heappop(ready)
                endpoint.in_heap = False
                continue
            head = next(iter(endpoint.waiting))
            if head.ticket == ticket:
                return head
            heapq.heapreplace(ready, (head.ticket, endpoint))
        return None

    def _rebuild_ready(self) -> None:
        """Throw out of the heap what no longer waits; those who give up leave their entry."""
        kept = []
        for _, endpoint in self._ready:
            endpoint.in_heap = bool(endpoint.waiting)
            if endpoint.in_heap:
                kept.append((next(iter(endpoint.waiting)).ticket, endpoint))
        heapq.heapify(kept)
        self._ready = kept
