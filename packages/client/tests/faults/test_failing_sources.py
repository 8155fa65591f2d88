"""Content whose source fails, or gives more or less than was announced.

That is no loss of the connection: nobody else would tell the request of it.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.client import (
    ClientConnectionError,
    ClientError,
    ClientPayloadError,
    ClientSession,
    ServerDisconnectedError,
    TCPConnector,
    TraceConfig,
)
from antiphon.core.aio.payload import Payload
from antiphon.core.errors import ContentLengthError

from .conftest import DEADLINE, Leftovers, Peer, Reader, Runner, Writer, listening, until


class Sink(Peer):
    """Answers GET; of every other request it reads the content, and never answers."""

    def __init__(self) -> None:
        super().__init__(self._script_)

    async def _script_(self, reader: Reader, writer: Writer) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.split(b" ", 1)[0].decode())
            if head.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            else:
                while await reader.read(65536):
                    pass


class Broken(io.RawIOBase):
    """A file that cannot be read."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def read(self, size: int = -1) -> bytes:
        raise self.error


async def pieces(*pieces: bytes | BaseException) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, BaseException):
            raise piece
        yield piece


OWN_ERRORS = [
    ValueError("mine"),
    OSError(5, "mine"),
    TimeoutError("mine"),
    ConnectionResetError("mine"),
    ServerDisconnectedError("mine"),
    ContentLengthError("mine"),
]


@pytest.mark.parametrize("error", OWN_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", ["iterable", "file"])
def test_the_sources_error_is_told_as_it_is(run: Runner, error: Exception, kind: str) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Sink()
        async with listening(peer), ClientSession(connector=TCPConnector(limit=1)) as session:
            url = f"http://127.0.0.1:{peer.port}/"
            async with session.get(url) as response:  # the connection has been used before
                await response.read()
            data: Any = pieces(b"abc", error) if kind == "iterable" else Broken(error)
            async with asyncio.timeout(DEADLINE):
                with pytest.raises(type(error)) as caught:
                    await session.put(url, data=data)
            # asyncio makes a new TimeoutError of one that comes out of a thread.
            assert type(caught.value) is type(error)
            assert caught.value.args == error.args
            assert len(session.flights) == 0
            assert not session.flights.uploads
            await peer.until_alone()
            assert peer.requests in (["GET", "PUT"], ["GET"]), "it was sent again"
        await before.check(peer)

    run(main())


def test_a_source_that_is_cancelled_by_others(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Sink()
        async with listening(peer), ClientSession() as session:
            url = f"http://127.0.0.1:{peer.port}/"
            with pytest.raises(ClientPayloadError, match="cancelled"):
                async with asyncio.timeout(DEADLINE):
                    await session.post(url, data=pieces(b"abc", asyncio.CancelledError()))
        await before.check(peer)

    run(main())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param((b"x" * 10,), "10 bytes short", id="less"),
        pytest.param((), "20 bytes short", id="nothing"),
        pytest.param((b"x" * 20, b"y"), "more than", id="more"),
        pytest.param((b"x" * 15, b"y" * 15), "more than", id="more in one piece"),
    ],
)
def test_content_is_of_the_size_that_was_announced(
    run: Runner, given: tuple[bytes, ...], message: str
) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Sink()
        async with listening(peer), ClientSession() as session:
            url = f"http://127.0.0.1:{peer.port}/"
            headers = {"Content-Length": "20"}
            with pytest.raises(ClientPayloadError, match=message):
                async with asyncio.timeout(DEADLINE):
                    await session.post(url, data=pieces(*given), headers=headers)
            assert session.connector is not None
            assert session.connector.stats().total == 0
        await before.check(peer)

    run(main())


def test_a_file_that_has_become_shorter(run: Runner) -> None:
    class Shortened(Payload):
        size = 20

        async def write(self, writer: Any) -> None:
            await writer.write(b"x" * 10)

    async def main() -> None:
        before = Leftovers()
        peer = Sink()
        async with listening(peer), ClientSession() as session:
            with pytest.raises(ClientPayloadError, match="10 bytes short"):
                async with asyncio.timeout(DEADLINE):
                    await session.put(f"http://127.0.0.1:{peer.port}/", data=Shortened(None))
        await before.check(peer)

    run(main())


class Noted(Payload):
    """Notes whether it was written from, and how often it was closed."""

    def __init__(self) -> None:
        super().__init__(None)
        self.begun = False
        self.closed = 0

    async def write(self, writer: Any) -> None:
        self.begun = True
        await writer.write(b"abc")

    async def close(self) -> None:
        self.closed += 1


def test_an_upload_given_up_before_its_first_step_closes_its_content(run: Runner) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        before = Leftovers()
        peer = Sink()
        config = TraceConfig()
        config.on_request_headers_sent.append(fail)
        content = Noted()
        async with listening(peer), ClientSession(trace_configs=[config]) as session:
            with pytest.raises(ZeroDivisionError):
                await session.post(f"http://127.0.0.1:{peer.port}/", data=content)
            await until(lambda: not session.flights.uploads, "an upload is left")
            assert content.closed == 1
            assert not content.begun
        await before.check(peer)

    run(main())


def test_an_upload_that_somebody_else_cancels(run: Runner) -> None:
    """As `asyncio.Runner` does with all tasks at its end."""

    async def main() -> None:
        before = Leftovers()
        peer = Sink()
        async with listening(peer), ClientSession() as session:
            posting = asyncio.ensure_future(
                session.post(f"http://127.0.0.1:{peer.port}/", data=Noted())
            )
            await until(lambda: bool(session.flights.uploads), "nothing is sent")
            for flight in session.flights.uploads:
                assert flight.upload is not None
                flight.upload.cancel()
            with pytest.raises(ClientConnectionError):
                async with asyncio.timeout(DEADLINE):
                    await posting
            assert not session.flights.uploads
        await before.check(peer)

    run(main())


def eagerly(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> "asyncio.Task[Any]":
    """What asyncio's own factory does, for those loops also that pass it more than it takes."""
    return asyncio.Task(coro, loop=loop, **options | {"eager_start": True})


@pytest.mark.skipif(
    not hasattr(asyncio, "eager_task_factory"), reason="Python 3.12 has eager tasks first"
)
def test_uploads_that_fail_in_their_first_step_are_forgotten(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Sink()
        async with listening(peer), ClientSession(timeout=DEADLINE) as session:
            url = f"http://127.0.0.1:{peer.port}/"
            loop = asyncio.get_running_loop()
            loop.set_task_factory(eagerly)
            try:
                with pytest.raises(ZeroDivisionError):
                    await session.post(url, data=pieces(ZeroDivisionError()))
            finally:
                loop.set_task_factory(None)
            assert len(session.flights) == 0
            assert not session.flights.uploads
        await before.check(peer)

    run(main())


def test_closing_ends_requests_also_on_a_connector_of_others(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        peer = Sink()
        async with listening(peer), TCPConnector() as connector:
            session = ClientSession(connector=connector, connector_owner=False)
            posting = asyncio.ensure_future(
                session.post(f"http://127.0.0.1:{peer.port}/", data=b"abc")
            )
            await until(lambda: bool(peer.requests), "nothing was asked")
            await session.close()
            assert connector.stats().active == 0
            with pytest.raises(ClientError, match="the session was closed"):
                async with asyncio.timeout(DEADLINE):
                    await posting
            assert not connector.closed
        await before.check(peer)

    run(main())
