"""Where names of others are described, for links to them from a build that asks no network.

Sphinx's own inventories are downloaded; these are made from ``others.txt``, which has what our
pages mention: role, name and page, below the address of a project.
"""

import pathlib
import zlib
from typing import Final

HERE: Final = pathlib.Path(__file__).resolve().parent
LIST: Final = HERE / "others.txt"
TARGET: Final = HERE.parent / "_generated"

Rows = list[tuple[str, str, str]]


def listed() -> dict[str, tuple[str, Rows]]:
    """Return address and rows of each project."""
    found: dict[str, tuple[str, Rows]] = {}
    for line in LIST.read_text().splitlines():
        if line.startswith("["):
            project, address = line[1:].split("] ")
            found[project] = (address, [])
        elif line and not line.startswith("#"):
            page, role, names = line.split(maxsplit=2)
            found[project][1].extend((role, name, page) for name in names.split())
    return found


def inventory(project: str, rows: Rows) -> bytes:
    """Return an inventory as Sphinx reads it, version 2."""
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
    head += "# The remainder of this file is compressed using zlib.\n"
    lines = "".join(f"{name} py:{role} 1 {page}#$ -\n" for role, name, page in rows)
    return head.encode() + zlib.compress(lines.encode())


def mapping() -> dict[str, tuple[str, str | None]]:
    """Write the inventories. Return what ``intersphinx_mapping`` has to be."""
    TARGET.mkdir(exist_ok=True)
    found: dict[str, tuple[str, str | None]] = {}
    for project, (address, rows) in listed().items():
        path = TARGET / f"{project}.inv"
        path.write_bytes(inventory(project, rows))
        found[project] = (address, f"_generated/{path.name}")
    return found
