"""Multipart bodies over streams: readers here, `MultipartWriter` in `.multipart_writer`.

A reader hands out one part at a time, and a part its content as it comes; what
was not read of a part is skipped when the next one is asked for. Malformed
bodies end in `BadMultipart`, which is a `ValueError` as well.
"""

import asyncio
import inspect
import json
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol, TypeVar, final
from urllib.parse import parse_qsl

import attrs
from multidict import CIMultiDict, CIMultiDictProxy

from .. import hdrs
from ..errors import quoted
from ..fields.charset import find_charset
from ..fields.media_type import parse_media_type
from ..limits import MultipartLimits
from ..multipart import (
    END,
    NEED_DATA,
    PART_END,
    BadMultipart,
    Event,
    MultipartScanner,
    MultipartTooLarge,
    PartCounts,
    PartHead,
    find_boundary,
)
from ._part_coding import PartDecoder, content_encoding, transfer_encoding
from ._payload_base import Payload, register_payload
from .multipart_writer import MultipartWriter
from .streams import StreamReader
from .writer import AbstractStreamWriter

__all__ = (
    "BadMultipart",
    "BodyPartReader",
    "BodyPartReaderPayload",
    "MultipartReader",
    "MultipartResponseWrapper",
    "MultipartTooLarge",
    "MultipartWriter",
)

_Buffer = TypeVar("_Buffer", bytes, bytearray)

_NO_LIMITS: Final = MultipartLimits()
_READ_SIZE: Final = 64 * 1024
_STEP: Final = 256 * 1024
_MAX_DECODED: Final = 64 * 1024 * 1024
"""Bytes that a compressed part may have when it is taken as a whole and nobody set a limit."""

_MAX_CHARSET_NAME: Final = 31


class _Source(Protocol):
    async def read(self, n: int = -1) -> bytes: ...


@final
class _PartContent:
    """The content of one part, as it is between the delimiters."""

    __slots__ = ("_rest_to", "_scanner", "_source", "ended", "head")

    def __init__(
        self,
        source: _Source,
        scanner: MultipartScanner,
        head: PartHead,
        rest_to: StreamReader | None = None,
    ) -> None:
        self._source = source
        self._scanner = scanner
        self._rest_to = rest_to
        self.head = head
        self.ended = False

    @property
    def limits(self) -> MultipartLimits:
        return self._scanner.limits

    @property
    def counts(self) -> PartCounts:
        return self._scanner.counts

    async def read(self, n: int = -1) -> bytes:
        """Return the next piece, whatever its size; nothing when the part has ended."""
        if self.ended:
            return b""
        event = await _next_event(self._scanner, self._source)
        if isinstance(event, bytes):
            return event
        assert event is PART_END
        self.ended = True
        if self._rest_to is not None and (rest := self._scanner.take_rest()):
            self._rest_to.unread_data(rest)
        return b""

    async def skip(self) -> None:
        while not self.ended:
            await self.read()


async def _next_event(scanner: MultipartScanner, source: _Source) -> Event:
    while (event := scanner.next_event()) is NEED_DATA:
        data = await source.read(_READ_SIZE)
        if data:
            scanner.receive_data(data)
        else:
            scanner.receive_eof()
    return event


