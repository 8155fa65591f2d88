"""An HTTP connection that has no HTTP/1 in it, and sessions over it.

`Origin` is a server in memory: requests arrive as values, replies leave as
values. Everything between the session and the seam is the real thing, the
connection pool included.
"""

import asyncio
import gc
import itertools
import selectors
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import attrs
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from antiphon.client.connector._dial import DialContext
from antiphon.client.connector.base import BaseConnector
from antiphon.client.session import ClientSession
from antiphon.core.aio.exchange import Timeline
from antiphon.core.aio.streams import EMPTY_PAYLOAD, StreamReader
from antiphon.core.aio.writer import ContentWriter
from antiphon.core.http import (
    EMPTY,
    UNTIL_CLOSE,
    HttpVersion11,
    Length,
    RawResponseMessage,
    RequestHead,
)
from antiphon.core.typedefs import Byteish

_ids = itertools.count(1)


@attrs.define
class Asked:
    """A request as it arrived."""

    method: str
    target: str
    authority: str
    headers: CIMultiDict[str]
    body: bytes = b""
    chunked: bool = False
    length: int | None = None
    decompress: bool = True
    connection: "MemoryConnection | None" = None
    head: RequestHead | None = None

    @property
    def path(self) -> str:
        return self.target


@attrs.define(kw_only=True)
class Reply:
    """What the origin answers."""

    status: int = 200
    headers: list[tuple[str, str]] = attrs.field(factory=list)
    body: bytes = b""
    reason: str = "OK"
    sized: bool = True
    keep_open: bool = False
    """Do not end the content: more may be fed by the test."""
    content_error: BaseException | None = None
    """Raise this instead of ending the content."""
    trailers: CIMultiDict[str] | None = None
    keep_alive: bool = True


@attrs.define
class Lost:
    """The connection is lost instead of an answer."""

    exc: BaseException
    after_first_byte: bool = False


NEVER = object()
"""No answer at all."""

Script = Callable[[Asked], Any]


class Info:
    """A connection's `ConnectionInfo`."""

    def __init__(self, created: float) -> None:
        self.id = next(_ids)
        self.created = created
        self.uses = 0
        self.peername = ("192.0.2.1", 80)
        self.sockname = ("192.0.2.2", 50000)
        self.ssl_object = None
        self.transport = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)


class Writer(ContentWriter):
    """Takes a request's content."""

    def __init__(self, exchange: "MemoryExchange") -> None:
        self.exchange = exchange
        self.data = bytearray()
        self.output_size = 0
        self.length = None
        self.blocked: asyncio.Event | None = None

    async def write(self, chunk: Byteish) -> None:
        self.write_nowait(chunk)
        await self.drain()

    def write_nowait(self, chunk: Byteish) -> None:
        if self.exchange.gone is not None:
            raise self.exchange.gone
        self.data += chunk
        self.output_size += len(chunk)
        self.exchange.asked.body = bytes(self.data)

    async def write_eof(self, chunk: Byteish = b"") -> None:
        if chunk:
            self.write_nowait(chunk)
        self.exchange.asked.body = bytes(self.data)
        self.exchange.sent()

    async def drain(self) -> None:
        if self.blocked is not None:
            await self.blocked.wait()
        await asyncio.sleep(0)

    def set_trailers(self, trailers: CIMultiDict[str]) -> None:
        raise AssertionError("no trailers are expected")


