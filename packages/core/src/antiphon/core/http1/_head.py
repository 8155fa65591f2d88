"""One head: bytes to `RawRequestMessage` or `RawResponseMessage`, and what may be wrong with it.

A head that is right is told from one that is not by a handful of searches over
the whole of it. Only when one of them says no, `examine_head` walks the lines
in the order they came to name the first mistake, so that the error does not
depend on how the bytes were split.
"""

import re
from http import HTTPStatus
from typing import Final, NoReturn, final

from ..errors import (
    BadHttpMessage,
    BadHttpMethod,
    BadStatusLine,
    ExpectationFailed,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
    TooManyFields,
    UnsupportedVersion,
    quoted,
)
from ..http import (
    EMPTY,
    Framing,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    Length,
    RawRequestMessage,
    RawResponseMessage,
)
from ..limits import HttpLimits
from ._framing import body_framing, parse_content_length, parse_transfer_encoding
from ._grammar import (
    ABSOLUTE_FORM,
    FIELD_LINE,
    HOST,
    MOST_USUAL_FIELDS,
    NEVER_IN_HEAD,
    NEXT_REQUEST_FACT,
    NEXT_RESPONSE_FACT,
    REQUEST_LINE,
    STATUS_LINE,
    TOKEN,
    USUAL_REQUEST,
    USUAL_RESPONSE,
)

__all__ = ("RequestHeadParser", "ResponseHeadParser", "examine_fields", "examine_head")

_METHODS: Final = {
    name.encode(): name
    for name in (
        *("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"),
        *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "QUERY"),
    )
}
# Methods whose answers with status 200 have content, of the length that they say.
_WITH_CONTENT: Final = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_REASONS: Final = {status.phrase.encode(): status.phrase for status in HTTPStatus}
_STATUSES: Final = {b"%d" % status: status.value for status in HTTPStatus}

# A head longer than this is not kept for comparison with the next one.
_MAX_MEMO: Final = 2048

_Facts = tuple[Framing | Length, bool, bool, bool, str | None]
_Found = dict[bytes, list[bytes]]


@final
class RequestHeadParser:
    """Parses request heads, and remembers the last one.

    Clients repeat themselves from request to request: always the header section, often all of
    it. What is equal byte by byte has been validated and its facts are known: the same message is
    returned, which nobody changes, or its header section is shared. Nothing else is carried over.
    """

    __slots__ = ("_last", "_last_head", "_last_section", "_limits", "_surely_few", "_surely_small")

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._surely_small = _surely_small(limits)
        self._surely_few = limits.max_headers >= MOST_USUAL_FIELDS
        # The last message; its head and its header section, each with the empty line. Nothing
        # equals the first ones: no bytes are None, and HTTP/1.0 shares no section.
        self._last = RawRequestMessage("", "", HttpVersion10, b"", EMPTY, False)
        self._last_head: bytes | None = None
        self._last_section = b"\r\n"

    def take_usual(self, data: bytes, start: int) -> tuple[RawRequestMessage, int] | None:
        """Parse the head from *start* if all of it is there and it is one of the usual ones.

        Returns:
            The message, and where what comes behind its head begins. ``None`` decides nothing:
            whoever has found the end of the head gives it to `parse`.
        """
        head = self._last_head
        if head is not None:
            if start:  # what stands before is no part of this head, whatever all of it equals
                if data.startswith(head, start):
                    return self._last, start + len(head)
            elif data == head:
                return self._last, len(head)
        if data.endswith(self._last_section):
            message = self._with_known_section(data, start)
            if message is not None:
                return message, len(data)
        if not self._surely_few:
            return None
        usual = USUAL_REQUEST.match(data, start, start + self._surely_small)
        if usual is None:
            return None
        method_name, target = usual.groups()
        method = _METHODS.get(method_name) or method_name.decode("ascii")
        if method == "CONNECT":
            return None
        end = usual.end()
        block = data[usual.end(2) + 11 : end - 2]
        message = RawRequestMessage(
            method, target.decode("ascii"), HttpVersion11, block, EMPTY, False
        )
        self._keep(data[start:end] if start or end != len(data) else data, message)
        return message, end

    def _keep(self, head: bytes, message: RawRequestMessage) -> None:
        if len(head) <= _MAX_MEMO:
            self._last = message
            self._last_head = head
            self._last_section = message._block + b"\r\n"

    def _with_known_section(self, data: bytes, start: int) -> RawRequestMessage | None:
        """Parse a head that ends *data* as the last head ended, if it differs in its line only."""
        if len(data) - start > self._surely_small:
            return None
        section = self._last_section
        line = REQUEST_LINE.match(data, start)
        if line is None or line.end() + len(section) != len(data):
            return None
        last = self._last
        method_name, target, number = line.groups()
        if number != b"1.1" or last.version is not HttpVersion11:
            return None
        if target[0] != 0x2F or method_name == b"CONNECT":
            return None
        message = RawRequestMessage(
            _METHODS.get(method_name) or method_name.decode("ascii"),
            target.decode("ascii"),
            HttpVersion11,
            last._block,
            last.framing,
            last.should_close,
            last.upgrade,
            last.expect_continue,
            last.compression,
        )
        message._headers = last._headers
        self._keep(data[start:], message)
        return message

    def parse(self, data: bytes, start: int, end: int) -> RawRequestMessage | None:
        """Parse the head from *start*, whose empty line begins at *end* (CR LF CR LF).

        Returns:
            ``None`` if there is an empty line before the request line.

        Raises:
            HttpProcessingError: The head is refused; `status` says how to answer.
        """
        head = data[start : end + 2]
        whole = head + b"\r\n"
        if whole == self._last_head:
            return self._last
        line = REQUEST_LINE.match(head)
        if line is None:
            if head.startswith(b"\r\n"):
                return None
            self._refuse(head)
        if len(head) > self._surely_small:
            examine_head(head + b"\r\n", self._limits, BadHttpMethod, complete=True)
        method_name, target_bytes, number = line.groups()
        block = head[line.end() :]
        version = _version(number)
        found = _find_facts(NEXT_REQUEST_FACT, block, self._limits.max_headers)
        if found is None:
            self._refuse(head)
        _check_major(version)
        facts = _request_facts(found, version)
        method = _METHODS.get(method_name) or method_name.decode("ascii")
        if target_bytes[:1] != b"/" or method == "CONNECT":
            _check_target(method, target_bytes, facts[0])
        target = target_bytes.decode("ascii")
        message = RawRequestMessage(method, target, version, block, *facts)
        self._keep(whole, message)
        return message

    def _refuse(self, head: bytes) -> NoReturn:
        examine_head(head + b"\r\n", self._limits, BadHttpMethod, complete=True)
        raise BadHttpMethod(head)  # pragma: no cover  # examine_head has raised


