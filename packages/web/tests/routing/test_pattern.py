"""Paths of routes: canonical form, matching, formatting."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.web.routing._pattern import (
    PathPattern,
    canonical_path,
    canonical_route_path,
    decode_value,
    parse,
)


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        pytest.param("/a/b", "/a/b", id="nothing encoded"),
        pytest.param("/get%20me", "/get me", id="space"),
        pytest.param("/caf%C3%A9", "/café", id="UTF-8"),
        pytest.param("/caf%c3%a9", "/café", id="lower-case hexadecimal digits"),
        pytest.param("/a%2Fb", "/a%2Fb", id="encoded slash parts no segments"),
        pytest.param("/a%2fb", "/a%2Fb", id="encoded slash, lower case"),
        pytest.param("/100%25", "/100%25", id="percent sign stays encoded"),
        pytest.param("/a%252Fb", "/a%252Fb", id="doubly encoded slash is no encoded slash"),
        pytest.param("/%FF", "/%FF", id="octet outside UTF-8"),
        pytest.param("/%ff%41", "/%FFA", id="octet outside UTF-8 beside a letter"),
        pytest.param("/%C3%28", "/%C3(", id="broken UTF-8 sequence"),
        pytest.param("/%zz%4", "/%zz%4", id="no escapes at all"),
        pytest.param("/%7Euser", "/~user", id="needless escape"),
        pytest.param("/p%2Bq", "/p+q", id="plus is plus"),
        pytest.param("/%00", "/\x00", id="NUL"),
    ],
)
def test_canonical_form_of_a_request_path(raw: str, canonical: str) -> None:
    assert canonical_path(raw) == canonical
    assert canonical_path(canonical) == canonical, "a canonical path is its own canonical form"


@given(st.text(alphabet="/%25aF2cé~{} \udcff", max_size=30))
def test_canonical_form_is_a_fixed_point(raw: str) -> None:
    once = canonical_path(raw)
    assert canonical_path(once) == once


@pytest.mark.parametrize(
    ("given_path", "canonical"),
    [
        ("/get me", "/get me"),
        ("/get%20me", "/get me"),
        ("/привет", "/привет"),
        ("/a%2Fb", "/a%2Fb"),
        ("/50%", "/50%25"),
        ("/50%25", "/50%25"),
    ],
)
def test_routes_are_given_as_text_or_encoded(given_path: str, canonical: str) -> None:
    assert canonical_route_path(given_path) == canonical


@pytest.mark.parametrize(
    ("path", "request_path", "values"),
    [
        pytest.param("/{x}", "/a", {"x": "a"}, id="one segment"),
        pytest.param("/{x}", "/", None, id="an empty segment is none"),
        pytest.param("/{x}", "/a/b", None, id="a variable stays inside its segment"),
        pytest.param("/{x}", "/a%2Fb", {"x": "a/b"}, id="an encoded slash is decoded in the value"),
        pytest.param("/{x}", "/a%252Fb", {"x": "a%2Fb"}, id="decoded once only"),
        pytest.param("/{x}", "/100%25", {"x": "100%"}, id="percent sign"),
        pytest.param("/{x}", "/caf%C3%A9", {"x": "café"}, id="UTF-8 in a value"),
        pytest.param("/{x}", "/%FF", {"x": "%FF"}, id="octet outside UTF-8 stays encoded"),
        pytest.param("/{x}", "/%7Ba%7D", None, id="braces are outside the default pattern"),
        pytest.param("/{x}", "/a;b=c", {"x": "a;b=c"}, id="parameters belong to the segment"),
        pytest.param("/{x}", "/%20", {"x": " "}, id="a space is a value"),
        pytest.param("/l i t/{x}", "/l%20i%20t/1", {"x": "1"}, id="text before is decoded, too"),
        pytest.param("/{x}/{y}", "/a/b", {"x": "a", "y": "b"}, id="two segments"),
        pytest.param("/{x}-{y}", "/a-b", {"x": "a", "y": "b"}, id="two in a segment"),
        pytest.param("/{x}-{y}", "/a-b-c", {"x": "a-b", "y": "c"}, id="the first takes most"),
        pytest.param("/{x}-{y}", "/-a", None, id="the first cannot be empty"),
        pytest.param("/{x}-{y}", "/a-", None, id="the last cannot be empty"),
        pytest.param("/{x}{y}", "/abc", {"x": "ab", "y": "c"}, id="two without text between"),
        pytest.param("/{x}{y}", "/a", None, id="two need two characters"),
        pytest.param("/v{x}.{y}.json", "/v1.2.json", {"x": "1", "y": "2"}, id="text all around"),
        pytest.param("/v{x}.{y}.json", "/v1.2.jso", None, id="text at the end is wrong"),
        pytest.param("/{x}-{y}/z", "/a%2Fb-c/z", {"x": "a/b", "y": "c"}, id="two, with a slash"),
        pytest.param("/{x}.json", "/a.json", {"x": "a"}, id="text behind"),
        pytest.param(r"/{x:\d+}", "/12", {"x": "12"}, id="regular expression"),
        pytest.param(r"/{x:\d+}", "/1a", None, id="regular expression has to match in full"),
        pytest.param(r"/{x:[0-9]{4}}", "/2026", {"x": "2026"}, id="braces in it"),
        pytest.param(r"/{x:a\}b}", "/a}b", {"x": "a}b"}, id="escaped brace in it"),
        pytest.param("/{x:[\u0430-\u044f]+}", "/%D0%BF", {"x": "п"}, id="it sees decoded text"),
        pytest.param(
            "/path/to/{tail:.+}", "/path/to/a/b", {"tail": "a/b"}, id="tail, as in the FAQ"
        ),
        pytest.param("/path/to/{tail:.+}", "/path/to/", None, id="tail wants something"),
        pytest.param("/path/to/{tail:.*}", "/path/to/", {"tail": ""}, id="tail that may be empty"),
        pytest.param("/{x:(a|b)c}", "/bc", {"x": "bc"}, id="groups inside"),
        pytest.param("/{x:(?P<z>a)?b}", "/b", {"x": "b"}, id="a group that took no part"),
        pytest.param("/{x:(?P<z>a)?b}", "/ab", {"x": "ab", "z": "a"}, id="a named group inside"),
        pytest.param(r"/a.b/{x}", "/a-b/1", None, id="text is no regular expression"),
    ],
)
def test_matching(path: str, request_path: str, values: dict[str, str] | None) -> None:
    assert PathPattern(parse(path)).match(canonical_path(request_path)) == values


@pytest.mark.parametrize(
    "path",
    ["/{x", "/x}", "/{1x}", "/{}", "/{x:}", "/{a.b}", "/{x}}", "/{{x}}", "/{x:a}b}"],
)
def test_paths_that_are_not_understood(path: str) -> None:
    with pytest.raises(ValueError, match="Invalid path"):
        PathPattern(parse(path))


@pytest.mark.parametrize("path", ["/{x:[}", "/{x}/{x}", "/{x}-{x}", "/{x:(?P<y>a)}/{y}"])
def test_patterns_that_are_not_valid(path: str) -> None:
    with pytest.raises(ValueError, match="Bad pattern"):
        PathPattern(parse(path))


@pytest.mark.parametrize(
    ("path", "steps", "open_ended"),
    [
        ("/a/{x}/b", ("a", None, "b"), False),
        ("/{x}-{y}", (None,), False),
        (r"/a/{x:\d+}", ("a", None), False),
        (r"/a/{x:[0-9a-f]{4}}/b", ("a", None, "b"), False),
        ("/a/{x:.+}/b", ("a",), True),
        ("/a/{x:[^0]+}", ("a",), True),
        ("/a/{x:[+-9]+}", ("a",), True),
        ("/{x:a|b/c}", (), True),
    ],
)
def test_what_is_known_of_a_path_for_the_index(
    path: str, steps: tuple[str | None, ...], open_ended: bool
) -> None:
    pattern = PathPattern(parse(path))
    assert (pattern.steps, pattern.open_ended) == (steps, open_ended)


@given(
    st.lists(
        st.sampled_from(["{a}", "{b}", "{c}", "-", ".", "x"]), min_size=1, max_size=6, unique=True
    ),
    st.text(alphabet="-.xy", max_size=12),
)
def test_several_variables_in_a_segment_match_as_a_regular_expression_would(
    pieces: list[str], text: str
) -> None:
    pattern = PathPattern(parse("/" + "".join(pieces)))
    found = pattern.regex.fullmatch("/" + text)
    expected = found.groupdict() if found else None
    assert pattern.match("/" + text) == expected


def test_several_variables_in_a_segment_take_linear_time() -> None:
    """n characters could be divided in n² ways; a regular expression would try them all."""
    match = PathPattern(parse("/{a}-{b}-{c}.json")).match

    def cost(size: int) -> float:
        path = "/" + "-" * size
        return min(_timed(match, path) for _ in range(5))

    assert match("/" + "-" * 8000) is None
    assert cost(8000) < 40 * cost(800) + 0.001


def _timed(match: object, path: str) -> float:
    assert callable(match)
    start = time.perf_counter()
    match(path)
    return time.perf_counter() - start


segments = st.text(st.characters(exclude_characters="{}", codec="utf-8"), min_size=1)


@given(segments, segments)
def test_a_formatted_path_matches_with_the_same_values(x: str, y: str) -> None:
    pattern = PathPattern(parse("/a b/{x}/{y:[^{}]+}"))
    path = pattern.format({"x": x, "y": y})
    assert re.fullmatch(r"[!-~]+", path), "a URL's path is visible ASCII"
    assert pattern.match(canonical_path(path)) == {"x": x, "y": y}


@pytest.mark.parametrize(
    ("path", "values", "formatted"),
    [
        pytest.param("/{x}", {"x": "a/b"}, "/a%2Fb", id="slash in a segment"),
        pytest.param("/{x:.+}", {"x": "a/b"}, "/a/b", id="slash in a tail"),
        pytest.param("/{x}", {"x": "a%2Fb"}, "/a%252Fb", id="percent sign"),
        pytest.param("/{x}", {"x": "?#&+:@~"}, "/%3F%23&+:@~", id="what a path cannot contain"),
        pytest.param("/{x}", {"x": "é"}, "/%C3%A9", id="UTF-8"),
        pytest.param(
            "/привет/{x}", {"x": 1}, "/%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82/1", id="number"
        ),
        pytest.param("/{x:.*}", {"x": "/evil.example"}, "/%2Fevil.example", id="no other host"),
        pytest.param("/{x}/b", {"x": "a", "y": "b"}, "/a/b", id="more values than needed"),
    ],
)
def test_formatting(path: str, values: dict[str, object], formatted: str) -> None:
    assert PathPattern(parse(path)).format(values) == formatted


@pytest.mark.parametrize(
    ("values", "error"), [({}, KeyError), ({"x": None}, TypeError), ({"x": b"a"}, TypeError)]
)
def test_formatting_needs_the_values(values: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        PathPattern(parse("/{x}")).format(values)


def test_values_are_decoded_once() -> None:
    assert decode_value("%252F%2F%25") == "%2F/%"
