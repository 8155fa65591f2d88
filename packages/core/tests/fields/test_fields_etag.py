"""Entity tags (RFC 9110 section 8.8.3)."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.fields.etag import (
    ETAG_ANY,
    ETag,
    format_etags,
    parse_etag,
    parse_etags,
    strong_match,
    weak_match,
)

A, WEAK_A, B = ETag("a"), ETag("a", is_weak=True), ETag("b")


def test_a_tag_is_a_value() -> None:
    assert repr(ETag("x")) == "ETag(value='x', is_weak=False)"
    assert ETag("x") == ETag(value="x", is_weak=False) != ETag("x", True)
    assert len({A, ETag("a"), WEAK_A}) == 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        A.value = "b"  # type: ignore[misc]  # what must not work


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a"', A),
        (' W/"a"\t', WEAK_A),
        ('""', ETag("")),
        ('"a,b c"', ETag("a,b c")),
        ('"\u00e9"', ETag("\u00e9")),
        ("a", None),
        ('"a', None),
        ('w/"a"', None),
        ('"a"b"', None),
        ('"a", "b"', None),
        ('"a\n"', None),
        ("*", None),
        ("", None),
    ],
)
def test_one_tag(text: str, expected: ETag | None) -> None:
    assert parse_etag(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"a"', (A,)),
        ('"a", W/"a","b"', (A, WEAK_A, B)),
        (', ,"a" ,, "b",', (A, B)),
        ("*", (ETag(ETAG_ANY),)),
        (' "*" ', (ETag("*"),)),
        ('"a,b"', (ETag("a,b"),)),
        ('"a", b, "c"', (A,)),
        ('"a" "b"', ()),
        ('*, "a"', ()),
        ("a", ()),
        ("", ()),
    ],
)
def test_lists_of_tags(text: str, expected: tuple[ETag, ...]) -> None:
    assert parse_etags(text) == expected


@pytest.mark.parametrize(
    ("first", "second", "strong", "weak"),
    [
        # the table of RFC 9110 section 8.8.3.2
        (WEAK_A, WEAK_A, False, True),
        (WEAK_A, ETag("b", True), False, False),
        (WEAK_A, A, False, True),
        (A, A, True, True),
    ],
)
def test_comparison(first: ETag, second: ETag, strong: bool, weak: bool) -> None:
    assert strong_match(first, second) is strong_match(second, first) is strong
    assert weak_match(first, second) is weak_match(second, first) is weak


@pytest.mark.parametrize("value", ['a"', "a\r\nb", "\0", "\x7f"])
def test_tag_that_would_end_its_field(value: str) -> None:
    with pytest.raises(ValueError, match="not an entity tag"):
        str(ETag(value))


VALUE = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters='"'), max_size=9)


@given(st.lists(st.builds(ETag, VALUE, st.booleans())))
def test_round_trip(tags: list[ETag]) -> None:
    assert parse_etags(format_etags(tags)) == tuple(tags)
    for tag in tags:
        assert parse_etag(str(tag)) == tag


def test_any_tag_is_written_without_quotes() -> None:
    assert format_etags([ETag(ETAG_ANY)]) == "*"


@given(st.text(alphabet='"W/,a \\*\x00', max_size=50))
def test_any_text_is_taken(text: str) -> None:
    for tag in parse_etags(text):
        assert parse_etag(str(tag)) == tag
    parse_etag(text)
