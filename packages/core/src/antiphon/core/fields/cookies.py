"""Cookies (RFC 6265bis): ``Cookie`` and ``Set-Cookie``, to value and back.

Values are never rewritten on the way through: what a server set is what it
gets back. The quoting of Python's `http.cookies` is there for servers that
want to put any text into a cookie, as two functions of their own.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import attrs

from ._grammar import is_token
from .dates import MONTH_NUMBERS, format_http_date

if TYPE_CHECKING:  # only named here; importing it costs more than this whole module
    from http.cookies import Morsel

__all__ = (
    "MAX_COOKIE_SIZE",
    "SameSite",
    "SetCookie",
    "default_path",
    "domain_match",
    "format_cookie_header",
    "format_set_cookie",
    "parse_cookie_date",
    "parse_cookie_header",
    "parse_set_cookie",
    "path_match",
    "quote_cookie_value",
    "to_morsel",
    "unquote_cookie_value",
)

SameSite = Literal["Strict", "Lax", "None"]

MAX_COOKIE_SIZE: Final = 4096
"""Bytes of name and value together (RFC 6265bis section 5.6); a browser drops a larger one."""

MAX_ATTRIBUTE_SIZE: Final = 1024
"""Bytes of one attribute's value (RFC 6265bis section 5.6); a larger one is passed over."""

_MAX_AGE: Final = 9_999_999_999
"""Seconds. Nobody's clock ends sooner; and a sum with it cannot overflow a date's arithmetic."""

_WSP: Final = " \t"


# --- Cookie -----------------------------------------------------------------------------------


def parse_cookie_header(text: str, max_cookies: int = 300) -> list[tuple[str, str]]:
    """Return the cookies of a request as names and values, in order, as they came.

    A member without ``=``, or without a name before it, is a cookie without a name
    and left out: it must not pass for one whose name its value spells (CVE-2023-23934).

    Args:
        text: The field's value.
        max_cookies: What follows after so many members is not read.
    """
    found = []
    members = text.split(";", max_cookies)
    if len(members) > max_cookies:
        del members[max_cookies]
    for member in members:
        name, equals, value = member.partition("=")
        if equals:
            name = name.strip(_WSP)
            if name:
                found.append((name, value.strip(_WSP)))
    return found


_UNSENDABLE = re.compile(r"[\x00-\x1f;\x7f]")


def format_cookie_header(cookies: Iterable[tuple[str, str]]) -> str:
    """Return the value of ``Cookie``; names and values go out as they are.

    Raises:
        ValueError: A name or value has a semicolon or a control character, or a name an ``=``.
    """
    parts = []
    for name, value in cookies:
        if "=" in name or _UNSENDABLE.search(name) or _UNSENDABLE.search(value):
            raise ValueError(f"not a cookie: {name[:100]!r}")
        parts.append(f"{name}={value}" if name else value)
    return "; ".join(parts)


# --- any text as a value ----------------------------------------------------------------------

# RFC 6265 section 4.1.1: cookie-octet leaves out controls, blank, quote, comma, semicolon, backslash
_PLAIN_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*+")
_QUOTED_BYTE = re.compile(rb"\\([0-3][0-7][0-7])|\\(.)", re.DOTALL)
_ESCAPED_BYTE = re.compile(rb"[^ !#-+\--:<-\[\]-~]")


def quote_cookie_value(value: str) -> str:
    r"""Return *value* in a form that any text can take, between quotes if it needs them.

    The form is that of `http.cookies`: ``\"``, ``\\`` and three octal digits for a byte of
    UTF-8. A value of harmless characters stays as it is.
    """
    if _PLAIN_VALUE.fullmatch(value):
        return value
    return '"' + _ESCAPED_BYTE.sub(_escape, value.encode("utf-8", "surrogateescape")).decode() + '"'


def _escape(match: "re.Match[bytes]") -> bytes:
    byte = match[0]
    return b"\\" + byte if byte in b'"\\' else b"\\%03o" % byte[0]


def unquote_cookie_value(value: str) -> str:
    """Return the text that `quote_cookie_value` or `http.cookies` put into a value.

    A value that is not between quotes is returned as it is. Linear in its length (CVE-2024-52804).
    """
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    value = value[1:-1]
    if "\\" not in value:
        return value
    data = _QUOTED_BYTE.sub(_unescape, value.encode("utf-8", "surrogateescape"))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")  # which is what http.cookies means


