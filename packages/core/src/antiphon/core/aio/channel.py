"""A WebSocket over a byte channel, the same for both ends.

What comes is looked at when it comes: pings are answered, pongs noted and the
closing handshake is held while the application does something else. No task
belongs to a channel, and one timer at most.
"""

import asyncio
import io
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast, final

from ..errors import WebSocketError
from ..limits import WebSocketLimits
from ..websocket.connection import NEED_DATA, Fragment, Role, WebSocketConnection, too_big
from ..websocket.models import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WSCloseCode,
    WSMessage,
    WSMessageBinary,
    WSMessageError,
    WSMessageText,
    WSMessageTextBytes,
    WSMsgType,
)
from .exchange import ByteChannel, ConnectionInfo
from .ws_sending import SendingEnd

__all__ = ("PingTimeout", "WebSocketChannel")

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_PING: Final = WSMsgType.PING
_CLOSE: Final = WSMsgType.CLOSE
_ERROR: Final = WSMsgType.ERROR

_END: Final = frozenset((_CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED))

_GRACE: Final = 1.0
"""Seconds that the application has to take what came before the peer's close frame, and to answer
it, before that frame is answered; also what is waited for the peer to end the connection."""


_PER_TURN: Final = 256
"""Frames looked at in one turn of the event loop, and 4 KiB of messages count as one: a peer that
sends very many tiny frames, pings or empty fragments shares the loop with everybody else."""


class PingTimeout(TimeoutError):
    """The peer showed no sign of life after a ping."""


@final
class _Joined:
    """A message that is put together from pieces."""

    __slots__ = ("_kind", "_there", "size")

    def __init__(self, first: Fragment) -> None:
        self._kind = first.type
        self._there: Any = io.StringIO() if isinstance(first.data, str) else io.BytesIO()
        self.size = 0
        """Bytes of it, of a text those of its UTF-8."""

    def add(self, data: str | bytes) -> None:
        """Add a piece, `str` or bytes as the first was."""
        self._there.write(data)
        if isinstance(data, str) and not data.isascii():
            data = data.encode("utf-8")
        self.size += len(data)

    def fragment(self) -> Fragment:
        """Return what there is as one piece, of which more is to come."""
        return Fragment(self._kind, self._there.getvalue(), False)

    def message(self) -> WSMessage:
        """Return what there is as the whole message."""
        data: Any = self._there.getvalue()
        if self._kind is _BINARY:
            return WSMessageBinary(_BINARY, data, None)
        if isinstance(data, str):
            return WSMessageText(_TEXT, data, None)
        # No part of the union: only who asks for bytes gets them, and the types say str.
        return cast(WSMessage, WSMessageTextBytes(_TEXT, data, None))


