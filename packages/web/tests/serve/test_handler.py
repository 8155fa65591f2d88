"""One exchange through a handler or an application: answers, errors, logs."""

import asyncio
import gc
import json
import logging
import weakref

import pytest

from antiphon.core.errors import BadHttpMessage, ContentEncodingError, LineTooLong
from antiphon.web.access_log import JSONAccessLogger
from antiphon.web.app import Application
from antiphon.web.exceptions import (
    HTTPFound,
    HTTPMethodNotAllowed,
    HTTPNoContent,
    HTTPNotFound,
    HTTPRequestEntityTooLarge,
)
from antiphon.web.handler import RequestPayloadError
from antiphon.web.response import Response, StreamResponse
from antiphon.web.routing.options import RouteOptions
from antiphon.web.server import Server


@pytest.fixture
def serve(run, exchange, caplog):
    """Serves one exchange by a handler or application; gives the exchange."""
    caplog.set_level(logging.DEBUG)

    def serve_(handler, made=None, *, during=None, options=None, **request):
        made = exchange(**request) if made is None else made

        async def test():
            if isinstance(handler, Application):
                await handler.startup()
                handler.freeze()
            server = Server(handler, **(options or {}))
            task = asyncio.create_task(server.request_handler.serve(made))
            made.task = task
            if during is not None:
                await during(made, task)
            await asyncio.wait([task])
            if isinstance(handler, Application):
                await handler.cleanup()
            if not task.cancelled():
                task.result()

        run(test)
        return made

    return serve_


def errors(caplog):
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def app_with(handler, *, method="*", path="/{tail:.*}", options=None, **kwargs):
    app = Application(**kwargs)
    app.router.add_route(method, path, handler, **(options or {}))
    return app


async def hello(request):
    return Response(text="hello")


# --- answers


@pytest.mark.parametrize("through_app", [False, True])
def test_answer(serve, through_app):
    made = serve(app_with(hello) if through_app else hello)
    assert made.response.status == 200
    assert made.response.text == "hello"
    assert made.response.default_fields


@pytest.mark.parametrize("raised", [False, True])
@pytest.mark.parametrize(
    ("make", "status", "text"),
    [
        pytest.param(HTTPNotFound, 404, "404: Not Found", id="404"),
        pytest.param(lambda: HTTPNotFound(text="no"), 404, "no", id="own text"),
        pytest.param(HTTPNoContent, 204, "", id="204"),
        pytest.param(lambda: HTTPFound("/x"), 302, "302: Found", id="redirect"),
    ],
)
def test_exceptions_are_answers_raised_or_returned(serve, caplog, raised, make, status, text):
    async def handler(request):
        if raised:
            raise make()
        return make()

    made = serve(handler)
    assert (made.response.status, made.response.text) == (status, text)
    assert not errors(caplog)


def test_no_route_and_no_method(serve):
    app = app_with(hello, method="POST", path="/there")
    assert serve(app, path="/nowhere?a").response.status == 404
    app = app_with(hello, method="POST", path="/there")
    made = serve(app, path="/there?a")
    assert made.response.status == 405
    assert made.response.headers["Allow"] == "POST"


def test_absolute_target_is_routed_by_its_path(serve):
    app = app_with(hello, path="/there")
    assert serve(app, path="http://example.com/there?x").response.status == 200


def test_error_answers_pass_the_middlewares(serve):
    from antiphon.web.middlewares import middleware

    seen = []

    @middleware
    async def watch(request, handler):
        try:
            return await handler(request)
        except HTTPNotFound as exc:
            seen.append(exc.status)
            return Response(text="instead")

    app = Application(middlewares=[watch])
    assert serve(app).response.text == "instead"
    assert seen == [404]


def test_streamed_answer(serve):
    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"a")
        return response

    made = serve(handler)
    assert made.response.body == b"a"
    assert made.response.ended


