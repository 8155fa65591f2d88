"""Responses that are whole from the start: content as bytes, text, JSON or a payload."""

import json
from collections.abc import Callable
from concurrent.futures import Executor
from enum import Enum
from typing import Any, Final

from multidict import CIMultiDict

from antiphon.core import hdrs
from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.payload import PAYLOAD_REGISTRY, Payload
from antiphon.core.aio.payload import LookupError as NoSuchPayload
from antiphon.core.aio.writer import AbstractStreamWriter, ContentWriter
from antiphon.core.coding import ContentCoding
from antiphon.core.http import SharedFields
from antiphon.core.typedefs import Byteish, LooseHeaders

from ._compression import StreamCompressor
from ._headers import OCTET_STREAM, content_media_type
from ._stream_response import StreamResponse
from .request import BaseRequest

__all__ = (
    "ContentCoding",
    "Response",
    "StreamResponse",
    "json_bytes_response",
    "json_response",
)

JSONEncoder = Callable[[Any], str]
JSONBytesEncoder = Callable[[Any], bytes]


class _Sentinel(Enum):
    MISSING = "missing"


_MISSING: Final = _Sentinel.MISSING

_TEXT_FIELDS: Final = SharedFields([(hdrs.CONTENT_TYPE, "text/plain; charset=utf-8")])
_JSON_FIELDS: Final = SharedFields([(hdrs.CONTENT_TYPE, "application/json; charset=utf-8")])

# What `json.dumps` comes to without arguments.
_encode_json: Final[JSONEncoder] = json.JSONEncoder().encode


_WAIT_ABOVE: Final = 64 * 1024
"""Bytes of content for which it is worth waiting until the peer has taken some."""


class Response(StreamResponse):
    """A response with its whole content.

    Args:
        body: The content: bytes, or anything a payload is registered for (a file, an async
            iterable, a multipart writer, ...).
        status: The status code, 200 to 999.
        reason: The reason phrase; the standard one of *status* by default.
        text: The content as text, encoded by *charset*.
        headers: Fields to send.
        content_type: The media type without parameters; ``text/plain`` for *text*.
        charset: The charset of the media type; ``utf-8`` for *text*.
        zlib_executor_size: Bytes above which the content is compressed in an executor.
        zlib_executor: That executor; the loop's default one if ``None``.

    Raises:
        ValueError: Contradicting arguments, or a *body* of a type that is not supported.
    """

    _body: Any = None  # bytes, bytearray, memoryview, Payload or None
    _text: str | None = None
    _compressed: bytes | None = None
    _coded_unseen = False  # HEAD: what would be compressed, to a size that nobody knows
    _zlib_executor_size: int | None = 4096
    _zlib_executor: Executor | None = None

    # Whether the class sends as `_send_whole` does: cleared in subclasses that changed how.
    _sends_whole = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._sends_whole = cls._sends_whole and not any(
            name in cls.__dict__ for name in ("prepare", "write", "write_eof", "_begin")
        )

    def __init__(
        self,
        *,
        body: Any = None,
        status: int = 200,
        reason: str | None = None,
        text: str | None = None,
        headers: LooseHeaders | None = None,
        content_type: str | None = None,
        charset: str | None = None,
        zlib_executor_size: int = 4096,
        zlib_executor: Executor | None = None,
    ) -> None:
        # The common ways first, and in few steps: text or bytes, and nothing else said.
        if text is not None:
            if body is not None:
                raise ValueError("body and text are not allowed together")
            if headers is None and content_type is None and charset is None:
                self._shared = _TEXT_FIELDS
                self._body = text.encode("utf-8") if text.__class__ is str else _encoded(text)
            else:
                self._init_text(text, headers, content_type, charset)
        else:
            if headers is None:
                self._headers = CIMultiDict()
            else:
                self._headers = CIMultiDict(headers)
            if content_type is not None or charset is not None:
                self._init_media_type(content_type, charset)
            if body.__class__ is bytes:
                self._body = body
            elif body is not None:
                self.body = body
        self._status = status if status.__class__ is int else int(status)
        if reason is not None:
            self._set_status(status, reason)
        if zlib_executor_size != 4096:
            self._zlib_executor_size = zlib_executor_size
        if zlib_executor is not None:
            self._zlib_executor = zlib_executor

    def _init_text(
        self,
        text: str,
        headers: LooseHeaders | None,
        content_type: str | None,
        charset: str | None,
    ) -> None:
        self._headers = CIMultiDict() if headers is None else CIMultiDict(headers)
        given = self._headers.get(hdrs.CONTENT_TYPE)
        if given is None:
            _check_media_type(content_type)
            self._set_media_type(content_type or "text/plain", charset or "utf-8")
        elif content_type is not None or charset is not None:
            raise ValueError(
                "passing both Content-Type header and content_type or charset params is forbidden"
            )
        else:
            charset = content_media_type(given)[1]
            if charset is None:
                self._headers[hdrs.CONTENT_TYPE] = f"{given}; charset=utf-8"
        self._body = _encoded(text, charset or "utf-8")

    def _init_media_type(self, content_type: str | None, charset: str | None) -> None:
        if hdrs.CONTENT_TYPE in self._headers:
            raise ValueError(
                "passing both Content-Type header and content_type or charset params is forbidden"
            )
        _check_media_type(content_type)
        if content_type is not None:
            self._set_media_type(content_type, charset)

    # --- content

    @property
    def body(self) -> Any:
        """The content: bytes-like, a payload, or ``None``."""
        return self._body

    @body.setter
    def body(self, value: Any) -> None:
        self._compressed = None
        if value is None or isinstance(value, (bytes, bytearray, memoryview)):
            self._body = value
            return
        try:
            self._body = payload = PAYLOAD_REGISTRY.get(value)
        except NoSuchPayload:
            raise ValueError(f"Unsupported body type {type(value)!r}") from None
        for name, text in payload.headers.items():
            if name not in self._headers:
                self._headers.add(name, text)

    @property
    def text(self) -> str | None:
        """The content as text, by `charset` or UTF-8; ``None`` if there is none."""
        body = self._body
        if body is None:
            return None
        charset = self.charset or "utf-8"
        if isinstance(body, Payload):
            return body.decode(charset)
        return bytes(body).decode(charset)

    @text.setter
    def text(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"text argument must be str ({type(value)!r})")
        if self.content_type == OCTET_STREAM:
            self.content_type = "text/plain"
        if self.charset is None:
            self.charset = "utf-8"
        self._body = _encoded(value, self.charset or "utf-8")
        self._compressed = None

    @property
    def content_length(self) -> int | None:
        """The size of the content as it will be sent, where it is known."""
        if self._chunked:
            return None
        if hdrs.CONTENT_LENGTH in self._headers:
            return super().content_length
        if self._compressed is not None:
            return len(self._compressed)
        body = self._body
        if body is None:
            return 0
        if isinstance(body, Payload):
            return body.size
        return len(body) if not isinstance(body, memoryview) else body.nbytes

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        raise RuntimeError("Content length is set automatically")

    # --- sending

    def _send_whole(self, exchange: ServerExchange, request: BaseRequest) -> bool:
        body = self._body
        if (
            not self._plain
            or not self._sends_whole
            or self._exchange is not None
            or request._prepare_signals
            or (body.__class__ is not bytes and body is not None)
        ):
            return False
        if body is not None and len(body) > _WAIT_ABOVE:
            return False
        headers: CIMultiDict[str] | None = self._shared  # these have a Content-Type
        if headers is None:
            headers = self._headers
            if body is None:
                if hdrs.CONTENT_LENGTH in headers:
                    return False  # what a HEAD handler announces
            elif body and hdrs.CONTENT_TYPE not in headers:
                headers[hdrs.CONTENT_TYPE] = OCTET_STREAM
        self._exchange = exchange
        self._request = request
        exchange.respond_complete(self._status, headers, body or b"", reason=self._reason)
        self._eof_sent = True
        return True

    def _has_kind(self) -> bool:
        return self._body is not None and super()._has_kind()

    def _announced_length(self) -> int | None:
        if self._chunked or self._coded_unseen:
            return None
        body = self._body
        if self._compressed is not None:
            return len(self._compressed)
        if body is None:
            # A HEAD or 304 without content may say what a GET would give.
            return (super().content_length if self._omit_content else None) or 0
        if isinstance(body, Payload):
            return body.size if self._compressor is None else None
        return body.nbytes if isinstance(body, memoryview) else len(body)

    async def _begin_compression(self, request: BaseRequest) -> None:
        if self._body is None or self._chunked or isinstance(self._body, Payload):
            before = hdrs.CONTENT_ENCODING in self._headers
            await super()._begin_compression(request)
            after = hdrs.CONTENT_ENCODING in self._headers
            self._coded_unseen = self._omit_content and after and not before
            return
        coding = self._choose_coding(request)
        if coding is not None and self._omit_content:
            self._headers.pop(hdrs.CONTENT_LENGTH, None)
            self._coded_unseen = True
        elif coding is not None and self._compressed is None:
            self._headers.pop(hdrs.CONTENT_LENGTH, None)
            compressor = StreamCompressor(
                coding,
                strategy=self._compression_strategy,
                executor_size=self._zlib_executor_size,
                executor=self._zlib_executor,
            )
            self._compressed = await compressor.finish(self._body)

    async def write_eof(self, data: Byteish = b"") -> None:
        """Write the content and end the response; does nothing if it has ended.

        Args:
            data: Content to send instead of `body`.
        """
        if self._eof_sent:
            return
        if data or self._body is None:
            await super().write_eof(data)
            return
        writer = self._open_writer("write_eof")
        body = self._body
        if self._omit_content:
            if isinstance(body, Payload):
                await body.close()
            await self._end(writer, b"")
        elif isinstance(body, Payload):
            await self._write_payload(writer, body)
        elif self._compressed is not None:
            await self._end(writer, self._compressed)
        else:
            await super().write_eof(body)

    async def _write_payload(self, writer: ContentWriter, payload: Payload) -> None:
        try:
            if self._compressor is None:
                await payload.write(writer)
            else:
                await payload.write(_CompressingWriter(writer, self._compressor))
                await writer.write(await self._compressor.finish())
        finally:
            await payload.close()
        await self._end(writer, b"")