class BodyPartReader:
    """One part of a multipart body.

    Made by `MultipartReader.next`. Its content can be taken once, by any mixture of the
    reading methods.

    Args:
        boundary: The delimiter's line, ``--`` included.
        headers: The part's header section.
        content: The stream, which is at the beginning of the part's content.
        subtype: What the body is: ``form-data``, ``mixed``, ...
        default_charset: Charset of text that names none.
        max_decompress_size: Bytes that one piece of `decode_iter` has at most.
        client_max_size: Bytes that `read` and all that is built on it take at most.
        max_size_error_cls: What is raised beyond that, called with the limit.
    """

    chunk_size = 8192

    def __init__(
        self,
        boundary: bytes,
        headers: "CIMultiDictProxy[str]",
        content: StreamReader,
        *,
        subtype: str = "mixed",
        default_charset: str | None = None,
        max_decompress_size: int = _STEP,
        client_max_size: int = sys.maxsize,
        max_size_error_cls: type[Exception] = ValueError,
    ) -> None:
        self.headers = headers
        self._boundary = boundary
        self._content = _content_of(boundary, headers, content)
        self._is_form_data = subtype == "form-data"
        self._default_charset = default_charset
        self._max_decompress_size = max_decompress_size
        self._client_max_size = client_max_size
        self._max_size_error_cls = max_size_error_cls
        # Content that came and was not taken yet: all of _pending from _taken on.
        self._pending = b""
        self._taken = 0
        # Bytes given away encoded, and bytes of them that came back to be decoded.
        self._given = 0
        self._decoded = 0
        self._decoder: PartDecoder | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.headers.get(hdrs.CONTENT_TYPE)}>"

    def __aiter__(self) -> "BodyPartReader":
        return self

    async def __anext__(self) -> bytes:
        data = await self.next()
        if data is None:
            raise StopAsyncIteration
        return data

    async def next(self) -> bytes | None:
        """Return all of the content, ``None`` if there is none left."""
        return await self.read() or None

    @property
    def name(self) -> str | None:
        """The name of the form's field; ``None`` if there is none."""
        return self._content.head.name

    @property
    def filename(self) -> str | None:
        """The name of the file, as the peer says it, which is no path; ``None`` if there is none."""
        return self._content.head.filename

    def at_eof(self) -> bool:
        """Whether all of the content was taken."""
        return self._content.ended and self._taken >= len(self._pending)

    async def read(self, *, decode: bool = False) -> bytes:
        """Return the content, or what is left of it.

        Args:
            decode: Take the part's encodings off.

        Raises:
            BadMultipart: The body is malformed.
            ContentEncodingError: The content does not decode by its coding.
            Exception: *max_size_error_cls*, as soon as more than *client_max_size* bytes came.
        """
        if self.at_eof():
            return b""
        chunks: list[bytes] = []
        size = 0
        try:
            while chunk := await self._take():
                size += len(chunk)
                self._check_size(size)
                chunks.append(chunk)
        except asyncio.CancelledError:
            self._untake(b"".join(chunks))
            raise
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._given += size
        return self.decode(data) if decode and data else data

    async def read_chunk(self, size: int = chunk_size) -> bytes:
        """Return some content, at most *size* bytes; nothing at the end.

        Raises:
            BadMultipart: The body is malformed.
            ContentEncodingError: What was given to `decode` or `decode_iter` is not complete.
        """
        chunk = await self._take(size)
        self._given += len(chunk)
        if not chunk:
            self._finish_decoding()
        return chunk

    async def readline(self) -> bytes:
        """Return content up to and including the next LF, or what is left; nothing at the end."""
        line = bytearray()
        try:
            while self._taken < len(self._pending) or await self._fill():
                end = self._pending.find(b"\n", self._taken) + 1
                chunk = self._pending[self._taken : end or None]
                self._check_size(len(line) + len(chunk))
                self._taken += len(chunk)
                line += chunk
                if end:
                    break
        except asyncio.CancelledError:
            self._untake(line)
            raise
        self._given += len(line)
        return bytes(line)

    async def release(self) -> None:
        """Skip what is left of the content."""
        self._pending = b""
        self._taken = 0
        await self._content.skip()

    async def text(self, *, encoding: str | None = None) -> str:
        """Return the content as text, its encodings taken off.

        Args:
            encoding: The charset; by default what the part says, or UTF-8.

        Raises:
            BadMultipart: Content is not in that charset, or the peer named an unknown one.
        """
        data = await self.read(decode=True)
        return self._to_text(data, encoding or self._codec())

    async def json(self, *, encoding: str | None = None) -> Any:
        """Return the content as JSON; ``None`` if it is empty.

        Raises:
            json.JSONDecodeError: It is no JSON.
        """
        text = await self.text(encoding=encoding)
        return json.loads(text) if text else None

    async def form(self, *, encoding: str | None = None) -> list[tuple[str, str]]:
        """Return the content as pairs of an urlencoded form.

        Raises:
            MultipartTooLarge: There are more than `MultipartLimits.max_fields`.
        """
        encoding = encoding or self._codec()
        text = self._to_text(await self.read(decode=True), encoding).rstrip()
        limit = self._content.limits.max_fields
        if text.count("&") >= limit:
            raise MultipartTooLarge(f"More than {limit} fields in a form")
        return parse_qsl(text, keep_blank_values=True, encoding=encoding)

    def get_charset(self, default: str) -> str:
        """Return the charset that the part names, else that of the body, else *default*."""
        parsed = parse_media_type(self.headers.get(hdrs.CONTENT_TYPE, ""))
        charset = None if parsed is None else parsed.charset
        return charset or self._default_charset or default

    def decode(self, data: _Buffer) -> _Buffer | bytes:
        """Take the part's encodings off *data*.

        Content may be decoded as a whole or, in order, piece by piece. In a form (RFC 7578
        section 4.8) parts have no content coding.

        Raises:
            BadMultipart: The transfer encoding is unknown or malformed.
            ContentEncodingError: The content does not decode by its coding.
            Exception: *max_size_error_cls* beyond *client_max_size* bytes of content.
        """
        decoder = self._find_decoder()
        if decoder is None:
            return data
        limit = self._client_max_size
        if limit == sys.maxsize:
            limit = _MAX_DECODED
        out = bytearray()
        for piece in decoder.decode(bytes(data)):
            if len(out) + len(piece) > limit:
                raise self._max_size_error_cls(limit)
            out += piece
        self._decoded += len(data)
        if self.at_eof():
            self._finish_decoding()
        return bytes(out)

    async def decode_iter(self, data: _Buffer) -> AsyncIterator[_Buffer | bytes]:
        """Take the part's encodings off *data* and give it in pieces of bounded size.

        Like `decode`, but for content of any size: give it what `read_chunk` returns, in order.
        """
        decoder = self._find_decoder()
        if decoder is None:
            yield data
            return
        first = True
        for piece in decoder.decode(bytes(data)):
            if not first:
                await asyncio.sleep(0)  # a small chunk may become very much: let others run
            first = False
            yield piece
        self._decoded += len(data)
        if self.at_eof():
            self._finish_decoding()

    # --- inside -------------------------------------------------------------------------------

    async def _fill(self) -> bool:
        self._pending = b""
        self._taken = 0
        self._pending = await self._content.read()
        return bool(self._pending)

    async def _take(self, size: int = sys.maxsize) -> bytes:
        if self._taken >= len(self._pending) and not await self._fill():
            return b""
        pending, start = self._pending, self._taken
        if start == 0 and len(pending) <= size:
            self._pending = b""
            return pending
        self._taken = min(start + size, len(pending))
        return pending[start : self._taken]

    def _untake(self, data: bytes | bytearray) -> None:
        if data:
            self._pending = bytes(data) + self._pending[self._taken :]
            self._taken = 0

    def _check_size(self, size: int) -> None:
        # CVE-2026-34517: before it is kept, not once all of it is here.
        if size > self._client_max_size:
            raise self._max_size_error_cls(self._client_max_size)

    def _find_decoder(self) -> PartDecoder | None:
        if self._decoder is None:
            transfer = transfer_encoding(self.headers)
            content = None if self._is_form_data else content_encoding(self.headers)
            if transfer is not None or content is not None:
                self._decoder = PartDecoder(transfer, content, self._max_decompress_size)
        return self._decoder

    def _finish_decoding(self) -> None:
        decoder = self._decoder
        if decoder is not None and self._decoded == self._given:
            self._decoder = None
            self._decoded = 0
            decoder.finish()

    def _codec(self) -> str:
        charset = self.get_charset("utf-8")
        codec = find_charset(charset)
        if codec is None:
            raise BadMultipart(f"unknown charset {quoted(charset)} of a part")
        return codec

    def _to_text(self, data: bytes, encoding: str) -> str:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as exc:
            raise BadMultipart(f"content of a part is not in {encoding}") from exc


