"""512 MB that came as next to nothing: reading the first megabyte must not cost the rest."""

import json
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.subprocess,
    pytest.mark.skipif(
        not Path("/proc/self/status").exists(), reason="the peak of memory is told by Linux only"
    ),
]

MEGABYTE = bytes(1024 * 1024)
MEGABYTES = 512
LIMIT = 32 * 1024 * 1024
"""Bytes that the client's process may grow by."""


def _deflate(wbits: int) -> bytes:
    # A full flush ends at a whole byte and needs nothing of what came before, so that one
    # megabyte can be compressed once and be sent many times.
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    head = packer.compress(MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (MEGABYTES - 1)


def _brotli() -> bytes:
    packer = pytest.importorskip("brotli", reason="brotli is not installed").Compressor(quality=1)
    return b"".join([*(packer.process(MEGABYTE) for _ in range(MEGABYTES)), packer.finish()])


def _zstd() -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        zstd = pytest.importorskip("backports.zstd", reason="backports.zstd is not installed")
    packer = zstd.ZstdCompressor(level=1)
    return b"".join([*(packer.compress(MEGABYTE) for _ in range(MEGABYTES)), packer.flush()])


# Runs in a process of its own: what it reads, and what that costs at the most.
_CLIENT = """
import asyncio, json, sys
from antiphon.client import ClientPayloadError, ClientSession

def peak():
    # Not what getrusage says: that begins with the peak of whoever started this process.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))

async def main(url):
    async with ClientSession() as session:
        async with session.get(url + "small") as response:
            await response.read()
        before = peak()
        read = {}
        async with session.get(url) as response:
            read["exactly"] = len(await response.content.readexactly(1024 * 1024))
        async with session.get(url) as response:
            size = 0
            async for piece in response.content.iter_chunked(65536):
                size += len(piece)
                if size >= 1024 * 1024:
                    break
            read["in pieces"] = size
        async with session.get(url) as response:
            try:
                await response.read(max_size=1024 * 1024)
            except ClientPayloadError:
                read["bounded"] = "refused"
        async with session.get(url) as response:
            read["nothing"] = response.status  # CVE-2026-54278: inflated when it was cleaned up
        print(json.dumps({"grown": peak() - before, "read": read}))

asyncio.run(main(sys.argv[1]))
"""


def _serve(listener: socket.socket, coding: str, body: bytes) -> None:
    bomb = (
        f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the test is over
        threading.Thread(target=_answer, args=(connection, bomb), daemon=True).start()


def _answer(connection: socket.socket, bomb: bytes) -> None:
    with connection:
        try:
            while data := connection.recv(65536):
                small = data.startswith(b"GET /small ")
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" if small else bomb
                )
        except OSError:
            pass  # the client has read enough


@pytest.mark.parametrize(
    ("coding", "make"),
    [
        pytest.param("gzip", lambda: _deflate(31), id="CVE-2025-66471 gzip"),
        pytest.param("deflate", lambda: _deflate(15), id="CVE-2026-49855 deflate"),
        pytest.param("br", _brotli, id="CVE-2026-54278 br"),
        pytest.param("zstd", _zstd, id="CVE-2026-21441 zstd"),
    ],
)
def test_a_bomb_of_which_a_megabyte_is_read(coding: str, make: Callable[[], bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=_serve, args=(listener, coding, make()), daemon=True)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        done = subprocess.run(
            [sys.executable, "-c", _CLIENT, url],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        listener.shutdown(socket.SHUT_RDWR)
    server.join(30)
    told = json.loads(done.stdout)
    assert told["read"]["exactly"] == 1024 * 1024
    assert told["read"]["in pieces"] >= 1024 * 1024
    assert told["read"]["bounded"] == "refused"
    assert told["read"]["nothing"] == 200
    assert told["grown"] < LIMIT, f"{told['grown'] / 2**20:.1f} MiB"
