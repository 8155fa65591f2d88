"""A WebSocket over a byte channel, the same for both ends.

What comes is looked at when it comes: pings are answered, pongs noted and the
closing handshake is held while the application does something else. No task
belongs to a channel, and one timer at most.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast, final

from ..errors import LocalProtocolError, WebSocketError
from ..limits import WebSocketLimits
from ..typedefs import Byteish
from ..websocket.connection import NEED_DATA, Fragment, Role, State, WebSocketConnection, too_big
from ..websocket.models import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WSCloseCode,
    WSMessage,
    WSMessageBinary,
    WSMessageError,
    WSMessageText,
    WSMsgType,
)
from .exchange import ByteChannel, ConnectionInfo
from .ws_outbox import FailedSend, Outbox, Sending

__all__ = ("PingTimeout", "WebSocketChannel")

_FIN: Final = 0x80
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_PING: Final = WSMsgType.PING
_CLOSE: Final = WSMsgType.CLOSE
_ERROR: Final = WSMsgType.ERROR

_GRACE: Final = 1.0
"""Seconds that the application has to take what came before the peer's close frame, and to answer
it, before that frame is answered; also what is waited for the peer to end the connection."""


class PingTimeout(TimeoutError):
    """The peer showed no sign of life after a ping."""


@final
class WebSocketChannel:
    """Drives a `WebSocketConnection` over a `ByteChannel`; takes the place of its receiver.

    Args:
        channel: The bytes, after the opening handshake.
        connection: The protocol; nothing may have come or been sent yet.
        limits: Of the queue of received messages. ``max_msg_size`` is the connection's.
        heartbeat: Seconds of silence after which a ping is sent; half of it later, if there still
            was no sign of life, the connection is given up. ``None`` for no pings.
        autoping: Answer pings, and keep pings and pongs from the application.
        autoclose: Answer the peer's close frame.
        close_timeout: Seconds for the closing handshake; that of *limits* by default.
        compress_in_thread_from: Bytes from which messages are compressed in a thread.
        error: What a send on a closed connection raises.

    Construct it inside a running loop.
    """

    __slots__ = (
        "_autoclose",
        "_autoping",
        "_channel",
        "_close_by",
        "_close_code",
        "_close_timeout",
        "_close_waiters",
        "_connection",
        "_deaf",
        "_discarding",
        "_ended",
        "_error",
        "_exception",
        "_failure",
        "_heartbeat",
        "_hung_up",
        "_last_read",
        "_loop",
        "_lost",
        "_max_queue",
        "_max_size",
        "_outbox",
        "_paused",
        "_ping_at",
        "_pinged",
        "_pong_by",
        "_queue",
        "_receive_by",
        "_reply_by",
        "_size",
        "_skipping",
        "_timer",
        "_waiter",
        "latency",
    )

    def __init__(
        self,
        channel: ByteChannel,
        connection: WebSocketConnection,
        *,
        limits: WebSocketLimits | None = None,
        heartbeat: float | None = None,
        autoping: bool = True,
        autoclose: bool = True,
        close_timeout: float | None = None,
        compress_in_thread_from: int = 32 * 1024,
        error: Callable[[str], Exception] = ConnectionResetError,
    ) -> None:
        limits = limits or WebSocketLimits()
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._channel = channel
        self._connection = connection
        self._outbox = Outbox(
            channel, connection, self._give_up, thread_from=compress_in_thread_from
        )
        self._autoping = autoping
        self._autoclose = autoclose
        self._close_timeout = limits.close_timeout if close_timeout is None else close_timeout
        self._error = error
        # Received and not taken: messages, their count and bytes limited; then reading pauses.
        self._queue: deque[WSMessage | Fragment] = deque()
        self._size = 0
        self._max_queue = limits.max_queue
        self._max_size = limits.max_queue_size
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._skipping = False
        # How it ended.
        self._discarding = False  # we close: what the peer says is of no interest any more
        self._deaf = False  # it has said its last
        self._hung_up = False
        self._lost = False  # nothing reaches it any more
        self._ended = False  # the channel said so
        self._close_code: int | None = None
        self._exception: BaseException | None = None
        self._failure: WebSocketError | None = None
        self._close_waiters: list[asyncio.Future[None]] = []
        # Absolute loop times, infinite for never; one timer for the earliest of them.
        self._timer: asyncio.TimerHandle | None = None
        self._receive_by = self._reply_by = self._close_by = math.inf
        self._ping_at = self._pong_by = math.inf
        self._pinged = self._last_read = 0.0
        self._heartbeat = heartbeat
        self.latency: float | None = None
        """Seconds from the last heartbeat's ping to the first sign of life after it."""
        if heartbeat is not None:
            if heartbeat <= 0:
                raise ValueError(f"heartbeat must be positive, not {heartbeat!r}")
            self._last_read = loop.time()
            self._ping_at = self._last_read + heartbeat
            self._arm(self._ping_at)
        channel.attach(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection!r} queued={len(self._queue)}>"

    # --- what is known -----------------------------------------------------------------------

    @property
    def info(self) -> ConnectionInfo:
        """What is known of the connection below."""
        return self._channel.info

    @property
    def connection(self) -> WebSocketConnection:
        """The protocol's state."""
        return self._connection

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        connection = self._connection
        return connection.close_sent or self._lost or connection.state is State.CLOSED

    @property
    def close_code(self) -> int | None:
        """The code the peer closed with, the one it was told if it broke the protocol, or 1006
        for a connection that was lost; our own while its answer to that is awaited; ``None``
        while the connection is open."""
        if self._close_code is not None:
            return self._close_code
        connection = self._connection
        return connection.sent_code if connection.close_code is None else connection.close_code

    @property
    def close_reason(self) -> str:
        """The reason the peer closed with."""
        return self._connection.close_reason

    @property
    def write_paused(self) -> bool:
        """Whether what was sent waits to leave."""
        return self._channel.write_paused or self._outbox.busy

    def exception(self) -> BaseException | None:
        """Return what ended the connection, ``None`` for a close frame or nothing."""
        return self._exception

    # --- receiving ---------------------------------------------------------------------------

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """Return the next message, waiting for one.

        Args:
            timeout: Seconds to wait, ``None`` for ever.

        Returns:
            TEXT, BINARY, without *autoping* PING and PONG; CLOSE from the peer; CLOSING if this
            side closes meanwhile; ERROR with the exception once if the peer broke the protocol
            or gave no sign of life; after all that, CLOSED.

        Raises:
            TimeoutError: Nothing came in time; the connection stays as it is.
            RuntimeError: Another task waits here.

        Cancelling loses no message.
        """
        self._connection.streaming = False
        while True:
            if not self._queue and not await self._wait(timeout):
                return self._nothing_more()
            event = self._take()
            if type(event) is not Fragment:
                return cast(WSMessage, event)
            whole = await self._collect(event, timeout)
            if whole is not None:
                return whole

    async def receive_fragment(self, timeout: float | None = None) -> Fragment | WSMessage:
        """Return the next piece of a message as it comes, however large the message is.

        What else `receive` returns is returned here too; a message that came whole is one final
        piece. A message left in the middle is skipped by the next `receive`.
        """
        self._connection.streaming = True
        if not self._queue and not await self._wait(timeout):
            return self._nothing_more()
        event = self._take()
        if type(event) is Fragment:
            self._skipping = not event.final
            return event
        message = cast(WSMessage, event)
        if message.type is _TEXT or message.type is _BINARY:
            return Fragment(message.type, message.data, True)
        return message

    async def _collect(self, piece: Fragment, timeout: float | None) -> WSMessage | None:
        """Put a message together of which pieces were read ahead; ``None`` for one to skip."""
        connection = self._connection
        skipped = self._skipping
        data: Any = piece.data
        while not piece.final:
            try:
                there = bool(self._queue) or await self._wait(timeout)
            except BaseException:
                # Cancelled, or out of time: the next call begins where this one did.
                self._queue.appendleft(Fragment(piece.type, data, False))
                self._size += len(data)
                raise
            if not there:
                return None
            event = self._take()
            if type(event) is not Fragment:
                return cast(WSMessage, event)
            piece = event
            if not skipped:
                data += piece.data
                if connection.max_msg_size and len(data) > connection.max_msg_size:
                    self._fail(too_big(connection.max_msg_size))
                    return None
        self._skipping = False
        if skipped:
            return None
        message = WSMessageText if piece.type is _TEXT else WSMessageBinary
        return message(piece.type, data, None)  # type: ignore[arg-type]  # of that type

    def _take(self) -> WSMessage | Fragment:
        event: Any = self._queue.popleft()
        kind = event[0]
        if kind is _TEXT or kind is _BINARY:
            self._size -= len(event[1])
        elif (kind is _CLOSE and self._autoclose) or kind is _ERROR:
            self._reply()
        if (
            self._paused
            and len(self._queue) <= self._max_queue // 2
            and self._size <= self._max_size // 2
        ):
            self._resume()
        return cast("WSMessage | Fragment", event)

    async def _wait(self, timeout: float | None) -> bool:
        """Wait for something in the queue; false if nothing will come."""
        if self._waiter is not None:
            raise RuntimeError("Concurrent call to receive() is not allowed")
        if self._deaf or self._discarding:
            return False
        waiter = self._waiter = self._loop.create_future()
        if timeout is not None:
            self._receive_by = self._loop.time() + timeout
            self._arm(self._receive_by)
        try:
            await waiter
        finally:
            self._waiter = None
            timed_out = self._receive_by < 0
            self._receive_by = math.inf
        if timed_out and not self._queue and not self._deaf:
            raise TimeoutError
        return bool(self._queue)

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _nothing_more(self) -> WSMessage:
        return WS_CLOSING_MESSAGE if self._discarding and not self._deaf else WS_CLOSED_MESSAGE

    # --- called by the channel ---------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take bytes from the channel."""
        if self._heartbeat is not None:
            now = self._last_read = self._loop.time()
            if self._pong_by < math.inf:
                self._pong_by = math.inf
                self.latency = now - self._pinged
        if self._deaf:
            return
        self._connection.receive_data(data)
        if not self._paused:
            self._pump()

    def eof_received(self) -> None:
        """The peer ended its side: with nothing to come there is nothing to stay for."""
        if not self._connection.close_received:
            self._connection.receive_eof()
        self._deaf = True
        self._wake()
        self._outbox.then(self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._connection.receive_eof()
        if self._exception is None and not self._connection.close_received:
            self._exception = exc
        self._lost = self._deaf = self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()
        waiters, self._close_waiters = self._close_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def resume_writing(self) -> None:
        """Whoever waits to send waits at the channel."""

    def _pump(self) -> None:
        """Look at what came, as far as there is room for it."""
        next_event = self._connection.next_event
        queue = self._queue
        try:
            while True:
                event: Any = next_event()  # a union of tuples, told apart by its first item
                if event is NEED_DATA:
                    return
                kind = event[0]
                if kind is _TEXT or kind is _BINARY:
                    if self._discarding:
                        continue
                    self._size += len(event[1])
                elif not self._control(kind, event):
                    continue
                queue.append(event)
                if self._waiter is not None:
                    self._wake()
                if len(queue) >= self._max_queue or self._size >= self._max_size:
                    self._paused = True
                    self._channel.pause_reading()
                    return
        except WebSocketError as exc:
            self._fail(exc)

    def _control(self, kind: WSMsgType, event: Any) -> bool:
        """Act upon a control frame; tell whether the application is to see it."""
        if kind is _CLOSE:
            return self._close_came()
        if self._discarding:
            return False
        if not self._autoping:
            return True
        # Past what waits for a thread: a pong may come between any two frames.
        if kind is _PING and not self._connection.close_sent:
            self._channel.write(self._connection.send_pong(event[1]))
        return False

    def _resume(self) -> None:
        self._paused = False
        self._pump()
        if not self._paused:
            self._channel.resume_reading()

    # --- the end -----------------------------------------------------------------------------

    def _close_came(self) -> bool:
        self._deaf = True
        if self._connection.close_sent:
            self._handshake_done()
            return False
        if self._autoclose:
            self._reply_in_turn()
        return True

    def _fail(self, error: WebSocketError) -> None:
        """Fail the connection (RFC 6455 section 7.1.7): the peer broke the protocol."""
        self._deaf = True
        self._exception = self._failure = error
        self._close_code = error.code
        if self._paused:
            self._paused = False
            self._channel.resume_reading()
        if self._discarding:
            self._wait_for_end(_GRACE)  # the peer has our close frame
            return
        self._reply_in_turn()
        self._queue.append(WSMessageError(WSMsgType.ERROR, error, None))
        self._wake()

    def _reply_in_turn(self) -> None:
        """Send our close frame when the application has come to the end of what was received.

        That is now if it waits. Otherwise it may be answering what came before, and ``async for``
        with an answer to each message shall work to the last of them.
        """
        if self._queue or self._waiter is None or self._waiter.done():
            self._reply_by = self._loop.time() + _GRACE
            self._arm(self._reply_by)
        else:
            self._reply()

    def _reply(self) -> None:
        """Answer the peer's close frame, or tell it what was wrong."""
        self._reply_by = math.inf
        connection = self._connection
        failure = self._failure
        if connection.close_sent or self._lost:
            return
        if failure is None:
            self._outbox.put(connection.close(connection.close_code or WSCloseCode.OK))
            self._handshake_done()
        else:
            self._outbox.put(connection.close(failure.code, str(failure)))
            # Not closed at once: what the peer still sends would be answered with a reset, and
            # that may overtake the close frame.
            self._outbox.then(self._channel.write_eof)
            self._wait_for_end(_GRACE)

    def _handshake_done(self) -> None:
        # RFC 6455 section 7.1.1: the server ends the connection, the client waits for that.
        self._close_by = math.inf
        if self._connection.role is Role.SERVER:
            self._outbox.then(self._hang_up)
        else:
            self._wait_for_end(_GRACE)

    def _hang_up(self) -> None:
        """Close the connection once all has left, which is not waited for for ever."""
        if not self._lost:
            self._hung_up = True
            self._channel.close()
            self._wait_for_end(self._close_timeout)

    def _wait_for_end(self, timeout: float) -> None:
        if not self._lost:
            self._close_by = self._loop.time() + timeout
            self._arm(self._close_by)

    def _out_of_time(self) -> None:
        connection = self._connection
        if self._hung_up:
            self._channel.abort()
        elif connection.close_sent and connection.close_received:
            self._hang_up()
        elif self._exception is not None:
            self._hang_up()  # the peer was told what is wrong
        else:
            self._give_up(TimeoutError("The closing handshake took too long"), tell=False)

    def _give_up(self, error: BaseException, *, tell: bool = True) -> None:
        """End the connection without a word: the peer does not answer."""
        if self._lost:
            return
        self._exception = error
        self._close_code = WSCloseCode.ABNORMAL_CLOSURE
        self._deaf = self._lost = True
        if tell and not self._discarding:
            self._queue.append(WSMessageError(WSMsgType.ERROR, error, None))
        self._channel.abort()
        self._wake()

    def begin_close(self, code: int = WSCloseCode.OK, message: str | bytes = b"") -> bool:
        """Send the close frame and go on; `close` waits for the rest.

        Args:
            code: 1000 to 1014 but those that are never sent, or 3000 to 4999.
            message: The reason, in UTF-8 at most 123 bytes; longer ones are cut.

        Returns:
            False if this side had closed before or the connection is lost.

        Raises:
            ValueError: *code* may not be sent.
        """
        connection = self._connection
        if self._failure is not None:
            self._reply()
        if self.closed:
            return False
        frame = connection.close(code, message)
        self._reply_by = math.inf
        self._discarding = True
        self._queue.clear()
        self._size = 0
        self._outbox.put(frame)
        self._wake()
        if connection.close_received:
            self._handshake_done()
        else:
            self._wait_for_end(self._close_timeout)
            if self._paused:
                self._resume()
        return True

    async def close(self, code: int = WSCloseCode.OK, message: str | bytes = b"") -> bool:
        """Close, and wait until the connection has ended: at most the closing timeout, and a
        little more if the peer leaves that to us.

        Whoever waits in `receive` gets CLOSING; messages not taken are dropped. Cancelling stops
        only the waiting.

        Args:
            code: See `begin_close`.
            message: See `begin_close`.

        Returns:
            Whether it was this call that closed.
        """
        began = self.begin_close(code, message)
        if not self._ended:
            waiter = self._loop.create_future()
            self._close_waiters.append(waiter)
            await waiter
        return began

    def abort(self) -> None:
        """End the connection now, without a closing handshake."""
        if not self._lost:
            self._deaf = self._lost = True
            self._close_code = self._connection.close_code or WSCloseCode.ABNORMAL_CLOSURE
            self._channel.abort()
            self._wake()

    # --- time --------------------------------------------------------------------------------

    def _arm(self, when: float) -> None:
        timer = self._timer
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        timer = self._timer
        assert timer is not None
        self._timer = None
        # A timer may come a clock's resolution early.
        now = max(self._loop.time(), timer.when())
        if self._receive_by <= now:
            self._receive_by = -math.inf  # tells `_wait` why it wakes
            self._wake()
        if self._reply_by <= now:
            self._reply()
        if self._close_by <= now:
            self._close_by = math.inf
            self._out_of_time()
        if self._ping_at <= now or self._pong_by <= now:
            self._beat(now)
        receive_by = self._receive_by if self._receive_by > 0 else math.inf
        when = min(receive_by, self._reply_by, self._close_by, self._ping_at, self._pong_by)
        if when < math.inf and not self._lost:
            self._arm(when)

    def _beat(self, now: float) -> None:
        heartbeat = self._heartbeat
        assert heartbeat is not None
        if self._deaf or self._connection.close_sent:
            self._ping_at = self._pong_by = math.inf
        elif self._paused:
            # It is the application that keeps us from hearing anything.
            self._last_read = now
            self._pong_by = math.inf
            self._ping_at = now + heartbeat
        elif self._pong_by <= now:
            self._ping_at = self._pong_by = math.inf
            self._give_up(PingTimeout(f"No PONG received after {heartbeat / 2} seconds"))
        elif self._last_read + heartbeat > now:
            self._ping_at = self._last_read + heartbeat
        else:
            self._pinged = now
            self._ping_at = now + heartbeat
            self._pong_by = now + heartbeat / 2
            self._channel.write(self._connection.send_ping())

    # --- sending -----------------------------------------------------------------------------

    def send_str(self, data: str, compress: int | None = None) -> Sending:
        """Send TEXT. It is framed and handed over before this returns; awaiting what is returned
        waits until the transport has room again, and need not be done.

        Args:
            data: The text.
            compress: 0 not to compress it, 1 to 9 for a level; ``None`` as the connection does.

        Raises:
            TypeError: *data* is no `str`.
            ConnectionResetError: The connection is closed; raised where the return is awaited.
        """
        if not isinstance(data, str):
            raise TypeError(f"data argument must be str ({type(data)!r})")
        return self._send(data, True, compress)

    def send_bytes(self, data: Byteish, compress: int | None = None) -> Sending:
        """Send BINARY; see `send_str`."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be byte-ish ({type(data)!r})")
        return self._send(data, False, compress)

    def send_text_bytes(self, data: Byteish, compress: int | None = None) -> Sending:
        """Send TEXT that is encoded already; the caller answers for its being UTF-8."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be byte-ish ({type(data)!r})")
        return self._send(data, True, compress)

    def _send(self, data: str | Byteish, text: bool, compress: int | None) -> Sending:
        connection = self._connection
        outbox = self._outbox
        try:
            if connection.compresses:
                payload = data.encode("utf-8") if isinstance(data, str) else data
                if connection.wants_deflate(payload, compress):
                    connection.check_sendable()
                    return outbox.put_message(
                        _FIN | (_TEXT if text else _BINARY), payload, _level(compress)
                    )
                data = payload
            return outbox.put(connection.send_message(data, text=text, compress=False))
        except LocalProtocolError as exc:
            return self._refused(exc)

    def _refused(self, error: LocalProtocolError) -> Sending:
        """Tell a connection that is closed from a call that should not have been made."""
        if not self.closed:
            raise error
        return FailedSend(self._error("Cannot write to closing transport"))

    def send_fragment(
        self, data: str | Byteish, *, final: bool, compress: int | None = None
    ) -> Sending:
        """Send a piece of a message; control frames may come between, other messages may not.

        Args:
            data: The piece: all `str` or all bytes.
            final: Whether this ends the message.
            compress: As for `send_str`, levels aside; the first piece decides.

        Raises:
            LocalProtocolError: Bytes after `str`, or the reverse.
        """
        try:
            frame = self._connection.send_fragment(
                data,
                text=isinstance(data, str),
                final=final,
                compress=None if compress is None else bool(compress),
            )
        except LocalProtocolError as exc:
            return self._refused(exc)
        return self._outbox.put(frame)

    def ping(self, message: str | Byteish = b"") -> Sending:
        """Send a ping of at most 125 bytes; see `send_str`."""
        return self._send_control(WSMsgType.PING, message)

    def pong(self, message: str | Byteish = b"") -> Sending:
        """Send a pong of at most 125 bytes; see `send_str`."""
        return self._send_control(WSMsgType.PONG, message)

    def _send_control(self, opcode: int, message: str | Byteish) -> Sending:
        payload = message.encode("utf-8") if isinstance(message, str) else message
        if len(payload) > 125:
            raise ValueError("A control frame has at most 125 bytes")
        try:
            frame = self._connection.send_raw(payload, opcode)
        except LocalProtocolError as exc:
            return self._refused(exc)
        return self._outbox.put(frame)

    def send_frame(self, message: Byteish, opcode: int, compress: int | None = None) -> Sending:
        """Send one whole frame: TEXT, BINARY, PING or PONG."""
        if opcode in (_TEXT, _BINARY):
            return self._send(message, opcode == _TEXT, compress)
        if opcode not in (_PING, WSMsgType.PONG):
            raise ValueError(f"send_frame() does not send opcode {opcode!r}; close() closes")
        return self._send_control(opcode, message)

    async def drain(self) -> None:
        """Wait until what was sent has left for the most part.

        Raises:
            ConnectionError: The connection is lost.
        """
        await self._outbox.drain()


def _level(compress: int | None) -> int | None:
    return compress if compress is not None and 1 < compress <= 9 else None
