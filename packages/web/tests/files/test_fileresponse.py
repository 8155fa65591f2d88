"""One file as a response, over real sockets."""

import asyncio
import contextlib
import gzip
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon import web
from antiphon.web._files import (
    SMALL,
    FileCache,
    NotAFile,
    accepted_codings,
    guess_content_type,
    open_representation,
)
from antiphon.web.fileresponse import FileResponse

Run = Callable[[Callable[[], Awaitable[None]]], None]


def serving(make: Callable[[web.Request], web.StreamResponse], **options: Any) -> web.Application:
    async def handler(request: web.Request) -> web.StreamResponse:
        return make(request)

    app = web.Application(**options)
    app.router.add_route("*", "/", handler)
    return app


@pytest.fixture(params=["hello.txt", "big.bin"])
def path(request: pytest.FixtureRequest, root: Path) -> Path:
    """A small file, which is kept in memory, and a large one, which is not."""
    return root / str(request.param)


def test_the_whole_file(path: Path, site: Any, run: Run, settled: Callable[[], None]) -> None:
    settled()
    content = path.read_bytes()

    async def test() -> None:
        async with site(serving(lambda _: FileResponse(path))) as served:
            for _ in range(2):
                answer = await served.get("/")
                assert (answer.status, answer.body, answer.whole) == (200, content, True)
                assert answer.headers["Accept-Ranges"] == "bytes"
                assert answer.headers["ETag"].startswith('"')
                head = await served.get("/", method="HEAD")
                assert head.body == b""
                for name in ("ETag", "Content-Length", "Content-Type", "Last-Modified"):
                    assert head.headers[name] == answer.headers[name]

    run(test)


def test_conditions_and_ranges(path: Path, site: Any, run: Run) -> None:
    content = path.read_bytes()
    size = len(content)

    async def test() -> None:
        async with site(serving(lambda _: FileResponse(path))) as served:
            first = await served.get("/")
            tag, date = first.headers["ETag"], first.headers["Last-Modified"]
            for field in (f"If-None-Match: {tag}", f"If-Modified-Since: {date}"):
                answer = await served.get("/", field)
                assert (answer.status, answer.body) == (304, b"")
                assert answer.headers["ETag"] == tag
                assert "Content-Type" not in answer.headers
                assert "Content-Length" not in answer.headers
            answer = await served.get("/", 'If-Match: "other"')
            assert (answer.status, answer.body) == (412, b"")
            answer = await served.get("/", "Range: bytes=2-5", f"If-Range: {tag}")
            assert (answer.status, answer.body, answer.whole) == (206, content[2:6], True)
            assert answer.headers["Content-Range"] == f"bytes 2-5/{size}"
            answer = await served.get("/", "Range: bytes=-3")
            assert answer.body == content[-3:]
            answer = await served.get("/", f"Range: bytes={size}-")
            assert (answer.status, answer.body) == (416, b"")
            assert answer.headers["Content-Range"] == f"bytes */{size}"
            answer = await served.get("/", "Range: bytes=2-5", method="HEAD")
            assert (answer.status, answer.headers["Content-Length"]) == (200, str(size))

    run(test)


def test_several_ranges(path: Path, site: Any, run: Run) -> None:
    content = path.read_bytes()
    size = len(content)

    async def test() -> None:
        async with site(serving(lambda _: FileResponse(path))) as served:
            answer = await served.get("/", "Range: bytes=0-1, -2, 4-5")
            assert (answer.status, answer.whole) == (206, True)
            media_type, _, boundary = answer.headers["Content-Type"].partition("; boundary=")
            assert media_type == "multipart/byteranges"
            assert "Content-Range" not in answer.headers
            start, *parts, end = answer.body.split(f"\r\n--{boundary}".encode())
            assert (start, end) == (b"", b"--\r\n")
            heads, bodies = zip(*(part.split(b"\r\n\r\n", 1) for part in parts), strict=True)
            assert bodies == (content[:2], content[-2:], content[4:6])
            assert f"Content-Range: bytes {size - 2}-{size - 1}/{size}".encode() in heads[1]

    run(test)


@pytest.mark.parametrize("status", [201, 404, 503])
def test_conditions_do_not_count_where_the_answer_is_no_200(
    root: Path, site: Any, run: Run, status: int
) -> None:
    async def test() -> None:
        response = lambda _: FileResponse(root / "hello.txt", status=status)  # noqa: E731  # one line says it
        async with site(serving(response)) as served:
            answer = await served.get("/", "If-None-Match: *", "Range: bytes=0-1")
            assert (answer.status, answer.body) == (status, b"hello world")

    run(test)


