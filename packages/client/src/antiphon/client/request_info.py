"""What was asked, as responses and errors remember it."""

from typing import NamedTuple, cast

from multidict import CIMultiDictProxy
from yarl import URL

__all__ = ("RequestInfo",)

_NO_URL = cast(URL, None)  # replaced in `__new__`; NamedTuple wants a default of the field's type


class _RequestInfo(NamedTuple):
    url: URL
    method: str
    headers: CIMultiDictProxy[str]
    real_url: URL = _NO_URL


class RequestInfo(_RequestInfo):
    """A request as it was sent.

    ``url`` is without a fragment; ``real_url`` is what was asked for, fragment included,
    and the same as ``url`` unless given.
    """

    __slots__ = ()

    def __new__(
        cls,
        url: URL,
        method: str,
        headers: CIMultiDictProxy[str],
        real_url: URL | None = None,
    ) -> "RequestInfo":
        return super().__new__(cls, url, method, headers, url if real_url is None else real_url)
