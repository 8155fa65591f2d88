"""A jar keeps what a server may set, and sends it where it belongs (RFC 6265bis)."""

import random
import timeit
from http.cookies import BaseCookie, SimpleCookie

import pytest
from yarl import URL

from antiphon.client.cookiejar import (
    MAX_COOKIES,
    MAX_COOKIES_PER_DOMAIN,
    MAX_SENT,
    MAX_SENT_SIZE,
    AbstractCookieJar,
    CookieJar,
    DummyCookieJar,
)
from antiphon.core.deprecations import AntiphonDeprecationWarning


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def jar_with(
    *set_cookies: str, url: str = "http://www.example.com/", **options: object
) -> CookieJar:
    jar = CookieJar(**options)  # type: ignore[arg-type]  # as the test says
    jar.update_from_headers(set_cookies, URL(url))
    return jar


def both_ways(jar: CookieJar, url: str) -> str:
    """The ``Cookie`` field; `filter_cookies` must not say anything else."""
    header = jar.header_for(URL(url))
    assert jar.header_for(URL(url)) == header, "asked again, from memory"
    filtered = jar.filter_cookies(URL(url))
    names = [pair.partition("=")[0] for pair in header.split("; ") if pair]
    assert list(dict.fromkeys(names)) == [morsel.key for morsel in filtered.values()]
    return header


@pytest.mark.parametrize(
    ("set_cookie", "at", "to", "sent"),
    [
        pytest.param("a=b", "http://h.com/", "http://h.com/", True, id="same host"),
        pytest.param("a=b", "http://h.com/", "https://h.com/", True, id="http to https"),
        pytest.param("a=b", "http://h.com/", "http://h.com:8080/", True, id="ports do not matter"),
        pytest.param("a=b", "http://h.com/", "http://x.h.com/", False, id="host only"),
        pytest.param("a=b", "http://h.com/", "http://xh.com/", False, id="host with this ending"),
        pytest.param("a=b; Domain=h.com", "http://h.com/", "http://x.h.com/", True, id="domain"),
        pytest.param(
            "a=b; Domain=.h.com", "http://h.com/", "http://x.h.com/", True, id="dot first"
        ),
        pytest.param("a=b; Domain=h.com", "http://h.com/", "http://xh.com/", False, id="no dot"),
        pytest.param(
            "a=b; Domain=H.CoM", "http://x.h.com/", "http://y.h.com/", True, id="domain in any case"
        ),
        pytest.param("a=b", "http://H.com/", "http://h.COM/", True, id="host in any case"),
        pytest.param("a=b; Domain=x.h.com", "http://h.com/", "http://x.h.com/", False, id="child"),
        pytest.param("a=b; Domain=o.com", "http://h.com/", "http://o.com/", False, id="foreign"),
        pytest.param("a=b; Domain=h.com.", "http://h.com/", "http://h.com/", False, id="last dot"),
        pytest.param("a=b; Domain=com", "http://h.com/", "http://o.com/", False, id="one label"),
        pytest.param(
            "a=b; Domain=localhost", "http://localhost/", "http://localhost/", True, id="localhost"
        ),
        pytest.param("a=b; Domain=", "http://h.com/", "http://h.com/", True, id="empty domain"),
        pytest.param("a=b; Path=/x", "http://h.com/", "http://h.com/x/y", True, id="path below"),
        pytest.param("a=b; Path=/x", "http://h.com/", "http://h.com/xy", False, id="path beside"),
        pytest.param("a=b; Path=/x/", "http://h.com/", "http://h.com/x", False, id="path above"),
        pytest.param("a=b; Path=x", "http://h.com/q/w", "http://h.com/q/z", True, id="odd path"),
        pytest.param("a=b", "http://h.com/q/w", "http://h.com/q/z", True, id="default path"),
        pytest.param("a=b", "http://h.com/q/w", "http://h.com/z", False, id="not its path"),
        pytest.param("a=b; Secure", "https://h.com/", "http://h.com/", False, id="secure to http"),
        pytest.param("a=b; Secure", "https://h.com/", "wss://h.com/", True, id="secure to wss"),
        pytest.param(
            "a=b; Secure", "http://h.com/", "https://h.com/", False, id="secure from http"
        ),
        pytest.param("a=b; HttpOnly", "http://h.com/", "http://h.com/", True, id="http only"),
        pytest.param("a=b; Max-Age=0", "http://h.com/", "http://h.com/", False, id="no age"),
        pytest.param("a=b; Max-Age=-1", "http://h.com/", "http://h.com/", False, id="negative age"),
        pytest.param("a=b; Max-Age=x", "http://h.com/", "http://h.com/", True, id="bad age"),
        pytest.param(
            "a=b; Max-Age=" + "9" * 500, "http://h.com/", "http://h.com/", True, id="huge age"
        ),
        pytest.param(
            "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "http://h.com/",
            "http://h.com/",
            False,
            id="1970 deletes",
        ),
        pytest.param(
            "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60",
            "http://h.com/",
            "http://h.com/",
            True,
            id="the age counts more",
        ),
        pytest.param(
            "__Secure-a=b; Secure", "https://h.com/", "https://h.com/", True, id="__Secure-"
        ),
        pytest.param("__Secure-a=b", "https://h.com/", "https://h.com/", False, id="not secure"),
        pytest.param(
            "__Host-a=b; Secure; Path=/", "https://h.com/", "https://h.com/", True, id="__Host-"
        ),
        pytest.param("__Host-a=b", "https://h.com/", "https://h.com/", False, id="a bare __Host-"),
        pytest.param(
            "__host-a=b; Secure; Path=/; Domain=h.com",
            "https://h.com/",
            "https://h.com/",
            False,
            id="__Host- with a domain",
        ),
        pytest.param("a=b", "http://127.0.0.1/", "http://127.0.0.1/", False, id="IPv4"),
        pytest.param("a=b", "http://[::1]/", "http://[::1]/", False, id="IPv6"),
        pytest.param("a=" + "x" * 4095, "http://h.com/", "http://h.com/", True, id="4096 bytes"),
        pytest.param("a=" + "x" * 4096, "http://h.com/", "http://h.com/", False, id="4097 bytes"),
    ],
)
def test_where_a_cookie_goes(set_cookie: str, at: str, to: str, sent: bool) -> None:
    assert bool(both_ways(jar_with(set_cookie, url=at), to)) is sent


