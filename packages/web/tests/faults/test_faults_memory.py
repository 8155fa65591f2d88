"""What many clients, large contents and slow peers cost the server: its memory grows by less than
32 MB, and it says nothing."""

import contextlib
import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

BOUND = 32 * 1024**2
LIMIT = 120.0


def until(condition: Callable[[], bool]) -> None:
    """Ask the other process again and again: nothing tells us."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.02)


def stats(served: Any) -> Any:
    return json.loads(served.ask("/stats"))


def only_the_asker_is_left(served: Any) -> bool:
    return bool(stats(served)["connections"] == 1)


def connections(served: Any, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    return [stack.enter_context(served.connect()) for _ in range(count)]


def answer(peer: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"hello"):
        data = peer.recv(65536)
        assert data, got
        got += data
    return got


def test_a_gigabyte_to_a_slow_handler(service: Any) -> None:
    size = 1024**3
    with service() as served, served.connect() as peer:
        served.ask()
        served.remember_memory()
        peer.sendall(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        block = memoryview(bytes(1024**2))
        for _ in range(1024):
            peer.sendall(block)
        got = b""
        while not got.endswith(str(size).encode()):
            data = peer.recv(65536)
            assert data, got
            got += data
        assert served.growth() < BOUND


def test_endless_streams_to_readers_that_do_not_read(service: Any) -> None:
    with service() as served, contextlib.ExitStack() as stack:
        served.ask("/stats")
        served.remember_memory()
        for peer in connections(served, 100, stack):
            peer.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: stats(served)["connections"] == 101)
        seen = [-1]

        def stands_still() -> bool:
            time.sleep(0.3)
            seen.append(stats(served)["written"])
            return bool(seen[-1] > 0 and seen[-1] == seen[-2])

        until(stands_still)
        assert served.growth() < BOUND
    # What was begun is cut at the stop, which the service's end has seen.


def test_thousands_of_connections_at_once(service: Any, many: int) -> None:
    with service() as served, contextlib.ExitStack() as stack:
        served.ask()
        served.remember_memory()
        peers = connections(served, many, stack)
        for peer in peers:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for peer in peers:
            answer(peer)
        assert stats(served)["connections"] == many + 1
        assert served.growth() < BOUND
        for peer in peers:
            peer.close()
        until(lambda: only_the_asker_is_left(served))


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"408", id="slow-loris heads"),
        pytest.param(
            b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx",
            b"408",
            id="slow contents",
        ),
    ],
)
def test_thousands_of_slow_clients(service: Any, many: int, begin: bytes, status: bytes) -> None:
    with service(patience=5.0) as served, contextlib.ExitStack() as stack:
        served.ask()
        served.remember_memory()
        peers = connections(served, many // 2, stack)
        for peer in peers:
            peer.sendall(begin)
        served.ask()
        until(lambda: only_the_asker_is_left(served))
        assert served.growth() < BOUND
        for peer in peers:
            assert peer.recv(65536)[9:12] == status


@pytest.mark.parametrize("path", ["/", "/wait", "/endless"])
def test_thousands_of_clients_that_reset(service: Any, many: int, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with service() as served:
        served.ask()
        served.remember_memory()
        # Each endless stream holds some 400 KB while it lives: what counts here is what is left.
        at_once = 40 if path == "/endless" else many // 8
        for _ in range(max(1, many // at_once // 4)):
            with contextlib.ExitStack() as stack:
                peers = connections(served, at_once, stack)
                for peer in peers:
                    peer.sendall(request)
                for peer in peers:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            until(lambda: only_the_asker_is_left(served))
        assert served.growth() < BOUND
