"""Header fields that a session's requests have in common.

Most calls of a program ask for the same few sets of fields. Each set is made
once and shared by the requests that carry it: they copy it only when somebody
is about to change it, and a connection that has just written it does not look
at it again.
"""

from collections.abc import Iterable, Mapping
from typing import Final, cast, final

from multidict import CIMultiDict, getversion, istr

from antiphon.core import hdrs
from antiphon.core.typedefs import LooseHeaders

__all__ = ("SessionHeaders", "require_text")

_MAX_SHARED: Final = 32
"""Sets of fields kept; programs that make up new ones for every call get none of it."""

_LOOKED_AT: Final = (hdrs.EXPECT, hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING)
"""Fields that a request looks at itself."""


@final
class SessionHeaders:
    """The fields that a session gives to its requests.

    Args:
        headers: The session's own; may be changed by the user at any time.
        skipped: Names of fields not to be added by themselves.
        automatic: Fields that every request gets unless it says otherwise.
    """

    __slots__ = ("_automatic", "_complete", "_cookied", "_shared", "_version", "fields", "skipped")

    def __init__(
        self,
        headers: LooseHeaders | None,
        skipped: Iterable[str] | None,
        automatic: Mapping[str, str],
    ) -> None:
        self.fields: CIMultiDict[str] = require_text(CIMultiDict(headers or ()))
        """The session's own."""
        self.skipped = frozenset(istr(name) for name in skipped or ())
        """Names of fields not to be added by themselves."""
        self._automatic = automatic
        self._version = -1
        self._complete: CIMultiDict[str] | None = None
        self._shared: dict[tuple[tuple[str, str], ...], CIMultiDict[str]] = {}
        self._cookied: tuple[CIMultiDict[str] | None, str, CIMultiDict[str]] = (
            None,
            "",
            CIMultiDict(),
        )

    def complete(self) -> CIMultiDict[str] | None:
        """Return all fields of a request that sets none; ``None`` if they need a closer look.

        Shared: not to be changed.
        """
        version = getversion(self.fields)  # type: ignore[arg-type]  # it wants MultiDict[object]
        if version != self._version:
            self._version = version
            self._shared.clear()
            self._complete = self._completed(require_text(CIMultiDict(self.fields)))
        return self._complete

    def complete_with(self, headers: LooseHeaders) -> CIMultiDict[str] | None:
        """Return all fields of a request that sets *headers*; ``None`` if they need a closer look.

        Shared: not to be changed.
        """
        if type(headers) is not dict:
            return None
        self.complete()  # forgets what is shared if the session's fields were changed
        key = tuple(headers.items())
        try:
            found = self._shared.get(key)
        except TypeError:
            return None  # a value that is no text
        if found is None:
            found = self._completed(self.merged(headers))
            # Equal texts are the same on the wire; of other values, 1 and True are equal too.
            if found is not None and all(type(value) is str for value in headers.values()):
                if len(self._shared) >= _MAX_SHARED:
                    self._shared.clear()
                self._shared[key] = found
        return found

    def with_cookies(self, headers: CIMultiDict[str], cookies: str) -> CIMultiDict[str]:
        """Return *headers*, which are shared, with *cookies* in front of any they have.

        Shared: not to be changed.
        """
        base, known, result = self._cookied
        if base is not headers or known != cookies:
            result = CIMultiDict(headers)
            own = result.popall(hdrs.COOKIE, ())
            result[hdrs.COOKIE] = "; ".join((cookies, *own)) if own else cookies
            self._cookied = (headers, cookies, result)
        return result

    def merged(self, headers: LooseHeaders | None) -> CIMultiDict[str]:
        """Return the session's fields, with *headers* in the place of those of the same names."""
        result = CIMultiDict(self.fields)
        if headers:
            added: CIMultiDict[str] = CIMultiDict(headers)
            for name in set(added):
                result.popall(name, None)
            result.extend(added)
        return require_text(result)

    def not_automatic(self, names: Iterable[str] | None) -> Iterable[str]:
        """Return the names of fields not to be added by themselves, *names* among them."""
        return self.skipped if not names else self.skipped.union(istr(name) for name in names)

    def _completed(self, headers: CIMultiDict[str]) -> CIMultiDict[str] | None:
        if any(name in headers for name in _LOOKED_AT):
            return None
        for name, value in self._automatic.items():
            if name not in headers and name not in self.skipped:
                headers.add(name, value)
        return headers


def require_text(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """Return *headers*.

    Raises:
        TypeError: A value is no text: ``None`` would be sent as the word, bytes as their repr.
    """
    for name, value in headers.items():
        if not isinstance(cast(object, value), str):
            raise TypeError(f"header {name!s}: the value must be str, not {type(value).__name__}")
    return headers
