"""Which content coding a response gets, and applying it (RFC 9110 sections 8.4, 12.5.3)."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final

from antiphon.core.coding import ContentCoding, ContentEncoder, available_codings, encoder
from antiphon.core.typedefs import Byteish

__all__ = ("EXECUTOR_SIZE", "StreamCompressor", "choose_coding")

EXECUTOR_SIZE: Final = 64 * 1024
"""Bytes above which a chunk of a stream is compressed in an executor: some milliseconds of work."""

_PREFERENCE: Final = ("zstd", "br", "gzip", "deflate")
"""Best first, among codings the client likes equally."""


def _accepted(values: Sequence[str]) -> dict[str, float]:
    """Return weights by coding name; malformed members and weights count as refused."""
    weights: dict[str, float] = {}
    for member in ",".join(values).split(","):
        name, _, parameters = member.partition(";")
        name = name.strip(" \t").lower()
        if not name:
            continue
        weight = 1.0
        key, _, value = parameters.partition("=")
        if parameters and key.strip(" \t").lower() == "q":
            value = value.strip(" \t")
            # RFC 9110 section 12.4.2: 0 to 1 with at most three decimals.
            if len(value) <= 5 and value.isascii() and value.replace(".", "", 1).isdigit():
                weight = min(float(value), 1.0)
            else:
                weight = 0.0
        weights[name] = weight
    return weights


def choose_coding(accept_encoding: Sequence[str]) -> ContentCoding | None:
    """Choose the coding for a client that sent these ``Accept-Encoding`` values.

    Returns:
        `None` if nothing but the plain content will do.
    """
    weights = _accepted(accept_encoding)
    if not weights:
        return None
    anything = weights.get("*", 0.0)
    available = available_codings()
    best: str | None = None
    best_weight = 0.0
    for name in _PREFERENCE:
        weight = weights.get(name, anything)
        if weight > best_weight and name in available:
            best, best_weight = name, weight
    if best is None or weights.get("identity", 0.0) > best_weight:
        return None
    return ContentCoding(best)


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
