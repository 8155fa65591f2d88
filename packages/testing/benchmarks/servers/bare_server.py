"""The floor: an asyncio.Protocol that answers canned bytes and parses nothing."""

import argparse
import asyncio

from _start import PLAIN, run

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n"
    b"Date: Sun, 22 Nov 2026 11:00:00 GMT\r\nServer: bare\r\n\r\n" + PLAIN.encode()
)


class Canned(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        # Every scenario's requests come whole; content of POST has no empty line in it.
        self.transport.write(ANSWER * data.count(b"\r\n\r\n"))


async def serve(wanted: argparse.Namespace) -> None:
    await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", wanted.port)


run(serve)
