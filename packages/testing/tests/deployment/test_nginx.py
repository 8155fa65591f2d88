"""The demo behind the real nginx, with the documentation's own configuration."""

import asyncio
import hashlib
import os
import pathlib
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator

import attrs
import pytest
from yarl import URL

from antiphon.client import ClientSession, TCPConnector, WSMsgType

from .conftest import SNIPPETS, Certificates, Running, program

MAIN = """
daemon off;
worker_processes 1;
error_log stderr notice;
pid {folder}/nginx.pid;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {shop}
}}
"""
CLIENT = "127.0.0.2"
"""An address other than the proxy's, which is trusted."""


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    """A folder with a path short enough for Unix sockets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="nginx-"))
    yield path
    shutil.rmtree(path)


@attrs.define
class Nginx:
    """nginx in front of whatever listens at *upstream*."""

    start: Callable[..., "asyncio.Future[Running]"]
    folder: pathlib.Path
    certificates: Certificates
    port: int

    async def run(self, upstream: str, *, buffered: bool = False) -> URL:
        text = (SNIPPETS / "nginx.conf").read_text()
        changes = {
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "unix:/run/shop/shop.sock": upstream,
            "/etc/ssl/shop.pem": str(self.certificates.chain),
            "/etc/ssl/shop.key": str(self.certificates.key),
            "client_max_body_size 50m": "client_max_body_size 2g",
        }
        if buffered:
            changes["proxy_request_buffering off"] = "proxy_request_buffering on"
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        user = "user root;" if os.geteuid() == 0 else ""
        configuration = self.folder / "nginx.conf"
        configuration.write_text(MAIN.format(folder=self.folder, user=user, shop=text))
        command = [program("nginx"), "-p", self.folder, "-c", configuration, "-e", "stderr"]
        await self.start(*command, sign="start worker process")
        return URL(f"https://localhost:{self.port}")


@pytest.fixture
def nginx(start, folder, certificates, unused_port) -> Nginx:
    return Nginx(start, folder, certificates, unused_port())


@pytest.fixture
async def session(certificates: Certificates) -> AsyncIterator[ClientSession]:
    connector = TCPConnector(
        local_addr=(CLIENT, 0), family=socket.AF_INET, ssl=certificates.context
    )
    async with ClientSession(connector=connector, raise_for_status=True) as session:
        yield session


@attrs.define
class Listening:
    """Where the application is told to listen, and how nginx names the place."""

    arguments: list[str]
    upstream: str


@pytest.fixture(params=["tcp", "unix"])
def listening(request, folder, unused_port) -> Listening:
    if request.param == "unix":
        return Listening(["--path", f"{folder}/shop.sock"], f"unix:{folder}/shop.sock")
    port = str(unused_port())
    return Listening(["--host", "127.0.0.1", "--port", port], f"127.0.0.1:{port}")


FORGED = {
    "Forwarded": "for=192.0.2.6;proto=http;host=evil.example",
    "X-Forwarded-For": "192.0.2.6",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
}


@pytest.mark.parametrize("headers", [{}, FORGED], ids=["plain", "forged"])
async def test_the_service_knows_who_asked(serve, listening, nginx, session, headers):
    await serve("proxied:create_app", *listening.arguments)
    site = await nginx.run(listening.upstream)
    async with session.get(site, headers=headers) as response:
        assert response.headers["Server"].startswith("nginx")
        told = await response.json()
    assert told == {"remote": CLIENT, "scheme": "https", "host": "localhost"}


async def test_who_comes_past_the_proxy_is_not_believed(serve, unused_port, session):
    port = unused_port()
    await serve("proxied:create_app", "--host", "127.0.0.1", "--port", port)
    async with session.get(f"http://127.0.0.1:{port}", headers=FORGED) as response:
        told = await response.json()
    assert told == {"remote": CLIENT, "scheme": "http", "host": f"127.0.0.1:{port}"}


@pytest.mark.parametrize("buffered", [False, True], ids=["streamed", "buffered by nginx"])
async def test_a_gigabyte_up(serve, listening, nginx, session, buffered):
    service = await serve("proxied:create_app", *listening.arguments)
    site = await nginx.run(listening.upstream, buffered=buffered)
    before = service.peak_memory()
    digest = hashlib.sha256()

    async def gigabyte() -> AsyncIterator[bytes]:
        for number in range(1024):
            piece = number.to_bytes(4) * (1 << 18)
            digest.update(piece)
            yield piece

    async with session.put(site / "store/files/big", data=gigabyte()) as response:
        stored = await response.json()
    assert stored == {"name": "big", "size": 1 << 30, "sha256": digest.hexdigest()}
    assert service.peak_memory() - before < 32 << 20


async def test_a_quarter_of_a_gigabyte_down(serve, listening, nginx, session):
    service = await serve("proxied:create_app", *listening.arguments)
    site = await nginx.run(listening.upstream)
    before = service.peak_memory()
    size = 0
    async with session.get(site / "zeros/256") as response:
        async for piece in response.content.iter_any():
            size += len(piece)
    assert size == 256 << 20
    assert service.peak_memory() - before < 32 << 20


async def test_what_streams_comes_as_it_is_written(serve, listening, nginx, session):
    await serve("proxied:create_app", *listening.arguments)
    site = await nginx.run(listening.upstream)
    async with session.get(site / "lines") as response:
        assert await response.content.readline() == b"one\n"
        await session.post(site / "go")
        assert await response.content.readline() == b"two\n"


async def test_websockets_go_through(serve, listening, nginx, session):
    await serve("proxied:create_app", *listening.arguments)
    site = await nginx.run(listening.upstream)
    async with session.ws_connect(site / "ws", compress=15) as ws:
        await ws.send_str("hello")
        assert await ws.receive_str() == f"{CLIENT} said hello"
        large = "x" * (1 << 20)
        await ws.send_str(large)
        assert await ws.receive_str() == f"{CLIENT} said {large}"


async def test_a_service_that_stops_tells_its_websockets(serve, listening, nginx, session):
    service = await serve("proxied:create_app", *listening.arguments)
    site = await nginx.run(listening.upstream)
    async with session.ws_connect(site / "ws") as ws:
        await ws.send_str("hello")
        await ws.receive_str()
        service.process.terminate()
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    assert await service.end() == 0


PASS_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""What systemd does before it starts a service that has a socket (sd_listen_fds(3))."""


