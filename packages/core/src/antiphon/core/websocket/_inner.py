"""Leaf loops of WebSockets: what runs once per frame or per byte."""

from collections.abc import Callable
from struct import Struct
from typing import Final

__all__ = ("frame_header", "make_header", "set_mask_function", "xor_mask")

_U16: Final = Struct("!H")
_U64: Final = Struct("!Q")
_HEADER16: Final = Struct("!BBH")
_HEADER64: Final = Struct("!BBQ")

# Where four translations of every fourth byte become cheaper than one big integer. Measured by
# packages/core/benchmarks/bench_websocket.py.
_TRANSLATE_FROM: Final = 512

_XOR_TABLES: Final = [bytes(byte ^ key for byte in range(256)) for key in range(256)]
_integer: Final = int.from_bytes


_accelerated: Callable[[bytes, bytes], bytes] | None = None


def set_mask_function(function: Callable[[bytes, bytes], bytes] | None) -> None:
    """Have *function* mask and unmask payloads above 125 bytes, in place of pure Python.

    In pure Python a byte costs about 2 ns, which is most of what receiving a large message costs
    a server. A function in C is many times faster. None is looked for: those that
    exist belong to packages that take long to import. For a program that has one anyway::

        from websockets.speedups import apply_mask

        set_mask_function(apply_mask)

    Args:
        function: Takes data and a key of four bytes, and returns the bytes of data, each exclusively
            or-ed with the byte of the key at its position modulo four. ``None`` for pure Python.

    Raises:
        ValueError: *function* does something else.
    """
    global _accelerated  # noqa: PLW0603  # one for the process, as the backend of zlib is
    if function is not None:
        sample, key = bytes(range(251)) * 20, b"\x01\x80\xfe\x55"
        for size in (0, 1, 126, len(sample)):
            masked = function(sample[:size], key)
            if type(masked) is not bytes or masked != _in_python(sample[:size], key):
                raise ValueError(f"{function!r} does not mask as RFC 6455 section 5.3 wants it")
    _accelerated = function


def xor_mask(data: bytes, key: bytes) -> bytes:
    """Mask or unmask *data* with the four bytes of *key* (RFC 6455 section 5.3)."""
    if _accelerated is not None:
        return _accelerated(data, key)
    return _in_python(data, key)


def _in_python(data: bytes, key: bytes) -> bytes:
    size = len(data)
    if size < _TRANSLATE_FROM:
        # One integer as long as the data; the key is repeated and cut to fit.
        mask = key * (size >> 2) + key[: size & 3]
        return (_integer(data, "little") ^ _integer(mask, "little")).to_bytes(size, "little")
    masked = bytearray(data)
    masked[0::4] = masked[0::4].translate(_XOR_TABLES[key[0]])
    masked[1::4] = masked[1::4].translate(_XOR_TABLES[key[1]])
    masked[2::4] = masked[2::4].translate(_XOR_TABLES[key[2]])
    masked[3::4] = masked[3::4].translate(_XOR_TABLES[key[3]])
    return bytes(masked)


def frame_header(data: bytes, start: int) -> tuple[int, int, bytes, int] | None:
    """Read a frame's header (RFC 6455 section 5.2).

    Returns:
        The first byte, the payload's length, the masking key (``b""`` without one) and where the
        payload begins; ``None`` if the header is not complete. A length written in more bytes
        than it needs is returned negative.
    """
    there = len(data) - start
    if there < 2:
        return None
    second = data[start + 1]
    length = second & 0x7F
    end = start + 2
    if length == 126:
        if there < 4:
            return None
        end = start + 4
        length = _U16.unpack_from(data, start + 2)[0]
        if length < 126:
            length = -length - 1
    elif length == 127:
        if there < 10:
            return None
        end = start + 10
        length = _U64.unpack_from(data, start + 2)[0]
        if length < 65536:
            length = -length - 1
    if second < 0x80:
        return data[start], length, b"", end
    if len(data) < end + 4:
        return None
    return data[start], length, data[end : end + 4], end + 4


def make_header(first: int, length: int, masked: int) -> bytes:
    """Write a frame's header up to the masking key.

    Args:
        first: FIN, RSV and opcode.
        length: Bytes of payload.
        masked: 0x80 if a masking key follows, else 0.
    """
    if length < 126:
        return bytes((first, masked | length))
    if length < 65536:
        return _HEADER16.pack(first, masked | 126, length)
    return _HEADER64.pack(first, masked | 127, length)
