"""Build a package from a commit, such that anybody gets the same bytes."""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

from repository import Repository, RepositoryError


def build(
    repository: Repository, package: str, target: pathlib.Path, epoch: int
) -> list[pathlib.Path]:
    """Build wheel and sdist of *package* into *target*.

    Args:
        repository: The tree to build; its ``dist`` folder of the package is made and taken away.
        package: Its short name.
        target: A folder that exists.
        epoch: Seconds since 1970, the time of every file (SOURCE_DATE_EPOCH).

    Raises:
        RepositoryError: It does not build.
    """
    folder = repository.folder(package)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "flit",
            "-f",
            str(folder / "pyproject.toml"),
            "build",
            "--no-use-vcs",
        ],
        # flit would ask PyPI for its list of classifiers: a build depends on the commit alone.
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "FLIT_NO_NETWORK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RepositoryError(f"antiphon-{package} does not build:\n{done.stdout}{done.stderr}")
    built = []
    for path in sorted((folder / "dist").iterdir()):
        built.append(target / path.name)
        path.replace(built[-1])
    (folder / "dist").rmdir()
    return built


def build_at(
    repository: Repository, revision: str, package: str, target: pathlib.Path
) -> list[pathlib.Path]:
    """Build *package* as it is at *revision*, from a copy, dated as the commit is."""
    epoch = int(repository.git("log", "-1", "--format=%ct", revision))
    with repository.at(revision) as copy:
        return build(copy, package, target, epoch)


def build_twice(
    repository: Repository, revision: str, package: str, target: pathlib.Path
) -> dict[str, str]:
    """Build *package* at *revision* in two places and compare. Return the SHA-256 of each file.

    Raises:
        RepositoryError: The files differ.
    """
    first = _digests(build_at(repository, revision, package, target))
    with tempfile.TemporaryDirectory(prefix="antiphon-again-") as folder:
        # Neither the place nor who may read the files must make a difference.
        mask = os.umask(0o077)
        try:
            again = _digests(build_at(repository, revision, package, pathlib.Path(folder)))
        finally:
            os.umask(mask)
    if first != again:
        raise RepositoryError(f"building antiphon-{package} twice gives {first} and {again}")
    return first


def _digests(files: list[pathlib.Path]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
