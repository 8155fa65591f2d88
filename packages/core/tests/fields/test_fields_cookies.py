"""Cookies: RFC 6265bis, as browsers take them and as servers write them."""

import http.cookies
import string
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.fields.cookies import (
    SetCookie,
    default_path,
    domain_match,
    format_cookie_header,
    format_set_cookie,
    parse_cookie_date,
    parse_cookie_header,
    parse_set_cookie,
    path_match,
    quote_cookie_value,
    to_morsel,
    unquote_cookie_value,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Y2021 = datetime(2021, 6, 9, 10, 18, 14, tzinfo=UTC)


# --- Cookie -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a=1", [("a", "1")], id="one"),
        pytest.param("a=1; b=2", [("a", "1"), ("b", "2")], id="two"),
        pytest.param("a=1;b=2;", [("a", "1"), ("b", "2")], id="without blanks"),
        pytest.param("a=1; a=2", [("a", "1"), ("a", "2")], id="both of one name, in order"),
        pytest.param(" \ta =\t1 ", [("a", "1")], id="white space around"),
        pytest.param("a=", [("a", "")], id="empty value"),
        pytest.param("a=b=c==", [("a", "b=c==")], id="equals signs in the value"),
        pytest.param('a="q x"; b', [("a", '"q x"')], id="quotes stay"),
        pytest.param(
            'a={"x": 1, "y": [2]}; b=3', [("a", '{"x": 1, "y": [2]}'), ("b", "3")], id="JSON"
        ),
        pytest.param(
            "a[b]=1; c,d=2; $V=1", [("a[b]", "1"), ("c,d", "2"), ("$V", "1")], id="odd names"
        ),
        pytest.param("a=\u20ac\udce4", [("a", "\u20ac\udce4")], id="text and bytes outside ASCII"),
        pytest.param("", [], id="nothing"),
        pytest.param(";;; ;", [], id="semicolons"),
        pytest.param("a=1; =2; b=3", [("a", "1"), ("b", "3")], id="one bad member harms no other"),
        pytest.param("=__Host-x=bad", [], id="nameless that spells a prefix, CVE-2023-23934"),
        pytest.param("__Host-x", [], id="value alone that spells a prefix, CVE-2023-23934"),
    ],
)
def test_cookies_of_a_request(text: str, expected: list[tuple[str, str]]) -> None:
    assert parse_cookie_header(text) == expected


def test_number_of_cookies_is_limited_cve_2025_58186() -> None:
    text = "; ".join(f"c{i}={i}" for i in range(1000))
    assert len(parse_cookie_header(text)) == 300
    assert parse_cookie_header(text, 2) == [("c0", "0"), ("c1", "1")]
    assert parse_cookie_header(";" * 300 + "a=1") == []


NAME = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=20)
VALUE = st.text(
    string.ascii_letters + string.digits + "!#$%&'()*+-./:<=>?@[]^_`{|}~\"", max_size=20
)


@given(st.lists(st.tuples(NAME, VALUE)))
def test_cookie_header_round_trip(cookies: list[tuple[str, str]]) -> None:
    assert parse_cookie_header(format_cookie_header(cookies)) == cookies


def test_nameless_cookie_is_sent_as_its_value() -> None:
    assert format_cookie_header([("", "x"), ("a", "b")]) == "x; a=b"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a;b", ""),
        ("a=b", ""),
        ("a", "x;y"),
        ("a", "x\r\ny"),
        ("a\n", "b"),
        ("a", "\0"),
        ("a", "\x7f"),
    ],
)
def test_cookie_that_would_become_another(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="not a cookie"):
        format_cookie_header([(name, value)])


@given(st.text(max_size=200))
def test_any_text_is_taken(text: str) -> None:
    for name, _value in parse_cookie_header(text):
        assert name
    parse_set_cookie(text)
    parse_cookie_date(text)
    unquote_cookie_value(text)


# --- quoting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        pytest.param("", "", id="empty"),
        pytest.param(
            "aZ09!#$%&'()*+-./:<=>?@[]^_`{|}~", "aZ09!#$%&'()*+-./:<=>?@[]^_`{|}~", id="plain"
        ),
        pytest.param("a b", '"a b"', id="blank"),
        pytest.param("a,b", r'"a\054b"', id="comma"),
        pytest.param("a;b", r'"a\073b"', id="semicolon"),
        pytest.param('a"b\\c', r'"a\"b\\c"', id="quote and backslash"),
        pytest.param("a\r\nb", r'"a\015\012b"', id="line end"),
        pytest.param("\u20ac", r'"\342\202\254"', id="UTF-8"),
    ],
)
def test_any_text_fits_a_value(value: str, quoted: str) -> None:
    assert quote_cookie_value(value) == quoted
    assert unquote_cookie_value(quoted) == value


