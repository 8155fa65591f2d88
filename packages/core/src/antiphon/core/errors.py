"""What can be wrong with bytes.

Everything the wire formats and state machines raise about a *peer's* bytes::

    Exception
     ├─ HttpProcessingError            status to answer with, message, extra header fields
     │   ├─ ExpectationFailed          417
     │   └─ BadHttpMessage             400
     │       ├─ BadHttpMethod          400
     │       ├─ BadStatusLine          400, and the status line itself as ``line``
     │       ├─ InvalidHeader          400, and the field as ``hdr``
     │       ├─ InvalidURLError        400
     │       ├─ LineTooLong            431 (414 for a request target)
     │       ├─ TooManyFields          431
     │       ├─ UnsupportedVersion     505
     │       ├─ UnknownTransferCoding  501
     │       └─ PayloadEncodingError   400, content broke its framing or coding
     │           ├─ ContentEncodingError
     │           ├─ TransferEncodingError
     │           └─ ContentLengthError
     └─ WebSocketError                 close code to send, message

`LocalProtocolError` is a mistake of our own side (a third response to one
request, content longer than announced) and so no relative of these.
"""

from typing import Final

from multidict import CIMultiDict

__all__ = (
    "BadHttpMessage",
    "BadHttpMethod",
    "BadStatusLine",
    "ContentEncodingError",
    "ContentLengthError",
    "ExpectationFailed",
    "HttpProcessingError",
    "InvalidHeader",
    "InvalidURLError",
    "LineTooLong",
    "LocalProtocolError",
    "PayloadEncodingError",
    "TooManyFields",
    "TransferEncodingError",
    "UnknownTransferCoding",
    "UnsupportedVersion",
    "WebSocketError",
    "quoted",
)

_QUOTED_BYTES: Final = 100


def quoted(data: bytes | bytearray | str) -> str:
    """Return *data* as a literal for an error message, at most 100 bytes of it.

    What a peer sent never reaches a log unescaped or at full length.
    """
    if isinstance(data, str):
        shown = repr(data[:_QUOTED_BYTES])
    else:
        shown = repr(bytes(data[:_QUOTED_BYTES]))
    return f"{shown}..." if len(data) > _QUOTED_BYTES else shown


class HttpProcessingError(Exception):
    """A message that cannot be taken as it is.

    Args:
        code: Status code to answer with, 400 to 599; the class's own by default.
        message: One line for people; safe to log.
        headers: Fields the answer must carry, such as ``Allow``.
    """

    code: int = 0
    message: str = ""
    headers: CIMultiDict[str] | None = None

    def __init__(
        self,
        *,
        code: int | None = None,
        message: str = "",
        headers: CIMultiDict[str] | None = None,
    ) -> None:
        if code is not None:
            self.code = code
        self.headers = headers
        self.message = message
        super().__init__(message)

    @property
    def status(self) -> int:
        """The status code to answer with."""
        return self.code

    def __str__(self) -> str:
        return f"{self.code}, message:\n  {self.message}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.code}, message={self.message!r}>"


class ExpectationFailed(HttpProcessingError):
    """The request expects what this server cannot do (RFC 9110 section 10.1.1)."""

    code = 417
    message = "Expectation Failed"

    def __init__(self, expectation: bytes | str) -> None:
        super().__init__(message=f"Cannot meet expectation {quoted(expectation)}")


class BadHttpMessage(HttpProcessingError):
    """The message breaks the grammar or a limit; the connection cannot go on."""

    code = 400
    message = "Bad Request"

    def __init__(self, message: str, *, headers: CIMultiDict[str] | None = None) -> None:
        super().__init__(message=message, headers=headers)


class BadHttpMethod(BadHttpMessage):
    """The request line is malformed (RFC 9112 section 3)."""

    def __init__(self, line: str | bytes, error: str | None = None) -> None:
        self.line = line
        super().__init__(error or f"Bad request line {quoted(line)}")


class BadStatusLine(BadHttpMessage):
    """The status line is malformed (RFC 9112 section 4)."""

    def __init__(self, line: str | bytes = "", error: str | None = None) -> None:
        self.line = line
        super().__init__(error or f"Bad status line {quoted(line)}")


class InvalidHeader(BadHttpMessage):
    """A field line is malformed, or a field's value is not allowed (RFC 9112 section 5)."""

    def __init__(self, hdr: bytes | str, error: str | None = None) -> None:
        self.hdr = hdr
        super().__init__(error or f"Invalid header field {quoted(hdr)}")


class InvalidURLError(BadHttpMessage):
    """The request target is malformed (RFC 9112 section 3.2)."""


class LineTooLong(BadHttpMessage):
    """A line, field or block is longer than its limit.

    Args:
        line: The beginning of what was too long.
        limit: The limit in bytes.
        code: 431 for fields, 414 for a request target.
    """

    code = 431

    def __init__(self, line: bytes | str, limit: int | str = "Unknown", code: int = 431) -> None:
        super().__init__(f"Got more than {limit} bytes when reading: {quoted(line)}.")
        self.code = code
        self.limit = limit


class TooManyFields(BadHttpMessage):
    """A header or trailer section has more fields than its limit (RFC 6585 section 5).

    Args:
        limit: How many it may have.
    """

    code = 431

    def __init__(self, limit: int) -> None:
        super().__init__(f"More than {limit} fields")
        self.limit = limit


class UnsupportedVersion(BadHttpMessage):
    """The major version is not one this connection speaks (RFC 9110 section 15.6.6)."""

    code = 505


class UnknownTransferCoding(BadHttpMessage):
    """A transfer coding this implementation does not have (RFC 9112 section 6.1)."""

    code = 501


class PayloadEncodingError(BadHttpMessage):
    """Content broke its framing or its coding."""


class ContentEncodingError(PayloadEncodingError):
    """Content does not decode by its ``Content-Encoding``."""


class TransferEncodingError(PayloadEncodingError):
    """Chunked framing is malformed (RFC 9112 section 7.1)."""


class ContentLengthError(PayloadEncodingError):
    """Content ended before its ``Content-Length`` was reached."""


class WebSocketError(Exception):
    """A WebSocket peer broke the protocol; the connection is failed with *code*.

    Args:
        code: Close code to send (RFC 6455 section 7.4.1).
        message: One line for people; safe to log.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(code, message)

    def __str__(self) -> str:
        return str(self.args[1])


class LocalProtocolError(RuntimeError):
    """This side asked for something the protocol does not allow now."""