def _content_of(
    boundary: bytes, headers: "CIMultiDictProxy[str]", content: "StreamReader | _PartContent"
) -> _PartContent:
    if isinstance(content, _PartContent):
        return content
    scanner = MultipartScanner(boundary.removeprefix(b"--"), in_part=True)
    return _PartContent(content, scanner, PartHead(headers), rest_to=content)


def _counts_of(content: object) -> PartCounts | None:
    return content.counts if isinstance(content, _PartContent) else None


class MultipartResponseWrapper:
    """A reader together with the response it reads, which is released at the end.

    Args:
        resp: The response.
        stream: The reader.
    """

    def __init__(self, resp: Any, stream: "MultipartReader") -> None:
        self.resp = resp
        self.stream = stream

    def __aiter__(self) -> "MultipartResponseWrapper":
        return self

    async def __anext__(self) -> "MultipartReader | BodyPartReader":
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    def at_eof(self) -> bool:
        """Whether all of the response was read."""
        return bool(self.resp.content.at_eof())

    async def next(self) -> "MultipartReader | BodyPartReader | None":
        """Return the next part; ``None``, and the response released, if there is none."""
        part = await self.stream.next()
        if self.stream.at_eof():
            await self.release()
        return part

    async def release(self) -> None:
        """Release the response."""
        released = self.resp.release()
        if inspect.isawaitable(released):
            await released


