"""The seam: what web and client may ask of a connection.

Nothing above this line writes a status line, ``Transfer-Encoding``,
``Connection`` or ``Date``. HTTP/1.1 is the case of one exchange at a time.

An *exchange* is one request with its response. It is owned by one task; a
task that leaves early calls `abort`, without awaiting.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import attrs
from multidict import CIMultiDict, CIMultiDictProxy

from ..errors import HttpProcessingError
from ..http import HttpVersion, RawRequestMessage, RawResponseMessage, RequestHead
from .streams import StreamReader
from .writer import ContentWriter

__all__ = (
    "ByteChannel",
    "ByteReceiver",
    "ClientExchange",
    "ConnectionInfo",
    "ContentOptions",
    "ExchangeHandler",
    "HttpConnection",
    "ServerExchange",
    "Timeline",
)


class Timeline:
    """When things happened to one exchange: loop times in seconds, ``None`` if they did not.

    Recording a point is one attribute store. The client fills all of it; the
    server what it sees.
    """

    __slots__ = (
        "body_sent",
        "connect_end",
        "connect_start",
        "dns_end",
        "dns_start",
        "end",
        "first_byte",
        "head_sent",
        "queued",
        "start",
        "tls_end",
        "tls_start",
        "tries",
    )

    def __init__(self, start: float) -> None:
        self.start = start
        """When the exchange began: the user's call, or the first byte of the head."""
        self.queued: float | None = None
        """When the wait for a free connection ended."""
        self.dns_start: float | None = None
        self.dns_end: float | None = None
        self.connect_start: float | None = None
        self.connect_end: float | None = None
        self.tls_start: float | None = None
        self.tls_end: float | None = None
        self.head_sent: float | None = None
        self.body_sent: float | None = None
        self.first_byte: float | None = None
        """When the first byte of the response (client) or of the request (server) came."""
        self.end: float | None = None
        self.tries = 1
        """How often the request was sent, the silent resend included."""


class ConnectionInfo(Protocol):
    """What can be known of a connection, whatever carries it."""

    @property
    def id(self) -> int:
        """A number that no other connection of this process has."""
        ...

    @property
    def created(self) -> float:
        """Loop time at which the connection was made."""
        ...

    @property
    def uses(self) -> int:
        """Exchanges begun on it, the present one included."""
        ...

    @property
    def peername(self) -> Any:
        """The peer's address as the transport tells it; ``None`` when unknown."""
        ...

    @property
    def sockname(self) -> Any:
        """Our own address as the transport tells it; ``None`` when unknown."""
        ...

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """The TLS session, ``None`` without TLS."""
        ...

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, ``None`` once the connection is lost or where there is none."""
        ...

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What `asyncio.BaseTransport.get_extra_info` says."""
        ...


class ByteReceiver(Protocol):
    """Who takes the bytes of a `ByteChannel`."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> None:
        """The peer ended its side. Ours stays open until the channel is closed."""
        ...

    def connection_lost(self, exc: Exception | None) -> None: ...
    def resume_writing(self) -> None:
        """The transport's buffer is below its low mark again."""
        ...


