"""Content codings (RFC 9110 section 8.4.1) as incremental coders with bounded output.

A decoder is asked for at most so many bytes a step and keeps the rest
compressed, so whoever stops asking stops the inflation too: there is nothing
for a zip bomb to fill. The work of all steps together is linear in what came
in and what went out.

gzip and deflate need a zlib, the standard one unless `set_zlib_backend` names
another. Brotli and Zstandard come from optional packages that are imported
when first asked for; without them the coding is simply not there.
"""

import enum

from ._backends import (
    UnknownContentCoding,
    ZlibBackend,
    ZlibCompressor,
    ZlibDecompressor,
    available_codings,
    set_zlib_backend,
    zlib_backend,
)
from ._decoder import ContentDecoder, decoder
from ._encoder import ContentEncoder, encoder

__all__ = (
    "ContentCoding",
    "ContentDecoder",
    "ContentEncoder",
    "UnknownContentCoding",
    "ZlibBackend",
    "ZlibCompressor",
    "ZlibDecompressor",
    "available_codings",
    "decoder",
    "encoder",
    "set_zlib_backend",
    "zlib_backend",
)


class ContentCoding(enum.Enum):
    """The content codings there are; the value is what the field says."""

    deflate = "deflate"
    gzip = "gzip"
    br = "br"
    zstd = "zstd"
    identity = "identity"
