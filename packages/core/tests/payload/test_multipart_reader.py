"""Multipart bodies read from a stream, part by part."""

import asyncio
import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from antiphon.core.aio.multipart import (
    BadMultipart,
    BodyPartReader,
    MultipartReader,
    MultipartTooLarge,
    MultipartWriter,
)
from antiphon.core.aio.payload import get_payload
from antiphon.core.aio.streams import StreamReader
from antiphon.core.errors import ContentEncodingError
from antiphon.core.limits import MultipartLimits

MakeStream = Callable[..., StreamReader]
PieceStream = Callable[[list[bytes]], StreamReader]
Splits = Callable[[bytes], Iterator[list[bytes]]]

FORM = {"Content-Type": "multipart/form-data; boundary=abc"}
MIXED = {"Content-Type": "multipart/mixed; boundary=abc"}


def body(*parts: tuple[str, bytes], boundary: str = "abc") -> bytes:
    delimiter = f"--{boundary}".encode()
    pieces = [
        delimiter + b"\r\n" + head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    ]
    return b"".join(pieces) + delimiter + b"--\r\n"


def field(name: str, extra: str = "") -> str:
    return f'Content-Disposition: form-data; name="{name}"' + (extra and "\n" + extra)


class Oversize(Exception):
    """What is raised beyond a limit in these tests."""


async def only_part(reader: MultipartReader) -> BodyPartReader:
    part = await reader.next()
    assert isinstance(part, BodyPartReader)
    return part


# --- one after another ------------------------------------------------------------------------


async def test_parts_come_one_after_another_whichever_way_the_body_is_cut(
    piece_stream: PieceStream, splits: Splits
) -> None:
    wire = body((field("a"), b"1\r\n2"), (field("b") + '; filename="x"', b""), (field("c"), b"3"))
    for pieces in splits(wire):
        reader = MultipartReader(FORM, piece_stream(pieces))
        seen = []
        while (part := await reader.next()) is not None:
            assert isinstance(part, BodyPartReader)
            seen.append((part.name, part.filename, await part.read(), part.at_eof()))
        assert seen == [
            ("a", None, b"1\r\n2", True),
            ("b", "x", b"", True),
            ("c", None, b"3", True),
        ]
        assert reader.at_eof()
        assert await reader.next() is None


async def test_iteration_gives_the_parts(make_stream: MakeStream) -> None:
    reader = MultipartReader(FORM, make_stream(body((field("a"), b"1"), (field("b"), b"2"))))
    assert [part.name async for part in reader if isinstance(part, BodyPartReader)] == ["a", "b"]


async def test_what_was_not_read_of_a_part_is_skipped(make_stream: MakeStream) -> None:
    wire = body((field("a"), b"x" * 100_000), (field("b"), b"2"), (field("c"), b"3"))
    reader = MultipartReader(FORM, make_stream(wire))
    first = await only_part(reader)
    assert await first.read_chunk(10) == b"x" * 10
    second = await only_part(reader)
    assert second.name == "b"
    third = await only_part(reader)
    assert await third.read() == b"3"


async def test_the_end_is_known_before_the_stream_ends(make_stream: MakeStream) -> None:
    reader = MultipartReader(FORM, make_stream(body((field("a"), b"1")), eof=False))
    assert (await only_part(reader)).name == "a"
    assert await reader.next() is None


async def test_release_skips_everything(make_stream: MakeStream) -> None:
    reader = MultipartReader(FORM, make_stream(body((field("a"), b"1"), (field("b"), b"2"))))
    await reader.next()
    await reader.release()
    assert reader.at_eof()
    assert await reader.next() is None


