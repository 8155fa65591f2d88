"""What a user may set: for a session, and for one request.

`RequestOptions` is the one object that session defaults and call arguments are
merged into; a call without arguments shares the session's own.
"""

import hashlib
import hmac
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http.cookies import BaseCookie, Morsel
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypedDict, cast, final

import attrs
from yarl import URL

from antiphon.core.deprecations import warn_deprecated
from antiphon.core.typedefs import LooseHeaders, Query, StrOrURL

from .errors import ServerFingerprintMismatch

if TYPE_CHECKING:
    import asyncio

    from antiphon.core.fields.basic_auth import BasicAuth

    from .middlewares import ClientMiddlewareType
    from .progress import UploadTracker
    from .response import ClientResponse

__all__ = (
    "DEFAULT_TIMEOUT",
    "ClientTimeout",
    "ClientWSTimeout",
    "Fingerprint",
    "LooseCookies",
    "ReadArguments",
    "RequestArguments",
    "RequestOptions",
    "SSLOption",
    "WriteArguments",
    "ssl_option",
    "timeout_option",
)

LooseCookies = (
    Mapping[str, "str | BaseCookie[str] | Morsel[Any]"]
    | Iterable[tuple[str, "str | BaseCookie[str] | Morsel[Any]"]]
    | BaseCookie[str]
)
"""Cookies in any form a user may pass."""


