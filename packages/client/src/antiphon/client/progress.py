"""How far the content of a request, or of a response, has come."""

import asyncio
from typing import NamedTuple, final

from .errors import UploadAbortedError

__all__ = ("DownloadProgress", "UploadTracker")


class DownloadProgress(NamedTuple):
    """How much of a response's content has come, in bytes as sent (before decoding)."""

    received: int
    total: int | None
    """The announced size; ``None`` if it was not."""

    @property
    def fraction(self) -> float | None:
        """0.0 to 1.0; ``None`` if the size is not known."""
        if self.total is None:
            return None
        return 1.0 if self.total == 0 else min(1.0, self.received / self.total)


@final
class UploadTracker:
    """Follows the upload of one request's content.

    Pass a new one as ``upload_tracker=``, and read it while the request runs.
    It is made inside a running event loop.
    """

    __slots__ = (
        "__weakref__",
        "_attempts",
        "_cause",
        "_final",
        "_running",
        "_transport",
        "_used",
        "_written",
        "upload_complete",
    )

    def __init__(self) -> None:
        self.upload_complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the content has been written in full; its exception is an
        `UploadAbortedError` if that will never be."""
        self._attempts = 0
        self._written = 0
        self._transport: asyncio.WriteTransport | None = None
        self._cause: BaseException | None = None
        self._used = False
        self._running = False
        self._final = False

    @property
    def attempts(self) -> int:
        """How often sending was begun: redirects and resends count."""
        return self._attempts

    @property
    def bytes_written(self) -> int:
        """Bytes of the present attempt's content that were handed to the operating system."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return self._written
        return max(0, self._written - transport.get_write_buffer_size())

    # -- what the client tells it

    def bind(self) -> None:
        """Belong to a request, once.

        Raises:
            RuntimeError: It belongs to another one already.
        """
        if self._used:
            raise RuntimeError("an UploadTracker follows one request; make another for this one")
        self._used = True

    def begin(self) -> None:
        """Note that the request is sent, or sent again."""
        self._attempts += 1
        self._written = 0
        self._transport = None
        self._cause = None

    def attach(self, transport: asyncio.WriteTransport | None) -> None:
        """Note that content begins to be written, and through what."""
        self._running = True
        self._transport = transport

    def add(self, size: int) -> None:
        """Note that *size* bytes of content were written."""
        self._written += size

    def complete(self) -> None:
        """Note that all content was written."""
        self._running = False
        if not self.upload_complete.done():
            self.upload_complete.set_result(None)

    def stop(self, cause: BaseException | None) -> None:
        """Note that this attempt's content will not be written in full."""
        self._running = False
        self._cause = cause
        if self._final:
            self._abort()

    def close(self) -> None:
        """Note that there will be no further attempt."""
        self._final = True
        if not self._running:
            self._abort()

    def _abort(self) -> None:
        future = self.upload_complete
        if future.done() or future.get_loop().is_closed():
            return
        error = UploadAbortedError("the request's content was not sent in full")
        error.__cause__ = self._cause
        future.set_exception(error)
        future.exception()  # marks it as seen: nobody has to wait for it
