"""Messages rewritten inside their connections: each segment carries its share of the new octets.

Law: segments keep their order, their times and what they mean: which one begins, ends or repeats
what, and what is acknowledged. The first and the last octet of a message and of its head are in
the segments that had them. A connection whose octets can't be told, or that is not a plain
sequence of HTTP messages, stays as it is and is counted.
"""

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from captures.vary import messages
from captures.vary.connections import MASK, Connection, probe
from captures.vary.content import Change
from captures.vary.messages import Message, Part, Unclear
from captures.vary.packets import ACK, Packet, options

SACK = 5


@dataclass(slots=True, eq=False)
class Spoken:
    """What was said on a connection: the parts of both directions."""

    connection: Connection
    parts: tuple[list[Part], list[Part]]

    @property
    def exchanges(self) -> list[tuple[Message, Message | None]]:
        """Each request with the response that has its place, if there is one."""
        asked = [one.message for one in self.parts[0] if one.message]
        given = [one.message for one in self.parts[1] if one.message and one.message.status >= 200]
        return [(one, other) for one, other in zip_longest(asked, given) if one is not None]

    @property
    def broken(self) -> bool:
        """Whether some of the server's octets are no whole message, and not a tunnel's either."""
        answers = self.parts[1]
        tunnel = any(one.message and one.message.status == 101 for one in answers)
        return not tunnel and any(
            one.message is None or (one.message.framing == "raw" and any(one.message.chunks))
            for one in answers
        )


@dataclass(slots=True)
class Left:
    """The connections that were left as they are, and why."""

    connections: list[Connection] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)

    def add(self, connection: Connection, why: str) -> None:
        """Count one."""
        self.connections.append(connection)
        self.why[why] += 1


def spoken(connections: Iterable[Connection], left: Left) -> list[Spoken]:
    """What was said on each connection that can be read."""
    found = []
    for one in connections:
        sent, got = one.data
        if one.why or sent is None or got is None:
            left.add(one, one.why or "not told")
            continue
        try:
            asked = messages.requests(sent)
            methods = [each.message.method for each in asked if each.message]
            found.append(Spoken(one, (asked, messages.responses(got, methods, one.closed[1]))))
        except Unclear as reason:
            left.add(one, str(reason))
    return found


def rewrite(said: Spoken, changes: Sequence[Change], always: bool = False) -> bool:
    """Rewrite the packets of a connection in place; whether anything was changed, or `always`."""
    client = min(said.connection.clients)[0]
    courses = []
    for side in (0, 1):
        data = said.connection.data[side] or b""
        news = [_changed(one, changes, client) for one in said.parts[side]]
        courses.append(Course(data, said.parts[side], news))
    if not always and all(one.same for one in courses):
        return False
    una: dict[tuple[int, int], int | None] = {}
    moves: list[tuple[int, Packet, bool]] = []
    for number, sighting in enumerate(said.connection.sightings):
        for _, side, packet in sighting.packets:
            moves.append((side, packet, probe(packet, una.get((number, side)))))
            if packet.has(ACK):
                una[number, 1 - side] = packet.ack
    _measure(said.connection, courses, moves)
    for side, packet, probing in moves:
        _move(said.connection, courses, side, packet, probing)
    return True


def _changed(part: Part, changes: Sequence[Change], client: bytes) -> Message | None:
    message = part.message
    for one in changes if message else ():
        assert message is not None
        message = one.message(message, client)
    return None if message is part.message else message


class Course:
    """The new octets of a direction, and where an offset into the old ones has gone.

    `news` has the new message of each part, or None where it stays.
    """

    def __init__(self, data: bytes, parts: Sequence[Part], news: Sequence[Message | None]) -> None:
        out = bytearray()
        self.old, self.new = [0], [0]
        for part, message in zip(parts, news, strict=True):
            if message is None:
                out += data[part.start : part.end]
                self._mark(part.end, len(out))
                continue
            pieces = message.pieces()
            at = part.start
            if len(pieces) != len(part.pieces):
                out += b"".join(pieces)
                self._mark(part.end, len(out))
                continue
            for was, piece in zip(part.pieces, pieces, strict=True):
                at += was
                out += piece
                self._mark(at, len(out))
        self.data = bytes(out)
        self.same = self.data == data
        self._known: dict[int, int] = dict(zip(self.old, self.new, strict=True))

    def _mark(self, old: int, new: int) -> None:
        if old > self.old[-1]:
            self.old.append(old)
            self.new.append(new)

    def cut(self, offsets: Iterable[int]) -> None:
        """Fix where these offsets go, so that different ones stay different if there is room."""
        inner: dict[int, list[int]] = {}
        for one in sorted(set(offsets)):
            if 0 < one < self.old[-1] and one not in self._known:
                inner.setdefault(bisect_right(self.old, one), []).append(one)
        for behind, cuts in inner.items():
            old, end = self.old[behind - 1], self.old[behind]
            new, most = self.new[behind - 1], self.new[behind]
            last = new
            for number, one in enumerate(cuts):
                even = new + round((one - old) * (most - new) / (end - old))
                last = max(min(last + 1, most), min(even, most - (len(cuts) - number)))
                self._known[one] = last

    def at(self, offset: int) -> int:
        """Where an offset has gone; those outside keep their distance."""
        if offset <= 0:
            return offset
        if offset >= self.old[-1]:
            return offset - self.old[-1] + self.new[-1]
        return self._known[offset]


def _measure(
    connection: Connection, courses: Sequence[Course], moves: Sequence[tuple[int, Packet, bool]]
) -> None:
    """Fix where the ends of all segments, acknowledgements and SACK blocks go."""
    for side in (0, 1):
        offsets = []
        for sender, packet, probing in moves:
            if sender == side:
                at = connection.offset(side, packet.seq) + probing
                offsets += [at, at + (0 if probing else len(packet.payload))]
            else:
                numbers = [packet.ack] if packet.has(ACK) else []
                numbers += [edge for _, edge in _edges(packet)]
                offsets += [connection.offset(side, one) for one in numbers]
        courses[side].cut(offsets)


def _edges(packet: Packet) -> list[tuple[int, int]]:
    """Where each edge of a SACK block is in the options, and its number (RFC 2018)."""
    return [
        (at, int.from_bytes(packet.options[at : at + 4], "big"))
        for kind, start, end in options(packet)
        if kind == SACK
        for at in range(start, end - 3, 4)
    ]


def _move(
    connection: Connection, courses: Sequence[Course], side: int, packet: Packet, probing: bool
) -> None:
    """Give a packet its new octets and numbers."""
    own, other = courses[side], courses[1 - side]
    start = connection.offset(side, packet.seq)
    base = connection.base[side]
    if probing:
        packet.seq = (base + own.at(start + 1) - 1) & MASK
    else:
        # A SYN's number is the one before the first octet.
        begin = own.at(start)
        packet.seq = (base + begin) & MASK
        if packet.payload and 0 <= start < own.old[-1]:
            packet.payload = own.data[begin : own.at(start + len(packet.payload))]
    back = connection.base[1 - side]

    def acknowledged(number: int) -> int:
        return (back + other.at(connection.offset(1 - side, number))) & MASK

    if packet.has(ACK):
        changed = bytearray(packet.options)
        for at, edge in _edges(packet):
            changed[at : at + 4] = struct.pack("!I", acknowledged(edge))
        packet.options = bytes(changed)
        packet.ack = acknowledged(packet.ack)
    packet.original = b""
