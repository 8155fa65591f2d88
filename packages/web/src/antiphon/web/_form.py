"""Forms: what `BaseRequest.post` gives, and the limits on it."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import IO, TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import unquote_plus

from multidict import CIMultiDictProxy, MultiDict

from antiphon.core import hdrs
from antiphon.core.aio.multipart import BodyPartReader, MultipartReader
from antiphon.core.errors import HttpProcessingError, quoted
from antiphon.core.fields.charset import find_charset
from antiphon.core.limits import MultipartLimits

from ._bad_content import refused
from .exceptions import HTTPBadRequest, HTTPRequestEntityTooLarge

if TYPE_CHECKING:
    from .request import BaseRequest

__all__ = ("FileField", "parse_pairs", "read_form")

_T = TypeVar("_T")

_SPOOL_SIZE: Final = 1024**2
"""Bytes of an uploaded file that are kept in memory; the rest goes to a temporary file."""

_CHUNK_SIZE: Final = 64 * 1024
"""Bytes of a part that are read at a time."""

_MANY_FIELDS: Final = MultipartLimits(max_fields=sys.maxsize)

_URLENCODED: Final = "application/x-www-form-urlencoded"


class FileField(NamedTuple):
    """A file that came with a form."""

    name: str
    """The form field."""
    filename: str
    """As the client says; not to be trusted as a path."""
    file: IO[bytes]
    """The content, at its beginning. Blocks like any file once it is on the disk."""
    content_type: str
    """As the client says."""
    headers: CIMultiDictProxy[str]
    """The header section of the part."""


def parse_pairs(text: str, max_pairs: int, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """Parse ``a=b&c=d``, the query and urlencoded content of forms.

    Args:
        text: Percent-encoded pairs; empty ones count for nothing, a missing ``=`` means empty.
        max_pairs: Limit on them; 0 for none.
        encoding: What the percent-encoded bytes are in. Undecodable ones become U+FFFD.

    Raises:
        HTTPBadRequest: There are more. CVE-2026-54283: checked before anything is decoded.
    """
    if not text:
        return []
    if max_pairs and text.count("&") >= max_pairs:
        raise HTTPBadRequest(text=f"More than {max_pairs} pairs in a query or form")
    pairs = []
    for member in text.split("&"):
        if member:
            name, _, value = member.partition("=")
            pairs.append((_decoded(name, encoding), _decoded(value, encoding)))
    return pairs


def _decoded(text: str, encoding: str) -> str:
    if "%" in text or "+" in text:
        return unquote_plus(text, encoding, "replace")
    return text


async def read_form(request: "BaseRequest") -> "MultiDict[str | bytes | FileField]":
    """Read the form that *request* carries; empty if it carries none."""
    form: MultiDict[str | bytes | FileField] = MultiDict()
    if request.method not in request.POST_METHODS:
        return form
    content_type = request.content_type
    if content_type == "multipart/form-data":
        await _read_multipart(request, form)
    elif content_type == _URLENCODED or hdrs.CONTENT_TYPE not in request.headers:
        form.extend(await _read_urlencoded(request))
    return form


async def _read_urlencoded(request: "BaseRequest") -> list[tuple[str, str]]:
    body = await request.read()
    if not body:
        return []
    charset = request.charset or "utf-8"
    codec = find_charset(charset)
    if codec is None:
        raise HTTPBadRequest(text=f"Unknown charset {quoted(charset)}")
    # Content should be ASCII; bytes sent as they are count as what the charset makes of them.
    text = body.rstrip().decode(codec, "replace")
    limit = request.client_max_fields
    if limit and text.count("&") >= limit:
        raise HTTPRequestEntityTooLarge(limit, text=f"More than {limit} fields in a form")
    return parse_pairs(text, limit, codec)


def multipart_reader(request: "BaseRequest") -> MultipartReader:
    """Return a reader of the parts of *request*.

    Raises:
        HTTPBadRequest: The content is not multipart.
    """
    if not request.content_type.startswith("multipart/"):
        raise HTTPBadRequest(text=f"Not multipart: {quoted(request.content_type)}")
    max_fields = request.client_max_fields
    try:
        return MultipartReader(
            request.headers,
            request.content,
            client_max_size=request.client_max_size or sys.maxsize,
            max_size_error_cls=HTTPRequestEntityTooLarge,
            limits=MultipartLimits(max_fields=max_fields) if max_fields else _MANY_FIELDS,
        )
    except HttpProcessingError as exc:
        raise refused(exc) from exc


async def _read_multipart(
    request: "BaseRequest", form: "MultiDict[str | bytes | FileField]"
) -> None:
    budget = _Budget(request.client_max_size)
    reader = multipart_reader(request)
    try:
        while (part := await reader.next()) is not None:
            if not isinstance(part, BodyPartReader):
                raise HTTPBadRequest(text="A form has no multipart in its parts")
            if part.name is None:
                raise HTTPBadRequest(text="A part of a form has no name")
            form.add(part.name, await _read_part(part, part.name, budget))
    except BaseException as exc:
        for value in form.values():
            if isinstance(value, FileField):
                value.file.close()
        if isinstance(exc, HttpProcessingError):
            raise refused(exc) from exc
        raise


class _Budget:
    """Bytes of a form that may still come."""

    __slots__ = ("_limit", "_spent")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._spent = 0

    def spend(self, size: int) -> None:
        """Take *size* bytes off.

        Raises:
            HTTPRequestEntityTooLarge: There are not so many left.
        """
        self._spent += size
        if self._limit and self._spent > self._limit:
            raise HTTPRequestEntityTooLarge(self._limit, self._spent)


async def _read_part(part: BodyPartReader, name: str, budget: _Budget) -> "str | bytes | FileField":
    if part.filename is not None:
        return await _read_file(part, name, part.filename, budget)
    data = bytearray()
    async for chunk in _decoded_chunks(part):
        budget.spend(len(chunk))
        data += chunk
    content_type = part.headers.get(hdrs.CONTENT_TYPE)
    if content_type is not None and not content_type.lower().startswith("text/"):
        return bytes(data)
    charset = part.get_charset(default="utf-8")
    codec = find_charset(charset)
    if codec is None:
        raise HTTPBadRequest(text=f"Unknown charset {quoted(charset)} in a part of a form")
    try:
        return data.decode(codec)
    except UnicodeDecodeError as exc:
        raise HTTPBadRequest(text=f"A part of the form is not in {codec}") from exc


async def _decoded_chunks(part: BodyPartReader) -> AsyncIterator[bytes | bytearray]:
    while chunk := await part.read_chunk(_CHUNK_SIZE):
        async for decoded in part.decode_iter(chunk):
            yield decoded


async def _read_file(part: BodyPartReader, name: str, filename: str, budget: _Budget) -> FileField:
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL_SIZE)  # noqa: SIM115  # the user's to close
    size = 0
    try:
        async for chunk in _decoded_chunks(part):
            budget.spend(len(chunk))
            size += len(chunk)
            if size <= _SPOOL_SIZE:
                file.write(chunk)
            else:
                # CVE-2025-54121: also the write that rolls over to the disk is off the loop.
                await _off_loop(file.write, chunk)
        if size > _SPOOL_SIZE:
            await _off_loop(file.seek, 0)
        else:
            file.seek(0)
    except BaseException:
        file.close()
        raise
    content_type = part.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream")
    return FileField(name, filename, file, content_type, part.headers)


async def _off_loop(call: Callable[..., _T], *args: object) -> _T:
    return await asyncio.get_running_loop().run_in_executor(None, call, *args)
