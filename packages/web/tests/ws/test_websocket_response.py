"""The server's end of a WebSocket, over real sockets."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from antiphon import web
from antiphon.core.websocket import Fragment, WSCloseCode, WSMessageTypeError, WSMsgType
from antiphon.web.ws import WebSocketReady, WebSocketResponse

Run = Callable[[Callable[[], Awaitable[None]]], None]
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="


def echo(**options: Any) -> Any:
    async def handler(request: web.Request) -> WebSocketResponse:
        ws = WebSocketResponse(**options)
        await ws.prepare(request)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await ws.send_bytes(message.data)
        return ws

    return handler


class Handler:
    """Runs a test's own code once, as the handler, and hands its outcome over."""

    def __init__(
        self, serve: Callable[[WebSocketResponse], Awaitable[Any]], **options: Any
    ) -> None:
        self._serve = serve
        self._options = options
        self.done: asyncio.Future[Any] | None = None
        self.ws: WebSocketResponse | None = None
        self.task: asyncio.Task[Any] | None = None

    async def __call__(self, request: web.Request) -> WebSocketResponse:
        self.done = asyncio.get_running_loop().create_future()
        self.task = asyncio.current_task()
        self.ws = ws = WebSocketResponse(**self._options)
        await ws.prepare(request)
        try:
            self.done.set_result(await self._serve(ws))
        except BaseException as exc:
            self.done.set_exception(exc)
            self.done.exception()  # the test may not care
            raise
        return ws

    async def outcome(self) -> Any:
        assert self.done is not None
        return await asyncio.wait_for(asyncio.shield(self.done), 10)


# --- the opening handshake ---


def test_what_was_agreed_on(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        return ws.ws_protocol, ws.compress, ws.prepared, ws.closed, ws.status

    async def test() -> None:
        handler = Handler(serve, protocols=("chat", "superchat"), compress=12)
        async with site(handler) as served:
            peer = await served.connect(protocols=("other", "superchat", "chat"), deflate=True)
            assert peer.protocol == "superchat", "the client's first that is spoken here"
            assert "server_max_window_bits=12" in peer.head
            assert await handler.outcome() == ("superchat", 12, True, False, 101)
            await peer.close()

    run(test)


@pytest.mark.parametrize(
    ("method", "fields", "status", "said"),
    [
        pytest.param("GET", [], 400, "UPGRADE", id="no handshake at all"),
        pytest.param("GET", ["Upgrade: websocket"], 400, "Connection", id="no Connection: upgrade"),
        pytest.param(
            "GET",
            ["Upgrade: websocket", "Connection: upgrade", KEY, "Sec-WebSocket-Version: 8"],
            426,
            "Sec-Websocket-Version: 13",
            id="another version",
        ),
        pytest.param(
            "GET",
            ["Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13"],
            400,
            "bad key",
            id="no key",
        ),
        pytest.param(
            "GET",
            ["Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13", KEY, KEY],
            400,
            "bad key",
            id="two keys",
        ),
        pytest.param(
            "POST",
            ["Upgrade: websocket", "Connection: upgrade", KEY, "Sec-WebSocket-Version: 13"],
            405,
            "Allow: GET",
            id="another method",
        ),
        pytest.param(
            "GET",
            [
                "Upgrade: websocket", "Connection: upgrade", "Sec-WebSocket-Version: 13", KEY,
                "Origin: https://evil.example",
            ],
            403,
            "origin",
            id="a page of another origin",
        ),
    ],
)  # fmt: skip
def test_a_handshake_that_is_refused(
    site: Any, run: Run, method: str, fields: list[str], status: int, said: str
) -> None:
    async def test() -> None:
        async with site(echo(origins=["https://good.example"])) as served:
            reader, writer, head = await served.request(
                *fields,
                *(() if "Connection: upgrade" in fields else ("Connection: close",)),
                method=method,
            )
            assert head.startswith(f"HTTP/1.1 {status} ")
            size = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
            text = (await reader.readexactly(size)).decode()
            assert said.lower() in (head + text).lower()
            writer.close()
            await writer.wait_closed()

    run(test)


def test_origins_that_may_connect(site: Any, run: Run) -> None:
    async def test() -> None:
        async with site(echo(origins=["https://good.example"])) as served:
            await (await served.connect("Origin: https://good.example")).close()
            await (await served.connect()).close()  # no browser

    run(test)


def test_can_prepare(site: Any, run: Run) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        ws = WebSocketResponse(protocols=("chat",))
        ready = ws.can_prepare(request)
        if not ready:
            assert ready == WebSocketReady(ok=False, protocol=None)
            return web.Response(text="plain")
        assert ready == WebSocketReady(ok=True, protocol="chat")
        await ws.prepare(request)
        with pytest.raises(RuntimeError, match="Already started"):
            ws.can_prepare(request)
        await ws.prepare(request)  # a second time does nothing
        await ws.send_str("ready")
        return ws

    async def test() -> None:
        async with site(handler) as served:
            _, writer, head = await served.request("Connection: close")
            assert head.startswith("HTTP/1.1 200 ")
            writer.close()
            await writer.wait_closed()
            peer = await served.connect(protocols=("chat",))
            assert (await peer.receive()).data == "ready"
            await peer.close()

    run(test)


def test_fields_cookies_and_signals_of_the_101(site: Any, run: Run) -> None:
    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Signal"] = str(response.status)

    async def handler(request: web.Request) -> web.StreamResponse:
        ws = WebSocketResponse()
        ws.headers["X-Own"] = "yes"
        ws.set_cookie("a", "b")
        await ws.prepare(request)
        return ws

    app = web.Application()
    app.on_response_prepare.append(on_prepare)

    async def test() -> None:
        async with site(handler, app=app) as served:
            peer = await served.connect()
            for field in ("X-Own: yes", "Set-Cookie: a=b", "X-Signal: 101"):
                assert field in peer.head
            await peer.close()

    run(test)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"heartbeat": 0}, id="no heartbeat is None"),
        pytest.param({"max_msg_size": -1}, id="negative size"),
        pytest.param({"compress": 8}, id="zlib has no window of 8 bits"),
    ],
)
def test_arguments_are_checked_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        WebSocketResponse(**options)


