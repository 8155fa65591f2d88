"""What a message head is: received ones, and ones to be sent.

Received heads keep the header section as the bytes that came. Names and
values become text, and text becomes a mapping, on first use only: most
requests are answered without anyone looking at most of their fields.
"""

import sys
from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple, final

import attrs
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .typedefs import RawHeaders

__all__ = (
    "CHUNKED",
    "EMPTY",
    "SERVER_SOFTWARE",
    "UNTIL_CLOSE",
    "Framing",
    "HttpVersion",
    "HttpVersion10",
    "HttpVersion11",
    "Length",
    "RawRequestMessage",
    "RawResponseMessage",
    "RequestHead",
    "SharedFields",
    "fields_mapping",
    "split_fields",
)

SERVER_SOFTWARE: Final = f"Python/{sys.version_info[0]}.{sys.version_info[1]} antiphon"
"""What ``Server`` and ``User-Agent`` say unless told otherwise."""


class HttpVersion(NamedTuple):
    """A protocol version (RFC 9110 section 2.5)."""

    major: int
    minor: int


HttpVersion10: Final = HttpVersion(1, 0)
HttpVersion11: Final = HttpVersion(1, 1)


class Framing(Enum):
    """How the end of content is known, where it is not a length (RFC 9112 section 6.3)."""

    EMPTY = "no content"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


class Length(NamedTuple):
    """Content of a known size in bytes."""

    size: int


EMPTY: Final = Framing.EMPTY
CHUNKED: Final = Framing.CHUNKED
UNTIL_CLOSE: Final = Framing.UNTIL_CLOSE


def split_fields(block: bytes) -> RawHeaders:
    """Split a validated header section into names and values.

    Args:
        block: Field lines, each ended by CRLF; without the empty line.
    """
    pairs = []
    for line in block.split(b"\r\n"):
        if line:
            name, _, value = line.partition(b":")
            pairs.append((name, value.strip(b" \t")))
    return tuple(pairs)


def fields_mapping(block: bytes) -> "CIMultiDictProxy[str]":
    """Turn a validated header section into a mapping; arguments as for `split_fields`."""
    # surrogateescape: RFC 9110 section 5.5 allows obs-text; nothing of it may be lost.
    lines = block.decode("utf-8", "surrogateescape").split("\r\n")
    lines.pop()
    return CIMultiDictProxy(
        CIMultiDict([
            (name, value.strip(" \t")) for name, _, value in [line.partition(":") for line in lines]
        ])
    )


@final
class RawRequestMessage:
    """The head of a request as received, validated (RFC 9112 section 3).

    Facts the connection decides on are plain attributes, set when the head is
    parsed. The header section stays bytes until `headers` or `raw_headers` is
    asked for. Not to be changed: a client that repeats itself gets the same object twice.
    """

    __slots__ = (
        "_block",
        "_headers",
        "_url",
        "compression",
        "expect_continue",
        "framing",
        "method",
        "path",
        "should_close",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        method: str,
        path: str,
        version: HttpVersion,
        block: bytes,
        framing: Framing | Length,
        should_close: bool,
        upgrade: bool = False,
        expect_continue: bool = False,
        compression: str | None = None,
    ) -> None:
        self.method = method
        """The method, case kept."""
        self.path = path
        """The request target as it came; origin-form unless the peer used another."""
        self.version = version
        self.framing = framing
        """How the end of the content is known."""
        self.should_close = should_close
        """Whether the peer asked for the connection to end, or is too old to keep it."""
        self.upgrade = upgrade
        """Whether ``Connection: upgrade`` and an ``Upgrade`` field came."""
        self.expect_continue = expect_continue
        """Whether ``Expect: 100-continue`` came (RFC 9110 section 10.1.1)."""
        self.compression = compression
        """The ``Content-Encoding``, lower case, if there is one."""
        self._block = block
        self._headers: CIMultiDictProxy[str] | None = None
        self._url: URL | None = None

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header section; bytes outside UTF-8 as surrogate escapes."""
        headers = self._headers
        if headers is None:
            headers = self._headers = fields_mapping(self._block)
        return headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The header section as bytes, in order, duplicates kept."""
        return split_fields(self._block)

    @property
    def chunked(self) -> bool:
        """Whether the content came in the chunked transfer coding."""
        return self.framing is CHUNKED

    @property
    def url(self) -> URL:
        """The request target as a URL: relative for origin-form, else absolute.

        Raises:
            ValueError: The target is no URL that can be represented.
        """
        url = self._url
        if url is None:
            url = self._url = _target_url(self.method, self.path)
        return url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.path!r} HTTP/{self.version[0]}.{self.version[1]}>"


