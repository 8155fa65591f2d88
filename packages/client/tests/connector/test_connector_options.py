"""What a connector is told is looked at when it is made."""

import pytest

from antiphon.client import TCPConnector
from antiphon.client.connector._limits import limits_of_hosts
from antiphon.client.resolver import ThreadedResolver


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("Example.COM", "example.com"),
        ("h:8080", "h:8080"),
        ("http://h", "h:80"),
        ("https://H/", "h:443"),
        ("http://h:81", "h:81"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("::1", "::1"),
        ("[::1]:80", "::1:80"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_keys_of_limits_by_host(key, known):
    assert limits_of_hosts({key: 2}) == {known: 2}


@pytest.mark.parametrize(
    "key",
    [
        "",
        "*.example",
        "h/x",
        "http://h/x",
        "ftp://h",
        "u@h",
        "a..b",
        "h:0",
        "h:x",
        "http://",
        "h?a=b",
    ],
)
def test_keys_that_can_match_nothing(key):
    with pytest.raises(ValueError, match="limits_by_host"):
        limits_of_hosts({key: 2})


def test_two_keys_for_one_host():
    with pytest.raises(ValueError, match="twice"):
        limits_of_hosts({"h": 1, "H": 2})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": -1}, ValueError),
        ({"limit": "5"}, TypeError),
        ({"limit": 1.5}, TypeError),
        ({"limit_per_host": -1}, ValueError),
        ({"limit_per_host": "5"}, TypeError),
        ({"limits_by_host": {"h": -1}}, ValueError),
        ({"limits_by_host": {"h": "1"}}, TypeError),
        ({"limits_by_host": {"h": None}}, TypeError),
        ({"limits_by_host": {1: 1}}, TypeError),
        ({"keepalive_timeout": -1}, ValueError),
        ({"keepalive_timeout": "5"}, TypeError),
        ({"max_age": -1}, ValueError),
        ({"max_age": float("nan")}, ValueError),
        ({"max_uses": -1}, ValueError),
        ({"max_uses": 1.5}, TypeError),
        ({"happy_eyeballs_delay": -1}, ValueError),
        ({"happy_eyeballs_delay": "x"}, TypeError),
        ({"resolver": ThreadedResolver}, TypeError),
        ({"resolver": "8.8.8.8"}, TypeError),
    ],
)
async def test_options_that_cannot_be_meant(arguments, error):
    (name,) = arguments
    with pytest.raises(error, match=name):
        TCPConnector(**arguments)
