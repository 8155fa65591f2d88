"""Type aliases; nothing here is executed but the assignments."""

from collections.abc import Iterable, Mapping
from os import PathLike

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy, istr
from yarl import URL

__all__ = (
    "Byteish",
    "LooseHeaders",
    "PathLikeStr",
    "Query",
    "RawHeaders",
    "StrOrURL",
)

Byteish = bytes | bytearray | memoryview
"""Bytes in any of their forms."""

RawHeaders = tuple[tuple[bytes, bytes], ...]
"""Field lines as received: names and values without surrounding white space."""

LooseHeaders = (
    Mapping[str, str]
    | Mapping[istr, str]
    | CIMultiDict[str]
    | CIMultiDictProxy[str]
    | Iterable[tuple[str | istr, str]]
)
"""Header fields in any form a user may pass."""

StrOrURL = str | URL

QueryVariable = str | int | float
Query = (
    str
    | Mapping[str, QueryVariable | Iterable[QueryVariable]]
    | MultiDict[str]
    | MultiDictProxy[str]
    | Iterable[tuple[str, QueryVariable]]
    | None
)
"""A query in any form a user may pass as ``params``."""

PathLikeStr = str | PathLike[str]
