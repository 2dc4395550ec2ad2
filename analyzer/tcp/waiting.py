"""The segments of one connection that wait, by what they wait for.

Law: what is let through is what a look at every waiting segment would let through, and in the same
order; the cost of a segment does not grow with how many wait. A segment waits until its own side
has come to its first byte, and the other side to the last byte that it acknowledges. Both are
thresholds that a side passes once: it never goes back.
"""

from heapq import heapify, heappop, heappush
from typing import NamedTuple

from analyzer.intervals import MASK, distance

Nexts = tuple[int | None, int | None]  # the sequence number that comes next, of each side


class Held(NamedTuple):
    """A segment that waits for others; `ack` is -1 where it has none."""

    side: int
    seq: int
    ack: int
    flags: int
    piece: bytes
    wire: int
    frame: int
    time: int


class Waiting:
    """Segments in the order in which they came; `size` is how many bytes of them are kept."""

    __slots__ = ("_heaps", "_last", "_number", "_passed", "_segments", "_unmet", "size")

    def __init__(self) -> None:
        self.size = 0
        self._number = 0
        self._segments: dict[int, Held] = {}
        self._unmet: dict[int, int] = {}  # how many thresholds each still waits for
        # Thresholds of each side and the segment that waits for each, as positions: bytes from
        # where the side was when the first segment began to wait for it.
        self._heaps: tuple[list[tuple[int, int]], ...] = ([], [])
        self._last: list[int | None] = [None, None]
        self._passed = [0, 0]

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def first(self) -> Held:
        """The segment that has waited longest."""
        return next(iter(self._segments.values()))

    def hold(self, entry: Held, nexts: Nexts) -> None:
        """Let a segment wait that is not ready."""
        self._move(nexts)
        number = self._number
        self._number += 1
        self._segments[number] = entry
        self._unmet[number] = 0
        self.size += len(entry.piece)
        self._await(number, entry.side, entry.seq)
        if entry.ack >= 0:
            self._await(number, 1 - entry.side, entry.ack)

    def ready(self, nexts: Nexts) -> list[int]:
        """The numbers of the segments that have become ready since the last call, ordered."""
        self._move(nexts)
        found: list[int] = []
        for passed, heap in zip(self._passed, self._heaps, strict=True):
            while heap and heap[0][0] <= passed:
                _, number = heappop(heap)
                self._unmet[number] -= 1
                if not self._unmet[number]:
                    found.append(number)
        heapify(found)
        return found

    def take(self, number: int) -> Held:
        """Take out the segment of that number."""
        entry = self._segments.pop(number)
        del self._unmet[number]
        self.size -= len(entry.piece)
        return entry

    def nearest(self, side: int, nexts: Nexts) -> int:
        """How many bytes of `side` are missing before the first threshold of it."""
        self._move(nexts)
        return self._heaps[side][0][0] - self._passed[side]

    def without(self, side: int, nexts: Nexts) -> "Waiting":
        """Those that wait for nothing of `side`."""
        self._move(nexts)
        behind = {number for _, number in self._heaps[side]}
        left = Waiting()
        for number, entry in self._segments.items():
            if number not in behind:
                left.hold(entry, nexts)
        return left

    def _await(self, number: int, side: int, seq: int) -> None:
        last = self._last[side]
        if last is not None and (ahead := distance(last, seq)) > 0:
            heappush(self._heaps[side], (self._passed[side] + ahead, number))
            self._unmet[number] += 1

    def _move(self, nexts: Nexts) -> None:
        """Take note of how far both sides have come."""
        for side, now in enumerate(nexts):
            last = self._last[side]
            if now is None or now == last:
                continue
            self._last[side] = now
            if last is not None:
                self._passed[side] += (now - last) & MASK
                continue
            # Where the side begins has become known: from now on it can be waited for.
            for number, entry in self._segments.items():
                if entry.side != side and entry.ack >= 0:
                    self._await(number, side, entry.ack)