def _timeout(instance: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value >= 0:
        raise ValueError(f"{attribute.name} must be seconds, 0 or None, not {value!r}")


def _limit(default: float | None = None, *, kw_only: bool = True) -> Any:  # Any: attrs' own way
    return attrs.field(default=default, validator=_timeout, kw_only=kw_only)


@final
@attrs.frozen
class ClientTimeout:
    """Time limits of one request, in seconds; ``None`` or 0 switches a limit off.

    Each is the most that its phase may take; none of them outlasts `total`.
    """

    total: float | None = _limit(kw_only=False)
    """From the call to the last byte of the response, redirects included."""

    connect: float | None = _limit(kw_only=False)
    """Until there is a connection: waiting for the pool, DNS, TCP, TLS, a tunnel."""

    sock_read: float | None = _limit(kw_only=False)
    """Between two arrivals of bytes, while somebody waits for them."""

    sock_connect: float | None = _limit(kw_only=False)
    """DNS, TCP and TLS of one new connection, without the wait for the pool."""

    ceil_threshold: float = attrs.field(default=5)
    """Accepted as aiohttp documents it; no limit is ever rounded here."""

    pool: float | None = _limit()
    """Waiting for a free connection of the pool."""

    dns: float | None = _limit()
    """Resolving the host's name."""

    tls: float | None = _limit()
    """One TLS handshake."""

    write: float | None = _limit()
    """Without progress while the request's content is sent."""

    first_byte: float | None = _limit()
    """From the end of the request to the first byte of the response's head."""


DEFAULT_TIMEOUT: Final = ClientTimeout(total=5 * 60, sock_connect=30)
"""What a session uses unless told otherwise, as aiohttp documents."""


@final
@attrs.frozen
class ClientWSTimeout:
    """Time limits of a WebSocket, in seconds; ``None`` waits for ever."""

    ws_receive: float | None = _limit(kw_only=False)
    """For one `receive()`."""

    ws_close: float | None = _limit(default=10.0, kw_only=False)
    """For the server's answer to our close frame."""


def _digest_is_strong(instance: object, attribute: "attrs.Attribute[bytes]", value: bytes) -> None:
    if len(value) in (16, 20):
        raise ValueError("md5 and sha1 are insecure and not supported. Use sha256.")
    if len(value) != 32:
        raise ValueError(f"a fingerprint has 32 bytes (SHA-256), not {len(value)}")


@final
@attrs.frozen
class Fingerprint:
    """Accept a certificate by its SHA-256 digest, and by nothing else.

    Args:
        fingerprint: Digest of the certificate in DER form, 32 bytes.

    Raises:
        ValueError: The digest has another length; MD5 and SHA-1 are too weak to decide.
    """

    HASHFUNC_BY_DIGESTLEN: ClassVar[Mapping[int, Callable[..., Any]]] = {
        16: hashlib.md5,
        20: hashlib.sha1,
        32: hashlib.sha256,
    }

    fingerprint: bytes = attrs.field(converter=bytes, validator=_digest_is_strong)

    def check(self, transport: "asyncio.BaseTransport") -> None:
        """Compare the certificate of *transport*, if it speaks TLS.

        Raises:
            ServerFingerprintMismatch: It is another one.
        """
        tls = transport.get_extra_info("ssl_object")
        if tls is None:
            return
        got = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").digest()
        if not hmac.compare_digest(got, self.fingerprint):
            host, port, *_ = transport.get_extra_info("peername") or ("unknown", 0)
            raise ServerFingerprintMismatch(self.fingerprint, got, host, port)


SSLOption = bool | ssl.SSLContext | Fingerprint


def ssl_option(
    value: SSLOption | None,
    *,
    verify_ssl: bool | None = None,
    ssl_context: ssl.SSLContext | None = None,
    fingerprint: bytes | None = None,
) -> SSLOption:
    """Return the one ``ssl`` value that the given arguments amount to.

    Args:
        value: ``True`` (or ``None``) checks certificates as the connector says, ``False``
            does not, a context by its own rules, a `Fingerprint` by comparison.
        verify_ssl: Obsolete: ``ssl=False``.
        ssl_context: Obsolete: ``ssl=context``.
        fingerprint: Obsolete: ``ssl=Fingerprint(...)``.

    Raises:
        ValueError: More than one of them says something.
        TypeError: *value* is none of these.
    """
    if value is None:
        value = True
    if not isinstance(value, (bool, ssl.SSLContext, Fingerprint)):
        raise TypeError(
            f"ssl should be bool, SSLContext or Fingerprint, got {type(value).__name__} instead"
        )
    given: list[SSLOption] = []
    if verify_ssl is not None:
        given.append(bool(verify_ssl))
    if ssl_context is not None:
        given.append(ssl_context)
    if fingerprint is not None:
        given.append(Fingerprint(fingerprint))
    if not given:
        return value
    warn_deprecated("ANT-0008")
    if len(given) > 1 or value is not True:
        raise ValueError(
            "verify_ssl, ssl_context, fingerprint and ssl parameters are mutually exclusive"
        )
    return given[0]


class _CommonArguments(TypedDict, total=False):
    params: Query
    json: Any  # whatever the session's serializer takes
    cookies: LooseCookies | None
    headers: LooseHeaders | None
    skip_auto_headers: Iterable[str] | None
    auth: "BasicAuth | None"
    max_redirects: int
    compress: str | bool | None
    chunked: bool | None
    expect100: bool
    raise_for_status: "bool | Callable[[ClientResponse], Awaitable[None]] | None"
    read_until_eof: bool
    proxy: StrOrURL | None
    proxy_auth: "BasicAuth | None"
    timeout: "ClientTimeout | float | None"
    verify_ssl: bool | None
    fingerprint: bytes | None
    ssl_context: ssl.SSLContext | None
    ssl: SSLOption | None
    server_hostname: str | None
    proxy_headers: LooseHeaders | None
    trace_request_ctx: Any  # the user's own object, handed to the user's own callbacks
    read_bufsize: int | None
    auto_decompress: bool | None
    max_line_size: int | None
    max_field_size: int | None
    max_headers: int | None
    middlewares: "Sequence[ClientMiddlewareType] | None"
    upload_tracker: "UploadTracker | None"
    max_size: int | None


class ReadArguments(_CommonArguments, total=False):
    """Keyword arguments of `ClientSession.get`, `head` and `options`."""

    data: Any  # whatever the payload registry knows


class WriteArguments(_CommonArguments, total=False):
    """Keyword arguments of `ClientSession.post`, `put`, `patch` and `query`."""

    allow_redirects: bool


class RequestArguments(ReadArguments, total=False):
    """Keyword arguments of `ClientSession.request`."""

    allow_redirects: bool


@attrs.define(kw_only=True, slots=False)
class RequestOptions:
    """Everything that decides how one request is made; treated as immutable once merged."""

    params: Query = None
    """What is added to the URL's query: text, a mapping, or pairs."""
    data: Any = None
    """Content: bytes, text, a file, a form, an async iterable, whatever a payload is registered for."""
    json: Any = None
    """An object to send as JSON, in place of *data*."""
    cookies: LooseCookies | None = None
    """Cookies for this request beside those of the session's jar."""
    headers: LooseHeaders | None = None
    """Fields to send; they replace the session's of the same name."""
    skip_auto_headers: Iterable[str] | None = None
    """Fields that would be added by themselves and are not, beside those that the session names."""
    auth: "BasicAuth | None" = None
    """Obsolete (ANT-0006): credentials for the server."""
    allow_redirects: bool = True
    """Follow redirects."""
    max_redirects: int = 10
    """Redirects in a row at which `TooManyRedirects` is raised: one less is followed. 0 or less
    follows any number."""
    compress: str | bool | None = None
    """Compress the content: the name of a coding, or ``True`` for deflate."""
    chunked: bool | None = None
    """Send the content chunked even if its length is known."""
    expect100: bool = False
    """Send the content only after the server has asked for it (``Expect: 100-continue``)."""
    raise_for_status: "bool | Callable[[ClientResponse], Awaitable[None]]" = False
    """Raise `ClientResponseError` for a status of 400 or more; or a function that decides."""
    read_until_eof: bool = True
    """Changes nothing: content without a length ends with its connection."""
    proxy: URL | None = None
    """The proxy to go through."""
    proxy_auth: "BasicAuth | None" = None
    """Obsolete (ANT-0006): credentials for the proxy."""
    timeout: ClientTimeout = DEFAULT_TIMEOUT
    """Time limits; a number is the total, in seconds."""
    ssl: SSLOption = True
    """How the server's certificate is checked: as usual, by a context or a `Fingerprint`, or not."""
    server_hostname: str | None = None
    """The name that the certificate must have, if not the URL's host."""
    proxy_headers: LooseHeaders | None = None
    """Fields for the proxy alone."""
    trace_request_ctx: Any = None
    """Given to the callbacks of `TraceConfig`."""
    read_bufsize: int = 2**18
    """Bytes of content kept unread; at twice that, the server waits."""
    auto_decompress: bool = True
    """Undo content codings."""
    max_line_size: int = 8190
    """Bytes of the response's status line."""
    max_field_size: int = 8190
    """Bytes of one field of the response."""
    max_headers: int = 128
    """Fields of the response."""
    middlewares: "Sequence[ClientMiddlewareType]" = ()
    """Middlewares in place of the session's, the outermost first."""
    upload_tracker: "UploadTracker | None" = None
    """Tells how far the content was sent."""
    max_size: int | None = None
    """Bytes of content, decoded, that `ClientResponse.read` takes; ``None`` for any size."""

    def merged(self, arguments: RequestArguments) -> "RequestOptions":
        """Return these options with *arguments* put over them.

        ``None`` stands for "as the session says" wherever aiohttp documents it so.

        Raises:
            TypeError: An argument that does not exist, or of a wrong type.
            ValueError: Arguments that contradict each other.
        """
        if not arguments:
            return self
        if not _NAMES.issuperset(arguments):
            unknown = next(name for name in arguments if name not in _NAMES)
            raise TypeError(f"got an unexpected keyword argument {unknown!r}")
        merged = RequestOptions.__new__(RequestOptions)
        values = merged.__dict__
        values.update(self.__dict__)
        values.update(arguments)
        if not _CONVERTED.isdisjoint(arguments):
            _convert(values, self, arguments)
        return merged


def read_iterators(arguments: RequestArguments) -> None:
    """Put lists in the place of iterators, in place: these arguments are looked at repeatedly.

    Content is left alone: it is read when it is sent.
    """
    given = cast("dict[str, Any]", arguments)  # Any: a namespace of unlike values
    for name, value in given.items():
        if name in _READ_AGAIN and hasattr(value, "__next__"):
            given[name] = list(value)


_READ_AGAIN: Final = frozenset((
    "params",
    "cookies",
    "headers",
    "skip_auto_headers",
    "proxy_headers",
    "middlewares",
))
_NAMES: Final = RequestArguments.__optional_keys__
_LEGACY_SSL: Final = ("verify_ssl", "ssl_context", "fingerprint")
_SESSION_WHEN_NONE: Final = (
    "raise_for_status",
    "timeout",
    "proxy",
    "read_bufsize",
    "auto_decompress",
    "max_line_size",
    "max_field_size",
    "max_headers",
    "middlewares",
    "max_size",
)
_CONVERTED: Final = frozenset((*_SESSION_WHEN_NONE, *_LEGACY_SSL, "ssl", "proxy_auth", "auth"))


def _convert(
    values: dict[str, Any],  # Any: a namespace of unlike values
    defaults: RequestOptions,
    arguments: RequestArguments,
) -> None:
    for name in _SESSION_WHEN_NONE:
        if values[name] is None:
            values[name] = getattr(defaults, name)
    timeout = values["timeout"]
    if not isinstance(timeout, ClientTimeout):
        values["timeout"] = timeout_option(timeout)
    proxy = values["proxy"]
    if isinstance(proxy, str):
        values["proxy"] = URL(proxy)
    legacy = {name: values.pop(name) for name in _LEGACY_SSL if name in arguments}
    values["ssl"] = ssl_option(values["ssl"], **legacy)
    if arguments.get("auth") is not None or arguments.get("proxy_auth") is not None:
        warn_deprecated("ANT-0006")


def timeout_option(value: object) -> ClientTimeout:
    """Return *value* as a `ClientTimeout`; a number is its ``total``.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(value, ClientTimeout):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ClientTimeout(total=value)
    raise TypeError(f"timeout should be a ClientTimeout or seconds, not {type(value).__name__}")
