"""Requests that ask for nothing special share the session's fields until somebody looks."""

from multidict import CIMultiDict

from antiphon.client import ClientSession
from antiphon.client._target import resolve
from antiphon.client.options import RequestOptions
from antiphon.client.request import ClientRequest


async def test_fields_of_one_request_are_not_those_of_the_next() -> None:
    async with ClientSession() as session:
        shared = CIMultiDict({"Accept": "*/*"})
        target = resolve("http://example.org/")
        request = ClientRequest.plain("GET", target, shared, session, RequestOptions())
        other = ClientRequest.plain("GET", target, shared, session, RequestOptions())
        assert request.head().headers == shared
        request.headers["Accept"] = "text/html"
        assert request.head().headers == {"Accept": "text/html"}
        assert request.headers is request.headers
        assert other.head().headers == shared == {"Accept": "*/*"}


async def test_cookies_of_one_url_do_not_become_fields_of_the_session() -> None:
    async with ClientSession() as session:
        shared = CIMultiDict({"Cookie": "own=1"})
        request = ClientRequest.plain(
            "GET", resolve("http://example.org/"), shared, session, RequestOptions()
        )
        request.headers = CIMultiDict({"Cookie": "own=1; jar=2"})
        assert request.head().headers["Cookie"] == "own=1; jar=2"
        assert shared["Cookie"] == "own=1"


async def test_parser_limits_are_those_of_the_session_that_asks() -> None:
    target = resolve("http://example.org/limits")
    fields = CIMultiDict({"Accept": "*/*"})
    generous = RequestOptions(max_line_size=20_000, max_field_size=30_000, max_headers=500)
    async with ClientSession() as session:
        for options in (RequestOptions(), generous, RequestOptions()):
            request = ClientRequest.plain("GET", target, fields, session, options)
            limits = request.connection_key.limits
            assert limits.max_line_size == options.max_line_size
            assert limits.max_field_size == options.max_field_size
            assert limits.max_headers == options.max_headers
