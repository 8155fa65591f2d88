"""Fuzz target for WebSocket frames, messages and compression."""

from antiphon.core.errors import WebSocketError
from antiphon.core.websocket import assembly, connection, deflate, frames
from antiphon.core.websocket.connection import NEED_DATA, Fragment, Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters

LIMIT = 500
_KEPT = 14 + 125
"""A header and the payload of a control frame."""


def events(pieces: list[bytes], options: int) -> list[object]:
    """Run *pieces* through a connection; give all that came out."""
    end = WebSocketConnection(
        Role.SERVER if options & 1 else Role.CLIENT,
        max_msg_size=LIMIT,
        deflate=DeflateParameters(client_no_context_takeover=bool(options & 4))
        if options & 2
        else None,
        decode_text=bool(options & 8),
    )
    outcome: list[object] = []
    failed = False
    for piece in pieces:
        if options & 16:  # the short way, where it takes something
            message = end.receive_whole(piece)
            if message is not None:
                assert not failed
                outcome.append(tuple(message))
                continue
        end.receive_data(piece)
        while True:
            try:
                event = end.next_event()
            except WebSocketError as exc:
                assert not failed
                failed = True
                outcome.append(exc.code)
                continue
            if event is NEED_DATA:
                break
            assert not failed
            assert not isinstance(event, Fragment)
            outcome.append(tuple(event))
        assert end.reader.buffered <= _KEPT
        assert end._assembly.kept <= LIMIT + 3
    end.receive_eof()
    return outcome


def fuzz_one(data: bytes) -> None:
    """Check that *data*, behind a byte that says how and one that says where to cut, means the same
    however it is cut.

    Raises:
        AssertionError: It does not.
    """
    if len(data) < 2:
        return
    options, cut, wire = data[0], data[1], data[2:]
    whole = events([wire], options)
    assert events([wire[:cut], wire[cut:]], options) == whole, wire
    assert events([wire[:cut], wire[cut:]], options ^ 16) == whole, wire
    assert events([wire[at : at + 1] for at in range(len(wire))], options) == whole, wire


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, assembly, connection, deflate, frames)
