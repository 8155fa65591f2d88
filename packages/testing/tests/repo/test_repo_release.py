"""Releases of tiny packages, in a repository of their own."""

import datetime as dt
import hashlib
import pathlib
import sys
import sysconfig

import pytest

pytest.importorskip("griffe", reason="makes releases; nox -s deprecations installs it")
pytest.importorskip("towncrier", reason="makes releases; nox -s deprecations installs it")
pytest.importorskip("flit", reason="makes releases; nox -s deprecations installs it")

import environments
import release
from packaging.requirements import Requirement
from packaging.version import Version
from repository import (
    Repository,
    RepositoryError,
    is_breaking,
    lowest,
    next_breaking,
    next_compatible,
)

from .conftest import Tiny

pytestmark = pytest.mark.subprocess

TODAY = dt.datetime.now(dt.UTC).date()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh environments have pytest from here, and ask no index for anything."""
    create = environments.venv.create

    def with_ours(folder: pathlib.Path, **options: bool) -> None:
        create(folder, **options)
        (site,) = folder.glob("lib/python*/site-packages")
        ours = pathlib.Path(sysconfig.get_path("purelib"))
        for name in ("pytest", "_pytest", "pluggy", "py.py", "iniconfig", "packaging", "pygments"):
            (site / name).symlink_to(ours / name)

    monkeypatch.setattr(environments.venv, "create", with_ours)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTHONPATH", raising=False)


def made(tiny: Tiny, package: str, version: str, *options: str) -> int:
    return release.main([package, version, *options], Repository(tiny.root))


def digests(folder: pathlib.Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.usefixtures("offline")
def test_releases_one_after_the_other(tiny: Tiny, capfd: pytest.CaptureFixture[str]) -> None:
    repository = Repository(tiny.root)
    assert made(tiny, "web", "0.1.0") == 1
    assert "there is no core-v0.1.0; release antiphon-core first" in capfd.readouterr().out
    tiny.commit(tags=["core-v0.1.0", "web-v0.1.0"])

    # Core adds something.
    tiny.replace(tiny.code("core"), "class Thing:", "def added() -> None: ...\n\n\nclass Thing:")
    tiny.write("packages/core/changes/added.feature.md", "Added `added()`.")
    tiny.write("packages/core/changes/7.bugfix.md", "Made it right.")
    tiny.commit()
    assert made(tiny, "core", "0.1.1") == 0, capfd.readouterr().out
    assert repository.version("core") == Version("0.1.1")
    assert {str(repository.version(other)) for other in ("web", "client", "testing")} == {"0.1.0"}
    assert tiny.git("log", "-1", "--format=%s").strip() == "core: release 0.1.1"
    assert tiny.git("rev-parse", "core-v0.1.1^{commit}") == tiny.git("rev-parse", "HEAD")
    assert sorted(path.name for path in tiny.path("packages/core/changes").iterdir()) == [
        ".gitkeep"
    ]
    log = tiny.path("packages/core/CHANGES.md").read_text()
    assert f"## antiphon-core 0.1.1 ({TODAY})\n" in log
    assert "### Features\n\n- Added `added()`.\n" in log
    assert "### Bug fixes\n\n- Made it right. (#7)\n" in log

    # Web uses it, and says that it makes do with 0.1.0: its tests tell, and nothing has changed.
    tiny.replace(
        tiny.path("packages/web/tests/test_web.py"),
        "def test_thing():",
        "def test_added():\n    from antiphon.core import added\n\n    added()\n\n\ndef test_thing():",
    )
    tiny.commit()
    before = tiny.git("rev-parse", "HEAD")
    capfd.readouterr()
    assert made(tiny, "web", "0.1.1") == 1
    assert "cannot import name 'added'" in capfd.readouterr().out
    assert tiny.git("tag").split() == ["core-v0.1.0", "core-v0.1.1", "web-v0.1.0"]
    assert tiny.git("worktree", "list").count("\n") == 1
    assert (tiny.git("rev-parse", "HEAD"), tiny.git("status", "--porcelain")) == (before, "")

    tiny.replace(tiny.path("packages/web/pyproject.toml"), ">=0.1,<0.2", ">=0.1.1,<0.2")
    tiny.commit()
    assert made(tiny, "web", "0.1.1") == 0, capfd.readouterr().out
    assert release.dependents(repository, "core", Version("0.2.0"))[0] == (
        "antiphon-web takes <0.2,>=0.1.1 of antiphon-core, not 0.2.0"
    )

    # Whoever builds the tag gets the bytes that were released.
    dist = tiny.path("dist")
    assert len(digests(dist)) == 4
    again = tiny.path("again")
    again.mkdir()
    tiny.replace(tiny.code("web"), "Tiny web", "Not committed")
    release.build_at(repository, "web-v0.1.1", "web", again)
    assert digests(again).items() <= digests(dist).items()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("0.1.0", "0.1.0 is not after 0.1.0, the last release"),
        ("0.0.9", "0.0.9 is not after 0.1.0"),
        ("0.2", "not of the form 1.2.3"),
        ("0.2.0.dev1", "not of the form 1.2.3"),
    ],
)
def test_version_that_is_none(
    tiny: Tiny, capsys: pytest.CaptureFixture[str], version: str, message: str
) -> None:
    tiny.commit(tags=["core-v0.1.0"])
    assert made(tiny, "core", version) == 1
    assert message in capsys.readouterr().out


def test_tree_with_changes(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.write("packages/core/left.txt", "over")
    assert made(tiny, "core", "0.1.0") == 1
    assert "the tree is not clean: packages/core/left.txt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "news", "messages"),
    [
        ("0.1.1", None, ["0.1.1 may not take anything away", "needs a .breaking.md fragment"]),
        ("0.2.0", None, ["needs a .breaking.md fragment"]),
        ("0.2.0", "less.breaking.md", []),
    ],
)
def test_incompatible_release(
    tiny: Tiny, version: str, news: str | None, messages: list[str]
) -> None:
    tiny.commit(tags=["core-v0.1.0"])
    tiny.replace(tiny.code("core"), "    def grow", "    def _grow")
    if news:
        tiny.write(f"packages/core/changes/{news}", "Took `grow` away.")
    found = list(release.compatibility_problems(Repository(tiny.root), "core", Version(version)))
    assert len(found) == len(messages)
    assert all(message in line for message, line in zip(messages, found, strict=True))


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [("a >=1.2,<2", "1.2.0"), ("a >=0.1.3,<0.2", "0.1.3"), ("a >=1", None), ("a ==1.0", None)],
)
def test_lower_end_of_a_range(requirement: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(RepositoryError, match="by a range"):
            lowest(Requirement(requirement))
    else:
        assert lowest(Requirement(requirement)) == Version(expected)


@pytest.mark.parametrize(
    ("version", "compatible", "breaking"),
    [("0.1.0", "0.1.1", "0.2.0"), ("1.2.3", "1.3.0", "2.0.0"), ("1.0.0", "1.1.0", "2.0.0")],
)
def test_next_versions(version: str, compatible: str, breaking: str) -> None:
    now = Version(version)
    assert (str(next_compatible(now)), str(next_breaking(now))) == (compatible, breaking)
    assert not is_breaking(now, next_compatible(now))
    assert is_breaking(now, next_breaking(now))


def test_ranges_of_the_packages_end_before_the_next_incompatible_release() -> None:
    repository = Repository()
    for package in ("core", "web", "client", "testing"):
        for sibling, required in repository.siblings(package).items():
            now = repository.version(sibling)
            assert required.specifier.contains(next_compatible(now)), (package, required)
            assert not required.specifier.contains(next_breaking(now)), (package, required)


def test_siblings_that_only_tests_need() -> None:
    assert release.needed_by_tests(Repository(), "testing") == []
    assert "web" not in release.needed_by_tests(Repository(), "web")
    # Tests of core are coroutine functions, which the plugin runs without any import.
    assert release.needed_by_tests(Repository(), "core") == ["web", "client", "testing"]


@pytest.mark.skipif(sys.platform == "win32", reason="the fixture knows the layout of POSIX only")
@pytest.mark.usefixtures("offline")
def test_environment_has_what_was_installed_and_nothing_of_ours(tmp_path: pathlib.Path) -> None:
    made = environments.Environment(tmp_path / "env")
    with pytest.raises(environments.CommandError, match="No module named 'antiphon'"):
        made.run("-c", "import antiphon.core")
