"""Forms: `post()` and `multipart()`."""

import gzip
import os
import tempfile
import threading

import pytest

from antiphon.core.errors import HttpProcessingError
from antiphon.web._form import FileField, parse_pairs
from antiphon.web.exceptions import HTTPBadRequest, HTTPRequestEntityTooLarge
from antiphon.web.request import BaseRequest
from antiphon.web.response import Response
from antiphon.web.server import Server

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"


def field(name, value, *headers):
    lines = [f'Content-Disposition: form-data; name="{name}"', *headers]
    return "\r\n".join(["--B", *lines, "", ""]).encode() + value + b"\r\n"


def upload(name, filename, value, *headers):
    lines = [f'Content-Disposition: form-data; name="{name}"; filename="{filename}"', *headers]
    return "\r\n".join(["--B", *lines, "", ""]).encode() + value + b"\r\n"


END = b"--B--\r\n"


@pytest.fixture
def post(run, exchange):
    def post_(body, content_type=MULTIPART, *, method="POST", **options):
        headers = [] if content_type is None else [("Content-Type", content_type)]
        blocks = [body] if isinstance(body, bytes) else body
        made = exchange(method, headers=headers, body=blocks)
        return run(BaseRequest(made, **options).post)

    return post_


# --- urlencoded


@pytest.mark.parametrize(
    ("body", "content_type", "pairs"),
    [
        pytest.param(
            b"a=1&b=%C3%A9&a=+", URLENCODED, [("a", "1"), ("b", "é"), ("a", " ")], id="form"
        ),
        pytest.param(b"", URLENCODED, [], id="empty"),
        pytest.param(b"a=1\r\n", URLENCODED, [("a", "1")], id="line end behind it"),
        pytest.param(b"a=%E9", URLENCODED + "; charset=latin-1", [("a", "é")], id="charset"),
        pytest.param(b"a=1", None, [("a", "1")], id="no type"),
        pytest.param(b"a=1", "text/plain", [], id="no form"),
        pytest.param(b"a=%FF\xff", URLENCODED, [("a", "\ufffd\ufffd")], id="undecodable"),
    ],
)
def test_urlencoded(post, body, content_type, pairs):
    assert list(post(body, content_type).items()) == pairs


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_methods_without_forms(post, method):
    assert post(b"a=1", URLENCODED, method=method) == {}


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param(URLENCODED, id="CVE-2026-54283 GHSA-mpf4-983q-p7j4 urlencoded"),
        pytest.param(MULTIPART, id="CVE-2023-25577 CVE-2023-30798 multipart"),
    ],
)
def test_fields_are_limited(post, content_type):
    def body(count):
        if content_type is URLENCODED:
            return b"&".join([b"a=b"] * count)
        return field("a", b"b") * count + END

    assert len(post(body(10), content_type, client_max_fields=10)) == 10
    with pytest.raises((HTTPRequestEntityTooLarge, HttpProcessingError)) as caught:
        post(body(11), content_type, client_max_fields=10)
    assert caught.value.status == 413
    assert len(post(body(1500), content_type, client_max_fields=0)) == 1500


def test_pairs_are_counted_before_they_are_parsed():
    with pytest.raises(HTTPBadRequest):
        parse_pairs("&" * 1000, 1000)


# --- multipart


def test_multipart(post):
    body = (
        field("a", "é".encode())
        + field("a", b"2")
        + field("l", b"\xe9", "Content-Type: text/plain; charset=latin-1")
        + field("b", b"\x00\xff", "Content-Type: application/octet-stream")
        + upload("f", "x.txt", b"content", "Content-Type: text/plain", "X-Own: y")
        + END
    )
    form = post(body)
    assert form.getall("a") == ["é", "2"]
    assert form["l"] == "é"
    assert form["b"] == b"\x00\xff"
    file = form["f"]
    assert isinstance(file, FileField)
    assert (file.name, file.filename, file.content_type) == ("f", "x.txt", "text/plain")
    assert file.headers["X-Own"] == "y"
    with file.file:
        assert file.file.read() == b"content"


@pytest.mark.parametrize("cut", range(1, 60))
def test_however_it_comes(post, cut):
    body = field("a", b"1") + field("b", b"\r\n--") + END
    form = post([body[:cut], body[cut:]])
    assert dict(form) == {"a": "1", "b": "\r\n--"}


def test_charset_field(post):
    body = field("_charset_", b"latin-1") + field("a", b"\xe9") + END
    assert post(body)["a"] == "é"


def test_compressed_part_stays_as_it_came(post):
    """RFC 7578 section 4.8 knows no content codings of parts; nothing to inflate is no bomb."""
    packed = gzip.compress(b"x" * 5_000_000)
    part = upload("a", "x.gz", packed, "Content-Encoding: gzip")
    with post(part + END)["a"].file as file:
        assert file.read() == packed


