r"""Paths of routes: ``/a/{name:re}`` → what matches it, and what makes such a path again.

Route and request paths are compared in one *canonical* form: percent-decoded, but
for ``%2F`` and ``%25`` (an encoded slash does not part segments, and an encoded
percent sign does not begin an escape), and for octets that are no UTF-8.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import quote

import attrs

__all__ = (
    "ANY_SEGMENT",
    "Part",
    "PathPattern",
    "Variable",
    "canonical_path",
    "canonical_route_path",
    "decode_value",
    "format_path",
    "literal_steps",
    "parse",
    "quote_value",
)

_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})++")
_LONE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")
# RFC 3986 §3.3: pchar without "%"; urllib leaves the unreserved characters alone by itself.
_SEGMENT_SAFE: Final = "!$&'()*+,;=:@"


def _decode_escapes(escapes: re.Match[str]) -> str:
    text = bytes.fromhex(escapes[0].replace("%", "")).decode("utf-8", "surrogateescape")
    text = text.replace("%", "%25").replace("/", "%2F")
    return _NOT_UTF8.sub(lambda octet: f"%{ord(octet[0]) - 0xDC00:02X}", text)


def canonical_path(raw_path: str) -> str:
    """The canonical form of a request's path. It is its own canonical form."""
    if "%" not in raw_path:
        return raw_path
    return _ESCAPES.sub(_decode_escapes, raw_path)


def canonical_route_path(path: str) -> str:
    """The canonical form of a path given by a programmer: as text, or already percent-encoded."""
    return canonical_path(_LONE_PERCENT.sub("%25", path))


def decode_value(value: str) -> str:
    """What a variable's canonical *value* stands for."""
    return value.replace("%2F", "/").replace("%25", "%")


def quote_value(value: str, *, keep_slash: bool) -> str:
    """Percent-encode a variable's value for a path."""
    return quote(value, safe=_SEGMENT_SAFE + "/" if keep_slash else _SEGMENT_SAFE)


def quote_literal(canonical: str) -> str:
    """Percent-encode canonical text for a path."""
    return quote(canonical, safe=_SEGMENT_SAFE + "/%")


def format_path(path: str) -> str:
    """*path*, quoted already, as it can stand in a URL without an authority."""
    # RFC 3986 §4.2: "//host" would be a network-path reference, that is, another site.
    return "/%2F" + path[2:] if path.startswith("//") else path


# --- parsing ---

DYN: Final = re.compile(r"\{(?P<var>[_a-zA-Z][_a-zA-Z0-9]*)\}")
DYN_WITH_RE: Final = re.compile(r"\{(?P<var>[_a-zA-Z][_a-zA-Z0-9]*):(?P<re>.+)\}", re.DOTALL)
GOOD: Final = r"[^{}/]+"


@attrs.frozen
class Variable:
    """``{name}`` or ``{name:regex}``."""

    name: str
    regex: str | None
    """The regular expression; ``None`` for the default, one segment or a piece of it."""

    @property
    def within_segment(self) -> bool:
        """Whether no value can contain a slash, as far as can be told."""
        return self.regex is None or _never_matches_slash(self.regex)


Part = str | Variable
"""Canonical text, or a variable."""

# Regular expressions that certainly match no slash: characters, \d \w, and positive classes of
# them whose ranges stay inside letters or digits; each with a quantifier perhaps.
_NO_SLASH: Final = re.compile(
    r"(?:(?:[A-Za-z0-9_~@,=:;-]|\\[dw.+_-]"
    r"|\[(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[A-Za-z0-9_~@,=:;.+*]|\\[dw.+_-]|-(?=\]))++\])"
    r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})?)++"
)


def _never_matches_slash(regex: str) -> bool:
    return regex == r"[^{}/]+" or regex == r"[^/]+" or _NO_SLASH.fullmatch(regex) is not None


def _split(path: str) -> Iterator[str]:
    """Cut *path* before and after each ``{…}``; braces inside a regular expression are paired."""
    start = depth = 0
    i, end = 0, len(path)
    while i < end:
        char = path[i]
        if char == "\\" and depth:
            i += 1  # an escaped brace of a regular expression opens and closes nothing
        elif char == "{":
            if not depth:
                yield path[start:i]
                start = i
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                yield path[start : i + 1]
                start = i + 1
            elif depth < 0:
                break
        i += 1
    yield path[start:]


def parse(path: str) -> list[Part]:
    """Take a route's *path* apart.

    Raises:
        ValueError: A brace without its partner, or no variable between two.
    """
    parts: list[Part] = []
    for piece in _split(path):
        if not piece:
            continue
        if (match := DYN.fullmatch(piece)) is not None:
            parts.append(Variable(match["var"], None))
        elif (match := DYN_WITH_RE.fullmatch(piece)) is not None:
            parts.append(Variable(match["var"], match["re"]))
        elif "{" in piece or "}" in piece:
            raise ValueError(f"Invalid path '{path}'['{piece}']")
        elif parts and isinstance(parts[-1], str):
            parts[-1] += canonical_route_path(piece)
        else:
            parts.append(canonical_route_path(piece))
    return parts


# --- matching ---

ANY_SEGMENT: Final = None
"""A step that any segment fits; whether it really does, the pattern says."""


def literal_steps(path: str) -> tuple[str, ...]:
    """The segments of a path without variables."""
    return tuple(path.split("/")[1:])


