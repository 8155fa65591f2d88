"""Content codings (RFC 9110 section 8.4.1) as incremental coders with bounded output.

A decoder is asked for at most so many bytes a step and keeps the rest
compressed, so whoever stops asking stops the inflation too: there is nothing
for a zip bomb to fill. The work of all steps together is linear in what came
in and what went out.

gzip and deflate need a zlib, the standard one unless `set_zlib_backend` names
another. Brotli and Zstandard come from optional packages that are imported
when first asked for; without them the coding is simply not there.
"""

import abc
import enum
import importlib
import zlib
from collections import deque
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any, Final, Protocol, cast, final

from .errors import ContentEncodingError, LocalProtocolError, quoted
from .typedefs import Byteish

__all__ = (
    "ContentCoding",
    "ContentDecoder",
    "ContentEncoder",
    "UnknownContentCoding",
    "ZlibBackend",
    "ZlibCompressor",
    "ZlibDecompressor",
    "available_codings",
    "decoder",
    "encoder",
    "set_zlib_backend",
    "zlib_backend",
)

_MAX_CODINGS: Final = 2
"""Codings on top of one another. Servers use one; each multiplies what a bomb can do."""

_MAX_MEMBERS: Final = 1000
"""gzip members or Zstandard frames in one content. Each costs a new state, for 20 bytes."""

_MIN_WINDOW: Final = 256
"""Bytes of input per step at least, however little output is asked for."""

_ZSTD_WINDOW_LOG: Final = 23
"""RFC 9659: content in the zstd coding needs a window of 8 MiB at most."""

_BROTLI_QUALITY: Final = 4
"""Where brotli is as fast as gzip's default and still smaller; its own default is for files."""

_BROTLI_WINDOW_LOG: Final = 19
"""512 KiB of history per encoder, and not brotli's 4 MiB: there is one for each response."""

_ZLIB_WBITS: Final = zlib.MAX_WBITS
_GZIP_WBITS: Final = zlib.MAX_WBITS + 16
_RAW_WBITS: Final = -zlib.MAX_WBITS


class ContentCoding(enum.Enum):
    """The content codings there are; the value is what the field says."""

    deflate = "deflate"
    gzip = "gzip"
    br = "br"
    zstd = "zstd"
    identity = "identity"


class UnknownContentCoding(LookupError):
    """There is no such coding, or the package that has it is not installed."""


# --- backends ---------------------------------------------------------------------------------


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
def _import_brotli() -> Any:  # the two packages have no types in common
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
def _import_zstd() -> Any:  # the standard one has types only from 3.14 on
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def available_codings() -> tuple[str, ...]:
    """Return the codings that content can be decoded from here, for ``Accept-Encoding``."""
    codings = ["gzip", "deflate"]
    if _import_brotli() is not None:
        codings.append("br")
    if _import_zstd() is not None:
        codings.append("zstd")
    return tuple(codings)


# --- decoding ---------------------------------------------------------------------------------


