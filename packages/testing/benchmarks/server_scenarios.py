"""The server's scenarios: what is asked, by what, and what counts as one request."""

import http.client
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from board import Board
from contenders import SERVERS, command_of, takes_part
from loads import download, talk, upload, wrk
from processes import Fleet, Served, server

__all__ = ("SCENARIOS", "idle_memory", "rounds")

_MB = 1024 * 1024


@dataclass(frozen=True)
class Scenario:
    """One thing that servers are asked to do.

    Args:
        load: Makes load on a port for so many seconds and returns how much was answered.
        path: Asked for some times before, to see that the answer is right and to warm up.
        size: Bytes of that answer; ``None`` where it is not known, or there is nothing to GET.
        variant: The kind of application; see `contenders.command_of`.
    """

    load: Callable[[int, int], int]
    path: str | None = None
    size: int | None = None
    variant: str = ""


def _get(
    path: str,
    size: int | None = None,
    *,
    variant: str = "",
    script: str | None = None,
    warm: bool = True,
) -> Scenario:
    def load(port: int, seconds: int) -> int:
        return wrk(port, path, script, seconds)

    return Scenario(load, path if warm else None, size, variant)


def _download(path: str, size: int, count: int) -> Scenario:
    return Scenario(lambda port, _seconds: download(port, path, size, count), path, size)


def _upload(size: int, count: int) -> Scenario:
    return Scenario(lambda port, _seconds: upload(port, "/upload", size, count))


def _talk(size: int, count: int, *, compressed: bool = False) -> Scenario:
    def load(port: int, _seconds: int) -> int:
        return talk(port, "/echo", size, count, compressed=compressed)

    return Scenario(load)


SCENARIOS: dict[str, Scenario] = {
    "plaintext": _get("/plaintext", 13),
    "json": _get("/json"),
    "200 routes": _get("/api/v1/things77/42", 2),
    "three middlewares": _get("/plaintext", 13, variant="middlewares"),
    "browser-headers": _get("/browser", script="browser.lua", warm=False),
    "post-json": _get("/post", script="post.lua", warm=False),
    "pipelined": _get("/plaintext", 13, script="pipelined.lua"),
    "upload 50 MB": _upload(50 * _MB, 8),
    "download 8 MB": _download("/download", 8 * _MB, 32),
    "static 4 KB": _get("/static/4k.txt", 4096),
    "static 10 MB": _download("/static/10m.bin", 10 * _MB, 16),
    "websocket 64 B": _talk(64, 20_000),
    "websocket 64 KB": _talk(64 * 1024, 2_000),
    "websocket compressed": _talk(4096, 10_000, compressed=True),
}


def rounds(
    board: Board,
    fleet: Fleet,
    *,
    loops: Sequence[str],
    seconds: int,
    chosen: Callable[[str], bool],
    names: Sequence[str] = SERVERS,
) -> None:
    """Let every server have one turn in every scenario that is *chosen*."""
    for title, scenario in SCENARIOS.items():
        for loop in loops if chosen(title) else ():
            for name in names:
                if takes_part(name, title):
                    command = command_of(name, loop, scenario.variant)
                    served = fleet.get((name, loop, scenario.variant), command)
                    board.add(title, f"{name} {loop}", _turn(name, scenario, served, seconds))


def _turn(name: str, scenario: Scenario, served: Served, seconds: int) -> dict[str, float]:
    if scenario.path is not None:
        _warm_up(name, served.port, scenario.path, None if name == "bare" else scenario.size)
    before = served.cpu()
    requests = scenario.load(served.port, seconds)
    return {"us": (served.cpu() - before) / requests * 1e6, "requests": requests}


def _warm_up(name: str, port: int, path: str, size: int | None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(3 if size is not None and size > _MB else 300):
        connection.request("GET", path)
        response = connection.getresponse()
        got = len(response.read())
        if response.status != 200 or (size is not None and got != size):
            raise SystemExit(f"{name} answers {path} with {response.status} and {got} bytes")
    connection.close()


def idle_memory(
    board: Board,
    *,
    loops: Sequence[str],
    names: Sequence[str] = SERVERS,
    count: int = 2000,
) -> None:
    """Open *count* connections to each server that did one request each and are idle now."""
    for loop in loops:
        for name in names:
            with server(command_of(name, loop), name=name) as served:
                grown = _grown(served, count)
            board.add("idle connection", f"{name} {loop}", {"us": grown / count})


def _grown(served: Served, count: int) -> int:
    idle: list[socket.socket] = []

    def more(wanted: int) -> None:
        for _ in range(wanted):
            connection = socket.create_connection(("127.0.0.1", served.port))
            connection.sendall(b"GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.recv(4096)
            idle.append(connection)

    more(200)
    before = served.memory()
    more(count)
    grown = served.memory() - before
    for connection in idle:
        connection.close()
    return grown