class _CompressingWriter(AbstractStreamWriter):
    """What a payload writes to when its content is compressed on the way."""

    def __init__(self, writer: ContentWriter, compressor: StreamCompressor) -> None:
        self._writer = writer
        self._compressor = compressor
        self.length = None

    async def write(self, chunk: Byteish) -> None:
        data = await self._compressor.compress(chunk)
        if data:
            await self._writer.write(data)

    async def write_eof(self, chunk: Byteish = b"") -> None:
        if chunk:
            await self.write(chunk)

    async def drain(self) -> None:
        await self._writer.drain()


def json_response(
    data: Any = _MISSING,
    *,
    text: str | None = None,
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: LooseHeaders | None = None,
    content_type: str = "application/json",
    dumps: JSONEncoder = json.dumps,
) -> Response:
    """Make a response of *data* in JSON.

    Raises:
        ValueError: More than one of *data*, *text* and *body* is given.
    """
    if data is not _MISSING:
        if text is not None or body is not None:
            raise ValueError("only one of data, text, or body should be specified")
        text = _encode_json(data) if dumps is json.dumps else dumps(data)
    if headers is None and text is not None and content_type == "application/json":
        if body is not None:
            raise ValueError("only one of data, text, or body should be specified")
        # What Response(...) comes to, without making fields that are replaced at once.
        response = Response.__new__(Response)
        response._shared = _JSON_FIELDS
        response._body = text.encode("utf-8")
        response._status = status if status.__class__ is int else int(status)
        if reason is not None:
            response._set_status(status, reason)
        return response
    return Response(
        text=text,
        body=body,
        status=status,
        reason=reason,
        headers=headers,
        content_type=content_type,
    )


def json_bytes_response(
    data: Any = _MISSING,
    *,
    dumps: JSONBytesEncoder,
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: LooseHeaders | None = None,
    content_type: str = "application/json",
) -> Response:
    """Make a response of *data* in JSON, with a *dumps* that gives bytes (orjson and its like).

    Raises:
        ValueError: Both *data* and *body* are given.
    """
    if data is not _MISSING:
        if body is not None:
            raise ValueError("only one of data or body should be specified")
        body = dumps(data)
    return Response(
        body=body, status=status, reason=reason, headers=headers, content_type=content_type
    )


def _encoded(text: str, charset: str = "utf-8") -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"text argument must be str ({type(text)!r})")
    return text.encode(charset)


def _check_media_type(content_type: str | None) -> None:
    if content_type is not None and "charset" in content_type:
        raise ValueError("charset must not be in content_type argument")
