"""Trees of files over real sockets: what is found, what is not, and that no answer tells more."""

import os
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon import web
from antiphon.web.fileresponse import FileResponse
from antiphon.web.routing._filename import decode_filename, split_filename
from antiphon.web.routing.static import StaticResource

Run = Callable[[Callable[[], Awaitable[None]]], None]


def tree(root: Path, prefix: str = "/static", **options: Any) -> web.Application:
    app = web.Application()
    app.router.add_static(prefix, root, name="static", **options)
    return app


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param("/static/hello.txt", "hello world", id="a file"),
        pytest.param("/static/sub/page.html", "<p>page</p>", id="further down"),
        pytest.param("/static/he%6Clo.txt", "hello world", id="escaped without need"),
        pytest.param("/static/hello.txt?v=1", "hello world", id="with a query"),
        pytest.param("/static/a%20b%25%C3%A9.txt", "odd name", id="odd name"),
        pytest.param("/static/octet%FF.txt", "octet", id="a name that is no UTF-8"),
        pytest.param("/static/inside.txt", "hello world", id="a link that stays inside"),
        pytest.param("/static", 403, id="the directory itself"),
        pytest.param("/static/sub", 403, id="a directory"),
        pytest.param("/static/sub/", 403, id="a directory with its slash"),
        pytest.param("/static/none.txt", 404, id="missing"),
        pytest.param("/static/hello.txt/", 404, id="a file with a slash behind it"),
        pytest.param("/static/hello.txt/x", 404, id="below a file"),
        pytest.param("/static/" + "x" * 300, 404, id="a name that is too long"),
        pytest.param("/static/loop", 404, id="a link in circles"),
        pytest.param("/static/hello.txt%00.png", 404, id="NUL"),
        pytest.param("/static/../secret.txt", 404, id="dots"),
        pytest.param("/static/sub/../hello.txt", 404, id="dots that would stay inside"),
        pytest.param("/static/%2e%2e/secret.txt", 404, id="escaped dots"),
        pytest.param("/static/..%2fsecret.txt", 404, id="CVE-2017-16762 escaped slash"),
        pytest.param("/static/sub%2Fpage.html", 404, id="an escaped slash parts no names"),
        pytest.param("/static//etc/passwd", 404, id="CVE-2026-48818 absolute path"),
        pytest.param("/static/%2Fetc/passwd", 404, id="CVE-2026-48818 escaped absolute path"),
        pytest.param("/static-secret/file.txt", 404, id="CVE-2023-29159 sibling of the prefix"),
        pytest.param("/static/../static-secret/file.txt", 404, id="CVE-2023-29159 sibling"),
        pytest.param("/static/outside.txt", 404, id="a link that leads outside"),
        pytest.param(
            "/static/outside-none.txt", 404, id="CVE-2025-69226 a link to nothing outside"
        ),
        pytest.param("/static/outside/file.txt", 404, id="a directory outside by a link"),
        pytest.param("/static/outside/none.txt", 404, id="CVE-2025-69226 missing outside"),
        pytest.param("/static/pipe", 403, id="a pipe"),
        pytest.param("/static/socket", 403, id="a socket"),
    ],
)
def test_what_a_path_leads_to(
    root: Path, site: Any, run: Run, target: str, expected: str | int
) -> None:
    (root / "a b%\xe9.txt").write_text("odd name")
    (root / os.fsdecode(b"octet\xff.txt")).write_text("octet")
    (root / "inside.txt").symlink_to(root / "hello.txt")
    (root / "outside.txt").symlink_to(root.parent / "secret.txt")
    (root / "outside-none.txt").symlink_to(root.parent / "none.txt")
    (root / "outside").symlink_to(root.parent / "static-secret")
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")

    async def test() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            here = os.getcwd()
            os.chdir(root)  # the paths of Unix sockets are short
            try:
                listener.bind("socket")
            finally:
                os.chdir(here)
            async with site(tree(root)) as served:
                answers = [await served.get(target) for _ in range(2)]
        if isinstance(expected, int):
            assert {answer.status for answer in answers} == {expected}
            bodies = {404: b"404: Not Found", 403: b"403: Forbidden"}
            assert {answer.body for answer in answers} == {bodies[expected]}
        else:
            assert {answer.body.decode() for answer in answers} == {expected}

    run(test)