async def test_headers_of_any_mapping_and_any_case(make_stream: MakeStream) -> None:
    wire = body((field("a"), b"1"))
    for headers in (
        {"content-type": FORM["Content-Type"]},
        CIMultiDict(FORM),
        CIMultiDictProxy(CIMultiDict(FORM)),
    ):
        assert await MultipartReader(headers, make_stream(wire)).next() is not None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no Content-Type"),
        pytest.param({"Content-Type": "text/plain"}, id="another type"),
        pytest.param({"Content-Type": "multipart/form-data"}, id="no boundary"),
    ],
)
async def test_what_is_not_multipart_is_refused(
    headers: dict[str, str], make_stream: MakeStream
) -> None:
    with pytest.raises(BadMultipart):
        MultipartReader(headers, make_stream(b""))


async def test_a_malformed_body_is_a_value_error_with_status_400(make_stream: MakeStream) -> None:
    reader = MultipartReader(FORM, make_stream(b"--abc\r\n\r\nva"))
    part = await only_part(reader)
    with pytest.raises(ValueError, match="ends before") as caught:
        await part.read()
    assert isinstance(caught.value, BadMultipart)
    assert caught.value.status == 400


async def test_limits_by_argument(make_stream: MakeStream) -> None:
    wire = body(("A: 1\nB: 2\nC: 3", b"1"), ("A: " + "x" * 100, b"2"))
    with pytest.raises(MultipartTooLarge, match="2 header fields"):
        await MultipartReader(MIXED, make_stream(wire), max_headers=2).next()
    reader = MultipartReader(MIXED, make_stream(wire), max_field_size=50)
    await reader.next()
    with pytest.raises(MultipartTooLarge, match="50 bytes"):
        await reader.next()
    limits = MultipartLimits(max_fields=1)
    reader = MultipartReader(MIXED, make_stream(wire), limits=limits)
    await reader.next()
    with pytest.raises(MultipartTooLarge, match="1 fields"):
        await reader.next()


async def test_own_part_class(make_stream: MakeStream) -> None:
    class Part(BodyPartReader):
        pass

    class Reader(MultipartReader):
        part_reader_cls = Part

    assert type(await Reader(FORM, make_stream(body((field("a"), b"1")))).next()) is Part


# --- reading a part ---------------------------------------------------------------------------


async def test_lines_of_a_part(piece_stream: PieceStream, splits: Splits) -> None:
    for pieces in splits(body((field("a"), b"one\r\ntwo\n\nlast"))):
        part = await only_part(MultipartReader(FORM, piece_stream(pieces)))
        lines = [await part.readline() for _ in range(6)]
        assert lines == [b"one\r\n", b"two\n", b"\n", b"last", b"", b""]
        assert part.at_eof()


async def test_reading_methods_may_be_mixed(make_stream: MakeStream) -> None:
    wire = body((field("a"), b"line\n0123456789rest"))
    part = await only_part(MultipartReader(FORM, make_stream(wire)))
    assert await part.readline() == b"line\n"
    assert await part.read_chunk(4) == b"0123"
    assert await part.read_chunk(6) == b"456789"
    assert not part.at_eof()
    assert await part.read() == b"rest"
    assert part.at_eof()
    assert (await part.read(), await part.read_chunk(), await part.readline()) == (b"", b"", b"")


async def test_release_of_a_part(make_stream: MakeStream) -> None:
    part = await only_part(MultipartReader(FORM, make_stream(body((field("a"), b"12")))))
    assert await part.read_chunk(1) == b"1"
    await part.release()
    assert part.at_eof()
    assert await part.read() == b""


async def test_a_part_gives_all_of_its_content_once_when_iterated_over(
    make_stream: MakeStream,
) -> None:
    part = await only_part(MultipartReader(FORM, make_stream(body((field("a"), b"12")))))
    assert [data async for data in part] == [b"12"]