@final
class ResponseHeadParser:
    """Parses response heads, and remembers the last one, as `RequestHeadParser` does."""

    __slots__ = ("_last", "_last_head", "_last_method", "_limits", "_surely_few", "_surely_small")

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._surely_small = _surely_small(limits)
        self._surely_few = limits.max_headers >= MOST_USUAL_FIELDS
        self._last_head = b""
        self._last_method = ""
        self._last = RawResponseMessage(HttpVersion11, 0, "", b"", EMPTY, False)

    def parse(self, data: bytes, start: int, end: int, method: str) -> RawResponseMessage:
        """Parse the head from *start*, whose empty line begins at *end* (CR LF CR LF).

        Args:
            method: The method of the request that is answered.

        Raises:
            HttpProcessingError: The head is refused.
        """
        head = data[start : end + 2]
        if head == self._last_head and method == self._last_method:
            return self._last
        usual = None
        if self._surely_few and len(head) <= self._surely_small:
            usual = USUAL_RESPONSE.match(head)
        if usual is None:
            message = self._parse_any(head, method)
        else:
            message = self._parse_usual(head, method, usual)
        if len(head) <= _MAX_MEMO:
            self._last_head = head
            self._last_method = method
            self._last = message
        return message

    def _parse_usual(
        self, head: bytes, method: str, usual: "re.Match[bytes]"
    ) -> RawResponseMessage:
        code, phrase, digits = usual.groups()
        status = _STATUSES.get(code) or int(code)
        reason = _REASONS.get(phrase)
        if reason is None:
            reason = phrase.decode("utf-8", "surrogateescape") if phrase else ""
        size = -1 if digits is None else int(digits)
        framing: Framing | Length
        if size > 0 and status == 200 and method in _WITH_CONTENT:
            framing = tuple.__new__(Length, (size,))  # what Length(size) does, in one step less
        else:
            length = None if digits is None else size
            framing = body_framing(status=status, method=method, length=length, chunked=False)
        return RawResponseMessage(
            HttpVersion11,
            status,
            reason,
            head[usual.end(1 if phrase is None else 2) + 2 :],
            framing,
            framing is Framing.UNTIL_CLOSE,
            method == "CONNECT" and 200 <= status < 300,
            None,
            False,
        )

    def _parse_any(self, head: bytes, method: str) -> RawResponseMessage:
        line = STATUS_LINE.match(head)
        if line is None:
            self._refuse(head)
        if len(head) > self._surely_small:
            examine_head(head + b"\r\n", self._limits, BadStatusLine, complete=True)
        number, code, reason = line.groups()
        block = head[line.end() :]
        version = _version(number)
        found = _find_facts(NEXT_RESPONSE_FACT, block, self._limits.max_headers)
        if found is None:
            self._refuse(head)
        _check_major(version)
        status = int(code)
        length, chunked, close, upgrade, compression = _common_facts(found, version)
        framing = body_framing(status=status, method=method, length=length, chunked=chunked)
        switched = status == 101 or (method == "CONNECT" and 200 <= status < 300)
        return RawResponseMessage(
            version,
            status,
            reason.decode("utf-8", "surrogateescape") if reason else "",
            block,
            framing,
            close or framing is Framing.UNTIL_CLOSE,
            switched and (upgrade or status != 101),
            compression,
            b"set-cookie" in found,
        )

    def _refuse(self, head: bytes) -> NoReturn:
        examine_head(head + b"\r\n", self._limits, BadStatusLine, complete=True)
        raise BadStatusLine(head)  # pragma: no cover  # examine_head has raised