def test_follow_symlinks_leads_outside_by_links_and_by_nothing_else(
    root: Path, site: Any, run: Run
) -> None:
    (root / "outside.txt").symlink_to(root.parent / "secret.txt")

    async def test() -> None:
        async with site(tree(root, follow_symlinks=True)) as served:
            assert (await served.get("/static/outside.txt")).body == b"secret"
            # CVE-2024-23334
            for target in ("/static/../secret.txt", "/static/sub/../../secret.txt"):
                assert (await served.get(target)).status == 404

    run(test)


def test_a_file_that_may_not_be_read_is_403(root: Path, site: Any, run: Run, no_root: None) -> None:
    (root / "hello.txt").chmod(0)

    async def test() -> None:
        async with site(tree(root)) as served:
            assert (await served.get("/static/hello.txt")).status == 403

    run(test)


def test_a_file_that_becomes_a_link_outside_is_not_served_from_memory(
    root: Path, site: Any, run: Run, settled: Callable[[], None]
) -> None:
    settled()

    async def test() -> None:
        async with site(tree(root)) as served:
            for _ in range(2):
                assert (await served.get("/static/hello.txt")).body == b"hello world"
            (root / "hello.txt").unlink()
            (root / "hello.txt").symlink_to(root.parent / "secret.txt")
            assert (await served.get("/static/hello.txt")).status == 404
            (root / "hello.txt").unlink()
            assert (await served.get("/static/hello.txt")).status == 404

    run(test)


# --- names, without a file system ---


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("C:/Windows/win.ini", id="CVE-2026-48818 and aiohttp 3.0.2: a drive"),
        pytest.param("C:win.ini", id="relative to a drive"),
        pytest.param("//host/share/file", id="CVE-2024-49766 UNC path"),
        pytest.param("\\\\host\\share\\file", id="CVE-2026-34515 UNC path with backslashes"),
        pytest.param("\\\\?\\C:\\file", id="device path"),
        pytest.param("sub\\..\\..\\secret.txt", id="dots with backslashes"),
        pytest.param("file.txt::$DATA", id="a stream"),
        pytest.param("NUL", id="CVE-2025-66221 device"),
        pytest.param("sub/con", id="CVE-2025-66221 device in lower case"),
        pytest.param("aux.txt", id="CVE-2025-66221 device with an extension"),
        pytest.param("com1.tar.gz", id="a port with extensions"),
        pytest.param("LPT\u00b9", id="a port with a superscript digit"),
        pytest.param("con .txt", id="device with a blank"),
        pytest.param("conin$", id="console input"),
        pytest.param("file.", id="a dot at the end"),
        pytest.param("file ", id="a blank at the end"),
        pytest.param("a\x01b", id="control character"),
        pytest.param("prn/x", id="device as a directory"),
    ],
)
def test_what_means_more_than_a_name_on_windows(name: str) -> None:
    assert split_filename(name, windows=True) is None


@pytest.mark.parametrize(
    "name", ["console.txt", "com10", "a/b.c", "nul1", "auxiliary", ".well-known/x"]
)
def test_what_is_a_name_on_windows(name: str) -> None:
    assert split_filename(name, windows=True) == tuple(name.split("/"))


