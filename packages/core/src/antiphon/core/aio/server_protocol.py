"""Pumps one HTTP/1.1 connection of a server and lets each request be answered.

::

    data_received → connection.receive_data → pump:
        no exchange      next_event → head   → exchange, and its task, which starts at once
        exchange         next_event → content → its stream;  end → its stream's end
        task done        the exchange ends: next cycle, draining, or the end of the connection

The pump is a loop: an exchange that ends inside it only makes room for the
next turn. Bytes of later requests stay unparsed while an exchange is under
way. What is written inside the pump leaves together, in one write.
"""

import asyncio
import enum
import logging
import sys
from typing import TYPE_CHECKING, Final, final

from ..errors import HttpProcessingError, LocalProtocolError
from ..http import EMPTY, HttpVersion11, RawRequestMessage
from ..http1.connection import (
    CLOSED,
    EndOfMessage,
    Http1Connection,
    Role,
    State,
)
from .content import ContentSink
from .flow import ConnectionProtocol, connection_lost_error, half_close
from .server_exchange import ExchangeState, Http1ServerExchange
from .streams import StreamReader
from .upgrade import TransportChannel

if TYPE_CHECKING:
    from .server import HttpServer

__all__ = ("Http1ServerProtocol", "Phase")

# Requests answered in one turn of the loop, and steps of content taken; then others get theirs.
_TURN: Final = 32

# Responses up to this size wait for the end of the pump's turn, to leave in one write.
_HOLD_BACK: Final = 16 * 1024


class Phase(enum.Enum):
    """What becomes of bytes that come."""

    ACTIVE = "requests are answered"
    DRAINING = "content that nobody read is dropped, so that the next request can follow"
    LINGERING = "our side has ended; what comes is dropped"
    UPGRADED = "bytes go to somebody else"
    CLOSED = "the connection is lost or closing"


_ACTIVE: Final = Phase.ACTIVE
_DONE: Final = ExchangeState.DONE

_STAND_IN: Final = ("GET", "/", HttpVersion11, b"", EMPTY, True)