def test_large_answer_is_drained(serve):
    async def handler(request):
        return Response(body=b"x" * 1_000_000)

    made = serve(handler)
    assert len(made.response.body) == 1_000_000
    assert made.response.writes == 1, "through a writer, which waits for the peer"
    assert made.response.ended


def test_on_response_prepare_sees_and_changes_fields(serve):
    seen = {}

    async def prepare(request, response):
        seen.update(response.headers)
        response.headers["Server"] = "mine"
        response.headers["X-Added"] = "yes"

    app = app_with(hello)
    app.on_response_prepare.append(prepare)
    made = serve(app)
    assert seen["Content-Length"] == "5"
    assert seen["Content-Type"] == "text/plain; charset=utf-8"
    assert {"Date", "Server"} <= set(seen)
    assert made.response.headers["Server"] == "mine"
    assert made.response.headers["X-Added"] == "yes"
    assert made.response.default_fields is False
    assert made.response.length == 5


# --- what is wrong with the request


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(BadHttpMessage("<b>\x1b"), 400, id="bad message"),
        pytest.param(LineTooLong(b"x" * 500, 100), 431, id="too long"),
    ],
)
def test_refused_bytes_are_answered_and_logged_at_debug(serve, caplog, error, status):
    async def never(request):
        raise AssertionError("no handler sees this")

    made = serve(app_with(never), error=error)
    assert made.response.status == status
    assert made.response.headers["Content-Type"].startswith("text/plain")
    assert not errors(caplog)


@pytest.mark.parametrize(
    ("read", "request_", "status"),
    [
        pytest.param("json", {"body": b"{"}, 400, id="malformed json"),
        pytest.param("text", {"body": b"\xff"}, 400, id="not in its charset"),
        pytest.param(
            "text", {"body": b"x", "headers": [("Content-Type", "a/b; charset=zz")]}, 400,
            id="unknown charset",
        ),
        pytest.param("read", {"body": b"x" * 2_000_000}, 413, id="too large"),
        pytest.param(
            "multipart", {"body": b"x", "headers": [("Content-Type", "text/plain")]}, 400,
            id="not multipart",
        ),
    ],
)  # fmt: skip
def test_peers_mistakes_are_4xx_and_no_traceback(serve, caplog, read, request_, status):
    async def handler(request):
        await getattr(request, read)()

    made = serve(app_with(handler), method="POST", **request_)
    assert made.response.status == status
    assert not errors(caplog)


def test_range_that_nobody_handles_is_400(serve, caplog):
    async def handler(request):
        return Response(text=str(request.http_range))

    made = serve(handler, headers=[("Range", "bytes=x")])
    assert made.response.status == 400
    assert not errors(caplog)


def test_value_error_of_the_handler_itself_is_500(serve, caplog):
    async def handler(request):
        raise ValueError("mine")

    assert serve(handler).response.status == 500
    assert len(errors(caplog)) == 1


@pytest.mark.parametrize(
    "raised",
    [ContentEncodingError("bad gzip"), RequestPayloadError("x")],
    ids=["coding", "payload"],
)
def test_broken_content_is_400(serve, caplog, raised):
    async def handler(request):
        raise raised

    assert serve(handler).response.status == 400
    assert not errors(caplog)


# --- what is wrong with the handler


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("html", [False, True])
def test_failure_is_500_logged_once(serve, caplog, debug, html):
    async def handler(request):
        raise KeyError("<secret>")

    headers = [("Accept", "text/html"), ("X-Show", "<i>"), ("Cookie", "sid=topsecret")]
    made = serve(handler, headers=headers if html else [], options={"debug": debug})
    assert made.response.status == 500
    assert not made.keep_alive
    records = errors(caplog)
    assert len(records) == 1
    assert records[0].exc_info[0] is KeyError
    text = made.response.text
    assert ("Traceback" in text) is debug
    if html:
        assert made.response.headers["Content-Type"].startswith("text/html")
        assert "<secret>" not in text
        assert "<i>" not in text
        assert "topsecret" not in text
    assert ("secret" in text) is debug