def test_one_origin_is_no_list() -> None:
    with pytest.raises(TypeError):
        WebSocketResponse(origins="https://example.org")


@pytest.mark.parametrize(
    "use",
    [
        lambda ws: ws.send_str("x"),
        lambda ws: ws.send_bytes(b"x"),
        lambda ws: ws.send_json({}),
        lambda ws: ws.send_json_bytes({}, dumps=lambda _: b""),
        lambda ws: ws.send_frame(b"", WSMsgType.PING),
        lambda ws: ws.send_fragment("x", final=True),
        lambda ws: ws.ping(),
        lambda ws: ws.pong(),
        lambda ws: ws.receive(),
        lambda ws: ws.receive_str(),
        lambda ws: ws.receive_fragment(),
        lambda ws: ws.close(),
    ],
)
def test_before_prepare_nothing_works(run: Run, use: Any) -> None:
    async def test() -> None:
        ws = WebSocketResponse()
        with pytest.raises(RuntimeError, match="prepare"):
            await use(ws)
        assert (ws.prepared, ws.closed, ws.close_code, ws.exception()) == (False, False, None, None)
        assert ws.get_extra_info("peername", "none") == "none"

    run(test)


# --- messages ---


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65536, 300_000])
def test_messages_both_ways(site: Any, run: Run, size: int, deflate: bool) -> None:
    async def test() -> None:
        async with site(echo()) as served:
            peer = await served.connect(deflate=deflate)
            for data in ("x" * size, b"y" * size):
                peer.send(data)
                assert (await peer.receive()).data == data
            await peer.close()

    run(test)


