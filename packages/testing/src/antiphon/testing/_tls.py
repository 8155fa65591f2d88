"""TLS over connections that are no sockets: pipes in memory, and fault plans.

asyncio's own TLS is a protocol that speaks bytes to any transport; event loops only put it
between the two where they make a socket themselves. The same is done here, on every loop.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable

from .transport import MemoryListener

__all__ = ("connect_tls", "speaking_tls")


def speaking_tls(
    factory: Callable[[], asyncio.BaseProtocol], context: ssl.SSLContext
) -> Callable[[], asyncio.BaseProtocol]:
    """Return a protocol factory for the server's end of TLS; *factory* makes what is inside."""

    def make() -> asyncio.BaseProtocol:
        return SSLProtocol(
            asyncio.get_running_loop(),
            factory(),
            context,
            None,  # type: ignore[arg-type]  # nobody waits for the handshake
            server_side=True,
        )

    return make


async def connect_tls(
    listener: MemoryListener,
    protocol: asyncio.BaseProtocol,
    context: ssl.SSLContext,
    server_hostname: str | None,
) -> asyncio.Transport:
    """Connect *protocol* to *listener*, and wait for the end of the handshake.

    Returns:
        The transport that *protocol* got.

    Raises:
        ConnectionRefusedError: The listener is closed.
        ssl.SSLError: The handshake failed.
        OSError: The connection was lost in the middle of it.
    """
    loop = asyncio.get_running_loop()
    shaken: asyncio.Future[None] = loop.create_future()
    transport, tls = listener.connect(
        lambda: SSLProtocol(
            loop,
            protocol,
            context,
            shaken,
            server_hostname=server_hostname,
        )
    )
    try:
        await shaken
    except BaseException:
        transport.abort()
        raise
    secured: asyncio.Transport = tls._app_transport
    return secured
