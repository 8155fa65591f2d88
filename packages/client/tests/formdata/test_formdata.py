"""Forms: what is urlencoded, what is multipart, and the bytes of both."""

import asyncio
import io
import re
import tempfile
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from multidict import MultiDict, MultiDictProxy

from antiphon.client.formdata import FormData
from antiphon.core.aio.multipart import MultipartWriter
from antiphon.core.aio.payload import JsonPayload
from antiphon.core.deprecations import AntiphonDeprecationWarning

URLENCODED = "application/x-www-form-urlencoded"


def content(form: FormData) -> tuple[str, bytes]:
    """The media type without the boundary, and the content with ``B`` for it."""

    async def main() -> tuple[str, bytes]:
        payload = form()
        data = await payload.as_bytes()
        assert payload.size in (None, len(data))
        await payload.close()
        content_type, _, boundary = payload.content_type.partition("; boundary=")
        if not boundary:
            return content_type, data
        return content_type, data.replace(boundary.strip('"').encode(), b"B")

    return asyncio.run(main())


def part(*head: str, body: bytes = b"") -> bytes:
    return b"--B\r\n" + "".join(f"{line}\r\n" for line in head).encode() + b"\r\n" + body + b"\r\n"


def lines(data: bytes) -> list[set[bytes]]:
    """Parts as sets of lines: the order of header fields does not matter."""
    return [set(each.split(b"\r\n")) for each in data.split(b"--B")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, b"", id="nothing"),
        pytest.param({"a": "b", "c": "d"}, b"a=b&c=d", id="mapping"),
        pytest.param([("a", "b"), ("a", "c")], b"a=b&a=c", id="pairs, one name twice"),
        pytest.param([["a", "b"]], b"a=b", id="a pair as a list"),
        pytest.param({"a": ["x", "y"]}, b"a=x&a=y", id="several values"),
        pytest.param(MultiDict([("a", "b"), ("a", "c")]), b"a=b&a=c", id="multidict"),
        pytest.param(MultiDictProxy(MultiDict(a="b")), b"a=b", id="multidict proxy"),
        pytest.param([MultiDict(a="b"), ("c", "d")], b"a=b&c=d", id="mixed"),
        pytest.param({"a": 1, "b": 2.5, "c": True}, b"a=1&b=2.5&c=True", id="numbers"),
        pytest.param({"a b": "c d&é="}, b"a+b=c+d%26%C3%A9%3D", id="quoting"),
        pytest.param({"a": "x\r\ny"}, b"a=x%0D%0Ay", id="line breaks in a value"),
    ],
)
def test_urlencoded(fields: Any, expected: bytes) -> None:
    form = FormData(fields)
    assert not form.is_multipart
    assert content(form) == (URLENCODED, expected)


def test_charset() -> None:
    assert content(FormData({"a": "é"}, charset="latin-1")) == (
        f"{URLENCODED}; charset=latin-1",
        b"a=%E9",
    )


@pytest.mark.parametrize("fields", ["text", b"bytes", 3, [1], [("a",)], [("a", "b", "c")], ["ab"]])
def test_what_is_no_form(fields: Any) -> None:
    with pytest.raises(TypeError, match="pairs allowed"):
        FormData(fields)


