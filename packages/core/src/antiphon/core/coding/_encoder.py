"""Content encoders."""

import abc
import zlib
from collections.abc import Callable
from typing import Final, final

from ..errors import quoted
from ..typedefs import Byteish
from ._backends import (
    ALIASES,
    GZIP_WBITS,
    ZLIB_WBITS,
    ZSTD_WINDOW_LOG,
    UnknownContentCoding,
    available_codings,
    import_brotli,
    import_zstd,
    zlib_backend,
)

_BROTLI_QUALITY: Final = 4
"""Where brotli is as fast as gzip's default and still smaller; its own default is for files."""

_BROTLI_WINDOW_LOG: Final = 19
"""512 KiB of history per encoder, and not brotli's 4 MiB: there is one for each response."""


class ContentEncoder(abc.ABC):
    """Encodes content step by step. Made by `encoder`."""

    __slots__ = ()

    @abc.abstractmethod
    def compress(self, data: Byteish) -> bytes:
        """Take *data* and return what is encoded so far, often nothing."""

    @abc.abstractmethod
    def flush(self, *, sync: bool = False) -> bytes:
        """Return the rest.

        Args:
            sync: Return what the peer needs to decode everything so far, and go on.
                By default the content ends here and the encoder with it.
        """


@final
class _DeflateEncoder(ContentEncoder):
    __slots__ = ("_backend", "_compressor")

    def __init__(self, wbits: int, level: int | None, strategy: int | None) -> None:
        self._backend = backend = zlib_backend()
        if level is None or level == zlib.Z_DEFAULT_COMPRESSION:
            level = backend.Z_DEFAULT_COMPRESSION
        elif not 0 <= level <= 9:
            raise ValueError(f"level must be 0 to 9, not {level}")
        else:
            level = min(level, backend.Z_BEST_COMPRESSION)  # isal ends at 3
        self._compressor = backend.compressobj(
            level=level, wbits=wbits, strategy=0 if strategy is None else strategy
        )

    def compress(self, data: Byteish) -> bytes:
        return self._compressor.compress(data)

    def flush(self, *, sync: bool = False) -> bytes:
        backend = self._backend
        return self._compressor.flush(backend.Z_SYNC_FLUSH if sync else backend.Z_FINISH)


@final
class _BrotliEncoder(ContentEncoder):
    __slots__ = ("_compressor",)

    def __init__(self, level: int | None) -> None:
        if level is None:
            level = _BROTLI_QUALITY
        elif not 0 <= level <= 11:
            raise ValueError(f"level must be 0 to 11, not {level}")
        self._compressor = import_brotli().Compressor(quality=level, lgwin=_BROTLI_WINDOW_LOG)

    def compress(self, data: Byteish) -> bytes:
        out: bytes = self._compressor.process(data)
        return out

    def flush(self, *, sync: bool = False) -> bytes:
        out: bytes = self._compressor.flush() if sync else self._compressor.finish()
        return out


@final
class _ZstdEncoder(ContentEncoder):
    __slots__ = ("_compressor",)

    def __init__(self, level: int | None) -> None:
        zstd = import_zstd()
        parameter = zstd.CompressionParameter
        options = {}
        if level is not None:
            if not 1 <= level <= 22:
                raise ValueError(f"level must be 1 to 22, not {level}")
            options[parameter.compression_level] = level
            if level > 19:  # the levels whose own window is larger than RFC 9659 allows
                options[parameter.window_log] = ZSTD_WINDOW_LOG
        self._compressor = zstd.ZstdCompressor(options=options)

    def compress(self, data: Byteish) -> bytes:
        out: bytes = self._compressor.compress(data)
        return out

    def flush(self, *, sync: bool = False) -> bytes:
        compressor = self._compressor
        mode = compressor.FLUSH_BLOCK if sync else compressor.FLUSH_FRAME
        out: bytes = compressor.flush(mode)
        return out


@final
class _IdentityEncoder(ContentEncoder):
    __slots__ = ()

    def compress(self, data: Byteish) -> bytes:
        return bytes(data)

    def flush(self, *, sync: bool = False) -> bytes:
        return b""


def encoder(
    encoding: str, *, level: int | None = None, strategy: int | None = None
) -> ContentEncoder:
    """Return an encoder for one content coding.

    Args:
        encoding: The coding's name; case does not matter.
        level: As the coding counts: 0 to 9 for gzip and deflate, 0 to 11 for br, 1 to 22
            for zstd. ``None`` is a default meant for content made on the fly.
        strategy: One of zlib's ``Z_...`` strategies, for gzip and deflate.

    Raises:
        UnknownContentCoding: A coding that is not here.
        ValueError: A level or strategy that the coding does not have.
    """
    name = encoding.strip(" \t").lower()
    make = _ENCODERS.get(ALIASES.get(name, name))
    if make is None or (name not in _ALWAYS and name not in available_codings()):
        raise UnknownContentCoding(f"No content coding {quoted(name)} here")
    return make(level, strategy)


_ALWAYS: Final = frozenset(("identity", "gzip", "deflate", *ALIASES))
_ENCODERS: Final[dict[str, Callable[[int | None, int | None], ContentEncoder]]] = {
    "identity": lambda level, strategy: _IdentityEncoder(),
    "gzip": lambda level, strategy: _DeflateEncoder(GZIP_WBITS, level, strategy),
    "deflate": lambda level, strategy: _DeflateEncoder(ZLIB_WBITS, level, strategy),
    "br": lambda level, strategy: _BrotliEncoder(level),
    "zstd": lambda level, strategy: _ZstdEncoder(level),
}
