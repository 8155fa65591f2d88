import pytest
from shop import create_app

from antiphon.client import ClientConnectionError, ClientPayloadError
from antiphon.testing import FaultPlan, Faults


async def test_a_response_in_pieces_of_one_byte_is_a_response(test_client):
    plan = FaultPlan(to_client=Faults(split=1))
    client = await test_client(create_app, server_kwargs={"faults": plan})
    response = await client.get("/price")
    assert await response.json() == {"price": 42}


async def test_a_response_that_is_cut_off_is_an_error(test_client):
    plan = FaultPlan(to_client=Faults(cut_after=50_000))
    client = await test_client(create_app, server_kwargs={"faults": plan})
    response = await client.get("/report")
    with pytest.raises(ClientPayloadError):
        await response.read()


async def test_the_first_connection_is_reset_and_the_second_is_not(test_client):
    plan = FaultPlan(to_server=Faults(reset_after=0), connections={0})
    client = await test_client(create_app, server_kwargs={"faults": plan})
    with pytest.raises(ClientConnectionError):
        await client.get("/price")
    assert (await client.get("/price")).status == 200
