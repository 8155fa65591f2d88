"""Time jumps when nothing else is left to do, and a state without any future is an error."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from antiphon import web
from antiphon.client import ClientTimeout
from antiphon.core.aio.timers import Sweep
from antiphon.testing import TestClient, TestServer
from antiphon.testing.clock import DeadlockError, VirtualClock, VirtualClockLoop


def run(main: Coroutine[Any, Any, Any], clock: VirtualClock | None = None) -> Any:
    loop = VirtualClockLoop(clock)
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def test_an_hour_takes_no_time() -> None:
    begun = time.monotonic()
    clock = VirtualClock()
    run(asyncio.sleep(3600), clock)
    assert clock.time() == pytest.approx(3600)
    assert time.monotonic() - begun < 5


def test_timers_fire_in_order() -> None:
    async def main() -> list[int]:
        order: list[int] = []
        loop = asyncio.get_running_loop()
        for delay in (30, 10, 20):
            loop.call_later(delay, order.append, delay)
        await asyncio.sleep(31)
        return order

    assert run(main()) == [10, 20, 30]


def test_a_thread_holds_the_clock() -> None:
    async def main() -> float:
        async with asyncio.timeout(0.5):
            # Longer in real time than the limit: while a thread works no virtual time passes.
            await asyncio.to_thread(time.sleep, 0.6)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0.0


def test_a_deadlock_says_what_waits_for_what() -> None:
    async def stuck() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        await asyncio.create_task(stuck(), name="the one that is stuck")

    with pytest.raises(DeadlockError) as caught:
        run(main())
    text = str(caught.value)
    assert "waits for task the one that is stuck" in text
    assert "in stuck" in text


async def test_a_clock_can_be_moved_by_hand(antiphon_clock: VirtualClock) -> None:
    antiphon_clock.autojump = False
    seen: list[float] = []

    async def ticker() -> None:
        while True:
            await asyncio.sleep(10)
            seen.append(antiphon_clock.time())

    task = asyncio.create_task(ticker())
    await antiphon_clock.advance(25)
    assert seen == [10, 20]
    assert antiphon_clock.time() == 25
    await antiphon_clock.advance(5)
    assert seen == [10, 20, 30]
    with pytest.raises(ValueError, match="does not go back"):
        await antiphon_clock.advance(-1)
    task.cancel()


@pytest.mark.parametrize("transport", ["memory", "socket"])
async def test_a_slow_handler_is_quick(
    antiphon_clock: VirtualClock, test_client: Any, transport: str
) -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(100)
        return web.Response(text="at last")

    app = web.Application()
    app.router.add_get("/", slow)
    client = await test_client(app, transport=transport)
    async with client.get("/") as response:
        assert await response.text() == "at last"
    with pytest.raises(TimeoutError):
        await client.get("/", timeout=99)
    assert antiphon_clock.time() == pytest.approx(199, abs=1)


@pytest.mark.parametrize("transport", ["memory", "socket"])
def test_housekeeping_does_not_hide_a_deadlock(transport: Any) -> None:
    """A server looks after its connections for ever: that is nobody's future."""
    clock = VirtualClock()

    async def stuck(request: web.Request) -> web.Response:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody sets that future")

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/", stuck)
        client = TestClient(TestServer(app, transport=transport), timeout=ClientTimeout(total=None))
        async with client:
            await client.get("/")

    with pytest.raises(DeadlockError) as caught:
        run(main(), clock)
    assert "in stuck" in str(caught.value)
    assert clock.jumps < 50_000


def test_a_long_wait_among_housekeeping_is_no_deadlock() -> None:
    clock = VirtualClock()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sweep = Sweep(lambda now: True, 0.5)
        sweep.arm(loop)
        await asyncio.sleep(10 * 24 * 3600)
        done = loop.create_future()
        chain = [*[10 * 3600.0] * 5]

        def one_after_another() -> None:
            if chain:
                loop.call_later(chain.pop(), one_after_another)
            else:
                done.set_result(None)

        sweep.cancel()
        one_after_another()
        await done

    run(main(), clock)
    assert clock.time() == pytest.approx(10 * 24 * 3600 + 50 * 3600, abs=1)


def test_limits_that_a_sweep_keeps_are_kept() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        noticed: asyncio.Future[float] = loop.create_future()

        def look(now: float) -> bool:
            if now < 3600:
                return True
            noticed.set_result(now)
            return False

        Sweep(look, 0.5).arm(loop)
        return await noticed

    assert run(main()) == pytest.approx(3600, rel=0.002)
