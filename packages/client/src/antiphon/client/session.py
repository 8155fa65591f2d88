"""The user's front door: defaults, verbs, lifetime. No protocol is spoken here."""

import asyncio
import json
import logging
import sys
import traceback
import warnings
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ssl import SSLContext
from types import TracebackType
from typing import Any, Final, Self, Unpack

import attrs
from multidict import CIMultiDict, istr
from yarl import URL

from antiphon.core import hdrs
from antiphon.core.deprecations import deprecated, warn_deprecated
from antiphon.core.fields.basic_auth import BasicAuth
from antiphon.core.http import HttpVersion, HttpVersion11
from antiphon.core.typedefs import LooseHeaders, Query, StrOrURL
from antiphon.core.websocket.handshake import ClientHandshake

from . import _send
from ._call import Call
from ._context import OneShot, RequestContext
from ._flights import Flight, Flights
from ._session_headers import SessionHeaders
from ._target import Target, resolve, resolve_reference, with_params
from .connector.base import UNSET, BaseConnector, Unset, place_of_user
from .connector.tcp import TCPConnector
from .cookiejar import AbstractCookieJar, CookieJar
from .environment import NetrcFile
from .errors import ClientConnectionError
from .middlewares import ClientMiddlewareType
from .options import (
    DEFAULT_TIMEOUT,
    ClientTimeout,
    ClientWSTimeout,
    LooseCookies,
    ReadArguments,
    RequestArguments,
    RequestOptions,
    SSLOption,
    WriteArguments,
    read_iterators,
    timeout_option,
)
from .request import ClientRequest
from .response import ClientResponse
from .tracing import TraceConfig
from .ws import ClientWebSocketResponse, WebSocketOptions, accept, handshake_for

__all__ = ("ClientSession", "request")

_RaiseForStatus = bool | Callable[[ClientResponse], Awaitable[None]]

