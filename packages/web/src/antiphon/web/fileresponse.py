"""A file as a response."""

import asyncio
import secrets
import weakref
from functools import partial
from typing import BinaryIO, Final

from multidict import CIMultiDict

from antiphon.core import hdrs
from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.writer import AbstractStreamWriter, ContentWriter
from antiphon.core.fields.etag import ETag
from antiphon.core.fields.ranges import format_content_range
from antiphon.core.typedefs import LooseHeaders, PathLikeStr

from ._conditional import CONDITIONS, WHOLE, ByteRanges, Decision, Outcome, decide
from ._files import (
    FileCache,
    NotAFile,
    Representation,
    accepted_codings,
    off_loop,
    open_representation,
)
from ._stream_response import StreamResponse
from .request import BaseRequest

__all__ = ("FileResponse",)

_cache: Final = FileCache()

_DESCRIBES_CONTENT: Final = (
    hdrs.CONTENT_TYPE,
    hdrs.CONTENT_ENCODING,
    hdrs.CONTENT_LENGTH,
    hdrs.CONTENT_RANGE,
    hdrs.ACCEPT_RANGES,
)


class FileResponse(StreamResponse):
    """A response with the content of a file.

    Args:
        path: Where the file is. It is the application's word: nothing is checked about it.
        chunk_size: Bytes read at a time where the content is compressed on the way.
        status: The status code; with another than 200, conditions and ranges do not count.
        reason: The reason phrase; the standard one of *status* by default.
        headers: Fields to send; they go before what the file says of itself.

    The media type follows from the name. ``If-*``, ``Range`` and several ranges are answered as
    RFC 9110 says. If the client accepts it, a file ``path.br``, ``path.zst`` or ``path.gz`` is
    sent in its place. A path without a file is answered 404; what is there and is no regular
    file, or may not be read, 403.

    Content of small files is kept in memory, and compared with the file each time; large
    files are sent by the system where it can do that, at any size in bounded memory.
    """

    _found: Representation | None = None
    _file: BinaryIO | None = None
    _length: int | None = None

    def __init__(
        self,
        path: PathLikeStr,
        chunk_size: int = 256 * 1024,
        status: int = 200,
        reason: str | None = None,
        headers: LooseHeaders | None = None,
    ) -> None:
        super().__init__(status=status, reason=reason, headers=headers)
        self._path = str(path)
        self._chunk_size = chunk_size

    # --- at once, for what is in memory

    def _send_whole(self, exchange: ServerExchange, request: BaseRequest) -> bool:
        if (
            not self._plain
            or self._exchange is not None
            or request._prepare_signals
            or type(self) is not FileResponse
        ):
            return False
        found = self._found
        if found is None:
            codings = accepted_codings(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
            found = self._found = _cache.get(self._path, codings)
        if found is None or found.content is None:
            return False
        decision = self._decide(request, found)
        if len(decision.ranges) > 1:
            return False
        self._apply(found, decision)
        body = _part_of(found.content, decision)
        self._exchange = exchange
        self._request = request
        exchange.respond_complete(self._status, self._headers, body, reason=self._reason)
        self._eof_sent = True
        return True

    # --- in steps

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send the whole response, head and content.

        A file that gets shorter meanwhile ends the connection: the client must not take
        what it got for the whole.

        Raises:
            RuntimeError: The response was sent for another request.
            ConnectionError: The peer is gone.
        """
        if self._exchange is not None:
            return await super().prepare(request)
        found, file = self._found, self._file
        if found is None or (found.content is None and file is None):
            try:
                found, file = await self._open(request)
            except (FileNotFoundError, NotADirectoryError):
                return await self._fail(request, 404)
            except (NotAFile, PermissionError, IsADirectoryError):
                return await self._fail(request, 403)
        try:
            return await self._send_found(request, found, file)
        finally:
            if file is not None:
                file.close()

    async def _open(self, request: BaseRequest) -> tuple[Representation, BinaryIO | None]:
        codings = accepted_codings(request.headers.getall(hdrs.ACCEPT_ENCODING, ()))
        path = self._path
        found, file = await off_loop(partial(open_representation, path, codings))
        _cache.put(path, codings, path, found)
        return found, file

    async def _fail(self, request: BaseRequest, status: int) -> AbstractStreamWriter | None:
        self._set_status(status, None)
        self._reason = None
        self._length = 0
        return await super().prepare(request)

    async def _send_found(
        self, request: BaseRequest, found: Representation, file: BinaryIO | None
    ) -> AbstractStreamWriter | None:
        encodes = (
            self._compression
            and found.coding is None
            and hdrs.CONTENT_ENCODING not in self._headers
        )
        decision = self._decide(request, found, ranges=not encodes)
        self._apply(found, decision)
        several = None
        if len(decision.ranges) > 1:
            several = ByteRanges(
                decision.ranges, found.size, self.headers[hdrs.CONTENT_TYPE], secrets.token_hex(16)
            )
            self._headers[hdrs.CONTENT_TYPE] = several.content_type
        if encodes and decision.outcome is Outcome.WHOLE:
            self._weaken_etag()
        self._length = several.size if several is not None else _size_of(decision, found.size)
        writer = await super().prepare(request)
        exchange = request._exchange
        try:
            if not self._omit_content and decision.outcome in {Outcome.WHOLE, Outcome.PARTIAL}:
                await self._send_content(exchange, found, file, decision, several)
        except EOFError:
            # Less than was announced cannot be told from a lost connection, and so must look alike.
            exchange.abort()
            self._eof_sent = True
            request_handler = request._request_handler
            if request_handler is not None:
                request_handler.logger.warning("%s got shorter while it was sent", found.path)
            return writer
        await super().write_eof()
        return writer

    async def _send_content(
        self,
        exchange: ServerExchange,
        found: Representation,
        file: BinaryIO | None,
        decision: Decision,
        several: ByteRanges | None,
    ) -> None:
        writer = self._open_writer("prepare")
        if self._compressor is not None:
            await self._send_compressed(found, file)
        elif several is None:
            ranges = decision.ranges or ((0, found.size),)
            await _send_piece(exchange, writer, found, file, *ranges[0])
        else:
            for head, (start, stop) in zip(several.heads, several.ranges, strict=True):
                await writer.write(head)
                await _send_piece(exchange, writer, found, file, start, stop)
            await writer.write(several.end)

    async def _send_compressed(self, found: Representation, file: BinaryIO | None) -> None:
        if file is None:
            await self.write(found.content or b"")
            return
        loop = asyncio.get_running_loop()
        left = found.size
        while left:
            block = await loop.run_in_executor(None, file.read, min(self._chunk_size, left))
            if not block:
                raise EOFError(f"The file ended {left} bytes too early")
            left -= len(block)
            await self.write(block)

    # --- what is said

    def _decide(self, request: BaseRequest, found: Representation, ranges: bool = True) -> Decision:
        headers = request.headers
        # RFC 9110 section 13.2.1: conditions count only where the answer would be a 200.
        if self._status != 200 or not any(name in headers for name in CONDITIONS):
            return WHOLE
        etag: ETag | None = found.etag
        modified = found.modified
        if self._headers:  # the application may know better what it sends
            if hdrs.ETAG in self._headers:
                etag = self.etag
            if hdrs.LAST_MODIFIED in self._headers:
                modified = self.last_modified
        decision = decide(request.method, headers, etag=etag, modified=modified, size=found.size)
        if not ranges and decision.outcome in {Outcome.PARTIAL, Outcome.UNSATISFIABLE}:
            return WHOLE
        return decision

    def _apply(self, found: Representation, decision: Decision) -> None:
        """Set status and fields."""
        if self._headers:
            headers = self._headers
            for name, value in found.headers.items():
                if name == hdrs.VARY:
                    headers.add(name, value)
                else:
                    headers.setdefault(name, value)
        else:
            headers = self._headers = found.headers.copy()
        outcome = decision.outcome
        if outcome is Outcome.WHOLE:
            return
        self._status = outcome.value
        self._reason = None
        if outcome is Outcome.PARTIAL:
            if len(decision.ranges) == 1:
                start, stop = decision.ranges[0]
                headers[hdrs.CONTENT_RANGE] = format_content_range(start, stop, found.size)
            return
        for name in _DESCRIBES_CONTENT:
            headers.pop(name, None)
        if outcome is Outcome.UNSATISFIABLE:
            headers[hdrs.CONTENT_RANGE] = format_content_range(None, None, found.size)

    def _weaken_etag(self) -> None:
        # What is compressed on the way need not come out byte for byte the same each time.
        etag = self.etag
        if etag is not None:
            self.etag = ETag(etag.value, is_weak=True)
        self._headers.pop(hdrs.ACCEPT_RANGES, None)

    def _announced_length(self) -> int | None:
        return None if self._chunked or self._compressor is not None else self._length

    async def _begin(self, request: BaseRequest, exchange: ServerExchange) -> ContentWriter:
        self._headers.pop(hdrs.CONTENT_LENGTH, None)  # the file's is the one that is true
        return await super()._begin(request, exchange)


def found_response(
    found: Representation, chunk_size: int, file: BinaryIO | None = None
) -> FileResponse:
    """Make the response for a file that was found already.

    Args:
        found: What was found.
        chunk_size: See `FileResponse`.
        file: Where the content is, if it is not in memory; belongs to the response now.
    """
    response = FileResponse.__new__(FileResponse)
    response._headers = CIMultiDict()
    response._status = 200
    response._path = found.path
    response._chunk_size = chunk_size
    response._found = found
    if file is not None:
        response._file = file
        # A middleware may answer otherwise, and nobody prepares this then.
        weakref.finalize(response, file.close)
    return response


async def _send_piece(
    exchange: ServerExchange,
    writer: ContentWriter,
    found: Representation,
    file: BinaryIO | None,
    start: int,
    stop: int,
) -> None:
    if file is None:
        await writer.write(memoryview(found.content or b"")[start:stop])
    else:
        await exchange.sendfile(writer, file, start, stop - start)


def _size_of(decision: Decision, size: int) -> int:
    if decision.outcome is Outcome.WHOLE:
        return size
    return sum(stop - start for start, stop in decision.ranges)


def _part_of(content: bytes, decision: Decision) -> bytes | memoryview:
    if decision.outcome is Outcome.WHOLE:
        return content
    if not decision.ranges:
        return b""
    start, stop = decision.ranges[0]
    return memoryview(content)[start:stop]
