"""A view over one exchange: what a handler sees of a request.

Nothing is parsed, copied or decoded before it is asked for.
"""

import asyncio
import datetime as dt
import json
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

from antiphon.core import hdrs
from antiphon.core.aio.exchange import ConnectionInfo, ServerExchange
from antiphon.core.aio.streams import StreamReader
from antiphon.core.deprecations import deprecated, warn_deprecated
from antiphon.core.errors import quoted
from antiphon.core.fields.charset import find_charset
from antiphon.core.fields.cookies import parse_cookie_header, unquote_cookie_value
from antiphon.core.fields.dates import parse_http_date
from antiphon.core.fields.etag import ETag, parse_etags
from antiphon.core.http import EMPTY, HttpVersion, Length, RawRequestMessage
from antiphon.core.typedefs import LooseHeaders, RawHeaders, StrOrURL

from ._faults import peer_fault
from ._headers import HeadersMixin
from ._items import ItemKey, Items

if TYPE_CHECKING:
    from antiphon.core.aio.multipart import MultipartReader
    from antiphon.core.aio.writer import AbstractStreamWriter

    from ._form import FileField
    from ._signals import Signal
    from .app import Application
    from .handler import RequestHandler
    from .keys import ChainMapProxy
    from .response import StreamResponse
    from .routing._compose import Binding
    from .routing.match_info import UrlMappingMatchInfo

__all__ = ("BaseRequest", "Request")

DEFAULT_MAX_SIZE: Final = 1024**2
"""Bytes of content that `BaseRequest.read` and what stands on it will gather."""

DEFAULT_MAX_FIELDS: Final = 1000
"""Pairs of a form, and of a query: each costs an object."""

# RFC 9110 section 14.1.2, one range. ASCII digits only: CVE-2025-69225.
_RANGE: Final = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


