from hello import create_app


async def test_hello(test_client):
    client = await test_client(create_app)
    response = await client.get("/hello/world")
    assert await response.text() == "Hello, world!"
