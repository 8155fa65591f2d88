"""Exchanges under way: their connections, their time limits, their end.

No timer is made for a request. A session keeps one timer for the earliest
moment at which any exchange may be overdue; most requests are done long
before it, and then it has nothing to do. Deadlines are met exactly.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from antiphon.core.aio.exchange import ByteChannel, ClientExchange
from antiphon.core.aio.payload import Payload

from ._failure import IDEMPOTENT_METHODS, content_error, describe
from .errors import (
    ClientConnectionError,
    Failure,
    ServerTimeoutError,
    SocketTimeoutError,
)

if TYPE_CHECKING:
    from .connector.base import Connection
    from .request import ClientRequest

__all__ = ("Flight", "Flights")

_NEVER: Final = float("inf")


@final
class Flight:
    """One exchange under way, and the connection it has.

    Refers to no response: one that is dropped unread can be collected, and the
    connection be given back.

    Args:
        exchange: The exchange.
        connection: What it goes over; given back once.
        flights: Where it is looked after.
        request: What is sent.
    """

    # Most of these are never set: the class has the defaults.
    responded = False
    """Whether the response's head has come."""
    finished = False
    """Whether the connection was given back."""
    drain: asyncio.Task[None] | None = None
    """The task that lets the rest of the content past, once the response was released."""
    upload: asyncio.Task[None] | None = None
    """The task that sends content, while there is one."""
    upload_begun = False
    """Whether that task has made its first step."""
    source_error: BaseException | None = None
    """What the user's content raised: it is told as it is, whatever it is called."""
    owns_content = False
    """Whether the upload closes the content at its end: the call has been answered."""
    write_mark: tuple[float, int] | None = None
    """Loop time of the last progress of the upload, and bytes sent by then."""

    def __init__(
        self,
        exchange: ClientExchange,
        connection: "Connection",
        flights: "Flights",
        request: "ClientRequest",
    ) -> None:
        self.exchange = exchange
        self.connection = connection
        self.flights = flights
        self.request = request

    @property
    def replayable(self) -> bool:
        """Whether the request may be sent twice: idempotent, with content to be had again."""
        return self.request.method in IDEMPOTENT_METHODS and self.request.replayable

    # -- ends

    def finish(self) -> None:
        """Give the connection back: the exchange is done, or its connection lost.

        Whether others may use it is the connection's own decision.
        """
        if self.finished:
            return
        self.finished = True
        self.flights.live.discard(self)
        if not self.exchange.done:
            self._cancel_upload()
        self.connection.release()

    def abort(self, exc: BaseException | None = None) -> None:
        """Give the exchange up now; whoever waits on it gets *exc*."""
        if self.finished:
            return
        self.exchange.abort(exc)
        self.finish()

    def source_failed(self, exc: BaseException) -> None:
        """Give the exchange up because of *exc*, which came from the content to be sent."""
        if not self.finished:
            self.source_error = exc
            self.abort(exc)

    def _cancel_upload(self) -> None:
        # One that has not begun sees by itself that it is over. Were it cancelled, not even its
        # `finally` would be run, and the content stay open.
        if self.upload is not None and self.upload_begun:
            self.upload.cancel()

    def switch(self) -> ByteChannel:
        """Hand the connection over to another protocol: time limits end, its slot does not."""
        channel = self.exchange.upgrade()
        self.finished = True
        self.flights.discard(self)
        self.connection.http.add_close_callback(self.connection.close)
        return channel

    def failure(self, phase: str | None = None) -> Failure:
        """Return what is known now, for an error's text."""
        now = self.flights.loop.time()
        return describe(phase or self.phase, self.exchange, now, replayable=self.replayable)

    def content_error(self, exc: BaseException) -> BaseException:
        """Return what readers of the content are to get for *exc*."""
        if exc is self.source_error:
            return exc
        error = content_error(exc, self.failure("content"))
        if error is not exc:
            error.__cause__ = exc
        return error

    @property
    def phase(self) -> str:
        """What is going on."""
        if self.responded:
            return "content"
        if self.exchange.response_started:
            return "head"
        return "write" if self.upload is not None and not self.upload.done() else "first_byte"

    # -- time limits

    def due(self, now: float) -> float:
        """Return the earliest loop time at which a limit can be passed."""
        limits = self.request.options.timeout
        deadline = self.request.deadline
        due = _NEVER if deadline is None else deadline
        exchange = self.exchange
        uploading = self.upload is not None and not self.upload.done()
        if limits.sock_read and not uploading:
            quiet_since = now if exchange.reading_paused else exchange.last_read
            due = min(due, quiet_since + limits.sock_read)
        if limits.first_byte and not uploading and not exchange.response_started:
            due = min(due, self._asked_at() + limits.first_byte)
        if limits.write and uploading:
            # Progress is only seen by looking: four times as often as would be needed else.
            due = min(due, self._progress_at(now) + limits.write, now + limits.write / 4)
        return due

    def overdue(self, now: float) -> ServerTimeoutError | None:
        """Return the error to end this with, if a limit is passed at loop time *now*."""
        limits = self.request.options.timeout
        deadline = self.request.deadline
        if deadline is not None and now >= deadline:
            return self._late(ServerTimeoutError, self.phase, f"total={limits.total} s")
        exchange = self.exchange
        if self.upload is not None and not self.upload.done():
            if limits.write and now >= self._progress_at(now) + limits.write:
                return self._late(SocketTimeoutError, "write", f"write={limits.write} s")
            return None
        quiet_too_long = (
            limits.sock_read
            and not exchange.reading_paused
            and now >= exchange.last_read + limits.sock_read
        )
        if quiet_too_long:
            return self._late(SocketTimeoutError, self.phase, f"sock_read={limits.sock_read} s")
        silent = limits.first_byte and not exchange.response_started
        if silent and now >= self._asked_at() + (limits.first_byte or 0):
            return self._late(SocketTimeoutError, "first_byte", f"first_byte={limits.first_byte} s")
        return None

    def _late(self, kind: type[ServerTimeoutError], phase: str, limit: str) -> ServerTimeoutError:
        failure = self.failure(phase)
        error = kind(f"Timeout on {limit} ({failure})")
        error.failure = failure
        return error

    def _asked_at(self) -> float:
        timeline = self.exchange.timeline
        return timeline.body_sent or timeline.head_sent or timeline.start

    def _progress_at(self, now: float) -> float:
        writer = self.exchange.writer
        transport = self.connection.transport
        waiting = 0 if transport is None else transport.get_write_buffer_size()
        sent = writer.output_size - waiting
        if self.write_mark is None or sent != self.write_mark[1]:
            self.write_mark = (now, sent)
        return self.write_mark[0]


