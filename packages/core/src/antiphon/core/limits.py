"""Every limit, with its unit, its default and its reason.

A limit is checked against what is *declared* as soon as that is known, and
against what is *buffered* at every append. ``None`` switches off a limit
where that is allowed.
"""

from typing import Any

import attrs

__all__ = ("HttpLimits", "MultipartLimits", "ServerTimeouts", "WebSocketLimits")


def _positive(instance: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
    if value is None:
        raise ValueError(f"{attribute.name} must be a positive number")
    if value <= 0:
        raise ValueError(f"{attribute.name} must be positive, not {value!r}")


def _positive_or_none(
    instance: object, attribute: "attrs.Attribute[Any]", value: float | None
) -> None:
    if value is not None and value <= 0:
        raise ValueError(f"{attribute.name} must be positive or None, not {value!r}")


def _not_negative(instance: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{attribute.name} must be 0 or more, not {value!r}")


@attrs.frozen(kw_only=True)
class HttpLimits:
    """Limits on what one HTTP/1.1 message may make this side keep or do."""

    max_line_size: int = attrs.field(default=8190, validator=_positive)
    """Bytes of a request line or status line. What aiohttp documents."""

    max_field_size: int = attrs.field(default=8190, validator=_positive)
    """Bytes of one field line, name and value together. What aiohttp documents."""

    max_headers: int = attrs.field(default=128, validator=_positive)
    """Field lines in a header section."""

    max_head_size: int = attrs.field(default=64 * 1024, validator=_positive)
    """Bytes of the whole head: without it 128 fields of 8 KB each would be kept."""

    max_trailers: int = attrs.field(default=32, validator=_positive)
    """Field lines in a trailer section."""

    max_trailer_size: int = attrs.field(default=16 * 1024, validator=_positive)
    """Bytes of a trailer section."""

    max_chunk_extension: int = attrs.field(default=256, validator=_positive)
    """Bytes of extensions on one chunk. They are ignored, so they only cost."""

    max_chunk_extensions_total: int = attrs.field(default=16 * 1024, validator=_positive)
    """Bytes of chunk extensions in one message: tiny chunks with long extensions
    would otherwise cost far more than the content they carry."""

    max_informational: int = attrs.field(default=8, validator=_positive)
    """Informational (1xx) responses before the final one; client side."""


@attrs.frozen(kw_only=True)
class ServerTimeouts:
    """How long a server waits for its peer, in seconds. ``None`` waits for ever."""

    head: float | None = attrs.field(default=20.0, validator=_positive_or_none)
    """From the first byte of a head (or from accept, for the first) to its end, in total:
    a byte now and then does not prolong it."""

    tls_handshake: float = attrs.field(default=20.0, validator=_positive)
    """From accept to the end of the TLS handshake, for servers that speak TLS themselves."""

    body_idle: float | None = attrs.field(default=30.0, validator=_positive_or_none)
    """Between two reads of content, while somebody is reading it."""

    body_min_rate: float | None = attrs.field(default=500.0, validator=_positive_or_none)
    """Bytes per second that content must reach on average once it took `body_grace`."""

    body_grace: float = attrs.field(default=30.0, validator=_positive)
    """Seconds of content before `body_min_rate` counts."""

    write_idle: float | None = attrs.field(default=60.0, validator=_positive_or_none)
    """Without progress while the peer does not read what we send."""

    keep_alive: float | None = attrs.field(default=75.0, validator=_positive_or_none)
    """Idle time between two requests on one connection. What aiohttp's `run_app` documents."""

    max_age: float | None = attrs.field(default=3600.0, validator=_positive_or_none)
    """Age at which a connection is closed after the response in hand, so that
    load balancers see fresh ones."""

    max_requests: int | None = attrs.field(default=10_000, validator=_positive_or_none)
    """Requests after which a connection is closed politely. A count, not seconds."""

    linger_size: int = attrs.field(default=256 * 1024, validator=_positive)
    """Bytes of unread content that are drained after an early answer."""

    linger: float = attrs.field(default=5.0, validator=_positive)
    """Seconds of draining unread content after an early answer."""

    linger_close: float = attrs.field(default=2.0, validator=_positive)
    """Seconds between half-closing and closing, so that a reset does not eat the answer."""

    stop_idle: float = attrs.field(default=1.0, validator=_not_negative)
    """Idle time that a stop grants a kept-alive connection which was used within this time: its
    next request may be on its way, and is answered with ``Connection: close``."""


@attrs.frozen(kw_only=True)
class WebSocketLimits:
    """Limits on what a WebSocket peer may make this side keep."""

    max_msg_size: int = attrs.field(default=4 * 1024 * 1024)
    """Bytes of one message after inflation; 0 switches the limit off, as aiohttp documents."""

    max_queue: int = attrs.field(default=16, validator=_positive)
    """Messages received and not yet taken; then the socket stops being read."""

    max_queue_size: int = attrs.field(default=8 * 1024 * 1024, validator=_positive)
    """Bytes received and not yet taken; then the socket stops being read."""

    close_timeout: float = attrs.field(default=10.0, validator=_positive)
    """Seconds to wait for the peer's close frame."""


@attrs.frozen(kw_only=True)
class MultipartLimits:
    """Limits on what one multipart body may make this side keep or do."""

    max_fields: int = attrs.field(default=1000, validator=_positive)
    """Parts without a file name."""

    max_files: int = attrs.field(default=100, validator=_positive)
    """Parts with a file name."""

    max_part_headers: int = attrs.field(default=16, validator=_positive)
    """Field lines of one part."""

    max_part_header_size: int = attrs.field(default=8 * 1024, validator=_positive)
    """Bytes of one part's header section."""

    max_nesting: int = attrs.field(default=8, validator=_positive)
    """Multipart bodies inside one another."""
