"""TCP connections as all captures of a recording saw them, each with the octets of both directions.

Law: one connection is one here, whatever address translation and however many interfaces and
captures showed it, so that it can be rewritten equally everywhere. Octets are told only where all
the sightings agree.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from captures.vary.packets import ACK, FIN, RST, SYN, Capture, End, Packet

WINDOW = 1 << 22  # how far past what was seen a segment may lie and still belong
EVIDENCE = 24  # octets of a payload that two sightings of a segment are known by
MASK = 0xFFFFFFFF


@dataclass(slots=True, eq=False)
class Sighting:
    """A connection as one capture saw it under one pair of addresses; clients come first.

    `isn` are the numbers before the first octet of each direction, None as long as unknown.
    """

    ends: list[End]
    isn: list[int | None] = field(default_factory=lambda: [None, None])
    top: list[int] = field(default_factory=lambda: [0, 0])  # offset behind the last seen octet
    handshake: bool = False
    sure: bool = False  # whether it is known which end is the client
    packets: list[tuple[int, int, Packet]] = field(default_factory=list)  # capture, side, packet

    def fits(self, packet: Packet) -> bool:
        """Whether a packet's numbers are those of this connection."""
        return packet.has(RST) or self.away(packet) <= WINDOW

    def away(self, packet: Packet) -> int:
        """How far a packet's number is from what was sent before; 0 if it is next, or again."""
        side = self.side(packet)
        isn = self.isn[side]
        at = 0 if isn is None else distance(packet.seq, isn)
        return max(0, -at, at - self.top[side] - 1)

    def side(self, packet: Packet) -> int:
        """0 if the client sent it, 1 if the server did."""
        return int(packet.source != self.ends[0])

    def add(self, capture: int, side: int, packet: Packet) -> None:
        """Take a packet in."""
        if packet.has(SYN):
            self.isn[side] = packet.seq
        elif self.isn[side] is None:
            self.isn[side] = (packet.seq - 1) & MASK
        if packet.has(ACK) and self.isn[1 - side] is None and packet.ack:
            self.isn[1 - side] = (packet.ack - 1) & MASK
        isn = self.isn[side]
        assert isn is not None
        self.top[side] = max(self.top[side], distance(packet.seq, isn) + packet.size)
        self.packets.append((capture, side, packet))

    def turn(self) -> None:
        """Take the other end for the client."""
        self.ends.reverse()
        self.isn.reverse()
        self.top.reverse()
        self.packets = [(capture, 1 - side, one) for capture, side, one in self.packets]


@dataclass(slots=True, eq=False)
class Connection:
    """A connection: its sightings, and for each direction its base, octets and end.

    `base` is the sequence number of the first octet; `data` None where the octets are not told.
    """

    sightings: list[Sighting]
    base: list[int] = field(default_factory=lambda: [0, 0])
    data: list[bytes | None] = field(default_factory=lambda: [None, None])
    closed: list[bool] = field(default_factory=lambda: [False, False])
    why: str = ""  # why the octets are not told

    @property
    def clients(self) -> set[End]:
        """The client's address and port, as seen on either side of a translation."""
        return {one.ends[0] for one in self.sightings}

    @property
    def packets(self) -> Iterator[tuple[int, int, Packet]]:
        """Capture, side and packet, of all sightings."""
        for one in self.sightings:
            yield from one.packets

    @property
    def times(self) -> tuple[int, int]:
        """When its first and its last packet were seen, in microseconds."""
        stamps = [packet.time for _, _, packet in self.packets]
        return min(stamps), max(stamps)

    def offset(self, side: int, number: int) -> int:
        """Where in the octets of a direction a sequence number points."""
        return distance(number, self.base[side])


def distance(number: int, base: int) -> int:
    """How far a sequence number is behind another, over the wrap (RFC 9293, section 3.4)."""
    return ((number - base + (1 << 31)) & MASK) - (1 << 31)


def probe(packet: Packet, una: int | None) -> bool:
    """Whether it is a keep-alive or window probe: one before what the other side waits for."""
    return (
        una is not None
        and len(packet.payload) <= 1
        and not packet.flags & (SYN | FIN | RST)
        and (packet.seq + 1) & MASK == una
    )


def connections(captures: Sequence[Capture]) -> list[Connection]:
    """All connections of a recording, by the time of their first packet."""
    sightings = [one for number, each in enumerate(captures) for one in _sightings(number, each)]
    found = [Connection(group) for group in _grouped(sightings)]
    for one in found:
        _tell(one)
    return sorted(found, key=lambda one: (one.times[0], sorted(one.clients)))