class ByteChannel(Protocol):
    """The plain bytes of a connection after the protocol changed (101, CONNECT)."""

    @property
    def info(self) -> ConnectionInfo: ...
    @property
    def write_paused(self) -> bool:
        """Whether the transport's buffer is above its high mark."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the connection is lost or about to be."""
        ...

    def attach(self, receiver: ByteReceiver) -> None:
        """Deliver to *receiver* from now on, what is already buffered at once."""
        ...

    def write(self, data: bytes) -> None:
        """Hand *data* to the transport; never waits."""
        ...

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    async def drain(self) -> None:
        """Wait until the transport's buffer is below its low mark.

        Raises:
            ConnectionError: The connection is lost.
        """
        ...

    def write_eof(self) -> None:
        """Half-close, where the transport can."""
        ...

    def close(self) -> None:
        """Close once everything written has left."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...


class ServerExchange(Protocol):
    """One request and the response to it, seen from the server."""

    @property
    def head(self) -> RawRequestMessage:
        """The request's head. With `error` set it may be a stand-in (``GET /``)."""
        ...

    @property
    def content(self) -> StreamReader:
        """The request's content, decoded; `EMPTY_PAYLOAD` if there is none.

        Reading it sends ``100 Continue`` first when the peer waits for that.
        """
        ...

    @property
    def error(self) -> HttpProcessingError | None:
        """Why this request cannot be taken. It is to be answered with `error.status`,
        and the connection closes after that answer."""
        ...

    @property
    def info(self) -> ConnectionInfo: ...
    @property
    def timeline(self) -> Timeline: ...
    @property
    def trailers(self) -> CIMultiDictProxy[str] | None:
        """The request's trailer section, once its content was read to the end."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the peer is gone: nothing that is sent will arrive."""
        ...

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may serve another request after this one."""
        ...

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """The task that owns this exchange."""
        ...

    @property
    def responding(self) -> bool:
        """Whether a final response has begun."""
        ...

    @property
    def bytes_sent(self) -> int:
        """Bytes written for the response so far, head included."""
        ...

    def set_keep_alive(self, value: bool) -> None:
        """Close after this exchange (``False``). ``True`` is a wish the connection may ignore."""
        ...

    def decline_body(self) -> None:
        """Refuse an expected body: ``100 Continue`` will not be sent."""
        ...

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

        Args:
            status: 200 to 999.
            headers: Fields of the response; taken over, not copied.
            reason: The reason phrase; the standard one of *status* by default.
            length: Size of the content in bytes; ``None`` if not known.
            chunked: A wish for the chunked coding even though *length* is known.
            default_fields: Add ``Date`` and ``Server`` where *headers* lacks them.

        Raises:
            LocalProtocolError: A final response has begun already.
            ValueError: A name, value or reason contains bytes that are not allowed.
        """
        ...

    def respond_complete(
        self,
        status: int,
        headers: CIMultiDict[str],
        body: bytes | bytearray | memoryview,
        *,
        reason: str | None = None,
        default_fields: bool = True,
    ) -> None:
        """Send a whole response in one write, without waiting.

        To HEAD requests the content is announced and not sent. Callers that
        send much await `drain` after it. Raises what `respond` raises.
        """
        ...

    def send_informational(self, status: int, headers: CIMultiDict[str]) -> None:
        """Send a 1xx response other than 101; nothing towards HTTP/1.0."""
        ...

    def upgrade(
        self, status: int, headers: CIMultiDict[str], *, reason: str | None = None
    ) -> ByteChannel:
        """Answer 101 (or 2xx to CONNECT) and hand the connection over.

        Raises:
            LocalProtocolError: The request did not ask for it, or was answered.
        """
        ...

    async def sendfile(self, writer: ContentWriter, file: Any, offset: int, count: int) -> None:
        """Send *count* bytes of the binary *file* from *offset* as content, the cheapest way
        the loop has. Counts towards the *length* given to `respond`."""
        ...

    async def drain(self) -> None:
        """Wait until what was written has left for the most part.

        Raises:
            ConnectionError: The peer is gone.
        """
        ...

    def add_disconnect_callback(self, callback: Callable[[], None]) -> None:
        """Call *callback* once when the peer goes away before the exchange is done.

        If it has gone already, *callback* is called in the next turn of the event loop.
        """
        ...

    def remove_disconnect_callback(self, callback: Callable[[], None]) -> None:
        """Forget *callback*, if it was added."""
        ...

    def abort(self) -> None:
        """Give the exchange up now. On HTTP/1 that closes the connection."""
        ...