@pytest.mark.parametrize(
    ("set_cookie", "at", "to", "sent"),
    [
        pytest.param("a=b", "http://127.0.0.1/", "http://127.0.0.1/", True, id="IPv4"),
        pytest.param("a=b", "http://[::1]/", "http://[::1]/", True, id="IPv6"),
        pytest.param(
            "a=b; Domain=127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1/", True, id="d"
        ),
        pytest.param(
            "a=b; Domain=0.0.1", "http://127.0.0.1/", "http://127.0.0.1/", False, id="part"
        ),
    ],
)
def test_unsafe_jars_keep_cookies_of_addresses(
    set_cookie: str, at: str, to: str, sent: bool
) -> None:
    assert bool(both_ways(jar_with(set_cookie, url=at, unsafe=True), to)) is sent


@pytest.mark.parametrize(
    "value", ["b", '"b"', '"b c"', "b=c", 'x"y', "b,c", "é", "%22", '"a\\054b"', ""]
)
def test_a_value_goes_back_as_it_came(value: str) -> None:
    assert jar_with(f"a={value}").header_for(URL("http://www.example.com/")) == f"a={value}"


def test_without_quoting_the_text_between_the_quotes_goes() -> None:
    jar = jar_with('a="b c"', quote_cookie=False)
    assert jar.header_for(URL("http://www.example.com/")) == "a=b c"
    assert jar.quote_cookie is False


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(r'"x\073 __Host-session=evil"', id="another cookie"),
        pytest.param(r'"x\012Evil: 1"', id="another field"),
        pytest.param(r'"x\177"', id="a control"),
        pytest.param(r'"a\054b"', id="a comma"),
        pytest.param(r'"a\"b"', id="a quote"),
        pytest.param(r'"a\\b"', id="a backslash"),
    ],
)
def test_what_no_value_may_contain_stays_between_quotes(value: str) -> None:
    jar = jar_with(f"a={value}", "b=1", quote_cookie=False)
    assert both_ways(jar, "http://www.example.com/") == f"a={value}; b=1"
    assert jar.filter_cookies(URL("http://www.example.com/"))["a"].coded_value == value