class ContentDecoder(abc.ABC):
    """Decodes content step by step. Made by `decoder`."""

    __slots__ = ("needs_input",)

    needs_input: bool
    """Whether nothing more comes out until more goes in. While this is false, call
    `decompress` with ``b""``, or stop asking and nothing is inflated."""

    @abc.abstractmethod
    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take *data* and return the next decoded bytes.

        Args:
            data: What arrived; ``b""`` to go on with what is here already. What is not
                needed yet is kept, still compressed and not copied.
            max_length: Size in bytes that the result has at most; positive.

        Returns:
            Decoded bytes. They may be empty although `needs_input` is false: a step
            ends early where little input would otherwise cause much work.

        Raises:
            ContentEncodingError: The content does not decode, or goes on after its end.
        """

    @abc.abstractmethod
    def finish(self) -> None:
        """Say that the content is complete, once `needs_input` is true.

        Content of no bytes at all counts as complete: nothing was encoded.

        Raises:
            ContentEncodingError: It was cut short.
            LocalProtocolError: Not everything was taken yet.
        """


class _Stage(Protocol):
    """One coding. The input comes in windows; the rest of a window may be given back."""

    more: bool
    """Whether output may be had by a step without input."""
    rest: bytes
    """The end of the last window, if it was not used."""

    def step(self, data: bytes | memoryview, size: int) -> bytes:
        """Decode *data* into *size* bytes at most."""
        ...

    def finish(self) -> None: ...


class _InflateStage:
    __slots__ = ("_backend", "_held", "_inflater", "_left", "_name", "_wbits", "more", "rest")

    def __init__(self, name: str, wbits: int | None, max_members: int) -> None:
        self.more = False
        self.rest = b""
        self._name = name
        self._wbits = wbits
        """``None`` until the first two bytes have told zlib-wrapped and raw deflate apart."""
        self._left = max_members
        self._backend = _backend
        self._inflater: ZlibDecompressor | None = None
        self._held = b""

    def step(self, data: bytes | memoryview, size: int) -> bytes:
        inflater = self._inflater
        if inflater is None:
            if self._held:
                data = self._held + data
                self._held = b""
            if self._wbits is None and len(data) < 2:
                self._held = bytes(data)
                self.rest = b""
                return b""
            inflater = self._inflater = self._begin(data)
        try:
            out = inflater.decompress(data, size)
        except self._backend.error as exc:
            raise _undecodable(self._name, exc) from exc
        if inflater.eof:
            self.rest = inflater.unused_data
            self.more = False
            self._inflater = None
        else:
            self.rest = inflater.unconsumed_tail
            # A full step may have left output behind inside zlib itself.
            self.more = len(out) == size and not self.rest
        return out

    def _begin(self, data: bytes | memoryview) -> ZlibDecompressor:
        if self._left == 0:
            raise ContentEncodingError(f"Content goes on after the end of its {self._name} coding")
        self._left -= 1
        wbits = self._wbits
        if wbits is None:
            # "deflate" means zlib-wrapped (RFC 9110 section 8.4.1.2), but raw has always been
            # sent too. RFC 1950: method 8, window up to 32 KiB, and a multiple of 31.
            wrapped = data[0] & 0x8F == 0x08 and (data[0] << 8 | data[1]) % 31 == 0
            wbits = self._wbits = _ZLIB_WBITS if wrapped else _RAW_WBITS
        return self._backend.decompressobj(wbits=wbits)

    def finish(self) -> None:
        if self._inflater is not None or self._held:
            raise _truncated(self._name)


class _BrotliStage:
    __slots__ = ("_at", "_brotli", "_decompressor", "_surplus", "more", "rest")

    def __init__(self) -> None:
        self.more = False
        self.rest = b""
        self._brotli = _import_brotli()
        self._decompressor: Any = None
        self._surplus = b""
        self._at = 0

    def step(self, data: bytes | memoryview, size: int) -> bytes:
        if self._surplus:
            return self._take(size)
        decompressor = self._decompressor
        if decompressor is None:
            decompressor = self._decompressor = self._brotli.Decompressor()
        try:
            out: bytes = decompressor.process(data, output_buffer_limit=size)
        except self._brotli.error as exc:
            raise _undecodable("br", exc) from exc
        # The limit is where its buffer stops growing and not a maximum: there may be output left
        # behind, and at the same time more in hand than was asked for.
        self.more = not decompressor.is_finished() and (
            len(out) >= size or not decompressor.can_accept_more_data()
        )
        if len(out) > size:
            self._surplus = out
            return self._take(size)
        return out

    def _take(self, size: int) -> bytes:
        out = self._surplus[self._at : self._at + size]
        self._at += size
        if self._at >= len(self._surplus):
            self._surplus = b""
            self._at = 0
            self.more = not self._decompressor.is_finished()
        else:
            self.more = True
        return out

    def finish(self) -> None:
        if self._decompressor is not None and not self._decompressor.is_finished():
            raise _truncated("br")


class _ZstdStage:
    __slots__ = ("_decompressor", "_left", "_zstd", "more", "rest")

    def __init__(self, max_frames: int) -> None:
        self.more = False
        self.rest = b""
        self._zstd = _import_zstd()
        self._left = max_frames
        self._decompressor: Any = None

    def step(self, data: bytes | memoryview, size: int) -> bytes:
        decompressor = self._decompressor
        if decompressor is None:
            decompressor = self._decompressor = self._begin()
        try:
            out: bytes = decompressor.decompress(data, size)
        except self._zstd.ZstdError as exc:
            raise _undecodable("zstd", exc) from exc
        if decompressor.eof:
            self.rest = decompressor.unused_data
            self.more = False
            self._decompressor = None
        else:
            self.rest = b""
            self.more = not decompressor.needs_input
        return out

    def _begin(self) -> Any:
        if self._left == 0:
            raise ContentEncodingError("Content goes on after the end of its zstd coding")
        self._left -= 1
        window = self._zstd.DecompressionParameter.window_log_max
        return self._zstd.ZstdDecompressor(options={window: _ZSTD_WINDOW_LOG})

    def finish(self) -> None:
        if self._decompressor is not None:
            raise _truncated("zstd")


class _IdentityStage:
    __slots__ = ("more", "rest")

    def __init__(self) -> None:
        self.more = False
        self.rest = b""

    def step(self, data: bytes | memoryview, size: int) -> bytes:
        out = bytes(data[:size])
        self.rest = bytes(data[size:])
        return out

    def finish(self) -> None:
        pass  # has no end of its own that could be missing


@final
class _StageDecoder(ContentDecoder):
    """Feeds one stage, and owns what is not decoded yet.

    The input is handed over in windows no larger than the output asked for, and
    a stage gives back at most a window: nothing is copied again and again while
    a large chunk waits.
    """

    __slots__ = ("_at", "_chunk", "_later", "_stage")

    def __init__(self, stage: _Stage) -> None:
        self._stage = stage
        self._chunk = b""
        self._at = 0
        self._later: deque[bytes] = deque()
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if max_length <= 0:
            raise ValueError(f"max_length must be positive, not {max_length}")
        if data:
            if self._at < len(self._chunk) or self._stage.more:
                self._later.append(data)
            else:
                self._chunk = data
                self._at = 0
        out = self._step(max_length)
        if len(out) < max_length and not self.needs_input:
            parts = [out]
            room = max_length - len(out)
            while room and not self.needs_input:
                out = self._step(room)
                parts.append(out)
                room -= len(out)
            out = b"".join(parts)
        return out

    def _step(self, size: int) -> bytes:
        stage = self._stage
        if stage.more:
            out = stage.step(b"", size)
        else:
            window = self._window(size)
            if not window:
                self.needs_input = True
                return b""
            self._at += len(window)
            out = stage.step(window, size)
        if stage.rest:
            self._at -= len(stage.rest)
            stage.rest = b""
        if self._at >= len(self._chunk) and not stage.more:
            if self._later:
                self._chunk = self._later.popleft()
                self.needs_input = False
            else:
                self._chunk = b""
                self.needs_input = True
            self._at = 0
        else:
            self.needs_input = False
        return out

    def _window(self, size: int) -> bytes | memoryview:
        chunk = self._chunk
        end = self._at + max(size, _MIN_WINDOW)
        if self._at == 0 and len(chunk) <= end:
            return chunk
        return memoryview(chunk)[self._at : end]

    def finish(self) -> None:
        if not self.needs_input:
            raise LocalProtocolError("finish() before all of the content was taken")
        self._stage.finish()


@final
class _ChainDecoder(ContentDecoder):
    """Codings on top of one another; *outer* was applied last."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, outer: ContentDecoder, inner: ContentDecoder) -> None:
        self._outer = outer
        self._inner = inner
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        # One step each, also if nothing comes out: what lies between the codings may be
        # large and mean nothing, and must not be worked through in one call.
        between = b""
        if data or self._inner.needs_input:
            between = self._outer.decompress(data, max_length)
        out = self._inner.decompress(between, max_length)
        self.needs_input = self._inner.needs_input and self._outer.needs_input
        return out

    def finish(self) -> None:
        self._outer.finish()
        self._inner.finish()


