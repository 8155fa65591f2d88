"""Fuzz target for ``Link`` and for lists of any kind."""

from antiphon.core.fields import _grammar, link, lists
from antiphon.core.fields.link import format_links, parse_links
from antiphon.core.fields.lists import join_list, split_list


def fuzz_one(data: bytes) -> None:
    """Check one field value.

    Raises:
        AssertionError: A property does not hold.
    """
    text = data.decode("utf-8", "surrogateescape")
    members = split_list(text)
    assert all(members)
    try:
        assert split_list(join_list(members)) == members
    except ValueError:
        assert any(ord(character) < 32 or ord(character) == 127 for character in text)
    links = parse_links(text)
    assert len(links) <= text.count("<")
    try:
        written = format_links(links)
    except ValueError:
        return  # something in it would end too early
    assert parse_links(written) == links, (written, links)


if __name__ == "__main__":
    from _fuzzing import fuzz  # type: ignore[import-not-found]  # it stands beside this file

    fuzz(fuzz_one, link, lists, _grammar)
