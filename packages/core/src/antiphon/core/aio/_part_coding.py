"""The codings of a part: transfer encodings (RFC 2045 section 6) around content codings."""

import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Final, Protocol, final

from .. import coding, hdrs
from ..errors import quoted
from ..multipart import BadMultipart
from ..typedefs import Byteish
from .writer import AbstractStreamWriter

__all__ = ("EncodingWriter", "PartDecoder", "content_encoding", "transfer_encoding")

_BASE64: Final = "base64"
_QUOTED_PRINTABLE: Final = "quoted-printable"
_AS_IT_IS: Final = frozenset(("", "7bit", "8bit", "binary"))

_BASE64_LINE: Final = 57
"""Bytes that make a line of 76 characters, the longest allowed (RFC 2045 section 6.8)."""

# RFC 2045 section 6.7: an octet, or a soft line break with white space that gateways added.
_ESCAPE = re.compile(rb"=(?:([0-9A-Fa-f]{2})|[ \t]{0,76}+\r\n)")
_ESCAPE_BEGUN = re.compile(rb"=(?:[0-9A-Fa-f]?|[ \t]{0,76}\r?)\Z")


def content_encoding(headers: Mapping[str, str]) -> str | None:
    """Return the content coding of a part, in lower case; ``None`` if it has none."""
    name = headers.get(hdrs.CONTENT_ENCODING, "").strip(" \t").lower()
    return None if name in {"", "identity"} else name


def transfer_encoding(headers: Mapping[str, str]) -> str | None:
    """Return the transfer encoding of a part, in lower case; ``None`` if content is as it is."""
    name = headers.get(hdrs.CONTENT_TRANSFER_ENCODING, "").strip(" \t").lower()
    return None if name in _AS_IT_IS else name


class _TransferDecoder(Protocol):
    def decode(self, data: bytes) -> bytes: ...
    def finish(self) -> None: ...


@final
class PartDecoder:
    """Takes the encodings of one part off, piece by piece.

    Args:
        transfer: The transfer encoding, if there is one.
        content: The content coding, if there is one.
        step: Bytes that one piece has at most, where content was compressed.

    Raises:
        BadMultipart: An encoding that does not exist, or not here.
    """

    __slots__ = ("_content", "_step", "_transfer")

    def __init__(self, transfer: str | None, content: str | None, step: int) -> None:
        self._step = step
        self._transfer: _TransferDecoder | None = None
        self._content: coding.ContentDecoder | None = None
        if transfer == _BASE64:
            self._transfer = _Base64Decoder()
        elif transfer == _QUOTED_PRINTABLE:
            self._transfer = _QuotedPrintableDecoder()
        elif transfer is not None:
            raise BadMultipart(f"unknown content transfer encoding: {quoted(transfer)}")
        if content is not None:
            try:
                self._content = coding.decoder(content)
            except coding.UnknownContentCoding as exc:
                raise BadMultipart(f"unknown content encoding: {quoted(content)}") from exc

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give the content of *data* in pieces, none of them empty.

        Raises:
            BadMultipart: The transfer encoding is malformed.
            ContentEncodingError: The content coding is.
        """
        if self._transfer is not None:
            data = self._transfer.decode(data)
        decoder = self._content
        if decoder is None:
            if data:
                yield data
            return
        if not data and decoder.needs_input:
            return
        out = decoder.decompress(data, self._step)
        while True:
            if out:
                yield out
            if decoder.needs_input:
                return
            out = decoder.decompress(b"", self._step)

    def finish(self) -> None:
        """Take note that there is no more.

        Raises:
            BadMultipart: The transfer encoding is not complete.
            ContentEncodingError: The content coding is not.
        """
        if self._transfer is not None:
            self._transfer.finish()
        if self._content is not None:
            self._content.finish()


@final
class _Base64Decoder:
    __slots__ = ("_held", "_padded")

    def __init__(self) -> None:
        self._held = b""
        self._padded = False

    def decode(self, data: bytes) -> bytes:
        data = self._held + data.translate(None, b" \t\r\n")
        whole = len(data) - len(data) % 4
        self._held = data[whole:]
        if not whole:
            return b""
        if self._padded:
            raise BadMultipart("Content goes on after the end of its base64")
        data = data[:whole]
        self._padded = data.endswith(b"=")
        try:
            return binascii.a2b_base64(data, strict_mode=True)
        except binascii.Error as exc:
            raise BadMultipart(f"Content is no base64: {exc}") from exc

    def finish(self) -> None:
        if self._held:
            raise BadMultipart("Content ends inside of its base64")


@final
class _QuotedPrintableDecoder:
    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def decode(self, data: bytes) -> bytes:
        data = self._held + data
        begun = _ESCAPE_BEGUN.search(data, max(0, len(data) - 80))
        if begun is None:
            self._held = b""
        else:
            self._held = data[begun.start() :]
            data = data[: begun.start()]
        return _ESCAPE.sub(_octet, data)

    def finish(self) -> None:
        if self._held:
            raise BadMultipart("Content ends inside of an escape of its quoted-printable")


def _octet(match: "re.Match[bytes]") -> bytes:
    digits = match[1]
    return b"" if digits is None else binascii.a2b_hex(digits)


@final
class EncodingWriter(AbstractStreamWriter):
    """Puts the encodings of a part on, on the way to another writer.

    Args:
        writer: Where the encoded content goes.
        transfer: ``base64``, ``quoted-printable`` or nothing.
        content: A content coding or nothing.
    """

    def __init__(
        self, writer: AbstractStreamWriter, transfer: str | None, content: str | None
    ) -> None:
        self._writer = writer
        self._transfer = transfer
        self._encoder = None if content is None else coding.encoder(content)
        self._held = b""
        self._began = False
        self.length = None

    async def write(self, chunk: Byteish) -> None:
        """Encode *chunk* and write what comes of it so far."""
        data = bytes(chunk) if self._encoder is None else self._encoder.compress(chunk)
        await self._put(data)

    async def write_eof(self, chunk: Byteish = b"") -> None:
        """Encode *chunk*, write it and what was held back. Does not end the writer below."""
        if chunk:
            await self.write(chunk)
        if self._encoder is not None:
            await self._put(self._encoder.flush())
        if self._held:
            await self._writer.write(binascii.b2a_base64(self._held, newline=False))
            self._held = b""

    async def drain(self) -> None:
        """Wait as the writer below does."""
        await self._writer.drain()

    async def _put(self, data: bytes) -> None:
        if self._transfer == _BASE64:
            data = self._held + data
            whole = len(data) - len(data) % _BASE64_LINE
            self._held = data[whole:]
            data = b"".join(
                binascii.b2a_base64(data[at : at + _BASE64_LINE], newline=False) + b"\r\n"
                for at in range(0, whole, _BASE64_LINE)
            )
        elif self._transfer == _QUOTED_PRINTABLE and data:
            # A line end inside of content is an octet like others; what is a line end in the
            # result is a soft one, and so is the one that separates two pieces.
            lines = binascii.b2a_qp(data, istext=False).replace(b"\r\n", b"\n")
            data = (b"=\r\n" if self._began else b"") + lines.replace(b"\n", b"\r\n")
            self._began = True
        if data:
            await self._writer.write(data)
