"""What handlers and middlewares are, as types."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .request import Request
    from .response import StreamResponse

__all__ = ("ExpectHandler", "Handler", "Middleware")

Handler = Callable[["Request"], Awaitable["StreamResponse"]]
"""Answers a request."""

Middleware = Callable[["Request", Handler], Awaitable["StreamResponse"]]
"""Wraps a handler: called with the request and whatever comes next."""

ExpectHandler = Callable[["Request"], Awaitable["StreamResponse | None"]]
"""Decides about ``Expect`` (RFC 9110 §10.1.1): answers, raises, or returns ``None`` to go on."""
