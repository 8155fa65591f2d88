"""One application's routes, ready for requests: every handler is composed beforehand."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from antiphon.core import hdrs

from ..exceptions import HTTPMethodNotAllowed, HTTPNotFound
from ._compose import Binding, compose
from ._index import PathIndex
from ._pattern import canonical_path
from .abc import AbstractMatchInfo
from .match_info import MatchInfoError, UrlMappingMatchInfo, raise_http_exception
from .options import RouteOptions
from .resources import AbstractResource, MatchedByPath, PlainResource
from .subapp import MatchedSubAppResource, PrefixedSubAppResource

if TYPE_CHECKING:
    from ..app import Application
    from ..request import Request

__all__ = ("Matcher",)


class _Entry:
    """A resource in the index.

    Exactly one of these is so: it has `bindings`; it leads to `nested`; it must be awaited.
    """

    __slots__ = ("bindings", "match", "nested", "order", "resource")

    def __init__(self, order: int, resource: AbstractResource) -> None:
        self.order = order
        self.resource: Any = resource
        self.bindings: dict[str, Binding] | None = None
        self.match: Any = None
        self.nested: Matcher | None = None


class Matcher:
    """What the resources of a router come to for requests that have passed *apps*.

    Args:
        frozen: Whether these are all the applications there will be.
    """

    def __init__(
        self,
        resources: Iterable[AbstractResource],
        apps: "tuple[Application, ...]",
        *,
        frozen: bool,
    ) -> None:
        self._apps = apps
        self._frozen = frozen
        self._index: PathIndex[_Entry] = PathIndex()
        self.direct: dict[str, Mapping[str, Binding]] = {}
        """Paths whose answer depends on the method alone, by method; ``*`` is not among them."""
        self._errors = Binding(
            None,
            apps,
            compose(raise_http_exception, (), apps),
            RouteOptions.in_force((), apps),
        )
        entries = [self._entry(order, resource) for order, resource in enumerate(resources)]
        self._fill_direct(entries)

    def _entry(self, order: int, resource: AbstractResource) -> _Entry:
        entry = _Entry(order, resource)
        steps, open_ended = getattr(resource, "index_steps", ((), True))
        if isinstance(resource, PrefixedSubAppResource) and not _asks_itself(resource):
            entry.nested = Matcher(
                resource.app.router.resources(),
                (*self._apps, resource.app),
                frozen=self._frozen,
            )
        elif isinstance(resource, MatchedByPath) and not _overrides(resource, "resolve"):
            entry.bindings = {
                method: route.bind(self._apps) for method, route in resource.method_routes.items()
            }
            entry.match = resource.match_path
        else:
            steps, open_ended = (), True
        self._index.add(steps, entry, open_ended=open_ended)
        return entry

    def _fill_direct(self, entries: Iterable[_Entry]) -> None:
        for entry in entries:
            if type(entry.resource) is PlainResource:
                path = entry.resource.canonical_path
                if path not in self.direct:
                    self.direct[path] = self._methods_of(path)
            elif entry.nested is not None and not isinstance(entry.resource, MatchedSubAppResource):
                for path, methods in entry.nested.direct.items():
                    if self._index.candidates(path)[0] is entry:
                        self.direct[path] = methods

    def _methods_of(self, path: str) -> dict[str, Binding]:
        """What *path* leads to by method, as far as that is certain and has no variables."""
        methods: dict[str, Binding | None] = {}
        for entry in self._index.candidates(path):
            if entry.bindings is None:
                break  # it depends on the request
            values = entry.match(path)
            if values is None:
                continue
            for method, binding in entry.bindings.items():
                methods.setdefault(method, None if values else binding)
            if "*" in entry.bindings:
                break
        rest = methods.pop("*", None)
        if rest is not None:
            for method in hdrs.METH_ALL:
                methods.setdefault(method, rest)
        return {method: binding for method, binding in methods.items() if binding is not None}

    # -- per request --

    def match(self, method: str, raw_path: str, request: "Request") -> UrlMappingMatchInfo | None:
        """The match for a target or path, or ``None`` if `resolve` has to be awaited."""
        methods = self.direct.get(raw_path)
        if methods is not None:
            binding = methods.get(method)
            if binding is not None:
                return UrlMappingMatchInfo.bound_to(binding)
        if raw_path[:1] != "/":  # absolute-form and others (RFC 9112 §3.2); what they come to
            raw_path = request.rel_url.raw_path
        elif "?" in raw_path:
            return self.match(method, raw_path.partition("?")[0], request)
        path = canonical_path(raw_path) if "%" in raw_path else raw_path
        return self._search(method, path, request)

    def _search(self, method: str, path: str, request: "Request") -> UrlMappingMatchInfo | None:
        allowed: set[str] | None = None
        for entry in self._index.candidates(path):
            bindings = entry.bindings
            if bindings is None:
                if entry.nested is None:
                    return None
                if entry.resource.accepts(path, request):
                    return entry.nested._search(method, path, request)
                continue
            values = entry.match(path)
            if values is None:
                continue
            binding = bindings.get(method) or bindings.get("*")
            if binding is not None:
                return self._found(binding, values)
            allowed = bindings.keys() | allowed if allowed else set(bindings)
        return self._nothing(method, allowed)

    async def resolve(self, method: str, path: str, request: "Request") -> AbstractMatchInfo:
        """The match for the canonical *path*, asking resources that have to be awaited, too."""
        allowed: set[str] = set()
        for entry in self._index.candidates(path):
            if entry.nested is not None:
                if entry.resource.accepts(path, request):
                    return await entry.nested.resolve(method, path, request)
            elif entry.bindings is None:
                info, methods = await entry.resource.resolve(request)
                if info is not None:
                    return self._adopted(info)
                allowed |= methods
            elif (values := entry.match(path)) is not None:
                binding = entry.bindings.get(method) or entry.bindings.get("*")
                if binding is not None:
                    return self._found(binding, values)
                allowed |= entry.bindings.keys()
        return self._nothing(method, allowed)

    def _found(self, binding: Binding, values: dict[str, str]) -> UrlMappingMatchInfo:
        info = UrlMappingMatchInfo.bound_to(binding)
        info._frozen = self._frozen
        if values:
            info.update(values)
        return info

    def _nothing(self, method: str, allowed: set[str] | None) -> UrlMappingMatchInfo:
        return MatchInfoError.bound(
            HTTPMethodNotAllowed(method, allowed) if allowed else HTTPNotFound(),
            self._errors,
            frozen=self._frozen,
        )

    def _adopted(self, info: AbstractMatchInfo) -> AbstractMatchInfo:
        """What a resource of somebody's own found, within the applications there are."""
        for app in reversed(self._apps):
            info.add_app(app)
        return info


def _asks_itself(resource: PrefixedSubAppResource) -> bool:
    """Whether somebody else's code decides what goes to the sub-application, or where there."""
    return (
        _overrides(resource, "resolve")
        or (isinstance(resource, MatchedSubAppResource) and _overrides(resource.rule, "match"))
        or _overrides(resource.app.router, "resolve")
    )


def _overrides(instance: object, name: str) -> bool:
    """Whether somebody else's class gave *instance* its attribute *name*."""
    for cls in type(instance).__mro__:
        if name in vars(cls):
            return not cls.__module__.startswith("antiphon.web.")
    return False
