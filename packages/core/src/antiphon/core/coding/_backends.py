"""Where the codings come from: a zlib, and optional packages that are imported when asked for."""

import importlib
import zlib
from functools import cache
from types import ModuleType
from typing import Any, Final, Protocol, cast

from ..typedefs import Byteish

ZLIB_WBITS: Final = zlib.MAX_WBITS
GZIP_WBITS: Final = zlib.MAX_WBITS + 16
RAW_WBITS: Final = -zlib.MAX_WBITS

ZSTD_WINDOW_LOG: Final = 23
"""RFC 9659: content in the zstd coding needs a window of 8 MiB at most."""


ALIASES: Final = {"x-gzip": "gzip", "x-deflate": "deflate"}
"""Names of old for codings that are there (RFC 9110 section 8.4.1.3)."""


class UnknownContentCoding(LookupError):
    """There is no such coding, or the package that has it is not installed."""


class ZlibCompressor(Protocol):
    """What ``compressobj()`` of a zlib gives."""

    def compress(self, data: Byteish, /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


class ZlibDecompressor(Protocol):
    """What ``decompressobj()`` of a zlib gives."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: Byteish, /, max_length: int = ...) -> bytes: ...
    def flush(self, length: int = ..., /) -> bytes: ...


class ZlibBackend(Protocol):
    """What antiphon uses of a module that can stand for `zlib`."""

    __name__: str
    error: type[Exception]
    Z_BEST_COMPRESSION: int
    Z_DEFAULT_COMPRESSION: int
    Z_SYNC_FLUSH: int
    Z_FINISH: int

    def compressobj(
        self, level: int = ..., method: int = ..., wbits: int = ..., memLevel: int = ...,
        strategy: int = ...,
    ) -> ZlibCompressor: ...  # fmt: skip
    def decompressobj(self, wbits: int = ...) -> ZlibDecompressor: ...


_backend: ZlibBackend = cast("ZlibBackend", zlib)


def set_zlib_backend(new_zlib_backend: ModuleType) -> None:
    """Use another zlib from now on, for content codings and for WebSocket compression.

    Args:
        new_zlib_backend: A module with zlib's interface, such as ``isal.isal_zlib`` or
            ``zlib_ng.zlib_ng``. Coders that exist keep the one they have.

    Raises:
        TypeError: The module lacks a part of the interface.
    """
    missing = [
        name
        for name in ("compressobj", "decompressobj", "error", "Z_BEST_COMPRESSION", "Z_SYNC_FLUSH")
        if not hasattr(new_zlib_backend, name)
    ]
    if missing:
        raise TypeError(f"{new_zlib_backend!r} is no zlib: it has no {', '.join(missing)}")
    global _backend  # noqa: PLW0603  # a setting of the process, as documented
    _backend = cast("ZlibBackend", new_zlib_backend)


def zlib_backend() -> ZlibBackend:
    """Return the module that compresses now: `zlib`, or what `set_zlib_backend` was given."""
    return _backend


@cache
def import_brotli() -> Any:  # the two packages have no types in common
    for name in ("brotli", "brotlicffi"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        # Before 1.2 there was no way to bound what one call puts out.
        if hasattr(module.Decompressor, "can_accept_more_data"):
            return module
    return None


@cache
def import_zstd() -> Any:  # the standard one has types only from 3.14 on
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def available_codings() -> tuple[str, ...]:
    """Return the codings that content can be decoded from here, for ``Accept-Encoding``."""
    codings = ["gzip", "deflate"]
    if import_brotli() is not None:
        codings.append("br")
    if import_zstd() is not None:
        codings.append("zstd")
    return tuple(codings)