def _unescape(match: "re.Match[bytes]") -> bytes:
    octal, plain = match.groups()
    return bytes((int(octal, 8),)) if octal else cast(bytes, plain)


# --- Set-Cookie -------------------------------------------------------------------------------


@attrs.define(kw_only=True)
class SetCookie:
    """A cookie as a server sets it.

    Attributes:
        name: The name, case kept; may be empty.
        value: The value, as it came.
        expires: When it ends, in UTC; ``None`` if not said.
        max_age: Seconds until it ends, counting more than `expires`; 0 or less ends it now.
        domain: The ``Domain`` in lower case without its leading dot; ``None`` for this host only.
        path: The ``Path``; ``None`` if not said or not absolute, which means `default_path`.
        secure: Whether it goes over secure connections only.
        httponly: Whether scripts must not see it.
        samesite: ``Strict``, ``Lax`` or ``None``; the Python value ``None`` if not said.
        partitioned: Whether it is kept apart for each top-level site.
    """

    name: str
    value: str
    expires: datetime | None = None
    max_age: int | None = None
    domain: str | None = None
    path: str | None = None
    secure: bool = False
    httponly: bool = False
    samesite: SameSite | None = None
    partitioned: bool = False

    @property
    def keeps_prefix(self) -> bool:
        """Whether the cookie is what its name promises (RFC 6265bis section 4.1.3).

        ``__Secure-`` promises ``Secure``; ``__Host-`` that, ``Path=/`` and no ``Domain``. A
        user agent takes no cookie that breaks its promise, nor one from an insecure origin.
        """
        return _keeps_prefix(self.name, self.secure, self.domain, self.path)

    def __str__(self) -> str:
        """The field's value, with `value` as it is.

        Raises:
            ValueError: As from `format_set_cookie`; or a dot leads the domain, which would be
                taken off when it is read.
        """
        if self.domain is not None and self.domain.startswith("."):
            raise ValueError(f"domain begins with a dot: {self.domain[:100]!r}")
        return format_set_cookie(
            self.name, self.value, expires=self.expires, domain=self.domain,
            max_age=self.max_age, path=self.path, secure=self.secure, httponly=self.httponly,
            samesite=self.samesite, partitioned=self.partitioned, quote=False,
        )  # fmt: skip


def _keeps_prefix(name: str, secure: bool, domain: str | None, path: str | None) -> bool:
    if not name.startswith("__"):
        return True
    name = name.lower()  # section 5.7: compared without regard to case
    if name.startswith("__host-"):
        return secure and not domain and path == "/"
    return secure or not name.startswith("__secure-")


# Section 5.6 step 1: %x00-08 / %x0A-1F / %x7F drop the cookie
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DELTA = re.compile(r"-?[0-9]++")
_SAMESITE: Final[dict[str, SameSite]] = {"strict": "Strict", "lax": "Lax", "none": "None"}


