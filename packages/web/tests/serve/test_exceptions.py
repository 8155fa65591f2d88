"""Responses that can be raised."""

import pytest
from yarl import URL

import antiphon.web.exceptions as exceptions
from antiphon.web.exceptions import (
    HTTPException,
    HTTPFound,
    HTTPMethodNotAllowed,
    HTTPMove,
    HTTPNotFound,
    HTTPRequestEntityTooLarge,
    HTTPUnavailableForLegalReasons,
)
from antiphon.web.response import Response

CONCRETE = [
    cls for name in exceptions.__all__ if (cls := getattr(exceptions, name)).status_code > 0
]


def make(cls):
    if issubclass(cls, HTTPMove):
        return cls("/there")
    if cls is HTTPMethodNotAllowed:
        return cls("GET", ["POST"])
    if cls is HTTPRequestEntityTooLarge:
        return cls(10, 20)
    if cls is HTTPUnavailableForLegalReasons:
        return cls("http://example.com")
    return cls()


@pytest.mark.parametrize("cls", CONCRETE, ids=lambda cls: cls.__name__)
def test_each_is_a_response_and_an_exception(cls):
    exc = make(cls)
    assert isinstance(exc, Response)
    assert isinstance(exc, Exception)
    assert exc.status == cls.status_code
    assert bool(exc)
    assert str(exc) == exc.reason
    if cls.empty_body:
        assert exc.body is None
    elif cls is not HTTPRequestEntityTooLarge:
        assert exc.text == f"{exc.status}: {exc.reason}"
    family = {2: "Successful", 3: "Redirection", 4: "ClientError", 5: "ServerError"}
    assert isinstance(exc, getattr(exceptions, f"HTTP{family[exc.status // 100]}"))


def test_every_status_once():
    statuses = [cls.status_code for cls in CONCRETE]
    assert len(statuses) == len(set(statuses)) == 51


def test_arguments():
    exc = HTTPNotFound(
        headers={"X": "y"}, reason="Gone", text="<b>no</b>", content_type="text/html"
    )
    assert exc.reason == "Gone"
    assert exc.headers["X"] == "y"
    assert exc.headers["Content-Type"] == "text/html; charset=utf-8"
    assert exc.text == "<b>no</b>"
    with pytest.deprecated_call(match="ANT-0035"):
        assert HTTPNotFound(body=b"x").body == b"x"


@pytest.mark.parametrize(
    ("location", "field"),
    [
        pytest.param("/a b?x=ü", "/a%20b?x=%C3%BC", id="encoded"),
        pytest.param(URL("http://h/p"), "http://h/p", id="URL"),
        pytest.param("/a%20b", "/a%20b", id="not twice"),
    ],
)
def test_location(location, field):
    exc = HTTPFound(location)
    assert exc.headers["Location"] == field
    assert exc.location == location


@pytest.mark.parametrize("location", ["", URL()])
def test_location_is_needed(location):
    with pytest.raises(ValueError):
        HTTPFound(location)


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("/x\r\nSet-Cookie: a=b", id="CVE-2020-7695, CVE-2018-1000164 CR LF"),
        pytest.param("/\t/evil.example", id="a tab that vanishes leaves a double slash"),
        pytest.param("/\n/evil.example", id="a line feed likewise"),
        pytest.param("\x01//evil.example", id="a control character in front"),
        pytest.param(" //evil.example", id="white space in front"),
    ],
)
def test_a_location_is_what_its_text_says_or_refused(location):
    with pytest.raises(ValueError, match="in location"):
        HTTPFound(location)


def test_method_not_allowed():
    exc = HTTPMethodNotAllowed("get", ["POST", "HEAD"])
    assert exc.headers["Allow"] == "HEAD,POST"
    assert exc.method == "GET"
    assert exc.allowed_methods == {"POST", "HEAD"}


def test_legal_reasons():
    exc = HTTPUnavailableForLegalReasons("http://example.com/x")
    assert exc.headers["Link"] == '<http://example.com/x>; rel="blocked-by"'
    assert exc.link == URL("http://example.com/x")
    assert HTTPUnavailableForLegalReasons(None).link is None


def test_too_large():
    exc = HTTPRequestEntityTooLarge(10, 20)
    assert "10" in exc.text
    assert (exc.max_size, exc.actual_size) == (10, 20)
    assert HTTPRequestEntityTooLarge(10, text="own").text == "own"


def test_base_can_be_caught():
    with pytest.raises(HTTPException):
        raise HTTPNotFound
