"""Check that the deprecation policy is kept.

    python docs/_tools/deprecations.py            check; exit status 1 if something is wrong
    python docs/_tools/deprecations.py --write    write what is generated from the registry

See docs/deprecation-policy.md for what is promised, registry.py, scan.py and
api_diff.py for the rules.
"""

import argparse
import datetime as dt
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence

import api_diff
import registry
import scan
from deprecation_texts import PAGE, TABLE, page_text, table_text
from registry import Entry
from repository import Repository, RepositoryError

TESTS = "packages/testing/tests/repo"


def written(entries: list[Entry]) -> dict[str, str]:
    """Return each generated file's text by its path."""
    return {TABLE: table_text(entries), PAGE: page_text(entries)}


def write(repository: Repository, entries: list[Entry]) -> None:
    """Write what is generated from the registry."""
    for path, text in written(entries).items():
        (repository.root / path).write_text(text)


def stale(repository: Repository, entries: list[Entry]) -> list[str]:
    """Return which generated files are not as the registry has it."""
    return [
        f"{path}: not as the registry has it; run nox -s deprecations -- --write"
        for path, text in written(entries).items()
        if not (repository.root / path).exists() or (repository.root / path).read_text() != text
    ]


def filter_problems(repository: Repository) -> list[str]:
    """Check that the tests take warnings for errors, and silence no deprecation."""
    settings = tomllib.loads((repository.root / "pyproject.toml").read_text())
    filters = settings["tool"]["pytest"]["ini_options"].get("filterwarnings", [])
    found = [] if filters[:1] == ["error"] else ["pyproject.toml: filterwarnings begins with error"]
    return found + [
        f"pyproject.toml: the filter {text!r} may silence deprecations"
        for text in filters
        if text.startswith(("ignore", "default")) and (text.count(":") < 2 or "Deprecation" in text)
    ]


def overdue(entries: list[Entry], today: dt.date) -> list[str]:
    """Return what may be removed by now: something to decide, nothing wrong."""
    return [
        f"{entry.id}: {entry.object} may go with the next major release of {entry.package}"
        for entry in entries
        if entry.state == "warning" and entry.remove_not_before <= today
    ]


def static_problems(repository: Repository) -> list[str]:
    """Return everything that is wrong as far as reading tells."""
    entries = registry.load(repository)
    found, problems = scan.uses(repository)
    problems += registry.problems(entries)
    problems += registry.history_problems(repository, entries)
    problems += scan.use_problems(entries, found)
    problems += scan.raw_warnings(repository)
    problems += scan.own_uses(repository, entries)
    problems += filter_problems(repository)
    problems += stale(repository, entries)
    api = api_diff.read(repository)
    problems += api_diff.missing(api, entries)
    problems += api_diff.problems(repository, api, entries)
    return problems


def run_tests(repository: Repository) -> list[str]:
    """Run the test of each entry, and the examples, with warnings as errors."""
    examples = sorted({path.parent for path in repository.root.glob("docs/examples/**/test_*.py")})
    problems: list[str] = []
    for what, path in [
        ("a test of what is obsolete, or of these tools,", repository.root / TESTS)
    ] + [(f"a test in {folder.relative_to(repository.root)}", folder) for folder in examples]:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:cacheprovider",
            str(path),
        ]
        paths = os.pathsep.join(filter(None, [str(path), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            command, cwd=repository.root, env={**os.environ, "PYTHONPATH": paths}, check=False
        )
        if done.returncode:
            problems.append(f"{what} failed")
    return problems


def main(argv: Sequence[str] | None = None, repository: Repository | None = None) -> int:
    """Check, or write. Return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the generated texts")
    parser.add_argument("--no-tests", action="store_true", help="only read, run nothing")
    options = parser.parse_args(argv)
    repository = repository or Repository()
    try:
        if options.write:
            write(repository, registry.load(repository))
            return 0
        problems = static_problems(repository)
    except (registry.RegistryError, RepositoryError) as error:
        problems = [str(error)]
    if not options.no_tests:
        problems += run_tests(repository)
    for problem in problems:
        print(problem)
    if not problems:
        entries = registry.load(repository)
        for line in overdue(entries, dt.datetime.now(dt.UTC).date()):
            print(line)
        print(f"{len(entries)} deprecations; the policy is kept")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
