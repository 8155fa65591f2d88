"""What can go wrong for a client.

Names and bases are those aiohttp documents::

    ClientError
     ├─ ClientResponseError            a response came and cannot be used
     │   ├─ ContentTypeError           it is not of the type that was expected
     │   ├─ TooManyRedirects
     │   ├─ WSServerHandshakeError     the server did not agree to a WebSocket
     │   └─ ClientHttpProxyError       the proxy refused the tunnel
     ├─ ClientConnectionError          the connection; see `failure` for what is known of it
     │   ├─ ClientConnectionResetError (ConnectionResetError)
     │   ├─ ClientOSError              (OSError)
     │   │   └─ ClientConnectorError   none could be made
     │   │       ├─ ClientConnectorDNSError
     │   │       ├─ ClientProxyConnectionError
     │   │       └─ ClientSSLError
     │   │           ├─ ClientConnectorSSLError          (ssl.SSLError)
     │   │           └─ ClientConnectorCertificateError  (ssl.SSLCertVerificationError)
     │   └─ ServerConnectionError
     │       ├─ ServerDisconnectedError
     │       ├─ ServerFingerprintMismatch
     │       └─ ServerTimeoutError     (TimeoutError)
     │           ├─ ConnectionTimeoutError    while a connection was got
     │           └─ SocketTimeoutError        while bytes were awaited or written
     ├─ ClientPayloadError             content ended early, broke its framing or coding, or is too big
     ├─ UploadAbortedError             the request's content never left in full
     ├─ InvalidURL                     (ValueError)
     │   └─ InvalidUrlClientError
     │       └─ InvalidUrlRedirectClientError   (and RedirectClientError)
     ├─ NonHttpUrlClientError
     │   └─ NonHttpUrlRedirectClientError       (and RedirectClientError)
     └─ RedirectClientError
"""

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs
from multidict import MultiMapping
from yarl import URL

from antiphon.core.deprecations import deprecated, warn_deprecated

from .request_info import RequestInfo

if TYPE_CHECKING:
    from antiphon.core.aio.exchange import Timeline

    from .response import ClientResponse

__all__ = (
    "ClientConnectionError",
    "ClientConnectionResetError",
    "ClientConnectorCertificateError",
    "ClientConnectorDNSError",
    "ClientConnectorError",
    "ClientConnectorSSLError",
    "ClientError",
    "ClientHttpProxyError",
    "ClientOSError",
    "ClientPayloadError",
    "ClientProxyConnectionError",
    "ClientResponseError",
    "ClientSSLError",
    "ConnectionTimeoutError",
    "ContentTypeError",
    "Failure",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
    "RedirectClientError",
    "ServerConnectionError",
    "ServerDisconnectedError",
    "ServerFingerprintMismatch",
    "ServerTimeoutError",
    "SocketTimeoutError",
    "TooManyRedirects",
    "UploadAbortedError",
    "WSServerHandshakeError",
)