def _surely_small(limits: HttpLimits) -> int:
    # A head up to this size breaks no limit on a part of it.
    return min(limits.max_line_size, limits.max_field_size, limits.max_head_size) - 4


def _version(number: bytes) -> HttpVersion:
    if number == b"1.0":
        return HttpVersion10
    if number == b"1.1":
        return HttpVersion11
    return HttpVersion(number[0] - 48, number[2] - 48)


def _check_major(version: HttpVersion) -> None:
    if version[0] != 1:
        raise UnsupportedVersion(f"HTTP/{version[0]}.{version[1]} is not spoken here")


def _find_facts(next_fact: "re.Pattern[bytes]", block: bytes, most: int) -> _Found | None:
    """Return the values of the fields that *next_fact* looks for, under their names.

    Names and values are in lower case, in their order and without white space around them.

    Returns:
        ``None`` if *block* is malformed or has more than *most* fields.
    """
    # The shortest field line has four bytes.
    if len(block) > 4 * most and block.count(b"\n") > most:
        return None
    low = block.lower()
    found: _Found = {}
    match = next_fact.match(low)
    while match is not None:
        name, value = match.groups()
        if name is None:
            return found
        value = value.rstrip(b" \t")
        if name in found:
            found[name].append(value)
        else:
            found[name] = [value]
        match = next_fact.match(low, match.end())
    return None


def _request_facts(found: _Found, version: HttpVersion) -> _Facts:
    hosts = found.get(b"host")
    if hosts is not None:
        _check_host(hosts)
    elif version >= HttpVersion11:
        # RFC 9112 section 3.2.
        raise InvalidHeader(b"Host", "Host is missing from an HTTP/1.1 request")
    length, chunked, close, upgrade, compression = _common_facts(found, version)
    framing = body_framing(status=None, method="", length=length, chunked=chunked)
    expect_continue = False
    # RFC 9110 section 10.1.1: an expectation in HTTP/1.0 is ignored.
    if b"expect" in found and version >= HttpVersion11:
        _check_expect(found[b"expect"])
        # Nobody waits to send nothing.
        expect_continue = framing is not EMPTY
    return framing, close, upgrade, expect_continue, compression


def _common_facts(
    found: _Found, version: HttpVersion
) -> tuple[int | None, bool, bool, bool, str | None]:
    """Return content length, chunked, close, upgrade and content coding."""
    length = None
    chunked = False
    if b"transfer-encoding" in found:
        if b"content-length" in found:
            # RFC 9112 section 6.3 item 3: an attempt at smuggling.
            raise BadHttpMessage("Both Transfer-Encoding and Content-Length")
        parse_transfer_encoding(found[b"transfer-encoding"], version)
        chunked = True
    elif b"content-length" in found:
        length = parse_content_length(found[b"content-length"])
    keeps = version >= HttpVersion11
    upgrade = False
    if b"connection" in found:
        options = _list_items(found[b"connection"])
        # RFC 9112 section 9.3: close wins, then the version, then keep-alive.
        if b"close" in options:
            keeps = False
        elif b"keep-alive" in options:
            keeps = True
        # RFC 9110 section 7.8: Upgrade in HTTP/1.0 is ignored.
        upgrade = b"upgrade" in options and b"upgrade" in found and version >= HttpVersion11
    compression = None
    if b"content-encoding" in found:
        compression = b", ".join(found[b"content-encoding"]).decode("latin-1") or None
    return length, chunked, not keeps, upgrade, compression


def _list_items(values: list[bytes]) -> list[bytes]:
    return [item.strip(b" \t") for value in values for item in value.split(b",")]


def _check_host(values: list[bytes]) -> None:
    if len(values) != 1:
        raise InvalidHeader(b"Host", "More than one Host field")
    if not _is_host(values[0]):
        raise InvalidHeader(values[0], f"Malformed Host {quoted(values[0])}")


def _is_host(value: bytes) -> bool:
    match = HOST.fullmatch(value)
    if match is None:
        return False
    port = match.group(1)
    return not port or int(port) <= 65535


