"""Media types and the charsets they name."""

import encodings
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.fields.charset import find_charset
from antiphon.core.fields.media_type import MediaType, parse_media_type


def media(essence: str, *parameters: tuple[str, str]) -> MediaType:
    type_, _, subtype = essence.partition("/")
    return MediaType(type_, subtype, parameters)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("text/html", media("text/html"), id="plain"),
        pytest.param(" TEXT/Html \t", media("text/html"), id="case and white space"),
        pytest.param(
            "text/html; charset=UTF-8", media("text/html", ("charset", "UTF-8")), id="charset"
        ),
        pytest.param(
            'text/html;Charset="a;b"', media("text/html", ("charset", "a;b")), id="quoted"
        ),
        pytest.param(
            r'a/b; c="x\"y\\z"', media("a/b", ("c", r"x\"y\z".replace('\\"', '"'))), id="escaped"
        ),
        pytest.param(
            "a/b; c = d ; e=f", media("a/b", ("c", "d"), ("e", "f")), id="blanks around ="
        ),
        pytest.param("a/b; c=d; C=e", media("a/b", ("c", "d")), id="the first of a name counts"),
        pytest.param("a/b;;; ;c=d;", media("a/b", ("c", "d")), id="empty parameters"),
        pytest.param("a/b; c", media("a/b", ("c", "")), id="parameter without a value"),
        pytest.param("a/b; c d=e; f=g", media("a/b", ("f", "g")), id="name that is no token"),
        pytest.param('a/b; c="x', media("a/b", ("c", "x")), id="quote that does not end"),
        pytest.param('a/b; c="x\\', media("a/b", ("c", "x")), id="escape that does not end"),
        pytest.param(
            'a/b; c="x"y; d=e', media("a/b", ("c", "x"), ("d", "e")), id="text after a quote"
        ),
        pytest.param("a/b; c=d e", media("a/b", ("c", "d e")), id="blank in a bare value"),
        pytest.param(
            'multipart/form-data; boundary="a b:c"',
            media("multipart/form-data", ("boundary", "a b:c")),
            id="boundary",
        ),
        pytest.param("application/problem+json", media("application/problem+json"), id="suffix"),
        pytest.param("text", None, id="no slash"),
        pytest.param("text/", None, id="no subtype"),
        pytest.param("/html", None, id="no type"),
        pytest.param("text/html/x", None, id="two slashes"),
        pytest.param("text/ html", None, id="blank inside"),
        pytest.param("text/html charset=x", None, id="no semicolon"),
        pytest.param("t\u00e9xt/html", None, id="outside ASCII"),
        pytest.param("text/html\n", None, id="line end"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_media_types_in(text: str, expected: MediaType | None) -> None:
    assert parse_media_type(text) == expected


def test_what_is_remembered_is_short() -> None:
    short, long = "a/b; c=" + "x" * 50, "a/b; c=" + "x" * 100
    assert parse_media_type(short) is parse_media_type(short)
    assert parse_media_type(long) is not parse_media_type(long)
    assert parse_media_type(long) == parse_media_type(long)


def test_parts_of_a_media_type() -> None:
    found = media("application/ld+json", ("charset", "UTF-8"), ("profile", "x"))
    assert found.essence == "application/ld+json"
    assert found.charset == "UTF-8"
    assert found.codec == "utf_8"
    assert found.get("PROFILE") == "x"
    assert found.get("other", "default") == "default"
    assert found.suffix == "json"
    assert media("a/b", ("charset", "")).charset is None
    assert media("a/b").codec is None
    assert media("a/b").suffix is None


@pytest.mark.parametrize(
    ("essence", "expected"),
    [
        ("application/json", True),
        ("text/json", True),
        ("application/vnd.api+json", True),
        ("image/json", False),
        ("application/jsonp", False),
        ("application/json+xml", False),
    ],
)
def test_what_is_json(essence: str, expected: bool) -> None:
    assert media(essence).is_json is expected


def test_parameters_are_replaced() -> None:
    found = media("a/b", ("charset", "x"), ("c", "d")).with_parameters(charset="utf-8")
    assert str(found) == "a/b; c=d; charset=utf-8"


@pytest.mark.parametrize(
    "bad",
    [
        media("a/b", ("c d", "x")),
        media("a/b", ("c", "x\r\ny")),
        media("a/b", ("c", "\0")),
        media("a/b;c=d"),
        media("a/b\r\n"),
        media("/b"),
    ],
)
def test_nothing_is_injected_through_a_media_type_cve_2026_34514(bad: MediaType) -> None:
    with pytest.raises(ValueError, match=r"no token|control|media type"):
        str(bad)


TOKEN = st.text(string.ascii_lowercase + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=9)
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20).map(str)


@given(st.builds(media, st.builds("{}/{}".format, TOKEN, TOKEN)), st.dictionaries(TOKEN, TEXT))
def test_media_types_round_trip(bare: MediaType, parameters: dict[str, str]) -> None:
    given = MediaType(bare.type, bare.subtype, tuple(parameters.items()))
    assert parse_media_type(str(given)) == given


@given(st.text(max_size=100))
def test_any_text_is_a_media_type_or_none(text: str) -> None:
    parse_media_type(text)
    parse_media_type("a/b;" + text)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("utf-8", "utf_8"),
        ("UTF8", "utf_8"),
        ("us-ascii", "ascii"),
        ("ISO-8859-1", "latin_1"),
        ("iso-8859-15", "iso8859_15"),
        ("windows-1252", "cp1252"),
        ("Shift_JIS", "shift_jis"),
        ("koi8-u", "koi8_u"),
        ("gb2312", "gb2312"),
        ("utf-16le", "utf_16_le"),
        ("", None),
        ("nonsense", None),
        ("base64", None),
        ("rot13", None),
        ("zip", None),
        ("idna", None),
        ("mbcs", None),
        ("../../x", None),
        ("utf-8\0", None),
        ("x" * 10_000, None),
    ],
)
def test_charsets_are_those_of_text(name: str, codec: str | None) -> None:
    assert find_charset(name) == codec
    if codec is not None:
        assert "text".encode(codec).decode(codec) == "text"


def test_names_from_peers_leave_no_trace() -> None:
    before = len(encodings._cache)
    for number in range(100):
        assert find_charset(f"x-{number}") is None
    assert len(encodings._cache) == before
