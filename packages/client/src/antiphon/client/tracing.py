"""Observation points of a request.

A `TraceConfig` has a signal for each point; a session calls what was appended
to it. Without trace configs none of this costs anything.
"""

from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import attrs
from multidict import CIMultiDict
from yarl import URL

if TYPE_CHECKING:
    from .response import ClientResponse
    from .session import ClientSession

__all__ = (
    "Signal",
    "Trace",
    "TraceConfig",
    "TraceConnectionCreateEndParams",
    "TraceConnectionCreateStartParams",
    "TraceConnectionQueuedEndParams",
    "TraceConnectionQueuedStartParams",
    "TraceConnectionReuseconnParams",
    "TraceDnsCacheHitParams",
    "TraceDnsCacheMissParams",
    "TraceDnsResolveHostEndParams",
    "TraceDnsResolveHostStartParams",
    "TraceRequestChunkSentParams",
    "TraceRequestEndParams",
    "TraceRequestExceptionParams",
    "TraceRequestHeadersSentParams",
    "TraceRequestRedirectParams",
    "TraceRequestStartParams",
    "TraceResponseChunkReceivedParams",
)


@attrs.frozen
class TraceRequestStartParams:
    """A request is about to be made."""

    method: str
    url: URL
    headers: CIMultiDict[str]


@attrs.frozen
class TraceRequestChunkSentParams:
    """A piece of the request's content was written."""

    method: str
    url: URL
    chunk: bytes


@attrs.frozen
class TraceResponseChunkReceivedParams:
    """The response's content, or a piece of it, was read."""

    method: str
    url: URL
    chunk: bytes


@attrs.frozen
class TraceRequestEndParams:
    """The response's head has come."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: "ClientResponse"


@attrs.frozen
class TraceRequestExceptionParams:
    """The request failed."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    exception: BaseException


@attrs.frozen
class TraceRequestRedirectParams:
    """A redirect came and is followed."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: "ClientResponse"


@attrs.frozen
class TraceConnectionQueuedStartParams:
    """The request waits for the pool."""


@attrs.frozen
class TraceConnectionQueuedEndParams:
    """The request waited long enough: it may have a connection."""


@attrs.frozen
class TraceConnectionCreateStartParams:
    """A new connection is about to be made."""


@attrs.frozen
class TraceConnectionCreateEndParams:
    """A new connection was made."""


@attrs.frozen
class TraceConnectionReuseconnParams:
    """A connection of the pool is used again."""


@attrs.frozen
class TraceDnsResolveHostStartParams:
    """A name is about to be resolved."""

    host: str


@attrs.frozen
class TraceDnsResolveHostEndParams:
    """A name was resolved."""

    host: str


@attrs.frozen
class TraceDnsCacheHitParams:
    """A name's addresses were known."""

    host: str


@attrs.frozen
class TraceDnsCacheMissParams:
    """A name's addresses were not known."""

    host: str


@attrs.frozen
class TraceRequestHeadersSentParams:
    """The request's head was written."""

    method: str
    url: URL
    headers: CIMultiDict[str]


_P = TypeVar("_P")
_P_contra = TypeVar("_P_contra", contravariant=True)


class _Callback(Protocol[_P_contra]):
    def __call__(
        self, session: "ClientSession", context: Any, params: _P_contra, /
    ) -> Awaitable[None]: ...


class Signal(list[_Callback[_P]], Generic[_P]):
    """A list of callbacks; each is awaited in turn, in the order they were appended."""

    def __init__(self) -> None:
        super().__init__()
        self._frozen = False

    @property
    def frozen(self) -> bool:
        """Whether nothing can be appended any more."""
        return self._frozen

    def freeze(self) -> None:
        """Let nothing be appended any more: a session is using it."""
        self._frozen = True

    def append(self, callback: _Callback[_P], /) -> None:
        """Call *callback* from now on.

        Raises:
            RuntimeError: A session is using the signal already.
        """
        if self._frozen:
            raise RuntimeError("Cannot modify a frozen signal: a session is using it")
        super().append(callback)

    async def send(self, session: "ClientSession", context: Any, params: _P) -> None:
        """Await each callback with these arguments."""
        for callback in self:
            await callback(session, context, params)


