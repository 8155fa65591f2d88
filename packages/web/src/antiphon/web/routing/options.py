"""What can be set for one route or resource apart from its handler."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import attrs

if TYPE_CHECKING:
    from ..app import Application

__all__ = (
    "DEFAULT_CLIENT_MAX_FIELDS",
    "DEFAULT_CLIENT_MAX_SIZE",
    "DisconnectPolicy",
    "RouteOptions",
)

DisconnectPolicy = Literal["cancel", "shield", "ignore"]
"""What becomes of a handler whose peer went away: cancelled; kept running and its response
dropped; or kept running without taking notice."""

DEFAULT_CLIENT_MAX_SIZE: Final = 1024**2
"""Bytes of content that ``read()``, ``text()``, ``json()`` and ``post()`` take: enough for forms,
too little to fill memory with."""

DEFAULT_CLIENT_MAX_FIELDS: Final = 1000
"""Fields of a form: more are only good for making the server work."""


def _not_negative(instance: object, attribute: "attrs.Attribute[Any]", value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or value < 0):
        raise ValueError(f"{attribute.name} must be 0 (no limit) or more, not {value!r}")


def _positive(instance: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is not None and not value > 0:
        raise ValueError(f"{attribute.name} must be positive, not {value!r}")


def _policy(instance: object, attribute: "attrs.Attribute[Any]", value: str | None) -> None:
    if value is not None and value not in get_args(DisconnectPolicy):
        known = ", ".join(map(repr, get_args(DisconnectPolicy)))
        raise ValueError(f"{attribute.name} must be one of {known}, not {value!r}")


@attrs.frozen(kw_only=True)
class RouteOptions:
    """Options of one route, resource or route table; ``None`` leaves a choice to the next outer one.

    The order is route, resource, application from the inside out, server.
    """

    client_max_size: int | None = attrs.field(default=None, validator=_not_negative)
    """Bytes of content a handler may read at once; 0 for no limit."""
    client_max_fields: int | None = attrs.field(default=None, validator=_not_negative)
    """Fields of a form; 0 for no limit."""
    disconnect: DisconnectPolicy | None = attrs.field(default=None, validator=_policy)
    """What becomes of the handler when the peer goes away."""
    timeout: float | None = attrs.field(default=None, validator=_positive)
    """Seconds the handler may take, its middlewares included; ``math.inf`` for no limit."""

    def over(self, base: "RouteOptions") -> "RouteOptions":
        """These options, and those of *base* where nothing is said here."""
        if base == NO_OPTIONS:
            return self
        return RouteOptions(**{
            name: getattr(base, name) if (own := getattr(self, name)) is None else own
            for name in _NAMES
        })

    @classmethod
    def in_force(
        cls, inner: Iterable["RouteOptions"], apps: Sequence["Application"]
    ) -> "RouteOptions":
        """What counts for a request: *inner* options, the innermost first, then *apps*' ones.

        Limits are numbers then, never ``None``; a time limit of ``math.inf`` is ``None``.
        """
        result = NO_OPTIONS
        for options in (*inner, *(app.route_options for app in reversed(apps)), _DEFAULTS):
            result = result.over(options)
        if result.timeout == math.inf:
            result = attrs.evolve(result, timeout=None)
        return result


_NAMES: Final = tuple(field.name for field in attrs.fields(RouteOptions))
NO_OPTIONS: Final = RouteOptions()
_DEFAULTS: Final = RouteOptions(
    client_max_size=DEFAULT_CLIENT_MAX_SIZE, client_max_fields=DEFAULT_CLIENT_MAX_FIELDS
)
