"""Received bytes that are not parsed yet."""

from typing import final

__all__ = ("ReceiveBuffer",)


@final
class ReceiveBuffer:
    """Bytes to be parsed, from `pos` on.

    A chunk that arrives while nothing is buffered is kept as the object it is,
    so that parsing and handing out its content copies nothing. Only what comes
    in pieces is gathered in a `bytearray`, which grows in amortised linear time.
    """

    __slots__ = ("data", "pos", "searched")

    def __init__(self) -> None:
        self.data: bytes | bytearray = b""
        self.pos = 0
        """Where the unparsed bytes begin in `data`."""
        self.searched = 0
        """How far in `data` the end of what is looked for was searched in vain."""

    def append(self, data: bytes) -> None:
        """Add *data*; it must not change later."""
        kept = self.data
        if self.pos == len(kept):
            self.data = data
            self.pos = self.searched = 0
            return
        if type(kept) is bytearray:
            if self.pos:
                self._forget_parsed(kept)
            kept += data
        else:
            gathered = bytearray(memoryview(kept)[self.pos :])
            gathered += data
            self.searched = max(0, self.searched - self.pos)
            self.pos = 0
            self.data = gathered

    def _forget_parsed(self, kept: bytearray) -> None:
        del kept[: self.pos]
        self.searched = max(0, self.searched - self.pos)
        self.pos = 0

    def __len__(self) -> int:
        return len(self.data) - self.pos

    def take(self, size: int) -> bytes:
        """Remove and return at most *size* bytes; without a copy if that is all there is."""
        data = self.data
        start = self.pos
        end = start + size
        if end >= len(data):
            end = len(data)
        self.pos = end
        if type(data) is bytes:
            taken = data[start:end]
        else:
            taken = bytes(memoryview(data)[start:end])
        if end == len(data):
            # Nothing is left to parse: do not keep the chunk alive.
            self.data = b""
            self.pos = self.searched = 0
        return taken

    def take_all(self) -> bytes:
        """Remove and return everything."""
        return self.take(len(self.data))

    def clear(self) -> None:
        """Forget everything."""
        self.data = b""
        self.pos = self.searched = 0
