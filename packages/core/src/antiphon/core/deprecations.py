"""The one way to warn that something is obsolete.

Every obsolete name has an entry in ``docs/deprecations.toml``; the texts here
are generated from it (``nox -s deprecations -- --write``), so that a wheel
needs no TOML. See the deprecation policy in the documentation.
"""

import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from ._deprecation_table import MESSAGES

if TYPE_CHECKING:
    # In the standard library from Python 3.13 on.
    from typing_extensions import deprecated

__all__ = ("AntiphonDeprecationWarning", "deprecated", "warn_deprecated")

_T = TypeVar("_T")

_OURS: Final = tuple(f"antiphon.{package}." for package in ("core", "web", "client", "testing"))


class AntiphonDeprecationWarning(DeprecationWarning):
    """Something of antiphon that is used here is obsolete.

    Attributes:
        id: The entry in the registry, such as ``ANT-0001``.
    """

    def __init__(self, message: str, id: str = "") -> None:
        self.id = id
        super().__init__(message)


def mark_deprecated(message: str) -> Callable[[_T], _T]:
    """Mark a name as obsolete for type checkers and editors (PEP 702), as ``@deprecated``.

    Other than `warnings.deprecated` of Python 3.13 it does not warn: that is
    `warn_deprecated`'s, which blames the right line, once.

    Args:
        message: What to do instead, and the id, as the registry has them.
    """

    def mark(value: _T) -> _T:
        value.__deprecated__ = message  # type: ignore[attr-defined]  # classes and functions have room
        return value

    return mark


if not TYPE_CHECKING:
    deprecated = mark_deprecated


def warn_deprecated(id: str) -> None:
    """Warn that the registered object *id* is used.

    The warning blames the innermost caller that is not antiphon itself, however
    many frames of ours lie between: a constructor that a subclass extends, or a
    coroutine that is awaited elsewhere, need not count them.

    Args:
        id: An entry of the registry.

    Raises:
        KeyError: There is no such entry.
    """
    warning = AntiphonDeprecationWarning(f"{MESSAGES[id]} [{id}]", id)
    warnings.warn(warning, stacklevel=_level_of_user())


def _level_of_user() -> int:
    """What our caller gives to `warnings.warn` to blame the first frame that is not ours."""
    frame = sys._getframe(2)
    level = 2
    while frame.f_back is not None and f"{frame.f_globals.get('__name__')}.".startswith(_OURS):
        frame = frame.f_back
        level += 1
    return level
