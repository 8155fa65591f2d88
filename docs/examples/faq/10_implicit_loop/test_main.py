from unittest.mock import patch

import main
import pytest
from main import SearchService, create_app

from antiphon import web


@pytest.fixture
async def search_engine(test_server, monkeypatch):
    """A real server where the service expects the search engine."""

    async def info(request):
        return web.json_response({"name": "node-1", "version": "7"})

    app = web.Application()
    app.router.add_get("/", info)
    server = await test_server(app)
    monkeypatch.setattr(main, "SEARCH", (server.host, server.port))


@pytest.fixture
def search_service(loop):
    """Every SearchService of the application is given the loop of the test."""

    def with_loop(*args, **kwargs):
        return SearchService(*args, **kwargs, loop=loop)

    with patch("main.SearchService", side_effect=with_loop) as service:
        yield service


class TestSearchService:
    async def test_get_info(self, search_engine, loop):
        info = await SearchService(loop=loop).get_info()
        assert info["version"] == "7"


class TestAcceptance:
    async def test_get(self, test_client, search_engine, search_service):
        client = await test_client(create_app)
        resp = await client.get("/")
        assert resp.status == 200
        assert (await resp.json())["name"] == "node-1"
        search_service.assert_called_once_with()