def test_longer_paths_first_then_the_older_cookie() -> None:
    jar = jar_with("c=3; Path=/", "a=1; Path=/x", "b=2; Path=/x/y", "d=4; Path=/")
    assert jar.header_for(URL("http://www.example.com/x/y")) == "b=2; a=1; c=3; d=4"


def test_an_update_keeps_its_place() -> None:
    jar = jar_with("a=1", "b=2", "a=3")
    assert jar.header_for(URL("http://www.example.com/")) == "a=3; b=2"


def test_one_name_at_two_paths_both_go() -> None:
    jar = jar_with("a=1; Path=/", "a=2; Path=/x")
    assert jar.header_for(URL("http://www.example.com/x")) == "a=2; a=1"
    assert {
        m.key: m.value for m in jar.filter_cookies(URL("http://www.example.com/x")).values()
    } == {"a": "2"}


def test_an_insecure_origin_cannot_hide_a_secure_cookie() -> None:
    jar = jar_with("sid=good; Secure; Domain=example.com", url="https://www.example.com/")
    jar.update_from_headers(
        ["sid=bad; Domain=example.com", "sid=bad"], URL("http://x.example.com/")
    )
    assert len(jar) == 1
    jar.update_from_headers(["sid=other"], URL("http://example.org/"))
    assert len(jar) == 2


def test_a_secure_cookie_that_is_gone_hides_nothing() -> None:
    jar = jar_with("sid=good; Secure", url="https://h.com/")
    jar.update_from_headers(["sid=; Max-Age=0; Secure"], URL("https://h.com/"))
    jar.update_from_headers(["sid=plain"], URL("http://h.com/"))
    assert jar.header_for(URL("http://h.com/")) == "sid=plain"


class TestTime:
    def test_a_cookie_ends(self) -> None:
        clock = Clock()
        jar = jar_with("a=1; Max-Age=60", "b=2", clock=clock)
        clock.now += 59.9
        assert both_ways(jar, "http://www.example.com/") == "a=1; b=2"
        clock.now += 0.2
        assert both_ways(jar, "http://www.example.com/") == "b=2"
        assert len(jar) == 1

    def test_none_lives_longer_than_400_days(self) -> None:
        clock = Clock()
        jar = jar_with("a=1; Max-Age=999999999", clock=clock)
        clock.now += 400 * 24 * 3600 - 1
        assert len(jar) == 1
        clock.now += 2
        assert len(jar) == 0

    def test_a_deletion_takes_the_cookie_with_the_same_place_only(self) -> None:
        jar = jar_with("a=1", "a=2; Path=/x", "a=3; Domain=example.com")
        jar.update_from_headers(["a=; Max-Age=0"], URL("http://www.example.com/"))
        assert jar.header_for(URL("http://www.example.com/x")) == "a=2; a=3"


