"""Content codings: what decodes, what does not, and what a step may cost."""

import gzip
import random
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import brotli  # type: ignore[import-untyped]  # has no types
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib
from zlib_ng import zlib_ng

from antiphon.core.coding import (
    ContentCoding,
    ContentDecoder,
    UnknownContentCoding,
    _backends,
    available_codings,
    decoder,
    encoder,
    set_zlib_backend,
    zlib_backend,
)
from antiphon.core.errors import ContentEncodingError, LocalProtocolError

TEXT = b"".join(b"%d bottles of beer\n" % i for i in range(600))
NOISE = random.Random(4).randbytes(5000)
CODINGS = ("gzip", "deflate", "br", "zstd", "identity")
COMPRESSED = ("gzip", "deflate", "br", "zstd")
BACKENDS = (zlib, isal_zlib, zlib_ng)


@pytest.fixture(params=BACKENDS, ids=lambda module: module.__name__)
def backend(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    module: ModuleType = request.param
    set_zlib_backend(module)
    yield module
    set_zlib_backend(zlib)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Make a package look as if it were not installed."""

    def forget() -> None:
        _backends.import_brotli.cache_clear()
        _backends.import_zstd.cache_clear()

    def hide(name: str) -> None:
        monkeypatch.setitem(sys.modules, name, None)
        forget()

    yield hide
    monkeypatch.undo()
    forget()


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def encoded(name: str, data: bytes) -> bytes:
    coder = encoder(name)
    return coder.compress(data) + coder.flush()


def drain(coder: ContentDecoder, data: bytes, size: int) -> bytes:
    """Feed *data* and take everything, *size* bytes at most at a time."""
    out = []
    step = coder.decompress(data, size)
    while True:
        assert len(step) <= size
        out.append(step)
        if coder.needs_input:
            return b"".join(out)
        step = coder.decompress(b"", size)


def decode(name: str, chunks: list[bytes], size: int = 65536, **options: int) -> bytes:
    coder = decoder(name, **options)
    out = b"".join([drain(coder, chunk, size) for chunk in chunks])
    coder.finish()
    return out


def splits(wire: bytes) -> Iterator[list[bytes]]:
    yield [wire]
    yield [wire[i : i + 1] for i in range(len(wire))]
    for i in range(1, min(len(wire), 400)):
        yield [wire[:i], wire[i:]]


# --- round trips ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize("data", [b"", b"a", TEXT, NOISE], ids=["empty", "one", "text", "noise"])
@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_what_is_encoded_decodes_in_steps_of_any_size(name: str, data: bytes, size: int) -> None:
    assert decode(name, [encoded(name, data)], size) == data


@pytest.mark.parametrize("name", CODINGS)
def test_any_split_of_the_input_gives_the_same(name: str) -> None:
    wire = encoded(name, TEXT[:900])
    for chunks in splits(wire):
        assert decode(name, chunks) == TEXT[:900]


@pytest.mark.parametrize("name", CODINGS)
@given(pieces=st.lists(st.binary(max_size=300)), size=st.integers(1, 1000))
def test_pieces_come_back_as_one(name: str, pieces: list[bytes], size: int) -> None:
    coder = encoder(name)
    wire = [coder.compress(piece) for piece in pieces] + [coder.flush()]
    assert decode(name, wire, size) == b"".join(pieces)


@pytest.mark.parametrize("name", CODINGS)
def test_after_a_synchronizing_flush_all_can_be_read(name: str) -> None:
    coder, reader = encoder(name), decoder(name)
    for line in TEXT.splitlines(keepends=True)[:30]:
        wire = coder.compress(line) + coder.flush(sync=True)
        assert drain(reader, wire, 4096) == line
    drain(reader, coder.flush(), 4096)
    reader.finish()


@pytest.mark.parametrize("name", CODINGS)
def test_input_may_be_given_before_the_output_is_taken(name: str) -> None:
    wire = encoded(name, TEXT)
    coder = decoder(name)
    out = [coder.decompress(wire[i : i + 3], 1) for i in range(0, len(wire), 3)]
    out.append(drain(coder, b"", 100))
    coder.finish()
    assert b"".join(out) == TEXT


@pytest.mark.parametrize("name", CODINGS)
def test_what_comes_in_may_be_any_kind_of_bytes(name: str) -> None:
    coder = encoder(name)
    wire = coder.compress(bytearray(b"ab")) + coder.compress(memoryview(b"cd")) + coder.flush()
    assert decode(name, [wire]) == b"abcd"


# --- each zlib --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gzip", "deflate"])
@pytest.mark.parametrize("size", [1, 100, 65536])
def test_every_zlib_reads_what_every_zlib_wrote(backend: ModuleType, name: str, size: int) -> None:
    assert zlib_backend() is backend
    wire = encoded(name, TEXT)
    for other in BACKENDS:
        set_zlib_backend(other)
        assert decode(name, [wire], size) == TEXT


@pytest.mark.parametrize(
    ("name", "wire", "expected"),
    [
        pytest.param("gzip", gzip.compress(b"one"), b"one", id="gzip"),
        pytest.param(
            "gzip", gzip.compress(b"one") + gzip.compress(b"two"), b"onetwo", id="members"
        ),
        pytest.param("gzip", gzip.compress(b"") * 3, b"", id="empty members"),
        pytest.param("x-gzip", gzip.compress(b"one"), b"one", id="x-gzip, RFC 9110 8.4.1.3"),
        pytest.param("GZip", gzip.compress(b"one"), b"one", id="case does not matter"),
        pytest.param("deflate", zlib.compress(b"one"), b"one", id="zlib-wrapped"),
        pytest.param("deflate", raw_deflate(b"one"), b"one", id="raw deflate"),
        pytest.param("deflate", raw_deflate(b""), b"", id="raw deflate of nothing"),
        pytest.param(
            "deflate", zlib.compress(TEXT[:999], 0), TEXT[:999], id="zlib-wrapped, stored"
        ),
        pytest.param("deflate", raw_deflate(NOISE[:999]), NOISE[:999], id="raw deflate, stored"),
        pytest.param("gzip", b"", b"", id="no content at all"),
        pytest.param("deflate", b"", b"", id="no content at all, deflate"),
        pytest.param("gzip, deflate", zlib.compress(gzip.compress(TEXT)), TEXT, id="two codings"),
        pytest.param("identity , gzip,", gzip.compress(b"one"), b"one", id="identity is nothing"),
    ],
)
def test_gzip_and_deflate(backend: ModuleType, name: str, wire: bytes, expected: bytes) -> None:
    for chunks in splits(wire):
        assert decode(name, chunks, 1000) == expected
    assert decode(name, [wire], 1) == expected


CORRUPT_CRC = bytes([gzip.compress(b"one")[-8] ^ 1])


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        pytest.param("gzip", b"hello", id="not gzip"),
        pytest.param("gzip", zlib.compress(b"one"), id="zlib as gzip"),
        pytest.param("gzip", gzip.compress(b"one")[:-1], id="trailer cut by a byte"),
        pytest.param("gzip", gzip.compress(b"one")[:-8], id="trailer missing"),
        pytest.param("gzip", gzip.compress(b"one")[:5], id="head cut"),
        pytest.param("gzip", b"\x1f", id="one byte"),
        pytest.param(
            "gzip", gzip.compress(b"one")[:-8] + CORRUPT_CRC + gzip.compress(b"one")[-7:], id="CRC"
        ),
        pytest.param("gzip", gzip.compress(b"one")[:-1] + b"\xff", id="length"),
        pytest.param("gzip", gzip.compress(b"one") + b"x", id="garbage after the end"),
        pytest.param("gzip", gzip.compress(b"one") + b"\0", id="zero after the end"),
        pytest.param(
            "gzip", gzip.compress(b"one") + gzip.compress(b"two")[:9], id="2nd member cut"
        ),
        pytest.param("deflate", zlib.compress(b"one")[:-1], id="zlib checksum cut"),
        pytest.param("deflate", zlib.compress(b"one")[:-1] + b"\0", id="zlib checksum wrong"),
        pytest.param("deflate", raw_deflate(TEXT)[:-1], id="raw cut"),
        pytest.param("deflate", b"x", id="one byte of deflate"),
        pytest.param("deflate", zlib.compress(b"one") + b"x", id="garbage after zlib"),
        pytest.param("deflate", zlib.compress(b"one") * 2, id="deflate has one member"),
        pytest.param("deflate", raw_deflate(b"one") + b"x", id="garbage after raw"),
        pytest.param("deflate", b"\x78\xbb\0\0\0\0", id="preset dictionary"),
        pytest.param("deflate", b"\xff\xff\xff\xff", id="no block type"),
        pytest.param("gzip, deflate", zlib.compress(gzip.compress(b"one")[:-1]), id="inner cut"),
        pytest.param("gzip, deflate", zlib.compress(gzip.compress(b"one"))[:-1], id="outer cut"),
    ],
)
def test_broken_gzip_and_deflate_never_pass_as_whole(
    backend: ModuleType, name: str, wire: bytes
) -> None:
    for chunks in splits(wire):
        with pytest.raises(ContentEncodingError):
            decode(name, chunks, 100)


ONE_BR = brotli.compress(b"one")
ONE_ZSTD = zstd.compress(b"one", options={zstd.CompressionParameter.checksum_flag: 1})
SKIPPED = b"\x50\x2a\x4d\x18\x03\0\0\0abc"


@pytest.mark.parametrize(
    ("name", "wire", "expected"),
    [
        pytest.param("br", ONE_BR, b"one", id="br"),
        pytest.param("br", b"", b"", id="no content, br"),
        pytest.param("zstd", ONE_ZSTD, b"one", id="zstd"),
        pytest.param("zstd", ONE_ZSTD * 3, b"oneoneone", id="frames, RFC 8878 3.1"),
        pytest.param("zstd", SKIPPED + ONE_ZSTD + SKIPPED, b"one", id="skippable frames"),
        pytest.param("zstd", b"", b"", id="no content, zstd"),
        pytest.param("zstd, br", brotli.compress(ONE_ZSTD), b"one", id="zstd inside br"),
    ],
)
def test_brotli_and_zstandard(name: str, wire: bytes, expected: bytes) -> None:
    for chunks in splits(wire):
        assert decode(name, chunks, 2) == expected


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        pytest.param("br", ONE_BR[:-1], id="br cut"),
        pytest.param("br", ONE_BR + b"x", id="br with garbage"),
        pytest.param("br", ONE_BR + ONE_BR, id="br has one stream"),
        pytest.param("br", b"hello", id="not br"),
        pytest.param("zstd", ONE_ZSTD[:-1], id="zstd cut"),
        pytest.param("zstd", ONE_ZSTD[:3], id="zstd magic cut"),
        pytest.param("zstd", ONE_ZSTD[:-1] + b"\0", id="zstd checksum"),
        pytest.param("zstd", ONE_ZSTD + b"x", id="zstd with garbage"),
        pytest.param("zstd", ONE_ZSTD + ONE_ZSTD[:-1], id="zstd second frame cut"),
        pytest.param("zstd", b"hello", id="not zstd"),
    ],
)
def test_broken_brotli_and_zstandard_never_pass_as_whole(name: str, wire: bytes) -> None:
    for chunks in splits(wire):
        with pytest.raises(ContentEncodingError):
            decode(name, chunks, 100)


@pytest.mark.parametrize("name", COMPRESSED)
def test_every_prefix_is_truncated(name: str) -> None:
    wire = encoded(name, TEXT[:500])
    for end in range(1, len(wire)):
        with pytest.raises(ContentEncodingError):
            decode(name, [wire[:end]])


@pytest.mark.parametrize("name", COMPRESSED)
@given(wire=st.binary(min_size=1, max_size=200))
def test_any_bytes_end_in_content_or_one_error(name: str, wire: bytes) -> None:
    try:
        content = decode(name, [wire[:5], wire[5:]], 1000)
    except ContentEncodingError:
        return
    assert isinstance(content, bytes)


# --- limits -----------------------------------------------------------------------------------


def test_zstd_window_above_8_mib_is_refused_rfc_9659() -> None:
    wide = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 25})
    wire = wide.compress(NOISE) + wide.flush()
    with pytest.raises(ContentEncodingError):
        decode("zstd", [wire])


def test_zstd_levels_with_large_windows_stay_readable() -> None:
    coder = encoder("zstd", level=20)
    wire = coder.compress(TEXT) + coder.flush()
    assert decode("zstd", [wire]) == TEXT


@pytest.mark.parametrize("name", COMPRESSED)
def test_bomb_is_inflated_as_far_as_asked_cve_2025_69223_cve_2025_66471(name: str) -> None:
    coder = encoder(name)
    block = bytes(1 << 20)
    wire = b"".join([coder.compress(block) for _ in range(64)]) + coder.flush()
    assert len(wire) < 200_000
    reader = decoder(name)
    tracemalloc.start()
    first = reader.decompress(wire, 65536)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20  # and not the 64 MB
    assert 0 < len(first) <= 65536
    steps = 1
    size = len(first)
    while not reader.needs_input:
        piece = reader.decompress(b"", 65536)
        assert len(piece) <= 65536
        steps += 1
        size += len(piece)
    assert size == 64 << 20
    assert steps >= 1024


def test_bomb_in_a_bomb_costs_a_step_at_a_time_cve_2025_66418() -> None:
    # The inner coding gives nothing for the megabytes that the outer one makes: a gzip
    # head with a name that does not end.
    inner = b"\x1f\x8b\x08\x08\0\0\0\0\0\x03" + b"n" * (8 << 20)
    reader = decoder("gzip, gzip")
    wire = gzip.compress(inner)
    assert reader.decompress(wire, 1024) == b""
    steps = 1
    while steps == 1 or not reader.needs_input:
        assert reader.decompress(b"", 1024) == b""
        steps += 1
    assert steps >= (8 << 20) / 1024
    with pytest.raises(ContentEncodingError):
        reader.finish()


@pytest.mark.parametrize("text", ["gzip, gzip, gzip", "br,gzip,deflate", ",".join(["gzip"] * 999)])
def test_chain_of_codings_is_limited_cve_2026_22036_cve_2025_66418(text: str) -> None:
    with pytest.raises(ContentEncodingError, match="More than 2"):
        decoder(text)


def test_limit_of_codings_can_be_set() -> None:
    wire = gzip.compress(gzip.compress(gzip.compress(b"one")))
    assert decode("gzip, gzip, gzip", [wire], max_codings=3) == b"one"
    with pytest.raises(ContentEncodingError, match="More than 1"):
        decoder("gzip, br", max_codings=1)


@pytest.mark.parametrize(
    ("name", "member"), [("gzip", gzip.compress(b"")), ("zstd", ONE_ZSTD)], ids=["gzip", "zstd"]
)
def test_members_are_limited_ghsa_2g87_pp6c_29x5(name: str, member: bytes) -> None:
    decode(name, [member * 1000])
    with pytest.raises(ContentEncodingError, match="after the end"):
        decode(name, [member * 1001])
    with pytest.raises(ContentEncodingError, match="after the end"):
        decode(name, [member] * 3, max_members=2)


@pytest.mark.parametrize("name", CODINGS)
def test_small_steps_over_a_large_chunk_are_linear(
    name: str, assert_linear: Callable[..., None]
) -> None:
    # Copying what is left at each step would make this quadratic.
    data = random.Random(1).randbytes(1 << 20)
    wires = {size: encoded(name, data[:size]) for size in (1 << 17, 1 << 20)}
    assert_linear(lambda size: decode(name, [wires[size]], 512), 1 << 17)


# --- the interface ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "identity", " , ", "IDENTITY"])
def test_no_coding_gives_content_as_it_is_in_bounded_steps(name: str) -> None:
    coder = decoder(name)
    steps = [(coder.decompress(data, 4), coder.needs_input) for data in (b"", b"abcdef", b"")]
    assert steps == [(b"", True), (b"abcd", False), (b"ef", True)]
    coder.finish()


@pytest.mark.parametrize("name", ["compress", "gzip2", "gzip;q=1", "\u017fdeflate", "a" * 500])
def test_unknown_coding(name: str) -> None:
    with pytest.raises(UnknownContentCoding) as info:
        decoder(name)
    assert len(str(info.value)) < 160
    with pytest.raises(UnknownContentCoding):
        encoder(name)


@pytest.mark.parametrize("size", [0, -1])
def test_step_without_room_is_a_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        decoder("gzip").decompress(b"", size)


def test_finishing_before_all_is_taken_is_a_mistake() -> None:
    coder = decoder("gzip")
    coder.decompress(gzip.compress(TEXT), 10)
    with pytest.raises(LocalProtocolError):
        coder.finish()


def test_codings_are_those_the_enum_names() -> None:
    assert available_codings() == ("gzip", "deflate", "br", "zstd")
    assert {item.value for item in ContentCoding} == {*available_codings(), "identity"}


@pytest.mark.parametrize(
    ("package", "name"),
    [("brotli", "br"), ("backports.zstd", "zstd")],
)
def test_coding_without_its_package_is_not_offered(
    without: Callable[[str], None], package: str, name: str
) -> None:
    if name == "zstd" and sys.version_info >= (3, 14):
        without("compression.zstd")
    without(package)
    without("brotlicffi")
    assert name not in available_codings()
    with pytest.raises(UnknownContentCoding):
        decoder(name)
    with pytest.raises(UnknownContentCoding):
        encoder(name)


def test_brotli_that_cannot_bound_its_output_is_not_used(
    without: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ModuleType("brotli")
    old.Decompressor = type("Decompressor", (), {})  # type: ignore[attr-defined]  # a stand-in
    without("brotlicffi")
    monkeypatch.setitem(sys.modules, "brotli", old)
    assert "br" not in available_codings()


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("gzip", 10),
        ("gzip", -2),
        ("deflate", 99),
        ("br", 12),
        ("br", -1),
        ("zstd", 0),
        ("zstd", 23),
    ],
)
def test_level_the_coding_does_not_have(name: str, level: int) -> None:
    with pytest.raises(ValueError, match="level must be"):
        encoder(name, level=level)


@pytest.mark.parametrize("level", [-1, 0, 1, 6, 9])
def test_levels_are_those_of_zlib_whatever_the_backend(backend: ModuleType, level: int) -> None:
    coder = encoder("gzip", level=level, strategy=zlib.Z_DEFAULT_STRATEGY)
    wire = coder.compress(TEXT) + coder.flush()
    assert gzip.decompress(wire) == TEXT


def test_level_and_strategy_reach_the_compressor() -> None:
    def size(**options: Any) -> int:
        coder = encoder("deflate", **options)
        return len(coder.compress(TEXT) + coder.flush())

    assert size(level=6) < size(level=0)
    assert size(strategy=zlib.Z_HUFFMAN_ONLY) > size()


def test_coders_keep_the_zlib_they_began_with() -> None:
    coder, reader = encoder("gzip"), decoder("gzip")
    wire = coder.compress(TEXT[:100])
    set_zlib_backend(isal_zlib)
    try:
        wire += coder.flush(sync=True)
        assert drain(reader, wire + coder.flush(), 10) == TEXT[:100]
    finally:
        set_zlib_backend(zlib)


@pytest.mark.parametrize("module", [gzip, ModuleType("empty"), 1], ids=["gzip", "empty", "int"])
def test_module_that_is_no_zlib(module: Any) -> None:
    with pytest.raises(TypeError, match="no zlib"):
        set_zlib_backend(module)
    assert zlib_backend() is zlib  # type: ignore[comparison-overlap]  # seen as a protocol


def test_optional_packages_are_imported_on_first_use_only() -> None:
    code = (
        "import sys, antiphon.core.coding as c; "
        "assert not {'brotli', 'backports.zstd'} & set(sys.modules); "
        "c.decoder('gzip'); assert 'brotli' not in sys.modules; "
        "c.available_codings(); assert 'brotli' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
