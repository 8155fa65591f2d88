"""Publish all four packages to a package index on loopback, and install them from there.

    python docs/_tools/publish_rehearsal.py

Act one takes the versions as the tree has them, act two the same packages as
1.0.0, with the ranges that the policy prescribes then. In each:

- the packages are published with ``flit publish``, each after those that it
  needs, to a pypiserver that this program starts and stops;
- the client, the server and the testing package are installed with pip, each
  into a fresh environment and from that index alone, and tried;
- a compatible release of core alone is published, and an upgrade takes it;
- an incompatible one is published, and neither an upgrade takes it nor a
  demand for it is met.

Below 1.0 a patch is compatible and a minor is not (Semantic Versioning, item
4, as the deprecation policy reads it); from 1.0 on a minor is and a major is
not. What others have published is downloaded once from the usual index and put
beside ours.
"""

import argparse
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from environments import CommandError, Environment
from packaging.version import Version
from repository import PACKAGES, Repository, RepositoryError, next_breaking, next_compatible

START_SECONDS = 30.0
"""How long the index may take to start."""

SMOKE = {"client": "client_only.py", "web": "web_only.py", "testing": "project_test.py"}
"""What shows that a package works on its own, by its name."""


class Index:
    """A pypiserver that serves one folder.

    Attributes:
        folder: Whatever is in here is on the index.
        url: Where it is.
    """

    def __init__(self, folder: pathlib.Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}/"

    def pip_options(self) -> tuple[str, ...]:
        """Return what makes pip ask this index and no other."""
        return ("--index-url", f"{self.url}simple/", "--trusted-host", "127.0.0.1")

    def publish(self, tree: Repository, package: str) -> None:
        """Build *package* and upload it, with ``flit publish``.

        Raises:
            RepositoryError: flit could not.
        """
        settings = {
            "FLIT_INDEX_URL": self.url,
            "FLIT_USERNAME": "rehearsal",
            "FLIT_PASSWORD": "rehearsal",
            "FLIT_NO_NETWORK": "1",  # but for the upload
        }
        nobodys = self.folder.parent / "pypirc"
        nobodys.touch()  # whatever the user's own says is not for a rehearsal
        done = subprocess.run(
            [
                sys.executable, "-m", "flit", "-f", str(tree.folder(package) / "pyproject.toml"),
                "publish", "--no-use-vcs", "--pypirc", str(nobodys),
            ],
            env={**os.environ, **settings}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        shutil.rmtree(tree.folder(package) / "dist", ignore_errors=True)
        version = tree.version(package)
        if done.returncode or not list(self.folder.glob(f"antiphon_{package}-{version}-*.whl")):
            raise RepositoryError(f"flit publish of {package}:\n{done.stdout}{done.stderr}")
        print(f"published antiphon-{package} {version}", flush=True)


@contextlib.contextmanager
def serving(folder: pathlib.Path, log: pathlib.Path) -> Iterator[Index]:
    """Start an index on loopback; stop it afterwards.

    Anybody on this machine may upload while it runs, and what it does not have
    it does not look for elsewhere.

    Raises:
        RepositoryError: It does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "pypiserver", "run", "-i", "127.0.0.1", "-p", str(port),
        "--passwords", ".", "--authenticate", ".", "--disable-fallback", "--hash-algo", "sha256",
        str(folder),
    ]  # fmt: skip
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            _wait_for(server, port, log)
            yield Index(folder, port)
        finally:
            server.terminate()


def _wait_for(server: "subprocess.Popen[bytes]", port: int, log: pathlib.Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except ConnectionRefusedError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise RepositoryError(f"the index did not start:\n{log.read_text()}")


def copied(repository: Repository, target: pathlib.Path) -> Repository:
    """Copy the packages as the tree has them, committed or not, to *target*."""
    listed = repository.git(
        "ls-files", "-z", "--cached", "--others", "--exclude-standard", "packages"
    )
    for name in filter(None, listed.split("\0")):
        source = repository.root / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return Repository(target)


def as_first_major(tree: Repository) -> None:
    """Make all packages 1.0.0, and their ranges on each other those of the policy."""
    for package in PACKAGES:
        tree.set_version(package, Version("1.0.0"))
        path = tree.folder(package) / "pyproject.toml"
        text, count = re.subn(r'"(antiphon-[a-z]+) >=[^"]*"', r'"\1 >=1.0,<2"', path.read_text())
        if count != len(tree.siblings(package)):
            raise RepositoryError(f"{path}: a sibling is required in another way than by a range")
        path.write_text(text)


def fetch_others(tree: Repository, folder: pathlib.Path) -> None:
    """Download what the packages need of others, from the usual index."""
    others = {
        str(required)
        for package in PACKAGES
        for required in tree.requirements(package)
        if not required.name.startswith("antiphon-")
    }
    with tempfile.TemporaryDirectory(prefix="antiphon-fetch-") as name:
        environment = Environment(pathlib.Path(name) / "env")
        environment.run(
            "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary", ":all:",
            "-d", str(folder), *sorted(others),
        )  # fmt: skip
    print(f"{len(list(folder.iterdir()))} files of others are on the index", flush=True)


def try_out(environment: Environment, package: str, stories: pathlib.Path) -> None:
    """Use *package* for what it is for.

    Raises:
        CommandError: It does not do it.
    """
    story = stories / SMOKE[package]
    if package == "testing":
        project = environment.folder / "project"
        project.mkdir(exist_ok=True)
        shutil.copy(story, project / "test_project.py")
        environment.run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=project)
    else:
        environment.run("-W", "error", str(story))


def expect_core(environment: Environment, package: str, version: Version) -> None:
    """Check which core *environment* has.

    Raises:
        RepositoryError: Another one.
    """
    found = environment.version("antiphon-core")
    if found != str(version):
        raise RepositoryError(f"beside antiphon-{package} there is core {found}, not {version}")


def act(tree: Repository, index: Index, stories: pathlib.Path, work: pathlib.Path) -> None:
    """Publish, install, try; then publish two releases of core and see who takes them."""
    for package in PACKAGES:
        index.publish(tree, package)
    environments = {}
    for package in SMOKE:
        environment = Environment(work / package, *index.pip_options())
        environment.install(f"antiphon-{package}")
        try_out(environment, package, stories)
        expect_core(environment, package, tree.version("core"))
        environments[package] = environment
        print(f"installed antiphon-{package} from the index alone, and it works", flush=True)

    compatible = next_compatible(tree.version("core"))
    tree.set_version("core", compatible)
    index.publish(tree, "core")
    for package, environment in environments.items():
        upgrade(environment, package)
        expect_core(environment, package, compatible)
        try_out(environment, package, stories)
    print(f"core {compatible} is taken by all three, and they work with it", flush=True)

    breaking = next_breaking(compatible)
    tree.set_version("core", breaking)
    index.publish(tree, "core")
    for package, environment in environments.items():
        upgrade(environment, package)
        expect_core(environment, package, compatible)
        refuse(environment, package, breaking)
    print(f"core {breaking} is refused by all three, whose ranges end before it", flush=True)


def upgrade(environment: Environment, package: str) -> None:
    """Upgrade *package* and whatever it depends on as far as ranges allow."""
    environment.install("--upgrade", "--upgrade-strategy", "eager", f"antiphon-{package}")


def refuse(environment: Environment, package: str, version: Version) -> None:
    """Check that pip will not put core *version* beside *package*.

    Raises:
        RepositoryError: It does, or fails for another reason.
    """
    try:
        environment.install("--dry-run", f"antiphon-{package}", f"antiphon-core=={version}")
    except CommandError as error:
        if "ResolutionImpossible" in str(error):
            return
        raise RepositoryError(f"pip refused for another reason: {error}") from error
    raise RepositoryError(f"antiphon-{package} takes core {version}")


def main(argv: Sequence[str] | None = None, repository: Repository | None = None) -> int:
    """Rehearse. Return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.parse_args(argv)
    repository = repository or Repository()
    stories = repository.root / ".ci" / "stories"
    with tempfile.TemporaryDirectory(prefix="antiphon-rehearsal-") as name:
        work = pathlib.Path(name)
        others = work / "others"
        others.mkdir()
        try:
            fetch_others(repository, others)
            for title, stable in (("the versions of the tree", False), ("as 1.0.0", True)):
                print(f"--- {title}", flush=True)
                stage = work / ("stable" if stable else "current")
                shutil.copytree(others, stage / "index")
                tree = copied(repository, stage / "tree")
                if stable:
                    as_first_major(tree)
                with serving(stage / "index", stage / "index.log") as index:
                    act(tree, index, stories, stage)
        except (RepositoryError, CommandError) as error:
            print(error)
            return 1
    print("the rehearsal went well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
