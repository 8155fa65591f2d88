"""Generated from docs/deprecations.toml; do not edit."""

from typing import Final

MESSAGES: Final[dict[str, str]] = {
    "ANT-0001": (
        "antiphon.web.Application(loop=) is deprecated since antiphon-web 0.1.0 and stays until "
        "2028-05-22 at least. Leave it out: the application belongs to the loop that runs it."
    ),
    "ANT-0002": (
        "antiphon.web.Application.loop is deprecated since antiphon-web 0.1.0 and stays until "
        "2028-05-22 at least. Call asyncio.get_running_loop(), or asyncio.create_task() right "
        "away."
    ),
    "ANT-0003": (
        "Old-style middleware factories are deprecated since antiphon-web 0.1.0 and stay until "
        "2028-05-22 at least. Write an async def middleware(request, handler) and decorate it "
        "with @web.middleware."
    ),
    "ANT-0004": (
        "The loop arguments of antiphon.client are deprecated since antiphon-client 0.1.0 and "
        "stay until 2028-05-22 at least. Leave them out: the running loop is used."
    ),
    "ANT-0005": (
        "antiphon.core.BasicAuth is deprecated since antiphon-core 0.1.0 and stays until "
        "2028-05-22 at least. Send an Authorization header with the value of "
        "antiphon.core.encode_basic_auth(), read one with decode_basic_auth()."
    ),
    "ANT-0006": (
        "The auth and proxy_auth arguments of antiphon.client are deprecated since "
        "antiphon-client 0.1.0 and stay until 2028-05-22 at least. Give "
        "headers={'Authorization': encode_basic_auth(...)}, or "
        "proxy_headers={'Proxy-Authorization': ...}."
    ),
    "ANT-0007": (
        "antiphon.core.streamer is deprecated since antiphon-core 0.1.0 and stays until "
        "2028-05-22 at least. Pass an async generator as data= or body=."
    ),
    "ANT-0008": (
        "The verify_ssl, ssl_context and fingerprint arguments of antiphon.client are deprecated "
        "since antiphon-client 0.1.0 and stay until 2028-05-22 at least. Give ssl=False, "
        "ssl=context or ssl=Fingerprint(...)."
    ),
    "ANT-0009": (
        "antiphon.web.StreamResponse.enable_chunked_encoding(chunk_size=) is deprecated since "
        "antiphon-web 0.1.0 and stays until 2028-05-22 at least. Leave it out: each write is a "
        "chunk."
    ),
    "ANT-0010": (
        "A boolean as the force argument of antiphon.web.StreamResponse.enable_compression() is "
        "deprecated since antiphon-web 0.1.0 and stays until 2028-05-22 at least. Give a "
        "ContentCoding, or nothing for the one that the client prefers."
    ),
    "ANT-0011": (
        "antiphon.web.StreamResponse.output_length is deprecated since antiphon-web 0.1.0 and "
        "stays until 2028-05-22 at least. Use StreamResponse.body_length."
    ),
    "ANT-0012": (
        "antiphon.web.BaseRequest.message is deprecated since antiphon-web 0.1.0 and stays until "
        "2028-05-22 at least. Use the request's own properties, such as method, raw_path, "
        "version and headers."
    ),
    "ANT-0013": (
        "antiphon.web.BaseRequest.loop is deprecated since antiphon-web 0.1.0 and stays until "
        "2028-05-22 at least. Call asyncio.get_running_loop()."
    ),
    "ANT-0014": (
        "antiphon.web.BaseRequest.has_body is deprecated since antiphon-web 0.1.0 and stays "
        "until 2028-05-22 at least. Use BaseRequest.can_read_body."
    ),
    "ANT-0015": (
        "The ssl_shutdown_timeout arguments of antiphon.client are deprecated since "
        "antiphon-client 0.1.0 and stay until 2028-05-22 at least. Leave it out: closing waits "
        "two seconds at most for the peers' TLS goodbyes, close(abort_ssl=True) not at all."
    ),
    "ANT-0016": (
        "antiphon.client.FormData.add_field(content_transfer_encoding=) is deprecated since "
        "antiphon-client 0.1.0 and stays until 2028-05-22 at least. Leave it out: the parts of a "
        "form carry no transfer encoding (RFC 7578 section 4.7)."
    ),
    "ANT-0017": (
        "Plain functions as handlers are deprecated since antiphon-web 0.1.0 and stay until "
        "2028-05-22 at least. Write an async def handler(request)."
    ),
    "ANT-0018": (
        "A bytes value without a file name in antiphon.client.FormData is deprecated since "
        "antiphon-client 0.1.0 and stays until 2028-05-22 at least. Give add_field(name, value, "
        "filename=...) for a file, text for a field."
    ),
    "ANT-0019": (
        "antiphon.client.ClientSession(read_timeout=, conn_timeout=) are deprecated since "
        "antiphon-client 0.1.0 and stay until 2028-05-22 at least. Give "
        "timeout=ClientTimeout(total=..., connect=...)."
    ),
    "ANT-0020": (
        "antiphon.testing.TestClient(loop=) is deprecated since antiphon-testing 0.1.0 and stays "
        "until 2028-05-22 at least. Leave it out: the running loop is used."
    ),
    "ANT-0021": (
        "antiphon.client.ClientSession.loop is deprecated since antiphon-client 0.1.0 and stays "
        "until 2028-05-22 at least. Call asyncio.get_running_loop()."
    ),
    "ANT-0022": (
        "antiphon.web.Application(debug=) is deprecated since antiphon-web 0.1.0 and stays until "
        "2028-05-22 at least. Switch asyncio's debug mode on, or give debug=True to the runner."
    ),
    "ANT-0023": (
        "antiphon.web.Application.debug is deprecated since antiphon-web 0.1.0 and stays until "
        "2028-05-22 at least. Call asyncio.get_running_loop().get_debug()."
    ),
    "ANT-0024": (
        "antiphon.web.Application.make_handler is deprecated since antiphon-web 0.1.0 and stays "
        "until 2028-05-22 at least. Use AppRunner."
    ),
    "ANT-0025": (
        "The shutdown_timeout arguments of sites are deprecated since antiphon-web 0.1.0 and "
        "stay until 2028-05-22 at least. Give it to the runner, or to run_app()."
    ),
    "ANT-0026": (
        "The enable_cleanup_closed arguments of connectors are deprecated since antiphon-client "
        "0.1.0 and stay until 2028-05-22 at least. Leave it out: closing is always cleaned up."
    ),
    "ANT-0027": (
        "antiphon.core.StreamReader.unread_data is deprecated since antiphon-core 0.1.0 and "
        "stays until 2028-05-22 at least. Keep what was read too much where it was read."
    ),
    "ANT-0028": (
        "antiphon.client.ClientResponseError(code=) is deprecated since antiphon-client 0.1.0 "
        "and stays until 2028-05-22 at least. Give status."
    ),
    "ANT-0029": (
        "antiphon.client.ClientResponseError.code is deprecated since antiphon-client 0.1.0 and "
        "stays until 2028-05-22 at least. Use ClientResponseError.status."
    ),
    "ANT-0030": (
        "Setting antiphon.client.ClientSession.requote_redirect_url is deprecated since "
        "antiphon-client 0.1.0 and stays until 2028-05-22 at least. Give requote_redirect_url to "
        "ClientSession()."
    ),
    "ANT-0031": (
        "antiphon.client.ClientResponse.output_size is deprecated since antiphon-client 0.1.0 "
        "and stays until 2028-05-22 at least. Give the request an "
        "upload_tracker=UploadTracker()."
    ),
    "ANT-0032": (
        "antiphon.client.ClientResponse.upload_complete is deprecated since antiphon-client "
        "0.1.0 and stays until 2028-05-22 at least. Give the request an "
        "upload_tracker=UploadTracker()."
    ),
    "ANT-0033": (
        "antiphon.client.ClientSession.ws_connect(receive_timeout=) is deprecated since "
        "antiphon-client 0.1.0 and stays until 2028-05-22 at least. Give "
        "timeout=ClientWSTimeout(ws_receive=...)."
    ),
    "ANT-0034": (
        "A number as the timeout argument of antiphon.client.ClientSession.ws_connect() is "
        "deprecated since antiphon-client 0.1.0 and stays until 2028-05-22 at least. Give "
        "timeout=ClientWSTimeout(ws_close=...)."
    ),
    "ANT-0035": (
        "antiphon.web.HTTPException(body=) is deprecated since antiphon-web 0.1.0 and stays "
        "until 2028-05-22 at least. Give text and content_type, or return a Response."
    ),
    "ANT-0036": (
        "antiphon.testing.unittest_run_loop is deprecated since antiphon-testing 0.1.0 and stays "
        "until 2028-05-22 at least. Leave it out: AioHTTPTestCase runs coroutine functions by "
        "itself."
    ),
    "ANT-0037": (
        "A connector in a with statement is deprecated since antiphon-client 0.1.0 and stays "
        "until 2028-05-22 at least. Write async with."
    ),
}