def parse_set_cookie(text: str) -> SetCookie | None:
    """Return the cookie of one ``Set-Cookie`` field, ``None`` if a user agent drops it.

    RFC 6265bis section 5.6: attributes that are unknown, malformed or too long are passed over;
    the last of one name counts. Dropped are cookies with control characters, larger than 4096
    bytes, without name and value, and nameless ones that spell a prefix.
    Whether the sender may set it (domain, prefix, security) is for whoever keeps it.
    """
    if _CONTROL.search(text):
        return None
    pair, _, rest = text.partition(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", name
    name = name.strip(_WSP)
    value = value.strip(_WSP)
    if not name and (not value or value.lower().startswith(("__secure-", "__host-"))):
        return None
    if _size(name) + _size(value) > MAX_COOKIE_SIZE:
        return None
    cookie = SetCookie(name=name, value=value)
    if rest:
        for attribute in rest.split(";"):
            key, _, setting = attribute.partition("=")
            apply = _ATTRIBUTES.get(key.strip(_WSP).lower())
            if apply is not None:
                setting = setting.strip(_WSP)
                if _size(setting) <= MAX_ATTRIBUTE_SIZE:
                    apply(cookie, setting)
    return cookie


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _set_expires(cookie: SetCookie, text: str) -> None:
    moment = parse_cookie_date(text)
    if moment is not None:
        cookie.expires = moment


def _set_max_age(cookie: SetCookie, text: str) -> None:
    if _DELTA.fullmatch(text):
        digits = text.lstrip("-").lstrip("0") or "0"
        # The length first: an age of a thousand digits is no work for int().
        age = int(digits) if len(digits) <= 10 else _MAX_AGE
        cookie.max_age = -age if text[0] == "-" else age


def _set_domain(cookie: SetCookie, text: str) -> None:
    cookie.domain = text.removeprefix(".").lower() or None


def _set_path(cookie: SetCookie, text: str) -> None:
    cookie.path = text if text.startswith("/") else None


def _set_secure(cookie: SetCookie, text: str) -> None:
    cookie.secure = True


def _set_httponly(cookie: SetCookie, text: str) -> None:
    cookie.httponly = True


def _set_samesite(cookie: SetCookie, text: str) -> None:
    cookie.samesite = _SAMESITE.get(text.lower())


def _set_partitioned(cookie: SetCookie, text: str) -> None:
    cookie.partitioned = True


_ATTRIBUTES: Final = {
    "expires": _set_expires,
    "max-age": _set_max_age,
    "domain": _set_domain,
    "path": _set_path,
    "secure": _set_secure,
    "httponly": _set_httponly,
    "samesite": _set_samesite,
    "partitioned": _set_partitioned,
}

# RFC 6265 section 4.1.1 has a token; http.cookies adds the colon, and such names are about.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z:]++")
_DOMAIN = re.compile(r"\.?[0-9A-Za-z_\-]++(?:\.[0-9A-Za-z_\-]++)*+")
# av-octets = %x20-3A / %x3C-7E
_AV_OCTETS = re.compile(r"[\x20-\x3a\x3c-\x7e]*+")


def format_set_cookie(
    name: str,
    value: str,
    *,
    expires: datetime | str | None = None,
    domain: str | None = None,
    max_age: int | str | None = None,
    path: str | None = "/",
    secure: bool | None = None,
    httponly: bool | None = None,
    samesite: str | None = None,
    partitioned: bool | None = None,
    version: str | None = None,
    quote: bool = True,
) -> str:
    """Return the value of a ``Set-Cookie`` field (RFC 6265bis section 4.1).

    Args:
        name: A token; a colon is allowed in it too.
        value: Any text. What a cookie cannot hold is written by `quote_cookie_value`.
        expires: A moment, or the text of one.
        domain: A host name; without it the cookie is this host's only.
        max_age: Seconds; 0 or less deletes the cookie.
        path: The path below which the cookie is sent; ``None`` leaves it out.
        secure: Send over secure connections only.
        httponly: Hide from scripts.
        samesite: ``Strict``, ``Lax`` or ``None``, in any case.
        partitioned: Keep apart for each top-level site.
        version: The ``Version`` of RFC 2109, which nobody reads.
        quote: ``False`` writes the value as it is, or refuses it.

    Raises:
        ValueError: A part could end its attribute and begin another (CVE-2026-35536), or the
            cookie breaks what its ``__Host-`` or ``__Secure-`` name promises.
    """
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"not a cookie's name: {name[:100]!r}")
    if quote:
        value = quote_cookie_value(value)
    elif _CONTROL.search(value) or ";" in value or value != value.strip(_WSP):
        raise ValueError(f"not a cookie's value as it is: {value[:100]!r}")
    if not _keeps_prefix(name, bool(secure), domain, path):
        raise ValueError(f"{name[:100]!r} needs Secure, and __Host- also Path=/ and no Domain")
    parts = [f"{name}={value}"]
    if domain:
        parts.append(f"Domain={_checked(_DOMAIN, domain, 'domain')}")
    if expires:
        text = format_http_date(expires) if isinstance(expires, datetime) else expires
        parts.append(f"Expires={_checked(_AV_OCTETS, text, 'expires')}")
    if httponly:
        parts.append("HttpOnly")
    if max_age is not None and max_age != "":
        parts.append(f"Max-Age={_checked(_DELTA, str(max_age), 'max_age')}")
    if partitioned:
        parts.append("Partitioned")
    if path:
        parts.append(f"Path={_checked(_AV_OCTETS, path, 'path')}")
    if samesite:
        if samesite.lower() not in _SAMESITE:
            raise ValueError(f"samesite must be Strict, Lax or None, not {samesite[:100]!r}")
        parts.append(f"SameSite={_SAMESITE[samesite.lower()]}")
    if secure:
        parts.append("Secure")
    if version:
        if not is_token(version):
            raise ValueError(f"not a version: {version[:100]!r}")
        parts.append(f"Version={version}")
    return "; ".join(parts)


