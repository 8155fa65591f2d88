import asyncio
import sys

from antiphon.client import ClientSession, TCPConnector


async def fetch_from(address: str, url: str) -> str:
    connector = TCPConnector(local_addr=(address, 0))
    async with ClientSession(connector=connector) as session, session.get(url) as response:
        return await response.text()


if __name__ == "__main__":
    print(asyncio.run(fetch_from(sys.argv[1], sys.argv[2])))
