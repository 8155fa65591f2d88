"""Content that is there and has no bytes."""

import io

import pytest

from antiphon import web
from antiphon.client import UploadTracker


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("kind", ["file", "buffer", "iterable"])
async def test_nothing_goes_up(test_client, tmp_path, kind, tracked):
    async def measure(request: web.Request) -> web.Response:
        return web.Response(text=f"{len(await request.read())}")

    async def nothing():
        return
        yield b""

    app = web.Application()
    app.router.add_put("/", measure)
    client = await test_client(app)
    path = tmp_path / "empty"
    path.touch()
    with path.open("rb") as file:
        data = {"file": file, "buffer": io.BytesIO(), "iterable": nothing()}[kind]
        tracker = UploadTracker() if tracked else None
        response = await client.put("/", data=data, upload_tracker=tracker)
        assert await response.text() == "0"
        assert tracker is None or tracker.upload_complete.done()
