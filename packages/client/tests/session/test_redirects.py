"""Which request follows a redirect, and what does not go along."""

import io

import pytest
from multidict import CIMultiDict
from yarl import URL

from antiphon.client._target import resolve
from antiphon.client.errors import (
    ClientPayloadError,
    InvalidUrlRedirectClientError,
    NonHttpUrlRedirectClientError,
    TooManyRedirects,
)
from antiphon.client.redirects import carried_headers, next_hop
from antiphon.core.fields.basic_auth import encode_basic_auth


@pytest.mark.parametrize(
    ("status", "method", "expected", "drops"),
    [
        (301, "GET", "GET", False),
        (301, "HEAD", "HEAD", False),
        (301, "POST", "GET", True),
        (301, "PUT", "PUT", False),
        (302, "GET", "GET", False),
        (302, "POST", "GET", True),
        (302, "DELETE", "DELETE", False),
        (303, "GET", "GET", False),
        (303, "HEAD", "HEAD", False),
        (303, "POST", "GET", True),
        (303, "PUT", "GET", True),
        (303, "DELETE", "GET", True),
        (307, "POST", "POST", False),
        (307, "GET", "GET", False),
        (308, "POST", "POST", False),
        (308, "PATCH", "PATCH", False),
    ],
)
def test_method_and_content(status, method, expected, drops):
    hop = next_hop(status, method, resolve("http://h/"), "/x")
    assert (hop.method, hop.drops_content) == (expected, drops)


@pytest.mark.parametrize(
    ("location", "url", "origin_form"),
    [
        pytest.param("/b", "http://h/b", "/b", id="path"),
        pytest.param("b", "http://h/dir/b", "/dir/b", id="relative path"),
        pytest.param("../b", "http://h/b", "/b", id="up"),
        pytest.param("?q=1", "http://h/dir/a?q=1", "/dir/a?q=1", id="query"),
        pytest.param("//other/x", "http://other/x", "/x", id="network path"),
        pytest.param("https://other:8443/x?y", "https://other:8443/x?y", "/x?y", id="absolute"),
        pytest.param("/b#new", "http://h/b#new", "/b", id="own fragment"),
        pytest.param("/b%2Fc?s=%7e", "http://h/b%2Fc?s=%7e", "/b%2Fc?s=%7e", id="escapes stay"),
        pytest.param("/a b", "http://h/a%20b", "/a%20b", id="space is quoted"),
        pytest.param("/ü", "http://h/%C3%BC", "/%C3%BC", id="not ASCII is quoted"),
        pytest.param("/\udcfcber", "http://h/%FCber", "/%FCber", id="bytes that are no text"),
        pytest.param(" /b\t", "http://h/b", "/b", id="white space around"),
        pytest.param("HTTP://OTHER/x", "http://other/x", "/x", id="upper case"),
    ],
)
def test_where_it_leads(location, url, origin_form):
    hop = next_hop(302, "GET", resolve("http://h/dir/a"), location)
    assert str(hop.target.real_url) == url
    assert hop.target.origin_form == origin_form


def test_a_fragment_is_inherited():
    hop = next_hop(302, "GET", resolve("http://h/a#part"), "/b")
    assert str(hop.target.real_url) == "http://h/b#part"


def test_requoting_can_be_switched_off():
    hop = next_hop(302, "GET", resolve("http://h/a"), "/b%2f|{}", requote=False)
    assert hop.target.origin_form == "/b%2f|{}"
    with pytest.raises(InvalidUrlRedirectClientError):
        next_hop(302, "GET", resolve("http://h/a"), "/b c", requote=False)


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("http:/path", id="a scheme and no host"),
        pytest.param("http:path", id="a scheme and no slash"),
        pytest.param("http://", id="no host"),
        pytest.param("http:///path", id="empty host"),
        pytest.param("http://[::1", id="broken IPv6"),
        pytest.param("http://h:99999/", id="port out of range"),
        pytest.param("http://127.1/", id="odd IPv4"),
        pytest.param("http://0177.0.0.1/", id="octal IPv4"),
        pytest.param("http://h\\@evil/", id="backslash"),
        pytest.param("//", id="network path without host"),
        pytest.param("http://a b/", id="space in the host"),
    ],
)
def test_a_malformed_target_is_refused(location):
    with pytest.raises(InvalidUrlRedirectClientError):
        next_hop(302, "GET", resolve("http://h/"), location)


@pytest.mark.parametrize(
    "location", ["ftp://h/", "file:///etc/passwd", "javascript:alert(1)", "mailto:a@b", "ws://h/"]
)
def test_another_scheme_is_refused(location):
    with pytest.raises(NonHttpUrlRedirectClientError):
        next_hop(302, "GET", resolve("http://h/"), location)


_CARRIED = [
    ("Accept", "1"),
    ("Host", "virtual"),
    ("Authorization", "a"),
    ("authorization", "b"),
    ("Cookie", "a=1"),
    ("COOKIE", "b=2"),
    ("Proxy-Authorization", "p"),
    ("X-Api-Key", "k"),
    ("PRIVATE-TOKEN", "t"),
    ("X-Auth-Token", "t"),
    ("X-Amz-Security-Token", "t"),
    ("X-Csrf-Token", "t"),
    ("X-Request-Id", "7"),
    ("Content-Type", "text/plain"),
    ("Content-Encoding", "gzip"),
    ("Content-Length", "3"),
    ("Transfer-Encoding", "chunked"),
    ("Expect", "100-continue"),
]
_CONTENT = {"content-type", "content-encoding", "expect"}
_SECRET = {
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "private-token",
    "x-auth-token",
    "x-amz-security-token",
    "x-csrf-token",
    "host",
}


@pytest.mark.parametrize(
    ("origin_url", "location", "gone"),
    [
        pytest.param("http://h/", "/x", set(), id="same origin"),
        pytest.param("http://h:80/", "http://H/x", set(), id="same origin, other spelling"),
        pytest.param(
            "http://h/",
            "http://other/",
            _SECRET,
            id="CVE-2018-20060 CVE-2023-43804 CVE-2024-37891 CVE-2023-45143 CVE-2024-24758 "
            "CVE-2024-30260 CVE-2025-4673 other host",
        ),
        pytest.param("https://h/", "http://h/", _SECRET, id="CVE-2018-18074 https to http"),
        pytest.param("http://h/", "https://h/", _SECRET, id="http to https"),
        pytest.param("http://h/", "http://h:8080/", _SECRET, id="other port"),
        pytest.param(
            "http://example.com/", "http://sub.example.com/", _SECRET, id="CVE-2023-45289 subdomain"
        ),
        pytest.param("http://h/", "//other/", _SECRET, id="CVE-2026-34518 network path"),
    ],
)
@pytest.mark.parametrize("status", [307, 303])
def test_what_goes_along(origin_url, location, gone, status):
    """Every one of a name or none: aiohttp#13180, CVE-2018-25091 (letter case)."""
    hop = next_hop(status, "POST", resolve(origin_url), location)
    carried = carried_headers(CIMultiDict(_CARRIED), hop)
    expected = [
        (name, value)
        for name, value in _CARRIED
        if name.lower() not in gone
        and name.lower() not in ("content-length", "transfer-encoding")
        and not (status == 303 and name.lower() in _CONTENT)
    ]
    assert sorted(carried.items()) == sorted(expected)


# -- end to end


def moved(reply, location, status=302, **kwargs):
    return reply(status=status, headers=[("Location", location)], **kwargs)


def test_history_and_urls(run, origin, memory):
    origin.replies(
        moved(memory.Reply, "/b", 301),
        moved(memory.Reply, "http://other/c"),
        memory.Reply(body=b"end"),
    )

    async def scenario(session):
        async with session.get("http://h/a#f") as response:
            assert await response.read() == b"end"
            assert [str(r.url) for r in response.history] == ["http://h/a", "http://h/b"]
            assert [r.status for r in response.history] == [301, 302]
            assert response.url == URL("http://other/c")
            assert str(response.real_url) == "http://other/c#f"

    run(scenario)
    assert [asked.target for asked in origin.asked] == ["/a", "/b", "/c"]
    assert len(origin.connections) == 2


def test_redirects_can_be_left_alone(run, origin, memory):
    origin.script = lambda asked: moved(memory.Reply, "/x")

    async def scenario(session):
        for response in (
            await session.get("http://h/", allow_redirects=False),
            await session.head("http://h/"),
        ):
            assert response.status == 302

    run(scenario)
    assert len(origin.asked) == 2


@pytest.mark.parametrize("status", [300, 304, 305, 306])
def test_other_statuses_are_no_redirects(run, origin, memory, status):
    origin.script = lambda asked: moved(memory.Reply, "/x", status)

    async def scenario(session):
        assert (await session.get("http://h/")).status == status

    run(scenario)


def test_a_redirect_without_location_is_the_answer(run, origin, memory):
    origin.replies(memory.Reply(status=302))

    async def scenario(session):
        assert (await session.get("http://h/")).status == 302

    run(scenario)


def test_a_loop_ends(run, origin, memory):
    origin.script = lambda asked: moved(memory.Reply, "/")

    async def scenario(session):
        with pytest.raises(TooManyRedirects) as info:
            await session.get("http://h/", max_redirects=3)
        assert len(info.value.history) == 3
        assert info.value.status == 302

    run(scenario)
    assert len(origin.asked) == 3


def test_any_number_of_redirects(run, origin, memory):
    origin.replies(*[moved(memory.Reply, "/") for _ in range(30)], memory.Reply())

    async def scenario(session):
        assert (await session.get("http://h/", max_redirects=0)).status == 200

    run(scenario)


