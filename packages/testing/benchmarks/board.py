"""Figures of all rounds, and the tables made of them."""

import statistics
import sys

__all__ = ("Board",)


class Board:
    """Collects rounds and prints them.

    Every figure stands under a scenario and a contender, which is called ``name loop``. Its
    ``us`` is what is compared: microseconds of CPU time, or bytes for memory.
    """

    def __init__(self) -> None:
        self.rounds: dict[str, dict[str, list[dict[str, float]]]] = {}

    def add(self, scenario: str, contender: str, figures: dict[str, float]) -> None:
        """Note the figures of one turn."""
        self.rounds.setdefault(scenario, {}).setdefault(contender, []).append(figures)
        shown = ", ".join(f"{key} {value:,.1f}" for key, value in figures.items())
        print(f"  {scenario}: {contender}: {shown}", file=sys.stderr, flush=True)

    def median(self, scenario: str, contender: str) -> float:
        """The median of a contender's turns; NaN if it had none."""
        rows = self.rounds[scenario].get(contender, [])
        return statistics.median(row["us"] for row in rows) if rows else float("nan")

    def table(self, unit: str = "CPU us/request") -> str:
        """Every contender of every scenario in a line of its own, with its spread."""
        lines = [
            f"| scenario | contender | {unit} (median) | min to max | times antiphon's |",
            "|---|---|--:|--:|--:|",
        ]
        for scenario, contenders in self.rounds.items():
            for contender, rows in contenders.items():
                values = [row["us"] for row in rows]
                lines.append(
                    f"| {scenario} | {contender} | {statistics.median(values):,.1f} "
                    f"| {min(values):,.1f} to {max(values):,.1f} "
                    f"| {self.ratio(scenario, contender):.2f} |"
                )
        return "\n".join(lines)

    def ratio(self, scenario: str, contender: str) -> float:
        """How many times antiphon's figure on the same loop this contender's is."""
        loop = contender.rpartition(" ")[2]
        return self.median(scenario, contender) / self.median(scenario, f"antiphon {loop}")

    def summary(self) -> str:
        """Ratios only: a line for each scenario and loop, a column for each contender."""
        names = list(
            dict.fromkeys(
                contender.rpartition(" ")[0]
                for contenders in self.rounds.values()
                for contender in contenders
            )
        )
        others = [name for name in names if name != "antiphon"]
        lines = [
            "| scenario | antiphon | " + " | ".join(others) + " |",
            "|---|--:|" + "--:|" * len(others),
        ]
        for scenario, contenders in self.rounds.items():
            loops = dict.fromkeys(contender.rpartition(" ")[2] for contender in contenders)
            for loop in loops:
                cells = [f"{self.median(scenario, f'antiphon {loop}'):,.1f}"]
                for name in others:
                    known = f"{name} {loop}" in contenders
                    cells.append(f"{self.ratio(scenario, f'{name} {loop}'):.2f}" if known else "")
                lines.append(f"| {scenario}, {loop} | " + " | ".join(cells) + " |")
        return "\n".join(lines)
