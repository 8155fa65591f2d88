"""Patterns and small functions that several field families share (RFC 9110 section 5.6).

Every repeat is possessive or cannot give back, so no input makes them try twice.
"""

import re
from typing import Final

# RFC 9110 section 5.6.2: token = 1*tchar
TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"

# RFC 9110 section 5.6.4: quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
QUOTED: Final = r'"(?:[^"\\]++|\\.)*+"'

_TOKEN = re.compile(TOKEN)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_ESCAPE = re.compile(r'["\\]')
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# One parameter as peers really send them: a value may be missing, quoted or bare, a quoted one may
# lack its end, and what is left before the next semicolon is dropped.
_PARAMETER = re.compile(
    r"""[; \t]*+                                   # separators, also several
        (?P<name>[^;=]*+)
        (?:=[ \t]*+
           (?:"(?P<quoted>(?:[^"\\]++|\\.)*+)["\\]?+[^;]*+
             |(?P<bare>[^;]*+)))?+""",
    re.DOTALL | re.VERBOSE,
)


def is_token(text: str) -> bool:
    """Say whether *text* is a token: a name that needs no quotes."""
    return _TOKEN.fullmatch(text) is not None


def check_sendable(text: str, what: str) -> None:
    """Refuse control characters: CR and LF would begin a field of their own.

    Raises:
        ValueError: *text* has one; *what* says where.
    """
    if _UNSENDABLE.search(text):
        raise ValueError(f"{what} has a control character: {text[:100]!r}")


def unquote(text: str) -> str:
    """Return what stands inside of a quoted-string, given without its quotes."""
    return _QUOTED_PAIR.sub(r"\1", text) if "\\" in text else text


def quote(text: str) -> str:
    """Return *text* as a quoted-string.

    Raises:
        ValueError: It has a control character, which no field value may have.
    """
    check_sendable(text, "quoted string")
    return '"' + _NEEDS_ESCAPE.sub(r"\\\g<0>", text) + '"'


def token_or_quoted(text: str) -> str:
    """Return *text* as it is if it is a token, else as a quoted-string."""
    return text if is_token(text) else quote(text)


def parse_parameters(text: str, start: int = 0) -> list[tuple[str, str]]:
    """Return the parameters after position *start*, names in lower case.

    Tolerant: a parameter without ``=`` has the value ``""``, one whose name is no token
    is left out, order and duplicates are kept.
    """
    found = []
    end = len(text)
    while start < end:
        match = _PARAMETER.match(text, start)
        if match is None:  # cannot be: every part may be empty
            break
        start = match.end()
        name, quoted, bare = match.groups()
        name = name.strip(" \t").lower()
        if not is_token(name):
            continue
        if quoted is not None:
            found.append((name, unquote(quoted)))
        else:
            found.append((name, (bare or "").strip(" \t")))
    return found


def format_parameters(parameters: "list[tuple[str, str]] | tuple[tuple[str, str], ...]") -> str:
    """Return ``; name=value`` for each of the parameters.

    Raises:
        ValueError: A name is no token, or a value has a control character.
    """
    parts = []
    for name, value in parameters:
        if not is_token(name):
            raise ValueError(f"parameter name is no token: {name[:100]!r}")
        parts.append(f"; {name}={token_or_quoted(value)}")
    return "".join(parts)