class TraceConfig:
    """Which callbacks observe the requests of the sessions that are given this.

    A callback is ``async def callback(session, trace_config_ctx, params)``.

    Args:
        trace_config_ctx_factory: Makes the object that accompanies one request through all
            callbacks; called with the keyword ``trace_request_ctx``.
    """

    def __init__(self, trace_config_ctx_factory: Callable[..., Any] = SimpleNamespace) -> None:
        self._factory = trace_config_ctx_factory
        self._on_request_start: Signal[TraceRequestStartParams] = Signal()
        self._on_request_chunk_sent: Signal[TraceRequestChunkSentParams] = Signal()
        self._on_response_chunk_received: Signal[TraceResponseChunkReceivedParams] = Signal()
        self._on_request_end: Signal[TraceRequestEndParams] = Signal()
        self._on_request_exception: Signal[TraceRequestExceptionParams] = Signal()
        self._on_request_redirect: Signal[TraceRequestRedirectParams] = Signal()
        self._on_connection_queued_start: Signal[TraceConnectionQueuedStartParams] = Signal()
        self._on_connection_queued_end: Signal[TraceConnectionQueuedEndParams] = Signal()
        self._on_connection_create_start: Signal[TraceConnectionCreateStartParams] = Signal()
        self._on_connection_create_end: Signal[TraceConnectionCreateEndParams] = Signal()
        self._on_connection_reuseconn: Signal[TraceConnectionReuseconnParams] = Signal()
        self._on_dns_resolvehost_start: Signal[TraceDnsResolveHostStartParams] = Signal()
        self._on_dns_resolvehost_end: Signal[TraceDnsResolveHostEndParams] = Signal()
        self._on_dns_cache_hit: Signal[TraceDnsCacheHitParams] = Signal()
        self._on_dns_cache_miss: Signal[TraceDnsCacheMissParams] = Signal()
        self._on_request_headers_sent: Signal[TraceRequestHeadersSentParams] = Signal()

    def trace_config_ctx(self, trace_request_ctx: Mapping[str, Any] | None = None) -> Any:
        """Make the object that accompanies one request."""
        return self._factory(trace_request_ctx=trace_request_ctx)

    def freeze(self) -> None:
        """Let no callback be added any more."""
        for signal in vars(self).values():
            if isinstance(signal, Signal):
                signal.freeze()

    @property
    def on_request_start(self) -> "Signal[TraceRequestStartParams]":
        """Before a request is made; once, redirects or not."""
        return self._on_request_start

    @property
    def on_request_chunk_sent(self) -> "Signal[TraceRequestChunkSentParams]":
        """After a piece of the request's content was written."""
        return self._on_request_chunk_sent

    @property
    def on_response_chunk_received(self) -> "Signal[TraceResponseChunkReceivedParams]":
        """After the response's content was read."""
        return self._on_response_chunk_received

    @property
    def on_request_end(self) -> "Signal[TraceRequestEndParams]":
        """After the final response's head has come."""
        return self._on_request_end

    @property
    def on_request_exception(self) -> "Signal[TraceRequestExceptionParams]":
        """After the request failed."""
        return self._on_request_exception

    @property
    def on_request_redirect(self) -> "Signal[TraceRequestRedirectParams]":
        """Before a redirect is followed."""
        return self._on_request_redirect

    @property
    def on_connection_queued_start(self) -> "Signal[TraceConnectionQueuedStartParams]":
        """Before the request waits for the pool."""
        return self._on_connection_queued_start

    @property
    def on_connection_queued_end(self) -> "Signal[TraceConnectionQueuedEndParams]":
        """After the request waited for the pool."""
        return self._on_connection_queued_end

    @property
    def on_connection_create_start(self) -> "Signal[TraceConnectionCreateStartParams]":
        """Before a connection is made."""
        return self._on_connection_create_start

    @property
    def on_connection_create_end(self) -> "Signal[TraceConnectionCreateEndParams]":
        """After a connection was made."""
        return self._on_connection_create_end

    @property
    def on_connection_reuseconn(self) -> "Signal[TraceConnectionReuseconnParams]":
        """After a connection of the pool was taken."""
        return self._on_connection_reuseconn

    @property
    def on_dns_resolvehost_start(self) -> "Signal[TraceDnsResolveHostStartParams]":
        """Before a name is resolved."""
        return self._on_dns_resolvehost_start

    @property
    def on_dns_resolvehost_end(self) -> "Signal[TraceDnsResolveHostEndParams]":
        """After a name was resolved."""
        return self._on_dns_resolvehost_end

    @property
    def on_dns_cache_hit(self) -> "Signal[TraceDnsCacheHitParams]":
        """When a name's addresses are in the cache."""
        return self._on_dns_cache_hit

    @property
    def on_dns_cache_miss(self) -> "Signal[TraceDnsCacheMissParams]":
        """When a name's addresses are not in the cache."""
        return self._on_dns_cache_miss

    @property
    def on_request_headers_sent(self) -> "Signal[TraceRequestHeadersSentParams]":
        """After the request's head was written."""
        return self._on_request_headers_sent