async def test_no_request_is_lost_while_the_service_is_replaced(start, nginx, session, folder):
    """As under systemd: the socket stays, the process behind it ends and another begins."""
    path = folder / "shop.sock"
    with socket.socket(socket.AF_UNIX) as inherited:
        inherited.bind(str(path))
        inherited.listen(128)
        number = inherited.fileno()
        command = [sys.executable, "-c", PASS_ON, str(number), "-m", "antiphon.web"]

        async def begin() -> Running:
            return await start(
                *command, "shop:create_app", sign="Running on", env={"PYTHONPATH": str(SNIPPETS)},
                pass_fds=[number],
            )  # fmt: skip

        service = await begin()
        site = await nginx.run(f"unix:{path}")
        statuses: list[int] = []
        ending = asyncio.Event()

        async def ask() -> None:
            while not ending.is_set():
                async with session.get(site, raise_for_status=False) as response:
                    statuses.append(response.status)
                    await response.read()

        async def more(count: int) -> None:
            enough = len(statuses) + count
            while len(statuses) < enough:
                async with session.get(site, raise_for_status=False) as response:
                    statuses.append(response.status)

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(ask())
            for _ in range(3):
                await more(200)
                assert await service.stop() == 0
                service = await begin()
            await more(200)
            ending.set()
    assert set(statuses) == {200}
