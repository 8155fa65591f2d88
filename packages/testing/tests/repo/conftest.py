"""A repository of four tiny packages, to break rules in.

An sdist has neither the tools that are tested here nor the rest of the
repository; from one, nothing of this is collected.
"""

import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterable

import attrs
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
TOOLS = ROOT / "docs" / "_tools"

if TOOLS.is_dir():
    sys.path.insert(0, str(TOOLS))
else:
    collect_ignore_glob = ["test_*.py"]

PROJECT = """\
[build-system]
requires = ["flit_core >=3.12,<5"]
build-backend = "flit_core.buildapi"
[project]
name = "antiphon-{name}"
description = "Tiny."
dynamic = ["version"]
dependencies = [{requires}]
[tool.flit.module]
name = "antiphon.{name}"
[tool.flit.sdist]
include = ["CHANGES.md", "tests/"]
"""

SETTINGS = """\
[dependency-groups]
test = []
[tool.pytest.ini_options]
filterwarnings = ["error"]
"""

CODE = '''\
"""Tiny {name}."""

from antiphon.core.deprecations import warn_deprecated

__version__ = "0.1.0"
__all__ = ("Thing", "use")


class Thing:
    """A thing."""

    def __init__(self, size: int = 1, loop: object = None) -> None:
        """Make it."""
        if loop is not None:
            warn_deprecated("{id}")
        self.size = size

    def grow(self, by: int) -> int:
        """Grow."""
        return self.size + by


def use(thing: Thing) -> None:
    """Use it."""
'''

ENTRY = """\
[[entry]]
id = "{id}"
package = "antiphon-{name}"
object = "antiphon.{name}.Thing(loop=)"
kind = "argument"
since = "0.1.0"
since_date = 2020-01-31
remove_not_before = 2021-07-31
replacement = "Leave it out"
state = "warning"

"""


@attrs.frozen
class Tiny:
    """A git repository in *root* that keeps every rule; tests change it."""

    root: pathlib.Path

    def path(self, name: str) -> pathlib.Path:
        return self.root / name

    def code(self, package: str) -> pathlib.Path:
        return self.root / f"packages/{package}/src/antiphon/{package}/__init__.py"

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def replace(self, path: pathlib.Path, old: str, new: str) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout

    def commit(self, message: str = "a change", tags: Iterable[str] = ()) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        for tag in tags:
            self.git("tag", "--annotate", "--message", tag, tag)


PACKAGES = {
    "core": "",
    "web": '"antiphon-core >=0.1,<0.2"',
    "client": '"antiphon-core >=0.1,<0.2"',
    "testing": '"antiphon-core >=0.1,<0.2", "antiphon-web >=0.1,<0.2"',
}

TEST = """\
import antiphon.{name}


def test_thing():
    assert antiphon.{name}.Thing(2).grow(1) == 3
"""


@pytest.fixture
def tiny(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.com")
    made = Tiny(tmp_path / "tiny")
    for number, (name, requires) in enumerate(PACKAGES.items(), 1):
        folder = f"packages/{name}"
        made.write(f"{folder}/pyproject.toml", PROJECT.format(name=name, requires=requires))
        made.write(f"{folder}/CHANGES.md", "# Changes\n\n<!-- towncrier release notes start -->\n")
        made.write(f"{folder}/changes/.gitkeep", "")
        made.write(
            f"{folder}/src/antiphon/{name}/__init__.py",
            CODE.format(name=name, id=f"ANT-{number:04}"),
        )
        made.write(f"{folder}/tests/test_{name}.py", TEST.format(name=name))
    core = "packages/core/src/antiphon/core/deprecations.py"
    made.write(core, (ROOT / core).read_text())
    made.write("pyproject.toml", SETTINGS)
    made.write(".gitignore", "dist/\n__pycache__/\n")
    made.write(
        "docs/deprecations.toml",
        "".join(ENTRY.format(id=f"ANT-{n:04}", name=name) for n, name in enumerate(PACKAGES, 1)),
    )
    shutil.copy(ROOT / ".towncrier.toml", made.root)
    (made.root / "docs/_tools").mkdir()
    shutil.copy(TOOLS / "changes.md.jinja", made.root / "docs/_tools")
    made.git("init", "--quiet", "--initial-branch", "main")
    import deprecations  # from the tools' folder, which has only just been put on the path
    import registry
    from repository import Repository

    repository = Repository(made.root)
    deprecations.write(repository, registry.load(repository))
    made.commit("the beginning")
    return made
