"""An exchange made of parts: for requests built by hand, as in tests."""

import asyncio
from collections.abc import Callable
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from antiphon.core.aio.exchange import ByteChannel, ConnectionInfo, Timeline
from antiphon.core.aio.streams import StreamReader
from antiphon.core.aio.writer import AbstractStreamWriter, ContentWriter
from antiphon.core.errors import HttpProcessingError, LocalProtocolError
from antiphon.core.http import RawRequestMessage

__all__ = ("PartsExchange",)


class PartsExchange:
    """What `BaseRequest` makes of a head, content, connection, writer and task.

    Responses go to the writer: head (if it has ``write_headers``) and content. Nothing of a
    connection's duties is done here.
    """

    error: HttpProcessingError | None = None
    trailers: CIMultiDictProxy[str] | None = None
    closed = False

    def __init__(
        self,
        head: RawRequestMessage,
        content: StreamReader,
        info: Any,
        writer: AbstractStreamWriter | None,
        task: "asyncio.Task[None] | None",
    ) -> None:
        self.head = head
        self.content = content
        self.info: ConnectionInfo = info
        self.writer = writer
        self.task = task
        self.timeline = Timeline(0.0)
        self.keep_alive = not head.should_close
        self.responding = False
        self.bytes_sent = 0
        self._disconnect_callbacks: list[Callable[[], None]] = []

    def set_keep_alive(self, value: bool) -> None:
        self.keep_alive = value

    def decline_body(self) -> None:
        """Nobody waits for leave to send content."""

    def respond(
        self,
        status: int,
        headers: CIMultiDict[str],
        *,
        reason: str | None = None,
        length: int | None = None,
        chunked: bool = False,
        default_fields: bool = True,
    ) -> ContentWriter:
        if self.responding:
            raise LocalProtocolError("a response has begun already")
        if self.writer is None:
            raise LocalProtocolError("this request was made without a writer")
        self.responding = True
        return _PartsWriter(self, self.writer)

    def respond_complete(
        self,
        status: int,
        headers: CIMultiDict[str],
        body: bytes | bytearray | memoryview,
        *,
        reason: str | None = None,
        default_fields: bool = True,
    ) -> None:
        raise LocalProtocolError("a request made of parts is answered by prepare and write_eof")

    def send_informational(self, status: int, headers: CIMultiDict[str]) -> None:
        raise LocalProtocolError("a request made of parts has no connection")

    def upgrade(
        self, status: int, headers: CIMultiDict[str], *, reason: str | None = None
    ) -> ByteChannel:
        raise LocalProtocolError("a request made of parts has no connection")

    async def sendfile(self, writer: ContentWriter, file: Any, offset: int, count: int) -> None:
        file.seek(offset)
        await writer.write(file.read(count))

    async def drain(self) -> None:
        if self.writer is not None:
            await self.writer.drain()

    def add_disconnect_callback(self, callback: Callable[[], None]) -> None:
        self._disconnect_callbacks.append(callback)

    def remove_disconnect_callback(self, callback: Callable[[], None]) -> None:
        if callback in self._disconnect_callbacks:
            self._disconnect_callbacks.remove(callback)

    def abort(self) -> None:
        self.closed = True
        callbacks, self._disconnect_callbacks = self._disconnect_callbacks, []
        for callback in callbacks:
            callback()


class _PartsWriter(ContentWriter):
    """Passes content on to the writer that was given, and counts it."""

    def __init__(self, exchange: PartsExchange, writer: AbstractStreamWriter) -> None:
        self._exchange = exchange
        self._writer = writer
        self.length = None

    def write_nowait(self, chunk: bytes | bytearray | memoryview) -> None:
        raise LocalProtocolError("a request made of parts is written to with write()")

    def set_trailers(self, trailers: CIMultiDict[str]) -> None:
        """Nobody sends them."""

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self._count(chunk)
        await self._writer.write(chunk)

    async def write_eof(self, chunk: bytes | bytearray | memoryview = b"") -> None:
        self._count(chunk)
        await self._writer.write_eof(chunk)

    async def drain(self) -> None:
        await self._writer.drain()

    def _count(self, chunk: bytes | bytearray | memoryview) -> None:
        self.output_size += len(chunk)
        self._exchange.bytes_sent += len(chunk)
