"""One HTTP/1.1 request with its response, seen from the client."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from multidict import CIMultiDictProxy

from ..errors import LocalProtocolError
from ..http import RawResponseMessage
from .content import ContentSink
from .exchange import ByteChannel, ConnectionInfo, Timeline
from .streams import EMPTY_PAYLOAD, StreamReader
from .writer import ContentWriter, Http1ContentWriter

if TYPE_CHECKING:
    from .client_protocol import Http1ClientProtocol

__all__ = ("Http1ClientExchange",)

_NONE_YET: Final[list[RawResponseMessage]] = []


@final
class Http1ClientExchange:
    """A `ClientExchange` on an HTTP/1.1 connection. Made by `Http1ClientProtocol.open`."""

    __slots__ = (
        "_content",
        "_continue_waiter",
        "_informational",
        "_protocol",
        "_response_waiter",
        "_writer",
        "callbacks",
        "deadline",
        "decompress",
        "done",
        "expects",
        "failure",
        "head",
        "held_body",
        "length",
        "read_bufsize",
        "sink",
        "started",
        "timeline",
        "trailers",
        "whole",
    )

    def __init__(
        self,
        protocol: "Http1ClientProtocol",
        timeline: Timeline,
        *,
        decompress: bool,
        read_bufsize: int,
        length: int | None,
        expects: bool,
        deadline: float | None,
    ) -> None:
        self._protocol = protocol
        self.timeline = timeline
        """When things happened."""
        self.decompress = decompress
        self.read_bufsize = read_bufsize
        self.length = length
        self.deadline = deadline
        """Absolute loop time that whoever opened the exchange wants it to end by."""
        self.expects = expects
        """Whether the server was asked if it wants the content, and has not said yet."""
        self.held_body: bytes | None = None
        """Content at hand that waits for the server's wish."""
        self.head: RawResponseMessage | None = None
        self.sink: ContentSink | None = None
        """What feeds `content`, unless all of it came together with the head."""
        self._content: StreamReader | None = EMPTY_PAYLOAD
        self.whole: bytes | None = None
        """All content, if it came together with the head. A stream is made if it is asked for."""
        self.trailers: CIMultiDictProxy[str] | None = None
        """The response's trailer section, once its content was received to the end."""
        self.started = False
        self.done = False
        """Whether request and response are both complete."""
        self.failure: BaseException | None = None
        """Why the exchange ended early."""
        self._informational: list[RawResponseMessage] | None = None
        self._writer: Http1ContentWriter | None = None
        self._response_waiter: asyncio.Future[None] | None = None
        self._continue_waiter: asyncio.Future[None] | None = None
        self.callbacks: list[Callable[[], None]] | None = None
        """What is called once the exchange is done."""

    def __repr__(self) -> str:
        state = "done" if self.done else "failed" if self.failure else "open"
        return f"<{type(self).__name__} {state} {self.head!r} on connection {self._protocol.id}>"

    # ----------------------------------------------------------------- facts

    @property
    def writer(self) -> ContentWriter:
        """Where the request's content goes if it was not given to `open`."""
        writer = self._writer
        if writer is None:
            protocol = self._protocol
            writer = self._writer = Http1ContentWriter(
                protocol,
                protocol.connection,
                protocol.loop,
                length=self.length,
                on_end=self._request_ended,
            )
            writer.ended = self.done
        return writer

    @property
    def info(self) -> ConnectionInfo:
        """What is known of the connection."""
        return self._protocol

    @property
    def informational(self) -> list[RawResponseMessage]:
        """The 1xx heads that came before the final one."""
        return _NONE_YET[:] if self._informational is None else self._informational

    @property
    def content(self) -> StreamReader:
        """The response's content, once its head has come."""
        content = self._content
        if content is None:
            protocol = self._protocol
            content = self._content = StreamReader(protocol, self.read_bufsize, loop=protocol._loop)
            content.feed_whole(self.whole or b"")
        return content

    @property
    def response_started(self) -> bool:
        """Whether any byte of a response was seen; a resend is then no longer safe."""
        return self.started

    @property
    def last_read(self) -> float:
        """Loop time at which bytes last came, or the request was sent."""
        return self._protocol.last_read

    @property
    def reading_paused(self) -> bool:
        """Whether it is our reader, not the peer, that nothing comes."""
        sink = self.sink
        return sink is not None and sink.stream.paused

    # --------------------------------------------------------------- waiting

    async def response(self) -> RawResponseMessage:
        """Wait for the final response's head.

        Raises:
            HttpProcessingError: The server's bytes are no response.
            ConnectionError: The connection was lost before one came.
            RuntimeError: Another task waits already.
        """
        head = self.head
        while head is None:
            if self.failure is not None:
                raise self.failure
            if self._response_waiter is not None:
                raise RuntimeError("response() called while another task waits for the response")
            waiter = self._response_waiter = self._protocol._loop.create_future()
            try:
                await waiter
            finally:
                self._response_waiter = None
            head = self.head
        return head

    async def wait_continue(self) -> bool:
        """Wait until the server wants the content it was asked about (``Expect``).

        Returns:
            False if a final response came instead: content must not be sent.

        Raises:
            HttpProcessingError: The server's bytes are no response.
            ConnectionError: The connection was lost before either came.
        """
        while self.expects and self.head is None:
            if self.failure is not None:
                raise self.failure
            if self._continue_waiter is not None:
                raise RuntimeError("wait_continue() called while another task waits in it")
            waiter = self._continue_waiter = self._protocol.loop.create_future()
            try:
                await waiter
            finally:
                self._continue_waiter = None
        if self.failure is not None:
            raise self.failure
        return not self.expects

    # ----------------------------------------------------------------- ending

    def upgrade(self) -> ByteChannel:
        """Hand the connection over after 101 or 2xx to CONNECT.

        Raises:
            LocalProtocolError: The server did not agree to it.
            ConnectionError: The connection is lost.
        """
        if self.head is None or not self.head.upgrade:
            raise LocalProtocolError("The server did not agree to another protocol")
        return self._protocol.switch_over()

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call *callback* once when the exchange is done or its connection lost; at once, if so."""
        if self.done or self.failure is not None:
            callback()
        elif self.callbacks is None:
            self.callbacks = [callback]
        else:
            self.callbacks.append(callback)

    def abort(self, exc: BaseException | None = None) -> None:
        """Give the exchange up now, and the connection with it.

        Args:
            exc: What whoever waits on the exchange gets; a `ConnectionError` by default.
        """
        if not self.done and self.failure is None:
            self._protocol.fail(exc or ConnectionAbortedError("The exchange was given up"))

    # ------------------------------------------------- told by the protocol

    def informational_came(self, head: RawResponseMessage) -> None:
        """Note a 1xx head; 100 lets content that waits go."""
        if self._informational is None:
            self._informational = []
        self._informational.append(head)
        if head.code == 100 and self.expects:
            self.expects = False
            _wake(self._continue_waiter)
            body, self.held_body = self.held_body, None
            if body is not None:
                writer = self.writer
                assert isinstance(writer, Http1ContentWriter)
                writer.end_nowait(body)

    def whole_came(self, head: RawResponseMessage, content: bytes | None) -> None:
        """Note the final response's head and all content, if it can have any.

        A stream is made of it if somebody asks for one.
        """
        if content is not None:
            self.whole = content
            self._content = None
        self.head = head
        waiter = self._response_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def stream_comes(self, sink: ContentSink) -> None:
        """Note what will feed the content."""
        self.sink = sink
        self._content = sink.stream

    def head_came(self, head: RawResponseMessage) -> None:
        """Note the final response's head."""
        self.head = head
        waiter = self._response_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self._continue_waiter is not None:
            _wake(self._continue_waiter)

    def finish(self) -> None:
        """Request and response are complete."""
        self.done = True
        self.timeline.end = self._protocol.last_read
        self.run_callbacks()

    def fail(self, exc: BaseException) -> None:
        """Nothing more will come or go."""
        self.failure = exc
        self.held_body = None
        if self.sink is not None:
            self.sink.drop(exc)
        _wake(self._response_waiter)
        _wake(self._continue_waiter)
        self.run_callbacks()

    def _request_ended(self) -> None:
        self.timeline.body_sent = self._protocol.now()
        self._protocol.request_ended()

    def run_callbacks(self) -> None:
        """Call who waits for the end, once."""
        callbacks, self.callbacks = self.callbacks, None
        for callback in callbacks or ():
            callback()


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
