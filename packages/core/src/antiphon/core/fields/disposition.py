"""``Content-Disposition`` (RFC 6266, in forms RFC 7578) and its parameters (RFC 8187, RFC 2231)."""

import re
import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import quote as percent_encode
from urllib.parse import unquote_to_bytes

from ._grammar import QUOTED, TOKEN, check_sendable, is_token, quote, unquote
from .charset import find_charset

__all__ = (
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "Disposition",
    "content_disposition_filename",
    "content_disposition_header",
    "parse_content_disposition",
    "parse_disposition",
)


class BadContentDispositionHeader(RuntimeWarning):
    """A ``Content-Disposition`` is malformed and was passed over, or partly so."""


class BadContentDispositionParam(RuntimeWarning):
    """A parameter of a ``Content-Disposition`` is malformed and was passed over."""


class Disposition(NamedTuple):
    """What a ``Content-Disposition`` says."""

    type: str | None
    """``inline``, ``attachment``, ``form-data``, …, in lower case; ``None`` if malformed."""
    parameters: Mapping[str, str]
    """Names in lower case. A name that ends in ``*`` has its value decoded (RFC 8187),
    the pieces of a continuation (``filename*0``) are as they came."""
    faults: tuple[str, ...] = ()
    """What was malformed, in words of our own."""


_TYPE = re.compile(rf"[ \t]*+({TOKEN})[ \t]*+(?=;|\Z)")
_SEPARATORS = re.compile(r"[; \t]++")
_PARAMETER = re.compile(
    rf"[ \t]*+({TOKEN})[ \t]*+=[ \t]*+(?:({QUOTED})|([^\x00-\x20\x7f\";,]++))[ \t]*+(?=;|\Z)",
    re.DOTALL,
)
_TO_SEMICOLON = re.compile(r'(?:[^";]++|"(?:[^"\\]++|\\.)*+["\\]?+)*+', re.DOTALL)
# RFC 8187 section 3.2.1: ext-value = charset "'" [ language ] "'" value-chars
_EXTENDED = re.compile(r"([A-Za-z0-9!#$%&+\-^_`{}~.:]*+)'([A-Za-z0-9\-]*+)'([^'\"\\]*+)")
# RFC 2231 section 3: filename*0*=…; filename*1=…
_SECTION = re.compile(r"(0|[1-9][0-9]{0,2})(\*?)")

_DUPLICATE: Final = "a parameter comes twice"
_NO_TYPE: Final = "no disposition type"
_NO_PARAMETER: Final = "not a parameter"
_EMPTY: Final = "a semicolon too many"
_BAD_EXTENDED: Final = "not an extended value"


def parse_disposition(text: str) -> Disposition:
    """Return what *text* says and what was wrong with it.

    Nothing at all is said by a value without a type, with a parameter that does not parse
    or with two of one name: guessing which of two file names was meant helps attackers only.
    """
    match = _TYPE.match(text)
    if match is None:
        return Disposition(None, {}, (_NO_TYPE,))
    parameters: dict[str, str] = {}
    faults: list[str] = []
    at = match.end()
    while at < len(text):
        separators = _SEPARATORS.match(text, at)
        if separators is not None:
            at = separators.end()
            if at == len(text) or ";" in separators[0][1:]:
                faults.append(_EMPTY)
                if at == len(text):
                    break
        match_parameter = _PARAMETER.match(text, at)
        if match_parameter is None:
            rest = _TO_SEMICOLON.match(text, at)
            part = "" if rest is None else rest[0].strip(" \t")
            if not part.startswith("="):
                return _nothing(faults, _NO_PARAMETER)
            faults.append(_NO_PARAMETER)
            at = len(text) if rest is None else rest.end()
            continue
        at = match_parameter.end()
        name, quoted, bare = match_parameter.groups()
        name = name.lower()
        if name in parameters:
            return _nothing(faults, _DUPLICATE)
        value = bare if quoted is None else unquote(quoted[1:-1])
        if name.endswith("*") and "*" not in name[:-1]:
            decoded = None if bare is None else _decode_extended(bare)
            if decoded is None:
                faults.append(_BAD_EXTENDED)
                continue
            value = decoded
        parameters[name] = value
    return Disposition(match[1].lower(), parameters, tuple(dict.fromkeys(faults)))


def _nothing(faults: list[str], last: str) -> Disposition:
    # Each fault once: a peer that repeats one must not fill a log with it.
    return Disposition(None, {}, tuple(dict.fromkeys((*faults, last))))


