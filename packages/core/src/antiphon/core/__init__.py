"""Streams, the HTTP parser and the WebSocket protocol of antiphon.

What client and server stand on, and what both publish. Authors of low-level code find the
parsers in `antiphon.core.http1` and `antiphon.core.websocket`.

A name is imported from its module when it is asked for: who wants one of them does not pay for
all (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from . import abc as abc
    from . import hdrs
    from .aio._payload_base import PAYLOAD_REGISTRY, Order, Payload, get_payload, payload_type
    from .aio.exchange import Timeline
    from .aio.multipart import (
        BodyPartReader,
        BodyPartReaderPayload,
        MultipartReader,
        MultipartResponseWrapper,
    )
    from .aio.multipart_writer import MultipartWriter
    from .aio.payload import (
        AsyncIterablePayload,
        BytesPayload,
        JsonBytesPayload,
        JsonPayload,
        StreamReaderPayload,
        StringIOPayload,
        StringPayload,
        streamer,
    )
    from .aio.payload_files import (
        BufferedReaderPayload,
        BytesIOPayload,
        IOBasePayload,
        TextIOPayload,
    )
    from .aio.queues import DataQueue, EofStream, FlowControlDataQueue
    from .aio.streams import EMPTY_PAYLOAD, StreamReader
    from .aio.writer import AbstractStreamWriter
    from .coding import ContentCoding, set_zlib_backend
    from .deprecations import AntiphonDeprecationWarning
    from .errors import (
        BadHttpMessage,
        BadHttpMethod,
        BadStatusLine,
        ContentEncodingError,
        ContentLengthError,
        ExpectationFailed,
        HttpProcessingError,
        InvalidHeader,
        InvalidURLError,
        LineTooLong,
        LocalProtocolError,
        PayloadEncodingError,
        TooManyFields,
        TransferEncodingError,
        UnknownTransferCoding,
        UnsupportedVersion,
        WebSocketError,
    )
    from .fields.basic_auth import BasicAuth, decode_basic_auth, encode_basic_auth
    from .fields.disposition import (
        BadContentDispositionHeader,
        BadContentDispositionParam,
        content_disposition_filename,
        parse_content_disposition,
    )
    from .fields.etag import ETag
    from .http import (
        SERVER_SOFTWARE,
        HttpVersion,
        HttpVersion10,
        HttpVersion11,
        RawRequestMessage,
        RawResponseMessage,
        RequestHead,
    )
    from .limits import HttpLimits, MultipartLimits, ServerTimeouts, WebSocketLimits
    from .multipart import BadMultipart, MultipartTooLarge
    from .websocket.connection import WebSocketConnection
    from .websocket.frames import WebSocketReader, WebSocketWriter
    from .websocket.models import (
        WSCloseCode,
        WSHandshakeError,
        WSMessage,
        WSMessageBinary,
        WSMessageClose,
        WSMessageClosed,
        WSMessageClosing,
        WSMessageError,
        WSMessagePing,
        WSMessagePong,
        WSMessageText,
        WSMessageTextBytes,
        WSMessageTypeError,
        WSMsgType,
    )

__version__ = "0.1.0"

__all__ = (
    "EMPTY_PAYLOAD",
    "PAYLOAD_REGISTRY",
    "SERVER_SOFTWARE",
    "AbstractStreamWriter",
    "AntiphonDeprecationWarning",
    "AsyncIterablePayload",
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "BadHttpMessage",
    "BadHttpMethod",
    "BadMultipart",
    "BadStatusLine",
    "BasicAuth",
    "BodyPartReader",
    "BodyPartReaderPayload",
    "BufferedReaderPayload",
    "BytesIOPayload",
    "BytesPayload",
    "ContentCoding",
    "ContentEncodingError",
    "ContentLengthError",
    "DataQueue",
    "ETag",
    "EofStream",
    "ExpectationFailed",
    "FlowControlDataQueue",
    "HttpLimits",
    "HttpProcessingError",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "IOBasePayload",
    "InvalidHeader",
    "InvalidURLError",
    "JsonBytesPayload",
    "JsonPayload",
    "LineTooLong",
    "LocalProtocolError",
    "MultipartLimits",
    "MultipartReader",
    "MultipartResponseWrapper",
    "MultipartTooLarge",
    "MultipartWriter",
    "Order",
    "Payload",
    "PayloadEncodingError",
    "RawRequestMessage",
    "RawResponseMessage",
    "RequestHead",
    "ServerTimeouts",
    "StreamReader",
    "StreamReaderPayload",
    "StringIOPayload",
    "StringPayload",
    "TextIOPayload",
    "Timeline",
    "TooManyFields",
    "TransferEncodingError",
    "UnknownTransferCoding",
    "UnsupportedVersion",
    "WSCloseCode",
    "WSHandshakeError",
    "WSMessage",
    "WSMessageBinary",
    "WSMessageClose",
    "WSMessageClosed",
    "WSMessageClosing",
    "WSMessageError",
    "WSMessagePing",
    "WSMessagePong",
    "WSMessageText",
    "WSMessageTextBytes",
    "WSMessageTypeError",
    "WSMsgType",
    "WebSocketConnection",
    "WebSocketError",
    "WebSocketLimits",
    "WebSocketReader",
    "WebSocketWriter",
    "content_disposition_filename",
    "decode_basic_auth",
    "encode_basic_auth",
    "get_payload",
    "hdrs",
    "parse_content_disposition",
    "payload_type",
    "set_zlib_backend",
    "streamer",
)

_NAMES: Final = {
    ".aio._payload_base": "PAYLOAD_REGISTRY get_payload payload_type Order Payload",
    ".aio.exchange": "Timeline",
    ".aio.multipart": (
        "BodyPartReader BodyPartReaderPayload MultipartReader MultipartResponseWrapper"
    ),
    ".aio.multipart_writer": "MultipartWriter",
    ".aio.payload": (
        "streamer AsyncIterablePayload BytesPayload JsonBytesPayload JsonPayload "
        "StreamReaderPayload StringIOPayload StringPayload"
    ),
    ".aio.payload_files": "BufferedReaderPayload BytesIOPayload IOBasePayload TextIOPayload",
    ".aio.queues": "DataQueue EofStream FlowControlDataQueue",
    ".aio.streams": "EMPTY_PAYLOAD StreamReader",
    ".aio.writer": "AbstractStreamWriter",
    ".coding": "set_zlib_backend ContentCoding",
    ".deprecations": "AntiphonDeprecationWarning",
    ".errors": (
        "BadHttpMessage BadHttpMethod BadStatusLine ContentEncodingError ContentLengthError "
        "ExpectationFailed HttpProcessingError InvalidHeader InvalidURLError LineTooLong "
        "LocalProtocolError PayloadEncodingError TooManyFields TransferEncodingError "
        "UnknownTransferCoding UnsupportedVersion WebSocketError"
    ),
    ".fields.basic_auth": "decode_basic_auth encode_basic_auth BasicAuth",
    ".fields.disposition": (
        "content_disposition_filename parse_content_disposition BadContentDispositionHeader "
        "BadContentDispositionParam"
    ),
    ".fields.etag": "ETag",
    ".http": (
        "SERVER_SOFTWARE HttpVersion HttpVersion10 HttpVersion11 RawRequestMessage "
        "RawResponseMessage RequestHead"
    ),
    ".limits": "HttpLimits MultipartLimits ServerTimeouts WebSocketLimits",
    ".multipart": "BadMultipart MultipartTooLarge",
    ".websocket.connection": "WebSocketConnection",
    ".websocket.frames": "WebSocketReader WebSocketWriter",
    ".websocket.models": (
        "WSCloseCode WSHandshakeError WSMessage WSMessageBinary WSMessageClose WSMessageClosed "
        "WSMessageClosing WSMessageError WSMessagePing WSMessagePong WSMessageText "
        "WSMessageTextBytes WSMessageTypeError WSMsgType"
    ),
}
_HOMES: Final = {name: module for module, names in _NAMES.items() for name in names.split()}
_MODULES: Final = frozenset(("abc", "hdrs"))

# Checkers see the imports above, and so every name that is not there.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return import_module(f".{name}", __name__)
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(home, __name__), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
