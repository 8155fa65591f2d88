"""A WebSocket, the server's end."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Final

import attrs
from multidict import CIMultiDict

from antiphon.core import hdrs
from antiphon.core.aio.channel import WebSocketChannel
from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.writer import AbstractStreamWriter
from antiphon.core.aio.ws_outbox import Sending
from antiphon.core.errors import LocalProtocolError
from antiphon.core.limits import WebSocketLimits
from antiphon.core.typedefs import Byteish
from antiphon.core.websocket import (
    DeflateParameters,
    Fragment,
    Role,
    ServerHandshake,
    WebSocketConnection,
    WSCloseCode,
    WSHandshakeError,
    WSMessage,
    WSMessageTypeError,
    WSMsgType,
    negotiate,
)

from ._stream_response import StreamResponse
from .exceptions import (
    HTTPBadRequest,
    HTTPException,
    HTTPForbidden,
    HTTPMethodNotAllowed,
    HTTPUpgradeRequired,
)
from .handler import RequestHandler
from .request import BaseRequest

__all__ = ("WebSocketReady", "WebSocketResponse")

_MAX_CLOSED: Final = 5
"""Times that `WebSocketResponse.receive` says CLOSED before it takes the caller for an endless loop."""

_WRITER_LIMIT: Final = 64 * 1024
"""What asyncio's transports do by themselves."""

_END: Final = frozenset((WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED))


@attrs.frozen
class WebSocketReady:
    """Whether a request can become a WebSocket; true if it can.

    Attributes:
        ok: Whether it can.
        protocol: The subprotocol that would be spoken, ``None`` for none.
    """

    ok: bool
    protocol: str | None

    def __bool__(self) -> bool:
        return self.ok


