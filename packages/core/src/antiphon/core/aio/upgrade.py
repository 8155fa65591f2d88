"""The bytes of a connection after its protocol changed (101, CONNECT)."""

import asyncio
from typing import Final, cast, final

from .exchange import ByteReceiver, ConnectionInfo
from .flow import ConnectionProtocol, half_close

__all__ = ("TransportChannel",)

_MAX_UNCLAIMED: Final = 64 * 1024
"""Bytes kept for a receiver that is still to come, before reading pauses."""


@final
class TransportChannel(asyncio.Protocol):
    """A `ByteChannel` over the transport of *owner*, whose place at the transport it takes.

    Args:
        owner: The protocol that carried HTTP; it goes on keeping the books of the connection.
        transport: Its transport.
        begun: Bytes of the new protocol that came already.
    """

    def __init__(
        self, owner: ConnectionProtocol, transport: asyncio.Transport, begun: bytes
    ) -> None:
        self._owner = owner
        self._transport = transport
        self._receiver: ByteReceiver | None = None
        self._unclaimed = [begun] if begun else []
        self._kept = len(begun)  # bytes in `_unclaimed`
        self._eof = False
        self._paused = False
        self._lost: Exception | bool | None = False
        self.write_paused = owner.write_paused
        """Whether the transport's buffer is above its high mark."""
        transport.set_protocol(self)

    # ----------------------------------------------------------- ByteChannel

    @property
    def info(self) -> ConnectionInfo:
        """What is known of the connection."""
        return self._owner

    @property
    def closed(self) -> bool:
        """Whether the connection is lost or about to be."""
        return self._owner.closing

    def attach(self, receiver: ByteReceiver) -> None:
        """Deliver to *receiver* from now on, what is already buffered at once."""
        self._receiver = receiver
        unclaimed, self._unclaimed = self._unclaimed, []
        if self._lost is False:
            # What was held back for want of a receiver. From here on it is the receiver who says
            # whether to read, and it may do so while it is given what came early.
            self.resume_reading()
        # From the transport to the receiver without a step in between. Setting the protocol anew
        # tells transports that remember its methods.
        self.data_received = receiver.data_received  # type: ignore[method-assign]  # see above
        self._transport.set_protocol(self)
        if unclaimed:
            receiver.data_received(b"".join(unclaimed))
        if self._eof:
            receiver.eof_received()
        if self._lost is not False:
            receiver.connection_lost(self._lost if isinstance(self._lost, Exception) else None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand *data* to the transport; never waits; dropped once the connection is lost."""
        if self._lost is False:
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Stop taking bytes from the transport."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes from the transport again."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    async def drain(self) -> None:
        """Wait until the transport's buffer is below its low mark.

        Raises:
            ConnectionError: The connection is lost.
        """
        await self._owner.drain()

    def write_eof(self) -> None:
        """Half-close, where the transport can; TLS cannot."""
        if self._lost is False and self._transport.can_write_eof():
            half_close(self._transport)

    def close(self) -> None:
        """Close once everything written has left."""
        self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    # ---------------------------------------------------- called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # TLS begun on an open connection (`loop.start_tls`) comes here with the new transport.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._unclaimed.append(data)
        self._kept += len(data)
        if self._kept > _MAX_UNCLAIMED:
            self.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        if self._receiver is not None:
            self._receiver.eof_received()
        # With TLS there is no half-closed state: asyncio closes, whatever we say.
        return self._owner.ssl_object is None

    def pause_writing(self) -> None:
        self.write_paused = True
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        self.write_paused = False
        self._owner.resume_writing()
        if self._receiver is not None:
            self._receiver.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc or True
        self.write_paused = False
        # What was put there by `attach` would keep both ends in a circle.
        self.__dict__.pop("data_received", None)
        self._owner.connection_lost(exc)
        if self._receiver is not None:
            self._receiver.connection_lost(exc)
