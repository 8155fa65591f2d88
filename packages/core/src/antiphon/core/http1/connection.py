"""Which messages may follow which on one HTTP/1.1 connection, for both ends.

No socket, no clock, no task: bytes that came go in by `receive_data`, events
come out of `next_event`; what is to be sent is returned as bytes. One cycle is
one request with its response; `start_next_cycle` begins another where
`keep_alive` allows it. Bytes of later requests stay unparsed until then.

Each side has a `State`. What is not in the transition table is an error: a
`LocalProtocolError` if it was our doing.
"""

from enum import Enum
from typing import Final, NoReturn, final

from multidict import CIMultiDict, getversion

from ..errors import BadHttpMessage, HttpProcessingError, LocalProtocolError, quoted
from ..http import (
    EMPTY,
    UNTIL_CLOSE,
    HttpVersion,
    HttpVersion11,
    Length,
    RawRequestMessage,
    RawResponseMessage,
    RequestHead,
)
from ..limits import HttpLimits
from ..typedefs import Byteish
from ._body import Encoder, encoder_for
from ._events import CLOSED, END, NEED_DATA, PAUSED, EndOfMessage, NeedData
from ._framing import body_framing
from ._grammar import TARGET_TEXT, TOKEN_TEXT
from ._inner import (
    CONNECTION,
    DATE,
    EXPECT,
    HOST,
    SERVER,
    TE,
    UPGRADE,
    encode_lines,
    field_lines,
)
from ._write import (
    CONTENT_EXPECTED,
    STATUS_LINES,
    announced_length,
    check_request,
    framing_field,
    has_option,
    interim_line,
    is_host,
    request_connection,
    status_line,
)
from .parser import HttpRequestParser, HttpResponseParser

__all__ = (
    "CLOSED",
    "END",
    "NEED_DATA",
    "PAUSED",
    "EndOfMessage",
    "Http1Connection",
    "NeedData",
    "Role",
    "State",
)


class Role(Enum):
    """Which end of the connection this is."""

    CLIENT = "client"
    SERVER = "server"


class State(Enum):
    """Where one side of the connection is in its part of the cycle."""

    IDLE = "no message begun in this cycle"
    SEND_RESPONSE = "to send a response next"
    SEND_BODY = "head sent, content under way"
    DONE = "message complete"
    MIGHT_SWITCH = "request complete, and it asks for another protocol"
    SWITCHED = "the protocol has changed"
    MUST_CLOSE = "message complete, and nothing may follow on this connection"
    CLOSED = "ended its side of the connection"
    ERROR = "broke the protocol"

    # Members are looked up for every message: by identity, not by hashing the name in Python.
    __hash__ = object.__hash__


@final
class _Input(Enum):
    REQUEST = "a request head, content to follow"
    WHOLE_REQUEST = "a request without content"
    REQUEST_CAME = "the other side began a request"
    INFORMATIONAL = "a 1xx head"
    RESPONSE = "a final response head, content to follow"
    WHOLE_RESPONSE = "a final response without content"
    END = "the end of content"
    PROPOSE = "the request that is complete asks for another protocol"
    REFUSE = "that was answered as usual"
    SWITCH = "that was agreed to"
    CYCLE = "another cycle may begin"
    LAST = "no other cycle may begin"

    __hash__ = object.__hash__


_S = State
_TRANSITIONS: Final[dict[_Input, dict[State, State]]] = {
    _Input.REQUEST: {_S.IDLE: _S.SEND_BODY},
    _Input.WHOLE_REQUEST: {_S.IDLE: _S.DONE},
    _Input.REQUEST_CAME: {_S.IDLE: _S.SEND_RESPONSE},
    _Input.INFORMATIONAL: {_S.SEND_RESPONSE: _S.SEND_RESPONSE},
    _Input.RESPONSE: {_S.SEND_RESPONSE: _S.SEND_BODY},
    _Input.WHOLE_RESPONSE: {_S.SEND_RESPONSE: _S.DONE},
    _Input.END: {_S.SEND_BODY: _S.DONE},
    # RFC 9110 section 7.8: the protocol changes only after the whole request.
    _Input.PROPOSE: {_S.DONE: _S.MIGHT_SWITCH},
    _Input.REFUSE: {_S.MIGHT_SWITCH: _S.DONE},
    _Input.SWITCH: {_S.MIGHT_SWITCH: _S.SWITCHED, _S.SEND_RESPONSE: _S.SWITCHED},
    _Input.CYCLE: {_S.DONE: _S.IDLE},
    _Input.LAST: {_S.DONE: _S.MUST_CLOSE, _S.SEND_BODY: _S.MUST_CLOSE},
}

