"""A handler inside its middlewares, made once for each route and way through the applications."""

import inspect
from collections.abc import Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from antiphon.core.deprecations import warn_deprecated

from ..typedefs import Handler, Middleware
from .options import DEFAULT_CLIENT_MAX_FIELDS, DEFAULT_CLIENT_MAX_SIZE, RouteOptions

if TYPE_CHECKING:
    from .._signals import Signal
    from ..app import Application
    from ..request import Request
    from ..response import StreamResponse
    from .match_info import UrlMappingMatchInfo

__all__ = (
    "Binding",
    "checked_middlewares",
    "compose",
    "is_new_style",
    "warn_of_factory",
)


class Binding:
    """What one route comes to for a request that passes certain applications."""

    __slots__ = ("apps", "current_app", "options", "response_signals", "route", "serve", "usual")

    def __init__(
        self, route: Any, apps: "tuple[Application, ...]", serve: Handler, options: RouteOptions
    ) -> None:
        self.route = route
        self.apps = apps
        self.current_app: Application | None = apps[-1] if apps else None
        self.serve = serve
        self.options = options
        self.response_signals: tuple[Signal[Request, StreamResponse], ...] = tuple(
            signal for app in apps if (signal := app.on_response_prepare)
        )
        self.usual = (
            options.timeout is None
            and options.disconnect is None
            and options.client_max_size == DEFAULT_CLIENT_MAX_SIZE
            and options.client_max_fields == DEFAULT_CLIENT_MAX_FIELDS
            and not self.response_signals
        )
        """Whether nobody asked for anything that a request does not do anyway."""

    def match(self) -> "UrlMappingMatchInfo":
        """The match of a request that leads here, complete and frozen, without values."""
        from .match_info import UrlMappingMatchInfo

        return UrlMappingMatchInfo.bound_to(self)


def compose(
    handler: Handler, inner: Sequence[Middleware], apps: "Sequence[Application]"
) -> Handler:
    """Put *handler* into *inner* middlewares and those into the ones of *apps*.

    Within a sequence the first is the outermost. While a middleware of an
    application runs, that application is the match's current one.
    """
    handler = _wrapped(handler, inner)
    current: Application | None = None
    for app in reversed(apps):
        if app.middlewares:
            if app is not apps[-1]:
                handler = _switching(handler, app, current or apps[-1])
            handler = _wrapped(handler, app.middlewares, app)
            current = app
    if current is not None and current is not apps[-1]:
        handler = _entering(handler, current)
    return handler


def _wrapped(
    handler: Handler, middlewares: Sequence[Middleware], app: "Application | None" = None
) -> Handler:
    for middleware in reversed(middlewares):
        if is_new_style(middleware):
            handler = _around(middleware, handler)
        else:
            handler = _made_by(middleware, app, handler)
    return handler


def _around(middleware: Middleware, handler: Handler) -> Handler:
    # A plain function that returns the middleware's coroutine: no frame of its own is awaited.
    def call(request: "Request") -> Any:
        return middleware(request, handler)

    # Middlewares read marks that decorators left on the handler.
    return update_wrapper(call, handler)


def _made_by(factory: Any, app: "Application | None", handler: Handler) -> Handler:
    async def call(request: "Request") -> Any:
        made = await factory(app, handler)
        return await made(request)

    return update_wrapper(call, handler)


def _switching(handler: Handler, outer: "Application", inner: "Application") -> Handler:
    """*handler* of *inner*, called by a middleware of *outer*."""

    async def call(request: "Request") -> Any:
        info: Any = request.match_info
        info._current_app = inner
        try:
            return await handler(request)
        finally:
            info._current_app = outer

    return update_wrapper(call, handler)


def _entering(handler: Handler, outer: "Application") -> Handler:
    """*handler* of *outer*, which is not where the request ends up."""

    async def call(request: "Request") -> Any:
        info: Any = request.match_info
        innermost = info._current_app
        info._current_app = outer
        try:
            return await handler(request)
        finally:
            info._current_app = innermost

    return update_wrapper(call, handler)


def is_new_style(middleware: object) -> bool:
    """Whether *middleware* takes a request and a handler, rather than an application and a handler.

    The decorator's mark decides; without it a first parameter that is called
    or annotated as a request does.
    """
    call = getattr(type(middleware), "__call__", None)  # noqa: B004  # its marks, not whether it is callable
    for holder in (middleware, call):
        if getattr(holder, "__middleware_version__", None) == 1:
            return True
    try:
        parameters = list(inspect.signature(middleware).parameters.values())  # type: ignore[arg-type]  # TypeError is caught
    except (TypeError, ValueError):
        return False
    if not parameters:
        return False
    annotation = parameters[0].annotation
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return parameters[0].name in {"request", "req"} or name.rpartition(".")[2] in {
        "Request",
        "BaseRequest",
    }


def checked_middlewares(
    middlewares: Sequence[Middleware], *, owner: str, warn: bool = True
) -> None:
    """Look at *middlewares*, and warn of old-style factories among them if *warn*.

    Raises:
        TypeError: One is not callable.
    """
    for middleware in middlewares:
        if not callable(middleware):
            raise TypeError(f"a middleware of {owner} must be callable, not {middleware!r}")
        if warn:
            warn_of_factory(middleware)


def warn_of_factory(middleware: object) -> None:
    """Warn if *middleware* is an old-style factory."""
    if callable(middleware) and not is_new_style(middleware):
        warn_deprecated("ANT-0003")
