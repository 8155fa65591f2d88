"""Generated from docs/deprecations.toml; do not edit."""

from typing import Final

MESSAGES: Final[dict[str, str]] = {
    "ANT-0001": 'antiphon.web.Application(loop=) is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: leave it out: the application belongs to the loop that runs it',
    "ANT-0002": 'antiphon.web.Application.loop is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: asyncio.get_running_loop() or asyncio.create_task()',
    "ANT-0003": 'old-style middleware factories is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: an async def middleware(request, handler) decorated with @web.middleware',
    "ANT-0004": 'loop= arguments of antiphon.client are deprecated since antiphon-client 0.1.0 and goes not before 2028-05-22; instead: leave it out: the running loop is used',
    "ANT-0005": 'antiphon.core.BasicAuth is deprecated since antiphon-core 0.1.0 and goes not before 2028-05-22; instead: antiphon.core.encode_basic_auth() and an Authorization header',
    "ANT-0006": "auth= and proxy_auth= arguments of antiphon.client are deprecated since antiphon-client 0.1.0 and goes not before 2028-05-22; instead: headers={'Authorization': encode_basic_auth(...)} or proxy_headers=",
    "ANT-0007": 'antiphon.core.streamer is deprecated since antiphon-core 0.1.0 and goes not before 2028-05-22; instead: an async generator passed as data= or body=',
    "ANT-0008": 'verify_ssl=, ssl_context= and fingerprint= arguments of antiphon.client are deprecated since antiphon-client 0.1.0 and goes not before 2028-05-22; instead: ssl=False, ssl=context or ssl=Fingerprint(...)',
    "ANT-0009": 'antiphon.web.StreamResponse.enable_chunked_encoding(chunk_size=) is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: leave it out: each write is a chunk',
    "ANT-0010": 'antiphon.web.StreamResponse.enable_compression(force=<bool>) is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: a ContentCoding, or nothing to negotiate',
    "ANT-0011": 'antiphon.web.StreamResponse.output_length is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: StreamResponse.body_length',
    "ANT-0012": "antiphon.web.BaseRequest.message is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: the request's own properties, such as method, raw_path, version and headers",
    "ANT-0013": 'antiphon.web.BaseRequest.loop is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: asyncio.get_running_loop()',
    "ANT-0014": 'antiphon.web.BaseRequest.has_body is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: BaseRequest.can_read_body',
    "ANT-0015": 'antiphon.client.TCPConnector(ssl_shutdown_timeout=) is deprecated since antiphon-client 0.1.0 and goes not before 2028-05-22; instead: leave it out: closing waits for TLS goodbyes for two seconds at most; close(abort_ssl=True) not at all',
    "ANT-0016": 'antiphon.client.FormData.add_field(content_transfer_encoding=) is deprecated since antiphon-client 0.1.0 and goes not before 2028-05-22; instead: leave it out: form parts carry no transfer encoding (RFC 7578 section 4.7)',
    "ANT-0017": 'plain functions as handlers is deprecated since antiphon-web 0.1.0 and goes not before 2028-05-22; instead: an async def handler(request)',
    "ANT-0018": 'bytes as the value of an antiphon.client.FormData field without a file name are deprecated since antiphon-client 0.1.0 and goes not before 2028-05-22; instead: add_field(name, value, filename=...) for a file, text for a field',
    "ANT-0019": 'antiphon.client.ClientSession(read_timeout=, conn_timeout=) is deprecated since antiphon-client 0.1.0 and goes not before 2028-05-22; instead: timeout=ClientTimeout(total=..., connect=...)',
}
