"""Sessions, uploads and event loops that end while requests are under way; over real sockets."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.client import (
    AbstractResolver,
    ClientConnectionError,
    ClientSession,
    TCPConnector,
    WSMsgType,
)

from .conftest import (
    DEADLINE,
    LOOPS,
    Leftovers,
    Origin,
    Peer,
    Reader,
    Runner,
    Writer,
    descriptors,
    listening,
)


class Stuck(AbstractResolver):
    """Never answers."""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Nothing to close."""


async def _endless() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0)
        yield b"x" * 65536


async def _silent(reader: Reader, writer: Writer) -> None:
    """Accept, and say nothing: no handshake, no response, nothing is read."""
    await asyncio.get_running_loop().create_future()


async def _get(session: ClientSession, url: str, **options: Any) -> bytes:
    async with session.get(url, **options) as response:
        return await response.read()


async def _post(session: ClientSession, url: str) -> bytes:
    async with session.post(url, data=_endless()) as response:
        return await response.read()


async def _talk(session: ClientSession, url: str) -> bytes:
    async with session.ws_connect(url) as websocket:
        message = await websocket.receive()
        assert message.type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)
        raise ClientConnectionError("Connection closed: the websocket says so")


@pytest.mark.parametrize(
    ("phase", "text"),
    [
        pytest.param("first_byte", "phase first_byte", id="before an answer"),
        pytest.param("content", "phase content", id="in the middle of content"),
        pytest.param("write", "phase write", id="in the middle of an upload"),
        pytest.param("dns", "closed", id="while a name is resolved"),
        pytest.param("tls", "closed", id="in a handshake"),
        pytest.param("pool", "closed", id="waiting for a connection"),
        pytest.param("websocket", "closed", id="with a websocket open"),
    ],
)
def test_closing_a_session_ends_what_is_under_way(run: Runner, phase: str, text: str) -> None:
    """Everyone who waits gets an error at once, and nothing is left."""

    async def main() -> None:
        before = Leftovers()
        silent = phase in ("tls", "write")
        peer = Peer(_silent) if silent else Origin()
        resolver = Stuck() if phase == "dns" else None
        connector = TCPConnector(limit=1, resolver=resolver)
        async with listening(peer) as server, ClientSession(connector=connector) as session:
            url = f"127.0.0.1:{server.port}"
            under_way: list[asyncio.Task[bytes]] = []

            def start(coroutine: Any) -> None:
                under_way.append(asyncio.ensure_future(coroutine))

            match phase:
                case "first_byte":
                    start(_get(session, f"http://{url}/never"))
                case "content":
                    start(_get(session, f"http://{url}/half"))
                case "write":
                    start(_post(session, f"http://{url}/"))
                case "dns":
                    start(_get(session, f"http://stuck.test:{server.port}/"))
                case "tls":
                    start(_get(session, f"https://{url}/", ssl=False))
                case "pool":
                    start(_get(session, f"http://{url}/never"))
                    start(_get(session, f"http://{url}/"))
                case "websocket":
                    start(_talk(session, f"ws://{url}/"))
            async with asyncio.timeout(DEADLINE):
                while not (connector.stats().connecting if phase == "dns" else server.accepted):
                    await asyncio.sleep(0)
                for _ in range(50):  # until each waits where it will wait for ever
                    await asyncio.sleep(0)
                await session.close()
                for task in under_way[:-1]:
                    with pytest.raises(ClientConnectionError):
                        await task
                with pytest.raises(ClientConnectionError, match=text):
                    await under_way[-1]
            assert connector.stats().total == 0
            assert connector.stats().waiting == 0
        await before.check(server)

    run(main())


async def _answer_early(reader: Reader, writer: Writer) -> None:
    """Refuse after the head, and close: the content was not wanted."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
    await writer.drain()
    # Not with unread bytes in the socket: that would be a reset, which may overtake the answer.
    writer.write_eof()
    while await reader.read(65536):
        pass


async def _reset_in_the_middle(reader: Reader, writer: Writer) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(100_000)
    writer.transport.abort()


class Boom(Exception):
    """The user's own."""


async def _failing() -> AsyncIterator[bytes]:
    yield b"x" * 65536
    raise Boom


def test_an_upload_that_the_server_refuses_early(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        async with (
            listening(Peer(_answer_early)) as server,
            ClientSession(connector=TCPConnector(limit=1)) as session,
        ):
            for _ in range(2):
                async with session.post(
                    f"http://127.0.0.1:{server.port}/", data=_endless()
                ) as answer:
                    assert (answer.status, await answer.read()) == (413, b"no")
        await before.check(server)

    run(main())


def test_an_upload_that_the_server_resets(run: Runner) -> None:
    async def main() -> None:
        before = Leftovers()
        async with (
            listening(Peer(_reset_in_the_middle)) as server,
            ClientSession(connector=TCPConnector(limit=1)) as session,
        ):
            for _ in range(2):
                with pytest.raises(ClientConnectionError, match="sending again is not safe"):
                    await session.post(f"http://127.0.0.1:{server.port}/", data=_endless())
        await before.check(server)

    run(main())


def test_an_upload_whose_source_fails(run: Runner) -> None:
    """The server must not take the beginning for all of it."""

    async def main() -> None:
        before = Leftovers()
        async with (
            listening(Origin()) as origin,
            ClientSession(connector=TCPConnector(limit=1)) as session,
        ):
            for _ in range(2):
                with pytest.raises(Boom):
                    await session.post(f"http://127.0.0.1:{origin.port}/upload", data=_failing())
                assert await _get(session, f"http://127.0.0.1:{origin.port}/") == b"hello"
            assert origin.requests.count("POST /upload") == 2
        await before.check(origin)

    run(main())


# -- the event loop ends first


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("path", ["/", "/never", "/half"])
def test_an_event_loop_that_is_closed_under_a_session(new_loop: Any, path: str) -> None:
    """Nothing hangs or fails, whatever was under way; closing later is possible, and quiet."""
    kept: list[Any] = []

    async def main() -> None:
        async with listening(Origin()) as origin:
            session = ClientSession()
            url = f"http://127.0.0.1:{origin.port}{path}"
            kept.append(session)
            if path == "/":
                kept.append(await session.get(url))
            else:
                kept.append(asyncio.ensure_future(_get(session, url)))
                while not origin.requests:
                    await asyncio.sleep(0)

    before = descriptors()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    session = kept[0]
    with asyncio.Runner(loop_factory=new_loop) as other:
        other.run(session.close())
    assert session.closed
    kept.clear()
    with warnings.catch_warnings():
        # The transport was left open by whoever closed the loop, and says so.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert descriptors() <= before
