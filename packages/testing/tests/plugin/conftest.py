"""A project of its own for each test, and pytest inside of pytest."""

from collections.abc import Callable

import pytest

APP = """
import asyncio
from antiphon import web

async def hello(request):
    return web.Response(text="hello")

def create_app(loop=None):
    app = web.Application()
    app.router.add_get("/", hello)
    return app
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(service=APP)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Runs pytest in this process; what it imports is imported already, which makes it quick."""

    def run_(*args: str, plugins: tuple[str, ...] = ()) -> pytest.RunResult:
        # Hypothesis takes seconds to import, at the end of every run.
        names = {"asyncio", "anyio", "hypothesispytest"} - set(plugins)
        arguments = [part for name in sorted(names) for part in ("-p", f"no:{name}")]
        return pytester.runpytest_inprocess(
            "-p", "no:cacheprovider", *arguments, "-W", "error", *args
        )

    return run_


@pytest.fixture
def run_apart(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Runs pytest in a process of its own."""

    def run_(*args: str) -> pytest.RunResult:
        plugins = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:hypothesispytest")
        return pytester.runpytest_subprocess(*plugins, *args, timeout=180)

    return run_
