"""One request with its response, handed over as objects: no bytes of any protocol."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from antiphon.client import BaseConnector
from antiphon.core.aio.exchange import ByteReceiver, ExchangeHandler, HttpConnection, Timeline
from antiphon.core.aio.streams import EMPTY_PAYLOAD, StreamReader
from antiphon.core.aio.writer import ContentWriter
from antiphon.core.http import (
    EMPTY,
    UNTIL_CLOSE,
    HttpVersion,
    RawRequestMessage,
    RawResponseMessage,
    RequestHead,
)

HTTP_2 = HttpVersion(2, 0)
_numbers = itertools.count()


class NoFlow:
    """Pauses nobody: what is written is there at once."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Info:
    ssl_object = transport = peername = sockname = None

    def __init__(self) -> None:
        self.id = next(_numbers)
        self.created = asyncio.get_running_loop().time()
        self.uses = 1

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class ObjectWriter(ContentWriter):
    """Feeds the other end's stream."""

    def __init__(self, exchange: "ObjectExchange", stream: StreamReader, sent: Callable[[], None]):
        self._exchange = exchange
        self._stream = stream
        self._sent = sent
        self.length = None

    def write_nowait(self, chunk: Any) -> None:
        if self._exchange.gone:
            raise ConnectionResetError("the other end is gone")
        self.output_size += len(chunk)
        if chunk:
            self._stream.feed_data(bytes(chunk))

    async def write(self, chunk: Any) -> None:
        self.write_nowait(chunk)
        await asyncio.sleep(0)

    async def write_eof(self, chunk: Any = b"") -> None:
        self.write_nowait(chunk)
        self._stream.feed_eof()
        self._sent()

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def set_trailers(self, trailers: CIMultiDict[str]) -> None:
        self._exchange.trailers = CIMultiDictProxy(trailers)


class ObjectChannel:
    """One end of the bytes that follow an upgrade: handed over, not sent."""

    write_paused = False

    def __init__(self, info: Info) -> None:
        self.info = info
        self.closed = False
        self.peer: ObjectChannel
        self._receiver: ByteReceiver | None = None
        self._waiting: list[bytes | None] = []
        self._reading = True
        self._loop = asyncio.get_running_loop()

    def attach(self, receiver: ByteReceiver) -> None:
        self._receiver = receiver
        self._deliver()

    def write(self, data: Any) -> None:
        if not self.closed:
            self.peer._take(bytes(data))

    def write_eof(self) -> None:
        self.peer._take(None)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.peer._take(None)
            self._loop.call_soon(self._lost)

    abort = close

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._loop.call_soon(self._deliver)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def _take(self, data: bytes | None) -> None:
        self._waiting.append(data)
        self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        while self._waiting and self._reading and self._receiver is not None and not self.closed:
            data = self._waiting.pop(0)
            if data is None:
                self._receiver.eof_received()
                self.close()
            else:
                self._receiver.data_received(data)

    def _lost(self) -> None:
        if self._receiver is not None:
            self._receiver.connection_lost(None)


class ObjectExchange:
    """Both views of one exchange; see `ServerSide` and `ClientSide`."""

    def __init__(self, request: RequestHead, body: bytes | None, has_content: bool) -> None:
        loop = asyncio.get_running_loop()
        self.request = request
        self.info = Info()
        self.timeline = Timeline(loop.time())
        self.answer: asyncio.Future[RawResponseMessage] = loop.create_future()
        self.up = StreamReader(NoFlow(), 2**16) if has_content or body else EMPTY_PAYLOAD
        if body:
            self.up.feed_data(body)
            self.up.feed_eof()
        self.down = StreamReader(NoFlow(), 2**16)
        self.sent = not has_content
        self.answered = False
        self.gone = False
        self.trailers: CIMultiDictProxy[str] | None = None
        self.callbacks: list[Callable[[], None]] = []
        self.on_disconnect: list[Callable[[], None]] = []
        self.informational: list[RawResponseMessage] = []
        self.channels = ObjectChannel(self.info), ObjectChannel(self.info)
        self.channels[0].peer, self.channels[1].peer = self.channels[1], self.channels[0]

    def request_sent(self) -> None:
        self.sent = True
        self.check_done()

    def response_sent(self) -> None:
        self.answered = True
        self.check_done()

    def check_done(self) -> None:
        if (self.sent and self.answered) or self.gone:
            callbacks, self.callbacks = self.callbacks, []
            for callback in callbacks:
                callback()

    def break_off(self, exc: BaseException | None = None) -> None:
        if self.gone or (self.sent and self.answered):
            return
        self.gone = True
        error = exc or ConnectionResetError("the exchange was given up")
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()
        for stream in (self.up, self.down):
            if not stream.is_eof():
                stream.set_exception(error)
        for callback in self.on_disconnect:
            callback()
        self.check_done()


def message_of(
    status: int, headers: CIMultiDict[str], reason: str | None = None
) -> RawResponseMessage:
    message = RawResponseMessage(HTTP_2, status, reason or "", b"", EMPTY, False)
    message._headers = CIMultiDictProxy(headers)
    return message


class ServerSide:
    error = None
    keep_alive = True
    bytes_sent = 0

    def __init__(self, exchange: ObjectExchange) -> None:
        self._exchange = exchange
        self.info, self.timeline, self.content = exchange.info, exchange.timeline, exchange.up
        request = exchange.request
        fields = CIMultiDict(request.headers)
        fields.setdefault("Host", request.authority)
        if "Upgrade" in fields:
            # The field that goes with it is the connection's business. A protocol that has
            # neither says it in its own words, as RFC 8441 does.
            fields["Connection"] = "Upgrade"
        framing = EMPTY if self.content is EMPTY_PAYLOAD else UNTIL_CLOSE  # how long, nobody says
        self.head = RawRequestMessage(request.method, request.target, HTTP_2, b"", framing, False)
        self.head._headers = CIMultiDictProxy(fields)
        self.task: asyncio.Task[None] | None = None
        self.responding = False
        self.trailers = None

    @property
    def closed(self) -> bool:
        return self._exchange.gone

    def set_keep_alive(self, value: bool) -> None: ...
    def decline_body(self) -> None: ...

    def respond(
        self, status: int, headers: CIMultiDict[str], *, reason: str | None = None, **_: Any
    ) -> ObjectWriter:
        assert not self.responding
        self.responding = True
        message = message_of(status, headers, reason)
        if not self._exchange.answer.done():
            self._exchange.answer.set_result(message)
        return ObjectWriter(self._exchange, self._exchange.down, self._exchange.response_sent)

    def respond_complete(
        self, status: int, headers: CIMultiDict[str], body: Any, **kwargs: Any
    ) -> None:
        writer = self.respond(status, headers, **kwargs)
        if self._exchange.request.method != "HEAD":
            writer.write_nowait(body)
        self._exchange.down.feed_eof()
        self._exchange.response_sent()

    def send_informational(self, status: int, headers: CIMultiDict[str]) -> None:
        self._exchange.informational.append(message_of(status, headers))

    def upgrade(
        self, status: int, headers: CIMultiDict[str], *, reason: str | None = None
    ) -> ObjectChannel:
        self.responding = True
        fields = CIMultiDict(headers)
        fields["Connection"] = "Upgrade"
        self._exchange.answer.set_result(message_of(status, fields, reason))
        self._exchange.response_sent()
        return self._exchange.channels[0]

    async def sendfile(self, writer: ContentWriter, file: Any, offset: int, count: int) -> None:
        file.seek(offset)
        while count:
            piece = file.read(min(count, 2**16))
            await writer.write(piece)
            count -= len(piece)

    async def drain(self) -> None: ...

    def add_disconnect_callback(self, callback: Callable[[], None]) -> None:
        self._exchange.on_disconnect.append(callback)

    def remove_disconnect_callback(self, callback: Callable[[], None]) -> None:
        if callback in self._exchange.on_disconnect:
            self._exchange.on_disconnect.remove(callback)

    def abort(self) -> None:
        self._exchange.break_off()


class ClientSide:
    whole = None

    def __init__(self, exchange: ObjectExchange) -> None:
        self._exchange = exchange
        self.info, self.timeline, self.content = exchange.info, exchange.timeline, exchange.down
        self.writer = ObjectWriter(exchange, exchange.up, exchange.request_sent)
        self.informational = exchange.informational
        self.last_read = asyncio.get_running_loop().time()
        self.reading_paused = False

    @property
    def trailers(self) -> CIMultiDictProxy[str] | None:
        return self._exchange.trailers

    @property
    def done(self) -> bool:
        return self._exchange.gone or (self._exchange.sent and self._exchange.answered)

    @property
    def response_started(self) -> bool:
        return self._exchange.answer.done()

    async def response(self) -> RawResponseMessage:
        return await self._exchange.answer

    def upgrade(self) -> ObjectChannel:
        return self._exchange.channels[1]

    async def wait_continue(self) -> bool:
        return True

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        self._exchange.callbacks.append(callback)
        self._exchange.check_done()

    def abort(self, exc: BaseException | None = None) -> None:
        self._exchange.break_off(exc)


class ObjectConnection:
    """A connection that carries any number of exchanges at a time, as HTTP/2 would."""

    version = HTTP_2
    keep_alive_hint = None

    def __init__(self, handler: ExchangeHandler) -> None:
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self._callbacks: list[Callable[[], None]] = []
        self.info = Info()
        self.closed = False
        self.last_used = self.info.created
        self.most_at_a_time = 0

    def free(self) -> int:
        return 0 if self.closed else 100 - len(self._tasks)

    def open(
        self,
        head: RequestHead,
        *,
        length: int | None = None,
        body: bytes | None = None,
        chunked: bool = False,
        **_: Any,
    ) -> ClientSide:
        exchange = ObjectExchange(head, body, bool(length) or chunked)
        server_side: Any = ServerSide(
            exchange
        )  # Any: it has as much of a ServerExchange as web asks
        answering: Coroutine[Any, Any, None] = self._handler(server_side)
        task = asyncio.get_running_loop().create_task(answering)
        server_side.task = task
        self._tasks.add(task)
        self.most_at_a_time = max(self.most_at_a_time, len(self._tasks))
        task.add_done_callback(self._tasks.discard)
        return ClientSide(exchange)

    def add_close_callback(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for task in self._tasks:
                task.cancel()
            for callback in self._callbacks:
                callback()

    abort = close

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)


class ObjectConnector(BaseConnector):
    """Hands requests to *handler*, in this process."""

    def __init__(self, handler: ExchangeHandler) -> None:
        super().__init__()
        self._handler = handler
        self.connections: list[ObjectConnection] = []

    async def dial(self, context: Any) -> HttpConnection:
        connection: Any = ObjectConnection(self._handler)  # Any: it has as much as client asks
        self.connections.append(connection)
        made: HttpConnection = connection
        return made