def test_sends_with_and_without_await_leave_in_the_order_of_the_calls(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> None:
        ws.send_str("1")
        await ws.send_str("2")
        asyncio.create_task(ws.send_json({"n": 3}))  # noqa: RUF006  # done before it runs
        ws.send_json_bytes([4], dumps=lambda data: json.dumps(data).encode())
        ws.send_bytes(bytearray(b"5"))
        ws.send_frame(b"6", WSMsgType.TEXT)
        ws.send_fragment("7", final=False)
        ws.ping(b"between")
        ws.send_fragment("8", final=True)
        await ws.pong(b"9")

    async def test() -> None:
        async with site(Handler(serve)) as served:
            peer = await served.connect()
            got = [(await peer.receive()) for _ in range(9)]
            assert [message.data for message in got] == [
                "1", "2", '{"n": 3}', b"[4]", b"5", "6", b"between", "78", b"9",
            ]  # fmt: skip
            await peer.close()

    run(test)


def test_sends_from_several_tasks(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> None:
        async with asyncio.TaskGroup() as tasks:
            for name in "abc":
                tasks.create_task(many(ws, name))

    async def many(ws: WebSocketResponse, name: str) -> None:
        for number in range(50):
            await ws.send_str(f"{name}{number}")
            await asyncio.sleep(0)

    async def test() -> None:
        async with site(Handler(serve)) as served:
            peer = await served.connect()
            got = [(await peer.receive()).data for _ in range(150)]
            for name in "abc":
                own = [text for text in got if text[0] == name]
                assert own == [f"{name}{number}" for number in range(50)]
            await peer.close()

    run(test)


@pytest.mark.parametrize("data", [b"x", None, 7])
def test_send_str_takes_text(site: Any, run: Run, data: Any) -> None:
    async def serve(ws: WebSocketResponse) -> None:
        await ws.send_str(data)

    async def test() -> None:
        handler = Handler(serve)
        async with site(handler) as served:
            peer = await served.connect()
            await peer.receive()
            with pytest.raises(TypeError):
                await handler.outcome()
            await peer.close()

    run(test)


def test_receiving_a_certain_kind(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> list[Any]:
        found: list[Any] = [
            await ws.receive_str(),
            await ws.receive_bytes(),
            await ws.receive_json(),
        ]
        for receive in (ws.receive_str, ws.receive_bytes, ws.receive_json):
            try:
                await receive()
            except WSMessageTypeError as exc:
                found.append(str(exc)[:30])
        return found

    async def test() -> None:
        handler = Handler(serve)
        async with site(handler) as served:
            peer = await served.connect()
            for data in ("text", b"bytes", '{"a": 1}', b"no text", "no bytes", b"no text"):
                peer.send(data)
            assert await handler.outcome() == [
                "text", b"bytes", {"a": 1},
                "Received message 2:b'no text' ", "Received message 1:'no bytes' ",
                "Received message 2:b'no text' ",
            ]  # fmt: skip
            await peer.close()

    run(test)


def test_text_as_bytes(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        return await ws.receive()

    async def test() -> None:
        handler = Handler(serve, decode_text=False)
        async with site(handler) as served:
            peer = await served.connect()
            peer.send("\xe9")
            message = await handler.outcome()
            assert (message.type, message.data) == (WSMsgType.TEXT, b"\xc3\xa9")
            await peer.close()

    run(test)


def test_a_streamed_message_in(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> list[Any]:
        await ws.send_str("go")
        found = []
        while True:
            piece = await ws.receive_fragment()
            assert isinstance(piece, Fragment)
            found.append(len(piece.data))
            if piece.final:
                return found

    async def test() -> None:
        handler = Handler(serve, max_msg_size=2000)
        async with site(handler) as served:
            peer = await served.connect()
            await peer.receive()
            for number in range(20):
                peer.write(
                    peer.connection.send_fragment(b"x" * 1000, text=False, final=number == 19)
                )
            assert sum(await handler.outcome()) == 20_000, "ten times the limit of a message"
            await peer.close()

    run(test)


def test_a_second_receive_is_an_error_and_the_first_goes_on(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        first = asyncio.create_task(ws.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="[Cc]oncurrent"):
            await ws.receive()
        await ws.send_str("ready")
        return (await first).data

    async def test() -> None:
        handler = Handler(serve)
        async with site(handler) as served:
            peer = await served.connect()
            await peer.receive()
            peer.send("for the first")
            assert await handler.outcome() == "for the first"
            await peer.close()

    run(test)


def test_time_limits_of_receiving(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        for limit in (None, 0.01):
            with pytest.raises(TimeoutError):
                await ws.receive(limit)
        assert not ws.closed
        await ws.send_str("still here")
        return await ws.receive_str(timeout=10)

    async def test() -> None:
        handler = Handler(serve, receive_timeout=0.01)
        async with site(handler) as served:
            peer = await served.connect()
            assert (await peer.receive()).data == "still here"
            peer.send("too")
            assert await handler.outcome() == "too"
            await peer.close()

    run(test)


def test_a_message_that_is_too_big(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        message = await ws.receive()
        return message.type, ws.close_code

    async def test() -> None:
        handler = Handler(serve, max_msg_size=100)
        async with site(handler) as served:
            peer = await served.connect()
            peer.send("x" * 101)
            assert (await peer.receive()).data == 1009
            assert await handler.outcome() == (WSMsgType.ERROR, 1009)
            await peer.leave()

    run(test)


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "compressed"])
def test_a_message_without_a_limit(site: Any, run: Run, deflate: bool) -> None:
    async def test() -> None:
        async with site(echo(max_msg_size=0)) as served:
            peer = await served.connect(deflate=deflate)
            peer.connection.max_msg_size = 0
            peer.send(b"x" * 3_000_000)
            assert len((await peer.receive()).data) == 3_000_000
            await peer.close()

    run(test)


# --- pings ---


def test_pings_are_answered_without_anybody_receiving(site: Any, run: Run) -> None:
    busy = asyncio.Event()

    async def serve(ws: WebSocketResponse) -> None:
        await busy.wait()

    async def test() -> None:
        async with site(Handler(serve)) as served:
            peer = await served.connect()
            peer.write(peer.connection.send_ping(b"anybody?"))
            message = await peer.receive()
            assert (message.type, message.data) == (WSMsgType.PONG, b"anybody?")
            busy.set()
            await peer.close()

    run(test)


def test_without_autoping_the_application_sees_pings(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        message = await ws.receive()
        assert message.type is WSMsgType.PING
        await ws.pong(message.data)
        return message.type

    async def test() -> None:
        handler = Handler(serve, autoping=False)
        async with site(handler) as served:
            peer = await served.connect()
            peer.write(peer.connection.send_ping(b"x"))
            assert (await peer.receive()).type is WSMsgType.PONG
            assert await handler.outcome() is WSMsgType.PING
            await peer.close()

    run(test)


def test_a_heartbeat_without_anybody_receiving(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        request = ws._request
        assert request is not None
        while not ws.closed:
            await asyncio.sleep(0.01)  # a handler that does something else
        return ws.close_code, type(ws.exception()).__name__, ws.latency is not None

    async def test() -> None:
        handler = Handler(serve, heartbeat=0.1)
        async with site(handler) as served:
            peer = await served.connect()
            message = await peer.receive()
            assert (message.type, message.data) == (WSMsgType.PING, b"")
            peer.write(peer.connection.send_pong(b""))
            assert (await peer.receive()).type is WSMsgType.PING, "it goes on"
            # From here on the peer is silent.
            assert await handler.outcome() == (1006, "PingTimeout", True)
            assert await peer.receive() is None
            await peer.leave()

    run(test)


# --- closing ---


def test_the_peers_code_and_reason_are_kept(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        message = await ws.receive()
        types = [(await ws.receive()).type for _ in range(4)]
        with pytest.raises(RuntimeError, match="closed"):
            await ws.receive()
        with pytest.raises(ConnectionResetError):
            await ws.send_str("too late")
        assert await ws.close() is False
        return message, types, ws.close_code, ws.close_reason, ws.closed, ws.exception()

    async def test() -> None:
        handler = Handler(serve)
        async with site(handler) as served:
            peer = await served.connect()
            last = await peer.close(3000, "bye")
            message, types, *rest = await handler.outcome()
            assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 3000, "bye")
            assert set(types) == {WSMsgType.CLOSED}
            assert rest == [3000, "bye", True, None]
            assert last is not None
            assert (last.type, last.data) == (WSMsgType.CLOSE, 3000)

    run(test)


def test_a_handler_that_returns_closes(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> None:
        await ws.send_str("bye")

    async def test() -> None:
        async with site(Handler(serve)) as served:
            peer = await served.connect()
            assert (await peer.receive()).data == "bye"
            message = await peer.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1000)
            await peer.close()

    run(test)


def test_closing_from_another_task_ends_the_receiver(site: Any, run: Run) -> None:
    """The FAQ's registry of sockets."""

    async def serve(ws: WebSocketResponse) -> Any:
        return [message async for message in ws]

    async def test() -> None:
        handler = Handler(serve)
        async with site(handler) as served:
            peer = await served.connect()
            assert handler.ws is not None
            closing = asyncio.create_task(
                handler.ws.close(code=WSCloseCode.GOING_AWAY, message=b"reason")
            )
            message = await peer.receive()
            assert (message.data, message.extra) == (1001, "reason")
            assert await handler.outcome() == []
            await peer.close()
            assert await closing is True

    run(test)


def test_a_cancelled_handler_can_close(site: Any, run: Run) -> None:
    """The FAQ: the task is cancelled from elsewhere, the handler says goodbye."""

    async def serve(ws: WebSocketResponse) -> Any:
        try:
            return await ws.receive()
        except asyncio.CancelledError:
            return await ws.close(code=4000, message="cancelled")

    async def test() -> None:
        handler = Handler(serve)
        async with site(handler) as served:
            peer = await served.connect()
            assert handler.task is not None
            handler.task.cancel()
            message = await peer.receive()
            assert (message.data, message.extra) == (4000, "cancelled")
            peer.write(peer.connection.close())
            assert await handler.outcome() is True
            await peer.leave()

    run(test)


def test_a_peer_that_does_not_answer_the_close_frame(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        return await ws.close(), ws.close_code

    async def test() -> None:
        handler = Handler(serve, timeout=0.05)
        async with site(handler) as served:
            peer = await served.connect()
            assert await handler.outcome() == (True, 1006)
            await peer.leave()

    run(test)


def test_a_peer_that_vanishes(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        await ws.send_str("ready")
        message = await ws.receive()
        return message.type, ws.close_code, ws.closed

    async def test() -> None:
        handler = Handler(serve)
        async with site(handler) as served:
            peer = await served.connect()
            await peer.receive()
            peer.writer.transport.abort()
            assert await handler.outcome() == (WSMsgType.CLOSED, 1006, True)
            await peer.leave()

    run(test)


def test_without_autoclose_the_application_answers(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> Any:
        message = await ws.receive()
        assert not ws.closed
        await ws.close(code=4001)
        return message.type

    async def test() -> None:
        handler = Handler(serve, autoclose=False)
        async with site(handler) as served:
            peer = await served.connect()
            last = await peer.close()
            assert await handler.outcome() is WSMsgType.CLOSE
            assert last is not None
            assert last.data == 4001

    run(test)


@pytest.mark.parametrize("error", [ValueError, web.HTTPNotFound, TimeoutError])
def test_an_error_in_the_handler_closes_with_1011(
    site: Any, run: Run, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    """RFC 6455 section 7.4.1. And the access log has its line."""
    caplog.set_level(logging.INFO)

    async def serve(ws: WebSocketResponse) -> None:
        await ws.send_str("last words")
        raise error

    async def test() -> None:
        async with site(Handler(serve)) as served:
            peer = await served.connect()
            assert (await peer.receive()).data == "last words"
            message = await peer.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1011)
            await peer.close()
            while served.runner.server.connections:
                await asyncio.sleep(0)
            assert not served.runner.server.request_handler._stop_callbacks

    run(test)
    assert error.__name__ in caplog.text or error is TimeoutError
    assert [r.response_status for r in caplog.records if r.name == "antiphon.access"] == [101]


def test_an_error_in_the_handler_after_the_peer_closed_is_only_logged(
    site: Any, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve(ws: WebSocketResponse) -> None:
        await ws.receive()
        raise ValueError("broken")

    async def test() -> None:
        async with site(Handler(serve)) as served:
            peer = await served.connect()
            assert (await peer.close(4000)).data == 4000

    run(test)
    assert "broken" in caplog.text


def test_a_socket_opened_during_the_stop_is_told_1001(site: Any, run: Run) -> None:
    """Its request was under way when the others were told."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> WebSocketResponse:
        arrived.set()
        await go_on.wait()
        ws = WebSocketResponse()
        await ws.prepare(request)
        async for _ in ws:
            pass
        return ws

    async def test() -> None:
        async with site(handler) as served:
            connecting = asyncio.create_task(served.connect())
            await arrived.wait()
            server = served.runner.server
            stopping = asyncio.create_task(served.runner.cleanup())
            while not server.request_handler._stopping:
                await asyncio.sleep(0)
            go_on.set()
            peer = await connecting
            message = await peer.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
            await peer.close()
            await stopping

    run(test)


@pytest.mark.parametrize("code", [999, 1005, 1006, 1015, 2999, 5000])
def test_codes_that_are_never_sent(site: Any, run: Run, code: int) -> None:
    async def serve(ws: WebSocketResponse) -> None:
        with pytest.raises(ValueError):
            await ws.close(code=code)

    async def test() -> None:
        handler = Handler(serve)
        async with site(handler) as served:
            peer = await served.connect()
            await handler.outcome()
            await peer.close()

    run(test)


def test_at_a_stop_every_socket_is_told_1001(site: Any, run: Run) -> None:
    async def test() -> None:
        async with site(echo()) as served:
            peers = [await served.connect() for _ in range(3)]
            gone = await served.connect()
            await gone.close()
            stopping = asyncio.create_task(served.runner.cleanup())
            for peer in peers:
                message = await peer.receive()
                assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
                await peer.close()
            await asyncio.wait_for(stopping, 5)

    run(test)


def test_closed_sockets_are_forgotten(site: Any, run: Run) -> None:
    async def test() -> None:
        async with site(echo()) as served:
            callbacks = served.runner.server.request_handler._stop_callbacks
            for _ in range(3):
                peer = await served.connect()
                assert len(callbacks) == 1
                await peer.close()
                while callbacks:
                    await asyncio.sleep(0)

    run(test)


def test_a_websocket_has_no_content(site: Any, run: Run) -> None:
    async def serve(ws: WebSocketResponse) -> None:
        with pytest.raises(RuntimeError):
            await ws.write(b"x")
        with pytest.raises(RuntimeError):
            ws.enable_compression()

    async def test() -> None:
        handler = Handler(serve)
        async with site(handler) as served:
            peer = await served.connect()
            await handler.outcome()
            await peer.close()

    run(test)


def test_sends_wait_while_the_peer_is_behind(site: Any, run: Run) -> None:
    """And what waits is bounded, whatever the size of the whole."""
    block = b"x" * 100_000

    async def serve(ws: WebSocketResponse) -> Any:
        transport = ws.get_extra_info("socket")
        assert transport is not None
        assert ws._request is not None
        sent = 0
        try:
            async with asyncio.timeout(0.5):
                while True:
                    await ws.send_bytes(block)
                    sent += len(block)
        except TimeoutError:
            pass
        writing = ws._request.transport
        assert writing is not None
        left = writing.get_write_buffer_size()
        writing.abort()
        return sent, left

    async def test() -> None:
        handler = Handler(serve, writer_limit=200_000)
        async with site(handler) as served:
            peer = await served.connect()
            sent, left = await handler.outcome()
            assert sent > 0
            assert left <= 200_000 + 100_014
            await peer.leave()

    run(test)
