"""The opening handshake, seen from both ends."""

from typing import Any

import pytest
from multidict import CIMultiDict

from antiphon.core.websocket.deflate import DeflateParameters
from antiphon.core.websocket.handshake import (
    WS_KEY,
    ClientHandshake,
    ServerHandshake,
    accept_key,
    check_response,
    negotiate,
    origin_allowed,
    ws_ext_gen,
    ws_ext_parse,
)
from antiphon.core.websocket.models import WSHandshakeError

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
ANY = DeflateParameters()


def request(*more: tuple[str, str], **changes: str | None) -> CIMultiDict[str]:
    fields = CIMultiDict(REQUEST)
    for name, value in changes.items():
        name = name.replace("_", "-")
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    fields.extend(more)
    return fields


def served(fields: CIMultiDict[str], **options: Any) -> ServerHandshake:
    return negotiate("GET", fields, **options)


# --- server ----------------------------------------------------------------------------------


def test_example_of_the_rfc() -> None:
    """RFC 6455 section 1.3."""
    answer = served(request())
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert WS_KEY == b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    assert dict(answer.headers) == {
        "Upgrade": "websocket",
        "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    }
    assert (answer.protocol, answer.deflate) == (None, None)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(request(Upgrade="WebSocket"), id="case of the protocol"),
        pytest.param(request(Connection="keep-alive, UPGRADE"), id="one of several options"),
        pytest.param(request(("Connection", "Upgrade"), Connection="keep-alive"), id="two lines"),
        pytest.param(request(Upgrade="h2c, websocket"), id="one of several protocols"),
        pytest.param(request(Sec_WebSocket_Key=f"  {KEY} "), id="white space around the key"),
    ],
)
def test_requests_that_are_taken(fields: CIMultiDict[str]) -> None:
    assert served(fields).headers["Sec-WebSocket-Accept"] == accept_key(KEY)


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        pytest.param(request(Upgrade=None), 400, "UPGRADE", id="no Upgrade"),
        pytest.param(request(Upgrade="h2c"), 400, "UPGRADE", id="another protocol"),
        pytest.param(request(Connection=None), 400, "Connection", id="no Connection"),
        pytest.param(request(Connection="keep-alive"), 400, "Connection", id="other options"),
        pytest.param(request(Sec_WebSocket_Version=None), 426, "version", id="no version"),
        pytest.param(request(Sec_WebSocket_Version="8"), 426, "version", id="another version"),
        pytest.param(request(Sec_WebSocket_Key=None), 400, "key", id="no key"),
        pytest.param(request(Sec_WebSocket_Key=""), 400, "key", id="empty key"),
        pytest.param(request(Sec_WebSocket_Key="YQ=="), 400, "key", id="short key"),
        pytest.param(request(Sec_WebSocket_Key=KEY + "YQ=="), 400, "key", id="long key"),
        pytest.param(request(Sec_WebSocket_Key=KEY[:-1] + "!"), 400, "key", id="no base64"),
        pytest.param(request(Sec_WebSocket_Key="ü" * 24), 400, "key", id="no ASCII"),
        pytest.param(request(("Sec-WebSocket-Key", KEY)), 400, "key", id="two keys"),
    ],
)
def test_requests_that_are_refused(fields: CIMultiDict[str], status: int, message: str) -> None:
    with pytest.raises(WSHandshakeError, match=message) as caught:
        served(fields)
    assert caught.value.status == status
    if status == 426:
        # Section 4.4
        assert caught.value.headers is not None
        assert caught.value.headers["Sec-WebSocket-Version"] == "13"


def test_only_get() -> None:
    with pytest.raises(WSHandshakeError) as caught:
        negotiate("POST", request())
    assert caught.value.status == 405
    assert caught.value.headers is not None
    assert caught.value.headers["Allow"] == "GET"


@pytest.mark.parametrize(
    ("asked", "spoken", "chosen"),
    [
        ([], ["a"], None),
        (["a"], [], None),
        (["b, a"], ["a", "b"], "b"),
        (["c", "a"], ["a", "b"], "a"),
        (["A"], ["a"], None),
    ],
)
def test_subprotocols(asked: list[str], spoken: list[str], chosen: str | None) -> None:
    fields = request(*(("Sec-WebSocket-Protocol", value) for value in asked))
    answer = served(fields, protocols=spoken)
    assert answer.protocol == chosen
    assert answer.headers.get("Sec-WebSocket-Protocol") == chosen


