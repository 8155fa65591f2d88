"""An exchange without any connection below it: what web must be content with.

There is no HTTP/1 here. A request is a head and content, a response is a
record; the rules of a connection that web may rely on are checked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import attrs
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from antiphon.core.aio.exchange import Timeline
from antiphon.core.aio.streams import EMPTY_PAYLOAD, StreamReader
from antiphon.core.aio.writer import ContentWriter
from antiphon.core.errors import HttpProcessingError, LocalProtocolError
from antiphon.core.http import CHUNKED, EMPTY, HttpVersion11, Length, RawRequestMessage

_T = TypeVar("_T")


@attrs.define
class Sent:
    """A response as it left."""

    status: int
    reason: str | None
    headers: CIMultiDict[str]
    length: int | None = None
    chunked: bool = False
    default_fields: bool = True
    body: bytes = b""
    writes: int = 0
    ended: bool = False
    trailers: CIMultiDict[str] | None = None

    @property
    def text(self) -> str:
        return self.body.decode()


class _Writer(ContentWriter):
    def __init__(self, exchange: "MemoryExchange", sent: Sent) -> None:
        self._exchange = exchange
        self._sent = sent
        self.length = sent.length

    def write_nowait(self, chunk: bytes | bytearray | memoryview) -> None:
        if self._exchange.closed:
            raise ConnectionResetError("Cannot write to closing transport")
        if self._sent.ended:
            raise LocalProtocolError("the response has ended")
        self._sent.body += bytes(chunk)
        self._sent.writes += 1
        self.output_size += len(chunk)
        self._exchange.bytes_sent += len(chunk)
        if self.length is not None:
            self.length -= len(chunk)
            if self.length < 0 and self._exchange.head.method != "HEAD":
                raise LocalProtocolError("more content than announced")

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        self.write_nowait(chunk)

    async def write_eof(self, chunk: bytes | bytearray | memoryview = b"") -> None:
        if chunk:
            self.write_nowait(chunk)
        if self._exchange.closed:
            raise ConnectionResetError("Cannot write to closing transport")
        if self.length and self._exchange.head.method != "HEAD":
            raise LocalProtocolError("less content than announced")
        self._sent.ended = True

    async def drain(self) -> None:
        self._exchange.drains += 1

    def set_trailers(self, trailers: CIMultiDict[str]) -> None:
        self._sent.trailers = trailers


class Connection:
    """What can be known of no connection at all."""

    id = 1
    created = 0.0
    uses = 1
    sockname = ("127.0.0.1", 80)
    transport = None

    def __init__(self, peername: Any, secure: bool) -> None:
        self.peername = peername
        self.ssl_object = object() if secure else None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": self.peername}.get(name, default)

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class MemoryExchange:
    """A `ServerExchange` in memory."""

    def __init__(
        self,
        method: str = "GET",
        path: str = "/",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] | None = None,
        *,
        peername: Any = ("192.0.2.1", 4711),
        secure: bool = False,
        error: HttpProcessingError | None = None,
        end: bool = True,
        chunked: bool = False,
    ) -> None:
        fields = [("Host", "example.com"), *headers]
        block = "".join(f"{name}: {value}\r\n" for name, value in fields)
        if any(name.lower() == "host" for name, _ in headers):
            block = "".join(f"{name}: {value}\r\n" for name, value in headers)
        blocks = [body] if isinstance(body, bytes) else None if body is None else list(body)
        size = sum(map(len, blocks)) if blocks is not None else 0
        if blocks is None:
            framing: Any = EMPTY
        else:
            framing = CHUNKED if chunked else Length(size)
        expect = any(name.lower() == "expect" for name, _ in fields)
        self.head = RawRequestMessage(
            method, path, HttpVersion11, block.encode("utf-8", "surrogateescape"), framing,
            should_close=False, expect_continue=expect,
        )  # fmt: skip
        self.info = Connection(peername, secure)
        self.content = EMPTY_PAYLOAD
        if blocks is not None:
            self.content = StreamReader(self.info, 2**16)
            for block_ in blocks:
                self.content.feed_data(block_)
            if end:
                self.content.feed_eof()
        self.error = error
        self.timeline = Timeline(0.0)
        self.trailers: CIMultiDictProxy[str] | None = None
        self.closed = False
        self.keep_alive = True
        self.task: asyncio.Task[None] | None = None
        self.bytes_sent = 0
        self.drains = 0
        self.aborted = False
        self.declined = False
        self.sent: Sent | None = None
        self.informational: list[tuple[int, CIMultiDict[str]]] = []
        self._callbacks: list[Callable[[], None]] = []

    @property
    def response(self) -> Sent:
        assert self.sent is not None, "no response was sent"
        return self.sent

    @property
    def responding(self) -> bool:
        return self.sent is not None

    def set_keep_alive(self, value: bool) -> None:
        self.keep_alive = value

    def decline_body(self) -> None:
        self.declined = True

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
        if self.sent is not None:
            raise LocalProtocolError("a final response has begun already")
        if not 200 <= status <= 999:
            raise ValueError(f"{status} is no status of a final response")
        for name, value in headers.items():
            if any(ord(character) < 32 for character in name + value):
                raise ValueError(f"field {name!r} contains control characters")
        if self.closed:
            raise ConnectionResetError("Cannot write to closing transport")
        self.sent = Sent(status, reason, headers, length, chunked, default_fields)
        self.bytes_sent += 100
        return _Writer(self, self.sent)

    def respond_complete(
        self,
        status: int,
        headers: CIMultiDict[str],
        body: bytes | bytearray | memoryview,
        *,
        reason: str | None = None,
        default_fields: bool = True,
    ) -> None:
        self.respond(
            status, headers, reason=reason, length=len(body), default_fields=default_fields
        )
        assert self.sent is not None
        if self.head.method != "HEAD" and status not in {204, 304}:
            self.sent.body = bytes(body)
            self.bytes_sent += len(body)
        self.sent.ended = True

    def send_informational(self, status: int, headers: CIMultiDict[str]) -> None:
        self.informational.append((status, headers))

    def upgrade(self, status: int, headers: CIMultiDict[str], *, reason: str | None = None) -> Any:
        raise LocalProtocolError("the request did not ask for it")

    async def sendfile(self, writer: ContentWriter, file: Any, offset: int, count: int) -> None:
        file.seek(offset)
        await writer.write(file.read(count))

    async def drain(self) -> None:
        self.drains += 1

    def add_disconnect_callback(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def remove_disconnect_callback(self, callback: Callable[[], None]) -> None:
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def disconnect(self) -> None:
        """The peer goes away."""
        self.closed = True
        callbacks, self._callbacks = self._callbacks, []
        if self.content is not EMPTY_PAYLOAD:
            self.content.set_exception(ConnectionResetError("Connection lost"))
        for callback in callbacks:
            callback()

    @property
    def watched(self) -> bool:
        """Whether somebody waits for the peer to go away."""
        return bool(self._callbacks)

    def abort(self) -> None:
        self.aborted = True
        self.closed = True


@pytest.fixture
def exchange() -> type[MemoryExchange]:
    """Makes exchanges."""
    return MemoryExchange


@pytest.fixture
def run() -> Callable[[Callable[[], Awaitable[_T]]], _T]:
    """Runs an async test in a loop of its own, and checks that it leaves no task behind."""

    def run_(test: Callable[[], Awaitable[_T]]) -> _T:
        async def main() -> _T:
            result = await test()
            await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"
            return result

        return asyncio.run(main())

    return run_