@given(st.text())
def test_quoting_round_trip(value: str) -> None:
    quoted = quote_cookie_value(value)
    assert parse_cookie_header(f"a={quoted}; b=1") == [("a", quoted), ("b", "1")]
    if not (value == quoted and value[:1] == '"'):
        assert unquote_cookie_value(quoted) == value


@given(st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"])))
def test_values_that_http_cookies_wrote_are_read(value: str) -> None:
    _, coded = http.cookies.SimpleCookie().value_encode(value)
    expected = value
    if not value.isascii():  # Latin-1 in octal, which may look like UTF-8
        try:
            expected = value.encode("latin-1").decode()
        except UnicodeDecodeError:
            expected = value
    assert unquote_cookie_value(coded) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"', '"'),
        ('""', ""),
        ('"a', '"a'),
        ('"a"b', '"a"b'),
        (r'"\"', "\\"),
        (r'"\400"', "400"),
        (r'"\09"', "09"),
        (r"a\073b", r"a\073b"),
    ],
)
def test_odd_quoting_is_taken_as_it_looks(text: str, expected: str) -> None:
    assert unquote_cookie_value(text) == expected


# --- Set-Cookie -------------------------------------------------------------------------------


def cookie(**fields: Any) -> SetCookie:
    return SetCookie(**{"name": "a", "value": "b", **fields})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a=b", cookie(), id="name and value"),
        pytest.param(" a \t=\tb ;", cookie(), id="white space around"),
        pytest.param("a=b=c", cookie(value="b=c"), id="equals sign in the value"),
        pytest.param('a="b c"', cookie(value='"b c"'), id="quotes stay"),
        pytest.param("a=", cookie(value=""), id="empty value"),
        pytest.param("=b", cookie(name=""), id="nameless"),
        pytest.param("b", cookie(name=""), id="without an equals sign"),
        pytest.param("a[1]=b", cookie(name="a[1]"), id="odd name"),
        pytest.param("a=b; Secure; HttpOnly", cookie(secure=True, httponly=True), id="flags"),
        pytest.param(
            "a=b;SECURE=0;httponly=x", cookie(secure=True, httponly=True), id="flags' values"
        ),
        pytest.param("a=b; Partitioned", cookie(partitioned=True), id="Partitioned"),
        pytest.param("a=b; SameSite=lax", cookie(samesite="Lax"), id="Lax"),
        pytest.param("a=b; samesite=STRICT", cookie(samesite="Strict"), id="Strict"),
        pytest.param("a=b; SameSite=None", cookie(samesite="None"), id="None"),
        pytest.param(
            "a=b; SameSite=Lax; SameSite=x", cookie(), id="unknown SameSite is the default"
        ),
        pytest.param("a=b; Domain=.Example.COM", cookie(domain="example.com"), id="Domain folded"),
        pytest.param("a=b; Domain=x; Domain=", cookie(), id="the last Domain counts, also empty"),
        pytest.param("a=b; Path=/x", cookie(path="/x"), id="Path"),
        pytest.param("a=b; Path=x", cookie(), id="relative Path means the default"),
        pytest.param("a=b; Path=/x; Path=/y", cookie(path="/y"), id="the last Path counts"),
        pytest.param("a=b; Max-Age=60", cookie(max_age=60), id="Max-Age"),
        pytest.param("a=b; Max-Age=0", cookie(max_age=0), id="Max-Age zero"),
        pytest.param("a=b; Max-Age=-1", cookie(max_age=-1), id="Max-Age negative"),
        pytest.param("a=b; Max-Age=+1", cookie(), id="Max-Age with a plus"),
        pytest.param("a=b; Max-Age=1.5", cookie(), id="Max-Age with a fraction"),
        pytest.param("a=b; Max-Age=\u0661", cookie(), id="Max-Age in other digits"),
        pytest.param("a=b; Max-Age=", cookie(), id="Max-Age empty"),
        pytest.param("a=b; Max-Age=-", cookie(), id="Max-Age without digits"),
        pytest.param(
            "a=b; Max-Age=" + "9" * 1000, cookie(max_age=9_999_999_999), id="Max-Age overflow"
        ),
        pytest.param(
            "a=b; Max-Age=-" + "9" * 1000, cookie(max_age=-9_999_999_999), id="Max-Age underflow"
        ),
        pytest.param(
            "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", cookie(expires=EPOCH), id="1970"
        ),
        pytest.param(
            "a=b; expires=Wed, 09 Jun 2021 10:18:14 GMT", cookie(expires=Y2021), id="Expires"
        ),
        pytest.param("a=b; Expires=never", cookie(), id="malformed Expires"),
        pytest.param("a=b; Unknown=1; ; =; Comment", cookie(), id="unknown attributes"),
        pytest.param("a=b; Path=/" + "x" * 1024, cookie(), id="attribute too long"),
        pytest.param("a=b\tc", cookie(value="b\tc"), id="tab inside"),
        pytest.param(
            "a" * 2048 + "=" + "b" * 2048, cookie(name="a" * 2048, value="b" * 2048), id="4096"
        ),
        pytest.param("a=" + "b" * 4096, None, id="4097 bytes"),
        pytest.param("a=" + "\u20ac" * 1366, None, id="4097 bytes in UTF-8"),
        pytest.param("", None, id="nothing"),
        pytest.param("=", None, id="neither name nor value"),
        pytest.param("; Path=/", None, id="attributes only"),
        pytest.param("a=b\0", None, id="NUL"),
        pytest.param("a=b\r\nSet-Cookie: c=d", None, id="CR LF"),
        pytest.param("a=b; Path=/\x7f", None, id="DEL in an attribute"),
        pytest.param("=__Host-a=b", None, id="nameless __Host-, CVE-2023-23934"),
        pytest.param("__secure-a", None, id="nameless __Secure-, CVE-2023-23934"),
    ],
)
def test_set_cookie_as_browsers_take_it(text: str, expected: SetCookie | None) -> None:
    assert parse_set_cookie(text) == expected


