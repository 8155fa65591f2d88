"""Links of the built documentation that lead nowhere are found."""

import pathlib

import links
import pytest


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        pytest.param("b/other.html", None, id="a page"),
        pytest.param("b/other.html#there", None, id="a place in a page"),
        pytest.param("#here", None, id="a place in this page"),
        pytest.param("https://example.org/nowhere", None, id="another site"),
        pytest.param("b/a%20picture.svg", None, id="a quoted name"),
        pytest.param("b/none.html", "there is no such file", id="no page"),
        pytest.param("b/other.html#nowhere", "nothing is called so there", id="no place"),
        pytest.param("#there", "nothing is called so there", id="no place in this page"),
    ],
)
def test_a_link_leads_somewhere(tmp_path: pathlib.Path, link: str, problem: str | None) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/a picture.svg").touch()
    (tmp_path / "b/other.html").write_text('<p id="there"><a href="../index.html">back</a>')
    (tmp_path / "index.html").write_text(f'<h1 id="here">x</h1><a href="{link}">y</a>')
    expected = [] if problem is None else [f"index.html: {link}: {problem}"]
    assert list(links.problems(tmp_path)) == expected
    assert links.main([str(tmp_path)]) == len(expected)
