"""Basic and digest credentials, netrc and proxy variables: who gets them, and who does not."""

import asyncio
import hashlib
import re

import pytest
from yarl import URL

from antiphon.client._target import resolve
from antiphon.client.connector.unix import UnixConnector
from antiphon.client.digest_auth import (
    DigestAuthMiddleware,
    parse_challenges,
    strongest_challenge,
)
from antiphon.client.environment import NetrcFile, bypasses_proxy, proxy_from_environment
from antiphon.client.errors import InvalidURL
from antiphon.core.deprecations import AntiphonDeprecationWarning
from antiphon.core.fields.basic_auth import BasicAuth, encode_basic_auth


def make_auth():
    with pytest.warns(AntiphonDeprecationWarning, match="ANT-0005"):
        return BasicAuth("user", "pass")


# -- basic


def test_auth_of_a_call_is_obsolete_and_works(run, origin):
    async def scenario(session):
        with pytest.warns(AntiphonDeprecationWarning, match="ANT-0006"):
            await session.get("http://h/", auth=make_auth())

    run(scenario)
    assert origin.asked[0].headers["Authorization"] == encode_basic_auth("user", "pass")


def test_credentials_in_the_url(run, origin):
    async def scenario(session):
        response = await session.get("http://us%C3%A9r:p%40ss@h/")
        assert str(response.url) == "http://h/"

    run(scenario)
    assert origin.asked[0].headers["Authorization"] == encode_basic_auth("usér", "p@ss", "utf-8")


@pytest.mark.parametrize("url", ["http://user:pass@h/", "http://h/"])
def test_authorization_given_twice_is_refused(run, origin, url):
    async def scenario(session):
        arguments = {} if "@" in url else {"auth": make_auth()}
        with pytest.raises(ValueError, match="Cannot combine"):
            await session.get(url, headers={"Authorization": "x"}, **arguments)

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AntiphonDeprecationWarning)
        run(scenario)
    assert not origin.asked


@pytest.mark.filterwarnings("ignore::antiphon.core.deprecations.AntiphonDeprecationWarning")
def test_auth_of_a_session_is_for_its_base_url(run, origin):
    async def scenario(session):
        await session.get("/a")
        await session.get("http://other/")
        await session.get("/b", headers={"Authorization": "own"})

    run(scenario, base_url="http://h/", auth=BasicAuth("user", "pass"))
    values = [asked.headers.get("Authorization") for asked in origin.asked]
    assert values == [encode_basic_auth("user", "pass"), None, "own"]


# -- netrc


@pytest.fixture
def netrc(tmp_path, monkeypatch):
    path = tmp_path / "netrc"
    path.write_text(
        "machine h login user password pass\n"
        "machine other login them password theirs\n"
        "default login anyone password any\n"
    )
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return path


def test_netrc_is_used_with_trust_env_only(run, origin, netrc):
    async def scenario(session):
        await session.get("http://h/")
        await session.get("http://nobody/")
        await session.get("http://h/", headers={"Authorization": "own"})

    run(scenario)
    run(scenario, trust_env=True, real_time=True)
    values = [asked.headers.get("Authorization") for asked in origin.asked]
    expected = [encode_basic_auth("user", "pass"), encode_basic_auth("anyone", "any"), "own"]
    assert values == [None, None, "own", *expected]


def test_netrc_after_redirects(run, origin, memory, netrc):
    """CVE-2014-1829: `default` is not for a host that a server chose, nor for a foreign one."""
    origin.replies(
        memory.Reply(status=302, headers=[("Location", "/again")]),
        memory.Reply(status=302, headers=[("Location", "http://other/")]),
        memory.Reply(status=302, headers=[("Location", "http://nobody/")]),
        memory.Reply(),
    )

    async def scenario(session):
        await session.get("http://h/")

    run(scenario, trust_env=True, real_time=True)
    values = [asked.headers.get("Authorization") for asked in origin.asked]
    mine = encode_basic_auth("user", "pass")
    assert values == [mine, mine, None, None]


@pytest.mark.parametrize(
    "url",
    ["http://h:@nobody/", "http://nobody:80@other.example/h", "http://nobody/h:@h/"],
)
def test_netrc_goes_by_the_host_alone(url):
    """CVE-2024-47081."""
    assert resolve(url).host not in ("h", "other")


