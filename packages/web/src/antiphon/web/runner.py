"""The life of a server: set up, serve, stop.

A stop has phases, each logged with counts:

1. the listening sockets close; connections waiting in them are taken first;
2. idle connections close; one that was used a moment ago gets another moment
   (`ServerTimeouts.stop_idle`), because its next request may be on its way;
3. each answer that begins from now on says that its connection ends; content goes on being read;
4. ``on_shutdown`` runs, WebSockets are closed with 1001;
5. after ``shutdown_timeout`` handlers are cancelled, shielded ones as well, and two seconds later
   cut off;
6. cleanup runs, whatever happened before.
"""

import abc
import asyncio
import selectors
import signal
from typing import Any, Final

from .access_log import AbstractAccessLogger, AccessLogger
from .app import Application
from .server import Server, counted
from .sites import BaseSite

__all__ = ("AppRunner", "BaseRunner", "GracefulExit", "ServerRunner")


_MAX_WAITING: Final = 4096
"""Connections waiting in listening sockets that a stop takes; what Linux lets wait by default."""

_TURNS: Final = 8
"""Turns of the loop from an accepted connection to a request that is read, and some: a transport is
made, listened to, read."""


class GracefulExit(SystemExit):
    """Raised anywhere in the loop, this stops `run_app` as a signal would."""

    code = 1


def _raise_graceful_exit() -> None:
    raise GracefulExit


