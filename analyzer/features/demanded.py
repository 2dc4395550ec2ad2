"""What the protocol itself demands that a response repeat of its request: kept, or broken.

Law: no example of an endpoint is needed. Each row of DEMANDS is an echo that a standard demands of
every server, as a pure function of two heads; what honest servers do all the same (a range cut at
the file's end, a Range that is ignored, ranges put together, a 304 without ETag) breaks none.
Whatever cannot be read says nothing.

The bits are stated, as nothing has been seen: of a response that is its request's own, how seldom
the echo is broken (`broken`); and how much oftener it is kept than in another request's response
of this server (`kept`). What a capture shows of its servers' habits lowers them (`weights`).

Request ids, idempotency keys and names of files are learned as tokens (`echoes`).
"""

import binascii
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import IntEnum
from functools import lru_cache
from hashlib import sha1
from typing import NamedTuple

from analyzer.tables import Flag

NOTED = 6.0  # bits from which on a broken echo is noted while the capture passes by
_KEPT, _BROKEN = int(Flag.DEMAND_KEPT), int(Flag.DEMAND_BROKEN)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_MOST_RANGES = 64  # of one request that are read

_RANGE = re.compile(r"(\d{0,18})[ \t]*-[ \t]*(\d{0,18})\Z")
_CONTENT_RANGE = re.compile(r"bytes[ \t]+(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)\Z", re.I)
_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')
# What servers put behind the tag of a body that they have coded.
_CODED = re.compile(r"(?:--?|;)(?:gzip|br|deflate|zstd|df)\Z")


class Agreement(IntEnum):
    """How a response agrees with a request: OPEN is what would agree with many others as well."""

    BROKEN = -1
    OPEN = 0
    KEPT = 1


class Head(NamedTuple):
    """A request (status 0) or a response: its field lines as far as a demand concerns them.

    `fields` has names in lower case; of several lines the values are joined (RFC 9110 §5.3).
    `value` is the JSON value of its body (`forms.value`), None where that is not looked at.
    """

    method: str
    status: int
    fields: Mapping[str, str]
    value: object = None


class Demand(NamedTuple):
    """An echo: what of the request, what of the response, and how they must agree.

    `statuses` are those of responses that it concerns. `shown`: the values may be told. `in_body`:
    it is the bodies that tell, not the heads.
    """

    name: str
    asked: str
    said: str
    statuses: Collection[int]
    agree: Callable[[Head, Head], Agreement | None]
    kept: float
    broken: float
    source: str
    shown: bool = False
    in_body: bool = False


# --- ranges --------------------------------------------------------------------------------


def _ranges(text: str) -> list[tuple[int | None, int | None]] | None:
    """First and last byte of each range asked for (RFC 9110 §14.1.2); None where it is invalid."""
    unit, _, ranges = text.partition("=")
    if unit.strip().lower() != "bytes":
        return None
    found: list[tuple[int | None, int | None]] = []
    for part in ranges.split(",")[:_MOST_RANGES]:
        match = _RANGE.match(part.strip())
        if match is None or not (match[1] or match[2]):
            return None
        first, last = (int(number) if number else None for number in match.groups())
        if first is not None and last is not None and last < first:
            return None
        found.append((first, last))
    return found


def _range(request: Head, response: Head) -> Agreement | None:
    """The part that was sent begins where the one asked for does (RFC 9110 §14.2 and §15.3.7).

    It may be shorter, and sloppy servers send all from there on. One without a range in its head
    has several in its body.
    """
    given = _CONTENT_RANGE.match(response.fields.get("content-range", "").strip())
    if given is None:
        return None
    if "range" not in request.fields:
        return Agreement.BROKEN if response.status == 206 else None
    asked = _ranges(request.fields["range"])
    if asked is None:
        return None
    total = int(given[3]) if given[3] != "*" else None
    if response.status == 416:
        return _refused(asked, total)
    if given[1] is None:
        return None
    start, end = int(given[1]), int(given[2])
    if len(asked) > 1:
        # Several may be put together, and in another order (§15.3.7.2).
        within = [_bounds(one, total) for one in asked]
        met = any(first is None or (first <= end and start <= last) for first, last in within)
        return Agreement.OPEN if met else Agreement.BROKEN
    first, last = _bounds(asked[0], total)
    if first is None:
        return Agreement.OPEN
    if start != first:
        return Agreement.BROKEN
    whole = start == 0 and (total is None or end == total - 1)
    as_asked = end == last or (total is not None and end == total - 1 < last)
    return Agreement.KEPT if as_asked and not whole else Agreement.OPEN


