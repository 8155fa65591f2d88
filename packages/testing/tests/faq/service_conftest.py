"""What the FAQ expects to be running: a search service, here a small one."""

import main
import pytest

from antiphon import web


@pytest.fixture(autouse=True)
async def service(test_server):
    async def info(request):
        return web.json_response({"name": "a node", "cluster_name": "antiphon"})

    app = web.Application()
    app.router.add_get("/", info)
    server = await test_server(app)
    main.SERVICE_URL = f"{server.host}:{server.port}"
