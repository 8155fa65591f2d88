"""The directive ``names``: every public name of aiohttp, and where it is here.

``aiohttp-names.txt`` lists the names, by module. Where each of them is comes from the packages
themselves, what is obsolete from the registry.
"""

import importlib
import pathlib
import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

HERE: Final = pathlib.Path(__file__).resolve().parent
LIST: Final = HERE / "aiohttp-names.txt"
DOCS: Final = HERE.parent

PLACES: Final = {
    "aiohttp": ("antiphon.client", "antiphon.core", "antiphon.web"),
    "aiohttp.web": ("antiphon.web",),
    "aiohttp.abc": ("antiphon.core.abc", "antiphon.web", "antiphon.client"),
    "aiohttp.hdrs": ("antiphon.core.hdrs",),
    "aiohttp.test_utils": ("antiphon.testing",),
    "fixtures": ("antiphon.testing.pytest_plugin", "antiphon.testing.aiohttp_fixtures"),
}
"""Where a name of each module is looked for, the likeliest first."""


WORKERS: Final = ("GunicornWebWorker", "GunicornUVLoopWebWorker")
"""Names that exist only where gunicorn is installed."""


def listed() -> dict[str, list[str]]:
    """Return the names of aiohttp by module."""
    found: dict[str, list[str]] = {}
    for line in LIST.read_text().splitlines():
        if line.startswith("["):
            names = found.setdefault(line[1:-1], [])
        elif line and not line.startswith("#"):
            names.append(line)
    return found


def place_of(module: str, name: str) -> str | None:
    """Return the full name here of what aiohttp has as *name* in *module*; ``None`` if nothing is."""
    if name in WORKERS:
        return f"antiphon.web.{name}"
    for place in PLACES[module]:
        found = importlib.import_module(place)
        public = getattr(found, "__all__", None)
        if hasattr(found, name) and (public is None or name in public or module == "fixtures"):
            return f"{place}.{name}"
    return None


def described() -> dict[int, str]:
    """Return the full name under which the reference describes an object, by the object's id."""
    block = re.compile(r"\.\. public:: (\S+)\n\n((?:   .*\n|\n)*)")
    found = {}
    for page in sorted((DOCS / "reference").glob("*.md")):
        for place, names in block.findall(page.read_text()):
            module = importlib.import_module(place)
            for name in names.split():
                found[id(getattr(module, name))] = f"{place}.{name}"
    return found


def obsolete() -> dict[str, str]:
    """Return the ids of what is obsolete, by the full names that the registry has."""
    registry = tomllib.loads((DOCS / "deprecations.toml").read_text())["entry"]
    return {
        name: entry["id"]
        for entry in registry
        for name in entry.get("names", [entry["object"]])
        if entry["state"] == "warning"
    }


def rows(module: str, names: list[str]) -> Iterator[tuple[str, str, str]]:
    """Give name, place and remark of each of *names*, as reStructuredText."""
    known, old = described(), obsolete()
    for name in names:
        full = place_of(module, name)
        if full is None:
            yield name, "no", ""
            continue
        place, _, last = full.rpartition(".")
        module_here = importlib.import_module(place)
        value = None if name in WORKERS else getattr(module_here, last)
        target = known.get(id(value), full)
        remark = f"obsolete, {old[target]}" if target in old else ""
        yield name, f":py:obj:`{full} <{target}>`", remark


class Names(SphinxDirective):
    """A table of the names of one module, given as the argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        module = self.arguments[0]
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 38 44 18", ""]
        lines += [f"   * - {module}", "     - here", "     -"]
        for name, place, remark in rows(module, listed()[module]):
            lines += [f"   * - ``{name}``", f"     - {place}", f"     - {remark}"]
        self.env.note_dependency(str(LIST))
        self.env.note_dependency(str(DOCS / "deprecations.toml"))
        node = nodes.Element()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, source="names"), self.content_offset, node)
        return node.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("names", Names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
