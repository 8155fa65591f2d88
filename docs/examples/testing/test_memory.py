from shop import create_app


async def test_price_without_a_socket(test_client):
    client = await test_client(create_app, transport="memory")
    response = await client.get("/price")
    assert await response.json() == {"price": 42}
