"""Fetches large responses over four connections and prints how many came whole."""

import argparse
import json
import socket
import threading


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--size", type=int, required=True, help="bytes of content that are right")
    parser.add_argument("--count", type=int, required=True, help="requests in all")
    wanted = parser.parse_args()
    head = f"GET {wanted.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    got: list[int] = []

    def fetch(count: int) -> None:
        with socket.create_connection(("127.0.0.1", wanted.port), timeout=120) as connection:
            for _ in range(count):
                connection.sendall(head)
                got.append(_answer(connection, wanted.size))

    threads = [threading.Thread(target=fetch, args=(wanted.count // 4,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(got) < wanted.count or any(size < wanted.size for size in got):
        raise SystemExit(f"{wanted.count} responses of {wanted.size} bytes were asked for: {got}")
    print(json.dumps({"requests": len(got)}))


def _answer(connection: socket.socket, expected: int) -> int:
    """Read one response to its end; return the bytes behind its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection.recv(65536))
    head, _, content = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"refused: {head[:100]!r}")
    chunked = b"chunked" in head.lower()
    size = len(content)
    last = content[-5:]
    buffer = bytearray(1024 * 1024)
    view = memoryview(buffer)
    while size < expected or (chunked and last != b"0\r\n\r\n"):
        count = connection.recv_into(buffer)
        if not count:
            raise SystemExit("the server closed the connection")
        size += count
        last = (last + bytes(view[max(0, count - 5) : count]))[-5:]
    return size


def _received(data: bytes) -> bytes:
    if not data:
        raise SystemExit("the server closed the connection")
    return data


main()
