"""One content coding each: bytes in, at most so many bytes out."""

from typing import Any, Protocol

from ..errors import ContentEncodingError
from ._backends import (
    RAW_WBITS,
    ZLIB_WBITS,
    ZSTD_WINDOW_LOG,
    ZlibDecompressor,
    import_brotli,
    import_zstd,
    zlib_backend,
)


class Stage(Protocol):
    """One coding. The input comes in windows; the rest of a window may be given back."""

    more: bool
    """Whether output may be had by a step without input."""
    rest: bytes
    """The end of the last window, if it was not used."""

    def step(self, data: bytes | memoryview, size: int) -> bytes:
        """Decode *data* into *size* bytes at most."""
        ...

    def finish(self) -> None: ...


class InflateStage:
    __slots__ = ("_backend", "_held", "_inflater", "_left", "_name", "_wbits", "more", "rest")

    def __init__(self, name: str, wbits: int | None, max_members: int) -> None:
        self.more = False
        self.rest = b""
        self._name = name
        self._wbits = wbits
        """``None`` until the first two bytes have told zlib-wrapped and raw deflate apart."""
        self._left = max_members
        self._backend = zlib_backend()
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
            wbits = self._wbits = ZLIB_WBITS if wrapped else RAW_WBITS
        return self._backend.decompressobj(wbits=wbits)

    def finish(self) -> None:
        if self._inflater is not None or self._held:
            raise _truncated(self._name)


class BrotliStage:
    __slots__ = ("_at", "_brotli", "_decompressor", "_surplus", "more", "rest")

    def __init__(self) -> None:
        self.more = False
        self.rest = b""
        self._brotli = import_brotli()
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


class ZstdStage:
    __slots__ = ("_decompressor", "_left", "_zstd", "more", "rest")

    def __init__(self, max_frames: int) -> None:
        self.more = False
        self.rest = b""
        self._zstd = import_zstd()
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
        return self._zstd.ZstdDecompressor(options={window: ZSTD_WINDOW_LOG})

    def finish(self) -> None:
        if self._decompressor is not None:
            raise _truncated("zstd")


class IdentityStage:
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


def _undecodable(name: str, exc: Exception) -> ContentEncodingError:
    return ContentEncodingError(f"Content does not decode by its {name} coding: {exc}")


def _truncated(name: str) -> ContentEncodingError:
    return ContentEncodingError(f"Content ends before its {name} coding does")
