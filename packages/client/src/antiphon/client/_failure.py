"""The one place where what core raises becomes what a client documents."""

from typing import TYPE_CHECKING

from antiphon.core.aio.exchange import ClientExchange, Timeline
from antiphon.core.errors import HttpProcessingError, LocalProtocolError, PayloadEncodingError

from .errors import (
    ClientConnectionError,
    ClientConnectionResetError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    Failure,
    ServerDisconnectedError,
)

if TYPE_CHECKING:
    from .request import ClientRequest

__all__ = ("IDEMPOTENT_METHODS", "content_error", "describe", "head_error")

IDEMPOTENT_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""RFC 9110 section 9.2.2: doing it twice does what doing it once does."""


def describe(
    phase: str,
    exchange: ClientExchange,
    now: float,
    *,
    replayable: bool,
) -> Failure:
    """Return what is known of *exchange* at loop time *now*, in a phase that failed.

    Args:
        phase: One of those that `Failure.phase` lists.
        exchange: What failed.
        now: The loop time of the failure.
        replayable: Whether method and content allow the request to be sent again.
    """
    info = exchange.info
    timeline: Timeline = exchange.timeline
    return Failure(
        phase=phase,
        connection_id=info.id,
        age=max(0.0, now - info.created),
        uses=info.uses,
        resend_safe=replayable and not exchange.response_started,
        tries=timeline.tries,
        timeline=timeline,
    )


def head_error(exc: BaseException, failure: Failure, request: "ClientRequest") -> BaseException:
    """Return what to raise for *exc*, which came instead of a response's head."""
    if isinstance(exc, HttpProcessingError):
        return ClientResponseError(
            request.request_info, (), status=exc.code, message=exc.message, headers=exc.headers
        )
    return _connection_error(exc, failure, "Server disconnected")


def content_error(exc: BaseException, failure: Failure) -> BaseException:
    """Return what to raise for *exc*, which came instead of the rest of the content."""
    if isinstance(exc, PayloadEncodingError):
        return ClientPayloadError(f"Response payload is not completed: {exc!r} ({failure})")
    if isinstance(exc, HttpProcessingError):
        return ClientPayloadError(f"Response payload cannot be read: {exc!r} ({failure})")
    return _connection_error(exc, failure, "Server disconnected before the end of the content")


def _connection_error(exc: BaseException, failure: Failure, default: str) -> BaseException:
    # A user's own exception, a cancellation, and our own errors pass through unchanged.
    if not isinstance(exc, OSError | LocalProtocolError) or isinstance(exc, ClientError):
        return exc
    error: ClientConnectionError
    if isinstance(exc, LocalProtocolError):
        error = ClientConnectionError(f"{exc} ({failure})")
    elif exc.errno is not None:
        error = ClientOSError(exc.errno, f"{exc.strerror} ({failure})")
    elif isinstance(exc, BrokenPipeError):
        error = ClientConnectionResetError(f"{exc} ({failure})")
    else:
        error = ServerDisconnectedError(f"{default} ({failure})")
    error.failure = failure
    return error