@final
class Http1ServerProtocol(ConnectionProtocol):
    """One connection of an `HttpServer`, which makes it.

    Args:
        server: Whose connection this is.
        loop: The running loop.
    """

    __slots__ = (
        "_alone",
        "_channel",
        "_drained",
        "_eof",
        "_out",
        "_pumping",
        "_turn_due",
        "body_time",
        "connection",
        "exchange",
        "phase",
        "server",
        "sink",
        "unsent",
        "unsent_since",
        "watch_key",
        "watch_since",
    )

    def __init__(self, server: "HttpServer", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.server = server
        self.connection = Http1Connection(Role.SERVER, server.limits)
        self.exchange: Http1ServerExchange | None = None
        """The exchange under way."""
        self.sink: ContentSink | None = None
        """Where content goes that is still to come for it."""
        self.phase = _ACTIVE
        self.watch_key = -1
        """What the server's sweep saw this connection doing, and since when."""
        self.watch_since = 0.0
        self.unsent = 0
        """Bytes that the sweep saw waiting to leave, and since when none of them left."""
        self.unsent_since = 0.0
        self.body_time = 0.0
        """Seconds that somebody waited for content of the present request."""
        self._pumping = self._alone = self._turn_due = False
        self._out: list[bytes] = []
        self._eof = False
        self._drained = 0
        self._channel: TransportChannel | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.phase.name} {self.connection!r}>"

    # ---------------------------------------------------- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.server.connection_made(self)

    def data_received(self, data: bytes) -> None:
        self.last_read = self._time()
        if self.phase is _ACTIVE:
            if self.exchange is None and not self.write_paused:
                head = self.connection.receive_request(data)
                if head is not None:
                    buffer = self.connection.buffer
                    if buffer.pos == len(buffer.data):
                        self._serve_alone(head)
                    else:
                        self._pump(head)
                    return
            self.connection.receive_data(data)
            if self._turn_due or (self.exchange is not None and self.sink is None):
                self._balance()
            else:
                self._pump()
        elif self.phase is Phase.DRAINING:
            self.connection.receive_data(data)
            if not self._turn_due:
                self._pump()
        # else: nobody wants it. It is read all the same, because a socket closed with unread
        # bytes resets the connection, and the reset may overtake our answer.

    def eof_received(self) -> bool:
        self._eof = True
        asked = self.exchange
        self.connection.receive_eof()
        if self.phase is _ACTIVE or self.phase is Phase.DRAINING:
            self._pump()
        else:
            self._close()
        if asked is not None and asked is self.exchange and self.phase is _ACTIVE:
            # Who closes and who only ends its side look alike until something is written to them.
            # Whoever asked to know is told; whoever did not goes on, and answers.
            self.tell_disconnected(asked)
        # A client may end its side and still wait for its answer (RFC 9112 section 9.6). With
        # TLS there is no such state: asyncio closes, whatever we say.
        return self.exchange is not None and self.ssl_object is None

    @property
    def peer_left(self) -> bool:
        """Whether the peer has ended its side, or is gone."""
        return self._eof or self.closing

    def tell_disconnected(self, exchange: Http1ServerExchange) -> None:
        """Call whoever asked to know that the peer left."""
        for callback in exchange.take_disconnect_callbacks():
            try:
                callback()
            except Exception:
                self.server.logger.exception("Exception in a disconnect callback")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.phase = Phase.CLOSED
        exchange = self.exchange
        if exchange is not None:
            if self.sink is not None:
                self.sink.drop(connection_lost_error(exc))
                self.sink = None
            self.tell_disconnected(exchange)
        else:
            self.server.connection_lost(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.exchange is None and self.phase is _ACTIVE:
            self._pump_next_turn()

    # --------------------------------------------------------------- writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand *data* to the transport, at the end of the pump's turn if it is small."""
        if self._pumping and type(data) is bytes and len(data) <= _HOLD_BACK:
            self._out.append(data)
            return
        if self._out:
            self.flush()
        transport = self._transport
        if transport is not None:
            transport.write(data)

    def write_whole(self, data: bytes) -> None:
        """Hand a whole response to the transport, at once if none can follow in this turn."""
        if self._alone and not self._out:
            transport = self._transport
            if transport is not None:
                transport.write(data)
        else:
            self.write(data)

    def flush(self) -> None:
        """Hand over what was held back."""
        out = self._out
        if out:
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            transport = self._transport
            if transport is not None:
                transport.write(data)

    # --------------------------------------- asked by the stream of content

    def pause_reading(self) -> None:
        """The reader has enough: stop asking for content."""
        if not self._pumping:
            self._balance()

    def resume_reading(self) -> None:
        """The reader wants more: take what is here, then what comes."""
        if self.sink is not None:
            self._pump()

    def _balance(self) -> None:
        """Take bytes from the transport only while somebody wants them, or they are few."""
        sink = self.sink
        # An incomplete head is wanted whatever its size: the parser has its own limits for that.
        waits = self.exchange is not None or self.write_paused or self._turn_due
        self.hold_reading(
            (sink is not None and sink.stream.paused)
            or (waits and self.connection.buffered > self.server.content.read_bufsize)
        )

    # ------------------------------------------------------------------ pump

    def _serve_alone(self, head: RawRequestMessage) -> None:
        """What the pump does for a request that came by itself, when there is nothing else to do."""
        self._pumping = self._alone = True
        try:
            self._begin(head, None)
        finally:
            self._pumping = self._alone = False
            if self._out:
                self.flush()
        if self.sink is not None:
            self._pump()

    def _pump(self, head: RawRequestMessage | None = None) -> None:
        """Go on as far as bytes, readers and fairness allow; from *head*, if one was taken already."""
        if self._pumping:
            return
        self._pumping = True
        left = _TURN
        try:
            if head is not None:
                left -= 1
                self._begin(head, None)
            while left:
                left -= 1
                if self.phase is not _ACTIVE:
                    if not self._drain_content():
                        break
                elif self.exchange is not None:
                    if not self._take_content():
                        break
                elif self.write_paused or not self._next_request():
                    break
            else:
                self._pump_next_turn()
        finally:
            self._pumping = False
            if self._out:
                self.flush()
            if (
                self._reading_paused
                or self.exchange is not None
                or self._turn_due
                or self.write_paused
            ):
                self._balance()

    def _pump_next_turn(self) -> None:
        """Go on after others had theirs; however many ask for it, once."""
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_due = False
        self._pump()

    def _next_request(self) -> bool:
        """Begin an exchange, if a request is here. Return whether to go on."""
        try:
            event = self.connection.next_event()
        except HttpProcessingError as exc:
            self._begin(RawRequestMessage(*_STAND_IN), exc)
            return True
        if type(event) is RawRequestMessage:
            self._begin(event, None)
            # Mostly nothing is left, and there is no need to ask.
            return self.connection.buffered > 0 or self._eof or self.sink is not None
        if event is CLOSED:
            self._close()
        return False

    def _begin(self, head: RawRequestMessage, error: HttpProcessingError | None) -> None:
        server = self.server
        server.requests_count += 1
        self.uses = uses = self.uses + 1
        if uses >= server.max_requests:
            self.connection.close_after()
        exchange = self.exchange = Http1ServerExchange(self, head, error)
        if head.framing is not EMPTY:
            self._expect_content(exchange, head)
        try:
            if sys.version_info >= (3, 12):
                # A handler that never waits is done when this returns: no turn of the loop.
                task = asyncio.Task(server.handler(exchange), loop=self._loop, eager_start=True)
            else:
                task = self._loop.create_task(server.handler(exchange))
        except Exception as exc:
            self._handler_failed(exchange, exc)
            self._finish(exchange)
            return
        except BaseException:
            # SystemExit or KeyboardInterrupt on its way out of the loop: nothing waits for this.
            self._finish(exchange)
            raise
        if not task.done():
            exchange.owner = task
            task.add_done_callback(self._task_done_later)
        elif (
            exchange.state is _DONE
            and self.sink is None
            and self.phase is _ACTIVE
            and not task.cancelled()
            and task.exception() is None
            and self.connection.start_usual_cycle()
        ):
            # What nearly always happens, without the questions of `_finish`.
            self.exchange = None
        else:
            self._task_done(task)

    def _expect_content(self, exchange: Http1ServerExchange, head: RawRequestMessage) -> None:
        options = self.server.content
        stream = StreamReader(self, options.read_bufsize, loop=self._loop)
        self.sink = exchange.sink = ContentSink(
            stream, head.compression if options.decompress else None
        )
        self.body_time = 0.0
        if exchange.wants_continue or self.sink.decodes:
            stream.on_demand(self._content_wanted)
            self.sink.held = self.sink.decodes
            return
        # What is here already is there when the handler starts: no need to wait for it.
        while self._take_content():
            pass

    def _content_wanted(self) -> None:
        exchange = self.exchange
        if exchange is None or self.sink is None:
            return
        if exchange.wants_continue and not self.sink.received and not self.connection.buffered:
            exchange.send_continue()
        if self.sink.held:
            # Nothing is decoded before somebody asks for it.
            self.sink.held = False
            self._pump()

    def _take_content(self) -> bool:
        """Take one event or one step of content. Return whether to go on."""
        sink = self.sink
        if sink is None or sink.stream.paused or sink.held:
            return False
        if sink.pending:
            sink.step()
            return True
        try:
            event = self.connection.next_event()
        except HttpProcessingError as exc:
            sink.drop(exc)
            self.sink = None
            return False
        if type(event) is bytes:
            sink.feed(event, self.connection.chunk_ends)
            return True
        if type(event) is EndOfMessage:
            self.sink = None
            if self.exchange is not None:
                self.exchange.trailers = event.trailers
            sink.end(event)
        return False

    # ---------------------------------------------------- end of an exchange

    def _task_done_later(self, task: "asyncio.Task[None]") -> None:
        self._task_done(task)
        self._pump()

    def _task_done(self, task: "asyncio.Task[None]") -> None:
        exchange = self.exchange
        if exchange is None:
            return
        if task.cancelled():
            exchange.abort()
        else:
            exc = task.exception()
            if exc is not None:
                self._handler_failed(exchange, exc)
            elif exchange.state is not _DONE:
                self._unanswered(exchange)
        self._finish(exchange)

    def _handler_failed(self, exchange: Http1ServerExchange, exc: BaseException) -> None:
        # A peer that leaves is no error of ours, and must not be able to fill the log.
        gone = self.closing and isinstance(exc, ConnectionError)
        self.server.logger.log(
            logging.DEBUG if gone else logging.ERROR,
            "Error handling request %s %s",
            exchange.head.method,
            exchange.head.path[:200],
            exc_info=exc,
        )
        self._answer_500(exchange)

    def _unanswered(self, exchange: Http1ServerExchange) -> None:
        if exchange.state is ExchangeState.OPEN and not self.closing:
            self.server.logger.error(
                "Handler returned without an answer to %s %s",
                exchange.head.method,
                exchange.head.path[:200],
            )
        self._answer_500(exchange)

    def _answer_500(self, exchange: Http1ServerExchange) -> None:
        """Say that something went wrong; what has begun can only be cut off."""
        if exchange.state is ExchangeState.OPEN:
            try:
                exchange.set_keep_alive(False)
                exchange.respond_complete(500, self.server.error_fields(), b"")
            except LocalProtocolError:
                exchange.abort()
        elif exchange.state is not _DONE:
            exchange.abort()

    def _finish(self, exchange: Http1ServerExchange) -> None:
        """The owner of *exchange* is done, and with it the exchange."""
        self.exchange = None
        sink = self.sink
        if sink is not None:
            self.sink = None
            sink.drop(LocalProtocolError("The exchange is over: its content is not read any more"))
        if self.phase is _ACTIVE:
            connection = self.connection
            if not connection.keep_alive:
                self._close_after_answer()
            elif connection.their_state is State.DONE:
                connection.start_next_cycle()
            else:
                self.phase = Phase.DRAINING
                self._drained = 0
        elif self.phase is Phase.UPGRADED and self._channel is not None:
            self._channel.close()
        elif self.lost:
            # The server knew of it as long as its owner ran: a stop waits for that.
            self.server.connection_lost(self)

    def _drain_content(self) -> bool:
        """Drop content that nobody read. Return whether to go on."""
        if self.phase is not Phase.DRAINING:
            return False
        connection = self.connection
        try:
            event = connection.next_event()
        except HttpProcessingError:
            # There is nobody left to tell: the request was answered.
            self.linger()
            return False
        if type(event) is bytes:
            self._drained += len(event)
            if self._drained <= self.server.timeouts.linger_size:
                return True
            self.linger()
            return False
        if type(event) is EndOfMessage:
            self.phase = _ACTIVE
            if connection.keep_alive:
                connection.start_next_cycle()
                return True
            self._close_after_answer()
        return False

    # ----------------------------------------------- end of the connection

    def _close_after_answer(self) -> None:
        if self.connection.their_state is State.DONE and not self.connection.buffered:
            self._close()
        else:
            self.linger()

    def linger(self) -> None:
        """End our side, and drop what comes, until the peer ends its own or the sweep tires."""
        self.flush()
        transport = self._transport
        if transport is None or self._eof or not transport.can_write_eof():
            self._close()
            return
        self.phase = Phase.LINGERING
        self.hold_reading(False)
        half_close(transport)

    def _close(self) -> None:
        self.flush()
        self.phase = Phase.CLOSED
        transport = self._transport
        if transport is not None:
            transport.close()

    def close_idle(self) -> bool:
        """Close if no request is under way or has begun to come. Return whether it was so."""
        if self.phase is _ACTIVE and self.exchange is None and not self.connection.buffered:
            self._close()
            return True
        return False

    def refuse(self, exc: HttpProcessingError) -> None:
        """Answer what has come of a head with *exc*; for the sweep."""
        if self.phase is _ACTIVE and self.exchange is None and self.connection.partial_head:
            self.connection.refuse_head()
            self._begin(RawRequestMessage(*_STAND_IN), exc)
            self._pump()

    def give_up_content(self, exc: HttpProcessingError) -> None:
        """Let whoever reads the request's content get *exc*; for the sweep."""
        sink = self.sink
        if sink is not None:
            self.sink = None
            self.connection.close_after()
            sink.drop(exc)

    def turn_away(self, answer: bytes) -> None:
        """Send *answer* and serve nothing."""
        transport = self._transport
        if transport is not None:
            self.phase = Phase.CLOSED
            transport.write(answer)
            transport.close()

    def abort(self) -> None:
        """Close now. What was written before, a half response say, is still handed over: the
        peer must see that it was begun, and not take its request for unanswered."""
        self.flush()
        self.phase = Phase.CLOSED
        transport = self._transport
        if transport is not None:
            transport.abort()

    def switch_over(self) -> TransportChannel:
        """Give the transport to another protocol."""
        self.flush()
        transport = self._transport
        if transport is None:
            raise self.lost_error()
        self.hold_reading(False)
        self.phase = Phase.UPGRADED
        self.sink = None
        channel = self._channel = TransportChannel(self, transport, self.connection.take_trailing())
        return channel
