"""TLS: whose certificates are good, and how failures are told."""

import asyncio
import functools
import ssl

from antiphon.core.aio.negotiate import ALPN_PROTOCOLS

from ..errors import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
)
from ..options import Fingerprint, SSLOption
from ._dial import DialContext
from .key import ConnectionKey

__all__ = (
    "check_peer",
    "context_for",
    "default_context",
    "server_name",
    "tls_error",
    "unverified_context",
)


@functools.cache
def default_context() -> ssl.SSLContext:
    """The context that verifies against the system's authorities; made once, shared by all."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(ALPN_PROTOCOLS)
    return context


@functools.cache
def unverified_context() -> ssl.SSLContext:
    """The context that takes any certificate; made once, shared by all."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(ALPN_PROTOCOLS)
    return context


def context_for(wish: SSLOption, connector: SSLOption) -> ssl.SSLContext:
    """Return the context for one connection.

    Args:
        wish: What the request says; ``True`` leaves it to *connector*.
        connector: What the connector says; ``True`` means `default_context`.

    A `Fingerprint` takes the place of all other checks, unless the connector has a context
    of its own: then both must be content.
    """
    if wish is True:
        wish = connector
    if isinstance(wish, ssl.SSLContext):
        return wish
    if isinstance(wish, Fingerprint) and isinstance(connector, ssl.SSLContext):
        return connector
    return default_context() if wish is True else unverified_context()


def server_name(key: ConnectionKey) -> str:
    """Return the name to ask for and to check: no dot at its end (RFC 6066), no IPv6 zone."""
    name = key.server_hostname or key.host
    return name.rstrip(".").partition("%")[0]


def check_peer(transport: asyncio.BaseTransport, wish: SSLOption, connector: SSLOption) -> None:
    """Compare the certificate's fingerprint where one was given.

    Raises:
        ServerFingerprintMismatch: It is another certificate.
    """
    if wish is True:
        wish = connector
    if isinstance(wish, Fingerprint):
        wish.check(transport)


def tls_error(context: DialContext, cause: OSError) -> ClientConnectorError:
    """Return the error for *cause*, which ended a TLS handshake."""
    kind: type[ClientConnectorError]
    if isinstance(cause, ssl.SSLCertVerificationError):
        kind = ClientConnectorCertificateError
    elif isinstance(cause, ssl.SSLError):
        kind = ClientConnectorSSLError
    else:
        kind = ClientConnectorError
    error = kind(context.key, cause)
    error.failure = context.failure("tls")
    return error
