"""Access log: one record per finished request, then a format of it.

Everything a peer sent is escaped before it reaches a line: no request can
forge a second line or paint the terminal (CVE-2020-7694).
"""

import abc
import datetime as dt
import json
import logging
import os
import re
import time as clock
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .request import BaseRequest
from .response import StreamResponse

__all__ = (
    "AbstractAccessLogger",
    "AccessLogger",
    "AccessRecord",
    "JSONAccessLogger",
    "access_logger",
)

access_logger: Final = logging.getLogger("antiphon.access")

_FIELD_SIZE: Final = 4096
"""Characters of one value that a line will hold."""

# Control characters in either range, and what would end a quoted value or start an escape.
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\"\\\u2028\u2029\ud800-\udfff]")


def escaped(text: str) -> str:
    """Return *text* fit for a quoted value of a log line."""
    if len(text) > _FIELD_SIZE:
        text = text[:_FIELD_SIZE] + "..."
    return _UNSAFE.sub(_escape, text)


def _escape(match: "re.Match[str]") -> str:
    character = match[0]
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class AccessRecord(NamedTuple):
    """What is known of one finished request."""

    started: float
    """Seconds since the epoch."""
    duration: float
    """Seconds from the first byte of the request to the last of the response."""
    remote: str | None
    method: str
    """``-`` if what came was no request."""
    target: str
    """The request target as it came; likewise."""
    version: str
    """Such as ``1.1``."""
    status: int
    size: int
    """Bytes sent, head included."""
    request: BaseRequest
    response: StreamResponse
    complete: bool = True
    """Whether the response came to its end. If not, and none had begun, the status is 499 where the
    peer had left, and 503 where the server stopped."""

    @classmethod
    def of(cls, request: BaseRequest, response: StreamResponse, time: float) -> "AccessRecord":
        """Gather the record of a request that took *time* seconds."""
        major, minor = request.version
        # What came was no request: what stands in for it was asked by nobody.
        refused = request._exchange.error is not None
        return cls(
            started=clock.time() - time,
            duration=time,
            remote=request.remote,
            method="-" if refused else request.method,
            target="-" if refused else request.raw_path,
            version=f"{major}.{minor}",
            status=response.status,
            size=response.body_length,
            request=request,
            response=response,
            complete=not request._cut,
        )

    @property
    def first_line(self) -> str:
        """The request line, as it may have been; ``-`` for what was no request."""
        if self.method == "-":
            return "-"
        return f"{self.method} {self.target} HTTP/{self.version}"


