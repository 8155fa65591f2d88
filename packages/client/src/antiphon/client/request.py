"""One request to be sent: method, URL, fields and content.

Nothing here waits or touches a connection. A middleware may change what it
finds; `ClientRequest.head` and `ClientRequest.content_plan` are asked for when
the request leaves.
"""

import asyncio
import re
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from antiphon.core import coding, hdrs
from antiphon.core.aio.payload import BytesPayload, Payload
from antiphon.core.fields.basic_auth import BasicAuth, encode_basic_auth
from antiphon.core.http import (
    SERVER_SOFTWARE,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    RequestHead,
)
from antiphon.core.limits import HttpLimits
from antiphon.core.typedefs import LooseHeaders, Query, StrOrURL

from . import _cookies
from ._content import MAX_SINGLE_WRITE, NO_CONTENT, ContentPlan, payload_of
from ._session_headers import require_text
from ._target import Target, resolve, with_params
from .connector.key import ConnectionKey
from .options import LooseCookies, RequestOptions, SSLOption
from .request_info import RequestInfo

if TYPE_CHECKING:
    from .response import ClientResponse
    from .session import ClientSession
    from .tracing import Trace

__all__ = ("ClientRequest", "ContentPlan", "RequestInfo", "auto_headers")

_KNOWN_METHODS: Final = frozenset(hdrs.METH_ALL)
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)  # RFC 9110 section 5.6.2
_DIGITS: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_CODINGS: Final = frozenset(("deflate", "gzip", "br", "zstd"))
_DEFAULT_LIMITS: Final = HttpLimits()
_DEFAULT_OPTIONS: Final = RequestOptions()
_NO_NAMES: Final[frozenset[str]] = frozenset()


def auto_headers() -> CIMultiDict[str]:
    """Return the fields that every request gets unless it says otherwise."""
    return CIMultiDict({
        hdrs.ACCEPT: "*/*",
        hdrs.ACCEPT_ENCODING: ", ".join(coding.available_codings()),
        hdrs.USER_AGENT: SERVER_SOFTWARE,
    })


