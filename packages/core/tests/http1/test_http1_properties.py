"""What holds for every input: no split matters, nothing else than events or one error comes out,
work is linear, and no more is kept than the limits allow."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from antiphon.core.errors import HttpProcessingError
from antiphon.core.http import RawRequestMessage, RequestHead
from antiphon.core.http1 import (
    EndOfMessage,
    HeadersParser,
    Http1Connection,
    HttpRequestParser,
    HttpResponseParser,
    NeedData,
    Role,
    _buffer,
)
from antiphon.core.limits import HttpLimits

SMALL = HttpLimits(
    max_line_size=40,
    max_field_size=40,
    max_headers=4,
    max_head_size=120,
    max_trailers=2,
    max_trailer_size=60,
    max_chunk_extension=10,
    max_chunk_extensions_total=30,
)

LARGE = HttpLimits(max_head_size=20_000, max_headers=1000)

# Pieces of messages, right and wrong, put together in any order.
_PIECES = st.sampled_from([
    *(b"GET / HTTP/1.1\r\n", b"POST /a HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 204\r\n"),
    *(b"Host: a\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"\n"),
    *(
        b"\r",
        b"\r\n\r\n",
        b"3\r\nabc\r\n",
        b"3;x\r\nabc\r\n",
        b"0\r\n",
        b"0\r\n\r\n",
        b"abc",
        b"X: y\r\n",
    ),
    *(
        b" ",
        b"\x00",
        b": ",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"a" * 30,
        b"\xe4",
    ),
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
])
WIRES = st.one_of(st.binary(max_size=80), st.lists(_PIECES, max_size=8).map(b"".join))


def cut(wire: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(wire) + 1) for place in places), len(wire)]
    return [wire[a:b] for a, b in itertools.pairwise(edges) if a != b]


@pytest.mark.parametrize("parser", [HttpRequestParser, HttpResponseParser])
@given(wire=WIRES, places=st.lists(st.integers(0, 1000), max_size=6))
@settings(max_examples=300, deadline=None)
def test_any_split_gives_the_same_events_or_the_same_error(
    parser: Any, wire: bytes, places: list[int], run: Callable[..., Any]
) -> None:
    for limits in (HttpLimits(), SMALL):
        whole = run(parser(limits), [wire], True)
        assert run(parser(limits), cut(wire, places), True) == whole
        assert sum(event[0] == "error" for event in whole) <= 1
        assert whole[-1][0] in ("error", "closed", "end")


# Heads that say what the heads before them said, and content that looks like one.
_REPEATED = st.lists(
    st.sampled_from([
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /0 HTTP/1.0\r\nHost: a\r\n\r\n",
        b"POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        b"POST /27 HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\n",
        b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"abc",
        b"\r\n",
    ]),
    max_size=6,
)


@given(pieces=_REPEATED, places=st.lists(st.integers(0, 1000), max_size=6))
@settings(max_examples=500, deadline=None)
def test_a_repeated_head_is_the_same_in_every_place(
    pieces: list[bytes], places: list[int], run: Callable[..., Any]
) -> None:
    wire = b"".join(pieces)
    whole = run(HttpRequestParser(), [wire], True)
    assert run(HttpRequestParser(), pieces, True) == whole
    assert run(HttpRequestParser(), cut(wire, places), True) == whole


def test_content_equal_to_the_head_before_it_is_content(run: Callable[..., Any]) -> None:
    """Else what a client hides in content would be a request, and the next one content."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    line = b"POST /a HTTP/1.1\r\n"
    size = len(line) + len(b"Content-Length: 00\r\nX: ")
    head = line + b"Content-Length: %d\r\nX: " % size + hidden
    outcome = run(HttpRequestParser(), [head, head, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"], True)
    assert [event[2] for event in outcome if event[0] == "request"] == ["/a", "/hidden", "/next"]


def test_a_known_header_section_does_not_lift_the_limit_of_the_head(
    run: Callable[..., Any],
) -> None:
    section = b"Host: a\r\nX: " + b"x" * 700 + b"\r\n\r\n"
    first, second = b"GET / HTTP/1.1\r\n", b"GET /" + b"a" * 900 + b" HTTP/1.1\r\n"
    limits = HttpLimits(max_head_size=1000)
    outcome = run(HttpRequestParser(limits), [first + section, second + section], True)
    assert [event[0] for event in outcome] == ["request", "error"]


@pytest.mark.parametrize("role", Role)
@given(wire=WIRES, places=st.lists(st.integers(0, 1000), max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_connection_ends_in_events_or_one_error(
    role: Role, wire: bytes, places: list[int]
) -> None:
    connection = Http1Connection(role, SMALL)
    if role is Role.CLIENT:
        connection.open(RequestHead(method="GET", target="/", authority="a", headers=CIMultiDict()))
    for piece in [*cut(wire, places), None]:
        if piece is None:
            connection.receive_eof()
        else:
            connection.receive_data(piece)
        while True:
            try:
                event = connection.next_event()
            except HttpProcessingError:
                assert connection.next_event() is NeedData.CLOSED
                return
            if isinstance(event, RawRequestMessage):
                connection.respond_complete(200, CIMultiDict(), b"")
            if isinstance(event, NeedData):
                if not (connection.cycle_done and connection.keep_alive) or role is Role.CLIENT:
                    break
                connection.start_next_cycle()


METHODS = st.from_regex(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}", fullmatch=True).filter(
    lambda method: method != "CONNECT"
)
TARGETS = st.from_regex(r'/[!"$-~]{0,40}', fullmatch=True)
NAMES = st.from_regex(r"X-[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}", fullmatch=True)
VALUES = st.text(
    st.characters(blacklist_categories=["Cs"], min_codepoint=32, blacklist_characters="\x7f"),
    max_size=30,
).map(lambda value: value.strip(" \t"))


@given(
    method=METHODS,
    target=TARGETS,
    fields=st.lists(st.tuples(NAMES, VALUES), max_size=6),
    body=st.none() | st.binary(max_size=100),
    chunked=st.booleans(),
    trailers=st.lists(st.tuples(NAMES, VALUES), max_size=3),
)
@settings(max_examples=200, deadline=None)
def test_what_a_client_writes_a_server_reads(
    method: str,
    target: str,
    fields: list[tuple[str, str]],
    body: bytes | None,
    chunked: bool,
    trailers: list[tuple[str, str]],
) -> None:
    client, server = Http1Connection(Role.CLIENT), Http1Connection(Role.SERVER)
    head = RequestHead(method=method, target=target, authority="a:1", headers=CIMultiDict(fields))
    if chunked:
        server.receive_data(client.open(head, chunked=True))
        if body:
            server.receive_data(bytes(client.send_data(body)))
        server.receive_data(client.send_end(CIMultiDict(trailers)))
    else:
        server.receive_data(client.open(head, body=body))
    message = server.next_event()
    assert isinstance(message, RawRequestMessage)
    assert (message.method, message.path) == (method, target)
    assert [item for item in message.headers.items() if item[0].startswith("X-")] == fields
    received = b""
    while isinstance(event := server.next_event(), bytes):
        received += event
    assert received == (body or b"")
    if isinstance(event, EndOfMessage) and event.trailers is not None:
        assert list(event.trailers.items()) == trailers
    else:
        assert not (chunked and trailers)


# --- what is kept -----------------------------------------------------------------------------

ENDLESS = [
    pytest.param(b"", b"A", id="request line"),
    pytest.param(b"GET / HTTP/1.1\r\n", b"A", id="field name"),
    pytest.param(b"GET / HTTP/1.1\r\nA: ", b"a", id="field value"),
    pytest.param(b"GET / HTTP/1.1\r\n", b"A: b\r\n", id="CVE-2026-22815 fields"),
    pytest.param(b"", b"\r\n", id="empty lines"),
]
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS_CONTENT = [
    pytest.param(CHUNKED, b"0", id="digits of a chunk size"),
    pytest.param(CHUNKED + b"1;", b"a", id="CVE-2024-22019 chunk extension"),
    pytest.param(CHUNKED, b"1;aaaaaaaa\r\nb\r\n", id="CVE-2023-39326 chunk extensions"),
    pytest.param(CHUNKED + b"0\r\nA: ", b"a", id="trailer"),
    pytest.param(CHUNKED + b"0\r\n", b"A: b\r\n", id="CVE-2026-22815 trailers"),
]


@pytest.mark.parametrize(("beginning", "more"), [*ENDLESS, *ENDLESS_CONTENT])
@pytest.mark.parametrize("limits", [LARGE, SMALL], ids=["large", "small"])
def test_what_is_kept_never_exceeds_the_limits(
    beginning: bytes, more: bytes, limits: HttpLimits
) -> None:
    allowed = max(limits.max_head_size, limits.max_trailer_size) + len(more)
    parser = HttpRequestParser(limits)
    parser.feed_data(beginning)

    def feed_for_ever() -> None:
        for _ in range(2 * allowed):
            while not isinstance(parser.next_event(), NeedData):
                pass
            assert parser.buffered <= allowed
            parser.feed_data(more)

    with pytest.raises(HttpProcessingError):
        feed_for_ever()
    assert parser.buffered == 0
    parser.feed_data(more * 10)
    assert parser.next_event() is NeedData.CLOSED
    assert parser.buffered == 0


def test_a_parsed_chunk_is_not_kept_alive() -> None:
    parser = HttpRequestParser()
    parser.feed_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    parser.next_event()
    assert parser.buffer.data == b""


# --- how much work ----------------------------------------------------------------------------


def _work(monkeypatch: pytest.MonkeyPatch, pieces: Iterator[bytes]) -> int:
    """Count the bytes that searching for the end of a head looks at."""
    looked_at = 0
    original = HttpRequestParser._head_pending

    def counting(self: HttpRequestParser) -> NeedData:
        nonlocal looked_at
        buffer = self.buffer
        looked_at += len(buffer.data) - max(buffer.searched, buffer.pos)
        return original(self)

    monkeypatch.setattr(HttpRequestParser, "_head_pending", counting)
    parser = HttpRequestParser(HttpLimits(max_headers=100_000, max_head_size=1_000_000))
    for piece in pieces:
        parser.feed_data(piece)
        parser.next_event()
    monkeypatch.undo()
    return looked_at


def test_a_head_byte_by_byte_is_searched_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def pieces(count: int) -> Iterator[bytes]:
        wire = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * count + b"\r\n"
        return (wire[i : i + 1] for i in range(len(wire)))

    small, large = _work(monkeypatch, pieces(200)), _work(monkeypatch, pieces(400))
    assert large < 2.2 * small


def test_content_in_small_pieces_is_not_gathered() -> None:
    """The buffer never holds more than what came last."""
    parser = HttpRequestParser()
    parser.feed_data(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    parser.next_event()
    for _ in range(1000):
        piece = bytes(100)
        parser.feed_data(piece)
        assert parser.next_event() is piece
        assert parser.buffered == 0


@given(chunks=st.lists(st.binary(max_size=20), max_size=20), takes=st.lists(st.integers(1, 30)))
@settings(max_examples=100, deadline=None)
def test_the_buffer_gives_what_it_got(chunks: list[bytes], takes: list[int]) -> None:
    buffer = _buffer.ReceiveBuffer()
    taken = b""
    for chunk, size in zip(chunks, takes, strict=False):
        buffer.append(chunk)
        taken += buffer.take(size)
    fed = b"".join(chunks[: len(takes)])
    assert len(buffer) == len(fed) - len(taken)
    assert taken + buffer.take_all() == fed


# --- one header section -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(b"A: b\r\nC:d \r\n\r\nrest", ((b"A", b"b"), (b"C", b"d")), id="two fields"),
        pytest.param(b"\r\nrest", (), id="none"),
        pytest.param(b"A : b\r\n\r\n", "InvalidHeader", id="space before the colon"),
        pytest.param(b"A: b\n\r\n\r\n", "InvalidHeader", id="bare LF"),
        pytest.param(b"A: " + b"a" * 18 + b"\r\n\r\n", "LineTooLong", id="long field"),
        pytest.param(b"A: b\r\n" * 4 + b"\r\n", "TooManyFields", id="many fields"),
        pytest.param(
            (b"A: " + b"a" * 17 + b"\r\n") * 3 + b"\r\n", "LineTooLong", id="long section"
        ),
        pytest.param(b"A: b", "NEED_DATA", id="not complete"),
    ],
)
def test_header_section_by_itself(
    wire: bytes, expected: object, splits: Callable[[bytes], Iterator[list[bytes]]]
) -> None:
    for pieces in splits(wire):
        parser = HeadersParser(max_size=60, max_field_size=20, max_headers=3)
        outcome: object = "NEED_DATA"
        for piece in pieces:
            parser.feed_data(piece)
            if outcome != "NEED_DATA":
                continue
            try:
                event = parser.next_event()
            except HttpProcessingError as exc:
                outcome = type(exc).__name__
                break
            outcome = event if isinstance(event, tuple) else event.name
        assert outcome == expected, pieces
        if isinstance(expected, tuple):
            assert parser.take_trailing() == b"rest"


def test_end_within_a_header_section() -> None:
    parser = HeadersParser()
    parser.feed_eof()
    assert parser.next_event() is NeedData.CLOSED
    parser.feed_data(b"A: b\r\n")
    with pytest.raises(HttpProcessingError, match="within a header section"):
        parser.next_event()
