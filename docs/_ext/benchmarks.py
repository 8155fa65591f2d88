"""The directive ``benchmarks``: what the last published run of the benchmarks measured.

``docs/measured.json`` is what ``nox -s bench -- server client --json docs/measured.json`` writes.
"""

import datetime as dt
import json
import pathlib
import statistics
from collections.abc import Iterator
from typing import Any, Final

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DATA: Final = pathlib.Path(__file__).resolve().parents[1] / "measured.json"
OURS: Final = "antiphon"
NO_TIME: Final = {"idle connection"}
"""Scenarios whose figures are bytes of memory."""

Rounds = dict[str, dict[str, list[dict[str, float]]]]


def table(rounds: Rounds) -> Iterator[tuple[str, str, float, float, int]]:
    """Give scenario, contender, median of CPU microseconds, its ratio to ours, and the rounds."""
    for scenario, contenders in rounds.items():
        if scenario in NO_TIME:
            continue
        medians = {
            name: statistics.median(each["us"] for each in values)
            for name, values in contenders.items()
        }
        for name, median in sorted(medians.items(), key=lambda item: item[1]):
            _, _, loop = name.partition(" ")
            yield scenario, name, median, median / medians[f"{OURS} {loop}"], len(contenders[name])


class Benchmarks(SphinxDirective):
    """A table of the figures in `DATA`."""

    def run(self) -> list[nodes.Node]:
        """Return the table, and when it was measured."""
        self.env.note_dependency(str(DATA))
        data = json.loads(DATA.read_text())
        day = dt.datetime.fromtimestamp(data["started"], dt.UTC).date()
        python = str(data["python"]).split()[0]
        found = list(table(data["rounds"]))
        rounds = found[0][4]
        said = f"medians of {rounds} rounds" if rounds > 1 else "one round only"
        lines = [f"Measured on {day} with Python {python}, {said}.", ""]
        lines += [".. list-table::", "   :header-rows: 1", "   :widths: 34 30 20 16", ""]
        lines += [
            "   * - scenario",
            "     - contender",
            "     - CPU microseconds",
            "     - ratio",
        ]
        before = None
        for scenario, name, median, ratio, _ in found:
            shown = f"**{name}**" if name.startswith(OURS) else name
            lines += [f"   * - {scenario if scenario != before else ''}", f"     - {shown}"]
            lines += [f"     - {median:.0f}", f"     - {ratio:.2f}"]
            before = scenario
        node = nodes.Element()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, source="benchmarks"), self.content_offset, node)
        return node.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("benchmarks", Benchmarks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
