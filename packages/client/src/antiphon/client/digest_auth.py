"""Digest authentication (RFC 7616) as a middleware."""

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, final
from urllib.parse import quote

import attrs
from yarl import URL

from antiphon.core import hdrs
from antiphon.core.fields.lists import split_list

from ._target import Target
from .middlewares import ClientHandlerType

if TYPE_CHECKING:
    from .request import ClientRequest
    from .response import ClientResponse

__all__ = ("DigestAuthMiddleware", "DigestChallenge", "parse_challenges")

_MAX_SPACES: Final = 256
"""Origins whose challenges are remembered: redirects must not fill memory."""

_MAX_VALUE: Final = 4096
"""Characters of one parameter of a challenge; it is sent back with each request."""

_Hash = Callable[[bytes], str]


def _hash(name: str) -> _Hash:
    def digest(data: bytes) -> str:
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    return digest


_ALGORITHMS: Final[dict[str, tuple[int, _Hash]]] = {
    # name -> (strength, function); RFC 7616 section 3.2, and what servers also use
    "MD5": (0, _hash("md5")),
    "SHA": (1, _hash("sha1")),
    "SHA-256": (2, _hash("sha256")),
    "SHA-512-256": (3, _hash("sha512_256")),
    "SHA-512": (4, _hash("sha512")),
}

