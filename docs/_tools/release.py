"""Release one package: ``python docs/_tools/release.py web 0.2.0``.

1. The tree is clean, the version new, the deprecation policy kept, and what is
   incompatible comes in a version that may be.
2. In a worktree of its own: the version is bumped, for this package alone,
   deprecations that come with it are dated, the change log is written and all
   of it committed.
3. The package's tests pass with the oldest siblings that its ranges allow.
4. Wheel and sdist are built twice and are the same, byte for byte.
5. The branch moves to the commit, which is tagged ``web-v0.2.0``.

Nothing of the tree has changed if a step before the last fails.
"""

import argparse
import ast
import contextlib
import datetime as dt
import pathlib
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence

import api_diff
import changes
import deprecations
import registry
from building import build_at, build_twice
from environments import CommandError, Environment
from packaging.version import InvalidVersion, Version
from repository import PACKAGES, Repository, RepositoryError, is_breaking, lowest, tag_of


def version_problems(repository: Repository, package: str, version: Version) -> Iterator[str]:
    """Check that *version* may be the next one of *package*."""
    if (
        len(version.release) != 3
        or version.local
        or version.is_devrelease
        or version.is_postrelease
    ):
        yield f"{version} is not of the form 1.2.3 or 1.2.3rc1"
    released = repository.releases(package)
    if released and version <= released[-1]:
        yield f"{version} is not after {released[-1]}, the last release of antiphon-{package}"
    if version < repository.version(package):
        yield f"{version} is before {repository.version(package)}, which the tree says"


def tree_problems(repository: Repository) -> Iterator[str]:
    """Check that everything is committed."""
    left = repository.git("status", "--porcelain").splitlines()
    if left:
        yield f"the tree is not clean: {', '.join(line[3:] for line in left[:5])}"


def compatibility_problems(repository: Repository, package: str, version: Version) -> Iterator[str]:
    """Check that what this release takes away may go now, and that the change log will say so."""
    entries = registry.load(repository)
    yield from api_diff.version_problems(entries, package, version)
    tag = repository.last_tag(package)
    if tag is None:
        return
    with repository.at(tag) as then:
        lost = api_diff.losses(api_diff.read(then), api_diff.read(repository), package)
    if lost and not is_breaking(repository.releases(package)[-1], version):
        yield f"{lost[0].name} {lost[0].what} since {tag}; {version} may not take anything away"
    kinds = {name.split(".")[-2] for name in changes.fragments(repository, package)}
    if lost and "breaking" not in kinds:
        yield f"{lost[0].name} {lost[0].what} since {tag}: that needs a .breaking.md fragment"


def sibling_problems(repository: Repository, package: str) -> Iterator[str]:
    """Check that each sibling is required by a range that begins with a release."""
    for sibling, required in repository.siblings(package).items():
        oldest = lowest(required)
        if oldest not in repository.releases(sibling):
            yield f"{required}: there is no {tag_of(sibling, oldest)}; release antiphon-{sibling} first"
        if not required.specifier.contains(repository.version(sibling)):
            yield f"{required} does not take antiphon-{sibling} {repository.version(sibling)}, the tree's"


def dependents(repository: Repository, package: str, version: Version) -> list[str]:
    """Return the siblings whose ranges do not take *version*: they need a release of their own."""
    return [
        f"antiphon-{other} takes {required.specifier} of antiphon-{package}, not {version}"
        for other in PACKAGES
        for sibling, required in repository.siblings(other).items()
        if sibling == package and not required.specifier.contains(version)
    ]


@contextlib.contextmanager
def worktree(repository: Repository) -> Iterator[Repository]:
    """Give a second tree of the repository, at the same commit, on no branch."""
    with tempfile.TemporaryDirectory(prefix="antiphon-release-") as folder:
        path = pathlib.Path(folder) / "tree"
        repository.git("worktree", "add", "--quiet", "--detach", str(path), "HEAD")
        try:
            yield Repository(path)
        finally:
            repository.git("worktree", "remove", "--force", str(path))


def commit_release(tree: Repository, package: str, version: Version, today: dt.date) -> str:
    """Make the commit of the release in *tree*. Return its hash."""
    path = tree.root / registry.PATH
    path.write_text(registry.redated(path.read_text(), package, version, today))
    deprecations.write(tree, registry.load(tree))
    tree.set_version(package, version)
    write_change_log(tree, package, version, today)
    tree.git("add", "--all", f"packages/{package}", "packages/core", "docs")
    tree.git("commit", "--quiet", "--message", f"{package}: release {version}")
    return tree.git("rev-parse", "HEAD").strip()


