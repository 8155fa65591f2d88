"""Objects as content to be sent: bytes, text, JSON, iterables; and the registry."""

import array
import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import PurePath
from typing import Any

import pytest

from antiphon.core.aio.payload import (
    PAYLOAD_REGISTRY,
    AsyncIterablePayload,
    BufferedReaderPayload,
    BytesIOPayload,
    BytesPayload,
    IOBasePayload,
    JsonBytesPayload,
    JsonPayload,
    LookupError,
    Order,
    Payload,
    PayloadRegistry,
    StreamReaderPayload,
    StringIOPayload,
    StringPayload,
    TextIOPayload,
    get_payload,
    payload_type,
    streamer,
)
from antiphon.core.aio.streams import StreamReader
from antiphon.core.aio.writer import AbstractStreamWriter
from antiphon.core.deprecations import AntiphonDeprecationWarning

NewWriter = Callable[..., Any]
MakeStream = Callable[..., StreamReader]


async def give(*pieces: Any) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


# --- bytes and text ---------------------------------------------------------------------------

OCTETS = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("payload", "data", "content_type"),
    [
        pytest.param(lambda: BytesPayload(b"abc"), b"abc", OCTETS, id="bytes"),
        pytest.param(lambda: BytesPayload(bytearray(b"abc")), b"abc", OCTETS, id="bytearray"),
        pytest.param(lambda: BytesPayload(memoryview(b"abc")), b"abc", OCTETS, id="memoryview"),
        pytest.param(
            lambda: BytesPayload(memoryview(array.array("H", [0x6161, 0x6262]))),
            b"aabb",
            OCTETS,
            id="memoryview of larger items",
        ),
        pytest.param(
            lambda: BytesPayload(memoryview(b"a-b-c")[::2]), b"abc", OCTETS, id="with gaps"
        ),
        pytest.param(lambda: BytesPayload(b""), b"", OCTETS, id="nothing"),
        pytest.param(lambda: StringPayload("é"), b"\xc3\xa9", TEXT, id="text"),
        pytest.param(
            lambda: StringPayload("é", encoding="latin1"),
            b"\xe9",
            "text/plain; charset=latin1",
            id="text in an encoding",
        ),
        pytest.param(
            lambda: StringPayload("я", content_type="text/html; charset=koi8-r"),
            b"\xd1",
            "text/html; charset=koi8-r",
            id="text in the encoding of its media type",
        ),
        pytest.param(
            lambda: StringPayload("é", content_type="text/html"),
            b"\xc3\xa9",
            "text/html",
            id="text whose media type says no encoding",
        ),
        pytest.param(lambda: StringIOPayload(io.StringIO("é")), b"\xc3\xa9", TEXT, id="StringIO"),
        pytest.param(lambda: JsonPayload({"a": 1}), b'{"a": 1}', "application/json", id="JSON"),
        pytest.param(
            lambda: JsonPayload("é", "latin1", "text/json", lambda value: value.upper()),
            b"\xc9",
            "text/json",
            id="JSON in an own way",
        ),
        pytest.param(
            lambda: JsonBytesPayload([1], lambda value: json.dumps(value).encode()),
            b"[1]",
            "application/json",
            id="JSON made as bytes",
        ),
    ],
)
async def test_content_at_hand(
    payload: Callable[[], BytesPayload],
    data: bytes,
    content_type: str,
    collecting_writer: NewWriter,
) -> None:
    made = payload()
    assert made.size == len(data)
    assert made.content_type == content_type
    assert dict(made.headers) == {"Content-Type": content_type}
    assert made.replayable
    assert made.autoclose
    for _ in range(2):
        writer = collecting_writer()
        await made.write(writer)
        assert writer.data == data
        assert not writer.ended, "ending is the business of who sends"
    assert await made.as_bytes() == data
    assert made.decode("latin1") == data.decode("latin1")
    assert not made.consumed
    for length in (0, 1, len(data), len(data) + 1):
        writer = collecting_writer()
        await made.write_with_length(writer, length)
        assert writer.data == data[:length]


async def test_much_leaves_in_pieces(collecting_writer: NewWriter) -> None:
    data = bytes(range(256)) * 4096
    writer = collecting_writer()
    await BytesPayload(data).write(writer)
    assert writer.data == data
    assert max(map(len, writer.chunks)) <= 256 * 1024


