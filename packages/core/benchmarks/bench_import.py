"""What importing costs, over `import asyncio`: CPU time and memory; aiohttp beside.

``python packages/core/benchmarks/bench_import.py`` starts an interpreter for each figure and
takes the least of several.
"""

import subprocess
import sys
from importlib.util import find_spec

ROUNDS = 9
STATEMENTS = {
    "import antiphon.core": "import antiphon.core",
    "all names of antiphon.core": "from antiphon.core import *",
    "import antiphon.client": "import antiphon.client",
    "import antiphon.web": "import antiphon.web",
    "import aiohttp": "import aiohttp",
    "import aiohttp.web": "import aiohttp.web",
}
_MEASURE = """
import asyncio
{}
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, len(sys.modules))
"""


def cost(statement: str) -> tuple[float, int, int]:
    """Seconds of CPU, KiB of memory and modules of an interpreter that ran *statement*."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import sys" + _MEASURE.format(statement)],
        capture_output=True,
        check=True,
        text=True,
    )
    seconds, size, modules = done.stdout.split()
    return float(seconds), int(size), int(modules)


def main() -> None:
    """Print one line a statement."""
    wanted = {
        name: statement
        for name, statement in STATEMENTS.items()
        if find_spec(statement.split()[1].partition(".")[0]) is not None
    }
    least = dict.fromkeys(["", *wanted], (float("inf"), 1 << 62, 0))
    for _ in range(ROUNDS):
        for name in least:
            seconds, size, modules = cost(wanted.get(name, ""))
            least[name] = min(least[name][0], seconds), min(least[name][1], size), modules
    base = least.pop("")
    for name, (seconds, size, modules) in least.items():
        print(
            f"{(seconds - base[0]) * 1000:8.1f} ms  {(size - base[1]) / 1024:6.1f} MB  "
            f"{modules - base[2]:4} modules  {name}"
        )


if __name__ == "__main__":
    main()
