"""Start lines and fields: bytes in, values out (RFC 9112 §2 to §5, RFC 9110 §5).

Law: nothing here rejects. What the grammar does not allow is named in `Fields.oddities`, and the
value that a tolerant recipient would take is returned. Heads repeat, so what was read is kept.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import product

LONGEST_TARGET = 8_192  # bytes kept of a request target
_MEMORY = 4_096  # heads remembered

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_REQUEST_LINE = re.compile(rb"(%s{1,32}) +([^ \r\n]+) +HTTP/(1\.[0-9])[ \t]*\Z" % _TOKEN)
# A target with blanks in it is invalid, yet servers answer it.
_LOOSE_REQUEST_LINE = re.compile(rb"(%s{1,32}) +([^\r\n]*?) +HTTP/(1\.[0-9])[ \t]*\Z" % _TOKEN)
_STATUS_LINE = re.compile(rb"HTTP/(1\.[0-9]) +([1-9][0-9]{2})(?: [^\r\n]*)?\Z")
# Versions and spellings of "HTTP" that do not exist, where it is clear what is meant.
_ODD_REQUEST_LINE = re.compile(rb"(%s{1,32}) +([^\r\n]*?) +(?i:HTTP)/(1[.0-9]*)[ \t]*\Z" % _TOKEN)
_ODD_STATUS_LINE = re.compile(rb"(?i:HTTP)/(1[.0-9]*)[ \t]+([1-9][0-9]{2})(?:[ \t][^\r\n]*)?\Z")
_STATUS = re.compile(rb"HTTP/1\.[0-9] [1-9][0-9]{2}[ \r\n]")
_PART_OF_STATUS = re.compile(
    rb"H(?:T(?:T(?:P(?:/(?:1(?:\.(?:[0-9](?: (?:[1-9](?:[0-9](?:[0-9])?)?)?)?)?)?)?)?)?)?)?\Z"
)
_START_OF_REQUEST = re.compile(rb"%s{1,32}(?: |\Z)" % _TOKEN)
_CLEAR_START = re.compile(
    rb"(?:%s{1,32} [^ \r\n]+ HTTP/1\.[0-9]\r?\n|HTTP/1\.[0-9] [1-9][0-9]{2}[ \r\n])" % _TOKEN
)
_DIGITS = re.compile(rb"[0-9]+\Z")


class Protocol(Enum):
    """What a connection's first bytes say it carries."""

    REQUEST = auto()
    RESPONSE = auto()
    TLS = auto()
    HTTP2 = auto()
    OTHER = auto()
    UNDECIDED = auto()


def sniff(start: bytes) -> Protocol:
    """The protocol that a stream starting with `start` speaks; UNDECIDED: more bytes are needed."""
    start = start.lstrip(b"\r\n")[:LONGEST_TARGET]
    if not start:
        return Protocol.UNDECIDED
    if start[0] in (0x14, 0x15, 0x16, 0x17) and (len(start) < 2 or start[1] == 3):
        return Protocol.TLS if len(start) > 2 else Protocol.UNDECIDED
    if start.startswith(b"PRI * HTTP/2.0"):
        return Protocol.HTTP2
    if may_be_status_line(start):
        return Protocol.RESPONSE if len(start) >= 7 else Protocol.UNDECIDED
    if not _START_OF_REQUEST.match(start):
        return Protocol.OTHER
    line, newline, _ = start.partition(b"\n")
    if newline:
        good = request_line(line.rstrip(b"\r"))
        return Protocol.REQUEST if good else Protocol.OTHER
    return Protocol.UNDECIDED if len(start) < LONGEST_TARGET else Protocol.OTHER


def may_be_status_line(start: bytes) -> bool:
    """Whether a status line can start with `start`, in upper or lower case."""
    return b"HTTP/1."[: len(start)] == start[:7].upper()


def begins_clearly(piece: bytes) -> bool:
    """Whether `piece` starts with an unmistakable start line: where to pick up after a gap."""
    return _CLEAR_START.match(piece) is not None


def status_within(data: bytes, at: int) -> tuple[int, int]:
    """Where in `data`, from `at` on, an unmistakable status line begins, or the part of one.

    The first number is -1 without one; the second is where a part at the end begins, or the end.
    """
    whole = _STATUS.search(data, at)
    part = _PART_OF_STATUS.search(data, max(at, len(data) - 12))
    return whole.start() if whole else -1, part.start() if part else len(data)


def end_of_head(data: bytes) -> int:
    """The length of the head at the start of `data`, its empty line included; -1: not all there."""
    # A bare LF may end a line (RFC 9112 §2.2), so the empty line is the first of either kind.
    end = data.find(b"\n\r\n")
    bare = data.find(b"\n\n", 0, end + 1 if end >= 0 else len(data))
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1


