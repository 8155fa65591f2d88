"""Fuzz target for ``Set-Cookie``: what is read can be written, and says the same when read again."""

from antiphon.core.fields import cookies, dates
from antiphon.core.fields.cookies import (
    MAX_ATTRIBUTE_SIZE,
    MAX_COOKIE_SIZE,
    SetCookie,
    parse_set_cookie,
    to_morsel,
)


def fuzz_one(data: bytes) -> None:
    """Check one field value.

    Raises:
        AssertionError: A property does not hold.
    """
    text = data.decode("utf-8", "surrogateescape")
    cookie = parse_set_cookie(text)
    if cookie is None:
        return
    assert cookie.name or cookie.value
    assert len(cookie.name) + len(cookie.value) <= MAX_COOKIE_SIZE
    for part in (cookie.name, cookie.value, cookie.domain or "", cookie.path or ""):
        assert ";" not in part
        # A leading dot is taken off a domain, and what stands behind it is no name then.
        assert part == part.strip(" \t") or part is cookie.domain
        assert not any(ord(character) < 32 and character != "\t" for character in part)
    assert len(cookie.path or "/") <= MAX_ATTRIBUTE_SIZE
    assert (cookie.path or "/").startswith("/")
    assert cookie.domain is None or cookie.domain == cookie.domain.lower()
    assert to_morsel(cookie).coded_value == cookie.value
    try:
        written = str(cookie)
    except ValueError:
        return  # browsers take what no server should send
    again = parse_set_cookie(written)
    assert again == cookie, (again, cookie)
    assert_same_without_order(cookie, written)


def assert_same_without_order(cookie: SetCookie, written: str) -> None:
    """Attributes may come in any order."""
    pair, *attributes = written.split("; ")
    assert parse_set_cookie("; ".join([pair, *reversed(attributes)])) == cookie


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, cookies, dates)
