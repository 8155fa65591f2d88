"""List-valued fields, Link, Forwarded and Keep-Alive."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.fields._grammar import quote, token_or_quoted, unquote
from antiphon.core.fields.forwarded import (
    format_forwarded,
    parse_forwarded,
    parse_node,
    parse_x_forwarded_for,
)
from antiphon.core.fields.keep_alive import KeepAlive, parse_keep_alive
from antiphon.core.fields.link import Link, format_links, parse_links
from antiphon.core.fields.lists import join_list, split_list, tokens

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)


# --- lists ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (" a\t, b c ,", ["a", "b c"]),
        (",, ,", []),
        ("", []),
        ('a="x,y", b', ['a="x,y"', "b"]),
        (r'"a\",b",c', [r'"a\",b"', "c"]),
        (r'"a\\",b', [r'"a\\"', "b"]),
        ('a, "b, c', ["a", '"b, c']),
        ('"a\\', ['"a\\']),
        ('"",""', ['""', '""']),
    ],
)
def test_members_of_a_list(text: str, expected: list[str]) -> None:
    assert split_list(text) == expected


def test_lists_of_tokens_ignore_case() -> None:
    assert tokens("Keep-Alive , UPGRADE,,x") == ["keep-alive", "upgrade", "x"]


@given(st.lists(TEXT.map(token_or_quoted)))
def test_lists_round_trip(members: list[str]) -> None:
    assert split_list(join_list(members)) == members


@pytest.mark.parametrize("member", ["a\r\nb", "\0", "", " "])
def test_member_that_is_none(member: str) -> None:
    with pytest.raises(ValueError, match="list member"):
        join_list(["a", member])


@given(TEXT)
def test_quoted_strings_round_trip(text: str) -> None:
    assert unquote(quote(text)[1:-1]) == text


@pytest.mark.parametrize("text", ["\r\n", "\0", "\x1f", "\x7f"])
def test_control_characters_are_not_quoted_but_refused(text: str) -> None:
    with pytest.raises(ValueError, match="control"):
        quote(text)


# --- Link -------------------------------------------------------------------------------------


def link(target: str, *parameters: tuple[str, str]) -> Link:
    return Link(target, parameters)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a>", [link("a")]),
        ("<>; rel=self", [link("", ("rel", "self"))]),
        (
            '</a,b;c>; rel=next, <d>;REL="x y"',
            [link("/a,b;c", ("rel", "next")), link("d", ("rel", "x y"))],
        ),
        ('<a>; title="x, <y>; z"; b', [link("a", ("title", "x, <y>; z"), ("b", ""))]),
        ("< a > ; rel=x;,,<b>", [link("a", ("rel", "x")), link("b")]),
        ("<a> rel=x, <b>", []),
        ("<a>, b, <c>", [link("a")]),
        ("<a", []),
        ("a", []),
        ("", []),
    ],
)
def test_links(text: str, expected: list[Link]) -> None:
    assert parse_links(text) == expected


def test_parts_of_a_link() -> None:
    (found,) = parse_links('<https://x/?p=2>; rel="next last"; rel=other; title=a')
    assert (found.rel, found.get("title"), found.get("x")) == ("next last", "a", None)
    assert Link("a").rel is None


@pytest.mark.parametrize(
    "bad", [Link("a>b"), Link("a b"), Link("a\r\n"), link("a", ("b", "\n")), link("a", ("b c", ""))]
)
def test_nothing_is_injected_through_a_link(bad: Link) -> None:
    with pytest.raises(ValueError, match=r"target|control|token"):
        format_links([bad])


TARGET = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs"], exclude_characters="<>"))


@given(
    st.lists(
        st.builds(Link, TARGET.map(str.strip), st.lists(st.tuples(st.just("rel"), TEXT)).map(tuple))
    )
)
def test_links_round_trip(links: list[Link]) -> None:
    assert parse_links(format_links(links)) == links


# --- Forwarded --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("for=1.2.3.4", [{"for": "1.2.3.4"}]),
        (
            'For="[2001:db8::1]:80";proto=https;by=x, for=2',
            [{"for": "[2001:db8::1]:80", "proto": "https", "by": "x"}, {"for": "2"}],
        ),
        ("for=[::1]:80;;by=2", [{"for": "[::1]:80", "by": "2"}]),
        ('host="a\\"b,c"', [{"host": 'a"b,c'}]),
        ("for=1 ; by=2", [{"for": "1", "by": "2"}]),
        ("for=1, bad, for=2", [{"for": "1"}, {}, {"for": "2"}]),
        ("for = 1;by=2", [{}]),
        ("for=a b;by=2", [{}]),
        ('for=6;x=", for="[::1]"', [{}, {"for": "[::1]"}]),
        ('for=1, for="6, for=2', [{"for": "1"}, {}, {"for": "2"}]),
        ('for=6;x="\\, for=2', [{}, {"for": "2"}]),
        ('for="x', [{}]),
        ("=x;by=1", [{}]),
        ("for=1;for=2", [{"for": "2"}]),
        ("", []),
    ],
)
def test_forwarded(text: str, expected: list[Mapping[str, str]]) -> None:
    assert list(parse_forwarded(text)) == expected


def test_what_was_forwarded_does_not_change() -> None:
    (element,) = parse_forwarded("for=1")
    with pytest.raises(TypeError):
        element["for"] = "2"  # type: ignore[index]  # what must not work


ELEMENT = st.dictionaries(st.sampled_from(["for", "by", "host", "proto"]), TEXT, min_size=1)


@given(st.lists(ELEMENT))
def test_forwarded_round_trip(elements: list[dict[str, str]]) -> None:
    assert list(parse_forwarded(format_forwarded(elements))) == elements


@pytest.mark.parametrize("bad", [{"for": "1\r\n"}, {"f or": "1"}, {"": "1"}])
def test_nothing_is_injected_through_forwarded(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"control|Forwarded"):
        format_forwarded([bad])


def test_x_forwarded_for() -> None:
    assert parse_x_forwarded_for("1.2.3.4,  ::1 ,unknown") == ["1.2.3.4", "::1", "unknown"]
    assert parse_x_forwarded_for('"6, 1.2.3.4') == ['"6', "1.2.3.4"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.2.3.4", ("1.2.3.4", None)),
        ("1.2.3.4:80", ("1.2.3.4", "80")),
        ("[::1]", ("::1", None)),
        ("[::1]:_port", ("::1", "_port")),
        ("_hidden", ("_hidden", None)),
        ("unknown", ("unknown", None)),
        ("::1", ("::1", None)),
        ("[::1", ("[::1", None)),
        ("a:123456", ("a:123456", None)),
        ("", ("", None)),
    ],
)
def test_nodes(text: str, expected: tuple[str, str | None]) -> None:
    assert parse_node(text) == expected


# --- Keep-Alive -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timeout=5, max=100", KeepAlive(5, 100)),
        ('Timeout = "7"', KeepAlive(7)),
        ("max=3", KeepAlive(None, 3)),
        ("timeout=5,timeout=9", KeepAlive(5)),
        ("timeout=-1, max=x", KeepAlive()),
        ("timeout=9999999999", KeepAlive()),
        ("timeout=\u0665", KeepAlive()),
        ("timeout=1.5", KeepAlive()),
        ("", KeepAlive()),
    ],
)
def test_keep_alive(text: str, expected: KeepAlive) -> None:
    assert parse_keep_alive(text) == expected


@given(st.builds(KeepAlive, st.none() | st.integers(0, 10**9 - 1), st.none() | st.integers(0, 9)))
def test_keep_alive_round_trip(given: KeepAlive) -> None:
    assert parse_keep_alive(str(given)) == given


@given(st.text(alphabet='",;=\\<>[]:afor ', max_size=60))
def test_any_text_is_taken(text: str) -> None:
    split_list(text)
    parse_links(text)
    parse_forwarded(text)
    parse_node(text)
    parse_keep_alive(text)