def decoder(
    encoding: str, *, max_codings: int = _MAX_CODINGS, max_members: int = _MAX_MEMBERS
) -> ContentDecoder:
    """Return a decoder for content with this ``Content-Encoding``.

    Args:
        encoding: The field's value: one coding, or a list of them in the order in
            which they were applied. Case does not matter; ``identity`` counts for nothing.
        max_codings: How many codings there may be on top of one another.
        max_members: How many gzip members or Zstandard frames content may consist of.

    Raises:
        UnknownContentCoding: A coding that is not among `available_codings`.
        ContentEncodingError: More than *max_codings* codings.
    """
    names = [_ALIASES.get(name, name) for name in _coding_names(encoding)]
    if len(names) > max_codings:
        raise ContentEncodingError(f"More than {max_codings} content codings")
    if not names:
        return _StageDecoder(_IdentityStage())
    first, *others = [_StageDecoder(_stage(name, max_members)) for name in names]
    made: ContentDecoder = first
    for outer in others:
        made = _ChainDecoder(outer, made)
    return made


_ALIASES: Final = {"x-gzip": "gzip", "x-deflate": "deflate"}


def _coding_names(encoding: str) -> list[str]:
    names = (name.strip(" \t").lower() for name in encoding.split(","))
    return [name for name in names if name and name != "identity"]


