"""Typed keys for what applications, requests and responses store, and chained look-up."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import Any, Generic, TypeVar, overload

__all__ = ("AppKey", "ChainMapProxy", "NotAppKeyWarning", "RequestKey", "ResponseKey")

_T = TypeVar("_T")
_U = TypeVar("_U")


class NotAppKeyWarning(UserWarning):
    """A plain string is used as a key of an application.

    Kept for its name: antiphon never emits it, strings are keys as good as any.
    """


class _Key(Generic[_T]):
    """A key that knows the type of its value; every key equals itself alone.

    Args:
        name: For reading in a traceback; the calling module's name is put before it.
        t: The type of the value, where the annotation alone does not tell it.
    """

    __slots__ = ("__orig_class__", "_name", "_t")

    def __init__(self, name: str, t: type[_T] | None = None) -> None:
        frame: FrameType | None = sys._getframe(1)
        module = "typing"
        while frame is not None and module == "typing":  # as in AppKey[int]("name")
            module = frame.f_globals.get("__name__", "<unknown module>")
            frame = frame.f_back
        self._name = f"{module}.{name}"
        self._t = t

    def __repr__(self) -> str:
        t: Any = self._t
        if t is None:
            parameters = getattr(getattr(self, "__orig_class__", None), "__args__", ())
            t = parameters[0] if parameters else None
        shown = getattr(t, "__qualname__", None) or ("<<Unknown>>" if t is None else str(t))
        return f"<{type(self).__name__}({self._name}, type={shown})>"


class AppKey(_Key[_T]):
    """A key into an `Application`: ``app[DB]`` has the type that ``DB`` was made with."""

    __slots__ = ()


class RequestKey(_Key[_T]):
    """A key into a request."""

    __slots__ = ()


class ResponseKey(_Key[_T]):
    """A key into a response."""

    __slots__ = ()


class ChainMapProxy(Mapping[str | AppKey[Any], Any]):
    """Read-only look-up through several mappings, the first that has the key wins."""

    __slots__ = ("_maps",)

    def __init__(self, maps: Iterable[Mapping[str | AppKey[Any], Any]]) -> None:
        self._maps = tuple(maps)

    @overload
    def __getitem__(self, key: AppKey[_T]) -> _T: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: str | AppKey[_T]) -> Any:
        for mapping in self._maps:
            if key in mapping:
                return mapping[key]
        raise KeyError(key)

    @overload  # type: ignore[override]  # the value's type follows from the key's
    def get(self, key: AppKey[_T], default: _U) -> _T | _U: ...
    @overload
    def get(self, key: AppKey[_T], default: None = ...) -> _T | None: ...
    @overload
    def get(self, key: str | AppKey[Any], default: Any = ...) -> Any: ...
    def get(  # pyright: ignore[reportIncompatibleMethodOverride]  # as for __getitem__
        self, key: str | AppKey[_T], default: Any = None
    ) -> Any:
        for mapping in self._maps:
            if key in mapping:
                return mapping[key]
        return default

    def __contains__(self, key: object) -> bool:
        return any(key in mapping for mapping in self._maps)

    def __iter__(self) -> Iterator[str | AppKey[Any]]:
        # A key that several mappings have is one key; the outermost mapping's order comes first.
        seen: dict[str | AppKey[Any], None] = {}
        for mapping in reversed(self._maps):
            seen.update(dict.fromkeys(mapping))
        return iter(seen)

    def __len__(self) -> int:
        return len(set().union(*self._maps))

    def __bool__(self) -> bool:
        return any(self._maps)

    def __repr__(self) -> str:
        return f"ChainMapProxy({', '.join(map(repr, self._maps))})"
