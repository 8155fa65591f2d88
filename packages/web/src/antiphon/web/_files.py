"""Files as representations: what is said of one, where its content is, what is kept of small ones.

Opening and reading may wait for a disk, so it happens in a thread, once. Going to
a thread and back costs more than all else about a small file, though: so content of
small files is kept, in bounded memory, and before each use compared with the file by
one `os.stat` on the loop. Measured for 4 KB in the page cache, CPython 3.12 on a small virtual
machine: `stat` 4 us; open, fstat, read and close 11 us; `realpath` before it 18 us; a hop to a
thread and back 140 us.
"""

import asyncio
import errno
import mimetypes
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, TypeVar, final

from multidict import CIMultiDict

from antiphon.core import hdrs
from antiphon.core.fields.accept import negotiate_coding
from antiphon.core.fields.dates import format_http_date
from antiphon.core.fields.etag import ETag

from ._headers import OCTET_STREAM

__all__ = (
    "FileCache",
    "NotAFile",
    "Representation",
    "accepted_codings",
    "guess_content_type",
    "off_loop",
    "open_representation",
)

SMALL: Final = 64 * 1024
"""Bytes up to which a file's content is read at once, kept, and sent in one write with the head."""

_CACHE_SIZE: Final = 8 * 1024 * 1024
_CACHE_ENTRIES: Final = 1024

_SETTLED: Final = 2.0
"""Seconds without a change after which a file is worth keeping. A change within the same tick of
the file system's clock as the one before it cannot be told by `stat`; ticks last up to two seconds."""

_SIBLINGS_LOOKED_FOR: Final = 1.0
"""Seconds after which a precompressed sibling that appeared is noticed. One that is known is
compared with its file every time."""

SIBLINGS: Final = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}
"""Content codings, with the suffixes of files that are so encoded."""

_SMALLER_FIRST: Final[tuple[str, ...]] = ("br", "zstd", "gzip")
"""Codings a client likes equally: a file is compressed once, so with the smallest result."""

# RFC 9110 section 8.4: an archive that is served as itself is not "encoded".
_TYPE_OF_CODING: Final = {
    "gzip": "application/gzip",
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "zstd": "application/zstd",
}

# What the mimetypes of some supported Python does not know.
_MORE_TYPES: Final = {
    ".avif": "image/avif",
    ".br": "application/x-brotli",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".zst": "application/zstd",
}

_OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    # Between stat and open a file may become a pipe; opening that would wait for a writer.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)
_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)

_Opened = TypeVar("_Opened", bound=tuple[Any, ...])

Signature = tuple[int, int, int, int, int]
"""What `stat` says of a file that changes with the file."""


class NotAFile(OSError):
    """A directory, pipe, device or socket, which is not sent."""


def signature(found: os.stat_result) -> Signature:
    """Everything about a file that tells another file or content."""
    return (
        found.st_ino,
        found.st_dev,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )


def guess_content_type(path: str) -> str:
    """Return the media type for the name of a file; ``application/octet-stream`` if unknown."""
    name = os.path.basename(path)
    # A bare name with "./" before it cannot be taken for a URL ("data:...").
    guessed, coding = mimetypes.guess_type(f"./{name}")
    if coding is not None:
        return _TYPE_OF_CODING.get(coding, OCTET_STREAM)
    if guessed is None:
        guessed = _MORE_TYPES.get(os.path.splitext(name)[1].lower())
    return guessed or OCTET_STREAM


def accepted_codings(headers: Sequence[str]) -> tuple[str, ...]:
    """Return the codings of siblings that a client takes, the best first.

    Args:
        headers: The values of its ``Accept-Encoding`` fields.
    """
    if not headers:
        return ()
    text = ", ".join(headers)
    left: list[str] = list(_SMALLER_FIRST)
    found = []
    while left:
        coding = negotiate_coding(text, left)
        if coding is None or coding == "identity":
            break
        found.append(coding)
        left.remove(coding)
    return tuple(found)


