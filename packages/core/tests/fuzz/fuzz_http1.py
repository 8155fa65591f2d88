"""Fuzz target for HTTP/1.1, both directions.

The first byte of an input says which end reads and which method was asked, the second where the
rest is cut.
"""

import itertools
from collections.abc import Iterator

import attrs
from multidict import CIMultiDict

from antiphon.core.errors import HttpProcessingError
from antiphon.core.http import RawRequestMessage, RawResponseMessage, RequestHead
from antiphon.core.http1 import (
    EndOfMessage,
    Http1Connection,
    HttpRequestParser,
    HttpResponseParser,
    NeedData,
    Role,
    _body,
    _buffer,
    _client_half,
    _cycle,
    _framing,
    _head,
    _inner,
    _server_half,
)
from antiphon.core.http1 import parser as parser_module
from antiphon.core.limits import HttpLimits

LIMITS = HttpLimits(max_line_size=200, max_field_size=200, max_head_size=800, max_trailer_size=200)
# With a limit like this heads are never taken as the usual ones: the other way through the parser.
NEVER_USUAL = attrs.evolve(LIMITS, max_headers=127)
_METHODS = ("GET", "HEAD", "CONNECT", "POST")


def opened(method: str, limits: HttpLimits = LIMITS) -> Http1Connection:
    """A client that has asked."""
    connection = Http1Connection(Role.CLIENT, limits)
    target = "a:1" if method == "CONNECT" else "/"
    connection.open(
        RequestHead(method=method, target=target, authority="a:1", headers=CIMultiDict())
    )
    return connection


def events(
    wire: bytes, role: Role, method: str, *cuts: int, limits: HttpLimits = LIMITS
) -> list[object]:
    """Run *wire*, cut in pieces, through a connection; give all that came out."""
    connection = opened(method, limits) if role is Role.CLIENT else Http1Connection(role, limits)
    outcome: list[object] = []
    content = bytearray()
    edges = (0, *cuts, len(wire))
    for piece in (*(wire[a:b] for a, b in itertools.pairwise(edges)), None):
        if piece is None:
            connection.receive_eof()
        else:
            connection.receive_data(piece)
        while True:
            try:
                event = connection.next_event()
            except HttpProcessingError as exc:
                assert connection.next_event() is NeedData.CLOSED
                return [*outcome, bytes(content), type(exc), exc.status]
            if isinstance(event, bytes):
                content += event
                continue
            if isinstance(event, NeedData):
                if role is Role.SERVER and connection.cycle_done and connection.keep_alive:
                    connection.start_next_cycle()
                    continue
                break
            if isinstance(event, RawRequestMessage | RawResponseMessage):
                outcome.append((repr(event), event.raw_headers, event.framing))
                list(event.headers.items())
            if isinstance(event, EndOfMessage):
                outcome.append((bytes(content), event.trailers and list(event.trailers.items())))
                content.clear()
            if isinstance(event, RawRequestMessage):
                connection.respond_complete(200, CIMultiDict(), b"")
    return [*outcome, bytes(content), connection.their_state]


def fuzz_one(data: bytes) -> None:
    """Check one input: any split gives the same, and nothing but events or one error comes."""
    if len(data) < 2:
        return
    wire = data[2:]
    role = Role.CLIENT if data[0] & 1 else Role.SERVER
    method = _METHODS[(data[0] >> 1) & 3]
    whole = events(wire, role, method)
    parts = events(wire, role, method, data[1] * len(wire) // 255)
    # When pipelined requests are cut, the answer to the first one may come before or after the
    # second has arrived; what is parsed must not depend on it.
    assert whole == parts, (whole, parts)
    pieces = events(wire, role, method, *range(1, len(wire)))
    assert whole == pieces, (whole, pieces)
    other = events(wire, role, method, limits=NEVER_USUAL)
    assert whole == other, (whole, other)
    if role is Role.CLIENT:
        check_whole(wire, method)
    for message in messages(wire, role, method):
        check_written(message, method)


def check_whole(wire: bytes, method: str) -> None:
    """A response that is taken in one step is the one that events would have given."""
    connection = opened(method)
    taken = connection.receive_whole(wire, 1000, False)
    if taken is None:
        assert connection.buffered == 0
        return
    head, content = taken
    other = opened(method)
    other.receive_data(wire)
    same = other.next_event()
    assert isinstance(same, RawResponseMessage)
    assert facts(same) == facts(head)
    received = b""
    while isinstance(event := other.next_event(), bytes):
        received += event
    assert (received, other.buffered) == (content, 0)
    assert other.keep_alive


def messages(
    wire: bytes, role: Role, method: str
) -> Iterator[RawRequestMessage | RawResponseMessage]:
    """The heads that *wire* has, as far as it is well-formed."""
    parser = (
        HttpRequestParser(LIMITS) if role is Role.SERVER else HttpResponseParser(LIMITS, method)
    )
    parser.feed_data(wire)
    try:
        while not isinstance(event := parser.next_event(), NeedData):
            if isinstance(event, RawRequestMessage | RawResponseMessage):
                yield event
    except HttpProcessingError:
        return


def check_written(message: RawRequestMessage | RawResponseMessage, method: str) -> None:
    """A head that was taken, written again in the plainest form, is the same head."""
    major, minor = message.version
    if isinstance(message, RawRequestMessage):
        line = f"{message.method} {message.path} HTTP/{major}.{minor}".encode()
        parser: HttpRequestParser | HttpResponseParser = HttpRequestParser(LIMITS)
    else:
        reason = message.reason.encode("utf-8", "surrogateescape")
        line = f"HTTP/{major}.{minor} {message.code} ".encode() + reason
        parser = HttpResponseParser(LIMITS, method)
    fields = b"".join(b"%b:%b\r\n" % pair for pair in message.raw_headers)
    parser.feed_data(line + b"\r\n" + fields + b"\r\n")
    again = parser.next_event()
    assert isinstance(again, type(message)), (message, again)
    assert facts(again) == facts(message)


def facts(message: RawRequestMessage | RawResponseMessage) -> tuple[object, ...]:
    """All that is known of a head."""
    return (
        *(repr(message), message.version, message.raw_headers, message.framing),
        *(message.should_close, message.upgrade, message.compression),
    )


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(
        fuzz_one,
        *(Http1Connection, _head, _body, _framing, _buffer, _inner, parser_module),
        *(_cycle, _server_half, _client_half),
    )
