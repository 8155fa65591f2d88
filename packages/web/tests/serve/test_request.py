"""A request as a view over an exchange."""

import asyncio
import datetime as dt
import json

import pytest
from yarl import URL

from antiphon.core.errors import ContentEncodingError
from antiphon.core.fields.etag import ETag
from antiphon.web._faults import is_peer_fault
from antiphon.web.exceptions import HTTPBadRequest, HTTPException, HTTPRequestEntityTooLarge
from antiphon.web.keys import RequestKey
from antiphon.web.request import BaseRequest
from antiphon.web.response import Response
from antiphon.web.server import Server


@pytest.fixture
def make(exchange):
    def make_(*args, **kwargs):
        return BaseRequest(exchange(*args, **kwargs))

    return make_


# --- the request line


def test_url_and_its_parts(make):
    request = make("GET", "/a%20b/c%2Fd?x=1&y=%20&x=%C3%A9")
    assert request.method == "GET"
    assert request.path == "/a b/c/d"
    assert request.raw_path == "/a%20b/c%2Fd?x=1&y=%20&x=%C3%A9"
    assert request.path_qs == "/a%20b/c%2Fd?x=1&y=%20&x=%C3%A9"
    assert request.query_string == "x=1&y= &x=é"
    assert list(request.query.items()) == [("x", "1"), ("y", " "), ("x", "é")]
    assert request.rel_url == URL("/a%20b/c%2Fd?x=1&y=%20&x=%C3%A9", encoded=True)
    assert str(request.url) == "http://example.com/a%20b/c%2Fd?x=1&y=%20&x=%C3%A9"


def test_absolute_target_names_the_host_and_nothing_else(make):
    """Its scheme is the peer's word only: GHSA without id, `aiohttp 3.14`."""
    request = make("GET", "https://other.example:81/p?q", headers=[("Host", "example.com")])
    assert request.host == "other.example:81"
    assert request.scheme == "http"
    assert request.path == "/p"
    assert request.rel_url == URL("/p?q")
    assert not request.secure


@pytest.mark.parametrize("host", ["a:99999", "a b", "a/b", "a@b:c"])
def test_unusable_host_is_400_and_no_other_host(make, host):
    """CVE-2026-48710, CVE-2022-33124."""
    request = make(headers=[("Host", host)])
    try:
        url = request.url
    except HTTPBadRequest:
        return
    assert url.raw_path == "/"
    assert url.raw_authority == host.lower()


def test_scheme_of_tls(make):
    request = make(secure=True)
    assert request.scheme == "https"
    assert request.secure
    assert request.url.scheme == "https"


@pytest.mark.parametrize(
    ("peername", "remote"),
    [
        pytest.param(("192.0.2.1", 5), "192.0.2.1", id="IPv4"),
        pytest.param(("::1", 5, 0, 0), "::1", id="IPv6"),
        pytest.param("", None, id="unix socket"),
        pytest.param(None, None, id="unknown"),
    ],
)
def test_remote(make, peername, remote):
    assert make(peername=peername).remote == remote


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("a", [("a", "")], id="no value"),
        pytest.param("a=1&&b=", [("a", "1"), ("b", "")], id="empty pairs"),
        pytest.param("a+b=c%2Bd", [("a b", "c+d")], id="plus and percent"),
        pytest.param("a=%FF%ZZ", [("a", "�%ZZ")], id="undecodable"),
        pytest.param("a=1;b=2", [("a", "1;b=2")], id="semicolon separates nothing"),
    ],
)
def test_query(make, query, pairs):
    assert list(make(path=f"/?{query}").query.items()) == pairs


@pytest.mark.parametrize(("count", "allowed"), [(1000, True), (1001, False)])
def test_query_pairs_are_limited(make, count, allowed):
    request = make(path="/?" + "&".join(["a=b"] * count))
    if allowed:
        assert len(request.query) == count
    else:
        with pytest.raises(HTTPBadRequest):
            assert request.query


# --- fields


