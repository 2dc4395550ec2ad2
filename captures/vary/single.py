"""Kept connections split: a connection for each exchange.

Law: only connections on which nothing is odd are split: seen from the handshake on by all who saw
them, every exchange over before the next begins, nothing sent twice, and none of their requests
named in truth. The handshakes and ends of the new ones are copies of the old one's, so every
capture shows them as it would; the clients' ports are free ones.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

from captures.vary.connections import MASK, Connection, Sighting
from captures.vary.packets import ACK, FIN, RST, SYN, Capture, Packet, options
from captures.vary.recording import CLOCKS, Json, Recording, named, seconds, text
from captures.vary.rewrite import Spoken
from captures.vary.wire import EPHEMERAL

GAP = 200  # microseconds that have to be between two exchanges, to close and to open in
STAMPS = 8  # the kind of the timestamps option (RFC 7323)


@dataclass(slots=True)
class Turn:
    """An exchange: where its request and answer begin and end, and the packets of a sighting."""

    begins: tuple[int, int]
    ends: tuple[int, int]
    packets: list[tuple[int, Packet]] = field(default_factory=list)

    @property
    def first(self) -> int:
        """When its request begins."""
        return min(one.time for side, one in self.packets if side == 0 and one.payload)

    @property
    def last(self) -> int:
        """When the last of it was seen."""
        return max(one.time for _, one in self.packets)


def split(recording: Recording) -> None:
    """Split every connection of a recording that can be."""
    used = {
        end[1]
        for each in recording.captures
        for one in each.packets
        for end in (one.source, one.to)
    }
    free = (port for port in EPHEMERAL if port not in used)
    planted = {
        (one[name]["method"], one[name]["target"])
        for one in (*recording.truth["planted"], *recording.truth["tolerated"])
        for name in ("request", "owner")
        if one.get(name)
    }
    fresh: list[list[Packet]] = [[] for _ in recording.captures]
    moved: dict[int, str] = {}
    for said in recording.spoken:
        rows = _rows(recording, said.connection)
        if rows is None or named(recording, said.connection) or not _plain(said):
            continue
        names = _names(said)
        if rows and [(one["method"], one["target"]) for one in rows] != names:
            continue
        if not rows and planted & set(names):
            continue
        sightings = [(one, _turns(said, one)) for one in said.connection.sightings]
        if not all(turns is not None and _ordinary(said, turns) for _, turns in sightings):
            continue
        ports = list(islice(free, len(names) - 1))
        if len(ports) < len(names) - 1:
            break
        for sighting, turns in sightings:
            assert turns is not None
            made = _split(said, sighting, turns, ports)
            fresh[sighting.packets[0][0]] += made
        for row, port in zip(rows[1:], ports, strict=False):
            moved[id(row)] = f"{row['client'].partition(':')[0]}:{port}"
        recording.notes["split"] += 1
        recording.notes["connections made"] += len(ports)
    for capture, made in zip(recording.captures, fresh, strict=True):
        _insert(capture, made)
    for row in recording.truth.get("log", ()):
        row["client"] = moved.get(id(row), row["client"])
    recording.forget()


def _rows(recording: Recording, connection: Connection) -> list[Json] | None:
    """The rows of truth's log for a connection, in order; None if those can't be told apart."""
    first, last = (time / 1e6 for time in connection.times)
    ends = {text(one) for one in connection.clients}
    rows = [one for one in recording.truth.get("log", ()) if one["client"] in ends]
    near = [one for one in rows if first - CLOCKS <= seconds(one["time"]) <= last + CLOCKS]
    return sorted(near, key=lambda one: seconds(one["time"])) if len(near) == len(rows) else None


def _names(said: Spoken) -> list[tuple[str, str]]:
    return [
        (one.message.method.decode("latin-1"), one.message.target.decode("latin-1"))
        for one in said.parts[0]
        if one.message
    ]


def _plain(said: Spoken) -> bool:
    """Whether all of it are whole exchanges, two at least, from the handshake on."""
    asked, given = said.parts
    return (
        len(asked) == len(given) >= 2
        and all(one.message and one.message.framing != "raw" for one in (*asked, *given))
        and all(one.message and one.message.status >= 200 for one in given)
        and all(
            one.handshake and len({capture for capture, _, _ in one.packets}) == 1
            for one in said.connection.sightings
        )
    )


def _turns(said: Spoken, sighting: Sighting) -> list[Turn] | None:
    """The packets of a sighting by exchange; None if one is of none of them."""
    turns = [
        Turn((one.start, other.start), (one.end, other.end))
        for one, other in zip(*said.parts)  # noqa: B905
    ]
    asked = [one.begins[0] for one in turns]
    given = [one.begins[1] for one in turns]
    for _, side, packet in sighting.packets:
        number = said.connection.offset(side, packet.seq)
        if packet.payload:
            at = bisect_right((asked, given)[side], number) - 1
        elif side == 0:
            at = max(0, bisect_left(asked, number) - 1)
        else:
            back = said.connection.offset(0, packet.ack)
            at = max(0, bisect_left(asked, back) - 1)
        if at < 0 or (packet.payload and number + len(packet.payload) > turns[at].ends[side]):
            return None
        turns[at].packets.append((side, packet))
    return turns


def _ordinary(said: Spoken, turns: Sequence[Turn]) -> bool:
    """Whether everything came in order and once, and each exchange after the one before."""
    top: dict[tuple[bytes, int], int] = {}
    for turn in turns:
        both = {side for side, one in turn.packets if one.payload}
        if both != {0, 1}:
            return False
        for side, packet in turn.packets:
            if packet.payload:
                place = (packet.link, side)
                if said.connection.offset(side, packet.seq) != top.get(place, 0):
                    return False
                top[place] = said.connection.offset(side, packet.seq) + len(packet.payload)
            elif (packet.flags & (FIN | RST) and turn is not turns[-1]) or (
                packet.has(SYN) and turn is not turns[0]
            ):
                return False
        asked = [one.time for side, one in turn.packets if side == 0 and one.payload]
        given = [one.time for side, one in turn.packets if side == 1 and one.payload]
        if max(asked) > min(given):
            return False
    return all(before.last + GAP < turn.first for before, turn in pairwise(turns))


def _split(
    said: Spoken, sighting: Sighting, turns: Sequence[Turn], ports: Sequence[int]
) -> list[Packet]:
    """Give the exchanges after the first their ports, and return what has to be added."""
    opened = [(side, one) for side, one in turns[0].packets if _opens(said, side, one)]
    begun = turns[0].first
    opening = [(side, one, max(0, begun - one.time)) for side, one in opened]
    ways = tuple([one for side, one in opened if side == each and one.has(SYN)] for each in (0, 1))
    made: list[Packet] = []
    for number, turn in enumerate(turns):
        port = ports[number - 1] if number else sighting.ends[0][1]
        if number:
            _open(said, turn, turns[number - 1].last, opening, port, made)
        if turn is not turns[-1]:
            _close(said, turn, turns[number + 1].first, ways, port, made)
        for side, packet in turn.packets if number else ():
            _ported(packet, side, port)
    return made


def _opens(said: Spoken, side: int, packet: Packet) -> bool:
    """Whether a packet is of the handshake."""
    if packet.has(SYN):
        return True
    offsets = said.connection.offset(0, packet.seq), said.connection.offset(1, packet.ack)
    return side == 0 and not packet.payload and offsets == (0, 0)


def _open(
    said: Spoken,
    turn: Turn,
    before: int,
    opening: Sequence[tuple[int, Packet, int]],
    port: int,
    made: list[Packet],
) -> None:
    """The handshake once more, as long before the request, if there is so much time."""
    longest = max(early for _, _, early in opening)
    half = (turn.first - before) // 2
    for side, packet, early in opening:
        early = early if longest <= half else early * half // longest
        numbers = [(said.connection.base[way] + turn.begins[way]) & MASK for way in (0, 1)]
        syn = packet.has(SYN)
        one = packet.but(
            time=turn.first - early,
            seq=(numbers[side] - syn) & MASK,
            ack=numbers[1 - side] if packet.has(ACK) else 0,
        )
        one.options = _stamped(one, turn, side, echo=packet.has(ACK))
        _ported(one, side, port)
        made.append(one)


def _close(
    said: Spoken,
    turn: Turn,
    after: int,
    ways: tuple[list[Packet], ...],
    port: int,
    made: list[Packet],
) -> None:
    """The client ends, the server too, and that is acknowledged."""
    steps = [(0, FIN | ACK, 0, 0), (1, FIN | ACK, 0, 1), (0, ACK, 1, 1)]
    many = sum(len(ways[side]) for side, *_ in steps)
    pace = max(1, min(40, (after - turn.last) // 2 // (many + 1)))
    time = turn.last
    for side, flags, sent, got in steps:
        like = [one for way, one in turn.packets if way == side and not one.has(SYN)][-1]
        for packet in ways[side]:
            time += pace
            one = packet.but(
                time=time,
                seq=(said.connection.base[side] + turn.ends[side] + sent) & MASK,
                ack=(said.connection.base[1 - side] + turn.ends[1 - side] + got) & MASK,
                flags=flags,
                window=like.window,
                options=like.options,
            )
            one.options = _stamped(one, turn, side, echo=True)
            _ported(one, side, port)
            made.append(one)


def _stamped(packet: Packet, turn: Turn, side: int, echo: bool) -> bytes:
    """The options with the timestamps of this exchange."""
    changed = bytearray(packet.options)
    for kind, start, end in options(packet):
        if kind == STAMPS and end - start == 8:
            mine, theirs = (_stamp(turn, way) for way in (side, 1 - side))
            changed[start:end] = struct.pack("!II", mine, theirs if echo else 0)
    return bytes(changed)


def _stamp(turn: Turn, side: int) -> int:
    for way, packet in turn.packets:
        for kind, start, _ in options(packet) if way == side and packet.payload else ():
            if kind == STAMPS:
                return int.from_bytes(packet.options[start : start + 4], "big")
    return 0


def _ported(packet: Packet, side: int, port: int) -> None:
    packet.original = b""
    if side == 0:
        packet.source = packet.source[0], port
    else:
        packet.to = packet.to[0], port


def _insert(capture: Capture, made: Sequence[Packet]) -> None:
    """Put packets in at their times."""
    waiting = sorted(made, key=lambda one: one.time)
    out: list[Packet] = []
    at = 0
    for packet in capture.packets:
        while at < len(waiting) and waiting[at].time <= packet.time:
            out.append(waiting[at])
            at += 1
        out.append(packet)
    capture.packets = out + waiting[at:]
