"""Ways to cut input into pieces, and to say what a parser made of it."""

from collections.abc import Callable, Iterator

import pytest

from antiphon.core.errors import HttpProcessingError
from antiphon.core.http import Length, RawRequestMessage, RawResponseMessage
from antiphon.core.http1 import (
    EndOfMessage,
    HttpRequestParser,
    HttpResponseParser,
    NeedData,
)
from antiphon.core.limits import HttpLimits

Outcome = list[tuple[object, ...]]
Pieces = list[bytes]


def _splits(wire: bytes) -> Iterator[Pieces]:
    yield [wire]
    yield [wire[i : i + 1] for i in range(len(wire))]
    for cut in range(1, len(wire)):
        yield [wire[:cut], wire[cut:]]


def _describe(event: object) -> tuple[object, ...]:
    match event:
        case RawRequestMessage():
            return (
                *("request", event.method, event.path, tuple(event.version), event.raw_headers),
                *(_framing(event.framing), event.should_close, event.upgrade),
                *(event.expect_continue, event.compression),
            )
        case RawResponseMessage():
            return (
                *("response", event.code, event.reason, tuple(event.version), event.raw_headers),
                *(_framing(event.framing), event.should_close, event.upgrade, event.compression),
            )
        case EndOfMessage():
            trailers = event.trailers
            return ("end", None if trailers is None else tuple(trailers.items()))
    raise AssertionError(f"no event: {event!r}")


def _framing(framing: object) -> object:
    return framing.size if isinstance(framing, Length) else getattr(framing, "name", framing)


def _drain(parser: HttpRequestParser | HttpResponseParser, outcome: Outcome) -> bool:
    """Take all events there are; whether there may be more later."""
    while True:
        try:
            event = parser.next_event()
        except HttpProcessingError as exc:
            outcome.append(("error", type(exc).__name__, exc.status))
            return False
        if isinstance(event, NeedData):
            if event is NeedData.CLOSED:
                outcome.append(("closed",))
                return False
            return True
        if isinstance(event, bytes):
            assert event, "content events are never empty"
            if outcome and outcome[-1][0] == "content":
                before = outcome.pop()[1]
                assert isinstance(before, bytes)
                event = before + event
            outcome.append(("content", event))
        else:
            outcome.append(_describe(event))


def _run(parser: HttpRequestParser | HttpResponseParser, pieces: Pieces, eof: bool) -> Outcome:
    outcome: Outcome = []
    for piece in pieces:
        parser.feed_data(piece)
        if not _drain(parser, outcome):
            return outcome
    if eof:
        parser.feed_eof()
        _drain(parser, outcome)
    return outcome


@pytest.fixture(name="splits", scope="session")
def splits_fixture() -> Callable[[bytes], Iterator[Pieces]]:
    """Every way to cut: whole, byte by byte, all two-way cuts."""
    return _splits


@pytest.fixture(name="run", scope="session")
def run_fixture() -> Callable[..., Outcome]:
    """Feed pieces to a parser, taking all events after each; give the outcome."""
    return _run


@pytest.fixture(scope="session")
def requests() -> Callable[..., Outcome]:
    """Parse requests in every way of cutting, and give the one outcome they all have."""

    def outcome(wire: bytes, limits: HttpLimits | None = None, *, eof: bool = True) -> Outcome:
        limits = limits or HttpLimits()
        first = _run(HttpRequestParser(limits), [wire], eof)
        for pieces in _splits(wire):
            assert _run(HttpRequestParser(limits), pieces, eof) == first, pieces
        return first

    return outcome


@pytest.fixture(scope="session")
def responses() -> Callable[..., Outcome]:
    """Parse responses in every way of cutting, and give the one outcome they all have."""

    def outcome(
        wire: bytes, limits: HttpLimits | None = None, *, method: str = "GET", eof: bool = True
    ) -> Outcome:
        limits = limits or HttpLimits()
        first = _run(HttpResponseParser(limits, method), [wire], eof)
        for pieces in _splits(wire):
            assert _run(HttpResponseParser(limits, method), pieces, eof) == first, pieces
        return first

    return outcome
