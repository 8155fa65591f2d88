"""The ways of testing that aiohttp's documentation teaches, in a project that does it so."""

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]


@pytest.mark.parametrize("transport", ["memory", "socket"])
def test_they_work(pytester: pytest.Pytester, run: Run, transport: str) -> None:
    """All but one: what an application stores is fixed once it has started."""
    pytester.makeconftest('pytest_plugins = ["antiphon.testing.aiohttp_fixtures"]')
    pytester.makepyfile("""
        import pytest
        from antiphon import web
        from antiphon.testing import *
        from antiphon.testing import TestClient as Client, TestServer as Server

        async def hello(request):
            return web.Response(text='Hello, world')

        async def test_x(test_client):
            app = web.Application(); app.router.add_get('/', hello)
            client = await test_client(app)
            resp = await client.get('/')
            assert resp.status == 200
            text = await resp.text()
            assert 'Hello, world' in text

        async def previous(request):
            if request.method == 'POST':
                request.app['values'].append((await request.post())['value'])
                return web.Response(body=b'thanks for the data')
            return web.Response(body='value: {}'.format(request.app['values'][-1]).encode('utf-8'))

        @pytest.fixture
        def cli(loop, aiohttp_client):
            app = web.Application()
            app['values'] = []
            app.router.add_get('/', previous); app.router.add_post('/', previous)
            return loop.run_until_complete(aiohttp_client(app))

        async def test_set_value(cli):
            resp = await cli.post('/', data={'value': 'foo'})
            assert resp.status == 200
            assert await resp.text() == 'thanks for the data'
            assert cli.server.app['values'] == ['foo']

        async def test_get_value(cli):
            cli.server.app['values'].append('bar')
            resp = await cli.get('/')
            assert await resp.text() == 'value: bar'

        class MyAppTestCase(AioHTTPTestCase):
            async def get_application(self):
                app = web.Application(); app.router.add_get('/', hello)
                return app
            async def test_example(self):
                async with self.client.request("GET", "/") as resp:
                    self.assertEqual(resp.status, 200)
                    self.assertIn("Hello, world", await resp.text())

        def handler(request):
            assert request.headers.get('token') == 'x'
            return web.Response(body=b'data')

        def test_handler():
            req = make_mocked_request('GET', '/', headers={'token': 'x'})
            resp = handler(req)
            assert resp.body == b'data'

        async def test_more_of_mocked():
            app = web.Application(); app['a'] = 1
            req = make_mocked_request('POST', '/a/b?c=d', match_info={'name': 'b'}, app=app)
            assert req.app['a'] == 1 and req.match_info['name'] == 'b' and req.query['c'] == 'd'
            assert await req.read() == b''
            assert req.remote is None and req.scheme == 'http' and req.host
            coro = make_mocked_coro(5); assert await coro(1) == 5; coro.assert_called_with(1)
            bad = make_mocked_coro(raise_exception=ValueError())
            with pytest.raises(ValueError): await bad()

        def test_framework_agnostic():
            with loop_context() as loop:
                app = web.Application(); app.router.add_get('/', hello)
                client = Client(Server(app))
                loop.run_until_complete(client.start_server())
                root = "http://{}:{}".format(client.host, client.port)
                async def test_get_route():
                    url = root + "/"
                    resp = await client.session.get(url)
                    assert resp.status == 200
                    assert "Hello, world" in await resp.text()
                loop.run_until_complete(test_get_route())
                loop.run_until_complete(client.close())

        async def test_raw(aiohttp_raw_server, aiohttp_client, unused_port):
            async def h(request): return web.Response(text=request.path)
            server = await aiohttp_raw_server(h)
            client = await aiohttp_client(server)
            assert await (await client.get("/z")).text() == "/z"
            assert unused_port() > 0

        async def test_ws(test_client):
            async def w(request):
                ws = web.WebSocketResponse(); await ws.prepare(request)
                async for m in ws: await ws.send_str(m.data)
                return ws
            app = web.Application(); app.router.add_get('/', w)
            client = await test_client(app)
            async with client.ws_connect('/') as ws:
                await ws.send_str('x'); assert (await ws.receive_str()) == 'x'
    """)
    run("--antiphon-leaks=error", f"--antiphon-transport={transport}").assert_outcomes(passed=9)