def test_credentials_do_not_come_back_by_a_detour(run, origin, memory):
    """CVE-2024-45336: h -> other -> h; CVE-2026-47265 per-request cookies; CVE-2026-49853."""
    origin.replies(
        moved(memory.Reply, "http://other/"), moved(memory.Reply, "http://h/back"), memory.Reply()
    )

    async def scenario(session):
        await session.get(
            "http://h/",
            headers={"Authorization": "secret", "X-Api-Key": "k"},
            cookies={"own": "1"},
        )

    run(scenario, headers={"Proxy-Authorization": "p", "X-Plain": "1"})
    first, second, third = (asked.headers for asked in origin.asked)
    assert first["Authorization"] == "secret"
    assert first["Cookie"] == "own=1"
    for fields in (second, third):
        assert not {"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"} & set(fields)
        assert fields["X-Plain"] == "1"


def test_per_request_cookies_follow_within_an_origin(run, origin, memory):
    origin.replies(moved(memory.Reply, "/b"), memory.Reply())

    async def scenario(session):
        await session.get("http://h/", cookies={"own": "1"}, headers={"Authorization": "s"})

    run(scenario)
    assert origin.asked[1].headers["Cookie"] == "own=1"
    assert origin.asked[1].headers["Authorization"] == "s"


def test_credentials_of_the_url_stay_with_it(run, origin, memory):
    origin.replies(moved(memory.Reply, "http://other/"), memory.Reply())

    async def scenario(session):
        response = await session.get("http://user:pass@h/")
        assert response.url == URL("http://other/")
        assert response.history[0].url == URL("http://h/")

    run(scenario)
    assert origin.asked[0].headers["Authorization"] == encode_basic_auth("user", "pass")
    assert "Authorization" not in origin.asked[1].headers


def test_a_url_with_a_user_replaces_what_was_carried(run, origin, memory):
    origin.replies(moved(memory.Reply, "http://new:one@h/"), memory.Reply())

    async def scenario(session):
        await session.get("http://h/", headers={"Authorization": "old"})

    run(scenario)
    assert origin.asked[1].headers.getall("Authorization") == [encode_basic_auth("new", "one")]


def test_cookies_of_the_jar_go_where_they_belong(run, origin, memory):
    """CVE-2015-2296: a cookie belongs to who set it, not to the redirect's target."""
    origin.replies(
        memory.Reply(
            status=302, headers=[("Location", "http://b.example/"), ("Set-Cookie", "from=a")]
        ),
        memory.Reply(status=302, headers=[("Location", "http://a.example/")]),
        memory.Reply(),
    )

    async def scenario(session):
        await session.get("http://a.example/")

    run(scenario)
    cookies = [asked.headers.get("Cookie") for asked in origin.asked]
    assert cookies == [None, None, "from=a"]


def test_content_is_dropped_with_its_fields(run, origin, memory):
    """CVE-2023-45803."""
    origin.replies(moved(memory.Reply, "/b", 303), memory.Reply())

    async def scenario(session):
        await session.post("http://h/", data=b"secret", headers={"Content-Language": "en"})

    run(scenario)
    asked = origin.asked[1]
    assert (asked.method, asked.body) == ("GET", b"")
    assert not [name for name in asked.headers if name.lower().startswith("content-")]


@pytest.mark.parametrize(
    "make",
    [lambda: b"body", lambda: io.BytesIO(b"body"), lambda: {"a": "b"}],
    ids=["bytes", "file", "form"],
)
def test_content_is_sent_again(run, origin, memory, make):
    origin.replies(moved(memory.Reply, "/b", 307), memory.Reply())

    async def scenario(session):
        await session.post("http://h/", data=make())

    run(scenario)
    first, second = origin.asked
    assert first.body == second.body != b""
    assert first.headers["Content-Type"] == second.headers["Content-Type"]


def test_compressed_content_is_sent_again(run, origin, memory):
    origin.replies(moved(memory.Reply, "/b", 308), memory.Reply())

    async def scenario(session):
        await session.post("http://h/", data=b"x" * 100, compress="gzip")

    run(scenario)
    first, second = origin.asked
    assert second.headers.getall("Content-Encoding") == ["gzip"]
    assert first.body[10:] == second.body[10:] != b""


@pytest.mark.parametrize("status", [307, 308])
def test_consumed_content_is_not_sent_as_nothing(run, origin, memory, status):
    origin.replies(moved(memory.Reply, "/b", status), memory.Reply())

    async def pieces():
        yield b"once"

    async def scenario(session):
        with pytest.raises(ClientPayloadError, match="cannot be sent twice"):
            await session.post("http://h/", data=pieces())

    run(scenario)
    assert len(origin.asked) == 1


def test_params_are_for_the_first_request(run, origin, memory):
    origin.replies(moved(memory.Reply, "/b"), memory.Reply())

    async def scenario(session):
        await session.get("http://h/", params={"a": "1"})

    run(scenario)
    assert [asked.target for asked in origin.asked] == ["/?a=1", "/b"]


def test_a_redirect_whose_content_has_not_come_does_not_wait_for_it(run, origin, memory):
    """CVE-2026-21441: nothing is inflated or drained to follow a redirect."""
    origin.replies(moved(memory.Reply, "/b", keep_open=True, body=b"x"), memory.Reply())

    async def scenario(session):
        assert (await session.get("http://h/")).status == 200

    run(scenario)
    assert len(origin.connections) == 2
    assert origin.connections[0].closed
