"""What a router is to an application, and a match to a request."""

import abc
from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..typedefs import ExpectHandler, Handler
from .options import RouteOptions

if TYPE_CHECKING:
    from .._signals import Signal
    from ..app import Application
    from ..exceptions import HTTPException
    from ..request import Request
    from ..response import StreamResponse
    from ._compose import Binding

__all__ = ("AbstractMatchInfo", "AbstractRouter", "AbstractView")


class AbstractMatchInfo(abc.ABC):
    """Which handler a request goes to, and through which applications."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def handler(self) -> Handler:
        """The route's own handler, without any middleware."""

    @property
    @abc.abstractmethod
    def expect_handler(self) -> ExpectHandler:
        """Decides about an ``Expect`` field of the request."""

    @property
    @abc.abstractmethod
    def http_exception(self) -> "HTTPException | None":
        """The error to answer with if nothing matched, otherwise ``None``."""

    @abc.abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Facts about the match, for people to read."""

    @property
    @abc.abstractmethod
    def apps(self) -> "tuple[Application, ...]":
        """The applications the request passes, the outermost first."""

    @abc.abstractmethod
    def add_app(self, app: "Application") -> None:
        """Put *app* before the applications there are: resolving goes from the inside out.

        Raises:
            RuntimeError: The match is frozen.
        """

    @abc.abstractmethod
    def freeze(self) -> None:
        """Refuse further applications."""

    @property
    def current_app(self) -> "Application":
        """The application whose handler or middleware runs now."""
        apps = self.apps
        if not apps:
            raise RuntimeError("the match belongs to no application yet")
        return apps[-1]

    @property
    def options(self) -> RouteOptions:
        """What is in force for this request: the route's options over the applications'."""
        return RouteOptions.in_force((), self.apps)

    @property
    def response_signals(self) -> "tuple[Signal[Request, StreamResponse], ...]":
        """``on_response_prepare`` of each application that has receivers, the outermost first."""
        return tuple(s for app in self.apps if (s := app.on_response_prepare))

    @property
    def serve(self) -> Handler:
        """The handler inside all its middlewares: what answers the request."""
        from ._compose import compose  # it stands on this module

        return compose(self.handler, (), self.apps)


class AbstractRouter(abc.ABC):
    """Finds the match for a request. An application uses `UrlDispatcher` by default."""

    direct: "Mapping[str, Mapping[str, Binding]]" = MappingProxyType({})
    """Targets that, with a method, say all about the match; others have to be matched."""

    def __init__(self) -> None:
        self._frozen = False

    def post_init(self, app: "Application") -> None:  # noqa: B027  # a hook, for who wants it
        """Called once by the application that this router belongs to."""

    @property
    def frozen(self) -> bool:
        """Whether routes can no longer be added."""
        return self._frozen

    def freeze(self) -> None:
        """Refuse further routes."""
        self._frozen = True

    @abc.abstractmethod
    async def resolve(self, request: "Request") -> AbstractMatchInfo:
        """The match for *request*; one with `AbstractMatchInfo.http_exception` if nothing fits."""

    def match(self, method: str, raw_path: str, request: "Request") -> AbstractMatchInfo | None:
        """The match if it is known without waiting, complete with applications and frozen.

        ``None`` means: `resolve` has to be awaited. The default always says so.
        """
        return None


class AbstractView(abc.ABC):
    """A class whose instances, made with a request and awaited, give a response."""

    def __init__(self, request: "Request") -> None:
        self._request = request

    @property
    def request(self) -> "Request":
        """The request to be answered."""
        return self._request

    @abc.abstractmethod
    def __await__(self) -> "Generator[Any, None, StreamResponse]":
        """Answer the request."""
