"""Sending content that does not leave together with the head."""

import asyncio
from typing import TYPE_CHECKING, Final, final

from antiphon.core import coding
from antiphon.core.aio.exchange import ClientExchange
from antiphon.core.aio.writer import AbstractStreamWriter
from antiphon.core.errors import HttpProcessingError, LocalProtocolError
from antiphon.core.typedefs import Byteish

from .errors import ClientPayloadError
from .request import ContentPlan

if TYPE_CHECKING:
    from ._flights import Flight
    from .request import ClientRequest

__all__ = ("start",)

EXPECT_TIMEOUT: Final = 1.0
"""Seconds to wait for ``100 Continue``. Many servers never send it, and RFC 9110 section
10.1.1 says not to wait for ever."""

_COMPRESS_STEP: Final = 64 * 1024
"""Bytes compressed at a time, so that the loop is not held up for long."""


def start(
    request: "ClientRequest", flight: "Flight", plan: ContentPlan, loop: asyncio.AbstractEventLoop
) -> asyncio.Task[None]:
    """Send the content of *request* in a task that belongs to *flight*."""
    flight.flights.uploads.add(flight)
    task = loop.create_task(_upload(request, flight, plan), name=f"upload {request.url.host}")
    task.add_done_callback(lambda task: _ended(flight))
    return task


def _ended(flight: "Flight") -> None:
    # For a loop that cancels all tasks at its end: one that never began has no `finally`.
    if not flight.upload_begun:
        flight.flights.uploads.discard(flight)
        flight.abort()


async def _upload(request: "ClientRequest", flight: "Flight", plan: ContentPlan) -> None:
    uploads = flight.flights.uploads
    flight.upload_begun = True
    try:
        if not flight.finished:
            await _observed(request, flight, plan)
    finally:
        uploads.discard(flight)
        payload = request.payload
        if flight.owns_content and payload and not flight.flights.uploads_of(payload):
            await payload.close()


async def _observed(request: "ClientRequest", flight: "Flight", plan: ContentPlan) -> None:
    tracker = request.options.upload_tracker
    failed: BaseException | None = None
    try:
        whole = await _send_content(request, flight.exchange, plan)
    except asyncio.CancelledError as exc:
        if tracker is not None:
            tracker.stop(None)
        if not _was_cancelled():
            error = ClientPayloadError("The source of the content was cancelled")
            error.__cause__ = exc
            flight.source_failed(error)
            return
        flight.abort()  # nothing, unless somebody else than the flight cancelled this
        raise
    except Exception as exc:
        whole, failed = False, exc
        # If the connection is gone, or an early answer ended the upload, whoever waits for the
        # response learns which; an answer that came before the reset still counts. Else the
        # user's own file or iterator failed, whatever the error is called, and nobody else
        # would tell: half a body must not pass for a whole one.
        told = isinstance(exc, (ConnectionError, LocalProtocolError)) and _is_over(flight)
        if not told:
            flight.source_failed(exc)
    if tracker is not None:
        if whole:
            tracker.complete()
        else:
            tracker.stop(failed)
    if not flight.finished:
        flight.flights.recheck(flight)


