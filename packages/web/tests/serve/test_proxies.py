"""Whom to believe about where a request comes from."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from antiphon.web.app import Application
from antiphon.web.proxies import ForwardedFor, TrustedProxies, trusted_proxies
from antiphon.web.response import Response
from antiphon.web.server import Server

NETWORKS = ["10.0.0.0/8", "::1", "unix"]
ALL = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"]


def resolve(peer, *fields, networks=NETWORKS, **options):
    headers = CIMultiDictProxy(CIMultiDict(fields))
    return TrustedProxies(networks, **options).resolve(peer, headers)


@pytest.mark.parametrize(
    ("peer", "fields", "expected"),
    [
        pytest.param("10.0.0.1", [], None, id="nothing said"),
        pytest.param(
            "192.0.2.9", [("Forwarded", "for=1.2.3.4;proto=https;host=evil")], None,
            id="a stranger is not believed",
        ),
        pytest.param(
            "192.0.2.9", [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https")], None,
            id="nor with the other fields",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", 'for=1.2.3.4;proto=https;host="h:1"')],
            ("1.2.3.4", "https", "h:1"), id="Forwarded",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", "for=6.6.6.6;proto=https;host=evil, for=1.2.3.4;proto=http")],
            ("1.2.3.4", "http", None), id="what the client wrote is left of the trusted part",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", "for=1.2.3.4;proto=https, for=10.0.0.2;proto=http")],
            ("1.2.3.4", "https", None), id="through two proxies the outer one knows",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", "for=1.2.3.4"), ("Forwarded", "for=10.0.0.2")],
            ("1.2.3.4", None, None), id="several fields are one list",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", 'for="[2001:db8::1]:4711"')],
            ("2001:db8::1", None, None), id="IPv6 with port",
        ),
        pytest.param(
            "::1", [("Forwarded", "for=unknown;proto=https")], ("unknown", "https", None),
            id="unknown is nobody to trust",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", 'for=6.6.6.6;host=evil, for="";proto=https')],
            ("unknown", "https", None), id="nor is one without a name, though a socket has none",
        ),
        pytest.param(
            None, [("Forwarded", 'for=10.0.0.2, for=""')], ("unknown", None, None),
            id="nor behind a socket",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", "proto=https, for=10.0.0.2")], ("10.0.0.2", "https", None),
            id="no address given",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", "for=1.2.3.4;proto=gopher")], ("1.2.3.4", None, None),
            id="odd scheme",
        ),
        pytest.param(
            "10.0.0.1",
            [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "h")],
            ("1.2.3.4", "https", "h"), id="X-Forwarded",
        ),
        pytest.param(
            "10.0.0.1", [("X-Forwarded-For", "6.6.6.6, 1.2.3.4"), ("X-Forwarded-Proto", "https, http")],
            ("1.2.3.4", "http", None), id="X-Forwarded from the right",
        ),
        pytest.param(
            "10.0.0.1", [("X-Forwarded-For", "1.2.3.4, 10.0.0.2"), ("X-Forwarded-Proto", "https")],
            ("1.2.3.4", "https", None), id="one scheme set by the outer proxy",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", 'for="6.6.6.6'), ("Forwarded", "for=1.2.3.4")],
            ("1.2.3.4", None, None), id="a quote left open does not swallow what the proxy wrote",
        ),
        pytest.param(
            "10.0.0.1", [("Forwarded", 'for=6.6.6.6;x="\\, for=1.2.3.4')],
            ("1.2.3.4", None, None), id="nor one with a backslash",
        ),
        pytest.param(
            None, [("X-Forwarded-For", "1.2.3.4")], ("1.2.3.4", None, None), id="unix socket"
        ),
        pytest.param(
            "::ffff:10.0.0.1", [("X-Forwarded-For", "1.2.3.4")], ("1.2.3.4", None, None),
            id="IPv4 in IPv6",
        ),
        pytest.param(
            "10.0.0.1", [("X-Forwarded-For", "10.0.0.9")], ("10.0.0.9", None, None),
            id="a client in the trusted network",
        ),
    ],
)  # fmt: skip
def test_resolve(peer, fields, expected):
    found = resolve(peer, *fields, fields=ALL)
    assert found == (None if expected is None else ForwardedFor(*expected))


def test_only_a_socket_has_no_address():
    proxies = TrustedProxies(["unix"])
    assert proxies.trusts(None)
    assert not proxies.trusts("")


def test_unix_has_to_be_trusted():
    assert resolve(None, ("X-Forwarded-For", "1.2.3.4"), networks=["10.0.0.0/8"]) is None


@pytest.mark.parametrize(
    ("written", "sent", "expected"),
    [
        pytest.param(
            None, [("Forwarded", "for=6.6.6.6;host=evil"), ("X-Forwarded-For", "1.2.3.4")],
            ("1.2.3.4", None, None), id="Forwarded, which most proxies pass on",
        ),
        pytest.param(
            None, [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Host", "evil")],
            ("1.2.3.4", None, None), id="X-Forwarded-Host, which has to be asked for",
        ),
        pytest.param(
            ["Forwarded"], [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https")],
            None, id="the old fields behind a proxy that writes Forwarded",
        ),
        pytest.param(
            ["x-forwarded-for"], [("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https")],
            ("1.2.3.4", None, None), id="X-Forwarded-Proto, not named",
        ),
    ],
)  # fmt: skip
def test_fields_that_the_proxy_does_not_write_are_the_clients_word(written, sent, expected):
    options = {} if written is None else {"fields": written}
    found = resolve("10.0.0.1", *sent, **options)
    assert found == (None if expected is None else ForwardedFor(*expected))


def test_only_fields_of_proxies_can_be_named():
    with pytest.raises(ValueError, match="X-Real-Ip"):
        TrustedProxies([], fields=["X-Real-IP"])


def test_a_long_list_costs_little():
    found = resolve("10.0.0.1", ("X-Forwarded-For", ", ".join(["10.0.0.2"] * 10_000)))
    assert found is not None


@pytest.mark.parametrize("network", ["10.0.0.1/8", "nonsense", "10.0.0.0/40"])
def test_no_network(network):
    with pytest.raises(ValueError):
        TrustedProxies([network])


def test_middleware(run, exchange):
    async def handler(request):
        return Response(text=f"{request.remote} {request.url} {request.secure}")

    async def test(made):
        app = Application(middlewares=[trusted_proxies(["192.0.2.0/24"], fields=ALL)])
        app.router.add_get("/p", handler)
        await app.startup()
        app.freeze()
        await Server(app).request_handler.serve(made)
        return made.response.text

    forwarded = [("Forwarded", "for=1.2.3.4;proto=https;host=public.example")]
    trusted = exchange(path="/p", headers=forwarded)
    assert run(lambda: test(trusted)) == "1.2.3.4 https://public.example/p True"
    stranger = exchange(path="/p", headers=forwarded, peername=("198.51.100.1", 1))
    assert run(lambda: test(stranger)) == "198.51.100.1 http://example.com/p False"
