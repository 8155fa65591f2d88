"""Pumps one HTTP/1.1 connection of a client; carries one exchange after the other.

Whether another exchange may follow is decided here, by the state machine: both
messages complete, both sides willing, and no byte left that nobody asked for.
"""

import asyncio
from collections.abc import Callable
from typing import Final, final

from ..errors import BadHttpMessage, HttpProcessingError, LocalProtocolError
from ..fields.keep_alive import parse_keep_alive
from ..http import EMPTY, HttpVersion, HttpVersion11, RawResponseMessage, RequestHead
from ..http1.connection import CLOSED, EndOfMessage, Http1Connection, Role, State
from ..limits import HttpLimits
from ._allocator import learn_block_size
from .client_exchange import Http1ClientExchange
from .content import ContentSink
from .exchange import ConnectionInfo, Timeline
from .flow import ConnectionProtocol, connection_lost_error
from .streams import StreamReader
from .upgrade import TransportChannel

__all__ = ("Http1ClientProtocol", "http_client_protocol")

# Steps of content taken in one turn of the loop; then others get theirs.
_TURN: Final = 32

_DEFAULT_LIMITS: Final = HttpLimits()


@final
class Http1ClientProtocol(ConnectionProtocol):
    """An `HttpConnection` that speaks HTTP/1.1.

    Args:
        limits: What a response may cost.
        loop: The loop that the transport belongs to.
    """

    __slots__ = (
        "_buffer",
        "_close_callbacks",
        "_close_waiters",
        "_closed",
        "_eof",
        "_exchange",
        "_last_head",
        "_pumping",
        "_sink",
        "connection",
        "keep_alive_hint",
        "last_used",
    )

    def __init__(self, limits: HttpLimits, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.connection = Http1Connection(Role.CLIENT, limits)
        self._buffer = self.connection.buffer
        self.last_used = 0.0
        """Loop time at which the last exchange ended, or of the connection's making."""
        self._exchange: Http1ClientExchange | None = None
        self._sink: ContentSink | None = None
        self._pumping = False
        self._eof = False
        self._closed = False
        self._last_head: RawResponseMessage | None = None
        self.keep_alive_hint: float | None = None
        """Seconds the server said it keeps an idle connection (``Keep-Alive: timeout=``)."""
        self._close_callbacks: list[Callable[[], None]] = []
        self._close_waiters: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        state = "closed" if self.closed else "free" if self.free() else "busy"
        return f"<{type(self).__name__} {self.id} {state} uses={self.uses} {self.connection!r}>"

    # -------------------------------------------------------- HttpConnection

    @property
    def version(self) -> HttpVersion:
        """HTTP/1.1, whatever the other side turns out to speak."""
        return HttpVersion11

    @property
    def info(self) -> ConnectionInfo:
        """What is known of the connection."""
        return self

    @property
    def closed(self) -> bool:
        """Whether no exchange will ever start here again."""
        return self._closed or self.closing

    def now(self) -> float:
        """The loop's time."""
        return self._time()

    def free(self) -> int:
        """1 if an exchange may start now, else 0."""
        transport = self._transport
        buffer = self._buffer
        if (
            self._exchange is not None
            or self._closed
            or transport is None
            or transport.is_closing()
            or buffer.pos != len(buffer.data)
        ):
            return 0
        return 1

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
    ) -> Http1ClientExchange:
        """Start an exchange; head and *body* leave in one write.

        With `RequestHead.expect_continue`, *body* leaves by itself when the server wants it.
        A *timeline* that knows already when the head was sent spares a look at the clock.

        Raises:
            LocalProtocolError: `free` is 0.
            ValueError: Method, target, a name or a value contains bytes that are not allowed.
        """
        transport = self._transport
        # A transport that is closing by itself is no reason: its loss is told in a moment.
        if self._exchange is not None or self._closed or transport is None:
            raise LocalProtocolError(f"No exchange can start on {self!r}")
        connection = self.connection
        data = connection.open(head, length=length, body=body, chunked=chunked)
        now: float | None
        if timeline is None:
            now = self._time()
            timeline = Timeline(now)
        else:
            now = timeline.head_sent
            if now is None:
                now = self._time()
        self.last_read = timeline.head_sent = now
        self.uses += 1
        sending = connection.our_state is State.SEND_BODY
        exchange = self._exchange = Http1ClientExchange(
            self,
            timeline,
            decompress=decompress,
            read_bufsize=read_bufsize,
            length=(length if body is None else len(body)) if sending else 0,
            expects=sending and head.expect_continue,
            deadline=deadline,
        )
        if not sending:
            timeline.body_sent = now
        elif body is not None:
            exchange.held_body = body
        transport.write(data)
        return exchange

    def add_close_callback(self, callback: Callable[[], None]) -> None:
        """Call *callback* once when the connection is lost; at once, if it is."""
        if self.lost:
            callback()
        else:
            self._close_callbacks.append(callback)

    def close(self) -> None:
        """Close now; an exchange under way ends with a `ConnectionError`."""
        if self._exchange is not None:
            self.fail(ConnectionAbortedError("The connection was closed"))
            return
        self._closed = True
        transport = self._transport
        if transport is not None:
            transport.close()

    def abort(self) -> None:
        """Close now, without a TLS goodbye."""
        if self._exchange is not None:
            self.fail(ConnectionAbortedError("The connection was aborted"))
            return
        self._closed = True
        transport = self._transport
        if transport is not None:
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the transport is gone."""
        if self.lost or self._transport is None:
            return
        waiter = self._loop.create_future()
        self._close_waiters.append(waiter)
        await waiter

    # ---------------------------------------------------- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.last_used = self.created

    def data_received(self, data: bytes) -> None:
        self.last_read = now = self._time()
        exchange = self._exchange
        if exchange is not None and not exchange.started:
            exchange.started = True
            exchange.timeline.first_byte = now
            if not (self._closed or self._pumping or self._reading_paused):
                whole = self.connection.receive_whole(
                    data, 2 * exchange.read_bufsize, exchange.decompress
                )
                if whole is not None:
                    self._whole_response_came(exchange, *whole)
                    return
        self.connection.receive_data(data)
        self._pump()

    def eof_received(self) -> bool:
        self._eof = True
        self.connection.receive_eof()
        self._pump()
        # Nothing can be asked any more, and what has come is in our hands.
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._closed = True
        exchange = self._exchange
        if exchange is not None and (exc is not None or not self._eof or self._sink is None):
            # After an orderly end a slow reader may still take what has come; a reset is never
            # the end of content.
            self.fail(connection_lost_error(exc))
        callbacks, self._close_callbacks = self._close_callbacks, []
        for callback in callbacks:
            callback()
        waiters, self._close_waiters = self._close_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # --------------------------------------- asked by the stream of content

    def pause_reading(self) -> None:
        """The reader has enough: stop asking for content."""
        if not self._pumping:
            self._balance()

    def resume_reading(self) -> None:
        """The reader wants more: take what is here, then what comes."""
        if self._sink is not None:
            self._pump()

    def _balance(self) -> None:
        sink = self._sink
        self.hold_reading(sink is not None and sink.stream.paused)

    # ------------------------------------------------------------------ pump

    def _pump(self) -> None:
        """Go on as far as bytes, readers and fairness allow."""
        if self._pumping:
            return
        self._pumping = True
        left = _TURN
        try:
            while left:
                left -= 1
                if not self._take():
                    break
            else:
                self._loop.call_soon(self._pump)
        finally:
            self._pumping = False
            if self._sink is not None or self._reading_paused:
                self._balance()

    def _take(self) -> bool:
        """Take one event, or one step of content. Return whether to go on."""
        sink = self._sink
        if sink is not None:
            if sink.stream.paused:
                return False
            if sink.pending:
                sink.step()
                return True
        elif self._closed:
            return False
        try:
            event = self.connection.next_event()
        except HttpProcessingError as exc:
            self.fail(exc)
            return False
        if type(event) is bytes:
            assert sink is not None
            sink.feed(event, self.connection.chunk_ends)
            return True
        if type(event) is RawResponseMessage:
            return self._head_came(event)
        if type(event) is EndOfMessage:
            self._response_ended(event)
            return False
        if event is CLOSED and self._exchange is not None:
            self.fail(ConnectionResetError("The server closed the connection without a response"))
        return False

    def _head_came(self, head: RawResponseMessage) -> bool:
        exchange = self._exchange
        if exchange is None:  # the state machine lets no head through that nobody asked for
            self.fail(BadHttpMessage("A response that no request asked for"))
            return False
        if head.code < 200 and head.code != 101:
            exchange.informational_came(head)
            return True
        if head is not self._last_head:
            self._new_head_came(head)
        if head.framing is EMPTY:
            exchange.head_came(head)
            if not head.upgrade:
                self._response_ended(None)
            return False
        stream = StreamReader(self, exchange.read_bufsize, loop=self._loop)
        sink = self._sink = ContentSink(stream, head.compression if exchange.decompress else None)
        exchange.stream_comes(sink)
        exchange.head_came(head)
        return True

    def _whole_response_came(
        self, exchange: Http1ClientExchange, head: RawResponseMessage, content: bytes
    ) -> None:
        """Do in one step what a head, its content and their end do one after the other."""
        if head is not self._last_head:
            self._new_head_came(head)
        self._exchange = None
        self.last_used = exchange.timeline.end = self.last_read
        exchange.done = True
        exchange.whole_came(head, None if head.framing is EMPTY else content)
        if exchange.callbacks is not None:
            exchange.run_callbacks()

    def _new_head_came(self, head: RawResponseMessage) -> None:
        """Look at what no earlier head said: servers repeat themselves, and are then given the
        same object by the parser."""
        self._last_head = head
        if b"keep-alive:" in head._block.lower():
            value = head.headers.get("Keep-Alive")
            self.keep_alive_hint = None if value is None else parse_keep_alive(value).timeout
        else:
            self.keep_alive_hint = None

    # ---------------------------------------------------- end of an exchange

    def _response_ended(self, event: EndOfMessage | None) -> None:
        exchange = self._exchange
        sink = self._sink
        assert exchange is not None
        self._sink = None
        complete = self.connection.our_state is not State.SEND_BODY
        if complete:
            self._end_cycle()
        elif exchange.expects or not self.connection.keep_alive:
            # RFC 9110 section 10.1.1: the content was not wanted, so it must not follow; or the
            # server closes, and will read none of it. Either way this was the last exchange.
            complete = True
            self._end_cycle()
        if sink is not None and event is not None:
            exchange.trailers = event.trailers
            sink.end(event)
        if complete:
            exchange.finish()

    def request_ended(self) -> None:
        """The request's content is complete; if the response is as well, so is the exchange."""
        exchange = self._exchange
        if exchange is not None and self.connection.cycle_done:
            self._end_cycle()
            exchange.finish()

    def _end_cycle(self) -> None:
        self._exchange = None
        self.last_used = self.last_read
        connection = self.connection
        if connection.keep_alive and connection.our_state is State.DONE and not self._closed:
            connection.start_next_cycle()
            return
        self._closed = True
        transport = self._transport
        if transport is not None:
            transport.close()

    def fail(self, exc: BaseException) -> None:
        """End the connection at once; whoever waits on it gets *exc*."""
        self._closed = True
        self._sink = None
        exchange, self._exchange = self._exchange, None
        transport = self._transport
        if transport is not None:
            transport.abort()
        if exchange is not None:
            exchange.fail(exc)

    def switch_over(self) -> TransportChannel:
        """Give the transport to another protocol."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise self.lost_error()
        self.hold_reading(False)
        return TransportChannel(self, transport, self.connection.take_trailing())


def http_client_protocol(
    limits: HttpLimits = _DEFAULT_LIMITS, loop: asyncio.AbstractEventLoop | None = None
) -> Http1ClientProtocol:
    """Return a protocol for one new connection.

    Args:
        limits: What a response may cost.
        loop: The loop that the transport will belong to; the running one by default.
    """
    learn_block_size()
    return Http1ClientProtocol(limits, loop or asyncio.get_running_loop())
