"""The directive ``picture``: diagrams, drawn here and set into the page as SVG.

``timeouts`` is drawn with the defaults that the classes have. Text and lines take the colours of
the page, so that a dark one has them light.
"""

import html
from collections.abc import Callable, Iterable
from typing import Any, Final

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROW: Final = 30
"""Height of a row, in pixels of the drawing."""


class Drawing:
    """An SVG of a given width that grows downwards.

    Args:
        width: In pixels; a narrower page scales it down.
        title: What is drawn, for whoever cannot see it.
    """

    def __init__(self, width: int, title: str) -> None:
        self.width = width
        self.height = 0
        self.title = title
        self._parts: list[str] = []

    def _add(self, part: str, bottom: float) -> None:
        self._parts.append(part)
        self.height = max(self.height, int(bottom) + 1)

    def text(self, x: float, y: float, words: str, style: str = "", anchor: str = "start") -> None:
        """Write *words* on the line *y*."""
        self._add(
            f'<text x="{x}" y="{y}" text-anchor="{anchor}" class="{style}">{html.escape(words)}</text>',
            y + 6,
        )

    def box(self, x: float, y: float, width: float, height: float, style: str = "box") -> None:
        """Draw a box."""
        self._add(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" class="{style}"/>',
            y + height,
        )

    def line(self, x: float, y: float, to_x: float, to_y: float, *, arrow: bool = False) -> None:
        """Draw a line, with a head at its end if it is an arrow."""
        end = ' marker-end="url(#head)"' if arrow else ""
        self._add(f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}"{end}/>', max(y, to_y))

    def svg(self) -> str:
        """Return the picture."""
        head = (
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
            ' markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>'
        )
        return (
            f'<div class="picture"><svg viewBox="0 0 {self.width} {self.height + 4}" role="img"'
            f' style="max-width: {self.width}px; min-width: {self.width * 7 // 10}px">'
            f"<title>{html.escape(self.title)}</title>{head}{''.join(self._parts)}</svg></div>"
        )


# -- timeouts


def seconds(value: float | None) -> str:
    """Return how a limit is shown."""
    return "none" if value is None else f"{value:g} s"


# (field, beginning, end) in hundredths of the time between the call and the last byte.
SPANS: Final = (
    ("total", 0, 100),
    ("connect", 0, 46),
    ("pool", 0, 12),
    ("sock_connect", 12, 46),
    ("dns", 12, 22),
    ("tls", 32, 46),
    ("write", 46, 66),
    ("first_byte", 66, 78),
    ("sock_read", 78, 100),
)
WHAT_HAPPENS: Final = (
    ("queue", 0, 12),
    ("DNS", 12, 22),
    ("TCP", 22, 32),
    ("TLS", 32, 46),
    ("request goes out", 46, 66),
    ("server works", 66, 78),
    ("response comes in", 78, 100),
)


def timeouts() -> str:
    """Draw which limit of `ClientTimeout` covers which part of a request."""
    from antiphon.client.options import DEFAULT_TIMEOUT

    left, width = 96, 700
    drawing = Drawing(left + width + 8, "Which limit covers which part of a request")
    scale = width / 100
    for words, start, end in WHAT_HAPPENS:
        drawing.box(left + start * scale + 1, 2, (end - start) * scale - 2, 24, "phase")
        middle = left + (start + end) / 2 * scale
        drawing.text(middle, 18, words, "small", "middle")
    for number, (name, start, end) in enumerate(SPANS, 1):
        y = 8 + number * ROW
        drawing.text(left - 8, y + 15, name, "code", "end")
        drawing.box(left + start * scale + 1, y, (end - start) * scale - 2, 20, "span")
        shown = seconds(getattr(DEFAULT_TIMEOUT, name))
        drawing.text(left + (start + end) / 2 * scale, y + 14, shown, "small", "middle")
    return drawing.svg()


# -- the life of a request


def steps(title: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """Draw *rows* of (what, where it is done, what it means) from above to below."""
    drawing = Drawing(420, title)
    y = 2
    rows = list(rows)
    for number, (what, where, meaning) in enumerate(rows):
        drawing.box(1, y, 418, 62)
        drawing.text(210, y + 18, what, "strong", "middle")
        drawing.text(210, y + 35, where, "code", "middle")
        drawing.text(210, y + 53, meaning, "small", "middle")
        if number + 1 < len(rows):
            drawing.line(210, y + 63, 210, y + 81, arrow=True)
        y += 82
    return drawing.svg()


SERVER: Final = (
    ("bytes arrive", "core/aio/server_protocol.py", "kept as they are; reading stops above a mark"),
    ("a head is complete", "core/http1/connection.py", "one strict grammar; else 4xx and the end"),
    ("an exchange begins", "core/aio/server_exchange.py", "one task owns it, started inside the same call"),
    ("Request", "web/handler.py", "URL, headers, cookies are made when asked for"),
    ("a route is found", "web/routing/", "the first registered; 404 and 405 go on as well"),
    ("middlewares, then handler", "web/routing/_compose.py", "the application's outside, the route's inside"),
    ("Response", "web/response.py", "what was raised becomes one here"),
    ("head and content leave", "core/aio/server_exchange.py", "one write; a stream waits for slow clients"),
    ("kept, or closed", "core/http1/connection.py", "what was not read is drained, within limits"),
)  # fmt: skip

CLIENT: Final = (
    ("session.get(url)", "client/session.py", "defaults and arguments become one object"),
    ("redirects", "client/_send.py", "each station is a request of its own"),
    ("middlewares", "client/middlewares.py", "the session's first is the outermost"),
    ("a connection", "client/connector/", "a kept one, a new one, or a place in line"),
    ("head and content leave", "core/aio/client_protocol.py", "one write; a stream waits for slow servers"),
    ("the response's head", "core/http1/connection.py", "1xx are taken on the way"),
    ("ClientResponse", "client/response.py", "what has arrived is read without waiting"),
    ("kept, or closed", "client/connector/_pool.py", "the state machine decides; the next goes on"),
)  # fmt: skip


def server() -> str:
    """Draw the life of a request in a server."""
    return steps("The life of a request in a server", SERVER)


def client() -> str:
    """Draw the life of a request in a client."""
    return steps("The life of a request in a client", CLIENT)


# -- the layers

LAYERS: Final = (
    ("antiphon.web · antiphon.client · antiphon.testing", "see exchanges, never bytes"),
    ("antiphon.core.aio", "asyncio: transports, tasks, streams"),
    ("http1.connection · websocket.connection", "which event may follow which"),
    ("http1.* · websocket.* · fields.* · coding.* · multipart", "bytes to values, and back"),
    ("http · limits · errors · hdrs · typedefs", "values"),
)


def layers() -> str:
    """Draw the layers of the packages: imports go downwards only."""
    drawing = Drawing(760, "The layers, which import downwards only")
    for number, (modules, meaning) in enumerate(LAYERS):
        y = 2 + number * 52
        drawing.box(1, y, 440, 34)
        drawing.text(221, y + 22, modules, "strong", "middle")
        drawing.text(456, y + 22, meaning)
        if number + 1 < len(LAYERS):
            drawing.line(221, y + 35, 221, y + 51, arrow=True)
    drawing.text(456, 2 + 52 + 40, "no asyncio below this layer", "small")
    return drawing.svg()


PICTURES: Final[dict[str, Callable[[], str]]] = {
    "timeouts": timeouts, "server": server, "client": client, "layers": layers,
}  # fmt: skip


class Picture(SphinxDirective):
    """Sets the picture of the name given into the page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return it."""
        return [nodes.raw("", PICTURES[self.arguments[0]](), format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
