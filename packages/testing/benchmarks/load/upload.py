"""Sends large requests over two connections and prints how many were answered with their size."""

import argparse
import json
import socket
import threading


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--size", type=int, required=True, help="bytes of content")
    parser.add_argument("--count", type=int, required=True, help="requests in all")
    wanted = parser.parse_args()
    content = memoryview(bytes(wanted.size))
    head = (
        f"POST {wanted.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {wanted.size}\r\n"
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    answered: list[bool] = []

    def send(count: int) -> None:
        with socket.create_connection(("127.0.0.1", wanted.port), timeout=120) as connection:
            for _ in range(count):
                connection.sendall(head)
                connection.sendall(content)
                answered.append(_answer(connection) == str(wanted.size).encode())

    threads = [threading.Thread(target=send, args=(wanted.count // 2,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(answered) < wanted.count or not all(answered):
        raise SystemExit(f"{sum(answered)} of {wanted.count} uploads were answered as they should")
    print(json.dumps({"requests": len(answered)}))


def _answer(connection: socket.socket) -> bytes:
    """Read one response, whose content is announced by its length or comes in one chunk."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, content = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    if not lines[0].startswith(b"http/1.1 200"):
        raise SystemExit(f"refused: {lines[0]!r}")
    for line in lines:
        if line.startswith(b"content-length:"):
            length = int(line[15:])
            while len(content) < length:
                content += _received(connection)
            return content
    while not content.endswith(b"0\r\n\r\n"):
        content += _received(connection)
    return content.split(b"\r\n")[1]


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise SystemExit("the server closed the connection")
    return data


main()
