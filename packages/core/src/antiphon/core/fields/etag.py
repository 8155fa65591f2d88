"""Entity tags (RFC 9110 section 8.8.3)."""

import re
from collections.abc import Iterable
from typing import Final

import attrs

__all__ = (
    "ETAG_ANY",
    "ETag",
    "format_etags",
    "parse_etag",
    "parse_etags",
    "strong_match",
    "weak_match",
)

ETAG_ANY: Final = "*"
"""The value of the tag that stands for any, in ``If-Match`` and ``If-None-Match``."""

# entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE;  etagc = %x21 / %x23-7E / obs-text
# A blank inside is no etagc, but is sent, and harms nobody.
_ETAGC: Final = r"[^\x00-\x1f\"\x7f]*+"
_ETAG = re.compile(rf'(W/)?"({_ETAGC})"')
_MEMBER = re.compile(rf'[ \t,]*+(?:(W/)?"({_ETAGC})")[ \t]*+(?=,|\Z)')


@attrs.frozen
class ETag:
    """An entity tag.

    Attributes:
        value: The tag without its quotes; ``*`` stands for any where that makes sense.
        is_weak: Whether representations with this tag are only much alike, not equal.
    """

    value: str
    is_weak: bool = False

    def __str__(self) -> str:
        """The field's value.

        Raises:
            ValueError: The value has a character that no entity tag can have.
        """
        if re.fullmatch(_ETAGC, self.value) is None:
            raise ValueError(f"not an entity tag: {self.value[:100]!r}")
        return f'W/"{self.value}"' if self.is_weak else f'"{self.value}"'


def parse_etag(text: str) -> ETag | None:
    """Return the one tag of an ``ETag`` or ``If-Range`` field, ``None`` if it is malformed."""
    match = _ETAG.fullmatch(text.strip(" \t"))
    return None if match is None else ETag(match[2], match[1] is not None)


def parse_etags(text: str) -> tuple[ETag, ...]:
    """Return the tags of ``If-Match`` or ``If-None-Match``.

    ``*`` gives one tag with the value `ETAG_ANY`. What follows after something
    malformed is not read.
    """
    text = text.strip(" \t")
    if text == ETAG_ANY:
        return (ETag(ETAG_ANY),)
    found = []
    start = 0
    while match := _MEMBER.match(text, start):
        found.append(ETag(match[2], match[1] is not None))
        start = match.end()
    return tuple(found)


def format_etags(tags: Iterable[ETag]) -> str:
    """Return the value of ``If-Match`` or ``If-None-Match``.

    Raises:
        ValueError: A tag has a character that no entity tag can have.
    """
    members = list(tags)
    if members == [ETag(ETAG_ANY)]:
        return ETAG_ANY
    return ", ".join(map(str, members))


def strong_match(first: ETag, second: ETag) -> bool:
    """Compare as ``If-Match`` and ``If-Range`` do: equal, and neither is weak."""
    return first.value == second.value and not first.is_weak and not second.is_weak


def weak_match(first: ETag, second: ETag) -> bool:
    """Compare as ``If-None-Match`` does: weakness does not matter."""
    return first.value == second.value