# Rows that every request asks for. The states they start from are certain there, so that what is
# missing would be a mistake of this module: a KeyError.
_ON_REQUEST_CAME: Final = _TRANSITIONS[_Input.REQUEST_CAME]
_ON_REQUEST: Final = _TRANSITIONS[_Input.REQUEST]
_ON_WHOLE_REQUEST: Final = _TRANSITIONS[_Input.WHOLE_REQUEST]

# States of the other side in which its next bytes belong to the present cycle.
_READING: Final = {
    Role.SERVER: frozenset((_S.IDLE, _S.SEND_BODY)),
    Role.CLIENT: frozenset((_S.SEND_RESPONSE, _S.SEND_BODY)),
}

_GONE: Final = frozenset((State.CLOSED, State.ERROR))
_ENDED: Final = frozenset((State.CLOSED, State.ERROR, State.MUST_CLOSE, State.SWITCHED))
_NO_CONTENT: Final = frozenset((204, 304))
# Methods of requests that have no content and need not say so.
_BARE: Final = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))
# A longer head is not kept to be written again, and not looked for in what has just come.
_MAX_MEMO: Final = 2048
# Methods whose responses are not framed by their content.
_NEVER_PLAIN: Final = frozenset(("HEAD", "CONNECT"))

_DEFAULT_LIMITS: Final = HttpLimits()
_DISCARD: Final = encoder_for(EMPTY)


