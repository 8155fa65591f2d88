"""Each rule of the deprecation policy, and what it says when it is broken."""

import ast
import datetime as dt
import pathlib
import re
from collections.abc import Callable

import pytest

pytest.importorskip("griffe", reason="reads the public API; nox -s deprecations installs it")

import changes
import deprecations
import registry
import scan
from deprecation_texts import literal, pieces, sentence
from packaging.version import Version
from repository import Repository

from .conftest import ENTRY, Tiny

REGISTRY = "docs/deprecations.toml"
WARNS = '        if loop is not None:\n            warn_deprecated("ANT-0002")\n'


def said(tiny: Tiny) -> list[str]:
    """Return what the check finds wrong, the generated texts as they should be."""
    repository = Repository(tiny.root)
    deprecations.write(repository, registry.load(repository))
    return deprecations.static_problems(repository)


def test_a_repository_that_keeps_every_rule(tiny: Tiny) -> None:
    assert said(tiny) == []
    assert deprecations.main(["--no-tests"], Repository(tiny.root)) == 0


def code(old: str, new: str) -> Callable[[Tiny], None]:
    """Change the code of antiphon-web."""
    return lambda tiny: tiny.replace(tiny.code("web"), old, new)


def entry(old: str, new: str) -> Callable[[Tiny], None]:
    """Change the entry of antiphon-web."""

    def change(tiny: Tiny) -> None:
        path = tiny.path(REGISTRY)
        text = ENTRY.format(id="ANT-0002", name="web")
        assert old in text
        tiny.replace(path, text, text.replace(old, new))

    return change


def both(*changes: Callable[[Tiny], None]) -> Callable[[Tiny], None]:
    def change(tiny: Tiny) -> None:
        for each in changes:
            each(tiny)

    return change


def removed(version: str, date: str) -> Callable[[Tiny], None]:
    return entry(
        'state = "warning"', f'state = "removed"\nremoved_in = "{version}"\nremoved_date = {date}'
    )