async def test_little_leaves_as_it_is() -> None:
    """Small content costs one write of the very object."""
    taken = []

    class Taking(AbstractStreamWriter):
        async def write(self, chunk: Any) -> None:
            taken.append(chunk)

        async def write_eof(self, chunk: Any = b"") -> None:
            raise AssertionError("not the payload's business")

        async def drain(self) -> None:
            raise AssertionError("write() waits by itself")

    value = b"hello"
    payload = BytesPayload(value)
    assert payload.value is value
    await payload.write(Taking())
    assert len(taken) == 1
    assert taken[0] is value


@pytest.mark.parametrize("value", ["text", None, 5, [1]])
def test_bytes_are_bytes(value: Any) -> None:
    with pytest.raises(TypeError, match="byte-ish"):
        BytesPayload(value)


def test_headers_say_more_than_arguments() -> None:
    payload = BytesPayload(
        b"x", headers={"content-type": "a/b", "X-Own": "1"}, content_type="c/d", filename="f.txt"
    )
    assert payload.content_type == "a/b"
    assert payload.headers["X-Own"] == "1"
    assert payload.filename == "f.txt"
    payload.headers["Content-Type"] = "e/f"
    assert payload.content_type == "e/f"


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="unexpected arguments: filenam"):
        BytesPayload(b"x", filenam="x")


@pytest.mark.parametrize(
    ("quote_fields", "expected"),
    [
        pytest.param(True, "attachment; filename=\"_x_.txt\"; filename*=utf-8''%C3%A9x%22.txt"),
        pytest.param(False, 'attachment; filename="éx\\".txt"'),
    ],
)
def test_content_disposition(quote_fields: bool, expected: str) -> None:
    payload = BytesPayload(b"x")
    payload.set_content_disposition("attachment", quote_fields, filename='éx".txt')
    made = payload.headers["Content-Disposition"]
    if quote_fields:
        assert made.endswith("filename*=utf-8''%C3%A9x%22.txt")
    else:
        assert made == expected


def test_repr_says_what_it_is() -> None:
    assert repr(BytesPayload(b"abc")) == "<BytesPayload application/octet-stream size=3>"


def test_headers_may_come_by_position() -> None:
    """After its own arguments every class takes what `Payload` takes."""
    headers = {"X-Own": "1"}
    for payload in (
        BytesPayload(b"x", headers),
        StringPayload("x", headers),
        StringIOPayload(io.StringIO("x"), headers),
        JsonPayload("x", "utf-8", "application/json", json.dumps, headers),
        AsyncIterablePayload(give(), headers),
        TextIOPayload(io.StringIO("x"), "inline", headers),
        IOBasePayload(io.BytesIO(b"x"), "inline", headers),
    ):
        assert payload.headers["X-Own"] == "1"
    with pytest.raises(TypeError):
        BytesPayload(b"x", headers, OCTETS, None, None, "one too many")


# --- payloads of one's own --------------------------------------------------------------------


class Own(Payload):
    """What somebody may write who knows only that `write` is needed."""

    async def write(self, writer: AbstractStreamWriter) -> None:
        for piece in (b"one ", b"two ", b"three"):
            await writer.write(piece)


async def test_a_payload_needs_only_to_write(collecting_writer: NewWriter) -> None:
    payload = Own("anything")
    assert payload.size is None
    assert payload.value == "anything"
    assert not payload.replayable
    assert await payload.as_bytes() == b"one two three"
    for length in (0, 2, 4, 6, 100):
        writer = collecting_writer()
        await payload.write_with_length(writer, length)
        assert writer.data == b"one two three"[:length]
    writer = collecting_writer()
    await payload.write_with_length(writer, None)
    assert writer.data == b"one two three"
    with pytest.raises(TypeError, match="as_bytes"):
        payload.decode()
    await payload.close()
    await payload.close()


def test_media_type_is_guessed_from_the_file_name() -> None:
    assert Own(None, filename="x.html").content_type == "text/html"
    assert Own(None, filename="x.nothing-known").content_type == OCTETS
    assert Own(None, filename="x.html", content_type="a/b").content_type == "a/b"
    assert Own(None).headers["Content-Type"] == OCTETS


