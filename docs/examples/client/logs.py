import logging
import time

from antiphon.client import ClientError, ClientHandlerType, ClientRequest, ClientResponse

logger = logging.getLogger(__name__)


async def log_requests(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    begin = time.perf_counter()
    try:
        response = await handler(request)
    except ClientError as exc:
        logger.warning("%s %s failed: %s", request.method, request.url, exc)
        raise
    milliseconds = (time.perf_counter() - begin) * 1000
    logger.info("%s %s %d %.0f ms", request.method, request.url, response.status, milliseconds)
    return response
