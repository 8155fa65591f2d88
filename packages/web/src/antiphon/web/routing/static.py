"""The files below a directory."""

import asyncio
import base64
import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import quote

import attrs
from yarl import URL

from antiphon.core import hdrs
from antiphon.core.fields.accept import best_media_type, parse_accept
from antiphon.core.typedefs import PathLikeStr

from .._files import (
    FileCache,
    NotAFile,
    Representation,
    Signature,
    accepted_codings,
    off_loop,
    open_representation,
    signature,
)
from .._listing import directory_page
from ..exceptions import HTTPForbidden, HTTPMovedPermanently, HTTPNotFound
from ..fileresponse import found_response
from ..response import Response, StreamResponse
from ..typedefs import ExpectHandler, Handler, Middleware
from . import _pattern
from ._filename import decode_filename, quote_name, split_filename
from .options import NO_OPTIONS, RouteOptions
from .resources import PrefixResource
from .routes import ResourceRoute

if TYPE_CHECKING:
    from ..request import Request

__all__ = ("CacheControl", "StaticResource")

CacheControl = str | Mapping[str, str] | Callable[[str], str | None]
"""What ``Cache-Control`` says: always the same; by a pattern such as ``"*.html"`` or ``"assets/*"``
that the file's path below the directory fits, the first that does; or what a function says."""

_HASHES: Final = 1024
"""Hashes of files that are kept for `StaticResource.url_for`."""


@attrs.define
class _Found:
    """What a path leads to."""

    asked: str
    """Where it was looked for."""
    path: str
    """Where it is, free of symbolic links unless those may be followed anywhere."""
    is_directory: bool