@pytest.mark.parametrize(
    ("origin", "allowed", "result"),
    [
        (None, ["https://a.example"], True),
        ("https://a.example", ["https://a.example"], True),
        ("https://A.Example", ["https://a.example/"], True),
        ("https://b.example", ["https://a.example"], False),
        ("http://a.example", ["https://a.example"], False),
        ("https://a.example.evil", ["https://a.example"], False),
        ("null", ["https://a.example"], False),
        ("https://b.example", ["*"], True),
        ("https://b.example", [], False),
    ],
)
def test_origins(origin: str | None, allowed: list[str], result: bool) -> None:
    assert origin_allowed(origin, allowed) is result
    fields = request(Origin=origin) if origin is not None else request()
    if result:
        served(fields, origins=allowed)
    else:
        with pytest.raises(WSHandshakeError) as caught:
            served(fields, origins=allowed)
        assert caught.value.status == 403


NAME = "permessage-deflate"
WINDOWS = "server_max_window_bits=10; client_max_window_bits=11"


@pytest.mark.parametrize(
    ("offer", "wanted", "answer"),
    [
        pytest.param(NAME, ANY, NAME, id="nothing special"),
        pytest.param(NAME, None, None, id="not wanted"),
        pytest.param("x-other", ANY, None, id="unknown extension"),
        pytest.param(f"x-other, {NAME}", ANY, NAME, id="second of two"),
        pytest.param(f"{NAME}; client_max_window_bits", ANY, NAME, id="client's window is free"),
        pytest.param(
            f"{NAME}; client_max_window_bits",
            DeflateParameters(client_max_window_bits=10),
            f"{NAME}; client_max_window_bits=10",
            id="client is asked for a smaller window",
        ),
        pytest.param(
            NAME, DeflateParameters(client_max_window_bits=10), NAME, id="which it must have named"
        ),
        pytest.param(
            f"{NAME}; client_max_window_bits=11",
            DeflateParameters(client_max_window_bits=12),
            f"{NAME}; client_max_window_bits=11",
            id="client has a smaller window",
        ),
        pytest.param(
            f"{NAME}; server_max_window_bits=10",
            ANY,
            f"{NAME}; server_max_window_bits=10",
            id="server's window as asked",
        ),
        pytest.param(
            f'{NAME}; server_max_window_bits="10"',
            ANY,
            f"{NAME}; server_max_window_bits=10",
            id="quoted",
        ),
        pytest.param(
            f"{NAME}; server_max_window_bits=15",
            DeflateParameters(server_max_window_bits=9),
            f"{NAME}; server_max_window_bits=9",
            id="server's window smaller than asked",
        ),
        pytest.param(
            f"{NAME}; server_no_context_takeover; client_no_context_takeover",
            ANY,
            f"{NAME}; server_no_context_takeover; client_no_context_takeover",
            id="no context takeover",
        ),
        pytest.param(
            NAME,
            DeflateParameters(server_no_context_takeover=True),
            f"{NAME}; server_no_context_takeover",
            id="no context takeover unasked",
        ),
        pytest.param(f"{NAME}; server_max_window_bits=8", ANY, None, id="8 bits, not in zlib"),
        pytest.param(
            f"{NAME}; server_max_window_bits=8, {NAME}", ANY, NAME, id="a second offer is taken"
        ),
        *(
            pytest.param(f"{NAME}; {bad}", ANY, None, id=f"declined: {bad}")
            for bad in (
                "server_max_window_bits",
                "server_max_window_bits=7",
                "server_max_window_bits=16",
                "server_max_window_bits=010",
                "server_max_window_bits=1\u0665",
                "server_max_window_bits=-9",
                "client_max_window_bits=7",
                "client_max_window_bits=",
                "client_max_window_bits=16",
                "server_no_context_takeover=1",
                "client_no_context_takeover=true",
                "unknown",
                "client_no_context_takeover; client_no_context_takeover",
                "client_max_window_bits; client_max_window_bits=10",
            )
        ),
    ],
)
def test_offers_of_compression(
    offer: str, wanted: DeflateParameters | None, answer: str | None
) -> None:
    """RFC 7692 section 7.1; CVE-2026-2229 for the windows."""
    result = served(request(("Sec-WebSocket-Extensions", offer)), deflate=wanted)
    assert result.headers.get("Sec-WebSocket-Extensions") == answer
    assert (result.deflate is None) == (answer is None)
    if answer is not None:
        # What was answered is what was agreed on, to the client too.
        asked = ClientHandshake(deflate=ANY)
        fields = response(asked, ("Sec-WebSocket-Extensions", answer))
        assert check_response(asked, 101, fields)[1] == result.deflate


