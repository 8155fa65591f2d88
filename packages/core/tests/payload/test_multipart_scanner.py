"""Multipart bodies: bytes to events, whichever way the bytes are cut."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.errors import BadHttpMessage, LocalProtocolError
from antiphon.core.limits import MultipartLimits
from antiphon.core.multipart import (
    END,
    NEED_DATA,
    PART_END,
    BadMultipart,
    MultipartScanner,
    MultipartTooLarge,
    PartCounts,
    PartHead,
    find_boundary,
    new_boundary,
)

Outcome = list[tuple[object, ...]]
Scan = Callable[..., Outcome]
Splits = Callable[[bytes], Iterator[list[bytes]]]

FIELD = b'Content-Disposition: form-data; name="a"\r\n'
FILE = b'Content-Disposition: form-data; name="f"; filename="x.txt"\r\n'


def part(
    content: bytes | None, name: str | None = None, filename: str | None = None, **headers: str
) -> Outcome:
    fields = {key.replace("_", "-"): value for key, value in headers.items()}
    if filename is not None:
        fields = {"Content-Disposition": f'form-data; name="{name}"; filename="{filename}"'}
    elif name is not None:
        fields = {"Content-Disposition": f'form-data; name="{name}"'}
    events: Outcome = [("part", fields, name, filename)]
    if content:
        events.append(("content", content))
    return [*events, ("PART_END",)]


DONE: Outcome = [("END",)]
BAD: Outcome = [("error", "BadMultipart", 400)]
LARGE: Outcome = [("error", "MultipartTooLarge", 413)]


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(
            b"--abc\r\n" + FIELD + b"\r\nvalue\r\n--abc--\r\n",
            part(b"value", "a") + DONE,
            id="one field",
        ),
        pytest.param(
            b"--abc\r\n" + FIELD + b"\r\nvalue\r\n--abc--",
            part(b"value", "a") + DONE,
            id="no line end after the last delimiter",
        ),
        pytest.param(
            b"--abc\r\n" + FIELD + b"\r\n1\r\n--abc\r\n" + FILE + b"\r\n2\r\n3\r\n--abc--\r\n",
            part(b"1", "a") + part(b"2\r\n3", "f", "x.txt") + DONE,
            id="a field and a file with a line end in it",
        ),
        pytest.param(
            b"for readers of mail\r\n--abc\r\n" + FIELD + b"\r\nv\r\n--abc--\r\nand for them too",
            part(b"v", "a") + DONE,
            id="preamble and epilogue mean nothing",
        ),
        pytest.param(
            b"\r\n--abc\r\n" + FIELD + b"\r\nv\r\n--abc--",
            part(b"v", "a") + DONE,
            id="an empty line first",
        ),
        pytest.param(b"--abc--\r\n", DONE, id="no parts at all"),
        pytest.param(b"--abc--", DONE, id="no parts and no line end"),
        pytest.param(
            b"--abc\r\n" + FIELD + b"\r\n\r\n--abc--", part(b"", "a") + DONE, id="empty content"
        ),
        pytest.param(
            b"--abc\r\n" + FIELD + b"\r\n--abc--",
            part(b"", "a") + DONE,
            id="no content: the empty line ends the header section and begins the delimiter",
        ),
        pytest.param(
            b"--abc\r\n\r\nv\r\n--abc--", part(b"v") + DONE, id="a part without header fields"
        ),
        pytest.param(
            b"--abc \t \r\n" + FIELD + b"\r\nv\r\n--abc \r\n\r\nw\r\n--abc-- \r\n",
            part(b"v", "a") + part(b"w") + DONE,
            id="white space behind delimiters, RFC 2046 section 5.1.1",
        ),
        pytest.param(
            b"--abc\r\n\r\na\r\n--abcd\r\nb\r\n--abc--",
            part(b"a\r\n--abcd\r\nb") + DONE,
            id="a longer boundary is content",
        ),
        pytest.param(
            b"--abc\r\n\r\na\r\n--abc-\r\nb\r\n--abc -\r\nc\r\n--abc\rd\r\n--abc--",
            part(b"a\r\n--abc-\r\nb\r\n--abc -\r\nc\r\n--abc\rd") + DONE,
            id="what is no whole delimiter is content",
        ),
        pytest.param(
            b"--abc\r\n\r\na--abc\r\n\n--abc\n\r--abc\r\n--abc--",
            part(b"a--abc\r\n\n--abc\n\r--abc") + DONE,
            id="a delimiter begins behind CRLF and nowhere else",
        ),
        pytest.param(
            b"--abc\r\n\r\n\r\r\n\r\r\n\r\r\n--abc--",
            part(b"\r\r\n\r\r\n\r") + DONE,
            id="content of line ends",
        ),
        pytest.param(
            b"--abc\r\n\r\n\r\n\r\n--ab\r\n-\r\n--abc--",
            part(b"\r\n\r\n--ab\r\n-") + DONE,
            id="beginnings of delimiters are content",
        ),
        pytest.param(
            b"--abc\r\nA:b\r\nC: \t d e \t\r\nF:\r\n\r\nv\r\n--abc--",
            part(b"v", A="b", C="d e", F="") + DONE,
            id="white space around values is no part of them",
        ),
        pytest.param(
            b"--abc\r\nX: caf\xc3\xa9 \xff\r\n\r\nv\r\n--abc--",
            part(b"v", X="café \udcff") + DONE,
            id="values are UTF-8, other bytes are kept",
        ),
        # --- malformed -----------------------------------------------------------------------
        pytest.param(b"", BAD, id="nothing"),
        pytest.param(b"hello", BAD, id="no delimiter at all"),
        pytest.param(b"--abd\r\n\r\nv\r\n--abd--", BAD, id="another boundary"),
        pytest.param(
            b"--abc\n" + FIELD.replace(b"\r", b"") + b"\nv\n--abc--\n", BAD, id="lines end in LF"
        ),
        pytest.param(b"--abc", BAD, id="CVE-2024-30251: ends inside the first delimiter"),
        pytest.param(b"--abc\r\n" + FIELD, BAD, id="CVE-2024-30251: ends in a header section"),
        pytest.param(
            b"--abc\r\n\r\nvalue",
            [*part(b"value")[:2], *BAD],
            id="CVE-2024-30251: ends in content",
        ),
        pytest.param(
            b"--abc\r\n\r\nv\r\n--abc",
            [*part(b"v")[:2], *BAD],
            id="CVE-2024-30251: ends in a delimiter",
        ),
        pytest.param(
            b"--abc\r\n\r\nv\r\n--abc\r\n", part(b"v") + BAD, id="CVE-2024-30251: no last delimiter"
        ),
        pytest.param(b"--abc\r\n" + FIELD + b"--abc--\r\n", BAD, id="header section without end"),
        pytest.param(b"--abc\r\nA : b\r\n\r\nv\r\n--abc--", BAD, id="space before the colon"),
        pytest.param(b"--abc\r\nA\r\n\r\nv\r\n--abc--", BAD, id="no colon"),
        pytest.param(b"--abc\r\n: b\r\n\r\nv\r\n--abc--", BAD, id="no field name"),
        pytest.param(b"--abc\r\nA: b\r\n c\r\n\r\nv\r\n--abc--", BAD, id="folded field line"),
        pytest.param(b"--abc\r\nA: b\nC: d\r\n\r\nv\r\n--abc--", BAD, id="LF in a value"),
        pytest.param(b"--abc\r\nA: b\rC: d\r\n\r\nv\r\n--abc--", BAD, id="CR in a value"),
        pytest.param(b"--abc\r\nA: b\x00\r\n\r\nv\r\n--abc--", BAD, id="NUL in a value"),
        pytest.param(b"--abc\r\n\xc3\xa9: b\r\n\r\nv\r\n--abc--", BAD, id="name is no token"),
        pytest.param(
            b"--abc\r\n" + FIELD + FILE + b"\r\nv\r\n--abc--", BAD, id="two Content-Disposition"
        ),
        pytest.param(
            b"--abc\r\nContent-Type: a/b\r\ncontent-type: c/d\r\n\r\nv\r\n--abc--",
            BAD,
            id="two Content-Type",
        ),
        pytest.param(
            b"--abc" + b" " * 257 + b"\r\n\r\nv\r\n--abc--", LARGE, id="too much white space"
        ),
        pytest.param(
            b"--abc\r\n\r\nv\r\n--abc" + b"\t" * 257 + b"x",
            [*part(b"v")[:2], *LARGE],
            id="too much white space, whatever follows",
        ),
        pytest.param(
            b"--abc" + b" " * 256 + b"\r\n\r\nv\r\n--abc--",
            part(b"v") + DONE,
            id="as much white space as there may be",
        ),
    ],
)
def test_events(wire: bytes, expected: Outcome, scan: Scan, splits: Splits) -> None:
    for pieces in splits(wire):
        assert scan(pieces) == expected, pieces


LIMITS = MultipartLimits(max_fields=2, max_files=1, max_part_headers=2, max_part_header_size=60)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(
            b"--abc\r\nA: 1\r\nB: 2\r\n\r\nv\r\n--abc--",
            part(b"v", A="1", B="2") + DONE,
            id="as many header fields as there may be",
        ),
        pytest.param(
            b"--abc\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\nv\r\n--abc--",
            LARGE,
            id="CVE-2026-34516: too many header fields in a part",
        ),
        pytest.param(
            b"--abc\r\nA: " + b"x" * 57 + b"\r\n\r\nv\r\n--abc--",
            part(b"v", A="x" * 57) + DONE,
            id="a header section as large as it may be",
        ),
        pytest.param(
            b"--abc\r\nA: " + b"x" * 58 + b"\r\n\r\nv\r\n--abc--",
            LARGE,
            id="CVE-2026-34516: too large a header section",
        ),
        pytest.param(
            b"--abc\r\nA: " + b"x" * 70, LARGE, id="CVE-2026-34516: a header section without end"
        ),
        pytest.param(
            b"--abc\r\n\r\n1\r\n" * 2 + b"--abc--",
            part(b"1") + part(b"1") + DONE,
            id="as many fields as there may be",
        ),
        pytest.param(
            b"--abc\r\n\r\n1\r\n" * 3 + b"--abc--",
            part(b"1") + part(b"1") + LARGE,
            id="CVE-2023-30798, CVE-2023-25577: too many fields",
        ),
        pytest.param(
            (b"--abc\r\n" + FILE + b"\r\n1\r\n") * 2 + b"--abc--",
            part(b"1", "f", "x.txt") + LARGE,
            id="CVE-2023-30798, CVE-2023-25577: too many files",
        ),
    ],
)
def test_limits(wire: bytes, expected: Outcome, scan: Scan, splits: Splits) -> None:
    for pieces in splits(wire):
        assert scan(pieces, limits=LIMITS) == expected, pieces


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_text_before_the_first_delimiter_is_limited(size: int, scan: Scan) -> None:
    body = b"--abc\r\n\r\nv\r\n--abc--"
    for preamble, expected in ((b"x" * 8190, part(b"v") + DONE), (b"x" * 8193, LARGE)):
        wire = preamble + b"\r\n" + body
        pieces = [wire[at : at + size] for at in range(0, len(wire), size)]
        assert scan(pieces) == expected


def test_text_after_the_last_delimiter_is_limited_and_not_kept() -> None:
    scanner = MultipartScanner(b"abc")
    scanner.receive_data(b"--abc--")
    assert scanner.next_event() is END
    assert scanner.ended
    scanner.receive_data(b"x" * 8192)
    assert scanner.next_event() is END
    assert scanner.buffered == 0
    scanner.receive_data(b"x")
    with pytest.raises(MultipartTooLarge, match="after the last boundary"):
        scanner.next_event()


def test_an_error_is_raised_again_and_nothing_is_kept() -> None:
    scanner = MultipartScanner(b"abc")
    scanner.receive_data(b"--abc\r\nbad\r\n\r\n")
    with pytest.raises(BadMultipart) as first:
        scanner.next_event()
    scanner.receive_data(b"x" * 100_000)
    with pytest.raises(BadMultipart) as second:
        scanner.next_event()
    assert second.value is first.value
    assert scanner.buffered == 0


def test_errors_are_of_two_families() -> None:
    assert issubclass(BadMultipart, BadHttpMessage)
    assert issubclass(BadMultipart, ValueError)
    assert BadMultipart("x").status == 400
    assert MultipartTooLarge("x").status == 413


def test_errors_quote_a_little_of_the_input_only() -> None:
    scanner = MultipartScanner(b"abc")
    scanner.receive_data(b"--abc\r\n" + b"x" * 5000 + b"\r\n\r\n")
    with pytest.raises(BadMultipart) as caught:
        scanner.next_event()
    assert len(caught.value.message) < 200


def test_bytes_after_the_end_are_our_own_mistake() -> None:
    scanner = MultipartScanner(b"abc")
    scanner.receive_eof()
    with pytest.raises(LocalProtocolError):
        scanner.receive_data(b"x")


def test_counts_are_shared_between_bodies_inside_one_another() -> None:
    counts = PartCounts()
    limits = MultipartLimits(max_fields=2)
    for _ in range(2):
        scanner = MultipartScanner(b"abc", limits, counts=counts)
        scanner.receive_data(b"--abc\r\n\r\nv\r\n--abc--")
        assert isinstance(scanner.next_event(), PartHead)
    scanner = MultipartScanner(b"abc", limits, counts=counts)
    scanner.receive_data(b"--abc\r\n\r\nv\r\n--abc--")
    with pytest.raises(MultipartTooLarge):
        scanner.next_event()


def test_a_scanner_may_begin_inside_of_a_part() -> None:
    scanner = MultipartScanner(b"abc", in_part=True)
    scanner.receive_data(b"v\r\n--abc\r\nA: b\r\n\r\nw")
    assert scanner.next_event() == b"v"
    assert scanner.next_event() is PART_END
    assert scanner.take_rest() == b"A: b\r\n\r\nw"


@pytest.mark.parametrize(
    ("disposition", "name", "filename", "counted_as"),
    [
        pytest.param('form-data; name="a"', "a", None, "fields", id="field"),
        pytest.param('form-data; name="filename"', "filename", None, "fields", id="so called"),
        pytest.param('form-data; name="a"; filename=""', "a", "", "files", id="no file chosen"),
        pytest.param("form-data; name=a; filename*=utf-8''%C3%A9", "a", "é", "files", id="8187"),
        pytest.param("form-data; name=a; FILENAME=b", "a", "b", "files", id="case"),
        pytest.param('form-data; name"a"', None, None, "fields", id="malformed"),
        pytest.param('form-data; name="a"; name="b"', None, None, "fields", id="two names"),
    ],
)
def test_name_and_file_name(
    disposition: str, name: str | None, filename: str | None, counted_as: str
) -> None:
    scanner = MultipartScanner(b"abc")
    scanner.receive_data(f"--abc\r\nContent-Disposition: {disposition}\r\n\r\n".encode())
    head = scanner.next_event()
    assert isinstance(head, PartHead)
    assert (head.name, head.filename) == (name, filename)
    assert (scanner.counts.fields, scanner.counts.files) == (
        (1, 0) if counted_as == "fields" else (0, 1)
    )


# --- whatever comes ---------------------------------------------------------------------------

FRAGMENTS = st.sampled_from([
    *(b"\r\n--abc", b"--abc--", b"--abc\r\n", b"\r\n", b"\r", b"\n", b"-", b" ", b"abc"),
    *(b"\r\n\r\n", b"A: b\r\n", FIELD, FILE, b"\x00", b"x" * 40, b"--abcd", b":"),
])


@settings(max_examples=300, deadline=None)
@given(
    fragments=st.lists(FRAGMENTS | st.binary(max_size=12), max_size=30),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_any_bytes_and_any_split_end_in_the_same_events_or_one_error(
    fragments: list[bytes], cuts: list[int]
) -> None:
    from_whole = _scan([b"".join(fragments)])
    wire = b"".join(fragments)
    places = sorted({cut for cut in cuts if cut < len(wire)})
    pieces = [wire[a:b] for a, b in zip([0, *places], [*places, len(wire)], strict=True)]
    assert _scan(pieces) == from_whole
    assert _scan([wire[i : i + 1] for i in range(len(wire))]) == from_whole
    assert from_whole[-1][0] in {"END", "error"}


def _scan(pieces: list[bytes]) -> Outcome:
    """`scan`, beside checking that no more is kept than may be."""
    limits = MultipartLimits(max_part_header_size=200, max_part_headers=4, max_fields=8)
    scanner = MultipartScanner(b"abc", limits)
    outcome: Outcome = []
    content = b""
    try:
        for piece in [*pieces, None]:
            if piece is None:
                scanner.receive_eof()
            else:
                scanner.receive_data(piece)
            while (event := scanner.next_event()) is not NEED_DATA:
                if isinstance(event, bytes):
                    content += event
                    continue
                if content:
                    outcome.append(("content", content))
                    content = b""
                if event is END:
                    return [*outcome, ("END",)]
                outcome.append(
                    ("part", dict(event.headers)) if isinstance(event, PartHead) else (event.name,)
                )
            assert scanner.buffered <= 300
    except BadMultipart as exc:
        if content:
            outcome.append(("content", content))
        outcome.append(("error", exc.status))
    return outcome


def _scan_all(wire: bytes, size: int) -> None:
    scanner = MultipartScanner(b"b" * 40, MultipartLimits(max_fields=10**6, max_files=10**6))
    for at in range(0, len(wire), size):
        scanner.receive_data(wire[at : at + size])
        while (event := scanner.next_event()) is not NEED_DATA and event is not END:
            pass


B40 = b"--" + b"b" * 40


@pytest.mark.parametrize(
    ("unit", "size"),
    [
        pytest.param(b"\r", 1024, id="CVE-2023-46136: content of CR"),
        pytest.param(b"\r\n", 1024, id="CVE-2023-46136: content of CRLF"),
        pytest.param(b"\r\n" + B40[:-1], 1000, id="beginnings of delimiters"),
        pytest.param(b"\r\n" + B40 + b"x", 1000, id="delimiters that go on"),
        pytest.param(b"\r\n" + B40 + b" " * 250 + b"x", 1000, id="delimiters with white space"),
        pytest.param(b"\r\n" + B40 + b"\r\n\r\n", 2**30, id="empty parts, all at once"),
        pytest.param(b"x", 1, id="one byte at a time"),
    ],
)
def test_work_is_linear(unit: bytes, size: int, assert_linear: Callable[..., None]) -> None:
    amount = 2**12 if size == 1 else 2**16
    head = B40 + b"\r\n\r\n"
    assert_linear(lambda count: _scan_all(head + unit * (count // len(unit)), size), amount)


# --- boundaries -------------------------------------------------------------------------------


def test_a_boundary_of_our_own_has_128_random_bits_and_is_new() -> None:
    """CVE-2025-22150: from the system's generator, not from one that can be foreseen."""
    made = {new_boundary() for _ in range(100)}
    assert len(made) == 100
    for boundary in made:
        assert len(boundary) == 32
        assert int(boundary, 16) >= 0


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        pytest.param("multipart/form-data; boundary=abc", b"abc", id="plain"),
        pytest.param('Multipart/Mixed; charset=x; BOUNDARY="a b:c"', b"a b:c", id="quoted"),
        pytest.param("multipart/form-data; boundary=" + "x" * 70, b"x" * 70, id="70 characters"),
        pytest.param("multipart/form-data; boundary=" + "x" * 71, None, id="71 characters"),
        pytest.param("multipart/form-data; boundary=", None, id="empty"),
        pytest.param('multipart/form-data; boundary="a "', None, id="space at the end"),
        pytest.param('multipart/form-data; boundary="a\tb"', None, id="tab"),
        pytest.param("multipart/form-data; boundary=\xe9", None, id="not ASCII"),
        pytest.param("multipart/form-data", None, id="no boundary"),
        pytest.param("text/plain; boundary=abc", None, id="another type"),
        pytest.param("multipart", None, id="no type"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_boundary_of_a_content_type(content_type: str, boundary: bytes | None) -> None:
    if boundary is None:
        with pytest.raises(BadMultipart):
            find_boundary(content_type)
    else:
        media_type, found = find_boundary(content_type)
        assert found == boundary
        assert media_type.type == "multipart"


@pytest.mark.parametrize("boundary", [b"", b"x" * 71])
def test_a_scanner_refuses_what_cannot_be_a_boundary(boundary: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 70"):
        MultipartScanner(boundary)
