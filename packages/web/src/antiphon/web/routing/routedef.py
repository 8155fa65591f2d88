"""Routes declared beside their handlers, to be added to a router later."""

import abc
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import attrs

from antiphon.core import hdrs
from antiphon.core.typedefs import PathLikeStr

from ..typedefs import Handler, Middleware
from .abc import AbstractView
from .routes import AbstractRoute

if TYPE_CHECKING:
    from .dispatcher import UrlDispatcher

__all__ = (
    "AbstractRouteDef",
    "RouteDef",
    "RouteTableDef",
    "StaticDef",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "route",
    "static",
    "view",
)

_AnyHandler = Handler | type[AbstractView]
_H = TypeVar("_H", bound=Callable[..., Any])


class AbstractRouteDef(abc.ABC):
    """A declaration that becomes routes when it is registered."""

    @abc.abstractmethod
    def register(self, router: "UrlDispatcher") -> list[AbstractRoute]:
        """Add what is declared to *router*; the routes that came of it."""


def _shown(kwargs: dict[str, Any]) -> str:
    return "".join(f", {name}={value!r}" for name, value in sorted(kwargs.items()))


@attrs.frozen(repr=False)
class RouteDef(AbstractRouteDef):
    """A method, a path and a handler; *kwargs* go to `UrlDispatcher.add_route`."""

    method: str
    path: str
    handler: _AnyHandler
    kwargs: dict[str, Any]

    def register(self, router: "UrlDispatcher") -> list[AbstractRoute]:
        if self.method in hdrs.METH_ALL:
            add = getattr(router, f"add_{self.method.lower()}", None)
            if add is not None:
                return [add(self.path, self.handler, **self.kwargs)]
        return [router.add_route(self.method, self.path, self.handler, **self.kwargs)]

    def __repr__(self) -> str:
        name = getattr(self.handler, "__name__", repr(self.handler))
        return f"<RouteDef {self.method} {self.path} -> {name!r}{_shown(self.kwargs)}>"


@attrs.frozen(repr=False)
class StaticDef(AbstractRouteDef):
    """A prefix and a directory; *kwargs* go to `UrlDispatcher.add_static`."""

    prefix: str
    path: PathLikeStr
    kwargs: dict[str, Any]

    def register(self, router: "UrlDispatcher") -> list[AbstractRoute]:
        return list(router.add_static(self.prefix, self.path, **self.kwargs))

    def __repr__(self) -> str:
        return f"<StaticDef {self.prefix} -> {self.path}{_shown(self.kwargs)}>"


def route(method: str, path: str, handler: _AnyHandler, **kwargs: Any) -> RouteDef:
    """Declare what `UrlDispatcher.add_route` adds."""
    return RouteDef(method, path, handler, kwargs)


def head(path: str, handler: _AnyHandler, **kwargs: Any) -> RouteDef:
    """Declare a route for HEAD."""
    return route(hdrs.METH_HEAD, path, handler, **kwargs)


def options(path: str, handler: _AnyHandler, **kwargs: Any) -> RouteDef:
    """Declare a route for OPTIONS."""
    return route(hdrs.METH_OPTIONS, path, handler, **kwargs)


def get(
    path: str,
    handler: _AnyHandler,
    *,
    name: str | None = None,
    allow_head: bool = True,
    **kwargs: Any,
) -> RouteDef:
    """Declare a route for GET, and for HEAD if *allow_head*."""
    return route(hdrs.METH_GET, path, handler, name=name, allow_head=allow_head, **kwargs)


def post(path: str, handler: _AnyHandler, **kwargs: Any) -> RouteDef:
    """Declare a route for POST."""
    return route(hdrs.METH_POST, path, handler, **kwargs)


def put(path: str, handler: _AnyHandler, **kwargs: Any) -> RouteDef:
    """Declare a route for PUT."""
    return route(hdrs.METH_PUT, path, handler, **kwargs)


def patch(path: str, handler: _AnyHandler, **kwargs: Any) -> RouteDef:
    """Declare a route for PATCH."""
    return route(hdrs.METH_PATCH, path, handler, **kwargs)


def delete(path: str, handler: _AnyHandler, **kwargs: Any) -> RouteDef:
    """Declare a route for DELETE."""
    return route(hdrs.METH_DELETE, path, handler, **kwargs)


def view(path: str, handler: type[AbstractView], **kwargs: Any) -> RouteDef:
    """Declare a view for every method it has a coroutine for."""
    return route(hdrs.METH_ANY, path, handler, **kwargs)


def static(prefix: str, path: PathLikeStr, **kwargs: Any) -> StaticDef:
    """Declare a tree of files."""
    return StaticDef(prefix, path, kwargs)


class RouteTableDef(Sequence[AbstractRouteDef]):
    """Declarations made by decorating handlers, in the order of the source.

    Args:
        middlewares: Around every handler of the table, outside of a route's own.
        defaults: Arguments of `UrlDispatcher.add_route` for every route of the
            table that does not set them itself, such as ``client_max_size``.
    """

    def __init__(self, *, middlewares: Sequence[Middleware] = (), **defaults: Any) -> None:
        self._items: list[AbstractRouteDef] = []
        self._middlewares = tuple(middlewares)
        self._defaults = defaults

    def __repr__(self) -> str:
        return f"<RouteTableDef count={len(self._items)}>"

    @overload
    def __getitem__(self, index: int) -> AbstractRouteDef: ...
    @overload
    def __getitem__(self, index: slice) -> list[AbstractRouteDef]: ...
    def __getitem__(self, index: int | slice) -> AbstractRouteDef | list[AbstractRouteDef]:
        return self._items[index]

    def __iter__(self) -> Iterator[AbstractRouteDef]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def _with_defaults(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        result = {**self._defaults, **kwargs}
        if self._middlewares:
            result["middlewares"] = (*self._middlewares, *kwargs.get("middlewares", ()))
        return result

    def route(self, method: str, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Declare the decorated handler for *method* and *path*."""

        def declare(handler: _H) -> _H:
            self._items.append(RouteDef(method, path, handler, self._with_defaults(kwargs)))
            return handler

        return declare

    def head(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Declare the decorated handler for HEAD."""
        return self.route(hdrs.METH_HEAD, path, **kwargs)

    def get(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Declare the decorated handler for GET, and for HEAD unless ``allow_head=False``."""
        return self.route(hdrs.METH_GET, path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Declare the decorated handler for POST."""
        return self.route(hdrs.METH_POST, path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Declare the decorated handler for PUT."""
        return self.route(hdrs.METH_PUT, path, **kwargs)

    def patch(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Declare the decorated handler for PATCH."""
        return self.route(hdrs.METH_PATCH, path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Declare the decorated handler for DELETE."""
        return self.route(hdrs.METH_DELETE, path, **kwargs)

    def options(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Declare the decorated handler for OPTIONS."""
        return self.route(hdrs.METH_OPTIONS, path, **kwargs)

    def view(self, path: str, **kwargs: Any) -> Callable[[_H], _H]:
        """Declare the decorated class for every method it has a coroutine for."""
        return self.route(hdrs.METH_ANY, path, **kwargs)

    def static(self, prefix: str, path: PathLikeStr, **kwargs: Any) -> None:
        """Declare a tree of files; it gets the table's middlewares and defaults, too."""
        self._items.append(StaticDef(prefix, path, self._with_defaults(kwargs)))