class TestLimits:
    def test_a_domain_has_its_share(self) -> None:
        jar = CookieJar()
        for number in range(1000):
            jar.update_from_headers([f"c{number}=v"], URL("http://h.com/"))
            assert len(jar) <= MAX_COOKIES_PER_DOMAIN
        assert "c999=v" in jar.header_for(URL("http://h.com/"))
        assert "c0=v" not in jar.header_for(URL("http://h.com/"))

    def test_one_response_with_very_many_cookies(self) -> None:
        jar = jar_with(*(f"c{number}=v" for number in range(1000)))
        assert len(jar) <= MAX_COOKIES_PER_DOMAIN

    def test_the_jar_has_an_end(self) -> None:
        jar = CookieJar()
        for number in range(2 * MAX_COOKIES):
            jar.update_from_headers(["c=v"], URL(f"http://h{number}.com/"))
            assert len(jar) <= MAX_COOKIES
        assert jar.header_for(URL(f"http://h{2 * MAX_COOKIES - 1}.com/")) == "c=v"

    def test_secure_cookies_stay_longest(self) -> None:
        jar = jar_with("s=1; Secure", url="https://h.com/")
        jar.update_from_headers([f"c{n}=v" for n in range(1000)], URL("https://h.com/"))
        assert "s=1" in jar.header_for(URL("https://h.com/"))

    def test_a_request_gets_so_many_cookies_at_most(self) -> None:
        jar = jar_with(*(f"c{number}=v" for number in range(MAX_COOKIES_PER_DOMAIN)))
        header = both_ways(jar, "http://www.example.com/")
        assert header.count(";") == MAX_SENT - 1

    def test_a_request_gets_so_many_bytes_at_most(self) -> None:
        jar = jar_with(*(f"c{number}={'x' * 1000}" for number in range(20)))
        header = both_ways(jar, "http://www.example.com/")
        assert MAX_SENT_SIZE - 1010 < len(header) <= MAX_SENT_SIZE

    def test_what_was_set_last_is_sent_first_of_all(self) -> None:
        jar = jar_with(*(f"c{number}=v" for number in range(MAX_COOKIES_PER_DOMAIN)))
        jar.update_from_headers(["c0=again"], URL("http://www.example.com/"))
        names = [
            pair.partition("=")[0] for pair in both_ways(jar, "http://www.example.com/").split("; ")
        ]
        assert names == ["c0", *(f"c{number}" for number in range(31, MAX_COOKIES_PER_DOMAIN))]

    def test_setting_the_same_cookies_again_and_again_keeps_one_each(self) -> None:
        jar = CookieJar()
        for _ in range(1000):
            jar.update_from_headers(["a=1", "b=2; Secure"], URL("https://h.com/"))
        assert len(jar) == 2


class TestPublicSuffixes:
    @pytest.mark.parametrize(
        "suffixes",
        [
            pytest.param({"co.uk"}, id="a set"),
            pytest.param(lambda domain: domain == "co.uk", id="a function"),
        ],
    )
    def test_no_cookie_for_a_suffix(self, suffixes: object) -> None:
        jar = CookieJar(public_suffixes=suffixes)  # type: ignore[arg-type]  # both kinds
        jar.update_from_headers(["a=b; Domain=co.uk"], URL("http://shop.co.uk/"))
        jar.update_from_headers(["c=d; Domain=shop.co.uk"], URL("http://shop.co.uk/"))
        assert jar.header_for(URL("http://other.co.uk/")) == ""
        assert jar.header_for(URL("http://www.shop.co.uk/")) == "c=d"

    def test_a_suffix_that_is_a_host_keeps_its_own(self) -> None:
        jar = CookieJar(public_suffixes={"github.io"})
        jar.update_from_headers(["a=b; Domain=github.io"], URL("http://github.io/"))
        assert jar.header_for(URL("http://github.io/")) == "a=b"
        assert jar.header_for(URL("http://me.github.io/")) == ""


