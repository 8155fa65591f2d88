"""What a pool is told and what it tells: limits, connections as it sees them, numbers."""

from collections.abc import Mapping
from typing import Protocol

import attrs

__all__ = ("PoolLimits", "PoolStats", "Poolable")


class Poolable(Protocol):
    """What the pool needs to know of a connection (`HttpConnection` has it)."""

    @property
    def closed(self) -> bool: ...
    @property
    def last_used(self) -> float: ...
    @property
    def keep_alive_hint(self) -> float | None: ...
    def free(self) -> int: ...


@attrs.frozen(kw_only=True)
class PoolLimits:
    """What a pool may hold, and for how long. 0 or ``None`` switches a limit off."""

    limit: int = 100
    """Connections in all, idle ones included."""
    limit_per_host: int = 0
    """Connections to one (host, port, is_ssl)."""
    limits_by_host: Mapping[str, int] = attrs.field(factory=dict)
    """Exceptions to *limit_per_host*, by ``"host"`` or ``"host:port"``."""
    keepalive_timeout: float | None = 15.0
    """Seconds a connection may be idle."""
    max_age: float | None = None
    """Seconds after which a connection is not used again."""
    max_uses: int | None = None
    """Requests after which a connection is not used again."""
    force_close: bool = False
    """Use every connection once."""

    def for_host(self, host: str, port: int | None) -> int:
        """The limit of connections to one endpoint."""
        by_host = self.limits_by_host
        if not by_host:
            return self.limit_per_host
        found = by_host.get(f"{host}:{port}")
        if found is None:
            found = by_host.get(host, self.limit_per_host)
        return found


@attrs.frozen(kw_only=True)
class PoolStats:
    """A snapshot of a pool; the sums since its making come last."""

    connecting: int
    """Slots granted to connections that are being made."""
    active: int
    """Connections with at least one request on them."""
    idle: int
    waiting: int
    """Requests that wait for a slot."""
    created: int
    """Connections made."""
    reused: int
    """Requests that found a connection."""
    closed: int
    """Connections that left the pool, for whatever reason."""

    @property
    def total(self) -> int:
        """Slots in use."""
        return self.connecting + self.active + self.idle
