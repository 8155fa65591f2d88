"""The ``Cookie`` field of one request: the jar's cookies and the request's own."""

from collections.abc import Iterable, Mapping
from http.cookies import BaseCookie, Morsel
from typing import Any, cast

from antiphon.core.fields.cookies import format_cookie_header, quote_cookie_value

from .options import LooseCookies

__all__ = ("merged",)


def merged(present: str, cookies: LooseCookies, *, quote: bool = True) -> str:
    """Return *present*, a ``Cookie`` field's value, with *cookies* put over it.

    Args:
        present: What the jar or the user's own field says.
        cookies: What is added; a name that is there already gets the new value.
        quote: Put values with special characters into quotes, as `http.cookies` does.

    Raises:
        ValueError: A name or value would end the cookie it is in.
    """
    added = _pairs(cookies, quote=quote)
    kept = [
        pair.strip()
        for pair in present.split(";")
        if pair.strip() and pair.partition("=")[0].strip() not in added
    ]
    new = format_cookie_header(added.items())
    return "; ".join([*kept, new] if new else kept)


def _pairs(cookies: LooseCookies, *, quote: bool) -> dict[str, str]:
    # Any: text, a morsel, or something of http.cookies
    items = cast(
        "Iterable[tuple[str, Any]]", cookies.items() if isinstance(cookies, Mapping) else cookies
    )
    pairs: dict[str, str] = {}
    for name, value in items:
        if isinstance(value, BaseCookie):
            pairs.update((morsel.key, morsel.coded_value) for morsel in value.values())
        elif isinstance(value, Morsel):
            pairs[value.key] = value.coded_value
        else:
            if not name or " " in name:
                raise ValueError(f"not a cookie's name: {name[:100]!r}")
            pairs[name] = quote_cookie_value(str(value)) if quote else str(value)
    return pairs
