"""Streams, the HTTP parser and the WebSocket protocol of antiphon.

What client and server stand on, and what both publish. Authors of low-level code find the
parsers in `antiphon.core.http1` and `antiphon.core.websocket`.
"""

from . import hdrs
from .aio._payload_base import (
    PAYLOAD_REGISTRY,
    Order,
    Payload,
    get_payload,
    payload_type,
)
from .aio.exchange import (
    Timeline,
)
from .aio.multipart import (
    BodyPartReader,
    BodyPartReaderPayload,
    MultipartReader,
    MultipartResponseWrapper,
)
from .aio.multipart_writer import (
    MultipartWriter,
)
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
from .aio.queues import (
    DataQueue,
    EofStream,
    FlowControlDataQueue,
)
from .aio.streams import (
    EMPTY_PAYLOAD,
    StreamReader,
)
from .aio.writer import (
    AbstractStreamWriter,
)
from .coding import (
    ContentCoding,
    set_zlib_backend,
)
from .deprecations import (
    AntiphonDeprecationWarning,
)
from .errors import (
    BadHttpMessage,
    BadHttpMethod,
    BadStatusLine,
    ContentEncodingError,
    ContentLengthError,
    HttpProcessingError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
    LocalProtocolError,
    PayloadEncodingError,
    TransferEncodingError,
    WebSocketError,
)
from .fields.basic_auth import (
    BasicAuth,
    encode_basic_auth,
)
from .fields.disposition import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition_filename,
    parse_content_disposition,
)
from .fields.etag import (
    ETag,
)
from .http import (
    SERVER_SOFTWARE,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    RawRequestMessage,
    RawResponseMessage,
    RequestHead,
)
from .limits import (
    HttpLimits,
    MultipartLimits,
    ServerTimeouts,
    WebSocketLimits,
)
from .multipart import BadMultipart, MultipartTooLarge
from .websocket.connection import (
    WebSocketConnection,
)
from .websocket.frames import (
    WebSocketReader,
    WebSocketWriter,
)
from .websocket.models import (
    WSCloseCode,
    WSHandshakeError,
    WSMessage,
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
    "TransferEncodingError",
    "WSCloseCode",
    "WSHandshakeError",
    "WSMessage",
    "WSMessageTypeError",
    "WSMsgType",
    "WebSocketConnection",
    "WebSocketError",
    "WebSocketLimits",
    "WebSocketReader",
    "WebSocketWriter",
    "content_disposition_filename",
    "encode_basic_auth",
    "get_payload",
    "hdrs",
    "parse_content_disposition",
    "payload_type",
    "set_zlib_backend",
    "streamer",
)
