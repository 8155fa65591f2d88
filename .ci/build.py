"""Build wheel and sdist of each package into one folder and look at what is in them.

python .ci/build.py FOLDER
"""

import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ("core", "web", "client", "testing")


def build(package: str, target: pathlib.Path) -> None:
    folder = ROOT / "packages" / package
    subprocess.run(
        [
            sys.executable,
            "-m",
            "flit",
            "-f",
            str(folder / "pyproject.toml"),
            "build",
            "--no-use-vcs",
        ],
        check=True,
        # The list of classifiers is otherwise fetched, from a place that may not be in reach.
        env=os.environ | {"FLIT_NO_NETWORK": "1"},
    )
    for built in (folder / "dist").iterdir():
        built.replace(target / built.name)
    (folder / "dist").rmdir()


def wheel_problems(package: str, wheel: pathlib.Path) -> list[str]:
    sources = ROOT / "packages" / package / "src"
    expected = {
        str(path.relative_to(sources))
        for path in sources.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    code = {name for name in names if ".dist-info/" not in name}
    problems = [f"missing: {name}" for name in sorted(expected - code)]
    problems += [f"not ours: {name}" for name in sorted(code - expected)]
    if f"antiphon/{package}/py.typed" not in names:
        problems.append("no py.typed")
    if "antiphon/__init__.py" in names:
        problems.append("a namespace __init__.py hides the sibling packages")
    if not any(name.endswith("LICENSE") for name in names):
        problems.append("no LICENSE")
    return problems


def sdist_problems(package: str, sdist: pathlib.Path) -> list[str]:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGES.md",
        f"src/antiphon/{package}/py.typed",
    }
    problems = [f"missing: {name}" for name in sorted(needed - names)]
    if not any(name.startswith("tests/") for name in names):
        problems.append("no tests")
    return problems


def main() -> int:
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    failed = False
    for package in PACKAGES:
        build(package, target)
        wheels = list(target.glob(f"antiphon_{package}-*.whl"))
        sdists = list(target.glob(f"antiphon_{package}-*.tar.gz"))
        if len(wheels) != 1 or len(sdists) != 1:
            print(f"{package}: expected one wheel and one sdist, found {wheels + sdists}")
            return 1
        for problem in wheel_problems(package, wheels[0]) + sdist_problems(package, sdists[0]):
            print(f"{package}: {problem}")
            failed = True
    print(f"built {len(list(target.iterdir()))} files in {target}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