@final
class Representation:
    """One file as it is sent: fields, validators, size, and the content if it is small."""

    __slots__ = (
        "coding",
        "content",
        "content_type",
        "etag",
        "headers",
        "last_modified",
        "modified",
        "path",
        "settled",
        "signature",
        "size",
        "varies",
    )

    def __init__(
        self, path: str, found: os.stat_result, *, content_type: str, coding: str | None
    ) -> None:
        self.path = path
        self.signature = signature(found)
        self.size = found.st_size
        self.content: bytes | None = None
        self.coding = coding
        self.content_type = content_type
        seconds = found.st_mtime_ns // 1_000_000_000
        # Down to the second: section 8.8.2.1 forbids a date in the future.
        try:
            self.modified: datetime | None = datetime.fromtimestamp(seconds, UTC)
            self.last_modified = format_http_date(seconds)
        except (ValueError, OverflowError, OSError):
            self.modified = None  # a year that no HTTP date can say
            self.last_modified = ""
        suffix = "" if coding is None else f"-{coding}"
        # A strong tag is one for each coding (section 8.8.3.3).
        self.etag = ETag(f"{found.st_mtime_ns:x}-{found.st_size:x}{suffix}")
        changed = found.st_mtime if sys.platform == "win32" else found.st_ctime
        self.settled = time.time() - changed > _SETTLED
        self.varies = coding is not None
        self.headers: CIMultiDict[str] = CIMultiDict()
        """What a 200 says, without what whoever sends it adds."""

    def describe(self) -> "CIMultiDict[str]":
        """Make `headers`, once all is known."""
        headers = self.headers = CIMultiDict({hdrs.CONTENT_TYPE: self.content_type})
        if self.coding is not None:
            headers[hdrs.CONTENT_ENCODING] = self.coding
        if self.varies:
            headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        headers[hdrs.ETAG] = f'"{self.etag.value}"'
        if self.last_modified:
            headers[hdrs.LAST_MODIFIED] = self.last_modified
        headers[hdrs.ACCEPT_RANGES] = "bytes"
        return headers


def open_representation(
    path: str, codings: tuple[str, ...] = (), *, siblings: bool = True, follow: bool = True
) -> tuple[Representation, BinaryIO | None]:
    """Open the file at *path*, or a precompressed sibling of it. Waits for the disk.

    Args:
        path: Where it is.
        codings: Content codings that may be served instead, the best first.
        siblings: Whether there may be files with another coding at all.
        follow: Whether *path* itself may be a symbolic link. Siblings never may: they are
            found by guessing, and nobody has checked where they lead (CVE-2024-42367).

    Returns:
        The representation with its content, or with a file to read it from.

    Raises:
        NotAFile: It is no regular file.
        OSError: It cannot be opened, or read.
    """
    plain = os.stat(path) if follow else os.lstat(path)
    if not stat.S_ISREG(plain.st_mode):
        raise NotAFile(errno.EINVAL, "Not a regular file", path)
    content_type = guess_content_type(path)
    varies = siblings and any(_is_sibling(path + suffix) for suffix in SIBLINGS.values())
    if varies:
        for coding in codings:
            try:
                return _open(path + SIBLINGS[coding], content_type, coding, True, False)
            except OSError:
                continue  # there is none, or it is not for us to read; the plain file will do
    return _open(path, content_type, None, varies, follow)


async def off_loop(open_: Callable[[], _Opened]) -> _Opened:
    """Call *open_* in a thread. If nobody waits any more, the file it opens is closed.

    Args:
        open_: Returns a tuple whose last member is an open file or ``None``.
    """
    opening = asyncio.get_running_loop().run_in_executor(None, open_)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_opened)
        raise


