"""Exceptions that tell of the peer's mistake, not of the application's.

What a request raises about the bytes it was given stays what aiohttp's users
expect (`ValueError`, `UnicodeDecodeError`, `json.JSONDecodeError`), but if
nobody handles it the answer is 400 and not 500. The mark is on the exception
itself: it stays there through clones of the request, middlewares and tasks.
"""

from typing import Final, TypeVar

__all__ = ("is_peer_fault", "peer_fault")

_MARK: Final = "_antiphon_peer_fault"

_E = TypeVar("_E", bound=Exception)


def peer_fault(exc: _E) -> _E:
    """Mark *exc* as being about what the peer sent; give it back to be raised."""
    setattr(exc, _MARK, True)
    return exc


def is_peer_fault(exc: BaseException) -> bool:
    """Whether *exc* was marked by `peer_fault`."""
    return getattr(exc, _MARK, False) is True
