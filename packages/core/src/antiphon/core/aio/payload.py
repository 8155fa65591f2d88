"""Python objects as content to be sent.

`get_payload` finds the payload for an object. Which one depends on the type:

==========================================  ======================  ========  ==========
object                                      payload                 size      replayable
==========================================  ======================  ========  ==========
``bytes bytearray memoryview``              `BytesPayload`          known     yes
``str``, ``io.StringIO``                    `StringPayload`         known     yes
``io.BytesIO``                              `BytesIOPayload`        known     yes
binary file                                 `BufferedReaderPayload` if real   if seekable
text file                                   `TextIOPayload`         if real   if seekable
any other ``io.IOBase``                     `IOBasePayload`         if real   if seekable
`StreamReader`, async iterable              `AsyncIterablePayload`  no        no
==========================================  ======================  ========  ==========
"""

import io
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, final

from ..deprecations import deprecated, warn_deprecated
from ..typedefs import Byteish
from ._payload_base import (
    CHUNK_SIZE,
    PAYLOAD_REGISTRY,
    LookupError,
    Order,
    Payload,
    PayloadRegistry,
    get_payload,
    payload_type,
    register_payload,
    text_type,
)
from .payload_files import BufferedReaderPayload, BytesIOPayload, IOBasePayload, TextIOPayload
from .streams import StreamReader
from .writer import AbstractStreamWriter

__all__ = (
    "PAYLOAD_REGISTRY",
    "AsyncIterablePayload",
    "BufferedReaderPayload",
    "BytesIOPayload",
    "BytesPayload",
    "IOBasePayload",
    "JsonBytesPayload",
    "JsonPayload",
    "LookupError",
    "Order",
    "Payload",
    "PayloadRegistry",
    "StreamReaderPayload",
    "StringIOPayload",
    "StringPayload",
    "TextIOPayload",
    "get_payload",
    "payload_type",
    "register_payload",
    "streamer",
)

_Headers = Mapping[str, str] | Iterable[tuple[str, str]]
_JsonDumps = Callable[[Any], str]


class BytesPayload(Payload):
    """Content that is bytes already; `value` has them."""

    __slots__ = ()
    _autoclose = True

    def __init__(
        self,
        value: Byteish,
        headers: _Headers | None = None,
        content_type: str | None = "application/octet-stream",
        filename: str | None = None,
        encoding: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"value argument must be byte-ish, not {type(value)!r}")
        super().__init__(value, headers, content_type, filename, encoding, *args, **kwargs)
        if isinstance(value, memoryview):
            # One item is one byte from here on, whatever the exporter's items are.
            self._value = value.cast("B") if value.c_contiguous else value.tobytes()
        self._size = len(self._value)

    @property
    def replayable(self) -> bool:
        """Always: the bytes stay."""
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content as text."""
        return str(self._value, encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the content."""
        return bytes(self._value)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of the content to *writer*."""
        value = self._value
        if len(value) <= CHUNK_SIZE:
            await writer.write(value)
        else:
            await _write_in_pieces(writer, memoryview(value))

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most *content_length* bytes of the content to *writer*."""
        if content_length is None or content_length >= len(self._value):
            await self.write(writer)
        else:
            await _write_in_pieces(writer, memoryview(self._value)[:content_length])


async def _write_in_pieces(writer: AbstractStreamWriter, view: memoryview) -> None:
    for start in range(0, len(view), CHUNK_SIZE):
        await writer.write(view[start : start + CHUNK_SIZE])


class StringPayload(BytesPayload):
    """Text, encoded when the payload is made.

    Args:
        value: The text.
        encoding: The character encoding; by default the one *content_type* names, or UTF-8.
        content_type: The media type; by default ``text/plain`` with the encoding as charset.
    """

    __slots__ = ()

    def __init__(
        self,
        value: str,
        headers: _Headers | None = None,
        *args: Any,
        encoding: str | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        **kwargs: Any,
    ) -> None:
        content_type, encoding = text_type(content_type, encoding)
        super().__init__(
            value.encode(encoding), headers, content_type, filename, encoding, *args, **kwargs
        )


class StringIOPayload(StringPayload):
    """What is left to read of an ``io.StringIO``."""

    __slots__ = ()

    def __init__(self, value: io.StringIO, *args: Any, **kwargs: Any) -> None:
        super().__init__(value.read(), *args, **kwargs)


class JsonPayload(BytesPayload):
    """An object as JSON text.

    Args:
        value: What *dumps* takes.
        encoding: The character encoding; JSON between systems is UTF-8 (RFC 8259 section 8.1).
        content_type: The media type.
        dumps: Turns the object into text.
    """

    __slots__ = ()

    def __init__(
        self,
        value: Any,
        encoding: str = "utf-8",
        content_type: str = "application/json",
        dumps: _JsonDumps = json.dumps,
        headers: _Headers | None = None,
        *args: Any,
        filename: str | None = None,
        **kwargs: Any,
    ) -> None:
        data = dumps(value).encode(encoding)
        super().__init__(data, headers, content_type, filename, encoding, *args, **kwargs)


class JsonBytesPayload(BytesPayload):
    """An object as JSON, by a *dumps* that gives bytes, such as ``orjson.dumps``."""

    __slots__ = ()

    def __init__(
        self,
        value: Any,
        dumps: Callable[[Any], bytes],
        content_type: str = "application/json",
        headers: _Headers | None = None,
        *args: Any,
        filename: str | None = None,
        **kwargs: Any,
    ) -> None:
        data = dumps(value)
        super().__init__(data, headers, content_type, filename, "utf-8", *args, **kwargs)


