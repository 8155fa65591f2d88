"""Fuzz target for WebSocket frames, messages and compression.

``python packages/core/tests/fuzz/fuzz_websocket.py [corpus]`` runs it with Atheris where that is
installed; `fuzz_one` is a plain function for any other driver.
"""

import sys
from types import FunctionType

from antiphon.core.errors import WebSocketError
from antiphon.core.websocket.connection import NEED_DATA, Fragment, Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters, Inflater
from antiphon.core.websocket.frames import WebSocketReader

LIMIT = 500
_KEPT = 14 + 125
"""A header and the payload of a control frame."""


def events(pieces: list[bytes], options: int) -> list[object]:
    """Run *pieces* through a connection; give all that came out."""
    connection = WebSocketConnection(
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
        connection.receive_data(piece)
        while True:
            try:
                event = connection.next_event()
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
        assert connection.reader.buffered <= _KEPT
        assert connection._assembly.kept <= LIMIT + 3
    connection.receive_eof()
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
    assert events([wire[at : at + 1] for at in range(len(wire))], options) == whole, wire


def main() -> None:
    """Fuzz until told to stop."""
    import atheris  # type: ignore[import-untyped]  # it has no types

    for kind in (WebSocketConnection, WebSocketReader, Inflater):
        for name, member in list(vars(kind).items()):
            if isinstance(member, FunctionType):  # all the others would take a minute
                setattr(kind, name, atheris.instrument_func(member))
    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
