"""Fuzz target for media types and what negotiates them."""

from antiphon.core.fields import _grammar, accept, media_type
from antiphon.core.fields.accept import best_media_type, negotiate_coding
from antiphon.core.fields.media_type import parse_media_type

OFFERS = ("text/html", "application/json")


def fuzz_one(data: bytes) -> None:
    """Check one field value.

    Raises:
        AssertionError: A property does not hold.
    """
    text = data.decode("utf-8", "surrogateescape")
    assert best_media_type(text, OFFERS) in (*OFFERS, None)
    assert negotiate_coding(text, ("gzip", "br")) in ("gzip", "br", "identity", "", None)
    found = parse_media_type(text)
    if found is None:
        return
    assert found.essence == found.essence.lower()
    names = [name for name, _ in found.parameters]
    assert len(names) == len(set(names))
    _ = found.codec, found.is_json, found.suffix
    try:
        written = str(found)
    except ValueError:
        return  # a value has a control character
    assert parse_media_type(written) == found, (written, found)
    # A parameter behind it changes nothing about those before.
    longer = parse_media_type(f"{written}; {'x' * 70}=1")
    assert longer is not None
    assert longer.parameters[: len(names)] == found.parameters


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, media_type, _grammar, accept)
