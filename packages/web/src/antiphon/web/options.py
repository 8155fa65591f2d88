"""What a server can be told, under the names aiohttp documents and some of our own."""

import logging
from typing import Any, Final

import attrs

from antiphon.core.aio.exchange import ContentOptions
from antiphon.core.limits import HttpLimits, ServerTimeouts

from .access_log import AbstractAccessLogger, AccessLogger, access_logger

__all__ = ("ServerOptions", "server_logger")

server_logger: Final = logging.getLogger("antiphon.server")


def _logger_class(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not (isinstance(value, type) and issubclass(value, AbstractAccessLogger)):
        raise TypeError(
            f"{attribute.name} must be a subclass of AbstractAccessLogger, not {value!r}"
        )


@attrs.frozen(kw_only=True)
class ServerOptions:
    """Options of a `Server`; `run_app` and the runners take them as keyword arguments."""

    keepalive_timeout: float | None = 3630.0
    """Seconds an idle connection is kept; `run_app` says 75. ``None`` for ever."""
    tcp_keepalive: bool = True
    """Have the operating system probe whether the peer is still there."""
    logger: logging.Logger = server_logger
    """Where errors go, and at DEBUG what peers did wrong."""
    access_log_class: type[AbstractAccessLogger] = attrs.field(
        default=AccessLogger, validator=_logger_class
    )
    access_log: logging.Logger | None = access_logger
    """Where finished requests are logged; ``None`` for nowhere."""
    access_log_format: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.instance_of(str))
    )
    """See `AccessLogger`; its own default if ``None``."""
    debug: bool = False
    """Show tracebacks to the client."""
    max_line_size: int = 8190
    """Bytes of a request line."""
    max_headers: int = 128
    """Fields of a request."""
    max_field_size: int = 8190
    """Bytes of one field line."""
    lingering_time: float = 10.0
    """Seconds of reading on after an early answer, so that it is not lost to a reset."""
    read_bufsize: int = 64 * 1024
    """Low mark in bytes of a request's content; reading pauses above twice that."""
    auto_decompress: bool = True
    """Undo the content coding of requests."""
    timeout_ceil_threshold: float = 5.0
    """Accepted, and without effect: deadlines are checked by one sweep."""
    handler_cancellation: bool = False
    """Cancel the handler when its peer goes away."""
    limits: HttpLimits | None = None
    """All limits on a request's head at once, instead of the three above."""
    timeouts: ServerTimeouts | None = None
    """All timeouts at once, instead of the two above."""
    max_connections: int | None = None
    """Connections at a time; those beyond get a 503 and are closed."""
    server_software: str | None = None
    """What ``Server`` says; this package and Python by default."""

    def http_limits(self) -> HttpLimits:
        """The limits on a request's head."""
        if self.limits is not None:
            return self.limits
        return HttpLimits(
            max_line_size=self.max_line_size,
            max_headers=self.max_headers,
            max_field_size=self.max_field_size,
        )

    def server_timeouts(self) -> ServerTimeouts:
        """The timeouts of connections."""
        if self.timeouts is not None:
            return self.timeouts
        return ServerTimeouts(keep_alive=self.keepalive_timeout, linger=self.lingering_time)

    def content_options(self) -> ContentOptions:
        """How content is taken from connections."""
        return ContentOptions(read_bufsize=self.read_bufsize, decompress=self.auto_decompress)

    def make_access_logger(self) -> AbstractAccessLogger | None:
        """Make the access logger, ``None`` if there is nothing to log to."""
        if self.access_log is None:
            return None
        log_format = self.access_log_format
        return self.access_log_class(
            self.access_log, AccessLogger.LOG_FORMAT if log_format is None else log_format
        )
