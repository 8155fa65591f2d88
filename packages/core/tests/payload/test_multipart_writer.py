"""Multipart bodies to be sent."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from antiphon.core.aio.multipart import MultipartWriter
from antiphon.core.aio.payload import BytesPayload, StringPayload
from antiphon.core.aio.writer import AbstractStreamWriter

NewWriter = Callable[..., Any]


async def test_a_form(collecting_writer: NewWriter) -> None:
    with MultipartWriter("form-data", boundary="abc") as form:
        form.append("text").set_content_disposition("form-data", name='na"mé')
        form.append(b"bytes", {"X-Own": "1"})
        file = form.append(io.BytesIO(b"file"), {"Content-Type": "image/png"})
        file.set_content_disposition("form-data", name="file", filename="ä b.png")
    expected = (
        "--abc\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        'Content-Disposition: form-data; name="na%22mé"\r\n'
        "\r\n"
        "text\r\n"
        "--abc\r\n"
        "X-Own: 1\r\n"
        "Content-Type: application/octet-stream\r\n"
        'Content-Disposition: form-data; name="section-1"\r\n'
        "\r\n"
        "bytes\r\n"
        "--abc\r\n"
        "Content-Type: image/png\r\n"
        'Content-Disposition: form-data; name="file"; filename="ä b.png"\r\n'
        "\r\n"
        "file\r\n"
        "--abc--\r\n"
    )
    writer = collecting_writer()
    await form.write(writer)
    assert writer.data.decode() == expected
    assert form.size == len(writer.data)
    assert await form.as_bytes() == writer.data
    assert form.decode() == expected
    assert form.content_type == "multipart/form-data; boundary=abc"
    assert form.headers["Content-Type"] == form.content_type


async def test_a_mixed_body_with_another_inside() -> None:
    outer = MultipartWriter(boundary="out")
    inner = MultipartWriter("related", boundary="in")
    inner.append_json({"a": 1})
    outer.append_form([("a", "b"), ("c", "d e")])
    outer.append(inner)
    assert (await outer.as_bytes()).decode() == (
        "--out\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 9\r\n"
        "\r\n"
        "a=b&c=d+e\r\n"
        "--out\r\n"
        "Content-Type: multipart/related; boundary=in\r\n"
        f"Content-Length: {inner.size}\r\n"
        "\r\n"
        "--in\r\n"
        "Content-Type: application/json\r\n"
        "Content-Length: 8\r\n"
        "\r\n"
        '{"a": 1}\r\n'
        "--in--\r\n"
        "\r\n"
        "--out--\r\n"
    )
    assert outer.size == len(await outer.as_bytes())


async def test_the_last_delimiter_may_be_left_out() -> None:
    body = MultipartWriter(boundary="abc")
    assert await body.as_bytes() == b"--abc--\r\n"
    assert body.size == 9

    class Taken(AbstractStreamWriter):
        data = b""

        async def write(self, chunk: Any) -> None:
            self.data += chunk

        async def write_eof(self, chunk: Any = b"") -> None:
            self.data += chunk

        async def drain(self) -> None:
            pass

    taken = Taken()
    body.append(b"1", {"A": "b"})
    await body.write(taken, close_boundary=False)
    assert taken.data.endswith(b"\r\n\r\n1\r\n")


async def test_small_parts_leave_in_one_write_and_large_ones_bounded(
    collecting_writer: NewWriter,
) -> None:
    small = MultipartWriter("form-data")
    for number in range(50):
        small.append(str(number))
    writer = collecting_writer()
    await small.write(writer)
    assert len(writer.chunks) == 1

    large = MultipartWriter("form-data")
    large.append(bytes(3_000_000))
    writer = collecting_writer()
    await large.write(writer)
    assert len(writer.data) == large.size
    assert max(map(len, writer.chunks)) <= 256 * 1024


def test_parts_can_be_looked_at() -> None:
    body = MultipartWriter()
    assert body  # also without parts
    assert len(body) == 0
    first = body.append("1")
    second = body.append(b"2", {"Content-Encoding": "gzip", "Content-Transfer-Encoding": "base64"})
    assert len(body) == 2
    assert list(body) == [(first, "", ""), (second, "gzip", "base64")]


def test_size_is_not_known_if_that_of_a_part_is_not() -> None:
    async def give() -> AsyncIterator[bytes]:
        yield b"x"

    body = MultipartWriter()
    body.append(give())
    assert body.size is None
    body = MultipartWriter()
    body.append(b"x", {"Content-Encoding": "gzip"})
    assert body.size is None
    assert "Content-Length" not in next(iter(body))[0].headers


def test_boundary_and_subtype_of_ones_own() -> None:
    body = MultipartWriter("form-data", boundary="a b:c")
    assert body.boundary == "a b:c"
    assert body.content_type == 'multipart/form-data; boundary="a b:c"'
    assert len(MultipartWriter().boundary) >= 32


@pytest.mark.parametrize(
    "boundary", ["", "x" * 71, "é", "a\r\nb", "a\x00", "a ", "\x7f"], ids=ascii
)
def test_boundary_that_cannot_be(boundary: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        MultipartWriter(boundary=boundary)


def test_subtype_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="media type"):
        MultipartWriter("mixed\r\nX: y")


@pytest.mark.parametrize("bad", ["\r", "\n", "\r\nX: y", "\x00"], ids=ascii)
async def test_line_ends_are_refused_everywhere(bad: str, collecting_writer: NewWriter) -> None:
    """CVE-2026-34514, CVE-2026-50269."""
    body = MultipartWriter("form-data")
    with pytest.raises(ValueError, match="control character"):
        body.append("x", {"X-Own": f"a{bad}b"})
    with pytest.raises(ValueError, match="header field"):
        body.append("x", {f"X{bad}": "a"})
    with pytest.raises(ValueError, match="control character"):
        body.append(BytesPayload(b"x", content_type=f"text/plain{bad}"))
    assert len(body) == 0
    part = body.append("x")
    for name in ("name", "filename"):
        with pytest.raises(ValueError, match="control character"):
            part.set_content_disposition("form-data", True, "utf-8", **{name: f"a{bad}b"})
        with pytest.raises(ValueError, match="control character"):
            part.set_content_disposition("form-data", False, "utf-8", **{name: f"a{bad}b"})
    part.headers["X-Later"] = f"a{bad}b"
    writer = collecting_writer()
    with pytest.raises(ValueError, match="control character"):
        await body.write(writer)
    assert writer.chunks == [], "nothing leaves before all is known to be good"


@pytest.mark.parametrize(
    "name", ["Content-Encoding", "Content-Length", "Content-Transfer-Encoding"]
)
def test_fields_that_a_form_must_not_have(name: str) -> None:
    """RFC 7578 section 4.8."""
    with pytest.raises(ValueError, match=name):
        MultipartWriter("form-data").append("x", {name: "1"})


@pytest.mark.parametrize("name", ["Content-Encoding", "Content-Transfer-Encoding"])
def test_encodings_that_do_not_exist(name: str) -> None:
    body = MultipartWriter()
    with pytest.raises(RuntimeError, match="unknown content"):
        body.append("x", {name: "nope"})
    assert len(body) == 0


def test_what_no_payload_is_registered_for() -> None:
    with pytest.raises(TypeError, match="Cannot create payload from"):
        MultipartWriter().append(object())


def test_headers_are_added_to_a_payload() -> None:
    body = MultipartWriter()
    payload = StringPayload("x")
    assert body.append(payload, {"X-Own": "1"}) is payload
    assert payload.headers["X-Own"] == "1"
    assert body.append_payload(StringPayload("y")).headers["Content-Length"] == "1"


async def test_lines_of_base64_and_quoted_printable_are_short() -> None:
    """RFC 2045 sections 6.7 and 6.8: 76 characters."""
    body = MultipartWriter(boundary="abc")
    body.append(bytes(range(256)) * 4, {"Content-Transfer-Encoding": "base64"})
    body.append(bytes(range(256)) * 4, {"Content-Transfer-Encoding": "quoted-printable"})
    lines = (await body.as_bytes()).split(b"\r\n")
    assert max(map(len, lines)) == 76
    assert not any(b"\n" in line or b"\r" in line for line in lines)


# --- again, and closing -----------------------------------------------------------------------


class Closable(BytesPayload):
    """Counts how often it is closed."""

    def __init__(self, value: bytes, error: BaseException | None = None) -> None:
        super().__init__(value)
        self.closed = 0
        self.error = error

    async def close(self) -> None:
        self.closed += 1
        if self.error is not None:
            raise self.error


async def test_a_body_can_be_sent_again_if_all_parts_can() -> None:
    async def give() -> AsyncIterator[bytes]:
        yield b"x"

    body = MultipartWriter()
    body.append(b"1")
    body.append(io.BytesIO(b"2"))
    assert (body.replayable, body.consumed) == (True, False)
    assert await body.as_bytes() == await body.as_bytes()
    body.append(give(), {"Content-Encoding": "gzip"})
    assert (body.replayable, body.consumed) == (False, False)
    first = await body.as_bytes()
    assert (body.replayable, body.consumed) == (True, False), "as_bytes keeps what it took"
    assert await body.as_bytes() == first
    part = body.append(give())

    class Sink(AbstractStreamWriter):
        async def write(self, chunk: Any) -> None:
            pass

        async def write_eof(self, chunk: Any = b"") -> None:
            pass

        async def drain(self) -> None:
            pass

    await body.write(Sink())
    assert part.consumed
    assert (body.replayable, body.consumed) == (False, True)


async def test_every_part_is_closed_once_even_if_one_cannot_be() -> None:
    parts = [Closable(b"1"), Closable(b"2", OSError("disk")), Closable(b"3")]
    inner = MultipartWriter()
    inner.append_payload(parts[2])
    body = MultipartWriter()
    for part in (*parts[:2], inner):
        body.append_payload(part)
    with pytest.raises(OSError, match="disk"):
        await body.close()
    await body.close()
    assert [part.closed for part in parts] == [1, 1, 1]


async def test_every_part_is_closed_even_if_the_closing_is_cancelled() -> None:
    began = asyncio.Event()

    class Slow(Closable):
        async def close(self) -> None:
            self.closed += 1
            began.set()
            await asyncio.get_running_loop().create_future()

    parts = [Slow(b"1"), Closable(b"2")]
    body = MultipartWriter()
    for part in parts:
        body.append_payload(part)
    closing = asyncio.ensure_future(body.close())
    await began.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert [part.closed for part in parts] == [1, 1]


async def test_no_more_of_a_part_is_sent_than_was_announced(
    collecting_writer: NewWriter, tmp_path: Any
) -> None:
    path = tmp_path / "grows"
    path.write_bytes(b"12345")
    body = MultipartWriter(boundary="abc")
    with path.open("rb") as file:
        body.append(file)
        announced = body.size
        with path.open("ab") as more:
            more.write(b"6789")
        writer = collecting_writer()
        await body.write(writer)
        await body.close()
    assert len(writer.data) == announced
    assert b"\r\n12345\r\n--abc--" in writer.data
