"""The pytest plugin: runs asynchronous tests and fixtures, and gives servers and clients.

Found by pytest once the package is installed; there is nothing to configure. Tests that are
marked for another plugin (pytest-asyncio, anyio), or that pytest-asyncio takes in its automatic
mode, are left to it, and these fixtures work there as well.
"""

import asyncio
import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import pytest

from ._async_items import Loops, foreign_runner, is_ours, seconds_of
from .ports import unused_port as _unused_port

if TYPE_CHECKING:
    # Imported where they are used: pytest loads this module in every run, also of projects
    # that measure their coverage of what is imported later.
    from ._factories import Factories
    from .client import TestClient
    from .clock import VirtualClock
    from .leaks import BlockedLoopReporter, LeakGuard

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
        metavar="SECONDS",
        help="fail an asynchronous test or fixture that takes longer, with the stack of every "
        "task; 0, the default, is no limit",
    )

    group.addoption(
        "--antiphon-leaks",
        choices=("off", "warn", "error"),
        default="off",
        help="warn or fail when a test leaves a session, response, connection, task, thread, "
        "process or file behind",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "antiphon_timeout(seconds): how long this asynchronous test may take"
    )
    config.stash[_LOOPS] = Loops(
        _factories(_option(config, "--antiphon-loop")),
        debug=_option(config, "--antiphon-debug"),
        timeout=_timeout(_option(config, "--antiphon-timeout")),
    )


def _timeout(option: str | None) -> float | None:
    try:
        return None if option is None else seconds_of(option)
    except ValueError as exc:
        raise pytest.UsageError(f"--antiphon-timeout: {exc}") from None


def _option(config: pytest.Config, name: str) -> Any:  # Any: as the option says
    return config.getoption(name)


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
    loops = item.config.stash[_LOOPS]
    loops.begin(item)
    if _leak_policy(item) != "off":
        from .leaks import LeakGuard

        loops.guard = LeakGuard()
        loops.guard.start()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    loops = item.config.stash[_LOOPS]
    try:
        result = yield
    finally:
        guard, loops.guard = loops.guard, None
        leaks = [] if guard is None else guard.stop()
    if leaks:
        text = f"{item.nodeid} left behind:\n" + "\n".join(f"  {leak}" for leak in leaks)
        if _leak_policy(item) == "error":
            pytest.fail(text, pytrace=False)
        item.warn(pytest.PytestWarning(text))
    return result