def request_line(line: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Method, target and version of a request line, or None (RFC 9112 §3)."""
    match = (
        _REQUEST_LINE.match(line)
        or _LOOSE_REQUEST_LINE.match(line)
        or _ODD_REQUEST_LINE.match(line)
    )
    if match is None:
        return None
    return match[1], match[2][:LONGEST_TARGET], match[3]


def status_line(line: bytes) -> tuple[int, bytes] | None:
    """Status code and version of a status line, or None (RFC 9112 §4)."""
    line = line.rstrip()
    match = _STATUS_LINE.match(line) or _ODD_STATUS_LINE.match(line)
    return (int(match[2]), match[1]) if match else None


def odd_start_line(line: bytes) -> bool:
    """Whether a start line that was read is one that the grammar does not allow."""
    if line[:5].upper() == b"HTTP/":
        return not _STATUS_LINE.match(line.rstrip())
    return not _REQUEST_LINE.match(line) and not _LOOSE_REQUEST_LINE.match(line)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a head that framing, pairing and shapes depend on.

    `content_length` is None without one and -1 when it is not one number.
    """

    content_length: int | None = None
    transfer_codings: tuple[bytes, ...] = ()
    media_type: str = ""
    content_coding: str = ""
    host: str = ""
    connection: frozenset[bytes] = frozenset()
    upgrade: bool = False
    expect: bool = False
    oddities: tuple[str, ...] = ()


WANTED = (
    b"content-length",
    b"transfer-encoding",
    b"content-type",
    b"content-encoding",
    b"host",
    b"connection",
    b"upgrade",
    b"expect",
)
_MARKS = tuple(b"\n" + name + b":" for name in WANTED)

_known: dict[tuple[bytes, ...], Fields] = {}

# How a line that matters begins: with two letters of a wanted name, in either case, or with white
# space, which continues the line before it.
_STARTS = frozenset(
    bytes(pair) for name in WANTED for pair in product(*((byte, byte - 32) for byte in name[:2]))
) | frozenset(bytes([blank, byte]) for blank in b" \t" for byte in range(256))


def fields(block: bytes) -> Fields:
    """The fields in `block`: the head without its start line (RFC 9112 §5).

    Heads differ in few lines that matter here, so the lines that may matter are picked by their
    first two bytes, and what they were found to say is remembered.
    """
    lines = block.split(b"\r\n")
    if block.count(b"\n") != len(lines) - 1:
        lines = re.split(rb"\r?\n", block)
    telling = tuple([line for line in lines if line[:2] in _STARTS])
    found = _known.get(telling)
    if found is None:
        folded = any(line[:1] in (b" ", b"\t") for line in telling)
        found = _fields(_values(lines if folded else telling))
        if len(_known) >= _MEMORY:
            _known.clear()
        if not folded and len(block) <= LONGEST_TARGET:
            _known[telling] = found
    return found


def _values(lines: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    """The values of the wanted fields, folded lines joined (RFC 9112 §5.2)."""
    found: dict[bytes, list[bytes]] = {name: [] for name in WANTED}
    last: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if last:
                last[-1] += b" " + line.strip()
            continue
        name, _, value = line.partition(b":")
        last = found.get(name.strip().lower(), [])
        last.append(value.strip())
    return found


def _fields(values: dict[bytes, list[bytes]]) -> Fields:
    lengths, codings, types, contents, hosts, connections, upgrades, expects = values.values()
    odd: list[str] = []
    length: int | None = None
    if lengths:
        # A list of equal numbers is one number (RFC 9112 §6.3).
        numbers = {n.strip() for v in lengths for n in v.split(b",")}
        number = numbers.pop()
        if numbers or len(number) > 18 or not _DIGITS.match(number):
            length = -1
            odd.append("content-length-invalid")
        else:
            length = int(number)
    transfer = tuple(c.strip().lower() for v in codings for c in v.split(b","))
    if transfer and length is not None:
        odd.append("content-length-and-chunked")
    return Fields(
        content_length=length,
        transfer_codings=transfer,
        media_type=_text(types, b";"),
        content_coding=_text(contents, b""),
        host=_text(hosts, b""),
        connection=frozenset(t.strip().lower() for v in connections for t in v.split(b",")),
        upgrade=bool(upgrades),
        expect=bool(expects),
        oddities=tuple(odd),
    )


def _text(values: list[bytes], end: bytes) -> str:
    if not values:
        return ""
    value = values[0].partition(end)[0] if end else values[0]
    return value.strip().lower()[:256].decode("latin-1")
