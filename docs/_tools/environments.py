"""Fresh virtual environments, in which nothing is that was not installed there."""

import os
import pathlib
import subprocess
import sys
import venv
from collections.abc import Mapping


class CommandError(Exception):
    """A command failed; the text has what it printed."""


class Environment:
    """A fresh virtual environment in *folder*.

    Args:
        folder: Where; made.
        pip_options: Given to each ``pip install``, such as where the package index is.
    """

    def __init__(self, folder: pathlib.Path, *pip_options: str) -> None:
        venv.create(folder, with_pip=True)
        self.folder = folder
        self.python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        self._pip_options = pip_options

    def run(
        self,
        *arguments: str,
        cwd: pathlib.Path | None = None,
        env: Mapping[str, str] | None = None,
        show: bool = False,
    ) -> str:
        """Run the environment's Python. Return what it prints; with *show* print it as it comes.

        Raises:
            CommandError: It failed.
        """
        # -P: what stands in the current folder must not stand in for what is installed.
        done = subprocess.run(
            [str(self.python), "-P", *arguments],
            cwd=cwd or self.folder,
            env={**os.environ, **(env or {})},
            stdout=None if show else subprocess.PIPE,
            stderr=None if show else subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandError(
                f"python {' '.join(arguments)}: status {done.returncode}\n{done.stdout or ''}"
            )
        return done.stdout or ""

    def install(self, *requirements: str) -> None:
        """Install *requirements*.

        Raises:
            CommandError: Not possible.
        """
        # The machine's own settings of pip must add no index to those given.
        env = (
            {"PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": ""} if self._pip_options else {}
        )
        self.run(
            "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-cache-dir",
            *self._pip_options, *requirements,
            env=env,
        )  # fmt: skip

    def version(self, distribution: str) -> str:
        """Return the version of *distribution* that is installed."""
        code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
        return self.run("-c", code).strip()
