"""Starting and stopping what an application needs: every end is reached, whatever fails."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from ._signals import FrozenList

if TYPE_CHECKING:
    from .app import Application

__all__ = ("CleanupContext", "CleanupError", "run_all")


class CleanupError(ExceptionGroup[Exception], RuntimeError):
    """Several clean-ups failed.

    Attributes:
        exceptions: What each of them raised, in the order in which they ran.
    """

    def derive(  # type: ignore[override]  # typeshed says any group, of any exceptions
        self, excs: Sequence[Exception], /
    ) -> "CleanupError":
        return CleanupError(self.message, excs)


Context = AsyncIterator[None] | AbstractAsyncContextManager[Any]


class CleanupContext(FrozenList["Callable[[Application], Context]"]):
    """Functions that give an async generator or context manager around the application's life.

    They are entered in order when the application starts, and left in reverse.
    A function is added with ``append``, or with this list as its decorator.
    """

    __slots__ = ("_entered",)

    def __init__(self) -> None:
        super().__init__()
        self._entered: list[Callable[[], Awaitable[object]]] = []

    def __call__(self, function: Any) -> Any:
        self.append(function)
        return function

    async def enter(self, app: "Application") -> None:
        """Enter all of them, up to one that fails."""
        for function in self:
            context = function(app)
            if isinstance(context, AbstractAsyncContextManager):
                await context.__aenter__()
                self._entered.append(partial(context.__aexit__, None, None, None))
            elif isinstance(context, AsyncIterator):
                iterator = context.__aiter__()
                if await anext(iterator, _NOTHING) is _NOTHING:
                    raise RuntimeError(f"{context!r} has no 'yield'")
                self._entered.append(partial(_finish, iterator))
            else:
                raise TypeError(
                    "a cleanup context must be an async generator or an async context manager, "
                    f"not {context!r}"
                )

    async def leave(self, app: "Application") -> None:
        """Leave those that were entered, the last first. A second call finds nothing to do."""
        entered, self._entered = self._entered, []
        await run_all(reversed(entered))


_NOTHING: Any = object()  # what a generator cannot have yielded


async def _finish(iterator: AsyncIterator[None]) -> None:
    if await anext(iterator, _NOTHING) is _NOTHING:
        return
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()
    raise RuntimeError(f"{iterator!r} has more than one 'yield'")


async def run_all(functions: Iterable[Callable[..., Awaitable[object]]], *args: Any) -> None:
    """Await each of *functions*, whatever the others do.

    Raises:
        CleanupError: Several failed. If one did, its error is raised as it is.
        BaseException: One was cancelled, or the process is to end; errors are its cause.
    """
    errors: list[Exception] = []
    ending: BaseException | None = None
    for function in functions:
        try:
            await function(*args)
        except CleanupError as exc:
            errors.extend(exc.exceptions)
        except Exception as exc:  # raised below, once all have run
            errors.append(exc)
        except BaseException as exc:  # raised below, once all have run
            ending = ending or exc
    error: Exception | None = None
    if len(errors) == 1:
        error = errors[0]
    elif errors:
        error = CleanupError("Multiple errors on cleanup stage", errors)
    if ending is not None:
        raise ending from error
    if error is not None:
        raise error