class ClientRequest:
    """A request about to be sent, as middlewares see it.

    Args:
        method: Method; upper case is made of lower case.
        url: Where to; an absolute URL.
        params: Added behind the query of *url*.
        headers: Header fields.
        skip_auto_headers: Names of fields not to be added by themselves.
        data: Content: bytes, text, a file, an async iterable, form fields, a `Payload`.
        cookies: Cookies of this request alone.
        auth: User and password (obsolete).
        version: HTTP version to speak.
        compress: Content coding to apply: ``deflate`` (or True), ``gzip``, ``br``, ``zstd``.
        chunked: Send content in the chunked coding.
        expect100: Ask before sending content.
        loop: Not used.
        response_class: What to make of the response.
        proxy: The proxy to go through.
        proxy_auth: User and password for the proxy (obsolete).
        timer: Not used.
        session: Who sends it.
        ssl: How certificates are checked.
        proxy_headers: Fields for the proxy.
        traces: Who observes.
        trust_env: Not used; the session looks the environment up.
        server_hostname: Name to check the certificate against.

    Raises:
        ValueError: A method that is no token, or arguments that contradict each other.
        InvalidUrlClientError: *url* cannot be used.
    """

    GET_METHODS: ClassVar[frozenset[str]] = frozenset((
        hdrs.METH_GET,
        hdrs.METH_HEAD,
        hdrs.METH_OPTIONS,
        hdrs.METH_TRACE,
    ))
    POST_METHODS: ClassVar[frozenset[str]] = frozenset((
        hdrs.METH_PATCH,
        hdrs.METH_POST,
        hdrs.METH_PUT,
    ))
    ALL_METHODS: ClassVar[frozenset[str]] = GET_METHODS | POST_METHODS | {hdrs.METH_DELETE}
    DEFAULT_HEADERS: ClassVar[Mapping[str, str]] = auto_headers()

    method: str
    url: URL
    """Where to, without a fragment. Setting it moves the request, ``Host`` with it."""
    session: "ClientSession | None"
    options: RequestOptions
    """Time limits and the like."""

    # Most of these are never set: the class has the defaults.
    auth: BasicAuth | None = None
    chunked: bool | None = None
    compress: str | None = None
    """The content coding to apply."""
    cross_origin = False
    """Whether a redirect led here from another origin: credentials stay behind."""
    deadline: float | None = None
    """Absolute loop time by which everything must be done."""
    expect100 = False
    """Whether to ask before content is sent (RFC 9110 section 10.1.1)."""
    loop: asyncio.AbstractEventLoop | None = None
    proxy: URL | None = None
    proxy_auth: BasicAuth | None = None
    proxy_headers: CIMultiDict[str] | None = None
    response_class: "type[ClientResponse] | None" = None
    server_hostname: str | None = None
    skip_auto_headers: frozenset[str] = _NO_NAMES
    ssl: SSLOption = True
    traces: "tuple[Trace, ...]" = ()
    version: HttpVersion = HttpVersion11

    _target: Target
    _headers: CIMultiDict[str]
    _shares_headers = False
    _answered: "weakref.ref[ClientResponse] | None" = None
    _payload: Payload | None = None

    def __init__(
        self,
        method: str,
        url: StrOrURL,
        *,
        params: Query = None,
        headers: LooseHeaders | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        data: Any = None,
        cookies: LooseCookies | None = None,
        auth: BasicAuth | None = None,
        version: HttpVersion = HttpVersion11,
        compress: str | bool | None = None,
        chunked: bool | None = None,
        expect100: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        response_class: "type[ClientResponse] | None" = None,
        proxy: URL | None = None,
        proxy_auth: BasicAuth | None = None,
        timer: object = None,
        session: "ClientSession | None" = None,
        ssl: SSLOption = True,
        proxy_headers: LooseHeaders | None = None,
        traces: "tuple[Trace, ...] | list[Trace] | None" = None,
        trust_env: bool = False,
        server_hostname: str | None = None,
        _target: Target | None = None,
        _options: RequestOptions = _DEFAULT_OPTIONS,
        _complete_headers: bool = False,
    ) -> None:
        self.method = method if method in _KNOWN_METHODS else _checked_method(method)
        target = resolve(url) if _target is None else _target
        if params:
            target = with_params(target, params)
        self._target = target
        self.url = target.url
        self.session = session
        self.options = _options
        self.headers = CIMultiDict() if headers is None else CIMultiDict(headers)
        if not _complete_headers:
            self.update_auto_headers(skip_auto_headers)
        if auth is not None or target.login is not None:
            self.update_auth(auth)
        self.loop = loop
        self.version = version
        self.ssl = ssl
        self.server_hostname = server_hostname
        self.response_class = response_class
        self.chunked = chunked
        self.expect100 = expect100
        if traces:
            self.traces = tuple(traces)
        if proxy is not None or proxy_auth is not None:
            self.update_proxy(proxy, proxy_auth, proxy_headers)
        if cookies:
            self.update_cookies(cookies)
        if data is not None:
            self.update_content_encoding(data, compress)
            self.update_body_from_data(data)
        else:
            self.update_transfer_encoding()
        if hdrs.EXPECT in self.headers:
            self.update_expect_continue(expect100)

    @classmethod
    def plain(
        cls,
        method: str,
        target: Target,
        headers: CIMultiDict[str],
        session: "ClientSession",
        options: RequestOptions,
    ) -> Self:
        """Make a request without content that asks for nothing special, in few steps.

        Args:
            method: A method that is known.
            target: Where to; without user and password.
            headers: All fields of the request; not to be changed any more.
            session: Who sends it.
            options: The session's own.
        """
        request = cls.__new__(cls)
        request.method = method
        request._target = target
        request.url = target.url
        request.session = session
        request.options = options
        # Copied when somebody asks for them: mostly nobody does.
        request._headers = headers
        request._shares_headers = True
        return request

    # -- what a request is made of

    @property
    def headers(self) -> CIMultiDict[str]:
        """Fields as they will be sent. Framing fields are shown here and decided below."""
        if self._shares_headers:
            self._shares_headers = False
            self._headers = CIMultiDict(self._headers)
        return self._headers

    @headers.setter
    def headers(self, headers: CIMultiDict[str]) -> None:
        self._shares_headers = False
        self._headers = headers

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        """Add the fields that every request gets, but those named."""
        if skip_auto_headers:
            self.skip_auto_headers = frozenset(name.lower() for name in skip_auto_headers)
        headers = self.headers
        for name, value in self.DEFAULT_HEADERS.items():
            if name not in headers and name.lower() not in self.skip_auto_headers:
                headers.add(name, value)

    def update_headers(self, headers: LooseHeaders | None) -> None:
        """Put *headers* in the place of those of the same names."""
        if headers:
            new: CIMultiDict[str] = CIMultiDict(headers)
            for name in new:
                self.headers.popall(name, None)
            self.headers.extend(new)

    def update_host(self, url: StrOrURL) -> None:
        """Move the request to *url*: connection, request line and ``Host``."""
        target = resolve(url)
        if self.headers.get(hdrs.HOST) == self._target.authority:
            self.headers[hdrs.HOST] = target.authority
        self._target = target
        self.url = target.url

    def update_version(self, version: HttpVersion | str) -> None:
        """Speak *version*: 1.0 or 1.1.

        Raises:
            ValueError: It is another one.
        """
        if isinstance(version, str):
            known = {"1.0": HttpVersion10, "1.1": HttpVersion11}
            if version not in known:
                raise ValueError(f"Can not parse http version number: {version!r}")
            version = known[version]
        self.version = version

    def update_cookies(self, cookies: LooseCookies | None) -> None:
        """Add *cookies* to the ``Cookie`` field; they replace those of the same names."""
        if not cookies:
            return
        present = self.headers.popall(hdrs.COOKIE, ())
        quote = getattr(getattr(self.session, "cookie_jar", None), "quote_cookie", True)
        text = _cookies.merged("; ".join(present), cookies, quote=quote)
        if text:
            self.headers[hdrs.COOKIE] = text

    def update_auth(self, auth: BasicAuth | None, trust_env: bool = False) -> None:
        """Set ``Authorization`` from *auth*, or from the URL's user and password.

        Raises:
            TypeError: *auth* is no `BasicAuth`.
            ValueError: There is an ``Authorization`` field already.
        """
        target = self._target
        if auth is None and target.login is not None:
            value = encode_basic_auth(target.login, target.password or "", "utf-8")
        elif auth is None:
            return
        elif not isinstance(auth, BasicAuth):
            raise TypeError("BasicAuth() tuple is required instead")
        else:
            value = auth.encode()
        if hdrs.AUTHORIZATION in self.headers:
            raise ValueError(
                "Cannot combine AUTHORIZATION header with AUTH argument or "
                "credentials encoded in URL"
            )
        self.auth = auth
        self.headers[hdrs.AUTHORIZATION] = value

    def update_proxy(
        self,
        proxy: URL | None,
        proxy_auth: BasicAuth | None,
        proxy_headers: LooseHeaders | None,
    ) -> None:
        """Go through *proxy*; user and password may be in its URL.

        Raises:
            ValueError: Authorization is given twice, or no proxy is.
        """
        if proxy is None:
            if proxy_auth is not None:
                raise ValueError("proxy_auth must come with a proxy")
            self.proxy = self.proxy_auth = self.proxy_headers = None
            return
        fields: CIMultiDict[str] = require_text(CIMultiDict(proxy_headers or ()))
        value: str | None = None
        if proxy_auth is not None:
            if not isinstance(proxy_auth, BasicAuth):
                raise ValueError("proxy_auth must be None or BasicAuth() tuple")
            value = proxy_auth.encode()
        elif proxy.user is not None or proxy.password is not None:
            value = encode_basic_auth(proxy.user or "", proxy.password or "", "utf-8")
        if value is not None:
            fields.setdefault(hdrs.PROXY_AUTHORIZATION, value)
        self.proxy = proxy.with_user(None) if proxy.raw_user is not None else proxy
        self.proxy_auth = proxy_auth
        self.proxy_headers = fields

    def update_content_encoding(self, data: Any, compress: str | bool | None = None) -> None:
        """Choose the content coding.

        Raises:
            ValueError: It is unknown, or the content is said to be coded already.
        """
        if not compress or not data:
            return
        if hdrs.CONTENT_ENCODING in self.headers:
            raise ValueError("compress can not be set if Content-Encoding header is set")
        name = "deflate" if compress is True else compress.lower()
        if name not in _CODINGS or name not in coding.available_codings():
            raise ValueError(f"cannot compress as {compress!r}")
        self.compress = name
        self.headers[hdrs.CONTENT_ENCODING] = name

    def update_body_from_data(self, body: Any, _stacklevel: int = 3) -> None:
        """Make a payload of *body*, and the fields that describe it.

        Raises:
            TypeError: Nothing knows how to send such an object.
        """
        self._payload = None if body is None else payload_of(body)
        if self._payload is not None:
            headers = self.headers
            for name, value in self._payload.headers.items():
                if name not in headers and name.lower() not in self.skip_auto_headers:
                    headers.add(name, value)
        self.update_transfer_encoding()

    async def update_body(self, body: Any) -> None:
        """Send *body* instead; the payload that was there before is closed."""
        before, self._payload = self._payload, None
        if before is not None and before is not body:
            if self.session is not None:
                await self.session.flights.settled(before, self.deadline)
            await before.close()
        for name in (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, hdrs.CONTENT_TYPE):
            self.headers.popall(name, None)
        if self.chunked is False:
            self.chunked = None
        self.update_body_from_data(body)

    def update_transfer_encoding(self) -> None:
        """Decide how the end of the content is told, and show it in the fields.

        Raises:
            ValueError: The fields and the content contradict each other.
        """
        headers = self.headers
        coded = headers.get(hdrs.TRANSFER_ENCODING)
        declared = headers.get(hdrs.CONTENT_LENGTH)
        if coded is not None:
            if coded.strip().lower() != "chunked":
                raise ValueError("Transfer-Encoding can only be chunked")
            if self.chunked:
                raise ValueError(
                    'chunked can not be set if "Transfer-Encoding: chunked" header is set'
                )
        if declared is not None and (coded is not None or self.chunked):
            raise ValueError("chunked can not be set if Content-Length header is set")
        size = self._size()
        if declared is not None:
            if not _DIGITS.fullmatch(declared) or len(headers.getall(hdrs.CONTENT_LENGTH)) > 1:
                raise ValueError("Content-Length must be one number")
            if size is not None and int(declared) != size:
                raise ValueError(f"Content-Length is {declared}, but the content has {size} bytes")
            return
        if self._payload is None:
            headers.popall(hdrs.TRANSFER_ENCODING, None)
            return
        if coded is not None or self.chunked or size is None:
            if self.version < HttpVersion11:
                raise ValueError("content of unknown size needs HTTP/1.1")
            headers[hdrs.TRANSFER_ENCODING] = "chunked"
            if coded is None:
                self.chunked = True
        else:
            headers[hdrs.CONTENT_LENGTH] = str(size)

    def _size(self) -> int | None:
        if self._payload is None:
            return 0
        return None if self.compress else self._payload.size

    def update_expect_continue(self, expect: bool = False) -> None:
        """Ask before content is sent, if so told here or by the ``Expect`` field."""
        said = self.headers.get(hdrs.EXPECT, "").lower() == "100-continue"
        self.expect100 = expect or said

    # -- what it comes to

    @property
    def response(self) -> "ClientResponse | None":
        """The response, once there is one and as long as somebody has it."""
        return None if self._answered is None else self._answered()

    @property
    def original_url(self) -> URL:
        """Where to, as it was asked for."""
        return self._target.real_url

    @property
    def body(self) -> Payload | bytes:
        """The content; ``b""`` if there is none."""
        return b"" if self._payload is None else self._payload

    @property
    def payload(self) -> Payload | None:
        """The content, if there is any."""
        return self._payload

    @property
    def host(self) -> str:
        """The host of `url`."""
        return self.target.host

    @property
    def port(self) -> int | None:
        """The port of `url`."""
        return self.target.port

    def is_ssl(self) -> bool:
        """Whether `url` asks for TLS."""
        return self.target.is_ssl

    @property
    def target(self) -> Target:
        """What `url` comes to."""
        if self.url is not self._target.url:  # a middleware has set another one
            self.update_host(self.url)
        return self._target

    @property
    def request_info(self) -> RequestInfo:
        """What responses and errors remember of this."""
        target = self.target
        headers: CIMultiDict[str] = CIMultiDict()
        if hdrs.HOST not in self.headers:
            headers[hdrs.HOST] = target.authority
        headers.extend(self.headers)
        return RequestInfo(self.url, self.method, CIMultiDictProxy(headers), self.original_url)

    @property
    def connection_key(self) -> ConnectionKey:
        """What decides which connections may carry this."""
        target = self._target
        if self.url is not target.url:
            target = self.target
        # Not kept: a middleware may change any of it between two sends, and a connection that
        # is less than what was asked for then must not be taken.
        if not self._asks_for_nothing_special():
            return self._special_key(target)
        key = target.key
        if key is None:
            key = target.key = _plain_key(target)
        return key

    def _asks_for_nothing_special(self) -> bool:
        options = self.options
        return (
            self.ssl is True
            and self.proxy is None
            and self.server_hostname is None
            and options.max_headers == _DEFAULT_LIMITS.max_headers
            and options.max_field_size == _DEFAULT_LIMITS.max_field_size
            and options.max_line_size == _DEFAULT_LIMITS.max_line_size
        )

    def _special_key(self, target: Target) -> ConnectionKey:
        options = self.options
        return ConnectionKey(
            host=target.host,
            port=target.port,
            is_ssl=target.is_ssl,
            ssl=self.ssl,
            scheme=target.scheme,
            server_hostname=self.server_hostname,
            proxy=self.proxy,
            proxy_headers=tuple(self.proxy_headers.items()) if self.proxy_headers else (),
            limits=HttpLimits(
                max_line_size=options.max_line_size,
                max_field_size=options.max_field_size,
                max_headers=options.max_headers,
                max_head_size=max(
                    _DEFAULT_LIMITS.max_head_size, options.max_line_size + options.max_field_size
                ),
            ),
        )

    @property
    def replayable(self) -> bool:
        """Whether the content can be sent again as it was."""
        return self._payload is None or self._payload.replayable

    def content_plan(self) -> ContentPlan:
        """Return how the content leaves."""
        payload = self._payload
        if payload is None:
            return NO_CONTENT
        size = self._size()
        if size is None:
            declared = self.headers.get(hdrs.CONTENT_LENGTH)
            if declared is not None:
                return ContentPlan(None, int(declared), False, True)
            return ContentPlan(None, None, True, True)
        if self.chunked or hdrs.TRANSFER_ENCODING in self.headers:
            return ContentPlan(None, None, True, True)
        if (
            size <= MAX_SINGLE_WRITE
            and isinstance(payload, BytesPayload)
            and not self.expect100
            and self.options.upload_tracker is None
            and not self.traces
        ):
            return ContentPlan(bytes(payload.value), None, False, False)
        return ContentPlan(None, size, False, True)

    def head(self) -> RequestHead:
        """Return the head to send; its fields are the connection's to change."""
        target = self._target
        if self.url is not target.url:
            target = self.target
        headers = self._headers  # only read: they may be shared
        form = target.origin_form
        if self.proxy is not None:
            key = self.connection_key
            if not key.tunnel:
                form = f"{target.scheme}://{target.authority}{form}"
                headers = CIMultiDict(headers)
                headers.update(self.proxy_headers or ())
        elif self._payload is not None:
            headers = CIMultiDict(headers)  # `request_info` goes on to show the framing fields
        head = RequestHead(
            method=self.method, target=form, authority=target.authority, headers=headers
        )
        head.scheme = target.scheme
        if self.version is not HttpVersion11:
            head.version = self.version
        if self.expect100 and self._payload is not None:
            head.expect_continue = True
        return head

    async def close(self) -> None:
        """Close the content: files that were opened for it, iterators, parts."""
        if self._payload is not None:
            await self._payload.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.url}>"


def _plain_key(target: Target) -> ConnectionKey:
    return ConnectionKey(
        host=target.host, port=target.port, is_ssl=target.is_ssl, scheme=target.scheme
    )


def _checked_method(method: str) -> str:
    method = method.upper()
    # CVE-2023-49082: a method with CR LF would begin another request.
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"Method cannot contain non-token characters: {method[:100]!r}")
    return method
