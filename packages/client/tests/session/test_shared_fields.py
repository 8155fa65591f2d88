"""Sets of fields that calls have in common are made once, and nobody can tell."""

import pytest
from multidict import CIMultiDict
from yarl import URL

from antiphon.client._session_headers import SessionHeaders

URL_ASKED = "http://example.com/"

CALLS = [
    pytest.param({}, id="no arguments"),
    pytest.param({"headers": {"X-Token": "abc"}}, id="own fields"),
    pytest.param({"headers": {"user-agent": "own"}}, id="an automatic field in another case"),
    pytest.param({"headers": {"X-Session": "mine"}}, id="a field of the session"),
    pytest.param({"headers": {"Cookie": "a=b"}}, id="a cookie field"),
    pytest.param({"headers": {"Cookie": "a=b", "cookie": "c=d"}}, id="two cookie fields"),
    pytest.param({"headers": {"Host": "other.example"}}, id="a host"),
    pytest.param({"headers": {}}, id="no fields after all"),
    pytest.param({"headers": None, "params": None}, id="None is as good as nothing"),
    pytest.param({"headers": CIMultiDict([("A", "1"), ("a", "2")])}, id="two of one name"),
    pytest.param({"headers": [("A", "1"), ("A", "2")]}, id="pairs"),
    pytest.param({"params": {"q": "1 2"}}, id="parameters"),
    pytest.param({"params": [("q", 1), ("q", 2)], "headers": {"A": "1"}}, id="both"),
    pytest.param({"headers": {"Content-Length": "0"}}, id="a field that is looked at"),
]


@pytest.mark.parametrize("cookies", [{}, {"kept": "1"}], ids=["empty jar", "cookies"])
@pytest.mark.parametrize("arguments", CALLS)
def test_the_short_way_sends_what_the_long_way_sends(run, origin, arguments, cookies):
    async def scenario(session):
        session.cookie_jar.update_cookies(cookies, URL(URL_ASKED))
        for _ in range(2):
            async with session.get(URL_ASKED, **arguments):
                pass
        # An argument that changes nothing, but that the short way does not know.
        async with session.get(URL_ASKED, expect100=False, **arguments):
            pass

    run(scenario, headers={"X-Session": "yes"})
    first, again, long = origin.asked
    for asked in (first, again):
        assert asked.target == long.target
        assert sorted(asked.headers.items()) == sorted(long.headers.items())
    assert first.connection is again.connection is long.connection


def test_the_same_fields_are_the_same_object(run, origin):
    async def scenario(session):
        session.cookie_jar.update_cookies({"kept": "1"}, URL(URL_ASKED))
        for _ in range(2):
            async with session.get(URL_ASKED, headers={"X-Token": "abc"}):
                pass

    run(scenario)
    first, again = origin.asked
    assert first.head.headers is again.head.headers  # a connection writes them once


def test_fields_changed_by_their_owner_are_sent_changed(run, origin):
    own = {"X-Token": "first"}

    async def scenario(session):
        async with session.get(URL_ASKED, headers=own):
            pass
        own["X-Token"] = "second"
        async with session.get(URL_ASKED, headers=own):
            pass
        session.headers["X-Session"] = "late"
        async with session.get(URL_ASKED, headers=own):
            pass
        session.cookie_jar.update_cookies({"kept": "1"}, URL(URL_ASKED))
        async with session.get(URL_ASKED, headers=own):
            pass
        session.cookie_jar.update_cookies({"kept": "2"}, URL(URL_ASKED))
        async with session.get(URL_ASKED, headers=own):
            pass

    run(scenario)
    names = ("X-Token", "X-Session", "Cookie")
    assert [tuple(asked.headers.get(name) for name in names) for asked in origin.asked] == [
        ("first", None, None),
        ("second", None, None),
        ("second", "late", None),
        ("second", "late", "kept=1"),
        ("second", "late", "kept=2"),
    ]


def test_what_is_done_to_one_request_stays_with_it(run, origin):
    async def scenario(session):
        async with session.get(URL_ASKED, headers={"A": "1"}) as response:
            assert response.request_info.headers["A"] == "1"
            response._request.headers["A"] = "changed"
        async with session.get(URL_ASKED, headers={"A": "1"}):
            pass

    run(scenario)
    assert origin.asked[1].headers["A"] == "1"


def test_fields_that_are_not_allowed_are_refused_every_time(run, origin):
    async def scenario(session):
        for _ in range(2):
            with pytest.raises(ValueError, match="not allowed"):
                await session.get(URL_ASKED, headers={"A": "1\r\nB: 2"})

    run(scenario)
    assert not origin.asked


@pytest.mark.parametrize("value", [None, b"b", 1, True])
def test_a_value_that_is_no_text_is_refused_by_name(run, origin, value):
    async def scenario(session):
        for method in ("get", "post"):
            with pytest.raises(TypeError, match="header X-Odd: the value must be str"):
                await getattr(session, method)(URL_ASKED, headers={"X-Odd": value})
        with pytest.raises(TypeError, match="header X-Odd"):
            await session.get(URL_ASKED, proxy="http://p/", proxy_headers={"X-Odd": value})
        session.headers["X-Late"] = value
        with pytest.raises(TypeError, match="header X-Late"):
            await session.get(URL_ASKED)

    run(scenario)
    assert not origin.asked
    with pytest.raises(TypeError, match="header X-Odd"):
        SessionHeaders({"X-Odd": value}, None, {})


def test_own_fields_follow_redirects_and_credentials_do_not(run, origin, memory):
    origin.replies(
        memory.Reply(status=302, headers=[("Location", "http://other.example/")]),
        memory.Reply(),
    )

    async def scenario(session):
        headers = {"Authorization": "Basic eDp5", "X-Trace": "abc"}
        async with session.get(URL_ASKED, headers=headers):
            pass

    run(scenario)
    first, second = origin.asked
    assert first.headers["Authorization"] == "Basic eDp5"
    assert "Authorization" not in second.headers
    assert second.headers["X-Trace"] == "abc"


def test_fields_that_are_always_new_are_not_kept():
    shared = SessionHeaders(None, None, {"Accept": "*/*"})
    for number in range(1000):
        found = shared.complete_with({"X-Request": str(number)})
        assert found == {"X-Request": str(number), "Accept": "*/*"}
    assert len(shared._shared) <= 32
