"""Serve one page with antiphon-web alone and ask for it with the standard library."""

import asyncio
import http.client

from antiphon import web


async def hello(request: web.Request) -> web.Response:
    return web.json_response({"hello": request.match_info["name"]})


def ask(port: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/hello/server")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


async def main() -> None:
    app = web.Application()
    app.router.add_get("/hello/{name}", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    answer = await asyncio.to_thread(ask, site.port)
    await runner.cleanup()
    if answer != (200, b'{"hello": "server"}'):
        raise SystemExit(f"unexpected answer: {answer}")
    print("web alone:", answer)


asyncio.run(main())