def test_netrc_is_read_again_when_it_changes(netrc):
    async def main():
        file = NetrcFile()
        assert (await file.login_for("h")).password == "pass"
        netrc.write_text("machine h login user password changed!\n")
        assert (await file.login_for("h")).password == "changed!"
        netrc.unlink()
        assert await file.login_for("h") is None

    asyncio.run(main())


def test_a_broken_netrc_is_told_and_not_fatal(netrc, caplog):
    async def main():
        netrc.write_text("machine\nlogin ? {{{")
        assert await NetrcFile().login_for("h") is None

    asyncio.run(main())
    assert "Could not read .netrc" in caplog.text


# -- proxy variables


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({"http_proxy": "http://p:1"}, "http://h/", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https://h/", None),
        ({"HTTPS_PROXY": "http://p:2"}, "https://h/", "http://p:2"),
        ({"all_proxy": "http://p:3"}, "https://h/", "http://p:3"),
        ({"http_proxy": "p:4"}, "http://h/", "http://p:4"),
        ({"https_proxy": "http://p:5"}, "wss://h/", "http://p:5"),
        ({"http_proxy": "http://p:1", "no_proxy": "h"}, "http://h/", None),
        ({}, "http://h/", None),
        pytest.param(
            {"HTTP_PROXY": "http://evil:1", "REQUEST_METHOD": "GET"},
            "http://h/",
            None,
            id="CVE-2016-5385 a header field of a CGI request",
        ),
    ],
)
def test_proxy_variables(monkeypatch, environment, url, proxy):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = proxy_from_environment(resolve(url))
    assert found == (None if proxy is None else URL(proxy))


@pytest.mark.parametrize(
    ("no_proxy", "url", "bypassed"),
    [
        ("*", "http://h/", True),
        ("example.com", "http://example.com/", True),
        ("example.com", "http://www.example.com/", True),
        ("example.com", "http://notexample.com/", False),
        (".example.com", "http://www.example.com/", True),
        ("*.example.com", "http://www.example.com/", True),
        ("EXAMPLE.com", "http://example.COM/", True),
        ("a, example.com ,b", "http://example.com/", True),
        ("example.com:8080", "http://example.com:8080/", True),
        ("example.com:8080", "http://example.com/", False),
        ("192.0.2.1", "http://192.0.2.1/", True),
        ("192.0.2.1", "http://192.0.2.10/", False),
        ("192.0.2.0/24", "http://192.0.2.77/", True),
        ("192.0.2.0/24", "http://192.0.3.1/", False),
        ("192.0.2.0/24", "http://example.com/", False),
        ("2001:db8::/32", "http://[2001:db8::1]/", True),
        ("::1", "http://[::1]/", True),
        ("[::1]:81", "http://[::1]:81/", True),
        ("[::1]:81", "http://[::1]/", False),
        ("192.0.2.0/99", "http://192.0.2.1/", False),
        ("", "http://h/", False),
        (",,", "http://h/", False),
    ],
)
def test_no_proxy(no_proxy, url, bypassed):
    assert bypasses_proxy(no_proxy, resolve(url)) is bypassed


def test_an_environment_proxy_is_used(run, origin, monkeypatch, netrc):
    monkeypatch.setenv("http_proxy", "http://me:secret@p:3128")
    monkeypatch.setenv("no_proxy", "direct")

    async def scenario(session):
        await session.get("http://h/x")
        await session.get("http://direct/x")

    run(scenario, trust_env=True, real_time=True)
    first, second = origin.asked
    assert first.target == "http://h/x"
    assert first.headers["Proxy-Authorization"] == encode_basic_auth("me", "secret")
    assert second.target == "/x"
    assert "Proxy-Authorization" not in second.headers


def test_connectors_without_a_use_for_proxies_are_not_given_one(
    run, origin, memory, monkeypatch, netrc
):
    """A Unix socket leads where it leads, whatever the environment says of the network."""
    monkeypatch.setenv("http_proxy", "http://p:3128")
    monkeypatch.setattr(memory.MemoryConnector, "uses_proxies", UnixConnector.uses_proxies)

    async def scenario(session):
        await session.get("http://h/x")

    run(scenario, trust_env=True, real_time=True)
    assert origin.asked[0].target == "/x"


