"""Multipart bodies over streams: readers here, `MultipartWriter` in `.multipart_writer`.

A reader hands out one part at a time, and a part its content as it comes; what
was not read of a part is skipped when the next one is asked for. Malformed
bodies end in `BadMultipart`, which is a `ValueError` as well.
"""

import inspect
import sys
from collections.abc import Mapping
from typing import Any, Final

import attrs
from multidict import CIMultiDict, CIMultiDictProxy

from .. import hdrs
from ..limits import MultipartLimits
from ..multipart import (
    END,
    BadMultipart,
    MultipartScanner,
    MultipartTooLarge,
    PartCounts,
    PartHead,
    find_boundary,
)
from ._part_coding import transfer_encoding
from .body_part import BodyPartReader, BodyPartReaderPayload, PartContent, Source, next_event
from .multipart_writer import MultipartWriter
from .streams import StreamReader

__all__ = (
    "BadMultipart",
    "BodyPartReader",
    "BodyPartReaderPayload",
    "MultipartReader",
    "MultipartResponseWrapper",
    "MultipartTooLarge",
    "MultipartWriter",
)

_NO_LIMITS: Final = MultipartLimits()
_MAX_CHARSET_NAME: Final = 31


class MultipartResponseWrapper:
    """A reader together with the response it reads, which is released at the end.

    Args:
        resp: The response.
        stream: The reader.
    """

    def __init__(self, resp: Any, stream: "MultipartReader") -> None:
        self.resp = resp
        self.stream = stream

    def __aiter__(self) -> "MultipartResponseWrapper":
        return self

    async def __anext__(self) -> "MultipartReader | BodyPartReader":
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    def at_eof(self) -> bool:
        """Whether all of the response was read."""
        return bool(self.resp.content.at_eof())

    async def next(self) -> "MultipartReader | BodyPartReader | None":
        """Return the next part; ``None``, and the response released, if there is none."""
        part = await self.stream.next()
        if self.stream.at_eof():
            await self.release()
        return part

    async def release(self) -> None:
        """Release the response."""
        released = self.resp.release()
        if inspect.isawaitable(released):
            await released