_logger: Final = logging.getLogger("antiphon.client")

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that `ClientSession.close` waits at most for sockets to be gone."""


def _utf8(response: ClientResponse, body: bytes) -> str:
    return "utf-8"


class ClientSession:
    """Makes requests: connections, cookies and defaults in common.

    Every argument is what aiohttp documents under its name; ``None`` and left out mean the
    same. Made inside a running event loop or before it; used on one loop only.

    Args:
        base_url: What relative URLs are relative to; its path ends with a slash.
        connector: Where connections come from; a `TCPConnector` of its own by default.
        loop: Obsolete (ANT-0004).
        cookies: To begin with.
        headers: Sent with every request that does not set the same ones.
        proxy: For every request that names none.
        proxy_auth: Obsolete (ANT-0006).
        skip_auto_headers: Names of fields that are not to be added by themselves.
        auth: Obsolete (ANT-0006).
        json_serialize: Makes text of what is given as ``json=``.
        json_serialize_bytes: Makes bytes of it, and is used instead where given.
        request_class: What requests are made of.
        response_class: What responses are made of.
        ws_response_class: What WebSockets are made of.
        version: HTTP version to speak.
        cookie_jar: Where cookies are kept.
        connector_owner: Close the connector together with the session.
        raise_for_status: Raise for status 400 and more; or a coroutine function that
            judges each response.
        read_timeout: Obsolete (ANT-0019).
        conn_timeout: Obsolete (ANT-0019).
        timeout: Time limits of each request.
        auto_decompress: Decode content codings.
        trust_env: Use proxy variables and ``.netrc``.
        requote_redirect_url: Quote what servers forget to quote in ``Location``.
        trace_configs: Who observes.
        read_bufsize: Bytes of content kept unread, per response; reading pauses at twice that.
        max_line_size: Bytes of a status line.
        max_field_size: Bytes of a header field.
        max_headers: Number of header fields.
        fallback_charset_resolver: Names the charset of text whose response does not.
        middlewares: Functions around every request.
        ssl_shutdown_timeout: Obsolete (ANT-0015); closing is bounded anyway.
        ssl: How certificates are checked, for every request that says nothing else.
        max_size: Bytes of content, decoded, that reading it whole may take.
    """

    ATTRS: Final = frozenset[str]()
    """Names that may be set on a session; there for old code, nothing is refused."""

    _closed = True  # for __del__, should __init__ not get far
    _connector: BaseConnector | None = None

    def __init__(
        self,
        base_url: StrOrURL | None = None,
        *,
        connector: BaseConnector | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        cookies: LooseCookies | None = None,
        headers: LooseHeaders | None = None,
        proxy: StrOrURL | None = None,
        proxy_auth: BasicAuth | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        auth: BasicAuth | None = None,
        json_serialize: Callable[[Any], str] = json.dumps,
        json_serialize_bytes: Callable[[Any], bytes] | None = None,
        request_class: type[ClientRequest] = ClientRequest,
        response_class: type[ClientResponse] = ClientResponse,
        ws_response_class: type[ClientWebSocketResponse] = ClientWebSocketResponse,
        version: HttpVersion = HttpVersion11,
        cookie_jar: AbstractCookieJar | None = None,
        connector_owner: bool = True,
        raise_for_status: _RaiseForStatus = False,
        read_timeout: float | None = None,
        conn_timeout: float | None = None,
        timeout: ClientTimeout | float | None = None,
        auto_decompress: bool = True,
        trust_env: bool = False,
        requote_redirect_url: bool = True,
        trace_configs: Iterable[TraceConfig] | None = None,
        read_bufsize: int = 2**18,
        max_line_size: int = 8190,
        max_field_size: int = 8190,
        max_headers: int = 128,
        fallback_charset_resolver: Callable[[ClientResponse, bytes], str] = _utf8,
        middlewares: Sequence[ClientMiddlewareType] = (),
        ssl_shutdown_timeout: float | Unset | None = UNSET,
        ssl: SSLOption = True,
        max_size: int | None = None,
    ) -> None:
        if loop is not None:
            warn_deprecated("ANT-0004")
        if auth is not None or proxy_auth is not None:
            warn_deprecated("ANT-0006")
        if ssl_shutdown_timeout is not UNSET:
            warn_deprecated("ANT-0015")
        self._base_url = None if base_url is None else _checked_base(base_url)
        self.base_target: Target | None = None
        """What the base URL comes to."""
        if self._base_url is not None:
            self.base_target = resolve(self._base_url)
        self._made_at = place_of_user()
        self._source_traceback: traceback.StackSummary | None = None
        running = asyncio._get_running_loop()
        self._loop = loop or running
        self._sender: _send.Sender | None = None
        if self._loop is not None and self._loop.get_debug():
            self._source_traceback = traceback.extract_stack(sys._getframe(1))
        if connector is None:
            connector = TCPConnector()
        self._connector = connector
        self._connector_owner = connector_owner
        self.allowed_schemes = connector.allowed_protocol_schema_set
        """URL schemes that the connector can be used for."""
        self._cookie_jar = CookieJar() if cookie_jar is None else cookie_jar
        if cookies:
            self._cookie_jar.update_cookies(cookies)
        self._headers = SessionHeaders(headers, skip_auto_headers, request_class.DEFAULT_HEADERS)
        self._auth = auth
        self.json_serialize_bytes = json_serialize_bytes
        """Makes bytes of what is given as ``json=``, if set."""
        self._json_serialize = json_serialize
        self.request_class = request_class
        """What requests are made of."""
        self.response_class = response_class
        """What responses are made of."""
        self._ws_response_class = ws_response_class
        self._version = version
        self._trust_env = trust_env
        self.netrc = NetrcFile()
        """The user's ``.netrc``, for ``trust_env``."""
        self._requote_redirect_url = requote_redirect_url
        self._trace_configs = list(trace_configs or ())
        for config in self._trace_configs:
            config.freeze()
        self.fallback_charset_resolver = fallback_charset_resolver
        """Names the charset of text whose response does not."""
        self._options = RequestOptions(
            raise_for_status=raise_for_status,
            proxy=URL(proxy) if proxy is not None else None,
            proxy_auth=proxy_auth,
            timeout=_session_timeout(timeout, read_timeout, conn_timeout),
            ssl=ssl,
            read_bufsize=read_bufsize,
            auto_decompress=auto_decompress,
            max_line_size=max_line_size,
            max_field_size=max_field_size,
            max_headers=max_headers,
            middlewares=tuple(middlewares),
            max_size=max_size,
        )
        self._is_plain = self._asks_for_nothing_special()
        self._closed = False

    def _asks_for_nothing_special(self) -> bool:
        """Whether calls without arguments can take the short way."""
        options = self._options
        return (
            self.request_class is ClientRequest
            and not self._trace_configs
            and not options.middlewares
            and not callable(options.raise_for_status)
            and options.proxy is None
            and options.proxy_auth is None
            and self._auth is None
            and options.ssl is True
            and self._version == HttpVersion11
            and not self._trust_env
        )

    # -- verbs

    def request(
        self, method: str, url: StrOrURL, **kwargs: Unpack[RequestArguments]
    ) -> RequestContext[ClientResponse]:
        """Make a request; see the table of arguments in the documentation."""
        return RequestContext(self._request(method, url, **kwargs))

    def get(
        self, url: StrOrURL, *, allow_redirects: bool = True, **kwargs: Unpack[ReadArguments]
    ) -> RequestContext[ClientResponse]:
        """Make a GET request."""
        if allow_redirects:
            return RequestContext(self._request(hdrs.METH_GET, url, **kwargs))
        return RequestContext(self._request(hdrs.METH_GET, url, allow_redirects=False, **kwargs))

    def options(
        self, url: StrOrURL, *, allow_redirects: bool = True, **kwargs: Unpack[ReadArguments]
    ) -> RequestContext[ClientResponse]:
        """Make an OPTIONS request."""
        if allow_redirects:
            return RequestContext(self._request(hdrs.METH_OPTIONS, url, **kwargs))
        return RequestContext(
            self._request(hdrs.METH_OPTIONS, url, allow_redirects=False, **kwargs)
        )

    def head(
        self, url: StrOrURL, *, allow_redirects: bool = False, **kwargs: Unpack[ReadArguments]
    ) -> RequestContext[ClientResponse]:
        """Make a HEAD request; redirects are not followed by default."""
        return RequestContext(
            self._request(hdrs.METH_HEAD, url, allow_redirects=allow_redirects, **kwargs)
        )

    def post(
        self, url: StrOrURL, *, data: Any = None, **kwargs: Unpack[WriteArguments]
    ) -> RequestContext[ClientResponse]:
        """Make a POST request."""
        return RequestContext(self._request(hdrs.METH_POST, url, data=data, **kwargs))

    def put(
        self, url: StrOrURL, *, data: Any = None, **kwargs: Unpack[WriteArguments]
    ) -> RequestContext[ClientResponse]:
        """Make a PUT request."""
        return RequestContext(self._request(hdrs.METH_PUT, url, data=data, **kwargs))

    def patch(
        self, url: StrOrURL, *, data: Any = None, **kwargs: Unpack[WriteArguments]
    ) -> RequestContext[ClientResponse]:
        """Make a PATCH request."""
        return RequestContext(self._request(hdrs.METH_PATCH, url, data=data, **kwargs))

    def delete(
        self, url: StrOrURL, **kwargs: Unpack[RequestArguments]
    ) -> RequestContext[ClientResponse]:
        """Make a DELETE request."""
        return RequestContext(self._request(hdrs.METH_DELETE, url, **kwargs))

    def query(
        self, url: StrOrURL, *, data: Any = None, **kwargs: Unpack[WriteArguments]
    ) -> RequestContext[ClientResponse]:
        """Make a QUERY request: safe like GET, with content like POST."""
        return RequestContext(self._request("QUERY", url, data=data, **kwargs))

    # -- how a request is made

    async def _request(
        self, method: str, str_or_url: StrOrURL, **kwargs: Unpack[RequestArguments]
    ) -> ClientResponse:
        sender = self._sender
        if sender is None or sender.loop is not asyncio._get_running_loop():
            sender = self._bind()
        if kwargs:
            read_iterators(kwargs)
        if (
            self._is_plain
            and method in _PLAIN_METHODS
            and (not kwargs or _PLAIN_ARGUMENTS.issuperset(kwargs))
        ):
            now = sender.loop.time()
            request = self._plain_request(method, str_or_url, kwargs, now)
            if request is not None:
                response = await sender.send(request, now)
                if response.status >= 300:
                    call = Call(self, self._options.merged(kwargs), request.deadline)
                    if call.options.headers is not None:
                        call.headers = self._headers.merged(call.options.headers)
                    response = await call.judged(request, response, sender.send)
                return response
        options = self._options.merged(kwargs)
        total = options.timeout.total
        call = Call(self, options, sender.loop.time() + total if total else None)
        target = self._resolve(str_or_url)
        if self._trace_configs or options.middlewares or callable(options.raise_for_status):
            return await call.observed(method, target, sender.send)
        return await call.perform(call.first_request(method, target), sender.send)

    def _plain_request(
        self, method: str, str_or_url: StrOrURL, arguments: RequestArguments, now: float
    ) -> ClientRequest | None:
        """Return the request of a call that asks for nothing special; ``None`` if it does."""
        target = self._resolve(str_or_url)
        own = None
        if arguments:
            params = arguments.get("params")
            if params:
                target = with_params(target, params)
            own = arguments.get("headers")
        headers = self._headers.complete() if own is None else self._headers.complete_with(own)
        if headers is None or target.login is not None or target.scheme not in self.allowed_schemes:
            return None
        cookies = self._cookie_jar.header_for(target.url)
        if cookies:
            headers = self._headers.with_cookies(headers, cookies)
        request = ClientRequest.plain(method, target, headers, self, self._options)
        total = self._options.timeout.total
        if total:
            request.deadline = now + total
        return request

    def _resolve(self, str_or_url: StrOrURL) -> Target:
        base = self.base_target
        return resolve(str_or_url) if base is None else resolve_reference(base, str_or_url)

    def _bind(self) -> _send.Sender:
        connector = self._connector
        if self._closed or connector is None or connector.closed:
            raise RuntimeError("Session is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError("Session belongs to another event loop")
        if self._sender is None:
            self._sender = _send.Sender(self, connector, self._cookie_jar, loop)
        return self._sender

    # -- what the layers below ask

    @property
    def flights(self) -> Flights:
        """The exchanges under way."""
        return (self._sender or self._bind()).flights

    def complete_headers(self) -> CIMultiDict[str] | None:
        """Return the fields of a request that sets none; ``None`` if they need a closer look."""
        return self._headers.complete()

    def headers_with(self, headers: LooseHeaders | None) -> CIMultiDict[str]:
        """Return the session's fields, with *headers* in the place of those of the same names."""
        return self._headers.merged(headers)

    def skipped(self, names: Iterable[str] | None) -> Iterable[str]:
        """Return the names of fields not to be added by themselves."""
        return self._headers.not_automatic(names)

    # -- WebSockets

    def ws_connect(
        self,
        url: StrOrURL,
        *,
        method: str = hdrs.METH_GET,
        protocols: Iterable[str] = (),
        timeout: ClientWSTimeout | float | None = None,
        receive_timeout: float | None = None,
        autoclose: bool = True,
        autoping: bool = True,
        heartbeat: float | None = None,
        auth: BasicAuth | None = None,
        origin: str | None = None,
        params: Query = None,
        headers: LooseHeaders | None = None,
        proxy: StrOrURL | None = None,
        proxy_auth: BasicAuth | None = None,
        ssl: SSLOption | None = None,
        verify_ssl: bool | None = None,
        fingerprint: bytes | None = None,
        ssl_context: SSLContext | None = None,
        server_hostname: str | None = None,
        proxy_headers: LooseHeaders | None = None,
        compress: int = 0,
        max_msg_size: int = 4 * 1024 * 1024,
        decode_text: bool = True,
    ) -> RequestContext[ClientWebSocketResponse]:
        """Open a WebSocket.

        Args:
            url: Where to: ``ws``, ``wss``, ``http`` or ``https``.
            method: The method of the opening handshake.
            protocols: Subprotocols, the preferred one first.
            timeout: How long to wait when receiving and closing. A number, which is
                obsolete (ANT-0034), is for closing.
            receive_timeout: Obsolete (ANT-0033) spelling of ``timeout.ws_receive``.
            autoclose: Answer the server's close frame.
            autoping: Answer pings.
            heartbeat: Seconds of silence after which a ping is sent.
            auth: Obsolete (ANT-0006).
            origin: What the ``Origin`` field says.
            params: As for `request`; so are *headers*, *proxy*, *proxy_auth*, *ssl*,
                *verify_ssl*, *fingerprint*, *ssl_context*, *server_hostname* and
                *proxy_headers*.
            compress: Window bits of compression to offer, 9 to 15; 0 for none.
            max_msg_size: Bytes of one message, decompressed; 0 for any number.
            decode_text: Give text as `str`; otherwise as bytes.

        Raises:
            WSServerHandshakeError: The server did not agree.
        """
        if not isinstance(timeout, ClientWSTimeout):
            if timeout is not None:
                warn_deprecated("ANT-0034")
            default = ClientWSTimeout()
            timeout = default if timeout is None else ClientWSTimeout(ws_close=timeout)
        if receive_timeout is not None:
            warn_deprecated("ANT-0033")
            timeout = attrs.evolve(timeout, ws_receive=receive_timeout)
        given: RequestArguments = {
            "auth": auth,
            "params": params,
            "proxy": proxy,
            "proxy_auth": proxy_auth,
            "ssl": self._options.ssl if ssl is None else ssl,
            "server_hostname": server_hostname,
            "proxy_headers": proxy_headers,
        }
        if verify_ssl is not None:
            given["verify_ssl"] = verify_ssl
        if fingerprint is not None:
            given["fingerprint"] = fingerprint
        if ssl_context is not None:
            given["ssl_context"] = ssl_context
        options = WebSocketOptions(
            timeout=timeout,
            autoclose=autoclose,
            autoping=autoping,
            heartbeat=heartbeat,
            compress=compress,
            max_msg_size=max_msg_size,
            decode_text=decode_text,
        )
        asked = handshake_for(tuple(protocols), origin, compress)
        return RequestContext(self._ws_connect(url, method, headers, given, asked, options))

    async def _ws_connect(
        self,
        url: StrOrURL,
        method: str,
        headers: LooseHeaders | None,
        given: RequestArguments,
        asked: ClientHandshake,
        options: WebSocketOptions,
    ) -> ClientWebSocketResponse:
        fields: CIMultiDict[str] = CIMultiDict(headers or ())
        for name, value in asked.headers().items():
            fields[name] = value
        given["headers"] = fields
        given["raise_for_status"] = False
        response = await self._request(method, url, **given)
        return await accept(response, asked, options, self._ws_response_class)

    # -- properties

    @property
    def closed(self) -> bool:
        """Whether no request can be made any more."""
        return self._closed or self._connector is None or self._connector.closed

    @property
    def connector(self) -> BaseConnector | None:
        """Where connections come from; ``None`` once closed or detached."""
        return self._connector

    @property
    def connector_owner(self) -> bool:
        """Whether the connector is closed together with the session."""
        return self._connector_owner

    @property
    def version(self) -> HttpVersion:
        """The HTTP version spoken."""
        return self._version

    @property
    @deprecated("Call asyncio.get_running_loop() (ANT-0021)")
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop. Obsolete (ANT-0021)."""
        warn_deprecated("ANT-0021")
        return asyncio.get_running_loop() if self._loop is None else self._loop

    @property
    def base_url(self) -> URL | None:
        """What relative URLs are relative to."""
        return self._base_url

    @property
    def timeout(self) -> ClientTimeout:
        """Time limits of each request."""
        return self._options.timeout

    @property
    def cookie_jar(self) -> AbstractCookieJar:
        """Where cookies are kept; given when the session is made, the same to its end."""
        return self._cookie_jar

    @property
    def headers(self) -> CIMultiDict[str]:
        """Fields sent with every request; may be changed."""
        return self._headers.fields

    @property
    def skip_auto_headers(self) -> frozenset[istr]:
        """Names of fields that are not added by themselves."""
        return self._headers.skipped

    @property
    def auth(self) -> BasicAuth | None:
        """User and password for every request, or for those to the base URL's origin."""
        return self._auth

    @property
    def json_serialize(self) -> Callable[[Any], str]:
        """Makes text of what is given as ``json=``."""
        return self._json_serialize

    @property
    def raise_for_status(self) -> _RaiseForStatus:
        """Whether, or how, responses are judged."""
        return self._options.raise_for_status

    @property
    def auto_decompress(self) -> bool:
        """Whether content codings are decoded."""
        return self._options.auto_decompress

    @property
    def trust_env(self) -> bool:
        """Whether proxy variables and ``.netrc`` are used."""
        return self._trust_env

    @property
    def requote_redirect_url(self) -> bool:
        """Whether what servers forget to quote in ``Location`` is quoted."""
        return self._requote_redirect_url

    @requote_redirect_url.setter
    def requote_redirect_url(self, value: bool) -> None:
        warn_deprecated("ANT-0030")
        self._requote_redirect_url = value

    @property
    def trace_configs(self) -> list[TraceConfig]:
        """Who observes."""
        return self._trace_configs

    # -- end

    def detach(self) -> None:
        """Let go of the connector without closing it; the session is closed then."""
        self._connector = None
        self._sender = None

    async def close(self) -> None:
        """Close the session, and its connector if it owns that.

        Requests under way fail at once. Waits until sockets are gone, a few seconds at most.
        """
        if self._closed:
            return
        self._closed = True
        connector, self._connector = self._connector, None
        sender, self._sender = self._sender, None
        uploads: list[asyncio.Task[None]] = []
        if sender is not None:
            sender.flights.abort_all(_closed_under)
            sender.flights.stop()
            uploads = [flight.upload for flight in sender.flights.uploads if flight.upload]
        owned = connector if self._connector_owner else None
        closing = None if owned is None else owned.close()
        if closing is None and not uploads:
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if closing is not None:
                    await closing
                if uploads:
                    await asyncio.wait(uploads)
        except TimeoutError:
            _logger.warning("connections of %r are still not closed", self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    def __enter__(self) -> None:
        raise TypeError("Use async with instead")

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Never called: entering raises."""

    def __del__(self) -> None:
        if self._closed or self._connector is None or self._connector.closed:
            return
        if not self._connector_owner:
            return
        warnings.warn(
            f"Unclosed client session {self!r}, made at {self._made_at}",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        context: dict[str, Any] = {
            "client_session": self,
            "message": "Unclosed client session",
        }
        if self._source_traceback is not None:
            context["source_traceback"] = self._source_traceback
        loop.call_exception_handler(context)

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        under_way = 0 if self._sender is None else len(self._sender.flights)
        return f"<{type(self).__name__} {state} under_way={under_way} {self._connector!r}>"


_PLAIN_ARGUMENTS: Final = frozenset(("headers", "params"))
_PLAIN_METHODS: Final = frozenset((hdrs.METH_GET, hdrs.METH_DELETE, hdrs.METH_OPTIONS))


def _closed_under(flight: Flight) -> ClientConnectionError:
    failure = flight.failure()
    error = ClientConnectionError(f"Connection closed: the session was closed ({failure})")
    error.failure = failure
    return error


def _checked_base(base_url: StrOrURL) -> URL:
    url = URL(base_url)
    if not url.absolute:
        raise ValueError("base_url must be an absolute URL")
    if not url.path.endswith("/"):
        raise ValueError("base_url must have a trailing '/'")
    if url.raw_user is not None:
        return url
    exact = resolve(base_url).real_url  # text stays as it is written
    return exact.origin().join(URL(exact.raw_path, encoded=True))


def _session_timeout(
    timeout: ClientTimeout | float | None,
    read_timeout: float | None,
    conn_timeout: float | None,
) -> ClientTimeout:
    if read_timeout is None and conn_timeout is None:
        return DEFAULT_TIMEOUT if timeout is None else timeout_option(timeout)
    warn_deprecated("ANT-0019")
    if timeout is not None:
        raise ValueError("read_timeout and conn_timeout cannot be given together with timeout")
    total = DEFAULT_TIMEOUT.total if read_timeout is None else read_timeout
    return ClientTimeout(
        total=total, connect=conn_timeout, sock_connect=DEFAULT_TIMEOUT.sock_connect
    )


def request(
    method: str,
    url: StrOrURL,
    *,
    version: HttpVersion = HttpVersion11,
    connector: BaseConnector | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
    **kwargs: Unpack[RequestArguments],
) -> OneShot:
    """Make one request with a session of its own::

        async with request("GET", url) as response:
            text = await response.text()

    Args:
        method: The method.
        url: Where to.
        version: HTTP version to speak.
        connector: Where the connection comes from; not closed.
        loop: Obsolete (ANT-0004).
        kwargs: As for `ClientSession.request`.
    """
    if loop is not None:
        warn_deprecated("ANT-0004")
    session = ClientSession(version=version, connector=connector, connector_owner=connector is None)
    return OneShot(session.request(method, url, **kwargs), session)
