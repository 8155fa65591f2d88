"""What a parser answers besides heads and content."""

from enum import Enum
from typing import Final, final

from multidict import CIMultiDictProxy

from ..http import fields_mapping

__all__ = ("CLOSED", "END", "NEED_DATA", "PAUSED", "EndOfMessage", "NeedData")


class NeedData(Enum):
    """Why there is no event."""

    NEED_DATA = "the buffer holds no complete event"
    PAUSED = "this cycle must end first, or the protocol has changed"
    CLOSED = "the peer ended its side, or broke the protocol; nothing will follow"


NEED_DATA: Final = NeedData.NEED_DATA
PAUSED: Final = NeedData.PAUSED
CLOSED: Final = NeedData.CLOSED


@final
class EndOfMessage:
    """The content of a message is complete. `END` is the one without trailers."""

    __slots__ = ("_block", "_trailers")

    def __init__(self, block: bytes | None = None) -> None:
        self._block = block
        self._trailers: CIMultiDictProxy[str] | None = None

    @property
    def trailers(self) -> CIMultiDictProxy[str] | None:
        """The trailer section (RFC 9110 section 6.5), ``None`` without one."""
        if self._trailers is None and self._block is not None:
            self._trailers = fields_mapping(self._block)
        return self._trailers

    def __repr__(self) -> str:
        return f"<{type(self).__name__} trailers={self._block!r}>"


END: Final = EndOfMessage()