GONE = code("size: int = 1, loop: object = None", "size: int = 1")
SILENT = code(WARNS, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            code('"ANT-0002"', '"ANT-0099"'),
            "ANT-0099 is not in the registry",
            id="unregistered id",
        ),
        pytest.param(SILENT, "ANT-0002: in the registry, but nothing warns", id="unused id"),
        pytest.param(
            code('"ANT-0002"', '"ANT-0001"'),
            "ANT-0001 is antiphon-core's; antiphon-web needs its own",
            id="id of another package",
        ),
        pytest.param(
            code('warn_deprecated("ANT-0002")', 'warn_deprecated("ANT" + "-0002")'),
            "takes an id that stands there",
            id="computed id",
        ),
        pytest.param(
            code("        self.size = size", "        raise DeprecationWarning('size')"),
            "raw DeprecationWarning",
            id="raw DeprecationWarning",
        ),
        pytest.param(
            code(
                "        self.size = size", "        warn('x', category=PendingDeprecationWarning)"
            ),
            "raw PendingDeprecationWarning",
            id="raw PendingDeprecationWarning",
        ),
        pytest.param(
            code(
                "        self.size = size", "        warnings.warn(AntiphonDeprecationWarning('x'))"
            ),
            "raw AntiphonDeprecationWarning",
            id="our class without the helper",
        ),
        pytest.param(
            code("        self.size = size", "        warnings.simplefilter('ignore')"),
            "silences warnings",
            id="silenced",
        ),
        pytest.param(
            entry("2021-07-31", "2021-07-30"),
            "less than 18 months after 2020-01-31",
            id="short period",
        ),
        pytest.param(
            both(GONE, SILENT, removed("1.0.0", "2021-07-30")),
            "removed on 2021-07-30, before 2021-07-31",
            id="removed before its date",
        ),
        pytest.param(
            both(GONE, SILENT, removed("1.1.0", "2022-01-01")),
            "removed in 1.1.0, which is no major release",
            id="removed in a minor release",
        ),
        pytest.param(
            both(GONE, SILENT, removed("0.1.1", "2022-01-01")),
            "removed in 0.1.1, which is no major release",
            id="removed in a patch below 1.0",
        ),
        pytest.param(
            both(GONE, SILENT, entry('state = "warning"', 'state = "removed"')),
            "removed_in and removed_date do not say when",
            id="removed without a date",
        ),
        pytest.param(
            both(SILENT, removed("1.0.0", "2022-01-01")),
            "antiphon.web.Thing(loop=) is still there",
            id="removed in words only",
        ),
        pytest.param(
            removed("1.0.0", "2022-01-01"),
            "ANT-0002 is removed according to",
            id="removed, yet warns",
        ),
        pytest.param(GONE, "antiphon.web.Thing(loop=) is gone, but", id="argument gone"),
        pytest.param(
            code("class Thing:", "class Other:"),
            "antiphon.web.Thing(loop=) is gone, but",
            id="class gone",
        ),
        pytest.param(
            lambda tiny: tiny.path("docs/deprecated.md").write_text("stale"),
            "docs/deprecated.md: not as the registry has it",
            id="stale page",
        ),
        pytest.param(
            lambda tiny: tiny.replace(tiny.path("pyproject.toml"), '["error"]', '["default"]'),
            "filterwarnings begins with error",
            id="tests that live with warnings",
        ),
        pytest.param(
            lambda tiny: tiny.replace(
                tiny.path("pyproject.toml"), '["error"]', '["error", "ignore::DeprecationWarning"]'
            ),
            "may silence deprecations",
            id="tests that silence deprecations",
        ),
        pytest.param(
            lambda tiny: tiny.write(
                "docs/examples/e.py", "from antiphon import web\nthing = web.Thing(loop=None)\n"
            ),
            "docs/examples/e.py:2: uses antiphon.",
            id="example that uses it",
        ),
        pytest.param(
            lambda tiny: tiny.write(
                "docs/p.md",
                "Text\n\n```python\nfrom antiphon.web import Thing\nThing(2, loop=1)\n```\n",
            ),
            "docs/p.md:5: uses antiphon.",
            id="page that shows it",
        ),
        pytest.param(
            lambda tiny: tiny.replace(
                tiny.path(REGISTRY), ENTRY.format(id="ANT-0002", name="web"), ""
            ),
            "expected ANT-0002 here",
            id="deleted entry",
        ),
        pytest.param(
            entry('kind = "argument"', 'kind = "thing"'), "kind 'thing' is none of", id="kind"
        ),
        pytest.param(
            entry("Leave it out", "leave it out."), "a sentence with a capital", id="grammar"
        ),
        pytest.param(
            entry("antiphon.web.Thing(loop=)", "the loop"),
            "is words: list the public names",
            id="words",
        ),
    ],
)
def test_broken_rule(tiny: Tiny, change: Callable[[Tiny], None], message: str) -> None:
    change(tiny)
    if message.startswith("docs/deprecated.md"):
        found = deprecations.static_problems(Repository(tiny.root))
    else:
        found = said(tiny)
    assert [line for line in found if message in line], found


