"""One exchange through a handler or an application: dispatch, errors, log.

Who answers what goes wrong::

    exchange.error       the bytes were no request   its status, DEBUG
    HTTPException        raised by anybody           the exception is the response
    is_peer_fault(exc)   content is not what it says 400, DEBUG
    HttpProcessingError  content broke its framing   its status, DEBUG
    ConnectionError      while the peer is gone      nobody, DEBUG
    TimeoutError         out of the handler          504, DEBUG
    any other Exception  the handler is broken       500, ERROR with traceback
    CancelledError       stop, or the peer is gone   passed on: the connection aborts
    SystemExit, Ctrl-C   the program is to end       passed on to the loop
    other BaseException  the handler is broken       passed on: the connection says 500

Once a response has begun nothing can be answered any more: its connection is cut, and a
WebSocket is told 1011. Whatever the end, the access log gets one line.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.errors import HttpProcessingError

from ._debug_page import error_response
from ._faults import is_peer_fault
from .access_log import AbstractAccessLogger
from .app import Application
from .exceptions import HTTPException, HTTPServiceUnavailable
from .options import ServerOptions
from .request import BaseRequest, Request
from .response import Response, StreamResponse
from .routing._compose import Binding
from .routing.abc import AbstractMatchInfo
from .routing.dispatcher import match_for
from .routing.options import DisconnectPolicy

if TYPE_CHECKING:
    from .server import Server

__all__ = ("PayloadAccessError", "RequestHandler", "RequestPayloadError")

_new_request: Final = Request.__new__

RequestFactory = Callable[[ServerExchange], BaseRequest]
_Handler = Callable[[Any], Awaitable[StreamResponse]]


class RequestPayloadError(Exception):
    """The content of a request could not be read; 400 if nobody handles it."""


class PayloadAccessError(Exception):
    """Content was accessed that is no longer there."""


class RequestHandler:
    """Takes the exchanges of one server through its handler or application.

    Args:
        manager: The server it belongs to.
        loop: Accepted and not needed.
        request_factory: Makes the request of an exchange; for a bare handler.
        options: What the server was told; or the other arguments, by their names there.
    """

    def __init__(
        self,
        manager: "Server",
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        request_factory: RequestFactory | None = None,
        options: ServerOptions | None = None,
        **kwargs: Any,
    ) -> None:
        self.options = options = ServerOptions(**kwargs) if options is None else options
        self._logger = options.logger
        self._access_logger = options.make_access_logger()
        handler = manager.handler
        self._app = handler if isinstance(handler, Application) else None
        self._handler = cast(_Handler, handler)
        self._make_request: RequestFactory = request_factory or (
            BaseRequest if self._app is None else Request
        )
        self._makes_plain_requests = self._make_request is Request
        self._disconnect: DisconnectPolicy | None = (
            "cancel" if options.handler_cancellation else None
        )
        self._shielded: set[asyncio.Task[StreamResponse]] = set()
        self._stop_callbacks: set[Callable[[], Awaitable[None]]] = set()
        self._stopping = False
        self._late: set[asyncio.Future[None]] = set()

    @property
    def logger(self) -> logging.Logger:
        """Where errors go, and at DEBUG what peers did wrong."""
        return self._logger

    @property
    def access_log(self) -> logging.Logger | None:
        """Where finished requests are logged, if they are."""
        return self.options.access_log

    @property
    def access_logger(self) -> AbstractAccessLogger | None:
        """What logs them."""
        return self._access_logger

    @property
    def debug(self) -> bool:
        """Whether tracebacks are shown to clients."""
        return self.options.debug

    @property
    def keepalive_timeout(self) -> float | None:
        """Seconds an idle connection is kept."""
        return self.options.server_timeouts().keep_alive

    @property
    def max_line_size(self) -> int:
        """Bytes of a request line."""
        return self.options.http_limits().max_line_size

    @property
    def max_headers(self) -> int:
        """Fields of a request."""
        return self.options.http_limits().max_headers

    @property
    def max_field_size(self) -> int:
        """Bytes of one field line."""
        return self.options.http_limits().max_field_size

    # --- one exchange

    async def serve(self, exchange: ServerExchange) -> None:
        """Answer *exchange*. Connections call this, in the task that owns the exchange."""
        # Every request comes through here. Rare things are asked about once, and done elsewhere.
        head = exchange.head
        if self._makes_plain_requests:
            # What the constructor comes to, without asking for what it could be given besides.
            request: Any = _new_request(Request)
            request._exchange = exchange
            request._head = head
        else:
            request = self._make_request(exchange)
        request._request_handler = self
        response: Any = None
        try:
            if exchange.error is not None:
                response = self._refusal(request, exchange.error)
            elif self._app is None:
                response = await self._serve_bare(exchange, request)
            else:
                methods = self._app.router.direct.get(head.path)
                bound: Any = None if methods is None else methods.get(head.method)
                if bound is None:
                    match_info = self._match(self._app, request)
                    if match_info is None:
                        match_info = await match_for(self._app, request)
                    request._match_info = match_info
                    # What a match comes to is made once for each route; see routing._compose.
                    bound = getattr(match_info, "_binding", match_info)
                else:
                    request._binding = bound
                if (
                    bound.__class__ is Binding
                    and bound.usual
                    and self._disconnect is None
                    and not head.expect_continue
                ):
                    response = await bound.serve(request)
                else:
                    response = await self._serve_specially(exchange, request)
            if response.__class__ is not Response or not response._send_whole(exchange, request):
                await self._send(request, response)
                # It knows its request: a circle would keep both until the garbage is collected.
                request._begun = None
        except Exception as exc:
            try:
                response = await self._recover(exchange, request, exc)
            except BaseException as second:
                self._give_up(exchange, request, second)
                return
        except BaseException as exc:
            self._give_up(exchange, request, exc)
            return
        finally:
            if request._forms is not None:
                request._close_forms()
        access_logger = self._access_logger
        if response is None:
            self._log_cut(exchange, request)
        elif access_logger is not None and access_logger.enabled:
            self.log_access(request, response, exchange.timeline.start)

    def _match(self, app: Application, request: Request) -> AbstractMatchInfo | None:
        """Find what *request* leads to; ``None`` if that has to be awaited: see `match_for`."""
        head = request._head
        path = head.path
        if "?" in path:
            path = path[: path.index("?")]
        if path[0] != "/":
            path = request.rel_url.raw_path
        return app.router.match(head.method, path, request)

    async def _send(self, request: BaseRequest, response: Any) -> None:
        """Send *response*, or what is still missing of it."""
        if not isinstance(response, StreamResponse):
            raise TypeError(
                "Missing return statement on request handler"
                if response is None
                else f"A request handler must return a response, not {response!r:.100}"
            )
        if not response._send_whole(request._exchange, request):
            await response.prepare(request)
            await response.write_eof()

    async def _serve_bare(self, exchange: ServerExchange, request: BaseRequest) -> Any:
        if self._disconnect is None:
            return await self._handler(request)
        return await self._with_policy(exchange, partial(self._handler, request), self._disconnect)

    async def _serve_specially(self, exchange: ServerExchange, request: Request) -> Any:
        """Serve a request that expects something, or whose route or application has options."""
        match_info: AbstractMatchInfo = request.match_info
        options = match_info.options
        request._client_max_size = options.client_max_size or 0
        request._client_max_fields = options.client_max_fields or 0
        request._prepare_signals = match_info.response_signals
        if exchange.head.expect_continue:
            answer = await match_info.expect_handler(request)
            if answer is not None:
                return answer
        run: Callable[[], Awaitable[StreamResponse]] = partial(match_info.serve, request)
        if options.timeout is not None:
            run = partial(self._within, options.timeout, request, run)
        policy = options.disconnect or self._disconnect
        if policy is None or policy == "ignore":
            return await run()
        return await self._with_policy(exchange, run, policy)

    async def _within(
        self, limit: float, request: BaseRequest, run: Callable[[], Awaitable[StreamResponse]]
    ) -> StreamResponse:
        """Run a handler under its time limit in seconds."""
        scope = asyncio.timeout(limit)
        try:
            async with scope:
                return await run()
        except TimeoutError:
            if not scope.expired():
                raise
        self._logger.warning("Handler of %r took longer than its limit of %g s", request, limit)
        raise HTTPServiceUnavailable

    async def _with_policy(
        self,
        exchange: ServerExchange,
        run: Callable[[], Awaitable[StreamResponse]],
        policy: DisconnectPolicy,
    ) -> StreamResponse:
        """Run a handler that is cancelled with its peer, or whatever happens to it is not."""
        if policy == "shield":
            task = asyncio.create_task(_coroutine(run))
            self._shielded.add(task)
            task.add_done_callback(self._shielded.discard)
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                # Nobody waits for it any more; an error of it would vanish.
                task.add_done_callback(self._log_abandoned)
                raise
        owner = asyncio.current_task()
        if owner is None:
            raise RuntimeError("an exchange is served by a task")

        def cancel() -> None:
            owner.cancel("the peer is gone")

        exchange.add_disconnect_callback(cancel)
        try:
            return await run()
        finally:
            exchange.remove_disconnect_callback(cancel)

    async def wait_shielded(self, timeout: float | None) -> int:
        """Wait for shielded handlers, at most *timeout* seconds; return how many are left."""
        if self._shielded:
            await asyncio.wait(tuple(self._shielded), timeout=timeout)
        return sum(not task.done() for task in self._shielded)

    def cancel_shielded(self) -> int:
        """Cancel the shielded handlers: the server stops. Returns how many there were."""
        running = [task for task in self._shielded if not task.done()]
        for task in running:
            task.cancel()
        return len(running)

    def _log_abandoned(self, task: "asyncio.Task[StreamResponse]") -> None:
        exc = None if task.cancelled() else task.exception()
        if exc is not None and not isinstance(exc, HTTPException) and not is_peer_fault(exc):
            self.log_exception("Error in a shielded handler whose peer is gone", exc_info=exc)

    # --- errors

    def _refusal(self, request: BaseRequest, error: HttpProcessingError) -> Response:
        """Answer bytes that are no acceptable request."""
        self.log_debug("Refused request from %s: %r", request.remote, error)
        return _plain_response(error)

    async def _recover(
        self, exchange: ServerExchange, request: BaseRequest, exc: Exception
    ) -> StreamResponse | None:
        """Answer *exc* if that is still possible; ``None`` if not."""
        response = self._response_for(exchange, request, exc)
        if response is None or _begun(exchange):
            if isinstance(exc, HTTPException):
                self._logger.error("%r was raised when the response to %r had begun", exc, request)
            begun = request._begun
            if begun is None or not await begun._say_failed():
                # Half a response cannot be taken back; the peer must see that it is not whole.
                exchange.abort()
            return None
        try:
            await self._send(request, response)
        except Exception as second:
            if exchange.closed and isinstance(second, ConnectionError):
                self.log_debug("Peer %s is gone: %r", request.remote, second)
                return None
            self.log_exception("Error sending %r", response, exc_info=second)
            if _begun(exchange):
                exchange.abort()
                return None
            response = Response(status=500, text="500: Internal Server Error")
            response._send_whole(exchange, request)
        return response

    def _give_up(self, exchange: ServerExchange, request: BaseRequest, exc: BaseException) -> None:
        """Log a request that *exc* ends here, and pass *exc* on to who has to know."""
        if isinstance(exc, (SystemExit, KeyboardInterrupt)):
            # Out of the loop it goes; nobody shall wait for this exchange on the way down. Not
            # raised here: uvloop keeps to itself what a protocol raises.
            exchange.abort()
            self._log_cut(exchange, request)
            asyncio.get_running_loop().call_soon(_raise, exc)
            return
        if isinstance(exc, asyncio.CancelledError):
            self._log_cut(exchange, request)
        elif _has_loop():  # else a coroutine is thrown away with its loop
            self._log_cut(exchange, request, HTTPStatus.INTERNAL_SERVER_ERROR)
        raise exc

    def _response_for(
        self, exchange: ServerExchange, request: BaseRequest, exc: Exception
    ) -> StreamResponse | None:
        """Choose the answer to *exc*; ``None`` if there is nobody to answer."""
        if isinstance(exc, HTTPException):
            return exc
        if isinstance(exc, ConnectionError) and exchange.closed:
            self.log_debug("Peer %s is gone: %r", request.remote, exc)
            return None
        if isinstance(exc, HttpProcessingError) and 400 <= exc.status <= 599:
            self.log_debug("Bad content from %s: %r", request.remote, exc)
            return _plain_response(exc)
        if isinstance(exc, RequestPayloadError) or is_peer_fault(exc):
            self.log_debug("Bad request from %s: %r", request.remote, exc)
            return Response(status=400, text="400: Bad Request")
        if isinstance(exc, TimeoutError):
            self.log_debug("Request handler timed out.", exc_info=exc)
            return self.handle_error(request, 504, exc)
        return self.handle_error(request, 500, exc)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """Make the response for a failure of the application, and log it if it is a 500."""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            # The target is as it came: without control characters, as the parser saw to.
            self.log_exception(
                "Error handling request from %s: %s %.200s",
                request.remote,
                request.method,
                request.raw_path,
                exc_info=exc,
            )
        debug = self.options.debug or (self._app is not None and self._app._shows_tracebacks())
        return error_response(request, status, exc, message, debug=debug)

    # --- logs

    def log_access(
        self, request: BaseRequest, response: StreamResponse, time: float | None
    ) -> None:
        """Log a finished request.

        Args:
            time: Loop time at which it began.
        """
        if self._access_logger is not None and self._access_logger.enabled:
            now = asyncio.get_running_loop().time()
            self._access_logger.log(request, response, 0.0 if time is None else now - time)

    def _log_cut(self, exchange: ServerExchange, request: BaseRequest, status: int = 503) -> None:
        """Log a request whose response did not come to its end, by what of it had begun.

        If nothing had, the status is 499 where the peer left, else *status*.
        """
        response, request._begun = request._begun, None
        access_logger = self._access_logger
        if access_logger is None or not access_logger.enabled:
            return
        request._cut = True
        if response is None:
            response = StreamResponse(status=499 if exchange.closed else status)
        self.log_access(request, response, exchange.timeline.start)

    def log_debug(self, *args: Any, **kw: Any) -> None:
        """Log something that a peer did."""
        self._logger.debug(*args, **kw)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log something that went wrong here."""
        kw.setdefault("exc_info", True)
        self._logger.error(*args, **kw)

    # --- stop

    def add_stop_callback(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Await *callback* when the server stops, before handlers are given up.

        For what would never end by itself, such as WebSockets. If it is stopping already,
        *callback* runs at once.
        """
        if self._stopping:
            # Too late for `run_stop_callbacks`.
            task = asyncio.ensure_future(self._stop_late(callback))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return
        self._stop_callbacks.add(callback)

    async def _stop_late(self, callback: Callable[[], Awaitable[None]]) -> None:
        try:
            await callback()
        except Exception as exc:
            self.log_debug("Closing at stop ended with %r", exc)

    def remove_stop_callback(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Forget *callback*, if it was added."""
        self._stop_callbacks.discard(callback)

    async def run_stop_callbacks(self) -> int:
        """Await all stop callbacks at once; their errors are logged. Returns how many there were."""
        self._stopping = True
        callbacks = tuple(self._stop_callbacks)
        results = await asyncio.gather(*(call() for call in callbacks), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                self.log_debug("Closing at stop ended with %r", result)
        return len(callbacks)


def _plain_response(error: HttpProcessingError) -> Response:
    """Answer with an error's own status; its message quotes the peer, escaped."""
    try:
        phrase = HTTPStatus(error.status).phrase
    except ValueError:
        phrase = "Error"
    response = Response(status=error.status, text=f"{error.status}: {phrase}\n\n{error.message}")
    if error.headers is not None:
        response.headers.extend(error.headers)
    return response


def _begun(exchange: ServerExchange) -> bool:
    # A function, because the answer changes between two questions.
    return exchange.responding


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _raise(exc: BaseException) -> NoReturn:
    raise exc


async def _coroutine(run: Callable[[], Awaitable[StreamResponse]]) -> StreamResponse:
    return await run()