def test_application_in_debug_mode_shows_the_traceback(serve):
    async def handler(request):
        raise KeyError

    with pytest.warns(DeprecationWarning, match="ANT-0022"):
        app = app_with(handler, debug=True)
    assert "Traceback" in serve(app).response.text


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "Missing return statement on request handler"),
        ("text", "must return a response, not 'text'"),
        (b"bytes", "must return a response, not b'bytes'"),
        (5, "must return a response, not 5"),
    ],
)
def test_missing_return_is_500(serve, caplog, returned, said):
    async def handler(request):
        return returned

    assert serve(handler).response.status == 500
    assert said in caplog.text


def test_failure_after_the_response_began_aborts(serve, caplog):
    async def handler(request):
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise KeyError

    made = serve(handler)
    assert made.aborted
    assert not made.response.ended
    assert len(errors(caplog)) == 1


def test_http_exception_after_the_response_began_aborts_and_says_so(serve, caplog):
    async def handler(request):
        await StreamResponse().prepare(request)
        raise HTTPNotFound

    assert serve(handler).aborted
    assert "had begun" in caplog.text


def test_response_that_cannot_be_sent_is_500(serve, caplog):
    async def handler(request):
        return Response(text="x", headers={"X": "a\r\nY: b"})

    made = serve(handler)
    assert made.response.status == 500
    assert len(errors(caplog)) == 1


def test_error_response_that_cannot_be_sent_is_500(serve, caplog):
    async def handler(request):
        raise HTTPNotFound(headers={"X": "a\r\nY: b"})

    made = serve(handler)
    assert made.response.status == 500
    assert errors(caplog)


def test_reused_response_is_an_error_that_says_so(serve, caplog):
    response = Response(text="x")

    async def handler(request):
        return response

    assert serve(handler).response.status == 200
    assert serve(handler).response.status == 500
    assert "second request" in caplog.text


def test_timeout_error_of_the_handler_is_504(serve, caplog):
    async def handler(request):
        raise TimeoutError

    assert serve(handler).response.status == 504
    assert not errors(caplog)


# --- the peer goes away


def test_peer_gone_is_no_error(serve, caplog):
    """CVE-like: one traceback a request is a log flood by the peer."""

    async def handler(request):
        await request.read()

    async def leave(made, task):
        await asyncio.sleep(0)
        made.disconnect()

    made = serve(handler, method="POST", body=[b"x"], end=False, chunked=True, during=leave)
    assert made.sent is None
    assert made.aborted
    assert not errors(caplog)


def test_peer_gone_before_the_answer_is_no_error(serve, caplog):
    async def handler(request):
        request._exchange.disconnect()
        return Response(text="x")

    made = serve(handler)
    assert made.sent is None
    assert not errors(caplog)


async def _disconnect_when_waiting(made, task):
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    made.disconnect()


def _waiting_handler(log):
    async def handler(request):
        try:
            await request.disconnected()
            await asyncio.sleep(0)
            log.append("went on")
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        return Response(text="x")

    return handler


@pytest.mark.parametrize(
    ("server", "route", "outcome"),
    [
        pytest.param(False, None, "went on", id="off by default"),
        pytest.param(True, None, "cancelled", id="on for the server"),
        pytest.param(False, "cancel", "cancelled", id="on for the route"),
        pytest.param(True, "ignore", "went on", id="off for the route"),
        pytest.param(True, "shield", "went on", id="shielded"),
    ],
)
def test_disconnect_policy(serve, caplog, server, route, outcome):
    log = []
    options = {} if route is None else {"disconnect": route}
    app = app_with(_waiting_handler(log), options=options)
    serve(app, during=_disconnect_when_waiting, options={"handler_cancellation": server})
    assert log == [outcome]
    assert not errors(caplog)