class WebSocketResponse(StreamResponse):
    """The server's end of a WebSocket, a response with status 101.

    Args:
        timeout: Seconds to wait for the peer's part of the closing handshake.
        receive_timeout: Seconds that `receive` and what stands on it wait; ``None`` for ever.
        autoclose: Answer the peer's close frame.
        autoping: Answer pings, and do not show pings and pongs to `receive`.
        heartbeat: Seconds of silence after which the peer is sent a ping; if it shows no sign of
            life in half of that, the connection is closed with 1006. Works whether or not
            anybody receives. ``None`` for no heartbeat.
        protocols: Subprotocols spoken here.
        compress: Allow compression (RFC 7692). A number from 9 to 15 is the window's size,
            as its logarithm to base 2.
        max_msg_size: Bytes of one message after inflation; 0 for any number.
        writer_limit: Bytes that wait to leave above which sends wait.
        decode_text: Give text as `str`; else as `bytes`, checked to be UTF-8 all the same.
        origins: Pages that may connect, as ``https://example.org``; ``None`` for any. Cookies come
            with a WebSocket from whatever page, so a server that trusts them should say
            here whose pages it trusts.

    Messages are received by one task at a time. Any task may send, and close: a frame is
    handed over when the method is called, so the order of calls is the order on the wire, and
    ``await ws.send_str(x)`` waits only while the peer is behind.

    When the server stops, it is closed with 1001.
    """

    _channel: WebSocketChannel | None = None
    _protocol: str | None = None
    _closed_seen = 0

    def __init__(
        self,
        *,
        timeout: float = 10.0,
        receive_timeout: float | None = None,
        autoclose: bool = True,
        autoping: bool = True,
        heartbeat: float | None = None,
        protocols: Iterable[str] = (),
        compress: bool | int = True,
        max_msg_size: int = 4 * 1024 * 1024,
        writer_limit: int = _WRITER_LIMIT,
        decode_text: bool = True,
        origins: Sequence[str] | None = None,
    ) -> None:
        super().__init__(status=101)
        if heartbeat is not None and heartbeat <= 0:
            raise ValueError(f"heartbeat must be positive, not {heartbeat!r}")
        if max_msg_size < 0:
            raise ValueError(f"max_msg_size must be 0 (no limit) or more, not {max_msg_size!r}")
        if not isinstance(compress, bool) and compress and not 9 <= compress <= 15:
            raise ValueError(f"compress must be a bool or from 9 to 15, not {compress!r}")
        if isinstance(origins, str):
            raise TypeError("origins must be a list of origins, not one of them")
        self._timeout = timeout
        self._receive_timeout = receive_timeout
        self._autoclose = autoclose
        self._autoping = autoping
        self._heartbeat = heartbeat
        self._protocols = tuple(protocols)
        self._compress = compress
        self._max_msg_size = max_msg_size
        self._writer_limit = writer_limit
        self._decode_text = decode_text
        self._origins = origins

    # --- the opening handshake

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Answer the opening handshake. Messages can be sent and received after that.

        Raises:
            HTTPException: The request is no handshake, or one that cannot be agreed to: 400, 403
                for the origin, 405 for the method, 426 for the version.
            RuntimeError: The response was sent for another request.
            ConnectionError: The peer is gone.
        """
        exchange = request._exchange
        if self._exchange is not None:
            if self._exchange is not exchange:
                raise RuntimeError(f"{self!r} was prepared for another request")
            return None
        handshake = self._negotiate(request)
        self._exchange = exchange
        self._request = request
        headers = self._headers
        headers.update(handshake.headers)
        if self._cookies is not None:
            self._cookies.add_to(headers)
        for signal in request._prepare_signals:
            await signal.send(request, self)
        self._open(request, exchange, handshake)
        return None

    def can_prepare(self, request: BaseRequest) -> WebSocketReady:
        """Tell whether *request* can become this WebSocket, without answering it.

        Raises:
            RuntimeError: The response is prepared already.
        """
        if self._exchange is not None:
            raise RuntimeError("Already started")
        try:
            handshake = self._negotiate(request)
        except HTTPException:
            return WebSocketReady(ok=False, protocol=None)
        return WebSocketReady(ok=True, protocol=handshake.protocol)

    def _negotiate(self, request: BaseRequest) -> ServerHandshake:
        deflate = None
        if self._compress:
            bits = 15 if isinstance(self._compress, bool) else self._compress
            deflate = DeflateParameters(server_max_window_bits=bits)
        headers = request.headers
        try:
            return negotiate(
                request.method,
                headers,
                all_values=list(headers.items()),
                protocols=self._protocols,
                deflate=deflate,
                origins=self._origins,
            )
        except WSHandshakeError as exc:
            raise _refusal(exc, request) from exc

    def _open(
        self, request: BaseRequest, exchange: ServerExchange, handshake: ServerHandshake
    ) -> None:
        connection = WebSocketConnection(
            Role.SERVER,
            max_msg_size=self._max_msg_size,
            deflate=handshake.deflate,
            decode_text=self._decode_text,
        )
        limits = WebSocketLimits(max_msg_size=self._max_msg_size)
        if self._max_msg_size:
            limits = attrs.evolve(limits, max_queue_size=2 * self._max_msg_size)
        transport = exchange.info.transport
        if self._writer_limit != _WRITER_LIMIT and transport is not None:
            transport.set_write_buffer_limits(high=self._writer_limit)
        try:
            bytes_ = exchange.upgrade(101, self._headers, reason=self._reason)
        except LocalProtocolError as exc:
            # A version of HTTP without upgrades, or content that is still to come.
            raise HTTPBadRequest(text="The connection cannot be upgraded") from exc
        request._note_begun(self)
        self._protocol = handshake.protocol
        agreed = handshake.deflate
        self._compress = 0 if agreed is None else agreed.server_max_window_bits
        self._channel = WebSocketChannel(
            bytes_,
            connection,
            limits=limits,
            heartbeat=self._heartbeat,
            autoping=self._autoping,
            autoclose=self._autoclose,
            close_timeout=self._timeout,
        )
        if type(self) is WebSocketResponse:
            # What is called for each message, without a step in between.
            self.send_str = self._channel.send_str  # type: ignore[method-assign]  # see above
            self.send_bytes = self._channel.send_bytes  # type: ignore[method-assign]  # see above
        request_handler = request._request_handler
        if request_handler is not None:
            self._close_at_stop(request_handler, exchange.task or asyncio.current_task())

    def _close_at_stop(
        self, request_handler: RequestHandler, owner: "asyncio.Task[Any] | None"
    ) -> None:
        """Say goodbye when the server stops; forget that when *owner* ends, and the channel so."""

        async def close() -> None:
            await self.close(code=WSCloseCode.GOING_AWAY, message=b"Server shutdown")

        request_handler.add_stop_callback(close)
        if owner is not None:
            owner.add_done_callback(lambda _: request_handler.remove_stop_callback(close))

    # --- what is known

    @property
    def prepared(self) -> bool:
        """Whether the opening handshake was answered."""
        return self._channel is not None

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._channel is not None and self._channel.closed

    @property
    def close_code(self) -> int | None:
        """The code the peer closed with, the one it was told if it broke the protocol, 1006 if
        the connection was lost; ``None`` while it is open."""
        return None if self._channel is None else self._channel.close_code

    @property
    def close_reason(self) -> str:
        """The reason that the peer gave for closing."""
        return "" if self._channel is None else self._channel.close_reason

    @property
    def ws_protocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self._protocol

    @property
    def compress(self) -> int | bool:
        """Before `prepare` what was asked for; then the window's size, 0 without compression."""
        return self._compress

    @property
    def latency(self) -> float | None:
        """Seconds from the last heartbeat's ping to the peer's sign of life."""
        return None if self._channel is None else self._channel.latency

    def exception(self) -> BaseException | None:
        """Return what ended the connection; ``None`` for a proper close, and while it is open."""
        return None if self._channel is None else self._channel.exception()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport says; see `asyncio.BaseTransport.get_extra_info`."""
        return (
            default if self._channel is None else self._channel.info.get_extra_info(name, default)
        )

    def _open_channel(self) -> WebSocketChannel:
        channel = self._channel
        if channel is None:
            raise RuntimeError("Call .prepare() first")
        return channel

    # --- sending

    def send_str(self, data: str, compress: int | None = None) -> Sending:
        """Send text. It is handed over at once; awaiting waits while the peer is behind.

        Args:
            data: The text.
            compress: 0 not to compress it, 1 to 9 for a level; as agreed by default.

        Raises:
            RuntimeError: Not prepared.
            TypeError: *data* is no `str`.
            ConnectionResetError: The connection is closed; raised where the return is awaited.
        """
        return self._open_channel().send_str(data, compress)

    def send_bytes(self, data: Byteish, compress: int | None = None) -> Sending:
        """Send bytes as a binary message; else as `send_str`."""
        return self._open_channel().send_bytes(data, compress)

    def send_json(
        self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], str] = json.dumps
    ) -> Sending:
        """Send ``dumps(data)`` as text; else as `send_str`."""
        return self._open_channel().send_str(dumps(data), compress)

    def send_json_bytes(
        self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], bytes]
    ) -> Sending:
        """Send ``dumps(data)``, bytes, as a binary message; else as `send_str`."""
        return self._open_channel().send_bytes(dumps(data), compress)

    def send_fragment(
        self, data: str | Byteish, *, final: bool, compress: int | None = None
    ) -> Sending:
        """Send a message piece by piece: no other message can be sent until its *final* piece.

        Args:
            data: The piece: text for each, or bytes for each.
            final: Whether it ends the message.
            compress: As for `send_str`, but for levels; the first piece decides.
        """
        return self._open_channel().send_fragment(data, final=final, compress=compress)

    def send_frame(
        self, message: Byteish, opcode: WSMsgType, compress: int | None = None
    ) -> Sending:
        """Send one whole frame: TEXT (encoded already), BINARY, PING or PONG."""
        return self._open_channel().send_frame(message, opcode, compress)

    def ping(self, message: str | Byteish = b"") -> Sending:
        """Send a ping of at most 125 bytes."""
        return self._open_channel().ping(message)

    def pong(self, message: str | Byteish = b"") -> Sending:
        """Send a pong nobody asked for, of at most 125 bytes."""
        return self._open_channel().pong(message)

    # --- receiving

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """Return the next message, waiting for one.

        Args:
            timeout: Seconds to wait; *receive_timeout* of the WebSocket by default.

        Returns:
            TEXT or BINARY; without *autoping* PING and PONG too. CLOSE once from the peer; CLOSING
            if it is this side that closes; ERROR once with the exception if the
            connection failed; CLOSED after all that.

        Raises:
            RuntimeError: Not prepared; another task is receiving; or CLOSED came too often.
            TimeoutError: Nothing came in time. The connection stays as it is.

        Cancelling loses no message.
        """
        channel = self._channel or self._open_channel()
        message = await channel.receive(self._receive_timeout if timeout is None else timeout)
        if message.type is WSMsgType.CLOSED:
            self._count_closed()
        return message

    def _count_closed(self) -> None:
        self._closed_seen += 1
        if self._closed_seen >= _MAX_CLOSED:
            raise RuntimeError("WebSocket connection is closed.")

    async def receive_str(self, *, timeout: float | None = None) -> str:
        """Return the next message, which must be text.

        Raises:
            WSMessageTypeError: Something else came, or the connection was closed.

        And whatever `receive` raises.
        """
        message = await self.receive(timeout)
        if message.type is not WSMsgType.TEXT:
            raise _unexpected(message, "TEXT")
        return message.data

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """Return the next message, which must be binary. Raises what `receive_str` raises."""
        message = await self.receive(timeout)
        if message.type is not WSMsgType.BINARY:
            raise _unexpected(message, "BINARY")
        return message.data

    async def receive_json(
        self, *, loads: Callable[[Any], Any] = json.loads, timeout: float | None = None
    ) -> Any:
        """Return the next message, which must be text, parsed by *loads*."""
        return loads(await self.receive_str(timeout=timeout))

    async def receive_fragment(self, timeout: float | None = None) -> Fragment | WSMessage:
        """Return the next piece of a message as it comes, however large the message is.

        *max_msg_size* then counts for frames. A message that came whole is one final piece; what
        is no message is returned as `receive` returns it.
        """
        channel = self._open_channel()
        return await channel.receive_fragment(self._receive_timeout if timeout is None else timeout)

    def __aiter__(self) -> AsyncIterator[WSMessage]:
        if type(self) is not WebSocketResponse:
            return self  # a subclass may see to `receive`
        channel = self._open_channel()
        channel.iteration_timeout = self._receive_timeout
        return channel  # without a step in between

    async def __anext__(self) -> WSMessage:
        message = await self.receive()
        if message.type in _END:
            raise StopAsyncIteration
        return message

    # --- the end

    async def close(
        self, *, code: int = WSCloseCode.OK, message: str | bytes = b"", drain: bool = True
    ) -> bool:
        """Close the connection, and wait for the peer's close frame at most *timeout* seconds.

        Any task may do so, also one that was cancelled before. Whoever receives gets CLOSING.

        Args:
            code: 1000 to 1014 but those that are never sent, or 3000 to 4999.
            message: The reason, at most 123 bytes of UTF-8.
            drain: Accepted and not needed: what was sent before leaves before the close frame.

        Returns:
            False if it was closed before.

        Raises:
            RuntimeError: Not prepared.
            ValueError: *code* may not be sent.
        """
        return await self._open_channel().close(code, message)

    async def write(self, data: Byteish) -> None:
        """Raise `RuntimeError`: a WebSocket has messages, not content."""
        raise RuntimeError("Cannot call .write() for websocket")

    async def write_eof(self, data: Byteish = b"") -> None:
        """Close, if it is open. The server does this when the handler returns."""
        if not self._eof_sent:
            await self.close()
            self._eof_sent = True

    async def _say_failed(self) -> bool:
        # RFC 6455 section 7.4.1: 1011 is for a server that met an unexpected condition.
        if self._channel is None:
            return False
        await self._channel.close(WSCloseCode.INTERNAL_ERROR, b"")
        return True

    def enable_compression(self, *args: Any, **kwargs: Any) -> None:
        """Raise `RuntimeError`: see the argument *compress*."""
        raise RuntimeError("A WebSocket's compression is chosen when it is made")

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open" if self.prepared else "not prepared"
        return f"<{type(self).__name__} {state}>"


def _unexpected(message: WSMessage, wanted: str) -> WSMessageTypeError:
    return WSMessageTypeError(
        f"Received message {message.type}:{message.data!r:.100} is not WSMsgType.{wanted}"
    )


def _refusal(error: WSHandshakeError, request: BaseRequest) -> HTTPException:
    """Say by HTTP why there will be no WebSocket."""
    if error.code == 403:
        return HTTPForbidden(text=error.message)
    if error.code == 405:
        return HTTPMethodNotAllowed(request.method, [hdrs.METH_GET], text=error.message)
    if error.code == 426:
        # RFC 6455 section 4.4: say which version is spoken here.
        headers = CIMultiDict({hdrs.SEC_WEBSOCKET_VERSION: "13", hdrs.UPGRADE: "websocket"})
        return HTTPUpgradeRequired(text=error.message, headers=headers)
    return HTTPBadRequest(text=error.message)
