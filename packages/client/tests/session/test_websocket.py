"""WebSockets and real sockets: a scripted server's bytes on the loopback."""

import asyncio
import base64
import hashlib
import struct

import pytest

from antiphon.client.errors import (
    ClientConnectionResetError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
    WSServerHandshakeError,
)
from antiphon.client.options import ClientTimeout, ClientWSTimeout
from antiphon.client.session import ClientSession, request
from antiphon.core.websocket.models import WSCloseCode, WSMessageTypeError, WSMsgType


class Peer:
    """One accepted connection, for a script."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.head = b""

    async def request(self):
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self.head

    def field(self, name):
        for line in self.head.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower():
                return value.strip()
        return None

    def send(self, data):
        self.writer.write(data)

    def accept(self, extra=b"", key=None):
        key = self.field(b"Sec-WebSocket-Key") if key is None else key
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n" + extra + b"\r\n"
        )

    async def frame(self):
        first, second = await self.reader.readexactly(2)
        assert second & 0x80, "a client masks its frames (RFC 6455 section 5.3)"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        mask = await self.reader.readexactly(4)
        data = await self.reader.readexactly(size)
        return first, bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


def frame(opcode, data=b"", first=0x80):
    return bytes([first | opcode, len(data)]) + data


def serve(script, scenario, **kwargs):
    """Run *scenario* with a session and the address of a server that follows *script*."""
    failures = []

    async def accepted(reader, writer):
        try:
            await script(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left; what it made of that is asserted there
        except Exception as exc:
            failures.append(exc)
        finally:
            writer.close()

    async def main():
        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            async with asyncio.timeout(20), ClientSession(**kwargs) as session:
                connector = session.connector
                await scenario(session, address)
        finally:
            server.close()
        assert connector.stats().active == 0
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=5)
        assert not failures, failures

    asyncio.run(main())


# -- handshake


def test_what_a_handshake_asks_and_what_is_agreed_on():
    async def script(peer):
        await peer.request()
        assert peer.head.startswith(b"GET /chat?x=1 HTTP/1.1\r\n")
        assert peer.field(b"Upgrade") == b"websocket"
        assert peer.field(b"Connection").lower() == b"upgrade"
        assert peer.field(b"Sec-WebSocket-Version") == b"13"
        assert len(base64.b64decode(peer.field(b"Sec-WebSocket-Key"))) == 16
        assert peer.field(b"Sec-WebSocket-Protocol").replace(b" ", b"") == b"chat,log"
        assert b"permessage-deflate" in peer.field(b"Sec-WebSocket-Extensions")
        assert peer.field(b"Origin") == b"http://me"
        assert peer.field(b"X-Own") == b"1"
        peer.accept(b"Sec-WebSocket-Protocol: log\r\n")
        await peer.frame()
        peer.send(frame(8, struct.pack("!H", 1000)))

    async def scenario(session, address):
        async with session.ws_connect(
            f"ws://{address}/chat",
            params={"x": "1"},
            protocols=("chat", "log"),
            compress=15,
            origin="http://me",
            headers={"X-Own": "1"},
        ) as websocket:
            assert websocket.protocol == "log"
            assert websocket.compress == 0, "the server agreed to no compression"
            assert websocket.get_extra_info("peername")[0] == "127.0.0.1"
            assert session.connector.stats().active == 1
        assert websocket.closed

    serve(script, scenario)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "status", id="no upgrade"),
        pytest.param(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "status", id="refused"),
        pytest.param(("", b"x" * 24), "challenge", id="wrong key"),
        pytest.param(
            ("Sec-WebSocket-Protocol: other\r\n", None),
            "not asked for",
            id="other subprotocol",
        ),
        pytest.param(
            ("Sec-WebSocket-Extensions: permessage-deflate\r\n", None),
            "not offered",
            id="CVE-2026-59881",
        ),
        pytest.param(
            ("Sec-WebSocket-Extensions: x-evil\r\n", None), "not offered", id="unknown extension"
        ),
    ],
)
def test_an_answer_that_is_no_agreement(answer, text):
    async def script(peer):
        await peer.request()
        if isinstance(answer, bytes):
            peer.send(answer)
        else:
            peer.accept(answer[0].encode(), answer[1])
        await peer.reader.read()

    async def scenario(session, address):
        with pytest.raises(WSServerHandshakeError, match=text) as info:
            await session.ws_connect(f"http://{address}/", protocols=["mine"])
        if isinstance(answer, bytes):
            assert info.value.body == b"no"
            assert info.value.headers["Content-Length"] == "2"

    serve(script, scenario)


def test_bytes_that_come_with_the_answer_are_not_lost():
    async def script(peer):
        await peer.request()
        peer.accept()
        peer.send(frame(1, b"first"))  # leaves in one segment with the answer
        await peer.reader.read()

    async def scenario(session, address):
        timeout = ClientWSTimeout(ws_close=0.1)
        async with session.ws_connect(f"ws://{address}/", timeout=timeout) as websocket:
            assert await websocket.receive_str() == "first"

    serve(script, scenario)


# -- messages


def echo(*frames):
    async def script(peer):
        await peer.request()
        peer.accept()
        for data in frames:
            peer.send(data)
        while True:
            first, data = await peer.frame()
            if first & 0x0F == 8:
                peer.send(frame(8, data))
                return
            peer.send(bytes([first, len(data)]) + data)

    return script


def test_messages_of_every_kind():
    async def scenario(session, address):
        async with session.ws_connect(f"ws://{address}/") as websocket:
            websocket.send_str("not awaited")
            await websocket.send_bytes(b"bytes")
            await websocket.send_json({"a": 1})
            await websocket.send_json_bytes([2], dumps=lambda value: b"[2]")
            await websocket.send_frame(b"frame", WSMsgType.TEXT)
            assert await websocket.receive_str() == "not awaited"
            assert await websocket.receive_bytes() == b"bytes"
            assert await websocket.receive_json() == {"a": 1}
            assert await websocket.receive_bytes() == b"[2]"
            message = await websocket.receive()
            assert (message.type, message.data) == (WSMsgType.TEXT, "frame")
            await websocket.send_str("text")
            with pytest.raises(WSMessageTypeError):
                await websocket.receive_bytes()
        assert websocket.close_code == 1000

    serve(echo(), scenario)


def test_pieces_of_a_message():
    async def scenario(session, address):
        async with session.ws_connect(f"ws://{address}/") as websocket:
            await websocket.send_fragment("a", final=False)
            await websocket.send_fragment("b", final=True)
            pieces = [piece async for piece in websocket.receive_fragments()]
            assert "".join(pieces) == "ab"

    async def script(peer):
        await peer.request()
        peer.accept()
        for _ in range(2):
            first, data = await peer.frame()
            peer.send(bytes([first, len(data)]) + data)
        await peer.frame()
        peer.send(frame(8, struct.pack("!H", 1000)))

    serve(script, scenario)


def test_iteration_ends_with_the_connection_and_the_reason_is_kept():
    async def script(peer):
        await peer.request()
        peer.accept()
        peer.send(frame(1, b"a") + frame(9, b"ping") + frame(1, b"b"))
        first, data = await peer.frame()
        assert (first & 0x0F, data) == (10, b"ping"), "answered though nobody receives"
        peer.send(frame(8, struct.pack("!H", 4001) + b"enough"))
        await peer.frame()

    async def scenario(session, address):
        async with session.ws_connect(f"ws://{address}/") as websocket:
            assert [message.data async for message in websocket] == ["a", "b"]
            assert (websocket.close_code, websocket.close_reason) == (4001, "enough")
            with pytest.raises(ClientConnectionResetError):
                await websocket.send_str("late")
            assert await websocket.close() is False

    serve(script, scenario)


def test_receiving_in_time():
    async def scenario(session, address):
        timeout = ClientWSTimeout(ws_receive=0.01)
        async with session.ws_connect(f"ws://{address}/", timeout=timeout) as websocket:
            with pytest.raises(TimeoutError, match=r"Timeout on ws_receive=0\.01 s"):
                await websocket.receive()
            with pytest.raises(TimeoutError, match=r"Timeout on ws_receive=0\.01 s"):
                async for _ in websocket:
                    pass
            with pytest.raises(TimeoutError, match=r"Timeout on ws_receive=0\.01 s"):
                async for _ in websocket.receive_fragments():
                    pass
            await websocket.send_str("still here")
            assert await websocket.receive_str(timeout=5) == "still here"

    serve(echo(), scenario)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(b"\x81\x81aaaab", 1002, id="masked by the server"),
        pytest.param(b"\x81\x02\xc3\x28", 1007, id="not UTF-8"),
        pytest.param(
            b"\x82\x7f" + struct.pack("!Q", 2**62), 1009, id="CVE-2026-1528 a length of 64 bits"
        ),
        pytest.param(b"\xc1\x01a", 1002, id="CVE-2026-59881 compressed, not agreed on"),
    ],
)
def test_a_server_that_breaks_the_protocol(data, code):
    async def script(peer):
        await peer.request()
        peer.accept()
        peer.send(data)
        first, reason = await peer.frame()
        assert first & 0x0F == 8
        assert struct.unpack("!H", reason[:2]) == (code,)

    async def scenario(session, address):
        async with session.ws_connect(f"ws://{address}/") as websocket:
            message = await websocket.receive()
            assert message.type is WSMsgType.ERROR
            assert (await websocket.receive()).type is WSMsgType.CLOSED
            assert websocket.close_code == code
            assert websocket.exception() is message.data

    serve(script, scenario)


def test_a_lost_connection_is_1006_and_gives_its_slot_back():
    async def script(peer):
        await peer.request()
        peer.accept()
        peer.writer.transport.abort()

    async def scenario(session, address):
        websocket = await session.ws_connect(f"ws://{address}/")
        assert (await websocket.receive()).type in (WSMsgType.CLOSED, WSMsgType.ERROR)
        assert websocket.close_code == WSCloseCode.ABNORMAL_CLOSURE
        await websocket.close()
        while session.connector.stats().active:
            await asyncio.sleep(0)

    serve(script, scenario)


def test_time_limits_of_the_session_end_with_the_handshake():
    async def scenario(session, address):
        loop = asyncio.get_running_loop()
        async with session.ws_connect(f"ws://{address}/") as websocket:
            assert len(session.flights) == 0
            passed = loop.create_future()
            loop.call_later(0.4, passed.set_result, None)
            await passed
            await websocket.send_str("x")
            assert await websocket.receive_str() == "x"

    serve(echo(), scenario, timeout=ClientTimeout(total=0.3))


def test_closing_the_session_ends_a_websocket():
    async def script(peer):
        await peer.request()
        peer.accept()
        await peer.reader.read()

    async def scenario(session, address):
        websocket = await session.ws_connect(f"ws://{address}/")
        receiving = asyncio.ensure_future(websocket.receive())
        await asyncio.sleep(0)
        await session.close()
        assert (await receiving).type in (WSMsgType.CLOSED, WSMsgType.ERROR)

    serve(script, scenario)


# -- HTTP over real sockets


def answer(data, close=False):
    async def script(peer):
        while True:
            await peer.request()
            peer.send(data)
            if close:
                return

    return script


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", ClientPayloadError, None, id="short"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            ClientPayloadError,
            None,
            id="short chunk",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            ClientPayloadError,
            None,
            id="bad chunk size",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
            ClientPayloadError,
            None,
            id="no gzip",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            ClientResponseError,
            None,
            id="two lengths",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ClientResponseError,
            None,
            id="CVE-2023-47641 length and chunked",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            (ClientResponseError, ServerDisconnectedError),
            None,
            id="bare LF",
        ),
        pytest.param(b"SSH-2.0-x\r\n\r\n", ClientResponseError, None, id="no HTTP"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
            ClientResponseError,
            None,
            id="CVE-2026-34520 NUL",
        ),
        pytest.param(b"HTTP/1.1 103 E\r\n\r\n" * 9, ClientResponseError, None, id="endless 1xx"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 9000 + b"\r\n\r\n",
            ClientResponseError,
            None,
            id="huge field",
        ),
        pytest.param(
            b"", ServerDisconnectedError, "Server disconnected .phase first_byte", id="nothing"
        ),
    ],
)
def test_a_server_that_misbehaves(data, kind, text):
    async def scenario(session, address):
        with pytest.raises(kind, match=text):
            async with session.post(f"http://{address}/", data=b"x") as response:
                await response.read()

    serve(answer(data, close=True), scenario)


def test_bytes_after_a_response_do_not_answer_the_next_request():
    """Desync: the connection is not used again."""
    connections = 0

    async def script(peer):
        nonlocal connections
        connections += 1
        number = connections
        while True:
            await peer.request()
            good = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number
            evil = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nX"
            peer.send(good + evil if number == 1 else good)

    async def scenario(session, address):
        for expected in (b"1", b"2", b"2"):
            async with session.get(f"http://{address}/") as response:
                assert await response.read() == expected

    serve(script, scenario)


def test_a_limit_of_the_call_is_a_limit_of_its_connection():
    async def scenario(session, address):
        async with session.get(f"http://{address}/", max_field_size=20_000) as response:
            assert len(response.headers["X"]) == 9000
        with pytest.raises(ClientResponseError):
            await session.get(f"http://{address}/")

    data = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"a" * 9000 + b"\r\n\r\n"
    serve(answer(data), scenario)


def test_one_request_with_a_session_of_its_own():
    async def main():
        async def accepted(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with request("GET", f"http://127.0.0.1:{port}/") as response:
            assert await response.text() == "hi"
        with pytest.raises(ValueError, match="token"):
            async with request("G T", f"http://127.0.0.1:{port}/"):
                pass
        server.close()

    asyncio.run(main())
