"""Resources: a path, or what takes the place of one, with its routes."""

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

from yarl import URL

from ..typedefs import ExpectHandler, Handler, Middleware
from . import _pattern
from ._compose import checked_middlewares
from ._pattern import PathPattern
from .abc import AbstractMatchInfo, AbstractView
from .match_info import UrlMappingMatchInfo
from .options import NO_OPTIONS, RouteOptions
from .routes import AbstractRoute, ResourceRoute

if TYPE_CHECKING:
    from ..request import Request

__all__ = (
    "AbstractResource",
    "DynamicResource",
    "MatchedByPath",
    "PlainResource",
    "PrefixResource",
    "Resolve",
    "Resource",
)

Resolve = tuple[AbstractMatchInfo | None, set[str]]
"""A match or ``None``, and the methods that the resource has for this path."""


class AbstractResource(Sized, Iterable[AbstractRoute]):
    """A collection of routes that a request may match.

    A resource of one's own implements the abstract methods and is added with
    `UrlDispatcher.register_resource`. Its `resolve` is awaited for each request
    that nothing registered before it takes, whatever the path.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
    ) -> None:
        self._name = name
        self._middlewares = tuple(middlewares)
        checked_middlewares(self._middlewares, owner="a resource")
        self._options = options

    @property
    def name(self) -> str | None:
        """The name the router knows it by, if any."""
        return self._name

    @property
    def middlewares(self) -> tuple[Middleware, ...]:
        """Middlewares around each of the resource's handlers, the outermost first."""
        return getattr(self, "_middlewares", ())  # a subclass need not have called __init__

    @property
    def options(self) -> RouteOptions:
        """Options of each of the resource's routes that says nothing itself."""
        return getattr(self, "_options", NO_OPTIONS)

    @property
    @abc.abstractmethod
    def canonical(self) -> str:
        """The resource's path as text, with ``{name}`` in the place of variables."""

    @abc.abstractmethod
    def url_for(self, **kwargs: str) -> URL:
        """A relative URL of the resource, percent-encoded."""

    @abc.abstractmethod
    async def resolve(self, request: "Request") -> Resolve:
        """The match for *request* or ``None``, with the methods there are for its path."""

    @abc.abstractmethod
    def add_prefix(self, prefix: str) -> None:
        """Move the resource below *prefix*: it belongs to a sub-application."""

    @abc.abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Facts about the resource, for people to read."""

    def freeze(self) -> None:
        """Refuse further routes."""

    @abc.abstractmethod
    def raw_match(self, path: str) -> bool:
        """Whether the resource was made for exactly this *path*, variables included."""


class MatchedByPath(AbstractResource):
    """What resources have in common whose match depends on path and method alone.

    They are found through an index and without waiting.
    """

    _routes: dict[str, ResourceRoute]

    @abc.abstractmethod
    def match_path(self, path: str) -> dict[str, str] | None:
        """The variables' values, decoded, if the canonical *path* belongs here."""

    @property
    @abc.abstractmethod
    def index_steps(self) -> tuple[Sequence[str | None], bool]:
        """Leading segments of every path that belongs here, and whether more may follow."""

    @property
    def method_routes(self) -> Mapping[str, ResourceRoute]:
        """The routes by their method."""
        return self._routes

    async def resolve(self, request: "Request") -> Resolve:
        values = self.match_path(_pattern.canonical_path(request.rel_url.raw_path))
        if values is None:
            return None, set()
        routes = self.method_routes
        route = routes.get(request.method) or routes.get("*")
        return None if route is None else UrlMappingMatchInfo(values, route), set(routes)

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._routes.values())


class Resource(MatchedByPath):
    """A resource that routes can be added to."""

    def __init__(
        self,
        *,
        name: str | None = None,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
    ) -> None:
        super().__init__(name=name, middlewares=middlewares, options=options)
        self._routes = {}
        self._frozen = False

    def add_route(
        self,
        method: str,
        handler: Handler | type[AbstractView],
        *,
        expect_handler: ExpectHandler | None = None,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
    ) -> ResourceRoute:
        """Answer *method* requests with *handler*.

        Raises:
            RuntimeError: There is a route for this method or for all, or the resource is frozen.
            ValueError: The method is no token.
            TypeError: The handler can be none.
        """
        return self.register_route(
            ResourceRoute(
                method,
                handler,
                self,
                expect_handler=expect_handler,
                middlewares=middlewares,
                options=options,
            )
        )

    def register_route(self, route: ResourceRoute) -> ResourceRoute:
        """Add *route*, made before. Raises what `add_route` raises."""
        if self._frozen:
            raise RuntimeError("Cannot add a route to a resource of a frozen router.")
        for method in (route.method, "*"):
            if method in self._routes:
                raise RuntimeError(
                    f"Added route will never be executed, method {method} is already registered"
                )
        self._routes[route.method] = route
        return route

    def freeze(self) -> None:
        self._frozen = True


