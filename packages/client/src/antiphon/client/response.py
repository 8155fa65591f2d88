"""A response: a view over one exchange.

Fields, URL and cookies are made into objects when they are asked for; most
responses are read without most of them.
"""

import asyncio
import codecs
import json as _json
import re
import sys
import traceback
import warnings
from collections.abc import AsyncIterator, Callable
from http.cookies import SimpleCookie
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import attrs
from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

from antiphon.core import hdrs
from antiphon.core.aio.exchange import ByteChannel, ClientExchange, Timeline
from antiphon.core.aio.streams import EMPTY_PAYLOAD, StreamReader
from antiphon.core.deprecations import deprecated, warn_deprecated
from antiphon.core.fields.charset import find_charset
from antiphon.core.fields.cookies import parse_set_cookie, to_morsel
from antiphon.core.fields.disposition import content_disposition_filename, parse_content_disposition
from antiphon.core.fields.link import parse_links
from antiphon.core.fields.media_type import OCTET_STREAM, parse_media_type
from antiphon.core.http import HttpVersion, Length, RawResponseMessage
from antiphon.core.typedefs import RawHeaders

from . import _drain
from .errors import ClientConnectionError, ClientPayloadError, ClientResponseError, ContentTypeError
from .progress import DownloadProgress
from .request_info import RequestInfo

if TYPE_CHECKING:
    from ._flights import Flight
    from .connector.base import Connection
    from .request import ClientRequest
    from .session import ClientSession
    from .tracing import Trace

__all__ = ("ClientResponse", "ContentDisposition")

ERROR_BODY_SIZE: Final = 64 * 1024
"""Bytes of an error response's content that are kept on the exception."""

ERROR_BODY_TIMEOUT: Final = 5.0
"""Seconds for them to come; the status is what matters, and is not held back for longer."""

_JSON_TYPE: Final = re.compile(r"application/(?:[\w.+-]+?\+)?json", re.ASCII | re.IGNORECASE)
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


@attrs.frozen
class ContentDisposition:
    """What ``Content-Disposition`` says (RFC 6266)."""

    type: str | None
    """``attachment``, ``inline`` and so on."""
    parameters: "MappingProxyType[str, str]"
    filename: str | None