@pytest.mark.parametrize("method", ["read", "readline"])
async def test_a_cancelled_read_loses_no_bytes(method: str, make_stream: MakeStream) -> None:
    stream = make_stream(b"--abc\r\n\r\nfirst ", eof=False)
    part = await only_part(MultipartReader(FORM, stream))
    reading = asyncio.ensure_future(getattr(part, method)())
    while not stream.waiting:  # the reader took what there is and waits for more
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    stream.feed_data(b"second\r\n--abc--")
    stream.feed_eof()
    assert await part.read() == b"first second"


async def test_a_part_by_itself_leaves_the_stream_behind_its_delimiter(
    make_stream: MakeStream,
) -> None:
    stream = make_stream(b"one\r\n--abc\r\nA: b\r\n\r\ntwo\r\n--abc--")
    headers = CIMultiDictProxy(CIMultiDict({"Content-Type": "text/plain"}))
    part = BodyPartReader(b"--abc", headers, stream)
    assert await part.read() == b"one"
    assert await stream.read() == b"A: b\r\n\r\ntwo\r\n--abc--"


@pytest.mark.parametrize("cut", [1, 300, 10**6])
async def test_client_max_size_counts_as_data_arrives(cut: int, make_stream: MakeStream) -> None:
    """CVE-2026-34517: not once all of it is here."""
    wire = b"--abc\r\n\r\n" + b"x" * 1001
    stream = make_stream(*(wire[at : at + cut] for at in range(0, len(wire), cut)), eof=False)
    reader = MultipartReader(FORM, stream, client_max_size=1000, max_size_error_cls=Oversize)
    part = await only_part(reader)
    with pytest.raises(Oversize) as caught:
        await part.read()  # no delimiter and no end has come: waiting for them would never end
    assert caught.value.args == (1000,)


async def test_client_max_size_counts_for_a_line_too(make_stream: MakeStream) -> None:
    stream = make_stream(b"--abc\r\n\r\n" + b"x" * 1001, eof=False)
    reader = MultipartReader(FORM, stream, client_max_size=1000, max_size_error_cls=Oversize)
    with pytest.raises(Oversize):
        await (await only_part(reader)).readline()


async def test_client_max_size_itself_is_allowed(make_stream: MakeStream) -> None:
    stream = make_stream(body((field("a"), b"x" * 1000)))
    reader = MultipartReader(FORM, stream, client_max_size=1000, max_size_error_cls=Oversize)
    assert len(await (await only_part(reader)).read()) == 1000


# --- content as something else ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "content", "text"),
    [
        pytest.param("", "é".encode(), "é", id="UTF-8 unless told otherwise"),
        pytest.param("Content-Type: text/plain; charset=latin1", b"\xe9", "é", id="charset"),
        pytest.param("Content-Type: text/plain", b"", "", id="nothing"),
    ],
)
async def test_text(head: str, content: bytes, text: str, make_stream: MakeStream) -> None:
    part = await only_part(MultipartReader(FORM, make_stream(body((field("a", head), content)))))
    assert await part.text() == text


async def test_text_in_a_given_encoding(make_stream: MakeStream) -> None:
    part = await only_part(MultipartReader(FORM, make_stream(body((field("a"), b"\xe9")))))
    assert await part.text(encoding="latin1") == "é"


@pytest.mark.parametrize(
    ("head", "content"),
    [
        pytest.param("", b"\xff", id="not in that charset"),
        pytest.param("Content-Type: text/plain; charset=nope", b"a", id="unknown charset"),
        pytest.param("Content-Type: text/plain; charset=hex", b"6161", id="no charset but a codec"),
    ],
)
async def test_text_that_is_none_is_the_peers_fault(
    head: str, content: bytes, make_stream: MakeStream
) -> None:
    part = await only_part(MultipartReader(FORM, make_stream(body((field("a", head), content)))))
    with pytest.raises(BadMultipart):
        await part.text()


async def test_json(make_stream: MakeStream) -> None:
    wire = body((field("a"), b'{"a": [1]}'), (field("b"), b""), (field("c"), b"{"))
    reader = MultipartReader(FORM, make_stream(wire))
    assert await (await only_part(reader)).json() == {"a": [1]}
    assert await (await only_part(reader)).json() is None
    with pytest.raises(json.JSONDecodeError):
        await (await only_part(reader)).json()


