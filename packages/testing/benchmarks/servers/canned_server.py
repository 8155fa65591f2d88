"""What clients are measured against: canned bytes, uploads counted, frames sent back.

It speaks as much of HTTP and WebSocket as the clients of this benchmark need, and
checks nothing: it is the load here.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import re
from typing import cast

from _start import JSON_ANSWER, PLAIN, run

PIECE = bytes(64 * 1024)
PIECES = 1600


def _answer(content: bytes, media_type: str) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n"
        b"Date: Sun, 22 Nov 2026 11:00:00 GMT\r\nServer: canned\r\n\r\n"
        % (media_type.encode(), len(content))
    ) + content


PLAINTEXT = _answer(PLAIN.encode(), "text/plain; charset=utf-8")
ANSWERS = {
    b"/plaintext": PLAINTEXT,
    b"/upload": PLAINTEXT,
    b"/json": _answer(json.dumps(JSON_ANSWER).encode(), "application/json"),
    b"/64k": _answer(PIECE, "application/octet-stream"),
}
DOWNLOAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"
    % (PIECES * len(PIECE))
)

_LENGTH = re.compile(rb"(?i)\r\ncontent-length:\s*(\d+)")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:\s*chunked")
_KEY = re.compile(rb"(?i)\r\nsec-websocket-key:\s*(\S+)")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_LAST_CHUNK = b"0\r\n\r\n"


class Canned(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self.take = self.take_head
        self.held = b""
        self.answer = b""
        self.left = 0  # bytes of content to come, or pieces to be sent
        self.writing = True

    def data_received(self, data: bytes) -> None:
        self.take(data)

    def take_head(self, data: bytes) -> None:
        if self.held:
            data = self.held + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self.held = data
            return
        self.held = b""
        start = data.index(b" ") + 1
        path = data[start : data.index(b" ", start)]
        if path == b"/100m":
            self.transport.write(DOWNLOAD)
            self.left = PIECES
            self.send_pieces()
            return
        if path == b"/ws":
            self.switch(data[:end])
            return
        self.answer = ANSWERS[path]
        if data[0] == 71:  # GET
            self.transport.write(self.answer)
            return
        head = data[:end]
        length = _LENGTH.search(head)
        if length is not None:
            self.left = int(length[1])
            self.take = self.take_content
        elif _CHUNKED.search(head) is not None:
            self.take = self.take_chunks
        else:
            self.transport.write(self.answer)
            return
        self.take(data[end:])

    def take_content(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left <= 0:
            self.finish()

    def take_chunks(self, data: bytes) -> None:
        # The content of this benchmark's uploads is zeros, which nothing else can be taken for.
        self.held = (self.held + data)[-len(_LAST_CHUNK) :]
        if self.held == _LAST_CHUNK:
            self.finish()

    def finish(self) -> None:
        self.held = b""
        self.take = self.take_head
        self.transport.write(self.answer)

    # -- download

    def send_pieces(self) -> None:
        while self.left and self.writing:
            self.left -= 1
            self.transport.write(PIECE)

    def pause_writing(self) -> None:
        self.writing = False

    def resume_writing(self) -> None:
        self.writing = True
        self.send_pieces()

    # -- WebSocket: whole frames of less than 126 bytes, masked, are sent back unmasked

    def switch(self, head: bytes) -> None:
        key = _KEY.search(head)
        assert key is not None
        accept = base64.b64encode(hashlib.sha1(key[1] + _GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.take = self.take_frames

    def take_frames(self, data: bytes) -> None:
        if self.held:
            data = self.held + data
        position = 0
        out = []
        while len(data) - position >= 6 and (
            len(data) - position >= (size := data[position + 1] & 127) + 6
        ):
            start = position + 6
            mask = (data[position + 2 : start] * (size // 4 + 1))[:size]
            content = int.from_bytes(data[start : start + size], "big")
            content ^= int.from_bytes(mask, "big")
            out.append(bytes((data[position], size)) + content.to_bytes(size, "big"))
            if data[position] & 15 == 8:
                self.transport.write(b"".join(out))
                self.transport.close()
                return
            position = start + size
        self.held = data[position:]
        if out:
            self.transport.write(b"".join(out))


async def serve(wanted: argparse.Namespace) -> None:
    await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", wanted.port, backlog=2048)


run(serve)
