"""Media types: ``text/html; charset=utf-8`` (RFC 9110 section 8.3.1)."""

import re
from functools import lru_cache
from typing import Final

import attrs

from ._grammar import TOKEN, check_sendable, format_parameters, is_token, parse_parameters
from .charset import find_charset

__all__ = ("OCTET_STREAM", "MediaType", "parse_media_type")

OCTET_STREAM: Final = "application/octet-stream"
"""What content is as long as nobody says (RFC 9110 section 8.3)."""

_SHORT: Final = 64
"""Characters of a field value that is worth remembering: few different ones make up most messages."""

_ESSENCE = re.compile(rf"[ \t]*+({TOKEN})/({TOKEN})[ \t]*+(?:;|\Z)")


@attrs.frozen
class MediaType:
    """A media type.

    Attributes:
        type: The part before the slash, in lower case.
        subtype: The part after it, in lower case.
        parameters: Names in lower case with their values, in order. The first of a name counts.
    """

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def essence(self) -> str:
        """Type and subtype without parameters, such as ``text/html``."""
        return f"{self.type}/{self.subtype}"

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of a parameter, whatever the case of its name."""
        name = name.lower()
        for key, value in self.parameters:
            if key == name:
                return value
        return default

    @property
    def charset(self) -> str | None:
        """The ``charset`` parameter as it came; ``None`` if there is none or it is empty."""
        return self.get("charset") or None

    @property
    def codec(self) -> str | None:
        """The name of Python's codec for `charset`; ``None`` if there is none."""
        charset = self.charset
        return None if charset is None else find_charset(charset)

    @property
    def suffix(self) -> str | None:
        """The structured syntax suffix, such as ``json`` in ``problem+json`` (RFC 6839)."""
        _, plus, suffix = self.subtype.rpartition("+")
        return suffix if plus else None

    @property
    def is_json(self) -> bool:
        """Whether content is JSON: ``application/json``, ``text/json`` or ``…+json``."""
        return (
            self.subtype == "json" and self.type in ("application", "text")
        ) or self.suffix == "json"

    def with_parameters(self, **parameters: str) -> "MediaType":
        """Return this media type with parameters set or replaced."""
        kept = tuple(pair for pair in self.parameters if pair[0] not in parameters)
        return attrs.evolve(self, parameters=(*kept, *parameters.items()))

    def __str__(self) -> str:
        """The field's value.

        Raises:
            ValueError: A name is no token, or a value has a control character.
        """
        for part in (self.type, self.subtype):
            check_sendable(part, "media type")
            if not is_token(part):
                raise ValueError(f"not a media type: {part[:100]!r}")
        return self.essence + format_parameters(self.parameters)


def parse_media_type(text: str) -> MediaType | None:
    """Return the media type that *text* says, ``None`` if it says none.

    Parameters are taken as browsers take them: what is malformed is passed over, the first of
    two with one name counts.
    """
    return _remembered(text) if len(text) <= _SHORT else _parse(text)


def _parse(text: str) -> MediaType | None:
    match = _ESSENCE.match(text)
    if match is None:
        return None
    parameters: dict[str, str] = {}
    for name, value in parse_parameters(text, match.end()):
        parameters.setdefault(name, value)
    return MediaType(match[1].lower(), match[2].lower(), tuple(parameters.items()))


_remembered = lru_cache(256)(_parse)