def _leak_policy(item: pytest.Item) -> str:
    if "antiphon_leak_guard" in getattr(item, "fixturenames", ()):
        return "error"
    return str(_option(item.config, "--antiphon-leaks"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: "pytest.FixtureDef[Any]", request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    loops = request.config.stash[_LOOPS]
    # What a wider fixture makes is not left behind by the test that happens to come first.
    wide = fixturedef.scope != "function"
    with loops.made_synchronous(fixturedef, request), _paused(loops.guard if wide else None):
        return (yield)


def _paused(guard: "LeakGuard | None") -> AbstractContextManager[None]:
    return nullcontext() if guard is None else guard.paused()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    __tracebackhide__ = True
    if not is_ours(pyfuncitem):
        return None
    if inspect.isasyncgenfunction(pyfuncitem.obj):
        pytest.fail(
            f"{pyfuncitem.nodeid} contains `yield`, which makes it an asynchronous generator: "
            "only fixtures yield, a test awaits and returns nothing",
            pytrace=False,
        )
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    pyfuncitem.config.stash[_LOOPS].run_test(pyfuncitem)
    return True


# -- fixtures


@pytest.fixture
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop of the test; usable in tests that are not asynchronous, too."""
    foreign = foreign_runner(request.node)
    if foreign == "asyncio":
        yield _loop_of_pytest_asyncio(request)
        return
    if _has_a_loop_of_anyio(request):
        raise RuntimeError(
            "the fixture loop cannot give the event loop of a test that anyio runs: "
            "ask asyncio.get_running_loop() in the test"
        )
    lease = request.config.stash[_LOOPS].lease()
    try:
        asyncio.set_event_loop(lease.runner.loop)
        yield lease.runner.loop
    finally:
        lease.release()


def _has_a_loop_of_anyio(request: pytest.FixtureRequest) -> bool:
    """Whether anyio runs the test, on a loop that nobody else can have before it runs."""
    test = getattr(request.node, "obj", None)
    return inspect.iscoroutinefunction(test) and foreign_runner(request.node) in {"anyio", "trio"}


def _loop_of_pytest_asyncio(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoop:
    """Have pytest-asyncio make its loop now; it is closed after what asks for it here."""
    for name in ("_function_scoped_runner", "event_loop"):  # of 1.x, and before
        try:
            made = request.getfixturevalue(name)
        except pytest.FixtureLookupError:
            continue
        loop: asyncio.AbstractEventLoop = made.get_loop() if hasattr(made, "get_loop") else made
        return loop
    raise RuntimeError("this version of pytest-asyncio has no loop that others could use")


@pytest.fixture
def antiphon_client_cls() -> "type[TestClient]":
    """What `test_client` makes; override it to have another class."""
    from .client import TestClient

    return TestClient


@pytest.fixture(name="_antiphon_factories")
def _antiphon_factories_fixture(
    request: pytest.FixtureRequest, antiphon_client_cls: "type[TestClient]"
) -> "Iterator[Factories]":
    from ._factories import Factories

    factories = Factories(antiphon_client_cls, _option(request.config, "--antiphon-transport"))
    foreign = foreign_runner(request.node)
    if foreign is not None:
        item: Any = request.node
        if foreign == "asyncio":
            _loop_of_pytest_asyncio(request)
        if inspect.iscoroutinefunction(item.obj) and foreign == "anyio":
            item.obj = factories.closing_after(item.obj)
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
def test_client(_antiphon_factories: "Factories") -> Any:  # noqa: PT019  # it has a value
    """Factory of clients: ``client = await test_client(app)``; closed after the test.

    ``test_client(source, *args, server_kwargs=None, transport=None, faults=None, **kwargs)``
    takes an application, a function (or coroutine function) that returns one and gets *args*,
    or a server; *kwargs* are arguments of `ClientSession`.
    """
    return _antiphon_factories.client


@pytest.fixture
def test_server(_antiphon_factories: "Factories") -> Any:  # noqa: PT019  # it has a value
    """Factory of servers: ``server = await test_server(app)``; closed after the test."""
    return _antiphon_factories.server


@pytest.fixture
def raw_test_server(_antiphon_factories: "Factories") -> Any:  # it has a value
    """Factory of servers with a bare handler: ``server = await raw_test_server(handler)``."""
    return _antiphon_factories.raw_server


@pytest.fixture
def antiphon_leak_guard() -> None:
    """Fails the test if it leaves anything behind, whatever ``--antiphon-leaks`` says."""


@pytest.fixture
def antiphon_blocked_loop(loop: asyncio.AbstractEventLoop) -> "Iterator[BlockedLoopReporter]":
    """Fails the test if its event loop did not turn for 0.1 s (``threshold``), with the stack."""
    from .leaks import BlockedLoopReporter

    with BlockedLoopReporter(loop) as reporter:
        yield reporter
    if reporter.reports:
        pytest.fail("\n".join(reporter.reports), pytrace=False)


@pytest.fixture
def antiphon_clock(request: pytest.FixtureRequest) -> "VirtualClock":
    """The virtual clock of this test's loop: time jumps when nothing else is left to do."""
    from .clock import VirtualClockLoop

    elsewhere = _has_a_loop_of_anyio(request)
    loop = None if elsewhere else request.getfixturevalue("loop")
    if not isinstance(loop, VirtualClockLoop):
        raise RuntimeError(
            "antiphon_clock needs a loop of its own: not one of another plugin, nor that of "
            "fixtures that are wider than a function"
        )
    return loop.clock


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
