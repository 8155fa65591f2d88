"""What both ends of an HTTP/1.1 connection have in common: one cycle after the other.

One cycle is one request with its response. Here are the states of both sides, the facts of the
present cycle, content to be sent, and whether another cycle may follow.
"""

from typing import Final, NoReturn

from multidict import CIMultiDict

from ..errors import LocalProtocolError
from ..http import EMPTY, HttpVersion, HttpVersion11
from ..limits import HttpLimits
from ..typedefs import Byteish
from ._body import Encoder, encoder_for
from ._states import ENDED, READING, Input, Role, State, step
from .parser import HttpRequestParser, HttpResponseParser

__all__ = ("DISCARD", "Cycle")

_DEFAULT_LIMITS: Final = HttpLimits()
DISCARD: Final = encoder_for(EMPTY)


class Cycle:
    """The states of a connection, and what needs no knowledge of which end it is.

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
        self._reading = READING[role]
        self._ours = State.IDLE
        self._theirs = State.IDLE
        self._eof = False
        self._closing = False
        self._encoder: Encoder = DISCARD
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
        if self._closing or self._theirs in ENDED or self._ours in ENDED:
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

    def receive_eof(self) -> None:
        """Note that the peer has ended its side. Ours may still send (RFC 9112 section 9.6)."""
        self._eof = True
        self._plain = False
        self._parser.feed_eof()

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

    # --- sending -----------------------------------------------------------------------------

    def _propose(self) -> None:
        if self._asked_upgrade:
            self._ours = step(self._ours, Input.PROPOSE)

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
            self._ours = step(self._ours, Input.LAST)
            raise
        self._ours = step(self._ours, Input.END)
        if self.role is Role.CLIENT:
            self._propose()
        elif self._closing:
            self._ours = step(self._ours, Input.LAST)
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