def test_conditions(make):
    request = make(
        headers=[
            ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("If-Unmodified-Since", "no date"),
            ("If-Range", "Thu, 01 Jan 1970 00:00:01 GMT"),
            ("If-None-Match", 'W/"a", "b"'),
        ]
    )
    assert request.if_modified_since == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert request.if_unmodified_since is None
    assert request.if_range == dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
    assert request.if_none_match == (ETag("a", is_weak=True), ETag("b"))
    assert request.if_match is None


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param(None, slice(None, None, 1), id="none"),
        pytest.param("bytes=0-9", slice(0, 10, 1), id="first ten"),
        pytest.param("bytes=-5", slice(-5, None, 1), id="last five"),
        pytest.param("bytes=5-", slice(5, None, 1), id="from"),
        pytest.param("bytes=0-0", slice(0, 1, 1), id="one byte"),
        pytest.param("bytes=9-1", ValueError, id="end before start"),
        pytest.param("bytes=a-b", ValueError, id="letters"),
        pytest.param("x=1-2", ValueError, id="unit"),
        pytest.param("bytes=0-1,2-3", ValueError, id="several"),
        pytest.param("bytes=-", ValueError, id="nothing"),
        pytest.param("bytes=", ValueError, id="empty"),
        pytest.param("bytes=٣-٤", ValueError, id="CVE-2025-69225 non-ASCII digits"),
        pytest.param("bytes=" + "9" * 5000 + "-", ValueError, id="endless number"),
    ],
)
def test_http_range(make, field, expected):
    request = make(headers=[] if field is None else [("Range", field)])
    if expected is ValueError:
        with pytest.raises(ValueError) as caught:
            assert request.http_range
        assert is_peer_fault(caught.value), "400 if nobody handles it"
    else:
        assert request.http_range == expected


def test_cookies(make):
    request = make(headers=[("Cookie", 'a=b; c="d e"; =x; y; $z=1'), ("Cookie", "second=1")])
    assert dict(request.cookies) == {"a": "b", "c": "d e", "$z": "1", "second": "1"}
    with pytest.raises(TypeError):
        request.cookies["a"] = "c"


def test_cookies_are_limited(make):
    """CVE-2025-58186."""
    request = make(headers=[("Cookie", "; ".join(f"c{n}=1" for n in range(5000)))])
    assert len(request.cookies) <= 300


def test_forwarded_is_shown_as_sent(make):
    request = make(
        headers=[("Forwarded", 'for=1.2.3.4;by="x", for=5.6.7.8'), ("Forwarded", "proto=https")]
    )
    assert [dict(element) for element in request.forwarded] == [
        {"for": "1.2.3.4", "by": "x"}, {"for": "5.6.7.8"}, {"proto": "https"},
    ]  # fmt: skip
    assert request.remote == "192.0.2.1"
    assert request.scheme == "http"


def test_content_type(make):
    request = make(headers=[("Content-Type", "Text/HTML; Charset=UTF-8"), ("Content-Length", "7")])
    assert request.content_type == "text/html"
    assert request.charset == "UTF-8"
    assert request.content_length == 7
    assert make().content_type == "application/octet-stream"
    assert make(headers=[("Content-Type", "nonsense")]).content_type == "application/octet-stream"


# --- content


@pytest.mark.parametrize("chunked", [False, True])
def test_read_keeps_the_content(run, make, chunked):
    request = make("POST", body=[b"ab", b"c"], chunked=chunked)
    assert request.body_exists
    assert request.can_read_body

    async def test():
        assert await request.read() == b"abc"
        assert await request.read() == b"abc"
        assert await request.text() == "abc"
        assert not request.can_read_body

    run(test)


def test_no_content(run, make):
    request = make()
    assert not request.body_exists
    assert not request.can_read_body
    assert run(request.read) == b""
    assert run(request.post) == {}
    run(request.release)


def test_announced_size_is_refused_before_anything_is_read(run, exchange):
    made = exchange("POST", body=b"x" * 11)
    request = BaseRequest(made, client_max_size=10)
    with pytest.raises(HTTPRequestEntityTooLarge) as caught:
        run(request.read)
    assert made.declined
    assert made.content.total_bytes == 11
    assert request.can_read_body
    assert caught.value.status == 413


def test_size_is_checked_as_content_arrives(run, exchange):
    """CVE-2026-34517, CVE-2025-69228: not when all of it has been gathered."""
    made = exchange("POST", body=[b"x" * 6], chunked=True, end=False)
    request = BaseRequest(made, client_max_size=10)

    async def test():
        task = asyncio.create_task(request.read())
        await asyncio.sleep(0)
        assert not task.done()
        made.content.feed_data(b"x" * 6)
        with pytest.raises(HTTPRequestEntityTooLarge):
            await task

    run(test)


def test_limit_of_zero_is_none(run, exchange):
    request = BaseRequest(exchange("POST", body=b"x" * 2_000_000), client_max_size=0)
    assert len(run(request.read)) == 2_000_000


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        pytest.param("text/plain", b"\xc3\xa9", "é", id="utf-8 by default"),
        pytest.param("text/plain; charset=latin-1", b"\xe9", "é", id="as said"),
        pytest.param("text/plain", b"\xff", UnicodeDecodeError, id="not in it"),
        pytest.param("text/plain; charset=klingon", b"x", HTTPBadRequest, id="unknown"),
        pytest.param("text/plain; charset=hex_codec", b"x", HTTPBadRequest, id="no text codec"),
        pytest.param('text/plain; charset="\x01"', b"x", HTTPBadRequest, id="control character"),
    ],
)
def test_text(run, make, content_type, body, expected):
    request = make("POST", headers=[("Content-Type", content_type)], body=body)
    if isinstance(expected, str):
        assert run(request.text) == expected
    else:
        with pytest.raises(expected) as caught:
            run(request.text)
        assert is_peer_fault(caught.value) or caught.value.status == 400


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 200_000, b"\xff"], ids=["empty", "cut", "deep", "no utf-8"]
)
def test_bad_json_is_the_peers_fault(run, make, body):
    request = make("POST", body=body)
    with pytest.raises((ValueError, RecursionError)) as caught:
        run(request.json)
    assert is_peer_fault(caught.value)


def test_json(run, make):
    assert run(make("POST", body=b'{"a": 1}').json) == {"a": 1}

    async def own():
        return await make("POST", body=b"x").json(loads=lambda text: [text])

    assert run(own) == ["x"]
    with pytest.raises(json.JSONDecodeError):
        run(make("POST", body=b"x").json)


def test_error_of_the_content_comes_through(run, exchange):
    made = exchange("POST", body=[b"x"], end=False)
    made.content.set_exception(ContentEncodingError("bad gzip"))
    with pytest.raises(ContentEncodingError):
        run(BaseRequest(made).read)


# --- clone and items


def test_clone(run, exchange):
    made = exchange("GET", "/a?b", headers=[("Cookie", "x=y")])
    request = BaseRequest(made)
    request["k"] = 1
    assert request.query == {"b": ""}
    other = request.clone(
        method="POST", rel_url="/x?y", headers={"a": "b"}, scheme="https", host="q", remote="1.1.1.1",
        client_max_size=5, client_max_fields=6,
    )  # fmt: skip
    assert other.method == "POST"
    assert str(other.url) == "https://q/x?y"
    assert other.query == {"y": ""}
    assert other.headers == {"a": "b"}
    assert other.cookies == {}
    assert other.remote == "1.1.1.1"
    assert (other.client_max_size, other.client_max_fields) == (5, 6)
    other["l"] = 2
    assert dict(request) == {"k": 1, "l": 2}
    assert request.method == "GET"
    assert str(request.url) == "http://example.com/a?b"
    run(request.read)
    with pytest.raises(RuntimeError):
        request.clone()


def test_items(make):
    request = make()
    key = RequestKey("k", int)
    assert bool(request)
    assert len(request) == 0
    with pytest.raises(KeyError):
        request["a"]
    with pytest.raises(KeyError):
        del request["a"]
    request["a"] = 1
    request[key] = 2
    assert request[key] == 2
    assert set(request) == {"a", key}
    del request["a"]
    assert request.get("a") is None
    assert request == request
    assert request != make()


# --- the peer


