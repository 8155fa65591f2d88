"""``Link``: ``<target>; rel=next`` (RFC 8288)."""

import re
from collections.abc import Iterable

import attrs

from ._grammar import check_sendable, format_parameters, parse_parameters

__all__ = ("Link", "format_links", "parse_links")

_TARGET = re.compile(r"[ \t,]*+<([^<>]*+)>")
# Parameters end at a comma outside of quotes.
_PARAMETERS = re.compile(r'(?:[^",]++|"(?:[^"\\]++|\\.)*+["\\]?+)*+', re.DOTALL)
_NOT_IN_TARGET = re.compile(r"[<>\x00-\x20\x7f]")


@attrs.frozen
class Link:
    """One link.

    Attributes:
        target: The URI reference, as it came; relative to where it was found.
        parameters: Names in lower case with their values, in order.
    """

    target: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """Return the first parameter of this name."""
        return next((value for key, value in self.parameters if key == name), None)

    @property
    def rel(self) -> str | None:
        """The relation types, separated by blanks; ``None`` if there are none."""
        return self.get("rel")

    def __str__(self) -> str:
        """One member of the field's value.

        Raises:
            ValueError: The target or a parameter could end what it is in.
        """
        if _NOT_IN_TARGET.search(self.target):
            raise ValueError(f"not a link's target: {self.target[:100]!r}")
        check_sendable(self.target, "target")
        return f"<{self.target}>" + format_parameters(self.parameters)


def parse_links(text: str) -> list[Link]:
    """Return the links of a field. Reading ends at what is malformed."""
    found = []
    at = 0
    while match := _TARGET.match(text, at):
        rest = _PARAMETERS.match(text, match.end())
        parameters = "" if rest is None else rest[0]
        if parameters.strip(" \t") and not parameters.lstrip(" \t").startswith(";"):
            break
        found.append(Link(match[1].strip(" \t"), tuple(parse_parameters(parameters))))
        at = match.end() if rest is None else rest.end()
    return found


def format_links(links: Iterable[Link]) -> str:
    """Return the field's value.

    Raises:
        ValueError: As from ``str(link)``.
    """
    return ", ".join(map(str, links))
