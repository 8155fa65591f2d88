"""Ports that are free, and sockets bound to them."""

import socket

__all__ = ("get_port_socket", "get_unused_port_socket", "unused_port")

_LOOPBACK = "127.0.0.1"


def unused_port() -> int:
    """Return a TCP port of the loopback interface that nobody uses now.

    Somebody else may take it before you do; give 0 to whatever listens, or use
    `get_unused_port_socket`, where that matters.
    """
    with get_unused_port_socket(_LOOPBACK) as sock:
        return int(sock.getsockname()[1])


def get_unused_port_socket(
    host: str, family: socket.AddressFamily = socket.AF_INET
) -> socket.socket:
    """Return a socket bound to a free TCP port of *host*; the caller closes it.

    Raises:
        OSError: *host* is no address of this machine.
    """
    return get_port_socket(host, 0, family)


def get_port_socket(
    host: str, port: int, family: socket.AddressFamily = socket.AF_INET
) -> socket.socket:
    """Return a socket bound to *port* of *host*; the caller closes it.

    Raises:
        OSError: The port is taken, or *host* is no address of this machine.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # So that a port whose last connections are not quite forgotten can be had again.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock
