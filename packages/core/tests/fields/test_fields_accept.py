"""What a client accepts, and what it gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.fields.accept import (
    Accepted,
    best_language,
    best_media_type,
    negotiate_coding,
    parse_accept,
    preferred,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("gzip", [Accepted("gzip")], id="one"),
        pytest.param(
            "a, B;q=0.5,c ; q=0", [Accepted("a"), Accepted("b", 0.5), Accepted("c", 0.0)], id="q"
        ),
        pytest.param("a;Q=0.123", [Accepted("a", 0.123)], id="upper-case Q"),
        pytest.param(
            "a;q=1.000, b;q=0.", [Accepted("a"), Accepted("b", 0.0)], id="all digits, none"
        ),
        pytest.param(
            'text/html;level=1;q=0.4;x="a,b"',
            [Accepted("text/html", 0.4, (("level", "1"), ("x", "a,b")))],
            id="parameters",
        ),
        pytest.param(
            "a;q=2, b;q=-1, c;q=x, d;q=0.1234, e;q=, f", [Accepted("f")], id="malformed q"
        ),
        pytest.param("a;q=\u0661", [], id="other digits"),
        pytest.param(",, ,;q=1", [], id="empty members"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_members(text: str, expected: list[Accepted]) -> None:
    assert parse_accept(text) == expected


def test_members_are_limited() -> None:
    assert len(parse_accept("a," * 4000)) == 100
    assert parse_accept("a, b, c", max_members=2) == [Accepted("a"), Accepted("b")]


def test_preferred_are_best_first_and_equals_in_order() -> None:
    names = [item.value for item in preferred(parse_accept("a;q=0.2, b, c;q=0, d, e;q=0.3"))]
    assert names == ["b", "d", "e", "a"]


@given(
    st.lists(
        st.builds(
            Accepted,
            st.sampled_from(["a", "b/c", "*"]),
            st.integers(0, 1000).map(lambda n: n / 1000),
        )
    )
)
def test_round_trip(given: list[Accepted]) -> None:
    assert parse_accept(", ".join(map(str, given))) == given


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(None, "identity", id="no field"),
        pytest.param("", "identity", id="empty field"),
        pytest.param("gzip", "gzip", id="by name"),
        pytest.param("gzip, deflate, br", "br", id="our favourite among equals"),
        pytest.param("gzip, br;q=0.9", "gzip", id="the client's favourite"),
        pytest.param("x-gzip", "gzip", id="x-gzip, RFC 9110 8.4.1.3"),
        pytest.param("GZIP", "gzip", id="case"),
        pytest.param("*", "br", id="any"),
        pytest.param("*;q=0.5, gzip", "gzip", id="name before any"),
        pytest.param("br;q=0, *", "gzip", id="any but"),
        pytest.param("compress", "identity", id="nothing we have"),
        pytest.param("gzip;q=0", "identity", id="excluded"),
        pytest.param("identity;q=0.5, gzip;q=0.2", "identity", id="identity is wanted more"),
        pytest.param("identity, gzip", "gzip", id="as much as identity"),
        pytest.param("identity;q=0, compress", None, id="identity excluded by name"),
        pytest.param("*;q=0", None, id="all excluded"),
        pytest.param("*;q=0, gzip", "gzip", id="all but"),
        pytest.param("*;q=0, identity", "identity", id="identity only"),
        pytest.param("gzip;q=bad", "identity", id="malformed"),
    ],
)
def test_content_coding(text: str | None, expected: str | None) -> None:
    assert negotiate_coding(text, ("br", "gzip", "deflate")) == expected
    if text:
        long = text + " " * 100  # too long to be remembered
        assert negotiate_coding(long, ["br", "gzip", "deflate"]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "text/html"),
        ("text/*", "text/html"),
        ("text/*;q=0.3, */*;q=0.1", "text/html"),
        ("text/html;q=0, */*", "application/json"),
        ("text/html;q=0.5, text/plain", "text/plain"),
        ("text/html;level=1", None),
        ("image/png", None),
        ("*/*;q=0", None),
        ("application/json;q=0.5, text/html;q=0.5", "application/json"),
    ],
)
def test_media_type(text: str | None, expected: str | None) -> None:
    assert best_media_type(text, ("application/json", "text/html", "text/plain")) == expected
    assert best_media_type(text, ()) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-CH", "de"),
        ("de-CH-x-private, en;q=0.5", "de"),
        ("fr, de;q=0.5", "de"),
        ("pt-br", "pt-BR"),
        ("pt", None),
        ("*", "en"),
        ("fr, *;q=0.1", "en"),
        ("en;q=0, *", "de"),
        ("fr", None),
        ("-".join(["de"] + ["x"] * 100), "de"),
    ],
)
def test_language(text: str | None, expected: str | None) -> None:
    assert best_language(text, ("en", "de", "pt-BR")) == expected


@given(st.text(max_size=100))
def test_any_text_is_negotiable(text: str) -> None:
    assert negotiate_coding(text, ("gzip",)) in (None, "gzip", "identity")
    best_media_type(text, ("a/b",))
    best_language(text, ("en",))