def _sightings(number: int, capture: Capture) -> list[Sighting]:
    """The connections under each pair of addresses; a port used again is another connection."""
    found: dict[frozenset[End], list[Sighting]] = defaultdict(list)
    for packet in capture.packets:
        if not packet.tcp:
            continue
        known = found[frozenset((packet.source, packet.to))]
        opens = packet.has(SYN) and not packet.has(ACK)
        if opens:
            here = next((one for one in known if one.isn[one.side(packet)] == packet.seq), None)
        else:
            here = min(reversed(known), key=lambda one: one.away(packet), default=None)
        if here is None:
            here = Sighting([packet.source, packet.to])
            if packet.has(SYN | ACK):
                here.ends.reverse()
            known.append(here)
        here.handshake |= opens
        here.sure |= packet.has(SYN)
        here.add(number, here.side(packet), packet)
    all_of_them = [one for each in found.values() for one in each]
    for one in all_of_them:
        if not one.sure and _backwards(one):
            one.turn()
    return all_of_them


def _backwards(sighting: Sighting) -> bool:
    for _, side, packet in sighting.packets:
        if packet.payload.startswith(b"HTTP/1."):
            return side == 0
        if b" HTTP/1." in packet.payload[:2000].partition(b"\r\n")[0]:
            return side == 1
    return sighting.ends[0][1] < sighting.ends[1][1]


def _grouped(sightings: Sequence[Sighting]) -> list[list[Sighting]]:
    """Sightings of one connection together: those that share a SYN or a segment."""
    leader = list(range(len(sightings)))

    def find(one: int) -> int:
        while leader[one] != one:
            leader[one] = one = leader[leader[one]]
        return one

    first: dict[tuple[object, ...], int] = {}
    for number, sighting in enumerate(sightings):
        for _, side, packet in sighting.packets:
            if not sighting.fits(packet):
                continue
            if packet.has(SYN):
                key: tuple[object, ...] = (side, "SYN", packet.seq, packet.ack)
            elif packet.payload:
                key = (side, packet.seq, packet.ack, packet.payload[:EVIDENCE])
            else:
                continue
            leader[find(number)] = find(first.setdefault(key, number))
    groups = defaultdict(list)
    for number, sighting in enumerate(sightings):
        groups[find(number)].append(sighting)
    return list(groups.values())


def _tell(connection: Connection) -> None:
    """Put the octets of both directions together."""
    for side in (0, 1):
        isns = [one.isn[side] for one in connection.sightings]
        sent = [one for _, each, one in connection.packets if each == side]
        begun = [one.seq for one in sent if one.has(SYN)]
        known = [one for one in isns if one is not None]
        if not known:
            connection.data[side] = b""
            continue
        if len(set(begun)) > 1:
            connection.why = "several beginnings"
            return
        first = begun[0] if begun else min(known, key=lambda one: distance(one, known[0]))
        connection.base[side] = (first + 1) & MASK
        if any(one.has(SYN) and one.payload for one in sent):
            connection.why = "data with a SYN"
            return
        ends = {connection.offset(side, one.seq) + len(one.payload) for one in sent if one.has(FIN)}
        data = _octets(connection, side)
        if isinstance(data, str):
            connection.why = data
            return
        connection.data[side] = data
        connection.closed[side] = ends == {len(data)}


def _octets(connection: Connection, side: int) -> bytes | str:
    """The octets of a direction, or why they can't be told."""
    pieces: set[tuple[int, bytes]] = set()
    for sighting in connection.sightings:
        una: int | None = None
        for _, each, packet in sighting.packets:
            if each != side:
                una = packet.ack if packet.has(ACK) else una
            elif packet.payload and not probe(packet, una) and sighting.fits(packet):
                pieces.add((connection.offset(side, packet.seq), packet.payload))
    return _joined(sorted(pieces))


def _joined(pieces: Iterable[tuple[int, bytes]]) -> bytes | str:
    whole = bytearray()
    for at, piece in pieces:
        if at < 0:
            return "octets before the first"
        if at > len(whole):
            return "a gap"
        both = whole[at : at + len(piece)]
        if both != piece[: len(both)]:
            return "sent again differently"
        whole += piece[len(both) :]
    return bytes(whole)
