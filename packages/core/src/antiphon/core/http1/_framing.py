"""How the end of a message's content is known (RFC 9112 section 6.3)."""

from typing import Final

from ..errors import BadHttpMessage, InvalidHeader, UnknownTransferCoding, quoted
from ..http import CHUNKED, EMPTY, UNTIL_CLOSE, Framing, HttpVersion, HttpVersion11, Length
from ._grammar import CONTENT_LENGTH, TOKEN

__all__ = ("body_framing", "parse_content_length", "parse_transfer_encoding")

_NO_CONTENT: Final = frozenset((204, 304))


def body_framing(
    *,
    status: int | None,
    method: str,
    length: int | None,
    chunked: bool,
) -> Framing | Length:
    """Return the framing of a message, received or to be sent.

    The rules are tried in the order of RFC 9112 section 6.3.

    Args:
        status: Status code of a response; ``None`` for a request.
        method: Method of the request, or of the request that is answered.
        length: The ``Content-Length``, or ``None`` without one.
        chunked: Whether chunked is the (only) transfer coding.
    """
    if status is not None:
        # Items 1 and 2: whatever the fields say.
        if method == "HEAD" or status < 200 or status in _NO_CONTENT:
            return EMPTY
        if method == "CONNECT" and status < 300:
            return EMPTY
    if chunked:  # item 4
        return CHUNKED
    if length is not None:  # item 6
        return Length(length) if length else EMPTY
    # Items 7 and 8.
    return EMPTY if status is None else UNTIL_CLOSE


def parse_content_length(values: list[bytes]) -> int:
    """Return the size that ``Content-Length`` fields declare.

    Raises:
        InvalidHeader: There are several, or the one is no ASCII number. A list of equal numbers
            (``5, 5``) is refused too, as RFC 9112 section 6.3 item 5 allows.
    """
    if len(values) != 1 or not CONTENT_LENGTH.fullmatch(values[0]):
        shown = b", ".join(values[:4])
        raise InvalidHeader(shown, f"Invalid Content-Length {quoted(shown)}")
    return int(values[0])


def parse_transfer_encoding(values: list[bytes], version: HttpVersion) -> None:
    """Accept ``chunked`` and nothing else (RFC 9112 section 6.1).

    Raises:
        UnknownTransferCoding: A coding other than chunked is named.
        BadHttpMessage: The list is malformed, chunked is not last or not alone, or the message
            is HTTP/1.0, which has no transfer codings.
    """
    if version < HttpVersion11:
        # RFC 9112 section 6.1: the framing is to be treated as faulty.
        raise BadHttpMessage("Transfer-Encoding in an HTTP/1.0 message")
    codings = [coding.strip(b" \t") for coding in b",".join(values).lower().split(b",")]
    if codings == [b"chunked"]:
        return
    shown = quoted(b", ".join(codings))
    for coding in codings:
        name = coding.partition(b";")[0].rstrip(b" \t")
        if not TOKEN.fullmatch(name):
            raise BadHttpMessage(f"Malformed Transfer-Encoding {shown}")
    if b"chunked" in codings[:-1]:
        raise BadHttpMessage(f"Transfer-Encoding where chunked is not last or repeated: {shown}")
    raise UnknownTransferCoding(f"Unknown Transfer-Encoding {shown}")
