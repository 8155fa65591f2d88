"""What leaves for each way of asking: method, target, fields, content."""

import io
import json

import pytest
from multidict import CIMultiDict, MultiDict
from yarl import URL

from antiphon.client.cookiejar import CookieJar
from antiphon.client.errors import (
    InvalidURL,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    NonHttpUrlClientError,
)
from antiphon.client.formdata import FormData


@pytest.mark.parametrize(
    "verb", ["get", "options", "head", "post", "put", "patch", "delete", "query"]
)
def test_each_verb_sends_its_method(run, origin, verb):
    async def scenario(session):
        async with getattr(session, verb)("http://example.com/path") as response:
            assert response.status == 200
            assert response.method == verb.upper()

    run(scenario)
    assert origin.asked[0].method == verb.upper()


def test_a_method_in_lower_case_is_sent_in_upper_case(run, origin):
    async def scenario(session):
        await session.request("get", "http://example.com/")

    run(scenario)
    assert origin.asked[0].method == "GET"


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("GET /\r\nX: y", id="CVE-2023-49082 CVE-2020-26137 CR LF in the method"),
        pytest.param("GE T", id="space"),
        pytest.param("", id="empty"),
        pytest.param("GËT", id="not ASCII"),
    ],
)
def test_a_method_that_is_no_token_is_refused(run, origin, method):
    async def scenario(session):
        with pytest.raises(ValueError, match="token"):
            await session.request(method, "http://example.com/")

    run(scenario)
    assert not origin.asked


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        pytest.param("http://example.com", "/", "example.com", id="no path"),
        pytest.param("http://EXAMPLE.com:80/", "/", "example.com", id="default port, upper case"),
        pytest.param("http://h:8080/a?b=c#d", "/a?b=c", "h:8080", id="fragment stays here"),
        pytest.param("http://[::1]:81/", "/", "[::1]:81", id="IPv6"),
        pytest.param("http://h/%7e%2f?q=%2B+%20", "/%7e%2f?q=%2B+%20", "h", id="escapes stay"),
        pytest.param("http://h/a/../b", "/a/../b", "h", id="dot segments stay"),
        pytest.param("http://h/a?", "/a?", "h", id="empty query stays"),
        pytest.param("http://h/a b?c=d e", "/a%20b?c=d+e", "h", id="illegal is quoted"),
        pytest.param("http://bücher.example/ü", "/%C3%BC", "xn--bcher-kva.example", id="IDNA"),
        pytest.param(
            URL("http://h/%7E?x=%2f", encoded=True), "/%7E?x=%2f", "h", id="encoded URL, exact"
        ),
    ],
)
def test_target_and_authority(run, origin, url, target, authority):
    async def scenario(session):
        await session.get(url)

    run(scenario)
    assert (origin.asked[0].target, origin.asked[0].authority) == (target, authority)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/path",
        "http:///x",
        "http://[::1",
        "http://h:99999/",
        "http://h:0/",
        "http:path",
        "http://127.1/",
        "http://0x7f.0.0.1/",
        "http://2130706433/",
        "http://127.0.0.01/",
        "http://a b/",
        "http://h\\@evil/",
        "http://ex%61mple.com/",
    ],
)
def test_a_url_that_cannot_be_used_is_refused(run, origin, url):
    async def scenario(session):
        with pytest.raises(InvalidUrlClientError):
            await session.get(url)

    run(scenario)
    assert not origin.asked


@pytest.mark.parametrize(
    ("url", "text"),
    [
        pytest.param("", "it is empty", id="nothing"),
        pytest.param("x", "x - it is relative", id="a word"),
        pytest.param("//h/x", "scheme", id="no scheme"),
        pytest.param("http://", "it has no host", id="no host"),
        pytest.param("ftp://", "it has no host", id="another scheme, no host"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(run, origin, url, text):
    async def scenario(session):
        with pytest.raises(InvalidUrlClientError, match=text):
            await session.get(url)

    run(scenario)
    assert not origin.asked


def test_another_scheme_is_refused(run):
    async def scenario(session):
        with pytest.raises(
            NonHttpUrlClientError, match=r"^ftp://example\.com/ - ftp:// is not a scheme"
        ):
            await session.get("ftp://example.com/")

    run(scenario)


@pytest.mark.parametrize(
    ("url", "params", "target"),
    [
        pytest.param("http://h/", {"a": "1", "b": 2}, "/?a=1&b=2", id="mapping"),
        pytest.param("http://h/", [("a", "1"), ("a", "2")], "/?a=1&a=2", id="pairs"),
        pytest.param("http://h/", {"a": ["1", "2"]}, "/?a=1&a=2", id="list of values"),
        pytest.param("http://h/", MultiDict([("a", "1"), ("a", "2")]), "/?a=1&a=2", id="multidict"),
        pytest.param("http://h/", "a=b&c=d", "/?a=b&c=d", id="text"),
        pytest.param("http://h/", {"a": "x y&z"}, "/?a=x+y%26z", id="quoted"),
        pytest.param("http://h/?s=%2f", {"a": "1"}, "/?s=%2f&a=1", id="behind what is there"),
        pytest.param("http://h/?a=1", {}, "/?a=1", id="empty"),
        pytest.param("http://h/", iter([("a", "1")]), "/?a=1", id="iterator"),
    ],
)
def test_params(run, origin, url, params, target):
    async def scenario(session):
        await session.get(url, params=params)

    run(scenario)
    assert origin.asked[0].target == target


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("http://h/api/", "users", "/api/users"),
        ("http://h/api/", "/users", "/users"),
        ("http://h/api/", "http://other/x", "/x"),
        ("http://h/", "?q=1", "/?q=1"),
    ],
)
def test_relative_urls_are_relative_to_the_base(run, origin, base, url, expected):
    async def scenario(session):
        await session.get(url)

    run(scenario, base_url=base)
    assert origin.asked[0].target == expected


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        (None, "http://h/y/%2F?sig=a%2Fb&name=ü", "/y/%2F?sig=a%2Fb&name=%C3%BC"),
        (None, "http://h/%7e%zz?a b|%2f#ü", "/%7e%25zz?a+b%7C%2f"),
        ("http://h/api/", "x?sig=a%2Fb%2fc", "/api/x?sig=a%2Fb%2fc"),
        ("http://h/api/", "../%7ex%2f?a%2fb=ü", "/%7ex%2f?a%2fb=%C3%BC"),
        ("http://h/api/", "x?", "/api/x?"),
        ("http://h/api/", "x?#a", "/api/x?"),
        ("http://h/%7e%2f/", "x", "/%7e%2f/x"),
    ],
)
def test_only_what_is_illegal_is_quoted(run, origin, base, url, expected):
    async def scenario(session):
        await session.get(url)
        await session.post(url)

    run(scenario, base_url=base)
    assert [asked.target for asked in origin.asked] == [expected, expected]


@pytest.mark.parametrize(
    "url", ["http://a..b/", "http://.../", f"http://{'a' * 64}.de/", "http://.a/", "http://a../"]
)
def test_a_host_that_is_no_name_is_an_invalid_url(run, origin, memory, url):
    async def scenario(session):
        for coroutine in (
            session.get(url),
            session.ws_connect(url),
            session.get("http://h/", proxy=url),
        ):
            with pytest.raises(InvalidURL, match="a label of the host"):
                await coroutine
        origin.replies(memory.Reply(status=302, headers=[("Location", url)]))
        with pytest.raises(InvalidUrlRedirectClientError):
            await session.get("http://h/")

    run(scenario)


@pytest.mark.parametrize("url", [None, 5, b"http://h/"])
def test_a_url_of_another_type_is_named(run, url):
    async def scenario(session):
        with pytest.raises(TypeError, match="URL must be str or"):
            await session.get(url)

    run(scenario)
    run(scenario, base_url="http://h/")


@pytest.mark.parametrize(
    ("base", "text"), [("/x", "absolute"), ("http://h/x", "trailing"), ("x", "absolute")]
)
def test_a_base_that_is_none_is_refused(run, base, text):
    with pytest.raises(ValueError, match=text):
        run(None, base_url=base)


def test_fields_of_session_and_call(run, origin):
    async def scenario(session):
        await session.get("http://h/", headers={"x-one": "call", "X-Three": "3"})
        await session.get("http://h/")
        session.headers["X-Late"] = "now"
        await session.get("http://h/")

    run(scenario, headers=CIMultiDict([("X-One", "a"), ("X-One", "b"), ("X-Two", "2")]))
    first, second, third = (asked.headers for asked in origin.asked)
    assert first.getall("X-One") == ["call"]
    assert first["X-Two"] == "2"
    assert first["X-Three"] == "3"
    assert second.getall("X-One") == ["a", "b"]
    assert "X-Late" not in second
    assert third["X-Late"] == "now"
    for fields in (first, second, third):
        assert fields["Accept"] == "*/*"
        assert "gzip" in fields["Accept-Encoding"]
        assert "antiphon" in fields["User-Agent"]


def test_automatic_fields_can_be_skipped_and_replaced(run, origin):
    async def scenario(session):
        await session.get("http://h/", skip_auto_headers=["accept"])
        await session.post("http://h/", data=b"x", skip_auto_headers=["Content-Type"])
        await session.get("http://h/", headers={"user-agent": "mine"})

    run(scenario, skip_auto_headers=["User-Agent"])
    first, second, third = (asked.headers for asked in origin.asked)
    assert "Accept" not in first
    assert "User-Agent" not in first
    assert "Accept-Encoding" in first
    assert "Content-Type" not in second
    assert third.getall("User-Agent") == ["mine"]


async def _pieces():
    yield b"one"
    yield b"two"


@pytest.mark.parametrize(
    ("arguments", "body", "content_type", "framing"),
    [
        pytest.param({"data": b"abc"}, b"abc", "application/octet-stream", "body", id="bytes"),
        pytest.param(
            {"data": "äbc"}, "äbc".encode(), "text/plain; charset=utf-8", "body", id="str"
        ),
        pytest.param(
            {"data": bytearray(b"ab")}, b"ab", "application/octet-stream", "body", id="bytearray"
        ),
        pytest.param({"json": {"a": 1}}, b'{"a": 1}', "application/json", "body", id="json"),
        pytest.param(
            {"data": {"a": "b c"}},
            b"a=b+c",
            "application/x-www-form-urlencoded",
            "body",
            id="dict is a form",
        ),
        pytest.param(
            {"data": [("a", "1"), ("a", "2")]},
            b"a=1&a=2",
            "application/x-www-form-urlencoded",
            "body",
            id="pairs are a form",
        ),
        pytest.param(
            {"data": FormData({"a": "1"})},
            b"a=1",
            "application/x-www-form-urlencoded",
            "body",
            id="FormData",
        ),
        pytest.param(
            {"data": io.BytesIO(b"file")},
            b"file",
            "application/octet-stream",
            "length",
            id="BytesIO",
        ),
        pytest.param(
            {"data": b"abc", "chunked": True},
            b"abc",
            "application/octet-stream",
            "chunked",
            id="chunked",
        ),
        pytest.param(
            {"data": b"x" * 70_000},
            b"x" * 70_000,
            "application/octet-stream",
            "length",
            id="large bytes in pieces",
        ),
        pytest.param({"data": b""}, b"", "application/octet-stream", "body", id="empty bytes"),
    ],
)
def test_content(run, origin, arguments, body, content_type, framing):
    async def scenario(session):
        async with session.post("http://h/", **arguments) as response:
            assert response.request_info.headers["Content-Type"].startswith(content_type)

    run(scenario)
    asked = origin.asked[0]
    assert asked.body == body
    assert asked.headers["Content-Type"].startswith(content_type)
    assert asked.chunked == (framing == "chunked")
    assert (asked.length is not None) == (framing == "length")


def test_an_async_iterable_is_chunked(run, origin):
    async def scenario(session):
        await session.post("http://h/", data=_pieces())

    run(scenario)
    assert origin.asked[0].body == b"onetwo"
    assert origin.asked[0].chunked


def test_an_async_iterable_with_a_length_is_not_chunked(run, origin):
    async def scenario(session):
        await session.post("http://h/", data=_pieces(), headers={"Content-Length": "6"})

    run(scenario)
    assert (origin.asked[0].chunked, origin.asked[0].length) == (False, 6)


def test_own_json_serializers(run, origin):
    async def scenario(session):
        await session.post("http://h/", json=[1])

    run(scenario, json_serialize=lambda value: json.dumps({"v": value}))
    run(scenario, json_serialize_bytes=lambda value: b"bytes!")
    assert [asked.body for asked in origin.asked] == [b'{"v": [1]}', b"bytes!"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param({"data": b"x", "json": 1}, "same time", id="data and json"),
        pytest.param(
            {"data": b"abc", "headers": {"Content-Length": "2"}},
            "Content-Length",
            id="wrong length",
        ),
        pytest.param(
            {"headers": {"Content-Length": "2"}}, "Content-Length", id="length of nothing"
        ),
        pytest.param(
            {"data": b"a", "headers": {"Content-Length": "+1"}},
            "one number",
            id="CVE-2024-23829 sign",
        ),
        pytest.param(
            {"data": b"a", "headers": {"Content-Length": "\u0661"}},
            "one number",
            id="CVE-2025-69224 digits",
        ),
        pytest.param(
            {"data": b"a", "headers": [("Content-Length", "1"), ("content-length", "1")]},
            "one number",
            id="CVE-2026-1525 duplicate length",
        ),
        pytest.param(
            {"data": b"a", "chunked": True, "headers": {"Content-Length": "1"}},
            "chunked",
            id="length and chunked",
        ),
        pytest.param(
            {"data": b"a", "headers": {"Content-Length": "1", "Transfer-Encoding": "chunked"}},
            "chunked",
            id="both fields",
        ),
        pytest.param(
            {"data": b"a", "headers": {"Transfer-Encoding": "gzip"}},
            "chunked",
            id="other transfer coding",
        ),
        pytest.param(
            {"data": b"a", "compress": "gzip", "headers": {"Content-Encoding": "br"}},
            "Content-Encoding",
            id="coded twice",
        ),
        pytest.param({"data": b"a", "compress": "lzma"}, "lzma", id="unknown coding"),
        pytest.param({"headers": {"X": "a\r\nEvil: 1"}}, "not allowed", id="CR LF in a value"),
        pytest.param({"headers": {"X\r\nEvil": "1"}}, "not allowed", id="CR LF in a name"),
        pytest.param({"cookies": {"a": "b\r\nEvil: 1"}}, None, id="CR LF in a cookie"),
    ],
)
def test_what_contradicts_itself_is_refused(run, origin, arguments, text):
    async def scenario(session):
        if text is None:
            await session.post("http://h/", **arguments)
            return
        with pytest.raises(ValueError, match=text):
            await session.post("http://h/", **arguments)

    run(scenario)
    if text is None:
        assert "\r" not in origin.asked[0].headers["Cookie"]
    else:
        assert not origin.asked


@pytest.mark.parametrize("compress", [True, "deflate", "gzip", "br", "zstd"])
def test_compressed_content(run, origin, compress):
    from antiphon.core import coding

    name = "deflate" if compress is True else compress
    if name not in coding.available_codings():
        pytest.skip(f"no {name} here")
    content = b"hello " * 40_000

    async def scenario(session):
        await session.post("http://h/", data=content, compress=compress)

    run(scenario)
    asked = origin.asked[0]
    assert asked.headers["Content-Encoding"] == name
    assert asked.chunked
    assert len(asked.body) < len(content)
    assert coding.decoder(name).decompress(asked.body, 10**7) == content


def test_an_unknown_argument_is_a_type_error(run):
    async def scenario(session):
        with pytest.raises(TypeError, match="verfy"):
            await session.get("http://h/", verfy=False)

    run(scenario)


def test_requests_to_one_origin_share_a_connection(run, origin):
    async def scenario(session):
        for _ in range(5):
            async with session.get("http://h/") as response:
                await response.read()

    run(scenario)
    assert len(origin.connections) == 1


def test_a_forwarding_proxy_gets_the_absolute_form_and_its_own_fields(run, origin):
    async def scenario(session):
        await session.get(
            "http://h/path?q", proxy="http://user:secret@proxy:3128", proxy_headers={"X-P": "1"}
        )

    run(scenario)
    asked = origin.asked[0]
    assert asked.target == "http://h/path?q"
    assert asked.headers["Proxy-Authorization"].startswith("Basic ")
    assert asked.headers["X-P"] == "1"
    assert origin.keys[0].proxy == URL("http://proxy:3128")


def test_proxy_credentials_do_not_go_to_the_host_through_a_tunnel(run, origin):
    """CVE-2023-32681, CVE-2018-1000007: they belong to CONNECT."""

    async def scenario(session):
        await session.get("https://h/", proxy="http://user:secret@proxy:3128")

    run(scenario)
    assert "Proxy-Authorization" not in origin.asked[0].headers
    assert dict(origin.keys[0].proxy_headers)["Proxy-Authorization"].startswith("Basic ")


def test_the_get_of_a_task(run, origin):
    import asyncio

    async def scenario(session):
        task = asyncio.create_task(session.get("http://h/"))
        response = await task
        assert response.status == 200
        both = await asyncio.gather(session.get("http://h/1"), session.get("http://h/2"))
        assert [response.status for response in both] == [200, 200]

    run(scenario)


def test_arguments_may_be_iterators(run, origin, memory):
    origin.replies(
        memory.Reply(),
        memory.Reply(),
        memory.Reply(status=302, headers=[("Location", "/next")]),
        memory.Reply(),
    )

    async def pass_on(request, handler):
        return await handler(request)

    async def scenario(session):
        pairs = [("q", "1"), ("r", "2")]
        # The short way gives up after it has looked at the parameters.
        await session.get("http://h/", params=iter(pairs), headers=CIMultiDict(A="1"))
        await session.get("http://u:p@h/", params=(pair for pair in pairs))
        await session.get(
            "http://h/redirects",
            headers=zip(["X-A", "X-B"], ["1", "2"], strict=True),
            cookies=iter([("c", "3")]),
            skip_auto_headers=iter(["User-Agent"]),
            middlewares=iter([pass_on]),
        )

    run(scenario)
    assert [asked.target for asked in origin.asked] == ["/?q=1&r=2"] * 2 + ["/redirects", "/next"]
    for asked in origin.asked[2:]:
        found = [asked.headers.get(name) for name in ("X-A", "X-B", "Cookie", "User-Agent")]
        assert found == ["1", "2", "c=3", None]


def test_the_jar_of_a_session_stays_the_same(run):
    async def scenario(session):
        kept = session.cookie_jar
        with pytest.raises(AttributeError):
            session.cookie_jar = CookieJar()
        assert session.cookie_jar is kept

    run(scenario)


def test_a_forgotten_await_is_named(run, origin):
    async def scenario(session):
        context = session.get("http://h/")
        with pytest.raises(AttributeError, match="'status': it is no response yet, await it"):
            _ = context.status
        async with context as response:
            assert response.status == 200

    run(scenario)


@pytest.mark.parametrize("name", ["", "a b"])
def test_a_name_that_no_cookie_has_is_refused(run, origin, name):
    async def scenario(session):
        with pytest.raises(ValueError, match="not a cookie's name"):
            await session.get("http://h/", cookies={name: "v"})

    run(scenario)
    assert not origin.asked
