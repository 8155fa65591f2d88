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
        "antiphon.core.encode_basic_auth()."
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
        "antiphon.client.TCPConnector(ssl_shutdown_timeout=) is deprecated since antiphon-client "
        "0.1.0 and stays until 2028-05-22 at least. Leave it out: closing waits two seconds at "
        "most for the peers' TLS goodbyes, close(abort_ssl=True) not at all."
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
}
