"""What ``Content-Type`` and ``Content-Length`` say, for requests and responses alike."""

import re
from functools import lru_cache
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from antiphon.core import hdrs
from antiphon.core.fields.media_type import OCTET_STREAM, parse_media_type

__all__ = ("OCTET_STREAM", "HeadersMixin", "content_media_type")

_CACHED_LENGTH: Final = 128
"""Characters: a longer Content-Type is parsed anew each time, so that no peer fills the cache."""

_DIGITS: Final = re.compile(r"[0-9]{1,19}")


def _parse(value: str) -> tuple[str, str | None]:
    media_type = parse_media_type(value)
    if media_type is None:
        return OCTET_STREAM, None
    return media_type.essence, media_type.charset


_cached_parse: Final = lru_cache(maxsize=256)(_parse)


def content_media_type(value: str) -> tuple[str, str | None]:
    """Parse a ``Content-Type`` into media type and charset (RFC 9110 section 8.3).

    A malformed one counts as ``application/octet-stream`` without charset.
    """
    return _cached_parse(value) if len(value) <= _CACHED_LENGTH else _parse(value)


class HeadersMixin:
    """Reads the fields that describe content out of ``headers``."""

    @property
    def headers(self) -> CIMultiDict[str] | CIMultiDictProxy[str]:
        """The header section."""
        raise NotImplementedError

    @property
    def content_type(self) -> str:
        """The media type without parameters; ``application/octet-stream`` by default."""
        value = self.headers.get(hdrs.CONTENT_TYPE)
        return OCTET_STREAM if value is None else content_media_type(value)[0]

    @property
    def charset(self) -> str | None:
        """The ``charset`` parameter of the media type, if there is one."""
        value = self.headers.get(hdrs.CONTENT_TYPE)
        return None if value is None else content_media_type(value)[1]

    @property
    def content_length(self) -> int | None:
        """``Content-Length`` in bytes, if there is one and it is a number."""
        value = self.headers.get(hdrs.CONTENT_LENGTH)
        if value is None or _DIGITS.fullmatch(value) is None:
            return None
        return int(value)
