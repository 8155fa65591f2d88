"""The pytest plugin: runs asynchronous tests and fixtures, and gives servers and clients.

Found by pytest once the package is installed; there is nothing to configure. Tests that are
marked for another plugin (pytest-asyncio, anyio), or that pytest-asyncio takes in its automatic
mode, are left to it, and these fixtures work there as well.
"""

import asyncio
import inspect
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import pytest

from ._async_items import Loops, foreign_runner, is_ours
from ._factories import Factories
from .client import TestClient
from .ports import unused_port as _unused_port

_LOOPS: Final = pytest.StashKey[Loops]()


# -- options


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("antiphon", "antiphon: asynchronous tests, test servers and clients")
    group.addoption(
        "--antiphon-loop",
        default="asyncio",
        metavar="LOOPS",
        help="event loops to run each asynchronous test on: asyncio, uvloop, both with a comma "
        "between them, or all",
    )
    group.addoption(
        "--antiphon-debug", action="store_true", help="run event loops in their debug mode"
    )
    group.addoption(
        "--antiphon-transport",
        choices=("socket", "memory"),
        default="socket",
        help="what test_client uses for applications: loopback sockets (default) or memory",
    )
    group.addoption(
        "--antiphon-timeout",
        type=float,
        metavar="SECONDS",
        help="fail an asynchronous test or fixture that takes longer, with the stack of every task",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "antiphon_timeout(seconds): how long this asynchronous test may take"
    )
    config.stash[_LOOPS] = Loops(
        _factories(config.getoption("--antiphon-loop")),
        debug=config.getoption("--antiphon-debug"),
        timeout=config.getoption("--antiphon-timeout"),
    )


def _factories(option: str) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    names = [name.strip() for name in option.split(",") if name.strip()]
    if "all" in names:
        names = ["asyncio", "uvloop"]
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}
    for name in names:
        if name == "asyncio":
            factories[name] = asyncio.new_event_loop
        elif name == "uvloop":
            try:
                import uvloop
            except ImportError as exc:
                raise pytest.UsageError(f"--antiphon-loop={option}: {exc}") from exc
            factories[name] = uvloop.new_event_loop
        else:
            raise pytest.UsageError(
                f"--antiphon-loop={option}: there is asyncio, uvloop and all, not {name!r}"
            )
    if not factories:
        raise pytest.UsageError("--antiphon-loop: no event loop is named")
    return factories


# -- running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = list(metafunc.config.stash[_LOOPS].factories)
    if len(names) < 2:
        return
    if not inspect.iscoroutinefunction(metafunc.function) and "loop" not in metafunc.fixturenames:
        return
    if "antiphon_loop_name" not in metafunc.fixturenames:
        metafunc.fixturenames.append("antiphon_loop_name")
    metafunc.parametrize("antiphon_loop_name", names, scope="session")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    item.config.stash[_LOOPS].begin(item)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: "pytest.FixtureDef[Any]", request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    with request.config.stash[_LOOPS].made_synchronous(fixturedef, request):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not is_ours(pyfuncitem) or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    pyfuncitem.config.stash[_LOOPS].run_test(pyfuncitem)
    return True


# -- fixtures


@pytest.fixture
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop of the test; usable in tests that are not asynchronous, too."""
    foreign = foreign_runner(request.node)
    if foreign == "asyncio":
        runner = request.getfixturevalue("_function_scoped_runner")
        yield runner.get_loop()
        return
    lease = request.config.stash[_LOOPS].lease()
    try:
        asyncio.set_event_loop(lease.runner.loop)
        yield lease.runner.loop
    finally:
        lease.release()


@pytest.fixture
def antiphon_client_cls() -> type[TestClient]:
    """What `test_client` makes; override it to have another class."""
    return TestClient


@pytest.fixture
def _antiphon_factories(
    request: pytest.FixtureRequest, antiphon_client_cls: type[TestClient]
) -> Iterator[Factories]:
    factories = Factories(antiphon_client_cls, request.config.getoption("--antiphon-transport"))
    if foreign_runner(request.node) is not None:
        yield factories
        factories.close_from_outside()
        return
    lease = request.config.stash[_LOOPS].lease()
    try:
        yield factories
        if factories.opened:
            lease.runner.run(factories.close())
    finally:
        lease.release()


@pytest.fixture
def test_client(_antiphon_factories: Factories) -> Any:
    """Factory of clients: ``client = await test_client(app)``; closed after the test.

    ``test_client(source, *args, server_kwargs=None, transport=None, faults=None, **kwargs)``
    takes an application, a function (or coroutine function) that returns one and gets *args*,
    or a server; *kwargs* are arguments of `ClientSession`.
    """
    return _antiphon_factories.client


@pytest.fixture
def test_server(_antiphon_factories: Factories) -> Any:
    """Factory of servers: ``server = await test_server(app)``; closed after the test."""
    return _antiphon_factories.server


@pytest.fixture
def raw_test_server(_antiphon_factories: Factories) -> Any:
    """Factory of servers with a bare handler: ``server = await raw_test_server(handler)``."""
    return _antiphon_factories.raw_server


@pytest.fixture
def unused_port() -> Callable[[], int]:
    """Function that returns a TCP port nobody uses now."""
    return _unused_port


@pytest.fixture
def antiphon_client(test_client: Any) -> Any:
    """The same as `test_client`."""
    return test_client


@pytest.fixture
def antiphon_server(test_server: Any) -> Any:
    """The same as `test_server`."""
    return test_server


@pytest.fixture
def antiphon_raw_server(raw_test_server: Any) -> Any:
    """The same as `raw_test_server`."""
    return raw_test_server


@pytest.fixture
def antiphon_unused_port(unused_port: Callable[[], int]) -> Callable[[], int]:
    """The same as `unused_port`."""
    return unused_port


@pytest.fixture
def antiphon_loop(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """The same as `loop`."""
    return loop
