"""Fuzz target for ``Content-Disposition``: read without guessing, written so that it reads back."""

from antiphon.core.fields import disposition
from antiphon.core.fields.disposition import (
    content_disposition_filename,
    content_disposition_header,
    parse_disposition,
)


def fuzz_one(data: bytes) -> None:
    """Check one field value, and one file name.

    Raises:
        AssertionError: A property does not hold.
    """
    text = data.decode("utf-8", "surrogateescape")
    kind, parameters, faults = parse_disposition(text)
    assert len(faults) <= 5
    assert all(fault.isascii() and len(fault) < 50 for fault in faults)
    assert kind is None or kind == kind.lower()
    assert kind is not None or not parameters
    assert all(name == name.lower() for name in parameters)
    content_disposition_filename(parameters)
    check_written(text)


def check_written(filename: str) -> None:
    """What is written reads back, and takes no other parameter along."""
    for kind in ("attachment", "form-data"):
        try:
            header = content_disposition_header(kind, params={"name": "a", "filename": filename})
        except ValueError:
            continue  # a control character, or what UTF-8 does not have
        assert not any(ord(character) < 32 and character != "\t" for character in header)
        read = parse_disposition(header)
        assert (read.type, read.faults) == (kind, ()), (header, read)
        assert set(read.parameters) <= {"name", "filename", "filename*"}
        assert read.parameters["name"] == "a"
        got = content_disposition_filename(read.parameters)
        expected = filename.replace('"', "%22") if kind == "form-data" else filename
        assert got == expected, (header, got, expected)


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, disposition)