class MemoryExchange:
    """A `ClientExchange` in memory."""

    def __init__(self, connection: "MemoryConnection", asked: Asked, timeline: Timeline) -> None:
        self.connection = connection
        self.asked = asked
        self.timeline = timeline
        self.info = connection.info
        self.content: StreamReader = EMPTY_PAYLOAD
        self.whole: bytes | None = None
        self.writer = Writer(self)
        self.informational: list[RawResponseMessage] = []
        self.trailers: CIMultiDictProxy[str] | None = None
        self.response_started = False
        self.reading_paused = False
        self.request_sent = False
        self.content_ended = False
        self.gone: BaseException | None = None
        self.callbacks: list[Callable[[], None]] = []
        self.head: asyncio.Future[RawResponseMessage] = connection.loop.create_future()
        self.last_read = connection.loop.time()
        self.read_bufsize = 65536
        self.continued: asyncio.Future[bool] = connection.loop.create_future()

    @property
    def done(self) -> bool:
        return self.request_sent and self.content_ended

    async def response(self) -> RawResponseMessage:
        return await self.head

    async def wait_continue(self) -> bool:
        return await asyncio.shield(self.continued)

    def upgrade(self) -> Any:
        raise AssertionError("nobody upgrades here")

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def abort(self, exc: BaseException | None = None) -> None:
        self.lose(exc or ConnectionAbortedError("aborted"))
        self.connection.closed = True

    # -- what the origin does

    def sent(self) -> None:
        if self.request_sent:
            return
        self.request_sent = True
        self.timeline.body_sent = self.connection.loop.time()
        if self.head.done():
            self._settle()
        else:
            self.connection.origin.arrived(self)

    def answer(self, reply: Any) -> None:
        if reply is NEVER or self.gone is not None:
            return
        self.last_read = self.connection.loop.time()
        if isinstance(reply, Lost):
            self.response_started = reply.after_first_byte
            self.connection.closed = True
            self.lose(reply.exc)
            return
        self.response_started = True
        self.timeline.first_byte = self.last_read
        block = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
        bodiless = self.asked.method == "HEAD" or reply.status in (204, 304)
        if bodiless:
            framing: Any = EMPTY
        else:
            framing = Length(len(reply.body)) if reply.sized else UNTIL_CLOSE
        message = RawResponseMessage(
            HttpVersion11,
            reply.status,
            reply.reason,
            block.encode("utf-8", "surrogateescape"),
            framing,
            not reply.keep_alive,
        )
        if not reply.keep_alive:
            self.connection.closed = True
        if not bodiless and (reply.body or reply.keep_open or reply.content_error):
            self.content = StreamReader(self, self.read_bufsize)
            if reply.body:
                self.content.feed_data(reply.body)
            if reply.content_error is not None:
                self.connection.closed = True
                self.gone = reply.content_error
                self.content.set_exception(reply.content_error)
            elif not reply.keep_open:
                self.content.feed_eof()
        self.content_ended = not reply.keep_open or bodiless
        if reply.trailers is not None:
            self.trailers = CIMultiDictProxy(reply.trailers)
        if not self.continued.done():
            self.continued.set_result(False)
        self.head.set_result(message)
        self._settle()

    def feed(self, data: bytes) -> None:
        self.last_read = self.connection.loop.time()
        self.content.feed_data(data)

    def end(self) -> None:
        self.content.feed_eof()
        self.content_ended = True
        self._settle()

    def lose(self, exc: BaseException) -> None:
        if self.gone is not None or self.done:
            return
        self.gone = exc
        if not self.head.done():
            self.head.set_exception(exc)
            self.head.exception()
        elif not self.content_ended:
            self.content.set_exception(exc)
        self._notify()

    def _settle(self) -> None:
        if self.done:
            self._notify()

    def _notify(self) -> None:
        if self.connection.current is self:
            self.connection.current = None
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False


