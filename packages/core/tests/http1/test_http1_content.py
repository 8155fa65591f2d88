"""Content and its framing (RFC 9112 sections 6 and 7)."""

from collections.abc import Callable, Iterator

import pytest
from multidict import CIMultiDict

from antiphon.core.errors import HttpProcessingError, LocalProtocolError
from antiphon.core.http1 import END, EndOfMessage, NeedData
from antiphon.core.http1._body import ChunkedDecoder, ChunkedEncoder, LengthDecoder, LengthEncoder
from antiphon.core.http1._buffer import ReceiveBuffer
from antiphon.core.limits import HttpLimits

Splits = Callable[[bytes], Iterator[list[bytes]]]

LIMITS = HttpLimits(
    max_chunk_extension=10,
    max_chunk_extensions_total=25,
    max_trailers=2,
    max_trailer_size=40,
    max_field_size=20,
)


def decode(decoder: ChunkedDecoder | LengthDecoder, pieces: list[bytes]) -> tuple[object, ...]:
    """Return the content, and the trailers or the name of the error."""
    buffer = ReceiveBuffer()
    content = b""
    for piece in pieces:
        buffer.append(piece)
        while True:
            try:
                event = decoder.next_event(buffer)
            except HttpProcessingError as exc:
                return content, type(exc).__name__
            if isinstance(event, bytes):
                content += event
            elif isinstance(event, EndOfMessage):
                trailers = event.trailers
                return content, None if trailers is None else list(trailers.items())
            else:
                assert event is NeedData.NEED_DATA
                break
    return content, "NEED_DATA"