def test_a_socks_proxy_is_refused_before_anything_is_waited_for(run, origin, monkeypatch, netrc):
    monkeypatch.setenv("http_proxy", "socks5://me:secret@p:1080")

    async def scenario(session):
        with pytest.raises(InvalidURL, match="SOCKS proxies are not built in") as info:
            await session.get("http://h/", proxy="socks5://me:secret@p:1080")
        assert "secret" not in str(info.value)
        with pytest.raises(InvalidURL, match="SOCKS"):
            await session.get("http://h/")

    run(scenario, trust_env=True, real_time=True)
    assert not origin.keys


# -- digest


def fields_of(value):
    assert value.startswith("Digest ")
    return {
        name: quoted if quoted else plain
        for name, quoted, plain in re.findall(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^,\s]+))', value)
    }


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        # RFC 7616 section 3.9.1
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm, expected, monkeypatch):
    monkeypatch.setattr(
        "antiphon.client.digest_auth.secrets.token_hex",
        lambda size: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    challenge = strongest_challenge(
        [
            (
                'Digest realm="http-auth@example.org", qop="auth, auth-int", '
                f"algorithm={algorithm}, "
                'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
                'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
            )
        ],
        resolve("http://www.example.org/"),
    )
    digest = DigestAuthMiddleware("Mufasa", "Circle of Life")
    fields = fields_of(digest.authorization(challenge, "GET", "/dir/index.html"))
    assert fields["response"] == expected
    assert fields["nc"] == "00000001"
    assert fields["qop"] == "auth"


def test_the_example_of_rfc_7616_with_a_hashed_name(monkeypatch):
    monkeypatch.setattr(
        "antiphon.client.digest_auth.secrets.token_hex",
        lambda size: "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm",
    )
    challenge = strongest_challenge(
        [
            (
                'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
                'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
                'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
            )
        ],
        resolve("http://api.example.org/"),
    )
    digest = DigestAuthMiddleware("Jäsøn Doe", "Secret, or not?")
    fields = fields_of(digest.authorization(challenge, "GET", "/doe.json"))
    # The RFC's own figures are wrong (its erratum 4897); these are computed by its formulas.
    name = hashlib.new("sha512_256", "Jäsøn Doe:api@example.org".encode()).hexdigest()
    assert fields["username"] == name
    assert fields["userhash"] == "true"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['Basic realm="a"'], [("basic", {"realm": "a"})]),
        (
            ['Digest realm="a, b", nonce="n\\"q", Basic realm=x'],
            [("digest", {"realm": "a, b", "nonce": 'n"q'}), ("basic", {"realm": "x"})],
        ),
        (["Negotiate", "NTLM abc=="], [("negotiate", {}), ("ntlm", {})]),
        (['realm="orphan"'], []),
        (["Digest realm = a , nonce=b"], [("digest", {"realm": "a", "nonce": "b"})]),
        (["", ",,", '"'], []),
    ],
)
def test_challenges(values, expected):
    assert parse_challenges(values) == expected


def test_the_strongest_algorithm_is_chosen():
    values = [
        'Digest realm="a", nonce="1", algorithm=MD5, qop="auth"',
        'Digest realm="a", nonce="2", algorithm=SHA-256, qop="auth", Basic realm="a"',
        'Digest realm="a", nonce="3", algorithm=UNKNOWN, qop="auth"',
    ]
    assert strongest_challenge(values, resolve("http://h/")).nonce == "2"


@pytest.mark.parametrize(
    "value",
    [
        'Digest realm="a"',
        'Digest nonce="n"',
        'Digest realm="a", nonce="n", qop="other"',
        f'Digest realm="{"a" * 5000}", nonce="n", qop="auth"',
    ],
    ids=["no nonce", "no realm", "unknown qop", "huge realm"],
)
def test_a_challenge_that_cannot_be_answered(value):
    assert strongest_challenge([value], resolve("http://h/")) is None