class Trace:
    """One trace config at work on one request: what the client calls.

    Args:
        session: The session that makes the request.
        trace_config: Whose callbacks to call.
        trace_config_ctx: The object that accompanies the request.
    """

    __slots__ = ("_config", "_context", "_session")

    def __init__(
        self, session: "ClientSession", trace_config: TraceConfig, trace_config_ctx: Any
    ) -> None:
        self._config = trace_config
        self._context = trace_config_ctx
        self._session = session

    async def send_request_start(self, method: str, url: URL, headers: CIMultiDict[str]) -> None:
        """Before a request is made; once, redirects or not."""
        signal = self._config.on_request_start
        if signal:
            await signal.send(
                self._session, self._context, TraceRequestStartParams(method, url, headers)
            )

    async def send_request_chunk_sent(self, method: str, url: URL, chunk: bytes) -> None:
        """After a piece of the request's content was written."""
        signal = self._config.on_request_chunk_sent
        if signal:
            await signal.send(
                self._session, self._context, TraceRequestChunkSentParams(method, url, chunk)
            )

    async def send_response_chunk_received(self, method: str, url: URL, chunk: bytes) -> None:
        """After the response's content was read."""
        signal = self._config.on_response_chunk_received
        if signal:
            await signal.send(
                self._session, self._context, TraceResponseChunkReceivedParams(method, url, chunk)
            )

    async def send_request_end(
        self, method: str, url: URL, headers: CIMultiDict[str], response: "ClientResponse"
    ) -> None:
        """After the final response's head has come."""
        signal = self._config.on_request_end
        if signal:
            await signal.send(
                self._session, self._context, TraceRequestEndParams(method, url, headers, response)
            )

    async def send_request_exception(
        self, method: str, url: URL, headers: CIMultiDict[str], exception: BaseException
    ) -> None:
        """After the request failed."""
        signal = self._config.on_request_exception
        if signal:
            await signal.send(
                self._session,
                self._context,
                TraceRequestExceptionParams(method, url, headers, exception),
            )

    async def send_request_redirect(
        self, method: str, url: URL, headers: CIMultiDict[str], response: "ClientResponse"
    ) -> None:
        """Before a redirect is followed."""
        signal = self._config.on_request_redirect
        if signal:
            await signal.send(
                self._session,
                self._context,
                TraceRequestRedirectParams(method, url, headers, response),
            )

    async def send_connection_queued_start(self) -> None:
        """Before the request waits for the pool."""
        signal = self._config.on_connection_queued_start
        if signal:
            await signal.send(self._session, self._context, TraceConnectionQueuedStartParams())

    async def send_connection_queued_end(self) -> None:
        """After the request waited for the pool."""
        signal = self._config.on_connection_queued_end
        if signal:
            await signal.send(self._session, self._context, TraceConnectionQueuedEndParams())

    async def send_connection_create_start(self) -> None:
        """Before a connection is made."""
        signal = self._config.on_connection_create_start
        if signal:
            await signal.send(self._session, self._context, TraceConnectionCreateStartParams())

    async def send_connection_create_end(self) -> None:
        """After a connection was made."""
        signal = self._config.on_connection_create_end
        if signal:
            await signal.send(self._session, self._context, TraceConnectionCreateEndParams())

    async def send_connection_reuseconn(self) -> None:
        """After a connection of the pool was taken."""
        signal = self._config.on_connection_reuseconn
        if signal:
            await signal.send(self._session, self._context, TraceConnectionReuseconnParams())

    async def send_dns_resolvehost_start(self, host: str) -> None:
        """Before a name is resolved."""
        signal = self._config.on_dns_resolvehost_start
        if signal:
            await signal.send(self._session, self._context, TraceDnsResolveHostStartParams(host))

    async def send_dns_resolvehost_end(self, host: str) -> None:
        """After a name was resolved."""
        signal = self._config.on_dns_resolvehost_end
        if signal:
            await signal.send(self._session, self._context, TraceDnsResolveHostEndParams(host))

    async def send_dns_cache_hit(self, host: str) -> None:
        """When a name's addresses are in the cache."""
        signal = self._config.on_dns_cache_hit
        if signal:
            await signal.send(self._session, self._context, TraceDnsCacheHitParams(host))

    async def send_dns_cache_miss(self, host: str) -> None:
        """When a name's addresses are not in the cache."""
        signal = self._config.on_dns_cache_miss
        if signal:
            await signal.send(self._session, self._context, TraceDnsCacheMissParams(host))

    async def send_request_headers(self, method: str, url: URL, headers: CIMultiDict[str]) -> None:
        """After the request's head was written."""
        signal = self._config.on_request_headers_sent
        if signal:
            await signal.send(
                self._session, self._context, TraceRequestHeadersSentParams(method, url, headers)
            )
