"""Measure antiphon against its peers in one interleaved run.

    python bench.py [server|client|memory|micro ...] [--rounds N] [--seconds S] [--json FILE]

Each server runs in a process of its own on one core, the load program on the
other. The main figure is CPU time of the measured process per request: on a
machine that others use too it moves far less than requests per second. All
servers of a scenario take turns, round after round, so that a slow minute
hits them alike; the table shows medians, and ratios of medians.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil

HERE = pathlib.Path(__file__).resolve().parent
LOOPS = ("asyncio", "uvloop")
MEASURED_CORE, LOAD_CORE = 0, max(1, (os.cpu_count() or 2) - 1)

SERVERS = ("antiphon", "aiohttp", "bare")
SERVER_SCENARIOS: dict[str, tuple[str, str | None]] = {
    "plaintext": ("/plaintext", None),
    "json": ("/json", None),
    "browser-headers": ("/browser", "browser.lua"),
    "pipelined": ("/plaintext", "pipelined.lua"),
    "post-json": ("/post", "post.lua"),
}
CLIENTS = ("antiphon", "aiohttp")
CLIENT_SCENARIOS = {"sequential": 1, "50 in flight": 50}


def pinned(core: int, command: list[str]) -> list[str]:
    taskset = shutil.which("taskset")
    return (
        [taskset, "-c", str(core), *command] if taskset and (os.cpu_count() or 1) > 1 else command
    )


@contextlib.contextmanager
def server(name: str, loop: str, core: int = MEASURED_CORE) -> Iterator[tuple[int, psutil.Process]]:
    """Start a server and give its port and process."""
    program = [sys.executable, str(HERE / "servers" / f"{name}_server.py"), "--loop", loop]
    process = subprocess.Popen(pinned(core, program), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        yield port, psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def load(port: int, path: str, script: str | None, seconds: int) -> int:
    """Run wrk and return how many requests were answered."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s"]
    if script:
        command += ["-s", str(HERE / "load" / script)]
    command.append(f"http://127.0.0.1:{port}{path}")
    said = subprocess.run(
        pinned(LOAD_CORE, command), capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{command}: {said}")
    found = re.search(r"(\d+) requests in", said)
    if found is None:
        raise SystemExit(f"wrk said nothing of requests: {said}")
    return int(found[1])


def server_round(
    name: str, loop: str, path: str, script: str | None, seconds: int
) -> dict[str, float]:
    with server(name, loop) as (port, process):
        load(port, path, script, 1)
        before = cpu(process)
        requests = load(port, path, script, seconds)
        used = cpu(process) - before
    return {"us": used / requests * 1e6, "rps": requests / seconds}


def client_round(name: str, loop: str, in_flight: int, seconds: int) -> dict[str, float]:
    with server("bare", "uvloop", LOAD_CORE) as (port, _):
        program = [sys.executable, str(HERE / "clients" / f"{name}_client.py"), "--loop", loop]
        program += ["--url", f"http://127.0.0.1:{port}/plaintext", "--in-flight", str(in_flight)]
        program += ["--seconds", str(seconds)]
        said = subprocess.run(
            pinned(MEASURED_CORE, program), capture_output=True, text=True, check=True
        ).stdout
    row = json.loads(said)
    return {"us": row["cpu"] / row["requests"] * 1e6, "rps": row["requests"] / seconds}


def memory_round(name: str, loop: str, count: int = 2000) -> dict[str, float]:
    """Open *count* connections that did one request each and are idle now."""
    import socket

    with server(name, loop) as (port, process):
        idle = []

        def more(wanted: int) -> None:
            for _ in range(wanted):
                connection = socket.create_connection(("127.0.0.1", port))
                connection.sendall(b"GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n")
                connection.recv(4096)
                idle.append(connection)

        more(200)
        before = process.memory_info().rss
        more(count)
        grown = process.memory_info().rss - before
        for connection in idle:
            connection.close()
    return {"us": grown / count}


class Board:
    """Collects rounds and prints them."""

    def __init__(self) -> None:
        self.rounds: dict[str, dict[str, list[dict[str, float]]]] = {}

    def add(self, scenario: str, contender: str, figures: dict[str, float]) -> None:
        self.rounds.setdefault(scenario, {}).setdefault(contender, []).append(figures)
        shown = ", ".join(f"{key} {value:,.1f}" for key, value in figures.items())
        print(f"  {scenario}: {contender}: {shown}", file=sys.stderr, flush=True)

    def median(self, scenario: str, contender: str) -> float:
        return statistics.median(row["us"] for row in self.rounds[scenario][contender])

    def table(self, unit: str = "CPU us/request") -> str:
        lines = [
            f"| scenario | contender | {unit} (median) | min to max | times antiphon's |",
            "|---|---|--:|--:|--:|",
        ]
        for scenario, contenders in self.rounds.items():
            for contender, rows in contenders.items():
                ours = contender.replace(contender.split(" ")[0], "antiphon", 1)
                base = self.median(scenario, ours) if ours in contenders else float("nan")
                values = [row["us"] for row in rows]
                lines.append(
                    f"| {scenario} | {contender} | {statistics.median(values):,.1f} "
                    f"| {min(values):,.1f} to {max(values):,.1f} | {statistics.median(values) / base:.2f} |"
                )
        return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["server", "client", "memory"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--loop", action="append", choices=LOOPS)
    parser.add_argument("--scenario", action="append", help="only these")
    parser.add_argument("--json", type=pathlib.Path, default=HERE / "last-run.json")
    wanted = parser.parse_args()
    if "server" in wanted.what and shutil.which("wrk") is None:
        raise SystemExit("the server benchmark needs wrk (Debian's package of that name)")
    loops = wanted.loop or LOOPS
    board, idle = Board(), Board()

    def chosen(name: str) -> bool:
        return not wanted.scenario or name in wanted.scenario

    started = time.time()
    for _ in range(wanted.rounds):
        if "server" in wanted.what:
            for scenario, (path, script) in SERVER_SCENARIOS.items():
                for loop in loops if chosen(scenario) else ():
                    for name in SERVERS:
                        figures = server_round(name, loop, path, script, wanted.seconds)
                        board.add(scenario, f"{name} {loop}", figures)
        if "client" in wanted.what:
            for scenario, in_flight in CLIENT_SCENARIOS.items():
                for loop in loops if chosen(scenario) else ():
                    for name in CLIENTS:
                        figures = client_round(name, loop, in_flight, wanted.seconds)
                        board.add(f"client {scenario}", f"{name} {loop}", figures)
    if "memory" in wanted.what:
        for loop in loops:
            for name in SERVERS:
                idle.add("idle connection", f"{name} {loop}", memory_round(name, loop))
    if "micro" in wanted.what:
        for program in sorted(HERE.parent.parent.glob("*/benchmarks/bench_*.py")):
            print(f"\n## {program.stem}\n", flush=True)
            subprocess.run([sys.executable, str(program)], check=True)
    if board.rounds:
        print(
            f"\nCPython {sys.version.split()[0]}, {wanted.rounds} rounds of {wanted.seconds:g} s\n"
        )
        print(board.table())
    if idle.rounds:
        print()
        print(idle.table("bytes of RSS each"))
    if board.rounds or idle.rounds:
        record = {"started": started, "python": sys.version, "rounds": board.rounds | idle.rounds}
        wanted.json.write_text(json.dumps(record, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