def _stage(name: str, max_members: int) -> _Stage:
    if name == "gzip":
        return _InflateStage(name, _GZIP_WBITS, max_members)
    if name == "deflate":
        return _InflateStage(name, None, 1)
    if name == "br" and _import_brotli() is not None:
        return _BrotliStage()
    if name == "zstd" and _import_zstd() is not None:
        return _ZstdStage(max_members)
    raise UnknownContentCoding(f"No content coding {quoted(name)} here")


def _undecodable(name: str, exc: Exception) -> ContentEncodingError:
    return ContentEncodingError(f"Content does not decode by its {name} coding: {exc}")


def _truncated(name: str) -> ContentEncodingError:
    return ContentEncodingError(f"Content ends before its {name} coding does")


# --- encoding ---------------------------------------------------------------------------------


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
        self._backend = backend = _backend
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
        self._compressor = _import_brotli().Compressor(quality=level, lgwin=_BROTLI_WINDOW_LOG)

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
        zstd = _import_zstd()
        parameter = zstd.CompressionParameter
        options = {}
        if level is not None:
            if not 1 <= level <= 22:
                raise ValueError(f"level must be 1 to 22, not {level}")
            options[parameter.compression_level] = level
            if level > 19:  # the levels whose own window is larger than RFC 9659 allows
                options[parameter.window_log] = _ZSTD_WINDOW_LOG
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
    make = _ENCODERS.get(_ALIASES.get(name, name))
    if make is None or (name not in _ALWAYS and name not in available_codings()):
        raise UnknownContentCoding(f"No content coding {quoted(name)} here")
    return make(level, strategy)


_ALWAYS: Final = frozenset(("identity", "gzip", "deflate", *_ALIASES))
_ENCODERS: Final[dict[str, Callable[[int | None, int | None], ContentEncoder]]] = {
    "identity": lambda level, strategy: _IdentityEncoder(),
    "gzip": lambda level, strategy: _DeflateEncoder(_GZIP_WBITS, level, strategy),
    "deflate": lambda level, strategy: _DeflateEncoder(_ZLIB_WBITS, level, strategy),
    "br": lambda level, strategy: _BrotliEncoder(level),
    "zstd": lambda level, strategy: _ZstdEncoder(level),
}