def test_bare_handler_is_cancelled_too(serve):
    log = []
    serve(
        _waiting_handler(log),
        during=_disconnect_when_waiting,
        options={"handler_cancellation": True},
    )
    assert log == ["cancelled"]


def test_shielded_handler_survives_cancellation_of_the_exchange(serve, caplog):
    log = []
    gate = asyncio.Event()

    async def handler(request):
        await gate.wait()
        log.append("done")
        raise KeyError("nobody waits for this")

    async def cancel(made, task):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        gate.set()
        while not log:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    serve(app_with(handler, options={"disconnect": "shield"}), during=cancel)
    assert log == ["done"]
    assert "whose peer is gone" in caplog.text


# --- options of a route


def test_size_limit_of_a_route(serve):
    async def handler(request):
        return Response(text=str(len(await request.read())))

    small = app_with(handler, options={"client_max_size": 3})
    assert serve(small, method="POST", body=b"1234").response.status == 413
    large = app_with(handler, options={"client_max_size": 2**22})
    assert serve(large, method="POST", body=b"x" * 2**21).response.text == str(2**21)


def test_time_limit_of_a_route(serve, caplog):
    async def handler(request):
        await asyncio.Event().wait()

    made = serve(app_with(handler, options={"timeout": 0.01}))
    assert made.response.status == 503
    assert "limit" in caplog.text


def test_timeout_inside_a_time_limit_is_the_handlers_own(serve):
    async def handler(request):
        raise TimeoutError

    assert serve(app_with(handler, options={"timeout": 10})).response.status == 504


def test_expect_handler(serve):
    order = []

    async def expect(request):
        order.append("expect")
        if "X-No" in request.headers:
            raise HTTPMethodNotAllowed("GET", ["POST"])

    async def handler(request):
        order.append("handler")
        return Response(text="x")

    def app():
        return app_with(handler, options={"expect_handler": expect})

    expects = [("Expect", "100-continue")]
    assert serve(app(), method="POST", body=b"x", headers=expects).response.status == 200
    assert order == ["expect", "handler"]
    made = serve(app(), method="POST", body=b"x", headers=[*expects, ("X-No", "1")])
    assert made.response.status == 405
    assert order == ["expect", "handler", "expect"]


def test_413_refuses_expected_content(serve):
    async def handler(request):
        await request.read()

    made = serve(
        app_with(handler, options={"client_max_size": 1}), method="POST", body=b"xx",
        headers=[("Expect", "100-continue")],
    )  # fmt: skip
    assert made.response.status == 413
    assert made.declined


# --- the access log


def test_access_log(serve, caplog):
    serve(hello, path="/p")
    lines = [record.getMessage() for record in caplog.records if record.name == "antiphon.access"]
    assert len(lines) == 1
    assert '"GET /p HTTP/1.1" 200' in lines[0]


def access(caplog):
    return [record for record in caplog.records if record.name == "antiphon.access"]


def test_a_response_cut_by_an_error_is_in_the_access_log(serve, caplog):
    async def handler(request):
        response = StreamResponse(status=206)
        await response.prepare(request)
        await response.write(b"half")
        raise KeyError

    made = serve(handler)
    assert made.aborted
    (line,) = access(caplog)
    assert (line.response_status, line.response_size) == (206, made.bytes_sent)


def test_a_response_cut_on_a_clone_is_in_the_access_log(serve, caplog):
    async def handler(request):
        await StreamResponse(status=206).prepare(request.clone(method="POST"))
        raise KeyError

    serve(handler)
    assert [line.response_status for line in access(caplog)] == [206]


