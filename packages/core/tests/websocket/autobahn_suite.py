"""The Autobahn test suite against both ends of `WebSocketChannel`; not collected by pytest.

``python autobahn_suite.py WSTEST [CASE ...]`` runs everything or the cases named (``6.*``), where
WSTEST is the program of the PyPI package ``autobahntestsuite``, which wants Python 2.7:

    virtualenv -p python2.7 ab && ab/bin/pip install autobahntestsuite==25.10.1
    python packages/core/tests/websocket/autobahn_suite.py ab/bin/wstest

The exit status tells whether every case was OK. Sections 9, 12 and 13 move much data; cases 7.1.6
and 7.13 are informational by the suite's own word.
"""

import asyncio
import json
import pathlib
import socket
import sys
import tempfile

from multidict import CIMultiDict

from antiphon.core.aio.channel import WebSocketChannel
from antiphon.core.aio.client_protocol import http_client_protocol
from antiphon.core.aio.exchange import ServerExchange
from antiphon.core.aio.server import HttpServer
from antiphon.core.http import RequestHead
from antiphon.core.websocket.connection import Role, WebSocketConnection
from antiphon.core.websocket.deflate import DeflateParameters
from antiphon.core.websocket.handshake import ClientHandshake, check_response, negotiate
from antiphon.core.websocket.models import WSMessage, WSMsgType

HOST = "127.0.0.1"
OFFER = DeflateParameters()
PASSED = {"OK", "INFORMATIONAL"}
LARGEST = 64 * 1024 * 1024


async def echo(channel: WebSocketChannel) -> None:
    """Send everything back until the peer has had enough."""
    while True:
        message: WSMessage = await channel.receive()
        if message.type is WSMsgType.TEXT:
            await channel.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await channel.send_bytes(message.data)
        else:
            break
    await channel.close()


async def serve(exchange: ServerExchange) -> None:
    """Answer a client of the suite."""
    head = exchange.head
    answer = negotiate(head.method, head.headers, deflate=OFFER)
    below = exchange.upgrade(101, answer.headers)
    connection = WebSocketConnection(Role.SERVER, max_msg_size=LARGEST, deflate=answer.deflate)
    await echo(WebSocketChannel(below, connection))


async def connect(port: int, target: str) -> WebSocketChannel:
    """Connect to a server of the suite."""
    loop = asyncio.get_running_loop()
    _, http = await loop.create_connection(http_client_protocol, HOST, port)
    asked = ClientHandshake(deflate=OFFER)
    exchange = http.open(
        RequestHead(
            method="GET",
            target=target,
            authority=f"{HOST}:{port}",
            headers=CIMultiDict(asked.headers()),
            upgrade="websocket",
        )
    )
    response = await exchange.response()
    _, agreed = check_response(asked, response.code, response.headers)
    connection = WebSocketConnection(Role.CLIENT, max_msg_size=LARGEST, deflate=agreed)
    return WebSocketChannel(exchange.upgrade(), connection)


async def ask(port: int, target: str) -> str:
    """Return the one message that *target* has to say."""
    channel = await connect(port, target)
    message = await channel.receive(30)
    await channel.close()
    return str(message.data)


def free_port() -> int:
    """Return a port that nobody listens at, for the suite's server."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def wait_for_port(port: int) -> None:
    """Wait until something listens."""
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise TimeoutError(f"Nothing listens at port {port}")


def spec(folder: pathlib.Path, cases: list[str], **more: object) -> str:
    """Write what the suite wants to know; return the file's name."""
    settings = {"outdir": str(folder), "cases": cases, "exclude-cases": [], **more}
    path = folder / "spec.json"
    path.write_text(json.dumps(settings | {"exclude-agent-cases": {}}))
    return str(path)


async def as_server(wstest: str, cases: list[str], folder: pathlib.Path) -> None:
    """Let the suite's client loose on our server."""
    loop = asyncio.get_running_loop()
    http = HttpServer(serve)
    server = await loop.create_server(http, HOST, 0)
    url = f"ws://{HOST}:{server.sockets[0].getsockname()[1]}"
    file = spec(folder, cases, servers=[{"agent": "antiphon-server", "url": url}])
    suite = await asyncio.create_subprocess_exec(
        wstest, "-m", "fuzzingclient", "-s", file, stdout=asyncio.subprocess.DEVNULL
    )
    await suite.wait()
    server.close()
    http.abort()


async def as_client(wstest: str, cases: list[str], folder: pathlib.Path, port: int) -> None:
    """Let our client loose on the suite's server."""
    file = spec(folder, cases, url=f"ws://{HOST}:{port}")
    suite = await asyncio.create_subprocess_exec(
        wstest, "-m", "fuzzingserver", "-u", "0", "-s", file, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_for_port(port)
        count = int(await ask(port, "/getCaseCount"))
        for number in range(1, count + 1):
            await echo(await connect(port, f"/runCase?case={number}&agent=antiphon-client"))
        channel = await connect(port, "/updateReports?agent=antiphon-client")
        await channel.receive(60)
        await channel.close()
    finally:
        suite.terminate()
        await suite.wait()


def report(folder: pathlib.Path) -> bool:
    """Say what came of it."""
    passed = True
    for agent, results in json.loads((folder / "index.json").read_text()).items():
        tally: dict[str, int] = {}
        for case, result in results.items():
            verdicts = result["behavior"], result["behaviorClose"]
            for verdict in set(verdicts):
                tally[verdict] = tally.get(verdict, 0) + 1
            if not PASSED.issuperset(verdicts):
                passed = False
                print(f"{agent} {case}: {verdicts[0]}, close: {verdicts[1]}")
        print(f"{agent}: {len(results)} cases, {tally}")
    return passed


async def main(wstest: str, cases: list[str]) -> int:
    """Run both roles."""
    passed = []
    for role in ("server", "client"):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            if role == "server":
                await as_server(wstest, cases, folder)
            else:
                await as_client(wstest, cases, folder, free_port())
            passed.append(report(folder))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:] or ["*"])))
