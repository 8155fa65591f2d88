"""What a client accepts, with quality values (RFC 9110 section 12.5)."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import attrs

from ._grammar import parse_parameters
from .lists import split_list

__all__ = (
    "Accepted",
    "best_language",
    "best_media_type",
    "negotiate_coding",
    "parse_accept",
    "preferred",
)

# RFC 9110 section 12.4.2: weight = OWS ";" OWS "q=" qvalue
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_ANY: Final = "*"

_SHORT: Final = 64
"""Characters of an ``Accept-Encoding`` that is worth remembering: browsers send a handful."""


@attrs.frozen
class Accepted:
    """One member of an ``Accept``, ``Accept-Encoding``, ``-Language`` or ``-Charset`` field.

    Attributes:
        value: What is accepted, in lower case; ``*`` and ``type/*`` stand for any.
        quality: 0.0 for "not at all" to 1.0, in thousandths.
        parameters: Parameters other than the quality; of media ranges only.
    """

    value: str
    quality: float = 1.0
    parameters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        parameters = "".join(f";{name}={value}" for name, value in self.parameters)
        if self.quality == 1.0:
            return f"{self.value}{parameters}"
        return f"{self.value}{parameters};q={self.quality:.3f}".rstrip("0").rstrip(".")


def parse_accept(text: str, *, max_members: int = 100) -> list[Accepted]:
    """Return the members in the order of the field.

    A member whose quality is malformed is left out: what it wants is not known.

    Args:
        text: The field's value.
        max_members: What follows after so many members is not read.
    """
    found = []
    for member in split_list(text)[:max_members]:
        value, semicolon, rest = member.partition(";")
        value = value.rstrip(" \t").lower()
        if not value:
            continue
        if not semicolon:
            found.append(Accepted(value))
            continue
        quality = 1.0
        parameters = []
        for name, argument in parse_parameters(rest):
            if name == "q":
                if _QVALUE.fullmatch(argument) is None:
                    break
                quality = float(argument)
            else:
                parameters.append((name, argument))
        else:
            found.append(Accepted(value, quality, tuple(parameters)))
    return found


def preferred(accepted: Iterable[Accepted]) -> list[Accepted]:
    """Return what is accepted at all, best first; equals keep their order."""
    return sorted((item for item in accepted if item.quality), key=lambda item: -item.quality)


def negotiate_coding(text: str | None, available: Sequence[str]) -> str | None:
    """Choose a content coding by ``Accept-Encoding`` (RFC 9110 section 12.5.3).

    Args:
        text: The field's value, ``None`` if there is none.
        available: Codings that can be made, the favourite first; without ``identity``.

    Returns:
        One of *available*, or ``"identity"``; ``None`` if the client excludes them all.
        Without a field nothing but identity is chosen, though anything would be allowed.
    """
    if text is None:
        return "identity"
    available = tuple(available)
    return (_negotiated if len(text) <= _SHORT else _negotiate)(text, available)


def _negotiate(text: str, available: tuple[str, ...]) -> str | None:
    wanted: dict[str, float] = {}
    for item in parse_accept(text):
        value = item.value.removeprefix("x-")  # x-gzip is gzip, section 8.4.1.3
        wanted[value] = max(item.quality, wanted.get(value, 0.0))
    any_other = wanted.get(_ANY)
    best, best_quality = None, 0.0
    for coding in available:
        quality = wanted.get(coding.lower(), any_other) or 0.0
        if quality > best_quality:
            best, best_quality = coding, quality
    # identity is acceptable unless it is excluded by name, or by "*;q=0"
    plain = wanted.get("identity")
    if plain is None:
        if best is not None:
            return best
        return None if any_other == 0.0 else "identity"
    return best if best is not None and best_quality >= plain else "identity" if plain else None


_negotiated = lru_cache(256)(_negotiate)


def best_media_type(text: str | None, offers: Sequence[str]) -> str | None:
    """Choose among *offers* by ``Accept`` (RFC 9110 section 12.5.1).

    Args:
        text: The field's value; ``None`` or empty accepts anything.
        offers: Media types without parameters, the favourite first.

    Returns:
        The offer of the highest quality, the earlier of equals; ``None`` if none is accepted.
        The most specific range that fits an offer says its quality.
    """
    if text is None or not text.strip(" \t"):
        return offers[0] if offers else None
    qualities: dict[str, float] = {}
    for item in parse_accept(text):
        if not item.parameters:  # a range with parameters fits no offer without
            qualities[item.value] = max(item.quality, qualities.get(item.value, 0.0))
    best, best_quality = None, 0.0
    for offer in offers:
        essence = offer.partition(";")[0].strip(" \t").lower()
        ranges = (essence, f"{essence.partition('/')[0]}/*", "*/*")
        quality = next((qualities[item] for item in ranges if item in qualities), 0.0)
        if quality > best_quality:
            best, best_quality = offer, quality
    return best


def best_language(text: str | None, offers: Sequence[str]) -> str | None:
    """Choose among *offers* by ``Accept-Language``: RFC 4647 section 3.4, lookup.

    Args:
        text: The field's value; ``None`` or empty accepts anything.
        offers: Language tags, the favourite first.

    Returns:
        An offer; ``None`` if none is accepted. ``de-CH`` is content with an offer of ``de``.
    """
    if text is None or not text.strip(" \t"):
        return offers[0] if offers else None
    known: dict[str, str] = {}
    for offer in offers:
        known.setdefault(offer.lower(), offer)
    accepted = parse_accept(text)
    refused = {item.value for item in accepted if not item.quality}
    for item in preferred(accepted):
        if item.value == _ANY:
            for tag, offer in known.items():
                if tag not in refused:
                    return offer
            continue
        subtags = item.value.split("-")[:8]  # no tag is longer, and looking up is not for free
        while subtags:
            tag = "-".join(subtags)
            if tag in known and tag not in refused:
                return known[tag]
            subtags.pop()
            if subtags and len(subtags[-1]) == 1:  # a singleton introduces what was dropped
                subtags.pop()
    return None
