"""What a new project's first test looks like."""

from antiphon import web


async def hello(request):
    return web.Response(text="hello, test")


async def test_hello(test_client):
    app = web.Application()
    app.router.add_get("/", hello)
    client = await test_client(app)
    response = await client.get("/")
    assert response.status == 200
    assert await response.text() == "hello, test"