@final
class RawResponseMessage:
    """The head of a response as received, validated (RFC 9112 section 4)."""

    __slots__ = (
        "_block",
        "_headers",
        "code",
        "compression",
        "framing",
        "may_set_cookies",
        "reason",
        "should_close",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        version: HttpVersion,
        code: int,
        reason: str,
        block: bytes,
        framing: Framing | Length,
        should_close: bool,
        upgrade: bool = False,
        compression: str | None = None,
        may_set_cookies: bool = True,
    ) -> None:
        self.version = version
        self.code = code
        """The status code, 100 to 999."""
        self.reason = reason
        self.framing = framing
        """How the end of the content is known; EMPTY after HEAD, and for 1xx, 204, 304."""
        self.should_close = should_close
        """Whether the connection ends with this response."""
        self.upgrade = upgrade
        """Whether the protocol changes after this head: 101, or 2xx to CONNECT."""
        self.compression = compression
        """The ``Content-Encoding``, lower case, if there is one."""
        self.may_set_cookies = may_set_cookies
        """False if there surely is no ``Set-Cookie``: nobody need look for one."""
        self._block = block
        self._headers: CIMultiDictProxy[str] | None = None

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header section; bytes outside UTF-8 as surrogate escapes."""
        headers = self._headers
        if headers is None:
            headers = self._headers = fields_mapping(self._block)
        return headers

    @property
    def raw_headers(self) -> RawHeaders:
        """The header section as bytes, in order, duplicates kept."""
        return split_fields(self._block)

    @property
    def chunked(self) -> bool:
        """Whether the content comes in the chunked transfer coding."""
        return self.framing is CHUNKED

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.code} {self.reason!r}>"


@final
class SharedFields(CIMultiDict[str]):
    """Fields that many responses have in common, and that nobody changes once one was sent.

    A connection writes them once and remembers what came of it. Copy them, by ``CIMultiDict(...)``,
    to change something.
    """

    __slots__ = ("written",)

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        super().__init__(fields)
        self.written: bytes | None = None
        """The lines, for who writes them."""


@attrs.define(kw_only=True)
class RequestHead:
    """The head of a request to be sent; knows nothing of a protocol version's syntax."""

    method: str
    target: str
    """What goes on the request line: origin-form, or absolute-form towards a plain proxy,
    or authority-form for CONNECT. Percent-encoded, ASCII."""
    authority: str
    """Host and port as ``Host`` or ``:authority`` say it. A ``Host`` among the headers wins."""
    headers: CIMultiDict[str]
    """Fields as the user set them. Framing fields are the connection's business: it takes
    ``Content-Length``, ``Transfer-Encoding`` and ``Connection`` out of here and writes its own."""
    scheme: str = "http"
    version: HttpVersion = HttpVersion11
    keep_alive: bool = True
    """A hint: ``False`` asks for the connection to end with this exchange."""
    expect_continue: bool = False
    """Wait for ``100 Continue`` before content is sent."""
    upgrade: str | None = None
    """Protocol to change to, such as ``websocket``."""


def _target_url(method: str, target: str) -> URL:
    if target.startswith("/"):
        path, _, query = target.partition("?")
        # A fragment never belongs on the wire (RFC 9112 section 3.2.1); keep what came after '#'
        # inside path or query rather than let it vanish.
        return URL.build(path=path, query_string=query, encoded=True)
    if method == "CONNECT":
        return URL.build(authority=target, encoded=True)
    if target == "*":
        return URL.build(path="*", encoded=True)
    return URL(target, encoded=True)