def test_names_that_mean_more_on_windows_are_names_elsewhere() -> None:
    assert split_filename("C:\\file", windows=False) == ("C:\\file",)
    assert split_filename("a//b", windows=False) is None


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        pytest.param("a/b", "a/b", id="plain"),
        pytest.param("a%25b", "a%b", id="percent sign"),
        pytest.param("a%2525", "a%25", id="decoded once"),
        pytest.param("a%2Fb", None, id="slash"),
        pytest.param("%FF", "\udcff", id="no UTF-8"),
    ],
)
def test_a_canonical_path_is_decoded_once(rest: str, expected: str | None) -> None:
    assert decode_filename(rest) == expected


# --- directories ---


def test_a_listing_escapes_names_for_where_they_stand(root: Path, site: Any, run: Run) -> None:
    """CVE-2024-27306"""
    (root / '<img src=x onerror="alert(1)">').write_text("")
    (root / 'q"uote&amp.txt').write_text("")
    (root / "javascript:alert(1)").write_text("")
    (root / os.fsdecode(b"octet\xff")).write_text("")

    async def test() -> None:
        async with site(tree(root, show_index=True)) as served:
            answer = await served.get("/static/")
            page = answer.body.decode()
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "<img" not in page
            assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;</a>" in page
            assert 'href="./%3Cimg%20src=x%20onerror=%22alert(1)%22%3E"' in page
            assert 'href="./q%22uote&amp;amp.txt"' in page
            assert 'href="./javascript%3Aalert(1)"' in page
            assert 'href="./octet%FF"' in page
            assert '<a href="./sub/">sub/</a>' in page
            assert page.index("sub/") < page.index("big.bin"), "directories come first"
            without_slash = (await served.get("/static/sub")).body.decode()
            assert 'href="./sub/page.html"' in without_slash
            assert "Index of /sub" in without_slash
            escaped = (await served.get("/static/sub/%3Cscript%3E/")).body
            assert b"<script>" not in escaped

    run(test)


def test_an_index_file_stands_for_its_directory(root: Path, site: Any, run: Run) -> None:
    (root / "index.html").write_text("front")
    (root / "sub" / "index.htm").write_text("second choice")

    async def test() -> None:
        async with site(tree(root, index=("index.html", "index.htm"))) as served:
            for _ in range(2):
                assert (await served.get("/static/")).body == b"front"
                assert (await served.get("/static/sub/")).body == b"second choice"
            (root / "sub" / "index.html").write_text("first choice")
            assert (await served.get("/static/sub/")).body == b"first choice"
            answer = await served.get("/static/sub?a=%2F&b")
            assert answer.status == 301
            assert answer.headers["Location"] == "./sub/?a=%2F&b"
            assert (await served.get("/static")).headers["Location"] == "./static/"

    run(test)


@pytest.mark.parametrize(
    ("target", "location"),
    [
        pytest.param("//evil.example", "./evil.example/", id="CVE-2023-28370 two slashes"),
        pytest.param("/evil.example%2F..", None, id="escaped slash"),
        pytest.param("/http:", "./http%3A/", id="a name like a scheme"),
        pytest.param("/%5Cevil", "./%5Cevil/", id="a backslash"),
    ],
)
def test_a_redirect_into_a_directory_stays_here(
    root: Path, site: Any, run: Run, target: str, location: str | None
) -> None:
    for name in ("evil.example", "http:", "\\evil"):
        (root / name).mkdir()
        (root / name / "index.html").write_text("x")

    async def test() -> None:
        async with site(tree(root, prefix="/", index="index.html")) as served:
            answer = await served.get(target)
            if answer.status == 404:
                assert location is None or target.startswith("//")
            else:
                assert answer.headers["Location"] == location

    run(test)


def test_a_single_page_application_gets_its_page_for_paths_of_its_own(
    root: Path, site: Any, run: Run
) -> None:
    (root / "app.html").write_text("app")
    page = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"

    async def test() -> None:
        async with site(tree(root, prefix="/", spa_fallback="app.html")) as served:
            for _ in range(2):
                assert (await served.get("/users/7", page)).body == b"app"
            assert (await served.get("/users/7")).body == b"app"
            assert (await served.get("/users/a.b", page)).body == b"app"
            assert (await served.get("/hello.txt", page)).body == b"hello world"
            assert (await served.get("/missing.js", "Accept: */*")).status == 404
            assert (await served.get("/api", "Accept: application/json")).status == 404
            assert (await served.get("/users/7", page, method="POST")).status == 405

    run(test)


