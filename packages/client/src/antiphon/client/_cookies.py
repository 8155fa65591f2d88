"""The ``Cookie`` field of one request: the jar's cookies and the request's own."""

from collections.abc import Iterable, Mapping
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import Any

from .options import LooseCookies

__all__ = ("merged",)


def merged(present: str, cookies: LooseCookies, *, quote: bool = True) -> str:
    """Return *present*, a ``Cookie`` field's value, with *cookies* put over it.

    Args:
        present: What the jar or the user's own field says.
        cookies: What is added; a name that is there already gets the new value.
        quote: Put values with special characters into quotes, as `http.cookies` does.
    """
    added = _pairs(cookies, quote=quote)
    kept = [
        pair
        for pair in present.split(";")
        if pair.strip() and pair.partition("=")[0].strip() not in added
    ]
    return "; ".join(
        [pair.strip() for pair in kept] + [f"{name}={value}" for name, value in added.items()]
    )


def _pairs(cookies: LooseCookies, *, quote: bool) -> dict[str, str]:
    items: Iterable[tuple[str, Any]]  # Any: text, a morsel, or something of http.cookies
    items = cookies.items() if isinstance(cookies, Mapping) else cookies
    pairs: dict[str, str] = {}
    for name, value in items:
        if isinstance(value, BaseCookie):
            for morsel in value.values():
                pairs[morsel.key] = morsel.coded_value
        elif isinstance(value, Morsel):
            pairs[value.key] = value.coded_value
        elif quote:
            one: SimpleCookie = SimpleCookie()
            one[name] = value
            pairs[name] = one[name].coded_value
        else:
            pairs[name] = str(value)
    return pairs
