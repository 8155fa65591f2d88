"""Cookies that users give, in every form that they may have, and what none may contain."""

import ipaddress
from http.cookies import Morsel
from typing import Any, Final, cast

from antiphon.core.fields.cookies import (
    MAX_COOKIE_SIZE,
    SetCookie,
    parse_cookie_date,
    quote_cookie_value,
)

__all__ = ("from_morsel", "from_user", "is_address", "size_of")


def size_of(text: str) -> int:
    """Bytes that *text* takes in a field."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def is_address(host: str) -> bool:
    """Whether *host* is an IP address and not a name."""
    if ":" in host:
        return True
    if not host[-1:].isdigit():  # no name ends in a digit label, and few in a digit at all
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def from_morsel(morsel: Morsel[Any], name: str) -> SetCookie:
    """Return what *morsel* says, under *name*. Raises `ValueError` as `from_user` does."""
    max_age = morsel["max-age"]
    try:
        age = int(max_age) if max_age not in ("", None) else None
    except ValueError:
        age = None
    path = str(morsel["path"] or "")
    cookie = SetCookie(
        name=name or morsel.key,
        value=morsel.coded_value,
        expires=parse_cookie_date(str(morsel["expires"])) if morsel["expires"] else None,
        max_age=age,
        domain=str(morsel["domain"] or "").removeprefix(".").lower() or None,
        path=path if path.startswith("/") else None,
        secure=bool(morsel["secure"]),
        httponly=bool(morsel["httponly"]),
        samesite=cast(Any, str(morsel.get("samesite") or "").capitalize() or None),
        partitioned=bool(morsel.get("partitioned")),
    )
    return _checked(cookie)


def from_user(name: str, value: str, quote: bool) -> SetCookie:
    """Return the cookie of which only name and value are given.

    Raises:
        ValueError: They have characters that no cookie can have, or are too long.
    """
    if quote:
        value = quote_cookie_value(value)
    cookie = SetCookie(name=name, value=value)
    if name[:2] == "__" and name.lower().startswith(("__host-", "__secure-")):
        # Who gives a name and a value only cannot say more: keep what the name promises.
        cookie.secure = True
        cookie.path = "/"
    return _checked(cookie)


_FORBIDDEN: Final = frozenset(map(chr, (*range(32), 127, ord(";"))))


def _checked(cookie: SetCookie) -> SetCookie:
    """Refuse what would break out of a ``Cookie`` field."""
    name, value = cookie.name, cookie.value
    if not name or "=" in name or " " in name or not _FORBIDDEN.isdisjoint(name):
        raise ValueError(f"not a cookie's name: {name[:100]!r}")
    if not _FORBIDDEN.isdisjoint(value):
        raise ValueError(f"not a cookie's value: {value[:100]!r}")
    if size_of(name) + size_of(value) > MAX_COOKIE_SIZE:
        raise ValueError(f"the cookie {name[:100]!r} is larger than {MAX_COOKIE_SIZE} bytes")
    return cookie
