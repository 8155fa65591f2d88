"""Functions around one send: logging, retries, authentication, address vetting.

A middleware sees every request that leaves, each redirect hop included, and
may change it, answer it, or send it more than once::

    async def token(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        request.headers["Authorization"] = f"Bearer {await current_token()}"
        return await handler(request)
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .request import ClientRequest
    from .response import ClientResponse

__all__ = ("ClientHandlerType", "ClientMiddlewareType", "wrap")

ClientHandlerType = Callable[["ClientRequest"], Awaitable["ClientResponse"]]
"""Sends a request and gives its response."""

ClientMiddlewareType = Callable[["ClientRequest", ClientHandlerType], Awaitable["ClientResponse"]]
"""Stands around a `ClientHandlerType`."""


def wrap(
    handler: ClientHandlerType, middlewares: Sequence[ClientMiddlewareType]
) -> ClientHandlerType:
    """Return *handler* inside *middlewares*, the first of them outermost."""
    for middleware in reversed(middlewares):
        handler = _bind(middleware, handler)
    return handler


def _bind(middleware: ClientMiddlewareType, handler: ClientHandlerType) -> ClientHandlerType:
    def bound(request: "ClientRequest") -> Awaitable["ClientResponse"]:
        return middleware(request, handler)

    return bound