def _checked(pattern: "re.Pattern[str]", text: str, what: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(f"not a cookie's {what}: {text[:100]!r}")
    return text


def to_morsel(cookie: SetCookie) -> "Morsel[str]":
    """Return the cookie as `http.cookies` has it, for where an API shows that.

    ``value`` is unquoted as `http.cookies` would do it, ``coded_value`` as it came.
    """
    from http.cookies import Morsel

    morsel: Morsel[str] = Morsel()
    # What set() refuses, such as a name with brackets, peers do send, and browsers take it.
    cast(Any, morsel).__setstate__({
        "key": cookie.name,
        "value": unquote_cookie_value(cookie.value),
        "coded_value": cookie.value,
    })
    if cookie.expires is not None:
        morsel["expires"] = format_http_date(cookie.expires)
    if cookie.max_age is not None:
        morsel["max-age"] = str(cookie.max_age)
    for key in ("domain", "path", "samesite"):
        setting = getattr(cookie, key)
        if setting is not None:
            morsel[key] = setting
    for key in ("secure", "httponly"):
        if getattr(cookie, key):
            morsel[key] = True
    if cookie.partitioned:
        dict.__setitem__(morsel, "partitioned", True)  # a key of its own from 3.14 on only
    return morsel


# --- dates ------------------------------------------------------------------------------------

# Section 5.1.1. What is no delimiter makes a token; each part of the date may have octets after
# its digits as long as these do not begin with a digit.
_DATE_TOKEN = re.compile(r"[^\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]++")
_DATE_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DATE_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_DATE_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")


def parse_cookie_date(text: str) -> datetime | None:
    """Return the moment that an ``Expires`` attribute says, in UTC; ``None`` if none.

    RFC 6265bis section 5.1.1: any order of time, day, month and year will do.
    """
    clock = day = year = None
    month = 0
    for token in _DATE_TOKEN.findall(text):
        if clock is None and (match := _DATE_TIME.match(token)):
            clock = (int(match[1]), int(match[2]), int(match[3]))
        elif day is None and (match := _DATE_DAY.match(token)):
            day = int(match[1])
        elif not month and (number := MONTH_NUMBERS.get(token[:3].lower())):
            month = number
        elif year is None and (match := _DATE_YEAR.match(token)):
            year = int(match[1])
    if clock is None or day is None or not month or year is None:
        return None
    if 70 <= year <= 99:
        year += 1900
    elif year <= 69:
        year += 2000
    if year < 1601:
        return None
    try:
        return datetime(year, month, day, *clock, tzinfo=UTC)
    except ValueError:  # no such day or time
        return None


# --- where a cookie goes ----------------------------------------------------------------------


def domain_match(host: str, domain: str) -> bool:
    """Say whether a cookie of *domain* goes to *host* (RFC 6265bis section 5.1.3).

    Both in lower case and IDNA-encoded. An IP address matches itself only.
    """
    if host == domain:
        return True
    return bool(domain) and host.endswith(f".{domain}") and not _is_address(host)


def _is_address(host: str) -> bool:
    # No top-level domain is a number, so one in the last place makes it an IPv4 address.
    return ":" in host or host.rpartition(".")[2].isdigit()


def default_path(path: str) -> str:
    """Return the path of a cookie that names none, set by *path* (RFC 6265bis section 5.1.4)."""
    if not path.startswith("/"):
        return "/"
    return path[: path.rfind("/")] or "/"


def path_match(path: str, cookie_path: str) -> bool:
    """Say whether a cookie of *cookie_path* goes to *path* (RFC 6265bis section 5.1.4)."""
    if not path.startswith(cookie_path):
        return False
    return (
        len(path) == len(cookie_path) or cookie_path.endswith("/") or path[len(cookie_path)] == "/"
    )
