"""Connections that go wrong on demand, over sockets and in memory alike.

A plan sits between the transport and the protocol of a server, so that both ends of a
connection meet what it does::

    plan = FaultPlan(to_client=Faults(split=1, reset_after=100))
    client = await test_client(app, server_kwargs={"faults": plan})
"""

import asyncio
from collections import deque
from collections.abc import Callable, Container
from typing import Any, Final, NoReturn, cast, final

import attrs

from .transport import receiver_of, reset_connection

__all__ = ("FaultPlan", "Faults")

_HIGH: Final = 65536
_LOW: Final = _HIGH // 4
_LINGER: Final = 1.0
"""Seconds that a connection which was cut waits for its peer to close, too."""


def _not_negative(instance: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and value < 0:
        raise ValueError(f"{attribute.name} must not be negative")


def _positive(instance: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and value <= 0:
        raise ValueError(f"{attribute.name} must be positive")


@final
@attrs.frozen(kw_only=True)
class Faults:
    """What happens to the bytes of one direction; they combine.

    The four that end something count the bytes that have passed; the one with the smallest
    number comes first, and what follows is dropped. Bytes are those of the wire: encrypted
    where the server speaks TLS.
    """

    split: int | None = attrs.field(default=None, validator=_positive)
    """Bytes delivered at once, at most; each piece in a turn of the loop of its own."""
    delay: float = attrs.field(default=0.0, validator=_not_negative)
    """Seconds that everything comes later, the end and a reset included."""
    drip: float | None = attrs.field(default=None, validator=_positive)
    """Seconds between two pieces; pieces of one byte, or of *split*."""
    cut_after: int | None = attrs.field(default=None, validator=_not_negative)
    """Close the connection, politely, after that many bytes: both ends see an orderly end."""
    reset_after: int | None = attrs.field(default=None, validator=_not_negative)
    """Reset the connection after that many bytes, for both ends."""
    half_close_after: int | None = attrs.field(default=None, validator=_not_negative)
    """End this direction after that many bytes; the other one lives on."""
    stall_after: int | None = attrs.field(default=None, validator=_not_negative)
    """Let nothing pass after that many bytes, no end either; the connection stays open."""

    def piece(self) -> int | None:
        """Bytes delivered at once, at most."""
        return 1 if self.split is None and self.drip is not None else self.split

    def ending(self) -> tuple[int | None, str]:
        """After how many bytes something ends, and what does."""
        candidates = [
            (count, name)
            for name in ("cut", "reset", "half_close", "stall")
            if (count := getattr(self, f"{name}_after")) is not None
        ]
        return min(candidates, default=(None, ""))


_NONE: Final = Faults()


@final
@attrs.define(eq=False)
class FaultPlan:
    """What goes wrong on the connections of a server, in either direction.

    Args:
        to_server: What happens to requests.
        to_client: What happens to responses.
        connections: Numbers of the connections that are concerned, such as ``{0}`` or
            ``range(3)``, counted from 0; all by default. The others are left in peace.
    """

    to_server: Faults = attrs.field(default=_NONE, kw_only=True)
    to_client: Faults = attrs.field(default=_NONE, kw_only=True)
    connections: Container[int] | None = attrs.field(default=None, kw_only=True)
    made: int = attrs.field(default=0, init=False)
    """Connections that came so far."""

    def wrap(
        self, factory: Callable[[], asyncio.BaseProtocol]
    ) -> Callable[[], asyncio.BaseProtocol]:
        """Return a protocol factory whose connections go wrong; *factory* makes the real ones."""

        def make() -> asyncio.BaseProtocol:
            number = self.made
            self.made += 1
            protocol = factory()
            if self.connections is not None and number not in self.connections:
                return protocol
            return _FaultyProtocol(protocol, self)

        return make


@final
class _Lane:
    """One direction: holds bytes back, cuts them up, and ends when its time has come."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        faults: Faults,
        deliver: Callable[[bytes], None],
        deliver_eof: Callable[[], None],
        end: Callable[[str], None],
        mark: Callable[[bool], None],
    ) -> None:
        self._loop = loop
        self._faults = faults
        self._piece = faults.piece()
        self._limit, self._ending = faults.ending()
        self._deliver = deliver
        self._deliver_eof = deliver_eof
        self._end = end
        self._mark = mark  # told True above the high mark, False below the low one
        self._above = False
        # When it is due; bytes, or None for the end.
        self._queue: deque[tuple[float, bytes | memoryview | None]] = deque()
        self.size = 0
        self.paused = False
        self._passed = 0
        self._not_before = 0.0
        self._ended = False
        self._timer: asyncio.Handle | None = None
        self._then: Callable[[], None] | None = None

    def begin(self) -> None:
        """Do what is to be done before the first byte."""
        if self._limit == 0:
            self._loop.call_soon(self._finish_early)

    def feed(self, data: bytes | None) -> None:
        """Take *data*, or the end."""
        if self._ended:
            return
        self._queue.append((self._loop.time() + self._faults.delay, data))
        self.size += len(data or b"")
        if not self._above and self.size > _HIGH:
            self._above = True
            self._mark(True)
        self._schedule()

    def resume(self) -> None:
        """Deliver again."""
        self.paused = False
        self._schedule()

    def later(self, then: Callable[[], None]) -> None:
        """Call *then* once bytes that were fed now would be due."""
        if self._faults.delay:
            self._loop.call_later(self._faults.delay, then)
        else:
            then()

    def when_empty(self, then: Callable[[], None]) -> None:
        """Call *then* once nothing is left; at once if so."""
        if self._queue and not self._ended:
            self._then = then
        else:
            then()

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._ended = True
        self._drop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drop(self) -> None:
        self._queue.clear()
        self.size = 0
        self._mark_below()

    def _schedule(self) -> None:
        if self._timer is not None or self.paused or self._ended or not self._queue:
            return
        when = max(self._queue[0][0], self._not_before)
        if when > self._loop.time():
            self._timer = self._loop.call_at(when, self._turn)
        else:
            self._timer = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._timer = None
        if self.paused or self._ended or not self._queue:
            return
        _, data = self._queue[0]
        if data is None:
            self._queue.popleft()
            self._deliver_eof()
        else:
            self._pass_on(data)
        if not self._queue and self._then is not None:
            then, self._then = self._then, None
            then()
        self._schedule()

    def _pass_on(self, data: bytes | memoryview) -> None:
        size = len(data) if self._piece is None else min(len(data), self._piece)
        if self._limit is not None:
            size = min(size, self._limit - self._passed)
        due, _ = self._queue.popleft()
        if size < len(data):
            self._queue.appendleft((due, memoryview(data)[size:]))  # a copy each time is many
        self.size -= size
        self._passed += size
        if self._faults.drip is not None:
            self._not_before = self._loop.time() + self._faults.drip
        if self.size <= _LOW:
            self._mark_below()
        self._deliver(bytes(data[:size]))
        if self._passed == self._limit and not self._ended:
            self._finish_early()

    def _mark_below(self) -> None:
        if self._above:
            self._above = False
            self._mark(False)

    def _finish_early(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._drop()
        self._end(self._ending)
        if self._then is not None:
            then, self._then = self._then, None
            then()


@final
class _FaultyProtocol(asyncio.Protocol):
    """What the real transport sees: passes on to *inner* what the plan lets through."""

    def __init__(self, inner: asyncio.BaseProtocol, plan: FaultPlan) -> None:
        self.take_inner(inner)
        self._plan = plan
        self._outer: _FaultyTransport | None = None
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._outer = _FaultyTransport(cast(asyncio.Transport, transport), self, self._plan)
        self.inner.connection_made(self._outer)
        self._outer.inbound.begin()
        self._outer.outbound.begin()

    def take_inner(self, inner: asyncio.BaseProtocol) -> None:
        """Pass on to *inner* from now on."""
        self.inner: asyncio.Protocol = cast(asyncio.Protocol, inner)
        self.receive = receiver_of(inner)

    @property
    def _wrapped(self) -> "_FaultyTransport":
        assert self._outer is not None
        return self._outer

    def data_received(self, data: bytes) -> None:
        self._wrapped.inbound.feed(data)

    def eof_received(self) -> bool:
        self._wrapped.inbound.feed(None)
        self._wrapped.peer_ended()
        return True  # what ends in which direction, the lanes say

    def connection_lost(self, exc: Exception | None) -> None:
        outer = self._wrapped
        outer.outbound.stop()
        outer.peer_ended()
        inbound = outer.inbound
        if outer.broken is not None or inbound.paused:
            self.lose(exc or outer.broken)
        else:
            # A loss takes as long as bytes do, and does not overtake them.
            inbound.later(lambda: inbound.when_empty(lambda: self.lose(exc)))

    def lose(self, exc: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._wrapped.inbound.stop()
            self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._wrapped.hold_writing(True)

    def resume_writing(self) -> None:
        self._wrapped.hold_writing(False)


@final
class _FaultyTransport(asyncio.Transport):
    """What the real protocol sees."""

    @property
    def _sendfile_compatible(self) -> NoReturn:
        # What loop.sendfile() looks at first. Its own answers for a transport that is no socket
        # are a RuntimeError, or to copy the file itself; this one lets the caller do it.
        raise asyncio.SendfileNotAvailableError("a file would pass by the fault plan")

    def __init__(self, real: asyncio.Transport, outer: _FaultyProtocol, plan: FaultPlan) -> None:
        super().__init__()
        loop = self._loop = asyncio.get_running_loop()
        self._lingering: asyncio.TimerHandle | None = None
        self._real = real
        self._outer = outer
        self._closing = False
        self._holds = 0
        self._reading_wanted = True
        self.broken: Exception | None = None
        """Why the connection is lost, if it was reset."""
        self.inbound = _Lane(
            loop,
            plan.to_server,
            deliver=self._pass_in,
            deliver_eof=self._take_eof,
            end=lambda ending: self._end(ending, inbound=True),
            mark=self._hold_reading,
        )
        self.outbound = _Lane(
            loop,
            plan.to_client,
            deliver=real.write,
            deliver_eof=real.write_eof,
            end=lambda ending: self._end(ending, inbound=False),
            mark=self.hold_writing,
        )

    def _pass_in(self, data: bytes) -> None:
        try:
            self._outer.receive(data)
        except BaseException:
            self.abort()  # as transports do when their protocol fails
            raise

    def _take_eof(self) -> None:
        if not self._outer.inner.eof_received():
            self.close()

    def _end(self, ending: str, *, inbound: bool) -> None:
        if ending == "half_close":
            if inbound:
                self._take_eof()
            else:
                self._real.write_eof()
        elif ending == "cut":
            self._closing = True
            if inbound:
                self._outer.inner.eof_received()  # and whatever it wants, the rest is over, too
            self._linger()
        elif ending == "reset":
            self._closing = True
            self.broken = ConnectionResetError("reset by the fault plan")
            reset_connection(self._real)

    def _linger(self) -> None:
        """End politely: closing with bytes unread would be a reset."""
        self.inbound.stop()
        self._real.write_eof()
        self._lingering = self._loop.call_later(_LINGER, self._real.close)
        self._loop.call_soon(self._outer.lose, None)

    def peer_ended(self) -> None:
        """The peer has ended its direction, or the connection is lost."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._real.close()

    # -- what the protocol may ask

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._real.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._outer.take_inner(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._outer.inner

    def is_closing(self) -> bool:
        return self._closing or self._real.is_closing()

    def is_reading(self) -> bool:
        return not self.inbound.paused and not self.is_closing()

    def pause_reading(self) -> None:
        self.inbound.paused = True

    def resume_reading(self) -> None:
        self.inbound.resume()

    def _hold_reading(self, hold: bool) -> None:
        if self._real.is_closing():
            return
        if hold:
            self._real.pause_reading()
        else:
            self._real.resume_reading()

    def hold_writing(self, hold: bool) -> None:
        """Count who wants the protocol to pause: the lane, the real transport."""
        self._holds += 1 if hold else -1
        if hold and self._holds == 1:
            self._outer.inner.pause_writing()
        elif not self._holds:
            self._outer.inner.resume_writing()

    def write(self, data: "bytes | bytearray | memoryview") -> None:
        if data and not self._closing:
            self.outbound.feed(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return self._real.can_write_eof()

    def write_eof(self) -> None:
        self.outbound.feed(None)

    def get_write_buffer_size(self) -> int:
        return self.outbound.size + self._real.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._real.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._real.set_write_buffer_limits(high, low)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.inbound.stop()
            self.outbound.when_empty(self._real.close)

    def abort(self) -> None:
        self._closing = True
        self.inbound.stop()
        self.outbound.stop()
        self._real.abort()

    def _force_close(self, exc: Exception | None) -> None:  # asyncio's TLS calls this one
        self.broken = exc
        self.abort()