def write_change_log(tree: Repository, package: str, version: Version, today: dt.date) -> None:
    """Turn the fragments of *package* into a section of its change log."""
    done = subprocess.run(
        [
            sys.executable, "-m", "towncrier", "build", "--yes",
            "--config", str(tree.root / ".towncrier.toml"), "--dir", str(tree.folder(package)),
            "--name", f"antiphon-{package}", "--version", str(version), "--date", str(today),
        ],
        cwd=tree.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RepositoryError(f"towncrier: {done.stdout}{done.stderr}")


def tools(repository: Repository) -> list[str]:
    """Return what the tests of every package need, pinned."""
    groups = tomllib.loads((repository.root / "pyproject.toml").read_text())["dependency-groups"]
    return [tool for name in ("test", "release", "build") for tool in groups.get(name, [])]


def needed_by_tests(repository: Repository, package: str) -> list[str]:
    """Return the siblings that only the tests of *package* need, with what these need.

    Those are what the tests import and, where a test is a coroutine function,
    the pytest plugin that runs it.
    """
    wanted: set[str] = set()
    for path in (repository.folder(package) / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names if node.level == 0]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else ["antiphon.testing"]
                if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test")
                else []
            )  # fmt: skip
            wanted |= {name.split(".")[1] for name in names if name.startswith("antiphon.")}
    while more := {each for name in wanted for each in repository.siblings(name)} - wanted:
        wanted |= more
    return [name for name in PACKAGES if name in wanted - {package, *repository.siblings(package)}]


def test_with_oldest_siblings(
    repository: Repository, commit: str, package: str, environment: Environment
) -> dict[str, str]:
    """Run the tests of *package* at *commit* with the oldest siblings that it allows.

    Siblings that only its tests need come from the same commit.

    Returns:
        The version of each sibling that was tested with.

    Raises:
        CommandError: They fail.
    """
    with (
        repository.at(commit) as tree,
        tempfile.TemporaryDirectory(prefix="antiphon-oldest-") as name,
    ):
        folder = pathlib.Path(name)
        build_at(repository, commit, package, folder)
        pins = [f"antiphon-{package}=={tree.version(package)}"]
        for sibling, required in tree.siblings(package).items():
            build_at(repository, tag_of(sibling, lowest(required)), sibling, folder)
            pins.append(f"antiphon-{sibling}=={lowest(required)}")
        environment.install("--find-links", str(folder), *pins, *tools(tree))
        for sibling in needed_by_tests(tree, package):
            others = [
                str(each) for each in tree.requirements(sibling) if "antiphon" not in each.name
            ]
            wheels = [
                p for p in build_at(repository, commit, sibling, folder) if p.suffix == ".whl"
            ]
            environment.install(*others, *tools(tree)[:1])
            environment.install("--no-deps", str(wheels[0]))
        environment.run(
            "-m", "pytest", "-q", "-p", "no:cacheprovider", f"packages/{package}/tests",
            cwd=tree.root, show=True,
        )  # fmt: skip
        return {
            sibling: environment.version(f"antiphon-{sibling}")
            for sibling in tree.siblings(package)
        }


def release(
    repository: Repository,
    package: str,
    version: Version,
    target: pathlib.Path,
    *,
    check_only: bool = False,
    pip_options: Sequence[str] = (),
) -> None:
    """Do all of it.

    Raises:
        RepositoryError: Not allowed, with the reasons.
        CommandError: The tests fail.
    """
    problems = [
        *tree_problems(repository),
        *version_problems(repository, package, version),
        *changes.fragment_problems(repository),
        *sibling_problems(repository, package),
        *compatibility_problems(repository, package, version),
        *deprecations.static_problems(repository),
    ]
    if problems:
        raise RepositoryError("\n".join(problems))
    today = dt.datetime.now(dt.UTC).date()
    with worktree(repository) as tree:
        commit = commit_release(tree, package, version, today)
        print(f"committed antiphon-{package} {version} as {commit}, on no branch yet")
        with tempfile.TemporaryDirectory(prefix="antiphon-environment-") as folder:
            environment = Environment(pathlib.Path(folder) / "env", *pip_options)
            tested = test_with_oldest_siblings(repository, commit, package, environment)
        print(f"tests pass with {', '.join(f'{n} {v}' for n, v in tested.items()) or 'no sibling'}")
        target.mkdir(parents=True, exist_ok=True)
        for name, digest in build_twice(repository, commit, package, target).items():
            print(f"{digest}  {target / name}")
    if check_only:
        print("checked; nothing is changed")
        return
    repository.git("merge", "--quiet", "--ff-only", commit)
    tag = tag_of(package, version)
    repository.git("tag", "--annotate", "--message", f"antiphon-{package} {version}", tag, commit)
    print(f"tagged {tag}")
    for line in dependents(repository, package, version):
        print(f"note: {line}")


def main(argv: Sequence[str] | None = None, repository: Repository | None = None) -> int:
    """Release. Return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", choices=PACKAGES)
    parser.add_argument("version", type=Version)
    parser.add_argument(
        "--check", action="store_true", help="do everything but move branch and tag"
    )
    parser.add_argument(
        "--target", type=pathlib.Path, help="where wheel and sdist go, dist by default"
    )
    try:
        options = parser.parse_args(argv)
    except InvalidVersion as error:
        print(error)
        return 2
    repository = repository or Repository()
    target = options.target or repository.root / "dist"
    try:
        release(repository, options.package, options.version, target, check_only=options.check)
    except (RepositoryError, CommandError, registry.RegistryError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
