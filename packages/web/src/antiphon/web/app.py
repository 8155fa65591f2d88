"""What an application is made of, and the order in which it starts and stops."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from antiphon.core.deprecations import deprecated, warn_deprecated

from ._lifecycle import CleanupContext, CleanupError, run_all
from ._signals import FrozenList, Signal
from .keys import AppKey
from .routing._compose import checked_middlewares, warn_of_factory
from .routing.abc import AbstractMatchInfo
from .routing.dispatcher import UrlDispatcher, match_for
from .routing.options import RouteOptions
from .routing.routedef import AbstractRouteDef
from .routing.routes import AbstractRoute
from .routing.subapp import Domain, MaskDomain, MatchedSubAppResource, PrefixedSubAppResource
from .typedefs import Middleware

if TYPE_CHECKING:
    from .access_log import AbstractAccessLogger
    from .request import Request
    from .response import StreamResponse
    from .server import Server

__all__ = ("Application", "CleanupError")

_T = TypeVar("_T")
_U = TypeVar("_U")
_R = TypeVar("_R", bound=PrefixedSubAppResource)

web_logger: Final = logging.getLogger("antiphon.web")


class _Middlewares(FrozenList[Middleware]):
    """The middlewares of an application: warns where an old-style one is put in."""

    def __init__(self, items: Iterable[Middleware]) -> None:
        super().__init__(items)
        for middleware in self:
            warn_of_factory(middleware)

    def insert(self, index: int, value: Middleware) -> None:
        super().insert(index, value)
        warn_of_factory(value)

    def append(self, value: Middleware) -> None:
        # Not inherited: between the caller and `insert` would be a frame of the standard library.
        self.insert(len(self), value)

    def extend(self, values: Iterable[Middleware]) -> None:
        for value in tuple(values):
            self.insert(len(self), value)

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        for middleware in value if isinstance(index, slice) else (value,):
            warn_of_factory(middleware)


class Application(MutableMapping[str | AppKey[Any], Any]):
    """Routes, middlewares, signals, and a place to store what handlers share.

    It belongs to the loop that runs it. Routes, middlewares and signals can be
    added until it starts; values can be stored until it has started, and while it
    cleans up. Subclassing is supported, for an ``@app.route`` of one's own for example.

    Args:
        logger: Where problems of the application are logged.
        router: A `UrlDispatcher` of one's own.
        middlewares: Around every handler, the first is the outermost.
        handler_args: Arguments for the server that are not given to the runner.
        client_max_size: Bytes of content that a handler may read at once; 0 for
            no limit. By default 1 MiB, or what the application above has.
        client_max_fields: Fields of a form; 0 for no limit. By default 1,000, or
            what the application above has.
        loop: Deprecated. The loop that will run the application.
        debug: Obsolete (ANT-0022). Show tracebacks in error pages; by default as the loop's
            debug mode.
    """

    ATTRS: Final = frozenset({
        "logger",
        "_app_above",
        "_changing",
        "_cleanup_ctx",
        "_debug",
        "_frozen",
        "_handler_args",
        "_loop",
        "_middlewares",
        "_on_cleanup",
        "_on_response_prepare",
        "_on_shutdown",
        "_on_startup",
        "_pre_frozen",
        "_route_options",
        "_router",
        "_state",
        "_subapps",
    })

    def __init__(
        self,
        *,
        logger: logging.Logger = web_logger,
        router: UrlDispatcher | None = None,
        middlewares: Iterable[Middleware] = (),
        handler_args: Mapping[str, Any] | None = None,
        client_max_size: int | None = None,
        client_max_fields: int | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        debug: Any = ...,
    ) -> None:
        if router is None:
            router = UrlDispatcher()
        elif not isinstance(router, UrlDispatcher):
            raise TypeError(f"router must be a UrlDispatcher, not {router!r}")
        if loop is not None:
            warn_deprecated("ANT-0001")
        if debug is not ...:
            warn_deprecated("ANT-0022")
        self.logger = logger
        self._debug = debug
        self._router = router
        self._loop = loop
        self._handler_args = handler_args
        self._route_options = RouteOptions(
            client_max_size=client_max_size, client_max_fields=client_max_fields
        )
        self._middlewares: FrozenList[Middleware] = _Middlewares(middlewares)
        self._state: dict[str | AppKey[Any], Any] = {}
        self._frozen = False
        self._pre_frozen = False
        self._changing = False
        """Whether it starts or cleans up now: handlers of that may store things."""
        self._app_above: Application | None = None
        self._subapps: list[Application] = []
        self._on_response_prepare: Signal[Request, StreamResponse] = Signal(self)
        self._on_startup: Signal[Application] = Signal(self)
        self._on_shutdown: Signal[Application] = Signal(self)
        self._on_cleanup: Signal[Application] = Signal(self)
        self._cleanup_ctx = CleanupContext()
        self._on_startup.append(self._cleanup_ctx.enter)
        self._on_cleanup.append(self._cleanup_ctx.leave)
        router.post_init(self)

    # -- storage --

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    @overload
    def __getitem__(self, key: AppKey[_T]) -> _T: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: str | AppKey[_T]) -> Any:
        return self._state[key]

    @overload
    def __setitem__(self, key: AppKey[_T], value: _T) -> None: ...
    @overload
    def __setitem__(self, key: str, value: Any) -> None: ...
    def __setitem__(self, key: str | AppKey[_T], value: Any) -> None:
        self._check_frozen()
        self._state[key] = value

    def __delitem__(self, key: str | AppKey[Any]) -> None:
        self._check_frozen()
        del self._state[key]

    def __len__(self) -> int:
        return len(self._state)

    def __bool__(self) -> bool:
        return True  # an application that stores nothing is an application

    def __iter__(self) -> Iterator[str | AppKey[Any]]:
        return iter(self._state)

    @overload  # type: ignore[override]  # the value's type follows from the key's
    def get(self, key: AppKey[_T], default: _U) -> _T | _U: ...
    @overload
    def get(self, key: AppKey[_T], default: None = ...) -> _T | None: ...
    @overload
    def get(self, key: str | AppKey[Any], default: Any = ...) -> Any: ...
    def get(  # pyright: ignore[reportIncompatibleMethodOverride]  # as for __getitem__
        self, key: str | AppKey[_T], default: Any = None
    ) -> Any:
        return self._state.get(key, default)

    def _check_frozen(self) -> None:
        if self._frozen:
            above: Application | None = self
            while above is not None:
                if above._changing:
                    return
                above = above._app_above
            raise RuntimeError(
                "The application has started: its storage can no longer change. "
                "Store a mutable object before, and change that."
            )

    # -- parts --

    @property
    def router(self) -> UrlDispatcher:
        """The router."""
        return self._router

    @property
    def middlewares(self) -> FrozenList[Middleware]:
        """The application's own middlewares, the outermost first."""
        return self._middlewares

    @property
    def on_startup(self) -> "Signal[Application]":
        """Awaited with the application before it serves."""
        return self._on_startup

    @property
    def on_shutdown(self) -> "Signal[Application]":
        """Awaited with the application when it is to stop, while connections are still open."""
        return self._on_shutdown

    @property
    def on_cleanup(self) -> "Signal[Application]":
        """Awaited with the application when its connections are closed."""
        return self._on_cleanup

    @property
    def on_response_prepare(self) -> "Signal[Request, StreamResponse]":
        """Awaited with request and response before a response's head is sent."""
        return self._on_response_prepare

    @property
    def cleanup_ctx(self) -> CleanupContext:
        """Functions that give a context around the application's life.

        They start before what is in `on_startup` and end before what is in `on_cleanup`.
        """
        return self._cleanup_ctx

    @property
    def route_options(self) -> RouteOptions:
        """Options for routes that say nothing themselves."""
        return self._route_options

    @property
    def handler_args(self) -> Mapping[str, Any]:
        """Arguments for the server that are not given to the runner."""
        return self._handler_args or {}

    @property
    @deprecated("Call asyncio.get_running_loop(), or asyncio.create_task() right away (ANT-0002)")
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Deprecated. The loop that runs the application; ``None`` while nothing does."""
        warn_deprecated("ANT-0002")
        if self._loop is not None:
            return self._loop
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            return None

    @property
    def wanted_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop given as ``loop=``, which has to be the one that runs the application."""
        return self._loop

    @property
    @deprecated("Call asyncio.get_running_loop().get_debug() (ANT-0023)")
    def debug(self) -> bool:
        """Whether error pages show tracebacks. Obsolete (ANT-0023)."""
        warn_deprecated("ANT-0023")
        return self._shows_tracebacks()

    def _shows_tracebacks(self) -> bool:
        if self._debug is not ...:
            return bool(self._debug)
        try:
            return asyncio.get_running_loop().get_debug()
        except RuntimeError:
            return False

    @property
    def subapps(self) -> tuple["Application", ...]:
        """The applications directly below this one, in the order of their addition."""
        return tuple(self._subapps)

    # -- below it --

    def add_routes(self, routes: Iterable[AbstractRouteDef]) -> list[AbstractRoute]:
        """Add what was declared with `get`, `post` … or in a `RouteTableDef`."""
        return self._router.add_routes(routes)

    def add_subapp(self, prefix: str, subapp: "Application") -> PrefixedSubAppResource:
        """Let *subapp* answer for everything below *prefix*.

        Its routes, middlewares and signals can no longer change; its stored
        values can until this application has started.

        Raises:
            TypeError: *prefix* is no text.
            ValueError: *prefix* is empty or does not begin with a slash.
            RuntimeError: One of the two has started, or *subapp* is below a prefix already.
        """
        if not isinstance(prefix, str):
            raise TypeError("Prefix must be str")
        prefix = prefix.rstrip("/")
        if not prefix:
            raise ValueError("Prefix cannot be empty")
        self._check_can_add(subapp)
        if subapp._app_above is not None:
            raise RuntimeError("the application is a sub-application already")
        return self._added(PrefixedSubAppResource(prefix, subapp), subapp)

    def add_domain(self, domain: str, subapp: "Application") -> MatchedSubAppResource:
        """Let *subapp* answer all requests for *domain*.

        Args:
            domain: A host name, with a port unless that is 80; ``*`` stands for any characters.
            subapp: The application; several domains may lead to it.

        Raises:
            TypeError: *domain* is no text.
            ValueError: *domain* is no domain.
            RuntimeError: One of the two has started, or *subapp* is below something else.
        """
        if not isinstance(domain, str):
            raise TypeError("Domain must be str")
        rule = (MaskDomain if "*" in domain else Domain)(domain)
        self._check_can_add(subapp)
        if subapp._app_above not in {None, self}:
            raise RuntimeError("the application is a sub-application already")
        return self._added(MatchedSubAppResource(rule, subapp), subapp)

    def _check_can_add(self, subapp: "Application") -> None:
        if self._frozen:
            raise RuntimeError("Cannot add sub application to frozen application")
        if subapp.frozen:
            raise RuntimeError("Cannot add frozen application")
        above: Application | None = self
        while above is not None:
            if above is subapp:
                raise RuntimeError("an application cannot be below itself")
            above = above._app_above

    def _added(self, resource: _R, subapp: "Application") -> _R:
        self._router.register_resource(resource)
        if subapp not in self._subapps:
            self._subapps.append(subapp)
            subapp._app_above = self

            async def start(app: Application) -> None:
                await subapp.on_startup.send(subapp)

            async def shut_down(app: Application) -> None:
                await run_all(subapp.on_shutdown, subapp)

            async def clean_up(app: Application) -> None:
                await run_all(subapp.on_cleanup, subapp)

            self._on_startup.append(start)
            self._on_shutdown.append(shut_down)
            self._on_cleanup.append(clean_up)
        subapp.pre_freeze()
        return resource

    # -- life --

    @property
    def pre_frozen(self) -> bool:
        """Whether routes, middlewares and signals can no longer change."""
        return self._pre_frozen

    @property
    def frozen(self) -> bool:
        """Whether nothing can change any more."""
        return self._frozen

    def pre_freeze(self) -> None:
        """Refuse changes to routes, middlewares and signals, here and below."""
        if self._pre_frozen:
            return
        self._pre_frozen = True
        checked_middlewares(self._middlewares, owner="an application", warn=False)
        self._middlewares.freeze()
        self._router.freeze()
        self._on_response_prepare.freeze()
        self._cleanup_ctx.freeze()
        self._on_startup.freeze()
        self._on_shutdown.freeze()
        self._on_cleanup.freeze()
        for subapp in self._subapps:
            subapp.pre_freeze()

    def freeze(self) -> None:
        """Refuse every change, here and below, and make the router ready for requests."""
        if self._frozen:
            return
        self.pre_freeze()
        self._frozen = True
        for subapp in self._subapps:
            subapp.freeze()
        if self._app_above is None:
            self._router.compile()

    async def startup(self) -> None:
        """Enter the cleanup contexts and send `on_startup`.

        If something fails, the contexts that were entered are left again, here
        and below, and the error is raised; `cleanup` remains to be called.
        """
        self.pre_freeze()
        self._changing = True
        try:
            await self._on_startup.send(self)
        except BaseException as exc:
            try:
                await self._leave_contexts(self)
            except Exception as problem:
                exc.add_note(f"then, leaving the cleanup contexts: {problem!r}")
                self.logger.exception("Error leaving the contexts of a failed start")
            raise
        finally:
            self._changing = False

    async def _leave_contexts(self, app: "Application") -> None:
        await run_all(
            [
                *(below._leave_contexts for below in reversed(self._subapps)),
                self._cleanup_ctx.leave,
            ],
            self,
        )

    async def shutdown(self) -> None:
        """Await every receiver of `on_shutdown`, whatever the others do.

        Raises:
            CleanupError: Several failed; a single error is raised as it is.
        """
        await run_all(self._on_shutdown, self)

    async def cleanup(self) -> None:
        """Leave the cleanup contexts and await every receiver of `on_cleanup`.

        Each has its turn, whatever the others do. An application that never came
        so far as to be frozen has nothing to clean up but contexts.

        Raises:
            CleanupError: Several failed; a single error is raised as it is.
        """
        self._changing = True
        try:
            if self._on_cleanup.frozen:
                await run_all(self._on_cleanup, self)
            else:
                await self._cleanup_ctx.leave(self)
        finally:
            self._changing = False

    # -- serving --

    def use_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called by who runs the application: *loop* is the one.

        Raises:
            RuntimeError: It was made for another loop.
        """
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError("web.Application instance initialized with different loop")
        for subapp in self._subapps:
            subapp.use_loop(loop)

    @deprecated("Use AppRunner (ANT-0024)")
    def make_handler(
        self,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        access_log_class: "type[AbstractAccessLogger] | None" = None,
        **kwargs: Any,
    ) -> "Server":
        """A server of the application, for `asyncio.loop.create_server`; it is frozen by this.

        Obsolete (ANT-0024). Starting the application, shutting it down and cleaning it up is left to
        the caller: an `AppRunner` is easier.

        Args:
            loop: The loop that will run it.
            access_log_class: What logs requests.
            kwargs: Other options of `Server`.

        Raises:
            RuntimeError: The application was made for another loop.
            TypeError: There is no such option.
        """
        from .server import Server  # servers stand on applications

        warn_deprecated("ANT-0024")

        if loop is not None:
            self.use_loop(loop)
        self.freeze()
        options = {**self.handler_args, **kwargs}
        if access_log_class is not None:
            options["access_log_class"] = access_log_class
        return Server(self, **options)

    async def resolve(self, request: "Request") -> AbstractMatchInfo:
        """The match for *request*, complete and frozen; waits only if a resource must be asked."""
        return await match_for(self, request)

    async def _handle(self, request: "Request") -> "StreamResponse":
        """Answer *request* as the server does, but for what concerns the connection."""
        info: Any = await match_for(self, request)
        request._match_info = info
        response: StreamResponse = await info.serve(request)
        return response

    def __call__(self) -> "Application":
        """The application itself: servers that want a factory take it as one."""
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {id(self):#x}>"
