"""A request's hold on a connection of a pool, and what closing a pool gives to wait for."""

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, cast, final

from antiphon.core.aio.exchange import ConnectionInfo, HttpConnection

from ._pool import Entry
from .key import ConnectionKey

if TYPE_CHECKING:
    from .base import BaseConnector

__all__ = ("Closing", "Connection")


@final
class Connection:
    """One request's use of a connection.

    Made by `BaseConnector.connect`; given back by `release` or `close`, whichever comes first.
    """

    __slots__ = ("__weakref__", "_callbacks", "_connector", "_entry", "http")

    http: HttpConnection
    """The connection itself."""

    def __init__(self, connector: "BaseConnector", entry: Entry) -> None:
        self._connector = connector
        self._entry: Entry | None = entry
        self._callbacks: list[Callable[[], None]] | None = None
        self.http = entry.http  # type: ignore[assignment]  # the pool knows less of it than we do

    @property
    def key(self) -> ConnectionKey | None:
        """Whom it leads to; ``None`` once given back."""
        return None if self._entry is None else self._entry.key

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop it belongs to."""
        return self._connector._running_loop()

    @property
    def info(self) -> ConnectionInfo:
        """What is known of the connection; stays readable after it is given back."""
        return self.http.info

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; ``None`` once given back or lost."""
        return None if self._entry is None else self.http.info.transport

    @property
    def protocol(self) -> HttpConnection | None:
        """The same as `http`; ``None`` once given back."""
        return None if self._entry is None else self.http

    @property
    def closed(self) -> bool:
        """Whether it was given back, or lost."""
        return self._entry is None or self.http.closed

    @property
    def is_wanted(self) -> bool:
        """Whether anybody stands in line for a connection of the same pool."""
        return self._connector.stats().waiting > 0

    def yield_by(self, give_up: Callable[[], None]) -> None:
        """Call *give_up* when somebody comes to stand in line whom this connection's slot helps.

        Args:
            give_up: Gives the connection back in the same step.
        """
        if self._entry is not None:
            self._connector._yielding[self._entry] = give_up

    def add_callback(self, callback: Callable[[], None] | None) -> None:
        """Call *callback* once when the connection is given back."""
        if callback is not None:
            if self._callbacks is None:
                self._callbacks = []
            self._callbacks.append(callback)

    def release(self) -> None:
        """Give the connection back for others to use; close it if it is not fit for that."""
        entry = self._entry
        if entry is not None:
            self._entry = None
            self._connector._give_back(entry, True)
            if self._callbacks is not None:
                self._notify()

    def close(self) -> None:
        """Give the connection back and have it closed."""
        entry = self._entry
        if entry is not None:
            self._entry = None
            self._connector._give_back(entry, False)
            if self._callbacks is not None:
                self._notify()

    def _notify(self) -> None:
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()

    def __repr__(self) -> str:
        return f"<Connection {'given back' if self._entry is None else self._entry.key!r}>"

    def __del__(self) -> None:
        if self._entry is None:
            return
        warnings.warn(f"Unclosed connection {self!r}", ResourceWarning, source=self, stacklevel=2)
        self.close()


@final
class Closing:
    """What `BaseConnector.close` returns; need not be awaited."""

    __slots__ = ("_wait",)

    def __init__(self, wait: Callable[[], Generator[Any, None, None] | Awaitable[None]]) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, None, None]:
        return cast(Awaitable[None], self._wait()).__await__()
