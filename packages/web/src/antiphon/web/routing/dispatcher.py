"""The router: resources in the order of their registration, and their names."""

import keyword
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Sized
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from antiphon.core import hdrs
from antiphon.core.typedefs import PathLikeStr

from ..typedefs import ExpectHandler, Handler, Middleware
from ._matcher import Matcher
from ._pattern import canonical_path
from .abc import AbstractMatchInfo, AbstractRouter, AbstractView
from .match_info import UrlMappingMatchInfo
from .options import NO_OPTIONS, DisconnectPolicy, RouteOptions
from .resources import AbstractResource, DynamicResource, PlainResource, Resource
from .routes import AbstractRoute

if TYPE_CHECKING:
    from ..app import Application
    from ..request import Request
    from .routedef import AbstractRouteDef

__all__ = ("ResourcesView", "RoutesView", "UrlDispatcher", "match_for")


class ResourcesView(Sized, Iterable[AbstractResource], Container[AbstractResource]):
    """The resources of a router, in the order of registration."""

    def __init__(self, resources: Sequence[AbstractResource]) -> None:
        self._resources = resources

    def __len__(self) -> int:
        return len(self._resources)

    def __iter__(self) -> Iterator[AbstractResource]:
        return iter(self._resources)

    def __contains__(self, resource: object) -> bool:
        return resource in self._resources


class RoutesView(Sized, Iterable[AbstractRoute], Container[AbstractRoute]):
    """The routes of all resources of a router, as they are now."""

    def __init__(self, resources: Iterable[AbstractResource]) -> None:
        self._routes = [route for resource in resources for route in resource]

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._routes)

    def __contains__(self, route: object) -> bool:
        return route in self._routes


