"""The cookies of a response: `http.cookies` to look at, our own serialization to send."""

from http.cookies import Morsel, SimpleCookie
from typing import Any

from multidict import CIMultiDict

from antiphon.core import hdrs
from antiphon.core.fields.cookies import format_set_cookie

__all__ = ("ResponseCookies",)


class ResponseCookies:
    """Cookies to set, by name."""

    __slots__ = ("_partitioned", "jar")

    def __init__(self) -> None:
        self.jar: SimpleCookie = SimpleCookie()
        # http.cookies knows the attribute only from Python 3.14 on.
        self._partitioned: set[str] = set()

    def discard(self, name: str) -> None:
        """Forget a cookie set before, if it was."""
        self.jar.pop(name, None)
        self._partitioned.discard(name)

    def set(
        self,
        name: str,
        value: str,
        *,
        partitioned: bool | None = None,
        **attributes: str | int | bool | None,
    ) -> None:
        """Set or replace a cookie.

        Raises:
            http.cookies.CookieError: *name* is no cookie name.
            ValueError: An attribute would inject another one.
        """
        old = self.jar.pop(name, None)
        self.jar[name] = value
        morsel = self.jar[name]
        for key, attribute in attributes.items():
            if attribute is not None:
                morsel[key.replace("_", "-")] = attribute
        if partitioned:
            self._partitioned.add(name)
        else:
            self._partitioned.discard(name)
        try:
            self._format(name, morsel)
        except ValueError:
            self.discard(name)
            if old is not None:
                self.jar[name] = old
            raise

    def add_to(self, headers: CIMultiDict[str]) -> None:
        """Append a ``Set-Cookie`` field for each cookie.

        Raises:
            ValueError: A cookie changed through `jar` would inject something.
        """
        for name, morsel in self.jar.items():
            headers.add(hdrs.SET_COOKIE, self._format(name, morsel))

    def _format(self, name: str, morsel: "Morsel[Any]") -> str:
        max_age = morsel["max-age"]
        return format_set_cookie(
            morsel.key,
            morsel.value,
            expires=morsel["expires"] or None,
            domain=morsel["domain"] or None,
            max_age=None if max_age == "" else max_age,
            path=morsel["path"] or None,
            secure=bool(morsel["secure"]),
            httponly=bool(morsel["httponly"]),
            samesite=morsel["samesite"] or None,
            partitioned=name in self._partitioned or bool(morsel.get("partitioned")),
            version=morsel["version"] or None,
        )