def _close_opened(opening: "asyncio.Future[Any]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        file = opening.result()[-1]
        if file is not None:
            file.close()


def _is_sibling(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _open(
    path: str, content_type: str, coding: str | None, varies: bool, follow: bool
) -> tuple[Representation, BinaryIO | None]:
    if not follow and not _NOFOLLOW and os.path.islink(path):
        raise NotAFile(errno.ELOOP, "A symbolic link", path)
    descriptor = os.open(path, _OPEN_FLAGS | (0 if follow else _NOFOLLOW))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotAFile(errno.EINVAL, "Not a regular file", path)
        result = Representation(path, found, content_type=content_type, coding=coding)
        result.varies = varies
        result.describe()
        if found.st_size > SMALL:
            return result, os.fdopen(descriptor, "rb", buffering=0)
        result.content = _read(descriptor, found.st_size)
        if signature(os.fstat(descriptor)) != result.signature:
            result.settled = False  # it changed while we read
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return result, None


def _read(descriptor: int, size: int) -> bytes:
    blocks = []
    while size:
        block = os.read(descriptor, size)
        if not block:
            raise OSError(errno.EIO, f"The file ended {size} bytes too early")
        size -= len(block)
        blocks.append(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


class _Entry:
    __slots__ = ("good_until", "plain", "plain_path", "representation", "used")

    def __init__(
        self, representation: Representation, plain_path: str, plain: Signature, until: float
    ) -> None:
        self.representation = representation
        self.plain_path = plain_path
        self.plain = plain
        self.good_until = until
        self.used = False


@final
class FileCache:
    """Content of small files, each compared with its file before it is used.

    Args:
        max_size: Bytes of content to keep; 0 keeps nothing.

    A lookup is one `os.stat`, on the loop. It takes the file for the same only if inode,
    size, and both times are: a name that leads elsewhere meanwhile, by a symbolic link
    changed anywhere on the way, is another file and gets checked as one.
    """

    __slots__ = ("_entries", "_left", "_lock", "_max_size")

    def __init__(self, max_size: int = _CACHE_SIZE) -> None:
        self._max_size = max_size
        self._left = max_size
        # Loops in several threads may share a cache. Only changes need the lock.
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, tuple[str, ...]], _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, codings: tuple[str, ...]) -> Representation | None:
        """Return what is kept for *key* and still as on the disk."""
        entry = self._entries.get((key, codings))
        if entry is None:
            return None
        representation = entry.representation
        try:
            same = signature(os.stat(entry.plain_path)) == entry.plain
            if same and representation.coding is not None:
                same = signature(os.lstat(representation.path)) == representation.signature
        except (OSError, ValueError):
            same = False
        if not same or time.monotonic() > entry.good_until:
            self._drop((key, codings))
            return None
        entry.used = True
        return representation

    def put(
        self, key: str, codings: tuple[str, ...], plain_path: str, representation: Representation
    ) -> None:
        """Keep *representation*, if it is worth it.

        Args:
            key: What it is asked for by.
            codings: What else is part of the question.
            plain_path: The name by which the file, without coding, was found.
            representation: What was found.
        """
        content = representation.content
        if content is None or not representation.settled or len(content) > self._max_size:
            return
        if representation.coding is None:
            plain = representation.signature
        else:
            try:
                plain = signature(os.stat(plain_path))
            except OSError:
                return
        until = time.monotonic() + _SIBLINGS_LOOKED_FOR if codings else float("inf")
        with self._lock:
            self._forget((key, codings))
            while self._entries and (
                self._left < len(content) or len(self._entries) >= _CACHE_ENTRIES
            ):
                self._make_room()
            self._entries[key, codings] = _Entry(representation, plain_path, plain, until)
            self._left -= len(content)

    def _make_room(self) -> None:
        """Drop the oldest entry that was not used since we came by last."""
        while True:
            key, entry = next(iter(self._entries.items()))
            if not entry.used:
                self._forget(key)
                return
            entry.used = False
            self._entries[key] = self._entries.pop(key)

    def _drop(self, key: tuple[str, tuple[str, ...]]) -> None:
        with self._lock:
            self._forget(key)

    def _forget(self, key: tuple[str, tuple[str, ...]]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._left += len(entry.representation.content or b"")
