"""See antiphon at work: a file store, and the whole standard library going through it.

python demo.py          fill the store, check it, then serve it until Ctrl-C
python demo.py --once   stop after the check; exit status 1 if anything differed
"""

import argparse
import asyncio
import pathlib
import sysconfig

from drive import IN_FLIGHT, Driver, Tally
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from service import create_app
from yarl import URL

from antiphon import web

CONSOLE = Console()


def standard_library() -> tuple[pathlib.Path, list[str]]:
    """Return the folder of the standard library and the names of its files."""
    folder = pathlib.Path(sysconfig.get_path("stdlib"))
    names = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"site-packages", "__pycache__"} & set(path.parts)
    ]
    return folder, names


async def fill(store: URL) -> Tally:
    folder, names = standard_library()
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    ]
    with Progress(*columns, console=CONSOLE) as progress:
        task = progress.add_task(f"{len(names):,} files, up and down", total=2 * len(names))
        return await Driver(store, folder, lambda: progress.advance(task)).run(names)


def show(tally: Tally) -> None:
    table = Table(title=f"The standard library, up and down, {IN_FLIGHT} requests in flight")
    for heading in ("requests", "bytes", "seconds", "requests/s", "mismatches", "connections"):
        table.add_column(heading, justify="right")
    table.add_row(
        f"{tally.requests:,}",
        f"{tally.bytes:,}",
        f"{tally.seconds:.2f}",
        f"{tally.requests / tally.seconds:,.0f}",
        str(tally.mismatches),
        str(tally.connections),
    )
    CONSOLE.print(table)


async def main(port: int, *, once: bool) -> int:
    runner = web.AppRunner(create_app(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        store = URL.build(scheme="http", host="127.0.0.1", port=site.port)
        tally = await fill(store)
        show(tally)
        if once:
            return int(tally.mismatches > 0 or tally.connections > IN_FLIGHT)
        CONSOLE.print(f"Serving {store} until Ctrl-C.")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--once", action="store_true", help="stop after the check")
    parser.add_argument(
        "--port", type=int, default=0, help="where to serve; any free port by default"
    )
    arguments = parser.parse_args()
    try:
        status = asyncio.run(main(arguments.port, once=arguments.once))
    except KeyboardInterrupt:
        CONSOLE.print("Stopped.")
        status = 0
    raise SystemExit(status)