def _was_cancelled() -> bool:
    """Whether this task was cancelled, and not what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _is_over(flight: "Flight") -> bool:
    """Whether the exchange has ended, or its connection: that is told to whoever waits."""
    return flight.finished or flight.exchange.done or flight.connection.http.closed


async def _send_content(
    request: "ClientRequest", exchange: ClientExchange, plan: ContentPlan
) -> bool:
    payload = request.payload
    assert payload is not None
    if request.expect100 and not await _is_wanted(exchange):
        return False
    writer: AbstractStreamWriter = exchange.writer
    tracker = request.options.upload_tracker
    if tracker is not None or request.traces:
        writer = ObservingWriter(writer, request)
    if tracker is not None:
        tracker.attach(exchange.info.transport)
    if request.compress is not None:
        writer = CompressingWriter(writer, request.compress)
    if plan.length is None or request.compress is not None:
        await payload.write(writer)
    else:
        if payload.size is None:  # the user announced a size that is not known
            await payload.write(MeasuringWriter(writer, plan.length))
        else:
            await payload.write_with_length(writer, plan.length)
        left = exchange.writer.length
        if left:
            raise ClientPayloadError(
                f"The content ended {left} bytes short of the {plan.length} that were announced"
            )
    if plan.length != 0:  # else the head was the whole request
        await writer.write_eof()
    return True


async def _is_wanted(exchange: ClientExchange) -> bool:
    try:
        async with asyncio.timeout(EXPECT_TIMEOUT):
            return await exchange.wait_continue()
    except (HttpProcessingError, ConnectionError):
        return False  # told to whoever waits for the response
    except TimeoutError:
        return True


@final
class MeasuringWriter(AbstractStreamWriter):
    """Lets no more content pass than was announced.

    Args:
        below: Where it goes.
        length: How much was announced, in bytes.
    """

    def __init__(self, below: AbstractStreamWriter, length: int) -> None:
        self._below = below
        self._announced = self._left = length

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport below."""
        return self._below.transport

    async def write(self, chunk: Byteish) -> None:
        """Write *chunk*.

        Raises:
            ClientPayloadError: It is more than was announced; none of it was written.
        """
        self._left -= chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)
        if self._left < 0:
            raise ClientPayloadError(
                f"The content is more than the {self._announced} bytes that were announced"
            )
        await self._below.write(chunk)

    async def write_eof(self, chunk: Byteish = b"") -> None:
        """Write *chunk* and end the content."""
        if chunk:
            await self.write(chunk)
        await self._below.write_eof()

    async def drain(self) -> None:
        """Wait until what was written has left for the most part."""
        await self._below.drain()


@final
class ObservingWriter(AbstractStreamWriter):
    """Tells a tracker and the traces what is written."""

    def __init__(self, below: AbstractStreamWriter, request: "ClientRequest") -> None:
        self._below = below
        self._request = request
        self._tracker = request.options.upload_tracker

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport below."""
        return self._below.transport

    async def write(self, chunk: Byteish) -> None:
        """Write *chunk*, then tell of it."""
        size = len(chunk) if not isinstance(chunk, memoryview) else chunk.nbytes
        if self._tracker is not None:
            self._tracker.add(size)
        await self._below.write(chunk)
        request = self._request
        for trace in request.traces:
            await trace.send_request_chunk_sent(request.method, request.url, bytes(chunk))

    async def write_eof(self, chunk: Byteish = b"") -> None:
        """Write *chunk* and end the content."""
        if chunk:
            await self.write(chunk)
        await self._below.write_eof()

    async def drain(self) -> None:
        """Wait until what was written has left for the most part."""
        await self._below.drain()


@final
class CompressingWriter(AbstractStreamWriter):
    """Applies a content coding on the way."""

    def __init__(self, below: AbstractStreamWriter, encoding: str) -> None:
        self._below = below
        self._encoder = coding.encoder(encoding)

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport below."""
        return self._below.transport

    async def write(self, chunk: Byteish) -> None:
        """Write *chunk*, compressed; some of it may stay in the compressor for now."""
        view = memoryview(chunk).cast("B") if len(chunk) > _COMPRESS_STEP else None
        if view is None:
            await self._forward(self._encoder.compress(chunk))
            return
        for start_at in range(0, len(view), _COMPRESS_STEP):
            await self._forward(self._encoder.compress(view[start_at : start_at + _COMPRESS_STEP]))
            await asyncio.sleep(0)  # others have their turn between two steps

    async def _forward(self, data: bytes) -> None:
        if data:
            await self._below.write(data)

    async def write_eof(self, chunk: Byteish = b"") -> None:
        """Write *chunk* and what the compressor kept, and end the content."""
        if chunk:
            await self.write(chunk)
        await self._below.write_eof(self._encoder.flush())

    async def drain(self) -> None:
        """Wait until what was written has left for the most part."""
        await self._below.drain()