async def test_form(make_stream: MakeStream) -> None:
    wire = body((field("a"), b"a=b&c=%C3%A9+d&e\r\n"), (field("b"), b""), (field("c"), b"%E9=1"))
    reader = MultipartReader(FORM, make_stream(wire))
    assert await (await only_part(reader)).form() == [("a", "b"), ("c", "é d"), ("e", "")]
    assert await (await only_part(reader)).form() == []
    assert await (await only_part(reader)).form(encoding="latin1") == [("é", "1")]


async def test_a_form_in_a_part_has_a_limit_of_fields(make_stream: MakeStream) -> None:
    limits = MultipartLimits(max_fields=3)
    wire = body((field("a"), b"&".join([b"a=1"] * 3)), (field("b"), b"&".join([b"a=1"] * 4)))
    reader = MultipartReader(FORM, make_stream(wire), limits=limits)
    assert len(await (await only_part(reader)).form()) == 3
    with pytest.raises(MultipartTooLarge):
        await (await only_part(reader)).form()


async def test_charset_field_is_the_default_of_the_others(make_stream: MakeStream) -> None:
    """RFC 7578 section 4.6."""
    wire = body(
        (field("_charset_"), b"iso-8859-1"),
        (field("a"), b"\xe9"),
        (field("b", "Content-Type: text/plain; charset=utf-8"), "é".encode()),
        (field("_charset_"), b"utf-8"),
    )
    reader = MultipartReader(FORM, make_stream(wire))
    first = await only_part(reader)
    assert (first.name, first.get_charset("x"), await first.text()) == ("a", "iso-8859-1", "é")
    second = await only_part(reader)
    assert (second.name, await second.text()) == ("b", "é")
    third = await only_part(reader)
    assert third.name == "_charset_"  # only the first field of a form means that


@pytest.mark.parametrize("name", [b"x" * 32, b"\xff"])
async def test_charset_field_with_no_charset(name: bytes, make_stream: MakeStream) -> None:
    reader = MultipartReader(FORM, make_stream(body((field("_charset_"), name))))
    with pytest.raises(BadMultipart, match="charset"):
        await reader.next()


async def test_charset_field_means_nothing_outside_of_forms(make_stream: MakeStream) -> None:
    reader = MultipartReader(MIXED, make_stream(body((field("_charset_"), b"latin1"))))
    assert (await only_part(reader)).name == "_charset_"


# --- encodings --------------------------------------------------------------------------------

LOREM = b"Lorem ipsum \r\n\x00\xff= dolor" * 40


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    ("head", "content"),
    [
        pytest.param("Content-Encoding: gzip", gzip.compress(LOREM), id="gzip"),
        pytest.param("Content-Encoding: deflate", zlib.compress(LOREM), id="deflate"),
        pytest.param("Content-Encoding: deflate", raw_deflate(LOREM), id="deflate, raw"),
        pytest.param("Content-Encoding: identity", LOREM, id="identity"),
        pytest.param("Content-Transfer-Encoding: binary", LOREM, id="binary"),
        pytest.param(
            "Content-Transfer-Encoding: BASE64", base64.encodebytes(LOREM), id="base64 with lines"
        ),
        pytest.param(
            "Content-Transfer-Encoding: base64", base64.b64encode(LOREM), id="base64 in one line"
        ),
        pytest.param(
            "Content-Transfer-Encoding: base64\nContent-Encoding: gzip",
            base64.encodebytes(gzip.compress(LOREM)),
            id="gzip in base64",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10**6])