class TestUsersOwn:
    """`update_cookies`, as aiohttp documents it."""

    @pytest.mark.parametrize(
        ("cookies", "header"),
        [
            pytest.param({"a": "1", "b": "2"}, "a=1; b=2", id="mapping"),
            pytest.param([("a", "1")], "a=1", id="pairs"),
            pytest.param(SimpleCookie("a=1; b=2"), "a=1; b=2", id="SimpleCookie"),
            pytest.param([("x", SimpleCookie("a=1")["a"])], "x=1", id="morsel under a name"),
            pytest.param({"x": SimpleCookie("a=1")}, "a=1", id="cookies in a mapping"),
            pytest.param({"a": 5}, "a=5", id="number"),
            pytest.param({"a": "b c;"}, 'a="b c\\073"', id="a value that needs quotes"),
        ],
    )
    def test_forms(self, cookies: object, header: str) -> None:
        jar = CookieJar()
        jar.update_cookies(cookies, URL("http://h.com/"))  # type: ignore[arg-type]  # all kinds
        assert jar.header_for(URL("http://h.com/")) == header

    def test_without_a_url_they_go_everywhere(self) -> None:
        jar = CookieJar()
        jar.update_cookies({"a": "1"})
        for url in ("http://h.com/x", "https://other.org/", "http://127.0.0.1/"):
            assert both_ways(jar, url) == "a=1"

    def test_shared_secure_cookies_go_over_tls_only(self) -> None:
        """GHSA-494j-54xm-rwp3"""
        jar = CookieJar()
        jar.update_cookies(SimpleCookie("a=1; Secure"))
        assert both_ways(jar, "http://h.com/") == ""
        assert both_ways(jar, "https://h.com/") == "a=1"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            pytest.param("a b", "x", id="blank in the name"),
            pytest.param("a;b", "x", id="CVE-2026-35536: semicolon in the name"),
            pytest.param("a=b", "x", id="equals sign in the name"),
            pytest.param("a\r\nX: y", "x", id="line break in the name"),
            pytest.param("", "x", id="no name"),
            pytest.param("a", "x" * 4096, id="too large"),
        ],
    )
    def test_what_is_no_cookie_is_refused(self, name: str, value: str) -> None:
        with pytest.raises(ValueError):
            CookieJar().update_cookies({name: value}, URL("http://h.com/"))

    @pytest.mark.parametrize("value", ["x;y", "x\r\nSet: y", "x\x00"])
    def test_without_quoting_a_value_cannot_break_out(self, value: str) -> None:
        with pytest.raises(ValueError):
            CookieJar(quote_cookie=False).update_cookies({"a": value}, URL("http://h.com/"))

    def test_attributes_count(self) -> None:
        jar = CookieJar()
        cookies = SimpleCookie("a=1; Path=/x; Domain=h.com")
        cookies["b"] = "2"
        cookies["b"]["max-age"] = 0
        jar.update_cookies(cookies, URL("http://w.h.com/"))
        assert both_ways(jar, "http://q.h.com/x") == "a=1"
        assert len(jar) == 1

    def test_prefixed_names_keep_what_they_promise(self) -> None:
        jar = CookieJar()
        jar.update_cookies({"__Host-a": "1"}, URL("https://h.com/x/y"))
        assert both_ways(jar, "https://h.com/") == "__Host-a=1"
        assert both_ways(jar, "http://h.com/") == ""


class TestOrigins:
    @pytest.mark.parametrize(
        "given",
        ["http://h.com", URL("http://h.com/x"), ["http://h.com"], [URL("http://h.com:80")]],
    )
    def test_an_origin_declared_secure(self, given: object) -> None:
        jar = CookieJar(treat_as_secure_origin=given)  # type: ignore[arg-type]  # all kinds
        assert jar.treat_as_secure_origin == {URL("http://h.com")}
        jar.update_from_headers(["a=b; Secure"], URL("http://h.com/"))
        assert both_ways(jar, "http://h.com/") == "a=b"
        assert both_ways(jar, "http://h.com:81/") == ""