def test_all_parts_together_are_limited(post):
    """CVE-2024-49767: the limit holds for the form, not for each field."""
    body = field("a", b"x" * 600) * 2 + END
    with pytest.raises(HTTPRequestEntityTooLarge):
        post(body, client_max_size=1000)
    assert len(post(body, client_max_size=1200)) == 2


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"x", "multipart/form-data", id="no boundary"),
        pytest.param(b"x", "multipart/form-data; boundary=" + "b" * 500, id="long boundary"),
        pytest.param(b"nothing here", MULTIPART, id="no delimiter"),
        pytest.param(field("a", b"1"), MULTIPART, id="CVE-2024-30251 no end"),
        pytest.param(b"--B\r\nX: y\r\n\r\n1\r\n" + END, MULTIPART, id="part without a name"),
        pytest.param(b"--B\r\nno colon\r\n\r\n1\r\n" + END, MULTIPART, id="bad field"),
        pytest.param(
            field("a", b"x", "Content-Type: text/plain; charset=klingon") + END, MULTIPART,
            id="unknown charset",
        ),
        pytest.param(field("a", b"\xff") + END, MULTIPART, id="not in its charset"),
        pytest.param(
            field("a", b"*", "Content-Transfer-Encoding: base64") + END, MULTIPART, id="no base64"
        ),
        pytest.param(
            field("a", b"x", "Content-Type: multipart/mixed; boundary=C") + END, MULTIPART,
            id="multipart in a form",
        ),
    ],
)  # fmt: skip
def test_malformed_forms_are_400_and_no_error_of_ours(run, exchange, caplog, body, content_type):
    raised = []

    async def handler(request):
        try:
            form = await request.post()
        except HTTPBadRequest as exc:  # as the docstring says, whatever is wrong
            raised.append(exc)
            raise
        return Response(text=str(len(form)))

    made = exchange("POST", headers=[("Content-Type", content_type)], body=body)
    run(lambda: Server(handler).request_handler.serve(made))
    assert made.response.status == 400, made.response.text
    assert len(raised) == 1
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


# --- files


def test_large_file_goes_to_the_disk_off_the_loop(run, exchange, monkeypatch):
    """CVE-2025-54121."""
    threads = []
    rollover = tempfile.SpooledTemporaryFile.rollover

    def watched(self):
        threads.append(threading.current_thread())
        rollover(self)

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", watched)
    content = os.urandom(3_000_000)
    body = upload("f", "big", content) + END
    made = exchange("POST", headers=[("Content-Type", MULTIPART)], body=body)
    form = run(BaseRequest(made, client_max_size=2**24).post)
    with form["f"].file as file:
        assert file.read() == content
    assert threads
    assert threading.main_thread() not in threads


def test_files_of_a_form_that_fails_are_closed(post, monkeypatch):
    files = []
    make = tempfile.SpooledTemporaryFile

    def watched(*args, **kwargs):
        files.append(make(*args, **kwargs))
        return files[-1]

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", watched)
    with pytest.raises(HttpProcessingError):
        post(upload("f", "x", b"1") + upload("g", "y", b"2"))
    assert len(files) == 2
    assert all(file.closed for file in files)


# --- streaming


@pytest.mark.parametrize("cloned", [False, True])
def test_files_are_closed_when_the_request_is_over(run, exchange, cloned):
    made = exchange(
        "POST", headers=[("Content-Type", MULTIPART)], body=upload("f", "x", b"data") + END
    )
    files = []

    async def handler(request):
        form = await (request.clone(scheme="https").clone() if cloned else request).post()
        files.append(form["f"].file)
        assert not files[0].closed
        return Response()

    async def test():
        await Server(handler).request_handler.serve(made)

    run(test)
    assert files[0].closed


def test_parts_can_be_streamed(run, exchange):
    body = field("a", b"1") + upload("f", "x", b"22") + END
    request = BaseRequest(exchange("POST", headers=[("Content-Type", MULTIPART)], body=body))

    async def test():
        reader = await request.multipart()
        return [(part.name, part.filename, await part.read()) async for part in reader]

    assert run(test) == [("a", None, b"1"), ("f", "x", b"22")]


def test_streamed_parts_are_under_the_limits(run, exchange):
    body = field("a", b"x" * 100) + END
    request = BaseRequest(
        exchange("POST", headers=[("Content-Type", MULTIPART)], body=body), client_max_size=10
    )

    async def test():
        part = await (await request.multipart()).next()
        await part.read()

    with pytest.raises(HTTPRequestEntityTooLarge):
        run(test)


def test_multipart_of_other_content(run, exchange):
    with pytest.raises(HTTPBadRequest):
        run(BaseRequest(exchange("POST", body=b"x")).multipart)
