"""What is sent as content, and how it leaves."""

from typing import Any, Final, NamedTuple

from antiphon.core.aio.payload import LookupError as UnknownPayloadError
from antiphon.core.aio.payload import Payload, get_payload

from .formdata import FormData

__all__ = ("MAX_SINGLE_WRITE", "NO_CONTENT", "ContentPlan", "payload_of")

MAX_SINGLE_WRITE: Final = 64 * 1024
"""Bytes of content that leave together with the head. More is written in pieces, so that an
early answer ends the upload and memory stays bounded."""


class ContentPlan(NamedTuple):
    """How the content of a request leaves."""

    body: bytes | None
    """All of it, to leave with the head."""
    length: int | None
    """Size in bytes of what is still to be written; ``None`` if not known."""
    chunked: bool
    """Content of unknown size follows."""
    streamed: bool
    """Content follows through the exchange's writer."""


NO_CONTENT: Final = ContentPlan(None, None, False, False)


def payload_of(body: Any) -> Payload:  # Any: whatever `data=` is given
    """Return what knows how to send *body*.

    Raises:
        TypeError: Nothing does.
    """
    if isinstance(body, FormData):
        body = body()
    if isinstance(body, Payload):
        return body
    try:
        return get_payload(body)
    except UnknownPayloadError:
        return FormData(body)()  # dict, pairs, and what else makes a form
