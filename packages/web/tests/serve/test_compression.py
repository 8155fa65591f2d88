"""The middleware that compresses: what it does, and what it leaves alone."""

import gzip

import pytest

from antiphon.core.fields.etag import ETag
from antiphon.web.app import Application
from antiphon.web.compression import compression_middleware
from antiphon.web.exceptions import HTTPNotFound
from antiphon.web.fileresponse import FileResponse
from antiphon.web.response import Response, StreamResponse, json_response
from antiphon.web.server import Server

TEXT = "All work and no play makes Jack a dull boy.\n" * 100
GZIP = ("Accept-Encoding", "gzip")


@pytest.fixture
def answer(run, exchange):
    """The response to one request through the middleware."""

    def answer_(make, *headers, method="GET", **options):
        async def handler(request):
            return await make(request) if callable(make) else make

        made = exchange(method=method, headers=headers)

        async def test():
            app = Application(middlewares=[compression_middleware(**options)])
            app.router.add_route("*", "/", handler)
            app.freeze()
            await Server(app).request_handler.serve(made)

        run(test)
        return made.response

    return answer_


def is_plain(response):
    return "Content-Encoding" not in response.headers


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: Response(text=TEXT), id="text"),
        pytest.param(lambda: json_response([TEXT]), id="json"),
        pytest.param(
            lambda: Response(body=TEXT.encode(), content_type="image/svg+xml"), id="a suffix"
        ),
        pytest.param(lambda: Response(text=TEXT, status=500), id="an error"),
    ],
)
def test_what_is_worth_it_is_compressed(answer, made):
    plain = made().body
    response = answer(made(), GZIP)
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(response.body) == plain
    assert len(response.body) < len(plain)


def test_a_stream_that_is_not_prepared_yet_is_compressed(answer):
    async def stream(request):
        return Response(body=pieces(), content_type="text/csv")

    async def pieces():
        for _ in range(100):
            yield b"1,2,3\n"

    response = answer(stream, GZIP)
    assert gzip.decompress(response.body) == b"1,2,3\n" * 100


def test_raised_responses_are_compressed_too(answer):
    async def raising(request):
        raise HTTPNotFound(text=TEXT)

    response = answer(raising, GZIP)
    assert response.status == 404
    assert gzip.decompress(response.body) == TEXT.encode()


@pytest.mark.parametrize(
    ("accepts", "chosen"),
    [
        pytest.param([GZIP], "gzip", id="gzip"),
        pytest.param([("Accept-Encoding", "gzip;q=0.5, deflate")], "deflate", id="by preference"),
        pytest.param([("Accept-Encoding", "gzip;q=0, identity")], None, id="refused"),
        pytest.param([("Accept-Encoding", "snappy")], None, id="unknown"),
        pytest.param([("Accept-Encoding", ";;q=x,,")], None, id="malformed"),
        pytest.param([], None, id="nothing said"),
    ],
)
def test_negotiation(answer, accepts, chosen):
    """What is not compressed for one client might be for another: caches are told."""
    response = answer(Response(text=TEXT), *accepts)
    assert response.headers.get("Content-Encoding") == chosen
    assert response.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("made", "options"),
    [
        pytest.param(lambda: Response(text="x" * 1023), {}, id="small"),
        pytest.param(lambda: Response(text=TEXT), {"min_size": 10_000}, id="below the own limit"),
        pytest.param(Response, {"min_size": 0}, id="no content"),
        pytest.param(lambda: Response(status=204), {"min_size": 0}, id="204"),
        pytest.param(
            lambda: Response(body=b"x" * 5000, content_type="image/png"), {}, id="an image"
        ),
        pytest.param(lambda: Response(text=TEXT), {"content_types": ["font/"]}, id="own types"),
        pytest.param(
            lambda: Response(body=b"x" * 5000, headers={"Content-Encoding": "br"}),
            {"content_types": [""]},
            id="encoded already",
        ),
        pytest.param(
            lambda: Response(text=TEXT, status=206, headers={"Content-Range": "bytes 0-4399/9999"}),
            {},
            id="a range",
        ),
        pytest.param(
            lambda: Response(text=TEXT, headers={"Cache-Control": "public, No-Transform"}),
            {},
            id="no-transform, RFC 9111 section 5.2.2.6",
        ),
        pytest.param(lambda: FileResponse(__file__), {"content_types": [""]}, id="a file"),
    ],
)
def test_what_is_left_alone(answer, made, options):
    response = answer(made(), GZIP, **options)
    if response.headers.get("Content-Encoding") != "br":
        assert is_plain(response)
    assert "Accept-Encoding" not in response.headers.get("Vary", "") or isinstance(
        made(), FileResponse
    )


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        pytest.param("HEAD", [("Range", "bytes=0-9")], id="HEAD"),
        pytest.param("GET", [("Range", "bytes=0-9")], id="a range is asked for"),
    ],
)
def test_requests_that_are_not_about_the_whole(answer, method, fields):
    response = answer(Response(text=TEXT), GZIP, *fields, method=method)
    assert is_plain(response)
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.length == len(TEXT)


@pytest.mark.parametrize("accepts", [[GZIP], []])
@pytest.mark.parametrize("streamed", [False, True])
def test_head_says_what_get_does(answer, accepts, streamed):
    """RFC 9110 sections 8.6, 9.3.2: but for a length that only compressing would tell."""

    def made():
        body = pieces() if streamed else TEXT.encode()
        return Response(body=body, content_type="text/plain", headers={"ETag": '"v1"'})

    async def pieces():
        yield TEXT.encode()

    get = answer(made(), *accepts)
    head = answer(made(), *accepts, method="HEAD")
    assert head.headers == get.headers
    assert head.length == (None if accepts or streamed else len(TEXT))
    assert head.body == b""


@pytest.mark.parametrize("name", ["Content-MD5", "Digest", "Content-Digest", "Repr-Digest"])
@pytest.mark.parametrize("accepts", [[GZIP], []])
def test_digests_of_plain_bytes_are_not_sent_with_others(answer, name, accepts):
    response = answer(Response(text=TEXT, headers={name: "sha-256=:AAA=:"}), *accepts)
    assert (name in response.headers) == (not accepts)


def test_a_prepared_response_is_left_alone(answer):
    async def streaming(request):
        response = StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(TEXT.encode())
        return response

    response = answer(streaming, GZIP)
    assert is_plain(response)
    assert response.text == TEXT


@pytest.mark.parametrize(
    ("etag", "accepts", "sent"),
    [
        pytest.param("v1", [GZIP], 'W/"v1"', id="strong"),
        pytest.param(ETag("v1", is_weak=True), [GZIP], 'W/"v1"', id="weak"),
        pytest.param("v1", [], '"v1"', id="not compressed"),
    ],
)
def test_an_etag_gets_weak(answer, etag, accepts, sent):
    """RFC 9110 section 8.8.3: a strong one stands for certain bytes."""
    response = Response(text=TEXT)
    response.etag = etag
    assert answer(response, *accepts).headers["ETag"] == sent


@pytest.mark.parametrize(
    ("vary", "sent"),
    [
        ("Origin", ["Origin", "Accept-Encoding"]),
        ("*", ["*"]),
        ("accept-encoding", ["accept-encoding"]),
    ],
)
def test_vary_is_added_to(answer, vary, sent):
    response = answer(Response(text=TEXT, headers={"Vary": vary}), GZIP)
    assert response.headers.getall("Vary") == sent


def test_wrong_arguments():
    with pytest.raises(ValueError, match="min_size"):
        compression_middleware(min_size=-1)
