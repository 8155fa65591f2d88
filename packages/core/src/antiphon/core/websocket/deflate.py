"""permessage-deflate (RFC 7692): one compression context a direction, inflation bounded."""

from typing import Final, final

import attrs

from ..coding import ZlibCompressor, ZlibDecompressor, zlib_backend
from ..errors import WebSocketError
from ..typedefs import Byteish
from .models import WSCloseCode

__all__ = ("DeflateParameters", "Deflater", "Inflater")

_TAIL: Final = b"\x00\x00\xff\xff"
"""What a flush leaves at the end, taken off each message (section 7.2.1)."""

_MEM_LEVEL: Final = 8

_MAX_STREAMS: Final = 32
"""Blocks marked as the last one in one message: two bytes each may suffice for one, and each costs
a new decompressor and a copy of what follows."""


def _window_bits(instance: object, attribute: "attrs.Attribute[int]", value: int) -> None:
    if not 8 <= value <= 15:
        raise ValueError(f"{attribute.name} must be from 8 to 15, not {value!r}")


@attrs.frozen(kw_only=True)
class DeflateParameters:
    """What was agreed on for one connection (section 7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = attrs.field(default=15, validator=_window_bits)
    client_max_window_bits: int = attrs.field(default=15, validator=_window_bits)


@final
class Deflater:
    """Compresses the messages of one direction.

    Args:
        window_bits: Window the peer's inflater has, 9 to 15: zlib cannot do with 8.
        keep_context: Whether a message may refer back to earlier ones.
        level: zlib's 1 to 9, -1 for its default.
    """

    __slots__ = ("_compressor", "_keep_context", "_level", "_used_level", "_window_bits")

    def __init__(self, window_bits: int, *, keep_context: bool, level: int = -1) -> None:
        if not 9 <= window_bits <= 15:
            raise ValueError(f"window_bits must be from 9 to 15, not {window_bits!r}")
        self._window_bits = window_bits
        self._keep_context = keep_context
        self._level = self._used_level = level
        self._compressor: ZlibCompressor | None = None

    def compress(self, data: Byteish, *, final: bool = True, level: int | None = None) -> bytes:
        """Return the compressed form of a message, or of a fragment of it.

        Args:
            data: The payload.
            final: Whether this ends the message.
            level: For this message only. A new context is begun wherever the level changes: it
                refers to nothing before it, so the peer's window stays right.
        """
        zlib = zlib_backend()
        if level is None:
            level = self._level
        if level == -1:
            level = zlib.Z_DEFAULT_COMPRESSION
        if level != self._used_level:
            self._used_level = level
            self._compressor = None
        compressor = self._compressor
        if compressor is None:
            compressor = self._compressor = zlib.compressobj(
                level=min(level, zlib.Z_BEST_COMPRESSION),  # isal ends at 3
                wbits=-self._window_bits,
                memLevel=_MEM_LEVEL,
            )
        out = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        if not final:
            return out
        if not self._keep_context:
            self._compressor = None
        # Section 7.2.3.6: a message of no bytes is one empty block.
        return out.removesuffix(_TAIL) or b"\x00"


@final
class Inflater:
    """Decompresses the messages of one direction.

    The window is always the largest: it reads what any smaller one wrote.

    Args:
        keep_context: Whether a message may refer back to earlier ones.
    """

    __slots__ = ("_decompressor", "_keep_context", "_streams")

    def __init__(self, *, keep_context: bool) -> None:
        self._keep_context = keep_context
        self._streams = 0
        self._decompressor: ZlibDecompressor | None = None

    def decompress(self, data: bytes, limit: int | None, *, final: bool) -> bytes:
        """Return what a piece of a message inflates to.

        Args:
            data: The piece, of any size.
            limit: Bytes that may come out, ``None`` for any number.
            final: Whether this is the end of the message.

        Raises:
            WebSocketError: More than *limit* (1009), or no deflate data (1007).
        """
        backend = zlib_backend()
        if final:
            data += _TAIL
        pieces: list[bytes] = []
        size = 0
        while data:
            decompressor = self._decompressor
            if decompressor is None:
                decompressor = self._decompressor = backend.decompressobj(wbits=-15)
            room = 0 if limit is None else limit - size + 1
            try:
                out = decompressor.decompress(data, room)
            except backend.error as exc:
                raise WebSocketError(
                    WSCloseCode.INVALID_TEXT, f"A compressed message does not inflate: {exc}"
                ) from exc
            size += len(out)
            if limit is not None and size > limit:
                raise WebSocketError(
                    WSCloseCode.MESSAGE_TOO_BIG, "A message inflates to more than the limit"
                )
            pieces.append(out)
            if decompressor.eof:
                # A block marked as the last one, which section 7.2.3.4 allows: go on with a new
                # stream, as whoever wrote it does.
                self._decompressor = None
                data = decompressor.unused_data
                self._streams += 1
                if self._streams > _MAX_STREAMS:
                    raise WebSocketError(
                        WSCloseCode.INVALID_TEXT, "A message has too many last deflate blocks"
                    )
                if _TAIL.endswith(data):
                    break  # nothing is left but the end that this side put there
            else:
                data = decompressor.unconsumed_tail
        if final:
            self._streams = 0
            if not self._keep_context:
                self._decompressor = None
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]
