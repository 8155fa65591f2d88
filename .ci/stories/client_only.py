"""Fetch a page from the standard library's server with antiphon-client alone."""

import asyncio
import functools
import http.server
import pathlib
import tempfile
import threading

from antiphon.client import ClientSession


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


async def fetch(url: str) -> tuple[int, str]:
    async with ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "hello.txt").write_text("hello, client\n")
        handler = functools.partial(Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            answer = asyncio.run(fetch(f"http://127.0.0.1:{server.server_port}/hello.txt"))
            server.shutdown()
    if answer != (200, "hello, client\n"):
        raise SystemExit(f"unexpected answer: {answer}")
    print("client alone:", answer)


main()
