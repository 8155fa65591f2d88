"""What the shape of the repository promises."""

import pathlib
import subprocess
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
PACKAGES = ("core", "web", "client", "testing")
TOP = {
    "packages",
    "docs",
    "noxfile.py",
    "README.md",
    "pyproject.toml",
    "LICENSE",
    "CONTRIBUTING.md",
}


def test_nobody_owns_the_namespace() -> None:
    """An ``__init__.py`` there is left out of wheels in silence, and hides the siblings here."""
    assert list(ROOT.glob("packages/*/src/antiphon/__init__.py")) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_whole(package: str) -> None:
    folder = ROOT / "packages" / package
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGES.md", "changes", "tests"):
        assert (folder / name).exists(), name
    assert (folder / "src" / "antiphon" / package / "py.typed").exists()
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["name"] == f"antiphon-{package}"
    assert project["tool"]["flit"]["module"]["name"] == f"antiphon.{package}"
    assert "tool" not in project or set(project["tool"]) == {"flit"}


@pytest.mark.parametrize("package", PACKAGES)
def test_siblings_are_required_by_range(package: str) -> None:
    project = tomllib.loads((ROOT / "packages" / package / "pyproject.toml").read_text())
    siblings = [line for line in project["project"]["dependencies"] if line.startswith("antiphon")]
    assert all(">=" in line and "<" in line for line in siblings)
    assert bool(siblings) is (package != "core")


def test_the_top_level_holds_what_it_should_and_nothing_else() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so there may be anything")
    top = {name.split("/")[0] for name in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} == TOP
