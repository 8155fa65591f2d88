"""The grammar of heads and chunks as compiled patterns, each under its ABNF.

No pattern nests one repeat in another without a possessive quantifier, so
each takes time linear in its input. Digits are written ``[0-9]``: only ASCII
ones are digits on the wire.
"""

import re
from typing import Final

# token = 1*tchar                                                  (RFC 9110 section 5.6.2)
TCHAR: Final = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
_TCHARS: Final = bytes(code for code in range(256) if re.match(b"[" + TCHAR + b"]", bytes((code,))))

# request-target                                                   (RFC 9112 section 3.2)
# Every visible ASCII character but '#': a fragment never belongs on the wire. The set is wider
# than RFC 3986's by the characters that browsers leave alone in a query (` " < > \ ^ { | } `).
TARGET_CHARS: Final = rb"!\"$-~"

# request-line = method SP request-target SP HTTP-version CRLF     (RFC 9112 section 3)
REQUEST_LINE: Final = re.compile(
    rb"([" + TCHAR + rb"]++) ([" + TARGET_CHARS + rb"]++) HTTP/([0-9]\.[0-9])\r\n"
)

# status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF   (RFC 9112 section 4)
# The second SP may be missing where the reason is: common, and without ambiguity.
STATUS_LINE: Final = re.compile(
    rb"HTTP/([0-9]\.[0-9]) ([1-9][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*+))?+\r\n"
)

# field-line = field-name ":" OWS field-value OWS                  (RFC 9112 section 5)
# field-value: HTAB, SP, VCHAR, obs-text                           (RFC 9110 section 5.5)
FIELD_LINE: Final = re.compile(rb"[" + TCHAR + rb"]++:[\t\x20-\x7e\x80-\xff]*+")

# Where a field line begins, as far as its colon; searched in a lower-case block.
FIELD_NAMES: Final = re.compile(rb"\n([!#$%&'*+\-.^_`|~0-9a-z]++):")

# Control characters other than HTAB; CR and LF are among them.
CONTROLS: Final = bytes(code for code in range(32) if code != 9) + b"\x7f"

# What no head may contain anywhere, looked for before a head is complete.
NEVER_IN_HEAD: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n")

TOKEN: Final = re.compile(rb"[" + TCHAR + rb"]++")
TOKEN_TEXT: Final = re.compile(r"[" + TCHAR.decode() + r"]++")
TARGET_TEXT: Final = re.compile(r"[" + TARGET_CHARS.decode() + r"]++")

# The fields whose meaning a connection needs, each with its name in lower case and a colon.
_REQUEST_FACTS: Final = (
    *(b"host", b"connection", b"content-length", b"content-encoding", b"transfer-encoding"),
    *(b"expect", b"upgrade"),
)
_RESPONSE_FACTS: Final = (
    *(b"connection", b"content-length", b"content-encoding", b"transfer-encoding"),
    *(b"upgrade", b"set-cookie"),
)

_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*+"
_OWS: Final = rb"[ \t]*+"


def _any_case(name: bytes) -> bytes:
    return b"".join(
        rb"[%c%c]" % (code - 32, code) if 97 <= code <= 122 else re.escape(bytes((code,)))
        for code in name
    )


def _any_of(words: tuple[bytes, ...]) -> bytes:
    """Whichever of *words*, in any case; what they begin with in common is looked at once."""
    if len(words) == 1:
        return _any_case(words[0])
    branches = [
        _any_case(first) + _any_of(tuple(word[1:] for word in words if word[:1] == first))
        for first in sorted({word[:1] for word in words})
    ]
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")"


def _lines_without(names: tuple[bytes, ...], most: int) -> bytes:
    """Up to *most* field lines that are none of *names*; or say to keep the connection, as usual.

    A line whose first character begins none of the names is told by that character alone.
    """
    first = b"".join(name[:1] + name[:1].upper() for name in names)
    others = re.escape(bytes(code for code in _TCHARS if code not in first))
    facts = _any_of(tuple(name + b":" for name in names))
    name = rb"(?:[%b][%b]*+|(?!%b)[%b]++)" % (others, TCHAR, facts, TCHAR)
    keep_alive = _any_case(b"connection:") + _OWS + _any_case(b"keep-alive") + _OWS
    return rb"(?:(?:%b:%b|%b)\r\n){0,%d}+" % (name, _VALUE, keep_alive, most)


