"""TLS: whose certificates are good, and what shares a connection."""

import asyncio
import hashlib
import ssl
from datetime import UTC, datetime

import pytest
import trustme

from antiphon.client.connector.key import ConnectionKey
from antiphon.client.connector.tcp import TCPConnector
from antiphon.client.connector.tls import context_for, default_context, unverified_context
from antiphon.client.errors import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ConnectionTimeoutError,
    ServerFingerprintMismatch,
)
from antiphon.client.options import ClientTimeout, Fingerprint
from antiphon.core.aio.exchange import Timeline

from .conftest import Fixed, Runner, Site, get, key_for, serving


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost")


@pytest.fixture(scope="session")
def pinned(certificate: trustme.LeafCert) -> Fingerprint:
    pem = certificate.cert_chain_pems[0].bytes().decode()
    return Fingerprint(hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest())


@pytest.fixture(scope="session")
def pinned_tls(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def test_a_trusted_certificate(
    run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with serving(ssl=server_tls) as site, TCPConnector(ssl=trusting) as connector:
            timeline = Timeline(0.0)
            key = key_for(site, "localhost", is_ssl=True)
            assert await get(connector, key, timeline=timeline) == (200, b"hi")
            assert timeline.connect_end is not None
            assert timeline.tls_start is not None
            assert timeline.tls_end is not None
            assert timeline.connect_end <= timeline.tls_start <= timeline.tls_end

    run(main())


class TestRefused:
    def check(
        self,
        run: Runner,
        server: ssl.SSLContext,
        client: ssl.SSLContext | bool,
        host: str = "localhost",
        error: type[ClientConnectorError] = ClientConnectorCertificateError,
        server_hostname: str | None = None,
    ) -> None:
        async def main() -> None:
            async with serving(ssl=server) as site, TCPConnector(ssl=client) as connector:
                key = key_for(site, host, is_ssl=True, server_hostname=server_hostname)
                with pytest.raises(error) as info:
                    await connector.connect(key)
                assert "phase tls" in str(info.value)
                assert connector.stats().total == 0

        run(main())

    def test_an_unknown_authority(self, run: Runner, server_tls: ssl.SSLContext) -> None:
        self.check(run, server_tls, True)

    def test_another_host(
        self, run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
    ) -> None:
        self.check(run, server_tls, trusting, server_hostname="other.test")

    def test_an_expired_certificate(
        self, run: Runner, authority: trustme.CA, trusting: ssl.SSLContext
    ) -> None:
        expired = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf = authority.issue_cert("localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC))
        leaf.configure_cert(expired)
        self.check(run, expired, trusting)

    def test_no_common_version(
        self, run: Runner, server_tls: ssl.SSLContext, authority: trustme.CA
    ) -> None:
        old = ssl.create_default_context()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        new = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        new.minimum_version = ssl.TLSVersion.TLSv1_3
        authority.issue_cert("localhost").configure_cert(new)
        self.check(run, new, old, error=ClientConnectorError)

    def test_a_protocol_that_is_not_spoken_here(
        self, run: Runner, authority: trustme.CA, trusting: ssl.SSLContext
    ) -> None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(server)
        server.set_alpn_protocols(["h2"])
        client = ssl.create_default_context()
        authority.configure_trust(client)
        client.set_alpn_protocols(["h2", "http/1.1"])
        self.check(run, server, client, error=ClientConnectorError)

    def test_a_server_that_speaks_no_tls(self, run: Runner) -> None:
        async def plain(
            site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()

        async def main() -> None:
            async with serving(plain) as site, TCPConnector() as connector:
                with pytest.raises(ClientConnectorSSLError):
                    await connector.connect(key_for(site, is_ssl=True))

        run(main())

    def test_a_server_that_closes_during_the_handshake(self, run: Runner) -> None:
        async def rude(
            site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.read(1)
            writer.transport.abort()

        async def main() -> None:
            async with serving(rude) as site, TCPConnector() as connector:
                with pytest.raises(ClientConnectorError):
                    await connector.connect(key_for(site, is_ssl=True))
                assert connector.stats().total == 0

        run(main())

    @pytest.mark.parametrize(
        ("timeout", "named"),
        [
            pytest.param(ClientTimeout(tls=0.05), "tls", id="its own"),
            pytest.param(ClientTimeout(sock_connect=0.05), "sock_connect", id="the whole dial's"),
            pytest.param(ClientTimeout(connect=0.05, tls=5), "connect", id="the whole wait's"),
        ],
    )
    def test_a_handshake_that_takes_too_long(
        self, run: Runner, timeout: ClientTimeout, named: str
    ) -> None:
        async def mute(
            site: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.read()

        async def main() -> None:
            async with serving(mute) as site, TCPConnector() as connector:
                with pytest.raises(ConnectionTimeoutError, match=f"{named!r} ended phase 'tls'"):
                    await connector.connect(key_for(site, is_ssl=True), timeout=timeout)
                assert connector.stats().total == 0

        run(main())


class TestFingerprints:
    def test_the_right_one_needs_no_authority(
        self, run: Runner, pinned_tls: ssl.SSLContext, pinned: Fingerprint
    ) -> None:
        async def main() -> None:
            async with serving(ssl=pinned_tls) as site, TCPConnector(ssl=pinned) as connector:
                assert (await get(connector, key_for(site, is_ssl=True)))[0] == 200
                key = key_for(site, is_ssl=True, ssl=pinned)
                assert (await get(connector, key))[0] == 200

        run(main())

    @pytest.mark.parametrize("where", ["connector", "request"])
    def test_another_one(self, run: Runner, pinned_tls: ssl.SSLContext, where: str) -> None:
        wrong = Fingerprint(b"\0" * 32)

        async def main() -> None:
            async with (
                serving(ssl=pinned_tls) as site,
                TCPConnector(ssl=wrong if where == "connector" else True) as connector,
            ):
                key = key_for(site, is_ssl=True, ssl=wrong if where == "request" else True)
                with pytest.raises(ServerFingerprintMismatch):
                    await connector.connect(key)
                assert connector.stats().total == 0
                await site.until_alone()
                assert not site.heads, "not a byte of a request was sent"

        run(main())

    def test_beside_a_context_of_the_connectors_both_must_be_content(
        self, run: Runner, pinned_tls: ssl.SSLContext, pinned: Fingerprint
    ) -> None:
        strict = ssl.create_default_context()

        async def main() -> None:
            async with serving(ssl=pinned_tls) as site, TCPConnector(ssl=strict) as connector:
                with pytest.raises(ClientConnectorCertificateError):
                    await connector.connect(key_for(site, "localhost", is_ssl=True, ssl=pinned))

        run(main())


class TestSharing:
    """A connection is shared only by requests that asked for the same security."""

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            pytest.param({"ssl": False}, {}, id="CVE-2024-35195"),
            pytest.param(
                {"server_hostname": "named.test"},
                {"server_hostname": "localhost"},
                id="CVE-2026-54275",
            ),
        ],
    )
    def test_not_with_other_settings(
        self,
        run: Runner,
        server_tls: ssl.SSLContext,
        trusting: ssl.SSLContext,
        first: dict[str, object],
        second: dict[str, object],
    ) -> None:
        async def main() -> None:
            async with serving(ssl=server_tls) as site, TCPConnector(ssl=trusting) as connector:
                for settings in (first, second, first, second):
                    await get(connector, key_for(site, "localhost", is_ssl=True, **settings))
                assert site.accepted == 2

        run(main())

    def test_unverified_first_does_not_help_a_verified_request(
        self, run: Runner, server_tls: ssl.SSLContext
    ) -> None:
        async def main() -> None:
            async with serving(ssl=server_tls) as site, TCPConnector() as connector:
                await get(connector, key_for(site, "localhost", is_ssl=True, ssl=False))
                with pytest.raises(ClientConnectorCertificateError):
                    await get(connector, key_for(site, "localhost", is_ssl=True))

        run(main())


class TestContexts:
    def test_the_default_one_verifies_and_is_made_once(self) -> None:
        context = context_for(True, True)
        assert context is default_context()
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname

    def test_the_unverified_one_is_another(self) -> None:
        assert context_for(False, True) is unverified_context()
        assert unverified_context().verify_mode is ssl.CERT_NONE

    def test_the_request_counts_more_than_the_connector(self, trusting: ssl.SSLContext) -> None:
        assert context_for(True, trusting) is trusting
        assert context_for(trusting, False) is trusting
        assert context_for(False, trusting) is unverified_context()
        assert context_for(True, False) is unverified_context()


def test_a_dot_at_the_end_of_the_host_is_not_part_of_the_name(
    run: Runner, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with (
            serving(ssl=server_tls) as site,
            TCPConnector(ssl=trusting, resolver=Fixed("127.0.0.1")) as connector,
        ):
            key = ConnectionKey("localhost.", site.port, True)
            assert (await get(connector, key))[0] == 200

    run(main())
