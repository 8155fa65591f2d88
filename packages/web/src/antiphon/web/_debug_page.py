"""What a client is shown when the application failed."""

import html
import traceback
from http import HTTPStatus
from typing import Final

from .request import BaseRequest
from .response import Response

__all__ = ("error_response",)

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "pre{background:#f4f4f4;border:1px solid #ddd;overflow:auto;padding:1rem}"
    "table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}"
)

_SECRET: Final = frozenset(("authorization", "cookie", "proxy-authorization"))
"""Fields whose values end up in nobody's screenshot."""

_SHOWN: Final = 2000
"""Characters of one value of the request on the page."""


def error_response(
    request: BaseRequest,
    status: int,
    exc: BaseException | None,
    message: str | None,
    *,
    debug: bool,
) -> Response:
    """Make the response for a failure: HTML for browsers, else plain text.

    Args:
        message: One line for the client instead of the standard one.
        debug: Show the traceback. Never where strangers can see it: it has the code in it.

    The connection closes after it: what the handler left half read is not waited for.
    """
    try:
        known = HTTPStatus(status)
        title, description = f"{status} {known.phrase}", known.description
    except ValueError:
        title, description = f"{status} Error", ""
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        description = "Server got itself in trouble"
    text = message or description
    trace = ""
    if debug and exc is not None:
        trace = "".join(traceback.format_exception(exc))
    if "text/html" in request.headers.get("Accept", ""):
        body = _page(request, title, text, trace)
        response = Response(status=status, text=body, content_type="text/html")
    else:
        response = Response(status=status, text=f"{title}\n\n{trace or text}")
    response.force_close()
    return response


def _page(request: BaseRequest, title: str, text: str, trace: str) -> str:
    parts = [
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8>",
        f"<title>{html.escape(title)}</title>",
    ]
    if trace:
        parts.append(f"<style>{_STYLE}</style>")
    parts.append(f"</head><body><h1>{html.escape(title)}</h1>")
    if trace:
        parts.append(f"<h2>Traceback</h2><pre>{html.escape(trace)}</pre>")
        parts.append("<h2>Request</h2><table>")
        rows = [("Request", f"{request.method} {request.raw_path}"), *request.headers.items()]
        for name, value in rows:
            if name.lower() in _SECRET:
                value = "(hidden)"
            parts.append(
                f"<tr><td><b>{html.escape(name[:_SHOWN])}</b></td>"
                f"<td>{html.escape(value[:_SHOWN])}</td></tr>"
            )
        parts.append("</table>")
    else:
        parts.append(f"<p>{html.escape(text)}</p>")
    parts.append("</body></html>")
    # Header values may hold surrogate escapes, which UTF-8 cannot.
    return "".join(parts).encode("utf-8", "replace").decode("utf-8")