# --- async iterables --------------------------------------------------------------------------


async def test_an_async_iterable_is_sent_once(collecting_writer: NewWriter) -> None:
    payload = AsyncIterablePayload(give(b"a", bytearray(b"b"), b"", memoryview(b"c")))
    assert payload.size is None
    assert (payload.replayable, payload.consumed) == (False, False)
    writer = collecting_writer()
    await payload.write(writer)
    assert writer.chunks == [b"a", b"b", b"c"], "an empty chunk would end chunked content"
    assert (payload.replayable, payload.consumed) == (False, True)
    with pytest.raises(RuntimeError, match="only once"):
        await payload.write(collecting_writer())
    with pytest.raises(RuntimeError, match="only once"):
        await payload.as_bytes()


async def test_as_bytes_keeps_an_async_iterable(collecting_writer: NewWriter) -> None:
    payload = AsyncIterablePayload(give("é".encode(), b"b"))
    with pytest.raises(TypeError, match="Call as_bytes"):
        payload.decode()
    assert await payload.as_bytes() == b"\xc3\xa9b"
    assert await payload.as_bytes() == b"\xc3\xa9b"
    assert payload.decode() == "éb"
    assert payload.size == 3
    assert payload.replayable
    for _ in range(2):
        writer = collecting_writer()
        await payload.write(writer)
        assert writer.data == b"\xc3\xa9b"
    writer = collecting_writer()
    await payload.write_with_length(writer, 2)
    assert writer.data == b"\xc3\xa9"


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, None])
async def test_no_more_of_an_async_iterable_than_asked_for(
    length: int | None, collecting_writer: NewWriter
) -> None:
    taken = 0

    async def count() -> AsyncIterator[bytes]:
        nonlocal taken
        for piece in (b"ab", b"cd"):
            taken += 1
            yield piece

    payload = AsyncIterablePayload(count())
    writer = collecting_writer()
    await payload.write_with_length(writer, length)
    await payload.close()
    assert writer.data == b"abcd"[:length]
    assert taken == {0: 0, 1: 1, 2: 1}.get(5 if length is None else length, 2)


@pytest.mark.parametrize("piece", ["text", 1, None])
async def test_an_async_iterable_gives_bytes(piece: Any, collecting_writer: NewWriter) -> None:
    with pytest.raises(TypeError, match="content consists of bytes"):
        await AsyncIterablePayload(give(piece)).write(collecting_writer())


def test_what_is_no_async_iterable() -> None:
    with pytest.raises(TypeError, match="AsyncIterable"):
        AsyncIterablePayload([b"x"])  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_a_generator_is_closed_once_when_its_writing_is_cut_off(
    how: str, collecting_writer: NewWriter
) -> None:
    """CVE-2026-54280: what a generator holds is released by close()."""
    finished = []

    async def holding() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            finished.append("released")

    payload = AsyncIterablePayload(holding())
    if how == "fails":
        with pytest.raises(ConnectionResetError):
            await payload.write(collecting_writer(fail_at=2))
    else:
        writer = collecting_writer(block_at=2)
        writing = asyncio.ensure_future(payload.write(writer))
        await writer.blocked.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    await payload.close()
    await payload.close()
    assert finished == ["released"]


async def test_a_generator_that_was_never_begun_is_closed_without_a_word() -> None:
    payload = AsyncIterablePayload(give(b"x"))
    await payload.close()
    with pytest.raises(RuntimeError):
        await payload.as_bytes()


async def test_received_content_is_handed_on_as_it_comes(
    make_stream: MakeStream, collecting_writer: NewWriter
) -> None:
    payload = get_payload(make_stream(b"no\nlines", b"here"))
    assert isinstance(payload, StreamReaderPayload)
    writer = collecting_writer()
    await payload.write(writer)
    assert writer.data == b"no\nlineshere"
    await payload.close()


# --- @streamer --------------------------------------------------------------------------------


async def test_streamer_is_obsolete_and_works(collecting_writer: NewWriter) -> None:
    with pytest.warns(AntiphonDeprecationWarning, match="ANT-0007") as caught:

        @streamer
        async def numbers(writer: AbstractStreamWriter, count: int = 2) -> None:
            for number in range(count):
                await writer.write(str(number).encode())

    assert caught[0].filename == __file__
    for value, expected in ((numbers, b"01"), (numbers(3), b"012"), (numbers(count=1), b"0")):
        writer = collecting_writer()
        await get_payload(value).write(writer)
        assert writer.data == expected