class UrlDispatcher(AbstractRouter, Mapping[str, AbstractResource]):
    """Finds the route for a request.

    Resources are asked in the order of their registration, and the first that
    has a route for path and method is taken; resources that cannot match the
    path are not asked at all. As a mapping it holds the named resources.
    """

    NAME_SPLIT_RE: Final = re.compile(r"[.:-]")

    def __init__(self) -> None:
        super().__init__()
        self._resources: list[AbstractResource] = []
        self._named: dict[str, AbstractResource] = {}
        self._prefix = ""
        self._app: Application | None = None
        self._matcher: Matcher | None = None
        self._bare_matcher: Matcher | None = None

    def post_init(self, app: "Application") -> None:
        if self._app is not None:
            raise RuntimeError("the router belongs to another application")
        self._app = app

    # -- finding --

    async def resolve(self, request: "Request") -> AbstractMatchInfo:
        """The match for *request*; applications above this router are still to be added to it."""
        matcher = self._bare_matcher
        if matcher is None:
            matcher = Matcher(self._resources, (), frozen=False)
            if self._frozen:
                self._bare_matcher = matcher
        path = canonical_path(request.rel_url.raw_path)
        return await matcher.resolve(request.method, path, request)

    def match(self, method: str, raw_path: str, request: "Request") -> UrlMappingMatchInfo | None:
        """The match, complete with the router's application and frozen.

        ``None`` if a resource of somebody's own has to be awaited: see `match_for`.

        Args:
            method: The request's method, as sent.
            raw_path: Its target or the path of that, as sent.
        """
        if self._resolves_itself:
            return None
        return (self._matcher or self.compile()).match(method, raw_path, request)

    @property
    def _resolves_itself(self) -> bool:
        """Whether a subclass decides, so that it has to be awaited."""
        return type(self).resolve is not UrlDispatcher.resolve

    def compile(self) -> Matcher:
        """Make ready for requests: handlers and middlewares are put together here, once.

        Before the router is frozen that is done again for every request.
        """
        matcher = Matcher(self._resources, () if self._app is None else (self._app,), frozen=True)
        if self._frozen:
            self._matcher = matcher
            if type(self).match is UrlDispatcher.match and not self._resolves_itself:
                self.direct = matcher.direct
                self.match = matcher.match  # type: ignore[method-assign]  # spares each request a call
        return matcher

    # -- looking in --

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def __contains__(self, resource: object) -> bool:
        return resource in self._named

    def __getitem__(self, name: str) -> AbstractResource:
        return self._named[name]

    def __bool__(self) -> bool:
        return True  # a router without names is a router

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def resources(self) -> ResourcesView:
        """The resources, in the order of registration."""
        return ResourcesView(self._resources)

    def routes(self) -> RoutesView:
        """The routes of all resources."""
        return RoutesView(self._resources)

    def named_resources(self) -> Mapping[str, AbstractResource]:
        """The resources that have a name, by it."""
        return MappingProxyType(self._named)

    @property
    def prefix(self) -> str:
        """What the paths of all resources begin with, put there by applications above."""
        return self._prefix

    # -- adding --

    def freeze(self) -> None:
        super().freeze()
        for resource in self._resources:
            resource.freeze()

    def add_prefix(self, prefix: str) -> None:
        """Move every resource below *prefix*: the application became a sub-application."""
        for resource in self._resources:
            resource.add_prefix(prefix)
        self._prefix = prefix + self._prefix

    def register_resource(self, resource: AbstractResource) -> None:
        """Add a resource.

        Raises:
            RuntimeError: The router is frozen.
            TypeError: *resource* is none.
            ValueError: Its name is taken or none.
        """
        if not isinstance(resource, AbstractResource):
            raise TypeError(f"Instance of AbstractResource class is required, got {resource!r}")
        if self._frozen:
            raise RuntimeError("Cannot register a resource into frozen router.")
        name = resource.name
        if name is not None:
            self._check_name(name)
            self._named[name] = resource
        self._resources.append(resource)

    def _check_name(self, name: str) -> None:
        for part in self.NAME_SPLIT_RE.split(name):
            if keyword.iskeyword(part):
                raise ValueError(
                    f"Incorrect route name {name!r}, python keywords cannot be used for route name"
                )
            if not part.isidentifier():
                raise ValueError(
                    f"Incorrect route name {name!r}, the name should be a sequence of "
                    "python identifiers separated by dash, dot or column"
                )
        if name in self._named:
            raise ValueError(f"Duplicate {name!r}, already handled by {self._named[name]!r}")

    def index_resource(self, resource: AbstractResource) -> None:
        """Take note that the path of *resource* changed."""
        self._matcher = self._bare_matcher = None

    def unindex_resource(self, resource: AbstractResource) -> None:
        """Take note that the path of *resource* is about to change."""
        self._matcher = self._bare_matcher = None

    def add_resource(
        self,
        path: str,
        *,
        name: str | None = None,
        middlewares: Sequence[Middleware] = (),
        options: RouteOptions = NO_OPTIONS,
    ) -> Resource:
        """Add a resource for *path*, or give the last one if it is for the same path and name.

        Args:
            path: Begins with a slash, or is empty; ``{name}`` and ``{name:regex}``
                stand for variables.
            name: For `url_for`: identifiers, separated by ``.``, ``:`` or ``-``.
            middlewares: Around each of its handlers, within those of the application.
            options: For each of its routes that says nothing itself.

        Raises:
            ValueError: Path or name cannot be one.
            RuntimeError: The router is frozen.
        """
        if self._resources and not middlewares and options == NO_OPTIONS:
            last = self._resources[-1]
            if isinstance(last, Resource) and last.name == name and last.raw_match(path):
                return last
        kind = DynamicResource if "{" in path or "}" in path else PlainResource
        resource = kind(path, name=name, middlewares=middlewares, options=options)
        self.register_resource(resource)
        return resource

    def add_route(
        self,
        method: str,
        path: str,
        handler: Handler | type[AbstractView],
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
        middlewares: Sequence[Middleware] = (),
        client_max_size: int | None = None,
        client_max_fields: int | None = None,
        disconnect: DisconnectPolicy | None = None,
        timeout: float | None = None,
    ) -> AbstractRoute:
        """Answer *method* requests for *path* with *handler*.

        Args:
            method: A method, or ``*`` for any.
            path: See `add_resource`.
            handler: A coroutine function that takes the request, or a class below `View`.
            name: Of the resource.
            expect_handler: Decides about ``Expect``.
            middlewares: Around this handler, within those of resource and application.
            client_max_size: Bytes of content the handler may read at once; 0 for no limit.
            client_max_fields: Fields of a form; 0 for no limit.
            disconnect: What becomes of the handler when the peer goes away.
            timeout: Seconds the handler may take; ``math.inf`` for no limit.

        Raises:
            ValueError: Method, path, name or an option cannot be one.
            TypeError: The handler cannot be one.
            RuntimeError: There is a route for that already, or the router is frozen.
        """
        if self._frozen:
            raise RuntimeError("Cannot register a resource into frozen router.")
        options = RouteOptions(
            client_max_size=client_max_size,
            client_max_fields=client_max_fields,
            disconnect=disconnect,
            timeout=timeout,
        )
        return self.add_resource(path, name=name).add_route(
            method,
            handler,
            expect_handler=expect_handler,
            middlewares=middlewares,
            options=options,
        )

    def add_static(
        self,
        prefix: str,
        path: PathLikeStr,
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
        chunk_size: int = 256 * 1024,
        show_index: bool = False,
        follow_symlinks: bool = False,
        append_version: bool = False,
        middlewares: Sequence[Middleware] = (),
        client_max_size: int | None = None,
        client_max_fields: int | None = None,
        disconnect: DisconnectPolicy | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> AbstractResource:
        """Serve the files below the directory *path*.

        Args:
            prefix: Begins with a slash; what follows it in a request's path names the file.
            path: The directory.
            name: Of the resource.
            expect_handler: Decides about ``Expect``.
            chunk_size: Bytes read from a file at a time.
            show_index: List directories.
            follow_symlinks: Follow symbolic links that lead out of the directory.
            append_version: Put a hash of the file into URLs made for it.
            middlewares: Around its handlers, within those of the application.
            client_max_size: See `add_route`, as for the next three.
            client_max_fields: See there.
            disconnect: See there.
            timeout: See there.
            options: Further arguments of `StaticResource`.

        Raises:
            ValueError: The prefix does not begin with a slash, or *path* is no directory.
            RuntimeError: The router is frozen.
        """
        from .static import StaticResource  # files and responses stand beside routing, not below

        if not prefix.startswith("/"):
            raise ValueError(f"a prefix begins with a slash, not {prefix!r}")
        resource: AbstractResource = StaticResource(
            prefix.removesuffix("/"),
            path,
            name=name,
            expect_handler=expect_handler,
            chunk_size=chunk_size,
            show_index=show_index,
            follow_symlinks=follow_symlinks,
            append_version=append_version,
            middlewares=middlewares,
            options=RouteOptions(
                client_max_size=client_max_size,
                client_max_fields=client_max_fields,
                disconnect=disconnect,
                timeout=timeout,
            ),
            **options,
        )
        self.register_resource(resource)
        return resource

    def add_head(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """`add_route` for HEAD."""
        return self.add_route(hdrs.METH_HEAD, path, handler, **kwargs)

    def add_options(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """`add_route` for OPTIONS."""
        return self.add_route(hdrs.METH_OPTIONS, path, handler, **kwargs)

    def add_get(
        self,
        path: str,
        handler: Handler,
        *,
        name: str | None = None,
        allow_head: bool = True,
        **kwargs: Any,
    ) -> AbstractRoute:
        """`add_route` for GET, and for HEAD with the same handler if *allow_head*."""
        if allow_head:
            self.add_route(hdrs.METH_HEAD, path, handler, name=name, **kwargs)
        return self.add_route(hdrs.METH_GET, path, handler, name=name, **kwargs)

    def add_post(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """`add_route` for POST."""
        return self.add_route(hdrs.METH_POST, path, handler, **kwargs)

    def add_put(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """`add_route` for PUT."""
        return self.add_route(hdrs.METH_PUT, path, handler, **kwargs)

    def add_patch(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """`add_route` for PATCH."""
        return self.add_route(hdrs.METH_PATCH, path, handler, **kwargs)

    def add_delete(self, path: str, handler: Handler, **kwargs: Any) -> AbstractRoute:
        """`add_route` for DELETE."""
        return self.add_route(hdrs.METH_DELETE, path, handler, **kwargs)

    def add_view(self, path: str, handler: type[AbstractView], **kwargs: Any) -> AbstractRoute:
        """`add_route` for every method: the view has one coroutine for each that it allows."""
        return self.add_route(hdrs.METH_ANY, path, handler, **kwargs)

    def add_routes(self, routes: "Iterable[AbstractRouteDef]") -> list[AbstractRoute]:
        """Add what was declared with `get`, `post` … or in a `RouteTableDef`."""
        return [route for definition in routes for route in definition.register(self)]

    def __repr__(self) -> str:
        return f"<UrlDispatcher resources={len(self._resources)} frozen={self._frozen}>"


async def match_for(app: "Application", request: "Request") -> AbstractMatchInfo:
    """The match for a request that comes to *app*, complete and frozen; waits only if it must."""
    router = app.router
    info: AbstractMatchInfo | None = router.match(request.method, request.rel_url.raw_path, request)
    if info is None:
        info = await router.resolve(request)
        info.add_app(app)
        info.freeze()
    return info