class BaseRequest(HeadersMixin, Items):
    """A request as a bare handler (`antiphon.web.Server`) gets it.

    Args:
        message: The exchange that is to be viewed; or, with the other positional arguments, the
            head of a request (which is what aiohttp's signature asks for).
        payload: The content; only where *message* is a head.
        protocol: The connection; likewise.
        payload_writer: Where the response is written; likewise.
        task: The task that serves the request; likewise.
        loop: Accepted and not needed.
        client_max_size: Limit in bytes on content that is gathered; 0 for none.
        client_max_fields: Limit on pairs of a form and of a query.
        state: Items to start with; shared, not copied.
        scheme: Instead of what the connection says.
        host: Instead of what the request says.
        remote: Instead of the peer's address.

    Items (``request["key"]``) are there for middlewares and handlers to talk to each other.
    """

    POST_METHODS: Final = frozenset((
        hdrs.METH_PATCH,
        hdrs.METH_POST,
        hdrs.METH_PUT,
        hdrs.METH_TRACE,
        hdrs.METH_DELETE,
    ))

    ATTRS: ClassVar[frozenset[str]] = frozenset()
    """Kept for its name: attributes of one's own are welcome here."""

    # Defaults of the class cost nothing per request; most requests are asked for little.
    _client_max_size = DEFAULT_MAX_SIZE
    _client_max_fields = DEFAULT_MAX_FIELDS
    _match_info: Any = None  # an AbstractMatchInfo; only Request knows of matches
    _prepare_signals: "Sequence[Signal[Any, Any]]" = ()
    _request_handler: "RequestHandler | None" = None
    _writer: "AbstractStreamWriter | None" = None
    _origin: "BaseRequest | None" = None
    _begun: "StreamResponse | None" = None
    """The response whose head was handed over; on the request that the server made."""
    _cut = False
    """Whether the response did not come to its end; for the access log."""
    _method: str | None = None
    _headers: CIMultiDictProxy[str] | None = None
    _rel_url: URL | None = None
    _scheme: str | None = None
    _host: str | None = None
    _remote: str | None = None
    _query: "MultiDictProxy[str] | None" = None
    _cookies: Mapping[str, str] | None = None
    _read_bytes: bytes | None = None
    _post: "MultiDictProxy[str | bytes | FileField] | None" = None

    def __init__(
        self,
        message: "ServerExchange | RawRequestMessage",
        payload: StreamReader | None = None,
        protocol: Any = None,
        payload_writer: "AbstractStreamWriter | None" = None,
        task: "asyncio.Task[None] | None" = None,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        client_max_size: int | None = None,
        client_max_fields: int | None = None,
        state: dict[ItemKey, Any] | None = None,
        scheme: str | None = None,
        host: str | None = None,
        remote: str | None = None,
    ) -> None:
        if payload is not None:
            from ._parts import PartsExchange

            message = PartsExchange(
                cast("RawRequestMessage", message), payload, protocol, payload_writer, task
            )
        exchange = cast("ServerExchange", message)
        self._exchange = exchange
        self._head = exchange.head
        if client_max_size is not None:
            self._client_max_size = client_max_size
        if client_max_fields is not None:
            self._client_max_fields = client_max_fields
        if state is not None:
            self._state = state
        if scheme is not None:
            self._scheme = scheme
        if host is not None:
            self._host = host
        if remote is not None:
            self._remote = remote

    def clone(
        self,
        *,
        method: str | None = None,
        rel_url: StrOrURL | None = None,
        headers: LooseHeaders | None = None,
        scheme: str | None = None,
        host: str | None = None,
        remote: str | None = None,
        client_max_size: int | None = None,
        client_max_fields: int | None = None,
    ) -> "BaseRequest":
        """Return a view of the same exchange with some things said otherwise.

        Content and items are shared with the original.

        Raises:
            RuntimeError: The content was read already.
        """
        if self._read_bytes is not None:
            raise RuntimeError("Cannot clone request after reading its content")
        if self._state is None:
            self._state = {}
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._post = None
        other._origin = self._origin or self
        if method is not None:
            other._method = method
        if rel_url is not None:
            other._rel_url = URL(rel_url)
            other._query = None
        if headers is not None:
            other._headers = CIMultiDictProxy(CIMultiDict(headers))
            other._cookies = None
        if scheme is not None:
            other._scheme = scheme
        if host is not None:
            other._host = host
        if remote is not None:
            other._remote = remote
        if client_max_size is not None:
            other._client_max_size = client_max_size
        if client_max_fields is not None:
            other._client_max_fields = client_max_fields
        return other

    def _note_begun(self, response: "StreamResponse") -> None:
        """Remember what was begun, for who has to deal with a failure, on clones as well."""
        (self._origin or self)._begun = response

    # --- the request line

    @property
    def method(self) -> str:
        """The method, such as ``GET``."""
        return self._head.method if self._method is None else self._method

    @property
    def version(self) -> HttpVersion:
        """The protocol version the client speaks."""
        return self._head.version

    @property
    @deprecated(
        "Use the request's own properties, such as method, raw_path, version and headers (ANT-0012)"
    )
    def message(self) -> RawRequestMessage:
        """The head of the request; obsolete."""
        warn_deprecated("ANT-0012")
        return self._head

    @property
    def rel_url(self) -> URL:
        """Path and query as a relative URL.

        Raises:
            HTTPBadRequest: The request target is no URL.
        """
        url = self._rel_url
        if url is None:
            try:
                url = self._head.url
            except ValueError as exc:
                raise _bad_request(f"Bad request target {quoted(self._head.path)}") from exc
            if url.absolute:
                # Absolute-form, as towards a proxy: the scheme in it proves nothing.
                url = url.relative()
            self._rel_url = url
        return url

    @property
    def url(self) -> URL:
        """The whole URL, by `scheme` and `host`.

        Raises:
            HTTPBadRequest: The request has no usable target or host.
        """
        rel_url = self.rel_url
        try:
            return URL.build(scheme=self.scheme, authority=self.host).join(rel_url)
        except ValueError as exc:
            raise _bad_request(f"Bad host {quoted(self.host)}") from exc

    @property
    def path(self) -> str:
        """The path, decoded; ``/`` where the target has none."""
        return self.rel_url.path

    @property
    def path_qs(self) -> str:
        """Path and query as they stand in `rel_url`."""
        return str(self.rel_url)

    @property
    def raw_path(self) -> str:
        """The request target as it came."""
        return self._head.path

    @property
    def query_string(self) -> str:
        """The query, decoded."""
        return self.rel_url.query_string

    @property
    def query(self) -> "MultiDictProxy[str]":
        """The query as a mapping.

        Raises:
            HTTPBadRequest: It has more than `client_max_fields` pairs.
        """
        query = self._query
        if query is None:
            from ._form import parse_pairs

            pairs = parse_pairs(self.rel_url.raw_query_string, self._client_max_fields)
            query = self._query = MultiDictProxy(MultiDict(pairs))
        return query

    # --- where it came from

    @property
    def scheme(self) -> str:
        """``https`` over TLS, else ``http``; or what `clone` or a trusted proxy said."""
        if self._scheme is None:
            self._scheme = "http" if self._exchange.info.ssl_object is None else "https"
        return self._scheme

    @property
    def secure(self) -> bool:
        """Whether `scheme` is ``https``."""
        return self.scheme == "https"

    @property
    def host(self) -> str:
        """The host asked for, with a port if there was one.

        What `clone` or a trusted proxy said, else the authority of an absolute-form target
        (RFC 9112 section 3.2.2), else ``Host``, else the name of this machine.
        """
        host = self._host
        if host is None:
            head = self._head
            if not head.path.startswith("/") and "://" in head.path:
                host = head.url.raw_authority
            if not host:
                host = self.headers.get(hdrs.HOST)
            if host is None:
                host = socket.getfqdn()
            self._host = host
        return host

    @property
    def remote(self) -> str | None:
        """The peer's address without a port; or what `clone` or a trusted proxy said."""
        if self._remote is None:
            peername = self._exchange.info.peername
            if isinstance(peername, (list, tuple)):
                self._remote = str(peername[0])
            elif peername:
                self._remote = str(peername)
        return self._remote

    def _set_forwarded(self, remote: str | None, scheme: str | None, host: str | None) -> None:
        """Say otherwise where the request comes from, as far as not ``None``."""
        self._remote = remote or self._remote
        self._scheme = scheme or self._scheme
        self._host = host or self._host

    @property
    def forwarded(self) -> "tuple[Mapping[str, str], ...]":
        """The elements of all ``Forwarded`` fields, leftmost first (RFC 7239).

        Anybody can send them. See `antiphon.web.proxies` for which to believe.
        """
        from antiphon.core.fields.forwarded import parse_forwarded

        values = self.headers.getall(hdrs.FORWARDED, ())
        return parse_forwarded(", ".join(values))

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport of the connection; ``None`` once it is lost or where there is none."""
        return self._exchange.info.transport

    @property
    def protocol(self) -> ConnectionInfo:
        """The connection the request came on."""
        return self._exchange.info

    @property
    def writer(self) -> "AbstractStreamWriter | None":
        """Where the response is written, once one was prepared."""
        return self._writer

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """The task that serves this request."""
        return self._exchange.task

    @property
    @deprecated("Call asyncio.get_running_loop() (ANT-0013)")
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop; obsolete."""
        warn_deprecated("ANT-0013")
        return asyncio.get_running_loop()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport says about itself; see `asyncio.BaseTransport.get_extra_info`."""
        return self._exchange.info.get_extra_info(name, default)

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may serve another request after this one."""
        return self._exchange.keep_alive

    # --- fields

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields, names case-insensitive."""
        headers = self._headers
        return self._head.headers if headers is None else headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The fields as they came, as pairs of bytes."""
        return self._head.raw_headers

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies the client sent, at most 300; malformed ones are left out."""
        cookies = self._cookies
        if cookies is None:
            values = self.headers.getall(hdrs.COOKIE, ())
            cookies = self._cookies = MappingProxyType({
                name: unquote_cookie_value(value)
                for name, value in parse_cookie_header("; ".join(values))
            })
        return cookies

    @property
    def if_modified_since(self) -> dt.datetime | None:
        """``If-Modified-Since``; ``None`` if there is none or it is no date."""
        return self._date(hdrs.IF_MODIFIED_SINCE)

    @property
    def if_unmodified_since(self) -> dt.datetime | None:
        """``If-Unmodified-Since``; ``None`` if there is none or it is no date."""
        return self._date(hdrs.IF_UNMODIFIED_SINCE)

    @property
    def if_range(self) -> dt.datetime | None:
        """``If-Range`` where it is a date; ``None`` otherwise."""
        return self._date(hdrs.IF_RANGE)

    def _date(self, name: str) -> dt.datetime | None:
        value = self.headers.get(name)
        return None if value is None else parse_http_date(value)

    @property
    def if_match(self) -> "tuple[ETag, ...] | None":
        """The entity tags of ``If-Match``; ``None`` if there is none."""
        return self._etags(hdrs.IF_MATCH)

    @property
    def if_none_match(self) -> "tuple[ETag, ...] | None":
        """The entity tags of ``If-None-Match``; ``None`` if there is none."""
        return self._etags(hdrs.IF_NONE_MATCH)

    def _etags(self, name: str) -> "tuple[ETag, ...] | None":
        values = self.headers.getall(name, ())
        return parse_etags(", ".join(values)) if values else None

    @property
    def http_range(self) -> slice:
        """``Range`` as a slice of the content, ``slice(None, None, 1)`` if there is none.

        Raises:
            ValueError: It is malformed, or asks for several ranges. 400 if nobody handles it.
        """
        value = self.headers.get(hdrs.RANGE)
        if value is None:
            return slice(None, None, 1)
        match = _RANGE.fullmatch(value)
        if match is None:
            raise peer_fault(ValueError("range not in acceptable format"))
        first, last = match.groups()
        if first:
            start = int(first)
            end = int(last) + 1 if last else None
            if end is not None and start >= end:
                raise peer_fault(ValueError("start cannot be after end"))
            return slice(start, end, 1)
        if not last:
            raise peer_fault(ValueError("No start or end of range specified"))
        return slice(-int(last), None, 1)

    # --- content

    @property
    def client_max_size(self) -> int:
        """Limit in bytes on content that is gathered; 0 for none."""
        return self._client_max_size

    @property
    def client_max_fields(self) -> int:
        """Limit on pairs of a form and of a query."""
        return self._client_max_fields

    @property
    def content(self) -> StreamReader:
        """The content as a stream, content codings undone."""
        return self._exchange.content

    @property
    def body_exists(self) -> bool:
        """Whether the request has content, read or not."""
        return self._head.framing is not EMPTY

    @property
    def can_read_body(self) -> bool:
        """Whether there is content that was not read yet."""
        return not self._exchange.content.at_eof()

    @property
    @deprecated("Use BaseRequest.can_read_body (ANT-0014)")
    def has_body(self) -> bool:
        """The same as `can_read_body`; obsolete."""
        warn_deprecated("ANT-0014")
        return self.can_read_body

    @property
    def trailers(self) -> CIMultiDictProxy[str] | None:
        """The fields after the content, once that was read to its end; ``None`` without any."""
        return self._exchange.trailers

    async def read(self) -> bytes:
        """Return the whole content; keeps it, so that it can be asked for again.

        Raises:
            HTTPRequestEntityTooLarge: It is larger than `client_max_size`; raised as soon as
                that is known, from what was announced or from what came so far.
            PayloadEncodingError: The peer broke framing or coding.
            ConnectionError: The peer is gone.
        """
        body = self._read_bytes
        if body is None:
            if self._head.framing is EMPTY:
                body = b""
            else:
                body = await self._gather()
            self._read_bytes = body
        return body

    async def _gather(self) -> bytes:
        limit = self._client_max_size
        framing = self._head.framing
        if limit and isinstance(framing, Length) and framing.size > limit:
            self._exchange.decline_body()
            raise _too_large(limit, framing.size)
        content = self._exchange.content
        chunks = []
        size = 0
        while chunk := await content.readany():
            size += len(chunk)
            if limit and size > limit:
                raise _too_large(limit, size)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def text(self) -> str:
        """Return the whole content as text, by the charset of ``Content-Type``, else UTF-8.

        Raises:
            UnicodeDecodeError: The content is not in that charset. 400 if nobody handles it.
            HTTPBadRequest: There is no such charset.

        And whatever `read` raises.
        """
        body = await self.read()
        charset = self.charset
        if charset is None:
            codec = "utf-8"
        else:
            found = find_charset(charset)
            if found is None:
                raise _bad_request(f"Unknown charset {quoted(charset)}")
            codec = found
        try:
            return body.decode(codec)
        except UnicodeDecodeError as exc:
            peer_fault(exc)
            raise

    async def json(self, *, loads: Callable[[str], Any] = json.loads) -> Any:
        """Return the whole content parsed by *loads*.

        Raises:
            ValueError: The content is not JSON (`json.JSONDecodeError`). 400 if nobody handles it.

        And whatever `text` raises.
        """
        text = await self.text()
        try:
            return loads(text)
        except (ValueError, RecursionError) as exc:
            peer_fault(exc)
            raise

    async def multipart(self) -> "MultipartReader":
        """Return a reader of the parts of multipart content, under the limits of the request.

        Raises:
            HTTPBadRequest: The content is not multipart.
        """
        from ._form import multipart_reader

        return multipart_reader(self)

    async def post(self) -> "MultiDictProxy[str | bytes | FileField]":
        """Return the fields of the form that was sent; keeps them.

        Files go to temporary files and come as `FileField`. A request of another method
        than `POST_METHODS`, or with content that is no form, gives an empty mapping.

        Raises:
            HTTPRequestEntityTooLarge: More than `client_max_size` bytes or too many fields.
            HTTPBadRequest: The form is malformed.
        """
        if self._post is None:
            from ._form import read_form

            self._post = MultiDictProxy(await read_form(self))
        return self._post

    def _close_form(self) -> None:
        """Close the files that came with the form: the request is over."""
        from ._form import FileField

        for value in () if self._post is None else self._post.values():
            if isinstance(value, FileField):
                value.file.close()

    async def release(self) -> None:
        """Read what is left of the content and forget it."""
        content = self._exchange.content
        while not content.at_eof():
            await content.readany()

    # --- the peer

    async def disconnected(self) -> None:
        """Wait until the peer is gone. Returns at once if it is.

        A peer that has ended its side of the connection counts as gone, although it may still read:
        that cannot be known before something is written to it.

        ::

            work = asyncio.create_task(expensive())
            gone = asyncio.create_task(request.disconnected())
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        """
        exchange = self._exchange
        if exchange.closed:
            return
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_disconnect() -> None:
            if not gone.done():
                gone.set_result(None)

        exchange.add_disconnect_callback(on_disconnect)
        try:
            await gone
        finally:
            exchange.remove_disconnect_callback(on_disconnect)

    async def send_informational(self, status: int, headers: LooseHeaders | None = None) -> None:
        """Send an informational response before the final one, such as 103 (RFC 8297).

        Args:
            status: 100 to 199, but not 101.
            headers: Fields of it, such as ``Link`` with ``rel=preload``.

        Raises:
            ValueError: *status* is another one, or a field contains bytes that are not allowed.
            LocalProtocolError: The final response has begun.
        """
        if not 100 <= status <= 199 or status == 101:
            raise ValueError(f"{status} is not the status of an informational response")
        fields = CIMultiDict(headers) if headers is not None else CIMultiDict[str]()
        self._exchange.send_informational(status, fields)
        await self._exchange.drain()

    def __repr__(self) -> str:
        # The target is the peer's: escaped, and not without end (CVE-2020-7694).
        return (
            f"<{type(self).__name__} {quoted(self.method)[1:-1]} {quoted(self._head.path)[1:-1]}>"
        )


class Request(BaseRequest):
    """A request as a handler of an `Application` gets it."""

    # What the path led to, where that says it all: most handlers have no use for a match.
    _binding: "Binding | None" = None

    @property
    def match_info(self) -> "UrlMappingMatchInfo":
        """What the router found: the variable parts of the path, the route, the applications."""
        match_info: UrlMappingMatchInfo | None = self._match_info
        if match_info is None:
            if self._binding is None:
                raise RuntimeError("The request was not routed")
            match_info = self._match_info = self._binding.match()
        return match_info

    @property
    def app(self) -> "Application":
        """The application (or nested one) whose handler or middleware is running."""
        return self.match_info.current_app

    @property
    def config_dict(self) -> "ChainMapProxy":
        """Items of `app` and of all applications around it, innermost first."""
        from .keys import ChainMapProxy

        match_info = self.match_info
        apps = match_info.apps
        index = apps.index(match_info.current_app)
        return ChainMapProxy(list(reversed(apps[: index + 1])))


def _bad_request(text: str) -> Exception:
    from .exceptions import HTTPBadRequest

    return HTTPBadRequest(text=text)


def _too_large(limit: int, size: int) -> Exception:
    from .exceptions import HTTPRequestEntityTooLarge

    return HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