def test_disconnected_waits_for_the_peer_to_go(run, exchange):
    made = exchange()
    request = BaseRequest(made)

    async def test():
        task = asyncio.create_task(request.disconnected())
        await asyncio.sleep(0)
        assert not task.done()
        made.disconnect()
        await task
        await request.disconnected()

    run(test)


def test_disconnected_can_be_cancelled(run, exchange):
    made = exchange()

    async def test():
        task = asyncio.create_task(BaseRequest(made).disconnected())
        await asyncio.sleep(0)
        assert made.watched
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test)
    assert not made.watched


def test_informational(run, exchange):
    made = exchange()
    request = BaseRequest(made)

    async def test():
        await request.send_informational(103, {"Link": "</a.css>; rel=preload"})
        for status in (99, 101, 200):
            with pytest.raises(ValueError):
                await request.send_informational(status)

    run(test)
    assert made.informational == [(103, {"Link": "</a.css>; rel=preload"})]


def test_repr_escapes_the_target(make):
    """CVE-2020-7694."""
    text = repr(make(path="/\x1b[31m" + "x" * 500))
    assert "\x1b" not in text
    assert len(text) < 200


@pytest.mark.parametrize(
    ("name", "id"), [("message", "ANT-0012"), ("loop", "ANT-0013"), ("has_body", "ANT-0014")]
)
def test_obsolete(run, make, name, id):
    request = make()

    async def test():
        with pytest.warns(DeprecationWarning, match=id):
            getattr(request, name)

    run(test)


def test_made_of_parts(run, exchange):
    """The documented signature of a request's constructor."""
    from antiphon.core.aio.writer import AbstractStreamWriter
    from antiphon.web.response import StreamResponse

    class Writer(AbstractStreamWriter):
        written = b""

        async def write(self, chunk):
            self.written += chunk

        async def write_eof(self, chunk=b""):
            self.written += chunk + b"."

        async def drain(self): ...

    made = exchange("POST", "/p", body=b"abc")
    writer = Writer()

    async def test():
        loop = asyncio.get_running_loop()
        request = BaseRequest(
            made.head,
            made.content,
            made.info,
            writer,
            None,
            loop,
            client_max_size=7,
            state={"a": 1},
        )
        assert request.client_max_size == 7
        assert request["a"] == 1
        assert request.remote == "192.0.2.1"
        assert await request.read() == b"abc"
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await response.write_eof(b"y")
        assert response.body_length == 2

    run(test)
    assert writer.written == b"xy."


@pytest.mark.parametrize(
    ("body", "fields", "read", "kind"),
    [
        pytest.param(b"{", [], "json", json.JSONDecodeError, id="JSON"),
        pytest.param(b"\xff", [], "text", UnicodeDecodeError, id="text"),
        pytest.param(b"\xff", [], "json", UnicodeDecodeError, id="JSON that is no text"),
        pytest.param(
            b"--B\r\n", [("Content-Type", "multipart/form-data; boundary=B")], "post", ValueError,
            id="form",
        ),
    ],
)  # fmt: skip
def test_bad_content_is_a_response_and_the_error_that_it_always_was(
    run, exchange, body, fields, read, kind
):
    async def handler(request):
        with pytest.raises(kind) as caught:
            await getattr(request, read)()
        assert isinstance(caught.value, HTTPBadRequest)
        assert str(caught.value) == str(caught.value.__cause__)
        raise caught.value

    async def errors(request):
        """What middlewares for errors look like."""
        try:
            return await handler(request)
        except HTTPException:
            raise
        except Exception:
            return Response(status=500)

    made = exchange("POST", headers=fields, body=body)
    run(lambda: Server(errors).request_handler.serve(made))
    assert made.response.status == 400


def test_content_whose_framing_is_broken_is_a_response_too(run, exchange):
    made = exchange("POST", body=[b"x"], end=False)
    made.content.set_exception(ContentEncodingError("broken"))
    request = BaseRequest(made)
    with pytest.raises(ContentEncodingError) as caught:
        run(request.read)
    assert isinstance(caught.value, HTTPBadRequest)
    assert caught.value.message == "broken"