class TestMultipart:
    def test_fields_and_files(self) -> None:
        form = FormData()
        form.add_field("text", "hällo")
        form.add_field("number", 5)
        form.add_field("file", io.BytesIO(b"\x00\xff"), filename="f.png")
        form.add_field("typed", "{}", content_type="application/json")
        assert form.is_multipart
        kind, data = content(form)
        assert kind == "multipart/form-data"
        assert lines(data) == lines(
            part(
                "Content-Type: text/plain; charset=utf-8",
                'Content-Disposition: form-data; name="text"',
                body="hällo".encode(),
            )
            + part(
                "Content-Type: text/plain; charset=utf-8",
                'Content-Disposition: form-data; name="number"',
                body=b"5",
            )
            + part(
                "Content-Type: image/png",
                'Content-Disposition: form-data; name="file"; filename="f.png"',
                body=b"\x00\xff",
            )
            + part(
                "Content-Type: application/json",
                'Content-Disposition: form-data; name="typed"',
                body=b"{}",
            )
            + b"--B--\r\n"
        )

    @pytest.mark.parametrize(
        ("quote_fields", "expected"),
        [
            pytest.param(True, 'name="é \\\\ %22"; filename="é %22.txt"', id="as browsers do"),
            pytest.param(False, 'name="é \\\\ \\""; filename="é \\".txt"', id="with backslashes"),
        ],
    )
    def test_names_that_need_quoting(self, quote_fields: bool, expected: str) -> None:
        form = FormData(quote_fields=quote_fields)
        form.add_field('é \\ "', "x", filename='é ".txt')
        _, data = content(form)
        assert f"Content-Disposition: form-data; {expected}\r\n".encode() in data

    def test_the_charset_of_text(self) -> None:
        form = FormData(charset="latin-1", default_to_multipart=True)
        form.add_field("a", "é")
        _, data = content(form)
        assert b"charset=latin-1\r\n" in data
        assert b"\r\n\r\n\xe9\r\n" in data

    def test_multipart_without_a_file(self) -> None:
        form = FormData({"a": "b"}, default_to_multipart=True)
        assert form.is_multipart
        assert content(form)[0] == "multipart/form-data"

    @pytest.mark.parametrize(
        ("make", "filename"),
        [
            pytest.param(lambda path: path.open("rb"), "f.txt", id="a file's own name"),
            pytest.param(lambda path: path.open(), "f.txt", id="a text file's own name"),
            pytest.param(lambda path: io.BytesIO(b"content"), "field", id="the field's name"),
            pytest.param(lambda path: io.StringIO("content"), "field", id="text in memory"),
        ],
    )
    def test_files_in_a_mapping(self, tmp_path: Path, make: Any, filename: str) -> None:
        path = tmp_path / "f.txt"
        path.write_text("content")
        with make(path) as file:
            _, data = content(FormData({"field": file}))
        assert f'name="field"; filename="{filename}"\r\n'.encode() in data
        assert b"\r\n\r\ncontent\r\n" in data

    def test_a_file_alone(self) -> None:
        _, data = content(FormData(io.BytesIO(b"x")))
        assert b'name="unknown"; filename="unknown"\r\n' in data

    def test_temporary_files(self) -> None:
        with tempfile.NamedTemporaryFile(suffix=".png") as file:
            file.write(b"content")
            file.seek(0)
            _, data = content(FormData({"field": file}))
        assert b"\r\n\r\ncontent\r\n" in data
        assert b"Content-Type: image/png\r\n" in data

    def test_nested(self) -> None:
        inner = MultipartWriter("mixed", boundary="inner")
        inner.append("x")
        _, data = content(FormData({"nested": inner}))
        assert b"multipart/mixed; boundary=inner" in data
        assert b"--inner--" in data

    def test_payloads(self) -> None:
        _, data = content(FormData({"j": JsonPayload({"a": 1})}))
        assert b"Content-Type: application/json\r\n" in data

    def test_async_iterables(self) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"con"
            yield b"tent"

        _, data = content(FormData({"a": pieces()}))
        assert b"\r\n\r\ncontent\r\n" in data

    def test_values_that_cannot_be_content(self) -> None:
        form = FormData({"a": object()}, default_to_multipart=True)
        with pytest.raises(TypeError):
            form()

    def test_boundaries_cannot_be_guessed(self) -> None:
        """CVE-2025-22150 of undici"""
        form = FormData(default_to_multipart=True)
        boundaries = {form().content_type.partition("boundary=")[2] for _ in range(50)}
        assert len(boundaries) == 50
        assert all(len(re.sub(r"[^0-9A-Za-z]", "", boundary)) >= 22 for boundary in boundaries)


class TestRefused:
    @pytest.mark.parametrize("bad", ["\r", "\n", "\r\n", "\x00"])
    @pytest.mark.parametrize(
        "argument",
        [
            pytest.param("name", id="name"),
            pytest.param("filename", id="filename"),
            pytest.param("content_type", id="CVE-2026-34514: content_type"),
            pytest.param("content_transfer_encoding", id="CVE-2026-50269: header"),
        ],
    )
    def test_line_breaks(self, argument: str, bad: str) -> None:
        arguments: dict[str, Any] = {"name": "n", "value": "v", argument: f"a/b{bad}X: y"}
        with pytest.raises(ValueError, match=argument):
            FormData().add_field(**arguments)

    @pytest.mark.parametrize(
        "argument", ["name", "filename", "content_type", "content_transfer_encoding"]
    )
    def test_what_is_no_text(self, argument: str) -> None:
        arguments: dict[str, Any] = {"name": "n", "value": "v", argument: 3}
        with pytest.raises(TypeError, match=f"{argument} must be an instance of str"):
            FormData().add_field(**arguments)


class TestObsolete:
    @pytest.mark.parametrize("value", [b"x", bytearray(b"x"), memoryview(b"x")])
    def test_bytes_make_a_file(self, value: Any) -> None:
        form = FormData()
        with pytest.warns(AntiphonDeprecationWarning, match="ANT-0018") as caught:
            form.add_field("a", value)
        assert caught[0].filename == __file__
        assert b'name="a"; filename="a"\r\n' in content(form)[1]

    def test_bytes_with_a_file_name_are_fine(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            form = FormData()
            form.add_field("a", b"x", filename="f")
        assert b'filename="f"' in content(form)[1]

    def test_a_transfer_encoding(self) -> None:
        form = FormData()
        with pytest.warns(AntiphonDeprecationWarning, match="ANT-0016") as caught:
            form.add_field("a", "x", content_transfer_encoding="binary")
        assert caught[0].filename == __file__
        assert b"content-transfer-encoding" not in content(form)[1].lower()
        assert form.is_multipart