_SCHEME: Final = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:[ \t]+(.*))?", re.ASCII | re.DOTALL)
_PARAMETER: Final = re.compile(
    r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]++|\\.)*+)\"|([^\s\",=]*+))[ \t]*",
    re.ASCII | re.DOTALL,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def parse_challenges(values: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """Return the challenges of ``WWW-Authenticate`` fields (RFC 9110 section 11.6.1).

    Args:
        values: The fields' values; each may hold several challenges.

    Returns:
        Scheme, lower case, and parameters, names in lower case. What is malformed is left out.
    """
    challenges: list[tuple[str, dict[str, str]]] = []
    for value in values:
        for element in split_list(value):
            parameter = _PARAMETER.fullmatch(element)
            if parameter is None:
                scheme = _SCHEME.fullmatch(element)
                if scheme is None:
                    continue
                challenges.append((scheme[1].lower(), {}))
                parameter = _PARAMETER.fullmatch(scheme[2] or "")
            if parameter is not None and challenges:
                quoted, plain = parameter[2], parameter[3]
                text = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
                challenges[-1][1].setdefault(parameter[1].lower(), text)
    return challenges


@attrs.define(kw_only=True)
class DigestChallenge:
    """What a server asks for, and how often its nonce was used."""

    realm: str
    nonce: str
    algorithm: str
    """As the server writes it."""
    hash: _Hash
    session: bool
    """Whether the key is made once for a nonce (``-sess``)."""
    qop: str
    """``auth``, ``auth-int``, or nothing for servers of RFC 2069."""
    opaque: str | None
    userhash: bool
    utf8: bool
    stale: bool
    spaces: tuple[str, ...]
    """Paths for which the credentials are meant; none for the whole origin."""
    count: int = 0
    cnonce: str = attrs.field(factory=lambda: secrets.token_hex(16))

    def covers(self, target: Target) -> bool:
        """Whether credentials may be sent to *target* before they are asked for."""
        if not self.spaces:
            return True
        path = target.url.raw_path
        return any(_is_below(path, space) for space in self.spaces)


def _is_below(path: str, space: str) -> bool:
    return path == space or path.startswith(space if space.endswith("/") else f"{space}/")


def strongest_challenge(values: Iterable[str], target: Target) -> DigestChallenge | None:
    """Return the challenge with the strongest algorithm that is known here."""
    best: DigestChallenge | None = None
    best_strength = -1
    for scheme, parameters in parse_challenges(values):
        if scheme != "digest":
            continue
        found = _challenge(parameters, target)
        if found is None:
            continue
        strength = _ALGORITHMS[_base_name(found.algorithm)][0]
        if strength > best_strength:
            best, best_strength = found, strength
    return best


def _base_name(algorithm: str) -> str:
    return algorithm.upper().removesuffix("-SESS")


def _challenge(parameters: dict[str, str], target: Target) -> DigestChallenge | None:
    algorithm = parameters.get("algorithm") or "MD5"
    known = _ALGORITHMS.get(_base_name(algorithm))
    nonce = parameters.get("nonce")
    realm = parameters.get("realm")
    if known is None or not nonce or realm is None:
        return None
    if any(len(value) > _MAX_VALUE for value in parameters.values()):
        return None
    offered = [word.strip().lower() for word in parameters.get("qop", "").split(",")]
    if "auth" in offered:
        qop = "auth"
    elif "auth-int" in offered:
        qop = "auth-int"
    elif offered == [""]:
        qop = ""
    else:
        return None
    return DigestChallenge(
        realm=realm,
        nonce=nonce,
        algorithm=algorithm,
        hash=known[1],
        session=algorithm.upper().endswith("-SESS"),
        qop=qop,
        opaque=parameters.get("opaque"),
        userhash=parameters.get("userhash", "").lower() == "true",
        utf8=parameters.get("charset", "").lower() == "utf-8",
        stale=parameters.get("stale", "").lower() == "true",
        spaces=_spaces(parameters.get("domain", ""), target),
    )


def _spaces(domain: str, target: Target) -> tuple[str, ...]:
    spaces = []
    for word in domain.split():
        try:
            url = target.url.join(URL(word, encoded=True))
        except ValueError:
            continue
        # Section 3.3 lets a server name other origins. Nobody else has agreed to that.
        if url.origin() == target.url.origin():
            spaces.append(url.raw_path)
    return tuple(spaces)


@final
class DigestAuthMiddleware:
    """Answers Digest challenges with one user's name and password.

    Credentials answer the origin that the user asked, and no other one: a challenge met
    after a redirect to another origin is left alone (CVE-2026-54276).

    Args:
        login: The user's name; without a colon.
        password: The password.
        preemptive: Send credentials along with later requests before they are asked for.

    Raises:
        ValueError: The login is ``None`` or contains a colon, or the password is ``None``.
    """

    __slots__ = ("_login", "_password", "_preemptive", "_spaces")

    def __init__(self, login: str, password: str, preemptive: bool = True) -> None:
        if login is None:
            raise ValueError("None is not allowed as login value")
        if password is None:
            raise ValueError("None is not allowed as password value")
        if ":" in login:
            raise ValueError('A ":" is not allowed in username (RFC 7616 section 3.4)')
        self._login = login
        self._password = password
        self._preemptive = preemptive
        self._spaces: OrderedDict[tuple[str, str, int | None], DigestChallenge] = OrderedDict()

    async def __call__(
        self, request: "ClientRequest", handler: ClientHandlerType
    ) -> "ClientResponse":
        """Send *request*; once more, with credentials, if the server asks for them."""
        if request.cross_origin:
            return await handler(request)
        target = request.target
        origin = (target.scheme, target.host, target.port)
        known = self._spaces.get(origin)
        answered: str | None = None
        if known is not None and self._preemptive and known.covers(target):
            await self._authorize(request, known)
            answered = known.nonce
        response = await handler(request)
        if response.status == 401:
            challenge = strongest_challenge(
                response.headers.getall(hdrs.WWW_AUTHENTICATE, ()), target
            )
            if challenge is None or not request.replayable:
                return response
            if answered is not None and not challenge.stale and challenge.nonce == answered:
                return response  # the very answer we gave is not good enough
            response.release()
            await self._authorize(request, challenge)
            known = challenge
            response = await handler(request)
            if response.status == 401:
                self._spaces.pop(origin, None)
                return response
            self._remember(origin, challenge)
        if known is not None:
            self._take_next_nonce(known, response)
        return response

    def _remember(self, origin: tuple[str, str, int | None], challenge: DigestChallenge) -> None:
        self._spaces[origin] = challenge
        self._spaces.move_to_end(origin)
        if len(self._spaces) > _MAX_SPACES:
            self._spaces.popitem(last=False)

    def _take_next_nonce(self, challenge: DigestChallenge, response: "ClientResponse") -> None:
        for value in response.headers.getall(hdrs.AUTHENTICATION_INFO, ()):
            # It has parameters and no scheme; give it one, to read it like a challenge.
            for _, parameters in parse_challenges([f"digest {value}"]):
                nonce = parameters.get("nextnonce")
                if nonce and nonce != challenge.nonce and len(nonce) <= _MAX_VALUE:
                    challenge.nonce = nonce
                    challenge.count = 0
                    challenge.cnonce = secrets.token_hex(16)

    async def _authorize(self, request: "ClientRequest", challenge: DigestChallenge) -> None:
        body = b""
        if challenge.qop == "auth-int" and request.payload is not None:
            body = await request.payload.as_bytes()
        request.headers[hdrs.AUTHORIZATION] = self.authorization(
            challenge, request.method, request.target.origin_form, body
        )

    def authorization(
        self, challenge: DigestChallenge, method: str, uri: str, body: bytes = b""
    ) -> str:
        """Return the ``Authorization`` field for one request; counts a use of the nonce.

        Args:
            challenge: What the server asked for.
            method: The request's method.
            uri: The request target.
            body: The request's content, for ``auth-int``.
        """
        digest = challenge.hash
        challenge.count += 1
        # A nonce of our own for each request (section 5.4), but for -sess, whose key is made once.
        cnonce = challenge.cnonce if challenge.session else secrets.token_hex(16)
        count = f"{challenge.count:08x}"
        secret = digest(f"{self._login}:{challenge.realm}:{self._password}".encode())
        if challenge.session:
            secret = digest(f"{secret}:{challenge.nonce}:{cnonce}".encode())
        asked = f"{method}:{uri}"
        if challenge.qop == "auth-int":
            asked = f"{asked}:{digest(body)}"
        proof = [secret, challenge.nonce]
        if challenge.qop:
            proof += [count, cnonce, challenge.qop]
        proof.append(digest(asked.encode()))
        fields: list[tuple[str, Any]] = [
            *self._username(challenge),
            ("realm", _quoted(challenge.realm)),
            ("nonce", _quoted(challenge.nonce)),
            ("uri", _quoted(uri)),
            ("response", _quoted(digest(":".join(proof).encode()))),
            ("algorithm", challenge.algorithm),
        ]
        if challenge.opaque is not None:
            fields.append(("opaque", _quoted(challenge.opaque)))
        if challenge.qop:
            fields += [("qop", challenge.qop), ("nc", count)]
        if challenge.qop or challenge.session:
            fields.append(("cnonce", _quoted(cnonce)))
        return "Digest " + ", ".join(f"{name}={value}" for name, value in fields)

    def _username(self, challenge: DigestChallenge) -> list[tuple[str, str]]:
        if challenge.userhash:
            hashed = challenge.hash(f"{self._login}:{challenge.realm}".encode())
            return [("username", _quoted(hashed)), ("userhash", "true")]
        if challenge.utf8 and not self._login.isascii():
            return [("username*", f"UTF-8''{quote(self._login, safe='')}")]
        return [("username", _quoted(self._login))]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._login!r}>"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
