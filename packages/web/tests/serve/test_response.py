"""Responses as data, and how they leave through an exchange."""

import datetime as dt
import gzip
import io
import zlib

import pytest
from multidict import CIMultiDict

from antiphon.core.coding import ContentCoding
from antiphon.core.fields.etag import ETag
from antiphon.web.request import BaseRequest
from antiphon.web.response import Response, StreamResponse, json_bytes_response, json_response


def sent(run, exchange, response, **request):
    """Send *response* by the documented way and return what left."""
    made = exchange(**request)

    async def test():
        request = BaseRequest(made)
        await response.prepare(request)
        await response.write_eof()

    run(test)
    return made.response


# --- making


@pytest.mark.parametrize(
    ("arguments", "body", "content_type"),
    [
        pytest.param({}, None, None, id="nothing"),
        pytest.param({"text": "hé"}, "hé".encode(), "text/plain; charset=utf-8", id="text"),
        pytest.param({"body": b"x"}, b"x", None, id="bytes say no type"),
        pytest.param(
            {"text": "hé", "charset": "latin-1"},
            b"h\xe9", "text/plain; charset=latin-1", id="charset",
        ),
        pytest.param(
            {"text": "x", "content_type": "text/html"},
            b"x", "text/html; charset=utf-8", id="content type",
        ),
        pytest.param(
            {"text": "hé", "headers": {"Content-Type": "text/x; charset=latin-1"}},
            b"h\xe9", "text/x; charset=latin-1", id="charset of the field",
        ),
        pytest.param(
            {"text": "x", "headers": {"content-type": "text/x"}},
            b"x", "text/x; charset=utf-8", id="field without charset gets utf-8",
        ),
        pytest.param(
            {"body": b"", "content_type": "a/b", "charset": "x"}, b"", "a/b; charset=x",
            id="bytes with type and charset",
        ),
    ],
)  # fmt: skip
def test_content_and_type(arguments, body, content_type):
    response = Response(**arguments)
    assert response.body == body
    assert response.headers.get("Content-Type") == content_type


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param({"body": b"", "text": ""}, ValueError, id="body and text"),
        pytest.param({"text": b"x"}, TypeError, id="text is bytes"),
        pytest.param(
            {"text": "", "content_type": "text/plain; charset=x"}, ValueError,
            id="charset in content_type",
        ),
        pytest.param(
            {"text": "", "headers": {"Content-Type": "a/b"}, "content_type": "a/b"}, ValueError,
            id="type twice, with text",
        ),
        pytest.param(
            {"headers": {"Content-Type": "a/b"}, "charset": "x"}, ValueError, id="charset twice"
        ),
        pytest.param({"body": object()}, ValueError, id="body of no known type"),
        pytest.param({"reason": "a\nb"}, ValueError, id="CVE-2026-34519 CVE-2025-67724 LF in reason"),
        pytest.param({"reason": "a\rb"}, ValueError, id="CR in reason"),
        pytest.param({"reason": "a\x00b"}, ValueError, id="NUL in reason"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(arguments, error):
    with pytest.raises(error):
        Response(**arguments)


def test_reason_is_the_standard_one_unless_said():
    assert Response(status=404).reason == "Not Found"
    assert Response(status=299).reason == ""
    assert Response(status=404, reason="Gone fishing").reason == "Gone fishing"


def test_text_and_body_can_be_changed():
    response = Response(text="a")
    response.text = "ü"
    assert response.body == "ü".encode()
    response.body = b"q"
    assert response.text == "q"
    response.body = None
    assert response.text is None
    assert response.content_length == 0
    response.charset = "latin-1"
    response.text = "ü"
    assert response.body == b"\xfc"


def test_content_length_is_not_set_by_hand_on_a_whole_response():
    with pytest.raises(RuntimeError):
        Response(text="a").content_length = 5


def test_charset_needs_a_type():
    with pytest.raises(RuntimeError):
        StreamResponse().charset = "utf-8"


def test_chunked_and_length_exclude_each_other():
    response = StreamResponse()
    response.content_length = 4
    with pytest.raises(RuntimeError):
        response.enable_chunked_encoding()
    response.content_length = None
    response.enable_chunked_encoding()
    with pytest.raises(RuntimeError):
        response.content_length = 4


def test_json_response():
    assert json_response({"a": "é"}).body == b'{"a": "\\u00e9"}'
    assert json_response({}).headers["Content-Type"] == "application/json; charset=utf-8"
    assert json_response(None).text == "null"
    assert json_response(text="{}", headers={"X": "y"}).headers["X"] == "y"
    assert json_response({}, content_type="a/b", dumps=lambda data: "D").text == "D"
    assert json_bytes_response([1], dumps=lambda data: b"[1]").body == b"[1]"
    assert json_bytes_response([1], dumps=lambda data: b"[1]").content_type == "application/json"
    for wrong in ({"text": "x"}, {"body": b"x"}):
        with pytest.raises(ValueError):
            json_response({}, **wrong)
    with pytest.raises(ValueError):
        json_response(text="x", body=b"x")
    with pytest.raises(ValueError):
        json_bytes_response({}, body=b"x", dumps=lambda data: b"")


# --- fields


def test_last_modified_takes_dates_timestamps_and_text():
    response = StreamResponse()
    when = dt.datetime(1994, 11, 6, 8, 49, 37, tzinfo=dt.UTC)
    for value in (when, when.timestamp(), "Sun, 06 Nov 1994 08:49:37 GMT", when.timestamp() - 0.5):
        response.last_modified = value
        assert response.headers["Last-Modified"] == "Sun, 06 Nov 1994 08:49:37 GMT"
        assert response.last_modified == when
    response.last_modified = None
    assert response.last_modified is None
    with pytest.raises(TypeError):
        response.last_modified = object()


@pytest.mark.parametrize(
    ("value", "field"),
    [
        pytest.param("x", '"x"', id="text is strong"),
        pytest.param(ETag("x", is_weak=True), 'W/"x"', id="weak"),
        pytest.param("*", "*", id="any"),
    ],
)
def test_etag(value, field):
    response = StreamResponse()
    response.etag = value
    assert response.headers["ETag"] == field
    assert response.etag == (value if isinstance(value, ETag) else ETag(value))
    response.etag = None
    assert response.etag is None


@pytest.mark.parametrize("value", ['a"b', "a\r\nb", 5])
def test_etag_refuses_what_no_field_can_carry(value):
    with pytest.raises(ValueError):
        StreamResponse().etag = value


def test_cookies_are_sent(run, exchange):
    response = Response(text="x")
    response.set_cookie("a", 'b c;"é')
    response.set_cookie(
        "z", "1", max_age=5, secure=True, httponly=True, samesite="Lax", domain="x.y",
        partitioned=True, path="/p",
    )  # fmt: skip
    response.del_cookie("q")
    fields = sent(run, exchange, response).headers.getall("Set-Cookie")
    assert len(fields) == 3
    a, z, q = fields
    assert a.startswith('a="')
    assert ";" not in a[: a.rindex('"')].replace("\\073", "")
    assert set(z.split("; ")) == {
        "z=1", "Domain=x.y", "HttpOnly", "Max-Age=5", "Partitioned", "Path=/p", "SameSite=Lax",
        "Secure",
    }  # fmt: skip
    assert "Max-Age=0" in q
    assert "1970" in q


@pytest.mark.parametrize("attribute", ["domain", "path", "expires", "samesite"])
@pytest.mark.parametrize("value", ["x; Secure", "x\r\nX: y", "x\x00"])
def test_cookie_attributes_cannot_inject(attribute, value):
    """CVE-2026-35536."""
    response = Response()
    response.set_cookie("a", "old")
    with pytest.raises(ValueError):
        response.set_cookie("a", "new", **{attribute: value})
    assert response.cookies["a"].value == "old"


def test_cookie_changed_by_hand_cannot_inject_either(run, exchange):
    response = Response()
    response.set_cookie("a", "b")
    response.cookies["a"]["path"] = "/; Domain=evil.example"
    with pytest.raises(ValueError):
        sent(run, exchange, response)


# --- leaving


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_whole_response(run, exchange, method):
    left = sent(run, exchange, Response(text="hi", headers={"X": "y"}), method=method)
    assert left.status == 200
    assert left.length == 2
    assert left.body == (b"hi" if method == "GET" else b"")
    assert left.ended
    assert left.default_fields
    assert left.headers["X"] == "y"


def test_bytes_get_a_type_and_nothing_gets_none(run, exchange):
    assert sent(run, exchange, Response(body=b"x")).headers["Content-Type"] == (
        "application/octet-stream"
    )
    assert "Content-Type" not in sent(run, exchange, Response()).headers
    assert "Content-Type" not in sent(run, exchange, Response(status=204)).headers


def test_streamed_response(run, exchange):
    made = exchange()

    async def test():
        response = StreamResponse()
        assert not response.prepared
        with pytest.raises(RuntimeError, match="before prepare"):
            await response.write(b"x")
        await response.prepare(BaseRequest(made))
        assert response.prepared
        await response.write(b"a")
        await response.write(memoryview(b"b"))
        with pytest.raises(TypeError):
            await response.write("c")
        with pytest.raises(RuntimeError):
            response.set_status(201)
        await response.write_eof(b"c")
        await response.write_eof()
        with pytest.raises(RuntimeError, match="after write_eof"):
            await response.write(b"x")
        return response

    response = run(test)
    assert made.response.body == b"abc"
    assert made.response.ended
    assert made.response.length is None
    assert made.response.headers["Content-Type"] == "application/octet-stream"
    assert response.body_length == made.bytes_sent
    assert "eof" in repr(response)


def test_head_of_a_streamed_response_writes_no_content(run, exchange):
    made = exchange(method="HEAD")

    async def test():
        response = StreamResponse()
        response.content_length = 3
        await response.prepare(BaseRequest(made))
        await response.write(b"abc")
        await response.write_eof()

    run(test)
    assert made.response.writes == 0
    assert made.response.length == 3


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_head_has_the_type_of_get_whatever_the_size(run, exchange, size):
    get, head = (
        sent(run, exchange, Response(body=b"x" * size), method=method) for method in ("GET", "HEAD")
    )
    assert head.headers == get.headers
    assert head.length == get.length == size


def test_head_may_announce_what_get_would_send(run, exchange):
    response = Response(headers={"Content-Length": "1234"})
    assert sent(run, exchange, response, method="HEAD").length == 1234


@pytest.mark.parametrize("whole", [False, True])
def test_a_response_is_sent_once(run, exchange, whole):
    first, second = exchange(), exchange()

    async def test():
        response = Response(text="x")
        if whole:
            assert response._send_whole(first, BaseRequest(first))
        else:
            await response.prepare(BaseRequest(first))
            await response.write_eof()
        assert not response._send_whole(second, BaseRequest(second))
        with pytest.raises(RuntimeError, match="second request"):
            await response.prepare(BaseRequest(second))

    run(test)
    assert second.sent is None


def test_prepare_twice_for_one_request_changes_nothing(run, exchange):
    made = exchange()

    async def test():
        request = BaseRequest(made)
        response = StreamResponse()
        writer = await response.prepare(request)
        assert await response.prepare(request) is writer
        assert await response.prepare(request.clone()) is writer
        await response.write_eof()
        assert await response.prepare(request) is None

    run(test)


def test_control_characters_in_fields_are_refused(run, exchange):
    for headers in ({"X": "a\r\nY: z"}, {"X\r\n": "a"}, {"X": "a\x00"}):
        with pytest.raises(ValueError):
            sent(run, exchange, Response(text="x", headers=headers))


def test_trailers(run, exchange):
    made = exchange()

    async def test():
        response = StreamResponse()
        response.set_trailers({"X-Sum": "1"})
        await response.prepare(BaseRequest(made))
        await response.write(b"x")
        response.set_trailers({"X-Sum": "2"})
        await response.write_eof()
        with pytest.raises(RuntimeError):
            response.set_trailers({})

    run(test)
    assert made.response.trailers == CIMultiDict({"X-Sum": "2"})
    assert made.response.chunked


def test_force_close(run, exchange):
    made = exchange()
    response = Response(text="x")
    assert response.keep_alive is None
    response.force_close()
    assert response.keep_alive is False

    async def test():
        await response.prepare(BaseRequest(made))
        await response.write_eof()

    run(test)
    assert not made.keep_alive


def test_payload_is_sent_and_closed(run, exchange):
    file = io.BytesIO(b"content")
    left = sent(run, exchange, Response(body=file))
    assert left.body == b"content"
    assert left.length == 7


def test_async_iterable_is_sent(run, exchange):
    async def pieces():
        yield b"a"
        yield b"b"

    left = sent(run, exchange, Response(body=pieces()))
    assert left.body == b"ab"
    assert left.length is None


def test_head_closes_a_payload_it_does_not_send(run, exchange):
    closed = []

    async def pieces():
        try:
            yield b"a"
        finally:
            closed.append(True)

    left = sent(run, exchange, Response(body=pieces()), method="HEAD")
    assert left.body == b""


# --- compression

ANSWER = "x" * 5000


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        pytest.param("gzip", "gzip", id="gzip"),
        pytest.param("deflate", "deflate", id="deflate"),
        pytest.param("gzip;q=0.5, deflate", "deflate", id="weights count"),
        pytest.param("gzip;q=0, *;q=0", None, id="all refused"),
        pytest.param("identity;q=1, gzip;q=0.1", None, id="plain is liked best"),
        pytest.param(None, None, id="no field"),
        pytest.param("compress, x-unknown", None, id="none that we have"),
    ],
)
def test_compression_is_negotiated(run, exchange, accept, coding):
    response = Response(text=ANSWER)
    response.enable_compression()
    headers = [] if accept is None else [("Accept-Encoding", accept)]
    left = sent(run, exchange, response, headers=headers)
    assert left.headers.get("Content-Encoding") == coding
    assert left.headers["Vary"] == "Accept-Encoding"
    decode = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[coding]
    assert decode(left.body) == ANSWER.encode()
    assert left.length == len(left.body)