def _check_expect(values: list[bytes]) -> None:
    items = [item.lower() for item in _list_items(values)]
    if items != [b"100-continue"]:
        # RFC 9110 section 10.1.1.
        raise ExpectationFailed(b", ".join(values))


def _check_target(method: str, target: bytes, framing: Framing | Length) -> None:
    """Check the forms other than origin-form (RFC 9112 section 3.2)."""
    if method == "CONNECT":
        host, colon, port = target.rpartition(b":")
        if not (host and colon and port and b"@" not in target and _is_host(target)):
            raise InvalidURLError(f"CONNECT to {quoted(target)}, which is no host and port")
        if framing is not EMPTY:
            # RFC 9110 section 9.3.6: such content has no meaning; where it ended would be
            # a guess about where the tunnel begins.
            raise BadHttpMessage("CONNECT with content")
        return
    if target == b"*":
        if method == "OPTIONS":
            return
        raise InvalidURLError("Target * is for OPTIONS only")
    absolute = ABSOLUTE_FORM.fullmatch(target)
    if absolute is None or not _is_host(absolute.group(1)) or absolute.group(1)[:1] == b":":
        raise InvalidURLError(f"Malformed target {quoted(target)}")


# --- what is wrong with a head ---------------------------------------------------------------


def examine_head(
    head: bytes,
    limits: HttpLimits,
    bad_line: type[BadHttpMethod] | type[BadStatusLine],
    *,
    complete: bool,
) -> None:
    """Raise for the first mistake in *head*, in the order of its bytes.

    Args:
        head: The head with its empty line, or as much as has come of it.
        bad_line: What a malformed first line raises.
        complete: Whether that is all of it. The last line of what is not is only checked for
            its size and for what no head contains.
    """
    lines = head.split(b"\r\n")
    if complete:
        del lines[-2:]
    line = lines[0]
    limit = limits.max_line_size
    # Compared without the CR that an incomplete line may end with.
    if len(line.removesuffix(b"\r")) > limit and not NEVER_IN_HEAD.search(line, 0, limit):
        raise LineTooLong(line, limit, 414 if bad_line is BadHttpMethod else 431)
    if len(lines) > 1 or complete:
        pattern = REQUEST_LINE if bad_line is BadHttpMethod else STATUS_LINE
        match = pattern.fullmatch(line + b"\r\n")
        if match is None:
            _refuse_first_line(line, bad_line)
        _check_major(_version(match.group(3 if bad_line is BadHttpMethod else 1)))
    elif NEVER_IN_HEAD.search(line):
        raise bad_line(line)
    if len(lines) > 1:
        examine_fields(
            lines[1:],
            max_field=limits.max_field_size,
            max_count=limits.max_headers,
            max_size=limits.max_head_size - len(line) - 2,
            complete=complete,
        )
    if len(head) > limits.max_head_size:
        raise LineTooLong(head, limits.max_head_size)


def examine_fields(
    lines: list[bytes], *, max_field: int, max_count: int, max_size: int, complete: bool
) -> None:
    """Raise for the first mistake in field lines, in their order.

    Args:
        lines: The lines without CRLF and without the empty line; the last one may be incomplete.
        max_field: Bytes of one line.
        max_count: Lines.
        max_size: Bytes of the section, line ends and the empty line included.
        complete: Whether the last line is complete.
    """
    size = 0
    last = len(lines) - 1
    for index, line in enumerate(lines):
        if index >= max_count and line and line != b"\r":
            # Whatever else may be wrong with it: of an incomplete line that is not known yet.
            raise TooManyFields(max_count)
        room = max_size - size
        size += len(line) + 2
        limit = max_field if max_field < room else room
        if len(line.removesuffix(b"\r")) > limit:
            if not NEVER_IN_HEAD.search(line, 0, limit):
                raise LineTooLong(line, max_field if limit == max_field else max_size)
            raise InvalidHeader(line)
        if index == last and not complete:
            if NEVER_IN_HEAD.search(line):
                raise InvalidHeader(line)
            return
        if not FIELD_LINE.fullmatch(line):
            raise InvalidHeader(line)
    if size + 2 > max_size:
        raise LineTooLong(lines[-1] if lines else b"", max_size)


def _refuse_first_line(
    line: bytes, bad_line: type[BadHttpMethod] | type[BadStatusLine]
) -> NoReturn:
    if bad_line is BadHttpMethod and not NEVER_IN_HEAD.search(line):
        method, _, rest = line.partition(b" ")
        target, _, version = rest.rpartition(b" ")
        if (
            TOKEN.fullmatch(method)
            and target
            and b" " not in target
            and version in (b"HTTP/1.1", b"HTTP/1.0")
        ):
            raise InvalidURLError(f"Malformed target {quoted(target)}")
    raise bad_line(line)
