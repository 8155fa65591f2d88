"""WebSocket (RFC 6455, RFC 7692) without input or output.

`WebSocketConnection` is the whole protocol after the opening handshake;
`negotiate`, `ClientHandshake` and `check_response` are the handshake.
"""

from ._inner import set_mask_function
from .connection import NEED_DATA, Fragment, NeedData, Role, State, WebSocketConnection
from .deflate import DeflateParameters
from .frames import FramePart, WebSocketReader, WebSocketWriter
from .handshake import (
    WS_KEY,
    ClientHandshake,
    ServerHandshake,
    accept_key,
    check_response,
    negotiate,
    origin_allowed,
    ws_ext_gen,
    ws_ext_parse,
)
from .models import (
    WSCloseCode,
    WSHandshakeError,
    WSMessage,
    WSMessageTypeError,
    WSMsgType,
)

__all__ = (
    "NEED_DATA",
    "WS_KEY",
    "ClientHandshake",
    "DeflateParameters",
    "Fragment",
    "FramePart",
    "NeedData",
    "Role",
    "ServerHandshake",
    "State",
    "WSCloseCode",
    "WSHandshakeError",
    "WSMessage",
    "WSMessageTypeError",
    "WSMsgType",
    "WebSocketConnection",
    "WebSocketReader",
    "WebSocketWriter",
    "accept_key",
    "check_response",
    "negotiate",
    "origin_allowed",
    "set_mask_function",
    "ws_ext_gen",
    "ws_ext_parse",
)
