"""What a payload is, and the registry that finds one for an object."""

import asyncio
import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final, TypeVar

from multidict import CIMultiDict

from .. import hdrs
from ..fields.disposition import content_disposition_header
from ..fields.media_type import parse_media_type
from ..typedefs import Byteish
from .writer import AbstractStreamWriter

__all__ = (
    "CHUNK_SIZE",
    "PAYLOAD_REGISTRY",
    "Collector",
    "LookupError",
    "Order",
    "Payload",
    "PayloadRegistry",
    "get_payload",
    "payload_type",
    "register_payload",
    "text_type",
)

CHUNK_SIZE: Final = 256 * 1024
"""Bytes handed to a writer at once, so that large content waits for a slow peer piece by
piece. A file is read this much at a time: a hop to a thread costs about as much as reading
64 KiB from the page cache."""

_PayloadFactory = Callable[..., "Payload"]
_F = TypeVar("_F", bound=_PayloadFactory)
_Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class LookupError(builtins.LookupError):  # aiohttp's name for it
    """No payload is registered for an object's type."""


class Order(Enum):
    """When a registered type is tried, in relation to the others."""

    normal = "normal"
    try_first = "try_first"
    try_last = "try_last"


class Payload(ABC):
    """Content to be sent, made from a Python object.

    Whoever sends a payload owns it: awaits `write`, or `write_with_length`, and `close`
    in the end, whatever became of the writing. `close` may be called again.

    Args:
        value: The object.
        headers: Fields that describe the content; ``Content-Type`` wins over *content_type*.
        content_type: The media type. By default it is guessed from *filename*, or else
            ``application/octet-stream``.
        filename: The name that a receiver may save the content under.
        encoding: The character encoding, for text.
    """

    __slots__ = (
        "__weakref__",
        "_closed",
        "_consumed",
        "_content_type",
        "_encoding",
        "_filename",
        "_headers",
        "_size",
        "_value",
    )

    _default_content_type = "application/octet-stream"
    _autoclose = False

    def __init__(
        self,
        value: Any,
        headers: _Headers | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise TypeError(f"unexpected arguments: {', '.join(sorted(kwargs))}")
        self._value = value
        self._size: int | None = None
        self._encoding = encoding
        self._filename = filename
        self._content_type = content_type
        self._closed = False
        self._consumed = False
        # Made on first use: content alone does not need it.
        self._headers: CIMultiDict[str] | None = None
        if headers is not None:
            self._headers = made = CIMultiDict(headers)
            if hdrs.CONTENT_TYPE not in made:
                made[hdrs.CONTENT_TYPE] = self._find_content_type()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.content_type} size={self.size}>"

    @property
    def value(self) -> Any:
        """The object behind; of payloads that are bytes, the bytes."""
        return self._value

    @property
    def size(self) -> int | None:
        """Size in bytes; ``None`` if it is not known before sending."""
        return self._size

    @property
    def filename(self) -> str | None:
        """The name that a receiver may save the content under."""
        return self._filename

    @property
    def headers(self) -> CIMultiDict[str]:
        """Fields that describe the content; ``Content-Type`` is among them. May be changed."""
        headers = self._headers
        if headers is None:
            headers = self._headers = CIMultiDict()
            headers[hdrs.CONTENT_TYPE] = self._find_content_type()
        return headers

    @property
    def encoding(self) -> str | None:
        """The character encoding, for text."""
        return self._encoding

    @property
    def content_type(self) -> str:
        """The media type, with its parameters."""
        if self._headers is not None and hdrs.CONTENT_TYPE in self._headers:
            return self._headers[hdrs.CONTENT_TYPE]
        return self._find_content_type()

    @property
    def consumed(self) -> bool:
        """Whether the content was taken and cannot be had again."""
        return self._consumed

    @property
    def replayable(self) -> bool:
        """Whether `write` may be called again, after success and failure alike, and writes
        the same content from its beginning: what redirects and retries need to know."""
        return False

    @property
    def autoclose(self) -> bool:
        """Whether there is nothing that `close` would have to release."""
        return self._autoclose

    def set_content_disposition(
        self,
        disptype: str,
        quote_fields: bool = True,
        _charset: str = "utf-8",
        **params: str,
    ) -> None:
        """Set the ``Content-Disposition`` field.

        Args:
            disptype: ``form-data``, ``attachment`` and so on.
            quote_fields: Encode what is not ASCII; otherwise it is sent as it is, as UTF-8.
            params: Parameters such as ``name`` and ``filename``.

        Raises:
            ValueError: A parameter cannot be sent.
        """
        self.headers[hdrs.CONTENT_DISPOSITION] = content_disposition_header(
            disptype, quote_fields=quote_fields, _charset=_charset, params=params
        )

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content as text, without waiting.

        Raises:
            TypeError: The content is not at hand.
        """
        raise TypeError(f"{type(self).__name__} has no content at hand; use as_bytes()")

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return all of the content. It stays in memory where it cannot be had twice.

        Args:
            encoding: For text whose encoding is not fixed yet.
            errors: How to treat what cannot be encoded.
        """
        collected = Collector()
        await self.write(collected)
        return bytes(collected.data)

    @abstractmethod
    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of the content to *writer*; does not end it."""

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write at most *content_length* bytes of the content to *writer*."""
        if content_length is None:
            await self.write(writer)
        else:
            await self.write(_LimitedWriter(writer, content_length))

    async def close(self) -> None:
        """Release what the payload holds. Harmless if called again, or while a read is cut off."""
        self._closed = True

    def _find_content_type(self) -> str:
        if self._content_type is not None:
            return self._content_type
        if self._filename is not None:
            return _guess_type(self._filename) or self._default_content_type
        return self._default_content_type


