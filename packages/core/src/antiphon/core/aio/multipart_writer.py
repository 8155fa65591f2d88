"""Multipart bodies to be sent."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, final
from urllib.parse import urlencode

from multidict import CIMultiDict

from .. import coding, hdrs
from ..fields.media_type import MediaType
from ..multipart import new_boundary
from ._part_coding import EncodingWriter, content_encoding, transfer_encoding
from ._payload_base import Collector, LookupError, Payload, get_payload
from .payload import BytesPayload, JsonPayload, StringPayload
from .writer import AbstractStreamWriter

__all__ = ("MultipartWriter",)

# RFC 2046 section 5.1.1, without the restriction to a few punctuation characters.
_BOUNDARY = re.compile(r"[\x20-\x7e]{0,69}[\x21-\x7e]")
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_GATHERED: Final = 64 * 1024
"""Bytes of delimiters, header sections and small parts that go out in one write."""


@final
class _Part:
    __slots__ = ("content", "payload", "transfer")

    def __init__(self, payload: Payload, content: str | None, transfer: str | None) -> None:
        self.payload = payload
        self.content = content
        self.transfer = transfer

    @property
    def encoded(self) -> bool:
        return self.content is not None or self.transfer is not None

    @property
    def is_bytes(self) -> bool:
        """Whether all there is to write are the bytes that the payload has."""
        return not self.encoded and type(self.payload).write is BytesPayload.write

    @property
    def size(self) -> int | None:
        return None if self.encoded else self.payload.size

    def head(self) -> bytes:
        """The header section with its empty line. Made when needed: headers may change."""
        return _serialize(self.payload.headers)


class MultipartWriter(Payload):
    """A multipart body, made of payloads.

    Args:
        subtype: ``form-data``, ``mixed``, ``related``, ...
        boundary: What separates the parts: 1 to 70 printable ASCII characters that occur in
            none of them. By default 128 random bits.

    Raises:
        ValueError: There cannot be such a boundary or subtype.
    """

    __slots__ = ("_boundary", "_is_form_data", "_parts")

    def __init__(self, subtype: str = "mixed", boundary: str | None = None) -> None:
        boundary = new_boundary() if boundary is None else boundary
        if not boundary.isascii():
            raise ValueError("boundary should contain ASCII only chars")
        if _BOUNDARY.fullmatch(boundary) is None:
            raise ValueError(f"boundary has 1 to 70 printable characters, not {boundary[:100]!r}")
        content_type = str(MediaType("multipart", subtype, (("boundary", boundary),)))
        super().__init__(None, content_type=content_type)
        self._boundary = boundary.encode("ascii")
        self._is_form_data = subtype == "form-data"
        self._parts: list[_Part] = []

    def __enter__(self) -> "MultipartWriter":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass  # what is sent is closed by who sends it

    def __iter__(self) -> Iterator[tuple[Payload, str, str]]:
        """Give each part with its content coding and its transfer encoding, or ``""``."""
        return ((part.payload, part.content or "", part.transfer or "") for part in self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __bool__(self) -> bool:
        return True

    @property
    def boundary(self) -> str:
        """What separates the parts."""
        return self._boundary.decode("ascii")

    # --- making it ----------------------------------------------------------------------------

    def append(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Add a part and return it, for its headers to be changed further.

        Args:
            obj: A payload, or what `get_payload` makes one of.
            headers: Header fields of the part.

        Raises:
            TypeError: There is no payload for *obj*.
            ValueError: A header field cannot be sent; or it may not be sent in a form.
            RuntimeError: A content coding or transfer encoding that does not exist.
        """
        if isinstance(obj, Payload):
            if headers is not None:
                obj.headers.update(headers)
            return self.append_payload(obj)
        try:
            payload = get_payload(obj, headers=CIMultiDict(headers or ()))
        except LookupError as exc:
            raise TypeError(f"Cannot create payload from {obj!r}") from exc
        return self.append_payload(payload)

    def append_payload(self, payload: Payload) -> Payload:
        """Add a part and return it. Raises what `append` raises."""
        headers = payload.headers
        _check_fields(headers)
        if self._is_form_data:
            self._describe_field(payload)
            part = _Part(payload, None, None)
        else:
            part = _Part(payload, content_encoding(headers), transfer_encoding(headers))
            _check_encodings(part)
            if (size := part.size) is not None:
                headers[hdrs.CONTENT_LENGTH] = str(size)
        self._parts.append(part)
        return payload

    def _describe_field(self, payload: Payload) -> None:
        headers = payload.headers
        for name in (hdrs.CONTENT_ENCODING, hdrs.CONTENT_LENGTH, hdrs.CONTENT_TRANSFER_ENCODING):
            if name in headers:  # RFC 7578 section 4.8
                raise ValueError(f"{name} must not be sent in a form")
        if hdrs.CONTENT_DISPOSITION not in headers:
            payload.set_content_disposition("form-data", name=f"section-{len(self._parts)}")

    def append_json(self, obj: Any, headers: Mapping[str, str] | None = None) -> Payload:
        """Add *obj* as JSON."""
        return self.append_payload(JsonPayload(obj, headers=CIMultiDict(headers or ())))

    def append_form(
        self,
        obj: Sequence[tuple[str, str]] | Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> Payload:
        """Add an urlencoded form, given as a mapping or as pairs."""
        pairs = list(obj.items()) if isinstance(obj, Mapping) else obj
        return self.append_payload(
            StringPayload(
                urlencode(pairs, doseq=True),
                CIMultiDict(headers or ()),
                content_type="application/x-www-form-urlencoded",
            )
        )

    # --- sending it ---------------------------------------------------------------------------

    @property
    def size(self) -> int | None:
        """Size in bytes; ``None`` if that of a part is not known or changes by its encoding."""
        total = len(self._boundary) + 6
        for part in self._parts:
            size = part.size
            if size is None:
                return None
            total += len(self._boundary) + 4 + len(part.head()) + size + 2
        return total

    @property
    def consumed(self) -> bool:
        """Whether a part cannot be had again."""
        return any(part.payload.consumed for part in self._parts)

    @property
    def replayable(self) -> bool:
        """Whether all parts are."""
        return all(part.payload.replayable for part in self._parts)

    @property
    def autoclose(self) -> bool:
        """Whether no part has to be closed."""
        return all(part.payload.autoclose for part in self._parts)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text.

        Raises:
            TypeError: The content of a part is not at hand, or is to be encoded.
        """
        delimiter = f"--{self.boundary}"
        texts = []
        for part in self._parts:
            if part.encoded:
                raise TypeError("a part is to be encoded; use as_bytes()")
            head = part.head().decode("utf-8", "surrogateescape")
            content = part.payload.decode(encoding, errors)
            texts.append(f"{delimiter}\r\n{head}{content}\r\n")
        return "".join((*texts, delimiter, "--\r\n"))

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the body. Parts that can be had once only keep what was taken."""
        collected = Collector()
        for part in self._parts:
            await collected.write(b"--" + self._boundary + b"\r\n" + part.head())
            content = await part.payload.as_bytes(encoding, errors)
            if part.encoded:
                encoding_writer = EncodingWriter(collected, part.transfer, part.content)
                await encoding_writer.write_eof(content)
            else:
                await collected.write(content)
            await collected.write(b"\r\n")
        await collected.write(b"--" + self._boundary + b"--\r\n")
        return bytes(collected.data)

    async def write(self, writer: AbstractStreamWriter, close_boundary: bool = True) -> None:
        """Write the parts to *writer*.

        Args:
            writer: Where to.
            close_boundary: Write the last delimiter too.

        Raises:
            ValueError: A header field cannot be sent.
        """
        # Headers may have changed since: nothing leaves before all of them are known to be good.
        heads = [part.head() for part in self._parts]
        delimiter = b"--" + self._boundary
        gathered = bytearray()
        for part, head in zip(self._parts, heads, strict=True):
            gathered += delimiter + b"\r\n" + head
            if part.is_bytes and len(gathered) + len(part.payload.value) <= _GATHERED:
                gathered += part.payload.value
                gathered += b"\r\n"
                continue
            await writer.write(bytes(gathered))
            gathered.clear()
            await self._write_content(writer, part)
            gathered += b"\r\n"
        if close_boundary:
            gathered += delimiter + b"--\r\n"
        if gathered:
            await writer.write(bytes(gathered))

    async def _write_content(self, writer: AbstractStreamWriter, part: _Part) -> None:
        if part.encoded:
            encoding = EncodingWriter(writer, part.transfer, part.content)
            await part.payload.write(encoding)
            await encoding.write_eof()
        elif isinstance(part.payload, MultipartWriter):
            await part.payload.write(writer)
        else:
            # No more than was announced: a file may have grown.
            await part.payload.write_with_length(writer, part.payload.size)

    async def close(self) -> None:
        """Close every part, also if closing one fails or this is cancelled."""
        if self._closed:
            return
        self._closed = True
        failure: BaseException | None = None
        for part in self._parts:
            try:
                await part.payload.close()
            except BaseException as exc:  # raised below, once all are closed
                failure = failure or exc
        if failure is not None:
            raise failure


def _check_encodings(part: _Part) -> None:
    if part.content is not None:
        try:
            coding.encoder(part.content)
        except coding.UnknownContentCoding as exc:
            raise RuntimeError(f"unknown content encoding: {part.content}") from exc
    if part.transfer not in {None, "base64", "quoted-printable"}:
        raise RuntimeError(f"unknown content transfer encoding: {part.transfer}")


def _check_fields(headers: "CIMultiDict[str]") -> None:
    # CVE-2026-34514, CVE-2026-50269: a line end in any of these begins a field of its own.
    for name, value in headers.items():
        if _FIELD_NAME.fullmatch(name) is None:
            raise ValueError(f"not the name of a header field: {name[:100]!r}")
        if _CONTROL.search(value):
            raise ValueError(f"{name} has a control character: {value[:100]!r}")


def _serialize(headers: "CIMultiDict[str]") -> bytes:
    _check_fields(headers)
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{lines}\r\n".encode("utf-8", "surrogateescape")