@pytest.mark.parametrize("size", [10, 4096, 4097, 200_000])
def test_forced_compression_off_and_on_the_loop(run, exchange, size):
    response = Response(body=b"y" * size)
    response.enable_compression(ContentCoding.gzip)
    left = sent(run, exchange, response)
    assert gzip.decompress(left.body) == b"y" * size
    assert "Vary" not in left.headers


def test_streamed_content_is_compressed(run, exchange):
    made = exchange(headers=[("Accept-Encoding", "gzip")])

    async def test():
        response = StreamResponse()
        response.content_length = 7
        response.enable_compression()
        await response.prepare(BaseRequest(made))
        await response.write(b"abc")
        await response.drain()
        so_far = made.response.body
        assert zlib.decompressobj(31).decompress(so_far) == b"abc", "drain lets the peer decode"
        await response.write_eof(b"defg")

    run(test)
    assert gzip.decompress(made.response.body) == b"abcdefg"
    assert made.response.length is None


def test_payload_is_compressed(run, exchange):
    response = Response(body=io.BytesIO(b"z" * 300_000))
    response.enable_compression(ContentCoding.gzip)
    left = sent(run, exchange, response)
    assert gzip.decompress(left.body) == b"z" * 300_000
    assert left.length is None


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(Response(status=204), id="204"),
        pytest.param(Response(status=304), id="304"),
        pytest.param(Response(body=b"x", headers={"Content-Encoding": "br"}), id="encoded already"),
        pytest.param(Response(body=b"x", status=206), id="a range is of the plain content"),
    ],
)
def test_what_is_not_compressed(run, exchange, response):
    response.enable_compression(ContentCoding.gzip)
    left = sent(run, exchange, response)
    assert left.headers.get("Content-Encoding") != "gzip"


