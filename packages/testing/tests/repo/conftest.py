"""Tests of the repository's own tools. An sdist has neither them nor the rest of the repository."""

import pathlib
import sys

TOOLS = pathlib.Path(__file__).resolve().parents[4] / "docs" / "_tools"

if TOOLS.is_dir():
    sys.path.insert(0, str(TOOLS))
else:
    collect_ignore_glob = ["test_*.py"]
