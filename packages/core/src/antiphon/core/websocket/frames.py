"""Bytes to frames and back (RFC 6455 section 5), one class a direction, for either role.

Payload is taken as it comes: a frame larger than what has arrived is given
out in pieces, unmasked, so that nothing but a header or a control frame ever
waits in a buffer.
"""

import os
from enum import Enum
from typing import Final, NamedTuple, NoReturn, final

from ..errors import LocalProtocolError, WebSocketError
from ..typedefs import Byteish
from ._inner import frame_header, make_header, xor_mask
from .models import WSCloseCode

__all__ = (
    "CONTROL",
    "FIN",
    "NEED_DATA",
    "RSV1",
    "FramePart",
    "NeedData",
    "Role",
    "WebSocketReader",
    "WebSocketWriter",
)

FIN: Final = 0x80
RSV1: Final = 0x40
_RSV23: Final = 0x30
CONTROL: Final = 0x08
"""The opcode bit of control frames."""

_OPCODES: Final = frozenset((0x0, 0x1, 0x2, 0x8, 0x9, 0xA))
_PLAIN: Final = frozenset((0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A))
"""What a frame may begin with: control frames are final."""
_WITH_RSV1: Final = _PLAIN | {0x40, 0x41, 0x42, 0xC0, 0xC1, 0xC2}
_MAX_CONTROL: Final = 125
"""Bytes of payload in a control frame (RFC 6455 section 5.5)."""
_MAX_LENGTH: Final = 2**63 - 1
"""The most significant bit of a 64-bit length must be 0 (section 5.2)."""


class Role(Enum):
    """Which end of the connection this is."""

    CLIENT = "client"
    SERVER = "server"


class NeedData(Enum):
    """What there is instead of an event."""

    NEED_DATA = "more bytes must come first"


NEED_DATA: Final = NeedData.NEED_DATA

_integer: Final = int.from_bytes
_new: Final = tuple.__new__
"""Makes a named tuple without the detour over its own `__new__`."""


class FramePart(NamedTuple):
    """Payload of one frame, or as much of it as has come."""

    first: int
    """FIN, RSV1 and opcode of the frame."""
    data: bytes
    begins: bool
    """Whether this is the beginning of the frame's payload."""
    ends: bool
    """Whether this is the end of it."""


