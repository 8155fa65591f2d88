"""Which request follows a redirect: pure, one function for each question (RFC 9110 section 15.4).

Whoever controls a server controls its ``Location``. So what goes along is
decided in one place: nothing that identifies the user leaves the origin that
it was meant for, and it does not come back by a detour either.
"""

import re
from collections.abc import Mapping
from typing import Final

import attrs
from multidict import CIMultiDict
from yarl import URL

from antiphon.core import hdrs

from ._target import Target, resolve
from .errors import (
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    NonHttpUrlRedirectClientError,
)

__all__ = ("REDIRECT_STATUSES", "Hop", "carried_headers", "next_hop", "same_origin")

REDIRECT_STATUSES: Final = frozenset((301, 302, 303, 307, 308))

_HTTP_SCHEMES: Final = frozenset(("http", "https"))

_CREDENTIAL_FIELDS: Final = frozenset((
    "authorization",
    "cookie",
    "cookie2",
    "proxy-authorization",
    "www-authenticate",
    "proxy-authenticate",
))

# Fields in which services have their users put keys. A redirect to another origin must not
# hand them over, whatever the service calls them (X-Api-Key, PRIVATE-TOKEN, X-Auth-Token ...).
_CREDENTIAL_WORDS: Final = re.compile(
    r"(?:^|[-_])(?:auth|authorization|token|secret|password|passwd|api-?key|apikey|credentials?|"
    r"access-?key|session-?id|csrf|xsrf|signature|jwt|bearer)(?:$|[-_])"
)

_CONTENT_FIELDS: Final = frozenset(("digest", "expect", "trailer", "transfer-encoding"))
"""Fields about content, besides those that begin with ``content-``."""

_FRAMING_FIELDS: Final = frozenset(("content-length", "transfer-encoding"))

_LEGAL: Final = re.compile(
    r"(?:[A-Za-z0-9\-._~:/?#@!$&'()*+,;=\[\]]++|%[0-9A-Fa-f]{2})*+", re.ASCII
)
_SURROGATE: Final = re.compile("[\udc80-\udcff]")
"""A byte of a field that is no UTF-8, as `RawResponseMessage.headers` shows it."""

_UNSENDABLE: Final = re.compile(r"[^\x21-\x7e]")


@attrs.frozen
class Hop:
    """What a redirect asks for."""

    method: str
    target: Target
    drops_content: bool
    """Whether the content, and the fields about it, stay behind."""
    cross_origin: bool
    """Whether it leads to another origin."""


def next_hop(
    status: int, method: str, target: Target, location: str, *, requote: bool = True
) -> Hop:
    """Return where a redirect leads, and how it is to be asked.

    Args:
        status: One of `REDIRECT_STATUSES`.
        method: The method of the request that was redirected.
        target: Where that request went.
        location: The ``Location`` field.
        requote: Quote what may not stand in a URL. Legal text is never changed.

    Raises:
        InvalidUrlRedirectClientError: *location* is malformed or has no host.
        NonHttpUrlRedirectClientError: It has another scheme than ``http`` or ``https``.
    """
    to = _located(target, location, requote)
    changed = _method_after(status, method)
    return Hop(
        method=changed,
        target=to,
        drops_content=changed != method,
        cross_origin=not same_origin(target, to),
    )


def _method_after(status: int, method: str) -> str:
    # 303 asks for a GET. For 301 and 302 section 15.4.2 allows what browsers do: POST
    # becomes GET, anything else stays what it is.
    if status == 303 and method != hdrs.METH_HEAD:
        return hdrs.METH_GET
    if status in (301, 302) and method == hdrs.METH_POST:
        return hdrs.METH_GET
    return method


def _located(target: Target, location: str, requote: bool) -> Target:
    text = _SURROGATE.sub(lambda match: f"%{ord(match[0]) - 0xDC00:02X}", location.strip(" \t"))
    exact = not requote or _LEGAL.fullmatch(text) is not None
    try:
        if exact and _UNSENDABLE.search(text):
            raise ValueError("it contains characters that are not allowed")
        reference = URL(text, encoded=exact)
        if reference.scheme and reference.scheme.lower() not in _HTTP_SCHEMES:
            raise NonHttpUrlRedirectClientError(text[:1000])
        if (reference.scheme or text.startswith("//")) and not reference.raw_host:
            # "http:/path": some clients take it for a path here, others for a host there.
            raise ValueError("it has no host where one has to be")
        joined = target.url.join(reference)
        if not joined.raw_fragment and target.real_url.raw_fragment:
            # Section 10.2.2: a fragment is inherited.
            joined = URL(f"{joined}#{target.real_url.raw_fragment}", encoded=True)
        return resolve(str(joined) if requote else joined)
    except InvalidUrlClientError as exc:
        raise InvalidUrlRedirectClientError(text[:1000], exc.description) from exc
    except ValueError as exc:
        raise InvalidUrlRedirectClientError(
            text[:1000], "Server attempted redirecting to a location that does not look like a URL"
        ) from exc


def same_origin(first: Target, second: Target) -> bool:
    """Whether two targets have scheme, host and port in common (RFC 6454 section 5)."""
    return (
        first.scheme == second.scheme
        and first.host.lower() == second.host.lower()
        and first.port == second.port
    )


def carried_headers(headers: Mapping[str, str], hop: Hop) -> "CIMultiDict[str]":
    """Return those of *headers* that go along to *hop*, every one of a name or none."""
    return CIMultiDict(
        (name, value) for name, value in headers.items() if _is_carried(name.lower(), hop)
    )


def _is_carried(name: str, hop: Hop) -> bool:
    if name in _FRAMING_FIELDS:
        return False  # decided anew
    if hop.drops_content and (name.startswith("content-") or name in _CONTENT_FIELDS):
        return False
    if hop.cross_origin:
        return not (name == "host" or name in _CREDENTIAL_FIELDS or _CREDENTIAL_WORDS.search(name))
    return True
