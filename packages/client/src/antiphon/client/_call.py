"""One call of the user: what was asked for, through all redirects."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, final

from multidict import CIMultiDict

from antiphon.core import hdrs
from antiphon.core.aio.payload import JsonBytesPayload, JsonPayload, Payload
from antiphon.core.fields.basic_auth import BasicAuth, encode_basic_auth

from . import _cookies
from ._send import close_content, follow
from ._target import Target, with_params
from .connector.proxy import check_proxy_url
from .environment import proxy_from_environment
from .errors import Failure, NonHttpUrlClientError, ServerTimeoutError
from .middlewares import ClientHandlerType, wrap
from .options import RequestOptions
from .redirects import same_origin
from .tracing import Trace

if TYPE_CHECKING:
    from .request import ClientRequest
    from .response import ClientResponse
    from .session import ClientSession

__all__ = ("Call",)


@final
class Call:
    """What the user asked for, and what is still true of it after redirects.

    Args:
        session: Whose call it is.
        options: Session defaults and arguments, merged.
        deadline: Loop time by which the response must have been read, if there is one.
    """

    __slots__ = ("cross_origin", "deadline", "headers", "options", "session", "traces")

    def __init__(
        self,
        session: "ClientSession",
        options: RequestOptions,
        deadline: float | None,
    ) -> None:
        self.session = session
        self.options = options
        self.traces: tuple[Trace, ...] = ()
        """Who observes."""
        self.deadline = deadline
        self.headers: CIMultiDict[str] | None = None
        """Fields of the session and the call that the next request carries; ``None`` for
        the session's own, unchanged."""
        self.cross_origin = False
        """Whether a redirect has led to another origin: for the rest of the call the
        user's credentials stay behind, also if a later one leads back (CVE-2024-45336)."""

    async def perform(self, request: "ClientRequest", send: ClientHandlerType) -> "ClientResponse":
        """Send *request*, follow redirects, and see to it that content is closed."""
        tracker = self.options.upload_tracker
        if tracker is not None:
            tracker.bind()
        flights = self.session.flights
        response: ClientResponse | None = None
        try:
            if self.session.trust_env:
                await self.apply_netrc(request)
            response = await send(request)
            if response.status >= 300:
                response = await self.judged(request, response, send)
            return response
        finally:
            payload = request.payload
            if tracker is not None or (payload is not None and not payload.autoclose):
                await close_content(request, response, flights)

    async def judged(
        self, request: "ClientRequest", response: "ClientResponse", send: ClientHandlerType
    ) -> "ClientResponse":
        """Follow redirects, and raise for an error status if that is wanted."""
        options = self.options
        if options.allow_redirects:
            response = await follow(self, request, response, send)
        if response.status >= 400 and options.raise_for_status is True:
            await response.checked()
        return response

    async def observed(
        self, method: str, target: Target, send: ClientHandlerType
    ) -> "ClientResponse":
        """Make a request that the user's own functions take part in: they count as its time."""
        limit = asyncio.timeout_at(self.deadline)
        try:
            async with limit:
                return await self._traced(method, target, send)
        except TimeoutError as exc:
            if not limit.expired() or isinstance(exc, ServerTimeoutError):
                raise
            failure = Failure(phase="total", resend_safe=False)
            error = ServerTimeoutError(
                f"Timeout on total={self.options.timeout.total} s, middlewares and callbacks "
                f"included ({failure})"
            )
            error.failure = failure
            raise error from exc

    async def _traced(
        self, method: str, target: Target, send: ClientHandlerType
    ) -> "ClientResponse":
        session = self.session
        options = self.options
        self.traces = traces = tuple(
            Trace(session, config, config.trace_config_ctx(options.trace_request_ctx))
            for config in session.trace_configs
        )
        headers = session.headers_with(options.headers)
        method = method.upper()
        for trace in traces:
            await trace.send_request_start(method, target.url, headers)
        try:
            request = self.first_request(method, target)
            response = await self.perform(request, wrap(send, options.middlewares))
            if callable(options.raise_for_status):
                await _judge(response, options.raise_for_status)
        except BaseException as exc:
            for trace in traces:
                await trace.send_request_exception(method, target.url, headers, exc)
            raise
        for trace in traces:
            await trace.send_request_end(response.method, response.url, headers, response)
        return response

    # -- requests

    def first_request(self, method: str, target: Target) -> "ClientRequest":
        """Return the request that the user asked for."""
        options = self.options
        if options.params:
            target = with_params(target, options.params)
        if options.headers is not None:
            self.headers = self.session.headers_with(options.headers)
        return self._request(method, target, self._content())

    async def next_request(
        self, method: str, target: Target, payload: Payload | None
    ) -> "ClientRequest":
        """Return the request that a redirect asks for."""
        request = self._request(method, target, payload)
        request.cross_origin = self.cross_origin
        if self.session.trust_env:
            await self.apply_netrc(request, redirected=True)
        return request

    def carried_headers(self) -> CIMultiDict[str]:
        """Return the fields of the session and the call, without what is added by itself."""
        return CIMultiDict(self.session.headers) if self.headers is None else self.headers

    def _content(self) -> Any:
        options = self.options
        if options.json is None:
            return options.data
        if options.data is not None:
            raise ValueError("data and json parameters can not be used at the same time")
        session = self.session
        if session.json_serialize_bytes is not None:
            return JsonBytesPayload(options.json, dumps=session.json_serialize_bytes)
        return JsonPayload(options.json, dumps=session.json_serialize)

    def _request(self, method: str, target: Target, data: Any) -> "ClientRequest":
        session = self.session
        if target.scheme not in session.allowed_schemes:
            raise NonHttpUrlClientError(target.real_url)
        options = self.options
        headers = self.headers
        complete = headers is None and options.skip_auto_headers is None
        if complete:
            headers = session.complete_headers()
            complete = headers is not None
        if headers is None:
            headers = session.headers
        proxy = options.proxy
        if proxy is None and session.trust_env and self._may_use_proxies():
            proxy = proxy_from_environment(target)
        if proxy is not None:
            check_proxy_url(proxy)  # before anything is waited for
        request = session.request_class(
            method,
            target.url,
            headers=headers,
            skip_auto_headers=None if complete else session.skipped(options.skip_auto_headers),
            data=data,
            auth=self._auth_for(target, headers),
            version=session.version,
            compress=options.compress,
            chunked=options.chunked,
            expect100=options.expect100,
            loop=asyncio.get_running_loop(),
            proxy=proxy,
            proxy_auth=options.proxy_auth,
            session=session,
            ssl=options.ssl,
            proxy_headers=options.proxy_headers,
            server_hostname=options.server_hostname,
            traces=self.traces,
            _target=target,
            _options=options,
            _complete_headers=complete,
        )
        request.deadline = self.deadline
        if options.middlewares:
            request.headers.setdefault(hdrs.HOST, target.authority)  # some sign it
        kept = session.cookie_jar.header_for(target.url)
        if kept or options.cookies:
            self._add_cookies(request, kept)
        return request

    def _may_use_proxies(self) -> bool:
        connector = self.session.connector
        return connector is None or connector.uses_proxies

    def _auth_for(self, target: Target, headers: CIMultiDict[str]) -> BasicAuth | None:
        if self.cross_origin:
            return None
        if self.options.auth is not None:
            return self.options.auth
        session = self.session
        if session.auth is None or target.login is not None or hdrs.AUTHORIZATION in headers:
            return None
        # What was given for the base URL is not for other sites.
        base = session.base_target
        return session.auth if base is None or same_origin(base, target) else None

    def _add_cookies(self, request: "ClientRequest", kept: str) -> None:
        own = None if self.cross_origin else self.options.cookies
        headers = request.headers
        present = "; ".join(
            (kept, *headers.popall(hdrs.COOKIE, ())) if kept else headers.popall(hdrs.COOKIE, ())
        )
        if own:
            quote = getattr(self.session.cookie_jar, "quote_cookie", True)
            present = _cookies.merged(present, own, quote=quote)
        if present:
            headers[hdrs.COOKIE] = present

    async def apply_netrc(self, request: "ClientRequest", *, redirected: bool = False) -> None:
        """Take user and password from the user's ``.netrc``, if nothing else gives them."""
        if hdrs.AUTHORIZATION in request.headers or (redirected and self.cross_origin):
            return
        found = await self.session.netrc.login_for(request.target.host, redirected=redirected)
        if found is not None:
            value = encode_basic_auth(found.login, found.password, "utf-8")
            request.headers[hdrs.AUTHORIZATION] = value


async def _judge(
    response: "ClientResponse", judge: "Callable[[ClientResponse], Awaitable[None]]"
) -> None:
    try:
        await judge(response)
    except BaseException:
        response.close()
        raise