class BaseRunner(abc.ABC):
    """Sets up a server, its sites and, on request, the signal handlers.

    Args:
        handle_signals: Raise `GracefulExit` out of the loop on SIGINT and SIGTERM.
        shutdown_timeout: Seconds that requests under way have left when the server stops.
        kwargs: Fields of `ServerOptions`.
    """

    def __init__(
        self, *, handle_signals: bool = False, shutdown_timeout: float = 60.0, **kwargs: Any
    ) -> None:
        self._handle_signals = handle_signals
        self._shutdown_timeout = shutdown_timeout
        self._kwargs = kwargs
        self._server: Server | None = None
        self._sites: list[BaseSite] = []
        self._signals: list[signal.Signals] = []
        self._cleaning = False

    @property
    def server(self) -> Server | None:
        """The server, between `setup` and `cleanup`."""
        return self._server

    @property
    def sites(self) -> set[BaseSite]:
        """The sites that are listening."""
        return set(self._sites)

    @property
    def addresses(self) -> list[Any]:
        """The addresses of all listening sockets."""
        return [sock.getsockname() for site in self._sites for sock in site.sockets]

    @property
    def shutdown_timeout(self) -> float:
        """Seconds that requests under way have left when the server stops."""
        return self._shutdown_timeout

    async def setup(self) -> None:
        """Start the application and make the server. Sites can be started then.

        Raises:
            RuntimeError: It is set up.
        """
        if self._server is not None:
            raise RuntimeError("The runner is set up already")
        if self._handle_signals:
            self._add_signal_handlers()
        try:
            self._server = await self._make_server()
        except BaseException:
            self._remove_signal_handlers()
            raise

    @abc.abstractmethod
    async def _make_server(self) -> Server:
        """Start what is to be served and make the server."""

    @abc.abstractmethod
    async def shutdown(self) -> None:
        """Phase 4: tell the application that the server stops."""

    @abc.abstractmethod
    async def _cleanup_server(self) -> None:
        """Phase 6: end what `_make_server` started."""

    async def cleanup(self) -> None:
        """Stop, in the phases above. A second call does nothing.

        Raises:
            ExceptionGroup: Several things failed on the way; a single one is raised itself.
                Every phase ran nevertheless.
        """
        server = self._server
        if server is None or self._cleaning:
            return
        self._cleaning = True
        self._remove_signal_handlers()
        server.quiet = not (self._sites or server.connections or server.requests_count)
        errors: list[Exception] = []
        try:
            await self._stop_listening(server, errors)
            await self._stop_serving(server, errors)
        finally:
            try:
                await self._cleanup_server()
            except Exception as exc:
                errors.append(exc)
            self._server = None
            self._cleaning = False
            server.tell("Stopped")
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("errors while stopping", errors)

    async def _stop_listening(self, server: Server, errors: list[Exception]) -> None:
        if not self._sites:
            return
        await self._accept_waiting()
        count = len(self._sites)
        for site in tuple(self._sites):
            try:
                await site.stop()
            except Exception as exc:
                errors.append(exc)
        server.tell("Stopping: %s closed", counted(count, "listening site"))

    async def _accept_waiting(self) -> None:
        """Let the loop take what waits in the listening sockets: closing would reset it, unanswered."""
        with selectors.DefaultSelector() as selector:
            for site in self._sites:
                for sock in site.sockets:
                    selector.register(sock.fileno(), selectors.EVENT_READ)
            # Some loops accept many in a turn, some only one. Not for ever: others may go on coming.
            for _ in range(_MAX_WAITING):
                if not selector.select(0):
                    break
                await asyncio.sleep(0)
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def _stop_serving(self, server: Server, errors: list[Exception]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._shutdown_timeout
        server.pre_shutdown()
        shutdown = asyncio.ensure_future(self.shutdown())
        if await server.wait_or_hurry(shutdown, self._shutdown_timeout):
            exc = shutdown.exception()
            if isinstance(exc, Exception):
                errors.append(exc)
        else:
            server.logger.warning("Stopping: on_shutdown did not end in time")
        await server.close_streams(max(0.0, deadline - loop.time()))
        try:
            await server.shutdown(max(0.0, deadline - loop.time()))
        except Exception as exc:
            errors.append(exc)

    # --- sites

    def _register(self, site: BaseSite) -> None:
        if site in self._sites:
            raise RuntimeError(f"Site {site.name} is already registered in runner {self!r}")
        self._sites.append(site)

    def _check(self, site: BaseSite) -> None:
        if site not in self._sites:
            raise RuntimeError(f"Site {site.name} is not registered in runner {self!r}")

    def _unregister(self, site: BaseSite) -> None:
        self._check(site)
        self._sites.remove(site)

    # --- signals

    def _add_signal_handlers(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, _raise_graceful_exit)
            except (NotImplementedError, RuntimeError, ValueError):
                return  # Windows, or not the main thread: signals are somebody else's there
            self._signals.append(number)

    def _remove_signal_handlers(self) -> None:
        loop = asyncio.get_running_loop()
        for number in self._signals:
            loop.remove_signal_handler(number)
        self._signals.clear()


class ServerRunner(BaseRunner):
    """Runs a `Server` with a bare handler.

    Args:
        web_server: The server.
    """

    def __init__(
        self,
        web_server: Server,
        *,
        handle_signals: bool = False,
        shutdown_timeout: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(handle_signals=handle_signals, shutdown_timeout=shutdown_timeout, **kwargs)
        if kwargs:
            raise TypeError(
                "The options of a server are given to the server itself: " + ", ".join(kwargs)
            )
        self._web_server = web_server

    async def shutdown(self) -> None:
        """Nothing: there is no application to tell."""

    async def _make_server(self) -> Server:
        return self._web_server

    async def _cleanup_server(self) -> None:
        """Nothing: the server was not made here."""


class AppRunner(BaseRunner):
    """Runs an `Application`.

    Args:
        app: The application; it is frozen, and started and cleaned up with the runner.
        access_log_class: Writes the access log.

    Raises:
        TypeError: *app* is no application, or an option does not exist.
    """

    def __init__(
        self,
        app: Application,
        *,
        handle_signals: bool = False,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        **kwargs: Any,
    ) -> None:
        if not isinstance(app, Application):
            raise TypeError(f"The first argument should be web.Application instance, got {app!r}")
        super().__init__(handle_signals=handle_signals, access_log_class=access_log_class, **kwargs)
        self._app = app

    @property
    def app(self) -> Application:
        """The application."""
        return self._app

    async def setup(self) -> None:
        """Start the application and make the server. Sites can be started then.

        If the application fails half way, what it had started is cleaned up.

        Raises:
            RuntimeError: It is set up.
        """
        await super().setup()

    async def cleanup(self) -> None:
        """Stop, in the phases of this module, and clean the application up."""
        await super().cleanup()

    async def shutdown(self) -> None:
        """Send ``on_shutdown``."""
        await self._app.shutdown()

    async def _make_server(self) -> Server:
        app = self._app
        app.use_loop(asyncio.get_running_loop())
        # First, so that a wrong option is told before anything is started.
        server = Server(app, **{**app.handler_args, **self._kwargs})
        try:
            await app.startup()
        except BaseException as exc:
            try:
                await app.cleanup()
            except Exception as problem:
                exc.add_note(f"then, cleaning up: {problem!r}")
                server.logger.exception("Error cleaning up after a failed start")
            raise
        app.freeze()
        return server

    async def _cleanup_server(self) -> None:
        await self._app.cleanup()
