"""What is asked for wrongly, or cannot be given, is told clearly and at once."""

from collections.abc import Callable

import pytest

from antiphon.testing import TestClient, TestServer
from antiphon.web import Application

pytestmark = pytest.mark.usefixtures("project")

Run = Callable[..., pytest.RunResult]


def test_what_anyio_runs_has_no_loop_and_no_clock(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import asyncio, pytest

        pytestmark = pytest.mark.anyio

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        async def test_clock(antiphon_clock): pass
        async def test_loop(loop): pass
        async def test_other_fixtures(unused_port): pass
        def test_not_async(loop, antiphon_clock):
            loop.run_until_complete(asyncio.sleep(3600))
            assert antiphon_clock.time() >= 3600
    """)
    result = run(plugins=("anyio",))
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines_random([
        "*RuntimeError: antiphon_clock needs a loop of its own*",
        "*RuntimeError: the fixture loop cannot give the event loop of a test that anyio runs*",
    ])


def test_who_holds_the_loop_up_fails_in_the_end(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import time, pytest

        async def test_blocking():
            time.sleep(0.3)

        async def test_with_an_error_of_its_own():
            time.sleep(0.3)
            raise ValueError("its own")

        @pytest.mark.antiphon_timeout(seconds=60)
        async def test_longer():
            time.sleep(0.3)

        @pytest.mark.antiphon_timeout(0)
        async def test_without_a_limit():
            time.sleep(0.3)

        @pytest.fixture
        async def blocking():
            time.sleep(0.3)

        async def test_of_a_blocking_fixture(blocking): pass
    """)
    result = run("--antiphon-timeout=0.2")
    result.assert_outcomes(passed=2, failed=2, errors=1)
    text = result.stdout.str()
    assert text.count("it held the event loop up") >= 2
    assert "ValueError: its own" in text


@pytest.mark.parametrize("option", ["-1", "nan", "soon"])
def test_the_option_wants_seconds(pytester: pytest.Pytester, run: Run, option: str) -> None:
    result = run(f"--antiphon-timeout={option}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--antiphon-timeout: a number of seconds is *{option}*"])


def test_a_limit_of_zero_is_none(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import asyncio

        async def test_it():
            await asyncio.sleep(0.01)
    """)
    run("--antiphon-timeout=0").assert_outcomes(passed=1)


def test_what_is_no_test_fails(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import pytest

        async def test_yields():
            yield 1

        async def test_returns():
            return 5

        async def test_none():
            return None

        @pytest.mark.antiphon_timeout
        async def test_no_seconds(): pass

        @pytest.mark.antiphon_timeout("soon")
        async def test_no_number(): pass

        @pytest.mark.antiphon_timeout(minutes=1)
        async def test_unknown(): pass
    """)
    result = run()
    result.assert_outcomes(passed=1, failed=5)
    result.stdout.fnmatch_lines_random([
        "*::test_yields contains `yield`*",
        "*::test_returns returned 5, and a test returns None*",
        "*::test_no_seconds: antiphon_timeout takes one argument*",
        "*::test_no_number: antiphon_timeout: a number of seconds is wanted, not 'soon'*",
        "*::test_unknown: antiphon_timeout takes one argument*",
    ])


def test_who_sleeps_is_said_to(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import asyncio

        async def test_sleeping(antiphon_clock):
            antiphon_clock.autojump = False
            await asyncio.sleep(60)
    """)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([
        "*test waits for a timer: sleeps until 60.000 s of the loop's time, 60.000 s from now*"
    ])


def test_frames_of_the_plugin_are_not_shown(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.fixture
        async def broken():
            raise ValueError("in the fixture")

        async def test_it(broken): pass
    """)
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.no_fnmatch_line("*_runner.py*")
    result.stdout.no_fnmatch_line("*_async_items.py*")


async def test_unknown_arguments_are_refused_when_the_client_is_made() -> None:
    with pytest.raises(TypeError, match="heders"):
        TestClient(TestServer(Application()), heders={})


def test_what_is_half_made_shows_itself() -> None:
    server = TestServer.__new__(TestServer)
    with pytest.raises(ValueError, match="memmory"):
        server.__init__(Application(), transport="memmory")  # type: ignore[misc]  # as Python does
    assert "memmory" in repr(server)
    client = TestClient.__new__(TestClient)
    with pytest.raises(TypeError, match="must be TestServer"):
        client.__init__("nobody")  # type: ignore[misc]  # as Python does
    assert repr(client)
