"""Cookies kept between requests: who set them, where they go, when they end (RFC 6265bis).

A jar keeps what a server set as it came and sends it back as it came. It is
indexed by domain, so that a request looks at the cookies of its own host and
of that host's parents only, and remembers the ``Cookie`` field of the URLs
asked for last.
"""

import asyncio
import heapq
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Sized
from datetime import UTC, datetime
from http.cookies import BaseCookie, Morsel, SimpleCookie
from operator import attrgetter
from os import PathLike
from types import MappingProxyType
from typing import Any, Final, cast, final

from yarl import URL

from antiphon.core.deprecations import warn_deprecated
from antiphon.core.fields.cookies import (
    SetCookie,
    default_path,
    domain_match,
    parse_set_cookie,
    path_match,
    to_morsel,
    unquote_cookie_value,
)

from ._cookiefile import read_cookies, write_cookies
from ._cookieforms import from_morsel, from_user, is_address, size_of
from .options import LooseCookies

__all__ = ("AbstractCookieJar", "CookieJar", "DummyCookieJar")

MAX_COOKIES: Final = 3300
MAX_COOKIES_PER_DOMAIN: Final = 180
KEPT_OF_ALL: Final = 3000
"""How many stay when there were too many: making room for many at once is cheap for each."""
KEPT_PER_DOMAIN: Final = 150
MAX_SENT: Final = 150
"""Cookies in one request."""
MAX_SENT_SIZE: Final = 8190
"""Bytes of one request's ``Cookie`` field: what servers take for one field."""

_MAX_LIFETIME: Final = 400 * 24 * 3600.0
"""Seconds (RFC 6265bis section 5.5)."""

_CACHED_HEADERS: Final = 256
_NEVER: Final = float("inf")
_NO_URL: Final = URL()

_sending_order: Final = attrgetter("order")
_setting_order: Final = attrgetter("set")
_sent_size: Final = attrgetter("size")