class AbstractAccessLogger(abc.ABC):
    """Writes finished requests to a log.

    Args:
        logger: Where to.
        log_format: A format of the subclass's own making.
    """

    def __init__(self, logger: logging.Logger, log_format: str) -> None:
        self._logger = logger
        self._log_format = log_format

    @property
    def logger(self) -> logging.Logger:
        """Where the lines go."""
        return self._logger

    @property
    def log_format(self) -> str:
        """The format that was asked for."""
        return self._log_format

    @abc.abstractmethod
    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Log one request that took *time* seconds. Must not wait."""

    @property
    def enabled(self) -> bool:
        """Whether anything would be written; `log` is not called otherwise."""
        return True


_Getter = Callable[[AccessRecord], "str | int | float"]


def _start_time(record: AccessRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.started).astimezone()
    return moment.strftime("[%d/%b/%Y:%H:%M:%S %z]")


_ATOMS: Final[dict[str, tuple[str, _Getter]]] = {
    "a": ("remote_address", lambda record: escaped(record.remote or "-")),
    "t": ("request_start_time", _start_time),
    "P": ("process_id", lambda record: f"<{os.getpid()}>"),
    "r": ("first_request_line", lambda record: escaped(record.first_line)),
    "s": ("response_status", lambda record: record.status),
    "b": ("response_size", lambda record: record.size),
    "T": ("request_time", lambda record: round(record.duration)),
    "Tf": ("request_time_frac", lambda record: f"{record.duration:06f}"),
    "D": ("request_time_micro", lambda record: round(record.duration * 1_000_000)),
}


def _request_field(name: str) -> _Getter:
    return lambda record: escaped(record.request.headers.get(name, "-"))


def _response_field(name: str) -> _Getter:
    return lambda record: escaped(record.response.headers.get(name, "-"))


class AccessLogger(AbstractAccessLogger):
    """Writes lines by a format like Apache's.

    ========  =========================================================
    ``%%``    a percent sign
    ``%a``    the peer's address (or what a trusted proxy said)
    ``%t``    when the request began
    ``%P``    the process
    ``%r``    the request line
    ``%s``    the status
    ``%b``    bytes sent, head included
    ``%T``    seconds it took
    ``%Tf``   the same with six decimals
    ``%D``    microseconds it took
    ``%{X}i`` the request's field X
    ``%{X}o`` the response's field X
    ========  =========================================================

    Each value is also an attribute of the `logging.LogRecord`: ``remote_address``,
    ``request_start_time``, ``process_id``, ``first_request_line``, ``response_status``,
    ``response_size``, ``request_time``, ``request_time_frac``, ``request_time_micro``, and the
    mappings ``request_header`` and ``response_header``.

    Raises:
        ValueError: The format has something else behind a percent sign.
    """

    LOG_FORMAT = '%a %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'

    _PART: Final = re.compile(r"%(?:(%)|\{([^}\s]{1,200})\}([io])|(Tf|[atPrsbTD]))")

    def __init__(self, logger: logging.Logger, log_format: str = LOG_FORMAT) -> None:
        super().__init__(logger, log_format)
        self._template, self._parts = self._compile(log_format)

    @classmethod
    def _compile(cls, log_format: str) -> tuple[str, "list[tuple[str, str | None, _Getter]]"]:
        template: list[str] = []
        parts: list[tuple[str, str | None, _Getter]] = []
        position = 0
        while (percent := log_format.find("%", position)) >= 0:
            template.append(log_format[position:percent])
            match = cls._PART.match(log_format, percent)
            if match is None:
                raise ValueError(
                    f"access log format: {log_format[percent : percent + 20]!r} at position"
                    f" {percent} is none of %% %a %t %P %r %s %b %T %Tf %D %{{Field}}i %{{Field}}o"
                )
            percent_sign, name, direction, atom = match.groups()
            if percent_sign:
                template.append("%%")
            else:
                template.append("%s")
                if atom:
                    key, getter = _ATOMS[atom]
                    parts.append((key, None, getter))
                elif direction == "i":
                    parts.append(("request_header", name, _request_field(name)))
                else:
                    parts.append(("response_header", name, _response_field(name)))
            position = match.end()
        template.append(log_format[position:])
        return "".join(template), parts

    @property
    def enabled(self) -> bool:
        """Whether the logger takes INFO."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Log one request at INFO."""
        record = AccessRecord.of(request, response, time)
        values: list[str | int | float] = []
        extra: dict[str, Any] = {}
        for key, name, getter in self._parts:
            value = getter(record)
            values.append(value)
            if name is None:
                extra[key] = value
            else:
                extra.setdefault(key, {})[name] = value
        self.logger.info(self._template % tuple(values), extra=extra)


class JSONAccessLogger(AbstractAccessLogger):
    """Writes one JSON object a line: ``time``, ``remote``, ``method``, ``target``, ``version``,
    ``status``, ``size``, ``duration``, ``complete`` (of the response), ``referer``, ``user_agent``.

    Args:
        logger: Where to.
        log_format: Names of further request fields to write, separated by spaces.
    """

    def __init__(self, logger: logging.Logger, log_format: str = "") -> None:
        super().__init__(logger, log_format)
        # What other loggers take for a format is no list of names.
        self._fields = [] if "%" in log_format else log_format.split()

    @property
    def enabled(self) -> bool:
        """Whether the logger takes INFO."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: BaseRequest, response: StreamResponse, time: float) -> None:
        """Log one request at INFO."""
        record = AccessRecord.of(request, response, time)
        started = dt.datetime.fromtimestamp(record.started, dt.UTC)
        headers = request.headers
        line: dict[str, Any] = {
            "time": started.isoformat(timespec="milliseconds"),
            "remote": record.remote,
            "method": record.method,
            "target": record.target[:_FIELD_SIZE],
            "version": record.version,
            "status": record.status,
            "size": record.size,
            "duration": round(record.duration, 6),
            "complete": record.complete,
            "referer": headers.get("Referer"),
            "user_agent": headers.get("User-Agent"),
        }
        for name in self._fields:
            line[name] = headers.get(name)
        # ASCII only: a line is a line whatever the peer sent.
        self.logger.info(json.dumps(line), extra=line_extra(record))


def line_extra(record: AccessRecord) -> dict[str, Any]:
    """The attributes of the `logging.LogRecord` of a line of JSON."""
    return {"access_record": record}