async def test_encodings_come_off_at_once_and_piece_by_piece(
    head: str, content: bytes, size: int, make_stream: MakeStream
) -> None:
    wire = body((head, content))
    part = await only_part(MultipartReader(MIXED, make_stream(wire)))
    assert await part.read(decode=True) == LOREM

    part = await only_part(MultipartReader(MIXED, make_stream(wire)))
    assert await part.read() == content
    assert part.decode(content) == LOREM
    assert part.decode(content) == LOREM, "the whole content may be decoded again"

    part = await only_part(MultipartReader(MIXED, make_stream(wire)))
    decoded = b""
    while chunk := await part.read_chunk(size):
        decoded += part.decode(chunk)
    assert decoded == LOREM

    part = await only_part(MultipartReader(MIXED, make_stream(wire)))
    decoded = b""
    while chunk := await part.read_chunk(size):
        async for piece in part.decode_iter(chunk):
            decoded += piece
    assert decoded == LOREM


@pytest.mark.parametrize(
    ("wire", "plain"),
    [
        pytest.param(b"a=3Db=C3=a9", b"a=b\xc3\xa9", id="octets, hex digits of any case"),
        pytest.param(b"a=\r\nb=  \t\r\nc\r\nd", b"abc\r\nd", id="soft line breaks"),
        pytest.param(b"a=b =G0 ==", None, id="ends inside of an escape"),
        pytest.param(b"a=b =G0 == x", b"a=b =G0 == x", id="what is no escape is kept"),
    ],
)
async def test_quoted_printable(wire: bytes, plain: bytes | None, make_stream: MakeStream) -> None:
    headers = "Content-Transfer-Encoding: quoted-printable"
    for size in (1, 2, 3, 5, 100):
        part = await only_part(MultipartReader(MIXED, make_stream(body((headers, wire)))))
        decoded = b""

        async def read(part: BodyPartReader = part, size: int = size) -> bytes:
            decoded = b""
            while chunk := await part.read_chunk(size):
                decoded += part.decode(chunk)
            return decoded

        if plain is None:
            with pytest.raises(BadMultipart):
                await read()
        else:
            decoded = await read()
            assert decoded == plain