_NO_END = 1 << 62


def _bounds(
    asked: tuple[int | None, int | None], total: int | None
) -> tuple[int, int] | tuple[None, int]:
    """First and last byte of a range in a body of `total` bytes; None: only with that is it known.

    Without an end it goes to the body's.
    """
    first, last = asked
    if first is not None:
        return first, _NO_END if last is None else last
    if total is None or last is None:
        return None, _NO_END
    return max(0, total - last), max(0, total - 1)


def _refused(asked: list[tuple[int | None, int | None]], total: int | None) -> Agreement | None:
    """Only what begins behind the end is no range (RFC 9110 §15.5.17)."""
    if total is None:
        return None
    for first, last in asked:
        if (first is not None and first < total) or (first is None and last and total):
            return Agreement.BROKEN
    return Agreement.OPEN


# --- entity tags ---------------------------------------------------------------------------


def _tags(text: str) -> set[str]:
    """Opaque tags without what says that they are weak, or coded (RFC 9110 §8.8.3.2)."""
    return {_CODED.sub("", tag) for tag in _ENTITY_TAG.findall(text)}


def _not_modified(request: Head, response: Head) -> Agreement | None:
    """What has not changed is what the client named (RFC 9110 §13.1.2 and §15.4.5)."""
    if request.method not in ("GET", "HEAD"):
        return None
    named = request.fields.get("if-none-match")
    given = _tags(response.fields.get("etag", ""))
    if not given:
        return None
    if named is None:
        return None if "if-modified-since" in request.fields else Agreement.BROKEN
    if named.strip() == "*":
        return Agreement.OPEN
    return Agreement.KEPT if given <= _tags(named) else Agreement.BROKEN


def _if_range(request: Head, response: Head) -> Agreement | None:
    """A part is sent only of what the client has the other parts of (RFC 9110 §13.1.5)."""
    named = request.fields.get("if-range", "")
    told, given = _tags(named), _tags(response.fields.get("etag", ""))
    if not told or not given or "range" not in request.fields:
        return None
    return Agreement.KEPT if given <= told else Agreement.BROKEN


# --- WebSocket -----------------------------------------------------------------------------


def accept_of(key: str) -> str:
    """The Sec-WebSocket-Accept that a Sec-WebSocket-Key demands (RFC 6455 §4.2.2)."""
    digest = sha1(key.strip().encode("latin-1", "replace") + _GUID, usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False).decode()


def _handshake(request: Head, response: Head) -> Agreement | None:
    accept = response.fields.get("sec-websocket-accept", "").strip()
    if not accept:
        return None
    key = request.fields.get("sec-websocket-key")
    if key is None:
        return Agreement.BROKEN
    return Agreement.KEPT if accept == accept_of(key) else Agreement.BROKEN


# --- JSON-RPC ------------------------------------------------------------------------------


def _ids(value: object, members: frozenset[str]) -> set[str]:
    """The ids of the JSON-RPC objects in a value that have one of these members, as texts.

    A batch is an array of them, and a stream of events a tuple of what it has.
    """
    found: set[str] = set()
    for one in value if isinstance(value, list | tuple) else (value,):
        if isinstance(one, list):
            found |= _ids(one, members)
        elif isinstance(one, dict) and "jsonrpc" in one and not members.isdisjoint(one):
            identity = one.get("id")
            if isinstance(identity, str | int) and not isinstance(identity, bool):
                found.add(str(identity))
    return found


_CALL, _RESULT = frozenset({"method"}), frozenset({"result", "error"})
JSON_RPC = "json-rpc"
_TELLING = 6  # characters of an id from which on it is hardly another one's


def _rpc(request: Head, response: Head) -> Agreement | None:
    """A result has the id of its call; what the server tells or asks by itself has none or its own.

    Many clients count their calls from 1, so that a short id is many a call's.
    """
    asked, said = _ids(request.value, _CALL), _ids(response.value, _RESULT)
    if not asked or not said:
        return None
    if not said <= asked:
        return Agreement.BROKEN
    return Agreement.KEPT if any(len(one) >= _TELLING for one in said) else Agreement.OPEN