# --- the registry -----------------------------------------------------------------------------


async def test_which_payload_stands_for_what(make_stream: MakeStream, tmp_path: Any) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"x")
    generator = give()
    with (
        path.open("rb") as binary,
        path.open("r+b") as random,
        path.open(encoding="utf-8") as text,
        path.open("rb", buffering=0) as raw,
    ):
        for value, expected in [
            (b"x", BytesPayload),
            (bytearray(b"x"), BytesPayload),
            (memoryview(b"x"), BytesPayload),
            ("x", StringPayload),
            (io.StringIO("x"), StringIOPayload),
            (io.BytesIO(b"x"), BytesIOPayload),
            (binary, BufferedReaderPayload),
            (random, BufferedReaderPayload),
            (text, TextIOPayload),
            (raw, IOBasePayload),
            (make_stream(), StreamReaderPayload),
            (generator, AsyncIterablePayload),
        ]:
            assert type(get_payload(value)) is expected
    payload = BytesPayload(b"x")
    assert get_payload(payload) is payload
    await get_payload(generator).close()


def test_subclasses_count_as_their_bases() -> None:
    class Text(str):
        pass

    assert type(get_payload(Text("x"))) is StringPayload


def test_arguments_are_the_constructors() -> None:
    payload = get_payload("x", headers={"X-Own": "1"}, encoding="latin1")
    assert payload.encoding == "latin1"
    assert payload.headers["X-Own"] == "1"


@pytest.mark.parametrize("value", [object(), 5, None, [b"x"], {"a": 1}, PurePath("x")])
def test_nothing_stands_for_what_is_not_registered(value: Any) -> None:
    with pytest.raises(LookupError, match="no payload is registered"):
        get_payload(value)


class Base:
    pass


class Derived(Base):
    pass


class Named(Own):
    """A payload that tells which registration it came by."""

    def __init__(self, value: Any, label: str = "") -> None:
        super().__init__(value)
        self.label = label


def _labelled(label: str) -> Callable[..., Named]:
    return lambda value: Named(value, label)


@pytest.mark.parametrize(
    ("registrations", "expected"),
    [
        pytest.param([("base", Base, Order.normal)], "base", id="a base class"),
        pytest.param(
            [("base", Base, Order.normal), ("exact", Derived, Order.normal)],
            "exact",
            id="the class itself before its bases",
        ),
        pytest.param(
            [("exact", Derived, Order.normal), ("first", Base, Order.try_first)],
            "first",
            id="tried first",
        ),
        pytest.param(
            [("last", Derived, Order.try_last), ("base", Base, Order.normal)],
            "base",
            id="tried last",
        ),
        pytest.param(
            [("tuple", (int, Base), Order.normal), ("second", Base, Order.normal)],
            "tuple",
            id="several classes; the first registration counts",
        ),
    ],
)
def test_order(registrations: list[tuple[str, Any, Order]], expected: str) -> None:
    registry = PayloadRegistry()
    for label, kind, order in registrations:
        registry.register(_labelled(label), kind, order=order)
    found = registry.get(Derived())
    assert isinstance(found, Named)
    assert found.label == expected


def test_a_later_registration_counts_for_types_seen_before() -> None:
    registry = PayloadRegistry()
    registry.register(_labelled("base"), Base)
    registry.get(Derived())
    registry.register(_labelled("exact"), Derived)
    found = registry.get(Derived())
    assert isinstance(found, Named)
    assert found.label == "exact"


def test_order_is_an_order() -> None:
    with pytest.raises(ValueError, match="order"):
        PayloadRegistry().register(Own, Base, order="first")  # type: ignore[arg-type]  # on purpose


def test_a_decorator_registers() -> None:
    class Mine:
        pass

    @payload_type(Mine, order=Order.try_first)
    class MinePayload(Own):
        pass

    assert type(get_payload(Mine())) is MinePayload
    assert type(PAYLOAD_REGISTRY.get(Mine())) is MinePayload
