"""A response whose content is written piece by piece, and what all responses have in common."""

import datetime as dt
import math
import re
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import Any, ClassVar, Final

from multidict import CIMultiDict

from antiphon.core import hdrs
from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.writer import AbstractStreamWriter, ContentWriter
from antiphon.core.coding import ContentCoding
from antiphon.core.deprecations import deprecated, warn_deprecated
from antiphon.core.fields.dates import format_http_date, parse_http_date
from antiphon.core.fields.etag import ETAG_ANY, ETag, parse_etag
from antiphon.core.http import SERVER_SOFTWARE, SharedFields
from antiphon.core.typedefs import Byteish, LooseHeaders

from ._compression import StreamCompressor, choose_coding
from ._cookies import ResponseCookies
from ._headers import OCTET_STREAM, HeadersMixin
from ._items import Items
from .request import BaseRequest

__all__ = ("StreamResponse",)

_REASON_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}

# RFC 9112 section 4: a reason phrase has no control characters. CVE-2026-34519, CVE-2025-67724.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_NO_CONTENT: Final = frozenset((204, 304))
"""Statuses whose responses never have content (RFC 9110 section 6.4.1)."""


_OF_BYTES: Final = (hdrs.CONTENT_MD5, hdrs.DIGEST, hdrs.CONTENT_DIGEST, hdrs.REPR_DIGEST)
"""Fields about bytes as they are after the content coding: what is said of plain ones goes."""


class _CopiedOnUse:
    """Fields of a response that began with shared ones: its own copy, once somebody looks."""

    def __get__(self, response: Any, owner: object = None) -> CIMultiDict[str]:
        shared = response._shared
        if shared is None:
            raise AttributeError("The response was not initialised")
        response._shared = None
        # It hides this descriptor from now on.
        response._headers = headers = CIMultiDict(shared)
        return headers


