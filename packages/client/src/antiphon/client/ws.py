"""WebSocket, client end: what users hold, and the opening handshake."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from antiphon.core.aio.channel import WebSocketChannel
from antiphon.core.errors import LocalProtocolError
from antiphon.core.limits import WebSocketLimits
from antiphon.core.typedefs import Byteish
from antiphon.core.websocket.connection import Fragment, Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters
from antiphon.core.websocket.handshake import ClientHandshake, check_response
from antiphon.core.websocket.models import (
    WSCloseCode,
    WSHandshakeError,
    WSMessage,
    WSMessageTypeError,
    WSMsgType,
)

from .errors import ClientConnectionResetError, WSServerHandshakeError
from .options import ClientWSTimeout

if TYPE_CHECKING:
    from .response import ClientResponse

__all__ = ("ClientWebSocketResponse", "WebSocketOptions", "accept", "handshake_for")

_END: Final = frozenset((WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED))


class WebSocketOptions:
    """How a WebSocket is to behave; the arguments of `ClientSession.ws_connect`."""

    def __init__(
        self,
        *,
        timeout: ClientWSTimeout,
        autoclose: bool = True,
        autoping: bool = True,
        heartbeat: float | None = None,
        compress: int = 0,
        max_msg_size: int = 4 * 1024 * 1024,
        decode_text: bool = True,
    ) -> None:
        self.timeout = timeout
        self.autoclose = autoclose
        self.autoping = autoping
        self.heartbeat = heartbeat
        self.compress = compress
        self.max_msg_size = max_msg_size
        self.decode_text = decode_text


def handshake_for(protocols: tuple[str, ...], origin: str | None, compress: int) -> ClientHandshake:
    """Return what to ask a server for.

    Args:
        protocols: Subprotocols, the preferred one first.
        origin: What the ``Origin`` field says.
        compress: Window bits of compression, 9 to 15; 0 for none.

    Raises:
        ValueError: *compress* is another number.
    """
    deflate = DeflateParameters(server_max_window_bits=compress) if compress else None
    return ClientHandshake(protocols=protocols, deflate=deflate, origin=origin)


async def accept(
    response: "ClientResponse",
    asked: ClientHandshake,
    options: WebSocketOptions,
    make: "type[ClientWebSocketResponse]",
) -> "ClientWebSocketResponse":
    """Check the server's answer and take the connection over.

    Raises:
        WSServerHandshakeError: The server did not agree, or agreed to what was not asked.
    """
    try:
        protocol, deflate = check_response(asked, response.status, response.headers)
        channel = response.switch()
    except WSHandshakeError as exc:
        body = b"" if response.status == 101 else await response.read_beginning()
        response.close()
        raise WSServerHandshakeError(
            response.request_info,
            response.history,
            status=response.status,
            message=exc.message,
            headers=response.headers,
            body=body,
        ) from exc
    except BaseException:
        response.close()
        raise
    connection = WebSocketConnection(
        Role.CLIENT,
        max_msg_size=options.max_msg_size,
        deflate=deflate,
        decode_text=options.decode_text,
    )
    timeout = options.timeout
    websocket = WebSocketChannel(
        channel,
        connection,
        limits=WebSocketLimits(max_queue_size=max(options.max_msg_size * 2, 64 * 1024)),
        heartbeat=options.heartbeat,
        autoping=options.autoping,
        autoclose=options.autoclose,
        close_timeout=timeout.ws_close if timeout.ws_close is not None else float("inf"),
        error=ClientConnectionResetError,
    )
    return make(
        websocket,
        None,
        protocol,
        response,
        timeout,
        options.autoclose,
        options.autoping,
        asyncio.get_running_loop(),
        heartbeat=options.heartbeat,
        compress=0 if deflate is None else deflate.client_max_window_bits,
        client_notakeover=deflate is not None and deflate.client_no_context_takeover,
    )


class ClientWebSocketResponse:
    """A WebSocket to a server.

    Pings are answered and the closing handshake is held also while nobody receives. Sends
    leave in the order of the calls; awaiting one waits only for room, and need not be done.

    Made by `ClientSession.ws_connect`.
    """

    __slots__ = (
        "__weakref__",
        "_channel",
        "_client_notakeover",
        "_compress",
        "_protocol",
        "_response",
        "_timeout",
    )

    def __init__(
        self,
        reader: WebSocketChannel,
        writer: object,
        protocol: str | None,
        response: "ClientResponse",
        timeout: ClientWSTimeout,
        autoclose: bool,
        autoping: bool,
        loop: asyncio.AbstractEventLoop,
        *,
        heartbeat: float | None = None,
        compress: int = 0,
        client_notakeover: bool = False,
    ) -> None:
        self._channel = reader
        self._protocol = protocol
        self._response = response
        self._timeout = timeout
        self._compress = compress
        self._client_notakeover = client_notakeover

    # -- what is known

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._channel.closed

    @property
    def close_code(self) -> int | None:
        """The code the server closed with; 1006 if the connection was lost; ``None`` while open."""
        return self._channel.close_code

    @property
    def close_reason(self) -> str:
        """The reason the server closed with."""
        return self._channel.close_reason

    @property
    def protocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self._protocol

    @property
    def compress(self) -> int:
        """Window bits of the compression of what is sent; 0 for none."""
        return self._compress

    @property
    def client_notakeover(self) -> bool:
        """Whether each message is compressed without regard to earlier ones."""
        return self._client_notakeover

    @property
    def latency(self) -> float | None:
        """Seconds from the last heartbeat's ping to the first sign of life after it."""
        return self._channel.latency

    @property
    def response(self) -> "ClientResponse":
        """The answer to the opening handshake: its fields, its history."""
        return self._response

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport says (`asyncio.BaseTransport.get_extra_info`)."""
        return self._channel.info.get_extra_info(name, default)

    def exception(self) -> BaseException | None:
        """What ended the connection; ``None`` for a close frame, or nothing."""
        return self._channel.exception()

    # -- sending

    def ping(self, message: str | Byteish = b"") -> Awaitable[None]:
        """Send a ping of at most 125 bytes."""
        return self._channel.ping(message)

    def pong(self, message: str | Byteish = b"") -> Awaitable[None]:
        """Send a pong of at most 125 bytes."""
        return self._channel.pong(message)

    def send_frame(
        self, message: Byteish, opcode: WSMsgType, compress: int | None = None
    ) -> Awaitable[None]:
        """Send one whole frame: TEXT, BINARY, PING or PONG."""
        return self._channel.send_frame(message, opcode, compress)

    def send_str(self, data: str, compress: int | None = None) -> Awaitable[None]:
        """Send a text message.

        Args:
            data: The text.
            compress: 0 not to compress this one, 1 to 9 for a level of its own.

        Raises:
            TypeError: *data* is no `str`.
            ClientConnectionResetError: The connection is closed; where the return is awaited.
        """
        return self._channel.send_str(data, compress)

    def send_bytes(self, data: Byteish, compress: int | None = None) -> Awaitable[None]:
        """Send a binary message; see `send_str`."""
        return self._channel.send_bytes(data, compress)

    def send_json(
        self,
        data: Any,
        compress: int | None = None,
        *,
        dumps: Callable[[Any], str] = json.dumps,
    ) -> Awaitable[None]:
        """Send *data* as JSON in a text message; see `send_str`."""
        return self._channel.send_str(dumps(data), compress)

    def send_json_bytes(
        self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], bytes]
    ) -> Awaitable[None]:
        """Send *data* as JSON in a binary message; see `send_str`."""
        return self._channel.send_bytes(dumps(data), compress)

    def send_fragment(
        self, data: str | Byteish, *, final: bool, compress: int | None = None
    ) -> Awaitable[None]:
        """Send a piece of a message.

        Args:
            data: The piece; of one message all are text, or all are bytes.
            final: Whether it is the last one.
            compress: 0 not to compress the message; the first piece decides.
        """
        return self._channel.send_fragment(data, final=final, compress=compress)

    # -- receiving

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """Return the next message.

        Args:
            timeout: Seconds to wait; ``timeout.ws_receive`` by default.

        Returns:
            TEXT or BINARY; PING and PONG without *autoping*; CLOSE, CLOSING, CLOSED or ERROR
            at the end.

        Raises:
            TimeoutError: Nothing came in time; the connection stays as it is.
            RuntimeError: Another task receives.
        """
        limit = timeout or self._timeout.ws_receive
        try:
            return await self._channel.receive(limit)
        except TimeoutError as exc:
            raise _nothing_received(limit, exc) from exc

    async def receive_str(self, *, timeout: float | None = None) -> str:
        """Return the next message, which has to be text.

        Raises:
            WSMessageTypeError: It is something else.
        """
        message = await self.receive(timeout)
        if message.type is not WSMsgType.TEXT:
            raise WSMessageTypeError(
                f"Received message {message.type!r}:{message.data!r} is not WSMsgType.TEXT"
            )
        return message.data

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """Return the next message, which has to be binary.

        Raises:
            WSMessageTypeError: It is something else.
        """
        message = await self.receive(timeout)
        if message.type is not WSMsgType.BINARY:
            raise WSMessageTypeError(
                f"Received message {message.type!r}:{message.data!r} is not WSMsgType.BINARY"
            )
        return message.data

    async def receive_json(
        self, *, loads: Callable[[str], Any] = json.loads, timeout: float | None = None
    ) -> Any:
        """Return what the next message, which has to be text, says as JSON."""
        return loads(await self.receive_str(timeout=timeout))

    async def receive_fragments(self, timeout: float | None = None) -> AsyncIterator[str | bytes]:
        """Iterate over the pieces of the next message as they come, however large it is.

        Args:
            timeout: Seconds to wait for each piece.

        Raises:
            WSMessageTypeError: There is no message: the connection ends.
        """
        while True:
            limit = timeout or self._timeout.ws_receive
            try:
                piece = await self._channel.receive_fragment(limit)
            except TimeoutError as exc:
                raise _nothing_received(limit, exc) from exc
            if not isinstance(piece, Fragment):
                raise WSMessageTypeError(f"Received {piece.type!r} instead of a message")
            yield piece.data
            if piece.final:
                return

    def __aiter__(self) -> AsyncIterator[WSMessage]:
        if type(self) is not ClientWebSocketResponse:
            return self  # a subclass may see to `receive`
        if self._timeout.ws_receive is not None:
            return self  # `receive` says what took too long
        return self._channel  # without a step in between

    async def __anext__(self) -> WSMessage:
        message = await self.receive()
        if message.type in _END:
            raise StopAsyncIteration
        return message

    # -- the end

    async def close(self, *, code: int = WSCloseCode.OK, message: str | bytes = b"") -> bool:
        """Close, and wait for the server's answer, at most ``timeout.ws_close`` seconds.

        Args:
            code: Why: 1000 to 1014 but those that are never sent, or 3000 to 4999.
            message: Why, in words; at most 123 bytes.

        Returns:
            Whether it was this call that closed.

        Raises:
            ValueError: *code* may not be sent.
        """
        try:
            return await self._channel.close(code, message)
        except LocalProtocolError:
            return False  # the server has hung up without a word, and the rest follows

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._response.url} {self._channel!r}>"


def _nothing_received(limit: float | None, exc: TimeoutError) -> TimeoutError:
    return exc if exc.args else TimeoutError(f"Timeout on ws_receive={limit} s")
