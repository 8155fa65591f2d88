"""Who asked before a proxy did: ``Forwarded`` (RFC 7239) and ``X-Forwarded-For``.

Anybody can send these fields. They say something only as far as the peers that wrote them
are known and trusted, counted from the end of the list.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ._grammar import QUOTED, TOKEN, is_token, token_or_quoted, unquote
from .lists import split_list

__all__ = (
    "format_forwarded",
    "parse_forwarded",
    "parse_node",
    "parse_x_forwarded_for",
)

# RFC 7239 section 4: forwarded-pair = token "=" value. Bare values also hold what a token cannot,
# such as the colon and brackets of addresses, because many senders forget the quotes.
_PAIR = re.compile(
    rf"[; \t]*+(?:({TOKEN})=(?:({QUOTED})|([^\x00-\x20\x7f\";,]++))[ \t]*+(?=;|\Z)|[^;]++)",
    re.DOTALL,
)
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]++)\]|([^\[\]:]++))(?::([0-9]{1,5}|_[0-9A-Za-z._\-]++))?+")


def parse_forwarded(text: str) -> tuple[Mapping[str, str], ...]:
    """Return the elements of ``Forwarded``, the first proxy's first.

    Names (``for``, ``by``, ``host``, ``proto``) are in lower case, values unquoted. A pair that
    is malformed is left out and its element kept, so that counting from the end stays right.
    """
    found: list[Mapping[str, str]] = []
    for element in split_list(text):
        pairs: dict[str, str] = {}
        at = 0
        # match() and not findall(), which would try again from each place where none begins
        while match := _PAIR.match(element, at):
            at = match.end()
            name, quoted, bare = match.groups()
            if name:
                pairs[name.lower()] = bare if quoted is None else unquote(quoted[1:-1])
        found.append(MappingProxyType(pairs))
    return tuple(found)


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
    """Return the addresses of ``X-Forwarded-For``, the first proxy's first, as they came."""
    return split_list(text)


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