DEMANDS: tuple[Demand, ...] = (
    # A response with another range was seen from no server that works; a client that loads parts
    # would put together a broken file. One of many parts is seldom just the one asked for.
    Demand(
        "range", "range", "content-range", (206, 416), _range, 6.0, 10.0, "RFC 9110 §14.4", True
    ),
    # Servers behind one balancer may tag one file in several ways.
    Demand(
        "etag", "if-none-match", "etag", (304,), _not_modified, 6.0, 8.0, "RFC 9110 §13.1.2"
    ),
    Demand("if-range", "if-range", "etag", (206,), _if_range, 4.0, 6.0, "RFC 9110 §13.1.5"),
    # Clients refuse a wrong hash; a right one is none by accident.
    Demand(
        "websocket", "sec-websocket-key", "sec-websocket-accept", (101,), _handshake, 16.0, 12.0,
        "RFC 6455 §4.2.2",
    ),
    Demand(
        JSON_RPC, "the id of its call", "the id of its result", range(200, 300), _rpc, 4.0, 10.0,
        "JSON-RPC 2.0 §5", in_body=True,
    ),
)  # fmt: skip

_OF_HEADS = tuple(demand for demand in DEMANDS if not demand.in_body)
STATUSES = frozenset(status for demand in _OF_HEADS for status in demand.statuses)
RPC = b'"jsonrpc"'  # in the bodies that a demand concerns
_FIELDS = frozenset(
    {"if-modified-since"} | {name for demand in _OF_HEADS for name in (demand.asked, demand.said)}
)
_LINE = re.compile(
    rb"(?im)^(%s)[ \t]*:([^\r\n]*)" % b"|".join(sorted(name.encode() for name in _FIELDS))
)
_PROPER = {"etag": "ETag", "sec-websocket-key": "Sec-WebSocket-Key",
           "sec-websocket-accept": "Sec-WebSocket-Accept"}  # fmt: skip


def head_of(
    lines: Iterable[tuple[str, str]], *, method: str = "", status: int = 0, value: object = None
) -> Head:
    """A head from its field lines; those that no demand concerns are left out."""
    fields: dict[str, str] = {}
    for name, text in lines:
        name = name.lower()
        if name in _FIELDS:
            fields[name] = f"{fields[name]}, {text}" if name in fields else text
    return Head(method, status, fields, value)


def agreements(request: Head, response: Head) -> Iterator[tuple[Demand, Agreement]]:
    """Every demand that these two heads tell of, and whether it is kept."""
    for demand in DEMANDS:
        if response.status in demand.statuses:
            found = demand.agree(request, response)
            if found is not None:
                yield demand, found


def flags(method: bytes, asked: bytes, status: int, said: bytes) -> int:
    """What is noted of an exchange (`tables.Flag`), from the field lines of both its messages."""
    if status not in STATUSES:
        return 0
    request = head_of(_lines(asked), method=method.decode("latin-1"))
    response = head_of(_lines(said), status=status)
    return _noted(request, response)


def flags_of_bodies(status: int, asked: object, said: object) -> int:
    """The same, from the JSON values of both bodies."""
    return _noted(Head("", 0, {}, asked), Head("", status, {}, said))


def _noted(request: Head, response: Head) -> int:
    found = list(agreements(request, response))
    if any(a is Agreement.BROKEN and demand.broken >= NOTED for demand, a in found):
        return _BROKEN
    return _KEPT if found else 0


def _lines(block: bytes) -> Iterator[tuple[str, str]]:
    for name, value in _LINE.findall(block):
        yield name.decode("latin-1"), value.strip().decode("latin-1")


def differ(one: Head, other: Head) -> bool:
    """Whether two requests ask for different things by what demands concern, if it is heeded.

    Conditions don't: whoever has an older copy asks for the same as one that has none.
    """
    return any(
        one.fields.get(name) != other.fields.get(name) for name in ("range", "sec-websocket-key")
    )


def told(demand: Demand, head: Head, name: str) -> str:
    """What one of two heads has for a demand, in words."""
    if demand.in_body:
        return name
    if name not in head.fields:
        return f"no {field_name(name)}"
    return field_name(name) + (f": {head.fields[name]}" if demand.shown else "")


@lru_cache(64)
def field_name(name: str) -> str:
    """A field's name as its standard writes it."""
    return _PROPER.get(name) or "-".join(part.capitalize() for part in name.split("-"))
