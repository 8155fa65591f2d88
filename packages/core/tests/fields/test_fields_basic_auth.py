"""Basic credentials (RFC 7617)."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from antiphon.core.deprecations import AntiphonDeprecationWarning
from antiphon.core.fields.basic_auth import BasicAuth, decode_basic_auth, encode_basic_auth


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        (("a",), "Basic YTo="),
        (("", ""), "Basic Og=="),
        (("test", "123\u00a3"), "Basic dGVzdDoxMjPCow=="),
        (("test", "123\u00a3", "latin1"), "Basic dGVzdDoxMjOj"),
        (("a", "b:c"), "Basic YTpiOmM="),
    ],
)
def test_credentials_out(arguments: tuple[str, ...], expected: str) -> None:
    assert encode_basic_auth(*arguments) == expected


def test_credentials_that_cannot_go_out() -> None:
    with pytest.raises(ValueError, match="colon"):
        encode_basic_auth("a:b")
    with pytest.raises(UnicodeEncodeError):
        encode_basic_auth("\u20ac", encoding="latin1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "parse"),
        ("Basic", "parse"),
        ("Bearer YTpi", "Unknown"),
        ("Basic !!!", "base64"),
        ("Basic YTp", "base64"),
        ("Basic YTpi,", "base64"),
        ("Basic \u0661", "base64"),
        ("Basic /w==", "charset"),
        ("Basic YQ==", "credentials"),
        ("x" * 5000 + " y", "Unknown"),
    ],
)
def test_credentials_that_do_not_decode(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as info:
        decode_basic_auth(text, "utf-8")
    assert len(str(info.value)) < 200


@given(st.text().filter(lambda login: ":" not in login and login.isprintable()), st.text())
def test_round_trip(login: str, password: str) -> None:
    password = password.encode(errors="replace").decode()
    assert decode_basic_auth(encode_basic_auth(login, password), "utf-8") == (login, password)
    assert decode_basic_auth("bASIC  " + encode_basic_auth("a", "b")[6:]) == ("a", "b")


def test_basic_auth_is_a_tuple_and_obsolete() -> None:
    with pytest.warns(AntiphonDeprecationWarning, match="ANT-0005") as caught:
        auth = BasicAuth("a", "b")
    assert caught[0].filename == __file__
    assert auth == ("a", "b", "latin1")
    assert repr(auth) == "BasicAuth(login='a', password='b', encoding='latin1')"
    assert auth.encode() == "Basic YTpi"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((None,), "None"), (("a", None), "None"), (("a:b",), "colon")],
)
def test_basic_auth_refuses(arguments: tuple[str, ...], message: str) -> None:
    with pytest.warns(AntiphonDeprecationWarning), pytest.raises(ValueError, match=message):
        BasicAuth(*arguments)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(
            lambda: BasicAuth.decode("Basic YTpi", "utf-8"), ("a", "b", "utf-8"), id="a field"
        ),
        pytest.param(
            lambda: BasicAuth.from_url(URL("http://u:p%40@h/")), ("u", "p@", "latin1"), id="a URL"
        ),
        pytest.param(
            lambda: BasicAuth.from_url(URL("http://u@h/"), encoding="utf-8"),
            ("u", "", "utf-8"),
            id="a URL without a password",
        ),
        pytest.param(
            lambda: BasicAuth.from_url(URL("http://h/")), None, id="a URL without credentials"
        ),
    ],
)
def test_basic_auth_made_of_something_else_is_obsolete_too(
    make: Callable[[], BasicAuth | None], expected: object
) -> None:
    with pytest.warns(AntiphonDeprecationWarning, match="ANT-0005") as caught:
        auth = make()
    assert [warning.filename for warning in caught] == [__file__]
    assert auth == expected


def test_basic_auth_wants_a_url_object() -> None:
    with pytest.warns(AntiphonDeprecationWarning), pytest.raises(TypeError, match=r"yarl\.URL"):
        BasicAuth.from_url("http://h/")  # type: ignore[arg-type]  # what must not work