# --- what is said about files ---


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param("no-cache", ["no-cache", "no-cache"], id="one for all"),
        pytest.param(
            {"sub/*": "max-age=60", "*": "max-age=1"}, ["max-age=1", "max-age=60"], id="patterns"
        ),
        pytest.param({"*.html": "no-store"}, [None, "no-store"], id="nothing for some"),
        pytest.param(
            lambda path: f"max-age={len(path)}", ["max-age=9", "max-age=13"], id="a function"
        ),
    ],
)
def test_cache_control(
    root: Path, site: Any, run: Run, rule: Any, expected: list[str | None]
) -> None:
    async def test() -> None:
        async with site(tree(root, cache_control=rule)) as served:
            for _ in range(2):
                answers = [
                    await served.get("/static/hello.txt"),
                    await served.get("/static/sub/page.html"),
                ]
                assert [answer.headers.get("Cache-Control") for answer in answers] == expected

    run(test)


def test_the_page_of_another_path_has_the_rule_of_its_own_file(
    root: Path, site: Any, run: Run
) -> None:
    (root / "index.html").write_text("x")
    rule = {"index.html": "no-cache", "*": "max-age=9"}

    async def test() -> None:
        options: dict[str, Any] = {"cache_control": rule, "index": "index.html"}
        async with site(tree(root, spa_fallback="index.html", **options)) as served:
            assert (await served.get("/static/")).headers["Cache-Control"] == "no-cache"
            assert (await served.get("/static/x")).headers["Cache-Control"] == "no-cache"

    run(test)


def test_urls_and_versions(root: Path) -> None:
    resource = StaticResource("/static", root, name="static", append_version=True)
    assert str(resource.url_for(filename="none.txt")) == "/static/none.txt"
    assert str(resource.url_for(filename="/a b/\xe9%.txt")) == "/static/a%20b/%C3%A9%25.txt"
    assert str(resource.url_for(filename="../secret.txt")) == "/static/../secret.txt"
    assert str(resource.url_for(filename=Path("sub/page.html"), append_version=False)) == (
        "/static/sub/page.html"
    )
    first = resource.url_for(filename="hello.txt")
    assert first.path == "/static/hello.txt"
    assert len(first.query["v"]) == 43, "SHA-256 in base64"
    assert resource.url_for(filename="hello.txt") == first
    (root / "hello.txt").write_text("changed")
    assert resource.url_for(filename="hello.txt").query["v"] != first.query["v"]
    with pytest.raises(TypeError):
        resource.url_for()  # type: ignore[call-arg]  # that is the point