class _ConnectionKeyLike(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...
    @property
    def is_ssl(self) -> bool: ...
    @property
    def ssl(self) -> Any: ...


@attrs.frozen(kw_only=True)
class Failure:
    """What is known of a connection that failed a request.

    Its `str` is what the error's text ends with.
    """

    phase: str
    """What was going on: ``pool``, ``dns``, ``connect``, ``tls``, ``proxy``, ``write``,
    ``first_byte``, ``head``, ``content`` or ``total``."""
    connection_id: int | None = None
    age: float | None = None
    """Seconds since the connection was made; ``None`` before there was one."""
    uses: int = 0
    """Requests begun on the connection, this one included."""
    resend_safe: bool = True
    """Whether the request can be sent again without the risk of doing its work twice."""
    tries: int = 1
    """How often the request was sent."""
    timeline: "Timeline | None" = None

    def __str__(self) -> str:
        if self.age is None:
            connection = "no connection yet"
        else:
            connection = f"connection {self.connection_id}, {self.age:.2f} s old, use {self.uses}"
        tried = f", tried {self.tries} times" if self.tries > 1 else ""
        safe = "safe" if self.resend_safe else "not safe"
        return f"phase {self.phase}; {connection}{tried}; sending again is {safe}"


class ClientError(Exception):
    """Anything that a client raises about a server, a connection or a URL."""


class ClientResponseError(ClientError):
    """A response came, and it cannot be used.

    Args:
        request_info: What was asked.
        history: The redirect responses that led here.
        code: Obsolete spelling of *status* (ANT-0028).
        status: The response's status code.
        message: The reason phrase, or what is wrong.
        headers: The response's header fields.
        body: The beginning of the response's content, if any of it was read.
        encoding: Charset of *body*.
    """

    def __init__(
        self,
        request_info: RequestInfo,
        history: "tuple[ClientResponse, ...]",
        *,
        code: int | None = None,
        status: int | None = None,
        message: str = "",
        headers: MultiMapping[str] | Mapping[str, str] | None = None,
        body: bytes = b"",
        encoding: str = "utf-8",
    ) -> None:
        if code is not None and status is not None:
            raise ValueError("status and code are one and the same; give status only")
        if code is not None:
            warn_deprecated("ANT-0028")
        self.request_info = request_info
        self.status = status if status is not None else code if code is not None else 0
        self.message = message
        self.headers = headers
        self.history = history
        self.body = body
        """The beginning of the response's content: at most 64 KiB, decoded."""
        self._encoding = encoding
        self.args = (request_info, history)

    @property
    @deprecated("Use ClientResponseError.status (ANT-0029)")
    def code(self) -> int:
        """The same as `status`. Obsolete (ANT-0029)."""
        warn_deprecated("ANT-0029")
        return self.status

    @code.setter
    def code(self, value: int) -> None:
        warn_deprecated("ANT-0029")
        self.status = value

    @property
    def text(self) -> str:
        """`body` as text; what does not decode is replaced."""
        try:
            return self.body.decode(self._encoding, "replace")
        except LookupError:  # a charset that Python does not know
            return self.body.decode("utf-8", "replace")

    def __str__(self) -> str:
        return f"{self.status}, message={self.message!r}, url={str(self.request_info.real_url)!r}"

    def __repr__(self) -> str:
        args = [repr(self.request_info), repr(self.history)]
        if self.status:
            args.append(f"status={self.status!r}")
        if self.message:
            args.append(f"message={self.message!r}")
        if self.headers is not None:
            args.append(f"headers={self.headers!r}")
        return f"{type(self).__name__}({', '.join(args)})"


class ContentTypeError(ClientResponseError):
    """The response's ``Content-Type`` is not the expected one."""


class WSServerHandshakeError(ClientResponseError):
    """The server did not agree to a WebSocket, or agreed to what was not asked."""


class ClientHttpProxyError(ClientResponseError):
    """The proxy answered a request for a tunnel with something else than 2xx."""


class TooManyRedirects(ClientResponseError):
    """The server redirected more often than `max_redirects` allows."""


class ClientConnectionError(ClientError):
    """A connection could not be had, or was lost."""

    failure: Failure | None = None
    """What is known of the connection and of the phase, where there was a request."""


class ClientConnectionResetError(ClientConnectionError, ConnectionResetError):
    """The connection was lost while this side was writing."""


class ClientOSError(ClientConnectionError, OSError):
    """The operating system reports an error about the connection."""


class ClientConnectorError(ClientOSError):
    """No connection could be made.

    Args:
        connection_key: Whom it was for.
        os_error: What the operating system said.
    """

    def __init__(self, connection_key: _ConnectionKeyLike, os_error: OSError) -> None:
        self._connection_key = connection_key
        self._os_error = os_error
        super().__init__(os_error.errno, os_error.strerror)
        self.args = (connection_key, os_error)

    @property
    def os_error(self) -> OSError:
        """What the operating system said."""
        return self._os_error

    @property
    def host(self) -> str:
        """The host of the request."""
        return self._connection_key.host

    @property
    def port(self) -> int | None:
        """The port of the request."""
        return self._connection_key.port

    @property
    def ssl(self) -> Any:  # Any: True, False, a context or a Fingerprint, as aiohttp documents
        """How the certificate was to be checked."""
        return self._connection_key.ssl

    def __str__(self) -> str:
        reason = self._os_error.strerror or str(self._os_error) or type(self._os_error).__name__
        ssl_shown = "default" if self.ssl is True else self.ssl
        text = f"Cannot connect to host {self.host}:{self.port} ssl:{ssl_shown} [{reason}]"
        return f"{text} ({self.failure})" if self.failure is not None else text

    # OSError's own reduction would call the constructor with errno and text.
    def __reduce__(self) -> Any:
        return (type(self), (self._connection_key, self._os_error))


class ClientConnectorDNSError(ClientConnectorError):
    """The host's name does not resolve."""


class ClientProxyConnectionError(ClientConnectorError):
    """No connection could be made to the proxy."""


class ClientSSLError(ClientConnectorError):
    """TLS failed."""


class ClientConnectorSSLError(ClientSSLError, ssl.SSLError):
    """The TLS handshake failed."""


class ClientConnectorCertificateError(ClientSSLError, ssl.SSLCertVerificationError):
    """The server's certificate was not accepted."""

    def __init__(self, connection_key: _ConnectionKeyLike, certificate_error: Exception) -> None:
        if isinstance(certificate_error, OSError):
            os_error = certificate_error
        else:
            os_error = OSError(None, str(certificate_error))
        super().__init__(connection_key, os_error)
        self._certificate_error = certificate_error
        self.args = (connection_key, certificate_error)

    @property
    def certificate_error(self) -> Exception:
        """What was wrong with the certificate."""
        return self._certificate_error

    def __str__(self) -> str:
        text = (
            f"Cannot connect to host {self.host}:{self.port} ssl:{self.ssl} "
            f"[{type(self._certificate_error).__name__}: {self._certificate_error}]"
        )
        return f"{text} ({self.failure})" if self.failure is not None else text

    def __reduce__(self) -> Any:
        return (type(self), (self._connection_key, self._certificate_error))


class ServerConnectionError(ClientConnectionError):
    """The server is to blame for the loss of the connection."""


class ServerDisconnectedError(ServerConnectionError):
    """The server closed the connection before a whole response had come."""

    def __init__(self, message: Any = None) -> None:  # Any: aiohttp also puts a head here
        self.message = "Server disconnected" if message is None else message
        super().__init__(self.message)


class ServerTimeoutError(ServerConnectionError, TimeoutError):
    """The server took longer than the request's time limits allow."""


class ConnectionTimeoutError(ServerTimeoutError):
    """Getting a connection took too long."""


class SocketTimeoutError(ServerTimeoutError):
    """Nothing came, or nothing could be written, for too long."""


class ServerFingerprintMismatch(ServerConnectionError):
    """The server's certificate has another fingerprint."""

    def __init__(self, expected: bytes, got: bytes, host: str, port: int) -> None:
        self.expected = expected
        self.got = got
        self.host = host
        self.port = port
        super().__init__(expected, got, host, port)

    def __str__(self) -> str:
        return (
            f"The certificate of {self.host}:{self.port} has the fingerprint {self.got.hex()}, "
            f"not {self.expected.hex()}"
        )


class ClientPayloadError(ClientError):
    """Content ended early, broke its framing or coding, is too big, or cannot be sent again."""


class UploadAbortedError(ClientError):
    """The request's content never left in full."""


class InvalidURL(ClientError, ValueError):
    """A URL that cannot be used: malformed, or without a host."""

    def __init__(self, url: URL | str, description: str | None = None) -> None:
        self._url = url
        self._description = description
        if description:
            super().__init__(url, description)
        else:
            super().__init__(url)

    @property
    def url(self) -> URL | str:
        """The URL as it was given."""
        return self._url

    @property
    def description(self) -> str | None:
        """What is wrong with it."""
        return self._description

    def __str__(self) -> str:
        return f"{self._url} - {self._description}" if self._description else str(self._url)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class InvalidUrlClientError(InvalidURL):
    """The URL of a request cannot be used."""


class RedirectClientError(ClientError):
    """A redirect cannot be followed."""


class NonHttpUrlClientError(ClientError):
    """The URL of a request has a scheme that is not HTTP."""

    def __str__(self) -> str:
        url = self.args[0] if self.args else None
        if not isinstance(url, URL):
            return super().__str__()
        return f"{url} - {url.scheme}:// is not a scheme that the session's connector speaks"


class InvalidUrlRedirectClientError(InvalidUrlClientError, RedirectClientError):
    """A redirect leads to a URL that cannot be used."""


class NonHttpUrlRedirectClientError(NonHttpUrlClientError, RedirectClientError):
    """A redirect leads to a URL with a scheme that is not HTTP."""