class ClientExchange(Protocol):
    """One request and the response to it, seen from the client."""

    @property
    def content(self) -> StreamReader:
        """The response's content, decoded if so asked; complete after `response`."""
        ...

    @property
    def whole(self) -> bytes | None:
        """All content, if it is here in one piece already; `content` has it too.

        Mostly all that is wanted: a stream need not be made then. ``None`` is always allowed.
        """
        ...

    @property
    def writer(self) -> ContentWriter:
        """Where the request's content goes if it was not given to `HttpConnection.open`."""
        ...

    @property
    def timeline(self) -> Timeline: ...
    @property
    def info(self) -> ConnectionInfo: ...
    @property
    def informational(self) -> list[RawResponseMessage]:
        """The 1xx heads that came before the final one."""
        ...

    @property
    def trailers(self) -> CIMultiDictProxy[str] | None:
        """The response's trailer section, once its content was read to the end."""
        ...

    @property
    def done(self) -> bool:
        """Whether request and response are both complete."""
        ...

    @property
    def response_started(self) -> bool:
        """Whether any byte of a response was seen; a resend is then no longer safe."""
        ...

    async def response(self) -> RawResponseMessage:
        """Wait for the final response's head.

        Raises:
            HttpProcessingError: The server's bytes are no response.
            ConnectionError: The connection was lost before one came.
        """
        ...

    async def wait_continue(self) -> bool:
        """Wait until the server wants the content it was asked about (``Expect``).

        Returns:
            False if a final response came instead: content must not be sent.
        """
        ...

    def upgrade(self) -> ByteChannel:
        """Hand the connection over after 101 or 2xx to CONNECT."""
        ...

    @property
    def last_read(self) -> float:
        """Loop time at which bytes last came (or the request was sent), for idle timeouts."""
        ...

    @property
    def reading_paused(self) -> bool:
        """Whether it is our reader, not the peer, that nothing comes: no timeout then."""
        ...

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call *callback* once when the exchange is done or its connection lost."""
        ...

    def abort(self, exc: BaseException | None = None) -> None:
        """Give the exchange up now; whoever waits on it gets *exc* (a `ConnectionError` by
        default). On HTTP/1 that closes the connection."""
        ...


class HttpConnection(Protocol):
    """A connection to a server, able to carry exchanges."""

    @property
    def version(self) -> HttpVersion: ...
    @property
    def info(self) -> ConnectionInfo: ...
    @property
    def closed(self) -> bool:
        """Whether no exchange will ever start here again."""
        ...

    @property
    def last_used(self) -> float:
        """Loop time at which the last exchange ended, or of the connection's making."""
        ...

    @property
    def keep_alive_hint(self) -> float | None:
        """Seconds the server said it keeps an idle connection (``Keep-Alive: timeout=``)."""
        ...

    def free(self) -> int:
        """How many exchanges may start now: 0 or 1 on HTTP/1, many on HTTP/2.

        0 if bytes came that nobody asked for, or the server closed.
        """
        ...

    def open(
        self,
        head: RequestHead,
        *,
        length: int | None = None,
        body: bytes | None = None,
        chunked: bool = False,
        decompress: bool = True,
        read_bufsize: int = 65536,
        timeline: Timeline | None = None,
        deadline: float | None = None,
    ) -> ClientExchange:
        """Start an exchange; head and *body* leave in one write.

        Args:
            head: The request's head; its headers are only read, and may be shared by many requests.
            length: Size of content still to come through `ClientExchange.writer`;
                ``None`` with *body* ``None`` and *chunked* false means no content.
            body: The whole content, if it is at hand.
            chunked: Content of unknown size will come through the writer.
            decompress: Decode content codings of the response.
            timeline: Where times are noted. If it has `Timeline.head_sent` already, that is now.
            read_bufsize: Low mark in bytes of the response's content; the high one is twice that.
            deadline: Absolute loop time by which the exchange must be done. It is kept on the
                exchange; whoever set it looks after it, and calls `ClientExchange.abort`.

        Raises:
            LocalProtocolError: `free` is 0.
            ValueError: Method, target, a name or a value contains bytes that are not allowed.
        """
        ...

    def add_close_callback(self, callback: Callable[[], None]) -> None:
        """Call *callback* once when the connection is lost."""
        ...

    def close(self) -> None:
        """Close politely: idle now, otherwise now too (there is nothing to wait for)."""
        ...

    def abort(self) -> None:
        """Close now, without a TLS goodbye."""
        ...

    async def wait_closed(self) -> None:
        """Wait until the transport is gone."""
        ...


ExchangeHandler = Callable[[ServerExchange], Coroutine[Any, Any, None]]
"""Answers one exchange; runs as the task that owns it."""


@attrs.frozen(kw_only=True)
class ContentOptions:
    """How content is taken from a connection."""

    read_bufsize: int = 64 * 1024
    """Low mark in bytes; reading pauses above twice that."""
    decompress: bool = True
    """Decode ``Content-Encoding``."""
