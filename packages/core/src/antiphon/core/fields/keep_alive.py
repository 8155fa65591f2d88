"""``Keep-Alive: timeout=5, max=100`` (RFC 2068 section 19.7.1.1)."""

import re
from typing import Final, NamedTuple

from .lists import split_list

__all__ = ("KeepAlive", "parse_keep_alive")

_PARAMETER = re.compile(r'(timeout|max)[ \t]*+=[ \t]*+"?([0-9]{1,9})"?', re.IGNORECASE)
_MAX_MEMBERS: Final = 16


class KeepAlive(NamedTuple):
    """What a server says about how long a connection lives. A hint: it may end sooner."""

    timeout: int | None = None
    """Seconds of idleness after which the server closes."""
    max: int | None = None
    """Requests that may still come."""

    def __str__(self) -> str:
        """The field's value; empty if nothing is said."""
        pairs = (("timeout", self.timeout), ("max", self.max))
        return ", ".join(f"{name}={value}" for name, value in pairs if value is not None)


def parse_keep_alive(text: str) -> KeepAlive:
    """Return what the field says; what is malformed or unknown says nothing."""
    found: dict[str, int] = {}
    for member in split_list(text)[:_MAX_MEMBERS]:
        if match := _PARAMETER.fullmatch(member):
            found.setdefault(match[1].lower(), int(match[2]))
    return KeepAlive(found.get("timeout"), found.get("max"))