class MultipartReader:
    """The parts of a multipart body, one after another.

    Args:
        headers: The header section that says the body is multipart.
        content: The body.
        client_max_size: Bytes that a part may have when it is taken as a whole.
        max_field_size: Bytes of a part's header section; 8 KiB by default.
        max_headers: Header fields of a part; 16 by default.
        max_size_error_cls: What is raised beyond *client_max_size*, called with the limit.
        limits: All limits on the body's form at once; the two above count more.

    Raises:
        BadMultipart: The header section does not say so, or has no boundary.
    """

    response_wrapper_cls: type[MultipartResponseWrapper] = MultipartResponseWrapper
    multipart_reader_cls: "type[MultipartReader] | None" = None
    """What reads a multipart body inside of this one; the own class by default."""
    part_reader_cls: type[BodyPartReader] = BodyPartReader
    """What reads any other part."""

    def __init__(
        self,
        headers: Mapping[str, str],
        content: StreamReader,
        *,
        client_max_size: int = sys.maxsize,
        max_field_size: int | None = None,
        max_headers: int | None = None,
        max_size_error_cls: type[Exception] = ValueError,
        limits: MultipartLimits | None = None,
    ) -> None:
        self.headers = headers
        media_type, boundary = find_boundary(_content_type(headers))
        self._subtype = media_type.subtype
        self._boundary = boundary
        self._client_max_size = client_max_size
        self._max_size_error_cls = max_size_error_cls
        self._source: _Source = content
        self._depth = 1
        self._default_charset: str | None = None
        self._part: _PartContent | None = None
        self._began = False
        self._at_eof = False
        limits = limits or _NO_LIMITS
        if max_field_size is not None:
            limits = attrs.evolve(limits, max_part_header_size=max_field_size)
        if max_headers is not None:
            limits = attrs.evolve(limits, max_part_headers=max_headers)
        self._scanner = MultipartScanner(boundary, limits, counts=_counts_of(content))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} multipart/{self._subtype}>"

    def __aiter__(self) -> "MultipartReader":
        return self

    async def __anext__(self) -> "MultipartReader | BodyPartReader":
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    @classmethod
    def from_response(cls, response: Any) -> MultipartResponseWrapper:
        """Return a reader of a client's response that releases it at the end."""
        return cls.response_wrapper_cls(response, cls(response.headers, response.content))

    def at_eof(self) -> bool:
        """Whether there are no more parts."""
        return self._at_eof

    async def next(self) -> "MultipartReader | BodyPartReader | None":
        """Return the next part, ``None`` if there is none. Skips what is left of the last one.

        A field ``_charset_`` at the beginning of a form is no part but the charset of those
        that name none (RFC 7578 section 4.6).

        Raises:
            BadMultipart: The body is malformed; `MultipartTooLarge`, if a limit is broken.
        """
        began, self._began = self._began, True
        part = await self.fetch_next_part()
        if (
            not began
            and self._subtype == "form-data"
            and isinstance(part, BodyPartReader)
            and part.name == "_charset_"
        ):
            self._default_charset = await _read_charset(part)
            part = await self.fetch_next_part()
        return part

    async def release(self) -> None:
        """Skip all parts there are."""
        while not self._at_eof:
            await self.fetch_next_part()

    async def fetch_next_part(self) -> "MultipartReader | BodyPartReader | None":
        """Return the next part, whatever its name is."""
        if self._at_eof:
            return None
        if self._part is not None:
            await self._part.skip()
        event = await _next_event(self._scanner, self._source)
        if event is END:
            self._at_eof = True
            return None
        assert isinstance(event, PartHead)
        self._part = part = _PartContent(self._source, self._scanner, event)
        if event.headers.get(hdrs.CONTENT_TYPE, "").lstrip(" \t").lower().startswith("multipart/"):
            return self._nested_reader(part)
        return self.part_reader_cls(
            b"--" + self._boundary,
            event.headers,
            part,  # type: ignore[arg-type]  # what a part reads of a stream; see _content_of
            subtype=self._subtype,
            default_charset=self._default_charset,
            client_max_size=self._client_max_size,
            max_size_error_cls=self._max_size_error_cls,
        )

    def _nested_reader(self, part: _PartContent) -> "MultipartReader":
        limits = self._scanner.limits
        if self._depth >= limits.max_nesting:
            raise MultipartTooLarge(f"More than {limits.max_nesting} multipart bodies in another")
        if transfer_encoding(part.head.headers) is not None:
            # RFC 2045 section 6.4: nested encodings are not allowed.
            raise BadMultipart("a multipart body in another must not be encoded")
        reader_class = self.multipart_reader_cls or type(self)
        reader = reader_class(
            part.head.headers,
            part,  # type: ignore[arg-type]  # only its read() is used
            client_max_size=self._client_max_size,
            max_size_error_cls=self._max_size_error_cls,
            limits=limits,
        )
        reader._depth = self._depth + 1
        return reader


