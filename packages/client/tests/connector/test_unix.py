"""Unix sockets; named pipes as far as they can be shown without Windows."""

import asyncio
import ssl
import sys
from pathlib import Path

import pytest
from yarl import URL

from antiphon.client.connector.key import ConnectionKey
from antiphon.client.connector.unix import NamedPipeConnector, UnixConnector
from antiphon.client.errors import ClientConnectionError, ClientConnectorError

from .conftest import Runner, get, serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")


def test_any_host_is_the_socket(run: Runner, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "s"
        async with serving(path=path) as site, UnixConnector(path) as connector:
            for host in ("a", "b", "a"):
                assert (await get(connector, ConnectionKey(host, 80, False)))[0] == 200
            assert site.accepted == 2, "connections are still kept apart by host"
            assert connector.path == str(path)
            assert "unix" in connector.allowed_protocol_schema_set

    run(main())


def test_tls_over_a_unix_socket(
    run: Runner, tmp_path: Path, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async def main() -> None:
        path = tmp_path / "s"
        async with (
            serving(path=path, ssl=server_tls) as site,
            UnixConnector(str(path), limit=1) as connector,
        ):
            key = ConnectionKey("localhost", 443, True, trusting)
            assert (await get(connector, key))[0] == 200
            with pytest.raises(ClientConnectorError):
                await connector.connect(ConnectionKey("other.test", 443, True, trusting))
            assert site.accepted == 1

    run(main())


def test_a_missing_socket_is_named(run: Runner, tmp_path: Path) -> None:
    async def main() -> None:
        async with UnixConnector(tmp_path / "none") as connector:
            with pytest.raises(ClientConnectorError, match="none"):
                await connector.connect(ConnectionKey("h", 80, False))
            assert connector.stats().total == 0

    run(main())


def test_a_proxy_makes_no_sense(run: Runner, tmp_path: Path) -> None:
    async def main() -> None:
        async with UnixConnector(tmp_path / "s") as connector:
            key = ConnectionKey("h", 80, False, proxy=URL("http://p:1"))
            with pytest.raises(ClientConnectionError, match="proxy"):
                await connector.connect(key)

    run(main())


def test_pipes_need_a_loop_that_has_them(run: Runner) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="proactor"):
            NamedPipeConnector(r"\\.\pipe\x")

    run(main())
    connector = NamedPipeConnector(r"\\.\pipe\x")
    assert connector.path == r"\\.\pipe\x"

    async def later() -> None:
        with pytest.raises(RuntimeError, match="proactor"):
            await connector.connect(ConnectionKey("h", 80, False))
        await connector.close()

    run(later())


def test_a_loop_that_has_pipes(run: Runner, tmp_path: Path) -> None:
    """A loop with `create_pipe_connection`, here by way of a Unix socket."""

    class PipeLoop(asyncio.SelectorEventLoop):
        async def create_pipe_connection(self, factory, path):  # type: ignore[no-untyped-def]  # a stand-in for tests
            return await self.create_unix_connection(factory, str(tmp_path / path[-1]))

    async def main() -> None:
        async with serving(path=tmp_path / "s"), NamedPipeConnector(r"\\.\pipe\s") as connector:
            assert (await get(connector, ConnectionKey("h", 80, False)))[0] == 200
            assert (await get(connector, ConnectionKey("h", 80, False)))[0] == 200
            assert connector.stats().created == 1
        async with NamedPipeConnector(r"\\.\pipe\none") as connector:
            with pytest.raises(ClientConnectorError, match="none"):
                await connector.connect(ConnectionKey("h", 80, False))

    with asyncio.Runner(loop_factory=PipeLoop) as runner:
        runner.run(main())
