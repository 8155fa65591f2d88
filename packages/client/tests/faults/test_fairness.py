"""Five hundred requests at once through a pool of a few connections."""

import asyncio

from antiphon.client import ClientSession, TCPConnector

from .conftest import Leftovers, Origin, Runner, listening

LIMIT = 10


def test_five_hundred_in_flight_are_served_in_their_order(run: Runner) -> None:
    """Nobody is overtaken by more than those who are served at the same time."""

    async def main() -> None:
        before = Leftovers()
        connector = TCPConnector(limit=LIMIT)
        async with listening(Origin()) as origin, ClientSession(connector=connector) as session:

            async def ask(number: int) -> None:
                url = f"http://127.0.0.1:{origin.port}/{number}"
                async with session.get(url) as response:
                    assert await response.read() == b"hello"

            tasks = [asyncio.ensure_future(ask(number)) for number in range(500)]
            await asyncio.sleep(0)
            stats = connector.stats()
            assert (stats.total, stats.waiting) == (LIMIT, 500 - LIMIT)
            await asyncio.gather(*tasks)
            served = [int(request.rpartition("/")[2]) for request in origin.requests]
            assert sorted(served) == list(range(500))
            late = max(abs(number - place) for place, number in enumerate(served))
            assert late < LIMIT, late
            assert origin.accepted == LIMIT
            stats = connector.stats()
            assert (stats.active, stats.waiting, stats.created) == (0, 0, LIMIT)
            assert stats.reused == 500 - LIMIT
        await before.check(origin)

    run(main())
