"""The parts of heads that are written: first lines, and the fields that the connection owns.

Nothing here knows a state. Control characters are refused where a head is encoded
(`encode_lines`); here, what else would make a request or response another one.
"""

from http import HTTPStatus
from typing import Final

from multidict import CIMultiDict

from ..errors import quoted
from ..http import Framing, HttpVersion, HttpVersion11, Length, RequestHead
from ._grammar import HOST, TARGET_TEXT, TOKEN_TEXT
from ._inner import CONTENT_LENGTH

STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n"
    for status in HTTPStatus
    if status >= 200
}
STATUS_LINES_AS_BYTES: Final = {status: line.encode() for status, line in STATUS_LINES.items()}
_INTERIM_REASONS: Final = {status.value: status.phrase for status in HTTPStatus if status < 200}
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
# Methods whose requests say that they have no content (RFC 9110 section 8.6).
CONTENT_EXPECTED: Final = frozenset(("POST", "PUT", "PATCH"))


def status_line(status: int, reason: str | None) -> str:
    """Return the status line of a final response; the reason is checked with the whole head."""
    if reason is None:
        line = STATUS_LINES.get(status)
        if line is not None:
            return line
        reason = ""
    if not 200 <= status <= 999:
        raise ValueError(f"{status} is no status of a final response")
    return f"HTTP/1.1 {status:d} {reason}\r\n"


def interim_line(status: int, reason: str | None = None) -> str:
    """Return the status line of a 1xx response."""
    if reason is None:
        reason = _INTERIM_REASONS.get(status, "")
    return f"HTTP/1.1 {status:d} {reason}\r\n"


def framing_field(framing: Framing | Length) -> str:
    """Return the field that announces content of this framing."""
    if type(framing) is Length:
        return f"Content-Length: {framing.size}\r\n"
    return "Transfer-Encoding: chunked\r\n"


def announced_length(
    status: int, method: str, length: int | None, headers: CIMultiDict[str], seen: int
) -> str:
    """Return the ``Content-Length`` of a response without content (RFC 9110 section 8.6)."""
    if status == 204 or status < 200 or (method == "CONNECT" and status < 300):
        return ""
    if status != 304 and length is not None:
        return f"Content-Length: {length}\r\n"
    # What a GET would have got is for the application to know.
    if seen & CONTENT_LENGTH:
        value = headers["Content-Length"]
        if value.isascii() and value.isdecimal():
            return f"Content-Length: {value}\r\n"
    return ""


def has_option(headers: CIMultiDict[str], option: str) -> bool:
    """Whether ``Connection`` among *headers* has *option*, lower case."""
    return any(
        item.strip().lower() == option
        for value in headers.getall("Connection", ())
        for item in value.split(",")
    )


def request_connection(version: HttpVersion, closing: bool, upgrade: bool, te: bool) -> str:
    """Return the ``Connection`` field of a request, if it needs one."""
    options = []
    if closing:
        options.append("close")
    elif version < HttpVersion11:
        options.append("keep-alive")
    if upgrade:
        options.append("Upgrade")
    if te:
        options.append("TE")  # RFC 9110 section 10.1.4
    return f"Connection: {', '.join(options)}\r\n" if options else ""


def check_request(head: RequestHead, *, chunked: bool, content: bool) -> None:
    """Check the request line, and that such a request may have such content.

    Raises:
        ValueError: It may not.
    """
    # `fullmatch` of known alphabets: no CR, LF or SP gets through (CVE-2023-49081, -49082).
    if head.method not in _METHODS and not TOKEN_TEXT.fullmatch(head.method):
        raise ValueError(f"Method {quoted(head.method)} is not allowed")
    if not TARGET_TEXT.fullmatch(head.target):
        raise ValueError(f"Target {quoted(head.target)} is not allowed")
    if head.version[0] != 1 or head.version[1] not in (0, 1):
        raise ValueError(f"Version {head.version!r} is not HTTP/1.0 or 1.1")
    if chunked and head.version < HttpVersion11:
        raise ValueError("HTTP/1.0 has no chunked coding: the content's size must be known")
    if head.method == "CONNECT" and (chunked or content):
        raise ValueError("CONNECT has no content")


def is_host(host: str) -> bool:
    """Whether *host* may stand in ``Host`` (RFC 9110 section 7.2)."""
    return host.isascii() and HOST.fullmatch(host.encode()) is not None
