"""Which asynchronous tests and fixtures are run here, and on which loop.

The rule for loops is one sentence: a test that uses an asynchronous fixture of a scope wider
than a function, however indirectly, runs on the loop that lives as long as such fixtures do;
every other one has a loop of its own.
"""

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, final

import pytest

from ._runner import LoopRunner

if TYPE_CHECKING:
    from .leaks import LeakGuard

__all__ = ("Loops", "is_ours")

_FOREIGN_MARKS: Final = {"asyncio": "asyncio", "anyio": "anyio", "trio": "trio"}
"""Marks by which tests say that another plugin runs them, and that plugin's name."""


def seconds_of(value: Any) -> float | None:
    """Return a time limit of so many seconds: positive, or ``None``, that is none, for 0.

    Raises:
        ValueError: That is no number, or a negative one.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        seconds = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"a number of seconds is wanted, not {value!r}") from None
    if not seconds >= 0:
        raise ValueError(f"a number of seconds is 0 (no limit) or more, not {value!r}")
    return seconds or None


def _is_async_fixture(func: Any) -> bool:
    return inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func)


def foreign_runner(item: pytest.Item) -> str | None:
    """Return the name of the plugin that runs *item* instead of this one, if there is any."""
    if type(item).__module__.partition(".")[0] == "pytest_asyncio":
        return "asyncio"
    plugins = item.config.pluginmanager
    for mark, plugin in _FOREIGN_MARKS.items():
        if item.get_closest_marker(mark) is not None and plugins.has_plugin(plugin):
            return plugin
    if "anyio_backend" in getattr(item, "fixturenames", ()) and plugins.has_plugin("anyio"):
        return "anyio"
    return None


def is_ours(item: pytest.Item) -> bool:
    """Whether asynchronous code of *item* is run here."""
    return isinstance(item, pytest.Function) and foreign_runner(item) is None


def _fixture_defs(item: pytest.Item) -> "list[pytest.FixtureDef[Any]]":
    info = getattr(item, "_fixtureinfo", None)
    if info is None:
        return []
    return [definition for group in info.name2fixturedefs.values() for definition in group]


def uses_wide_async_fixture(item: pytest.Item) -> bool:
    """Whether a fixture of *item* is asynchronous and wider than a function."""
    return any(
        definition.scope != "function" and _is_async_fixture(definition.func)
        for definition in _fixture_defs(item)
    )


@final
class _Lease:
    """A loop in use by one fixture or test."""

    def __init__(self, owner: "Loops", wide: bool) -> None:
        self._owner = owner
        self._wide = wide
        self.runner: Final = owner.acquire(wide)

    def release(self) -> None:
        self._owner.release(self._wide)


@final
class Loops:
    """Makes loops, and closes each when its last user is gone.

    Args:
        factories: How loops are made, by name.
        debug: Switch the loops' debug mode on.
        timeout: Seconds that one asynchronous test or fixture may take.
    """

    def __init__(
        self,
        factories: "dict[str, Callable[[], asyncio.AbstractEventLoop]]",
        *,
        debug: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.factories: Final = factories
        self.timeout: Final = timeout
        self._debug = debug
        self.item: pytest.Item | None = None
        """The test whose fixtures are set up now."""
        self.guard: LeakGuard | None = None
        """Who notes what the present test leaves behind."""
        self._runners: dict[bool, LoopRunner] = {}
        self._users: dict[bool, int] = {False: 0, True: 0}
        self._wide_name: str | None = None
        self._wide_fixtures: list[tuple[Any, Any]] = []

    # -- which loop

    def wide(self, item: pytest.Item) -> bool:
        """Whether *item* runs on the loop of wide fixtures."""
        return uses_wide_async_fixture(item)

    def acquire(self, wide: bool) -> LoopRunner:
        """Use a loop; it lives until as many `release` calls."""
        runner = self._runners.get(wide)
        if runner is None:
            with contextlib.nullcontext() if self.guard is None else self.guard.paused():
                runner = LoopRunner(self._factory(), debug=self._debug)
            if self.guard is not None:
                from .leaks import task_factory

                runner.loop.set_task_factory(task_factory)
            self._runners[wide] = runner
        self._users[wide] += 1
        return runner

    def release(self, wide: bool) -> None:
        """Use a loop no longer."""
        self._users[wide] -= 1
        if not self._users[wide]:
            runner = self._runners.pop(wide)
            if self.guard is not None:
                self.guard.note_tasks(runner.left())
            runner.close()

    def lease(self, *, fixture_scope: str = "function") -> _Lease:
        """Use the loop of the present test, or that of a fixture with *fixture_scope*."""
        item = self.item
        wide = fixture_scope != "function" or (item is not None and self.wide(item))
        return _Lease(self, wide)

    def loop_name(self) -> str:
        """The name of the kind of loop that the present test wants."""
        callspec = getattr(self.item, "callspec", None)
        name = None if callspec is None else callspec.params.get("antiphon_loop_name")
        return next(iter(self.factories)) if name is None else str(name)

    def _factory(self) -> "Callable[[], asyncio.AbstractEventLoop]":
        if self.item is not None and "antiphon_clock" in getattr(self.item, "fixturenames", ()):
            from .clock import VirtualClockLoop

            return VirtualClockLoop
        return self.factories[self.loop_name()]

    def begin(self, item: pytest.Item) -> None:
        """Note that *item* is set up next."""
        self.item = item
        name = self.loop_name()
        if self._wide_fixtures and name != self._wide_name:
            # What is cached lives on another kind of loop than this test's.
            for definition, request in reversed(self._wide_fixtures):
                definition.finish(request)
            self._wide_fixtures.clear()
        self._wide_name = name

    # -- tests

    def run_test(self, item: pytest.Function) -> None:
        """Run the coroutine function of *item* to its end."""
        __tracebackhide__ = True
        timeout = self._timeout_of(item)
        lease = self.lease()
        try:
            names = item._fixtureinfo.argnames
            arguments = {name: item.funcargs[name] for name in names}
            value = lease.runner.run(item.obj(**arguments), timeout=timeout, is_test=True)
        finally:
            lease.release()
        if value is not None:
            pytest.fail(
                f"{item.nodeid} returned {value!r}, and a test returns None: "
                "was `assert` meant instead of `return`?",
                pytrace=False,
            )

    def _timeout_of(self, item: pytest.Item) -> float | None:
        mark = item.get_closest_marker("antiphon_timeout")
        if mark is None:
            return self.timeout
        values = [*mark.args, *mark.kwargs.values()]
        if len(values) != 1 or not set(mark.kwargs) <= {"seconds"}:
            pytest.fail(
                f"{item.nodeid}: antiphon_timeout takes one argument, the seconds that the test "
                f"may take, and was given {len(values)}",
                pytrace=False,
            )
        try:
            return seconds_of(values[0])
        except ValueError as exc:
            pytest.fail(f"{item.nodeid}: antiphon_timeout: {exc}", pytrace=False)

    # -- fixtures

    @contextlib.contextmanager
    def made_synchronous(self, definition: Any, request: Any) -> Iterator[None]:
        """Let pytest see a plain generator in place of an asynchronous fixture function."""
        original = definition.func
        if not _is_async_fixture(original) or self.item is None or not is_ours(self.item):
            yield
            return
        if definition.scope != "function":
            self._wide_fixtures.append((definition, request))
        definition.func = self._bridge(_rebound(original, request), definition.scope)
        try:
            yield
        finally:
            definition.func = original

    def _bridge(self, function: Callable[..., Any], scope: str) -> Callable[..., Iterator[Any]]:
        @functools.wraps(function)
        def bridge(**arguments: Any) -> Iterator[Any]:
            __tracebackhide__ = True
            lease = self.lease(fixture_scope=scope)
            try:
                if inspect.isasyncgenfunction(function):
                    generator = function(**arguments)
                    yield lease.runner.run(_first(generator), timeout=self.timeout)
                    lease.runner.run(_rest(generator, function), timeout=self.timeout)
                else:
                    yield lease.runner.run(function(**arguments), timeout=self.timeout)
            finally:
                lease.release()

        del bridge.__wrapped__  # pytest would look through it and see an asynchronous function
        return bridge


def _rebound(function: Any, request: Any) -> Any:
    """Bind a method to the instance of the present test, not to that of the collection."""
    owner = getattr(function, "__self__", None)
    instance = request.instance
    if owner is not None and instance is not None and isinstance(instance, type(owner)):
        return function.__func__.__get__(instance)
    return function


async def _first(generator: Any) -> Any:
    __tracebackhide__ = True
    try:
        return await anext(generator)
    except StopAsyncIteration:
        raise ValueError("the asynchronous fixture did not yield a value") from None


async def _rest(generator: Any, function: Any) -> None:
    __tracebackhide__ = True
    try:
        await anext(generator)
    except StopAsyncIteration:
        return
    await generator.aclose()
    raise RuntimeError(f"the asynchronous fixture {function.__name__!r} yields more than once")
