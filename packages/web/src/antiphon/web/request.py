"""A view over one exchange: what a handler sees of a request.

Nothing is parsed, copied or decoded before it is asked for.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from multidict import CIMultiDict, CIMultiDictProxy, MultiDictProxy
from yarl import URL

from antiphon.core import hdrs
from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.streams import StreamReader
from antiphon.core.deprecations import deprecated, warn_deprecated
from antiphon.core.errors import PayloadEncodingError, quoted
from antiphon.core.fields.charset import find_charset
from antiphon.core.http import EMPTY, Length, RawRequestMessage
from antiphon.core.typedefs import LooseHeaders, StrOrURL

from ._faults import peer_fault
from ._items import ItemKey, Items
from ._request_head import RequestHeadView, bad_request

if TYPE_CHECKING:
    from antiphon.core.aio.multipart import MultipartReader
    from antiphon.core.aio.writer import AbstractStreamWriter

    from ._form import FileField
    from ._signals import Signal
    from .app import Application
    from .handler import RequestHandler
    from .keys import ChainMapProxy
    from .response import StreamResponse
    from .routing._compose import Binding
    from .routing.match_info import UrlMappingMatchInfo

__all__ = ("BaseRequest", "Request")

DEFAULT_MAX_SIZE: Final = 1024**2
"""Bytes of content that `BaseRequest.read` and what stands on it will gather."""


class BaseRequest(RequestHeadView, Items):
    """A request as a bare handler (`antiphon.web.Server`) gets it.

    Args:
        message: The exchange that is to be viewed; or, with the other positional arguments, the
            head of a request (which is what aiohttp's signature asks for).
        payload: The content; only where *message* is a head.
        protocol: The connection; likewise.
        payload_writer: Where the response is written; likewise.
        task: The task that serves the request; likewise.
        loop: Accepted and not needed.
        client_max_size: Limit in bytes on content that is gathered; 0 for none.
        client_max_fields: Limit on pairs of a form and of a query.
        state: Items to start with; shared, not copied.
        scheme: Instead of what the connection says.
        host: Instead of what the request says.
        remote: Instead of the peer's address.

    Items (``request["key"]``) are there for middlewares and handlers to talk to each other.
    """

    POST_METHODS: Final = frozenset((
        hdrs.METH_PATCH,
        hdrs.METH_POST,
        hdrs.METH_PUT,
        hdrs.METH_TRACE,
        hdrs.METH_DELETE,
    ))

    ATTRS: ClassVar[frozenset[str]] = frozenset()
    """Kept for its name: attributes of one's own are welcome here."""

    # Defaults of the class cost nothing per request; most requests are asked for little.
    _client_max_size = DEFAULT_MAX_SIZE
    _match_info: Any = None  # an AbstractMatchInfo; only Request knows of matches
    # What the path led to, where that says it all: most handlers have no use for a match.
    _binding: "Binding | None" = None
    _prepare_signals: "Sequence[Signal[Any, Any]]" = ()
    _request_handler: "RequestHandler | None" = None
    _origin: "BaseRequest | None" = None
    _begun: "StreamResponse | None" = None
    """The response whose head was handed over; on the request that the server made."""
    _cut = False
    """Whether the response did not come to its end; for the access log."""
    _read_bytes: bytes | None = None
    _post: "MultiDictProxy[str | bytes | FileField] | None" = None
    _forms: "list[MultiDictProxy[str | bytes | FileField]] | None" = None
    """What is to be closed in the end; on the request that the server made."""

    def __init__(
        self,
        message: "ServerExchange | RawRequestMessage",
        payload: StreamReader | None = None,
        protocol: Any = None,
        payload_writer: "AbstractStreamWriter | None" = None,
        task: "asyncio.Task[None] | None" = None,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        client_max_size: int | None = None,
        client_max_fields: int | None = None,
        state: dict[ItemKey, Any] | None = None,
        scheme: str | None = None,
        host: str | None = None,
        remote: str | None = None,
    ) -> None:
        if payload is not None:
            from ._parts import PartsExchange

            message = PartsExchange(
                cast("RawRequestMessage", message), payload, protocol, payload_writer, task
            )
        exchange = cast("ServerExchange", message)
        self._exchange = exchange
        self._head = exchange.head
        if client_max_size is not None:
            self._client_max_size = client_max_size
        if client_max_fields is not None:
            self._client_max_fields = client_max_fields
        if state is not None:
            self._state = state
        if scheme is not None:
            self._scheme = scheme
        if host is not None:
            self._host = host
        if remote is not None:
            self._remote = remote

    def clone(
        self,
        *,
        method: str | None = None,
        rel_url: StrOrURL | None = None,
        headers: LooseHeaders | None = None,
        scheme: str | None = None,
        host: str | None = None,
        remote: str | None = None,
        client_max_size: int | None = None,
        client_max_fields: int | None = None,
    ) -> "BaseRequest":
        """Return a view of the same exchange with some things said otherwise.

        Content and items are shared with the original.

        Raises:
            RuntimeError: The content was read already.
        """
        if self._read_bytes is not None:
            raise RuntimeError("Cannot clone request after reading its content")
        if self._state is None:
            self._state = {}
        if self._match_info is None and self._binding is not None:
            self._match_info = self._binding.match()  # both have the same one
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._post = None
        other._origin = self._origin or self
        if method is not None:
            other._method = method
        if rel_url is not None:
            other._rel_url = URL(rel_url)
            other._query = None
        if headers is not None:
            other._headers = CIMultiDictProxy(CIMultiDict(headers))
            other._cookies = None
        if scheme is not None:
            other._scheme = scheme
        if host is not None:
            other._host = host
        if remote is not None:
            other._remote = remote
        if client_max_size is not None:
            other._client_max_size = client_max_size
        if client_max_fields is not None:
            other._client_max_fields = client_max_fields
        return other

    def _note_begun(self, response: "StreamResponse") -> None:
        """Remember what was begun, for who has to deal with a failure, on clones as well."""
        (self._origin or self)._begun = response

    # --- content

    @property
    def client_max_size(self) -> int:
        """Limit in bytes on content that is gathered; 0 for none."""
        return self._client_max_size

    @property
    def client_max_fields(self) -> int:
        """Limit on pairs of a form and of a query."""
        return self._client_max_fields

    @property
    def content(self) -> StreamReader:
        """The content as a stream, content codings undone."""
        return self._exchange.content

    @property
    def body_exists(self) -> bool:
        """Whether the request has content, read or not."""
        return self._head.framing is not EMPTY

    @property
    def can_read_body(self) -> bool:
        """Whether there is content that was not read yet."""
        return not self._exchange.content.at_eof()

    @property
    @deprecated("Use BaseRequest.can_read_body (ANT-0014)")
    def has_body(self) -> bool:
        """The same as `can_read_body`; obsolete."""
        warn_deprecated("ANT-0014")
        return self.can_read_body

    @property
    def trailers(self) -> CIMultiDictProxy[str] | None:
        """The fields after the content, once that was read to its end; ``None`` without any."""
        return self._exchange.trailers

    async def read(self) -> bytes:
        """Return the whole content; keeps it, so that it can be asked for again.

        Raises:
            HTTPRequestEntityTooLarge: It is larger than `client_max_size`; raised as soon as
                that is known, from what was announced or from what came so far.
            PayloadEncodingError: The peer broke framing or coding; also an `HTTPBadRequest`.
            ConnectionError: The peer is gone.
        """
        body = self._read_bytes
        if body is None:
            if self._head.framing is EMPTY:
                body = b""
            else:
                body = await self._gather()
            self._read_bytes = body
        return body

    async def _gather(self) -> bytes:
        limit = self._client_max_size
        framing = self._head.framing
        if limit and isinstance(framing, Length) and framing.size > limit:
            self._exchange.decline_body()
            raise _too_large(limit, framing.size)
        content = self._exchange.content
        chunks = []
        size = 0
        try:
            while chunk := await content.readany():
                size += len(chunk)
                if limit and size > limit:
                    raise _too_large(limit, size)
                chunks.append(chunk)
        except PayloadEncodingError as exc:
            from ._bad_content import refused

            raise refused(exc) from exc
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def text(self) -> str:
        """Return the whole content as text, by the charset of ``Content-Type``, else UTF-8.

        Raises:
            UnicodeDecodeError: The content is not in that charset; also an `HTTPBadRequest`.
            HTTPBadRequest: There is no such charset.

        And whatever `read` raises.
        """
        body = await self.read()
        charset = self.charset
        if charset is None:
            codec = "utf-8"
        else:
            found = find_charset(charset)
            if found is None:
                raise bad_request(f"Unknown charset {quoted(charset)}")
            codec = found
        try:
            return body.decode(codec)
        except UnicodeDecodeError as exc:
            from ._bad_content import BadText

            raise peer_fault(BadText(exc)) from exc

    async def json(self, *, loads: Callable[[str], Any] = json.loads) -> Any:
        """Return the whole content parsed by *loads*.

        Raises:
            ValueError: The content is not JSON. A `json.JSONDecodeError` is also an
                `HTTPBadRequest`; what else *loads* raises stays as it is, and is answered with
                400 if nobody handles it.
            RecursionError: It is nested too deeply. 400 if nobody handles it.

        And whatever `text` raises.
        """
        text = await self.text()
        try:
            return loads(text)
        except json.JSONDecodeError as exc:
            from ._bad_content import BadJSON

            if type(exc) is not json.JSONDecodeError:
                peer_fault(exc)
                raise  # of another library, which may say more
            raise peer_fault(BadJSON(exc)) from exc
        except (ValueError, RecursionError) as exc:
            peer_fault(exc)
            raise

    async def multipart(self) -> "MultipartReader":
        """Return a reader of the parts of multipart content, under the limits of the request.

        Raises:
            HTTPBadRequest: The content is not multipart.
        """
        from ._form import multipart_reader

        return multipart_reader(self)

    async def post(self) -> "MultiDictProxy[str | bytes | FileField]":
        """Return the fields of the form that was sent; keeps them.

        Files go to temporary files and come as `FileField`. A request of another method
        than `POST_METHODS`, or with content that is no form, gives an empty mapping.

        Raises:
            HTTPRequestEntityTooLarge: More than `client_max_size` bytes or too many fields.
            HTTPBadRequest: The form is malformed; a `ValueError` as well if its parts are.
        """
        if self._post is None:
            from ._form import read_form

            self._post = form = MultiDictProxy(await read_form(self))
            origin = self._origin or self
            if origin._forms is None:
                origin._forms = []
            origin._forms.append(form)
        return self._post

    def _close_forms(self) -> None:
        """Close the files that came with forms, read here or by clones: the request is over."""
        from ._form import FileField

        for form in self._forms or ():
            for value in form.values():
                if isinstance(value, FileField):
                    value.file.close()

    async def release(self) -> None:
        """Read what is left of the content and forget it."""
        content = self._exchange.content
        while not content.at_eof():
            await content.readany()

    # --- the peer

    async def disconnected(self) -> None:
        """Wait until the peer is gone. Returns at once if it is.

        A peer that has ended its side of the connection counts as gone, although it may still read:
        that cannot be known before something is written to it.

        ::

            work = asyncio.create_task(expensive())
            gone = asyncio.create_task(request.disconnected())
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        """
        exchange = self._exchange
        if exchange.closed:
            return
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_disconnect() -> None:
            if not gone.done():
                gone.set_result(None)

        exchange.add_disconnect_callback(on_disconnect)
        try:
            await gone
        finally:
            exchange.remove_disconnect_callback(on_disconnect)

    async def send_informational(self, status: int, headers: LooseHeaders | None = None) -> None:
        """Send an informational response before the final one, such as 103 (RFC 8297).

        Args:
            status: 100 to 199, but not 101.
            headers: Fields of it, such as ``Link`` with ``rel=preload``.

        Raises:
            ValueError: *status* is another one, or a field contains bytes that are not allowed.
            LocalProtocolError: The final response has begun.
        """
        if not 100 <= status <= 199 or status == 101:
            raise ValueError(f"{status} is not the status of an informational response")
        fields = CIMultiDict(headers) if headers is not None else CIMultiDict[str]()
        self._exchange.send_informational(status, fields)
        await self._exchange.drain()

    def __repr__(self) -> str:
        # The target is the peer's: escaped, and not without end (CVE-2020-7694).
        return (
            f"<{type(self).__name__} {quoted(self.method)[1:-1]} {quoted(self._head.path)[1:-1]}>"
        )


class Request(BaseRequest):
    """A request as a handler of an `Application` gets it."""

    @property
    def match_info(self) -> "UrlMappingMatchInfo":
        """What the router found: the variable parts of the path, the route, the applications."""
        match_info: UrlMappingMatchInfo | None = self._match_info
        if match_info is None:
            if self._binding is None:
                raise RuntimeError("The request was not routed")
            match_info = self._match_info = self._binding.match()
        return match_info

    @property
    def app(self) -> "Application":
        """The application (or nested one) whose handler or middleware is running."""
        return self.match_info.current_app

    @property
    def config_dict(self) -> "ChainMapProxy":
        """Items of `app` and of all applications around it, innermost first."""
        from .keys import ChainMapProxy

        match_info = self.match_info
        apps = match_info.apps
        index = apps.index(match_info.current_app)
        return ChainMapProxy(list(reversed(apps[: index + 1])))


def _too_large(limit: int, size: int) -> Exception:
    from .exceptions import HTTPRequestEntityTooLarge

    return HTTPRequestEntityTooLarge(max_size=limit, actual_size=size)
