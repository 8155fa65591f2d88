"""Items of requests and responses: ``request["user"]``, ``request[USER]``."""

from collections.abc import Iterator, MutableMapping
from typing import Any, TypeVar, overload

from .keys import RequestKey, ResponseKey

__all__ = ("ItemKey", "Items")

_T = TypeVar("_T")

ItemKey = str | RequestKey[Any] | ResponseKey[Any]


class Items(MutableMapping[ItemKey, Any]):
    """Storage that is made when something is stored. Always true, and equal to itself alone."""

    _state: dict[ItemKey, Any] | None = None

    @overload
    def __getitem__(self, key: RequestKey[_T] | ResponseKey[_T]) -> _T: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: str | RequestKey[_T] | ResponseKey[_T]) -> Any:
        if self._state is None:
            raise KeyError(key)
        return self._state[key]

    @overload
    def __setitem__(self, key: RequestKey[_T] | ResponseKey[_T], value: _T) -> None: ...
    @overload
    def __setitem__(self, key: str, value: Any) -> None: ...
    def __setitem__(self, key: str | RequestKey[_T] | ResponseKey[_T], value: Any) -> None:
        if self._state is None:
            self._state = {}
        self._state[key] = value

    def __delitem__(self, key: ItemKey) -> None:
        if self._state is None:
            raise KeyError(key)
        del self._state[key]

    def __len__(self) -> int:
        return 0 if self._state is None else len(self._state)

    def __iter__(self) -> Iterator[ItemKey]:
        return iter(()) if self._state is None else iter(self._state)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)
