"""The one way to warn that something is obsolete.

Every obsolete name has an entry in ``docs/deprecations.toml``; the texts here
are generated from it (``nox -s deprecations -- --write``), so that a wheel
needs no TOML. See the deprecation policy in the documentation.
"""

import warnings

from ._deprecation_table import MESSAGES

__all__ = ("AntiphonDeprecationWarning", "warn_deprecated")


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

    Args:
        id: An entry of the registry.
        stacklevel: 1 blames the caller of the function that calls this one,
            2 its caller, and so on.

    Raises:
        KeyError: There is no such entry.
    """
    warnings.warn(
        AntiphonDeprecationWarning(f"{MESSAGES[id]} [{id}]", id), stacklevel=stacklevel + 2
    )
