"""One HTTP/1.1 request with its response, seen from the server."""

import asyncio
import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn, final

from multidict import CIMultiDict, CIMultiDictProxy

from ..errors import HttpProcessingError, LocalProtocolError
from ..http import HttpVersion11, Length, RawRequestMessage
from .content import ContentSink
from .exchange import ByteChannel, Timeline
from .flow import ConnectionProtocol
from .sendfile import send_file
from .streams import EMPTY_PAYLOAD, StreamReader
from .writer import ContentWriter, Http1ContentWriter

if TYPE_CHECKING:
    from .server_protocol import Http1ServerProtocol

__all__ = ("ExchangeState", "Http1ServerExchange")

# A body up to this size is copied behind its head and leaves with it in one write.
_JOIN: Final = 64 * 1024


class ExchangeState(enum.Enum):
    """How far an exchange is."""

    OPEN = "not answered"
    RESPONDING = "the final response has begun"
    DONE = "the final response is complete"
    ABORTED = "given up"


_OPEN: Final = ExchangeState.OPEN
_RESPONDING: Final = ExchangeState.RESPONDING
_DONE: Final = ExchangeState.DONE


@final
class Http1ServerExchange:
    """A `ServerExchange` on an HTTP/1.1 connection. Made by the protocol."""

    __slots__ = (
        "_callbacks",
        "_protocol",
        "_sent",
        "_start",
        "_timeline",
        "_writer",
        "error",
        "head",
        "owner",
        "sink",
        "state",
        "trailers",
    )

    def __init__(
        self,
        protocol: "Http1ServerProtocol",
        head: RawRequestMessage,
        error: HttpProcessingError | None,
    ) -> None:
        self._protocol = protocol
        self.head = head
        """The request's head; a stand-in (``GET /``) if there is none to be had."""
        self.error = error
        """Why this request cannot be taken."""
        self.state = _OPEN
        self.owner: asyncio.Task[None] | None = None
        self.sink: ContentSink | None = None
        self.trailers: CIMultiDictProxy[str] | None = None
        """The request's trailer section, once its content was received to the end."""
        self._writer: Http1ContentWriter | None = None
        self._sent = 0
        self._start = protocol.last_read
        self._timeline: Timeline | None = None
        self._callbacks: list[Callable[[], None]] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.head.method} {self.head.path!r} {self.state.name}>"

    # ----------------------------------------------------------------- facts

    @property
    def content(self) -> StreamReader:
        """The request's content, decoded. Reading it sends ``100 Continue`` if that is awaited."""
        sink = self.sink
        return EMPTY_PAYLOAD if sink is None else sink.stream

    @property
    def info(self) -> ConnectionProtocol:
        """What is known of the connection."""
        return self._protocol

    @property
    def timeline(self) -> Timeline:
        """When things happened; made on first use."""
        timeline = self._timeline
        if timeline is None:
            timeline = self._timeline = Timeline(self._start)
            timeline.first_byte = self._start
        return timeline

    @property
    def closed(self) -> bool:
        """Whether nothing that is sent will arrive any more."""
        return self._protocol.closing

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may serve another request after this one."""
        return self._protocol.connection.keep_alive

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """The task that owns this exchange."""
        # A task that starts eagerly runs before whoever makes it has got hold of it.
        return self.owner or asyncio.current_task()

    @property
    def responding(self) -> bool:
        """Whether a final response has begun."""
        return self.state is not _OPEN

    @property
    def bytes_sent(self) -> int:
        """Bytes written for the response so far, head included."""
        writer = self._writer
        return self._sent if writer is None else self._sent + writer.output_size

    # ------------------------------------------------------------- responding

    def set_keep_alive(self, value: bool) -> None:
        """Close after this exchange (``False``). ``True`` changes nothing: that is the default."""
        if not value:
            self._protocol.connection.close_after()

    def decline_body(self) -> None:
        """Refuse an expected body: ``100 Continue`` will not be sent."""
        if self.sink is not None:
            self.sink.stream.on_demand(None)
            self._protocol.connection.close_after()
            self.sink.drop(LocalProtocolError("The request's content was declined"))

    def respond(
        self,
        status: int,
        headers: CIMultiDict[str],
        *,
        reason: str | None = None,
        length: int | None = None,
        chunked: bool = False,
        default_fields: bool = True,
    ) -> ContentWriter:
        """Begin the final response; its head leaves together with the first content.

        Raises:
            LocalProtocolError: A final response has begun already.
            ValueError: A name, value or reason contains bytes that are not allowed.
        """
        if self.state is not _OPEN:
            self._refuse_second()
        protocol = self._protocol
        if self.sink is not None:
            self._consider_unread(self.sink)
        head = protocol.connection.respond(
            status,
            headers,
            reason=reason,
            length=length,
            chunked=chunked,
            default_fields=protocol.server.default_fields() if default_fields else b"",
        )
        self.state = _RESPONDING
        self._writer = writer = Http1ContentWriter(
            protocol,
            protocol.connection,
            protocol.loop,
            head=head,
            length=length,
            on_end=self._response_ended,
        )
        return writer

    def respond_complete(
        self,
        status: int,
        headers: CIMultiDict[str],
        body: bytes | bytearray | memoryview,
        *,
        reason: str | None = None,
        default_fields: bool = True,
    ) -> None:
        """Send a whole response in one write, without waiting. Raises what `respond` raises."""
        if self.state is not _OPEN:
            self._refuse_second()
        size = len(body)
        if size > _JOIN:
            self._respond_large(status, headers, body, reason, default_fields)
            return
        protocol = self._protocol
        if self.sink is not None:
            self._consider_unread(self.sink)
        data = protocol.connection.respond_complete(
            status,
            headers,
            body,
            reason=reason,
            default_fields=protocol.server.default_fields() if default_fields else b"",
        )
        self.state = _DONE
        self._sent += len(data)
        protocol.write_whole(data)

    def send_informational(self, status: int, headers: CIMultiDict[str]) -> None:
        """Send a 1xx response other than 101; nothing towards HTTP/1.0.

        Raises:
            LocalProtocolError: The final response has begun.
            ValueError: *status* is no such status, or a field is not allowed.
        """
        if self.state is not _OPEN:
            self._refuse_second()
        data = self._protocol.connection.send_informational(status, headers)
        self._sent += len(data)
        self._protocol.write(data)

    def upgrade(
        self, status: int, headers: CIMultiDict[str], *, reason: str | None = None
    ) -> ByteChannel:
        """Answer 101 (or 2xx to CONNECT) and hand the connection over until the owner ends.

        Raises:
            LocalProtocolError: The request did not ask for it, was answered, or has content that
                was not read.
            ConnectionError: The connection is lost.
        """
        if self.state is not _OPEN:
            self._refuse_second()
        protocol = self._protocol
        if protocol.closing:
            raise protocol.lost_error()
        head = protocol.connection.switch(status, headers, reason)
        self.state = _DONE
        self._sent += len(head)
        protocol.write(head)
        return protocol.switch_over()

    async def sendfile(
        self, writer: ContentWriter, file: BinaryIO, offset: int, count: int
    ) -> None:
        """Send *count* bytes of *file* from *offset* as content, the cheapest way there is.

        Raises:
            LocalProtocolError: It is more than was announced.
            ConnectionError: The connection is lost.
            EOFError: The file is shorter.
        """
        assert isinstance(writer, Http1ContentWriter)
        await send_file(self._protocol, self._protocol.connection, writer, file, offset, count)

    async def drain(self) -> None:
        """Wait until what was written has left for the most part.

        Raises:
            ConnectionError: The peer is gone.
        """
        if self._writer is not None:
            self._writer.send_headers()
        await self._protocol.drain()

    # ----------------------------------------------------------------- ending

    def add_disconnect_callback(self, callback: Callable[[], None]) -> None:
        """Call *callback* once when the peer goes away before the exchange is done.

        If it has gone already, *callback* is called in the next turn of the event loop.
        """
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)
        protocol = self._protocol
        if protocol.peer_left:
            asyncio.get_running_loop().call_soon(protocol.tell_disconnected, self)

    def remove_disconnect_callback(self, callback: Callable[[], None]) -> None:
        """Forget *callback*, if it was added."""
        if self._callbacks is not None and callback in self._callbacks:
            self._callbacks.remove(callback)

    def abort(self) -> None:
        """Give the exchange up now, and the connection with it."""
        if self._protocol.exchange is self:
            self.state = ExchangeState.ABORTED
            self._protocol.abort()

    def take_disconnect_callbacks(self) -> list[Callable[[], None]]:
        """The callbacks, which are then forgotten; for the protocol."""
        callbacks, self._callbacks = self._callbacks, None
        return callbacks or []

    # ----------------------------------------------------------------- inside

    def _refuse_second(self) -> NoReturn:
        raise LocalProtocolError(
            f"{self.head.method} {self.head.path} cannot be answered: {self.state.value}"
        )

    def _response_ended(self) -> None:
        # Too short a content ends it as well; the state machine then closes.
        if self.state is _RESPONDING:
            self.state = _DONE

    def _respond_large(
        self,
        status: int,
        headers: CIMultiDict[str],
        body: bytes | bytearray | memoryview,
        reason: str | None,
        default_fields: bool,
    ) -> None:
        size = body.nbytes if isinstance(body, memoryview) else len(body)
        writer = self.respond(
            status, headers, reason=reason, length=size, default_fields=default_fields
        )
        assert isinstance(writer, Http1ContentWriter)
        writer.end_nowait(body)

    def _consider_unread(self, sink: ContentSink) -> None:
        """Say ``Connection: close`` if more content is to come than is worth draining."""
        framing = self.head.framing
        if type(framing) is Length and not sink.stream.is_eof():
            left = framing.size - sink.received
            if left > self._protocol.server.timeouts.linger_size:
                self._protocol.connection.close_after()

    @property
    def wants_continue(self) -> bool:
        """Whether the client waits for ``100 Continue`` before it sends content."""
        return self.head.expect_continue and self.head.version >= HttpVersion11

    def send_continue(self) -> None:
        """Let the client send its content; too late, and nothing, once a response has begun."""
        if self.state is _OPEN and not self._protocol.closing and self.error is None:
            self.send_informational(100, _NO_FIELDS)


_NO_FIELDS: Final[CIMultiDict[str]] = CIMultiDict()
