"""HTTP proxies: forwarding, tunnels, TLS inside TLS, and proxies that break the rules."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from yarl import URL

from antiphon.client.connector.key import ConnectionKey
from antiphon.client.connector.proxy import check_proxy_url
from antiphon.client.connector.tcp import TCPConnector
from antiphon.client.errors import (
    ClientConnectorCertificateError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ConnectionTimeoutError,
    InvalidURL,
)
from antiphon.client.options import ClientTimeout, Fingerprint

from .conftest import HI, Runner, Site, ask, get, serving

SiteHandler = Callable[[Site, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def tunnel(site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proxy as it should be: connects where CONNECT says and passes bytes both ways."""
    head = await reader.readuntil(b"\r\n\r\n")
    site.heads.append(head)
    port = int(head.split(b" ")[1].rpartition(b":")[2])
    there_reader, there = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    try:
        await asyncio.gather(_pass(reader, there), _pass(there_reader, writer))
    finally:
        there.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


def answering(answer: bytes, then_close: bool = False) -> SiteHandler:
    """A proxy that answers every request with these bytes."""

    async def handler(
        site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        site.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if not then_close:
            await reader.read()

    return handler


def through(proxy: Site, port: int, scheme: str = "http", **more: Any) -> ConnectionKey:
    host = more.pop("host", "localhost")
    return ConnectionKey(
        host,
        port,
        more.pop("is_ssl", True),
        scheme=more.pop("target_scheme", ""),
        proxy=URL.build(scheme=scheme, host=more.pop("proxy_host", "127.0.0.1"), port=proxy.port),
        **more,
    )


class TestTunnels:
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_tls_through_a_proxy(
        self, run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext, scheme: str
    ) -> None:
        """With an https proxy this is TLS inside TLS."""

        async def main() -> None:
            proxy_tls = {"ssl": server_tls} if scheme == "https" else {}
            async with (
                serving(ssl=server_tls) as site,
                serving(tunnel, **proxy_tls) as proxy,
                TCPConnector(ssl=trusting) as connector,
            ):
                key = through(
                    proxy, site.port, scheme, proxy_headers=(("Proxy-Authorization", "Basic x"),)
                )
                for _ in range(3):
                    assert await get(connector, key) == (200, b"hi")
                assert proxy.accepted == site.accepted == 1
                (head,) = proxy.heads
                assert head.startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % site.port)
                assert b"\r\nHost: localhost:%d\r\n" % site.port in head
                assert b"\r\nProxy-Authorization: Basic x\r\n" in head
                assert all(b"Proxy-" not in head for head in site.heads), "CVE-2023-32681"

        run(main())

    def test_a_plain_websocket_goes_through_a_tunnel(self, run: Runner) -> None:
        async def main() -> None:
            async with (
                serving() as site,
                serving(tunnel) as proxy,
                TCPConnector() as connector,
            ):
                key = through(proxy, site.port, is_ssl=False, target_scheme="ws")
                assert await get(connector, key) == (200, b"hi")
                assert proxy.heads[0].startswith(b"CONNECT ")

        run(main())

    def test_large_content_through_tls_in_tls(
        self, run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        size = 1_000_000

        async def main() -> None:
            large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
            async with (
                serving(answering(large), ssl=server_tls) as site,
                serving(tunnel, ssl=server_tls) as proxy,
                TCPConnector(ssl=trusting) as connector,
            ):
                connection = await connector.connect(through(proxy, site.port, "https"))
                assert await ask(connection) == (200, b"x" * size)
                connection.close()

        run(main())

    def test_ipv6_hosts_are_in_brackets(self, run: Runner) -> None:
        async def main() -> None:
            async with (
                serving(answering(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")) as proxy,
                TCPConnector() as connector,
            ):
                with pytest.raises(ClientHttpProxyError):
                    await connector.connect(through(proxy, 443, host="::1"))
                assert proxy.heads[0].startswith(
                    b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n"
                )

        run(main())

    @pytest.mark.parametrize(
        ("answer", "error", "text"),
        [
            pytest.param(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
                ClientHttpProxyError,
                "407",
                id="login wanted",
            ),
            pytest.param(
                b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 9\r\n\r\nlong text",
                ClientHttpProxyError,
                "502",
                id="refused with content",
            ),
            pytest.param(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                ClientHttpProxyError,
                "101",
                id="a switch that nobody asked for",
            ),
            pytest.param(b"SSH-2.0-x\r\n\r\n", ClientProxyConnectionError, None, id="not HTTP"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                ClientProxyConnectionError,
                "bytes came before",
                id="bytes before TLS",
            ),
        ],
    )
    def test_answers_that_open_no_tunnel(
        self, run: Runner, answer: bytes, error: type[Exception], text: str | None
    ) -> None:
        async def main() -> None:
            async with serving(answering(answer)) as proxy, TCPConnector() as connector:
                with pytest.raises(error, match=text) as info:
                    await connector.connect(through(proxy, 443))
                if isinstance(info.value, ClientHttpProxyError):
                    assert str(info.value.status) == text
                assert connector.stats().total == 0

        run(main())

    def test_a_proxy_that_closes(self, run: Runner) -> None:
        async def main() -> None:
            async with (
                serving(answering(b"", then_close=True)) as proxy,
                TCPConnector() as connector,
            ):
                with pytest.raises(ClientProxyConnectionError):
                    await connector.connect(through(proxy, 443))

        run(main())

    def test_a_proxy_that_is_not_there(self, run: Runner) -> None:
        async def main() -> None:
            async with serving() as proxy:
                pass
            async with TCPConnector() as connector:
                with pytest.raises(ClientProxyConnectionError) as info:
                    await connector.connect(through(proxy, 443, host="origin.test"))
                assert (info.value.host, info.value.port) == ("127.0.0.1", proxy.port)

        run(main())

    def test_a_proxy_that_says_nothing(self, run: Runner) -> None:
        async def main() -> None:
            async with serving(answering(b"")) as proxy, TCPConnector() as connector:
                with pytest.raises(ConnectionTimeoutError, match="ended phase 'proxy'"):
                    await connector.connect(
                        through(proxy, 443), timeout=ClientTimeout(sock_connect=0.05)
                    )
                assert connector.stats().total == 0

        run(main())

    def test_the_hosts_certificate_is_checked_inside_the_tunnel(
        self, run: Runner, server_tls: ssl.SSLContext
    ) -> None:
        async def main() -> None:
            async with (
                serving(ssl=server_tls) as site,
                serving(tunnel) as proxy,
                TCPConnector() as connector,
            ):
                with pytest.raises(ClientConnectorCertificateError):
                    await connector.connect(through(proxy, site.port))

        run(main())

    def test_cancelling_at_every_await(
        self, run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        from .test_connector import cancelled_after

        async def main() -> None:
            async with (
                serving(ssl=server_tls) as site,
                serving(tunnel, ssl=server_tls) as proxy,
                TCPConnector(ssl=trusting, limit=1) as connector,
            ):
                key = through(proxy, site.port, "https")
                for count in range(100):
                    if not await cancelled_after(connector.connect(key), count):
                        break
                    assert connector.stats().total == 0
                else:
                    pytest.fail("it never came to an end")
                assert count >= 4, "TCP, TLS, CONNECT and TLS each wait"
                assert (await get(connector, key))[0] == 200

        run(main())


class TestProxyCertificates:
    """CVE-2021-28363, CVE-2019-11324, CVE-2016-9015 of urllib3."""

    def test_a_proxys_certificate_is_checked(self, run: Runner, server_tls: ssl.SSLContext) -> None:
        async def main() -> None:
            async with serving(tunnel, ssl=server_tls) as proxy, TCPConnector() as connector:
                with pytest.raises(ClientConnectorCertificateError):
                    await connector.connect(through(proxy, 443, "https"))
                assert not proxy.heads

        run(main())

    def test_a_fingerprint_is_the_hosts_alone(
        self, run: Runner, server_tls: ssl.SSLContext
    ) -> None:
        async def main() -> None:
            async with serving(tunnel, ssl=server_tls) as proxy, TCPConnector() as connector:
                key = through(proxy, 443, "https", ssl=Fingerprint(b"x" * 32))
                with pytest.raises(ClientConnectorCertificateError):
                    await connector.connect(key)
                assert not proxy.heads

        run(main())

    def test_a_setting_of_its_own(
        self, run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        async def main() -> None:
            async with (
                serving(ssl=server_tls) as site,
                serving(tunnel, ssl=server_tls) as proxy,
                TCPConnector(proxy_ssl=trusting) as connector,
            ):
                key = through(proxy, site.port, "https", ssl=False)
                assert (await get(connector, key))[0] == 200

        run(main())


class TestForwarding:
    def test_plain_requests_go_to_the_proxy_itself(self, run: Runner) -> None:
        async def main() -> None:
            async with serving(answering(HI)) as proxy, TCPConnector() as connector:
                key = through(proxy, 80, is_ssl=False, host="origin.test")
                connection = await connector.connect(key)
                assert await ask(connection, target="http://origin.test/") == (200, b"hi")
                connection.release()
                assert connector.take_idle(ConnectionKey("origin.test", 80, False)) is None
                assert proxy.heads[0].startswith(b"GET http://origin.test/ HTTP/1.1\r\n")

        run(main())


class TestKeys:
    def test_what_a_tunnel_is_for(self) -> None:
        proxy = URL("http://p:1")
        assert ConnectionKey("h", 443, True, proxy=proxy).tunnel
        assert ConnectionKey("h", 80, False, scheme="ws", proxy=proxy).tunnel
        assert not ConnectionKey("h", 80, False, proxy=proxy).tunnel
        assert not ConnectionKey("h", 443, True).tunnel

    @pytest.mark.parametrize(
        ("url", "text"),
        [
            ("socks5://user:secret@p:1", "SOCKS proxies are not built in"),
            ("socks4a://p:1", "SOCKS proxies are not built in"),
            ("ftp://p:1", "http:// or https://"),
            ("/p", "http:// or https://"),
        ],
    )
    def test_other_kinds_of_proxy_are_refused(self, url: str, text: str) -> None:
        with pytest.raises(InvalidURL, match=text) as info:
            check_proxy_url(URL(url))
        assert isinstance(info.value, ValueError)
        assert "secret" not in str(info.value)

    def test_credentials_stay_out_of_its_repr(self) -> None:
        key = ConnectionKey(
            "h",
            443,
            True,
            proxy=URL("http://p:1"),
            proxy_headers=(("Proxy-Authorization", "Basic secret"),),
        )
        assert "secret" not in repr(key)
