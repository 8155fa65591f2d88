"""Measure antiphon against its peers in one interleaved run.

    python bench.py [server|client|memory|micro ...] [--rounds N] [--seconds S] [--json FILE]

Each server runs in processes of its own on one core, the load program on the
other. The main figure is CPU time of the measured processes per request: on a
machine that others use too it moves far less than requests per second. All
servers of a scenario take turns, round after round, so that a slow minute
hits them alike; the tables show medians, and ratios of medians.

Who takes part stands in `contenders.py`, what they are asked in
`server_scenarios.py` and `client_scenarios.py`.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import client_scenarios
import server_scenarios
from board import Board
from contenders import LOOPS, SERVERS
from processes import HERE, Fleet


def main() -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["server", "client", "memory"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--loop", action="append", choices=LOOPS)
    parser.add_argument("--scenario", action="append", help="only these")
    parser.add_argument("--server", action="append", choices=SERVERS, help="only these")
    parser.add_argument(
        "--client", action="append", choices=client_scenarios.CLIENTS, help="only these"
    )
    parser.add_argument("--json", type=pathlib.Path, default=HERE / "last-run.json")
    wanted = parser.parse_args()
    if "server" in wanted.what and shutil.which("wrk") is None:
        raise SystemExit("the server benchmark needs wrk (Debian's package of that name)")
    loops = wanted.loop or LOOPS
    names = wanted.server or SERVERS
    board, idle = Board(), Board()

    def chosen(name: str) -> bool:
        return not wanted.scenario or name in wanted.scenario

    started = time.time()

    def keep() -> None:
        record = {
            "started": started,
            "python": sys.version.split()[0],
            "cores": os.cpu_count(),
            "rounds": board.rounds | idle.rounds,
        }
        wanted.json.write_text(json.dumps(record, indent=1) + "\n")

    if "memory" in wanted.what:
        server_scenarios.idle_memory(idle, loops=loops, names=names)
        keep()
    with Fleet() as fleet:
        for _ in range(wanted.rounds):
            if "server" in wanted.what:
                server_scenarios.rounds(
                    board, fleet, loops=loops, seconds=wanted.seconds, chosen=chosen, names=names
                )
                keep()
            if "client" in wanted.what:
                client_scenarios.rounds(
                    board,
                    loops=loops,
                    seconds=wanted.seconds,
                    chosen=chosen,
                    names=wanted.client or client_scenarios.CLIENTS,
                )
                keep()
    if "micro" in wanted.what:
        for program in sorted(HERE.parent.parent.glob("*/benchmarks/bench_*.py")):
            print(f"\n## {program.stem}\n", flush=True)
            subprocess.run([sys.executable, str(program)], check=True)
    if board.rounds:
        cores = os.cpu_count()
        print(
            f"\nCPython {sys.version.split()[0]}, {cores} cores, "
            f"{wanted.rounds} rounds of {wanted.seconds} s\n"
        )
        print(board.table())
        print("\nCPU time per request in us for antiphon; for others, how many times that:\n")
        print(board.summary())
    if idle.rounds:
        print(f"\n{idle.table('bytes of RSS each')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
