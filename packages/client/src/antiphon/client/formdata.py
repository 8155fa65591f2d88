"""Forms to be sent: fields and files to content."""

import io
import os
import re
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from multidict import MultiDict, MultiDictProxy

from antiphon.core import hdrs
from antiphon.core.aio.multipart import MultipartWriter
from antiphon.core.aio.payload import BytesPayload, Payload, get_payload
from antiphon.core.aio.payload import LookupError as UnknownPayloadError
from antiphon.core.deprecations import warn_deprecated

__all__ = ("FormData",)

# What would end a header field early and begin another (CVE-2026-34514, CVE-2026-50269).
_LINE_BREAKING: Final = re.compile(r"[\r\n\x00]")


class _Field(NamedTuple):
    name: str
    value: Any  # Any: whatever the payload registry knows
    headers: dict[str, str]
    filename: str | None


class FormData:
    """Fields and files, made into content when a request is sent.

    Without a file it is ``application/x-www-form-urlencoded``, with one
    ``multipart/form-data`` (RFC 7578).

    Args:
        fields: What to begin with: a mapping, a list of pairs of name and value, or a file.
        quote_fields: ``False`` writes a quote in a name as ``\\"`` and not as ``%22``.
        charset: Of text; UTF-8 by default.
        default_to_multipart: Make it ``multipart/form-data`` even without a file.

    Raises:
        TypeError: *fields* is none of these.
        ValueError: A name has a line break or a NUL.
    """

    def __init__(
        self,
        fields: Iterable[Any] = (),  # Any: mappings, pairs and files, looked at one by one
        quote_fields: bool = True,
        charset: str | None = None,
        *,
        default_to_multipart: bool = False,
    ) -> None:
        self._fields: list[_Field] = []
        self._is_multipart = default_to_multipart
        self._quote_fields = quote_fields
        self._charset = charset
        if isinstance(fields, Mapping) and not isinstance(fields, (MultiDict, MultiDictProxy)):
            fields = list(fields.items())
        elif not isinstance(fields, (list, tuple)):
            fields = (fields,)
        self.add_fields(*fields)

    @property
    def is_multipart(self) -> bool:
        """Whether the content is going to be ``multipart/form-data``."""
        return self._is_multipart

    def add_field(
        self,
        name: str,
        value: Any,  # Any: whatever the payload registry knows
        *,
        content_type: str | None = None,
        filename: str | None = None,
        content_transfer_encoding: str | None = None,
    ) -> None:
        """Add one field, or one file.

        Args:
            name: The field's name.
            value: Text, a number, a file, or anything else that can be content: with the
                latter two the form becomes multipart.
            content_type: Media type of *value*; makes the form multipart.
            filename: Name of a file, by default that of the file *value*; makes the form
                multipart.
            content_transfer_encoding: Obsolete (ANT-0016): makes the form multipart, and is
                not sent (RFC 7578 section 4.7): nothing would encode the content so.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: A name or type has a line break or a NUL.
        """
        value = _unwrapped(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            if filename is None and content_transfer_encoding is None:
                warn_deprecated("ANT-0018")
            if filename is None:
                filename = name
        elif filename is None and isinstance(value, io.IOBase):
            filename = _name_of(value) or name
        if isinstance(value, (io.IOBase, Payload, AsyncIterable)):
            self._is_multipart = True
        _require_text("name", name)
        headers: dict[str, str] = {}
        if filename is not None:
            _require_text("filename", filename)
            self._is_multipart = True
        if content_type is not None:
            _require_text("content_type", content_type)
            headers[hdrs.CONTENT_TYPE] = content_type
            self._is_multipart = True
        if content_transfer_encoding is not None:
            _require_text("content_transfer_encoding", content_transfer_encoding)
            warn_deprecated("ANT-0016")
            self._is_multipart = True
        self._fields.append(_Field(name, value, headers, filename))

    def add_fields(self, *fields: Any) -> None:
        """Add several fields: pairs of name and value, files, or multidicts of fields.

        Raises:
            TypeError: One of them is none of these.
        """
        for field in fields:
            field = _unwrapped(field)
            if isinstance(field, io.IOBase):
                self.add_field(_name_of(field) or "unknown", field)
            elif isinstance(field, (MultiDict, MultiDictProxy)):
                for name, value in field.items():
                    self.add_field(name, value)
            elif isinstance(field, (list, tuple)) and len(field) == 2:
                self.add_field(field[0], field[1])
            else:
                raise TypeError(
                    "Only io.IOBase, multidict and (name, file) pairs allowed, use .add_field() "
                    f"for passing more complex parameters, got {field!r}"
                )

    def __call__(self) -> Payload:
        """Return the form as content; files in it are the content's to close.

        Raises:
            TypeError: A value cannot be content.
            ValueError: A name cannot be sent.
        """
        return self._as_multipart() if self._is_multipart else self._as_urlencoded()

    def _as_urlencoded(self) -> Payload:
        charset = self._charset or "utf-8"
        pairs = [(field.name, field.value) for field in self._fields]
        content_type = "application/x-www-form-urlencoded"
        if charset != "utf-8":
            content_type = f"{content_type}; charset={charset}"
        content = urlencode(pairs, doseq=True, encoding=charset).encode("ascii")
        return BytesPayload(content, content_type=content_type)

    def _as_multipart(self) -> Payload:
        writer = MultipartWriter("form-data")
        for field in self._fields:
            part = writer.append_payload(self._part(field))
            part.headers.update(field.headers)
        return writer

    def _part(self, field: _Field) -> Payload:
        value = field.value
        if isinstance(value, (int, float)):
            value = str(value)
        options: dict[str, Any] = {}  # Any: keyword arguments of unlike types
        if hdrs.CONTENT_TYPE in field.headers:
            options["content_type"] = field.headers[hdrs.CONTENT_TYPE]
        if field.filename is not None:
            options["filename"] = field.filename
        if self._charset is not None and isinstance(value, str):
            options["encoding"] = self._charset
        if isinstance(value, Payload):
            part = value
        else:
            try:
                part = get_payload(value, **options)
            except UnknownPayloadError as exc:
                raise TypeError(f"Can not serialize value type: {type(value)}") from exc
        if hdrs.CONTENT_TYPE in field.headers:
            part.headers[hdrs.CONTENT_TYPE] = field.headers[hdrs.CONTENT_TYPE]
        disposition = {"name": field.name}
        if field.filename is not None:
            disposition["filename"] = field.filename
        part.set_content_disposition("form-data", self._quote_fields, **disposition)
        return part


def _require_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be an instance of str. Got: {value!r}")
    if _LINE_BREAKING.search(value):
        raise ValueError(f"{what} must not have line breaks or NULs: {value[:100]!r}")


def _unwrapped(value: Any) -> Any:
    """Return the file behind what `tempfile.NamedTemporaryFile` gives, all else as it is."""
    if hasattr(value, "read") and not isinstance(value, io.IOBase):
        file = getattr(value, "file", None)
        if isinstance(file, io.IOBase):
            return file
    return value


def _name_of(file: io.IOBase) -> str | None:
    name = getattr(file, "name", None)
    if isinstance(name, str) and name and not (name[0] == "<" and name[-1] == ">"):
        return os.path.basename(name) or None
    return None
