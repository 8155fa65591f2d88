"""Compressing what handlers return, where that is worth it and allowed."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from antiphon.core import hdrs
from antiphon.core.fields.etag import ETag
from antiphon.core.fields.lists import split_list

from ._compression import choose_coding
from .exceptions import HTTPException
from .fileresponse import FileResponse
from .middlewares import middleware
from .request import Request
from .response import Response, StreamResponse
from .typedefs import Handler, Middleware
from .ws import WebSocketResponse

__all__ = ("COMPRESSIBLE", "compression_middleware")

COMPRESSIBLE: Final = (
    "text/",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/wasm",
    "+json",
    "+xml",
)
"""Media types that get smaller. Images, films and archives are compressed already."""

_UNFIT: Final = frozenset((
    HTTPStatus.SWITCHING_PROTOCOLS,
    HTTPStatus.NO_CONTENT,
    HTTPStatus.PARTIAL_CONTENT,
    HTTPStatus.NOT_MODIFIED,
))
"""Without content, or with a part of what another coding would be another part of."""


def compression_middleware(
    *, min_size: int = 1024, content_types: Iterable[str] = COMPRESSIBLE
) -> Middleware:
    """Make a middleware that compresses responses as their clients accept (RFC 9110 section 12.5.3).

    A response whose content has *min_size* bytes, or a size that is not known, is compressed with
    zstd, br, gzip or deflate, as the client prefers and the process can. Left alone are: what is
    encoded already, parts of content, answers to requests for ranges, WebSockets,
    ``Cache-Control: no-transform``, and files, which are better kept compressed beside the original
    (see `FileResponse`). A handler that prepares its response itself calls
    `StreamResponse.enable_compression` itself. An answer to ``HEAD`` says what one to ``GET`` would,
    but for ``Content-Length``, which nobody knows without compressing (RFC 9110 section 8.6).

    ``Vary: Accept-Encoding`` is set wherever another client might get another coding. An ETag
    becomes weak with compression: the bytes are no longer those it stood for. Digests of the plain bytes
    (``Content-Digest`` and its like) are removed.

    Do not use it where responses hold secrets beside text that somebody else may choose: the
    size of the compressed whole tells about the secret (BREACH).

    Args:
        min_size: Bytes; below that the head costs more than is saved.
        content_types: Beginnings (``text/``) or ends (``+json``) of media types.

    Raises:
        ValueError: *min_size* is negative.
    """
    if min_size < 0:
        raise ValueError(f"min_size must be 0 or more, not {min_size!r}")
    wanted = tuple(content_types)
    prefixes = tuple(part for part in wanted if not part.startswith("+"))
    suffixes = tuple(part for part in wanted if part.startswith("+"))

    def compress(request: Request, response: StreamResponse) -> None:
        media_type = response.content_type
        if (
            isinstance(response, (FileResponse, WebSocketResponse))
            or response.prepared
            or response.status in _UNFIT
            or not (media_type.startswith(prefixes) or media_type.endswith(suffixes))
            or _must_stay(response)
            or _is_small(response, min_size)
        ):
            return
        _vary(response)
        if (
            hdrs.RANGE in request.headers
            or choose_coding(request.headers.getall(hdrs.ACCEPT_ENCODING, ())) is None
        ):
            return
        etag = response.etag
        if etag is not None and not etag.is_weak:
            response.etag = ETag(etag.value, is_weak=True)
        response.enable_compression()

    @middleware
    async def compression(request: Request, handler: Handler) -> StreamResponse:
        try:
            response = await handler(request)
        except HTTPException as exc:
            compress(request, exc)
            raise
        if isinstance(response, StreamResponse):  # else the server says what is wrong
            compress(request, response)
        return response

    return compression


def _must_stay(response: StreamResponse) -> bool:
    headers = response.headers
    if hdrs.CONTENT_ENCODING in headers or hdrs.CONTENT_RANGE in headers or response.compression:
        return True
    directives = split_list(", ".join(headers.getall(hdrs.CACHE_CONTROL, ())))
    return any(directive.lower() == "no-transform" for directive in directives)


def _is_small(response: StreamResponse, min_size: int) -> bool:
    if isinstance(response, Response) and response.body is None:
        return True
    size = response.content_length
    return size is not None and size < min_size


def _vary(response: StreamResponse) -> None:
    named = split_list(", ".join(response.headers.getall(hdrs.VARY, ())))
    if not {"*", "accept-encoding"}.intersection(name.lower() for name in named):
        response.headers.add(hdrs.VARY, "Accept-Encoding")
