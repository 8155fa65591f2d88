"""A server on loopback, and a client that speaks bytes."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from multidict import CIMultiDict

from antiphon import web


@attrs.frozen
class Answer:
    """A response as it came."""

    status: int
    headers: CIMultiDict[str]
    body: bytes
    whole: bool
    """Whether as much content came as was announced."""


class Site:
    """A running application."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def get(self, target: str, *fields: str, method: str = "GET") -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"{method} {target} HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""]
        writer.write("\r\n".join(lines).encode("utf-8", "surrogateescape"))
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
        return parsed(data, method)


def parsed(data: bytes, method: str = "GET") -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    headers = CIMultiDict[str]()
    for line in lines:
        name, _, value = line.partition(": ")
        headers.add(name, value)
    announced = headers.get("Content-Length")
    if headers.get("Transfer-Encoding") == "chunked":
        body = unchunked(body)
    whole = announced is None or method == "HEAD" or len(body) == int(announced)
    return Answer(int(status.split()[1]), headers, body, whole)


def unchunked(body: bytes) -> bytes:
    pieces = []
    while body:
        size, _, body = body.partition(b"\r\n")
        pieces.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(pieces)


@pytest.fixture
def site() -> Callable[..., Any]:
    """Runs an application while the block lasts."""

    @asynccontextmanager
    async def running(app: web.Application, **options: Any) -> Any:
        runner = web.AppRunner(app, **options)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield Site(runner.addresses[0][1])
        finally:
            await runner.cleanup()

    return running


@pytest.fixture
def run() -> Callable[[Callable[[], Awaitable[None]]], None]:
    def run_(test: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await test()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"

        asyncio.run(main())

    return run_


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to serve, with a neighbour that is not served."""
    root = tmp_path / "static"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "static-secret").mkdir()
    (tmp_path / "static-secret" / "file.txt").write_text("secret")
    (root / "hello.txt").write_text("hello world")
    (root / "big.bin").write_bytes(bytes(range(256)) * 1200)
    (root / "sub").mkdir()
    (root / "sub" / "page.html").write_text("<p>page</p>")
    return root


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Lets time pass, as far as the age of files counts, so that they are kept in memory."""
    ahead = 0.0
    real = time.time

    def later() -> None:
        nonlocal ahead
        ahead = 10.0

    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    yield later


@pytest.fixture
def no_root() -> None:
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        pytest.skip("permissions do not hold for this user")
