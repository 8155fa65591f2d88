"""The leaf loops: masks and frame headers."""

from collections.abc import Callable

import pytest

from antiphon.core.websocket._inner import frame_header, make_header, xor_mask

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 125, 126, 1020, 1021, 1022, 1023, 1024, 1025, 1026, 1027, 70_001]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", [b"\x00\x00\x00\x00", b"\x37\xfa\x21\x3d", b"\xff\x00\xff\x01"])
def test_each_byte_is_masked_with_its_byte_of_the_key(size: int, key: bytes) -> None:
    data = bytes((at * 7 + 3) % 256 for at in range(size))
    masked = xor_mask(data, key)
    assert masked == bytes(byte ^ key[at % 4] for at, byte in enumerate(data))
    assert type(masked) is bytes
    assert xor_mask(masked, key) == data


@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"\x81", None, id="half of the first two bytes"),
        pytest.param(b"\x81\x05", (0x81, 5, b"", 2), id="short, unmasked"),
        pytest.param(b"\x81\x85abc", None, id="masking key incomplete"),
        pytest.param(b"\x81\x85abcd", (0x81, 5, b"abcd", 6), id="short, masked"),
        pytest.param(b"\x82\x7e\x01", None, id="16 bits incomplete"),
        pytest.param(b"\x82\x7e\x00\x7e", (0x82, 126, b"", 4), id="16 bits, smallest"),
        pytest.param(b"\x82\xfe\xff\xffabcd", (0x82, 65535, b"abcd", 8), id="16 bits, largest"),
        pytest.param(b"\x82\x7e\x00\x7d", (0x82, -126, b"", 4), id="16 bits for 125"),
        pytest.param(b"\x82\x7f" + bytes(7), None, id="64 bits incomplete"),
        pytest.param(
            b"\x82\x7f" + (65536).to_bytes(8, "big"), (0x82, 65536, b"", 10), id="64 bits, smallest"
        ),
        pytest.param(
            b"\x82\x7f" + (65535).to_bytes(8, "big"), (0x82, -65536, b"", 10), id="64 bits for less"
        ),
        pytest.param(
            b"\x82\xff" + b"\xff" * 8 + b"abcd",
            (0x82, 2**64 - 1, b"abcd", 14),
            id="64 bits, CVE-2026-1528",
        ),
    ],
)
def test_frame_header(
    header: bytes, expected: tuple[int, int, bytes, int] | None, start: int
) -> None:
    if expected is not None:
        expected = (*expected[:3], expected[3] + start)
    assert frame_header(b"?" * start + header, start) == expected


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 2**40])
@pytest.mark.parametrize("masked", [0, 0x80])
def test_headers_written_are_read(length: int, masked: int, frame: Callable[..., bytes]) -> None:
    header = make_header(0x82, length, masked)
    key = b"abcd" if masked else b""
    assert frame_header(header + key, 0) == (0x82, length, key, len(header + key))
    assert header + key == frame(0x82, length=length, masked=bool(masked), key=key)