def test_fields_of_the_application_go_first(path: Path, site: Any, run: Run) -> None:
    headers = {"Content-Type": "application/x-mine", "ETag": '"mine"', "X-More": "yes"}

    async def test() -> None:
        response = lambda _: FileResponse(path, headers=headers)  # noqa: E731  # one line says it
        async with site(serving(response)) as served:
            answer = await served.get("/")
            assert answer.headers["Content-Type"] == "application/x-mine"
            assert answer.headers["X-More"] == "yes"
            assert answer.headers.getall("ETag") == ['"mine"']
            assert (await served.get("/", 'If-None-Match: "mine"')).status == 304

    run(test)


def test_signals_see_the_response_and_may_change_it(path: Path, site: Any, run: Run) -> None:
    seen = []

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        seen.append((response.status, response.headers["Content-Length"]))
        response.headers["X-Seen"] = "yes"

    app = serving(lambda _: FileResponse(path))
    app.on_response_prepare.append(on_prepare)

    async def test() -> None:
        async with site(app) as served:
            answer = await served.get("/", "Range: bytes=0-3")
            assert (answer.headers["X-Seen"], answer.body) == ("yes", path.read_bytes()[:4])
        assert seen == [(206, "4")]

    run(test)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        pytest.param("none", 404, id="missing"),
        pytest.param("hello.txt/x", 404, id="below a file"),
        pytest.param("sub", 403, id="a directory"),
        pytest.param("pipe", 403, id="a pipe"),
        pytest.param("/dev/null", 403, id="a device"),
    ],
)
def test_what_is_no_file(root: Path, site: Any, run: Run, name: str, status: int) -> None:
    os.mkfifo(root / "pipe")

    async def test() -> None:
        async with site(serving(lambda _: FileResponse(root / name))) as served:
            answer = await served.get("/")
            assert (answer.status, answer.body, answer.whole) == (status, b"", True)

    run(test)


def test_an_empty_file(root: Path, site: Any, run: Run) -> None:
    (root / "empty.txt").write_bytes(b"")

    async def test() -> None:
        async with site(serving(lambda _: FileResponse(root / "empty.txt"))) as served:
            answer = await served.get("/")
            assert (answer.status, answer.headers["Content-Length"]) == (200, "0")
            assert (await served.get("/", "Range: bytes=0-")).status == 416

    run(test)


# --- content codings ---


@pytest.fixture
def coded(root: Path) -> Path:
    path = root / "app.js"
    path.write_text("plain")
    (root / "app.js.gz").write_bytes(gzip.compress(b"gzipped"))
    (root / "app.js.br").write_bytes(b"brotli")
    (root / "app.js.zst").write_bytes(b"zstd")
    return path


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        pytest.param(None, None, id="says nothing"),
        pytest.param("gzip", "gzip", id="gzip"),
        pytest.param("gzip, deflate, br, zstd", "br", id="a browser"),
        pytest.param("br;q=0.5, zstd;q=0.9, gzip;q=0.1", "zstd", id="by quality"),
        pytest.param("br;q=0, gzip", "gzip", id="refused one"),
        pytest.param("identity, br;q=0.5", None, id="plain is liked better"),
        pytest.param("deflate", None, id="none that is there"),
        pytest.param("*", "br", id="any"),
    ],
)
def test_precompressed_siblings(
    coded: Path, site: Any, run: Run, accepts: str | None, coding: str | None
) -> None:
    bodies = {None: b"plain", "br": b"brotli", "zstd": b"zstd"}
    fields = [] if accepts is None else [f"Accept-Encoding: {accepts}"]

    async def test() -> None:
        async with site(serving(lambda _: FileResponse(coded))) as served:
            plain = await served.get("/")
            answer = await served.get("/", *fields)
            assert answer.headers.get("Content-Encoding") == coding
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert "javascript" in answer.headers["Content-Type"]
            assert (answer.headers["ETag"] == plain.headers["ETag"]) is (coding is None)
            body = gzip.decompress(answer.body) if coding == "gzip" else answer.body
            assert body == bodies.get(coding, b"gzipped")
            tag = answer.headers["ETag"]
            assert (await served.get("/", *fields, f"If-None-Match: {tag}")).status == 304
            part = await served.get("/", *fields, "Range: bytes=1-2")
            assert (part.status, part.body) == (206, answer.body[1:3])

    run(test)


