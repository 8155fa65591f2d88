"""Cost of HTTP/1.1 heads and responses, next to httptools driven from Python.

Run it by itself: ``python packages/core/benchmarks/bench_http1.py``. CPU time of this process,
best of many short rounds, one line per case. "new section" means a header section that differs
from the one before it, so that nothing remembered helps.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from multidict import CIMultiDict

from antiphon.core.http import RequestHead
from antiphon.core.http1 import Http1Connection, HttpResponseParser, Role
from antiphon.core.http1._inner import encode_lines, field_lines

SMALL = (
    b"GET /plaintext HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n"
)
BROWSER = (
    b"GET /articles/2026/11?page=2 HTTP/1.1\r\n"
    b"Host: example.com\r\n"
    b"Connection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"\r\n'
    b"sec-ch-ua-mobile: ?0\r\n"
    b'sec-ch-ua-platform: "Linux"\r\n'
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/142.0.0.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Sec-Fetch-Site: same-origin\r\n"
    b"Sec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-User: ?1\r\n"
    b"Sec-Fetch-Dest: document\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    b"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n"
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Date: Sun, 22 Nov 2026 11:00:00 GMT\r\nServer: Python/3.12 antiphon\r\n\r\nok"
)
RESPONSE_HEAD = RESPONSE.partition(b"\r\n\r\n")[0] + b"\r\n"
DEFAULTS = b"Date: Sun, 22 Nov 2026 11:00:00 GMT\r\nServer: Python/3.12 antiphon\r\n"

EIGHT: CIMultiDict[str] = CIMultiDict({
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "max-age=3600, public",
    "ETag": '"0123456789abcdef"',
    "Last-Modified": "Sun, 22 Nov 2026 11:00:00 GMT",
    "Vary": "Accept-Encoding",
    "X-Request-Id": "0123456789abcdef0123456789abcdef",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
})

ROUNDS = 400
COUNT = 100


def best(cases: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Microseconds of CPU time for one of the `COUNT` things that each case does.

    Short rounds in turns, and the best of each: a busy machine disturbs some of them, not all.
    """
    times = dict.fromkeys(cases, float("inf"))
    for _ in range(ROUNDS):
        for name, run in cases.items():
            start = time.process_time_ns()
            run()
            times[name] = min(times[name], time.process_time_ns() - start)
    return {name: round(figure / COUNT / 1000, 2) for name, figure in times.items()}


def parse(head: bytes, *, repeated: bool) -> Callable[[], None]:
    """Take heads one by one as a server does; the response is not made."""
    wires = [head + (b"" if repeated else b"X-N: %d\r\n" % (i % 7)) + b"\r\n" for i in range(8)]

    def run() -> None:
        connection = Http1Connection(Role.SERVER)
        idle = connection._ours
        receive, receive_request = connection.receive_data, connection.receive_request
        for i in range(COUNT):
            if receive_request(wires[i & 7]) is None:
                receive(wires[i & 7])
                connection.next_event()
            connection._ours = connection._theirs = idle

    return run


def parse_httptools(head: bytes) -> Callable[[], None]:
    import httptools

    class Callbacks:
        def __init__(self) -> None:
            self.headers: list[tuple[bytes, bytes]] = []

        def on_message_begin(self) -> None:
            self.headers = []

        def on_url(self, url: bytes) -> None:
            self.url = url

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name, value))

        def on_headers_complete(self) -> None:
            self.method = parser.get_method()
            self.version = parser.get_http_version()
            self.keep_alive = parser.should_keep_alive()

        def on_message_complete(self) -> None:
            pass

    callbacks = Callbacks()
    parser = httptools.HttpRequestParser(callbacks)
    wire = head + b"\r\n"

    def run() -> None:
        for _ in range(COUNT):
            parser.feed_data(wire)

    return run


def parse_response(head: bytes) -> Callable[[], None]:
    """Take response heads one by one; none is the one before it."""
    wires = [head + b"X-N: %d\r\n\r\n" % i for i in range(8)]

    def run() -> None:
        parser = HttpResponseParser()
        for i in range(COUNT):
            parser.feed_data(wires[i & 7])
            parser.next_event()
            parser._decoder = None  # its content has come

    return run


def parse_response_httptools(head: bytes) -> Callable[[], None]:
    import httptools

    class Callbacks:
        def __init__(self) -> None:
            self.headers: list[tuple[bytes, bytes]] = []

        def on_message_begin(self) -> None:
            self.headers = []

        def on_status(self, status: bytes) -> None:
            self.reason = status

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name, value))

        def on_headers_complete(self) -> None:
            self.status = parser.get_status_code()
            self.keep_alive = parser.should_keep_alive()

    callbacks = Callbacks()
    parser = httptools.HttpResponseParser(callbacks)
    wire = head + b"X-N: 1\r\n\r\nok"

    def run() -> None:
        for _ in range(COUNT):
            parser.feed_data(wire)

    return run


