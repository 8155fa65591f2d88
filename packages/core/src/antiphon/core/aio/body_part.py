"""One part of a multipart body, read from a stream."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol, TypeVar, final
from urllib.parse import parse_qsl

from multidict import CIMultiDictProxy

from .. import hdrs
from ..errors import quoted
from ..fields.charset import find_charset
from ..fields.media_type import parse_media_type
from ..limits import MultipartLimits
from ..multipart import (
    NEED_DATA,
    PART_END,
    BadMultipart,
    Event,
    MultipartScanner,
    MultipartTooLarge,
    PartCounts,
    PartHead,
)
from ._part_coding import PartDecoder, content_encoding, transfer_encoding
from ._payload_base import Payload, register_payload
from .streams import StreamReader
from .writer import AbstractStreamWriter

__all__ = ("BodyPartReader", "BodyPartReaderPayload", "PartContent", "Source", "next_event")

_Buffer = TypeVar("_Buffer", bytes, bytearray)

_READ_SIZE: Final = 64 * 1024
_STEP: Final = 256 * 1024
_MAX_DECODED: Final = 64 * 1024 * 1024
"""Bytes that a compressed part may have when it is taken as a whole and nobody set a limit."""


class Source(Protocol):
    """What content is read from: a stream, or a part of another body."""

    async def read(self, n: int = -1) -> bytes: ...


@final
class PartContent:
    """The content of one part, as it is between the delimiters."""

    __slots__ = ("_rest_to", "_scanner", "_source", "ended", "head")

    def __init__(
        self,
        source: Source,
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
        """What the whole body may cost."""
        return self._scanner.limits

    @property
    def counts(self) -> PartCounts:
        """How many parts there were in the whole body."""
        return self._scanner.counts

    async def read(self, n: int = -1) -> bytes:
        """Return the next piece, whatever its size; nothing when the part has ended."""
        if self.ended:
            return b""
        event = await next_event(self._scanner, self._source)
        if isinstance(event, bytes):
            return event
        assert event is PART_END
        self.ended = True
        if self._rest_to is not None and (rest := self._scanner.take_rest()):
            self._rest_to._put_back(rest)
        return b""

    async def skip(self) -> None:
        """Read what is left and forget it."""
        while not self.ended:
            await self.read()


async def next_event(scanner: MultipartScanner, source: Source) -> Event:
    """Return the scanner's next event, feeding it from *source* as needed."""
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
    boundary: bytes, headers: "CIMultiDictProxy[str]", content: "StreamReader | PartContent"
) -> PartContent:
    if isinstance(content, PartContent):
        return content
    scanner = MultipartScanner(boundary.removeprefix(b"--"), in_part=True)
    return PartContent(content, scanner, PartHead(headers), rest_to=content)


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
