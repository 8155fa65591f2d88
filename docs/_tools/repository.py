"""What the tools know of the repository: its packages, their versions, tags and ranges."""

import contextlib
import dataclasses
import io
import pathlib
import re
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from typing import Final

from packaging.requirements import Requirement
from packaging.version import Version

ROOT: Final = pathlib.Path(__file__).resolve().parents[2]
PACKAGES: Final = ("core", "web", "client", "testing")
"""Short names, each after those that it depends on."""

_VERSION_LINE: Final = re.compile(r'^__version__ = "([^"\n]+)"$', re.MULTILINE)


class RepositoryError(Exception):
    """The repository is not in a state that allows what was asked for."""


@dataclasses.dataclass(frozen=True)
class Repository:
    """A checkout of the repository, or something with the same layout."""

    root: pathlib.Path = ROOT

    def folder(self, package: str) -> pathlib.Path:
        """Return the folder of *package*, a short name."""
        return self.root / "packages" / package

    def sources(self, package: str) -> pathlib.Path:
        """Return the folder to import *package* from."""
        return self.folder(package) / "src"

    def init(self, package: str) -> pathlib.Path:
        """Return the file that states the version of *package*."""
        return self.sources(package) / "antiphon" / package / "__init__.py"

    def version(self, package: str) -> Version:
        """Return the version that the tree states for *package*."""
        found = _VERSION_LINE.search(self.init(package).read_text())
        if found is None:
            raise RepositoryError(f"{self.init(package)} states no __version__")
        return Version(found[1])

    def set_version(self, package: str, version: Version) -> None:
        """Write *version* into the one place that states it."""
        path = self.init(package)
        path.write_text(_VERSION_LINE.sub(f'__version__ = "{version}"', path.read_text(), count=1))

    def requirements(self, package: str) -> list[Requirement]:
        """Return what *package* depends on, without extras."""
        project = tomllib.loads((self.folder(package) / "pyproject.toml").read_text())["project"]
        return [Requirement(text) for text in project["dependencies"]]

    def siblings(self, package: str) -> dict[str, Requirement]:
        """Return the requirements of *package* on its siblings, by their short names."""
        return {
            required.name.removeprefix("antiphon-"): required
            for required in self.requirements(package)
            if required.name.startswith("antiphon-")
        }

    def git(self, *arguments: str) -> str:
        """Return what ``git`` prints.

        Raises:
            RepositoryError: It failed.
        """
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RepositoryError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def releases(self, package: str) -> list[Version]:
        """Return the versions of *package* that are tagged, oldest first."""
        tags = self.git("tag", "--list", f"{package}-v*").split()
        return sorted(Version(tag.removeprefix(f"{package}-v")) for tag in tags)

    def last_tag(self, package: str) -> str | None:
        """Return the tag of the last release of *package*."""
        versions = self.releases(package)
        return tag_of(package, versions[-1]) if versions else None

    def text_at(self, revision: str, path: str) -> str | None:
        """Return a file as it was at *revision*; ``None`` if it was not there."""
        try:
            return self.git("show", f"{revision}:{path}")
        except RepositoryError:
            return None

    @contextlib.contextmanager
    def at(self, revision: str) -> "Iterator[Repository]":
        """Give the files of *revision* in a temporary folder."""
        done = subprocess.run(
            ["git", "archive", "--format=tar", revision],
            cwd=self.root,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RepositoryError(f"git archive {revision}: {done.stderr.decode().strip()}")
        with tempfile.TemporaryDirectory(prefix="antiphon-at-") as folder:
            with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
                archive.extractall(folder, filter="data")
            yield Repository(pathlib.Path(folder))


def tag_of(package: str, version: Version) -> str:
    """Return the name of the tag of one release."""
    return f"{package}-v{version}"


def is_breaking(old: Version, new: Version) -> bool:
    """Tell whether a release *new* after *old* may take something away (Semantic Versioning).

    That is a new major version; as long as the major version is 0, a new
    minor version.
    """
    if old.major == new.major == 0:
        return new.minor > old.minor
    return new.major > old.major


def next_compatible(version: Version) -> Version:
    """Return the next version that siblings must take: a minor, below 1.0 a patch."""
    if version.major == 0:
        return Version(f"0.{version.minor}.{version.micro + 1}")
    return Version(f"{version.major}.{version.minor + 1}.0")


def next_breaking(version: Version) -> Version:
    """Return the next version that siblings must refuse: a major, below 1.0 a minor."""
    if version.major == 0:
        return Version(f"0.{version.minor + 1}.0")
    return Version(f"{version.major + 1}.0.0")


def lowest(required: Requirement) -> Version:
    """Return the oldest version that *required* allows.

    Raises:
        RepositoryError: It has no lower bound, or no upper one.
    """
    bounds = {spec.operator: Version(spec.version) for spec in required.specifier}
    if set(bounds) != {">=", "<"}:
        raise RepositoryError(f"{required}: a sibling is required by a range, >=this,<that")
    release = (*bounds[">="].release, 0, 0)[:3]
    return Version(".".join(map(str, release)))
