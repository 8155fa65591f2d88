import ipaddress
import socket

from antiphon.client import AddrInfoType, TCPConnector


def public_only(address: AddrInfoType) -> socket.socket:
    """Make a socket for a public address, for URLs that users give (SSRF).

    Every connection comes by here: names with the address that they lead to, addresses written
    into a URL, redirects. What is looked at is what is connected to, so there is no moment
    between check and use in which a name could change.
    """
    family, kind, protocol, _, (host, *_) = address
    if not ipaddress.ip_address(host).is_global:
        raise OSError(None, f"{host} is not public")
    return socket.socket(family, kind, protocol)


def vetted_connector() -> TCPConnector:
    return TCPConnector(socket_factory=public_only)
