"""Frames to messages: fragments joined, inflated and checked as they come, under one limit."""

import codecs
from typing import Final, NamedTuple, cast, final

from ..errors import WebSocketError
from .deflate import Inflater
from .frames import FIN, RSV1, WebSocketReader
from .models import (
    WSCloseCode,
    WSMessage,
    WSMessageBinary,
    WSMessageText,
    WSMessageTextBytes,
    WSMsgType,
)

__all__ = ("Assembly", "Discarding", "Fragment", "checked_utf8", "too_big")

_TEXT: Final = 0x1
_BINARY: Final = 0x2
_TYPES: Final = {_TEXT: WSMsgType.TEXT, _BINARY: WSMsgType.BINARY}


class Fragment(NamedTuple):
    """A piece of a message that is received streamed."""

    type: WSMsgType
    """TEXT or BINARY, the same for every piece of a message."""
    data: str | bytes
    final: bool
    """Whether this piece ends the message."""


@final
class Assembly:
    """The message that is coming in, as far as it has come.

    There is no limit on the number of fragments, nor on empty ones: they are legal, nothing of
    them is kept but their bytes, and who drives the connection bounds how many are looked
    at in one go.

    Args:
        reader: Where the frames come from; it is told how large the next one may be.
        max_size: Bytes of one message after inflation; 0 for any number.
        inflater: For compressed messages, if compression was agreed on.
        decode_text: Give TEXT as `str`; otherwise as `bytes`, checked all the same.
    """

    __slots__ = (
        "_buffer",
        "_compressed",
        "_decode_text",
        "_inflater",
        "_max_size",
        "_reader",
        "_size",
        "_streaming",
        "_tail",
        "kind",
    )

    def __init__(
        self,
        reader: WebSocketReader,
        max_size: int,
        inflater: Inflater | None,
        *,
        decode_text: bool,
    ) -> None:
        self._reader = reader
        self._max_size = max_size
        if max_size:
            reader.max_frame_size = max_size
        self._inflater = inflater
        self._decode_text = decode_text
        self.kind = 0
        """Opcode of the message under way, 0 for none."""
        self._compressed = False
        self._streaming = False
        self._buffer = bytearray()
        self._tail = b""
        self._size = 0

    @property
    def kept(self) -> int:
        """Bytes of the message that are kept until its end."""
        return len(self._buffer) + len(self._tail)

    def begin(self, first: int, *, streaming: bool) -> None:
        """Take the beginning of a data frame.

        Args:
            first: FIN, RSV1 and opcode.
            streaming: Whether a message that begins here is given out in pieces.

        Raises:
            WebSocketError: This frame may not come now.
        """
        opcode = first & 0x0F
        if opcode:
            if self.kind:
                raise WebSocketError(
                    WSCloseCode.PROTOCOL_ERROR, "A message begins inside a fragmented message"
                )
            self.kind = opcode
            self._compressed = bool(first & RSV1)
            self._streaming = streaming
        elif not self.kind:
            raise WebSocketError(
                WSCloseCode.PROTOCOL_ERROR, "A continuation without a message to continue"
            )
        elif first & RSV1:
            # RFC 7692 section 6.1: only the first frame says so.
            raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, "RSV1 on a continuation frame")

    def add(self, first: int, data: bytes, *, frame_ends: bool) -> WSMessage | Fragment | None:
        """Take payload of a data frame that has begun; give what it completes.

        Args:
            first: FIN, RSV1 and opcode of the frame.
            data: The payload, or as much of it as has come.
            frame_ends: Whether this is the end of it.

        Raises:
            WebSocketError: The message is too large, or does not inflate.
            UnicodeDecodeError: Text is not UTF-8.
        """
        final = frame_ends and first >= FIN
        limit = self._max_size
        if self._compressed:
            assert self._inflater is not None
            data = self._inflater.decompress(
                data, limit - self._size if limit else None, final=final
            )
        self._size += len(data)
        if limit:
            if self._size > limit:
                raise too_big(limit)
            if frame_ends:
                # The next frame is refused by what it declares, before any of it is kept.
                self._reader.max_frame_size = limit - self._size
        if self._streaming:
            return self._streamed(data, final=final)
        if final:
            return self._end(data)
        if self.kind == _TEXT:
            self._decode(data, final=False)  # only to find out as early as can be
        self._buffer += data
        return None

    def _decode(self, data: bytes, *, final: bool) -> str:
        """Decode a piece of a text; what is left of a character stays in `_tail`."""
        if self._tail:
            data = self._tail + data
        text, used = codecs.utf_8_decode(data, "strict", final)
        tail = self._tail = data[used:]
        if tail[:1] == b"\xed" and tail[1:2] >= b"\xa0":
            # Half a surrogate: the decoder would wait for the rest of what cannot become right.
            raise UnicodeDecodeError("utf-8", tail, 0, 2, "invalid continuation byte")
        return text

    def _streamed(self, data: bytes, *, final: bool) -> Fragment | None:
        kind = _TYPES[self.kind]
        piece: bytes | str = data
        if self.kind == _TEXT:
            text = self._decode(data, final=final)
            if self._decode_text:
                piece = text
        if self._max_size:
            self._size = 0
            self._reader.max_frame_size = self._max_size
        if final:
            self.forget()
        elif not piece:
            return None
        return Fragment(kind, piece, final)

    def _end(self, data: bytes) -> WSMessage:
        buffer: bytes | bytearray = data
        if self._buffer:
            buffer = self._buffer
            buffer += data
        kind = self.kind
        self.forget()
        if kind == _BINARY:
            return WSMessageBinary(WSMsgType.BINARY, bytes(buffer), None)
        if self._decode_text:
            return WSMessageText(WSMsgType.TEXT, str(buffer, "utf-8"), None)
        text = checked_utf8(bytes(buffer))
        # No part of the union: only who asks for bytes gets them, and the types say str.
        return cast(WSMessage, WSMessageTextBytes(WSMsgType.TEXT, text, None))

    def forget(self) -> None:
        """Begin anew: the message is done, or will never be."""
        self.kind = 0
        if self._buffer:
            self._buffer = bytearray()
        self._tail = b""
        self._size = 0
        self._streaming = False
        if self._max_size:
            self._reader.max_frame_size = self._max_size


@final
class Discarding:
    """Takes the place of an `Assembly` of which nobody wants the messages: nothing is inflated,
    decoded or kept, and no order of frames is asked for."""

    __slots__ = ("kind",)

    def __init__(self) -> None:
        self.kind = _BINARY  # never "none": no message can come whole

    def begin(self, first: int, *, streaming: bool) -> None:
        """Take the beginning of a data frame."""

    def add(self, first: int, data: bytes, *, frame_ends: bool) -> None:
        """Take payload of a data frame."""

    def forget(self) -> None:
        """Begin anew."""


def checked_utf8(data: bytes) -> bytes:
    """Return *data* if it is UTF-8.

    Raises:
        UnicodeDecodeError: It is not.
    """
    str(data, "utf-8")
    return data


def too_big(limit: int) -> WebSocketError:
    """The error for a message of more than *limit* bytes."""
    return WebSocketError(
        WSCloseCode.MESSAGE_TOO_BIG, f"A message exceeds the limit of {limit} bytes"
    )