@final
class Flights:
    """All exchanges of one session that are under way.

    Args:
        loop: The loop whose time counts.
    """

    __slots__ = ("_timer", "_wake", "debug", "live", "loop", "uploads")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.debug = loop.get_debug()
        """Whether places are noted at which responses are made."""
        self.live: set[Flight] = set()
        """All of them."""
        self.uploads: set[Flight] = set()
        """Those whose content is being sent: also some that were given up, until their upload
        has noticed."""
        self._timer: asyncio.TimerHandle | None = None
        self._wake = _NEVER

    def __len__(self) -> int:
        return len(self.live)

    def add(self, flight: Flight, now: float) -> None:
        """Look after *flight*, which begins at loop time *now*."""
        self.live.add(flight)
        request = flight.request
        deadline = request.deadline
        limits = request.options.timeout
        if limits.sock_read or limits.first_byte or limits.write:
            self._wake_by(flight.due(now))
        elif deadline is not None and deadline < self._wake:
            self._wake_by(deadline)

    def discard(self, flight: Flight) -> None:
        """Forget *flight*: it is done."""
        self.live.discard(flight)

    def recheck(self, flight: Flight) -> None:
        """Look at *flight* again: it has entered a phase with other limits."""
        self._wake_by(flight.due(self.loop.time()))

    def abort_all(self, error: Callable[[Flight], ClientConnectionError]) -> None:
        """End every flight with what *error* makes of it."""
        for flight in tuple(self.live):
            flight.abort(error(flight))

    def uploads_of(self, payload: Payload) -> list[Flight]:
        """Return the flights that are sending *payload*, those that were given up included."""
        return [flight for flight in self.uploads if flight.request.payload is payload]

    async def settled(self, payload: Payload, deadline: float | None) -> None:
        """Wait until no flight that was given up touches *payload* any more.

        A cancelled upload needs a moment to let go: until then its generator cannot be
        closed, and its file cannot be read from the start.

        Args:
            payload: Content that is to be sent again, or closed.
            deadline: Loop time after which it is not waited for any longer.
        """
        ending = [
            flight.upload
            for flight in self.uploads_of(payload)
            if flight.finished and flight.upload is not None
        ]
        if ending:
            left = None if deadline is None else max(0.0, deadline - self.loop.time())
            await asyncio.wait(ending, timeout=left)

    def stop(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake = _NEVER

    def _wake_by(self, when: float) -> None:
        if when >= self._wake:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake = when
        self._timer = self.loop.call_at(when, self._check)

    def _check(self) -> None:
        # A loop may call a little early, by the resolution of its clock.
        now = max(self.loop.time(), self._wake)
        self._timer = None
        self._wake = _NEVER
        earliest = _NEVER
        for flight in tuple(self.live):
            error = flight.overdue(now)
            if error is not None:
                flight.abort(error)
            else:
                earliest = min(earliest, flight.due(now))
        self._wake_by(earliest)