@final
class Http1Connection:
    """One HTTP/1.1 connection seen from one end.

    Args:
        role: Which end this is.
        limits: What a message of the peer may cost.
    """

    __slots__ = (
        "_asked_upgrade",
        "_await_continue",
        "_buffer",
        "_closing",
        "_encoder",
        "_eof",
        "_informational",
        "_last_host",
        "_method",
        "_ours",
        "_parser",
        "_plain",
        "_reading",
        "_sent_authority",
        "_sent_fields",
        "_sent_headers",
        "_sent_target",
        "_sent_version",
        "_theirs",
        "_version",
        "buffer",
        "limits",
        "receive_data",
        "role",
    )

    def __init__(self, role: Role, limits: HttpLimits = _DEFAULT_LIMITS) -> None:
        self.role = role
        self.limits = limits
        self._parser: HttpRequestParser | HttpResponseParser = (
            HttpRequestParser(limits) if role is Role.SERVER else HttpResponseParser(limits)
        )
        self._buffer = self.buffer = self._parser.buffer
        """Where bytes wait that are not parsed yet; only to be looked at."""
        self.receive_data = self._parser.feed_data
        """Store `bytes` that came; they are parsed when `next_event` asks."""
        self._reading = _READING[role]
        self._ours = State.IDLE
        self._theirs = State.IDLE
        self._eof = False
        self._closing = False
        self._encoder: Encoder = _DISCARD
        self._method = "GET"
        self._version: HttpVersion = HttpVersion11
        self._asked_upgrade = False
        self._await_continue = False
        self._informational = 0
        self._last_host: str | None = None
        # The usual case of a response: nothing to say about the connection.
        self._plain = False
        # Client: the fields written last, and of what: they are mostly the same again.
        self._sent_headers: CIMultiDict[str] | None = None
        self._sent_version = 0
        self._sent_authority = ""
        self._sent_target = ""
        self._sent_fields = b""

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.role.value} ours={self._ours.name} "
            f"theirs={self._theirs.name} buffered={self.buffered}>"
        )

    @property
    def our_state(self) -> State:
        """Where our side is in the cycle."""
        return self._ours

    @property
    def their_state(self) -> State:
        """Where the peer's side is in the cycle."""
        return self._theirs

    @property
    def buffered(self) -> int:
        """Bytes received and not parsed yet."""
        buffer = self._buffer
        return len(buffer.data) - buffer.pos

    @property
    def partial_head(self) -> bool:
        """Whether a head has begun and is not complete; empty lines before it do not count."""
        return self._theirs in (State.IDLE, State.SEND_RESPONSE) and self._parser.partial_head

    @property
    def chunk_ends(self) -> tuple[int, ...]:
        """Where chunks of the chunked coding end in the content last returned, as offsets."""
        return self._parser.chunk_ends

    @property
    def keep_alive(self) -> bool:
        """Whether another cycle may follow this one, as far as is known now.

        RFC 9112 section 9.3: versions, ``Connection`` of both sides, framing; and on the client
        whether bytes came that nobody asked for.
        """
        if self._closing or self._theirs in _ENDED or self._ours in _ENDED:
            return False
        if self.role is Role.SERVER:
            # A client that has shut its side down may still have requests in our buffer.
            return not self._eof or self._theirs is State.SEND_BODY or self.buffered > 0
        if self._eof:
            return False
        return not (self._theirs in (State.IDLE, State.DONE) and self.buffered)

    def close_after(self) -> None:
        """End the connection with this cycle; a head still to be sent will say so."""
        self._closing = True
        self._plain = False

    # --- receiving ---------------------------------------------------------------------------

    def receive_eof(self) -> None:
        """Note that the peer has ended its side. Ours may still send (RFC 9112 section 9.6)."""
        self._eof = True
        self._plain = False
        self._parser.feed_eof()

    def next_event(
        self,
    ) -> RawRequestMessage | RawResponseMessage | bytes | EndOfMessage | NeedData:
        """Return what comes next in the bytes received.

        Content comes as `bytes`, in the largest pieces at hand. After a head whose `framing` is
        ``EMPTY`` comes no `EndOfMessage`: the message is complete.

        Raises:
            HttpProcessingError: The peer broke the protocol. Raised once; `their_state` is then
                ERROR, and a server may still respond, with `status`.
        """
        if self._theirs not in self._reading:
            return self._not_reading()
        try:
            event = self._parser.next_event()
            if event is NEED_DATA:
                return event
            if type(event) is bytes:
                self._await_continue = False
                return event
            if type(event) is RawRequestMessage:
                self._request_came(event)
            elif type(event) is RawResponseMessage:
                self._response_came(event)
            elif event is CLOSED:
                self._theirs = State.CLOSED
            else:
                self._content_ended()
        except HttpProcessingError:
            self._fail()
            raise
        return event

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

    def _not_reading(self) -> NeedData:
        theirs = self._theirs
        if theirs in _GONE:
            return CLOSED
        if theirs is State.IDLE:
            # Client, and nothing was asked.
            if self.buffered:
                shown = quoted(self._parser.take_trailing())
                self._fail()
                raise BadHttpMessage(f"Bytes that no request asked for: {shown}")
            if not self._eof:
                return NEED_DATA
            self._theirs = State.CLOSED
            return CLOSED
        return PAUSED

    def _request_came(self, head: RawRequestMessage) -> None:
        method = self._method = head.method
        version = self._version = head.version
        if head.should_close:
            self._closing = True
        self._ours = _ON_REQUEST_CAME[self._ours]
        asked = self._asked_upgrade = head.upgrade or method == "CONNECT"
        self._plain = not (
            asked or self._closing or self._eof or head.expect_continue or version < HttpVersion11
        )
        if head.framing is not EMPTY:
            self._theirs = _ON_REQUEST[self._theirs]
            self._await_continue = head.expect_continue
            return
        self._theirs = _ON_WHOLE_REQUEST[self._theirs]
        if asked:
            self._theirs = _step(self._theirs, _Input.PROPOSE)

    def _response_came(self, head: RawResponseMessage) -> None:
        status = head.code
        if status < 200 and status != 101:
            self._informational += 1
            if self._informational > self.limits.max_informational:
                raise BadHttpMessage(
                    f"More than {self.limits.max_informational} informational responses"
                )
            self._theirs = _step(self._theirs, _Input.INFORMATIONAL)
            return
        if status == 101 or head.upgrade:
            # RFC 9110 section 15.2.2: only if asked, and only after the whole request.
            if self._ours is not State.MIGHT_SWITCH or not head.upgrade:
                raise BadHttpMessage(f"Status {status} changes a protocol unasked")
            self._ours = _step(self._ours, _Input.SWITCH)
            self._theirs = _step(self._theirs, _Input.SWITCH)
            return
        if self._ours is State.MIGHT_SWITCH:
            self._ours = _step(self._ours, _Input.REFUSE)
        if head.should_close:
            self._closing = True
        if head.framing is EMPTY:
            self._theirs = _step(self._theirs, _Input.WHOLE_RESPONSE)
        else:
            self._theirs = _step(self._theirs, _Input.RESPONSE)

    def _content_ended(self) -> None:
        self._theirs = _step(self._theirs, _Input.END)
        # The upgrade is still open only if nothing has been answered yet (CVE-2026-69243: content
        # of a refused upgrade is no next request, so it was parsed as content).
        if self.role is Role.SERVER and self._asked_upgrade:
            self._theirs = _step(self._theirs, _Input.PROPOSE)

    def _fail(self) -> None:
        self._theirs = State.ERROR
        self._closing = True
        self._plain = False
        if self.role is Role.CLIENT:
            self._ours = State.ERROR
        elif self._ours is State.IDLE:
            # The head was refused; a server may still say why.
            self._method = "GET"
            self._version = HttpVersion11
            self._ours = State.SEND_RESPONSE

    def take_trailing(self) -> bytes:
        """Remove and return everything that is not parsed: it belongs to the new protocol.

        Raises:
            LocalProtocolError: The protocol has not changed.
        """
        if self._ours is not State.SWITCHED:
            raise LocalProtocolError("The protocol has not changed")
        return self._parser.take_trailing()

    # --- sending, server ---------------------------------------------------------------------

    def respond(
        self,
        status: int,
        headers: CIMultiDict[str],
        *,
        reason: str | None = None,
        length: int | None = None,
        chunked: bool = False,
        default_fields: bytes = b"",
    ) -> bytes:
        """Begin the final response and return its head.

        Content follows through `send_data` and `send_end`; where the response has none (HEAD,
        204, 304), both return nothing. ``Content-Length``, ``Transfer-Encoding`` and
        ``Connection`` are chosen here; of those in *headers* only ``close`` counts, and the
        ``Content-Length`` of an answer to HEAD or of a 304.

        Args:
            status: 200 to 999.
            headers: Fields of the response; only read.
            reason: The reason phrase; the standard one of *status* by default.
            length: Size of the content in bytes, ``None`` if not known.
            chunked: Prefer the chunked coding even though *length* is known.
            default_fields: Whole lines of ``Date`` and ``Server``, in this order, each ended by
                CRLF; a line is left out if *headers* has that field.

        Raises:
            LocalProtocolError: It is not our turn to respond.
            ValueError: Status, reason, a name or a value is not allowed. Nothing has changed then.
        """
        if self._ours is not State.SEND_RESPONSE:
            self._not_our_turn("respond")
        line = status_line(status, reason)
        fields, count, seen = field_lines(headers.items())
        block = encode_lines(f"{line}{fields}", count + 1)
        if seen:
            default_fields = self._look_at_fields(headers, seen, default_fields)
        chunked = (chunked or length is None) and self._version >= HttpVersion11
        framing = body_framing(status=status, method=self._method, length=length, chunked=chunked)
        if framing is EMPTY:
            if self._method == "CONNECT" and status < 300:
                # The client believes in a tunnel now: nothing it sends is a request.
                self._closing = True
            own = announced_length(status, self._method, length, headers, seen)
        elif framing is UNTIL_CLOSE:
            own = ""
            self._closing = True
        else:
            own = framing_field(framing)
        own += self._answer_upgrade_and_close()
        self._encoder = encoder_for(framing)
        self._ours = _step(self._ours, _Input.RESPONSE)
        return b"%b%b%b\r\n" % (block, own.encode(), default_fields)

    def respond_complete(
        self,
        status: int,
        headers: CIMultiDict[str],
        body: Byteish,
        *,
        reason: str | None = None,
        default_fields: bytes = b"",
    ) -> bytes:
        """Return a whole final response: head and content in one piece.

        What `respond` says holds here. Where the response has no content (HEAD, 204, 304),
        *body* is announced as far as that is allowed, and left out.
        """
        if self._ours is not State.SEND_RESPONSE:
            self._not_our_turn("respond")
        size = len(body) if type(body) is bytes else memoryview(body).nbytes
        if (self._method in _NEVER_PLAIN or status in _NO_CONTENT) and (
            body_framing(status=status, method=self._method, length=1, chunked=False) is EMPTY
        ):
            head = self.respond(
                status, headers, reason=reason, length=size, default_fields=default_fields
            )
            self.send_end()  # gives nothing: there is no content to end
            return head
        line = STATUS_LINES.get(status) if reason is None else None
        if line is None:
            line = status_line(status, reason)
        fields, count, seen = field_lines(headers.items())
        head = encode_lines(f"{line}{fields}Content-Length: {size}\r\n", count + 2)
        if seen:
            default_fields = self._look_at_fields(headers, seen, default_fields)
        if self._plain:
            self._ours = State.DONE
            return b"".join((head, default_fields, b"\r\n", body))
        own = self._answer_upgrade_and_close().encode()
        self._ours = State.MUST_CLOSE if self._closing else State.DONE
        return b"".join((head, own, default_fields, b"\r\n", body))

    def send_informational(self, status: int, headers: CIMultiDict[str]) -> bytes:
        """Return a 1xx response other than 101; nothing towards HTTP/1.0, which has none.

        Raises:
            LocalProtocolError: The final response has begun.
            ValueError: Status, a name or a value is not allowed.
        """
        if self._ours is not State.SEND_RESPONSE or self._theirs is State.ERROR:
            self._not_our_turn("send an informational response")
        if not 100 <= status < 200 or status == 101:
            raise ValueError(f"{status} is no informational status")
        fields, count, _ = field_lines(headers.items())
        block = encode_lines(f"{interim_line(status)}{fields}", count + 1)
        if self._version < HttpVersion11:
            return b""
        self._ours = _step(self._ours, _Input.INFORMATIONAL)
        if status == 100:
            self._await_continue = False
        return block + b"\r\n"

    def switch(self, status: int, headers: CIMultiDict[str], reason: str | None = None) -> bytes:
        """Agree to the other protocol: return the head of the 101, or of the 2xx to CONNECT.

        From here on `take_trailing` has what came behind the request, and nothing here looks at
        bytes any more.

        Raises:
            LocalProtocolError: The request did not ask for it, is not complete, or was answered.
            ValueError: Status, reason, a name or a value is not allowed.
        """
        if self._ours is not State.SEND_RESPONSE or self._theirs is not State.MIGHT_SWITCH:
            self._not_our_turn("change the protocol")
        tunnel = self._method == "CONNECT"
        if not (200 <= status < 300 if tunnel else status == 101):
            raise ValueError(f"{status} does not change the protocol")
        fields, count, _ = field_lines(headers.items())
        line = status_line(status, reason) if tunnel else interim_line(status, reason)
        block = encode_lines(f"{line}{fields}", count + 1)
        self._ours = _step(self._ours, _Input.SWITCH)
        self._theirs = _step(self._theirs, _Input.SWITCH)
        return block + (b"\r\n" if tunnel else b"Connection: Upgrade\r\n\r\n")

    def _look_at_fields(self, headers: CIMultiDict[str], seen: int, default_fields: bytes) -> bytes:
        if seen & CONNECTION and has_option(headers, "close"):
            self.close_after()
        if seen & (DATE | SERVER) and default_fields:
            default_fields = b"".join(
                line
                for line in default_fields.splitlines(keepends=True)
                if line.partition(b":")[0].decode("ascii") not in headers
            )
        return default_fields

    def _answer_upgrade_and_close(self) -> str:
        """Turn an open upgrade down, decide about the connection, and return what says so."""
        if self._asked_upgrade:
            self._asked_upgrade = False
            if self._theirs is State.MIGHT_SWITCH:
                self._theirs = _step(self._theirs, _Input.REFUSE)
        # RFC 9110 section 10.1.1: a client that still waits for 100 may send its content or not,
        # so what follows cannot be told from the next request.
        if self._await_continue or not self.keep_alive:
            self._closing = True
        if self._closing:
            return "Connection: close\r\n"
        if self._version < HttpVersion11:
            return "Connection: keep-alive\r\n"
        return ""

    # --- sending, client ---------------------------------------------------------------------

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
        self._theirs = _ON_REQUEST_CAME[self._theirs]
        if framing is EMPTY:
            self._encoder = _DISCARD
            self._ours = _ON_WHOLE_REQUEST[self._ours]
            if self._asked_upgrade:
                self._propose()
            return result
        self._ours = _ON_REQUEST[self._ours]
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
        self._encoder = _DISCARD
        self._theirs = State.SEND_RESPONSE
        self._ours = State.DONE
        # `fullmatch` has seen to it that there are only ASCII characters.
        return f"{method} {target} HTTP/1.1".encode("ascii") + self._sent_fields

    def _propose(self) -> None:
        if self._asked_upgrade:
            self._ours = _step(self._ours, _Input.PROPOSE)

    # --- sending, both -----------------------------------------------------------------------

    def send_data(self, data: Byteish) -> Byteish:
        """Return what goes on the wire for *data*, which may be *data* itself, or nothing.

        Raises:
            LocalProtocolError: No content is to be sent now, or more than was announced.
        """
        if self._ours is not State.SEND_BODY:
            self._not_our_turn("send content")
        return self._encoder.encode(data)

    def send_end(self, trailers: CIMultiDict[str] | None = None) -> bytes:
        """End the content and return what says so.

        Args:
            trailers: Fields to send after the content, where the framing can carry them.

        Raises:
            LocalProtocolError: No content is to be sent now, or it is shorter than announced;
                our state is MUST_CLOSE then, because the peer waits for the rest.
            ValueError: *trailers* has what is not allowed there. Nothing has changed then.
        """
        if self._ours is not State.SEND_BODY:
            self._not_our_turn("end content")
        try:
            last = self._encoder.end(trailers)
        except LocalProtocolError:
            self._closing = True
            self._ours = _step(self._ours, _Input.LAST)
            raise
        self._ours = _step(self._ours, _Input.END)
        if self.role is Role.CLIENT:
            self._propose()
        elif self._closing:
            self._ours = _step(self._ours, _Input.LAST)
        return last

    @property
    def cycle_done(self) -> bool:
        """Whether both messages of this cycle are complete."""
        return self._theirs is State.DONE and (
            self._ours is State.DONE or self._ours is State.MUST_CLOSE
        )

    def start_next_cycle(self) -> None:
        """Make way for the next request.

        Raises:
            LocalProtocolError: A message of this cycle is not complete, or the connection ends
                with it.
        """
        if self._closing or self._ours is not State.DONE or self._theirs is not State.DONE:
            self._not_our_turn("start another cycle")
        self._ours = self._theirs = State.IDLE

    def start_usual_cycle(self) -> bool:
        """Make way for the next request if nothing at all speaks against it, as mostly.

        Returns:
            False where a closer look is needed: `keep_alive`, then `start_next_cycle`.
        """
        if self._plain and self._ours is State.DONE and self._theirs is State.DONE:
            self._ours = self._theirs = State.IDLE
            return True
        return False

    def _not_our_turn(self, what: str) -> NoReturn:
        raise LocalProtocolError(
            f"Cannot {what} when our side is {self._ours.name} and theirs is {self._theirs.name}"
        )


def _step(state: State, what: _Input) -> State:
    following = _TRANSITIONS[what].get(state)
    if following is None:
        raise LocalProtocolError(f"{what.value} cannot follow {state.name}")
    return following
