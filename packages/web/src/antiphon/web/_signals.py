"""Lists that can be frozen, and signals: lists of receivers."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableSequence
from typing import Any, ParamSpec, TypeVar, overload

__all__ = ("FrozenList", "Signal")

_T = TypeVar("_T")
_P = ParamSpec("_P")
_R = TypeVar("_R", bound=Callable[..., Awaitable[object]])


class FrozenList(MutableSequence[_T]):
    """A list that refuses every change once `freeze` was called."""

    __slots__ = ("_frozen", "_items")

    def __init__(self, items: Iterable[_T] | None = None) -> None:
        self._items: list[_T] = list(items or ())
        self._frozen = False

    @property
    def frozen(self) -> bool:
        """Whether the list can no longer change."""
        return self._frozen

    def freeze(self) -> None:
        """Refuse changes from now on."""
        self._frozen = True

    def _check(self) -> list[_T]:
        if self._frozen:
            raise RuntimeError("Cannot modify frozen list.")
        return self._items

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> "FrozenList[_T]": ...
    def __getitem__(self, index: int | slice) -> "_T | FrozenList[_T]":
        if isinstance(index, slice):
            return FrozenList(self._items[index])
        return self._items[index]

    @overload
    def __setitem__(self, index: int, value: _T) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[_T]) -> None: ...
    def __setitem__(self, index: int | slice, value: Any) -> None:
        self._check()[index] = value

    def __delitem__(self, index: int | slice) -> None:
        del self._check()[index]

    def insert(self, index: int, value: _T) -> None:
        self._check().insert(index, value)

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return bool(self._items)

    def __iter__(self) -> Iterator[_T]:
        return iter(self._items)

    def __contains__(self, value: object) -> bool:
        return value in self._items

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenList):
            return self._items == other._items
        return list(other) == self._items if isinstance(other, Iterable) else NotImplemented

    def __hash__(self) -> int:
        if not self._frozen:
            raise RuntimeError("Cannot hash unfrozen list.")
        return hash(tuple(self._items))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(frozen={self._frozen}, {self._items!r})>"


class Signal(FrozenList[Callable[_P, Awaitable[object]]]):
    """Receivers that are awaited one after the other, in the order of their addition.

    A receiver is added with ``append``, or with the signal as its decorator.
    """

    __slots__ = ("_owner",)

    def __init__(self, owner: object) -> None:
        super().__init__()
        self._owner = owner

    def __call__(self, receiver: _R) -> _R:
        self.append(receiver)
        return receiver

    async def send(self, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Await every receiver with these arguments; the first that raises ends it.

        Raises:
            RuntimeError: The signal is not frozen yet.
        """
        if not self._frozen:
            raise RuntimeError("Cannot send non-frozen signal.")
        for receiver in self._items:
            await receiver(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Signal owner={self._owner!r}, frozen={self._frozen}, {self._items!r}>"
