"""The leaf loops: masks and frame headers."""

from collections.abc import Callable, Iterator

import pytest

from antiphon.core.websocket import Role, WebSocketReader, WebSocketWriter, set_mask_function
from antiphon.core.websocket._inner import frame_header, make_header, xor_mask

SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 125, 126, 509, 510, 511, 512, 513, 514, 515, 1025, 70_001]
Mask = Callable[[bytes, bytes], bytes]


def byte_by_byte(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(data))


@pytest.fixture(params=["pure", "another's"])
def mask_function(request: pytest.FixtureRequest) -> Iterator[Mask | None]:
    """What masks large payloads: ours, and then what somebody else has written in C."""
    function: Mask | None = None
    if request.param == "another's":
        function = pytest.importorskip("websockets.speedups").apply_mask
    set_mask_function(function)
    try:
        yield function
    finally:
        set_mask_function(None)


@pytest.mark.usefixtures("mask_function")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", [b"\x00\x00\x00\x00", b"\x37\xfa\x21\x3d", b"\xff\x00\xff\x01"])
def test_each_byte_is_masked_with_its_byte_of_the_key(size: int, key: bytes) -> None:
    """CVE-2026-49854: whatever the size, not a byte beyond it is looked at."""
    data = bytes((at * 7 + 3) % 256 for at in range(size))
    masked = xor_mask(data, key)
    assert masked == byte_by_byte(data, key)
    assert type(masked) is bytes
    assert xor_mask(masked, key) == data


@pytest.mark.usefixtures("mask_function")
@pytest.mark.parametrize("size", [1, 125, 126, 511, 512, 70_001])
@pytest.mark.parametrize("step", [1 << 20, 1000, 7])
def test_frames_are_unmasked_however_they_come(size: int, step: int) -> None:
    payload = bytes((at * 5 + 1) % 256 for at in range(size))
    wire = WebSocketWriter(Role.CLIENT).frame(0x82, payload)
    reader = WebSocketReader(Role.SERVER)
    seen = b""
    for at in range(0, len(wire), step):
        reader.receive_data(wire[at : at + step])
        while isinstance(part := reader.next_part(), tuple):
            seen += part.data
    assert seen == payload


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda data, key: data, id="does nothing"),
        pytest.param(lambda data, key: byte_by_byte(data, key[::-1]), id="key reversed"),
        pytest.param(lambda data, key: bytearray(byte_by_byte(data, key)), id="no bytes"),
        pytest.param(lambda data, key: byte_by_byte(data[:4096], key), id="cuts"),
    ],
)
def test_a_mask_function_that_does_something_else_is_refused(function: Mask) -> None:
    with pytest.raises(ValueError, match=r"section 5\.3"):
        set_mask_function(function)
    assert xor_mask(bytes(200), b"abcd") == b"abcd" * 50


def test_a_mask_function_is_used_above_125_bytes_and_can_be_put_back() -> None:
    seen: list[int] = []

    def watched(data: bytes, key: bytes) -> bytes:
        seen.append(len(data))
        return byte_by_byte(data, key)

    writer = WebSocketWriter(Role.CLIENT)
    try:
        set_mask_function(watched)
        seen.clear()
        writer.frame(0x82, bytes(125))
        writer.frame(0x82, bytes(126))
        assert seen == [126]
    finally:
        set_mask_function(None)
    writer.frame(0x82, bytes(126))
    assert seen == [126]


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