class AsyncIterablePayload(Payload):
    """Content that an async iterable gives piece by piece, each ``bytes`` or alike.

    It can be taken once. `as_bytes` keeps what it took, and from then on the
    payload can be sent any number of times. `close` closes an async generator,
    so its ``finally`` blocks run also if the writing was cut off.

    Args:
        value: The iterable; iterated over from when the writing begins.
    """

    __slots__ = ("_cached", "_iterator")

    def __init__(
        self,
        value: AsyncIterable[Byteish],
        headers: _Headers | None = None,
        content_type: str | None = "application/octet-stream",
        filename: str | None = None,
        encoding: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if not isinstance(value, AsyncIterable):
            raise TypeError(
                "value argument must support collections.abc.AsyncIterable interface, "
                f"got {type(value)!r}"
            )
        super().__init__(value, headers, content_type, filename, encoding, *args, **kwargs)
        self._iterator: AsyncIterator[Byteish] | None = None
        self._cached: bytes | None = None

    @property
    def size(self) -> int | None:
        """Size in bytes after `as_bytes`, ``None`` before."""
        return None if self._cached is None else len(self._cached)

    @property
    def replayable(self) -> bool:
        """Whether the content was kept by `as_bytes`."""
        return self._cached is not None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content as text.

        Raises:
            TypeError: `as_bytes` was not called before.
        """
        if self._cached is None:
            raise TypeError("Unable to decode - content not cached. Call as_bytes() first.")
        return self._cached.decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return all of the content and keep it.

        Raises:
            RuntimeError: It was written before and is gone.
        """
        if self._cached is None:
            taken = bytearray()
            async for chunk in self._chunks():
                taken += chunk
            self._cached = bytes(taken)
            self._consumed = False
        return self._cached

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of the content to *writer*.

        Raises:
            RuntimeError: It was written before and is gone.
            TypeError: The iterable gave something else than bytes.
        """
        if self._cached is not None:
            await _write_in_pieces(writer, memoryview(self._cached))
            return
        async for chunk in self._chunks():
            await writer.write(chunk)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most *content_length* bytes to *writer*; asks for no more after that."""
        if content_length is None:
            await self.write(writer)
        elif self._cached is not None:
            await _write_in_pieces(writer, memoryview(self._cached)[:content_length])
        elif content_length > 0:
            left = content_length
            async for chunk in self._chunks():
                if len(chunk) >= left:
                    await writer.write(memoryview(chunk)[:left])
                    return
                left -= len(chunk)
                await writer.write(chunk)

    async def close(self) -> None:
        """Close the async generator, if it is one; nothing may iterate over it any more.

        A generator that was never begun has nothing to release.
        """
        if self._closed:
            return
        self._closed = True
        aclose = getattr(self._iterator, "aclose", None) or getattr(self._value, "aclose", None)
        if aclose is not None:
            await aclose()

    def _iterate(self) -> AsyncIterator[Byteish]:
        return aiter(self._value)

    async def _chunks(self) -> AsyncIterator[Byteish]:
        if self._closed or self._consumed:
            raise RuntimeError("an async iterable can be sent only once")
        self._consumed = True
        self._iterator = self._iterate()
        async for chunk in self._iterator:
            if isinstance(chunk, memoryview):
                chunk = chunk.cast("B") if chunk.c_contiguous else chunk.tobytes()
            elif not isinstance(chunk, (bytes, bytearray)):
                raise TypeError(f"content consists of bytes, not {type(chunk)!r}")
            if chunk:
                yield chunk


class StreamReaderPayload(AsyncIterablePayload):
    """Content that is received elsewhere at the same time, and handed on as it comes."""

    __slots__ = ()

    def _iterate(self) -> AsyncIterator[Byteish]:
        reader: StreamReader = self._value
        return reader.iter_any()


@deprecated("Pass an async generator as data= or body= (ANT-0007)")
class streamer:  # aiohttp's name
    """Decorator that makes ``async def f(writer, ...)`` something to send.

    Obsolete (ANT-0007): an async generator does the same.
    """

    def __init__(self, coro: Callable[..., Awaitable[None]]) -> None:
        warn_deprecated("ANT-0007")
        self.coro = coro

    def __call__(self, *args: Any, **kwargs: Any) -> "_StreamerCall":
        return _StreamerCall(self.coro, args, kwargs)


@final
class _StreamerCall:
    """A decorated function with its arguments, but for the writer."""

    __slots__ = ("args", "coro", "kwargs")

    def __init__(
        self,
        coro: Callable[..., Awaitable[None]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.coro = coro
        self.args = args
        self.kwargs = kwargs


class _StreamerPayload(Payload):
    __slots__ = ()
    _autoclose = True

    async def write(self, writer: AbstractStreamWriter) -> None:
        call: _StreamerCall = (
            self._value if isinstance(self._value, _StreamerCall) else self._value()
        )
        await call.coro(writer, *call.args, **call.kwargs)


register_payload(BytesPayload, (bytes, bytearray, memoryview))
register_payload(StringPayload, str)
register_payload(StringIOPayload, io.StringIO)
register_payload(BytesIOPayload, io.BytesIO)
register_payload(BufferedReaderPayload, (io.BufferedReader, io.BufferedRandom))
register_payload(TextIOPayload, io.TextIOBase)
register_payload(IOBasePayload, io.IOBase)
register_payload(StreamReaderPayload, StreamReader)
register_payload(_StreamerPayload, (streamer, _StreamerCall))
# Many things are async iterable beside what they mainly are.
register_payload(AsyncIterablePayload, AsyncIterable, order=Order.try_last)
