"""Errors about the content of a request that are responses, too.

What is wrong with content is raised as aiohttp's users expect it (`json.JSONDecodeError`,
`UnicodeDecodeError`, a `ValueError` for a form), and it is an `HTTPException` at the same time:
a middleware that passes those on and answers everything else with 500 does not blame the
application for what its peer sent.
"""

import json
from typing import Any

from antiphon.core.errors import HttpProcessingError

from .exceptions import HTTPBadRequest, HTTPException, HTTPRequestEntityTooLarge

__all__ = ("BadJSON", "BadText", "refused")


class BadJSON(HTTPBadRequest, json.JSONDecodeError):
    """Content that is not JSON."""

    def __init__(self, exc: json.JSONDecodeError) -> None:
        HTTPBadRequest.__init__(self)
        json.JSONDecodeError.__init__(self, exc.msg, exc.doc, exc.pos)


class BadText(HTTPBadRequest, UnicodeDecodeError):  # type: ignore[override]  # see below
    """Content that is not in its charset. *reason* is that of the response."""

    def __init__(self, exc: UnicodeDecodeError) -> None:
        HTTPBadRequest.__init__(self)
        UnicodeDecodeError.__init__(self, *exc.args)


def refused(exc: HttpProcessingError) -> HTTPException:
    """Return *exc* as something that is also `HTTPBadRequest`, or `HTTPRequestEntityTooLarge`.

    The types that *exc* has it keeps.
    """
    too_large = exc.status == HTTPRequestEntityTooLarge.status_code
    both = _both(HTTPRequestEntityTooLarge if too_large else HTTPBadRequest, type(exc))
    made: Any = both.__new__(both)
    HTTPException.__init__(made, text=f"{both.status_code}: {_PHRASES[too_large]}\n\n{exc.message}")
    made.code, made.message, made.args = exc.code, exc.message, exc.args
    if too_large:
        made.max_size = made.actual_size = 0
    return made  # type: ignore[no-any-return]  # a class made here


_PHRASES = {False: "Bad Request", True: "Request Entity Too Large"}


_made: dict[tuple[type, type], type[HTTPException]] = {}


def _both(response: type[HTTPException], error: type[HttpProcessingError]) -> type[HTTPException]:
    found = _made.get((response, error))
    if found is None:
        found = type(error.__name__, (response, error), {"__doc__": error.__doc__})
        _made[response, error] = found
    return found
