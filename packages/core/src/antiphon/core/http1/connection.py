"""Which messages may follow which on one HTTP/1.1 connection, for both ends.

No socket, no clock, no task: bytes that came go in by `receive_data`, events
come out of `next_event`; what is to be sent is returned as bytes. One cycle is
one request with its response; `start_next_cycle` begins another where
`keep_alive` allows it. Bytes of later requests stay unparsed until then.

Each side has a `State`. What is not in the transition table is an error: a
`LocalProtocolError` if it was our doing.

States and what is common to both ends are in `_cycle`, the rest in two halves: `_server_half`
and `_client_half`. A connection is both, and uses one.
"""

from typing import final

from ..errors import BadHttpMessage, HttpProcessingError, LocalProtocolError, quoted
from ..http import RawRequestMessage, RawResponseMessage
from ._client_half import ClientHalf
from ._events import CLOSED, END, NEED_DATA, PAUSED, EndOfMessage, NeedData
from ._server_half import ServerHalf
from ._states import GONE, Input, Role, State, step

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


@final
class Http1Connection(ServerHalf, ClientHalf):
    """One HTTP/1.1 connection seen from one end.

    Args:
        role: Which end this is.
        limits: What a message of the peer may cost.
    """

    __slots__ = ()

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

    def _not_reading(self) -> NeedData:
        theirs = self._theirs
        if theirs in GONE:
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

    def _content_ended(self) -> None:
        self._theirs = step(self._theirs, Input.END)
        # The upgrade is still open only if nothing has been answered yet (CVE-2026-69243: content
        # of a refused upgrade is no next request, so it was parsed as content).
        if self.role is Role.SERVER and self._asked_upgrade:
            self._theirs = step(self._theirs, Input.PROPOSE)

    def take_trailing(self) -> bytes:
        """Remove and return everything that is not parsed: it belongs to the new protocol.

        Raises:
            LocalProtocolError: The protocol has not changed.
        """
        if self._ours is not State.SWITCHED:
            raise LocalProtocolError("The protocol has not changed")
        return self._parser.take_trailing()
