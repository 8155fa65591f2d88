"""What source text says about deprecations: which ids it warns with, and what goes round the helper."""

import ast
import dataclasses
import pathlib
import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from registry import Entry, expanded
from repository import PACKAGES, Repository

HELPER: Final = "packages/core/src/antiphon/core/deprecations.py"

_CATEGORIES: Final = frozenset({"DeprecationWarning", "PendingDeprecationWarning"})
_OURS: Final = "AntiphonDeprecationWarning"
_FENCE: Final = re.compile(
    r"^([ ]*)(`{3,}|:{3,})(?:\{code-block\} )?python\b[^\n]*\n(.*?)^\1\2[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_ALLOWED: Final = re.compile(r"#.*\bobsolete on purpose\b")


@dataclasses.dataclass(frozen=True)
class Use:
    """One call of the helper: the id, and where it stands."""

    id: str
    package: str
    place: str


def source_files(repository: Repository, package: str) -> list[pathlib.Path]:
    """Return the modules of *package*."""
    return sorted(repository.sources(package).rglob("*.py"))


def trees(
    repository: Repository, files: Iterable[pathlib.Path]
) -> Iterator[tuple[str, ast.Module]]:
    """Parse *files*; each comes with its path from the root of the repository."""
    for path in files:
        yield path.relative_to(repository.root).as_posix(), ast.parse(path.read_text(), str(path))


def uses(repository: Repository) -> tuple[list[Use], list[str]]:
    """Return each call of ``warn_deprecated`` in the packages, and those that cannot be understood."""
    found: list[Use] = []
    problems: list[str] = []
    for package in PACKAGES:
        for path, tree in trees(repository, source_files(repository, package)):
            for call in _calls(tree, "warn_deprecated"):
                place = f"{path}:{call.lineno}"
                id = call.args[0] if call.args else None
                if isinstance(id, ast.Constant) and isinstance(id.value, str):
                    found.append(Use(id.value, package, place))
                else:
                    problems.append(
                        f"{place}: warn_deprecated() takes an id that stands there, as text"
                    )
    return found, problems


def use_problems(entries: Iterable[Entry], found: Iterable[Use]) -> list[str]:
    """Compare the registry with the calls of the helper, both ways."""
    by_id = {entry.id: entry for entry in entries}
    problems: list[str] = []
    for use in found:
        entry = by_id.get(use.id)
        if entry is None:
            problems.append(f"{use.place}: {use.id} is not in the registry")
        elif entry.state == "removed":
            problems.append(f"{use.place}: {use.id} is removed according to the registry")
        elif entry.short_package != use.package:
            problems.append(
                f"{use.place}: {use.id} is {entry.package}'s; antiphon-{use.package} needs its own entry"
            )
    used = {use.id for use in found}
    problems += [
        f"{entry.id}: in the registry, but nothing warns with it"
        for entry in by_id.values()
        if entry.state == "warning" and entry.id not in used
    ]
    return problems


def raw_warnings(repository: Repository) -> list[str]:
    """Return where the packages raise a deprecation without the helper, or silence one."""
    problems: list[str] = []
    for package in PACKAGES:
        for path, tree in trees(repository, source_files(repository, package)):
            if path != HELPER:
                problems += [f"{path}:{line}: {what}" for line, what in _raw(tree)]
    return sorted(set(problems))


def _raw(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and _last_name(node) in _CATEGORIES:
            yield node.lineno, f"raw {_last_name(node)}; deprecations go through warn_deprecated()"
    for call in _calls(tree, _OURS):
        yield call.lineno, f"raw {_OURS}; deprecations go through warn_deprecated()"
    for name in ("warn", "warn_explicit", "simplefilter", "filterwarnings"):
        for call in _calls(tree, name):
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            if any(_last_name(value) == _OURS for value in given):
                yield call.lineno, f"raw {_OURS}; deprecations go through warn_deprecated()"
    for name in ("simplefilter", "filterwarnings", "catch_warnings"):
        for call in _calls(tree, name):
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            if any(isinstance(value, ast.Constant) and value.value == "ignore" for value in given):
                yield call.lineno, "silences warnings, ours perhaps among them"


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last_name(node.func) == name:
            yield node


def _last_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def own_uses(repository: Repository, entries: Iterable[Entry]) -> list[str]:
    """Return where our own code, examples or pages use what is obsolete, as far as text can tell.

    Running them with warnings as errors finds the rest. A line that shows
    something obsolete says so in a comment: ``# obsolete on purpose``.
    """
    current = [entry for entry in entries if entry.state == "warning"]
    problems: list[str] = []
    for path, text, first_line in _own_texts(repository):
        try:
            tree = ast.parse(text)
        except SyntaxError:
            continue  # a fragment, such as one with dots in it, which no test can run either
        lines = text.splitlines()
        for line, name, id in obsolete_in(tree, current):
            if not _ALLOWED.search(lines[line - 1]):
                problems.append(
                    f"{path}:{first_line + line - 1}: uses {name}, which is obsolete ({id})"
                )
    return sorted(set(problems))


def _own_texts(repository: Repository) -> Iterator[tuple[str, str, int]]:
    root = repository.root
    pages = [*root.glob("*.md"), *root.glob("packages/*/README.md"), *root.glob("docs/**/*.md")]
    examples = [*root.glob("docs/examples/**/*.py"), *root.glob("packages/*/benchmarks/**/*.py")]
    for path in sorted(pages):
        if "_build" in path.parts:
            continue
        text = path.read_text()
        for block in _FENCE.finditer(text):
            line = text.count("\n", 0, block.start(3)) + 1
            yield path.relative_to(root).as_posix(), textwrap.dedent(block[3]), line
    for path in sorted(examples):
        yield path.relative_to(root).as_posix(), path.read_text(), 1


def obsolete_in(tree: ast.Module, entries: Iterable[Entry]) -> Iterator[tuple[int, str, str]]:
    """Find uses of *entries*: line, public name, id.

    Names and arguments are told by the last part of their name, in code that
    imports antiphon; attributes by what a variable of their class is called.
    """
    if not any(
        (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("antiphon"))
        or (isinstance(node, ast.Import) and any(a.name.startswith("antiphon") for a in node.names))
        for node in ast.walk(tree)
    ):
        return
    arguments: dict[tuple[str, str], tuple[str, str]] = {}
    names: dict[str, tuple[str, str]] = {}
    attributes: dict[tuple[str, str], tuple[str, str]] = {}
    for entry in entries:
        for name in (each for text in entry.public_names() for each in expanded(text)):
            head, _, argument = name.partition("(")
            *_, owner, last = head.split(".")
            if argument:
                arguments[last, argument.removesuffix("=)")] = (name, entry.id)
            elif entry.kind == "attribute":
                for variable in _variables(owner):
                    attributes[variable, last] = (name, entry.id)
            else:
                names[last] = (name, entry.id)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                hit = arguments.get((_last_name(node.func) or "", keyword.arg or ""))
                if hit:
                    yield keyword.value.lineno, *hit
        elif isinstance(node, ast.Name | ast.Attribute):
            hit = names.get(_last_name(node) or "")
            if hit is None and isinstance(node, ast.Attribute):
                hit = attributes.get((_last_name(node.value) or "", node.attr))
            if hit:
                yield node.lineno, *hit
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name in names:
                    yield node.lineno, *names[alias.name]


def _variables(owner: str) -> set[str]:
    """What variables of the class *owner* are usually called."""
    word = owner.lower()
    short = {"application": {"app", "application"}, "baserequest": {"request"}}
    return short.get(word, {word.removeprefix("stream"), word})
