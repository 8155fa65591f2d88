"""Routes: a method and a handler."""

import abc
import inspect
import re
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Final, cast

from yarl import URL

from antiphon.core.deprecations import warn_deprecated

from ..typedefs import ExpectHandler, Handler, Middleware
from ._compose import Binding, checked_middlewares, compose
from .abc import AbstractView
from .options import NO_OPTIONS, RouteOptions

if TYPE_CHECKING:
    from ..app import Application
    from ..exceptions import HTTPException
    from ..request import Request
    from ..response import StreamResponse
    from .resources import AbstractResource

__all__ = ("AbstractRoute", "ResourceRoute", "SystemRoute")

# RFC 9110 §9.1: a method is a token (§5.6.2).
_METHOD: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


async def _default_expect_handler(request: "Request") -> None:
    """Refuse every expectation but ``100-continue`` (RFC 9110 §10.1.1).

    The interim response itself is sent as soon as the content is read.

    Raises:
        HTTPExpectationFailed: Something else is expected.
    """
    expect = request.headers.get("Expect", "")
    if expect.strip().lower() not in {"", "100-continue"}:
        from ..exceptions import HTTPExpectationFailed  # responses stand beside routing, not below

        raise HTTPExpectationFailed(text=f"Unknown Expect: {expect[:100]}")


class AbstractRoute(abc.ABC):
    """Handles requests of one method, or of every method (``*``).

    Args:
        method: A token; written in capitals if it is not. ``*`` for any.
        handler: A coroutine function that takes the request, or a class below `View`.
        expect_handler: Decides about ``Expect``; the default refuses all but ``100-continue``.
        resource: Where it belongs.
        middlewares: Around the handler, within those of resource and application.
        options: What is special about it.

    Raises:
        ValueError: The method is no token.
        TypeError: Handler, expect handler or a middleware is not what it should be.
    """

    def __init__(
        self,
        method: str,
        handler: Handler | type[AbstractView],
        *,
        expect_handler: ExpectHandler | None = None,
        resource: "AbstractResource | None" = None,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
    ) -> None:
        if not _METHOD.fullmatch(method):
            raise ValueError(f"{method!r} is not allowed HTTP method")
        if expect_handler is not None and not _returns_coroutine(expect_handler):
            raise TypeError(f"Coroutine is expected, got {expect_handler!r}")
        # HEAD and GET of one resource have one handler, which is worth one warning.
        first = resource is None or all(route.handler is not handler for route in resource)
        self._call = _awaitable_handler(handler, warn=first)
        self._method = method.upper()
        self._handler: Any = handler
        self._expect_handler = expect_handler
        self._resource = resource
        self._middlewares = tuple(middlewares)
        checked_middlewares(self._middlewares, owner="a route", warn=first)
        self._options = options
        self._bindings: dict[tuple[Application, ...], Binding] = {}

    @property
    def method(self) -> str:
        """The method in capitals, or ``*``."""
        return self._method

    @property
    def handler(self) -> Handler:
        """The handler as it was given."""
        return self._handler  # type: ignore[no-any-return]  # a class below View is one, too

    @property
    def resource(self) -> "AbstractResource | None":
        """Where the route belongs; ``None`` for errors."""
        return self._resource

    @property
    def middlewares(self) -> tuple[Middleware, ...]:
        """The route's own middlewares, the outermost first."""
        return self._middlewares

    @property
    def options(self) -> RouteOptions:
        """The route's own options; what is in force is `AbstractMatchInfo.options`."""
        return self._options

    @property
    @abc.abstractmethod
    def name(self) -> str | None:
        """The name of the resource."""

    @abc.abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Facts about the route, for people to read."""

    @abc.abstractmethod
    def url_for(self, *args: str, **kwargs: str) -> URL:
        """The URL of the route's resource."""

    @property
    def has_expect_handler(self) -> bool:
        """Whether ``Expect`` is decided by something else than the default."""
        return self._expect_handler is not None

    async def handle_expect_header(self, request: "Request") -> "StreamResponse | None":
        """Decide about the request's ``Expect``: a response, an error raised, or go on."""
        if self._expect_handler is None:
            await _default_expect_handler(request)
            return None
        return await self._expect_handler(request)

    # -- for the dispatcher --

    @property
    def unbound(self) -> Binding:
        """The route without any application."""
        return self.bind(())

    def bind(self, apps: "tuple[Application, ...]") -> Binding:
        """The route for requests that pass *apps*; kept once the applications cannot change."""
        binding = self._bindings.get(apps)
        if binding is None:
            binding = self._bound(apps)
            if all(app.pre_frozen for app in apps):
                self._bindings[apps] = binding
        return binding

    def _bound(self, apps: "tuple[Application, ...]") -> Binding:
        middlewares = self._middlewares
        inner = [self._options]
        if self._resource is not None:
            middlewares = (*self._resource.middlewares, *middlewares)
            inner.append(self._resource.options)
        return Binding(
            self,
            apps,
            compose(self._call, middlewares, apps),
            RouteOptions.in_force(inner, apps),
        )