@final
class WebSocketChannel(SendingEnd):
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
        "_close_by",
        "_close_code",
        "_close_timeout",
        "_close_waiters",
        "_deaf",
        "_discarding",
        "_ended",
        "_eof",
        "_exception",
        "_failure",
        "_going_on",
        "_heartbeat",
        "_hung_up",
        "_joined",
        "_last_read",
        "_left",
        "_loop",
        "_max_queue",
        "_max_size",
        "_owed",
        "_paused",
        "_ping_at",
        "_pinged",
        "_pong_by",
        "_pongs",
        "_queue",
        "_reader",
        "_receive_by",
        "_reply_by",
        "_room_for_one",
        "_size",
        "_skipping",
        "_timer",
        "_waiter",
        "iteration_timeout",
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
        super().__init__(
            channel,
            connection,
            self._give_up,
            compress_in_thread_from=compress_in_thread_from,
            error=error,
        )
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._reader = connection.reader
        self._autoping = autoping
        self._autoclose = autoclose
        self._close_timeout = limits.close_timeout if close_timeout is None else close_timeout
        # Received and not taken: messages, their count and bytes limited; then reading pauses.
        self._queue: deque[WSMessage | Fragment] = deque()
        self._size = 0
        self._max_queue = limits.max_queue
        self._max_size = limits.max_queue_size
        self._room_for_one = self._max_queue > 1 and self._max_size > 125
        self._paused = False
        # How much this turn of the loop has left; whether the next one is to go on.
        self._left = _PER_TURN
        self._going_on = False
        self._eof = False  # the peer ended its side, behind what was not looked at yet
        self._pongs: list[bytes] = []
        self._owed: bytes | None = None  # the last ping that came while nothing could leave
        self._waiter: asyncio.Future[None] | None = None
        # A message of which pieces were read ahead, as far as they were taken; whether the rest of
        # one that was received in pieces is to be left out.
        self._joined: _Joined | None = None
        self._skipping = False
        # How it ended.
        self._discarding = False  # we close: what the peer says is of no interest any more
        self._deaf = False  # it has said its last
        self._hung_up = False
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
        self.iteration_timeout: float | None = None
        """Seconds that ``async for`` waits for a message; ``None`` for ever."""
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
        queue = self._queue
        while True:
            if not queue and not await self._wait(timeout):
                return self._nothing_more()
            event = self._take()
            if type(event) is not Fragment:
                return cast(WSMessage, event)
            whole = self._join(event)
            if whole is not None:
                return whole

    def __aiter__(self) -> "WebSocketChannel":
        return self

    async def __anext__(self) -> WSMessage:
        """`receive` within `iteration_timeout`, until the connection is closed or closing."""
        self._connection.streaming = False
        timeout = self.iteration_timeout
        queue = self._queue
        if not (queue or self._deaf or self._discarding or self._waiter or timeout is not None):
            waiter = self._waiter = self._loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        if queue and not self._paused:
            event: Any = queue[0]
            kind = event[0]
            if (kind is _TEXT or kind is _BINARY) and type(event) is not Fragment:
                queue.popleft()
                self._size -= len(event[1])
                return event  # type: ignore[no-any-return]  # a message, as was looked at
        message = await self.receive(timeout)
        if message.type in _END:
            raise StopAsyncIteration
        return message

    async def receive_fragment(self, timeout: float | None = None) -> Fragment | WSMessage:
        """Return the next piece of a message as it comes, however large the message is.

        What else `receive` returns is returned here too; a message that came whole is one final
        piece. A message left in the middle is skipped by the next `receive`.
        """
        self._connection.streaming = True
        joined = self._joined
        if joined is not None:
            # `receive` began with it and was cancelled, or returned a ping from within it.
            self._joined = None
            self._skipping = True
            return joined.fragment()
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

    def _join(self, piece: Fragment) -> WSMessage | None:
        """Put a piece that was read ahead to its message.

        Returns:
            The message, if this ends it; ``None`` if not, or if it is one to skip.
        """
        if self._skipping:
            self._skipping = not piece.final
            return None
        joined = self._joined
        if joined is None:
            joined = self._joined = _Joined(piece)
        joined.add(piece.data)
        limit = self._connection.max_msg_size
        if limit and joined.size > limit:
            self._forget()
            self._connection.fail()
            self._fail(too_big(limit))
        elif piece.final:
            self._joined = None
            return joined.message()
        return None

    def _forget(self) -> None:
        """Drop what was received and not taken."""
        self._queue.clear()
        self._size = 0
        self._joined = None

    def _take(self) -> WSMessage | Fragment:
        event: Any = self._queue.popleft()
        kind = event[0]
        if kind is _TEXT or kind is _BINARY:
            self._size -= len(event[1])
        elif kind is _CLOSE or kind is _ERROR:
            self._joined = None
            if self._autoclose or kind is _ERROR:
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
        if timeout is not None:
            timeout += self._loop.time()
        while not self._queue:
            if self._over():
                return False
            waiter = self._waiter = self._loop.create_future()
            if timeout is not None:
                self._receive_by = timeout
                self._arm(timeout)
            try:
                await waiter
            finally:
                self._waiter = None
                timed_out = self._receive_by < 0
                self._receive_by = math.inf
            if timed_out and not self._queue and not self._over():
                raise TimeoutError
            # Whoever called `receive` before this task ran may have taken what woke it.
        return True

    def _over(self) -> bool:
        """Whether nothing will be added to the queue."""
        return self._discarding or (self._deaf and not self._going_on)

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
        if self._room_for_one and not (self._queue or self._paused or self._discarding):
            message = self._connection.receive_whole(data)
            if message is not None:
                self._queue.append(message)
                self._size = len(message[1])  # type: ignore[arg-type]  # it is text or bytes
                waiter = self._waiter
                if waiter is not None and not waiter.done():
                    waiter.set_result(None)
                return
        self._reader.receive_data(data)
        if not self._paused:
            self._left = _PER_TURN
            self._pump()

    def eof_received(self) -> None:
        """The peer ended its side: with nothing to come there is nothing to stay for."""
        self._eof = True
        if self._paused and not self._deaf:
            return  # when all that came before it was looked at
        if not self._connection.close_received:
            self._connection.receive_eof()
        self._deaf = True
        self._wake()
        if self._reply_by == math.inf:  # else there is something to say still
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
        if not self._going_on:
            self._wake()
        waiters, self._close_waiters = self._close_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def resume_writing(self) -> None:
        """Answer the last ping; whoever waits to send waits at the channel."""
        if self._owed is not None:
            self._pongs.append(self._owed)
            self._owed = None
            self._send_pongs()

    def _pump(self) -> None:
        """Look at what came, as far as there is room and time for it."""
        reader = self._reader
        step = self._connection.step
        queue = self._queue
        left = self._left
        error: WebSocketError | None = None
        try:
            while left > 0:
                event: Any = step()  # a union of tuples, told apart by its first item
                left -= 1
                if event is None:
                    continue
                if event is NEED_DATA:
                    break
                kind = event[0]
                if kind is _TEXT or kind is _BINARY:
                    size = len(event[1])
                    self._size += size
                    left -= size >> 12
                elif not self._control(kind, event):
                    continue
                queue.append(event)
                waiter = self._waiter
                if waiter is not None and not waiter.done():
                    waiter.set_result(None)
                if len(queue) >= self._max_queue or self._size >= self._max_size:
                    self._pause()
                    break
                if not reader.data:
                    break  # most of the time nothing but this one message has come
            else:
                if reader.data:
                    self._pause()
                    self._go_on_later()
        except WebSocketError as exc:
            error = exc
        self._left = left
        if self._pongs:
            self._send_pongs()
        if error is not None:
            self._fail(error)

    def _control(self, kind: WSMsgType, event: Any) -> bool:
        """Act upon a control frame; tell whether the application is to see it."""
        if kind is _CLOSE:
            return self._close_came()
        if self._discarding:
            return False
        if not self._autoping:
            return True
        if kind is _PING:
            if self._channel.write_paused:
                # A peer that asks and does not read: RFC 6455 section 5.5.3 allows to answer
                # only the last one, and the others would pile up here.
                self._owed = event[1]
            else:
                self._pongs.append(event[1])
        return False

    def _send_pongs(self) -> None:
        """Answer pings, all in one write: past what waits for a thread, as a pong may come
        between any two frames."""
        pongs = self._pongs
        self._pongs = []
        connection = self._connection
        if not connection.close_sent and not self._lost:
            self._channel.write(b"".join([connection.send_pong(data) for data in pongs]))

    def _pause(self) -> None:
        self._paused = True
        self._channel.pause_reading()

    def _go_on_later(self) -> None:
        if not self._going_on:
            self._going_on = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Look on, in another turn of the loop."""
        self._going_on = False
        self._left = _PER_TURN
        if self._paused and self._has_room():
            self._resume()
        if self._deaf and not self._going_on:
            self._wake()

    def _has_room(self) -> bool:
        return len(self._queue) < self._max_queue and self._size < self._max_size

    def _resume(self) -> None:
        if self._left <= 0:
            self._go_on_later()
        elif not self._going_on:
            self._paused = False
            self._pump()
            if not self._paused:
                self._channel.resume_reading()
                if self._eof and not self._hung_up:
                    self.eof_received()

    # --- the end -----------------------------------------------------------------------------

    def _close_came(self) -> bool:
        self._deaf = True
        if self._pongs:
            self._send_pongs()
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
            self._outbox.then(self._hang_up if self._eof else self._channel.write_eof)
            if not self._hung_up:
                self._wait_for_end(_GRACE)

    def _handshake_done(self) -> None:
        # RFC 6455 section 7.1.1: the server ends the connection, the client waits for that.
        self._close_by = math.inf
        if self._connection.role is Role.SERVER or self._eof:
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
        connection.discard_messages()
        self._forget()
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