class StaticResource(PrefixResource):
    """The files below a directory, for GET and HEAD.

    Args:
        prefix: Begins with a slash and does not end with one; empty for everything.
        directory: The directory. Symbolic links on the way to it are resolved once, here.
        name: Of the resource.
        expect_handler: Decides about ``Expect``.
        chunk_size: Bytes read from a file at a time where it is compressed on the way.
        show_index: List directories; else they are answered 403.
        follow_symlinks: Follow symbolic links that lead out of the directory. Not needed for
            those that lead somewhere else in it.
        append_version: Put a hash of the file into URLs made by `url_for`.
        middlewares: Around its handlers.
        options: Of its routes.
        index: Name of a file (or several, the first that is there counts) that stands for its
            directory; ``None`` for none. A path without the slash at the end is redirected.
        spa_fallback: Path, below the directory, of a file that is sent for paths without a file
            where the client asks for a page: a single-page application makes its own paths.
        cache_control: What ``Cache-Control`` says about files; see `CacheControl`.
        precompressed: Send ``name.br``, ``name.zst`` or ``name.gz`` instead of ``name`` to
            clients that accept it.
        cache_size: Bytes of memory for content of small files. 0 switches that off, and with it
            every look at the file system outside of threads: for file systems that may hang.

    Raises:
        ValueError: The prefix is none, or *directory* is no directory.

    What leads out of the directory, cannot be resolved, or does not exist, is answered alike.
    """

    VERSION_KEY = "v"

    def __init__(
        self,
        prefix: str,
        directory: PathLikeStr,
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
        chunk_size: int = 256 * 1024,
        show_index: bool = False,
        follow_symlinks: bool = False,
        append_version: bool = False,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
        index: str | Sequence[str] | None = None,
        spa_fallback: str | None = None,
        cache_control: CacheControl | None = None,
        precompressed: bool = True,
        cache_size: int = 8 * 1024 * 1024,
    ) -> None:
        super().__init__(prefix, name=name, middlewares=middlewares, options=options)
        try:
            root = os.path.realpath(Path(directory).expanduser(), strict=True)
        except (OSError, ValueError) as exc:
            raise ValueError(f"No directory exists at {str(directory)!r}") from exc
        if not os.path.isdir(root):
            raise ValueError(f"{str(directory)!r} is not a directory")
        self._directory = Path(root)
        self._root = root
        # realpath gives "/" alone an ending slash.
        self._below = root if root.endswith(os.sep) else root + os.sep
        self._chunk_size = chunk_size
        self._show_index = show_index
        self._follow_symlinks = follow_symlinks
        self._append_version = append_version
        self._index = (index,) if isinstance(index, str) else tuple(index or ())
        self._fallback = spa_fallback
        self._precompressed = precompressed
        self._cache_control = _cache_rule(cache_control)
        for own in (*self._index, *(() if spa_fallback is None else (spa_fallback,))):
            if not own or own.endswith("/") or split_filename(own) is None:
                raise ValueError(f"{own!r} does not name a file below the directory")
        self._cache = FileCache(cache_size)
        self._hashes: dict[str, tuple[Signature, str]] = {}
        self._expect_handler = expect_handler
        self._routes = {
            method: ResourceRoute(method, self._handle, self, expect_handler=expect_handler)
            for method in (hdrs.METH_GET, hdrs.METH_HEAD)
        }

    # --- what a resource is asked for

    def match_path(self, path: str) -> dict[str, str] | None:
        if path.startswith(self._prefix_below):
            filename = decode_filename(path[len(self._prefix_below) :])
            return None if filename is None else {"filename": filename}
        return {"filename": ""} if path == self._canonical_prefix else None

    def get_info(self) -> dict[str, Any]:
        return {"directory": self._directory, "prefix": self._prefix, "routes": self._routes}

    def set_options_route(self, handler: Handler) -> None:
        """Answer OPTIONS with *handler*, as cross-origin requests need it.

        Raises:
            RuntimeError: There is such a route.
        """
        if hdrs.METH_OPTIONS in self._routes:
            raise RuntimeError("OPTIONS route was set already")
        self._routes[hdrs.METH_OPTIONS] = ResourceRoute(
            hdrs.METH_OPTIONS, handler, self, expect_handler=self._expect_handler
        )

    def url_for(  # type: ignore[override]  # its documented arguments
        self, *, filename: PathLikeStr, append_version: bool | None = None
    ) -> URL:
        """Return the URL of a file, relative to the site.

        Args:
            filename: Its path below the directory.
            append_version: Add a hash of its content, so that the URL changes with it; where
                there is no such file, nothing. By default what the resource was told. The first
                call for a file reads it, on whatever thread this is.
        """
        if append_version is None:
            append_version = self._append_version
        names = [name for name in str(filename).replace(os.sep, "/").split("/") if name]
        path = _pattern.quote_literal(self._canonical_prefix) + "".join(
            f"/{quote_name(name)}" for name in names
        )
        url = URL.build(path=_pattern.format_path(path), encoded=True)
        if append_version:
            version = self._version(names)
            if version is not None:
                url = url.with_query({self.VERSION_KEY: version})
        return url

    def _version(self, names: list[str]) -> str | None:
        try:
            found = self._find(tuple(names))
            if found is None or found.is_directory:
                return None
            now = signature(os.stat(found.path))
            known = self._hashes.get(found.path)
            if known is not None and known[0] == now:
                return known[1]
            with open(found.path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
        except OSError:
            return None
        version = base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
        while len(self._hashes) >= _HASHES:
            self._hashes.pop(next(iter(self._hashes)))
        self._hashes[found.path] = now, version
        return version

    def __repr__(self) -> str:
        name = "" if self.name is None else repr(self.name)
        return f"<StaticResource {name} {self._prefix} -> {self._root!r}>"

    # --- requests

    async def _handle(self, request: "Request") -> StreamResponse:
        filename: str = request._match_info["filename"]
        codings: tuple[str, ...] = ()
        if self._precompressed:
            codings = accepted_codings(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
        # The prefix with and without a slash is one file name, but not one answer: see `_look_up`.
        if filename or _raw_path(request).endswith("/"):
            known = self._cache.get(filename, codings)
            if known is not None:
                return found_response(known, self._chunk_size)
        response = await self._look_up(request, filename, codings)
        if response is None and self._fallback is not None and _wants_page(request, filename):
            known = self._cache.get(self._fallback, codings)
            if known is not None:
                return found_response(known, self._chunk_size)
            response = await self._look_up(request, self._fallback, codings)
        if response is None:
            raise HTTPNotFound
        return response

    async def _look_up(
        self, request: "Request", filename: str, codings: tuple[str, ...]
    ) -> StreamResponse | None:
        """Answer with what *filename* leads to; ``None`` if it leads nowhere."""
        names = split_filename(filename)
        if names is None:
            return None
        try:
            found, representation, file = await off_loop(partial(self._open, names, codings))
        except (PermissionError, NotAFile) as exc:
            raise HTTPForbidden from exc
        if found is None:
            return None
        if representation is None:
            return await self._list(request, found.path, names)
        response = found_response(representation, self._chunk_size, file)
        if found.is_directory and not _raw_path(request).endswith("/"):
            raise _redirect_into(request)  # the page's own links count from the slash
        self._cache.put(filename, codings, found.asked, representation)
        return response

    async def _list(
        self, request: "Request", path: str, names: tuple[str, ...]
    ) -> StreamResponse | None:
        if not self._show_index:
            raise HTTPForbidden
        # Links from here, so that they are right behind a proxy that moves the tree.
        raw_path = _raw_path(request)
        base = "./" if raw_path.endswith("/") else f"./{_last_segment(raw_path)}/"
        shown = "/" + "/".join(names).rstrip("/")
        page = partial(directory_page, path, shown, base)
        try:
            text = await asyncio.get_running_loop().run_in_executor(None, page)
        except PermissionError as exc:
            raise HTTPForbidden from exc
        except (FileNotFoundError, NotADirectoryError):
            return None  # it was there a moment ago
        return Response(text=text, content_type="text/html")

    # --- in a thread

    def _find(self, names: tuple[str, ...]) -> _Found | None:
        """Resolve *names*; ``None`` if there is nothing, or nothing that may be told of.

        Raises:
            NotAFile: There is a pipe, a device or a socket.
        """
        asked = self._below + os.sep.join(names)
        try:
            if self._follow_symlinks:
                # The names themselves lead nowhere but down: see `split_filename` (CVE-2024-23334).
                path = asked
            else:
                # Resolved once, compared once, opened as resolved. With the separator:
                # /srv/static-secret is not below /srv/static (CVE-2023-29159).
                path = os.path.realpath(asked, strict=True)
                if not path.startswith(self._below) and path != self._root:
                    return None
            mode = os.stat(path, follow_symlinks=self._follow_symlinks).st_mode
        except (OSError, ValueError):
            # Whatever stopped us may stand outside: no word about it (CVE-2025-69226).
            return None
        if stat.S_ISDIR(mode):
            return _Found(asked, path, is_directory=True)
        if not stat.S_ISREG(mode):
            raise NotAFile(errno.EINVAL, "Not a regular file", path)
        return _Found(asked, path, is_directory=False) if names[-1] else None

    def _open(
        self, names: tuple[str, ...], codings: tuple[str, ...]
    ) -> tuple[_Found | None, Representation | None, BinaryIO | None]:
        """Open what *names* lead to; a directory's index file, if it has one."""
        found = self._find(names)
        inside = names
        if found is not None and found.is_directory:
            index, inside = self._find_index(names)
            if index is None:
                return found, None, None
            found = _Found(index.asked, index.path, is_directory=True)
        if found is None:
            return None, None, None
        try:
            representation, file = open_representation(
                found.path,
                codings,
                siblings=self._precompressed,
                follow=self._follow_symlinks,
            )
        except (FileNotFoundError, NotADirectoryError):
            return None, None, None  # it was there a moment ago
        if self._cache_control is not None:
            value = self._cache_control("/".join(inside))
            if value is not None:
                representation.headers[hdrs.CACHE_CONTROL] = value
        return found, representation, file

    def _find_index(self, names: tuple[str, ...]) -> tuple[_Found | None, tuple[str, ...]]:
        directory = names if names[-1] else names[:-1]
        for name in self._index:
            inside = (*directory, name)
            found = self._find(inside)
            if found is not None and not found.is_directory:
                return found, inside
        return None, names


def _cache_rule(rule: CacheControl | None) -> Callable[[str], str | None] | None:
    """Bring the ways of saying ``Cache-Control`` to one."""
    if rule is None or callable(rule):
        return rule
    if isinstance(rule, str):
        return lambda _: rule
    patterns = [(re.compile(translate(pattern)), value) for pattern, value in rule.items()]

    def by_pattern(path: str) -> str | None:
        return next((value for pattern, value in patterns if pattern.fullmatch(path)), None)

    return by_pattern


def _wants_page(request: "Request", filename: str) -> bool:
    """Whether a person looks for a page, rather than a page for a part of itself."""
    accept = ", ".join(request.headers.getall(hdrs.ACCEPT, ()))
    if "." in filename.rpartition("/")[2]:
        return any(item.value == "text/html" and item.quality for item in parse_accept(accept))
    return best_media_type(accept, ("text/html",)) is not None


def _raw_path(request: "Request") -> str:
    return request.rel_url.raw_path


def _last_segment(raw_path: str) -> str:
    return quote(raw_path.rpartition("/")[2], safe="%!$&'()*+,;=@")


def _redirect_into(request: "Request") -> HTTPMovedPermanently:
    # Relative to the place asked for, and with "./" before it: whatever the name is, the
    # target is on this site (CVE-2023-28370).
    location = f"./{_last_segment(_raw_path(request))}/"
    if request.rel_url.raw_query_string:
        location += f"?{request.rel_url.raw_query_string}"
    return HTTPMovedPermanently(URL(location, encoded=True))
