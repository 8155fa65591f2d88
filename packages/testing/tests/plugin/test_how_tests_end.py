"""Tests that fail, hang or are cancelled, on every loop: what is told, and what comes after."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.usefixtures("project")

Run = Callable[..., pytest.RunResult]

LOOPS = ["asyncio", "uvloop"]


@pytest.mark.parametrize("loop", LOOPS)
def test_the_stack_of_every_task(pytester: pytest.Pytester, run: Run, loop: str) -> None:
    pytester.makepyfile("""
        import asyncio, pytest

        async def helper(gate):
            await gate.wait()

        async def fetch(gate):
            async with asyncio.timeout(1000):
                await helper(gate)

        async def test_hanging():
            gate = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(fetch(gate), name="one fetch")
                group.create_task(fetch(gate), name="another fetch")

        @pytest.fixture
        async def slow_fixture():
            await asyncio.sleep(3600)

        async def test_of_a_slow_fixture(slow_fixture): pass

        @pytest.fixture
        async def slow_cleanup():
            yield
            await asyncio.sleep(3600)

        async def test_of_a_slow_cleanup(slow_cleanup): pass

        async def test_next_one_is_fine():
            await asyncio.sleep(0)
    """)
    result = run("--antiphon-timeout=0.3", f"--antiphon-loop={loop}")
    result.assert_outcomes(passed=2, failed=1, errors=2)
    text = result.stdout.str()
    for name in ("one fetch", "another fetch"):
        report = text[text.index(f"{name} waits for a future that nobody has set") :]
        assert report.index("in fetch") < report.index("in helper") < report.index("in wait")
    assert text.count("took longer than 0.3 seconds") >= 3
    assert "in slow_fixture" in text
    assert "in slow_cleanup" in text


def test_one_that_swallows_its_cancellation_is_given_up(
    pytester: pytest.Pytester, run_apart: Run
) -> None:
    """It cannot be stopped; the run goes on without its loop, and says so."""
    pytester.makepyfile("""
        import asyncio, pytest

        enough = False

        @pytest.mark.antiphon_timeout(0.2)
        async def test_stubborn():
            while not enough:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass

        async def test_next_one_is_fine():
            await asyncio.sleep(0)
    """)
    # A process of its own: what is left of the task dies with it.
    result = run_apart("--antiphon-loop=all")
    result.assert_outcomes(passed=2, failed=2)
    report = [
        "*took longer than 0.2 seconds*",
        "*in test_stubborn*",
        "*It did not end when it was cancelled, either: the loop was given up.*",
    ]
    result.stdout.fnmatch_lines([*report, *report])


@pytest.mark.parametrize("loop", LOOPS)
def test_cancelled(pytester: pytest.Pytester, run: Run, loop: str) -> None:
    pytester.makepyfile("""
        import asyncio, pytest

        ended = []

        @pytest.fixture
        async def resource():
            yield
            await asyncio.sleep(0)
            ended.append("resource")

        async def test_raising(resource):
            raise asyncio.CancelledError

        async def test_cancelling_itself(resource):
            asyncio.current_task().cancel()
            await asyncio.sleep(3600)

        async def test_cancelling_itself_too_late(resource):
            asyncio.current_task().cancel()

        async def test_cancelled_by_a_task(resource):
            task = asyncio.current_task()
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.sleep(3600)

        async def test_awaiting_a_cancelled_task(resource):
            task = asyncio.create_task(asyncio.sleep(3600))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        async def test_fixtures_were_cleaned_up():
            await asyncio.sleep(0)
            assert ended == ["resource"] * 5
    """)
    result = run(f"--antiphon-loop={loop}")
    result.assert_outcomes(passed=3, failed=3)
    assert result.stdout.str().count("CancelledError") >= 3


def test_every_plugin_at_once(pytester: pytest.Pytester, run: Run) -> None:
    """pytest-asyncio, anyio and this one: each test is run by the one whose mark it has."""
    pytester.makepyfile("""
        import asyncio, pytest
        from service import create_app

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.fixture
        async def ours(test_client):
            return await test_client(create_app, transport="memory")

        async def ask(client):
            async with client.get("/") as response:
                assert await response.text() == "hello"

        async def test_ours(ours):
            assert asyncio.current_task().get_name() == "test"
            await ask(ours)

        @pytest.mark.asyncio
        async def test_of_pytest_asyncio(test_client):
            assert asyncio.current_task().get_name() != "test"
            await ask(await test_client(create_app))

        @pytest.mark.anyio
        async def test_of_anyio(test_client):
            assert asyncio.current_task().get_name() != "test"
            await ask(await test_client(create_app))

        class TestInAClass:
            @pytest.mark.asyncio
            async def test_of_pytest_asyncio(self, test_client):
                await ask(await test_client(create_app))

            async def test_ours(self, ours):
                await ask(ours)

        def test_synchronous(loop, test_client):
            client = loop.run_until_complete(test_client(create_app))
            loop.run_until_complete(ask(client))
    """)
    result = run(
        *("--asyncio-mode=strict", "-o", "asyncio_default_fixture_loop_scope=function"),
        plugins=("asyncio", "anyio"),
    )
    result.assert_outcomes(passed=6)


def test_setup_show_shows_asynchronous_fixtures(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.fixture(scope="session")
        async def wide():
            yield 1

        @pytest.fixture
        async def narrow(wide):
            return 2

        @pytest.fixture(params=["a", "b"])
        async def either(request):
            yield request.param

        async def test_it(narrow, either): pass
    """)
    result = run("--setup-show")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([
        "SETUP    S wide",
        "*SETUP    F narrow (fixtures used: wide)*",
        "*SETUP    F either*'a'*",
        "*test_it*fixtures used: either, narrow, request, wide*",
        "*TEARDOWN F either*'a'*",
        "*SETUP    F either*'b'*",
        "TEARDOWN S wide",
    ])
    assert run("--setup-plan").ret == pytest.ExitCode.OK
    assert run("--collect-only", "-q").ret == pytest.ExitCode.OK
    assert run("--fixtures", "-v").ret == pytest.ExitCode.OK
