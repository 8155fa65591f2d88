"""Check the news fragments, and that a change which users may notice has one.

    python docs/_tools/changes.py                   names and texts of the fragments
    python docs/_tools/changes.py --against main    and one in each package whose code changed since

Continuous integration runs the second form, for the branch that a change is meant
for, fetched with its tags: ``python docs/_tools/changes.py --against
"${CI_BASE:-origin/main}"``. All that it needs beside git is `packaging`, which the
environment of ``nox -s deprecations`` has. Exit status 1 means that something is
wrong; what is printed says what.

Code changed if its syntax tree did, docstrings left out. A package without a
release has no news yet.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Sequence

from repository import PACKAGES, Repository, RepositoryError

KINDS = ("breaking", "deprecation", "feature", "bugfix", "doc", "packaging", "contrib", "misc")

_NAME = re.compile(rf"[a-z0-9][a-z0-9-]*\.(?:{'|'.join(KINDS)})\.md")


def fragments(repository: Repository, package: str) -> list[str]:
    """Return the names of the fragments of *package*."""
    folder = repository.folder(package) / "changes"
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def fragment_problems(repository: Repository) -> Iterator[str]:
    """Check names and texts of all fragments."""
    for package in PACKAGES:
        for name in fragments(repository, package):
            place = f"packages/{package}/changes/{name}"
            text = (repository.folder(package) / "changes" / name).read_text().strip()
            if not _NAME.fullmatch(name):
                yield f"{place}: not called <slug>.<kind>.md, where <kind> is one of {', '.join(KINDS)}"
            if not text.endswith((".", "`", ")")) or len(text) < 10:
                yield f"{place}: one or two sentences, in the past tense, about what users see"


def missing(repository: Repository, base: str) -> Iterator[str]:
    """Return the packages whose code changed since *base* without a new fragment."""
    point = repository.git("merge-base", base, "HEAD").strip()
    for package in PACKAGES:
        if repository.last_tag(package) is None:
            continue
        paths = repository.git("diff", "--name-only", point, "--", f"packages/{package}").split(
            "\n"
        )
        code = [
            path
            for path in paths
            if path.startswith(f"packages/{package}/src/") and path.endswith(".py")
        ]
        changed = [
            path
            for path in code
            if _code(repository.text_at(point, path)) != _now(repository, path)
        ]
        news = [path for path in paths if path.startswith(f"packages/{package}/changes/")]
        if changed and not any((repository.root / path).exists() for path in news):
            yield (
                f"antiphon-{package}: {', '.join(changed[:3])} changed since {base},"
                f" but there is no new fragment in packages/{package}/changes"
            )


def _now(repository: Repository, path: str) -> str | None:
    file = repository.root / path
    return _code(file.read_text()) if file.exists() else None


def _code(text: str | None) -> str | None:
    """Return what *text* means to Python, without comments, layout and docstrings."""
    if text is None:
        return None
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]  # it has one: asked above
                each
                for each in body
                if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
            ]
    return ast.dump(tree)


def main(argv: Sequence[str] | None = None, repository: Repository | None = None) -> int:
    """Check. Return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--against", metavar="REVISION", help="demand news of what changed since")
    options = parser.parse_args(argv)
    repository = repository or Repository()
    problems = list(fragment_problems(repository))
    try:
        if options.against:
            problems += missing(repository, options.against)
    except RepositoryError as error:
        problems.append(str(error))
    for problem in problems:
        print(problem)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
