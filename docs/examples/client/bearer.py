import asyncio
from collections.abc import Awaitable, Callable

from antiphon.client import ClientHandlerType, ClientRequest, ClientResponse


class Token:
    """Send a bearer token; get a new one, once for all who wait, when the server refuses it."""

    def __init__(self, origin: str, fetch: Callable[[], Awaitable[str]]) -> None:
        self._origin = origin
        self._fetch = fetch
        self._token: str | None = None
        self._lock = asyncio.Lock()

    async def _current(self, refused: str | None) -> str:
        async with self._lock:
            if self._token is None or self._token == refused:
                self._token = await self._fetch()
            return self._token

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if str(request.url.origin()) != self._origin:
            return await handler(request)  # a redirect led elsewhere: the token stays here
        token = await self._current(refused=None)
        request.headers["Authorization"] = f"Bearer {token}"
        response = await handler(request)
        if response.status != 401:
            return response
        response.release()
        token = await self._current(refused=token)
        request.headers["Authorization"] = f"Bearer {token}"
        return await handler(request)