def test_offers_on_several_lines_and_very_many_of_them() -> None:
    lines = [("Sec-WebSocket-Extensions", "x-other")] * 3 + [("Sec-WebSocket-Extensions", NAME)]
    assert served(request(*lines), deflate=ANY).deflate == ANY
    many = ", ".join(["x-other"] * 1000 + [NAME])
    assert served(request(("Sec-WebSocket-Extensions", many)), deflate=ANY).deflate is None


def test_a_server_cannot_want_a_window_of_8() -> None:
    with pytest.raises(ValueError, match="server_max_window_bits=8"):
        served(request(), deflate=DeflateParameters(server_max_window_bits=8))


# --- client ----------------------------------------------------------------------------------


def response(
    asked: ClientHandshake, *more: tuple[str, str], **changes: str | None
) -> CIMultiDict[str]:
    fields = CIMultiDict({
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_key(asked.key),
    })
    for name, value in changes.items():
        name = name.replace("_", "-")
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    fields.extend(more)
    return fields


def test_request_of_a_client() -> None:
    asked = ClientHandshake(
        protocols=("chat", "v2"), deflate=ANY, origin="https://a.example", key=KEY
    )
    assert dict(asked.headers()) == {
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Protocol": "chat,v2",
        "Origin": "https://a.example",
        "Sec-WebSocket-Extensions": f"{NAME}; client_max_window_bits",
    }
    assert KEY not in repr(asked)


def test_each_handshake_has_its_own_key() -> None:
    keys = {ClientHandshake().key for _ in range(20)}
    assert len(keys) == 20
    assert all(len(key) == 24 for key in keys)


@pytest.mark.parametrize(
    ("deflate", "offer"),
    [
        (ANY, f"{NAME}; client_max_window_bits"),
        (
            DeflateParameters(
                server_no_context_takeover=True,
                client_no_context_takeover=True,
                server_max_window_bits=10,
                client_max_window_bits=11,
            ),
            f"{NAME}; server_no_context_takeover; client_no_context_takeover; {WINDOWS}",
        ),
    ],
)
def test_what_a_client_offers_a_server_takes(deflate: DeflateParameters, offer: str) -> None:
    asked = ClientHandshake(deflate=deflate)
    fields = asked.headers()
    assert fields["Sec-WebSocket-Extensions"] == offer
    fields["Connection"] = "upgrade"
    answer = served(fields, deflate=ANY)
    answer.headers["Connection"] = "upgrade"
    assert check_response(asked, 101, answer.headers) == (None, deflate)
    assert answer.deflate == deflate


def test_a_client_cannot_offer_a_window_of_8() -> None:
    with pytest.raises(ValueError, match="client_max_window_bits=8"):
        ClientHandshake(deflate=DeflateParameters(client_max_window_bits=8))
    ClientHandshake(deflate=DeflateParameters(server_max_window_bits=8))


ASKED = ClientHandshake(protocols=("chat",), deflate=ANY)
PLAIN = ClientHandshake()


