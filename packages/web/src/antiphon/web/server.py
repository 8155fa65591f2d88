"""The live connections of one handler or application, and how they end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from antiphon.core.aio.server import HttpServer
from antiphon.core.http import SERVER_SOFTWARE

from .handler import RequestFactory, RequestHandler
from .options import ServerOptions
from .request import BaseRequest
from .response import StreamResponse

if TYPE_CHECKING:
    from .app import Application

__all__ = ("Server", "counted")


def counted(count: int, noun: str) -> str:
    """Such as ``1 request`` or ``2 requests``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# Seconds that shielded handlers have for their cleanup, as others have.
_AFTER_CANCEL: Final = 2.0


class Server:
    """Makes the protocol of each connection; give it to ``loop.create_server``.

    Args:
        handler: A coroutine function that takes a `BaseRequest`, or an application that is
            frozen and started (see `AppRunner`, which does that).
        request_factory: Makes the request that *handler* gets, from an exchange.
        handler_cancellation: Cancel the handler when its peer goes away.
        loop: Accepted and not needed.
        kwargs: Fields of `ServerOptions`.

    Raises:
        TypeError: There is no such option.
    """

    def __init__(
        self,
        handler: "Callable[[BaseRequest], Awaitable[StreamResponse]] | Application",
        *,
        request_factory: RequestFactory | None = None,
        handler_cancellation: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        **kwargs: Any,
    ) -> None:
        self.handler = handler
        self.options = options = ServerOptions(handler_cancellation=handler_cancellation, **kwargs)
        self.request_handler = RequestHandler(
            self, request_factory=request_factory, options=options
        )
        self._http = HttpServer(
            self.request_handler.serve,
            limits=options.http_limits(),
            timeouts=options.server_timeouts(),
            content=options.content_options(),
            server_software=options.server_software or SERVER_SOFTWARE,
            max_connections=options.max_connections,
            logger=options.logger,
            tcp_keepalive=options.tcp_keepalive,
        )
        self.quiet = False
        """Whether the phases of a stop are not worth a line: nothing was ever served."""
        self._stopping = False
        self._hurry = asyncio.Event()

    def __call__(self) -> asyncio.Protocol:
        """Make the protocol of one connection."""
        return self._http()

    @property
    def tls_handshake_timeout(self) -> float:
        """Seconds that a client has for the TLS handshake."""
        return self._http.timeouts.tls_handshake

    @property
    def connections(self) -> list[Any]:
        """The live connections."""
        return list(self._http.connections)

    @property
    def requests_count(self) -> int:
        """Requests taken since the server was made."""
        return self._http.requests_count

    @property
    def active(self) -> int:
        """Requests that are being answered now."""
        return self._http.active

    @property
    def logger(self) -> logging.Logger:
        """Where the phases of a stop are logged."""
        return self.options.logger

    def tell(self, message: str, *args: object) -> None:
        """Log a phase of the stop."""
        self.logger.log(logging.DEBUG if self.quiet else logging.INFO, message, *args)

    def pre_shutdown(self) -> None:
        """Begin to stop: idle connections close, the others after the answer in hand.

        A connection that has sent the first byte of a request is not idle. Content of
        requests goes on being read.
        """
        if not self._stopping:
            self._stopping = True
            before = len(self._http.connections)
            self._http.begin_drain()
            self.tell(
                "Stopping: %s under way, %d of %s left",
                counted(self._http.active, "request"),
                len(self._http.connections),
                counted(before, "connection"),
            )

    def hurry(self) -> None:
        """Stop waiting for handlers: what `shutdown` would do when its time is up, now."""
        self._hurry.set()

    async def close_streams(self, timeout: float | None) -> None:
        """Have WebSockets say goodbye (1001), within *timeout* seconds."""
        work = asyncio.ensure_future(self.request_handler.run_stop_callbacks())
        if await self.wait_or_hurry(work, timeout):
            if work.result():
                self.tell("Stopping: %s closed", counted(work.result(), "WebSocket"))
        else:
            self.logger.warning("Stopping: WebSockets did not close in time")

    async def shutdown(self, timeout: float | None = None) -> None:
        """Wait until every request is answered, at most *timeout* seconds; then give them up.

        Handlers are cancelled then, shielded ones as well, and have two seconds for their cleanup
        before the connections are aborted.
        """
        self.pre_shutdown()
        handler = self.request_handler
        drain = asyncio.ensure_future(self._wait_all(timeout))
        if await self.wait_or_hurry(drain, timeout) and drain.result():
            self.tell("Stopping: all requests are answered")
        elif active := self._http.active:
            self.logger.warning(
                "Stopping: %s %s cancelled",
                counted(active, "handler"),
                "is" if active == 1 else "are",
            )
        if shielded := handler.cancel_shielded():
            self.logger.warning(
                "Stopping: %s %s cancelled",
                counted(shielded, "shielded handler"),
                "is" if shielded == 1 else "are",
            )
        await self._http.shutdown(0)
        if left := await handler.wait_shielded(_AFTER_CANCEL if shielded else 0):
            self.logger.warning("Stopping: %s did not stop", counted(left, "shielded handler"))

    async def _wait_all(self, timeout: float | None) -> bool:
        """Wait until no connection is left, nor a shielded handler; return whether that is so."""
        if not await self._http.wait_drained(timeout):
            return False
        # Whoever waits for this keeps the time.
        return not await self.request_handler.wait_shielded(None)

    async def wait_or_hurry(self, work: "asyncio.Future[Any]", timeout: float | None) -> bool:
        """Wait for *work*, at most *timeout* seconds and not after `hurry`.

        Returns:
            Whether *work* is done; it is cancelled if not.
        """
        futures = [work]
        try:
            await asyncio.sleep(0)
            if not work.done():  # mostly there is nothing to wait for
                futures.append(asyncio.ensure_future(self._hurry.wait()))
                await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            return work.done()
        finally:
            unfinished = [future for future in futures if not future.done()]
            for future in unfinished:
                future.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