@pytest.mark.parametrize(
    ("wire", "content", "ending"),
    [
        pytest.param(b"5\r\nhello\r\n0\r\n\r\n", b"hello", None, id="one chunk"),
        pytest.param(b"0\r\n\r\n", b"", None, id="no chunk"),
        pytest.param(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", None, id="two chunks"),
        pytest.param(b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", None, id="capital hex digit"),
        pytest.param(b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", None, id="small hex digit"),
        pytest.param(
            b"0000000000000005\r\nhello\r\n000\r\n\r\n", b"hello", None, id="leading zeros"
        ),
        pytest.param(b"5;a=b\r\nhello\r\n0\r\n\r\n", b"hello", None, id="extension is ignored"),
        pytest.param(
            b'5;a="b;"\r\nhello\r\n0;x\r\n\r\n', b"hello", None, id="quoted extension is ignored"
        ),
        pytest.param(b"5 ;a\r\nhello\r\n0\r\n\r\n", b"hello", None, id="BWS before an extension"),
        pytest.param(b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n", None, id="CRLF in content"),
        pytest.param(b"1\r\na\r\n0\r\nX: y\r\n\r\n", b"a", [("X", "y")], id="trailer"),
        pytest.param(
            b"0\r\nX: y\r\nZ:  w \r\n\r\n", b"", [("X", "y"), ("Z", "w")], id="two trailers"
        ),
        pytest.param(
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"",
            "TransferEncodingError",
            id="space after size, RFC 9112 7.1",
        ),
        pytest.param(
            b" 5\r\nhello\r\n0\r\n\r\n", b"", "TransferEncodingError", id="space before size"
        ),
        pytest.param(b"-5\r\n", b"", "TransferEncodingError", id="minus is no hex digit"),
        pytest.param(b"+5\r\n", b"", "TransferEncodingError", id="plus is no hex digit"),
        pytest.param(b"0x5\r\nhello\r\n", b"", "TransferEncodingError", id="0x"),
        pytest.param(b"1_0\r\nhello\r\n", b"", "TransferEncodingError", id="underscore"),
        pytest.param(
            "\u0665\r\nhello\r\n".encode(), b"", "TransferEncodingError", id="CVE-2025-69224 digit"
        ),
        pytest.param(b"\r\nhello\r\n", b"", "TransferEncodingError", id="no size"),
        pytest.param(b";a\r\n", b"", "TransferEncodingError", id="extension without a size"),
        pytest.param(b"00000000000000005\r\n", b"", "TransferEncodingError", id="17 digits"),
        pytest.param(
            b"5\nhello\r\n0\r\n\r\n",
            b"",
            "TransferEncodingError",
            id="CVE-2025-22871 bare LF after size",
        ),
        pytest.param(
            b"5\rhello\r\n0\r\n\r\n", b"", "TransferEncodingError", id="bare CR after size"
        ),
        pytest.param(
            b"5;a\nb\r\nhello\r\n",
            b"",
            "TransferEncodingError",
            id="CVE-2024-52304 LF in an extension",
        ),
        pytest.param(b"5;a\rb\r\nhello\r\n", b"", "TransferEncodingError", id="CR in an extension"),
        pytest.param(
            b"5;a\x00\r\nhello\r\n", b"", "TransferEncodingError", id="NUL in an extension"
        ),
        pytest.param(
            b"5\r\nhelloXX0\r\n\r\n", b"hello", "TransferEncodingError", id="CVE-2025-43859 no CRLF"
        ),
        pytest.param(
            b"5\r\nhello\n0\r\n\r\n", b"hello", "TransferEncodingError", id="LF after content"
        ),
        pytest.param(
            b"5\r\nhello\r\r\n0\r\n\r\n",
            b"hello",
            "TransferEncodingError",
            id="CR CR LF after content",
        ),
        pytest.param(
            b"5\r\nhello!\r\n0\r\n\r\n", b"hello", "TransferEncodingError", id="content too long"
        ),
        pytest.param(b"1;12345678\r\na\r\n0\r\n\r\n", b"a", None, id="extension of 9 bytes"),
        pytest.param(b"1;123456789\r\na\r\n0\r\n\r\n", b"a", None, id="extension of 10 bytes"),
        pytest.param(
            b"1;1234567890\r\na\r\n0\r\n\r\n",
            b"",
            "TransferEncodingError",
            id="CVE-2024-22019 extension of 11 bytes",
        ),
        pytest.param(
            b"1;" + b"a" * 40, b"", "TransferEncodingError", id="CVE-2024-22019 endless extension"
        ),
        pytest.param(
            b"1;345678\r\na\r\n" * 3 + b"0;2345\r\n\r\n",
            b"aaa",
            "TransferEncodingError",
            id="CVE-2023-39326 extensions in total",
        ),
        pytest.param(
            b"0\r\nX: y\r\nY: z\r\nZ: a\r\n\r\n", b"", "TooManyFields", id="three trailers"
        ),
        pytest.param(b"0\r\nX: 234567890123456789\r\n\r\n", b"", "LineTooLong", id="long trailer"),
        pytest.param(
            b"0\r\nX: 23456789012345678\r\nY: 2345678901234\r\n\r\n",
            b"",
            "LineTooLong",
            id="CVE-2026-22815 large trailer section",
        ),
        pytest.param(
            b"0\r\nX: " + b"a" * 60, b"", "LineTooLong", id="CVE-2026-22815 endless trailer"
        ),
        pytest.param(
            b"0\r\nX: y\nZ: a\r\n\r\n", b"", "InvalidHeader", id="LF in the trailer section"
        ),
        pytest.param(b"0\r\nX y\r\n\r\n", b"", "InvalidHeader", id="trailer without a colon"),
        pytest.param(
            b"0\r\nX : y\r\n\r\n", b"", "InvalidHeader", id="trailer with a space before the colon"
        ),
        pytest.param(b"0\r\n a\r\n\r\n", b"", "InvalidHeader", id="folded trailer"),
        pytest.param(b"0\r\nX: \x00\r\n\r\n", b"", "InvalidHeader", id="NUL in a trailer"),
        pytest.param(
            b"0\r\nGET / HTTP/1.1\r\n\r\n",
            b"",
            "InvalidHeader",
            id="CVE-2025-53643 request as trailer",
        ),
        pytest.param(
            b"0\r\nContent-Length: 3\r\n\r\n", b"", "InvalidHeader", id="Content-Length as trailer"
        ),
        pytest.param(
            b"0\r\ntransfer-encoding: a\r\n\r\n", b"", "InvalidHeader", id="framing as trailer"
        ),
        pytest.param(b"0\r\nHost: b\r\n\r\n", b"", "InvalidHeader", id="routing as trailer"),
        pytest.param(b"5\r\nhel", b"hel", "NEED_DATA", id="within a chunk"),
        pytest.param(b"5\r\nhello\r", b"hello", "NEED_DATA", id="between CR and LF"),
        pytest.param(b"0\r\nX: y\r\n", b"", "NEED_DATA", id="within the trailer section"),
    ],
)
def test_chunked_content(wire: bytes, content: bytes, ending: object, splits: Splits) -> None:
    for pieces in splits(wire):
        assert decode(ChunkedDecoder(LIMITS), pieces) == (content, ending), pieces


@pytest.mark.parametrize(
    ("size", "wire", "content", "ending"),
    [
        pytest.param(5, b"hello", b"hello", None, id="whole"),
        pytest.param(5, b"hell", b"hell", "NEED_DATA", id="short"),
        pytest.param(5, b"hello more", b"hello", None, id="more behind it"),
    ],
)
def test_content_of_a_length(
    size: int, wire: bytes, content: bytes, ending: object, splits: Splits
) -> None:
    for pieces in splits(wire):
        assert decode(LengthDecoder(size), pieces) == (content, ending), pieces


def test_ends_of_chunks_are_known() -> None:
    decoder = ChunkedDecoder(LIMITS)
    buffer = ReceiveBuffer()
    buffer.append(b"3\r\nabc\r\n2\r\nde\r\n4\r\nfg")
    assert decoder.next_event(buffer) == b"abcdefg"
    assert list(decoder.chunk_ends) == [3, 5]
    buffer.append(b"hi\r\n0\r\n\r\n")
    assert decoder.next_event(buffer) == b"hi"
    assert list(decoder.chunk_ends) == [2]
    assert decoder.next_event(buffer) is END


def test_cve_2025_69229_tiny_chunks_cost_few_events() -> None:
    decoder = ChunkedDecoder(HttpLimits())
    buffer = ReceiveBuffer()
    buffer.append(b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n")
    sizes = []
    while isinstance(event := decoder.next_event(buffer), bytes):
        sizes.append(len(event))
    assert event is END
    assert sizes == [65536, 100_000 - 65536]


def test_content_that_comes_alone_is_not_copied() -> None:
    buffer = ReceiveBuffer()
    chunk = b"a" * 1000
    buffer.append(chunk)
    assert LengthDecoder(5000).next_event(buffer) is chunk


def test_length_is_kept_when_sending() -> None:
    encoder = LengthEncoder(5)
    assert encoder.encode(b"hel") == b"hel"
    with pytest.raises(LocalProtocolError, match="1 bytes longer"):
        encoder.encode(b"loo")
    with pytest.raises(LocalProtocolError, match="2 bytes short"):
        encoder.end(None)
    view = memoryview(b"lo")
    assert encoder.encode(view) is view
    assert encoder.end(None) == b""


@pytest.mark.parametrize(
    "data", [b"hello", bytearray(b"hello"), memoryview(b"hello")], ids=lambda d: type(d).__name__
)
def test_chunks_when_sending(data: bytes) -> None:
    assert ChunkedEncoder().encode(data) == b"5\r\nhello\r\n"


def test_size_of_a_wide_memoryview_is_its_bytes() -> None:
    view = memoryview(b"abcdefgh").cast("I")
    assert ChunkedEncoder().encode(view) == b"8\r\nabcdefgh\r\n"


def test_an_empty_piece_does_not_end_chunked_content() -> None:
    assert ChunkedEncoder().encode(b"") == b""


@pytest.mark.parametrize(
    ("trailers", "wire"),
    [
        pytest.param(None, b"0\r\n\r\n", id="none"),
        pytest.param(CIMultiDict(), b"0\r\n\r\n", id="empty"),
        pytest.param(CIMultiDict(A="b", C="d"), b"0\r\nA: b\r\nC: d\r\n\r\n", id="two"),
    ],
)
def test_trailers_when_sending(trailers: CIMultiDict[str] | None, wire: bytes) -> None:
    assert ChunkedEncoder().end(trailers) == wire


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Length", "3"),
        ("TE", "x"),
        ("a b", "c"),
        ("a", "b\r\nc: d"),
        ("", "a"),
        ("a", "\0"),
    ],
    ids=repr,
)
def test_trailers_that_are_not_sent(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"not allowed|Control"):
        ChunkedEncoder().end(CIMultiDict({name: value}))
