"""IP fragments put together (RFC 791 §3.2, RFC 8200 §4.5), in bounded memory and time.

Law: the first copy of a byte wins; overlaps are anomalies. A packet is whole with the fragment
that completes it, as Wireshark has it; what is incomplete after PATIENCE of capture time, at the
end of the capture or beyond the limits is let go and counted.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from analyzer.anomalies import Anomalies, Fates

PATIENCE = 30_000_000_000  # ns, as Linux waits (net.ipv4.ipfrag_time)
MOST_PACKETS = 4_096  # incomplete ones at a time
MOST_BYTES = 16 << 20  # of them together
MOST_PIECES = 1_024  # of one packet; 64 KiB over links of 576 bytes are 119
LONGEST = 65_515  # bytes of a packet's fragments together, so that an IPv4 header fits before them

Key = tuple[object, ...]


class Fragment(NamedTuple):
    """One fragment. `key` names its packet, `header` is its IP header as without fragmentation.

    `data` is what was captured of its `wire` bytes, `offset` where they belong in the packet;
    `last` says that none follow; `headers` is how many headers came before its data.
    """

    key: Key
    header: bytes
    offset: int
    wire: int
    last: bool
    data: bytes
    scope: int
    headers: int


class Part(NamedTuple):
    """A frame with a fragment in it, as it was captured; `local` is its interface in the file."""

    number: int
    local: int
    time: int  # ns since 1970
    wire: int
    data: bytes


class Whole(NamedTuple):
    """A packet put together: its header, what was captured of its beginning, its length.

    `parts` are the frames that it came in, where they are kept.
    """

    header: bytes
    data: bytes
    wire: int
    scope: int
    headers: int
    parts: tuple[Part, ...] = ()


@dataclass(slots=True)
class _Packet:
    """What has come of one packet: pieces that don't overlap, in order of their place."""

    since: int  # ns since 1970
    header: bytes = b""
    length: int | None = None
    starts: list[int] = field(default_factory=list)
    pieces: list[tuple[int, bytes]] = field(default_factory=list)  # length on the wire, captured
    covered: int = 0
    held: int = 0  # bytes
    frames: int = 0
    parts: list[Part] = field(default_factory=list)


class Fragments:
    """The packets of a capture that are not whole yet."""

    def __init__(self, fates: Fates, anomalies: Anomalies) -> None:
        self._fates = fates
        self._anomalies = anomalies
        self._packets: dict[Key, _Packet] = {}
        self._bytes = 0
        self._kept = 0  # bytes of parts

    def add(
        self, fragment: Fragment, key: Key, time: int, parts: Sequence[Part] = ()
    ) -> Whole | None:
        """Take a fragment seen at `time` (ns since 1970); the packet when it is whole with it.

        `key` is the fragment's own, and where it was seen. A frame that is kept waiting is counted
        when its packet is whole, or let go. `parts` are the frames that it came in, to be kept with
        the packet; there is room for as many bytes of them as of packets.
        """
        self._expire(time)
        packet = self._packets.get(key)
        if packet is None:
            packet = self._packets[key] = _Packet(time)
        self._insert(packet, fragment)
        if packet.length is None or packet.covered < packet.length:
            packet.frames += 1
            size = sum(len(part.data) for part in parts)
            if self._kept + size <= MOST_BYTES:
                packet.parts += parts
                self._kept += size
            if len(packet.pieces) > MOST_PIECES:
                self._refuse(key)
            while len(self._packets) > MOST_PACKETS or self._bytes > MOST_BYTES:
                self._refuse(next(iter(self._packets)))
            return None
        self._forget(key)
        self._fates.count("ip-fragment", packet.frames)
        header = packet.header or fragment.header
        whole = Whole(header, _beginning(packet), packet.length, fragment.scope, fragment.headers)
        return whole._replace(parts=(*packet.parts, *parts)) if parts else whole

    def finish(self) -> None:
        """The capture is over."""
        for key in list(self._packets):
            self._drop(key)

    def _expire(self, now: int) -> None:
        # In the order in which they began; times that run backwards only make them wait longer.
        while self._packets:
            key, packet = next(iter(self._packets.items()))
            if now - packet.since <= PATIENCE:
                return
            self._drop(key)

    def _refuse(self, key: Key) -> None:
        self._anomalies.count("fragments-limit")
        self._drop(key)

    def _drop(self, key: Key) -> None:
        packet = self._forget(key)
        self._fates.count("ip-fragment-incomplete", packet.frames)

    def _forget(self, key: Key) -> _Packet:
        packet = self._packets.pop(key)
        self._bytes -= packet.held
        self._kept -= sum(len(part.data) for part in packet.parts)
        return packet

    def _insert(self, packet: _Packet, fragment: Fragment) -> None:
        """Put the bytes that are new in their place."""
        if not fragment.offset and not packet.header:
            packet.header = fragment.header
        at, end = fragment.offset, fragment.offset + fragment.wire
        if fragment.last:
            if packet.length is None:
                packet.length = end
            elif packet.length != end:
                self._anomalies.count("fragments-overlap")
        if packet.length is not None:
            # What lies beyond the end is no part of it.
            end = min(end, packet.length)
            self._cut(packet, packet.length)
        if self._repeats(packet, fragment):
            return
        overlaps = False
        index = bisect_left(packet.starts, at)
        if index and packet.starts[index - 1] + packet.pieces[index - 1][0] > at:
            index -= 1
        while at < end:
            known = packet.starts[index] if index < len(packet.starts) else end
            if known <= at:
                overlaps = True
                at = max(at, known + packet.pieces[index][0])
                index += 1
                continue
            until = min(known, end)
            first = at - fragment.offset
            data = fragment.data[first : first + until - at]
            packet.starts.insert(index, at)
            packet.pieces.insert(index, (until - at, data))
            packet.covered += until - at
            packet.held += len(data)
            self._bytes += len(data)
            index += 1
            at = until
        if overlaps:
            self._anomalies.count("fragments-overlap")

    @staticmethod
    def _repeats(packet: _Packet, fragment: Fragment) -> bool:
        """Whether the very same fragment has come before."""
        index = bisect_left(packet.starts, fragment.offset)
        if index == len(packet.starts) or packet.starts[index] != fragment.offset:
            return False
        return packet.pieces[index] == (fragment.wire, fragment.data)

    def _cut(self, packet: _Packet, length: int) -> None:
        """Let go of what lies beyond the end of the packet."""
        while packet.starts and packet.starts[-1] + packet.pieces[-1][0] > length:
            start, (wire, data) = packet.starts.pop(), packet.pieces.pop()
            kept = max(0, length - start)
            packet.covered -= wire
            packet.held -= len(data)
            self._bytes -= len(data)
            if kept:
                data = data[:kept]
                packet.starts.append(start)
                packet.pieces.append((kept, data))
                packet.covered += kept
                packet.held += len(data)
                self._bytes += len(data)
            self._anomalies.count("fragments-overlap")


def _beginning(packet: _Packet) -> bytes:
    """What was captured of a whole packet, up to the first byte that was not."""
    parts: list[bytes] = []
    for wire, data in packet.pieces:
        parts.append(data)
        if len(data) < wire:
            break
    return b"".join(parts)
