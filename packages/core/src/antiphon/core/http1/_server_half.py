"""The server's half of the connection: a request came, a response is sent."""

from typing import Final

from multidict import CIMultiDict

from ..http import EMPTY, UNTIL_CLOSE, HttpVersion11, RawRequestMessage, SharedFields
from ..typedefs import Byteish
from ._body import encoder_for
from ._cycle import Cycle
from ._framing import body_framing
from ._inner import CONNECTION, DATE, SERVER, encode_lines, field_lines
from ._states import ON_REQUEST, ON_REQUEST_CAME, ON_WHOLE_REQUEST, Input, Role, State, step
from ._write import (
    STATUS_LINES,
    STATUS_LINES_AS_BYTES,
    announced_length,
    framing_field,
    has_option,
    interim_line,
    status_line,
)
from .parser import HttpRequestParser

__all__ = ("ServerHalf",)

_NO_CONTENT: Final = frozenset((204, 304))
# Methods whose responses are not framed by their content.
_NEVER_PLAIN: Final = frozenset(("HEAD", "CONNECT"))


class ServerHalf(Cycle):
    """What only a server does with a connection."""

    __slots__ = ()

    def _request_came(self, head: RawRequestMessage) -> None:
        method = self._method = head.method
        version = self._version = head.version
        if head.should_close:
            self._closing = True
        self._ours = ON_REQUEST_CAME[self._ours]
        asked = self._asked_upgrade = head.upgrade or method == "CONNECT"
        self._plain = not (
            asked or self._closing or self._eof or head.expect_continue or version < HttpVersion11
        )
        if head.framing is not EMPTY:
            self._theirs = ON_REQUEST[self._theirs]
            self._await_continue = head.expect_continue
            return
        self._theirs = ON_WHOLE_REQUEST[self._theirs]
        if asked:
            self._theirs = step(self._theirs, Input.PROPOSE)

    def receive_request(self, data: bytes) -> RawRequestMessage | None:
        """Take a request whose head came in one piece when nothing else was here, as most do.

        Args:
            data: What came. It must not change later.

        Returns:
            Its head; what came behind that is stored. Or ``None``, and nothing has changed: give
            *data* to `receive_data`. So for everything out of the ordinary, also what is malformed.
        """
        buffer = self._buffer
        parser = self._parser
        if (
            self._theirs is not State.IDLE
            or self._ours is not State.IDLE
            or buffer.pos != len(buffer.data)
            or type(parser) is not HttpRequestParser
        ):
            return None
        head = parser.take_head(data)
        if head is None:
            return None
        if (
            head.framing is not EMPTY
            or head.should_close
            or head.upgrade
            or self._closing
            or self._eof
            or head.version is not HttpVersion11
            or head.method == "CONNECT"
        ):
            self._request_came(head)
            return head
        self._method = head.method
        self._version = HttpVersion11
        self._asked_upgrade = False
        self._plain = True
        self._ours = State.SEND_RESPONSE
        self._theirs = State.DONE
        return head

    def refuse_head(self) -> None:
        """Read no more of a head that has begun to come, because its deadline has passed say.

        It is our turn to respond then, as after any head that is refused, and the connection ends
        with that response.

        Raises:
            LocalProtocolError: This is a client, or no head has begun to come.
        """
        if self.role is not Role.SERVER or not self.partial_head:
            self._not_our_turn("refuse a head")
        self._parser.give_up()
        self._fail()

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
        self._ours = step(self._ours, Input.RESPONSE)
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
        if type(headers) is SharedFields and reason is None and self._plain:
            begun = STATUS_LINES_AS_BYTES.get(status)
            if begun is not None:
                lines = headers.written or _write_shared(headers)
                self._ours = State.DONE
                length = b"Content-Length: %d\r\n" % size
                return b"".join((begun, lines, length, default_fields, b"\r\n", body))
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
        self._ours = step(self._ours, Input.INFORMATIONAL)
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
        self._ours = step(self._ours, Input.SWITCH)
        self._theirs = step(self._theirs, Input.SWITCH)
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
                self._theirs = step(self._theirs, Input.REFUSE)
        # RFC 9110 section 10.1.1: a client that still waits for 100 may send its content or not,
        # so what follows cannot be told from the next request.
        if self._await_continue or not self.keep_alive:
            self._closing = True
        if self._closing:
            return "Connection: close\r\n"
        if self._version < HttpVersion11:
            return "Connection: keep-alive\r\n"
        return ""


def _write_shared(headers: SharedFields) -> bytes:
    """Write fields that many responses share, for all of them.

    Raises:
        ValueError: A name or value is not allowed, or one is among them that the connection or
            the server has a word about.
    """
    fields, count, seen = field_lines(headers.items())
    if seen:
        raise ValueError("Fields that responses share must say nothing of connection or framing")
    headers.written = lines = encode_lines(fields, count)
    return lines
