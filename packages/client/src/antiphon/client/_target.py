"""A URL as a request needs it: whom to reach, what to ask for, who asks.

Taking URLs apart is the dearest part of a small request, so what comes of it
is kept for the URLs used last.
"""

import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast, final

from yarl import URL

from antiphon.core.typedefs import Query, StrOrURL

from .errors import InvalidUrlClientError

if TYPE_CHECKING:
    from .connector.key import ConnectionKey

__all__ = ("Target", "host_fault", "resolve", "resolve_reference", "with_params")

_CACHED_TARGETS: Final = 512
_MAX_CACHED_URL: Final = 2048
"""Characters; longer URLs are rarely asked for twice, and would make the cache big."""

# RFC 3986 section 2: what may stand in a URI as it is. Each alternative begins with another
# character, so the pattern is linear.
_LEGAL: Final = re.compile(
    r"(?:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=\[\]]++|%[0-9A-Fa-f]{2})*+", re.ASCII
)
_ILLEGAL: Final = re.compile(
    r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~:/?#@!$&'()*+,;=\[\]%]", re.ASCII
)
_MAX_LABEL: Final = 63
"""Characters of one label of a host's name (RFC 1035 section 2.3.4)."""
_PATH_START: Final = re.compile(r"[/?#]")
# What a browser takes for an IPv4 address: the last label is a number (WHATWG URL, section 3.5).
_NUMBER_LAST: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?", re.ASCII | re.DOTALL)
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4: Final = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)
# What WHATWG URL section 4.4 takes out of a URL before looking at it, as `urllib.parse` does.
_STRIPPED: Final = "".join(map(chr, range(0x21)))
_DROPPED: Final = re.compile(r"[\t\r\n]")
_SCHEMES: Final = frozenset(("http", "https", "ws", "wss"))
_TLS_SCHEMES: Final = frozenset(("https", "wss"))
_HOST_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f#/<>?@\\^|%]")


@final
class Target:
    """What a URL says about a request. Not to be changed: it is shared."""

    __slots__ = (
        "authority",
        "host",
        "is_ssl",
        "key",
        "login",
        "origin_form",
        "password",
        "port",
        "real_url",
        "scheme",
        "url",
    )

    def __init__(self, real_url: URL, origin_form: str) -> None:
        host = real_url.raw_host
        assert host is not None
        self.real_url = real_url
        """The URL as it was asked for, fragment included, without user and password."""
        self.url = real_url.with_fragment(None) if real_url.raw_fragment else real_url
        """The URL without its fragment, user and password."""
        self.origin_form = origin_form
        """Path and query as they go on the request line (RFC 9112 section 3.2.1)."""
        self.authority = real_url.host_port_subcomponent or host
        """Host and port as the ``Host`` field says them: without the scheme's own port."""
        self.host = host
        """ASCII host, IPv6 without brackets."""
        self.port = real_url.port
        self.scheme = real_url.scheme
        self.is_ssl = real_url.scheme in _TLS_SCHEMES
        self.login: str | None = None
        self.password: str | None = None
        self.key: ConnectionKey | None = None
        """The connection key of a request without any option; kept by `ClientRequest`."""


def resolve(url: StrOrURL) -> Target:
    """Take *url* apart.

    A string is asked for exactly as it is written, so that signatures over it hold: only
    characters that may not stand in a URL are quoted. A `yarl.URL` is taken as it is.

    Raises:
        InvalidUrlClientError: It is malformed, or no host can be told from it.
        TypeError: It is neither text nor a URL.
    """
    if type(url) is str and ("@" in url or len(url) > _MAX_CACHED_URL):
        return _resolve(url)  # credentials do not stay in a cache
    return _cached(url)


def _resolve(given: StrOrURL) -> Target:
    _require_url(given)
    try:
        url = given if isinstance(given, URL) else URL(given)
        host = url.raw_host
        port = url.port
    except ValueError as exc:
        raise InvalidUrlClientError(given, str(exc)) from exc
    if not host:
        raise InvalidUrlClientError(given, _why_no_host(url))
    if not url.scheme:
        raise InvalidUrlClientError(given, "it has no scheme, such as https://")
    if port == 0:
        raise InvalidUrlClientError(given, "port 0 cannot be connected to")
    fault = host_fault(host)
    if fault:
        raise InvalidUrlClientError(given, fault)
    origin_form = url.raw_path_qs or "/"
    if isinstance(given, str):
        url, origin_form = _as_written(given, url, origin_form)
    login, password = url.user, url.password
    if login is not None or password is not None:
        target = Target(url.with_user(None), origin_form)
        target.login = login or ""
        target.password = password or ""
        return target
    return Target(url, origin_form)