def test_removal_that_keeps_every_rule(tiny: Tiny) -> None:
    tiny.commit(tags=["web-v0.1.0"])
    both(GONE, SILENT, removed("1.0.0", "2022-01-01"))(tiny)
    assert said(tiny) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            code('__all__ = ("Thing", "use")', '__all__ = ("Thing",)'),
            "antiphon.web.use is no longer in __all__",
            id="export",
        ),
        pytest.param(
            code("def use(thing: Thing)", "def other(thing: Thing)"),
            "antiphon.web.use is gone",
            id="function",
        ),
        pytest.param(
            code("    def grow", "    def _grow"), "antiphon.web.Thing.grow is gone", id="method"
        ),
        pytest.param(
            code("use(thing: Thing)", "use()"), "antiphon.web.use(thing=) is gone", id="argument"
        ),
        pytest.param(
            code("use(thing: Thing)", "use(thing: Thing, times: int)"),
            "antiphon.web.use(times=) is new and required",
            id="required argument",
        ),
        pytest.param(
            code("use(thing: Thing)", "use(*, thing: Thing)"),
            "antiphon.web.use(thing=) is given in another way",
            id="keyword only",
        ),
        pytest.param(
            code("size: int = 1", "size: int"),
            "antiphon.web.Thing(size=) is required",
            id="default lost",
        ),
    ],
)
def test_public_api_against_the_last_release(
    tiny: Tiny, change: Callable[[Tiny], None], message: str
) -> None:
    change(tiny)
    assert not [line for line in said(tiny) if message in line], "there is no release yet"
    tiny.git("checkout", "--quiet", "--", ".")
    tiny.commit(tags=["web-v0.1.0", "core-v0.9.0"])
    change(tiny)
    found = said(tiny)
    assert [line for line in found if message in line and "since web-v0.1.0" in line], found


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(code("by: int", "by: int = 1"), id="argument that need not be given"),
        pytest.param(code("size: int = 1", "size: int = 2"), id="another default"),
        pytest.param(
            code("use(thing: Thing)", "use(thing: Thing, times: int = 1)"), id="new argument"
        ),
        pytest.param(code('__version__ = "0.1.0"', '__version__ = "0.1.1"'), id="version"),
        pytest.param(
            code("def use", "def _private() -> None: ...\n\n\ndef use"), id="private function"
        ),
    ],
)
def test_what_takes_nothing_away_passes(tiny: Tiny, change: Callable[[Tiny], None]) -> None:
    tiny.commit(tags=["web-v0.1.0"])
    change(tiny)
    assert said(tiny) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            entry("2021-07-31", "2021-08-31"),
            "has earlier dates than in web-v0.1.0",
            id="earlier date",
        ),
        pytest.param(
            entry("antiphon.web.Thing(loop=)", "antiphon.web.Thing(size=)"),
            "is about something else than in web-v0.1.0",
            id="another object",
        ),
    ],
)
def test_released_entries_stay_as_they_are(
    tiny: Tiny, change: Callable[[Tiny], None], message: str
) -> None:
    change(tiny)
    tiny.commit(tags=["web-v0.1.0"])
    tiny.git("checkout", "--quiet", "HEAD~1", "--", REGISTRY)
    found = said(tiny)
    assert [line for line in found if message in line], found


def test_an_entry_does_not_claim_a_release_that_came_without_it(tiny: Tiny) -> None:
    tiny.commit(tags=["web-v0.1.0"])
    path = tiny.path(REGISTRY)
    new = (
        ENTRY
        .format(id="ANT-0005", name="web")
        .replace("(loop=)", ".grow")
        .replace("argument", "method")
    )
    path.write_text(path.read_text() + new)
    code("        return self.size + by", '        warn_deprecated("ANT-0005")\n        return 1')(
        tiny
    )
    assert said(tiny) == ["ANT-0005: says since 0.1.0, but web-v0.1.0 came without it"]
    tiny.replace(path, new, new.replace('since = "0.1.0"', 'since = "0.2.0"'))
    assert said(tiny) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "argument"\n', "", "kind is missing"),
        ("2021-07-31", '"2021-07-31"', "not a date"),
        ('state = "warning"', 'state = "warning"\ncolour = "red"', "unknown: colour"),
    ],
)
def test_unreadable_registry(
    tiny: Tiny, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    entry(old, new)(tiny)
    assert deprecations.main(["--no-tests"], Repository(tiny.root)) == 1
    assert message in capsys.readouterr().out


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ((2026, 11, 22), 18, (2028, 5, 22)),
        ((2026, 8, 31), 18, (2028, 2, 29)),
        ((2025, 8, 31), 18, (2027, 2, 28)),
        ((2026, 6, 30), 18, (2027, 12, 30)),
        ((2026, 12, 1), 1, (2027, 1, 1)),
    ],
)
def test_months(day: tuple[int, int, int], months: int, expected: tuple[int, int, int]) -> None:
    assert registry.months_after(dt.date(*day), months) == dt.date(*expected)


