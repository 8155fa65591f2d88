"""Prove each way of installing antiphon, each in a fresh environment, from built files alone.

    python .ci/install_stories.py FOLDER [STORY ...]

FOLDER holds the four wheels and nothing of antiphon comes from elsewhere:
the source tree is not on the path. What others publish comes from the
package index as usual.
"""

import pathlib
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent


class Environment:
    """A fresh virtual environment."""

    def __init__(self, folder: pathlib.Path) -> None:
        venv.create(folder, with_pip=True)
        self.folder = folder
        scripts = "Scripts" if sys.platform == "win32" else "bin"
        self.python = folder / scripts / "python"

    def install(self, wheels: pathlib.Path, *requirements: str) -> None:
        self.run(
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--find-links",
            str(wheels),
            *requirements,
        )

    def run(self, *arguments: str, cwd: pathlib.Path | None = None) -> None:
        subprocess.run([str(self.python), "-P", *arguments], check=True, cwd=cwd or self.folder)

    def must_not_import(self, name: str) -> None:
        code = f"import importlib.util as u, sys; sys.exit(u.find_spec({name!r}) is not None)"
        self.run("-c", code)


def client(env: Environment, wheels: pathlib.Path) -> None:
    """antiphon-client alone: fetches from a plain http.server."""
    env.install(wheels, "antiphon-client")
    env.must_not_import("antiphon.web")
    env.must_not_import("antiphon.testing")
    env.run(str(HERE / "stories" / "client_only.py"))


def web(env: Environment, wheels: pathlib.Path) -> None:
    """antiphon-web alone: serves and answers http.client."""
    env.install(wheels, "antiphon-web")
    env.must_not_import("antiphon.client")
    env.must_not_import("antiphon.testing")
    env.run(str(HERE / "stories" / "web_only.py"))


def testing(env: Environment, wheels: pathlib.Path) -> None:
    """antiphon-testing: in an empty project, pytest finds the plugin by itself."""
    env.install(wheels, "antiphon-testing")
    project = env.folder / "project"
    project.mkdir()
    source = (HERE / "stories" / "project_test.py").read_text()
    (project / "test_project.py").write_text(source)
    env.run("-m", "pytest", "-q", "-W", "error", cwd=project)


def mixed(env: Environment, wheels: pathlib.Path) -> None:
    """One package editable, its siblings from wheels."""
    env.install(wheels, "-e", str(ROOT / "packages" / "web"))
    env.install(wheels, "antiphon-client")
    env.run(str(HERE / "stories" / "web_only.py"))
    env.run(str(HERE / "stories" / "client_only.py"))


STORIES = {story.__name__: story for story in (client, web, testing, mixed)}


def main() -> int:
    wheels = pathlib.Path(sys.argv[1]).resolve()
    if len(list(wheels.glob("antiphon_*.whl"))) != 4:
        print(f"{wheels} does not hold the four wheels")
        return 1
    for name in sys.argv[2:] or STORIES:
        story = STORIES[name]
        print(f"--- {name}: {story.__doc__}", flush=True)
        with tempfile.TemporaryDirectory(prefix="antiphon-story-") as folder:
            story(Environment(pathlib.Path(folder) / "env"), wheels)
    print("every install story holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
