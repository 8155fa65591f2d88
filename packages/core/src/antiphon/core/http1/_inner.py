"""Leaf loops of HTTP/1.1: what runs once per message or per byte.

They take and return plain values, hold no state but one bounded memo, know no
policy and raise only `ValueError`.
"""

from collections.abc import ItemsView
from typing import Final

from ..errors import quoted
from ._grammar import CONTROLS, FIELD_NAMES, TOKEN_TEXT

PLAIN: Final = 0
CONTENT_LENGTH: Final = 1
TRANSFER_ENCODING: Final = 2
CONNECTION: Final = 4
DATE: Final = 8
SERVER: Final = 16
HOST: Final = 32
UPGRADE: Final = 64
EXPECT: Final = 128
TE: Final = 256

# Fields that the connection writes by itself, so that those of a user are left out.
OWNED: Final = CONTENT_LENGTH | TRANSFER_ENCODING | CONNECTION | HOST

_KIND_BY_NAME: Final = {
    "content-length": CONTENT_LENGTH,
    "transfer-encoding": TRANSFER_ENCODING,
    "connection": CONNECTION,
    # Relics of HTTP/1.0 proxies and of RFC 2068 that also say how a connection is kept.
    "keep-alive": CONNECTION,
    "proxy-connection": CONNECTION,
    "date": DATE,
    "server": SERVER,
    "host": HOST,
    "upgrade": UPGRADE,
    "expect": EXPECT,
    "te": TE,
}

# Names come from the application, not from peers; the bound is for applications that make them up.
_KINDS: Final[dict[str, int]] = {}
_MAX_KINDS: Final = 512


def field_names(block: bytes, low: bytes) -> list[bytes] | None:
    """Return the names of all field lines in lower case, or ``None`` if *block* is malformed.

    Args:
        block: Field lines, each ended by CRLF; without the empty line.
        low: LF, then *block* in lower case.
    """
    count = block.count(b"\r\n")
    # As many control characters as the line ends have, and not one more: so every CR and LF is
    # part of a CRLF, and there is no NUL and no other control character.
    if len(block.translate(None, CONTROLS)) != len(block) - 2 * count:
        return None
    # One name behind each LF, that put before the first line included; none behind the last.
    names: list[bytes] = FIELD_NAMES.findall(low)
    return names if len(names) == count else None


def field_kind(name: str) -> int:
    """Classify a field name that is to be sent.

    Raises:
        ValueError: *name* is no token.
    """
    if not TOKEN_TEXT.fullmatch(name):
        raise ValueError(f"Field name {quoted(name)} is not allowed")
    kind = _KIND_BY_NAME.get(name.lower(), PLAIN)
    if len(_KINDS) < _MAX_KINDS:
        _KINDS[str(name)] = kind
    return kind


def field_lines(items: "ItemsView[str, str]") -> tuple[str, int, int]:
    """Write field lines, leaving out those that the connection owns.

    Values are not checked: `encode_lines` does that, once for the whole head.

    Returns:
        The lines, how many there are, and the kinds of all fields seen, also of those left out.

    Raises:
        ValueError: A name is no token.
    """
    seen = 0
    lines = []
    for name, value in items:
        kind = _KINDS.get(name)
        if kind is None:
            kind = field_kind(name)
        if kind:
            seen |= kind
            if kind & OWNED:
                continue
        lines.append(f"{name}: {value}\r\n")
    return "".join(lines), len(lines), seen


def encode_lines(text: str, count: int) -> bytes:
    """Encode *count* lines, each ended by CRLF.

    Raises:
        ValueError: There is another CR, LF, NUL or other control character in them.
    """
    # surrogateescape: what was received as obs-text leaves as the same bytes.
    data = text.encode("utf-8", "surrogateescape")
    if len(data.translate(None, CONTROLS)) != len(data) - 2 * count:
        raise ValueError(f"Control character in {quoted(_offender(text))}")
    return data


def _offender(text: str) -> str:
    for line in text.split("\r\n"):
        if has_controls(line):
            return line
    return text  # an injected CRLF: no single line is to blame


def has_controls(text: str) -> bool:
    """Whether *text* contains a control character other than HTAB."""
    data = text.encode("utf-8", "surrogateescape")
    return len(data.translate(None, CONTROLS)) != len(data)