def parse_content_disposition(header: str | None) -> tuple[str | None, Mapping[str, str]]:
    """Return type and parameters of a ``Content-Disposition``; ``(None, {})`` if it is malformed.

    What was malformed is told as `BadContentDispositionHeader` or `BadContentDispositionParam`,
    without a word of the peer's: a text that differs each time would be printed each time.
    """
    if not header:
        return None, MappingProxyType({})
    disposition = parse_disposition(header)
    for fault in disposition.faults:
        category = (
            BadContentDispositionParam if fault == _BAD_EXTENDED else BadContentDispositionHeader
        )
        warnings.warn(f"Malformed Content-Disposition: {fault}", category, stacklevel=2)
    return disposition.type, MappingProxyType(dict(disposition.parameters))


def _decode_extended(text: str) -> str | None:
    match = _EXTENDED.fullmatch(text)
    return None if match is None else _decode(_percent_decoded(match[3]), match[1])


def _percent_decoded(text: str) -> bytes:
    # Bytes outside UTF-8 came as surrogate escapes, and become what they were.
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape"))


def _decode(data: bytes, charset: str) -> str:
    codec = find_charset(charset) or "utf-8"
    try:
        return data.decode(codec, "replace")
    except UnicodeError:  # a codec that knows no replacing
        return data.decode("utf-8", "replace")


def content_disposition_filename(params: Mapping[str, str], name: str = "filename") -> str | None:
    """Return the file name among the parameters of a ``Content-Disposition``.

    ``filename*`` counts more than ``filename`` (RFC 6266 section 4.3), and that more than the
    pieces ``filename*0``, ``filename*1``, …, which end where a number is missing. The name is a
    peer's: whoever makes a path of it must take away directories first.

    Args:
        params: The parameters, as `parse_content_disposition` returns them.
        name: The parameter's name, if it is another.
    """
    if f"{name}*" in params:
        return params[f"{name}*"]
    if name in params:
        return params[name]
    pieces: dict[int, tuple[bool, str]] = {}
    for key, value in params.items():
        base, star, section = key.partition("*")
        if base == name and star and (match := _SECTION.fullmatch(section)):
            pieces.setdefault(int(match[1]), (bool(match[2]), value))
    return _join_pieces(pieces)


def _join_pieces(pieces: dict[int, tuple[bool, str]]) -> str | None:
    if 0 not in pieces:
        return None
    charset = "utf-8"
    data = []
    for number in range(len(pieces)):
        if number not in pieces:
            break
        extended, value = pieces[number]
        if extended:
            if number == 0:
                charset, _, value = value.rpartition("'")
                charset = charset.partition("'")[0]
            data.append(_percent_decoded(value))
        else:
            data.append(value.encode(find_charset(charset) or "utf-8", "replace"))
    return _decode(b"".join(data), charset)


# RFC 8187 section 3.2.1: attr-char, less letters and digits and what percent_encode always keeps
_ATTR_CHAR: Final = "!#$&+^`|"


def content_disposition_header(
    disptype: str,
    quote_fields: bool = True,
    _charset: str = "utf-8",
    params: Mapping[str, str] | None = None,
) -> str:
    """Return the value of a ``Content-Disposition``.

    Forms (``form-data``) get names and file names as browsers send them: text in *_charset*
    between quotes, with ``"`` as ``%22`` (RFC 7578 section 4.2, WHATWG). Everything else gets
    ASCII between quotes and, where that says less, a second ``filename*`` (RFC 6266).

    Args:
        disptype: The disposition type, such as ``form-data``.
        quote_fields: ``False`` writes ``"`` as ``\\"``, and text outside ASCII as it is.
        _charset: Encoding of percent-encoded text.
        params: The parameters.

    Raises:
        ValueError: The type or a name is no token, or a value has a control character.
    """
    if not is_token(disptype):
        raise ValueError(f"not a disposition type: {disptype[:100]!r}")
    parts = [disptype]
    for name, value in (params or {}).items():
        if not is_token(name):
            raise ValueError(f"not a disposition parameter: {name[:100]!r}")
        check_sendable(value, name)
        if not quote_fields:
            parts.append(f"{name}={quote(value)}")
        elif disptype.lower() == "form-data":
            escaped = value.replace("\\", "\\\\").replace('"', "%22")
            parts.append(f'{name}="{escaped}"')
        elif value.isascii():
            parts.append(f"{name}={quote(value)}")
        else:
            encoded = percent_encode(value, safe=_ATTR_CHAR, encoding=_charset)
            plain = value.encode("ascii", "replace").decode().replace("?", "_")
            parts.append(f"{name}={quote(plain)}; {name}*={_charset}''{encoded}")
    return "; ".join(parts)
