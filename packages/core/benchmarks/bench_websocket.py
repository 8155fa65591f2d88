"""What WebSocket frames cost: masking, reading, writing, inflating; websockets and wsproto beside.

``python packages/core/benchmarks/bench_websocket.py`` prints microseconds of CPU, the best of
several runs, and the number of Python calls of a small frame.
"""

import os
import sys
import time
import timeit
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side
from websockets.speedups import apply_mask as mask_in_c
from websockets.utils import apply_mask as mask_in_python
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage

from antiphon.core.websocket import _inner
from antiphon.core.websocket.connection import Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters, Deflater, Inflater
from antiphon.core.websocket.frames import WebSocketWriter

MASK_SIZES = (16, 64, 125, 256, 512, 1024, 2048, 4096, 16_384, 65_536, 262_144, 1 << 20)
FRAME_SIZES = (64, 1024, 65_536)


def best(work: Callable[[], object], number: int) -> float:
    """Microseconds of CPU for one call."""
    times = timeit.repeat(work, number=number, repeat=15, timer=time.thread_time)
    return min(times) / number * 1e6


def python_calls(work: Callable[[], object]) -> int:
    """Calls of Python functions, that of *work* left out."""
    count = -1

    def watch(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event == "call"

    work()
    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def table(title: str, rows: Mapping[str, Mapping[str, Callable[[], object]]], size_of: Any) -> None:
    """Print one line a size, one column an implementation."""
    names = list(next(iter(rows.values())))
    print(f"\n{title:>12}", *(f"{name:>20}" for name in names))
    for label, works in rows.items():
        number = max(1, 300_000 // (size_of(label) + 200))
        print(f"{label:>12}", *(f"{best(work, number):20.2f}" for work in works.values()))


def masks() -> None:
    """Where the two ways of masking meet, and how they stand."""

    def by_integer(data: bytes, key: bytes) -> bytes:
        size = len(data)
        mask = key * (size >> 2) + key[: size & 3]
        number = int.from_bytes(data, "little") ^ int.from_bytes(mask, "little")
        return number.to_bytes(size, "little")

    def by_tables(data: bytes, key: bytes) -> bytes:
        masked = bytearray(data)
        for at in range(4):
            masked[at::4] = masked[at::4].translate(_inner._XOR_TABLES[key[at]])
        return bytes(masked)

    ways = {
        "antiphon": _inner.xor_mask,
        "integer": by_integer,
        "tables": by_tables,
        "websockets (Python)": mask_in_python,
        "websockets (C)": mask_in_c,
    }
    key = os.urandom(4)
    rows = {}
    for size in MASK_SIZES:
        data = os.urandom(size)
        rows[str(size)] = {name: partial(way, data, key) for name, way in ways.items()}
    table("mask, bytes", rows, int)


def _first(
    works: Mapping[str, Callable[[], object]], count: int
) -> dict[str, Callable[[], object]]:
    return dict(list(works.items())[:count])


def frames() -> None:
    """One message in and out of a server."""
    reads: dict[str, dict[str, Callable[[], object]]] = {}
    writes: dict[str, dict[str, Callable[[], object]]] = {}
    for size in FRAME_SIZES:
        text = "x" * size
        wire = WebSocketWriter(Role.CLIENT).frame(0x81, text.encode())
        ours = WebSocketConnection(Role.SERVER)
        theirs = Protocol(Side.SERVER)
        third = Connection(ConnectionType.SERVER)

        def read(end: WebSocketConnection = ours, wire: bytes = wire) -> object:
            end.receive_data(wire)
            return end.next_event()

        def read_theirs(end: Protocol = theirs, wire: bytes = wire) -> object:
            end.receive_data(wire)
            return bytes(end.events_received()[0].data).decode()  # type: ignore[union-attr]  # a frame

        def read_third(end: Connection = third, wire: bytes = wire) -> object:
            end.receive_data(wire)
            return list(end.events())

        def write_theirs(end: Protocol = theirs, text: str = text) -> object:
            end.send_text(text.encode())
            return end.data_to_send()

        reads[str(size)] = {
            "antiphon": read,
            "websockets (C mask)": read_theirs,
            "wsproto": read_third,
        }
        writes[str(size)] = {
            "antiphon": partial(ours.send_message, text, text=True),
            "websockets (C mask)": write_theirs,
            "wsproto": partial(third.send, TextMessage(text)),
        }

        def read_alone(end: WebSocketConnection = ours, wire: bytes = wire) -> object:
            return end.receive_whole(wire) or read(end, wire)

        if size <= 125:
            reads[str(size)]["antiphon, alone"] = read_alone
    table("read, bytes", {label: _first(works, 3) for label, works in reads.items()}, int)
    table("write, bytes", writes, int)
    print("\nPython calls for 64 bytes")
    for name, rows in (("read", reads), ("write", writes)):
        print(f"{name:>12}", {who: python_calls(work) for who, work in rows["64"].items()})


def deflate() -> None:
    """One compressed message of JSON in and out."""
    data = b'{"id": 1234, "name": "somebody", "tags": ["a", "b"], "on": true}, ' * 60
    wire = Deflater(15, keep_context=False).compress(data)
    ours = Inflater(keep_context=False)
    theirs = PerMessageDeflate(True, True, 15, 15)
    end = WebSocketConnection(
        Role.SERVER, deflate=DeflateParameters(server_no_context_takeover=True)
    )
    third = Connection(ConnectionType.SERVER)
    table(
        "inflate",
        {
            str(len(data)): {
                "antiphon": lambda: ours.decompress(wire, 1 << 22, final=True),
                "websockets": lambda: theirs.decode(Frame(Opcode.BINARY, wire, rsv1=True)),
            }
        },
        int,
    )
    table(
        "deflate",
        {
            str(len(data)): {
                "antiphon": lambda: end.send_message(data, text=False, compress=True),
                "websockets": lambda: theirs.encode(Frame(Opcode.BINARY, data)),
                "wsproto, plain": lambda: third.send(BytesMessage(data)),
            }
        },
        int,
    )


if __name__ == "__main__":
    masks()
    frames()
    deflate()
