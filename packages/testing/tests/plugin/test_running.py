"""How the plugin runs tests and fixtures, each shown in a project of its own."""

from collections.abc import Callable

import pytest

# So that the runs below find them imported.
import antiphon.testing.leaks  # noqa: F401  # importing it is the test's set-up

pytestmark = pytest.mark.usefixtures("project")

Run = Callable[..., pytest.RunResult]


def test_fixtures_of_every_scope_share_the_loop_task_and_context(
    pytester: pytest.Pytester,
    run: Run,
) -> None:
    pytester.makepyfile("""
        import asyncio, contextvars, pytest
        from service import create_app

        variable = contextvars.ContextVar("variable", default="unset")
        ended = []

        def make(scope):
            @pytest.fixture(scope=scope)
            async def fixture():
                loop, task = asyncio.get_running_loop(), asyncio.current_task()
                async with asyncio.TaskGroup():  # entered and left in one task
                    yield loop, task
                assert asyncio.current_task() is task
                ended.append(scope)
            return fixture

        function_wide, class_wide = make("function"), make("class")
        module_wide, session_wide = make("module"), make("session")

        @pytest.fixture(scope="package")
        async def package_wide():
            return asyncio.get_running_loop(), asyncio.current_task()

        @pytest.fixture
        async def sets():
            variable.set("by the fixture")

        @pytest.fixture
        async def client(test_client):
            return await test_client(create_app)

        class TestInAClass:
            value = None

            @pytest.fixture
            async def of_the_instance(self):
                self.value = 5

            async def test_all(self, session_wide, package_wide, module_wide, class_wide,
                               function_wide, of_the_instance, loop):
                here = asyncio.get_running_loop(), asyncio.current_task()
                assert here == session_wide == package_wide == module_wide == class_wide
                assert here == function_wide
                assert loop is here[0]
                assert self.value == 5

            async def test_again(self, session_wide, client):
                assert asyncio.get_running_loop() is session_wide[0]
                async with client.get("/") as response:
                    assert await response.text() == "hello"

        async def test_context(sets):
            assert variable.get() == "by the fixture"

        async def test_own_loop(loop, function_wide):
            assert loop is asyncio.get_running_loop() is function_wide[0]
            assert variable.get() == "unset"

        def test_not_async(function_wide, loop, session_wide):
            assert function_wide[0] is loop is session_wide[0]
            assert loop.run_until_complete(asyncio.sleep(0, 7)) == 7

        def test_ended():
            assert ended == ["function", "class", "function", "function"]
    """)
    run().assert_outcomes(passed=6)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_beside_pytest_asyncio(pytester: pytest.Pytester, run: Run, mode: str) -> None:
    pytester.makepyfile("""
        import asyncio, pytest, pytest_asyncio
        from service import create_app

        @pytest_asyncio.fixture
        async def theirs(test_client):
            return asyncio.get_running_loop(), await test_client(create_app)

        @pytest.mark.asyncio
        async def test_marked(theirs, loop):
            assert theirs[0] is asyncio.get_running_loop() is loop
            async with theirs[1].get("/") as response:
                assert await response.text() == "hello"

        async def test_unmarked(test_client):
            client = await test_client(create_app)
            async with client.get("/") as response:
                assert await response.text() == "hello"
    """)
    result = run(
        f"--asyncio-mode={mode}",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        plugins=("asyncio",),
    )
    result.assert_outcomes(passed=2)


def test_beside_anyio(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import pytest
        from service import create_app

        clients = []

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_theirs(test_client):
            client = await test_client(create_app)
            clients.append(client)
            async with client.get("/") as response:
                assert await response.text() == "hello"

        def test_it_was_closed():
            assert clients[0].server.closed

        async def test_ours(test_client):
            client = await test_client(create_app)
            async with client.get("/") as response:
                assert await response.text() == "hello"
    """)
    run(plugins=("anyio",)).assert_outcomes(passed=3)


def test_what_goes_wrong_is_told(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import asyncio, pytest
        from service import create_app

        @pytest.fixture
        async def broken():
            raise ValueError("in the fixture")

        @pytest.fixture
        async def broken_later():
            yield
            raise ValueError("in the clean-up")

        @pytest.fixture
        async def twice():
            yield 1
            yield 2

        @pytest.fixture
        async def never():
            if False:
                yield

        @pytest.fixture
        async def group():
            async def fail():
                raise ValueError("in the task group")
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                yield

        async def test_failing(): assert 1 == 2
        async def test_broken(broken): pass
        async def test_broken_later(broken_later): pass
        async def test_twice(twice): pass
        async def test_never(never): pass
        async def test_group(group): await asyncio.sleep(3600)
        async def test_cancelled(): raise asyncio.CancelledError
        async def test_skipped(): pytest.skip("async")
        async def test_dynamic(request): request.getfixturevalue("broken")
        async def test_still_fine(test_client): await test_client(create_app)
    """)
    result = run()
    result.assert_outcomes(passed=3, failed=4, errors=5, skipped=1)
    result.stdout.fnmatch_lines_random([
        "*assert 1 == 2*",
        "*ValueError: in the fixture*",
        "*ValueError: in the clean-up*",
        "*'twice' yields more than once*",
        "*did not yield a value*",
        "*ValueError: in the task group*",
        "*CancelledError*",
        "*name it as an argument instead*",
    ])


