"""GET with aiohttp."""

import argparse

from _start import measure, run
from aiohttp import ClientSession


async def main(wanted: argparse.Namespace) -> None:
    async with ClientSession() as session:

        async def get() -> None:
            async with session.get(wanted.url) as response:
                await response.read()

        await measure(get, wanted.in_flight, wanted.seconds)


run(main)