def test_without_siblings_nothing_varies(root: Path, site: Any, run: Run) -> None:
    async def test() -> None:
        async with site(serving(lambda _: FileResponse(root / "hello.txt"))) as served:
            answer = await served.get("/", "Accept-Encoding: br, gzip")
            assert answer.body == b"hello world"
            assert "Vary" not in answer.headers

    run(test)


def test_a_sibling_that_is_a_link_is_not_followed(root: Path, site: Any, run: Run) -> None:
    """CVE-2024-42367"""
    (root / "app.js").write_text("plain")
    (root / "app.js.gz").symlink_to(root.parent / "secret.txt")
    app = serving(lambda _: FileResponse(root / "app.js"))
    app.router.add_static("/static", root)

    async def test() -> None:
        async with site(app) as served:
            for target in ("/", "/static/app.js"):
                answer = await served.get(target, "Accept-Encoding: gzip")
                assert answer.body == b"plain"
                assert "Content-Encoding" not in answer.headers

    run(test)


def test_siblings_of_a_linked_file_stand_beside_what_it_links_to(
    root: Path, site: Any, run: Run
) -> None:
    """As a tree is that is exchanged by exchanging one link."""
    (root / "v1").mkdir()
    (root / "v1" / "app.js").write_text("plain")
    (root / "v1" / "app.js.br").write_bytes(b"brotli")
    (root / "app.js").symlink_to("v1/app.js")
    app = web.Application()
    app.router.add_static("/static", root)

    async def test() -> None:
        async with site(app) as served:
            answer = await served.get("/static/app.js", "Accept-Encoding: br")
            assert answer.headers["Content-Encoding"] == "br"

    run(test)


def test_compression_on_the_way(path: Path, site: Any, run: Run) -> None:
    def make(_: web.Request) -> web.StreamResponse:
        response = FileResponse(path, chunk_size=1000)
        response.enable_compression()
        return response

    async def test() -> None:
        async with site(serving(make)) as served:
            answer = await served.get("/", "Accept-Encoding: gzip", "Range: bytes=0-1")
            assert answer.status == 200, "a range of what is not there before it is sent"
            assert answer.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(answer.body) == path.read_bytes()
            assert answer.headers["ETag"].startswith("W/")
            assert "Content-Length" not in answer.headers
            plain = await served.get("/")
            assert (plain.body, plain.whole) == (path.read_bytes(), True)

    run(test)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.html", "text/html"),
        ("a.tar.gz", "application/gzip"),
        ("a.svgz", "application/gzip"),
        ("a.br", "application/x-brotli"),
        ("a.wasm", "application/wasm"),
        ("a.woff2", "font/woff2"),
        ("a", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
        ("A.TXT", "text/plain"),
    ],
)
def test_media_types_by_name(name: str, expected: str) -> None:
    assert guess_content_type(f"/srv/x.y/{name}") == expected


def test_codings_a_client_takes() -> None:
    assert accepted_codings([]) == ()
    assert accepted_codings(["gzip, deflate", "br"]) == ("br", "gzip")
    assert accepted_codings(["*;q=0"]) == ()


# --- what is kept in memory ---


def test_a_change_is_seen_at_once(root: Path, site: Any, run: Run) -> None:
    path = root / "hello.txt"

    async def test() -> None:
        async with site(serving(lambda _: FileResponse(path))) as served:
            for number in range(5):
                path.write_text(f"hello {number}")  # of the same size
                assert (await served.get("/")).body == f"hello {number}".encode()

    run(test)


def test_the_cache_keeps_within_its_size(root: Path, settled: Callable[[], None]) -> None:
    settled()
    cache = FileCache(1000)
    for number in range(20):
        path = root / f"file{number}"
        path.write_bytes(b"x" * 300)
        found, file = open_representation(str(path))
        assert file is None
        cache.put(str(path), (), str(path), found)
        if number:
            assert cache.get(str(root / "file0"), ()) is not None, "what is used stays"
    assert len(cache) == 3
    big, _ = open_representation(str(root / "hello.txt"))
    FileCache(5).put("x", (), "x", big)
    assert len(FileCache(5)) == 0


def test_the_cache_lets_go_of_what_changed(root: Path, settled: Callable[[], None]) -> None:
    settled()
    cache = FileCache()
    path = root / "hello.txt"
    found, _ = open_representation(str(path))
    cache.put("key", (), str(path), found)
    assert cache.get("key", ()) is found
    os.utime(path, ns=(1, found.signature[3]))  # nothing but the time of the change of status
    assert cache.get("key", ()) is None
    assert len(cache) == 0