def test_age_can_be_added_to_a_date() -> None:
    found = parse_set_cookie("a=b; Max-Age=99999999999999999999")
    assert found is not None
    assert found.max_age is not None
    assert (EPOCH + timedelta(seconds=found.max_age)).year < 9999


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        ("a=b", True),
        ("__a=b", True),
        ("__Secure-a=b", False),
        ("__secure-a=b", False),
        ("__Secure-a=b; Secure", True),
        ("__Host-a=b; Secure", False),
        ("__Host-a=b; Path=/", False),
        ("__Host-a=b; Secure; Path=/", True),
        ("__HOST-a=b; Secure; Path=/; Domain=x.org", False),
        ("__Host-a=b; Secure; Path=/a", False),
    ],
)
def test_prefixes_promise_something(text: str, keeps: bool) -> None:
    found = parse_set_cookie(text)
    assert found is not None
    assert found.keeps_prefix is keeps


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "a=b; Path=/"),
        ({"path": None}, "a=b"),
        ({"value": ""}, "a=; Path=/"),
        ({"value": "x;y"}, r'a="x\073y"; Path=/'),
        ({"value": "x\r\ny"}, r'a="x\015\012y"; Path=/'),
        ({"value": "x y", "quote": False}, "a=x y; Path=/"),
        ({"value": '"x"', "quote": False}, 'a="x"; Path=/'),
        ({"expires": EPOCH}, "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"),
        (
            {"expires": "Thu, 01 Jan 1970 00:00:00 GMT"},
            "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/",
        ),
        ({"max_age": 0}, "a=b; Max-Age=0; Path=/"),
        ({"max_age": "60"}, "a=b; Max-Age=60; Path=/"),
        ({"domain": ".example.com"}, "a=b; Domain=.example.com; Path=/"),
        ({"samesite": "lax"}, "a=b; Path=/; SameSite=Lax"),
        ({"version": "1"}, "a=b; Path=/; Version=1"),
        (
            {"secure": True, "httponly": True, "partitioned": True, "samesite": "None"},
            "a=b; HttpOnly; Partitioned; Path=/; SameSite=None; Secure",
        ),
        ({"name": "__Host-a", "secure": True}, "__Host-a=b; Path=/; Secure"),
        ({"name": "a:b"}, "a:b=b; Path=/"),
    ],
)
def test_set_cookie_as_written(options: dict[str, Any], expected: str) -> None:
    assert format_set_cookie(**{"name": "a", "value": "b", **options}) == expected


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"name": ""}, id="no name"),
        pytest.param({"name": "a;b"}, id="semicolon in the name"),
        pytest.param({"name": "a=b"}, id="equals sign in the name"),
        pytest.param({"name": "a b"}, id="blank in the name"),
        pytest.param({"name": "a\r\nb"}, id="line end in the name"),
        pytest.param({"name": "\u00e4"}, id="umlaut in the name"),
        pytest.param({"path": "/; Domain=evil"}, id="path, CVE-2026-35536"),
        pytest.param({"path": "/\r\nX: y"}, id="line end in the path, CVE-2026-35536"),
        pytest.param({"path": "/\u20ac"}, id="path outside ASCII"),
        pytest.param({"domain": "x; Path=/"}, id="domain, CVE-2026-35536"),
        pytest.param({"domain": "x\ny"}, id="line end in the domain, CVE-2026-35536"),
        pytest.param({"domain": "x..y"}, id="empty label"),
        pytest.param({"samesite": "Lax; Secure"}, id="samesite, CVE-2026-35536"),
        pytest.param({"samesite": "maybe"}, id="unknown samesite"),
        pytest.param({"expires": "x; Secure"}, id="expires"),
        pytest.param({"max_age": "1; Secure"}, id="max_age"),
        pytest.param({"max_age": "soon"}, id="max_age without a number"),
        pytest.param({"max_age": 1.5}, id="max_age with a fraction"),
        pytest.param({"version": "1; Secure"}, id="version"),
        pytest.param({"value": "x;y", "quote": False}, id="semicolon in an unquoted value"),
        pytest.param({"value": "x\ny", "quote": False}, id="line end in an unquoted value"),
        pytest.param({"value": " x", "quote": False}, id="value that would lose its blank"),
        pytest.param({"name": "__Host-a"}, id="__Host- without Secure"),
        pytest.param({"name": "__Host-a", "secure": True, "domain": "x"}, id="__Host- with Domain"),
        pytest.param({"name": "__Host-a", "secure": True, "path": "/a"}, id="__Host- below"),
        pytest.param({"name": "__Secure-a"}, id="__Secure- without Secure"),
    ],
)
def test_nothing_is_injected_through_a_part(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".") as info:
        format_set_cookie(**{"name": "a", "value": "b", **options})
    assert "\n" not in str(info.value)
    assert len(str(info.value)) < 300


