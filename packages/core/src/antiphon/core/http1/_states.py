"""Where each side of an HTTP/1.1 connection can be, and which state follows which.

What is not in the table is an error: a `LocalProtocolError` if it was our doing.
"""

from enum import Enum
from typing import Final, final

from ..errors import LocalProtocolError

__all__ = (
    "ENDED",
    "GONE",
    "ON_REQUEST",
    "ON_REQUEST_CAME",
    "ON_WHOLE_REQUEST",
    "READING",
    "Input",
    "Role",
    "State",
    "step",
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
class Input(Enum):
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
TRANSITIONS: Final[dict[Input, dict[State, State]]] = {
    Input.REQUEST: {_S.IDLE: _S.SEND_BODY},
    Input.WHOLE_REQUEST: {_S.IDLE: _S.DONE},
    Input.REQUEST_CAME: {_S.IDLE: _S.SEND_RESPONSE},
    Input.INFORMATIONAL: {_S.SEND_RESPONSE: _S.SEND_RESPONSE},
    Input.RESPONSE: {_S.SEND_RESPONSE: _S.SEND_BODY},
    Input.WHOLE_RESPONSE: {_S.SEND_RESPONSE: _S.DONE},
    Input.END: {_S.SEND_BODY: _S.DONE},
    # RFC 9110 section 7.8: the protocol changes only after the whole request.
    Input.PROPOSE: {_S.DONE: _S.MIGHT_SWITCH},
    Input.REFUSE: {_S.MIGHT_SWITCH: _S.DONE},
    Input.SWITCH: {_S.MIGHT_SWITCH: _S.SWITCHED, _S.SEND_RESPONSE: _S.SWITCHED},
    Input.CYCLE: {_S.DONE: _S.IDLE},
    Input.LAST: {_S.DONE: _S.MUST_CLOSE, _S.SEND_BODY: _S.MUST_CLOSE},
}

# Rows that every request asks for. The states they start from are certain there, so that what is
# missing would be a mistake of this module: a KeyError.
ON_REQUEST_CAME: Final = TRANSITIONS[Input.REQUEST_CAME]
ON_REQUEST: Final = TRANSITIONS[Input.REQUEST]
ON_WHOLE_REQUEST: Final = TRANSITIONS[Input.WHOLE_REQUEST]

# States of the other side in which its next bytes belong to the present cycle.
READING: Final = {
    Role.SERVER: frozenset((_S.IDLE, _S.SEND_BODY)),
    Role.CLIENT: frozenset((_S.SEND_RESPONSE, _S.SEND_BODY)),
}

GONE: Final = frozenset((State.CLOSED, State.ERROR))
ENDED: Final = frozenset((State.CLOSED, State.ERROR, State.MUST_CLOSE, State.SWITCHED))


def step(state: State, what: Input) -> State:
    """Return the state that follows *state*.

    Raises:
        LocalProtocolError: None does.
    """
    following = TRANSITIONS[what].get(state)
    if following is None:
        raise LocalProtocolError(f"{what.value} cannot follow {state.name}")
    return following
