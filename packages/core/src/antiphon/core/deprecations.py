"""The one way to warn that something is obsolete.

Every obsolete name has an entry in ``docs/deprecations.toml``; the texts here
are generated from it (``nox -s deprecations -- --write``), so that a wheel
needs no TOML. See the deprecation policy in the documentation.
"""

import sys
import warnings
from typing import Final

from ._deprecation_table import MESSAGES

__all__ = ("AntiphonDeprecationWarning", "warn_deprecated")

_OURS: Final = tuple(f"antiphon.{package}." for package in ("core", "web", "client", "testing"))


class AntiphonDeprecationWarning(DeprecationWarning):
    """Something of antiphon that is used here is obsolete.

    Attributes:
        id: The entry in the registry, such as ``ANT-0001``.
    """

    def __init__(self, message: str, id: str = "") -> None:
        self.id = id
        super().__init__(message)


def warn_deprecated(id: str, *, stacklevel: int = 1) -> None:
    """Warn that the registered object *id* is used.

    The warning blames the innermost caller that is not antiphon itself, however
    many frames of ours lie between: a constructor that a subclass extends, or a
    coroutine that is awaited elsewhere, need not count them.

    Args:
        id: An entry of the registry.
        stacklevel: Not used, for the reason above.

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
