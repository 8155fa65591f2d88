import asyncio
import pathlib
import sys

from antiphon.client import ClientSession, ClientTimeout, UploadTracker


async def show(tracker: UploadTracker, size: int) -> None:
    while True:
        print(f"\r{tracker.bytes_written / size:7.1%}", end="", file=sys.stderr)
        await asyncio.sleep(0.2)


async def upload(path: pathlib.Path, url: str) -> int:
    """Send a file of any size; it is never in memory as a whole."""
    # No limit on the whole, but thirty seconds without progress are too many.
    timeout = ClientTimeout(total=None, sock_connect=10, write=30, first_byte=60)
    tracker = UploadTracker()
    async with ClientSession(timeout=timeout) as session:
        shown = asyncio.create_task(show(tracker, path.stat().st_size or 1))
        try:
            with path.open("rb") as file:
                async with session.put(url, data=file, upload_tracker=tracker) as response:
                    response.raise_for_status()
                    return tracker.bytes_written
        finally:
            shown.cancel()


if __name__ == "__main__":
    print(asyncio.run(upload(pathlib.Path(sys.argv[1]), sys.argv[2])), "bytes")
