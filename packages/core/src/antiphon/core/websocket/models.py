"""The vocabulary of WebSockets: message types, close codes, messages."""

import json
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from multidict import CIMultiDict

from ..errors import HttpProcessingError

__all__ = (
    "WS_CLOSED_MESSAGE",
    "WS_CLOSING_MESSAGE",
    "WSCloseCode",
    "WSHandshakeError",
    "WSMessage",
    "WSMessageBinary",
    "WSMessageClose",
    "WSMessageClosed",
    "WSMessageClosing",
    "WSMessageContinuation",
    "WSMessageError",
    "WSMessagePing",
    "WSMessagePong",
    "WSMessageText",
    "WSMessageTextBytes",
    "WSMessageTypeError",
    "WSMsgType",
)


class WSMsgType(IntEnum):
    """What kind of message or frame: opcodes (RFC 6455 section 11.8), and ours from 256 on."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA

    CLOSING = 0x100
    """This side is closing; nothing more can be received."""
    CLOSED = 0x101
    """The connection is closed."""
    ERROR = 0x102
    """The connection failed; ``data`` is the exception."""

    text = TEXT
    binary = BINARY
    close = CLOSE
    ping = PING
    pong = PONG
    closing = CLOSING
    closed = CLOSED
    error = ERROR


class WSCloseCode(IntEnum):
    """Close codes (RFC 6455 section 7.4.1 and the registry it began)."""

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL_CLOSURE = 1006
    """Never sent: the connection was lost without a close frame."""
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


class WSMessageTypeError(TypeError):
    """A message came that is not of the kind that was asked for."""


class WSHandshakeError(HttpProcessingError):
    """The opening handshake cannot be completed (RFC 6455 section 4); 400 unless told otherwise."""

    code = 400
    message = "Bad WebSocket handshake"

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        headers: CIMultiDict[str] | None = None,
    ) -> None:
        super().__init__(code=code, message=message, headers=headers)


if TYPE_CHECKING:
    # For type checkers a message is a union, so that `msg.type is WSMsgType.TEXT` tells what
    # `msg.data` is. When it runs, WSMessage is the class that all of them are made of.

    class WSMessageContinuation(NamedTuple):
        data: bytes
        extra: None = None
        type: Literal[WSMsgType.CONTINUATION] = WSMsgType.CONTINUATION

    class WSMessageText(NamedTuple):
        type: Literal[WSMsgType.TEXT]
        data: str
        extra: None

        def json(self, *, loads: Callable[[str], Any] = json.loads) -> Any:
            """Return ``loads(data)``."""

    class WSMessageTextBytes(NamedTuple):
        type: Literal[WSMsgType.TEXT]
        data: bytes
        extra: None

        def json(self, *, loads: Callable[[bytes], Any] = json.loads) -> Any:
            """Return ``loads(data)``."""

    class WSMessageBinary(NamedTuple):
        type: Literal[WSMsgType.BINARY]
        data: bytes
        extra: None

        def json(self, *, loads: Callable[[bytes], Any] = json.loads) -> Any:
            """Return ``loads(data)``."""

    class WSMessagePing(NamedTuple):
        type: Literal[WSMsgType.PING]
        data: bytes
        extra: None

    class WSMessagePong(NamedTuple):
        type: Literal[WSMsgType.PONG]
        data: bytes
        extra: None

    class WSMessageClose(NamedTuple):
        type: Literal[WSMsgType.CLOSE]
        data: int
        extra: str | None

    class WSMessageClosing(NamedTuple):
        type: Literal[WSMsgType.CLOSING]
        data: int | None
        extra: str | None

    class WSMessageClosed(NamedTuple):
        type: Literal[WSMsgType.CLOSED]
        data: None
        extra: None

    class WSMessageError(NamedTuple):
        type: Literal[WSMsgType.ERROR]
        data: BaseException
        extra: None

    WSMessage = (
        WSMessageText
        | WSMessageBinary
        | WSMessagePing
        | WSMessagePong
        | WSMessageClose
        | WSMessageClosing
        | WSMessageClosed
        | WSMessageError
    )
else:

    class WSMessage(NamedTuple):
        """One message: *type* tells what *data* and *extra* are.

        TEXT has `str` (or `bytes` where text is not decoded), BINARY, PING and PONG
        have `bytes`, CLOSE has the close code, its reason in *extra*; ERROR has the exception.
        """

        type: WSMsgType
        data: Any
        extra: str | None = None

        def json(self, *, loads: Callable[[Any], Any] = json.loads) -> Any:
            """Return ``loads(data)``."""
            return loads(self.data)

    class WSMessageContinuation(WSMessage):
        __slots__ = ()

    class WSMessageText(WSMessage):
        """Text as `str`."""

        __slots__ = ()

    class WSMessageTextBytes(WSMessage):
        """Text that is not decoded: `bytes`, known to be UTF-8."""

        __slots__ = ()

    class WSMessageBinary(WSMessage):
        """Bytes."""

        __slots__ = ()

    class WSMessagePing(WSMessage):
        """A ping that the application is to answer."""

        __slots__ = ()

    class WSMessagePong(WSMessage):
        """A pong, seen by applications that see to pings themselves."""

        __slots__ = ()

    class WSMessageClose(WSMessage):
        """The peer's close frame: its code, and in *extra* its reason."""

        __slots__ = ()

    class WSMessageClosing(WSMessage):
        """This side is closing."""

        __slots__ = ()

    class WSMessageClosed(WSMessage):
        """The connection is closed."""

        __slots__ = ()

    class WSMessageError(WSMessage):
        """The connection failed; *data* is the exception."""

        __slots__ = ()


WS_CLOSED_MESSAGE: Final = WSMessageClosed(WSMsgType.CLOSED, None, None)
WS_CLOSING_MESSAGE: Final = WSMessageClosing(WSMsgType.CLOSING, None, None)