def _content_type(headers: Mapping[str, str]) -> str:
    content_type = headers.get(hdrs.CONTENT_TYPE)
    if content_type is None and not isinstance(headers, (CIMultiDict, CIMultiDictProxy)):
        content_type = CIMultiDict(headers).get(hdrs.CONTENT_TYPE)
    if content_type is None:
        raise BadMultipart("multipart/* content type expected, but there is none")
    return content_type


async def _read_charset(part: BodyPartReader) -> str:
    name = b""
    while chunk := await part.read_chunk(_MAX_CHARSET_NAME + 1):
        name += chunk
        if len(name) > _MAX_CHARSET_NAME:
            raise BadMultipart("Invalid default charset")
    try:
        return name.strip().decode("ascii")
    except UnicodeDecodeError as exc:
        raise BadMultipart("Invalid default charset") from exc


class BodyPartReaderPayload(Payload):
    """A part that was received, handed on with its encodings taken off."""

    __slots__ = ()

    def __init__(self, value: BodyPartReader, *args: Any, **kwargs: Any) -> None:
        if "content_type" not in kwargs:
            kwargs["content_type"] = value.headers.get(hdrs.CONTENT_TYPE)
        super().__init__(value, *args, **kwargs)
        names = {"name": value.name, "filename": value.filename}
        params = {key: text for key, text in names.items() if text is not None}
        if params and hdrs.CONTENT_DISPOSITION not in self.headers:
            self.set_content_disposition("attachment", True, "utf-8", **params)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write what is left of the part to *writer*."""
        part: BodyPartReader = self._value
        self._consumed = True
        while chunk := await part.read_chunk(64 * 1024):
            async for piece in part.decode_iter(chunk):
                await writer.write(piece)


register_payload(BodyPartReaderPayload, BodyPartReader)
