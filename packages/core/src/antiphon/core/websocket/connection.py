"""Frames to messages, the closing handshake, and what may be sent when; for either role.

No socket, no clock, no task: bytes that came go in by `receive_data`, messages
come out of `next_event`; what is to be sent is returned as bytes, in the order
in which it must leave.
"""

from enum import Enum
from typing import Final, cast, final

from ..errors import LocalProtocolError, WebSocketError
from ..typedefs import Byteish
from .assembly import Assembly, Discarding, Fragment, checked_utf8, too_big
from .deflate import DeflateParameters, Deflater, Inflater
from .frames import (
    CONTROL,
    FIN,
    NEED_DATA,
    RSV1,
    NeedData,
    Role,
    WebSocketReader,
    WebSocketWriter,
)
from .models import (
    WSCloseCode,
    WSMessage,
    WSMessageBinary,
    WSMessageClose,
    WSMessagePing,
    WSMessagePong,
    WSMessageText,
    WSMessageTextBytes,
    WSMsgType,
)

__all__ = (
    "NEED_DATA",
    "Fragment",
    "NeedData",
    "Role",
    "State",
    "WebSocketConnection",
    "may_be_received",
    "may_be_sent",
    "too_big",
)

_TEXT: Final = 0x1
_BINARY: Final = 0x2
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA
_WHOLE_TEXT: Final = FIN | _TEXT
_WHOLE_BINARY: Final = FIN | _BINARY
_MAX_REASON: Final = 123
"""Bytes that are left of a control frame's 125 behind the close code."""

_DEFLATE_FROM: Final = 64
"""Bytes below which compressing a message costs more than it saves."""

_TEXT_TYPE: Final = WSMsgType.TEXT
_BINARY_TYPE: Final = WSMsgType.BINARY
_new: Final = tuple.__new__
"""Makes a named tuple without the detour over its own `__new__`."""

_RECEIVABLE: Final = frozenset((
    1000,
    1001,
    1002,
    1003,
    1007,
    1008,
    1009,
    1010,
    1011,
    1012,
    1013,
    1014,
))


def may_be_received(code: int) -> bool:
    """Whether a close frame may carry *code* (RFC 6455 section 7.4)."""
    return code in _RECEIVABLE or 3000 <= code <= 4999


def may_be_sent(code: int) -> bool:
    """Whether this side may send *code*: 1010 is for clients, yet harmless, so it is let pass."""
    return may_be_received(code)


class State(Enum):
    """Where a connection is in its life (RFC 6455 section 7.1)."""

    OPEN = "messages go both ways"
    CLOSING = "a close frame was sent or received"
    CLOSED = "close frames went both ways, or the connection was lost"

    __hash__ = object.__hash__


class _Input(Enum):
    SENT_CLOSE = "we sent a close frame"
    GOT_CLOSE = "a close frame came"
    BOTH_CLOSED = "close frames went both ways"
    EOF = "the connection ended"
    FAIL = "the peer broke the protocol"

    __hash__ = object.__hash__


_NEXT: Final[dict[tuple[State, _Input], State]] = {
    (State.OPEN, _Input.SENT_CLOSE): State.CLOSING,  # section 7.1.3: sent or received
    (State.OPEN, _Input.GOT_CLOSE): State.CLOSING,
    (State.OPEN, _Input.EOF): State.CLOSED,
    (State.OPEN, _Input.FAIL): State.CLOSING,
    (State.CLOSING, _Input.FAIL): State.CLOSING,
    (State.CLOSING, _Input.BOTH_CLOSED): State.CLOSED,  # section 7.1.4
    (State.CLOSING, _Input.EOF): State.CLOSED,
    (State.CLOSED, _Input.EOF): State.CLOSED,
}


