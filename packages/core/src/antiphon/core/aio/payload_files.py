"""Files as content to be sent.

A file is read in a thread, a bounded piece at a time, from the position it
had when the payload was first asked about it. It belongs to the payload from
then on: nobody else may read, seek or close it.
"""

import asyncio
import codecs
import io
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

from multidict import CIMultiDict

from .. import hdrs
from ._payload_base import CHUNK_SIZE, Payload, text_type
from .writer import AbstractStreamWriter

__all__ = ("BufferedReaderPayload", "BytesIOPayload", "IOBasePayload", "TextIOPayload")

_Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class IOBasePayload(Payload):
    """Content of a file.

    Args:
        value: The file, open for reading; closed by `close`.
        disposition: The disposition type that goes with a file name. ``None``: say nothing.
        headers: Fields that describe the content.
        content_type: The media type; by default guessed from the file's name.
        filename: The name to send; by default the file's own, without directories.
        encoding: The character encoding, for text.
    """

    __slots__ = ("_disposition", "_lock", "_sized", "_start")

    def __init__(
        self,
        value: IO[Any],
        disposition: str | None = "attachment",
        headers: _Headers | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if filename is None:
            filename = _own_name(value)
        self._disposition = disposition
        # Held while a thread reads: closing a descriptor under a read could make that read
        # one of whatever file gets the number next.
        self._lock = threading.Lock()
        self._start: int | None = None
        self._sized = False
        super().__init__(value, headers, content_type, filename, encoding, *args, **kwargs)
        if headers is not None:
            self._add_disposition()

    @property
    def headers(self) -> CIMultiDict[str]:
        """Fields that describe the content, the file's name among them. May be changed."""
        if self._headers is None:
            made = super().headers
            self._add_disposition()
            return made
        return self._headers

    def _add_disposition(self) -> None:
        headers = self._headers
        if (
            self._filename is not None
            and self._disposition is not None
            and headers is not None
            and hdrs.CONTENT_DISPOSITION not in headers
        ):
            self.set_content_disposition(self._disposition, filename=self._filename)

    @property
    def size(self) -> int | None:
        """Bytes from the file's position to its end; ``None`` for what is no regular file."""
        if not self._sized:
            self._sized = True
            start = self._find_start()
            if start is not None:
                total = _total_size(self._source())
                if total is not None:
                    self._size = max(0, total - start)
        return self._size

    @property
    def replayable(self) -> bool:
        """Whether the file can go back to where it was."""
        return not self._closed and self._find_start() is not None

    @property
    def consumed(self) -> bool:
        """Whether the file was read and cannot go back."""
        return self._consumed and not self.replayable

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content as text. Reads the file here and now, so only fit for tests
        and small local files."""
        return self._read_all().decode(self._encoding or encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return all of the content, read in a thread."""
        return await asyncio.get_running_loop().run_in_executor(None, self._read_all)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of the content to *writer*; no more than `size` if that is known.

        Raises:
            RuntimeError: The payload is closed, or the file was read and cannot go back.
            OSError: Reading failed.
        """
        await self.write_with_length(writer, None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most *content_length* bytes of the content to *writer*."""
        left = self.size
        if left is None or (content_length is not None and content_length < left):
            left = content_length
        loop = asyncio.get_running_loop()
        read: Callable[[int], bytes] = self._first_chunk
        while left is None or left > 0:
            size = CHUNK_SIZE if left is None else min(left, CHUNK_SIZE)
            chunk = await loop.run_in_executor(None, read, size)
            if not chunk:
                return
            read = self._next_chunk
            if left is not None:
                chunk = chunk[:left]
                left -= len(chunk)
            await writer.write(chunk)

    async def close(self) -> None:
        """Close the file, in a thread; after a read that may still go on there.

        Once this has been called the file will be closed, also if the wait for it is cancelled.
        """
        if self._closed:
            return
        self._closed = True
        try:
            closing = asyncio.get_running_loop().run_in_executor(None, self._close_file)
        except RuntimeError:  # the loop's threads are gone, so no read goes on either
            self._close_file()
        else:
            await asyncio.shield(closing)

    # --- where the bytes come from ------------------------------------------------------------

    def _source(self) -> Any:
        """The file that is really read."""
        return self._value

    def _find_start(self) -> int | None:
        if self._start is None and not self._consumed and not self._closed:
            self._start = _position(self._source())
        return self._start

    def _read(self, size: int) -> bytes:
        data = self._source().read(size)
        if data is None:
            raise BlockingIOError("a file to be sent must not be in non-blocking mode")
        return bytes(data)

    # --- in a thread --------------------------------------------------------------------------

    def _first_chunk(self, size: int) -> bytes:
        with self._lock:
            self._rewind()
            return self._read(size)

    def _next_chunk(self, size: int) -> bytes:
        with self._lock:
            if self._closed:
                raise RuntimeError("the payload was closed while it was written")
            return self._read(size)

    def _read_all(self) -> bytes:
        left = self.size
        with self._lock:
            self._rewind()
            taken = bytearray()
            while left is None or left > 0:
                chunk = self._read(CHUNK_SIZE if left is None else min(left, CHUNK_SIZE))
                if not chunk:
                    break
                taken += chunk
                if left is not None:
                    left -= len(chunk)
            return bytes(taken)

    def _rewind(self) -> None:
        if self._closed:
            raise RuntimeError("the payload is closed")
        start = self._find_start()
        if start is not None:
            self._source().seek(start)
        elif self._consumed:
            raise RuntimeError("the file was read and cannot go back to its beginning")
        self._consumed = True

    def _close_file(self) -> None:
        with self._lock:
            self._value.close()


class BufferedReaderPayload(IOBasePayload):
    """Content of a binary file."""

    __slots__ = ()


class BytesIOPayload(IOBasePayload):
    """What is left to read of an ``io.BytesIO``, which is neither moved nor closed."""

    __slots__ = ()
    _autoclose = True

    def __init__(self, value: io.BytesIO, *args: Any, **kwargs: Any) -> None:
        super().__init__(value, *args, **kwargs)

    @property
    def size(self) -> int | None:
        """Size in bytes."""
        return len(self._view())

    @property
    def replayable(self) -> bool:
        """Always."""
        return True

    @property
    def consumed(self) -> bool:
        """Never: the buffer stays where it is."""
        return False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content as text."""
        return str(self._view(), self._encoding or encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the content."""
        return bytes(self._view())

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most *content_length* bytes of the content to *writer*."""
        view = self._view()[:content_length]
        for start in range(0, len(view), CHUNK_SIZE):
            await writer.write(view[start : start + CHUNK_SIZE])

    async def close(self) -> None:
        """Nothing to release: the buffer is its maker's."""
        self._closed = True

    def _view(self) -> memoryview:
        # getvalue() shares the buffer's bytes; a view of the buffer itself would lock it.
        buffer: io.BytesIO = self._value
        return memoryview(buffer.getvalue())[self._find_start() :]


class TextIOPayload(IOBasePayload):
    """Content of a text file.

    If the file's own encoding is the one to send, its bytes are sent as they
    are, line ends included. Otherwise it is decoded and encoded on the way,
    and the size is not known before.

    Args:
        value: The file, open for reading.
        encoding: The character encoding to send; by default the one *content_type* names,
            or UTF-8.
        content_type: The media type; by default ``text/plain`` with the encoding as charset.
    """

    __slots__ = ("_binary",)

    # One byte sequence per text, and no mark at the beginning: copying is encoding.
    _PLAIN = frozenset(("ascii", "utf-8", "iso8859-1"))

    def __init__(
        self,
        value: IO[str],
        disposition: str | None = "attachment",
        headers: _Headers | None = None,
        *args: Any,
        encoding: str | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        **kwargs: Any,
    ) -> None:
        content_type, encoding = text_type(content_type, encoding)
        super().__init__(
            value, disposition, headers, content_type, filename, encoding, *args, **kwargs
        )
        self._binary = self._find_binary()

    def _find_binary(self) -> Any:
        value = self._value
        if not isinstance(value, io.TextIOWrapper):
            return None
        own = _codec_name(value.encoding)
        if own != _codec_name(self._encoding or "utf-8") or own not in self._PLAIN:
            return None
        start = _position(value)
        if start is None or start >= 1 << 64:  # not a position: the decoder's state is in it
            return None
        self._start = start
        return value.buffer

    def _source(self) -> Any:
        return self._value if self._binary is None else self._binary

    def _read(self, size: int) -> bytes:
        if self._binary is not None:
            return super()._read(size)
        # Text is read by characters, so pieces may be up to four times this long.
        text: str = self._value.read(size)
        return text.encode(self._encoding or "utf-8")


def _codec_name(encoding: str) -> str:
    return codecs.lookup(encoding).name


def _own_name(value: Any) -> str | None:
    name = getattr(value, "name", None)
    if isinstance(name, str) and name and not (name[0] == "<" and name[-1] == ">"):
        return os.path.basename(name) or None
    return None


def _position(file: Any) -> int | None:
    try:
        if not file.seekable():
            return None
        position: int = file.tell()
    except (OSError, ValueError, AttributeError):  # what cannot tell cannot go back
        return None
    return position


def _total_size(file: Any) -> int | None:
    """Return the size of a regular file, or of one that is kept in memory.

    Files that only look like one do not count: ``gzip.GzipFile.fileno()`` is that of the
    compressed file.
    """
    raw = getattr(file, "raw", file)
    if isinstance(raw, io.FileIO):
        status = os.fstat(raw.fileno())
        return status.st_size if stat.S_ISREG(status.st_mode) else None
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None and isinstance(file, tempfile.SpooledTemporaryFile):
        # Its fileno() would move it from memory to disk.
        position = file.tell()
        total: int = file.seek(0, os.SEEK_END)
        file.seek(position)
        return total
    return None