def test_a_fresh_file_is_not_kept(root: Path) -> None:
    """It may change again without anything that `stat` tells."""
    cache = FileCache()
    found, _ = open_representation(str(root / "hello.txt"))
    cache.put("key", (), found.path, found)
    assert len(cache) == 0


def test_what_became_a_pipe_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(NotAFile):
        open_representation(str(root / "pipe"))


def test_a_link_is_refused_where_it_must_not_be_followed(root: Path) -> None:
    (root / "link").symlink_to(root / "hello.txt")
    with pytest.raises(OSError):
        open_representation(str(root / "link"), follow=False)


# --- large files ---


def test_a_file_that_gets_shorter_ends_the_connection(root: Path, site: Any, run: Run) -> None:
    path = root / "shrinking.bin"
    size = 32 * 1024 * 1024
    with open(path, "wb") as file:
        file.truncate(size)

    async def test() -> None:
        app = serving(lambda _: FileResponse(path))
        async with site(app) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=4096)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert f"Content-Length: {size}".encode() in head
            os.truncate(path, 1024)
            got = 0
            with contextlib.suppress(ConnectionResetError):
                while data := await reader.read(1 << 20):
                    got += len(data)
            assert got < size
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                await writer.wait_closed()

    run(test)


def test_a_client_that_leaves_is_nobodys_error(
    root: Path, site: Any, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    path = root / "huge.bin"
    with open(path, "wb") as file:
        file.truncate(64 * 1024 * 1024)
    ended = threading.Event()

    @web.middleware
    async def watch(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        try:
            await response.prepare(request)
        finally:
            ended.set()
        return response

    async def test() -> None:
        app = serving(lambda _: FileResponse(path), middlewares=[watch])
        async with site(app) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=4096)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.abort()
            assert await asyncio.get_running_loop().run_in_executor(None, ended.wait, 10)

    run(test)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_large_file_to_a_slow_reader_takes_little_memory(root: Path, loop: str) -> None:
    """And does not hold up others."""
    if sys.platform != "linux":
        pytest.skip("memory is read from /proc")
    uvloop = (
        pytest.importorskip("uvloop", reason="half of this is about it")
        if loop == "uvloop"
        else None
    )
    path = root / "huge.bin"
    size = 200 * 1024 * 1024
    with open(path, "wb") as file:
        file.truncate(size)

    def rss() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def client(port: int, got: list[int]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            buffer = bytearray(1 << 16)
            while count := peer.recv_into(buffer):
                got.append(count)

    async def main() -> None:
        app = serving(lambda _: FileResponse(path))
        app.router.add_get("/quick", _quick)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        got: list[int] = []
        before = rss()
        running = asyncio.get_running_loop().run_in_executor(None, client, port, got)
        worst = 0
        slowest = 0.0
        while not running.done():
            start = time.perf_counter()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert b"quick" in await reader.read()
            writer.close()
            slowest = max(slowest, time.perf_counter() - start)
            worst = max(worst, rss() - before)
        await running
        assert size < sum(got) < size + 1000
        assert worst < 32 * 1024 * 1024
        assert slowest < 2.0
        await runner.cleanup()

    if uvloop is None:
        asyncio.run(main())
    else:
        uvloop.run(main())


async def _quick(request: web.Request) -> web.Response:
    return web.Response(text="quick")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_comes_before_and_after_a_large_file_keeps_its_place(root: Path, loop: str) -> None:
    """Three pipelined requests, the large one in the middle."""
    uvloop = (
        pytest.importorskip("uvloop", reason="half of this is about it")
        if loop == "uvloop"
        else None
    )
    app = web.Application()
    app.router.add_static("/", root)

    async def main() -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        for target in ("/hello.txt", "/big.bin", "/hello.txt"):
            writer.write(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        bodies = []
        for _ in range(3):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            size = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
            bodies.append(await reader.readexactly(size))
        assert bodies == [b"hello world", (root / "big.bin").read_bytes(), b"hello world"]
        assert len(bodies[1]) > SMALL
        writer.close()
        await writer.wait_closed()
        await runner.cleanup()

    if uvloop is None:
        asyncio.run(main())
    else:
        uvloop.run(main())


def test_a_response_is_for_one_request(root: Path, site: Any, run: Run) -> None:
    once = FileResponse(root / "hello.txt")

    async def test() -> None:
        async with site(serving(lambda _: once)) as served:
            assert (await served.get("/")).status == 200
            assert (await served.get("/")).status == 500

    run(test)
