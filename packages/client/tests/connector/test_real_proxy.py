"""Tunnels through a proxy that others wrote: proxy.py, plain and over TLS."""

import base64
import os
import select
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from yarl import URL

from antiphon.client.connector.key import ConnectionKey
from antiphon.client.connector.tcp import TCPConnector
from antiphon.client.errors import ClientHttpProxyError

from .conftest import Runner, get, serving

pytest.importorskip("proxy", reason="proxy.py is not installed")
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the port comes through a FIFO")

LOGIN = (("Proxy-Authorization", "Basic " + base64.b64encode(b"user:pass").decode()),)
STARTING = 60.0
"""Seconds that the proxy may take to start; it takes one or two."""


@pytest.fixture(scope="module", params=["http", "https"])
def proxy_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA
) -> Iterator[URL]:
    directory = tmp_path_factory.mktemp("proxy")
    port_pipe = directory / "port"
    os.mkfifo(port_pipe)
    command = [
        *(sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", "0"),
        *("--num-acceptors", "1", "--num-workers", "1", "--basic-auth", "user:pass"),
        *("--log-level", "e", "--port-file", str(port_pipe), "--data-dir", str(directory / "d")),
    ]
    if request.param == "https":
        leaf = authority.issue_cert("127.0.0.1")
        (directory / "key.pem").write_bytes(leaf.private_key_pem.bytes())
        (directory / "cert.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
        command += ["--key-file", str(directory / "key.pem")]
        command += ["--cert-file", str(directory / "cert.pem")]
    process = subprocess.Popen(command)
    try:
        yield URL.build(scheme=request.param, host="127.0.0.1", port=_port(port_pipe))
    finally:
        process.terminate()
        process.wait()


def _port(pipe: Path) -> int:
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert select.select([descriptor], [], [], STARTING)[0], "the proxy did not start"
        return int(os.read(descriptor, 100).split()[0])
    finally:
        os.close(descriptor)


def test_tls_through_it(
    run: Runner, proxy_url: URL, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with serving(ssl=server_tls) as site, TCPConnector(ssl=trusting) as connector:
            key = ConnectionKey("localhost", site.port, True, proxy=proxy_url, proxy_headers=LOGIN)
            for _ in range(3):
                assert await get(connector, key) == (200, b"hi")
            assert site.accepted == 1
            assert all(b"Proxy-" not in head for head in site.heads), "CVE-2023-32681"

    run(main())


def test_without_a_login(
    run: Runner, proxy_url: URL, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with serving(ssl=server_tls) as site, TCPConnector(ssl=trusting) as connector:
            key = ConnectionKey("localhost", site.port, True, proxy=proxy_url)
            with pytest.raises(ClientHttpProxyError) as info:
                await connector.connect(key)
            assert info.value.status == 407
            assert connector.stats().total == 0

    run(main())
