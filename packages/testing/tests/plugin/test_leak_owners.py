"""Connections belong to sessions, clients and servers: those are told, if they are left."""

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.usefixtures("project")

Run = Callable[..., pytest.RunResult]


def test_what_wider_fixtures_keep_is_no_leak(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
        import pytest
        from antiphon.testing import TestClient, TestServer
        from service import create_app

        @pytest.fixture(scope="module", params=["memory", "socket"])
        async def client(request):
            async with TestClient(TestServer(create_app(), transport=request.param)) as client:
                yield client

        @pytest.mark.parametrize("number", range(2))
        async def test_it(client, number):
            async with client.get("/") as response:
                assert await response.text() == "hello"
    """)
    run("--antiphon-leaks=error").assert_outcomes(passed=4)


def test_owners_are_told_with_their_line(pytester: pytest.Pytester, run_apart: Run) -> None:
    path = pytester.makepyfile("""
        from antiphon.testing import TestClient, TestServer
        from service import create_app

        kept = []

        async def test_it():
            server = TestServer(create_app())
            client = TestClient(server)
            kept.append(client)
            await client.start_server()
            async with client.get("/") as response:
                await response.text()
    """)
    result = run_apart("--antiphon-leaks=error", "-W", "ignore")
    result.assert_outcomes(passed=1, errors=1)
    text = result.stdout.str()
    assert "client: <TestClient" in text
    assert f"made at {path}:8" in text
    assert "server: <TestServer" in text
    assert f"made at {path}:7" in text
    assert "impl.py" not in text
    assert "_execution.py" not in text
    assert "socket: " not in text
