import pytest
from shop import create_app


@pytest.fixture
async def client(test_client):
    return await test_client(create_app)


async def test_price(client):
    response = await client.get("/price")
    assert response.status == 200
    assert await response.json() == {"price": 42}


async def test_two_clients_of_one_server(test_server, test_client):
    server = await test_server(create_app())
    one = await test_client(server, headers={"X-User": "ann"})
    two = await test_client(server, headers={"X-User": "bob"})
    for client in (one, two):
        assert (await client.get("/price")).status == 200