class AbstractCookieJar(Sized, Iterable[Morsel[str]], ABC):
    """What a session needs of a cookie jar.

    Args:
        loop: Obsolete (ANT-0004).
    """

    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        if loop is not None:
            warn_deprecated("ANT-0004")

    @abstractmethod
    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Forget the cookies for which *predicate* is true, or all."""

    @abstractmethod
    def clear_domain(self, domain: str) -> None:
        """Forget the cookies of *domain* and of everything below it."""

    @abstractmethod
    def update_cookies(self, cookies: LooseCookies, response_url: URL = _NO_URL) -> None:
        """Keep *cookies*, set by *response_url*, or for every host without a URL."""

    @abstractmethod
    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """Return the cookies that go to *request_url*."""

    @property
    def cookies(self) -> Mapping[tuple[str, str], SimpleCookie]:
        """The cookies by domain and path."""
        return MappingProxyType({})

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """Domain, path and name of cookies that go to the very host that set them."""
        return frozenset()

    @property
    def unsafe(self) -> bool:
        """Whether cookies of hosts that are IP addresses are kept."""
        return False

    @property
    def quote_cookie(self) -> bool:
        """Whether values are sent in their quoted form where they have one."""
        return True

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins that count as secure whatever their scheme."""
        return frozenset()

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Keep the cookies of ``Set-Cookie`` fields with the values *headers*."""
        for text in headers:
            cookie = parse_set_cookie(text)
            if cookie is not None:
                self.update_cookies([(cookie.name, to_morsel(cookie))], response_url)

    def update_from_headers(self, set_cookie_values: Sequence[str], url: URL) -> None:
        """What the client calls; the same as `update_cookies_from_headers`."""
        self.update_cookies_from_headers(set_cookie_values, url)

    def header_for(self, url: URL) -> str:
        """Return the value of the ``Cookie`` field for *url*; empty if no cookie goes there."""
        cookies = self.filter_cookies(url)
        if not cookies:
            return ""
        return "; ".join(f"{morsel.key}={morsel.coded_value}" for morsel in cookies.values())


@final
class _Stored:
    """A cookie in the jar, with what sending it needs worked out once."""

    __slots__ = (
        "cookie",
        "created",
        "domain",
        "expires",
        "host_only",
        "morsel",
        "order",
        "pair",
        "path",
        "secure",
        "sent_value",
        "set",
        "size",
    )

    def __init__(
        self,
        cookie: SetCookie,
        domain: str,
        path: str,
        *,
        host_only: bool,
        created: int,
        quote: bool,
    ) -> None:
        self.cookie = cookie
        self.domain = domain
        """The domain it goes to; empty for every host."""
        self.path = path
        self.host_only = host_only
        self.secure = cookie.secure
        self.set = created
        """A number that grows with each cookie that is set."""
        self.expires = _NEVER
        """Seconds since 1970."""
        self.sent_value = value = cookie.value if quote else _without_quotes(cookie.value)
        self.pair = f"{cookie.name}={value}" if cookie.name else value
        self.size = size_of(self.pair) + 2
        self.morsel: Morsel[str] | None = None
        self.keep_place(created)

    def keep_place(self, created: int) -> None:
        """Take the place of the cookie that was made as number *created*."""
        self.created = created
        # Section 5.8.3 step 2: longer paths first, then the older cookie.
        self.order = (-len(self.path), created)

    def plain_morsel(self) -> Morsel[str]:
        """The cookie as `http.cookies` has it, without attributes."""
        if self.morsel is None:
            self.morsel = to_morsel(SetCookie(name=self.cookie.name, value=self.sent_value))
        return self.morsel

    @property
    def key(self) -> "_CookieKey":
        # Section 5.7 step 22: what makes two cookies one.
        return (self.path, self.cookie.name, self.host_only)


_CookieKey = tuple[str, str, bool]

_NEEDS_QUOTES: Final = re.compile(r'[\x00-\x1f\x7f;,"\\]')


def _without_quotes(value: str) -> str:
    """Return the text between the quotes of *value*, or *value* where that cannot be sent.

    An escaped semicolon would let a server set cookies that it must not set, an escaped line
    end would break every request to it.
    """
    text = unquote_cookie_value(value)
    return value if _NEEDS_QUOTES.search(text) else text


class CookieJar(AbstractCookieJar):
    """Cookies in memory.

    At most 3300 are kept, 180 of one domain, of at most 4096 bytes each; a request gets at
    most 150 of them and 8190 bytes. What must go to make room: what has ended, then what
    is not ``Secure``, oldest first.

    Args:
        unsafe: Keep cookies of hosts that are IP addresses, and send them.
        quote_cookie: Send values in their quoted form where they have one; ``False`` sends
            the text between the quotes, unless it has what no cookie may have: controls,
            ``;``, ``,``, ``"`` or a backslash.
        treat_as_secure_origin: Origins that count as secure whatever their scheme.
        loop: Obsolete (ANT-0004).
        public_suffixes: Domains that nobody owns alone, such as ``co.uk``: a container of
            them, or a function that tells. No cookie is kept for these. Without it, only
            domains of one label count as such.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        *,
        unsafe: bool = False,
        quote_cookie: bool = True,
        treat_as_secure_origin: str | URL | Iterable[str | URL] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        public_suffixes: Callable[[str], bool] | Container[str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if loop is not None:
            warn_deprecated("ANT-0004")
        super().__init__()
        self._unsafe = unsafe
        self._quote_cookie = quote_cookie
        self._secure_origins = _origins(treat_as_secure_origin)
        if public_suffixes is None or callable(public_suffixes):
            self._is_suffix = public_suffixes
        else:
            self._is_suffix = public_suffixes.__contains__
        self._clock = clock
        self._domains: dict[str, dict[_CookieKey, _Stored]] = {}
        self._count = 0
        self._created = 0
        self._next_end = _NEVER  # when the first of them ends
        self._headers: dict[tuple[str | None, str, str], str] = {}
        self._crowded: set[str] = set()  # domains with more cookies than they may have
        self._secure: dict[str, dict[_Stored, None]] = {}  # secure cookies by name

    # -- what is in it

    @property
    def unsafe(self) -> bool:
        """Whether cookies of hosts that are IP addresses are kept."""
        return self._unsafe

    @property
    def quote_cookie(self) -> bool:
        """Whether values are sent in their quoted form where they have one."""
        return self._quote_cookie

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        """Origins that count as secure whatever their scheme."""
        return self._secure_origins

    @property
    def cookies(self) -> Mapping[tuple[str, str], SimpleCookie]:
        """A snapshot of the cookies by domain and path; a path is without the slash at its end."""
        found: dict[tuple[str, str], SimpleCookie] = {}
        for stored in self._all():
            place = (stored.domain, stored.path.rstrip("/"))
            dict.__setitem__(
                found.setdefault(place, SimpleCookie()), stored.cookie.name, _morsel(stored)
            )
        return MappingProxyType(found)

    @property
    def host_only_cookies(self) -> frozenset[tuple[str, str, str]]:
        """Domain, path and name of cookies that go to the very host that set them."""
        return frozenset(
            (stored.domain, stored.path.rstrip("/"), stored.cookie.name)
            for stored in self._all()
            if stored.host_only
        )

    def __len__(self) -> int:
        self._end_of_life()
        return self._count

    def __iter__(self) -> Iterator[Morsel[str]]:
        return iter([_morsel(stored) for stored in self._all()])

    def _all(self) -> list[_Stored]:
        self._end_of_life()
        return [stored for cookies in self._domains.values() for stored in cookies.values()]

    # -- what goes out

    def header_for(self, url: URL) -> str:
        """Return the value of the ``Cookie`` field for *url*; empty if no cookie goes there."""
        if not self._count:
            return ""
        if self._next_end <= self._clock():
            self._end_of_life()
        place = (url.raw_host, url.raw_path, url.scheme)
        header = self._headers.get(place)
        # An origin also has a port, which matters only where some origins are declared secure.
        if header is None or self._secure_origins:
            cookies = self._matching(url)
            header = "; ".join([stored.pair for stored in cookies])
            if len(self._headers) >= _CACHED_HEADERS:
                self._headers.clear()
            self._headers[place] = header
        return header

    def filter_cookies(self, request_url: URL = _NO_URL) -> BaseCookie[str]:
        """Return the cookies that go to *request_url*.

        Of several with one name, the one with the longest path: a `BaseCookie` has no room
        for more. `header_for` has. The morsels are made once for all calls: not to be changed.
        """
        found: BaseCookie[str] = BaseCookie()
        self._end_of_life()
        for stored in self._matching(URL(request_url)):
            if stored.cookie.name not in found:
                dict.__setitem__(found, stored.cookie.name, stored.plain_morsel())
        return found

    def _matching(self, url: URL) -> list[_Stored]:
        """The cookies for *url* in the order to send them, as many as one request may have."""
        host = (url.raw_host or "").lower()
        path = url.raw_path or "/"
        secure = self._is_secure(url)
        found: list[_Stored] = []
        for domain in self._domains_of(host):
            cookies = self._domains.get(domain)
            if not cookies:
                continue
            for stored in cookies.values():
                if stored.host_only and domain != host:
                    continue
                # GHSA-494j-54xm-rwp3: this holds for cookies of every host too.
                if stored.secure and not secure:
                    continue
                if stored.path == "/" or path_match(path, stored.path):
                    found.append(stored)
        if len(found) > 1:
            found.sort(key=_sending_order)
        return self._as_many_as_allowed(found)

    def _domains_of(self, host: str) -> list[str]:
        """The domains whose cookies may go to *host*: itself and its parents, and everybody's."""
        if not host:
            return [""]
        if is_address(host):
            return ["", host] if self._unsafe else [""]
        domains = ["", host]
        domains_known = self._domains
        dot = host.find(".")
        while dot >= 0:
            parent = host[dot + 1 :]
            if parent in domains_known:
                domains.append(parent)
            dot = host.find(".", dot + 1)
        return domains

    def _as_many_as_allowed(self, found: list[_Stored]) -> list[_Stored]:
        """Leave out those set longest ago where there are too many: a login is among the last."""
        count = len(found)
        size = sum(map(_sent_size, found)) - 2
        if count <= MAX_SENT and size <= MAX_SENT_SIZE:
            return found
        left_out: set[_Stored] = set()
        for stored in sorted(found, key=_setting_order):
            if count <= MAX_SENT and size <= MAX_SENT_SIZE:
                break
            left_out.add(stored)
            count -= 1
            size -= stored.size
        return [stored for stored in found if stored not in left_out]

    # -- what comes in

    def update_from_headers(self, set_cookie_values: Sequence[str], url: URL) -> None:
        """Keep the cookies of ``Set-Cookie`` fields that *url* answered with."""
        for text in set_cookie_values:
            cookie = parse_set_cookie(text)
            if cookie is not None:
                self._set(cookie, url)
        self._make_room()

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """The same as `update_from_headers`."""
        self.update_from_headers(headers, response_url)

    def update_cookies(self, cookies: LooseCookies, response_url: URL = _NO_URL) -> None:
        """Keep *cookies*, set by *response_url*, or for every host without a URL.

        What *response_url* must not set is left out without a word, as a browser does it.

        Raises:
            ValueError: A name or a value has characters that no cookie can have.
        """
        pairs = cast(
            "Iterable[tuple[str, Any]]",  # Any: text, morsels, cookies, numbers
            cookies.items() if isinstance(cookies, Mapping) else cookies,
        )
        for name, value in pairs:
            if isinstance(value, BaseCookie):
                self.update_cookies(value, response_url)
            elif isinstance(value, Morsel):
                self._set(from_morsel(value, name), response_url)
            else:
                self._set(from_user(name, str(value), self._quote_cookie), response_url)
        self._make_room()

    def _set(self, cookie: SetCookie, url: URL) -> None:
        """Keep one cookie, if its sender may set it (section 5.7)."""
        host = (url.raw_host or "").lower()
        if host and is_address(host) and not self._unsafe:
            return
        placed = self._domain_for(cookie, host)
        if placed is None:
            return
        domain, host_only = placed
        path = cookie.path or default_path(url.raw_path if host else "/")
        secure_origin = not host or self._is_secure(url)
        if not secure_origin and (cookie.secure or self._overlays_secure(cookie, domain, path)):
            return  # steps 13 and 14: no cookie for https from http
        if not cookie.keeps_prefix:
            return
        self._created += 1
        stored = _Stored(
            cookie,
            domain,
            path,
            host_only=host_only,
            created=self._created,
            quote=self._quote_cookie,
        )
        self._store(stored, self._clock())

    def _domain_for(self, cookie: SetCookie, host: str) -> tuple[str, bool] | None:
        """Where the cookie goes, and whether to that host only; ``None``: nowhere."""
        domain = cookie.domain
        if not domain:
            return host, bool(host)
        if not host:
            return domain, False
        if self._is_public(domain):
            # Step 9: a suffix that is a host itself may keep cookies for itself.
            return (host, True) if domain == host else None
        if domain.endswith(".") or not domain_match(host, domain):
            return None
        return domain, is_address(host)

    def _is_public(self, domain: str) -> bool:
        if "." not in domain:
            return True
        return self._is_suffix is not None and self._is_suffix(domain)

    def _is_secure(self, url: URL) -> bool:
        if url.scheme in ("https", "wss"):
            return True
        return (
            bool(self._secure_origins)
            and url.absolute
            and (URL(str(url.origin())) in self._secure_origins)
        )

    def _overlays_secure(self, cookie: SetCookie, domain: str, path: str) -> bool:
        """Whether a secure cookie of this name is there that the new one would hide."""
        return any(
            path_match(path, stored.path)
            and (domain_match(stored.domain, domain) or domain_match(domain, stored.domain))
            for stored in self._secure.get(cookie.name, ())
        )

    def _store(self, stored: _Stored, now: float) -> None:
        cookie = stored.cookie
        if cookie.max_age is not None:
            stored.expires = now + cookie.max_age
        elif cookie.expires is not None:
            stored.expires = cookie.expires.timestamp()
        cookies = self._domains.get(stored.domain)
        old = None if cookies is None else cookies.get(stored.key)
        if stored.expires <= now or (cookie.max_age is not None and cookie.max_age <= 0):
            if old is not None:
                self._remove(old)
            return
        if stored.expires != _NEVER:
            stored.expires = min(stored.expires, now + _MAX_LIFETIME)
            self._next_end = min(self._next_end, stored.expires)
        if old is None:
            if cookies is None:
                cookies = self._domains[stored.domain] = {}
            self._count += 1
            if len(cookies) >= MAX_COOKIES_PER_DOMAIN:
                self._crowded.add(stored.domain)
            self._headers.clear()
        else:
            self._unlist(old)
            # Section 5.7 step 23: an update keeps its place among the cookies sent.
            stored.keep_place(old.created)
            if old.cookie.value != cookie.value or old.secure != stored.secure:
                self._headers.clear()
        cast("dict[_CookieKey, _Stored]", cookies)[stored.key] = stored
        if stored.secure:
            self._secure.setdefault(cookie.name, {})[stored] = None

    def _unlist(self, stored: _Stored) -> None:
        if stored.secure:
            same_name = self._secure[stored.cookie.name]
            del same_name[stored]
            if not same_name:
                del self._secure[stored.cookie.name]

    # -- what goes

    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Forget the cookies for which *predicate* is true, or all."""
        self._headers.clear()
        if predicate is None:
            self._domains.clear()
            self._secure.clear()
            self._crowded.clear()
            self._count = 0
            self._next_end = _NEVER
            return
        for stored in self._all():
            if predicate(_morsel(stored)):
                self._remove(stored)

    def clear_domain(self, domain: str) -> None:
        """Forget the cookies of *domain* and of everything below it."""
        domain = domain.lower()
        for theirs in list(self._domains):
            if domain_match(theirs, domain):
                for stored in list(self._domains[theirs].values()):
                    self._remove(stored)

    def _remove(self, stored: _Stored) -> None:
        cookies = self._domains[stored.domain]
        del cookies[stored.key]
        if not cookies:
            del self._domains[stored.domain]
        self._unlist(stored)
        self._count -= 1
        self._headers.clear()

    def _end_of_life(self) -> None:
        now = self._clock()
        if now < self._next_end:
            return
        nearest = _NEVER
        for cookies in list(self._domains.values()):
            for stored in list(cookies.values()):
                if stored.expires <= now:
                    self._remove(stored)
                else:
                    nearest = min(nearest, stored.expires)
        self._next_end = nearest

    def _make_room(self) -> None:
        """Keep to the limits (section 5.7): nobody can fill the memory or crowd out others."""
        if not self._crowded and self._count <= MAX_COOKIES:
            return
        self._end_of_life()
        for domain in self._crowded:
            cookies = self._domains.get(domain, {})
            if len(cookies) > MAX_COOKIES_PER_DOMAIN:
                self._evict(cookies.values(), len(cookies) - KEPT_PER_DOMAIN)
        self._crowded.clear()
        if self._count > MAX_COOKIES:
            self._evict(self._all(), self._count - KEPT_OF_ALL)

    def _evict(self, cookies: Iterable[_Stored], number: int) -> None:
        for stored in heapq.nsmallest(number, cookies, key=_eviction_order):
            self._remove(stored)

    # -- files

    def save(self, file_path: str | PathLike[str]) -> None:
        """Write the cookies to a JSON file that only its owner can read.

        The file is replaced as a whole, so that it is never half written.

        Raises:
            OSError: The file cannot be written.
        """
        write_cookies(
            file_path,
            [
                (stored.cookie, stored.domain, stored.path, stored.host_only, stored.expires)
                for stored in self._all()
            ],
        )

    def load(self, file_path: str | PathLike[str]) -> None:
        """Replace what is in the jar by the cookies of a file that `save` wrote.

        Files that aiohttp 3.14 wrote as JSON are read too. Its older files are pickles,
        which can run any code when they are read, and are refused (CVE-2026-34993).

        Raises:
            ValueError: The file is no such file; the jar stays as it is.
            OSError: The file cannot be read.
        """
        read = read_cookies(file_path)
        self.clear()
        now = self._clock()
        for cookie, domain, path, host_only, expires in read:
            if not cookie.keeps_prefix or (domain and self._is_refused(domain, host_only)):
                continue
            self._created += 1
            stored = _Stored(
                cookie,
                domain,
                path,
                host_only=host_only,
                created=self._created,
                quote=self._quote_cookie,
            )
            if expires is not None:
                # An age would begin anew with each reading.
                cookie.max_age = None
                cookie.expires = _moment(expires)
            self._store(stored, now)
        self._make_room()

    def _is_refused(self, domain: str, host_only: bool) -> bool:
        if is_address(domain):
            return not self._unsafe
        return not host_only and self._is_public(domain)


@final
class DummyCookieJar(AbstractCookieJar):
    """A jar that keeps nothing.

    Args:
        loop: Obsolete (ANT-0004).
    """

    def __init__(self, *, loop: asyncio.AbstractEventLoop | None = None) -> None:
        if loop is not None:
            warn_deprecated("ANT-0004")
        super().__init__()

    def __iter__(self) -> Iterator[Morsel[str]]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def clear(self, predicate: Callable[[Morsel[str]], bool] | None = None) -> None:
        """Do nothing."""

    def clear_domain(self, domain: str) -> None:
        """Do nothing."""

    def update_cookies(self, cookies: LooseCookies, response_url: URL = _NO_URL) -> None:
        """Do nothing."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Do nothing."""

    def filter_cookies(self, request_url: URL = _NO_URL) -> BaseCookie[str]:
        """Return no cookies."""
        return BaseCookie()

    def header_for(self, url: URL) -> str:
        """Return no cookies."""
        return ""


def _eviction_order(stored: _Stored) -> tuple[bool, int]:
    return (stored.secure, stored.set)


def _origins(given: str | URL | Iterable[str | URL] | None) -> frozenset[URL]:
    if given is None:
        return frozenset()
    if isinstance(given, (str, URL)):
        given = (given,)
    # By way of text: only that drops a port that is the scheme's own.
    return frozenset(URL(str(URL(origin).origin())) for origin in given)


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # beyond the year 9999
        return None


def _morsel(stored: _Stored) -> Morsel[str]:
    morsel = to_morsel(stored.cookie)
    morsel["domain"] = stored.domain
    morsel["path"] = stored.path
    return morsel
