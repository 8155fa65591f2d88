"""A server on real sockets that answers by path, a tunnelling proxy, and a count of what is left.

Server, proxy and client share one event loop, so that what is left of any of
them after a test is seen: tasks, and descriptors of this process.
"""

import asyncio
import base64
import contextlib
import gc
import gzip
import hashlib
import os
import ssl
import struct
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

DEADLINE = 30.0
"""Seconds after which a test that waits has failed."""

TEXT = b"".join(b"%d lines of text\n" % line for line in range(9000))

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Script = Callable[[Reader, Writer], Awaitable[None]]


class Peer:
    """A listening server, and what it serves at the moment."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.port = 0
        self.requests: list[str] = []
        """Methods and targets, in the order of their coming."""
        self.accepted = 0
        self.writers: list[Writer] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self._gone = asyncio.Event()

    async def serve(self, reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.accepted += 1
        self.writers.append(writer)
        try:
            await self._script(reader, writer)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self.writers.remove(writer)
            writer.transport.abort()
            self.tasks.discard(task)
            self._gone.set()

    async def until_alone(self) -> None:
        """Wait until nobody is served any more."""
        async with asyncio.timeout(DEADLINE):
            while self.tasks:
                self._gone.clear()
                await self._gone.wait()

    async def end(self) -> None:
        for writer in list(self.writers):
            writer.transport.abort()
        for task in list(self.tasks):
            task.cancel()
        await self.until_alone()


AnyPeer = TypeVar("AnyPeer", bound=Peer)


@contextlib.asynccontextmanager
async def listening(peer: AnyPeer, tls: ssl.SSLContext | None = None) -> AsyncIterator[AnyPeer]:
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        await peer.end()


class Origin(Peer):
    """Answers by path; see `_answer`."""

    def __init__(self) -> None:
        super().__init__(self._script_)

    async def _script_(self, reader: Reader, writer: Writer) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.requests.append(f"{method} {target}")
            path = "/" + target.partition("://")[2].partition("/")[2] if "://" in target else target
            fields = _fields(head)
            if fields.get("upgrade") == "websocket":
                await _websocket(reader, writer, fields)
                return
            if "expect" in fields:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await _body(reader, fields)
            await self._answer(path, body, writer)

    async def _answer(self, path: str, body: bytes, writer: Writer) -> None:
        match path:
            case "/redirect":
                writer.write(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 5\r\n\r\nmoved")
            case "/gzip":  # in several segments
                data = gzip.compress(TEXT, 1)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n")
                writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
                for start in range(0, len(data), 8192):
                    piece = data[start : start + 8192]
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    await writer.drain()
                    await asyncio.sleep(0)
                writer.write(b"0\r\n\r\n")
            case "/never":
                await asyncio.get_running_loop().create_future()
            case "/half":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
                await asyncio.get_running_loop().create_future()
            case _:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) or 5))
                writer.write(body or b"hello")
        await writer.drain()


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _body(reader: Reader, fields: dict[str, str]) -> bytes:
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    if "transfer-encoding" not in fields:
        return b""
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


async def _websocket(reader: Reader, writer: Writer, fields: dict[str, str]) -> None:
    """Agree, send every message back, and answer the closing handshake."""
    key = fields["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    while True:
        first, second = await reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
        mask = await reader.readexactly(4)
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(await reader.readexactly(size)))
        writer.write(bytes([first, size]) + data)
        await writer.drain()
        if first & 0xF == 8:
            return


class Proxy(Peer):
    """Opens tunnels to wherever CONNECT says."""

    def __init__(self) -> None:
        super().__init__(self._script_)

    async def _script_(self, reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self.requests.append(f"{method} {target}")
        host, _, port = target.rpartition(":")
        there_reader, there = await asyncio.open_connection(host, int(port))
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, there))
                both.create_task(_copy(there_reader, writer))
        except* (OSError, asyncio.CancelledError):
            pass  # one side broke off
        finally:
            there.transport.abort()


async def _copy(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()


def descriptors() -> int:
    """How many this process has open; 0 where that cannot be told."""
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.exists() else 0


async def until(condition: Callable[[], bool], what: str) -> None:
    """Let the loop turn until *condition* holds."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await asyncio.sleep(0)
    except TimeoutError:
        pytest.fail(f"{what}: {asyncio.all_tasks()}")


class Leftovers:
    """What is there at the start of a stretch, to be compared at its end."""

    def __init__(self) -> None:
        self.tasks = asyncio.all_tasks()
        self.descriptors = descriptors()

    async def check(self, *peers: Peer) -> None:
        """Wait until *peers* serve nobody; then nothing may be here that was not before."""
        for peer in peers:
            await peer.until_alone()
        await until(lambda: asyncio.all_tasks() <= self.tasks, "tasks are left")
        await until(lambda: descriptors() <= self.descriptors, "descriptors are left")


Runner = Callable[[Coroutine[Any, Any, Any]], Any]


def _uvloop() -> asyncio.AbstractEventLoop:
    module = pytest.importorskip("uvloop", reason="uvloop is not installed")
    loop: asyncio.AbstractEventLoop = module.new_event_loop()
    return loop


LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(_uvloop, id="uvloop"),
]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Runner:
    """Run a coroutine on each kind of loop; nothing may be complained of or be left."""

    def runner(main: Coroutine[Any, Any, Any]) -> Any:
        complaints: list[dict[str, Any]] = []

        async def watched() -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda loop, context: complaints.append(context))
            # The first listening socket has libuv open a descriptor that it keeps for itself.
            async with listening(Origin()):
                pass
            return await main

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with asyncio.Runner(loop_factory=request.param) as owner:
                result = owner.run(watched())
            gc.collect()
        assert not complaints, complaints
        return result

    return runner