class TestViews:
    def test_cookies_by_domain_and_path(self) -> None:
        jar = jar_with("a=1; Domain=example.com; Path=/x/", "b=2")
        assert {place: list(found) for place, found in jar.cookies.items()} == {
            ("example.com", "/x"): ["a"],
            ("www.example.com", ""): ["b"],
        }
        assert jar.host_only_cookies == {("www.example.com", "", "b")}

    def test_iteration_gives_morsels(self) -> None:
        (morsel,) = jar_with('a="x y"; Domain=example.com; Secure', url="https://example.com/p/q")
        assert (morsel.key, morsel.value, morsel.coded_value) == ("a", "x y", '"x y"')
        assert (morsel["domain"], morsel["path"], morsel["secure"]) == ("example.com", "/p", True)

    def test_filtered_cookies_carry_no_attributes(self) -> None:
        jar = jar_with("a=1; Domain=example.com; Path=/")
        found = jar.filter_cookies(URL("http://example.com/"))
        assert isinstance(found, BaseCookie)
        assert found.output(header="", sep=";").strip() == "a=1"

    def test_clear(self) -> None:
        jar = jar_with("a=1", "b=2")
        assert both_ways(jar, "http://www.example.com/") == "a=1; b=2"
        jar.clear(lambda morsel: morsel.key == "a")
        assert both_ways(jar, "http://www.example.com/") == "b=2"
        jar.clear()
        assert both_ways(jar, "http://www.example.com/") == ""
        assert len(jar) == 0

    def test_clear_domain(self) -> None:
        jar = CookieJar()
        for host in ("h.com", "x.h.com", "xh.com"):
            jar.update_from_headers(["a=1"], URL(f"http://{host}/"))
        jar.clear_domain("h.com")
        assert [morsel["domain"] for morsel in jar] == ["xh.com"]

    def test_loop_is_obsolete(self) -> None:
        for kind in (CookieJar, DummyCookieJar):
            with pytest.warns(AntiphonDeprecationWarning, match="ANT-0004") as caught:
                kind(loop=object())  # type: ignore[arg-type]  # only looked at
            assert caught[0].filename == __file__


def test_a_dummy_keeps_nothing() -> None:
    jar = DummyCookieJar()
    jar.update_cookies({"a": "1"})
    jar.update_from_headers(["a=1"], URL("http://h.com/"))
    jar.clear()
    jar.clear_domain("h.com")
    assert (len(jar), list(jar), jar.header_for(URL("http://h.com/"))) == (0, [], "")
    assert not jar.filter_cookies(URL("http://h.com/"))
    assert jar.quote_cookie
    assert not jar.unsafe
    assert not jar.cookies
    assert not jar.host_only_cookies


def test_a_jar_of_ones_own_needs_only_what_aiohttp_documents() -> None:
    class Simple(AbstractCookieJar):
        def __init__(self) -> None:
            super().__init__()
            self.kept = SimpleCookie()

        def __iter__(self):  # type: ignore[no-untyped-def]  # as a user would write it
            return iter(self.kept.values())

        def __len__(self) -> int:
            return len(self.kept)

        def clear(self, predicate=None):  # type: ignore[no-untyped-def]  # likewise
            self.kept.clear()

        def clear_domain(self, domain):  # type: ignore[no-untyped-def]  # likewise
            self.kept.clear()

        def update_cookies(self, cookies, response_url=None):  # type: ignore[no-untyped-def]  # a stand-in for tests
            self.kept.update(dict(cookies))

        def filter_cookies(self, request_url):  # type: ignore[no-untyped-def]  # likewise
            return self.kept

    jar = Simple()
    jar.update_from_headers(["a=1; Secure", "b=2"], URL("https://h.com/"))
    assert jar.header_for(URL("https://h.com/")) == "a=1; b=2"
    assert next(iter(jar))["secure"]


def test_a_thousand_cookies_are_filtered_in_well_under_a_millisecond() -> None:
    """Twenty hosts with fifty cookies each; a request sees those of its host and its parents."""
    jar = CookieJar()
    rng = random.Random(1)
    for host in range(20):
        jar.update_from_headers(
            [f"c{n}={rng.random()}; Domain=h{host}.example.com" for n in range(50)],
            URL(f"http://h{host}.example.com/"),
        )
    assert len(jar) == 1000
    urls = [URL(f"http://w.h{host}.example.com/{path}") for host in range(20) for path in range(20)]
    assert all(jar.header_for(url).count("=") == 50 for url in urls)

    def ask() -> None:
        jar._headers.clear()  # what is remembered would make it look better than it is
        for url in urls:
            jar.header_for(url)

    assert min(timeit.repeat(ask, number=1, repeat=5)) / len(urls) < 1e-3