def test_release_dates_the_entries_that_it_brings(tiny: Tiny) -> None:
    text = tiny.path(REGISTRY).read_text()
    after = registry.redated(text, "web", Version("0.1.0"), dt.date(2026, 1, 15))
    entries = {entry.id: entry for entry in registry.parse(after)}
    assert entries["ANT-0002"].since_date == dt.date(2026, 1, 15)
    assert entries["ANT-0002"].remove_not_before == dt.date(2027, 7, 15)
    assert entries["ANT-0001"].since_date == dt.date(2020, 1, 31)
    assert registry.redated(text, "web", Version("0.2.0"), dt.date(2026, 1, 15)) == text


def test_sentences_are_english_and_modules_formatted() -> None:
    entries = registry.load(Repository())
    for each in entries:
        text = sentence(each)
        assert re.match(r"(?:[A-Z]|antiphon\.)", text), text
        assert text.endswith(".")
        assert not re.search(r"s is deprecated", text.partition("since")[0]), text
        assert "".join(pieces(text, 40)) == text
        assert ast.literal_eval(literal(text)) == text
    assert literal("it's") == '"it\'s"'
    assert literal('say "no"') == "'say \"no\"'"


def test_overdue_entries_are_listed_and_fail_nothing(tiny: Tiny) -> None:
    entries = registry.load(Repository(tiny.root))
    assert deprecations.overdue(entries, dt.date(2021, 7, 30)) == []
    assert len(deprecations.overdue(entries, dt.date(2021, 7, 31))) == 4


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from antiphon import web\nweb.Thing(loop=1)", [2]),
        ("from antiphon import web\nweb.Thing(\n    size=1,\n    loop=1)", [4]),
        ("import asyncio\nThing(loop=1)", []),
        ("from antiphon import web\nweb.Thing(size=1)", []),
    ],
)
def test_text_is_told_from_what_is_obsolete(tiny: Tiny, source: str, expected: list[int]) -> None:
    entries = registry.load(Repository(tiny.root))
    assert sorted({line for line, _, _ in scan.obsolete_in(ast.parse(source), entries)}) == expected


# --- news fragments


@pytest.mark.parametrize(
    ("name", "text", "passes"),
    [
        ("slow-start.bugfix.md", "Made the start of a session faster.", True),
        ("12.breaking.md", "Took `Thing` away.", True),
        ("slow-start.fix.md", "Made the start of a session faster.", False),
        ("slow-start.md", "Made the start of a session faster.", False),
        ("slow-start.bugfix.md", "faster", False),
    ],
)
def test_fragments(tiny: Tiny, name: str, text: str, passes: bool) -> None:
    tiny.write(f"packages/web/changes/{name}", text)
    assert (changes.main([], Repository(tiny.root)) == 0) is passes


@pytest.mark.parametrize(
    ("change", "news", "released", "passes"),
    [
        pytest.param(code("+ by", "- by"), False, True, False, id="code without news"),
        pytest.param(code("+ by", "- by"), True, True, True, id="code with news"),
        pytest.param(code("+ by", "- by"), False, False, True, id="before the first release"),
        pytest.param(code('"""Grow."""', '"""Grow it."""'), False, True, True, id="docstring"),
        pytest.param(code("+ by", "+ by  # sum"), False, True, True, id="comment"),
    ],
)
def test_code_that_changed_needs_news(
    tiny: Tiny, change: Callable[[Tiny], None], news: bool, released: bool, passes: bool
) -> None:
    tiny.commit(tags=["web-v0.1.0"] if released else [])
    tiny.git("checkout", "--quiet", "-b", "work")
    change(tiny)
    if news:
        tiny.write("packages/web/changes/less.bugfix.md", "Made things shrink.")
    tiny.commit()
    assert (changes.main(["--against", "main"], Repository(tiny.root)) == 0) is passes


def test_every_tool_says_what_it_is_for() -> None:
    for path in pathlib.Path(deprecations.__file__).parent.glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
