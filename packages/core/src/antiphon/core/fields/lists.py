"""List-valued fields: ``a, "b, c", d`` (RFC 9110 section 5.6.1)."""

import re
from collections.abc import Iterable

from ._grammar import check_sendable

__all__ = ("join_list", "split_list", "tokens")

# A member ends at a comma outside of quotes; a quoted-string that lacks its end takes the rest.
_UNQUOTED_MEMBER = re.compile(r"[^,]++")
_MEMBER = re.compile(r'(?:[^",]++|"(?:[^"\\]++|\\.)*+["\\]?+)++', re.DOTALL)


def split_list(text: str) -> list[str]:
    """Return the members of a list, without white space around them.

    Commas inside quoted-strings do not separate. Empty members count for nothing,
    as RFC 9110 section 5.6.1.2 asks of recipients.
    """
    pattern = _MEMBER if '"' in text else _UNQUOTED_MEMBER
    return [stripped for member in pattern.findall(text) if (stripped := member.strip(" \t"))]


def tokens(text: str) -> list[str]:
    """Return the members of a list of tokens that ignores case, such as ``Connection``."""
    members = _UNQUOTED_MEMBER.findall(text.lower())
    return [stripped for member in members if (stripped := member.strip(" \t"))]


def join_list(members: Iterable[str]) -> str:
    """Return *members* as the value of one field; quoting what they hold is their own business.

    Raises:
        ValueError: A member is empty or has a control character.
    """
    parts = []
    for member in members:
        check_sendable(member, "list member")
        if not member.strip(" \t"):
            raise ValueError("a list member is empty")
        parts.append(member)
    return ", ".join(parts)