def test_a_test_that_hangs_ends_with_the_stack_of_every_task(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makepyfile("""
        import asyncio, pytest

        async def helper():
            await asyncio.get_running_loop().create_future()

        async def test_hanging():
            task = asyncio.create_task(helper(), name="the helper")
            await task

        @pytest.mark.antiphon_timeout(0.2)
        async def test_stubborn():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass

        async def test_next_one_is_fine():
            await asyncio.sleep(0)
    """)
    result = run("--antiphon-timeout=0.3", "-k", "not stubborn")
    result.assert_outcomes(passed=1, failed=1, deselected=1)
    result.stdout.fnmatch_lines([
        "*took longer than 0.3 seconds*",
        "*test waits for task the helper*",
        "*the helper waits for a future that nobody has set*",
    ])


def test_loops_can_be_chosen(pytester: pytest.Pytester, run: Run) -> None:
    pytest.importorskip("uvloop", reason="the other kind of loop")
    pytester.makepyfile("""
        import asyncio, pytest

        @pytest.fixture(scope="module")
        async def wide():
            yield asyncio.get_running_loop()

        async def test_plain(request):
            asked = request.node.callspec.params["antiphon_loop_name"]
            assert asked == type(asyncio.get_running_loop()).__module__.partition(".")[0]

        async def test_wide(wide):
            assert wide is asyncio.get_running_loop()
            assert wide.get_debug()

        def test_not_async(): pass
    """)
    result = run("--antiphon-loop=all", "--antiphon-debug", "-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines_random(["*test_wide?uvloop?*", "*test_wide?asyncio?*"])
    assert run("--antiphon-loop=twisted").ret == pytest.ExitCode.USAGE_ERROR


IN_MEMORY = """
import pytest
from service import create_app

@pytest.fixture
async def client(test_client):
    yield await test_client(create_app)

@pytest.mark.parametrize("number", range(2))
async def test_it(client, number):
    assert client.server.transport == "memory"
    async with client.get("/") as response:
        assert await response.text() == "hello"
"""


def test_setup_show_and_memory(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(IN_MEMORY)
    result = run("--setup-show", "--antiphon-transport=memory")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*SETUP    F client (fixtures used: test_client)*"])


def test_with_xdist(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(IN_MEMORY)
    # Workers are processes: this run is one, too.
    result = pytester.runpytest_subprocess(
        *(
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
            "-p",
            "no:hypothesispytest",
            "-n",
            "1",
            "--antiphon-transport=memory",
        ),
        timeout=180,
    )
    result.assert_outcomes(passed=2)


def test_aiohttp_names_and_own_client_class(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makeconftest('pytest_plugins = ["antiphon.testing.aiohttp_fixtures"]')
    pytester.makepyfile("""
        import pytest
        from antiphon import web
        from antiphon.testing.client import TestClient
        from service import create_app, hello

        class OwnClient(TestClient):
            pass

        @pytest.fixture
        def antiphon_client_cls():
            return OwnClient

        async def coroutine_factory():
            return create_app()

        def wants_loop(loop):
            assert loop is not None
            return create_app()

        async def test_client_fixture(aiohttp_client, aiohttp_server, aiohttp_raw_server,
                                      aiohttp_unused_port):
            server = await aiohttp_server(create_app(), port=aiohttp_unused_port())
            raw = await aiohttp_raw_server(hello)
            for source in (create_app(), coroutine_factory, wants_loop, server, raw):
                client = await aiohttp_client(source)
                assert type(client) is OwnClient
                async with client.get("/") as response:
                    assert await response.text() == "hello"

        async def test_own_spellings(antiphon_client, antiphon_server, antiphon_raw_server,
                                     antiphon_unused_port, antiphon_loop, unused_port):
            client = await antiphon_client(create_app, headers={"X-A": "b"},
                                           server_kwargs={"port": unused_port()})
            async with client.get("/") as response:
                assert response.request_info.headers["X-A"] == "b"

        async def test_what_is_no_application(test_client):
            with pytest.raises(TypeError, match="Application is wanted"):
                await test_client(lambda: 5)
    """)
    run().assert_outcomes(passed=3)
