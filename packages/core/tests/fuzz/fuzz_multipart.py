"""Fuzz target for multipart bodies.

``python packages/core/tests/fuzz/fuzz_multipart.py [corpus]`` runs it with Atheris where that is
installed; `fuzz_one` is a plain function for any other driver.
"""

import sys
from types import FunctionType

from antiphon.core.limits import MultipartLimits
from antiphon.core.multipart import END, NEED_DATA, BadMultipart, MultipartScanner, PartHead

LIMITS = MultipartLimits(max_fields=5, max_files=3, max_part_headers=3, max_part_header_size=120)
_KEPT = 120 + 300
"""A header section, or a delimiter with its white space, and what tells their ends."""


def events(pieces: list[bytes]) -> list[object]:
    """Run *pieces* through a scanner; give all that came out."""
    scanner = MultipartScanner(b"abc", LIMITS)
    outcome: list[object] = []
    content = b""
    for piece in [*pieces, None]:
        if piece is None:
            scanner.receive_eof()
        else:
            scanner.receive_data(piece)
        while True:
            try:
                event = scanner.next_event()
            except BadMultipart as exc:
                assert scanner.buffered == 0
                return [*outcome, content, exc.status]
            if isinstance(event, bytes):
                assert event
                content += event
                continue
            if event is NEED_DATA:
                break
            if content:
                outcome.append(content)
                content = b""
            if isinstance(event, PartHead):
                outcome.append((list(event.headers.items()), event.name, event.filename))
            else:
                outcome.append(event)
            if event is END:
                return outcome
        assert scanner.buffered <= _KEPT
    raise AssertionError("neither an end nor an error")


def fuzz_one(data: bytes) -> None:
    """Check that *data*, behind one byte that says where to cut, means the same however it is cut.

    Raises:
        AssertionError: It does not.
    """
    if not data:
        return
    cut, wire = data[0], data[1:]
    whole = events([wire])
    assert events([wire[:cut], wire[cut:]]) == whole, wire
    assert events([wire[at : at + 1] for at in range(len(wire))]) == whole, wire


def main() -> None:
    """Fuzz until told to stop."""
    import atheris  # type: ignore[import-untyped]  # it has no types

    for name, member in list(vars(MultipartScanner).items()):
        if isinstance(member, FunctionType):  # all the others would take a minute
            setattr(MultipartScanner, name, atheris.instrument_func(member))
    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
