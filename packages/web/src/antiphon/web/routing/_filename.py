"""The name of a file out of a request's path, and which names are none.

Pure: no file is looked at. What is refused here is refused for its form, so an
answer says nothing about what exists.
"""

import os
import re
from typing import Final
from urllib.parse import quote, unquote

__all__ = ("decode_filename", "quote_name", "split_filename")

# Windows: these name devices in every directory, with any extension and trailing blanks or dots.
_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*+(?:[.:]|\Z)",
    re.IGNORECASE,
)
_WINDOWS_RESERVED: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def decode_filename(rest: str) -> str | None:
    """Return what a canonical path says behind a prefix and its slash.

    Octets that are no UTF-8 come as Python shows other file systems' names. ``None`` for an
    encoded slash: it is part of no file's name, and if it parted names, then whoever checked
    the path before us saw other names (CVE-2017-16762).
    """
    if "%" not in rest:
        return rest
    return None if "%2F" in rest else unquote(rest, errors="surrogateescape")


def split_filename(filename: str, *, windows: bool = os.name == "nt") -> tuple[str, ...] | None:
    """Return the names that lead to a file, or ``None`` if there can be no such file.

    Args:
        filename: The names, parted by slashes. A last one that is empty stands for the directory.
        windows: Refuse what means more than a name on Windows: drives, streams, UNC paths,
            devices, names that end with a dot or blank (CVE-2024-49766, CVE-2025-66221,
            CVE-2026-48818).

    ``.`` and ``..``, empty names before the last (``//etc``) and NUL lead nowhere.
    """
    names = tuple(filename.split("/"))
    if "\0" in filename or not all(_is_name(name, windows) for name in names[:-1]):
        return None
    return names if not names[-1] or _is_name(names[-1], windows) else None


def _is_name(name: str, windows: bool) -> bool:
    if name in {"", ".", ".."}:
        return False
    return not windows or (
        _WINDOWS_RESERVED.search(name) is None
        and name[-1] not in " ."
        and _DEVICE.match(name) is None
    )


def quote_name(name: str) -> str:
    """Percent-encode a file's name as one segment of a path (RFC 3986 section 3.3)."""
    return quote(os.fsencode(name), safe="!$&'()*+,;=@")