class ResourceRoute(AbstractRoute):
    """A route of a resource."""

    def __init__(
        self,
        method: str,
        handler: Handler | type[AbstractView],
        resource: "AbstractResource",
        *,
        expect_handler: ExpectHandler | None = None,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
    ) -> None:
        super().__init__(
            method,
            handler,
            expect_handler=expect_handler,
            resource=resource,
            middlewares=middlewares,
            options=options,
        )
        self._owner = resource

    def __repr__(self) -> str:
        return f"<ResourceRoute [{self.method}] {self._owner!r} -> {self.handler!r}>"

    @property
    def name(self) -> str | None:
        return self._owner.name

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """The resource's URL; arguments are those of its ``url_for``."""
        return self._owner.url_for(*args, **kwargs)

    def get_info(self) -> dict[str, Any]:
        return self._owner.get_info()


class SystemRoute(AbstractRoute):
    """What a request without a matching route goes to: raises the error."""

    def __init__(self, http_error: "HTTPException") -> None:
        super().__init__("*", self._handle)
        self._http_exception = http_error

    @property
    def name(self) -> str | None:
        return None

    @property
    def status(self) -> int:
        """The error's status."""
        return self._http_exception.status

    @property
    def reason(self) -> str:
        """The error's reason phrase."""
        return self._http_exception.reason

    def url_for(self, *args: str, **kwargs: str) -> URL:
        raise RuntimeError(".url_for() is not allowed for SystemRoute")

    def get_info(self) -> dict[str, Any]:
        return {"http_exception": self._http_exception}

    async def _handle(self, request: "Request") -> "StreamResponse":
        raise self._http_exception

    def __repr__(self) -> str:
        return f"<SystemRoute {self.status}: {self.reason}>"


def _returns_coroutine(function: object) -> bool:
    """Whether calling *function* gives a coroutine, as far as can be told without doing so."""
    if inspect.iscoroutinefunction(function):
        return True
    call = getattr(type(function), "__call__", None)  # noqa: B004  # its kind, not whether it is callable
    return inspect.iscoroutinefunction(call)


def _awaitable_handler(handler: object, *, warn: bool) -> Handler:
    """*handler* as something whose result can be awaited.

    Args:
        warn: Say so if it is obsolete.

    Raises:
        TypeError: It is no function, or a generator.
    """
    if isinstance(handler, type) and issubclass(handler, AbstractView):
        return handler
    if not callable(handler) or isinstance(handler, type):
        raise TypeError(f"a handler must be a coroutine function or a View, not {handler!r}")
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise TypeError(f"a handler must be a coroutine function, not the generator {handler!r}")
    if _returns_coroutine(handler):
        return cast(Handler, handler)
    if warn and not _returns_coroutine(inspect.unwrap(handler)):
        # A decorator's plain function around a coroutine function is fine.
        warn_deprecated("ANT-0017")
    return _awaiting_if_needed(handler)


def _awaiting_if_needed(handler: Callable[..., Any]) -> Handler:
    async def call(request: "Request") -> Any:
        result = handler(request)
        return await result if inspect.isawaitable(result) else result

    return update_wrapper(call, handler)