@final
class WebSocketConnection:
    """One WebSocket seen from one end, after the opening handshake.

    Args:
        role: Which end this is.
        max_msg_size: Bytes of one message after inflation; 0 for any number.
        deflate: What was agreed on of compression; ``None`` for none.
        decode_text: Give TEXT as `str`; otherwise as `bytes`, checked all the same.
        level: Compression level of what is sent, zlib's 1 to 9 or -1.
    """

    __slots__ = (
        "_assembly",
        "_close_came",
        "_close_sent",
        "_decode_text",
        "_deflater",
        "_sending",
        "_sending_deflated",
        "_state",
        "_writer",
        "close_code",
        "close_reason",
        "compresses",
        "max_msg_size",
        "reader",
        "role",
        "sent_code",
        "streaming",
    )

    def __init__(
        self,
        role: Role,
        *,
        max_msg_size: int = 4 * 1024 * 1024,
        deflate: DeflateParameters | None = None,
        decode_text: bool = True,
        level: int = -1,
    ) -> None:
        self.role = role
        self.max_msg_size = max_msg_size
        """Bytes of one message after inflation; 0 for any number."""
        self.compresses = deflate is not None
        """Whether compression was agreed on."""
        self._deflater: Deflater | None = None
        inflater: Inflater | None = None
        if deflate is not None:
            self._deflater, inflater = _deflate_ends(role, deflate, level)
        self.reader = WebSocketReader(role, allow_rsv1=self.compresses)
        """What has come and was not looked at."""
        self._writer = WebSocketWriter(role)
        self._assembly: Assembly | Discarding = Assembly(
            self.reader, max_msg_size, inflater, decode_text=decode_text
        )
        self._decode_text = decode_text
        self._state = State.OPEN
        self._close_sent = False
        self.sent_code: int | None = None
        """The code of our own close frame."""
        self._close_came = False
        # The message under way out, 0 for none.
        self._sending = 0
        self._sending_deflated = False
        self.streaming = False
        """Give the next message in pieces as they come (`Fragment`), not whole. The limit of
        `max_msg_size` then counts for each frame and not for the sum."""
        self.close_code: int | None = None
        """The code that the peer closed with; 1005 is never given: a close frame without a
        code leaves 1000; 1006 after the connection was lost without one."""
        self.close_reason = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.role.value} {self._state.name}>"

    @property
    def state(self) -> State:
        """Where the connection is in its life."""
        return self._state

    @property
    def close_sent(self) -> bool:
        """Whether our close frame was made."""
        return self._close_sent

    @property
    def close_received(self) -> bool:
        """Whether the peer's close frame came."""
        return self._close_came

    # --- receiving ---------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Store bytes that came; they are looked at when `next_event` asks."""
        self.reader.receive_data(data)

    def receive_whole(self, data: bytes) -> WSMessage | None:
        """Take bytes that are one short message and nothing else, as they mostly are:
        `receive_data` and `next_event` in one.

        Returns:
            The message; ``None`` if *data* is anything else, and then nothing was taken.
        """
        if self._assembly.kind or self.streaming:
            return None
        payload = self.reader.receive_whole(data)
        if payload is None:
            return None
        if data[0] == _WHOLE_BINARY:
            return _new(WSMessageBinary, (_BINARY_TYPE, payload, None))
        if not self._decode_text:
            return None
        try:
            return _new(WSMessageText, (_TEXT_TYPE, str(payload, "utf-8"), None))
        except UnicodeDecodeError:
            return None  # `next_event` has the words for it

    def receive_eof(self) -> None:
        """Note that the connection ended."""
        if not self._close_came and self.close_code is None:
            self.close_code = WSCloseCode.ABNORMAL_CLOSURE
        self._step(_Input.EOF)

    def discard_messages(self) -> None:
        """Give no more messages, only control frames: for who waits for the peer's close frame
        and for nothing else. What still comes costs what its bytes cost, whatever they would
        inflate to, and mistakes within messages go unnoticed."""
        self._assembly.forget()
        self._assembly = Discarding()

    def fail(self) -> None:
        """Note that the peer broke a rule of which only the caller knows: nothing follows.

        `close` then tells it why.
        """
        self._fail()

    def next_event(self) -> WSMessage | Fragment | NeedData:
        """Return the next message: TEXT, BINARY, PING, PONG or CLOSE.

        After CLOSE, and after an error, nothing follows.

        Raises:
            WebSocketError: The peer broke the protocol; close with its code. Raised once.
        """
        while True:
            event = self.step()
            if event is not None:
                return event

    def step(self) -> WSMessage | Fragment | NeedData | None:
        """Look at one frame, or at the piece of it that has come: `next_event` for those who
        bound how much is done in one go.

        Returns:
            What `next_event` would; ``None`` if the frame completed nothing.

        Raises:
            WebSocketError: The peer broke the protocol; close with its code. Raised once.
        """
        try:
            part = self.reader.next_part()
            if part is NEED_DATA:
                return NEED_DATA
            first, data, begins, ends = part
            if ends and begins and not self._assembly.kind and not self.streaming:
                # A message in one frame: most are.
                if first == _WHOLE_TEXT:
                    if self._decode_text:
                        return _new(WSMessageText, (_TEXT_TYPE, str(data, "utf-8"), None))
                    as_bytes = _new(WSMessageTextBytes, (_TEXT_TYPE, checked_utf8(data), None))
                    return cast(WSMessage, as_bytes)  # see `Assembly`
                if first == _WHOLE_BINARY:
                    return _new(WSMessageBinary, (_BINARY_TYPE, data, None))
            if first & CONTROL:
                return self._control(first & 0x0F, data)
            assembly = self._assembly
            if begins:
                assembly.begin(first, streaming=self.streaming)
            return assembly.add(first, data, frame_ends=ends)
        except WebSocketError:
            self._fail()
            raise
        except UnicodeDecodeError as exc:
            self._fail()
            raise WebSocketError(
                WSCloseCode.INVALID_TEXT, f"Text is not UTF-8: {exc.reason}"
            ) from exc

    def _fail(self) -> None:
        self.reader.fail()
        self._assembly.forget()
        self._step(_Input.FAIL)

    def _control(self, opcode: int, data: bytes) -> WSMessage:
        if opcode == _CLOSE:
            return self._closed_by_peer(data)
        if opcode == _PING:
            return WSMessagePing(WSMsgType.PING, data, None)
        return WSMessagePong(WSMsgType.PONG, data, None)

    def _closed_by_peer(self, data: bytes) -> WSMessage:
        if len(data) == 1:
            raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, "A close frame with half a code")
        code = int(WSCloseCode.OK)
        reason = ""
        if data:
            code = int.from_bytes(data[:2], "big")
            if not may_be_received(code):
                raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, f"Invalid close code: {code}")
            reason = data[2:].decode("utf-8")
        self.close_code = code
        self.close_reason = reason
        self._close_came = True
        self.reader.fail()  # nothing may follow
        self._assembly.forget()
        self._step(_Input.BOTH_CLOSED if self._close_sent else _Input.GOT_CLOSE)
        return WSMessageClose(WSMsgType.CLOSE, code, reason)

    # --- sending -----------------------------------------------------------------------------

    def send_message(
        self,
        data: str | Byteish,
        *,
        text: bool,
        compress: bool | None = None,
        level: int | None = None,
    ) -> bytes:
        """Return the frame of a whole message.

        Args:
            data: The message; `str` only with *text*.
            text: Whether it is TEXT; the caller answers for its being UTF-8 if it is not `str`.
            compress: Whether to compress it, where that was agreed on; ``None`` decides by size.
            level: Compression level of this message.

        Raises:
            LocalProtocolError: The connection is closing, or a streamed message is under way.
        """
        payload = data.encode("utf-8") if isinstance(data, str) else data
        first = _WHOLE_TEXT if text else _WHOLE_BINARY
        if self._close_sent or self._sending or self._state is State.CLOSED:
            self._check_open()
        if self._deflater is not None and self.wants_deflate(payload, compress):
            return self.deflated_frame(first, self.deflate(payload, level=level))
        return self._writer.frame(first, payload)

    def wants_deflate(self, payload: Byteish, compress: bool | int | None) -> bool:
        """Whether a message is compressed; see `send_message`."""
        if self._deflater is None:
            return False
        return len(payload) >= _DEFLATE_FROM if compress is None else bool(compress)

    def check_sendable(self) -> None:
        """Check that a whole message may be sent now.

        Raises:
            LocalProtocolError: The connection is closing, or a streamed message is under way.
        """
        self._check_open()

    def deflate(self, payload: Byteish, *, final: bool = True, level: int | None = None) -> bytes:
        """Compress a message, or with *final* false a piece of one, for `deflated_frame`.

        May run in a thread, if nothing else is sent compressed meanwhile: messages share a window.
        """
        assert self._deflater is not None
        return self._deflater.compress(payload, final=final, level=level)

    def deflated_frame(self, first: int, compressed: bytes) -> bytes:
        """Return the frame of what `deflate` returned; *first* is FIN and the opcode.

        `check_sendable` was called when the message was given: it may leave behind calls that
        came later, `close` among them, if the frames leave in the order of the calls.
        """
        if first & 0x0F:
            first |= RSV1  # RFC 7692 section 6.1: only the first frame says so
        return self._writer.frame(first, compressed)

    def send_fragment(
        self, data: str | Byteish, *, text: bool, final: bool, compress: bool | None = None
    ) -> bytes:
        """Return the frame of the next piece of a streamed message.

        Args:
            data: The piece.
            text: Whether the message is TEXT. Pieces of `bytes` may end within a character.
            final: Whether this ends the message.
            compress: As for `send_message`; what the first piece says counts.
        """
        first, payload, deflated = self.fragment(data, text=text, final=final, compress=compress)
        if deflated:
            return self.deflated_frame(first, self.deflate(payload, final=final))
        return self.plain_frame(first, payload)

    def fragment(
        self, data: str | Byteish, *, text: bool, final: bool, compress: bool | None = None
    ) -> tuple[int, Byteish, bool]:
        """Take the next piece of a streamed message, and leave making its frame to later.

        Returns:
            FIN and opcode; the payload; whether it is to be given to `deflate` and
            `deflated_frame`, in the order of the calls, or to `plain_frame`.
        """
        self._check_open(sending=True)
        payload = data.encode("utf-8") if isinstance(data, str) else data
        first = 0
        if not self._sending:
            first = self._sending = _TEXT if text else _BINARY
            self._sending_deflated = self._deflater is not None and compress is not False
        elif (self._sending == _TEXT) is not text:
            raise LocalProtocolError("A message is either text or binary")
        if final:
            first |= FIN
            self._sending = 0
        return first, payload, self._sending_deflated

    def plain_frame(self, first: int, payload: Byteish) -> bytes:
        """Return the frame of what `fragment` gave and is not to be compressed."""
        return self._writer.frame(first, payload)

    def send_ping(self, data: Byteish = b"") -> bytes:
        """Return a ping of at most 125 bytes."""
        self._check_control()
        return self._writer.frame(FIN | _PING, data)

    def send_pong(self, data: Byteish = b"") -> bytes:
        """Return a pong of at most 125 bytes."""
        self._check_control()
        return self._writer.frame(FIN | _PONG, data)

    def send_raw(self, data: Byteish, opcode: int, *, compress: bool | None = None) -> bytes:
        """Return one final frame of any opcode, for those who know what they do."""
        if opcode & CONTROL:
            self._check_control()
            return self._writer.frame(FIN | opcode, data)
        if opcode not in (_TEXT, _BINARY):
            raise LocalProtocolError("send_raw() sends whole messages and control frames")
        return self.send_message(data, text=opcode == _TEXT, compress=compress)

    def close(self, code: int = WSCloseCode.OK, reason: str | bytes = "") -> bytes:
        """Return our close frame, or nothing if it was made before.

        Args:
            code: 1000 to 1014 but those that are never sent, or 3000 to 4999.
            reason: UTF-8, at most 123 bytes; longer ones are cut at a character.

        Raises:
            ValueError: *code* may not be sent.
        """
        if self._close_sent:
            return b""
        if not may_be_sent(code):
            raise ValueError(f"Close code {code!r} may not be sent (RFC 6455 section 7.4)")
        if self._state is State.CLOSED:
            raise LocalProtocolError("The connection is closed")
        text = reason.encode("utf-8") if isinstance(reason, str) else reason
        if len(text) > _MAX_REASON:
            text = text[:_MAX_REASON].decode("utf-8", "ignore").encode("utf-8")
        frame = self._writer.frame(FIN | _CLOSE, code.to_bytes(2, "big") + text)
        self._close_sent = True
        self.sent_code = code
        if self._state is State.CLOSING and self._close_came:
            self._step(_Input.BOTH_CLOSED)
        elif self._state is State.OPEN:
            self._step(_Input.SENT_CLOSE)
        return frame

    def _check_open(self, *, sending: bool = False) -> None:
        # After the peer's close frame, or its mistake, this side may still finish what it has to
        # say about what came before (section 5.5.1).
        if self._close_sent or self._state is State.CLOSED:
            raise LocalProtocolError("Cannot write to closing transport")
        if self._sending and not sending:
            raise LocalProtocolError("A streamed message is under way")

    def _check_control(self) -> None:
        # Section 5.5.1: nothing after our close frame; pongs may still answer before it.
        if self._close_sent or self._state is State.CLOSED:
            raise LocalProtocolError("Cannot write to closing transport")

    def _step(self, event: _Input) -> None:
        self._state = _NEXT.get((self._state, event), self._state)


def _deflate_ends(role: Role, agreed: DeflateParameters, level: int) -> tuple[Deflater, Inflater]:
    """Return what compresses what we send, and what inflates what the peer sends."""
    if role is Role.SERVER:
        ours, theirs = agreed.server_no_context_takeover, agreed.client_no_context_takeover
        bits = agreed.server_max_window_bits
    else:
        ours, theirs = agreed.client_no_context_takeover, agreed.server_no_context_takeover
        bits = agreed.client_max_window_bits
    return Deflater(bits, keep_context=not ours, level=level), Inflater(keep_context=not theirs)