@pytest.mark.parametrize(
    ("asked", "status", "fields", "message"),
    [
        pytest.param(PLAIN, 200, response(PLAIN), "status", id="another status"),
        pytest.param(PLAIN, 101, response(PLAIN, Upgrade=None), "upgrade", id="no Upgrade"),
        pytest.param(PLAIN, 101, response(PLAIN, Upgrade="h2c"), "upgrade", id="other protocol"),
        pytest.param(PLAIN, 101, response(PLAIN, Connection=None), "connection", id="no option"),
        pytest.param(
            PLAIN, 101, response(PLAIN, Sec_WebSocket_Accept=None), "challenge", id="no accept"
        ),
        pytest.param(
            PLAIN,
            101,
            response(PLAIN, Sec_WebSocket_Accept=accept_key(KEY)),
            "challenge",
            id="accept of another key",
        ),
        pytest.param(
            PLAIN, 101, response(PLAIN, Sec_WebSocket_Accept="ü"), "challenge", id="no ASCII"
        ),
        pytest.param(
            PLAIN,
            101,
            response(PLAIN, ("Sec-WebSocket-Accept", accept_key(PLAIN.key))),
            "challenge",
            id="two accepts",
        ),
        pytest.param(
            PLAIN,
            101,
            response(PLAIN, ("Sec-WebSocket-Protocol", "chat")),
            "not asked for",
            id="subprotocol unasked",
        ),
        pytest.param(
            ASKED,
            101,
            response(ASKED, ("Sec-WebSocket-Protocol", "v2")),
            "not asked for",
            id="another subprotocol",
        ),
        pytest.param(
            ASKED,
            101,
            response(ASKED, *[("Sec-WebSocket-Protocol", "chat")] * 2),
            "not asked for",
            id="two subprotocols",
        ),
        pytest.param(
            PLAIN,
            101,
            response(PLAIN, ("Sec-WebSocket-Extensions", NAME)),
            "not offered",
            id="compression unasked, CVE-2026-59881",
        ),
        pytest.param(
            ASKED,
            101,
            response(ASKED, ("Sec-WebSocket-Extensions", "x-other")),
            "not offered",
            id="another extension",
        ),
        pytest.param(
            ASKED,
            101,
            response(ASKED, ("Sec-WebSocket-Extensions", f"{NAME}, {NAME}")),
            "not offered",
            id="compression twice",
        ),
        *(
            pytest.param(
                ASKED,
                101,
                response(ASKED, ("Sec-WebSocket-Extensions", f"{NAME}; {bad}")),
                "was answered with|not offered",
                id=f"answer: {bad}",
            )
            for bad in (
                "unknown",
                "client_max_window_bits",
                "client_max_window_bits=8",
                "client_max_window_bits=16",
                "server_max_window_bits=7",
                "server_max_window_bits=1000000000000000000000",
                "server_no_context_takeover=x",
                "server_no_context_takeover; server_no_context_takeover",
            )
        ),
    ],
)
def test_answers_that_are_refused(
    asked: ClientHandshake, status: int, fields: CIMultiDict[str], message: str
) -> None:
    with pytest.raises(WSHandshakeError, match=message):
        check_response(asked, status, fields)


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        (DeflateParameters(server_no_context_takeover=True), NAME),
        (DeflateParameters(server_max_window_bits=10), NAME),
        (DeflateParameters(server_max_window_bits=10), f"{NAME}; server_max_window_bits=11"),
    ],
)
def test_what_was_asked_for_must_be_granted(offered: DeflateParameters, answer: str) -> None:
    asked = ClientHandshake(deflate=offered)
    with pytest.raises(WSHandshakeError, match="asked for"):
        check_response(asked, 101, response(asked, ("Sec-WebSocket-Extensions", answer)))


def test_an_answer_that_is_taken() -> None:
    more = [
        ("Sec-WebSocket-Protocol", "chat"),
        ("Sec-WebSocket-Extensions", f"{NAME}; client_max_window_bits=9"),
    ]
    assert check_response(ASKED, 101, response(ASKED, *more)) == (
        "chat",
        DeflateParameters(client_max_window_bits=9),
    )


# --- the functions aiohttp has ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "isserver", "expected"),
    [
        (None, False, (0, False)),
        ("", True, (0, False)),
        (NAME, False, (15, False)),
        (NAME, True, (15, False)),
        (f"{NAME}; server_max_window_bits=10", True, (10, False)),
        (f"{NAME}; server_no_context_takeover", True, (15, True)),
        (f"{NAME}; client_max_window_bits=10", False, (10, False)),
        (f"{NAME}; client_no_context_takeover", False, (15, True)),
        (f"{NAME}; server_max_window_bits=7", True, (0, False)),
        (f"x-other, {NAME}; server_max_window_bits=99, {NAME}", True, (15, False)),
    ],
)
def test_ws_ext_parse(text: str | None, isserver: bool, expected: tuple[int, bool]) -> None:
    assert ws_ext_parse(text, isserver) == expected


@pytest.mark.parametrize(
    "text", ["x-other", f"{NAME}; unknown", f"{NAME}; client_max_window_bits=7"]
)
def test_ws_ext_parse_refuses_answers(text: str) -> None:
    with pytest.raises(WSHandshakeError):
        ws_ext_parse(text)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, f"{NAME}; client_max_window_bits"),
        ({"isserver": True}, NAME),
        ({"compress": 10, "isserver": True}, f"{NAME}; server_max_window_bits=10"),
        ({"isserver": True, "server_notakeover": True}, f"{NAME}; server_no_context_takeover"),
    ],
)
def test_ws_ext_gen(options: dict[str, Any], expected: str) -> None:
    assert ws_ext_gen(**options) == expected


@pytest.mark.parametrize("bits", [8, 16])
def test_ws_ext_gen_refuses_windows(bits: int) -> None:
    with pytest.raises(ValueError, match="from 9 to 15"):
        ws_ext_gen(compress=bits)