class Deaf:
    """What aiohttp's parsers and writers want of a protocol: it does nothing."""

    transport: Any = None
    writing_paused = False

    def pause_reading(self, *args: object, **kwargs: object) -> None:
        """Go on."""

    resume_reading = pause_reading


def parse_aiohttp(wire: bytes, kind: str) -> Callable[[], None]:
    """aiohttp's parsers in C: they make the mapping of fields too."""
    import aiohttp.http

    loop = asyncio.new_event_loop()
    parser = getattr(aiohttp.http, kind)(Deaf(), loop, 2**16)

    def run() -> None:
        for _ in range(COUNT):
            parser.feed_data(wire)

    return run


class Sink(asyncio.Transport):
    """A transport that forgets."""

    def write(self, data: object) -> None:
        """Forget *data*."""

    def is_closing(self) -> bool:
        return False


def write_aiohttp() -> Callable[[], None]:
    """A head of eight fields by aiohttp's serialiser in C."""
    import aiohttp.http

    loop = asyncio.new_event_loop()
    deaf = Deaf()
    deaf.transport = Sink()

    def run() -> None:
        for _ in range(COUNT):
            writer = aiohttp.http.StreamWriter(deaf, loop)  # type: ignore[arg-type]  # it will do
            try:
                writer.write_headers("HTTP/1.1 200 OK", EIGHT).send(None)
            except StopIteration:
                writer.send_headers()

    return run


def write_fields() -> None:
    """The same fields by ours: as text, put together, checked and encoded."""
    for _ in range(COUNT):
        text, count, _ = field_lines(EIGHT.items())
        encode_lines(f"HTTP/1.1 200 OK\r\n{text}", count + 1) + b"\r\n"


def respond() -> None:
    connection = Http1Connection(Role.SERVER)
    send = type(connection._ours).SEND_RESPONSE
    headers = CIMultiDict({"Content-Type": "text/plain; charset=utf-8"})
    for _ in range(COUNT):
        connection._ours = send
        connection.respond_complete(200, headers, b"Hello, World!", default_fields=DEFAULTS)


def cycle() -> None:
    connection = Http1Connection(Role.SERVER)
    headers = CIMultiDict({"Content-Type": "text/plain; charset=utf-8"})
    wire = SMALL + b"\r\n"
    for _ in range(COUNT):
        connection.receive_data(wire)
        connection.next_event()
        connection.respond_complete(200, headers, b"Hello, World!", default_fields=DEFAULTS)
        connection.start_next_cycle()


def mapping() -> None:
    connection = Http1Connection(Role.SERVER)
    connection.receive_data(BROWSER + b"\r\n")
    head: Any = connection.next_event()
    for _ in range(COUNT):
        head._headers = None
        _ = head.headers


def client_cycle() -> None:
    connection = Http1Connection(Role.CLIENT)
    headers = CIMultiDict({"Accept": "*/*", "User-Agent": "antiphon"})
    for _ in range(COUNT):
        head = RequestHead(method="GET", target="/a", authority="localhost:80", headers=headers)
        connection.open(head)
        connection.receive_data(RESPONSE)
        connection.next_event()
        connection.next_event()
        connection.next_event()
        connection.start_next_cycle()


def main() -> None:
    cases: dict[str, Callable[[], Any]] = {
        "small head, repeated": parse(SMALL, repeated=True),
        "small head, new section": parse(SMALL, repeated=False),
        "browser head, repeated": parse(BROWSER, repeated=True),
        "browser head, new section": parse(BROWSER, repeated=False),
        "browser fields as a mapping": mapping,
        "response head, new section": parse_response(RESPONSE_HEAD),
        "eight fields written": write_fields,
        "respond_complete": respond,
        "server cycle, small": cycle,
        "client cycle, small": client_cycle,
    }
    if find_spec("aiohttp") is not None:
        cases["aiohttp (C) browser head"] = parse_aiohttp(BROWSER + b"\r\n", "HttpRequestParser")
        cases["aiohttp (C) response"] = parse_aiohttp(RESPONSE, "HttpResponseParser")
        cases["aiohttp (C) eight fields written"] = write_aiohttp()
    try:
        cases["httptools small head"] = parse_httptools(SMALL)
        cases["httptools browser head"] = parse_httptools(BROWSER)
        cases["httptools response head"] = parse_response_httptools(RESPONSE_HEAD)
    except ImportError:
        print("httptools is not installed: nothing to compare with", file=sys.stderr)
    figures = best(cases)
    if "--json" in sys.argv:
        print(json.dumps(figures))
        return
    for name, figure in figures.items():
        print(f"{figure:8.2f} us  {name}")


if __name__ == "__main__":
    main()
