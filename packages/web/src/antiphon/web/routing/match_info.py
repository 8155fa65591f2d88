"""The match of a request: a route, the values of its path's variables, and the applications."""

from typing import TYPE_CHECKING, Any

from ..typedefs import ExpectHandler, Handler
from ._compose import Binding
from .abc import AbstractMatchInfo
from .options import RouteOptions
from .routes import AbstractRoute, SystemRoute

if TYPE_CHECKING:
    from .._signals import Signal
    from ..app import Application
    from ..exceptions import HTTPException
    from ..request import Request
    from ..response import StreamResponse

__all__ = ("MatchInfoError", "UrlMappingMatchInfo", "raise_http_exception")


class UrlMappingMatchInfo(dict[str, str], AbstractMatchInfo):
    """Values of the path's variables, decoded, with the route that they were found for."""

    __slots__ = ("_binding", "_current_app", "_frozen")

    _binding: Binding
    _current_app: "Application | None"
    _frozen: bool

    def __init__(self, match_dict: dict[str, str], route: AbstractRoute) -> None:
        super().__init__(match_dict)
        self._binding = route.unbound
        self._current_app = None
        self._frozen = False

    @classmethod
    def bound_to(cls, binding: Binding) -> "UrlMappingMatchInfo":
        """The match that *binding* is for, complete and frozen, without values."""
        info = cls.__new__(cls)
        info._binding = binding
        info._current_app = binding.current_app
        info._frozen = True
        return info

    @property
    def handler(self) -> Handler:
        return self.route.handler

    @property
    def route(self) -> AbstractRoute:
        """The route that matches."""
        return self._binding.route  # type: ignore[no-any-return]  # Binding knows no routes

    @property
    def expect_handler(self) -> ExpectHandler:
        return self.route.handle_expect_header

    @property
    def http_exception(self) -> "HTTPException | None":
        return None

    def get_info(self) -> dict[str, Any]:
        return self.route.get_info()

    @property
    def apps(self) -> "tuple[Application, ...]":
        return self._binding.apps

    def add_app(self, app: "Application") -> None:
        if self._frozen:
            raise RuntimeError("Cannot change apps stack after .freeze() call")
        if self._current_app is None:
            self._current_app = app
        self._binding = self.route.bind((app, *self._binding.apps))

    def freeze(self) -> None:
        self._frozen = True

    @property
    def current_app(self) -> "Application":
        """The application whose handler or middleware runs now.

        Raises:
            RuntimeError: The match belongs to no application yet.
        """
        app = self._current_app
        if app is None:
            raise RuntimeError("the match belongs to no application yet")
        return app

    @property
    def options(self) -> RouteOptions:
        return self._binding.options

    @property
    def response_signals(self) -> "tuple[Signal[Request, StreamResponse], ...]":
        return self._binding.response_signals

    @property
    def serve(self) -> Handler:
        return self._binding.serve

    def __repr__(self) -> str:
        return f"<MatchInfo {super().__repr__()}: {self.route!r}>"


class MatchInfoError(UrlMappingMatchInfo):
    """Nothing matched: the handler raises the error."""

    __slots__ = ("_exception", "_route")

    _exception: "HTTPException"
    _route: SystemRoute | None

    def __init__(self, http_exception: "HTTPException") -> None:
        self._exception = http_exception
        self._route = SystemRoute(http_exception)
        super().__init__({}, self._route)

    @classmethod
    def bound(
        cls, http_exception: "HTTPException", binding: Binding, *, frozen: bool
    ) -> "MatchInfoError":
        """An error for requests that come as far as *binding*, whose route is any."""
        info = cls.__new__(cls)
        info._exception = http_exception
        info._route = None  # seldom asked for, and not cheap
        info._binding = binding
        info._current_app = binding.current_app
        info._frozen = frozen
        return info

    @property
    def route(self) -> AbstractRoute:
        if self._route is None:
            self._route = SystemRoute(self._exception)
        return self._route

    @property
    def handler(self) -> Handler:
        return self.route.handler

    @property
    def http_exception(self) -> "HTTPException":
        return self._exception

    def __repr__(self) -> str:
        return f"<MatchInfoError {self._exception.status}: {self._exception.reason}>"


async def raise_http_exception(request: "Request") -> "StreamResponse":
    """The handler of requests that match nothing."""
    exception = request.match_info.http_exception
    if exception is None:
        raise RuntimeError("the request has a match, and no error to raise")
    raise exception
