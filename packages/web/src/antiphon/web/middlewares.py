"""Wrapping handlers."""

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from .exceptions import HTTPMove, HTTPPermanentRedirect
from .routing.dispatcher import match_for
from .routing.match_info import MatchInfoError
from .typedefs import Handler, Middleware

if TYPE_CHECKING:
    from .request import Request
    from .response import StreamResponse

__all__ = ("middleware", "normalize_path_middleware")

_F = TypeVar("_F")

_SLASHES: Final = re.compile(r"//++")
# Browsers take a backslash for a slash, and drop tabs and line ends from a URL
# (WHATWG URL §4.4): "/\host" is as much another site as "//host".
_UNSAFE: Final = re.compile(r"[\x00-\x20\\\x7f]")


def middleware(f: _F) -> _F:
    """Mark *f* as a middleware: it is called with a request and with what comes next."""
    f.__middleware_version__ = 1  # type: ignore[attr-defined]  # a mark on somebody's function
    return f


def normalize_path_middleware(
    *,
    append_slash: bool = True,
    remove_slash: bool = False,
    merge_slashes: bool = True,
    redirect_class: type[HTTPMove] = HTTPPermanentRedirect,
) -> Middleware:
    """A middleware that redirects where only slashes are wrong.

    If nothing matches a request, but something would match its path with the
    slashes merged, with one at the end, without one, or merged and one of both,
    the answer is a redirection there. The query is kept.

    Args:
        append_slash: Try with a slash at the end.
        remove_slash: Try without the slash at the end.
        merge_slashes: Try with each run of slashes as one.
        redirect_class: What is raised: made with the location.

    Raises:
        ValueError: Slashes cannot be both appended and removed.
    """
    if append_slash and remove_slash:
        raise ValueError("Cannot both remove and append slash")

    @middleware
    async def normalize_path(request: "Request", handler: Handler) -> "StreamResponse":
        if isinstance(request.match_info, MatchInfoError):
            path = request.rel_url.raw_path
            for candidate in _candidates(path, append_slash, remove_slash, merge_slashes):
                if await _leads_somewhere(request, candidate):
                    query = request.rel_url.raw_query_string
                    raise redirect_class(candidate + ("?" + query if query else ""))
        return await handler(request)

    return normalize_path


def _candidates(path: str, append: bool, remove: bool, merge: bool) -> list[str]:
    """Other spellings of *path*, each of them a path on this very site."""
    merged = _SLASHES.sub("/", path)
    found: list[str] = [merged] if merge else []
    for base in (path, merged) if merge else (path,):
        if append and not base.endswith("/"):
            found.append(base + "/")
        if remove and base.endswith("/"):
            found.append(base[:-1])
    safe: dict[str, None] = {}
    for candidate in found:
        # CVE-2021-21330: a location that begins with two slashes names another site.
        candidate = "/" + _UNSAFE.sub(_quoted, candidate.lstrip("/"))
        if candidate != path:
            safe[candidate] = None
    return list(safe)


def _quoted(char: "re.Match[str]") -> str:
    return f"%{ord(char[0]):02X}"


async def _leads_somewhere(request: "Request", path: str) -> bool:
    app: Any = request.match_info.current_app
    info = app.router.match(request.method, path, request)
    if info is None:  # a resource of somebody's own wants to see the request
        info = await match_for(app, cast("Request", request.clone(rel_url=path)))
    return info.http_exception is None
