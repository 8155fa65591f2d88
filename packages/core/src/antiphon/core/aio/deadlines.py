"""What a server's sweep does about connections that keep it waiting.

Nothing is recorded per event but the time of the last read: each look compares
what a connection is doing with what it did at the look before. So a limit is
noticed up to two periods of the sweep late, and never early.
"""

from typing import TYPE_CHECKING, Final

from ..errors import HttpProcessingError
from .server_protocol import Http1ServerProtocol, Phase

if TYPE_CHECKING:
    from ..limits import ServerTimeouts

__all__ = ("keep_deadlines", "known_idle")

_NOTHING: Final = 0
_NEW: Final = 1
_HEAD: Final = 2
_IDLE: Final = 3
_CONTENT: Final = 4
_DRAINING: Final = 5
_LINGERING: Final = 6


def keep_deadlines(protocol: Http1ServerProtocol, now: float, elapsed: float) -> None:
    """Act on whatever *protocol* has let pass.

    Args:
        protocol: A connection.
        now: Loop time.
        elapsed: Seconds since the last look.
    """
    timeouts = protocol.server.timeouts
    if _stands_still(protocol, now, timeouts.write_idle):
        protocol.abort()
        return
    doing = _doing(protocol)
    key = protocol.uses << 3 | doing
    if key != protocol.watch_key:
        protocol.watch_key = key
        protocol.watch_since = protocol.created if doing == _NEW else now
    age = now - protocol.watch_since
    if doing == _IDLE:
        limit = timeouts.stop_idle if protocol.server.draining else timeouts.keep_alive
        if _over(age, limit) or _over(now - protocol.created, timeouts.max_age):
            protocol.close_idle()
    elif doing == _CONTENT:
        _keep_content(protocol, now, elapsed, timeouts)
    elif doing == _NEW:
        # A listener's queue may hold connections whose clients still mean to ask.
        limit = timeouts.linger_close if protocol.server.draining else timeouts.head
        if _over(age, limit):
            protocol.close_idle()
    elif doing == _HEAD:
        if _over(age, timeouts.head):
            protocol.refuse(HttpProcessingError(code=408, message="The head took too long"))
    elif doing == _DRAINING:
        if age > timeouts.linger:
            protocol.linger()
    elif doing == _LINGERING and age > timeouts.linger_close and not protocol.unsent:
        protocol.abort()
    exchange = protocol.exchange
    if _over(now - protocol.created, timeouts.max_age) and (
        exchange is None or not exchange.responding
    ):
        # Not once an answer has begun: it has said that the connection goes on.
        protocol.connection.close_after()


def known_idle(protocol: Http1ServerProtocol, now: float) -> float:
    """Seconds for which *protocol* is known to wait for a next request: never too many, and at most
    one period of the sweep too few."""
    seen = protocol.watch_key == (protocol.uses << 3 | _IDLE)
    return now - protocol.watch_since if seen else 0.0


def _over(age: float, limit: float | None) -> bool:
    return limit is not None and age > limit


def _doing(protocol: Http1ServerProtocol) -> int:
    phase = protocol.phase
    if phase is Phase.ACTIVE:
        if protocol.exchange is not None:
            sink = protocol.sink
            return _CONTENT if sink is not None and sink.stream.waiting else _NOTHING
        if protocol.connection.partial_head:
            return _HEAD
        if protocol.unsent:
            return _NOTHING  # the last answer is still on its way
        return _IDLE if protocol.uses else _NEW
    if phase is Phase.DRAINING:
        return _DRAINING
    return _LINGERING if phase is Phase.LINGERING else _NOTHING


def _stands_still(protocol: Http1ServerProtocol, now: float, limit: float | None) -> bool:
    """Whether bytes wait to leave and none did for *limit* seconds."""
    if protocol.file_under_way:
        unsent = -1 - protocol.bytes_passed
    else:
        unsent = protocol.write_buffer_size()
    if unsent != protocol.unsent or not unsent:
        protocol.unsent = unsent
        protocol.unsent_since = now
        return False
    return _over(now - protocol.unsent_since, limit)


def _keep_content(
    protocol: Http1ServerProtocol, now: float, elapsed: float, timeouts: "ServerTimeouts"
) -> None:
    sink = protocol.sink
    assert sink is not None
    protocol.body_time += elapsed
    rate = timeouts.body_min_rate
    if _over(now - max(protocol.watch_since, protocol.last_read), timeouts.body_idle) or (
        rate is not None
        and protocol.body_time > timeouts.body_grace
        and sink.received < rate * protocol.body_time
    ):
        protocol.give_up_content(
            HttpProcessingError(code=408, message="The content came too slowly")
        )
