"""Fuzz target for ``Cookie``: members keep their bounds, and what is read can be sent on."""

from antiphon.core.fields import cookies
from antiphon.core.fields.cookies import (
    format_cookie_header,
    parse_cookie_header,
    quote_cookie_value,
    unquote_cookie_value,
)

LIMIT = 20


def fuzz_one(data: bytes) -> None:
    """Check one field value.

    Raises:
        AssertionError: A property does not hold.
    """
    text = data.decode("utf-8", "surrogateescape")
    found = parse_cookie_header(text, LIMIT)
    assert len(found) <= LIMIT
    for name, value in found:
        assert name
        assert "=" not in name
        assert ";" not in name + value
        assert (name, value) == (name.strip(" \t"), value.strip(" \t"))
        unquote_cookie_value(value)
    # Each member is read by itself: what stands before it changes nothing.
    members = text.split(";")[:LIMIT]
    assert found == [pair for member in members for pair in parse_cookie_header(member)]
    quoted = quote_cookie_value(text)
    assert quoted.isascii()
    assert not any(character in quoted for character in ";\r\n\0")
    assert unquote_cookie_value(quoted).encode("utf-8", "surrogateescape") == data or (
        not _is_utf8(data)
    )
    try:
        written = format_cookie_header(found)
    except ValueError:
        return  # there is a control character in it
    assert parse_cookie_header(written) == found


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, cookies)
