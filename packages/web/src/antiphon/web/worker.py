"""Workers for gunicorn, which supervises processes: ``gunicorn -k antiphon.web.GunicornWebWorker``.

gunicorn forks, tells by signals when to stop, and kills who shows no sign of life. What is in
between is an `AppRunner` in a loop of its own. Needs the extra ``gunicorn``; importing `antiphon.web`
does not import this module.
"""

import asyncio
import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar, Final

from gunicorn import sock as gunicorn_sock  # type: ignore[import-untyped]  # has none
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]  # has none
from gunicorn.config import AccessLogFormat  # type: ignore[import-untyped]  # has none
from gunicorn.errors import AppImportError  # type: ignore[import-untyped]  # has none
from gunicorn.workers.base import Worker  # type: ignore[import-untyped]  # has none

from .access_log import AccessLogger
from .app import Application
from .request import Request
from .response import Response
from .runner import AppRunner
from .sites import SockSite

__all__ = ("GunicornUVLoopWebWorker", "GunicornWebWorker")

_PULSE: Final = 1.0
"""Seconds between two signs of life, at most."""

_LAST_STEPS: Final = 3.0
"""Seconds of gunicorn's graceful timeout that are left to cancelled handlers and cleanup: when it is
over the master kills."""


class GunicornWebWorker(Worker):  # type: ignore[misc]  # gunicorn has no types
    """One process of gunicorn's that serves an application.

    The name that gunicorn is given stands for an `Application`, or for a coroutine function that
    makes one, or an `AppRunner` where the server needs options. (gunicorn itself calls
    ``module:factory()``.) Another thing, an import that fails and an application that does not
    start end the master, which would else start worker after worker.

    TERM, which old workers get at a reload too, stops as `antiphon.web.runner` says: no request
    under way is lost that ends within ``graceful_timeout``. A second one, QUIT and INT do not wait
    for handlers. A worker that took ``max_requests`` stops like after TERM.

    ``access_log_format`` is in the words of `AccessLogger`; gunicorn's own default stands for
    that of `AccessLogger`.
    """

    DEFAULT_AIOHTTP_LOG_FORMAT: ClassVar[str] = AccessLogger.LOG_FORMAT
    """The format of the access log if none is configured. The name is aiohttp's."""

    DEFAULT_GUNICORN_LOG_FORMAT: ClassVar[str] = AccessLogFormat.default
    """What gunicorn has configured if nobody has."""

    _make_loop: Callable[[], asyncio.AbstractEventLoop] = staticmethod(asyncio.new_event_loop)

    # What gunicorn sets; typeshed knows WSGI and gunicorn's own kinds only.
    wsgi: Any
    reloader: Any
    sockets: Any

    _served: AppRunner | None = None
    _over: asyncio.Event | None = None

    # --- before the loop runs

    def load_wsgi(self) -> None:
        """Import the application; the loop that will run it is the current one meanwhile."""
        self._loops = asyncio.Runner(loop_factory=self._make_loop)
        asyncio.set_event_loop(self._loops.get_loop())
        try:
            self.wsgi = self.app.wsgi()
        except SyntaxError as exc:
            if not self.cfg.reload:
                raise
            # Whoever has --reload on is about to mend it.
            self.log.exception(exc)
            if self.reloader is not None and exc.filename is not None:
                self.reloader.add_extra_file(exc.filename)
            self.wsgi = _showing("".join(traceback.format_exception(exc)))
        if not isinstance(self.wsgi, Application) and not inspect.iscoroutinefunction(self.wsgi):
            raise AppImportError(
                "The application must be a web.Application, or a coroutine function that gives "
                f"one, not {self.wsgi!r:.100}"
            )

    def run(self) -> None:
        """Serve until told to stop; ends the process."""
        with self._loops as loops:
            status = loops.run(self._live())
        sys.exit(status)

    # --- signals, by gunicorn's names. Those of a running loop come here as well.

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """TERM: stop, and the second time do not wait."""
        again = not self.alive
        self._end(hurry=again)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """QUIT or INT: stop without waiting for handlers."""
        self.cfg.worker_int(self)
        self._end(hurry=True)

    def _end(self, *, hurry: bool = False) -> None:
        self.alive = False
        if self._over is not None:
            self._over.set()
        if hurry and self._served is not None and self._served.server is not None:
            self._served.server.hurry()

    # --- in the loop

    async def _live(self) -> int:
        """From the start of the application to its cleanup. Returns the status of the process."""
        loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        # Python's own handlers run only when something else wakes the loop.
        for number, handler in (
            (signal.SIGTERM, self.handle_exit),
            (signal.SIGINT, self.handle_quit),
            (signal.SIGQUIT, self.handle_quit),
            (signal.SIGUSR1, self.handle_usr1),
        ):
            loop.add_signal_handler(number, handler, number, None)
        pulse = asyncio.create_task(self._show_life())
        try:
            status = await self._start()
            if status == 0:
                await self._over.wait()
            return await self._stop() or status
        finally:
            pulse.cancel()
            await asyncio.wait([pulse])

    async def _start(self) -> int:
        try:
            self._served = served = await self._runner()
            await served.setup()
            tls = gunicorn_sock.ssl_context(self.cfg) if self.cfg.is_ssl else None
            for listener in self.sockets:
                # A descriptor of our own: that we close it is no concern of the other workers.
                site = SockSite(
                    served, listener.sock.dup(), ssl_context=tls, backlog=self.cfg.backlog
                )
                await site.start()
        except AppImportError as exc:
            self.log.error("%s", exc)
            return int(Arbiter.APP_LOAD_ERROR)
        except Exception:
            self.log.exception("The application did not start")
            return int(Arbiter.WORKER_BOOT_ERROR)
        return 0

    async def _stop(self) -> int:
        if self._served is None:
            return 0
        try:
            await self._served.cleanup()
        except Exception:
            self.log.exception("Error while worker %s stopped", self.pid)
            return 1
        return 0

    async def _runner(self) -> AppRunner:
        made: Any = self.wsgi
        if inspect.iscoroutinefunction(made):
            made = await made()
        if isinstance(made, AppRunner):
            return made
        if not isinstance(made, Application):
            raise AppImportError(
                f"The coroutine function must give a web.Application or web.AppRunner, not {made!r:.100}"
            )
        cfg = self.cfg
        try:
            AccessLogger(self.log.access_log, self._log_format())
        except ValueError as exc:
            raise AppImportError(f"{exc} (the words are antiphon's, not gunicorn's)") from exc
        return AppRunner(
            made,
            logger=self.log.error_log,
            access_log=self.log.access_log if self._logs_access() else None,
            access_log_format=self._log_format(),
            keepalive_timeout=cfg.keepalive,
            shutdown_timeout=max(cfg.graceful_timeout - _LAST_STEPS, cfg.graceful_timeout / 2),
        )

    def _logs_access(self) -> bool:
        cfg = self.cfg
        to_syslog = cfg.syslog and not cfg.disable_redirect_access_to_syslog
        return bool(cfg.accesslog or to_syslog or cfg.logconfig or cfg.logconfig_dict)

    def _log_format(self) -> str:
        configured: str = self.cfg.access_log_format
        if configured == self.DEFAULT_GUNICORN_LOG_FORMAT:
            return self.DEFAULT_AIOHTTP_LOG_FORMAT
        return configured

    async def _show_life(self) -> None:
        """Tell the master again and again that the loop turns, and see whether it is time to end."""
        period = min(_PULSE, self.timeout / 2) if self.timeout else _PULSE
        while True:
            self.notify()
            server = None if self._served is None else self._served.server
            if not self.alive:
                self._end()  # the reloader says it this way, from its thread
            elif os.getppid() != self.ppid:
                self.log.info("Worker %s ends: its master is gone", self.pid)
                self._end()
            elif server is not None and server.requests_count >= self.max_requests:
                self.log.info("Worker %s ends after %d requests", self.pid, server.requests_count)
                self._end()
            await asyncio.sleep(period)


def _showing(text: str) -> Application:
    """An application that answers everything with *text*."""

    async def show(request: Request) -> Response:
        return Response(text=text, status=500)

    app = Application()
    app.router.add_route("*", "/{tail:.*}", show)
    return app


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class GunicornUVLoopWebWorker(GunicornWebWorker):
    """The same on uvloop, which must be installed."""

    _make_loop = staticmethod(_uvloop)