@given(
    st.builds(
        SetCookie,
        name=NAME.filter(lambda name: not name.lower().startswith(("__host-", "__secure-"))),
        value=VALUE,
        expires=st.none()
        | st.datetimes(datetime(1601, 1, 1), datetime(9999, 1, 1)).map(  # noqa: DTZ001  # bounds are naive by contract
            lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
        ),
        max_age=st.none() | st.integers(-9_999_999_999, 9_999_999_999),
        domain=st.none() | st.just("example.com"),
        path=st.none() | st.sampled_from(["/", "/a/b", "/a b=c,d"]),
        secure=st.booleans(),
        httponly=st.booleans(),
        samesite=st.sampled_from([None, "Strict", "Lax", "None"]),
        partitioned=st.booleans(),
    )
)
def test_set_cookie_round_trip(given: SetCookie) -> None:
    assert parse_set_cookie(str(given)) == given


# --- http.cookies -----------------------------------------------------------------------------


def test_cookie_as_a_morsel() -> None:
    found = parse_set_cookie(
        r'a[1]="x\073y"; Path=/p; Domain=x.org; Max-Age=5; Secure; HttpOnly; SameSite=Lax; '
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Partitioned"
    )
    assert found is not None
    morsel = to_morsel(found)
    assert (morsel.key, morsel.value, morsel.coded_value) == ("a[1]", "x;y", r'"x\073y"')
    assert {key: setting for key, setting in morsel.items() if setting} == {
        "path": "/p",
        "domain": "x.org",
        "max-age": "5",
        "secure": True,
        "httponly": True,
        "samesite": "Lax",
        "expires": "Thu, 01 Jan 1970 00:00:00 GMT",
        "partitioned": True,
    }
    assert morsel.OutputString().startswith(r'a[1]="x\073y"; Domain=x.org;')


