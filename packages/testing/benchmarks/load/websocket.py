"""Exchanges WebSocket messages over 16 connections and prints how many came back.

All frames are made beforehand, masked and compressed, and of what comes back only the lengths
are read: this program must not be what limits the server.
"""

import argparse
import base64
import json
import os
import random
import selectors
import socket
import struct
import zlib

CONNECTIONS = 16


class Talker:
    """One connection, which has one message under way at a time."""

    def __init__(self, connection: socket.socket, frame: bytes) -> None:
        self.connection = connection
        self._frame = frame
        self._got = bytearray()
        self._unsent = memoryview(frame)
        self.echoes = 0
        self.least = 1 << 62
        """Bytes of the smallest payload that came back."""

    @property
    def busy_sending(self) -> bool:
        """Whether some of the message has not left yet."""
        return bool(self._unsent)

    def send(self) -> None:
        """Send as much of the message as the socket takes."""
        try:
            self._unsent = self._unsent[self.connection.send(self._unsent) :]
        except BlockingIOError:
            return

    def receive(self) -> None:
        """Take what came; a message that is whole is answered with the next."""
        got = self._got
        data = self.connection.recv(262144)
        if not data:
            raise SystemExit("the server closed a connection")
        got += data
        while (size := _frame_size(got)) is not None:
            header, payload = size
            opcode, final = got[0] & 15, got[0] & 128
            del got[: header + payload]
            if opcode > 2:
                continue  # a ping; the peers here do not insist within a minute
            self.least = min(self.least, payload)
            if final:
                self.echoes += 1
                self._unsent = memoryview(self._frame)
                self.send()


def _frame_size(data: bytearray) -> tuple[int, int] | None:
    if len(data) < 2:
        return None
    length, header = data[1] & 127, 2
    if length == 126:
        header = 4
        if len(data) >= 4:
            (length,) = struct.unpack_from("!H", data, 2)
    elif length == 127:
        header = 10
        if len(data) >= 10:
            (length,) = struct.unpack_from("!Q", data, 2)
    if len(data) < header or len(data) < header + length:
        return None
    return header, length


def masked_frame(payload: bytes, *, compressed: bool) -> bytes:
    """A binary message in one frame, as a client sends it (RFC 6455 section 5, RFC 7692)."""
    first = 0x82
    if compressed:
        maker = zlib.compressobj(6, zlib.DEFLATED, -15)
        payload = (maker.compress(payload) + maker.flush(zlib.Z_SYNC_FLUSH))[:-4]
        first |= 0x40
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0xFE, size)
    else:
        head = struct.pack("!BBQ", first, 0xFF, size)
    mask = os.urandom(4)
    pad = mask * (size // 4 + 1)
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(pad[:size], "big")
    return head + mask + hidden.to_bytes(size, "big")


def shake_hands(port: int, path: str, *, compressed: bool) -> socket.socket:
    """Open a connection and change it to a WebSocket."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    fields = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if compressed else ""
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(4096)
        if not data:
            break
        answer += data
    if not answer.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"no WebSocket: {answer[:200]!r}")
    if compressed and b"permessage-deflate" not in answer:
        raise SystemExit("the server does not compress")
    connection.setblocking(False)
    return connection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--size", type=int, required=True, help="bytes of a message")
    parser.add_argument("--count", type=int, required=True, help="messages in all")
    parser.add_argument("--compressed", action="store_true")
    wanted = parser.parse_args()
    words = [b"message", b"number", b"content", b"hello", b"world", b"0123456789", b"event"]
    chosen = random.Random(1).choices(words, k=wanted.size)
    frame = masked_frame(b" ".join(chosen)[: wanted.size], compressed=wanted.compressed)
    talkers = []
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = shake_hands(wanted.port, wanted.path, compressed=wanted.compressed)
            talker = Talker(connection, frame)
            talkers.append(talker)
            talker.send()
            selector.register(connection, selectors.EVENT_READ, talker)
        while sum(talker.echoes for talker in talkers) < wanted.count:
            ready = selector.select(30)
            if not ready:
                raise SystemExit("the server says nothing any more")
            for key, events in ready:
                talker = key.data
                if events & selectors.EVENT_WRITE:
                    talker.send()
                if events & selectors.EVENT_READ:
                    talker.receive()
                wants = selectors.EVENT_READ
                if talker.busy_sending:
                    wants |= selectors.EVENT_WRITE
                if wants != key.events:
                    selector.modify(talker.connection, wants, talker)
    least = min(talker.least for talker in talkers)
    if wanted.compressed and least >= wanted.size:
        raise SystemExit(f"messages of {wanted.size} bytes came back as {least}: not compressed")
    if not wanted.compressed and least != wanted.size:
        raise SystemExit(f"messages of {wanted.size} bytes came back as {least}")
    print(json.dumps({"messages": sum(talker.echoes for talker in talkers)}))


if __name__ == "__main__":
    main()