class MultipartReader:
    """The parts of a multipart body, one after another.

    Args:
        headers: The header section that says the body is multipart.
        content: The body.
        client_max_size: Bytes that a part may have when it is taken as a whole.
        max_field_size: Bytes of a part's header section; 8 KiB by default.
        max_headers: Header fields of a part; 16 by default.
        max_size_error_cls: What is raised beyond *client_max_size*, called with the limit.
        limits: All limits on the body's form at once; the two above count more.

    Raises:
        BadMultipart: The header section does not say so, or has no boundary.
    """

    response_wrapper_cls: type[MultipartResponseWrapper] = MultipartResponseWrapper
    multipart_reader_cls: "type[MultipartReader] | None" = None
    """What reads a multipart body inside of this one; the own class by default."""
    part_reader_cls: type[BodyPartReader] = BodyPartReader
    """What reads any other part."""

    def __init__(
        self,
        headers: Mapping[str, str],
        content: StreamReader,
        *,
        client_max_size: int = sys.maxsize,
        max_field_size: int | None = None,
        max_headers: int | None = None,
        max_size_error_cls: type[Exception] = ValueError,
        limits: MultipartLimits | None = None,
    ) -> None:
        self.headers = headers
        media_type, boundary = find_boundary(_content_type(headers))
        self._subtype = media_type.subtype
        self._boundary = boundary
        self._client_max_size = client_max_size
        self._max_size_error_cls = max_size_error_cls
        self._source: Source = content
        self._depth = 1
        self._default_charset: str | None = None
        self._part: PartContent | None = None
        self._began = False
        self._at_eof = False
        limits = limits or _NO_LIMITS
        if max_field_size is not None:
            limits = attrs.evolve(limits, max_part_header_size=max_field_size)
        if max_headers is not None:
            limits = attrs.evolve(limits, max_part_headers=max_headers)
        self._scanner = MultipartScanner(boundary, limits, counts=_counts_of(content))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} multipart/{self._subtype}>"

    def __aiter__(self) -> "MultipartReader":
        return self

    async def __anext__(self) -> "MultipartReader | BodyPartReader":
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    @classmethod
    def from_response(cls, response: Any) -> MultipartResponseWrapper:
        """Return a reader of a client's response that releases it at the end."""
        return cls.response_wrapper_cls(response, cls(response.headers, response.content))

    def at_eof(self) -> bool:
        """Whether there are no more parts."""
        return self._at_eof

    async def next(self) -> "MultipartReader | BodyPartReader | None":
        """Return the next part, ``None`` if there is none. Skips what is left of the last one.

        A field ``_charset_`` at the beginning of a form is no part but the charset of those
        that name none (RFC 7578 section 4.6).

        Raises:
            BadMultipart: The body is malformed; `MultipartTooLarge`, if a limit is broken.
        """
        began, self._began = self._began, True
        part = await self.fetch_next_part()
        if (
            not began
            and self._subtype == "form-data"
            and isinstance(part, BodyPartReader)
            and part.name == "_charset_"
        ):
            self._default_charset = await _read_charset(part)
            part = await self.fetch_next_part()
        return part

    async def release(self) -> None:
        """Skip all parts there are."""
        while not self._at_eof:
            await self.fetch_next_part()

    async def fetch_next_part(self) -> "MultipartReader | BodyPartReader | None":
        """Return the next part, whatever its name is."""
        if self._at_eof:
            return None
        if self._part is not None:
            await self._part.skip()
        event = await next_event(self._scanner, self._source)
        if event is END:
            self._at_eof = True
            return None
        assert isinstance(event, PartHead)
        self._part = part = PartContent(self._source, self._scanner, event)
        if event.headers.get(hdrs.CONTENT_TYPE, "").lstrip(" \t").lower().startswith("multipart/"):
            return self._nested_reader(part)
        return self.part_reader_cls(
            b"--" + self._boundary,
            event.headers,
            part,  # type: ignore[arg-type]  # what a part reads of a stream; see _content_of
            subtype=self._subtype,
            default_charset=self._default_charset,
            client_max_size=self._client_max_size,
            max_size_error_cls=self._max_size_error_cls,
        )

    def _nested_reader(self, part: PartContent) -> "MultipartReader":
        limits = self._scanner.limits
        if self._depth >= limits.max_nesting:
            raise MultipartTooLarge(f"More than {limits.max_nesting} multipart bodies in another")
        if transfer_encoding(part.head.headers) is not None:
            # RFC 2045 section 6.4: nested encodings are not allowed.
            raise BadMultipart("a multipart body in another must not be encoded")
        reader_class = self.multipart_reader_cls or type(self)
        reader = reader_class(
            part.head.headers,
            part,  # type: ignore[arg-type]  # only its read() is used
            client_max_size=self._client_max_size,
            max_size_error_cls=self._max_size_error_cls,
            limits=limits,
        )
        reader._depth = self._depth + 1
        return reader


def _content_type(headers: Mapping[str, str]) -> str:
    content_type = headers.get(hdrs.CONTENT_TYPE)
    if content_type is None and not isinstance(headers, (CIMultiDict, CIMultiDictProxy)):
        content_type = CIMultiDict(headers).get(hdrs.CONTENT_TYPE)
    if content_type is None:
        raise BadMultipart("multipart/* content type expected, but there is none")
    return content_type


async def _read_charset(part: BodyPartReader) -> str:
    name = b""
    while chunk := await part.read_chunk(_MAX_CHARSET_NAME + 1):
        name += chunk
        if len(name) > _MAX_CHARSET_NAME:
            raise BadMultipart("Invalid default charset")
    try:
        return name.strip().decode("ascii")
    except UnicodeDecodeError as exc:
        raise BadMultipart("Invalid default charset") from exc


def _counts_of(content: object) -> PartCounts | None:
    return content.counts if isinstance(content, PartContent) else None