@final
class WebSocketReader:
    """Takes bytes, gives the payload of frames.

    Args:
        role: Ours: a server's frames come masked, a client's must not (section 5.1).
        allow_rsv1: Whether RSV1 has been given a meaning by an extension.
    """

    __slots__ = (
        "_allowed",
        "_failed",
        "_first",
        "_key",
        "_left",
        "_masked",
        "_more",
        "_pos",
        "data",
        "max_frame_size",
    )

    def __init__(self, role: Role, *, allow_rsv1: bool = False) -> None:
        self._masked = 0x80 if role is Role.SERVER else 0
        self._allowed = _WITH_RSV1 if allow_rsv1 else _PLAIN
        self.data = b""
        """Bytes of which some were not given out yet; empty if there are none. To be looked at
        only: it saves a call where a call for each frame counts."""
        self._pos = 0
        # What came while there was `data`; joined to it when that does not suffice, so that a byte
        # is copied twice at most, however many pieces come before one is looked at.
        self._more: list[bytes] = []
        self._first = 0
        self._left = 0
        self._key = b""
        self._failed = False
        self.max_frame_size = _MAX_LENGTH
        """Bytes the next data frame may declare. Whoever puts messages together lowers it by what
        the message has already."""

    @property
    def buffered(self) -> int:
        """Bytes received and not given out yet."""
        return len(self.data) - self._pos + sum(map(len, self._more))

    @property
    def within_frame(self) -> bool:
        """Whether a frame has begun and its end has not come."""
        return self._left > 0 or self.buffered > 0

    def receive_data(self, data: bytes) -> None:
        """Store bytes that came; after an error they are dropped."""
        if self._failed:
            return
        if self.data:
            self._more.append(data)
        else:
            self.data = data
            self._pos = 0

    def _join(self) -> None:
        """Bring what came later to what is looked at, of which it is the rest."""
        self.data = b"".join((self.data[self._pos :], *self._more))
        self._pos = 0
        self._more.clear()

    def _used_up(self) -> None:
        """Turn from what was given out to what came later."""
        self.data = b"".join(self._more)
        self._pos = 0
        self._more.clear()

    def receive_whole(self, data: bytes) -> bytes | None:
        """Take bytes that are one short data frame, no less and no more, with FIN and no reserved
        bit, where nothing is under way: `receive_data` and `next_part` in one.

        Returns:
            The payload; ``None`` if *data* is anything else, and then nothing was taken.
        """
        masked = self._masked
        begin = 6 if masked else 2
        length = len(data) - begin
        if (
            not 0 <= length <= 125
            or data[1] ^ masked != length  # above 125 if it is not masked as it must be
            or not 0x81 <= data[0] <= 0x82
            or self.data
            or self._left
            or self._failed
            or length > self.max_frame_size
        ):
            return None
        if not masked:
            return data[2:]
        mask = (data[2:6] * 32)[:length]
        return (_integer(data[6:], "little") ^ _integer(mask, "little")).to_bytes(length, "little")

    def next_part(self) -> FramePart | NeedData:
        """Return the next piece of payload.

        Control frames come whole. Data frames come whole where they have arrived whole.

        Raises:
            WebSocketError: The peer broke the protocol; nothing follows.
        """
        data = self.data
        if self._left or len(data) - self._pos < 6:
            return self._next_part()
        # Most frames are short and have come whole: here they are taken without another call.
        start = self._pos
        first = data[start]
        masked = self._masked
        length = data[start + 1] ^ masked  # above 125 if it is not masked as it must be
        if length > 125 or first not in self._allowed or length > self.max_frame_size:
            return self._next_part()
        begin = start + 6 if masked else start + 2
        end = begin + length
        if end > len(data):
            return self._next_part()
        payload = data[begin:end]
        if masked:
            mask = (data[start + 2 : begin] * 32)[:length]
            payload = (_integer(payload, "little") ^ _integer(mask, "little")).to_bytes(
                length, "little"
            )
        if end != len(data):
            self._pos = end
        elif self._more:
            self._used_up()
        else:
            self.data = b""
            self._pos = 0
        return _new(FramePart, (first, payload, True, True))

    def _next_part(self) -> FramePart | NeedData:
        """`next_part` for whatever may come."""
        data = self.data
        start = self._pos
        if not data:
            return NEED_DATA
        if self._left:
            return self._go_on(begins=False)
        header = frame_header(data, start)
        if header is None:
            if self._more:
                self._join()
                return self._next_part()
            self._check_beginning()
            return NEED_DATA
        first, length, key, start = header
        if first not in self._allowed or bool(key) is not bool(self._masked) or length < 0:
            self._refuse(first, length, masked=bool(key))
        if first & CONTROL:
            if length > _MAX_CONTROL:
                self._refuse_long_control()
        elif length > self.max_frame_size:
            self._refuse_long(length)
        end = start + length
        if end <= len(data):
            payload = data[start:end]
            if key:
                payload = xor_mask(payload, key)
            if end == len(data):
                self._used_up()
            else:
                self._pos = end
            return _new(FramePart, (first, payload, True, True))
        if self._more:
            self._join()
            return self._next_part()
        if first & CONTROL:
            return NEED_DATA
        self._first = first
        self._left = length
        self._key = key
        self._pos = start
        return self._go_on(begins=True)

    def _go_on(self, *, begins: bool) -> FramePart:
        data = self.data
        start = self._pos
        end = start + self._left
        if end < len(data):
            self._pos = end
            payload = data[start:end]
        else:
            self._used_up()
            payload = data[start:] if start else data
        size = len(payload)
        self._left -= size
        key = self._key
        if key:
            payload = xor_mask(payload, key)
            turn = size % 4
            self._key = key[turn:] + key[:turn]
        return FramePart(self._first, payload, begins, self._left == 0)

    def _check_beginning(self) -> None:
        """Refuse what can be refused before the whole header has come."""
        first = self.data[self._pos]
        if first not in self._allowed:
            self._refuse(first, 0, masked=bool(self._masked))
        if self.buffered > 1:
            second = self.data[self._pos + 1]
            if second & 0x80 != self._masked:
                self._refuse(first, 0, masked=second >= 0x80)
            if first & CONTROL and second & 0x7F > _MAX_CONTROL:
                self._refuse_long_control()

    def fail(self) -> None:
        """Drop what came and what will come."""
        self._failed = True
        self.data = b""
        self._more.clear()
        self._pos = self._left = 0

    def _fail(self, code: int, text: str) -> NoReturn:
        self.fail()
        raise WebSocketError(code, text)

    def _refuse(self, first: int, length: int, *, masked: bool) -> NoReturn:
        opcode = first & 0x0F
        if first & 0x30 or (first & RSV1 and self._allowed is _PLAIN):
            text = f"Reserved bits {first & 0x70:#x} are set"
        elif opcode not in _OPCODES:
            text = f"Opcode {opcode:#x} is reserved"
        elif opcode & CONTROL and not first & FIN:
            text = "A fragmented control frame"
        elif opcode & CONTROL and first & RSV1:
            text = "A compressed control frame"
        elif masked is not bool(self._masked):
            text = (
                "A client's frame is not masked" if self._masked else "A server's frame is masked"
            )
        else:
            assert length < 0
            text = "A length is written in more bytes than it needs"
        self._fail(WSCloseCode.PROTOCOL_ERROR, text)

    def _refuse_long_control(self) -> NoReturn:
        self._fail(WSCloseCode.PROTOCOL_ERROR, f"A control frame of more than {_MAX_CONTROL} bytes")

    def _refuse_long(self, length: int) -> NoReturn:
        if length > _MAX_LENGTH:
            self._fail(
                WSCloseCode.PROTOCOL_ERROR, "The most significant bit of a 64-bit length is set"
            )
        self._fail(WSCloseCode.MESSAGE_TOO_BIG, f"A frame of {length} bytes exceeds the limit")


