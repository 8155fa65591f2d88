"""The FAQ's application, with a small real service in the place of Elasticsearch."""

from antiphon import web
from antiphon.client import ClientSession

SERVICE_URL = ""


class Elasticsearch:
    """As much of a client of a search service as the FAQ uses."""

    def __init__(self, endpoints, loop=None):
        self.endpoint = endpoints[0]
        self.loop = loop

    async def info(self):
        async with ClientSession() as session, session.get(f"http://{self.endpoint}/") as response:
            return await response.json()


class AioESService:
    # The FAQ's tests pass an argument before the loop, which its own signature has no room for.
    def __init__(self, *args, loop=None):
        self.es = Elasticsearch([SERVICE_URL], loop=loop)

    async def get_info(self):
        return await self.es.info()


class MyService:
    def __init__(self):
        self.aioes_service = AioESService()

    async def get_es_info(self):
        return await self.aioes_service.get_info()


async def hello_aioes(request):
    my_service = MyService()
    cluster_info = await my_service.get_es_info()
    return web.Response(text="{}".format(cluster_info))


def create_app(loop=None):

    app = web.Application(loop=loop)
    app.router.add_route('GET', '/', hello_aioes)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
