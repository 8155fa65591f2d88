import asyncio
import sys

from antiphon.client import ClientSession


async def main(url: str) -> None:
    async with ClientSession() as session, session.get(url) as response:
        print(response.status, await response.text())


asyncio.run(main(sys.argv[1]))
