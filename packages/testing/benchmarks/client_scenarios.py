"""The client's scenarios. `bench.py` calls `rounds` once in every round.

All clients talk to one server, `servers/canned_server.py` on uvloop, which does next to
nothing. The figure is CPU time of the client's process, threads included, per request;
one of ``100 MB`` is a request too, and so is a message sent and echoed.
"""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from board import Board
from contenders import command_of
from processes import LOAD_CORE, MEASURED_CORE, pinned, python, server

__all__ = ("CLIENTS", "SCENARIOS", "rounds")

CLIENTS = ("antiphon", "aiohttp", "httpx", "aiosonic", "niquests", "pyreqwest", "websockets")


class Scenario(NamedTuple):
    """What is done, how often at once, and by whom."""

    what: str
    in_flight: int
    clients: tuple[str, ...] = CLIENTS[:-1]


_WITH_JAR = ("antiphon", "aiohttp", "httpx", "niquests")  # others take no cookies to begin with

SCENARIOS = {
    "sequential": Scenario("plaintext", 1),
    "50 in flight": Scenario("plaintext", 50),
    "500 in flight": Scenario("plaintext", 500),
    "json": Scenario("json", 50),
    "64 KB": Scenario("64k", 10),
    "burst of 1,000": Scenario("burst", 1),
    "100 MB down": Scenario("download", 1),
    "100 MB up": Scenario("upload", 1),
    "1,000-cookie jar": Scenario("cookies", 1, _WITH_JAR),
    "websocket 64 B": Scenario("websocket", 1, ("antiphon", "aiohttp", "websockets")),
}


def rounds(
    board: Board,
    *,
    loops: Sequence[str],
    seconds: int,
    chosen: Callable[[str], bool],
    names: Sequence[str] = CLIENTS,
) -> None:
    """Let every client of *names* have one turn in every scenario that is *chosen*."""
    for title, scenario in SCENARIOS.items():
        for loop in loops if chosen(title) else ():
            for name in (name for name in scenario.clients if name in names):
                if name != "antiphon" and importlib.util.find_spec(name) is None:
                    print(f"  {name} is not installed", file=sys.stderr)
                    continue
                board.add(f"client {title}", f"{name} {loop}", _turn(name, loop, scenario, seconds))


def _turn(name: str, loop: str, scenario: Scenario, seconds: int) -> dict[str, float]:
    with server(command_of("canned", "uvloop"), LOAD_CORE) as served:
        program = python(f"clients/{name}_client.py", "--loop", loop)
        program += ["--port", str(served.port), "--what", scenario.what]
        program += ["--in-flight", str(scenario.in_flight), "--seconds", str(seconds)]
        said = subprocess.run(
            pinned(MEASURED_CORE, program), stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    row = json.loads(said)
    return {"us": row["cpu"] / row["requests"] * 1e6, "rps": row["requests"] / seconds}
