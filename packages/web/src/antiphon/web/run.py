"""`run_app`: serve an application until somebody says stop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable
from ssl import SSLContext
from typing import Any, Final

from .access_log import AbstractAccessLogger, AccessLogger, access_logger
from .app import Application
from .runner import AppRunner, GracefulExit
from .server import Server
from .sites import BaseSite, SockSite, TCPSite, UnixSite

__all__ = ("GracefulExit", "inherited_sockets", "run_app")

_Path = str | os.PathLike[str]

_FIRST_INHERITED: Final = 3
"""The first descriptor that systemd passes (sd_listen_fds(3))."""


def inherited_sockets() -> list[socket.socket]:
    """Take over the listening sockets that systemd passed to this process, if it did.

    The variables that say so are removed, so that no child takes them for its own.
    """
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isascii():
        return []
    if not count.isdigit():
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return [socket.socket(fileno=_FIRST_INHERITED + index) for index in range(int(count))]


def run_app(
    app: Application | Awaitable[Application],
    *,
    host: str | Iterable[str] | None = None,
    port: int | None = None,
    path: _Path | Iterable[_Path] | None = None,
    sock: socket.socket | Iterable[socket.socket] | None = None,
    shutdown_timeout: float = 60.0,
    keepalive_timeout: float = 75.0,
    ssl_context: SSLContext | None = None,
    print: Callable[..., None] | None = print,
    backlog: int = 128,
    access_log_class: type[AbstractAccessLogger] = AccessLogger,
    access_log_format: str | None = None,
    access_log: logging.Logger | None = access_logger,
    handle_signals: bool = True,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    handler_cancellation: bool = False,
    loop: asyncio.AbstractEventLoop | None = None,
    **kwargs: Any,
) -> None:
    """Serve *app* until SIGINT, SIGTERM or `GracefulExit`; then stop as `antiphon.web.runner` says.

    A second signal cuts the wait for requests under way short.

    Args:
        app: An application, or something awaitable that gives one; awaited in the loop.
        host: A name or address, or several.
        port: 8080, or 8443 with *ssl_context*, by default.
        path: A Unix domain socket's, or several.
        sock: A bound socket, or several.
        shutdown_timeout: Seconds that requests under way have left.
        keepalive_timeout: Seconds an idle connection is kept.
        print: Told where the server runs; ``None`` for silence.
        handle_signals: Leave signals alone if false.
        loop: The loop to run; a new one by default. Closed at the end.
        kwargs: Fields of `ServerOptions`.

    With none of *host*, *port*, *path* and *sock*, sockets passed by systemd are used if
    there are any, and all interfaces otherwise.
    """
    options: dict[str, Any] = {
        "access_log_class": access_log_class,
        "access_log_format": access_log_format,
        "access_log": access_log,
        "keepalive_timeout": keepalive_timeout,
        "handler_cancellation": handler_cancellation,
        **kwargs,
    }
    if loop is None:
        loop = _loop_of(app) or asyncio.new_event_loop()
    if access_log is not None:
        _configure_access_log(access_log, debug=loop.get_debug())
    serving = _Serving(
        _Addresses(host, port, path, sock, ssl_context, backlog, reuse_address, reuse_port),
        print=print,
        handle_signals=handle_signals,
        shutdown_timeout=shutdown_timeout,
    )
    main = loop.create_task(serving.run(app, options))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main)
    except (GracefulExit, KeyboardInterrupt):
        serving.stop()
        _finish(loop, main, serving)
    finally:
        try:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _finish(
    loop: asyncio.AbstractEventLoop, main: "asyncio.Task[None]", serving: "_Serving"
) -> None:
    """Let *main* clean up; the next Ctrl-C hurries it, a third one leaves it."""
    try:
        loop.run_until_complete(main)
    except (GracefulExit, KeyboardInterrupt):
        serving.stop()
        loop.run_until_complete(main)


def _loop_of(app: object) -> asyncio.AbstractEventLoop | None:
    """The loop that the application was made for, where it still says so (ANT-0001)."""
    return app.wanted_loop if isinstance(app, Application) else None


def _configure_access_log(logger: logging.Logger, *, debug: bool) -> None:
    """Make the access log of a program in debug mode visible that configured no logging."""
    if debug and logger is access_logger:
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.DEBUG)
        if not logger.hasHandlers():
            logger.addHandler(logging.StreamHandler())


class _Addresses:
    """Where to listen."""

    def __init__(
        self,
        host: str | Iterable[str] | None,
        port: int | None,
        path: _Path | Iterable[_Path] | None,
        sock: socket.socket | Iterable[socket.socket] | None,
        ssl_context: SSLContext | None,
        backlog: int,
        reuse_address: bool | None,
        reuse_port: bool | None,
    ) -> None:
        self._hosts = [host] if isinstance(host, str) else list(host or ())
        self._port = port
        self._paths = [path] if isinstance(path, (str, os.PathLike)) else list(path or ())
        self._socks = [sock] if isinstance(sock, socket.socket) else list(sock or ())
        self._options: dict[str, Any] = {"ssl_context": ssl_context, "backlog": backlog}
        self._reuse: dict[str, Any] = {"reuse_address": reuse_address, "reuse_port": reuse_port}

    def sites(self, runner: AppRunner) -> list[BaseSite]:
        """Make a site for each."""
        options = self._options
        named = bool(self._hosts or self._paths or self._socks or self._port is not None)
        socks = self._socks if named else inherited_sockets()
        sites: list[BaseSite] = []
        if self._hosts:
            sites.extend(
                TCPSite(runner, host, self._port, **options, **self._reuse) for host in self._hosts
            )
        elif self._port is not None or not (self._paths or socks):
            sites.append(TCPSite(runner, None, self._port, **options, **self._reuse))
        sites.extend(UnixSite(runner, path, **options) for path in self._paths)
        sites.extend(SockSite(runner, sock, **options) for sock in socks)
        return sites


class _Serving:
    """One run, from setup to cleanup."""

    def __init__(
        self,
        addresses: _Addresses,
        *,
        print: Callable[..., None] | None,
        handle_signals: bool,
        shutdown_timeout: float,
    ) -> None:
        self._addresses = addresses
        self._print = print
        self._handle_signals = handle_signals
        self._shutdown_timeout = shutdown_timeout
        self._stop = asyncio.Event()
        self._server: Server | None = None

    def stop(self) -> None:
        """Stop; when stopping already, stop waiting."""
        if self._stop.is_set() and self._server is not None:
            self._server.hurry()
        self._stop.set()

    async def run(self, app: Application | Awaitable[Application], options: dict[str, Any]) -> None:
        """Serve until `stop`."""
        signals = self._add_signal_handlers() if self._handle_signals else []
        try:
            if not isinstance(app, Application):
                app = await app
            runner = AppRunner(app, shutdown_timeout=self._shutdown_timeout, **options)
            await self._serve(runner)
        finally:
            loop = asyncio.get_running_loop()
            for number in signals:
                loop.remove_signal_handler(number)

    async def _serve(self, runner: AppRunner) -> None:
        setup = asyncio.ensure_future(runner.setup())
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            # A signal while the application starts ends the start, cleaned up.
            await asyncio.wait((setup, stop), return_when=asyncio.FIRST_COMPLETED)
            if not setup.done():
                setup.cancel()
                await asyncio.gather(setup, return_exceptions=True)
                return
            setup.result()
            self._server = runner.server
            sites = self._addresses.sites(runner)
            for site in sites:
                await site.start()
            if self._print is not None:
                names = sorted(site.name for site in sites)
                self._print(
                    f"======== Running on {', '.join(names)} ========\n(Press CTRL+C to quit)"
                )
            await stop
        finally:
            stop.cancel()
            await runner.cleanup()

    def _add_signal_handlers(self) -> list[signal.Signals]:
        loop = asyncio.get_running_loop()
        added: list[signal.Signals] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, self.stop)
            except (NotImplementedError, RuntimeError, ValueError):
                # Windows, or not the main thread. Ctrl-C still raises KeyboardInterrupt there.
                break
            added.append(number)
        return added


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what the application left running, and tell of errors in it."""
    tasks = asyncio.all_tasks(loop)
    if not tasks:
        return
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    for task in tasks:
        if not task.cancelled() and (exc := task.exception()) is not None:
            loop.call_exception_handler({
                "message": "unhandled exception during run_app() shutdown",
                "exception": exc,
                "task": task,
            })
