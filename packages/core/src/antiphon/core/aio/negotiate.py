"""Which protocol follows from what TLS agreed on (ALPN, RFC 7301)."""

import ssl
from typing import Final

from .client_protocol import Http1ClientProtocol

__all__ = ("ALPN_PROTOCOLS", "client_protocol_class")

_CLIENT_PROTOCOLS: Final = {"http/1.1": Http1ClientProtocol}

ALPN_PROTOCOLS: Final = tuple(_CLIENT_PROTOCOLS)
"""What to offer, the most wanted first."""


def client_protocol_class(ssl_object: ssl.SSLObject | None) -> type[Http1ClientProtocol]:
    """Return the class of protocol to speak over a connection.

    Args:
        ssl_object: Its TLS session, ``None`` without TLS.

    Raises:
        ConnectionError: The peer chose a protocol that is not spoken here.
    """
    chosen = None if ssl_object is None else ssl_object.selected_alpn_protocol()
    if chosen is None:
        # Without ALPN there is nothing but HTTP/1.1 that could be meant.
        return Http1ClientProtocol
    try:
        return _CLIENT_PROTOCOLS[chosen]
    except KeyError:
        raise ConnectionError(
            f"The peer chose the protocol {chosen!r}; known are {', '.join(ALPN_PROTOCOLS)}"
        ) from None
