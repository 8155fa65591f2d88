"""Cookies in a file: JSON, and nothing but JSON."""

import json
import math
import os
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from os import PathLike, fspath
from typing import Any, Final

from antiphon.core.fields.cookies import (
    SetCookie,
    default_path,
    parse_cookie_date,
    parse_set_cookie,
)

__all__ = ("FiledCookie", "read_cookies", "write_cookies")

FiledCookie = tuple[SetCookie, str, str, bool, float | None]
"""A cookie, its domain and path, whether that host only, and when it ends."""

_VERSION: Final = 1
_MAX_FILE_SIZE: Final = 64 * 1024 * 1024
"""Bytes; several times what a full jar of the largest cookies takes."""


def write_cookies(file_path: str | PathLike[str], cookies: Iterable[FiledCookie]) -> None:
    """Replace the file by one with *cookies*, mode 0600."""
    data = {
        "version": _VERSION,
        "cookies": [_to_json(*filed) for filed in cookies],
    }
    path = os.path.abspath(fspath(file_path))
    # mkstemp makes files that are the owner's alone, and never follows what lies there already.
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".cookies-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_cookies(file_path: str | PathLike[str]) -> list[FiledCookie]:
    """Return the cookies of a file.

    Raises:
        ValueError: It holds something else.
        OSError: It cannot be read.
    """
    with open(file_path, "rb") as file:
        raw = file.read(_MAX_FILE_SIZE + 1)
    if len(raw) > _MAX_FILE_SIZE:
        raise ValueError(f"a cookie file has at most {_MAX_FILE_SIZE} bytes")
    if raw[:1] == b"\x80":
        raise ValueError(
            "this is a pickle, which can run any code when it is read: it is not read. "
            "Save the cookies as JSON"
        )
    try:
        data = json.loads(raw)
        if isinstance(data, dict) and isinstance(data.get("cookies"), list):
            return [_from_json(item) for item in data["cookies"]]
        if isinstance(data, dict):
            return [cookie for place, items in data.items() for cookie in _aiohttp(place, items)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise ValueError(f"not a cookie file: {type(exc).__name__}: {exc}"[:300]) from exc
    raise ValueError("not a cookie file")


def _to_json(
    cookie: SetCookie, domain: str, path: str, host_only: bool, expires: float | None
) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": cookie.name,
        "value": cookie.value,
        "domain": domain,
        "path": path,
        "host_only": host_only,
    }
    if expires is not None and math.isfinite(expires):
        item["expires"] = expires
    for flag in ("secure", "httponly", "partitioned"):
        if getattr(cookie, flag):
            item[flag] = True
    if cookie.samesite is not None:
        item["samesite"] = cookie.samesite
    return item


def _from_json(item: dict[str, Any]) -> FiledCookie:
    expires = item.get("expires")
    if expires is not None and (not isinstance(expires, (int, float)) or not expires > -math.inf):
        raise ValueError("expires must be seconds since 1970")
    return _filed(
        name=_text(item["name"]),
        value=_text(item["value"]),
        domain=_text(item["domain"]),
        path=_text(item["path"]),
        host_only=bool(item["host_only"]),
        expires=expires,
        attributes=item,
    )


def _aiohttp(place: str, items: dict[str, dict[str, Any]]) -> list[FiledCookie]:
    """Read what aiohttp 3.14 files under ``domain|path``."""
    domain, bar, path = place.partition("|")
    if not bar:
        raise ValueError("no cookies are filed here")
    found = []
    for name, item in items.items():
        expires = None
        if item.get("max-age") not in (None, ""):
            # When the age began is not in the file: it begins now, as aiohttp reads it too.
            expires = datetime.now(UTC).timestamp() + int(item["max-age"])
        elif item.get("expires"):
            moment = parse_cookie_date(_text(item["expires"]))
            expires = None if moment is None else moment.timestamp()
        found.append(
            _filed(
                name=name,
                value=_text(item["coded_value"]),
                domain=domain,
                path=path or _text(item.get("path") or "/"),
                host_only=bool(item.get("host_only")),
                expires=expires,
                attributes=item,
            )
        )
    return found


def _filed(
    *,
    name: str,
    value: str,
    domain: str,
    path: str,
    host_only: bool,
    expires: float | None,
    attributes: dict[str, Any],
) -> FiledCookie:
    # What a server may not send, a file may not hold either.
    cookie = parse_set_cookie(f"{name}={value}" if name else value)
    if cookie is None or cookie.name != name or cookie.value != value:
        raise ValueError(f"not a cookie: {name[:100]!r}")
    if host_only and not domain:
        raise ValueError("a cookie for one host only needs that host")
    cookie.path = path if path.startswith("/") else default_path("")
    cookie.domain = None if host_only else domain or None
    for flag in ("secure", "httponly", "partitioned"):
        setattr(cookie, flag, bool(attributes.get(flag)))
    samesite = attributes.get("samesite")
    if samesite in ("Strict", "Lax", "None"):
        cookie.samesite = samesite
    return cookie, domain.lower(), cookie.path, host_only, expires


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, not {type(value).__name__}")
    return value