def test_vary_is_not_repeated(run, exchange):
    response = Response(text=ANSWER, headers={"Vary": "Origin, accept-encoding"})
    response.enable_compression()
    left = sent(run, exchange, response, headers=[("Accept-Encoding", "gzip")])
    assert left.headers.getall("Vary") == ["Origin, accept-encoding"]


# --- items and obsolete things


def test_items():
    response = Response()
    assert bool(response)
    assert len(response) == 0
    assert list(response) == []
    with pytest.raises(KeyError):
        response["a"]
    with pytest.raises(KeyError):
        del response["a"]
    response["a"] = 1
    assert dict(response) == {"a": 1}
    del response["a"]
    assert response != Response()
    assert len({response, Response()}) == 2


@pytest.mark.parametrize(
    ("use", "id"),
    [
        (lambda response: response.enable_chunked_encoding(10), "ANT-0009"),
        (lambda response: response.enable_compression(True), "ANT-0010"),
        (lambda response: response.output_length, "ANT-0011"),
    ],
)
def test_obsolete(use, id):
    with pytest.warns(DeprecationWarning, match=id):
        use(StreamResponse())


def test_subclass_that_sends_its_own_way_is_respected(run, exchange):
    made = exchange()

    class Mine(Response):
        async def prepare(self, request):
            self.headers["X-Mine"] = "yes"
            return await super().prepare(request)

    async def test():
        response = Mine(text="x")
        assert not response._send_whole(made, BaseRequest(made))
        await response.prepare(BaseRequest(made))
        await response.write_eof()

    run(test)
    assert made.response.headers["X-Mine"] == "yes"
