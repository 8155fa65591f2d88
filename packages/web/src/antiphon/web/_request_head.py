"""What a request says before its content: request line, origin and fields.

Nothing is parsed, copied or decoded before it is asked for.
"""

import asyncio
import datetime as dt
import re
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

from antiphon.core import hdrs
from antiphon.core.aio.exchange import ConnectionInfo, ServerExchange
from antiphon.core.deprecations import deprecated, warn_deprecated
from antiphon.core.errors import quoted
from antiphon.core.fields.cookies import parse_cookie_header, unquote_cookie_value
from antiphon.core.fields.dates import parse_http_date
from antiphon.core.fields.etag import ETag, parse_etags
from antiphon.core.http import HttpVersion, RawRequestMessage
from antiphon.core.typedefs import RawHeaders

from ._faults import peer_fault
from ._headers import HeadersMixin

if TYPE_CHECKING:
    from antiphon.core.aio.writer import AbstractStreamWriter

__all__ = ("RequestHeadView", "bad_request")

DEFAULT_MAX_FIELDS: Final = 1000
"""Pairs of a form, and of a query: each costs an object."""

# RFC 9110 section 14.1.2, one range. ASCII digits only: CVE-2025-69225.
_RANGE: Final = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})")


class RequestHeadView(HeadersMixin):
    """The part of `BaseRequest` that needs no content; its constructor sets the first two."""

    _exchange: ServerExchange
    _head: RawRequestMessage

    # Defaults of the class cost nothing per request; most requests are asked for little.
    _client_max_fields = DEFAULT_MAX_FIELDS
    _writer: "AbstractStreamWriter | None" = None
    _method: str | None = None
    _headers: CIMultiDictProxy[str] | None = None
    _rel_url: URL | None = None
    _scheme: str | None = None
    _host: str | None = None
    _remote: str | None = None
    _query: "MultiDictProxy[str] | None" = None
    _cookies: Mapping[str, str] | None = None

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
                raise bad_request(f"Bad request target {quoted(self._head.path)}") from exc
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
            raise bad_request(f"Bad host {quoted(self.host)}") from exc

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


def bad_request(text: str) -> Exception:
    """An answer of 400 with *text*, to be raised."""
    from .exceptions import HTTPBadRequest

    return HTTPBadRequest(text=text)