@final
class WebSocketWriter:
    """Gives the bytes of frames to be sent.

    Args:
        role: Ours: a client's frames are masked with a fresh random key each (section 5.3).
    """

    __slots__ = ("_masked",)

    def __init__(self, role: Role) -> None:
        self._masked = 0x80 if role is Role.CLIENT else 0

    def frame(self, first: int, payload: Byteish) -> bytes:
        """Return one frame.

        Args:
            first: FIN, RSV1 and opcode.
            payload: At most 125 bytes in a control frame.

        Raises:
            LocalProtocolError: A control frame is too long or not final.
        """
        length = payload.nbytes if isinstance(payload, memoryview) else len(payload)
        masked = self._masked
        if first & CONTROL and (length > _MAX_CONTROL or not first & FIN):
            raise LocalProtocolError(
                f"A control frame has at most {_MAX_CONTROL} bytes and is never fragmented"
            )
        if length > 125 or type(payload) is not bytes:
            return self._frame(first, payload)
        if not masked:
            return bytes((first, length)) + payload
        key = os.urandom(4)
        mask = (key * 32)[:length]
        number = _integer(payload, "little") ^ _integer(mask, "little")
        return b"%c%c%b%b" % (first, masked | length, key, number.to_bytes(length, "little"))

    def _frame(self, first: int, payload: Byteish) -> bytes:
        """`frame` for whatever may be sent."""
        if isinstance(payload, memoryview):
            payload = payload.tobytes()
        header = make_header(first, len(payload), self._masked)
        if self._masked:
            key = os.urandom(4)
            return b"".join((header, key, xor_mask(bytes(payload), key)))
        return b"".join((header, payload))