@pytest.mark.parametrize(
    ("began", "left", "status"),
    [
        pytest.param(True, True, 202, id="the peer leaves, the response had begun"),
        pytest.param(True, False, 202, id="given up, the response had begun"),
        pytest.param(False, True, 499, id="the peer leaves first"),
        pytest.param(False, False, 503, id="given up first"),
    ],
)
def test_a_cancelled_request_is_in_the_access_log(serve, caplog, began, left, status):
    arrived = asyncio.Event()

    async def handler(request):
        if began:
            await StreamResponse(status=202).prepare(request)
        arrived.set()
        await asyncio.Event().wait()

    async def during(made, task):
        await arrived.wait()
        if left:
            made.disconnect()
        else:
            task.cancel()

    serve(handler, during=during, options={"handler_cancellation": True})
    (line,) = access(caplog)
    assert line.response_status == status


class Odd(BaseException):
    pass


@pytest.mark.parametrize("raised", [GeneratorExit, Odd])
@pytest.mark.parametrize(("began", "status"), [(True, 202), (False, 500)])
def test_what_is_no_exception_is_passed_on_and_in_the_access_log(
    serve, caplog, raised, began, status
):
    async def handler(request):
        if began:
            await StreamResponse(status=202).prepare(request)
        raise raised

    with pytest.raises(raised):
        serve(handler)
    assert [line.response_status for line in access(caplog)] == [status]


class Unheard(StreamResponse):
    """Tells its peer of a failure, and waits for the answer as a WebSocket does."""

    def __init__(self):
        super().__init__(status=202)
        self.telling = asyncio.Event()

    async def _say_failed(self):
        self.telling.set()
        await asyncio.Event().wait()


def test_a_peer_that_does_not_hear_of_the_failure_is_in_the_access_log(serve, caplog):
    made = []

    async def handler(request):
        made.append(Unheard())
        await made[0].prepare(request)
        raise KeyError

    async def during(exchange, task):
        while not made:
            await asyncio.sleep(0)
        await made[0].telling.wait()
        task.cancel()

    serve(handler, during=during)
    assert [line.response_status for line in access(caplog)] == [202]


@pytest.mark.parametrize("fails", [False, True])
def test_a_streamed_response_is_freed_at_once(serve, fails):
    """No circle with its request that only the garbage collector would break."""
    made = []

    async def handler(request):
        response = StreamResponse()
        made.append(weakref.ref(response))
        await response.prepare(request)
        await response.write(b"x")
        if fails:
            raise KeyError
        return response

    gc.disable()
    try:
        # Records of a log would hold the frames of errors.
        silent = logging.Logger("silent", logging.CRITICAL + 1)
        exchange = serve(handler, options={"access_log": None, "logger": silent})
        assert exchange.response.body == b"x"
        assert made[0]() is None
    finally:
        gc.enable()


def test_what_was_no_request_is_not_logged_as_one(serve, exchange, caplog):
    made = exchange(error=BadHttpMessage("no request line"))
    serve(hello, made)
    (line,) = access(caplog)
    assert (line.first_request_line, line.response_status) == ("-", 400)


def test_json_tells_what_was_cut(serve, caplog):
    async def handler(request):
        await StreamResponse().prepare(request)
        raise KeyError

    serve(handler, options={"access_log_class": JSONAccessLogger})
    assert json.loads(access(caplog)[0].getMessage())["complete"] is False


def test_a_peer_gone_before_the_answer_is_in_the_access_log(serve, exchange, caplog):
    async def handler(request):
        made.disconnect()
        raise ConnectionResetError

    made = exchange()
    serve(handler, made)
    assert [line.response_status for line in access(caplog)] == [499]


@pytest.mark.parametrize("options", [{"access_log": None}, {}])
def test_no_access_log(serve, caplog, options):
    if not options:
        caplog.set_level(logging.WARNING, "antiphon.access")
    serve(hello, options=options)
    assert not [record for record in caplog.records if record.name == "antiphon.access"]


def test_unknown_option_is_told():
    with pytest.raises(TypeError, match="nonsense"):
        Server(hello, nonsense=1)


def test_413_says_the_limit():
    assert "10" in HTTPRequestEntityTooLarge(10, 20).text
    assert RouteOptions().timeout is None
