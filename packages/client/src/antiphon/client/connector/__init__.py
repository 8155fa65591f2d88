"""Connections: the pool, and the ways to open them.

A connector of one's own subclasses `BaseConnector` and implements ``dial``; the pool, its
limits and its lines come with it.
"""

from ._dial import ConnectionTrace, DialContext
from ._pool import PoolStats
from .base import BaseConnector, Connection
from .key import ConnectionKey
from .tcp import AddrInfoType, SocketFactoryType, TCPConnector
from .unix import NamedPipeConnector, UnixConnector

__all__ = (
    "AddrInfoType",
    "BaseConnector",
    "Connection",
    "ConnectionKey",
    "ConnectionTrace",
    "DialContext",
    "NamedPipeConnector",
    "PoolStats",
    "SocketFactoryType",
    "TCPConnector",
    "UnixConnector",
)