class MemoryConnection:
    """An `HttpConnection` in memory: one exchange at a time."""

    version = HttpVersion11
    keep_alive_hint = None

    def __init__(self, origin: "Origin", loop: asyncio.AbstractEventLoop) -> None:
        self.origin = origin
        self.loop = loop
        self.info = Info(loop.time())
        self.closed = False
        self.last_used = loop.time()
        self.current: MemoryExchange | None = None
        self._callbacks: list[Callable[[], None]] = []
        origin.connections.append(self)

    def free(self) -> int:
        return int(not self.closed and self.current is None)

    def open(
        self,
        head: RequestHead,
        *,
        length: int | None = None,
        body: bytes | None = None,
        chunked: bool = False,
        decompress: bool = True,
        read_bufsize: int = 65536,
        timeline: Timeline | None = None,
        deadline: float | None = None,
    ) -> MemoryExchange:
        assert self.free(), "a connection was used that is not free"
        for text in (head.method, head.target, *head.headers.keys(), *head.headers.values()):
            if any(char in text for char in "\r\n\0"):
                raise ValueError(f"not allowed in a request: {text!r}")
        self.info.uses += 1
        asked = Asked(
            head.method,
            head.target,
            head.headers.get("Host", head.authority),
            CIMultiDict(head.headers),
            body=body or b"",
            chunked=chunked,
            length=length,
            decompress=decompress,
            connection=self,
            head=head,
        )
        for name in ("Content-Length", "Transfer-Encoding"):
            head.headers.popall(name, None)
        exchange = MemoryExchange(self, asked, timeline or Timeline(self.loop.time()))
        exchange.read_bufsize = read_bufsize
        self.current = exchange
        self.origin.opened(exchange)
        if length is None and not chunked:
            exchange.sent()
        elif head.expect_continue:
            self.origin.expected(exchange)
        return exchange

    def add_close_callback(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self.closed = True
        if self.current is not None:
            self.current.lose(ConnectionAbortedError("connection closed"))
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    async def wait_closed(self) -> None:
        return None


class Origin:
    """A server in memory: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.exchanges: list[MemoryExchange] = []
        self.connections: list[MemoryConnection] = []
        self.keys: list[Any] = []
        self.script: Script = lambda asked: Reply()
        self.on_open: Callable[[MemoryExchange], None] = lambda exchange: None
        self.on_expect: Callable[[MemoryExchange], None] = lambda exchange: None

    def replies(self, *replies: Any) -> None:
        """Answer with these, one after the other."""
        queue = list(replies)
        self.script = lambda asked: queue.pop(0)

    def opened(self, exchange: MemoryExchange) -> None:
        self.asked.append(exchange.asked)
        self.exchanges.append(exchange)
        self.on_open(exchange)

    def expected(self, exchange: MemoryExchange) -> None:
        self.on_expect(exchange)

    def arrived(self, exchange: MemoryExchange) -> None:
        # Like a real server: never in the same step.
        exchange.connection.loop.call_soon(self._answer, exchange)

    def _answer(self, exchange: MemoryExchange) -> None:
        if exchange.gone is None:
            exchange.answer(self.script(exchange.asked))

    @property
    def open_connections(self) -> int:
        return sum(not connection.closed for connection in self.connections)


class MemoryConnector(BaseConnector):
    """The real pool over connections in memory."""

    def __init__(self, origin: Origin, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.origin = origin
        self.dial_error: BaseException | None = None

    async def dial(self, context: DialContext) -> Any:
        self.origin.keys.append(context.key)
        await asyncio.sleep(0)
        if self.dial_error is not None:
            raise self.dial_error
        return MemoryConnection(self.origin, context.loop)


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]  # per platform
    """Does not wait for time to pass: moves the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes when nothing else is to be done, and then at once."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
def run(origin: Origin) -> Iterator[Callable[..., Any]]:
    """Run ``async def scenario(session)`` with a session over `origin`; nothing may be left."""

    def runner(scenario: Callable[[ClientSession], Awaitable[Any]], **kwargs: Any) -> Any:
        async def main() -> Any:
            connector = MemoryConnector(origin, **kwargs.pop("connector", {}))
            async with ClientSession(connector=connector, **kwargs) as session:
                result = await scenario(session)
                stats = connector.stats()
                assert stats.active == 0, f"a connection was not given back: {stats}"
                assert session.closed or len(session.flights) == 0
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks are left: {left}"
            return result

        # Time must not jump while a thread works.
        factory = None if kwargs.pop("real_time", False) else JumpingLoop
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main())

    yield runner
    gc.collect()


@pytest.fixture
def memory() -> Any:
    """The names of this module, for tests: there are no packages to import them from."""
    return globals_of_this_module()


def globals_of_this_module() -> Any:
    class Names:
        Reply = Reply
        Lost = Lost
        NEVER = NEVER
        MemoryConnector = MemoryConnector
        Origin = Origin

    return Names
