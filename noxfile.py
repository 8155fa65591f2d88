"""Every check and every tool of the repository, one session each.

``nox -l`` lists them. With uv on the path, environments are made by uv; else
by virtualenv.
"""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import nox

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "types"]

ROOT = pathlib.Path(__file__).resolve().parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PACKAGES = ["core", "web", "client", "testing"]
SUPPORTED = ["3.11", "3.12", "3.13"]
EDITABLE = [part for name in PACKAGES for part in ("-e", f"packages/{name}")]


def group(name: str) -> list[str]:
    """Return the pinned tools of one dependency group."""
    return list(nox.project.dependency_groups(PROJECT, name))


@functools.cache
def works(version: str) -> bool:
    """Tell whether ``python<version>`` is there and runs: a shim on the path may be hollow."""
    program = shutil.which(f"python{version}")
    if program is None:
        return False
    try:
        done = subprocess.run(
            [program, "-c", "import venv, sys; print(*sys.version_info[:2], sep='.')"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def interpreters() -> list[str]:
    """Return the supported versions within reach, at least the one that runs nox."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = [version for version in SUPPORTED if version == own or works(version)]
    return found or [own]


def newest() -> str:
    """Return the newest supported version within reach."""
    return interpreters()[-1]


def python_of(version: str) -> str:
    """Name *version* so that nox finds it even where only ``python3`` is on the path."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return sys.executable if version == own and not works(version) else version


INTERPRETERS = [python_of(version) for version in interpreters()]
NEWEST = python_of(newest())


@nox.session(python=INTERPRETERS)
def tests(session: nox.Session) -> None:
    """Run every test of every package, all four editable."""
    session.install(*EDITABLE, *group("test"))
    session.run("pytest", *session.posargs)


@nox.session(python=NEWEST)
def modes(session: nox.Session) -> None:
    """Run the tests under ``-O`` and in development mode: neither may change behaviour."""
    session.install(*EDITABLE, *group("test"))
    # What starts interpreters of its own runs them without these switches: nothing to learn there.
    elsewhere = [
        "packages/testing/tests/docs",
        "packages/testing/tests/plugin",
        "packages/testing/tests/repo",
        "packages/web/tests/worker",
        "packages/web/tests/serve/test_run.py",
        "packages/core/tests/fields/test_fields_linear.py",
    ]
    chosen = session.posargs or ["-m", "not subprocess"]
    arguments = [*chosen, *(f"--ignore={path}" for path in elsewhere)]
    # pytest makes assertions of tests into plain code, so they count under -O too, and warns that
    # those elsewhere do not.
    known = ["-W", "ignore:assertions not in test modules:pytest.PytestConfigWarning"]
    pytest = ["-m", "pytest", "-p", "no:cacheprovider", *arguments]
    session.run("python", "-O", *pytest, *known)
    session.run("python", "-X", "dev", *pytest)


@nox.session(python=INTERPRETERS[0])
def lowest(session: nox.Session) -> None:
    """Run the samples about testing with the oldest pytest that the plugin promises to work with."""
    session.install(*EDITABLE, "pytest==8.0.0")
    # Without this project's own settings, which want a newer one.
    session.run("pytest", "-c", os.devnull, "-W", "error", "--antiphon-leaks=error",
                "--rootdir", "docs/examples/testing", "docs/examples/testing",
                *session.posargs)  # fmt: skip


@nox.session(python=NEWEST)
def leaks(session: nox.Session) -> None:
    """Run the tests with our own leak guard: what a test leaves behind is its error."""
    session.install(*EDITABLE, *group("test"))
    responses = "packages/client/tests/session/test_responses.py"
    on_purpose = [
        "packages/client/tests/connector/test_dns.py::TestResolvers",
        "packages/client/tests/session/test_failures.py::test_an_unclosed_session_warns",
        "packages/client/tests/session/test_failures.py::test_a_session_belongs_to_one_loop",
        f"{responses}::test_a_response_dropped_unread_warns_and_frees_the_slot",
        "packages/testing/tests/docs",
        "packages/testing/tests/plugin",
        "packages/testing/tests/repo",
        "packages/web/tests/worker",
        "packages/web/tests/serve/test_run.py",
    ]
    session.run(
        "pytest", "--antiphon-leaks=error", *(f"--deselect={name}" for name in on_purpose),
        *session.posargs,
    )  # fmt: skip


@nox.session(python=NEWEST)
def cancellations(session: nox.Session) -> None:
    """Cancel 2,000 requests at random over real sockets; the tests do so with 200."""
    session.install(*EDITABLE, *group("test"))
    session.run(
        "pytest", "packages/client/tests/faults", "-k", "at_random", *session.posargs,
        env={"ANTIPHON_CANCELLATION_BATCHES": "40"},
    )  # fmt: skip


@nox.session(python=NEWEST)
def demo(session: nox.Session) -> None:
    """Serve a small file store and drive it with the client; ``-- --once`` ends after that."""
    session.install(*EDITABLE, "aiosqlite", "rich")
    session.run("python", "docs/examples/filestore/demo.py", *session.posargs)


@nox.session(python=NEWEST)
def lint(session: nox.Session) -> None:
    """Check style, and the architecture by its import contracts."""
    session.install(*EDITABLE, *group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--config", "pyproject.toml")


@nox.session(python=NEWEST)
def types(session: nox.Session) -> None:
    """Check types with mypy --strict and pyright; checking too few files is a failure."""
    session.install(*EDITABLE, *group("types"), *group("test"))
    sources = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("packages/*/src/**/*.py"))
    listing = pathlib.Path(session.create_tmp()) / "sources.txt"
    listing.write_text("\n".join(sources))
    said = session.run("mypy", f"@{listing}", silent=True)
    count = re.search(r"no issues found in (\d+) source files", str(said))
    if count is None or int(count[1]) < len(sources):
        session.error(f"mypy checked too little of {len(sources)} files: {said}")
    session.log(str(said).strip())
    python = session.run("python", "-c", "import sys; print(sys.executable)", silent=True)
    command = ["basedpyright", "--pythonpath", str(python).strip(), "--outputjson"]
    said = session.run(*command, silent=True, success_codes=[0, 1], log=False)
    report = json.loads(str(said)[str(said).index("{") :])
    for row in report["generalDiagnostics"]:
        if row["severity"] == "error":
            place = pathlib.Path(row["file"]).relative_to(ROOT)
            session.log(f"{place}:{row['range']['start']['line'] + 1}: {row['message']}")
    summary = report["summary"]
    session.log(f"pyright: {summary['errorCount']} errors in {summary['filesAnalyzed']} files")
    if summary["errorCount"] or summary["filesAnalyzed"] < len(sources):
        session.error(f"pyright: errors, or fewer than {len(sources)} files checked")


@nox.session(python=NEWEST)
def wheels(session: nox.Session) -> None:
    """Build wheel and sdist of each package and prove each way of installing them."""
    session.install(*group("build"))
    target = pathlib.Path(session.create_tmp()).resolve() / "dist"
    session.run("python", ".ci/build.py", str(target))
    session.run("python", ".ci/install_stories.py", str(target), *session.posargs)


@nox.session(python=NEWEST)
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error, and so is a link that leads nowhere."""
    session.install(*EDITABLE, *group("docs"))
    session.run(
        "sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html",
        *session.posargs,
    )  # fmt: skip
    session.run("python", "docs/_tools/links.py", "docs/_build/html")
    session.log(f"open {ROOT / 'docs/_build/html/index.html'}")


def install_programs(session: nox.Session, packages: dict[str, str]) -> None:
    """Install Debian's package of each program that is missing, where that is possible.

    Elsewhere the tests themselves say what is missing, by failing.
    """
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for program, name in packages.items() if not shutil.which(program, path=path)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        session.run("apt-get", "update", "-q", external=True)
        session.run(
            "apt-get", "install", "-q", "-y", "--no-install-recommends", *missing,
            external=True, env={"DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip


REAL = "packages/testing/tests/deployment"


@nox.session(python=NEWEST)
def deployment(session: nox.Session) -> None:
    """Run behind a real nginx and gunicorn, and with a real Redis and PostgreSQL."""
    packages = {
        "nginx": "nginx-light",
        "redis-server": "redis-server",
        "systemd-analyze": "systemd",
    }
    if not any(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        packages["initdb"] = "postgresql"
    install_programs(session, packages)
    session.install(*EDITABLE, *group("test"), *group("deployment"))
    session.run(
        "pytest", REAL, f"--ignore={REAL}/test_browser.py", *session.posargs,
        env={"ANTIPHON_REAL_SERVERS": "1"},
    )  # fmt: skip


@nox.session(python=NEWEST)
def browser(session: nox.Session) -> None:
    """Use the chat and the file store with a real browser (Chromium, headless)."""
    install_programs(session, {"chromium": "chromium"})
    session.install(*EDITABLE, *group("test"))
    session.run(
        "pytest", f"{REAL}/test_browser.py", *session.posargs, env={"ANTIPHON_REAL_SERVERS": "1"}
    )


@nox.session(python=NEWEST)
def faults(session: nox.Session) -> None:
    """Serve thousands of clients that leave, hang and dribble, and kill gunicorn's workers."""
    session.install(*EDITABLE, *group("test"))
    session.run(
        "pytest", "packages/web/tests/faults", "packages/web/tests/worker", *session.posargs,
        env={"ANTIPHON_FAULTS": "1"},
    )  # fmt: skip


@nox.session(python=NEWEST)
def bench(session: nox.Session) -> None:
    """Measure against peers in one interleaved run (``-- server``, ``client`` or ``micro``)."""
    session.install(*EDITABLE, *group("bench"))
    session.run("python", "packages/testing/benchmarks/bench.py", *session.posargs)


@nox.session(python=NEWEST)
def fuzz(session: nox.Session) -> None:
    """Run each fuzz target for a fixed time (``-- SECONDS``, 20 by default)."""
    session.install(*EDITABLE, *group("test"), *group("fuzz"))
    seconds = session.posargs[0] if session.posargs else "20"
    targets = sorted(ROOT.glob("packages/*/tests/fuzz/fuzz_*.py"))
    if not targets:
        session.error("there is no fuzz target")
    for target in targets:
        # What is found goes to the session's folder; seeds worth keeping lie beside the targets.
        found = pathlib.Path(session.create_tmp()) / target.stem
        found.mkdir(exist_ok=True)
        seeds = target.parent / "seeds" / target.stem.removeprefix("fuzz_")
        corpus = [found, seeds] if seeds.is_dir() else [found]
        session.run("python", target, *corpus, f"-max_total_time={seconds}")


@nox.session(python=NEWEST)
def deprecations(session: nox.Session) -> None:
    """Check the registry of deprecations against the code, and the news fragments; ``-- --write``
    writes the registry's texts."""
    session.install(*EDITABLE, *group("test"), *group("release"), *group("build"))
    session.run("python", "docs/_tools/deprecations.py", *session.posargs)
    # Where the branch is known that a change is meant for, what users notice needs a fragment.
    base = os.environ.get("CI_BASE")
    session.run("python", "docs/_tools/changes.py", *(["--against", base] if base else []))


@nox.session(python=NEWEST)
def release(session: nox.Session) -> None:
    """Release one package: ``nox -s release -- web 0.2.0``."""
    session.install(*EDITABLE, *group("test"), *group("release"), *group("build"))
    session.run("python", "docs/_tools/release.py", *session.posargs)


@nox.session(name="publish-rehearsal", python=NEWEST)
def publish_rehearsal(session: nox.Session) -> None:
    """Publish all four to a package index on loopback and install them from there."""
    session.install(*group("release"), *group("build"))
    session.run("python", "docs/_tools/publish_rehearsal.py", *session.posargs)
