"""What calls return: to be awaited, or entered with ``async with``."""

from collections.abc import Awaitable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

if TYPE_CHECKING:
    from .response import ClientResponse
    from .session import ClientSession

__all__ = ("OneShot", "RequestContext")

_T = TypeVar("_T", bound=AbstractAsyncContextManager[Any])


@final
class RequestContext(Generic[_T]):
    """What a verb returns: awaited for a response, or entered with ``async with``.

    It also is a coroutine, so that a task can be made of it.
    """

    __slots__ = ("_coroutine", "_result")

    def __init__(self, coroutine: Coroutine[Any, Any, _T]) -> None:
        self._coroutine = coroutine

    def send(self, value: Any) -> Any:
        """Resume the coroutine."""
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        """Raise in the coroutine."""
        return self._coroutine.throw(*args)

    def close(self) -> None:
        """Close the coroutine."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, None, _T]:
        return self._coroutine.__await__()

    if not TYPE_CHECKING:  # a checker would take any name for known

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r}: it is no response "
                "yet, await it or use it with 'async with'"
            )

    async def __aenter__(self) -> _T:
        self._result = result = await self._coroutine
        await result.__aenter__()
        return result

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> Awaitable[Any]:
        return self._result.__aexit__(exc_type, exc, tb)


@final
class OneShot:
    """A session for one request; closed with its response."""

    __slots__ = ("_context", "_session")

    def __init__(self, context: "RequestContext[ClientResponse]", session: "ClientSession") -> None:
        self._context = context
        self._session = session

    async def __aenter__(self) -> "ClientResponse":
        try:
            return await self._context.__aenter__()
        except BaseException:
            await self._session.close()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            await self._context.__aexit__(exc_type, exc, tb)
        finally:
            await self._session.close()