def _segments(parts: Sequence[Part]) -> list[list[Part]]:
    """*parts* cut at the slashes of their text; the slashes are gone."""
    segments: list[list[Part]] = [[]]
    for part in parts:
        if isinstance(part, Variable):
            segments[-1].append(part)
            continue
        first, *rest = part.split("/")
        if first:
            segments[-1].append(first)
        segments.extend([text] if text else [] for text in rest)
    return segments


class _Several:
    """A segment with several ``{name}``, matched from its end in linear time.

    A regular expression would try every way of dividing the segment, which for
    n characters and k variables is n to the power of k: a peer's choice.
    The result is what greedy matching gives: the first variable takes most.
    """

    __slots__ = ("group", "names", "texts")

    def __init__(self, group: str, segment: Sequence[Part]) -> None:
        self.group = group
        self.names: list[str] = []
        self.texts = [""]  # text before, between and after the variables
        for part in segment:
            if isinstance(part, Variable):
                self.names.append(part.name)
                self.texts.append("")
            else:
                self.texts[-1] = part

    def match(self, text: str, values: dict[str, str]) -> bool:
        first, *between, last = self.texts
        start = len(first)
        if not (text.startswith(first) and text.endswith(last)):
            return False
        end = len(text) - len(last)
        for name, before in zip(reversed(self.names[1:]), reversed(between), strict=True):
            # The value is one character at least, and so is each one before it.
            at = text.rfind(before, start + 1, max(end - 1, 0))
            if at < 0:
                return False
            values[name] = text[at + len(before) : end]
            end = at
        values[self.names[0]] = text[start:end]
        return start < end


class PathPattern:
    """A path with variables.

    Attributes:
        regex: What a canonical path has to match in full.
        steps: What the path's leading segments are: text or `ANY_SEGMENT`.
        open_ended: Whether anything may follow the steps; otherwise they are the whole path.
        formatter: The path for `str.format_map`, for people to read.

    Raises:
        ValueError: A regular expression is not valid, or a name comes twice.
    """

    __slots__ = ("_several", "formatter", "match", "open_ended", "parts", "regex", "steps")

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self.formatter = "".join(p if isinstance(p, str) else f"{{{p.name}}}" for p in parts)
        source = "".join(map(_source, self.parts))
        try:
            self.regex = re.compile(source)
        except re.error as exc:
            raise ValueError(f"Bad pattern '{source}': {exc}") from None
        self.steps, self.open_ended = self._steps()
        self._several: list[_Several] = []
        self.match: Callable[[str], dict[str, str] | None] = self._matcher()

    def _steps(self) -> tuple[tuple[str | None, ...], bool]:
        steps: list[str | None] = []
        for segment in _segments(self.parts)[1:]:
            if all(isinstance(part, str) for part in segment):
                steps.append("".join(part for part in segment if isinstance(part, str)))
            elif all(isinstance(part, str) or part.within_segment for part in segment):
                steps.append(ANY_SEGMENT)
            else:
                return tuple(steps), True
        return tuple(steps), False

    def _matcher(self) -> Callable[[str], dict[str, str] | None]:
        chunks: list[str] = []
        for segment in _segments(self.parts):
            variables = [part for part in segment if isinstance(part, Variable)]
            if len(variables) > 1 and all(variable.regex is None for variable in variables):
                # No variable is called like that: their names are ASCII.
                several = _Several(f"\N{GREEK SMALL LETTER SIGMA}{len(self._several)}", segment)
                self._several.append(several)
                chunks.append(f"(?P<{several.group}>{GOOD})")
            else:
                chunks.append("".join(map(_source, segment)))
        names = sum(isinstance(part, Variable) for part in self.parts)
        if not self._several and self.regex.groups == names:
            return _plain_matcher(self.regex)
        return partial(_match_any, re.compile("/".join(chunks)), tuple(self._several))

    def with_prefix(self, prefix: str) -> "PathPattern":
        """The same pattern below the canonical *prefix*."""
        first, *rest = self.parts
        if isinstance(first, str):
            return PathPattern((prefix + first, *rest))
        return PathPattern((prefix, *self.parts))

    def format(self, values: Mapping[str, object]) -> str:
        """The percent-encoded path with *values* in it.

        Raises:
            KeyError: A value is missing.
            TypeError: A value is neither text nor a number.
        """
        return format_path(
            "".join(
                quote_literal(part)
                if isinstance(part, str)
                else quote_value(_text(values[part.name]), keep_slash=not part.within_segment)
                for part in self.parts
            )
        )


def _source(part: Part) -> str:
    if isinstance(part, str):
        return re.escape(part)
    return f"(?P<{part.name}>{GOOD if part.regex is None else part.regex})"


def _plain_matcher(regex: re.Pattern[str]) -> Callable[[str], dict[str, str] | None]:
    fullmatch = regex.fullmatch

    def match(path: str) -> dict[str, str] | None:
        found = fullmatch(path)
        if found is None:
            return None
        values = found.groupdict()
        if "%" in path:
            values = {name: decode_value(value) for name, value in values.items()}
        return values

    return match


def _match_any(
    regex: re.Pattern[str], several: Sequence[_Several], path: str
) -> dict[str, str] | None:
    found = regex.fullmatch(path)
    if found is None:
        return None
    values = found.groupdict()
    for segment in several:
        if not segment.match(values.pop(segment.group), values):
            return None
    # A group inside a user's regular expression may take no part in the match.
    return {name: decode_value(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"a part of a path must be str, int or float, not {type(value).__name__}")