def _guess_type(filename: str) -> str | None:
    import mimetypes  # the import reads tables of types; few need it

    return mimetypes.guess_type(filename)[0]


def text_type(content_type: str | None, encoding: str | None) -> tuple[str, str]:
    """Return media type and character encoding of text, each from the other where missing."""
    if content_type is None:
        encoding = encoding or "utf-8"
        return f"text/plain; charset={encoding}", encoding
    if encoding is None:
        parsed = parse_media_type(content_type)
        encoding = (parsed and parsed.charset) or "utf-8"
    return content_type, encoding


class Collector(AbstractStreamWriter):
    """Takes content into memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.length = None

    async def write(self, chunk: Byteish) -> None:
        self.data += chunk

    async def write_eof(self, chunk: Byteish = b"") -> None:
        self.data += chunk

    async def drain(self) -> None:
        pass  # nothing ever leaves


class _LimitedWriter(AbstractStreamWriter):
    """Hands a number of bytes on and drops the rest."""

    def __init__(self, writer: AbstractStreamWriter, size: int) -> None:
        self._writer = writer
        self._left = size
        self.length = size

    @property
    def transport(self) -> asyncio.Transport | None:
        return self._writer.transport

    async def write(self, chunk: Byteish) -> None:
        view = memoryview(chunk).cast("B")
        size = min(len(view), self._left)
        if size:
            self._left -= size
            await self._writer.write(view[:size])

    async def write_eof(self, chunk: Byteish = b"") -> None:
        await self.write(chunk)
        await self._writer.write_eof()

    async def drain(self) -> None:
        await self._writer.drain()


class PayloadRegistry:
    """Which payload stands for which type.

    Exact types are found at once. Otherwise the first registered type that an
    object is an instance of decides, in order of registration; what it decides
    is remembered per type.
    """

    __slots__ = ("_found", "_registered")

    def __init__(self) -> None:
        self._registered: dict[Order, list[tuple[_PayloadFactory, Any]]] = {
            order: [] for order in (Order.try_first, Order.normal, Order.try_last)
        }
        self._found: dict[type, _PayloadFactory] = {}

    def get(self, data: Any, *args: Any, **kwargs: Any) -> Payload:
        """Return the payload for *data*; *data* itself if it is one.

        Args:
            data: The object.
            args: For the payload's constructor, as are the keywords.

        Raises:
            LookupError: Nothing is registered for such an object.
        """
        factory = self._found.get(type(data))
        if factory is None:
            if isinstance(data, Payload):
                return data
            factory = self._find(data)
        return factory(data, *args, **kwargs)

    def register(self, factory: _PayloadFactory, type: Any, *, order: Order = Order.normal) -> None:
        """Use *factory* for instances of *type*, a class or a tuple of classes.

        Raises:
            ValueError: *order* is no `Order`.
        """
        if not isinstance(order, Order):
            raise ValueError(f"order is an Order, not {order!r}")
        self._registered[order].append((factory, type))
        self._found.clear()

    def _find(self, data: Any) -> _PayloadFactory:
        kind = type(data)
        for candidates in self._registered.values():
            for exact in (True, False):
                for factory, registered in candidates:
                    if _is(kind, registered) if exact else isinstance(data, registered):
                        self._found[kind] = factory
                        return factory
        raise LookupError(f"no payload is registered for {kind!r}")


def _is(kind: type, registered: Any) -> bool:
    return kind in registered if isinstance(registered, tuple) else kind is registered


PAYLOAD_REGISTRY: Final = PayloadRegistry()
"""The registry that `get_payload` asks."""

get_payload: Final = PAYLOAD_REGISTRY.get


def register_payload(
    factory: _PayloadFactory,
    type: Any,
    *,
    order: Order = Order.normal,
) -> None:
    """Register *factory* for instances of *type* with `PAYLOAD_REGISTRY`."""
    PAYLOAD_REGISTRY.register(factory, type, order=order)


class payload_type:  # aiohttp's name
    """Decorator that registers a `Payload` class for a type.

    Args:
        type: The class, or a tuple of classes.
        order: When it is tried.
    """

    def __init__(self, type: Any, *, order: Order = Order.normal) -> None:
        self.type = type
        self.order = order

    def __call__(self, factory: _F) -> _F:
        register_payload(factory, self.type, order=self.order)
        return factory
