"""Fuzz target for HTTP/1.1, both directions.

``python packages/core/tests/fuzz/fuzz_http1.py [corpus]`` runs it with Atheris where that is
installed; `fuzz_one` is a plain function for any other driver.
"""

import sys

from multidict import CIMultiDict

from antiphon.core.errors import HttpProcessingError
from antiphon.core.http import RawRequestMessage, RawResponseMessage, RequestHead
from antiphon.core.http1 import EndOfMessage, Http1Connection, NeedData, Role
from antiphon.core.limits import HttpLimits

LIMITS = HttpLimits(max_line_size=200, max_field_size=200, max_head_size=800, max_trailer_size=200)
_METHODS = ("GET", "HEAD", "CONNECT", "POST")


def events(wire: bytes, role: Role, method: str, cut: int) -> list[object]:
    """Run *wire*, cut in two, through a connection; give all that came out."""
    connection = Http1Connection(role, LIMITS)
    if role is Role.CLIENT:
        target = "a:1" if method == "CONNECT" else "/"
        connection.open(
            RequestHead(method=method, target=target, authority="a:1", headers=CIMultiDict())
        )
    outcome: list[object] = []
    content = bytearray()
    for piece in (wire[:cut], wire[cut:], None):
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
    whole = events(wire, role, method, 0)
    parts = events(wire, role, method, data[1] * len(wire) // 255)
    # When pipelined requests are cut, the answer to the first one may come before or after the
    # second has arrived; what is parsed must not depend on it.
    assert whole == parts, (whole, parts)


def main() -> None:
    import atheris

    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