def resolve_reference(base: Target, url: StrOrURL) -> Target:
    """Take *url* apart, which may be relative to *base*; a string is treated as by `resolve`.

    Raises:
        InvalidUrlClientError: It is malformed.
        TypeError: It is neither text nor a URL.
    """
    if type(url) is str and base.login is None and "@" not in url and len(url) <= _MAX_CACHED_URL:
        return _cached_reference(base, url)
    return _resolve_reference(base, url)


def _resolve_reference(base: Target, given: StrOrURL) -> Target:
    try:
        _require_url(given)
        reference = given if isinstance(given, URL) else URL(given)
        if reference.absolute:
            return resolve(given)
        login = base.real_url
        if base.login is not None:
            login = login.with_user(base.login).with_password(base.password or None)
        if isinstance(given, URL):
            return resolve(login.join(given))
        written, mark, fragment = _quoted(given).partition("#")
        joined = str(login.join(URL(written, encoded=True)))
        if written.endswith("?") and "?" not in joined:
            joined += "?"
        return resolve(joined + mark + fragment)
    except InvalidUrlClientError:
        raise
    except ValueError as exc:
        raise InvalidUrlClientError(given, str(exc)) from exc


_cached_reference = functools.lru_cache(maxsize=_CACHED_TARGETS)(_resolve_reference)


def host_fault(host: str) -> str | None:
    """Say what is wrong with a host, ``None`` if it can be looked up."""
    if ":" in host:  # IPv6; a percent sign begins its zone
        wrong = _HOST_FORBIDDEN.search(host.replace("%", ""))
        return "the host contains characters that are not allowed" if wrong else None
    if _HOST_FORBIDDEN.search(host):
        return "the host contains characters that are not allowed"
    labels = host.removesuffix(".").split(".")
    if not all(labels):
        return "a label of the host is empty"
    if max(map(len, labels)) > _MAX_LABEL:
        return f"a label of the host has more than {_MAX_LABEL} characters"
    if _NUMBER_LAST.fullmatch(host) and not _IPV4.fullmatch(host):
        return f"{host} is not a canonical IPv4 address"
    return None


def _require_url(given: object) -> None:
    if not isinstance(given, (str, URL)):
        raise TypeError(f"URL must be str or yarl.URL, not {type(given).__name__}")


def _why_no_host(url: URL) -> str:
    """Say what is missing where no host can be told from *url*."""
    if not url.scheme:
        if not str(url):
            return "it is empty"
        return "it is relative: it needs a scheme and a host, or the session a base_url"
    if "://" not in str(url) and url.scheme not in _SCHEMES:
        return f"the scheme is missing: it begins with http:// or https://, {url.scheme} is none"
    return f"it has no host: {url.scheme}:// is followed by one"


_cached = functools.lru_cache(maxsize=_CACHED_TARGETS)(_resolve)


def _as_written(text: str, url: URL, origin_form: str) -> tuple[URL, str]:
    if not _LEGAL.fullmatch(text):
        text = _quoted(text)
    start = _PATH_START.search(text, text.index("//") + 2)
    tail = text[start.start() :] if start else ""
    tail, _, _ = tail.partition("#")
    written = tail if tail.startswith("/") else f"/{tail}"
    if written == origin_form:
        return url, origin_form
    path, _, query = written.partition("?")
    exact = URL.build(
        scheme=url.scheme,
        authority=url.raw_authority,
        path=path,
        query_string=query,
        fragment=url.raw_fragment,
        encoded=True,
    )
    return exact, written


def _quoted(text: str) -> str:
    """Quote what may not stand in a URL, and nothing else; a space in the query becomes ``+``."""
    text = _DROPPED.sub("", text.strip(_STRIPPED))
    before, mark, query = text.partition("?")
    return _ILLEGAL.sub(_escape, before) + mark + _ILLEGAL.sub(_escape, query.replace(" ", "+"))


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def with_params(target: Target, params: Query) -> Target:
    """Return *target* with *params* behind the query it has, which stays as it is.

    Raises:
        TypeError: A value is neither text nor a number, or a list of these.
    """
    if params is not None and not isinstance(params, str | Mapping):
        params = list(params)  # pairs from an iterator
    # Any: yarl writes the same type more narrowly
    added = _NOWHERE.extend_query(cast(Any, params or "")).raw_query_string
    if not added:
        return target
    path, _, query = target.origin_form.partition("?")
    query = f"{query}&{added}" if query else added
    old = target.real_url
    url = URL.build(
        scheme=old.scheme,
        authority=old.raw_authority,
        path=path,
        query_string=query,
        fragment=old.raw_fragment,
        encoded=True,
    )
    extended = Target(url, f"{path}?{query}")
    extended.login, extended.password = target.login, target.password
    return extended


_NOWHERE: Final = URL("http://nowhere/")
