"""Lines of the access log."""

import json
import logging
import os
import re

import pytest

from antiphon.web.access_log import AccessLogger, JSONAccessLogger
from antiphon.web.request import BaseRequest
from antiphon.web.response import Response


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)

    @property
    def text(self):
        assert len(self.records) == 1
        return self.records[0].getMessage()


@pytest.fixture
def log():
    logger = logging.getLogger("antiphon.tests.access")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    lines = Lines()
    logger.addHandler(lines)
    yield logger, lines
    logger.removeHandler(lines)


def write(cls, logger, exchange, log_format=None, *, status=200, time=1.5, **request):
    made = exchange(**request)
    made.bytes_sent = 105
    response = Response(text="x", status=status, headers={"X-Out": "o"})
    response._exchange = made
    access = cls(logger) if log_format is None else cls(logger, log_format)
    access.log(BaseRequest(made), response, time)


@pytest.mark.parametrize(
    ("log_format", "line"),
    [
        pytest.param("%%", "%", id="percent"),
        pytest.param("%a", "192.0.2.1", id="address"),
        pytest.param("%P", f"<{os.getpid()}>", id="process"),
        pytest.param("%r", "GET /p?q HTTP/1.1", id="request line"),
        pytest.param("%s", "200", id="status"),
        pytest.param("%b", "105", id="bytes"),
        pytest.param("%T", "2", id="seconds"),
        pytest.param("%Tf", "1.500000", id="seconds with decimals"),
        pytest.param("%D", "1500000", id="microseconds"),
        pytest.param("%{User-Agent}i", "me", id="request field"),
        pytest.param("%{user-agent}i", "me", id="in any case"),
        pytest.param("%{Nope}i", "-", id="no such field"),
        pytest.param("%{X-Out}o", "o", id="response field"),
        pytest.param("plain", "plain", id="no atoms"),
        pytest.param("%%%a%%s", "%192.0.2.1%s", id="side by side"),
    ],
)
def test_atoms(exchange, log, log_format, line):
    logger, lines = log
    write(AccessLogger, logger, exchange, log_format, path="/p?q", headers=[("User-Agent", "me")])
    assert lines.text == line


def test_start_time(exchange, log):
    logger, lines = log
    write(AccessLogger, logger, exchange, "%t")
    assert re.fullmatch(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", lines.text)


def test_default_format_and_attributes_of_the_record(exchange, log):
    logger, lines = log
    write(AccessLogger, logger, exchange, headers=[("Referer", "r")])
    assert lines.text.endswith('"GET / HTTP/1.1" 200 105 "r" "-"')
    record = lines.records[0]
    assert record.remote_address == "192.0.2.1"
    assert record.response_status == 200
    assert record.first_request_line == "GET / HTTP/1.1"
    assert record.request_header == {"Referer": "r", "User-Agent": "-"}


@pytest.mark.parametrize("log_format", ["%q", "%{X}e", "%", "100%", "%{X i"])
def test_unknown_atoms_are_told_at_once(log, log_format):
    with pytest.raises(ValueError, match="access log format"):
        AccessLogger(log[0], log_format)


@pytest.mark.parametrize("cls", [AccessLogger, JSONAccessLogger])
@pytest.mark.parametrize(
    "evil",
    [
        pytest.param('x" 200 "', id="closing the quotes"),
        pytest.param("\x1b[31m", id="CVE-2020-7694 terminal colours"),
        pytest.param("a\x85b\u2028c", id="line separators of Unicode"),
        pytest.param("\udcff", id="a byte that is no UTF-8"),
        pytest.param("\\", id="backslash"),
    ],
)
def test_nobody_forges_a_line(exchange, log, cls, evil):
    logger, lines = log
    write(cls, logger, exchange, headers=[("User-Agent", evil), ("Referer", "-")])
    text = lines.text
    text.encode("ascii" if cls is JSONAccessLogger else "utf-8")
    assert text.isprintable()
    assert len(text.splitlines()) == 1
    if cls is AccessLogger:
        assert re.fullmatch(r'[^"]*"[^"]*" 200 105 "-" "(?:[^"\\]|\\.)*"', text)
    else:
        assert json.loads(text)["user_agent"] == evil


def test_a_long_target_is_cut(exchange, log):
    logger, lines = log
    write(AccessLogger, logger, exchange, path="/" + "x" * 100_000)
    assert len(lines.text) < 5000


def test_json(exchange, log):
    logger, lines = log
    write(
        JSONAccessLogger,
        logger,
        exchange,
        "X-Request-Id",
        path="/p",
        headers=[("X-Request-Id", "7")],
    )
    line = json.loads(lines.text)
    assert line["method"] == "GET"
    assert line["target"] == "/p"
    assert line["status"] == 200
    assert line["size"] == 105
    assert line["duration"] == 1.5
    assert line["X-Request-Id"] == "7"
    assert line["user_agent"] is None
    assert lines.records[0].access_record.remote == "192.0.2.1"


@pytest.mark.parametrize("cls", [AccessLogger, JSONAccessLogger])
def test_enabled_follows_the_level(log, cls):
    logger = log[0]
    access = cls(logger)
    logger.setLevel(logging.WARNING)
    assert not access.enabled
    logger.setLevel(logging.INFO)
    assert access.enabled
