"""Trace configs, and middlewares with the recipes that people write."""

import asyncio
import ssl
from types import SimpleNamespace

import pytest
from yarl import URL

from antiphon.client import tracing
from antiphon.client.errors import ClientResponseError, ServerDisconnectedError
from antiphon.client.options import RequestOptions
from antiphon.client.tracing import TraceConfig

SIGNALS = [name.removeprefix("on_") for name in vars(TraceConfig) if name.startswith("on_")]


def recorder(log):
    config = TraceConfig()
    for name in SIGNALS:

        async def note(session, context, params, name=name):
            log.append((name, context, params))

        getattr(config, f"on_{name}").append(note)
    return config


def test_there_are_sixteen_signals():
    assert len(SIGNALS) == 16


def test_signals_of_a_request(run, origin, memory):
    log = []
    origin.replies(
        memory.Reply(status=307, headers=[("Location", "/b")]), memory.Reply(body=b"answer")
    )

    async def scenario(session):
        context = {"id": 7}
        async with session.post("http://h/a", data=b"x", trace_request_ctx=context) as response:
            await response.read()

    run(scenario, trace_configs=[recorder(log)])
    assert [name for name, _, _ in log] == [
        "request_start",
        "connection_create_start",
        "connection_create_end",
        "request_headers_sent",
        "request_chunk_sent",
        "request_redirect",
        "connection_reuseconn",
        "request_headers_sent",
        "request_chunk_sent",
        "request_end",
        "response_chunk_received",
    ]
    assert all(context.trace_request_ctx == {"id": 7} for _, context, _ in log)
    assert len({id(context) for _, context, _ in log}) == 1
    start, end = log[0][2], log[-2][2]
    assert (start.method, start.url) == ("POST", URL("http://h/a"))
    assert isinstance(end, tracing.TraceRequestEndParams)
    assert end.response.status == 200
    assert log[4][2].chunk == b"x"
    assert log[-1][2].chunk == b"answer"
    assert log[5][2].response.status == 307


def test_the_signal_of_a_failure(run, origin, memory):
    log = []
    origin.script = lambda asked: memory.Lost(ConnectionResetError("closed"))

    async def scenario(session):
        with pytest.raises(ServerDisconnectedError) as info:
            await session.get("http://h/")
        assert log[-1][0] == "request_exception"
        assert log[-1][2].exception is info.value

    run(scenario, trace_configs=[recorder(log)])


def test_a_signal_in_use_is_frozen_and_contexts_can_be_ones_own(run):
    config = TraceConfig(trace_config_ctx_factory=lambda trace_request_ctx: SimpleNamespace(n=1))
    seen = []

    async def note(session, context, params):
        seen.append(context.n)

    config.on_request_start.append(note)

    async def scenario(session):
        await session.get("http://h/")
        with pytest.raises(RuntimeError, match="frozen"):
            config.on_request_end.append(note)

    run(scenario, trace_configs=[config])
    assert seen == [1]


def test_a_failing_callback_fails_the_request_and_frees_its_connection(run, origin):
    config = TraceConfig()

    async def broken(session, context, params):
        raise ZeroDivisionError

    config.on_request_headers_sent.append(broken)

    async def scenario(session):
        with pytest.raises(ZeroDivisionError):
            await session.get("http://h/")

    run(scenario, trace_configs=[config])
    assert origin.open_connections == 0


# -- middlewares


def test_order_and_what_they_see(run, origin, memory):
    log = []

    def named(name):
        async def middleware(request, handler):
            log.append(f"{name}>")
            response = await handler(request)
            log.append(f"<{name}")
            return response

        return middleware

    async def scenario(session):
        await session.get("http://h/")
        log.append("-")
        await session.get("http://h/", middlewares=[named("c")])
        log.append("-")
        await session.get("http://h/", middlewares=())

    run(scenario, middlewares=[named("a"), named("b")])
    assert log == ["a>", "b>", "<b", "<a", "-", "c>", "<c", "-"]


def test_a_middleware_sees_every_hop_and_can_change_it(run, origin, memory):
    hosts = []
    origin.replies(memory.Reply(status=302, headers=[("Location", "http://b/")]), memory.Reply())

    async def vet(request, handler):
        hosts.append((request.url.host, request.headers["Host"], request.cross_origin))
        request.headers["X-Seen"] = "1"
        return await handler(request)

    async def scenario(session):
        response = await session.get("http://a/")
        assert response.request_info.headers["X-Seen"] == "1"

    run(scenario, middlewares=[vet])
    assert hosts == [("a", "a", False), ("b", "b", True)]
    assert all(asked.headers["X-Seen"] == "1" for asked in origin.asked)