class PlainResource(Resource):
    """A path without variables."""

    def __init__(
        self,
        path: str,
        *,
        name: str | None = None,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
    ) -> None:
        super().__init__(name=name, middlewares=middlewares, options=options)
        _check_path(path)
        self._set(path)

    def _set(self, path: str) -> None:
        self._path = path
        self._canonical_path = _pattern.canonical_route_path(path)

    @property
    def canonical(self) -> str:
        return self._path

    @property
    def canonical_path(self) -> str:
        """The path in the form that requests' paths are compared in."""
        return self._canonical_path

    def add_prefix(self, prefix: str) -> None:
        _check_prefix(prefix)
        self._set(prefix + self._path)

    def match_path(self, path: str) -> dict[str, str] | None:
        return {} if path == self._canonical_path else None

    @property
    def index_steps(self) -> tuple[Sequence[str | None], bool]:
        return _pattern.literal_steps(self._canonical_path), False

    def raw_match(self, path: str) -> bool:
        return self._path == path

    def get_info(self) -> dict[str, Any]:
        return {"path": self._path}

    def url_for(self) -> URL:  # type: ignore[override]  # there are no variables to give
        """The path, percent-encoded."""
        return _built(_pattern.format_path(_pattern.quote_literal(self._canonical_path)))

    def __repr__(self) -> str:
        return f"<PlainResource {_shown(self.name)} {self._path}>"


class DynamicResource(Resource):
    """A path with variables, ``{name}`` or ``{name:regex}``.

    Raises:
        ValueError: The path is not understood.
    """

    DYN = _pattern.DYN
    DYN_WITH_RE = _pattern.DYN_WITH_RE
    GOOD = _pattern.GOOD

    def __init__(
        self,
        path: str,
        *,
        name: str | None = None,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
    ) -> None:
        super().__init__(name=name, middlewares=middlewares, options=options)
        _check_path(path)
        self._path = path
        self._set(PathPattern(_pattern.parse(path)))

    def _set(self, pattern: PathPattern) -> None:
        self._pattern = pattern
        self.match_path = pattern.match  # type: ignore[assignment, method-assign]  # spares each request a call

    def match_path(self, path: str) -> dict[str, str] | None:
        return self._pattern.match(path)

    @property
    def canonical(self) -> str:
        return self._pattern.formatter

    def add_prefix(self, prefix: str) -> None:
        _check_prefix(prefix)
        self._path = prefix + self._path
        self._set(self._pattern.with_prefix(_pattern.canonical_route_path(prefix)))

    @property
    def index_steps(self) -> tuple[Sequence[str | None], bool]:
        return self._pattern.steps, self._pattern.open_ended

    def raw_match(self, path: str) -> bool:
        return self._path == path

    def get_info(self) -> dict[str, Any]:
        return {"formatter": self._pattern.formatter, "pattern": self._pattern.regex}

    def url_for(self, **parts: str) -> URL:
        """The path with *parts* for its variables, percent-encoded.

        A slash stays one where the variable's regular expression may match it,
        and is encoded elsewhere; so the URL leads back here.

        Raises:
            KeyError: A part is missing.
            TypeError: A part is neither text nor a number.
        """
        return _built(self._pattern.format(parts))

    def __repr__(self) -> str:
        return f"<DynamicResource {_shown(self.name)} {self._pattern.formatter}>"


class PrefixResource(MatchedByPath):
    """Everything below a prefix.

    Args:
        prefix: Begins with a slash and does not end with one; empty for everything.
    """

    def __init__(
        self,
        prefix: str,
        *,
        name: str | None = None,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
    ) -> None:
        super().__init__(name=name, middlewares=middlewares, options=options)
        if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ValueError(f"a prefix starts with / and does not end with it, not {prefix!r}")
        self._routes = {}
        self._set_prefix(prefix)

    def _set_prefix(self, prefix: str) -> None:
        self._prefix = prefix
        self._canonical_prefix = _pattern.canonical_route_path(prefix)
        self._prefix_below = self._canonical_prefix + "/"

    @property
    def canonical(self) -> str:
        return self._prefix

    def add_prefix(self, prefix: str) -> None:
        _check_prefix(prefix)
        self._set_prefix(prefix + self._prefix)

    def is_below(self, path: str) -> bool:
        """Whether the canonical *path* is the prefix or below it."""
        return path.startswith(self._prefix_below) or path == self._canonical_prefix

    def match_path(self, path: str) -> dict[str, str] | None:
        return {} if self.is_below(path) else None

    @property
    def index_steps(self) -> tuple[Sequence[str | None], bool]:
        return _pattern.literal_steps(self._canonical_prefix), True

    def raw_match(  # pyright: ignore[reportIncompatibleMethodOverride]  # its documented argument
        self, prefix: str
    ) -> bool:
        return False


def _check_path(path: str) -> None:
    if path and not path.startswith("/"):
        raise ValueError("path should be started with / or be empty")


def _check_prefix(prefix: str) -> None:
    if not prefix.startswith("/") or prefix.endswith("/") or len(prefix) < 2:
        raise ValueError(f"a prefix starts with / and goes on, and does not end with /: {prefix!r}")


def _built(path: str) -> URL:
    return URL.build(path=path, encoded=True)


def _shown(name: str | None) -> str:
    return "" if name is None else repr(name)
