"""Content as written by a user."""

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from multidict import CIMultiDict

from ..typedefs import Byteish

__all__ = ("AbstractStreamWriter", "ContentWriter")


class AbstractStreamWriter(ABC):
    """Where a payload writes itself to."""

    buffer_size: int = 0
    output_size: int = 0
    """Bytes handed to the transport so far."""
    length: int | None = 0
    """Bytes of content still to come; ``None`` if not known."""
    on_body_write: Any = None

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport below, where there is one."""
        return None

    @abstractmethod
    async def write(self, chunk: Byteish) -> None:
        """Write *chunk* of content; waits when much is still to leave."""

    @abstractmethod
    async def write_eof(self, chunk: Byteish = b"") -> None:
        """Write *chunk* and end the content."""

    @abstractmethod
    async def drain(self) -> None:
        """Wait until what was written has left for the most part."""


class ContentWriter(AbstractStreamWriter):
    """What `ServerExchange.respond` and `ClientExchange.writer` give."""

    @abstractmethod
    def write_nowait(self, chunk: Byteish) -> None:
        """Hand *chunk* to the transport at once; the caller drains."""

    @abstractmethod
    def set_trailers(self, trailers: CIMultiDict[str]) -> None:
        """Send *trailers* after the content, where the framing can carry them."""