@pytest.mark.parametrize(
    ("head", "content", "error"),
    [
        pytest.param("Content-Encoding: gzip", b"no gzip", ContentEncodingError, id="no gzip"),
        pytest.param(
            "Content-Encoding: gzip",
            gzip.compress(LOREM)[:-5],
            ContentEncodingError,
            id="gzip cut off",
        ),
        pytest.param(
            "Content-Encoding: gzip",
            gzip.compress(LOREM) + b"more",
            ContentEncodingError,
            id="something behind gzip",
        ),
        pytest.param("Content-Encoding: nope", b"x", BadMultipart, id="unknown content coding"),
        pytest.param(
            "Content-Transfer-Encoding: uuencode", b"x", BadMultipart, id="unknown encoding"
        ),
        pytest.param("Content-Transfer-Encoding: base64", b"aaa", BadMultipart, id="base64 cut"),
        pytest.param("Content-Transfer-Encoding: base64", b"a*aa", BadMultipart, id="no base64"),
        pytest.param(
            "Content-Transfer-Encoding: base64", b"aa==aaaa", BadMultipart, id="behind base64"
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10**6])
async def test_content_that_is_not_what_it_says(
    head: str, content: bytes, error: type[Exception], size: int, make_stream: MakeStream
) -> None:
    wire = body((head, content))
    part = await only_part(MultipartReader(MIXED, make_stream(wire)))
    with pytest.raises(error):
        await part.read(decode=True)
    part = await only_part(MultipartReader(MIXED, make_stream(wire)))

    async def piece_by_piece() -> None:
        while chunk := await part.read_chunk(size):
            async for _ in part.decode_iter(chunk):
                pass

    with pytest.raises(error):
        await piece_by_piece()


async def test_parts_of_a_form_have_no_content_coding(make_stream: MakeStream) -> None:
    """RFC 7578 section 4.8: other header fields must be ignored."""
    wire = body((field("a", "Content-Encoding: gzip"), b"plain"))
    part = await only_part(MultipartReader(FORM, make_stream(wire)))
    assert await part.read(decode=True) == b"plain"


async def test_a_bomb_inflates_in_bounded_pieces_and_no_further_than_is_asked(
    make_stream: MakeStream,
) -> None:
    """CVE-2025-69223."""
    wire = body(("Content-Encoding: gzip", gzip.compress(bytes(10_000_000))))
    reader = MultipartReader(MIXED, make_stream(wire), client_max_size=100_000)
    part = await only_part(reader)
    with pytest.raises(ValueError, match="100000"):
        await part.read(decode=True)

    part = await only_part(MultipartReader(MIXED, make_stream(wire)))
    total = 0
    while chunk := await part.read_chunk():
        async for piece in part.decode_iter(chunk):
            assert len(piece) <= 256 * 1024
            total += len(piece)
    assert total == 10_000_000


async def test_a_bomb_without_any_limit_set_still_has_one(
    make_stream: MakeStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.core.aio.body_part._MAX_DECODED", 1_000_000)
    wire = body(("Content-Encoding: gzip", gzip.compress(bytes(1_000_001))))
    part = await only_part(MultipartReader(MIXED, make_stream(wire)))
    with pytest.raises(ValueError, match="1000000"):
        await part.text()


# --- bodies inside of bodies ------------------------------------------------------------------


def nested(depth: int) -> bytes:
    wire = body(("A: b", b"core"), boundary=f"b{depth}")
    for level in range(depth - 1, 0, -1):
        inner = f"Content-Type: multipart/mixed; boundary=b{level + 1}"
        wire = body((inner, wire), ("A: b", b"after"), boundary=f"b{level}")
    return wire


async def test_a_body_inside_of_another(piece_stream: PieceStream, splits: Splits) -> None:
    headers = {"Content-Type": "multipart/mixed; boundary=b1"}
    for pieces in splits(nested(2)):
        reader = MultipartReader(headers, piece_stream(pieces))
        inner = await reader.next()
        assert isinstance(inner, MultipartReader)
        assert await (await only_part(inner)).read() == b"core"
        assert await inner.next() is None
        assert await (await only_part(reader)).read() == b"after"
        assert await reader.next() is None


async def test_a_body_inside_of_another_is_skipped(make_stream: MakeStream) -> None:
    reader = MultipartReader(
        {"Content-Type": "multipart/mixed; boundary=b1"}, make_stream(nested(3))
    )
    assert isinstance(await reader.next(), MultipartReader)
    assert await (await only_part(reader)).read() == b"after"


async def test_bodies_inside_of_one_another_have_a_limit(make_stream: MakeStream) -> None:
    limits = MultipartLimits(max_nesting=3)
    headers = {"Content-Type": "multipart/mixed; boundary=b1"}

    async def depth_of(wire: bytes) -> int:
        depth = 0
        reader: Any = MultipartReader(headers, make_stream(wire), limits=limits)
        while isinstance(reader, MultipartReader):
            depth += 1
            reader = await reader.next()
        return depth

    assert await depth_of(nested(3)) == 3
    with pytest.raises(MultipartTooLarge, match="3 multipart"):
        await depth_of(nested(4))


async def test_the_number_of_parts_is_that_of_all_bodies_together(make_stream: MakeStream) -> None:
    inner = body(("A: b", b"1"), ("A: b", b"2"), boundary="in")
    wire = body(("Content-Type: multipart/mixed; boundary=in", inner))
    reader = MultipartReader(MIXED, make_stream(wire), limits=MultipartLimits(max_fields=2))
    nested_reader = await reader.next()
    assert isinstance(nested_reader, MultipartReader)
    await nested_reader.next()
    with pytest.raises(MultipartTooLarge):
        await nested_reader.next()


async def test_an_inner_body_must_end_before_the_outer_part(make_stream: MakeStream) -> None:
    wire = body(("Content-Type: multipart/mixed; boundary=in", b"--in\r\n\r\nv"))
    inner = await MultipartReader(MIXED, make_stream(wire)).next()
    assert isinstance(inner, MultipartReader)
    with pytest.raises(BadMultipart):
        await (await only_part(inner)).read()


async def test_an_inner_body_is_not_encoded(make_stream: MakeStream) -> None:
    """RFC 2045 section 6.4."""
    head = "Content-Type: multipart/mixed; boundary=in\nContent-Transfer-Encoding: base64"
    with pytest.raises(BadMultipart):
        await MultipartReader(MIXED, make_stream(body((head, b"")))).next()


# --- responses --------------------------------------------------------------------------------


class Response:
    """The side of a client's response that a wrapper sees."""

    def __init__(self, content: StreamReader) -> None:
        self.headers = FORM
        self.content = content
        self.released = 0

    async def release(self) -> None:
        self.released += 1


async def test_a_response_is_released_behind_its_last_part(make_stream: MakeStream) -> None:
    response = Response(make_stream(body((field("a"), b"1"), (field("b"), b"2"))))
    wrapper = MultipartReader.from_response(response)
    names = []
    async for part in wrapper:
        assert isinstance(part, BodyPartReader)
        assert response.released == 0
        names.append(part.name)
    assert names == ["a", "b"]
    assert response.released == 1
    assert wrapper.at_eof()


async def test_a_response_is_released_by_hand(make_stream: MakeStream) -> None:
    response = Response(make_stream(body((field("a"), b"1"))))
    await MultipartReader.from_response(response).release()
    assert response.released == 1


# --- handing on, and there and back -----------------------------------------------------------


async def test_a_part_may_be_handed_on(
    make_stream: MakeStream, collecting_writer: Callable[[], Any]
) -> None:
    head = (
        'Content-Disposition: form-data; name="f"; filename="x.txt"\n'
        "Content-Type: text/plain\nContent-Transfer-Encoding: base64"
    )
    wire = body((head, base64.b64encode(LOREM)))
    payload = get_payload(await only_part(MultipartReader(FORM, make_stream(wire))))
    assert payload.size is None
    assert not payload.replayable
    assert payload.content_type == "text/plain"
    assert payload.headers["Content-Disposition"] == 'attachment; name="f"; filename="x.txt"'
    writer = collecting_writer()
    await payload.write(writer)
    assert writer.data == LOREM
    assert payload.consumed


@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(
        st.tuples(
            st.binary(max_size=300)
            | st.lists(st.sampled_from([b"\r", b"\n", b"--", b"="])).map(b"".join),
            st.sampled_from(["", "base64", "quoted-printable"]),
            st.sampled_from(["", "gzip", "deflate"]),
        ),
        max_size=4,
    ),
    cut=st.integers(1, 50),
)
def test_what_a_writer_writes_a_reader_reads(
    contents: list[tuple[bytes, str, str]], cut: int
) -> None:
    async def there_and_back() -> list[bytes]:
        writer = MultipartWriter("mixed")
        for content, transfer, coding in contents:
            headers = {"Content-Transfer-Encoding": transfer} if transfer else {}
            if coding:
                headers["Content-Encoding"] = coding
            writer.append(content, headers)
        wire = await writer.as_bytes()
        if writer.size is not None:
            assert writer.size == len(wire)
        stream = StreamReader(NoTransport(), 2**16)
        for at in range(0, len(wire), cut):
            stream.feed_data(wire[at : at + cut])
        stream.feed_eof()
        reader = MultipartReader(writer.headers, stream)
        return [
            await part.read(decode=True)
            async for part in reader
            if isinstance(part, BodyPartReader)
        ]

    assert asyncio.run(there_and_back()) == [content for content, _, _ in contents]


class NoTransport:
    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
