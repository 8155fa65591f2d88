import asyncio
import random

from antiphon.client import ClientConnectionError, ClientHandlerType, ClientRequest, ClientResponse

SAFE = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}  # doing them twice comes to the same
BUSY = {429, 502, 503, 504}


class Retry:
    """Send again what failed for a passing reason, after longer and longer breaks."""

    def __init__(self, tries: int = 4, pause: float = 0.1) -> None:
        self._tries = tries
        self._pause = pause

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        for count in range(1, self._tries):
            pause = self._pause * 2**count * random.uniform(0.5, 1.5)
            try:
                response = await handler(request)
            except ClientConnectionError as exc:
                unsent = exc.failure is not None and exc.failure.resend_safe
                if not (unsent or request.method in SAFE):
                    raise
            else:
                if response.status not in BUSY or request.method not in SAFE:
                    return response
                asked = response.headers.get("Retry-After", "")
                pause = max(pause, float(asked)) if asked.isdecimal() else pause
                response.release()
            await asyncio.sleep(pause)
        return await handler(request)