class StreamResponse(HeadersMixin, Items):
    """A response whose content is written piece by piece.

    Args:
        status: The status code, 200 to 999.
        reason: The reason phrase; the standard one of *status* by default.
        headers: Fields to send.

    A response belongs to the request it was prepared for and cannot be sent twice.
    Items (``response["key"]``) are for middlewares and signals; nothing of them is sent.
    """

    ATTRS: ClassVar[frozenset[str]] = frozenset()
    """Kept for its name: attributes of one's own are welcome here."""

    # Most responses set few of these. As defaults of the class they cost nothing to make;
    # no __slots__, because HTTPException is a response and an exception at once.
    _reason: str | None = None
    _exchange: ServerExchange | None = None
    _request: BaseRequest | None = None
    _writer: ContentWriter | None = None
    _eof_sent = False
    _omit_content = False
    _keep_alive: bool | None = None
    _chunked = False
    _compression = False
    _compression_force: ContentCoding | None = None
    _compression_strategy: int | None = None
    _compressor: StreamCompressor | None = None
    _cookies: ResponseCookies | None = None
    _trailers: CIMultiDict[str] | None = None

    # Many responses say the same few things: those are copied only for somebody who looks at them.
    _shared: SharedFields | None = None
    _headers: CIMultiDict[str] = _CopiedOnUse()  # type: ignore[assignment]  # gives what is declared

    # False once anything was asked for that `Response._send_whole` does not do.
    _plain = True

    def __init__(
        self,
        *,
        status: int = 200,
        reason: str | None = None,
        headers: LooseHeaders | None = None,
        _real_headers: CIMultiDict[str] | None = None,
    ) -> None:
        if _real_headers is not None:
            self._headers = _real_headers
        elif headers is None:
            self._headers = CIMultiDict()
        else:
            self._headers = CIMultiDict(headers)
        self._set_status(status, reason)

    # --- status

    @property
    def prepared(self) -> bool:
        """Whether the head was handed to the connection."""
        return self._writer is not None or self._eof_sent

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def reason(self) -> str:
        """The reason phrase."""
        if self._reason is not None:
            return self._reason
        return _REASON_PHRASES.get(self._status, "")

    def set_status(self, status: int, reason: str | None = None) -> None:
        """Set status code and reason phrase.

        Raises:
            RuntimeError: The head was sent.
            ValueError: *reason* contains control characters.
        """
        if self.prepared:
            raise RuntimeError(
                "Cannot change the response status code after the headers have been sent"
            )
        self._set_status(status, reason)

    def _set_status(self, status: int, reason: str | None) -> None:
        self._status = int(status)
        if reason is not None:
            if _CONTROL.search(reason) is not None:
                raise ValueError("Reason cannot contain \\r, \\n or other control characters")
            self._reason = reason

    @property
    def task(self) -> Any:
        """The task that serves the request this response was prepared for, else ``None``."""
        return None if self._exchange is None else self._exchange.task

    # --- connection

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection may go on after this response; ``None`` leaves it to the request."""
        return self._keep_alive

    def force_close(self) -> None:
        """Close the connection after this response."""
        self._keep_alive = False
        self._plain = False

    @property
    def chunked(self) -> bool:
        """Whether the chunked transfer coding was asked for."""
        return self._chunked

    def enable_chunked_encoding(self, chunk_size: int | None = None) -> None:
        """Ask for the chunked transfer coding; a connection without it ignores the wish.

        Raises:
            RuntimeError: There is a Content-Length.
        """
        if hdrs.CONTENT_LENGTH in self._headers:
            raise RuntimeError("You can't enable chunked encoding when a content length is set")
        if chunk_size is not None:
            warn_deprecated("ANT-0009")
        self._chunked = True
        self._plain = False

    @property
    def compression(self) -> bool:
        """Whether compression was asked for."""
        return self._compression

    def enable_compression(
        self, force: ContentCoding | bool | None = None, strategy: int | None = None
    ) -> None:
        """Compress the content if the client accepts it, or anyway.

        Args:
            force: A coding to use whatever the client accepts; by default the best of those
                that it accepts is chosen (zstd and br where their packages are installed).
            strategy: A strategy of zlib, for gzip and deflate.

        Content that has a ``Content-Encoding`` already is left as it is.
        """
        if isinstance(force, bool):
            warn_deprecated("ANT-0010")
            force = ContentCoding.deflate if force else ContentCoding.identity
        self._compression = True
        self._compression_force = force
        self._compression_strategy = strategy
        self._plain = False

    # --- fields

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields to send."""
        return self._headers

    @property
    def cookies(self) -> SimpleCookie:
        """The cookies to set; see `set_cookie`."""
        return self._response_cookies().jar

    def _response_cookies(self) -> ResponseCookies:
        if self._cookies is None:
            self._cookies = ResponseCookies()
            self._plain = False
        return self._cookies

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        expires: str | None = None,
        domain: str | None = None,
        max_age: int | str | None = None,
        path: str = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        version: str | None = None,
        samesite: str | None = None,
        partitioned: bool | None = None,
    ) -> None:
        """Set or replace a cookie (RFC 6265 section 4.1).

        Raises:
            http.cookies.CookieError: *name* is no cookie name.
            ValueError: An attribute contains ``;`` or control characters.
        """
        self._response_cookies().set(
            name,
            value,
            expires=expires,
            domain=domain,
            max_age=max_age,
            path=path,
            secure=secure,
            httponly=httponly,
            version=version,
            samesite=samesite,
            partitioned=partitioned,
        )

    def del_cookie(
        self,
        name: str,
        *,
        domain: str | None = None,
        path: str = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        samesite: str | None = None,
    ) -> None:
        """Make the client forget a cookie; *domain* and *path* are those it was set with."""
        cookies = self._response_cookies()
        cookies.discard(name)
        cookies.set(
            name,
            "",
            max_age=0,
            expires="Thu, 01 Jan 1970 00:00:00 GMT",
            domain=domain,
            path=path,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
        )

    @property
    def content_length(self) -> int | None:
        """The size of the content in bytes, where it is known."""
        return super().content_length

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        if value is None:
            self._headers.pop(hdrs.CONTENT_LENGTH, None)
            return
        if self._chunked:
            raise RuntimeError("You can't set content length when chunked encoding is enabled")
        self._headers[hdrs.CONTENT_LENGTH] = str(int(value))

    @property
    def content_type(self) -> str:
        """The media type without parameters."""
        return super().content_type

    @content_type.setter
    def content_type(self, value: str) -> None:
        self._set_media_type(str(value), self.charset)

    @property
    def charset(self) -> str | None:
        """The ``charset`` parameter of the media type."""
        return super().charset

    @charset.setter
    def charset(self, value: str | None) -> None:
        content_type = self.content_type
        if content_type == OCTET_STREAM:
            raise RuntimeError(
                "Setting charset for application/octet-stream doesn't make sense, "
                "setup content_type first"
            )
        self._set_media_type(content_type, None if value is None else str(value).lower())

    def _set_media_type(self, content_type: str, charset: str | None) -> None:
        self._headers[hdrs.CONTENT_TYPE] = (
            content_type if charset is None else f"{content_type}; charset={charset}"
        )

    @property
    def last_modified(self) -> dt.datetime | None:
        """``Last-Modified`` as a datetime in UTC; may be set to one, a timestamp or text."""
        value = self._headers.get(hdrs.LAST_MODIFIED)
        return None if value is None else parse_http_date(value)

    @last_modified.setter
    def last_modified(self, value: "float | dt.datetime | str | None") -> None:
        if value is None:
            self._headers.pop(hdrs.LAST_MODIFIED, None)
        elif isinstance(value, str):
            self._headers[hdrs.LAST_MODIFIED] = value
        elif isinstance(value, dt.datetime):
            self._headers[hdrs.LAST_MODIFIED] = format_http_date(value)
        elif isinstance(value, (int, float)):
            # Up to the next second: a date in the past would let a change go unseen.
            self._headers[hdrs.LAST_MODIFIED] = format_http_date(math.ceil(value))
        else:
            raise TypeError(f"Unsupported type for last_modified: {type(value).__name__}")

    @property
    def etag(self) -> ETag | None:
        """``ETag``; may be set to an `ETag`, to the text of a strong one, or to ``None``."""
        value = self._headers.get(hdrs.ETAG)
        if value is None:
            return None
        return ETag(ETAG_ANY) if value == ETAG_ANY else parse_etag(value)

    @etag.setter
    def etag(self, value: ETag | str | None) -> None:
        if value is None:
            self._headers.pop(hdrs.ETAG, None)
            return
        if isinstance(value, str):
            value = ETag(value)
        elif not isinstance(value, ETag):
            raise ValueError(
                f"Unsupported etag type: {type(value)}. etag must be str, ETag or None"
            )
        # str() raises ValueError for a tag that no field can carry.
        self._headers[hdrs.ETAG] = ETAG_ANY if value.value == ETAG_ANY else str(value)

    def set_trailers(self, trailers: LooseHeaders) -> None:
        """Send *trailers* after the content, where the connection can (RFC 9110 section 6.5).

        They may be set until the content ends. Over HTTP/1.1 they need the chunked coding,
        which is chosen if this is called before the response is prepared.
        """
        if self._eof_sent:
            raise RuntimeError("The response has ended; trailers cannot be set any more")
        self._trailers = CIMultiDict(trailers)
        self._plain = False
        if self._writer is None and hdrs.CONTENT_LENGTH not in self._headers:
            self._chunked = True

    # --- sending

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send the head (it leaves together with the first content).

        Signals ``on_response_prepare`` run first, with the fields as they will be sent.

        Raises:
            RuntimeError: The response was sent for another request.
            ValueError: A field contains bytes that are not allowed.
        """
        exchange = request._exchange
        if self._exchange is None:
            self._exchange = exchange
            self._request = request
            return await self._begin(request, exchange)
        if self._exchange is not exchange:
            raise RuntimeError(
                f"{self!r} was sent already. A response cannot be sent for a second request: "
                "make a new one each time"
            )
        return None if self._eof_sent else self._writer

    async def _begin(self, request: BaseRequest, exchange: ServerExchange) -> ContentWriter:
        headers = self._headers
        if self._keep_alive is not None:
            exchange.set_keep_alive(self._keep_alive)
        if self._cookies is not None:
            self._cookies.add_to(headers)
        self._omit_content = request.method == hdrs.METH_HEAD or self._status in _NO_CONTENT
        if self._compression:
            await self._begin_compression(request)
        length = self._announced_length()
        if length != 0 and hdrs.CONTENT_TYPE not in headers and self._has_kind():
            headers[hdrs.CONTENT_TYPE] = OCTET_STREAM
        signals = request._prepare_signals
        if signals:
            self._show_default_fields(length)
            for signal in signals:
                await signal.send(request, self)
            length = self._announced_length()
        self._writer = writer = exchange.respond(
            self._status,
            headers,
            reason=self._reason,
            length=length,
            chunked=self._chunked,
            default_fields=not signals,
        )
        request._note_begun(self)
        return writer

    def _send_whole(self, exchange: ServerExchange, request: BaseRequest) -> bool:
        """Send everything at once, if nothing about this response needs a wait.

        Returns:
            False if it has to be prepared and written instead; nothing was sent then.
        """
        return False

    def _has_kind(self) -> bool:
        """Whether it has content, or would have for another method than HEAD, and so a type."""
        return self._status not in _NO_CONTENT

    def _announced_length(self) -> int | None:
        """The size of the content as it will be sent, ``None`` if not known."""
        return None if self._chunked else super().content_length

    def _show_default_fields(self, length: int | None) -> None:
        """Set what the connection would add, for receivers of the signal to see and change."""
        headers = self._headers
        if length is not None and self._status not in _NO_CONTENT:
            headers.setdefault(hdrs.CONTENT_LENGTH, str(length))
        headers.setdefault(hdrs.DATE, format_http_date())
        headers.setdefault(hdrs.SERVER, SERVER_SOFTWARE)

    def _choose_coding(self, request: BaseRequest) -> ContentCoding | None:
        """Choose the content coding and name it in the fields; ``None`` for none."""
        headers = self._headers
        if hdrs.CONTENT_ENCODING in headers or self._status in _NO_CONTENT or self._status == 206:
            return None
        coding = self._compression_force
        if coding is None:
            _vary_by_encoding(headers)
            coding = choose_coding(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
        if coding is None or coding is ContentCoding.identity:
            return None
        headers[hdrs.CONTENT_ENCODING] = coding.value
        for name in _OF_BYTES:
            headers.popall(name, None)
        return coding

    async def _begin_compression(self, request: BaseRequest) -> None:
        coding = self._choose_coding(request)
        if coding is not None:
            self._headers.pop(hdrs.CONTENT_LENGTH, None)
            if not self._omit_content:
                self._compressor = StreamCompressor(coding, strategy=self._compression_strategy)

    async def write(self, data: Byteish) -> None:
        """Write *data* of the content; waits while much is still to leave.

        Nothing is written for a request or status that has no content (HEAD, 204, 304).

        Raises:
            RuntimeError: Not prepared, or ended.
            TypeError: *data* is no bytes-like object.
            ConnectionError: The peer is gone.
        """
        writer = self._open_writer("write")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be byte-ish ({type(data)!r})")
        if self._omit_content:
            return
        if self._compressor is not None:
            data = await self._compressor.compress(data)
            if not data:
                return
        await writer.write(data)

    async def drain(self) -> None:
        """Wait until what was written has left for the most part.

        With compression this also lets the peer decode all that was written so far.
        """
        writer = self._open_writer("drain")
        if self._compressor is not None:
            await writer.write(self._compressor.sync())
        await writer.drain()

    async def write_eof(self, data: Byteish = b"") -> None:
        """Write *data* and end the response; does nothing if it has ended.

        Raises:
            RuntimeError: Not prepared.
            ConnectionError: The peer is gone.
        """
        if self._eof_sent:
            return
        writer = self._open_writer("write_eof")
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be byte-ish ({type(data)!r})")
        if self._omit_content:
            data = b""
        elif self._compressor is not None:
            data = await self._compressor.finish(data)
        await self._end(writer, data)

    async def _end(self, writer: ContentWriter, data: Byteish) -> None:
        if self._trailers is not None:
            writer.set_trailers(self._trailers)
        await writer.write_eof(data)
        self._eof_sent = True

    async def _say_failed(self) -> bool:
        """The handler failed after this had begun: tell the peer so, in whatever way there is.

        Returns:
            Whether there is one; the connection is cut if not.
        """
        return False

    def _open_writer(self, method: str) -> ContentWriter:
        if self._eof_sent:
            raise RuntimeError(f"Cannot call {method}() after write_eof()")
        if self._writer is None:
            raise RuntimeError(f"Cannot call {method}() before prepare()")
        return self._writer

    @property
    def body_length(self) -> int:
        """Bytes sent for this response so far, head included."""
        return 0 if self._exchange is None else self._exchange.bytes_sent

    @property
    @deprecated("Use StreamResponse.body_length (ANT-0011)")
    def output_length(self) -> int:
        """The same as `body_length`; obsolete."""
        warn_deprecated("ANT-0011")
        return self.body_length

    def __repr__(self) -> str:
        if self._eof_sent:
            info = "eof"
        elif self.prepared and self._request is not None:
            info = f"{self._request.method} {self._request.path} "
        else:
            info = "not prepared"
        return f"<{type(self).__name__} {self.reason} {info}>"


def _vary_by_encoding(headers: CIMultiDict[str]) -> None:
    """RFC 9110 section 12.5.5: a cache must know that another client would get other bytes."""
    for value in headers.getall(hdrs.VARY, ()):
        members = [member.strip(" \t").lower() for member in value.split(",")]
        if "accept-encoding" in members or "*" in members:
            return
    headers.add(hdrs.VARY, "Accept-Encoding")