class ClientResponse:
    """A response whose head has come; its content is read from here.

    Used with ``async with``, or read to its end, or given back by `release`. What is
    dropped before that warns, and closes its connection.

    Made by a session; the arguments are those aiohttp documents, so that a test can make
    one. What is not named below is not used.

    Args:
        method: The request's method.
        url: The request's URL.
        request_info: What was asked.
        loop: The event loop.
        session: Who made the request.
        traces: Who observes.
    """

    ATTRS: ClassVar[frozenset[str]] = frozenset()
    """Names that may be set on a response; there for old code, nothing is refused."""

    # Most of these are never set: the class has the defaults.
    version: HttpVersion | None = None
    """The response's HTTP version."""
    status: int = 0
    """The status code."""
    reason: str | None = None
    """The reason phrase."""
    _history: "tuple[ClientResponse, ...]" = ()
    _body: bytes | None = None
    # Content that was all there with the head needs no stream, unless somebody asks for it.
    _content: StreamReader | None = None
    _whole: bytes | None = None
    _entered = False
    """Whether an ``async with`` gives it back."""
    _headers: CIMultiDictProxy[str] | None = None
    _raw_headers: RawHeaders | None = None
    _cookies: SimpleCookie | None = None
    _message: RawResponseMessage | None = None
    _exchange: ClientExchange | None = None
    _flight: "Flight | None" = None
    _request: "ClientRequest | None" = None
    _request_info: RequestInfo | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _traces: "tuple[Trace, ...]" = ()
    _source_traceback: traceback.StackSummary | None = None

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        writer: Any = None,  # Any: aiohttp's own objects, which have no counterpart here
        continue100: Any = None,
        timer: Any = None,
        request_info: RequestInfo | None = None,
        traces: "list[Trace] | tuple[Trace, ...] | None" = None,
        loop: asyncio.AbstractEventLoop | None = None,
        session: "ClientSession | None" = None,
        stream_writer: Any = None,
    ) -> None:
        self.method = method
        """The request's method."""
        self._url = url
        self._session = session
        if traces:
            self._traces = tuple(traces)
        if loop is not None:
            self._loop = loop
        if request_info is not None:
            self._request_info = request_info

    def begin(
        self, request: "ClientRequest", flight: "Flight", message: RawResponseMessage
    ) -> None:
        """Be the response to *request* whose head is *message*. Called once, by the client."""
        self._request = request
        self._flight = flight
        self._message = message
        exchange = self._exchange = flight.exchange
        self._whole = exchange.whole
        if self._whole is None:
            content = self._content = exchange.content
            if content is not EMPTY_PAYLOAD and not content.is_whole():
                content.translate_errors(flight.content_error)
        self.version = message.version
        self.status = message.code
        self.reason = message.reason
        if request.traces:
            self._traces = request.traces
        if flight.flights.debug:
            self._source_traceback = traceback.extract_stack(sys._getframe(1))

    # -- the head

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header section."""
        if self._headers is None:
            assert self._message is not None
            self._headers = self._message.headers
        return self._headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The header section as bytes, in order, duplicates kept."""
        if self._raw_headers is None:
            assert self._message is not None
            self._raw_headers = self._message.raw_headers
        return self._raw_headers

    @property
    def content(self) -> StreamReader:
        """The content as a stream, decoded."""
        content = self._content
        if content is None:
            exchange = self._exchange
            content = self._content = EMPTY_PAYLOAD if exchange is None else exchange.content
            if self._body is not None:
                content.read_nowait()  # it was read already, without a stream
        return content

    @content.setter
    def content(self, content: StreamReader) -> None:
        self._content = content

    @property
    def url(self) -> URL:
        """The URL that answered, without a fragment."""
        return self._url.with_fragment(None) if self._url.raw_fragment else self._url

    @property
    def url_obj(self) -> URL:
        """The same as `url`; aiohttp's older name."""
        return self.url

    @property
    def real_url(self) -> URL:
        """The URL that answered, with the fragment that was asked for."""
        return self.request_info.real_url

    @property
    def host(self) -> str:
        """The host that answered."""
        return self._url.host or ""

    @property
    def request_info(self) -> RequestInfo:
        """What was asked."""
        info = self._request_info
        if info is None:
            assert self._request is not None
            info = self._request_info = self._request.request_info
        return info

    @property
    def history(self) -> "tuple[ClientResponse, ...]":
        """The redirect responses that led here, oldest first."""
        return self._history

    @property
    def informational(self) -> list[RawResponseMessage]:
        """The 1xx heads that came before this response."""
        return [] if self._exchange is None else self._exchange.informational

    @property
    def trailers(self) -> CIMultiDictProxy[str] | None:
        """The trailer section, once the content was read to its end; ``None`` if none came."""
        return None if self._exchange is None else self._exchange.trailers

    @property
    def timeline(self) -> Timeline | None:
        """When things happened: loop times."""
        return None if self._exchange is None else self._exchange.timeline

    @property
    def cookies(self) -> SimpleCookie:
        """What ``Set-Cookie`` set; also in the session's jar, where that accepts it."""
        if self._cookies is None:
            self._cookies = cookies = SimpleCookie()
            for value in self.headers.getall(hdrs.SET_COOKIE, ()):
                cookie = parse_set_cookie(value)
                if cookie is not None:
                    dict.__setitem__(cookies, cookie.name, to_morsel(cookie))
        return self._cookies

    @property
    def content_length(self) -> int | None:
        """Announced size of the content in bytes, before decoding."""
        if self._message is not None and isinstance(self._message.framing, Length):
            return self._message.framing.size
        value = self.headers.get(hdrs.CONTENT_LENGTH)
        return int(value) if value is not None and value.isascii() and value.isdigit() else None

    @property
    def content_type(self) -> str:
        """Media type without parameters; ``application/octet-stream`` if none is given."""
        value = self.headers.get(hdrs.CONTENT_TYPE)
        if value is None:
            return OCTET_STREAM
        return value.partition(";")[0].strip(" \t").lower() or OCTET_STREAM

    @property
    def charset(self) -> str | None:
        """The charset that ``Content-Type`` names."""
        value = self.headers.get(hdrs.CONTENT_TYPE)
        if value is None or ";" not in value:
            return None
        parsed = parse_media_type(value)
        return None if parsed is None else parsed.charset

    @property
    def content_disposition(self) -> ContentDisposition | None:
        """What ``Content-Disposition`` says; ``None`` without one."""
        value = self.headers.get(hdrs.CONTENT_DISPOSITION)
        if value is None:
            return None
        kind, parameters = parse_content_disposition(value)
        return ContentDisposition(
            kind, MappingProxyType(dict(parameters)), content_disposition_filename(parameters)
        )

    @property
    def links(self) -> "MultiDictProxy[MultiDictProxy[str | URL]]":
        """``Link`` fields (RFC 8288) by their relation, or by URL if they name none.

        The ``url`` of each is absolute. Those whose target is no URL are left out.
        """
        links: MultiDict[MultiDictProxy[str | URL]] = MultiDict()
        for value in self.headers.getall(hdrs.LINK, ()):
            for found in parse_links(value):
                try:
                    url = self.url.join(URL(found.target))
                except ValueError:
                    continue  # a bracket that is not closed, a port that is none
                link: MultiDict[str | URL] = MultiDict(found.parameters)
                link["url"] = url
                links.add(found.rel or found.target, MultiDictProxy(link))
        return MultiDictProxy(links)

    # -- the connection

    @property
    def connection(self) -> "Connection | None":
        """The connection; ``None`` once it was given back."""
        flight = self._flight
        return None if flight is None or self.closed else flight.connection

    @property
    def closed(self) -> bool:
        """Whether the connection was given back: nothing more will come."""
        flight = self._flight
        return flight is None or flight.finished or flight.drain is not None

    @property
    @deprecated("Give the request an upload_tracker=UploadTracker() (ANT-0031)")
    def output_size(self) -> int:
        """Bytes written for the request, head included. Obsolete (ANT-0031)."""
        warn_deprecated("ANT-0031")
        exchange = self._exchange
        return 0 if exchange is None else exchange.writer.output_size

    @property
    @deprecated("Give the request an upload_tracker=UploadTracker() (ANT-0032)")
    def upload_complete(self) -> bool:
        """Whether the request's content was sent in full. Obsolete (ANT-0032)."""
        warn_deprecated("ANT-0032")
        flight = self._flight
        upload = None if flight is None else flight.upload
        return upload is None or (
            upload.done() and not upload.cancelled() and upload.exception() is None
        )

    @property
    def download_progress(self) -> DownloadProgress:
        """How much of the content has come."""
        return DownloadProgress(self.content.total_raw_bytes, self.content_length)

    def release(self) -> None:
        """Give the connection back; nothing more can be read.

        Where up to 64 KiB of content are still to come, uncoded and of a size that was
        announced, they are let past in the background for half a second at most, and the
        connection is used again. Else it is closed.
        """
        flight = self._flight
        if flight is None or self.closed:
            return
        error = ClientConnectionError("Connection closed: the response was released")
        content, message = self._content, self._message
        if content is None or message is None or not _drain.begin(flight, message, content):
            flight.abort(error)
            return
        self._content = _drain.ended(error, flight.flights.loop)

    def close(self) -> None:
        """Close the connection, if it was not given back."""
        flight = self._flight
        if flight is not None and not self.closed:
            flight.abort(ClientConnectionError("Connection closed: the response was closed"))

    async def wait_for_close(self) -> None:
        """Give the connection back, and wait until the request's content is no longer sent."""
        flight = self._flight
        if flight is None:
            return
        self.release()
        if flight.upload is not None and not flight.upload.done():
            await asyncio.wait([flight.upload])

    async def __aenter__(self) -> Self:
        self._entered = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        flight = self._flight
        if flight is not None and not (flight.finished and flight.upload is None):
            if exc_val is not None and not isinstance(exc_val, Exception):
                self.close()  # cancelled: the connection is nobody's in this very step
            await self.wait_for_close()

    def __del__(self) -> None:
        flight = self._flight
        if flight is None or self.closed:
            return
        loop = flight.flights.loop
        if loop.is_closed():
            return
        warnings.warn(f"Unclosed response {self!r}", ResourceWarning, source=self, stacklevel=2)
        context: dict[str, Any] = {"client_response": self, "message": "Unclosed response"}
        if self._source_traceback is not None:
            context["source_traceback"] = self._source_traceback
        loop.call_exception_handler(context)
        # Collection may happen in any thread; connections belong to the loop's.
        loop.call_soon_threadsafe(flight.abort)

    def switch(self) -> ByteChannel:
        """Take the connection over after 101; it goes back to nobody, and counts until it ends.

        Raises:
            LocalProtocolError: The server did not agree to another protocol.
            ConnectionError: The connection is lost.
        """
        flight = self._flight
        if flight is None:
            raise ClientConnectionError("Connection closed")
        return flight.switch()

    # -- the content

    async def read(self, *, max_size: int | None = None) -> bytes:
        """Return all content, decoded. It is kept: a second call returns the same.

        Args:
            max_size: Bytes it may have; by default what the request or the session says.

        Raises:
            ClientPayloadError: It is bigger, ended early, or broke its framing or coding.
            ClientConnectionError: The connection was lost or closed.
        """
        body = self._body
        if body is None:
            if max_size is None and self._request is not None:
                max_size = self._request.options.max_size
            if self._content is None:
                body = self._whole
            elif self._content.is_whole():
                body = self._content.read_nowait()
            if body is None:
                body = await self._read_all(max_size)
            elif max_size is not None and len(body) > max_size:
                raise self._too_big(max_size)
            self._body = body
            for trace in self._traces:
                await trace.send_response_chunk_received(self.method, self.url, body)
        return body

    async def _read_all(self, max_size: int | None) -> bytes:
        content = self.content
        try:
            if max_size is None:
                return await content.read()
            announced = self.content_length
            if announced is not None and announced > max_size and not self._is_coded:
                raise self._too_big(max_size)
            parts: list[bytes] = []
            size = 0
            while part := await content.readany():
                size += len(part)
                if size > max_size:
                    raise self._too_big(max_size)
                parts.append(part)
            return b"".join(parts)
        except BaseException:
            # Also when cancelled: nobody is left who would want the rest.
            self.close()
            raise

    @property
    def _is_coded(self) -> bool:
        return self._message is not None and self._message.compression is not None

    def _too_big(self, max_size: int) -> ClientPayloadError:
        self.close()
        return ClientPayloadError(f"Response payload has more than {max_size} bytes")

    def get_encoding(self) -> str:
        """Return the charset to decode text with.

        That of ``Content-Type``, UTF-8 for JSON, else what the session's
        ``fallback_charset_resolver`` makes of the content.

        Raises:
            RuntimeError: The resolver has to see the content, which was not read yet.
        """
        named = self.charset
        if named is not None:
            codec = find_charset(named)
            if codec is not None:  # one that Python does not know is no better than none
                return codec
        if _JSON_TYPE.fullmatch(self.content_type):
            return "utf-8"  # RFC 8259 section 8.1
        if self._body is None:
            raise RuntimeError("Cannot compute fallback encoding of a not yet read body")
        if self._session is None:
            return "utf-8"
        return self._session.fallback_charset_resolver(self, self._body)

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """Return all content as text.

        Args:
            encoding: A charset; that of the response by default.
            errors: What to do with bytes that do not decode, as `bytes.decode` has it.
        """
        body = await self.read()
        return body.decode(encoding or self.get_encoding(), errors)

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: Callable[[str], Any] = _json.loads,
        content_type: str | None = "application/json",
    ) -> Any:
        """Return what the content says as JSON; ``None`` if it is empty.

        Args:
            encoding: A charset; that of the response by default.
            loads: Makes objects of text.
            content_type: The media type to insist on; ``None`` takes any.

        Raises:
            ContentTypeError: The response has another media type.
        """
        body = await self.read()
        if content_type and not _is_type(self.content_type, content_type):
            raise ContentTypeError(
                self.request_info,
                self.history,
                status=self.status,
                message=(
                    f"Attempt to decode JSON with unexpected mimetype: "
                    f"{self.headers.get(hdrs.CONTENT_TYPE, '').lower()}"
                ),
                headers=self.headers,
                body=body[:ERROR_BODY_SIZE],
            )
        if not body or body.isspace():
            return None
        return loads(body.decode(encoding or self.get_encoding()))

    async def iter_lines(
        self, encoding: str | None = None, errors: str = "strict"
    ) -> AsyncIterator[str]:
        """Iterate over the lines of text, without their ends, as they come.

        Lines end with LF, CR LF or CR.

        Args:
            encoding: A charset; that of the response by default, UTF-8 if it names none.
            errors: What to do with bytes that do not decode.

        Raises:
            ClientPayloadError: A line is longer than ``read_bufsize`` allows (four times
                that), or the content ended early.
        """
        if encoding is None:
            encoding = find_charset(self.charset or "utf-8") or "utf-8"
        decoder = codecs.getincrementaldecoder(encoding)(errors)
        limit = 2 * self.content.get_read_buffer_limits()[1]
        parts: list[str] = []  # of a line whose end has not come
        held = 0
        after_cr = False
        async for data in self._blocks():
            text = decoder.decode(data)
            if after_cr and text:
                text = text.removeprefix("\n")
                after_cr = False
            if not text:
                continue
            after_cr = text.endswith("\r")
            lines = _LINE_END.split(text)
            if len(lines) > 1:
                parts.append(lines[0])
                yield "".join(parts)
                for line in lines[1:-1]:
                    yield line
                parts = []
                held = 0
            parts.append(lines[-1])
            held += len(lines[-1])
            if held > limit:
                raise self._too_long(limit)
        parts.append(decoder.decode(b"", final=True))
        if rest := "".join(parts):
            yield rest

    def _too_long(self, limit: int) -> ClientPayloadError:
        self.close()
        return ClientPayloadError(f"A line of the response has more than {limit} characters")

    async def iter_json_lines(
        self, *, loads: Callable[[str], Any] = _json.loads
    ) -> AsyncIterator[Any]:
        """Iterate over the values of JSON Lines (one JSON text a line); empty lines are skipped.

        Args:
            loads: Makes objects of text.
        """
        async for line in self.iter_lines("utf-8"):
            if line and not line.isspace():
                yield loads(line)

    async def _blocks(self) -> AsyncIterator[bytes]:
        if self._body is not None:
            yield self._body
            return
        while True:
            data = await self.content.readany()
            if not data:
                return
            yield data

    # -- errors

    def raise_for_status(self) -> None:
        """Raise `ClientResponseError` if the status is 400 or more.

        The exception's ``body`` has what is here of the content, at most 64 KiB; nothing is
        taken from it: inside of ``async with`` it can be read afterwards, to its end. Outside
        the connection is given back, and only content that is here as a whole stays.
        """
        if self.ok:
            return
        error = self.status_error(self._beginning())
        if not self._entered:
            self.release()
        raise error

    def _beginning(self) -> bytes:
        """Return the content's first 64 KiB, or what is here of them, and leave it there."""
        body = self._body
        content = self._content
        if body is None and content is None:
            body = self._whole
        if body is not None:
            return body[:ERROR_BODY_SIZE]
        if content is None or content.exception() is not None or content.waiting:
            return b""
        return content.peek_nowait(ERROR_BODY_SIZE)

    async def checked(self) -> None:
        """Do what `raise_for_status` does, after waiting for the beginning of the content.

        Waits for 5 seconds at most.

        Raises:
            ClientResponseError: The status is 400 or more.
        """
        if self.ok:
            return
        error = self.status_error(await self.read_beginning())
        self.release()
        raise error

    async def read_beginning(self) -> bytes:
        """Return the content's first 64 KiB, or what comes of them in 5 seconds.

        That is for an error's sake; where not all came, the connection is closed.
        """
        body = bytearray()
        try:
            async with asyncio.timeout(ERROR_BODY_TIMEOUT):
                while len(body) < ERROR_BODY_SIZE:
                    part = await self.content.read(ERROR_BODY_SIZE - len(body))
                    if not part:
                        break
                    body += part
        except Exception:
            # The status is what matters: an error page that is cut short changes nothing of it.
            self.close()
        return bytes(body)

    def status_error(self, body: bytes) -> ClientResponseError:
        """Return the exception for this response's status."""
        return ClientResponseError(
            self.request_info,
            self.history,
            status=self.status,
            message=self.reason or "",
            headers=self.headers,
            body=body[:ERROR_BODY_SIZE],
            encoding=self.charset or "utf-8",
        )

    def __repr__(self) -> str:
        reason = self.reason
        shown = reason.encode("ascii", "backslashreplace").decode("ascii") if reason else reason
        headers = "" if self._message is None and self._headers is None else f"\n{self.headers}"
        return f"<{type(self).__name__}({self.url}) [{self.status} {shown}]>{headers}\n"


def _is_type(actual: str, expected: str) -> bool:
    if expected == "application/json":
        return _JSON_TYPE.fullmatch(actual) is not None
    return expected in actual
