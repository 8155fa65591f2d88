"""Who takes part: how each server is started, and what it has no way of its own to do."""

import sys
from collections.abc import Callable

from processes import python

__all__ = ("LOOPS", "SERVERS", "command_of", "takes_part")

LOOPS = ("asyncio", "uvloop")

_ON_UVICORN = ("starlette", "blacksheep", "falcon")
_ON_GRANIAN = {"granian-rsgi": "rsgi", "granian-asgi": "asgi"}

SERVERS = (
    "antiphon",
    "aiohttp",
    "starlette",
    "blacksheep",
    "sanic",
    "falcon",
    *_ON_GRANIAN,
    "bare",
)

# granian is a server without a framework: no middlewares, no file trees. Nor does it compress
# messages of WebSockets. The bare protocol is the floor of what a loop costs and does nothing.
_CANNOT = {
    "granian-rsgi": {"three middlewares", "websocket compressed"},
    "granian-asgi": {"three middlewares", "static 4 KB", "static 10 MB", "websocket compressed"},
    "sanic": {"websocket compressed"},
}
_BARE_CAN = {"plaintext", "json", "browser-headers", "post-json", "pipelined", "idle connection"}


def takes_part(name: str, scenario: str) -> bool:
    """Whether a server has something to answer in *scenario*."""
    if name == "bare":
        return scenario in _BARE_CAN
    return scenario not in _CANNOT.get(name, ())


def command_of(name: str, loop: str, variant: str = "") -> Callable[[int], list[str]]:
    """How to start server *name* on a port.

    Args:
        variant: ``"middlewares"`` for the application inside three of them.
    """

    def command(port: int) -> list[str]:
        if name in _ON_GRANIAN:
            arguments = ["--interface", _ON_GRANIAN[name], "--workers", "1", "--no-log"]
            arguments += ["--loop", loop, "--host", "127.0.0.1", "--port", str(port)]
            module = name.replace("-", "_") + "_server:app"
            return [sys.executable, "-m", "granian", *arguments, module]
        if name in _ON_UVICORN:
            arguments = ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
            arguments += ["--loop", loop, "--host", "127.0.0.1", "--port", str(port)]
            module = f"{name}_server:{variant or 'plain'}"
            return [sys.executable, "-m", "uvicorn", *arguments, module]
        arguments = ["--loop", loop, "--port", str(port)]
        if variant:
            arguments.append(f"--{variant}")
        return python(f"servers/{name}_server.py", *arguments)

    return command