class Guard:
    """A server that checks digests by RFC 7616's own formulas."""

    def __init__(self, memory, algorithm="SHA-256", qop="auth", extra=""):
        self.memory = memory
        self.algorithm, self.qop, self.extra = algorithm, qop, extra
        self.nonce = "nonce1"
        self.seen = []

    def hash(self, text):
        name = self.algorithm.lower().removesuffix("-sess").replace("sha-", "sha")
        return hashlib.new(name, text.encode()).hexdigest()

    def __call__(self, asked):
        value = asked.headers.get("Authorization")
        if value is not None and self.is_right(asked, fields_of(value)):
            return self.memory.Reply(body=b"inside")
        qop = f', qop="{self.qop}"' if self.qop else ""
        challenge = (
            f'Digest realm="r", nonce="{self.nonce}", algorithm={self.algorithm}{qop}{self.extra}'
        )
        return self.memory.Reply(status=401, headers=[("WWW-Authenticate", challenge)])

    def is_right(self, asked, fields):
        self.seen.append(fields)
        if fields["nonce"] != self.nonce:
            return False
        secret = self.hash("user:r:pass")
        if self.algorithm.lower().endswith("-sess"):
            secret = self.hash(f"{secret}:{self.nonce}:{fields['cnonce']}")
        what = f"{asked.method}:{asked.target}"
        if fields.get("qop") == "auth-int":
            what += ":" + self.hash(asked.body.decode())
        middle = f":{fields['nc']}:{fields['cnonce']}:{fields['qop']}" if "qop" in fields else ""
        return fields["response"] == self.hash(f"{secret}:{self.nonce}{middle}:{self.hash(what)}")


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-SESS", "SHA-512"])
@pytest.mark.parametrize("qop", ["auth", "auth-int", ""])
def test_a_server_that_checks(run, origin, memory, algorithm, qop):
    origin.script = guard = Guard(memory, algorithm, qop)

    async def scenario(session):
        for number in range(3):
            async with session.post(f"http://h/{number}?q", data=b"body") as response:
                assert await response.read() == b"inside"

    run(scenario, middlewares=[DigestAuthMiddleware("user", "pass")])
    assert len(origin.asked) == 4, "credentials go along once the challenge is known"
    if qop:
        assert [fields["nc"] for fields in guard.seen] == ["00000001", "00000002", "00000003"]


def test_without_preemption_every_request_is_asked_for_credentials(run, origin, memory):
    origin.script = Guard(memory)

    async def scenario(session):
        for _ in range(2):
            assert (await session.get("http://h/")).status == 200

    run(scenario, middlewares=[DigestAuthMiddleware("user", "pass", preemptive=False)])
    assert len(origin.asked) == 4


def test_a_wrong_password_is_tried_once(run, origin, memory):
    origin.script = Guard(memory)

    async def scenario(session):
        assert (await session.get("http://h/")).status == 401

    run(scenario, middlewares=[DigestAuthMiddleware("user", "wrong")])
    assert len(origin.asked) == 2


def test_a_stale_nonce_is_replaced(run, origin, memory):
    origin.script = guard = Guard(memory, extra=", stale=true")

    async def scenario(session):
        assert (await session.get("http://h/")).status == 200
        guard.nonce = "nonce2"
        assert (await session.get("http://h/")).status == 200

    run(scenario, middlewares=[DigestAuthMiddleware("user", "pass")])
    assert len(origin.asked) == 4


def test_credentials_stay_in_their_space(run, origin, memory):
    origin.script = Guard(memory, extra=', domain="/in http://other/"')

    async def scenario(session):
        for path in ("in", "in/deeper", "into", "out"):
            await session.get(f"http://h/{path}")

    run(scenario, middlewares=[DigestAuthMiddleware("user", "pass")])
    asked = [(a.target, "Authorization" in a.headers) for a in origin.asked]
    assert asked == [
        ("/in", False),
        ("/in", True),
        ("/in/deeper", True),
        ("/into", False),
        ("/into", True),
        ("/out", False),
        ("/out", True),
    ]


def test_a_foreign_origin_gets_no_digest_after_a_redirect(run, origin, memory):
    """CVE-2026-54276."""
    guard = Guard(memory)

    def script(asked):
        if asked.authority == "h":
            return memory.Reply(status=302, headers=[("Location", "http://evil/")])
        return guard(asked)

    origin.script = script

    async def scenario(session):
        assert (await session.get("http://h/")).status == 401

    run(scenario, middlewares=[DigestAuthMiddleware("user", "pass")])
    assert not any("Authorization" in asked.headers for asked in origin.asked)


def test_content_that_cannot_be_had_twice_is_not_sent_as_nothing(run, origin, memory):
    origin.script = Guard(memory)

    async def once():
        yield b"body"

    async def scenario(session):
        assert (await session.post("http://h/", data=once())).status == 401

    run(scenario, middlewares=[DigestAuthMiddleware("user", "pass")])
    assert len(origin.asked) == 1


@pytest.mark.parametrize("arguments", [(None, "x"), ("x", None), ("a:b", "x")])
def test_names_that_cannot_be(arguments):
    with pytest.raises(ValueError, match="allowed"):
        DigestAuthMiddleware(*arguments)
