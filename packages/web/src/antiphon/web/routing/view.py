"""Handlers as classes."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NoReturn

from antiphon.core import hdrs

from ..exceptions import HTTPMethodNotAllowed
from .abc import AbstractView

if TYPE_CHECKING:
    from ..response import StreamResponse

__all__ = ("View",)


class View(AbstractView):
    """A handler as a class: one coroutine for each method, called ``get``, ``post`` …

    An instance lives for one request, which is its ``request``. Methods without
    a coroutine are answered with 405.
    """

    def __await__(self) -> "Generator[Any, None, StreamResponse]":
        return self._iter().__await__()

    async def _iter(self) -> "StreamResponse":
        method = self.request.method
        handler = getattr(self, method.lower(), None) if method in hdrs.METH_ALL else None
        if handler is None:
            self._raise_allowed_methods()
        response: StreamResponse = await handler()
        return response

    def _raise_allowed_methods(self) -> NoReturn:
        allowed = {method for method in hdrs.METH_ALL if hasattr(self, method.lower())}
        raise HTTPMethodNotAllowed(self.request.method, allowed)
