"""How a request is made: one short function for each layer around the next.

::

    follow                redirects: the next request, or this response
      middlewares           the user's functions
        Sender.send           one connection, one exchange, one response; and one silent
                              second try if the connection turns out to be dead

The second try is inside: it is about connections. Were it outside, a
redirect's earlier hops would be made twice, and middlewares would see it.
"""

import asyncio
from typing import TYPE_CHECKING, Final, final
from weakref import ref

from antiphon.core import hdrs
from antiphon.core.aio.exchange import Timeline
from antiphon.core.aio.streams import EMPTY_PAYLOAD
from antiphon.core.http import UNTIL_CLOSE, RawResponseMessage

from . import _upload
from ._content import NO_CONTENT
from ._failure import head_error
from ._flights import Flight, Flights
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
    from .connector.base import BaseConnector, Connection
    from .cookiejar import AbstractCookieJar
    from .request import ClientRequest
    from .response import ClientResponse
    from .session import ClientSession

__all__ = ("Sender", "close_content", "follow")

_LOST: Final = (ServerDisconnectedError, ClientOSError, ClientConnectionResetError)


async def follow(
    call: "Call", request: "ClientRequest", response: "ClientResponse", send: ClientHandlerType
) -> "ClientResponse":
    """Follow *response*, which answers *request*, through all redirects.

    Raises:
        TooManyRedirects: There were more than the call allows.
        RedirectClientError: A redirect leads to where no request can be sent.
        ClientPayloadError: A redirect wants content again that cannot be had twice.
    """
    options = call.options
    history: list[ClientResponse] = []
    while response.status in REDIRECT_STATUSES:
        location = response.headers.get(hdrs.LOCATION) or response.headers.get(hdrs.URI)
        if not location:
            break  # RFC 9110 section 15.4: nothing says where, so the user sees it
        for trace in request.traces:
            await trace.send_request_redirect(
                request.method, request.url, request.headers, response
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
        response = await send(request)
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
    if hop.drops_content and payload is not None:
        await call.session.flights.settled(payload, call.deadline)
        await payload.close()
    call.cross_origin = call.cross_origin or hop.cross_origin
    call.headers = carried_headers(call.carried_headers(), hop)
    if hop.target.login is not None:
        call.headers.popall(hdrs.AUTHORIZATION, None)  # the URL names somebody else
    return await call.next_request(hop.method, hop.target, None if hop.drops_content else payload)


@final
class Sender:
    """Sends the requests of one session.

    Args:
        session: Whose requests they are.
        connector: Where connections come from.
        jar: Where cookies go.
        loop: The session's loop.
    """

    __slots__ = ("connector", "flights", "jar", "loop", "response_class", "session")

    def __init__(
        self,
        session: "ClientSession",
        connector: "BaseConnector",
        jar: "AbstractCookieJar",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.session = session
        self.connector = connector
        self.jar = jar
        self.loop = loop
        self.response_class = session.response_class
        self.flights = Flights(loop)
        """The exchanges under way."""

    async def send(self, request: "ClientRequest", now: float | None = None) -> "ClientResponse":
        """Send *request*; once more if a reused connection turns out to be dead.

        Only if no byte of an answer was seen, and doing it twice does no harm: the server may
        have closed the idle connection just when the request was on its way.

        Args:
            request: What to send.
            now: The loop's time, if the caller has it.

        Raises:
            ClientConnectorError: No connection could be made.
            ClientConnectionError: It was lost before a response came.
            ClientResponseError: What came is no response.
            ServerTimeoutError: A time limit passed.
        """
        options = request.options
        traces = request.traces
        tries = 1
        while True:
            if self.flights.uploads and request.payload is not None:
                await self.flights.settled(request.payload, request.deadline)
            if now is None:
                now = self.loop.time()
            timeline = Timeline(now)
            if tries > 1:
                timeline.tries = tries
            if options.upload_tracker is not None:
                options.upload_tracker.begin()
            key = request.connection_key
            connection = None if traces or tries > 1 else self.connector.take_idle(key, now)
            if connection is not None:
                timeline.head_sent = now  # in this very step
            else:
                connection = await self.connector.connect(
                    key,
                    request=request,
                    traces=traces,
                    timeout=options.timeout,
                    timeline=timeline,
                    deadline=request.deadline,
                )
            flight = self._open(request, connection, timeline)
            try:
                for trace in traces:
                    await trace.send_request_headers(request.method, request.url, request.headers)
                message = await flight.exchange.response()
            except BaseException as exc:
                # Also for a cancellation: in this very step the connection is closed and its
                # slot free.
                is_own = exc is flight.source_error
                error = exc if is_own else head_error(exc, flight.failure(), request)
                flight.abort()
                if tries == 1 and not is_own and _is_worth_another(error):
                    tries = 2
                    now = None
                    continue
                if error is exc:
                    raise
                raise error from exc
            return self._respond(request, flight, message)

    def _respond(
        self, request: "ClientRequest", flight: Flight, message: RawResponseMessage
    ) -> "ClientResponse":
        response = (request.response_class or self.response_class)(
            request.method, request.url, session=self.session
        )
        response.begin(request, flight, message)
        # Not kept alive from here: a response that is dropped unread has to be noticed.
        request._answered = ref(response)
        if message.may_set_cookies:
            cookies = response.headers.getall(hdrs.SET_COOKIE, None)
            if cookies:
                self.jar.update_from_headers(cookies, request.url)
        if message.framing is UNTIL_CLOSE and not request.options.read_until_eof:
            # Only the connection's end would end such content, and the caller wants none of it.
            response.content = EMPTY_PAYLOAD
            flight.abort()
        elif flight.exchange.done:
            flight.finish()
        else:
            flight.responded = True
            flight.exchange.add_done_callback(flight.finish)
        return response

    def _open(
        self, request: "ClientRequest", connection: "Connection", timeline: Timeline
    ) -> Flight:
        options = request.options
        try:
            plan = NO_CONTENT if request._payload is None else request.content_plan()
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
        flight = Flight(exchange, connection, self.flights, request)
        if plan.streamed:
            flight.upload = _upload.start(request, flight, plan, self.loop)
        if not flight.finished:  # an eager task may have failed already
            self.flights.add(flight, timeline.start)
        return flight


def _is_worth_another(error: BaseException) -> bool:
    if not isinstance(error, _LOST) or error.failure is None:
        return False
    # `uses` counts this request: 1 means the connection was new, and the server is down.
    return error.failure.uses > 1 and error.failure.resend_safe


async def close_content(
    request: "ClientRequest", response: "ClientResponse | None", flights: Flights
) -> None:
    """Close the content of *request*: now, or once it is no longer being sent."""
    tracker = request.options.upload_tracker
    payload = request.payload
    sending = [] if payload is None else flights.uploads_of(payload)
    # An early answer: the upload goes on until the response is given back. Or the request was
    # given up in this very step, and its upload is still to notice. The last one closes.
    for flight in sending:
        flight.owns_content = True
    if not sending:
        await request.close()
    if tracker is not None:
        if response is not None and request.payload is None:
            tracker.complete()
        tracker.close()
