"""Fuzz target for the chunked transfer coding, both ways."""

from multidict import CIMultiDict

from antiphon.core.errors import HttpProcessingError
from antiphon.core.http1 import NeedData, _body, _buffer
from antiphon.core.http1._body import ChunkedDecoder, ChunkedEncoder
from antiphon.core.http1._buffer import ReceiveBuffer
from antiphon.core.limits import HttpLimits

LIMITS = HttpLimits(
    max_field_size=60,
    max_trailers=2,
    max_trailer_size=100,
    max_chunk_extension=10,
    max_chunk_extensions_total=30,
)
_KEPT = 100 + 2
"""A trailer section, or the line of a chunk with its extension, whichever is more."""


def decoded(pieces: list[bytes]) -> tuple[object, ...]:
    """What *pieces* decode to: content, then trailers or an error; and what is left over."""
    decoder, buffer = ChunkedDecoder(LIMITS), ReceiveBuffer()
    content = b""
    for at, piece in enumerate(pieces):
        buffer.append(piece)
        while True:
            try:
                event = decoder.next_event(buffer)
            except HttpProcessingError as exc:
                return content, type(exc), exc.status
            if isinstance(event, bytes):
                assert event
                content += event
                ends = tuple(decoder.chunk_ends)
                assert ends == tuple(sorted(ends))
                assert all(0 < end <= len(event) for end in ends)
                continue
            if isinstance(event, NeedData):
                break
            left = buffer.take_all() + b"".join(pieces[at + 1 :])
            return content, event.trailers and tuple(event.trailers.items()), left
        assert len(buffer) <= _KEPT, len(buffer)
    try:
        decoder.finish()
    except HttpProcessingError as exc:
        return content, type(exc), exc.status
    raise AssertionError("content ended in the middle, and nobody said so")


def fuzz_one(data: bytes) -> None:
    """Check that *data*, behind a byte that says where to cut, means the same however it is cut.

    Raises:
        AssertionError: A property does not hold.
    """
    if not data:
        return
    cut, wire = data[0] * len(data) // 255, data[1:]
    whole = decoded([wire])
    assert decoded([wire[:cut], wire[cut:]]) == whole, wire
    assert decoded([wire[at : at + 1] for at in range(len(wire))]) == whole, wire
    check_written(wire, cut)


def check_written(content: bytes, cut: int) -> None:
    """What is encoded decodes to the same, with what follows left alone."""
    encoder = ChunkedEncoder()
    wire = b"".join([
        bytes(encoder.encode(content[:cut])),
        bytes(encoder.encode(content[cut:])),
        encoder.end(CIMultiDict({"X-A": "b"})),
    ])
    assert decoded([wire + b"GET"]) == (content, (("X-A", "b"),), b"GET")


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, _body, _buffer)