def test_cookie_that_says_little_as_a_morsel() -> None:
    morsel = to_morsel(cookie())
    assert morsel.OutputString() == "a=b"
    assert not any(morsel.values())


def test_http_cookies_is_imported_on_first_use_only() -> None:
    code = (
        "import sys, antiphon.core.fields.cookies as c; assert 'http.cookies' not in sys.modules; "
        "c.to_morsel(c.parse_set_cookie('a=b')); assert 'http.cookies' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- dates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Wed, 09 Jun 2021 10:18:14 GMT", Y2021, id="IMF-fixdate"),
        pytest.param("Wednesday, 09-Jun-21 10:18:14 GMT", Y2021, id="RFC 850"),
        pytest.param("Wed Jun  9 10:18:14 2021", Y2021, id="asctime"),
        pytest.param("10:18:14 2021 june 9", Y2021, id="a year of four digits is no day"),
        pytest.param("10:18:14 9 2021 june", Y2021, id="any order"),
        pytest.param("9-JUNE-2021/10:18:14z", Y2021, id="other delimiters, octets after the time"),
        pytest.param("9th jun 2021 10:18:14", Y2021, id="octets after the day"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", EPOCH, id="1970"),
        pytest.param("Thu, 01-Jan-70 0:0:0 GMT", EPOCH, id="70 is 1970"),
        pytest.param("1 jan 69 00:00:00", datetime(2069, 1, 1, tzinfo=UTC), id="69 is 2069"),
        pytest.param("1 jan 1601 00:00:00", datetime(1601, 1, 1, tzinfo=UTC), id="1601"),
        pytest.param(
            "31 dec 9999 23:59:59", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), id="9999"
        ),
        pytest.param("1 jan 1600 00:00:00", None, id="1600"),
        pytest.param("1 jan 100 00:00:00", None, id="a year of three digits"),
        pytest.param("0 jan 2021 00:00:00", None, id="day 0"),
        pytest.param("31 feb 2021 00:00:00", None, id="no such day"),
        pytest.param("1 jan 2021 24:00:00", None, id="hour 24"),
        pytest.param("1 jan 2021 23:60:00", None, id="minute 60"),
        pytest.param("1 jan 2021 23:59:60", None, id="second 60"),
        pytest.param("1 jan 2021 123:00:00", None, id="three digits of an hour"),
        pytest.param("1 jan 2021 10:00:000", None, id="three digits of a second"),
        pytest.param("1 jan 2021", None, id="no time"),
        pytest.param("jan 2021 00:00:00", None, id="no day"),
        pytest.param("1 2021 00:00:00", None, id="no month"),
        pytest.param("1 jan 00:00:00", None, id="no year"),
        pytest.param("\u0661 jan 2021 00:00:00", None, id="other digits"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_dates_of_cookies(text: str, expected: datetime | None) -> None:
    assert parse_cookie_date(text) == expected


# --- where a cookie goes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "domain", "expected"),
    [
        ("example.com", "example.com", True),
        ("a.b.example.com", "example.com", True),
        ("badexample.com", "example.com", False),
        ("example.com", "a.example.com", False),
        ("example.com", "", False),
        ("10.0.0.1", "0.0.1", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("::1", "::1", True),
        ("::ffff:1.2.3.4", "2.3.4", False),
    ],
)
def test_domains_match(host: str, domain: str, expected: bool) -> None:
    assert domain_match(host, domain) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "/"),
        ("/", "/"),
        ("x", "/"),
        ("/a", "/"),
        ("/a/", "/a"),
        ("/a/b", "/a"),
        ("/a/b/c", "/a/b"),
    ],
)
def test_path_of_a_cookie_that_names_none(path: str, expected: str) -> None:
    assert default_path(path) == expected


@pytest.mark.parametrize(
    ("path", "cookie_path", "expected"),
    [
        ("/", "/", True),
        ("/a", "/", True),
        ("/a", "/a", True),
        ("/a/", "/a", True),
        ("/a/b", "/a", True),
        ("/a/b", "/a/", True),
        ("/ab", "/a", False),
        ("/a", "/a/", False),
        ("/b", "/a", False),
        ("/A", "/a", False),
    ],
)
def test_paths_match(path: str, cookie_path: str, expected: bool) -> None:
    assert path_match(path, cookie_path) is expected
