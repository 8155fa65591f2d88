"""Workers for gunicorn, which supervises processes: ``gunicorn -k antiphon.web.GunicornWebWorker``.

Needs the extra ``gunicorn``; importing `antiphon.web` does not import this module.
"""

import asyncio
import inspect
import os
import signal
import ssl
import sys
from types import FrameType
from typing import Any, Final

from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]  # has none
from gunicorn.config import AccessLogFormat  # type: ignore[import-untyped]  # has none
from gunicorn.errors import AppImportError  # type: ignore[import-untyped]  # has none
from gunicorn.sock import ssl_context  # type: ignore[import-untyped]  # has none
from gunicorn.workers.base import Worker  # type: ignore[import-untyped]  # has none

from .access_log import AccessLogger
from .app import Application
from .runner import AppRunner
from .sites import SockSite

__all__ = ("GunicornUVLoopWebWorker", "GunicornWebWorker")

_BEAT: Final = 1.0
"""Seconds between signs of life to the master, and looks at what the worker should know."""

_CUT: Final = 3.0
"""Seconds of gunicorn's graceful timeout that are kept for cancelled handlers and cleanup: at its
end the master kills."""


class GunicornWebWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """Serves one application in a process of gunicorn's.

    The application is what gunicorn was told: an `Application`, or a coroutine function that
    gives one or an `AppRunner`.

    TERM, which gunicorn sends to old workers on a reload too, stops as `antiphon.web.runner` says:
    no request under way is lost that ends within ``graceful_timeout``. A second one, and QUIT and
    INT, cut the wait short. After ``max_requests`` the worker stops the same way.
    """

    DEFAULT_ANTIPHON_LOG_FORMAT = AccessLogger.LOG_FORMAT
    DEFAULT_AIOHTTP_LOG_FORMAT = DEFAULT_ANTIPHON_LOG_FORMAT
    DEFAULT_GUNICORN_LOG_FORMAT = AccessLogFormat.default

    loop: asyncio.AbstractEventLoop

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.exit_code = 0
        self._runner: AppRunner | None = None
        self._stopping: asyncio.Event | None = None

    # --- called by gunicorn

    def init_process(self) -> None:
        """Set up the process after the fork, and run."""
        # Here and not in `run`: the application is imported in between and may ask for the loop.
        self.loop = self._new_loop()
        asyncio.set_event_loop(self.loop)
        self._stopping = asyncio.Event()
        super().init_process()

    def load_wsgi(self) -> None:
        """Import the application.

        Raises:
            AppImportError: It is neither an application nor a coroutine function. gunicorn gives up
                then, instead of starting worker after worker.
        """
        super().load_wsgi()
        found = self.wsgi
        if not isinstance(found, Application) and not inspect.iscoroutinefunction(found):
            raise AppImportError(
                "The application must be a web.Application, or a coroutine function that gives "
                f"one, not {found!r:.100}"
            )

    def run(self) -> None:
        """Serve until told to stop; ends the process."""
        loop = self.loop
        try:
            loop.run_until_complete(self._serve())
        finally:
            try:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
            finally:
                asyncio.set_event_loop(None)
                loop.close()
        sys.exit(self.exit_code)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully (TERM); at once the second time."""
        if not self.alive:
            self._hurry()
        self._stop()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Stop without waiting for handlers (QUIT, INT)."""
        self._stop()
        self._hurry()

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """The master has not heard from us for too long (ABRT): end the process."""
        # The loop hangs, so nothing can be stopped in order.
        self.exit_code = 1
        self.cfg.worker_abort(self)
        sys.exit(1)

    # --- serving

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def _stop(self) -> None:
        self.alive = False
        if self._stopping is not None:
            self._stopping.set()

    def _hurry(self) -> None:
        server = None if self._runner is None else self._runner.server
        if server is not None:
            server.hurry()

    def _catch_signals(self) -> None:
        # gunicorn's own handlers run, but do not wake a loop that waits for sockets.
        for number, handler in (
            (signal.SIGTERM, self.handle_exit),
            (signal.SIGQUIT, self.handle_quit),
            (signal.SIGINT, self.handle_quit),
            (signal.SIGUSR1, self.handle_usr1),
        ):
            self.loop.add_signal_handler(number, handler, number, None)

    async def _serve(self) -> None:
        self._catch_signals()
        beat = asyncio.create_task(self._beat())
        try:
            if await self._start():
                assert self._stopping is not None
                await self._stopping.wait()
            if self._runner is not None:
                await self._runner.cleanup()
        except Exception:
            self.log.exception("Error while stopping worker %s", self.pid)
            self.exit_code = self.exit_code or 1
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)

    async def _start(self) -> bool:
        """Start the application and listen; false, with the exit code set, if that fails."""
        try:
            self._runner = runner = await self._make_runner()
            await runner.setup()
            tls = ssl_context(self.cfg) if self.cfg.is_ssl else None
            for listener in self.sockets:
                await self._listen(runner, listener, tls)
        except AppImportError as exc:
            self.log.error("%s", exc)
            self.exit_code = Arbiter.APP_LOAD_ERROR
        except Exception:
            # As when importing fails: the next worker would not fare better.
            self.log.exception("Error starting the application")
            self.exit_code = Arbiter.WORKER_BOOT_ERROR
        return self.exit_code == 0

    async def _listen(self, runner: AppRunner, listener: Any, tls: ssl.SSLContext | None) -> None:
        # A duplicate: closing it ends our listening, while the master goes on with its own.
        await SockSite(
            runner, listener.sock.dup(), ssl_context=tls, backlog=self.cfg.backlog
        ).start()

    async def _make_runner(self) -> AppRunner:
        found = self.wsgi
        if not isinstance(found, Application):
            found = await found()  # pyright: ignore[reportCallIssue]  # `load_wsgi` saw to it
        if isinstance(found, AppRunner):
            return found
        if not isinstance(found, Application):
            raise AppImportError(
                "The coroutine function must give a web.Application or web.AppRunner, "
                f"not {found!r:.100}"
            )
        graceful = self.cfg.graceful_timeout
        return AppRunner(
            found,
            logger=self.log.error_log,
            keepalive_timeout=self.cfg.keepalive,
            access_log=self.log.access_log if self._wants_access_log() else None,
            access_log_format=self._access_log_format(),
            shutdown_timeout=max(graceful - _CUT, graceful / 2),
        )

    def _wants_access_log(self) -> bool:
        cfg = self.cfg
        return bool(
            cfg.accesslog
            or cfg.logconfig
            or cfg.logconfig_dict
            or (cfg.syslog and not cfg.disable_redirect_access_to_syslog)
        )

    def _access_log_format(self) -> str:
        """What was configured, unless that is gunicorn's default, whose atoms are not ours."""
        configured: str = self.cfg.access_log_format
        if configured == self.DEFAULT_GUNICORN_LOG_FORMAT:
            return self.DEFAULT_ANTIPHON_LOG_FORMAT
        return configured

    async def _beat(self) -> None:
        """Tell the master that we live, and stop when that is due."""
        interval = min(_BEAT, self.timeout / 2) if self.timeout else _BEAT
        while True:
            self.notify()
            if self.alive:
                server = None if self._runner is None else self._runner.server
                if os.getppid() != self.ppid:
                    self.log.info("Parent changed, shutting down: %s", self)
                    self._stop()
                elif server is not None and server.requests_count >= self.max_requests:
                    self.log.info("Autorestarting worker after %d requests", server.requests_count)
                    self._stop()
            await asyncio.sleep(interval)


class GunicornUVLoopWebWorker(GunicornWebWorker):
    """The same on uvloop, which must be installed."""

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        import uvloop

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
