import os
from collections.abc import AsyncIterator
from typing import Protocol

from antiphon import web


class Database(Protocol):
    """The little that this application asks of a database."""

    async def fetch(self, query: str) -> object: ...


DATABASE: web.AppKey[Database] = web.AppKey("database")


class SQLite:
    def __init__(self, connection) -> None:
        self._connection = connection

    async def fetch(self, query: str) -> object:
        async with self._connection.execute(query) as cursor:
            (value,) = await cursor.fetchone()
        return value


class PostgreSQL:
    def __init__(self, pool) -> None:
        self._pool = pool

    async def fetch(self, query: str) -> object:
        return await self._pool.fetchval(query)


async def database(app: web.Application) -> AsyncIterator[None]:
    url = os.environ.get("DATABASE_URL", "sqlite:example.sqlite")
    if url.startswith("postgresql:"):
        import asyncpg

        async with asyncpg.create_pool(url) as pool:
            app[DATABASE] = PostgreSQL(pool)
            yield
    else:
        import aiosqlite

        async with aiosqlite.connect(url.removeprefix("sqlite:")) as connection:
            app[DATABASE] = SQLite(connection)
            yield


async def answer(request: web.Request) -> web.Response:
    value = await request.app[DATABASE].fetch("SELECT 42")
    return web.Response(text=str(value))


def create_app() -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(database)
    app.router.add_get("/", answer)
    return app


if __name__ == "__main__":
    web.run_app(create_app())