def test_what_the_resource_says_of_itself(root: Path) -> None:
    resource = StaticResource("/static", root)
    info = resource.get_info()
    assert (info["directory"], info["prefix"]) == (root.resolve(), "/static")
    assert set(info["routes"]) == {"GET", "HEAD"}
    assert len(resource) == 2
    assert resource.canonical == "/static"
    assert "/static" in repr(resource)
    assert not resource.raw_match("/static")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"index": "../x"}, id="an index outside"),
        pytest.param({"index": ""}, id="an index without a name"),
        pytest.param({"spa_fallback": "/etc/passwd"}, id="a fallback outside"),
    ],
)
def test_names_in_options_are_checked_at_once(root: Path, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        StaticResource("/static", root, **options)


@pytest.mark.parametrize("name", ["none", "hello.txt", "nul\0"])
def test_a_directory_is_needed(root: Path, name: str) -> None:
    with pytest.raises(ValueError):
        StaticResource("/static", root / name)


def test_options_route(root: Path, site: Any, run: Run) -> None:
    async def preflight(request: web.Request) -> web.Response:
        return web.Response(text="preflight")

    app = tree(root)
    resource = app.router["static"]
    assert isinstance(resource, StaticResource)
    resource.set_options_route(preflight)
    with pytest.raises(RuntimeError):
        resource.set_options_route(preflight)

    async def test() -> None:
        async with site(app) as served:
            answer = await served.get("/static/hello.txt", method="OPTIONS")
            assert answer.body == b"preflight"
            answer = await served.get("/static/hello.txt", method="DELETE")
            assert answer.status == 405
            assert answer.headers["Allow"] == "GET,HEAD,OPTIONS"

    run(test)


def test_handlers_and_middlewares_see_a_file_response_and_the_name(
    root: Path, site: Any, run: Run
) -> None:
    seen: list[object] = []

    @web.middleware
    async def watch(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        seen.append((request.match_info["filename"], isinstance(response, FileResponse)))
        return response

    async def test() -> None:
        async with site(tree(root, middlewares=[watch])) as served:
            await served.get("/static/sub/page%2Ehtml")
            await served.get("/static/big.bin")
        assert seen == [("sub/page.html", True), ("big.bin", True)]

    run(test)


def test_a_middleware_may_answer_instead_of_a_file(
    root: Path, site: Any, run: Run, recwarn: pytest.WarningsRecorder
) -> None:
    """The file that was opened for it is closed."""

    @web.middleware
    async def instead(request: web.Request, handler: Any) -> web.StreamResponse:
        await handler(request)
        return web.Response(text="instead")

    async def test() -> None:
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        async with site(tree(root, middlewares=[instead])) as served:
            for _ in range(20):
                assert (await served.get("/static/big.bin")).body == b"instead"
        if before:
            assert len(os.listdir("/proc/self/fd")) < before + 20

    run(test)
    assert not [warning for warning in recwarn if warning.category is ResourceWarning]


def test_a_tree_in_a_nested_application(root: Path, site: Any, run: Run) -> None:
    app = web.Application()
    inner = tree(root)
    app.add_subapp("/inner", inner)

    async def test() -> None:
        async with site(app) as served:
            assert (await served.get("/inner/static/hello.txt")).body == b"hello world"
            assert str(inner.router["static"].url_for(filename="x")) == "/inner/static/x"

    run(test)


def test_small_files_in_memory_need_no_thread(
    root: Path, site: Any, run: Run, settled: Callable[[], None]
) -> None:
    settled()

    async def test() -> None:
        async with site(tree(root)) as served:
            first = await served.get("/static/hello.txt")
            names = {thread.name for thread in threading.enumerate()}
            import asyncio

            def refuse(*_: Any) -> Any:
                raise AssertionError("a thread was asked for")

            loop: Any = asyncio.get_running_loop()
            original, loop.run_in_executor = loop.run_in_executor, refuse
            try:
                again = await served.get("/static/hello.txt")
            finally:
                loop.run_in_executor = original
            assert again.body == first.body
            assert {thread.name for thread in threading.enumerate()} == names

    run(test)


def test_an_index_that_is_kept_still_redirects_to_the_slash(
    root: Path, site: Any, run: Run, settled: Callable[[], None]
) -> None:
    (root / "index.html").write_text("<p>index</p>")
    (root / "sub" / "index.html").write_text("<p>below</p>")

    async def test() -> None:
        async with site(tree(root, index="index.html")) as server:
            settled()
            for path, text in (("/static", b"<p>index</p>"), ("/static/sub", b"<p>below</p>")):
                for _ in range(3):
                    answer = await server.get(f"{path}/")
                    assert (answer.status, answer.body) == (200, text)
                    answer = await server.get(path)
                    expected = f"./{path.rpartition('/')[2]}/"
                    assert (answer.status, answer.headers["Location"]) == (301, expected)

    run(test)