# Host = uri-host [ ":" port ]                                     (RFC 9110 section 7.2)
# uri-host = IP-literal / IPv4address / reg-name                   (RFC 3986 section 3.2.2)
# Without "," though reg-name has it: that is what two joined Host fields look like. IPvFuture
# has never been assigned.
_URI_HOST: Final = (
    rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[0-9A-Za-z\-._~!$&'()*+;=]++|%[0-9A-Fa-f]{2})*+)"
)
HOST: Final = re.compile(_URI_HOST + rb"(?::([0-9]{0,5}+))?+")

# The request that most are: one Host, with a port only if it is surely in range, and nothing else
# that a connection need know. One pass over the head, without a step back, says that it is valid.
USUAL_REQUEST: Final = re.compile(
    rb"([%b]++) (/[%b]*+) HTTP/1\.1\r\n" % (TCHAR, TARGET_CHARS)
    + _lines_without(_REQUEST_FACTS, 63)
    + _any_case(b"host:") + _OWS + _URI_HOST + rb"(?::[0-9]{0,4}+)?+" + _OWS + rb"\r\n"
    + _lines_without(_REQUEST_FACTS, 64)
    + rb"\r\n"
)  # fmt: skip
# The response that many are: one Content-Length at most, and nothing else of that kind.
USUAL_RESPONSE: Final = re.compile(
    rb"HTTP/1\.1 ([1-9][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*+))?+\r\n"
    + _lines_without(_RESPONSE_FACTS, 63)
    + rb"(?:" + _any_case(b"content-length:") + _OWS + rb"([0-9]{1,19}+)" + _OWS + rb"\r\n)?+"
    + _lines_without(_RESPONSE_FACTS, 64)
    + rb"\Z"
)  # fmt: skip
MOST_USUAL_FIELDS: Final = 128
"""Field lines that the two patterns take at most."""

# From one such field to the next, in a header section in lower case; the last match has no groups.
_NEXT_FACT: Final = (
    rb"(?:(?!(?:%b):)[!#$%%&'*+\-.^_`|~0-9a-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+"
    rb"(?:(%b):[ \t]*+([\t\x20-\x7e\x80-\xff]*+)\r\n|\Z)"
)
NEXT_REQUEST_FACT: Final = re.compile(_NEXT_FACT % ((b"|".join(_REQUEST_FACTS),) * 2))
NEXT_RESPONSE_FACT: Final = re.compile(_NEXT_FACT % ((b"|".join(_RESPONSE_FACTS),) * 2))

# absolute-form = absolute-URI                                     (RFC 9112 section 3.2.2)
# userinfo is refused: RFC 9110 section 4.2.4.
ABSOLUTE_FORM: Final = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?+://([^/?@\\]++)(?:[/?].*+)?+", re.DOTALL)

# chunk-size [ chunk-ext ] CRLF                                    (RFC 9112 section 7.1)
# chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
# 16 digits hold every 64-bit size. Extensions are ignored, so only their alphabet is checked;
# white space belongs to an extension, so it may stand before ";" and nowhere else.
_CHUNK: Final = rb"([0-9A-Fa-f]{1,16}+)((?:[\t ]*+;[\t\x20-\x7e\x80-\xff]*+)?+)\r\n"
FIRST_CHUNK: Final = re.compile(_CHUNK)
NEXT_CHUNK: Final = re.compile(rb"\r\n" + _CHUNK)

# What a chunk line may look like while its CRLF has not come; the complete line is then held
# against the patterns above.
_CHUNK_PREFIX: Final = rb"[0-9A-Fa-f]{0,16}+[\t ]*+(?:;[\t\x20-\x7e\x80-\xff]*+)?+\r?+"
FIRST_CHUNK_PREFIX: Final = re.compile(_CHUNK_PREFIX)
NEXT_CHUNK_PREFIX: Final = re.compile(rb"\r?+|\r\n" + _CHUNK_PREFIX)

CONTENT_LENGTH: Final = re.compile(rb"[0-9]{1,19}+")
