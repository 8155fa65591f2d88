"""Fuzz target for ``Forwarded``: what a client sends cannot swallow what a proxy appends."""

from antiphon.core.fields import _grammar, forwarded
from antiphon.core.fields.forwarded import (
    format_forwarded,
    parse_forwarded,
    parse_node,
    parse_x_forwarded_for,
)


def fuzz_one(data: bytes) -> None:
    """Check one field value.

    Raises:
        AssertionError: A property does not hold.
    """
    text = data.decode("utf-8", "surrogateescape")
    found = parse_forwarded(text)
    assert len(found) <= text.count(",") + 1
    appended = parse_forwarded(f"{text}, for=192.0.2.1")
    assert dict(appended[-1]) == {"for": "192.0.2.1"}, text
    for element in found:
        for value in element.values():
            host, port = parse_node(value)
            assert host in value
            assert port is None or port in value
    assert all(parse_x_forwarded_for(text))
    known = [dict(element) for element in found if element]
    try:
        written = format_forwarded(known)
    except ValueError:
        return  # a value has a control character
    assert [dict(element) for element in parse_forwarded(written)] == known, (written, known)


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, forwarded, _grammar)
