"""The client's scenarios. `bench.py` calls `rounds` once in every round."""

import json
import subprocess
from collections.abc import Callable, Sequence

from board import Board
from contenders import command_of
from processes import LOAD_CORE, MEASURED_CORE, pinned, python, server

__all__ = ("rounds",)

CLIENTS = ("antiphon", "aiohttp")
SCENARIOS = {"sequential": 1, "50 in flight": 50}


def rounds(
    board: Board, *, loops: Sequence[str], seconds: int, chosen: Callable[[str], bool]
) -> None:
    """Let every client have one turn in every scenario that is *chosen*."""
    for scenario, in_flight in SCENARIOS.items():
        for loop in loops if chosen(scenario) else ():
            for name in CLIENTS:
                board.add(
                    f"client {scenario}", f"{name} {loop}", _turn(name, loop, in_flight, seconds)
                )


def _turn(name: str, loop: str, in_flight: int, seconds: int) -> dict[str, float]:
    with server(command_of("bare", "uvloop"), LOAD_CORE) as served:
        program = python(f"clients/{name}_client.py", "--loop", loop)
        program += ["--url", f"http://127.0.0.1:{served.port}/plaintext"]
        program += ["--in-flight", str(in_flight), "--seconds", str(seconds)]
        said = subprocess.run(
            pinned(MEASURED_CORE, program), capture_output=True, text=True, check=True
        ).stdout
    row = json.loads(said)
    return {"us": row["cpu"] / row["requests"] * 1e6, "rps": row["requests"] / seconds}
