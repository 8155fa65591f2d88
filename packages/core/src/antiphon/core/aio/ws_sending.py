"""The sending end of a WebSocket: frames are made and handed over where the method is called."""

from collections.abc import Callable
from typing import Final

from ..errors import LocalProtocolError
from ..typedefs import Byteish
from ..websocket.connection import State, WebSocketConnection
from ..websocket.models import WSMsgType
from .exchange import ByteChannel
from .ws_outbox import SENT, FailedSend, Outbox, Sending

__all__ = ("SendingEnd",)

_FIN: Final = 0x80
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG


class SendingEnd:
    """What of a `WebSocketChannel` sends.

    Args:
        channel: The bytes, after the opening handshake.
        connection: What makes the frames.
        failed: Called with an error of the compressor; the connection cannot go on then.
        compress_in_thread_from: Bytes from which messages are compressed in a thread.
        error: What a send on a closed connection raises.
    """

    __slots__ = ("_channel", "_connection", "_error", "_lost", "_outbox")

    def __init__(
        self,
        channel: ByteChannel,
        connection: WebSocketConnection,
        failed: Callable[[BaseException], None],
        *,
        compress_in_thread_from: int,
        error: Callable[[str], Exception],
    ) -> None:
        self._channel = channel
        self._connection = connection
        self._outbox = Outbox(channel, connection, failed, thread_from=compress_in_thread_from)
        self._error = error
        self._lost = False  # nothing reaches the peer any more

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        connection = self._connection
        return connection.close_sent or self._lost or connection.state is State.CLOSED

    @property
    def write_paused(self) -> bool:
        """Whether what was sent waits to leave."""
        return self._channel.write_paused or self._outbox.working is not None

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
        connection = self._connection
        if connection.compresses:
            return self._send(data.encode("utf-8"), True, compress)
        try:
            frame = connection.send_message(data, text=True)
        except LocalProtocolError as exc:
            return self._refused(exc)
        # What `Outbox.put` does where nothing is compressed, without the call.
        channel = self._channel
        channel.write(frame)
        return self._outbox.waiting() if channel.write_paused else SENT

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

    def _send(self, payload: Byteish, text: bool, compress: int | None) -> Sending:
        connection = self._connection
        outbox = self._outbox
        try:
            if connection.compresses and connection.wants_deflate(payload, compress):
                connection.check_sendable()
                return outbox.put_message(
                    _FIN | (_TEXT if text else _BINARY), payload, _level(compress)
                )
            return outbox.put(connection.send_message(payload, text=text, compress=False))
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
        connection = self._connection
        try:
            first, payload, deflated = connection.fragment(
                data,
                text=isinstance(data, str),
                final=final,
                compress=None if compress is None else bool(compress),
            )
        except LocalProtocolError as exc:
            return self._refused(exc)
        if deflated:
            return self._outbox.put_message(first, payload, None)
        return self._outbox.put(connection.plain_frame(first, payload))

    def ping(self, message: str | Byteish = b"") -> Sending:
        """Send a ping of at most 125 bytes; see `send_str`."""
        return self._send_control(_PING, message)

    def pong(self, message: str | Byteish = b"") -> Sending:
        """Send a pong of at most 125 bytes; see `send_str`."""
        return self._send_control(_PONG, message)

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
        if opcode not in (_PING, _PONG):
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
