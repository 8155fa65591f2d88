"""The opening handshake (RFC 6455 section 4, RFC 7692 section 7), for both ends.

Nothing here sends or receives: fields in, decisions out.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs
from multidict import CIMultiDict

from .. import hdrs
from ..errors import quoted
from ..fields.lists import split_list
from .deflate import DeflateParameters
from .models import WSHandshakeError

__all__ = (
    "WS_KEY",
    "ClientHandshake",
    "ServerHandshake",
    "accept_key",
    "check_response",
    "negotiate",
    "origin_allowed",
    "ws_ext_gen",
    "ws_ext_parse",
)

WS_KEY: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What a server adds to the client's key (RFC 6455 section 1.3)."""

_EXTENSION: Final = "permessage-deflate"
_BITS: Final = re.compile(r"[89]|1[0-5]")
_MAX_OFFERS: Final = 16
"""Offers of extensions looked at in one request."""


def accept_key(key: str) -> str:
    """Return what answers the client's key (section 4.2.2 item 5.4)."""
    digest = hashlib.sha1(key.encode("ascii") + WS_KEY, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def origin_allowed(origin: str | None, allowed: Iterable[str]) -> bool:
    """Whether a browser's page at *origin* may connect (section 10.2).

    Args:
        origin: The ``Origin`` field; ``None`` if there is none, as from anything but a browser:
            allowed then.
        allowed: Origins such as ``https://example.org``, or ``*`` for any. Case does not matter.
    """
    if origin is None:
        return True
    wanted = origin.lower()
    return any(item == "*" or item.lower().rstrip("/") == wanted for item in allowed)


# --- permessage-deflate ----------------------------------------------------------------------


def _parameters(item: str) -> tuple[str, dict[str, str | None]] | None:
    """Split one extension; ``None`` if a parameter comes twice."""
    name, *rest = (part.strip() for part in item.split(";"))
    found: dict[str, str | None] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        key = key.strip().lower()
        if key in found:
            return None
        found[key] = value.strip().strip('"') if equals else None
    return name.lower(), found


def _bits(value: str | None) -> int | None:
    return int(value) if value is not None and _BITS.fullmatch(value) else None


def _accept_offer(
    offer: Mapping[str, str | None], wanted: DeflateParameters
) -> tuple[str, DeflateParameters] | None:
    """Answer one offer of permessage-deflate; ``None`` declines it (RFC 7692 section 7.1)."""
    answer = [_EXTENSION]
    server_no_context = wanted.server_no_context_takeover
    client_no_context = wanted.client_no_context_takeover
    server_bits = wanted.server_max_window_bits
    client_bits = 15
    for name, value in offer.items():
        if name == "server_no_context_takeover" and value is None:
            server_no_context = True
        elif name == "client_no_context_takeover" and value is None:
            client_no_context = True
        elif name == "server_max_window_bits":
            bits = _bits(value)
            if bits is None or bits == 8:
                return None  # zlib cannot write with a window of 8 bits
            server_bits = min(server_bits, bits)
        elif name == "client_max_window_bits":
            bits = 15 if value is None else _bits(value)
            if bits is None:
                return None
            # Only a client that names this may be asked for a smaller window.
            client_bits = min(bits, wanted.client_max_window_bits)
        else:
            return None
    if server_no_context:
        answer.append("server_no_context_takeover")
    if client_no_context:
        answer.append("client_no_context_takeover")
    if server_bits < 15 or "server_max_window_bits" in offer:
        answer.append(f"server_max_window_bits={server_bits}")
    if client_bits < 15:
        answer.append(f"client_max_window_bits={client_bits}")
    agreed = DeflateParameters(
        server_no_context_takeover=server_no_context,
        client_no_context_takeover=client_no_context,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
    )
    return "; ".join(answer), agreed


def _extensions(values: Iterable[str]) -> list[tuple[str, dict[str, str | None]] | None]:
    items = [item for value in values for item in split_list(value)]
    return [_parameters(item) for item in items[:_MAX_OFFERS] if item.strip()]


def _offer_text(parameters: DeflateParameters) -> str:
    parts = [_EXTENSION]
    if parameters.server_no_context_takeover:
        parts.append("server_no_context_takeover")
    if parameters.client_no_context_takeover:
        parts.append("client_no_context_takeover")
    if parameters.server_max_window_bits < 15:
        parts.append(f"server_max_window_bits={parameters.server_max_window_bits}")
    if parameters.client_max_window_bits < 15:
        parts.append(f"client_max_window_bits={parameters.client_max_window_bits}")
    else:
        parts.append("client_max_window_bits")
    return "; ".join(parts)


def _check_answer(found: Mapping[str, str | None], offered: DeflateParameters) -> DeflateParameters:
    """Take a server's answer to *offered* (RFC 7692 section 7.1)."""
    server_no_context = client_no_context = False
    server_bits = client_bits = 15
    for name, value in found.items():
        bits = _bits(value)
        if name == "server_no_context_takeover" and value is None:
            server_no_context = True
        elif name == "client_no_context_takeover" and value is None:
            client_no_context = True
        elif name == "server_max_window_bits" and bits is not None:
            server_bits = bits
        elif name == "client_max_window_bits" and bits is not None and bits > 8:
            client_bits = bits
        else:
            raise WSHandshakeError(f"{_EXTENSION} was answered with {quoted(name)}")
    if offered.server_no_context_takeover and not server_no_context:
        raise WSHandshakeError("server_no_context_takeover was asked for and not granted")
    if server_bits > offered.server_max_window_bits:
        raise WSHandshakeError("server_max_window_bits is larger than was asked for")
    return DeflateParameters(
        server_no_context_takeover=server_no_context,
        client_no_context_takeover=client_no_context or offered.client_no_context_takeover,
        server_max_window_bits=server_bits,
        client_max_window_bits=min(client_bits, offered.client_max_window_bits),
    )


def ws_ext_parse(extstr: str | None, isserver: bool = False) -> tuple[int, bool]:
    """Read a ``Sec-WebSocket-Extensions`` value as two facts about our own direction.

    Args:
        extstr: The value.
        isserver: Whether it is a client's offer; otherwise it is a server's answer.

    Returns:
        Our compression's window bits, 0 for none, and whether it starts anew each message.

    Raises:
        WSHandshakeError: A server's answer cannot be honoured. Offers are just declined.
    """
    for extension in _extensions([extstr] if extstr else []):
        if extension is None or extension[0] != _EXTENSION:
            if not isserver:
                raise WSHandshakeError("An extension was answered that was not offered")
            continue
        if isserver:
            accepted = _accept_offer(extension[1], DeflateParameters())
            if accepted is not None:
                agreed = accepted[1]
                return agreed.server_max_window_bits, agreed.server_no_context_takeover
            continue
        agreed = _check_answer(extension[1], DeflateParameters())
        return agreed.client_max_window_bits, agreed.client_no_context_takeover
    return 0, False


def ws_ext_gen(compress: int = 15, isserver: bool = False, server_notakeover: bool = False) -> str:
    """Write a ``Sec-WebSocket-Extensions`` value.

    Args:
        compress: Window bits, 9 to 15.
        isserver: Whether this is a server's answer; otherwise it is a client's offer.
        server_notakeover: Whether the server's compression starts anew each message.
    """
    if not 9 <= compress <= 15:
        raise ValueError(f"compress must be from 9 to 15, not {compress!r}")
    parts = [_EXTENSION]
    if not isserver:
        parts.append("client_max_window_bits")
    if compress < 15:
        parts.append(f"server_max_window_bits={compress}")
    if server_notakeover:
        parts.append("server_no_context_takeover")
    return "; ".join(parts)


# --- server ----------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ServerHandshake:
    """What a server answers, and what was agreed on by that."""

    headers: CIMultiDict[str]
    """Fields of the 101 response, but for ``Connection``, which is the connection's business."""
    protocol: str | None
    """The subprotocol chosen."""
    deflate: DeflateParameters | None


def negotiate(
    method: str,
    headers: Mapping[str, str],
    *,
    all_values: Sequence[tuple[str, str]] = (),
    protocols: Sequence[str] = (),
    deflate: DeflateParameters | None = None,
    origins: Iterable[str] | None = None,
) -> ServerHandshake:
    """Decide about a client's opening handshake (RFC 6455 section 4.2).

    Args:
        method: The request's method.
        headers: Its fields; a mapping that ignores case.
        all_values: All field lines where *headers* has duplicates; taken from it by default.
        protocols: Subprotocols this server speaks, the preferred one first.
        deflate: What to allow of compression, ``None`` for none.
        origins: Origins of pages that may connect, ``None`` for any.

    Raises:
        ValueError: A window of 8 bits was wanted for what this side compresses.
        WSHandshakeError: With 426 for another version, 403 for the origin, 405 for the method.
    """
    if deflate is not None and deflate.server_max_window_bits < 9:
        raise ValueError("zlib cannot compress with server_max_window_bits=8")
    if method != hdrs.METH_GET:
        raise WSHandshakeError(
            f"A WebSocket handshake is a GET, not {quoted(method)}",
            code=405,
            headers=CIMultiDict({hdrs.ALLOW: hdrs.METH_GET}),
        )
    pairs = list(all_values) or list(headers.items())
    if "websocket" not in _options(pairs, "upgrade"):
        raise WSHandshakeError(
            f"No WebSocket UPGRADE hdr: {quoted(headers.get(hdrs.UPGRADE, ''))}; "
            "can 'Upgrade' only to 'websocket'."
        )
    if "upgrade" not in _options(pairs, "connection"):
        raise WSHandshakeError("The Connection field has no option 'upgrade'")
    version = headers.get(hdrs.SEC_WEBSOCKET_VERSION, "")
    if version.strip() != "13":
        # Section 4.4: say which version is spoken here.
        raise WSHandshakeError(
            f"Unsupported version: {quoted(version)}",
            code=426,
            headers=CIMultiDict({hdrs.SEC_WEBSOCKET_VERSION: "13", hdrs.UPGRADE: "websocket"}),
        )
    keys = [value.strip() for name, value in pairs if name.lower() == "sec-websocket-key"]
    if len(keys) != 1 or not _is_key(keys[0]):
        raise WSHandshakeError(f"Handshake error: bad key {quoted(', '.join(keys))}")
    if origins is not None and not origin_allowed(headers.get(hdrs.ORIGIN), origins):
        raise WSHandshakeError("This origin may not connect", code=403)

    answer = CIMultiDict({
        hdrs.UPGRADE: "websocket",
        hdrs.SEC_WEBSOCKET_ACCEPT: accept_key(keys[0]),
    })
    chosen = _choose_protocol(pairs, protocols)
    if chosen is not None:
        answer[hdrs.SEC_WEBSOCKET_PROTOCOL] = chosen
    agreed = None
    if deflate is not None:
        values = [value for name, value in pairs if name.lower() == "sec-websocket-extensions"]
        for extension in _extensions(values):
            if extension is None or extension[0] != _EXTENSION:
                continue
            accepted = _accept_offer(extension[1], deflate)
            if accepted is not None:
                answer[hdrs.SEC_WEBSOCKET_EXTENSIONS], agreed = accepted
                break
    return ServerHandshake(headers=answer, protocol=chosen, deflate=agreed)


def _options(pairs: Iterable[tuple[str, str]], name: str) -> list[str]:
    """Return the items of all fields called *name*, in lower case."""
    return [
        item.strip().lower()
        for field, value in pairs
        if field.lower() == name
        for item in value.split(",")
    ]


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


def _choose_protocol(pairs: Iterable[tuple[str, str]], protocols: Sequence[str]) -> str | None:
    """Return the first of the client's subprotocols that is spoken here."""
    for name, value in pairs:
        if name.lower() == "sec-websocket-protocol":
            for item in value.split(","):
                if item.strip() in protocols:
                    return item.strip()
    return None


# --- client ----------------------------------------------------------------------------------


def _check_window(instance: object, attribute: object, value: DeflateParameters | None) -> None:
    if value is not None and value.client_max_window_bits < 9:
        raise ValueError("zlib cannot compress with client_max_window_bits=8")


@attrs.frozen(kw_only=True)
class ClientHandshake:
    """What a client asks for.

    Args:
        protocols: Subprotocols, the preferred one first.
        deflate: Compression to offer, ``None`` for none.
        origin: What the ``Origin`` field says.
    """

    protocols: tuple[str, ...] = ()
    deflate: DeflateParameters | None = attrs.field(default=None, validator=_check_window)
    origin: str | None = None
    key: str = attrs.field(
        factory=lambda: base64.b64encode(os.urandom(16)).decode("ascii"), repr=False
    )

    def headers(self) -> CIMultiDict[str]:
        """Return the request's fields, but for ``Connection``."""
        fields = CIMultiDict({
            hdrs.UPGRADE: "websocket",
            hdrs.SEC_WEBSOCKET_VERSION: "13",
            hdrs.SEC_WEBSOCKET_KEY: self.key,
        })
        if self.protocols:
            fields[hdrs.SEC_WEBSOCKET_PROTOCOL] = ",".join(self.protocols)
        if self.origin is not None:
            fields[hdrs.ORIGIN] = self.origin
        if self.deflate is not None:
            fields[hdrs.SEC_WEBSOCKET_EXTENSIONS] = _offer_text(self.deflate)
        return fields


def check_response(
    asked: ClientHandshake,
    status: int,
    headers: Mapping[str, str],
    *,
    all_values: Sequence[tuple[str, str]] = (),
) -> tuple[str | None, DeflateParameters | None]:
    """Check a server's answer (RFC 6455 section 4.1).

    Args:
        asked: What was sent.
        status: The response's status.
        headers: Its fields; a mapping that ignores case.
        all_values: All field lines where *headers* has duplicates; taken from it by default.

    Returns:
        The subprotocol and the compression that were agreed on.

    Raises:
        WSHandshakeError: The server did not agree, or agreed to what was not asked.
    """
    if status != 101:
        raise WSHandshakeError("Invalid response status", code=status)
    pairs = list(all_values) or list(headers.items())
    if _options(pairs, "upgrade") != ["websocket"]:
        raise WSHandshakeError("Invalid upgrade header")
    if "upgrade" not in _options(pairs, "connection"):
        raise WSHandshakeError("Invalid connection header")
    accepts = [value.strip() for name, value in pairs if name.lower() == "sec-websocket-accept"]
    expected = accept_key(asked.key).encode("ascii")
    given = accepts[0].encode("utf-8", "surrogateescape") if len(accepts) == 1 else b""
    if not hmac.compare_digest(given, expected):
        raise WSHandshakeError("Invalid challenge response")
    chosen = [value.strip() for name, value in pairs if name.lower() == "sec-websocket-protocol"]
    if chosen and (len(chosen) > 1 or chosen[0] not in asked.protocols):
        raise WSHandshakeError(f"Subprotocol {quoted(', '.join(chosen))} was not asked for")
    values = [value for name, value in pairs if name.lower() == "sec-websocket-extensions"]
    agreed = None
    for extension in _extensions(values):
        if extension is None or extension[0] != _EXTENSION or asked.deflate is None or agreed:
            raise WSHandshakeError("An extension was answered that was not offered")
        agreed = _check_answer(extension[1], asked.deflate)
    return (chosen[0] if chosen else None), agreed
