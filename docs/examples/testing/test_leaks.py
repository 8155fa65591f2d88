from shop import create_app


async def test_nothing_is_left_behind(antiphon_leak_guard, test_client):
    client = await test_client(create_app)
    async with client.get("/price") as response:
        assert response.status == 200
