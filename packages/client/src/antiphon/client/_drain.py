"""Letting a small rest of content past, so that its connection can be used again."""

import asyncio
from typing import TYPE_CHECKING, Final, final

from antiphon.core.aio.streams import StreamReader
from antiphon.core.http import Length, RawResponseMessage

if TYPE_CHECKING:
    from ._flights import Flight

__all__ = ("begin", "ended")

DRAIN_SIZE: Final = 64 * 1024
"""Bytes that are cheaper to read than a new connection is to make."""

DRAIN_TIMEOUT: Final = 0.5
"""Seconds for them to come; a rest that small is on its way, or never will be."""


def begin(flight: "Flight", message: RawResponseMessage, content: StreamReader) -> bool:
    """Read and forget what is left of *content*, in the background, if that is worth it.

    The connection goes back when all has come; if it does not come in time, it is closed.

    Returns:
        Whether it is done; else the caller has to give the exchange up.
    """
    if not _is_worth_it(flight, message, content):
        return False
    flight.drain = flight.flights.loop.create_task(
        _drain(flight, content), name=f"drain {flight.request.url.host}"
    )
    # Also who comes to stand in line later gets it then: time limits count there.
    flight.connection.yield_by(flight.abort)
    return True


def ended(error: BaseException, loop: asyncio.AbstractEventLoop) -> StreamReader:
    """Return a stream that has nothing but *error* for who reads from it."""
    stream = StreamReader(_Nobody(), 1, loop=loop)
    stream.set_exception(error)
    return stream


@final
class _Nobody:
    """Who is behind a stream into which nothing comes."""

    def pause_reading(self) -> None:
        """Nothing comes."""

    def resume_reading(self) -> None:
        """Nothing comes."""


def _is_worth_it(flight: "Flight", message: RawResponseMessage, content: StreamReader) -> bool:
    if not isinstance(message.framing, Length) or message.should_close:
        return False
    if message.compression is not None and flight.request.options.auto_decompress:
        return False  # CVE-2026-54278: what nobody reads is not inflated
    if content.exception() is not None or content.waiting:
        return False  # somebody is reading, and has to hear that it is over
    if flight.upload is not None and not flight.upload.done():
        return False
    rest = message.framing.size - content.total_raw_bytes
    # Who stands in line gets the slot now, not in a moment.
    return 0 < rest <= DRAIN_SIZE and not flight.connection.is_wanted


async def _drain(flight: "Flight", content: StreamReader) -> None:
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT):
            while await content.readany():
                pass
    except Exception:
        # Too late, cut short or lost: the caller has what it wanted, and nobody else is to hear
        # of it. The connection is closed below.
        return
    finally:
        flight.abort()  # nothing, if all has come
