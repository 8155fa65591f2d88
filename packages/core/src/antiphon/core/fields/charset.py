"""Names of character encodings (RFC 9110 section 8.3.2).

A name from a peer never goes to `codecs.lookup`: for every name it does not
know, that imports in vain and keeps a record for ever.
"""

from encodings.aliases import aliases
from functools import cache
from typing import Final

__all__ = ("find_charset",)

_NO_TEXT: Final = frozenset((
    "base64_codec",
    "bz2_codec",
    "hex_codec",
    "quopri_codec",
    "rot_13",
    "uu_codec",
    "zlib_codec",
))
_PLATFORM: Final = frozenset(("mbcs", "oem"))
_MAX_NAME: Final = 40


@cache
def _codecs() -> dict[str, str]:
    known = {name: codec for name, codec in aliases.items() if codec not in _NO_TEXT | _PLATFORM}
    known.update((codec, codec) for codec in tuple(known.values()))
    known.update({"utf_8_sig": "utf_8_sig", "koi8_u": "koi8_u", "x_sjis": "shift_jis"})
    known["gb_2312"] = known["gb2312"]
    return known


def find_charset(name: str) -> str | None:
    """Return the name of Python's codec for a charset, ``None`` if it has none for text.

    Args:
        name: The value of a ``charset`` parameter; case and ``-`` or ``_`` do not matter.
    """
    if len(name) > _MAX_NAME:
        return None
    key = name.strip(" \t").lower().replace("-", "_")
    known = _codecs()
    return known.get(key) or known.get(key.replace(".", "_").replace(":", "_"))
