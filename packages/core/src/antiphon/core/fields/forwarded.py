"""Who asked before a proxy did: ``Forwarded`` (RFC 7239) and ``X-Forwarded-For``.

Anybody can send these fields. They say something only as far as the peers that wrote them
are known and trusted, counted from the end of the list.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ._grammar import QUOTED, TOKEN, is_token, token_or_quoted, unquote

__all__ = (
    "format_forwarded",
    "parse_forwarded",
    "parse_node",
    "parse_x_forwarded_for",
)

# RFC 7239 section 4: forwarded-pair = token "=" value. Bare values also hold what a token cannot,
# such as the colon and brackets of addresses, because many senders forget the quotes.
_PAIR = re.compile(
    rf"[; \t]*+({TOKEN})=(?:({QUOTED})|([^\x00-\x20\x7f\";,]++))[ \t]*+(?=;|\Z)", re.DOTALL
)
_SEPARATORS = re.compile(r"[; \t]*+\Z")
_WHOLE = re.compile(rf'(?:[^",]++|{QUOTED})*+', re.DOTALL)
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]++)\]|([^\[\]:]++))(?::([0-9]{1,5}|_[0-9A-Za-z._\-]++))?+")


def parse_forwarded(text: str) -> tuple[Mapping[str, str], ...]:
    """Return the elements of ``Forwarded``, the first proxy's first.

    Names (``for``, ``by``, ``host``, ``proto``) are in lower case, values unquoted. An element
    that is malformed says nothing but keeps its place, so that counting from the end stays right:
    whoever wrote it may have meant to make what a proxy appended part of it.
    """
    return tuple(MappingProxyType(_pairs(element)) for element in _elements(text))


def _elements(text: str) -> list[str]:
    found = []
    at = 0
    while at < len(text):
        match = _WHOLE.match(text, at)
        end = at if match is None else match.end()
        if text[end : end + 1] == '"':  # one without end must not swallow what follows
            found += text[at:].split(",")
            break
        found.append(text[at:end])
        at = end + 1
    return [element for element in found if element.strip(" \t")]


def _pairs(element: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    at = 0
    while match := _PAIR.match(element, at):
        at = match.end()
        name, quoted, bare = match.groups()
        pairs[name.lower()] = bare if quoted is None else unquote(quoted[1:-1])
    return pairs if _SEPARATORS.match(element, at) else {}


def format_forwarded(elements: Iterable[Mapping[str, str]]) -> str:
    """Return the value of ``Forwarded``.

    Raises:
        ValueError: A name is no token, or a value has a control character.
    """
    parts = []
    for element in elements:
        for name in element:
            if not is_token(name):
                raise ValueError(f"not a parameter of Forwarded: {name[:100]!r}")
        parts.append(
            ";".join(f"{name}={token_or_quoted(value)}" for name, value in element.items())
        )
    return ", ".join(parts)


def parse_x_forwarded_for(text: str) -> list[str]:
    """Return the addresses of ``X-Forwarded-For``, the first proxy's first, as they came.

    The lists of the other ``X-Forwarded`` fields have the same form: commas, and no quotes that
    could hide one.
    """
    return [stripped for member in text.split(",") if (stripped := member.strip(" \t"))]


def parse_node(text: str) -> tuple[str, str | None]:
    """Split a node of either field into host and port (RFC 7239 section 6).

    Returns:
        The address without brackets, ``unknown``, or an obfuscated name as ``_hidden``; and
        the port's text, ``None`` if there is none. What is malformed comes back whole.
    """
    match = _NODE.fullmatch(text)
    if match is None:  # also a bare IPv6 address, which X-Forwarded-For has
        return text, None
    return match[1] or match[2], match[3]
