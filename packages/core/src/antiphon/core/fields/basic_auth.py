"""Basic credentials (RFC 7617)."""

import base64
import binascii
from typing import NamedTuple, Self

from yarl import URL

from ..deprecations import deprecated, warn_deprecated

__all__ = ("BasicAuth", "decode_basic_auth", "encode_basic_auth")


def encode_basic_auth(login: str, password: str = "", encoding: str = "utf-8") -> str:
    """Return credentials as the value of ``Authorization`` or ``Proxy-Authorization``.

    Args:
        login: The user's name; without a colon, for that separates it.
        password: The password.
        encoding: How text becomes bytes. Servers that ask for none mean UTF-8 or Latin-1.

    Raises:
        ValueError: The name has a colon.
        UnicodeEncodeError: The encoding lacks a character.
    """
    if ":" in login:
        raise ValueError("a login must not have a colon (RFC 7617 section 2)")
    credentials = f"{login}:{password}".encode(encoding)
    return "Basic " + base64.b64encode(credentials).decode("ascii")


def decode_basic_auth(auth_header: str, encoding: str = "latin1") -> tuple[str, str]:
    """Return login and password of an ``Authorization`` or ``Proxy-Authorization`` field.

    Args:
        auth_header: The field's value.
        encoding: What the client made bytes with; for clients of today that is UTF-8.

    Raises:
        ValueError: Another scheme, or credentials that do not decode.
    """
    scheme, blank, encoded = auth_header.partition(" ")
    if not blank:
        raise ValueError("Could not parse authorization header.")
    if scheme.lower() != "basic":
        raise ValueError(f"Unknown authorization method {scheme[:100]!r}")
    try:
        credentials = base64.b64decode(encoded.strip(" ").encode("ascii"), validate=True)
        text = credentials.decode(encoding)
    except (binascii.Error, UnicodeError) as exc:
        # Without the cause's own text: it may quote a password.
        raise ValueError("Invalid base64 encoding or charset of credentials.") from exc
    login, colon, password = text.partition(":")
    if not colon:
        raise ValueError("Invalid credentials.")
    return login, password


class _Credentials(NamedTuple):
    login: str
    password: str = ""
    encoding: str = "latin1"


@deprecated(
    "Send an Authorization header with the value of antiphon.core.encode_basic_auth(), "
    "read one with decode_basic_auth() (ANT-0005)"
)
class BasicAuth(_Credentials):
    """Login and password. Obsolete (ANT-0005): use `encode_basic_auth` and `decode_basic_auth`.

    Args:
        login: The user's name; without a colon.
        password: The password.
        encoding: How text becomes bytes.

    Raises:
        ValueError: The login or the password is ``None``, or the login has a colon.
    """

    __slots__ = ()

    def __new__(cls, login: str, password: str = "", encoding: str = "latin1") -> Self:
        warn_deprecated("ANT-0005")
        return cls._make_checked(login, password, encoding)

    @classmethod
    def _make_checked(cls, login: str, password: str, encoding: str) -> Self:
        if login is None:
            raise ValueError("None is not allowed as login value")
        if password is None:
            raise ValueError("None is not allowed as password value")
        if ":" in login:
            raise ValueError("a login must not have a colon (RFC 7617 section 2)")
        return super().__new__(cls, login, password, encoding)

    @classmethod
    def decode(cls, auth_header: str, encoding: str = "latin1") -> Self:
        """Return the credentials of an ``Authorization`` field.

        Raises:
            ValueError: Another scheme, or credentials that do not decode.
        """
        warn_deprecated("ANT-0005")
        login, password = decode_basic_auth(auth_header, encoding)
        return cls._make_checked(login, password, encoding)

    @classmethod
    def from_url(cls, url: URL, *, encoding: str = "latin1") -> Self | None:
        """Return the credentials that a URL holds, ``None`` if it holds none.

        Raises:
            TypeError: *url* is no `yarl.URL`.
        """
        warn_deprecated("ANT-0005")
        if not isinstance(url, URL):
            raise TypeError("url should be yarl.URL instance")
        if url.user is None and url.password is None:
            return None
        return cls._make_checked(url.user or "", url.password or "", encoding)

    def encode(self) -> str:
        """Return the value of an ``Authorization`` field."""
        return encode_basic_auth(self.login, self.password, self.encoding)
