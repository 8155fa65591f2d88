"""Which content coding a response gets, and applying it (RFC 9110 sections 8.4, 12.5.3)."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

from antiphon.core.coding import ContentCoding, ContentEncoder, available_codings, encoder
from antiphon.core.fields.accept import negotiate_coding
from antiphon.core.typedefs import Byteish

__all__ = ("EXECUTOR_SIZE", "StreamCompressor", "choose_coding")

EXECUTOR_SIZE: Final = 64 * 1024
"""Bytes above which a chunk of a stream is compressed in an executor: some milliseconds of work."""

_PREFERENCE: Final = ("zstd", "br", "gzip", "deflate")
"""Best first, among codings the client likes equally."""


def choose_coding(accept_encoding: Sequence[str]) -> ContentCoding | None:
    """Choose the coding for a client that sent these ``Accept-Encoding`` values.

    Returns:
        `None` if plain content is what it likes best, or all that is left.
    """
    if not accept_encoding:
        return None
    available = available_codings()
    offers = [coding for coding in _PREFERENCE if coding in available]
    chosen = negotiate_coding(", ".join(accept_encoding), offers)
    return None if chosen is None or chosen == "identity" else ContentCoding(chosen)


class StreamCompressor:
    """Compresses one content, large pieces off the loop."""

    __slots__ = ("_encoder", "_executor", "_executor_size")

    def __init__(
        self,
        coding: ContentCoding,
        *,
        strategy: int | None = None,
        executor_size: int | None = EXECUTOR_SIZE,
        executor: Executor | None = None,
    ) -> None:
        self._encoder: ContentEncoder = encoder(coding.value, strategy=strategy)
        self._executor_size = executor_size
        self._executor = executor

    async def compress(self, data: Byteish) -> bytes:
        """Compress *data*; waits for an executor if it is large."""
        if self._executor_size is None or len(data) <= self._executor_size:
            return self._encoder.compress(data)
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, self._encoder.compress, data
        )

    async def finish(self, data: Byteish = b"") -> bytes:
        """Compress *data* as the last of the content."""
        if not data:
            return self._encoder.flush()
        return await self.compress(data) + self._encoder.flush()

    def sync(self) -> bytes:
        """Return what lets the peer decode everything compressed so far."""
        return self._encoder.flush(sync=True)
