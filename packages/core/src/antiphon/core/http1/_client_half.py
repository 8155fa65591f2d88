"""The client's half of the connection: a request is sent, a response comes."""

from typing import Final

from multidict import getversion

from ..errors import BadHttpMessage, quoted
from ..http import EMPTY, HttpVersion11, Length, RawResponseMessage, RequestHead
from ._body import encoder_for
from ._cycle import DISCARD, Cycle
from ._framing import body_framing
from ._grammar import TARGET_TEXT, TOKEN_TEXT
from ._inner import CONNECTION, EXPECT, HOST, TE, UPGRADE, encode_lines, field_lines
from ._states import ON_REQUEST, ON_REQUEST_CAME, ON_WHOLE_REQUEST, Input, State, step
from ._write import (
    CONTENT_EXPECTED,
    check_request,
    framing_field,
    has_option,
    is_host,
    request_connection,
)
from .parser import HttpResponseParser

__all__ = ("ClientHalf",)

# Methods of requests that have no content and need not say so.
_BARE: Final = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))
# A longer head is not kept to be written again, and not looked for in what has just come.
_MAX_MEMO: Final = 2048


class ClientHalf(Cycle):
    """What only a client does with a connection."""

    __slots__ = ()

    def open(
        self,
        head: RequestHead,
        *,
        length: int | None = None,
        body: bytes | None = None,
        chunked: bool = False,
    ) -> bytes:
        """Begin a request: return its head, and *body* with it if that is given.

        With `RequestHead.expect_continue` even a *body* at hand is not sent yet: only its length
        is announced, and it goes through `send_data` once the server wants it.

        Args:
            head: What to ask; its fields are only read.
            length: Size of the content to come through `send_data`, in bytes.
            body: The whole content.
            chunked: Content of unknown size will come through `send_data`.

        Raises:
            LocalProtocolError: A cycle is under way, or this connection must not be used again.
            ValueError: Method, target, version, a name or a value is not allowed, or the request
                cannot carry such content. Nothing has changed then.
        """
        if body is None and length is None and not chunked:
            known = self._open_again(head)
            if known is not None:
                return known
        if self._ours is not State.IDLE or not self.keep_alive:
            self._not_our_turn("send a request")
        if body is not None:
            length = len(body)
            chunked = False
        method = head.method
        check_request(head, chunked=chunked, content=bool(length))
        fields, count, seen = field_lines(head.headers.items())
        host = head.headers["Host"] if seen & HOST else head.authority
        if host != self._last_host and not is_host(host):
            raise ValueError(f"Host {quoted(host)} is not allowed")
        framing = body_framing(status=None, method=method, length=length, chunked=chunked)
        if framing is not EMPTY:
            own = framing_field(framing)
        else:
            own = "Content-Length: 0\r\n" if method in CONTENT_EXPECTED else ""
        waits = framing is not EMPTY and head.expect_continue
        if waits and not seen & EXPECT:
            own += "Expect: 100-continue\r\n"
        asks = head.upgrade is not None or bool(seen & UPGRADE)
        if head.upgrade is not None and not seen & UPGRADE:
            if not TOKEN_TEXT.fullmatch(head.upgrade.replace("/", "")):
                raise ValueError(f"Upgrade to {quoted(head.upgrade)} is not allowed")
            own += f"Upgrade: {head.upgrade}\r\n"
        closing = not head.keep_alive or (
            bool(seen & CONNECTION) and has_option(head.headers, "close")
        )
        own += request_connection(head.version, closing, asks, bool(seen & TE))
        version = head.version
        line = f"{method} {head.target} HTTP/1.{version[1]}\r\nHost: {host}\r\n"
        result = encode_lines(f"{line}{fields}{own}\r\n", count + own.count("\n") + 3)
        # Nothing can fail from here on.
        if not own and version is HttpVersion11 and len(result) <= _MAX_MEMO:
            # `own` is empty: no content, nothing about the connection, no other protocol.
            self._sent_headers = head.headers
            self._sent_version = getversion(head.headers)  # type: ignore[arg-type]  # of any value
            self._sent_authority = head.authority
            self._sent_target = head.target
            self._sent_fields = result[result.index(b"\r\n") :]
        self._last_host = host
        self._method = method
        self._version = version
        self._closing = closing
        self._asked_upgrade = asks or method == "CONNECT"
        self._plain = not (closing or self._asked_upgrade)
        self._informational = 0
        if type(self._parser) is HttpResponseParser:
            self._parser.method = method
        # Both sides are idle here: what is missing from a row would be a KeyError.
        self._theirs = ON_REQUEST_CAME[self._theirs]
        if framing is EMPTY:
            self._encoder = DISCARD
            self._ours = ON_WHOLE_REQUEST[self._ours]
            if self._asked_upgrade:
                self._propose()
            return result
        self._ours = ON_REQUEST[self._ours]
        self._encoder = encoder_for(framing)
        if body is None or waits:
            return result
        self.send_data(body)
        self.send_end()
        return result + body

    def _open_again(self, head: RequestHead) -> bytes | None:
        """Begin a request without content whose fields are those of the last such one.

        Returns:
            What `open` would, or ``None`` if anything is different: `open` sees to it.
        """
        headers = head.headers
        method = head.method
        target = head.target
        buffer = self._buffer
        parser = self._parser
        if (
            headers is not self._sent_headers
            or getversion(headers) != self._sent_version  # type: ignore[arg-type]  # of any value
            or head.authority != self._sent_authority
            or method not in _BARE
            or head.version is not HttpVersion11
            or not head.keep_alive
            or head.upgrade is not None
            or self._ours is not State.IDLE
            or self._theirs is not State.IDLE
            or self._closing
            or self._eof
            or buffer.pos != len(buffer.data)
            or type(parser) is not HttpResponseParser
        ):
            return None
        if target != self._sent_target:
            if not TARGET_TEXT.fullmatch(target):
                return None
            self._sent_target = target
        parser.method = self._method = method
        self._version = HttpVersion11
        self._asked_upgrade = False
        self._plain = True
        self._informational = 0
        self._encoder = DISCARD
        self._theirs = State.SEND_RESPONSE
        self._ours = State.DONE
        # `fullmatch` has seen to it that there are only ASCII characters.
        return f"{method} {target} HTTP/1.1".encode("ascii") + self._sent_fields

    def receive_whole(
        self, data: bytes, max_content: int, decode: bool
    ) -> tuple[RawResponseMessage, bytes] | None:
        """Take a whole response that came in one piece after a whole request, as most do.

        The cycle has ended then and the next one may begin; there is no event to ask for.

        Args:
            data: What came.
            max_content: Bytes of content that are taken this way at most.
            decode: Whether the caller has to undo content codings: such a response is not taken.

        Returns:
            Its head and its content; or ``None``, and nothing has changed: give *data* to
            `receive_data`. So for everything out of the ordinary, also what is malformed.
        """
        buffer = self._buffer
        parser = self._parser
        if (
            not self._plain
            or self._theirs is not State.SEND_RESPONSE
            or self._ours is not State.DONE
            or buffer.pos != len(buffer.data)
            or type(parser) is not HttpResponseParser
        ):
            return None
        end = data.find(b"\r\n\r\n", 0, _MAX_MEMO)
        if end < 0:
            return None
        head = parser.peek_head(data, end)
        if head is None or head.code < 200 or head.should_close or head.upgrade:
            return None
        if decode and head.compression is not None:
            return None
        framing = head.framing
        end += 4
        size = len(data) - end
        if framing is not EMPTY and type(framing) is not Length:
            return None
        if size != (0 if framing is EMPTY else framing.size) or size > max_content:
            return None
        self._ours = self._theirs = State.IDLE
        return head, data[end:]

    def _response_came(self, head: RawResponseMessage) -> None:
        status = head.code
        if status < 200 and status != 101:
            self._informational += 1
            if self._informational > self.limits.max_informational:
                raise BadHttpMessage(
                    f"More than {self.limits.max_informational} informational responses"
                )
            self._theirs = step(self._theirs, Input.INFORMATIONAL)
            return
        if status == 101 or head.upgrade:
            # RFC 9110 section 15.2.2: only if asked, and only after the whole request.
            if self._ours is not State.MIGHT_SWITCH or not head.upgrade:
                raise BadHttpMessage(f"Status {status} changes a protocol unasked")
            self._ours = step(self._ours, Input.SWITCH)
            self._theirs = step(self._theirs, Input.SWITCH)
            return
        if self._ours is State.MIGHT_SWITCH:
            self._ours = step(self._ours, Input.REFUSE)
        if head.should_close:
            self._closing = True
        if head.framing is EMPTY:
            self._theirs = step(self._theirs, Input.WHOLE_RESPONSE)
        else:
            self._theirs = step(self._theirs, Input.RESPONSE)
