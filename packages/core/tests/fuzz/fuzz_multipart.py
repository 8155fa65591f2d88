"""Fuzz target for multipart bodies, cut where the first byte says."""

from antiphon.core import multipart
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
    if whole[-1] is END:
        check_written(whole)


def check_written(whole: list[object]) -> None:
    """Parts that were read, written again in the plainest form, are the same parts."""
    wire = b""
    for event in whole:
        if event is END:
            wire += b"--abc--"
        elif isinstance(event, tuple):
            wire += b"--abc\r\n"
            for name, value in event[0]:
                wire += f"{name}:{value}\r\n".encode("utf-8", "surrogateescape")
            wire += b"\r\n"
        elif isinstance(event, bytes):
            wire += event
        else:
            wire += b"\r\n"
    assert events([wire]) == whole, (wire, whole)


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, multipart)
