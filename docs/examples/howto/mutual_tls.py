import ssl

from antiphon import web
from antiphon.client import ClientSession, TCPConnector


def server_context(certificate: str, key: str, authority: str) -> ssl.SSLContext:
    """The server shows *certificate* and demands one that *authority* has signed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    return context


def client_context(certificate: str, key: str, authority: str) -> ssl.SSLContext:
    """The client shows *certificate* and trusts *authority* alone."""
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    return context


async def who(request: web.Request) -> web.Response:
    certificate = request.get_extra_info("peercert")
    names = [value for kind, value in certificate["subjectAltName"]]
    return web.Response(text=", ".join(names))


def create_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/", who)
    return app


async def ask(url: str, context: ssl.SSLContext) -> str:
    connector = TCPConnector(ssl=context)
    async with ClientSession(connector=connector) as session, session.get(url) as response:
        return await response.text()
