"""HTTP/1.1 wire formats and the connection state machine; no input or output of its own."""

from ..http import CHUNKED, EMPTY, UNTIL_CLOSE, Framing, Length
from .connection import (
    CLOSED,
    END,
    NEED_DATA,
    PAUSED,
    EndOfMessage,
    Http1Connection,
    NeedData,
    Role,
    State,
)
from .parser import HeadersParser, HttpRequestParser, HttpResponseParser

__all__ = (
    "CHUNKED",
    "CLOSED",
    "EMPTY",
    "END",
    "NEED_DATA",
    "PAUSED",
    "UNTIL_CLOSE",
    "EndOfMessage",
    "Framing",
    "HeadersParser",
    "Http1Connection",
    "HttpRequestParser",
    "HttpResponseParser",
    "Length",
    "NeedData",
    "Role",
    "State",
)