def test_a_middleware_can_move_a_request_and_replace_its_content(run, origin):
    async def move(request, handler):
        request.url = URL("http://other/moved")
        await request.update_body(b"new content")
        return await handler(request)

    async def scenario(session):
        async with session.post("http://h/", data=b"old") as response:
            assert response.url == URL("http://other/moved")

    run(scenario, middlewares=[move])
    asked = origin.asked[0]
    assert (asked.target, asked.authority, asked.body) == ("/moved", "other", b"new content")
    assert origin.keys[0].host == "other"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ssl", False),
        ("server_hostname", "named.test"),
        ("proxy", URL("http://proxy/")),
        ("options", RequestOptions(max_headers=7)),
    ],
)
def test_what_is_changed_between_two_sends_needs_another_connection(run, origin, name, value):
    async def change(request, handler):
        response = await handler(request)
        await response.read()
        setattr(request, name, value)
        return await handler(request)

    async def scenario(session):
        for arguments in ({}, {"ssl": ssl.create_default_context()}):
            async with session.get("http://h/", **arguments):
                pass

    run(scenario, middlewares=[change])
    connections = [asked.connection for asked in origin.asked]
    assert connections[0] is not connections[1]
    assert connections[2] is not connections[3]
    if name == "options":
        assert origin.keys[1].limits.max_headers == 7
    else:
        assert getattr(origin.keys[1], name) == value


def test_another_account_at_the_proxy_needs_another_connection(run, origin):
    async def change(request, handler):
        response = await handler(request)
        await response.read()
        request.proxy_headers["Proxy-Authorization"] = "Basic b3RoZXI6"
        return await handler(request)

    async def scenario(session):
        async with session.get("https://h/", proxy="http://one:1@proxy/"):
            pass

    run(scenario, middlewares=[change])
    first, second = (dict(key.proxy_headers) for key in origin.keys)
    assert first["Proxy-Authorization"] != second["Proxy-Authorization"] == "Basic b3RoZXI6"


def test_recipe_retry(run, origin, memory):
    origin.replies(*[memory.Reply(status=503) for _ in range(2)], memory.Reply(body=b"ok"))

    async def retry(request, handler):
        for _ in range(3):
            response = await handler(request)
            if response.status != 503:
                return response
            response.release()
        return response

    async def scenario(session):
        async with session.post("http://h/", data=b"x") as response:
            assert await response.read() == b"ok"

    run(scenario, middlewares=[retry])
    assert [asked.body for asked in origin.asked] == [b"x"] * 3


def test_recipe_token_refresh(run, origin, memory):
    current = "old"

    async def refresh(request, handler):
        nonlocal current
        request.headers["Authorization"] = f"Bearer {current}"
        response = await handler(request)
        if response.status == 401:
            response.release()
            current = "new"
            request.headers["Authorization"] = f"Bearer {current}"
            response = await handler(request)
        return response

    origin.script = lambda asked: memory.Reply(
        status=200 if asked.headers["Authorization"] == "Bearer new" else 401
    )

    async def scenario(session):
        assert (await session.get("http://h/")).status == 200
        assert (await session.get("http://h/")).status == 200

    run(scenario, middlewares=[refresh])
    assert len(origin.asked) == 3


def test_a_handler_that_answers_itself(run, origin):
    async def refuse(request, handler):
        raise ClientResponseError(request.request_info, (), status=403, message="vetted")

    async def scenario(session):
        with pytest.raises(ClientResponseError, match="vetted"):
            await session.get("http://h/")

    run(scenario, middlewares=[refuse])
    assert not origin.asked


def test_requests_at_once_do_not_disturb_each_other(run, origin, memory):
    origin.script = lambda asked: memory.Reply(body=asked.target.encode())

    async def scenario(session):
        async def one(number):
            async with session.get(f"http://h/{number}") as response:
                return await response.text()

        texts = await asyncio.gather(*(one(number) for number in range(50)))
        assert texts == [f"/{number}" for number in range(50)]

    run(scenario, connector={"limit": 7})
    assert len(origin.connections) == 7
