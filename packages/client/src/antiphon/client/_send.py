"""How a request is made: one short function for each layer around the next.

::

    follow        redirects: the next request, or this response
      middlewares   the user's functions
        resend        one silent second try over another connection
          send_once     one connection, one exchange, one response

The second try is inside: it is about connections. Were it outside, a
redirect's earlier hops would be made twice, and middlewares would see it.
"""

from typing import TYPE_CHECKING, Final

from antiphon.core import hdrs
from antiphon.core.aio.exchange import Timeline
from antiphon.core.http import RawResponseMessage

from . import _upload
from ._failure import head_error, may_resend
from ._flights import Flight
from .errors import (
    ClientConnectionResetError,
    ClientOSError,
    ClientPayloadError,
    ServerDisconnectedError,
    TooManyRedirects,
)
from .middlewares import ClientHandlerType
from .redirects import REDIRECT_STATUSES, carried_headers, next_hop

if TYPE_CHECKING:
    from ._call import Call
    from .connector.base import Connection
    from .request import ClientRequest
    from .response import ClientResponse

__all__ = ("follow", "resend", "send_once")

_LOST: Final = (ServerDisconnectedError, ClientOSError, ClientConnectionResetError)


async def follow(
    call: "Call", request: "ClientRequest", send: ClientHandlerType
) -> "ClientResponse":
    """Send *request*, and what redirects make of it; return the response that is none.

    Raises:
        TooManyRedirects: There were more than the call allows.
        RedirectClientError: A redirect leads to where no request can be sent.
        ClientPayloadError: A redirect wants content again that cannot be had twice.
    """
    options = call.options
    history: list[ClientResponse] = []
    while True:
        response = await send(request)
        if response.status not in REDIRECT_STATUSES or not options.allow_redirects:
            break
        location = response.headers.get(hdrs.LOCATION) or response.headers.get(hdrs.URI)
        if not location:
            break  # RFC 9110 section 15.4: nothing says where, so the user sees it
        for trace in request.traces:
            await trace.send_request_redirect(
                request.method, request.url.with_fragment(None), request.headers, response
            )
        history.append(response)
        response.release()
        if 0 < options.max_redirects <= len(history):
            raise TooManyRedirects(
                history[0].request_info,
                tuple(history),
                status=response.status,
                message=f"{len(history)} redirects in a row",
                headers=response.headers,
            )
        request = await _next_request(call, request, response, location)
    if history:
        response._history = tuple(history)
    return response


async def _next_request(
    call: "Call", request: "ClientRequest", response: "ClientResponse", location: str
) -> "ClientRequest":
    hop = next_hop(
        response.status,
        request.method,
        request.target,
        location,
        requote=call.session.requote_redirect_url,
    )
    payload = request.payload
    if payload is not None and not hop.drops_content and not payload.replayable:
        raise ClientPayloadError(
            f"Cannot follow the redirect with status {response.status}: it asks for the content "
            f"again, and {type(payload).__name__} cannot be sent twice"
        )
    if hop.drops_content:
        await request.close()
    call.cross_origin = call.cross_origin or hop.cross_origin
    call.headers = carried_headers(call.carried_headers(), hop)
    if hop.target.login is not None:
        call.headers.popall(hdrs.AUTHORIZATION, None)  # the URL names somebody else
    return await call.next_request(hop.method, hop.target, None if hop.drops_content else payload)


async def resend(request: "ClientRequest") -> "ClientResponse":
    """Send *request*; once more if a reused connection turns out to be dead.

    Only if no byte of an answer was seen, and doing it twice does no harm: the server may
    have closed the idle connection just when the request was on its way.
    """
    try:
        return await send_once(request)
    except _LOST as exc:
        failure = exc.failure
        # `uses` counts this request: 1 means the connection was new, and the server is down.
        if failure is None or failure.uses < 2 or not failure.resend_safe:
            raise
    return await send_once(request, tries=2)


async def send_once(request: "ClientRequest", tries: int = 1) -> "ClientResponse":
    """Send *request* over one connection and wait for the response's head.

    Raises:
        ClientConnectorError: No connection could be made.
        ClientConnectionError: It was lost before a response came.
        ClientResponseError: What came is no response.
        ServerTimeoutError: A time limit passed.
    """
    session = request.session
    assert session is not None
    connector = session.open_connector()
    flights = session.flights
    now = flights.loop.time()
    timeline = Timeline(now)
    timeline.tries = tries
    key = request.connection_key
    traces = request.traces
    tracker = request.options.upload_tracker
    if tracker is not None:
        tracker.begin()
    connection = None if traces or tries > 1 else connector.take_idle(key)
    if connection is None:
        connection = await connector.connect(
            key,
            request=request,
            traces=traces,
            timeout=request.options.timeout,
            timeline=timeline,
            deadline=request.deadline,
        )
    flight, message = await _exchange(request, connection, timeline, now)
    response = _response_to(request, flight, message)
    if flight.exchange.done:
        flight.finish()
    else:
        flight.responded = True
        flight.exchange.add_done_callback(flight.finish)
    return response


async def _exchange(
    request: "ClientRequest", connection: "Connection", timeline: Timeline, now: float
) -> tuple[Flight, RawResponseMessage]:
    options = request.options
    plan = request.content_plan()
    try:
        exchange = connection.http.open(
            request.head(),
            length=plan.length,
            body=plan.body,
            chunked=plan.chunked,
            decompress=options.auto_decompress,
            read_bufsize=options.read_bufsize,
            timeline=timeline,
            deadline=request.deadline,
        )
    except BaseException:
        # Refused before a byte was written: a method, target, name or value that cannot be
        # sent (CVE-2023-49081, CVE-2023-49082).
        connection.release()
        raise
    session = request.session
    assert session is not None
    flights = session.flights
    flight = Flight(
        exchange,
        connection,
        flights,
        options.timeout,
        request.deadline,
        may_resend(request),
    )
    flights.add(flight, now)
    try:
        if plan.streamed:
            flight.upload = _upload.start(request, flight, plan, flights.loop)
        for trace in request.traces:
            await trace.send_request_headers(request.method, request.url, request.headers)
            if plan.body:
                await trace.send_request_chunk_sent(request.method, request.url, plan.body)
        return flight, await exchange.response()
    except BaseException as exc:
        # Also for a cancellation: in this very step the connection is closed and its slot free.
        error = head_error(exc, flight.failure(), request)
        flight.abort()
        if error is exc:
            raise
        raise error from exc


def _response_to(
    request: "ClientRequest", flight: Flight, message: RawResponseMessage
) -> "ClientResponse":
    session = request.session
    assert session is not None
    make = request.response_class or session.response_class
    response = make(
        request.method,
        request.url,
        traces=request.traces,
        loop=flight.flights.loop,
        session=session,
    )
    response.begin(request, flight, message)
    request.response = response
    session.keep_cookies(response)
    return response


async def close_content(request: "ClientRequest", response: "ClientResponse | None") -> None:
    """Close the content of *request*: now, or once it is no longer being sent."""
    flight = None if response is None else response._flight
    tracker = request.options.upload_tracker
    if flight is not None and flight.upload is not None and not flight.upload.done():
        # An early answer: the upload goes on until the response is given back.
        flight.owns_content = True
    else:
        await request.close()
    if tracker is not None:
        if response is not None and request.payload is None:
            tracker.complete()
        tracker.close()
