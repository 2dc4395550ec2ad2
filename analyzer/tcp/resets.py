"""Resets: which of them end a connection.

Law: a reset counts if its number is the one that its receiver expects next (RFC 5961 §3.2, RFC 9293
§3.10.7.4); elsewhere it is nothing to the receiver, or provokes no more than an ack. Where the
capture stands between the two, what the receiver expects lies anywhere from what it has
acknowledged to what its sender has sent. And whatever its number, a reset after which a side
acknowledges bytes that the other sent later has ended nothing: somebody forged it, or it was lost.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from analyzer import limits
from analyzer.intervals import advance, distance
from analyzer.tcp.waiting import Held, Nexts

# How far ahead of all bytes seen a reset's number may lie, for the capture to have missed those
# between. Hardly any window is larger.
WINDOW = 16 << 20  # bytes


class Number(Enum):
    """Where a reset's number lies."""

    EXACT = auto()  # what the receiver expects next, as far as the capture can tell
    AHEAD = auto()  # in the window: ignored, unless the capture lacks what lies before it
    OUTSIDE = auto()


def number_of(seq: int, *, expected: int | None, furthest: int | None, acked: int | None) -> Number:
    """Where the number `seq` of a reset lies.

    `expected` is what comes next in order of its sender, `furthest` the end of what waits behind a
    hole, `acked` what the receiver has acknowledged; None where that is not known.
    """
    if expected is None:
        return Number.EXACT
    last = expected
    for end in (furthest, acked):
        if end is not None and distance(last, end) > 0:
            last = end
    # Its sender's FIN may not have been captured: it takes one number.
    if distance(seq, last) >= -1:
        return Number.EXACT if acked is None or distance(acked, seq) >= 0 else Number.OUTSIDE
    return Number.AHEAD if distance(last, seq) <= WINDOW else Number.OUTSIDE


@dataclass(slots=True)
class Reset:
    """A reset, and what came after it: `following`, in the order of the capture."""

    side: int
    seq: int
    frame: int
    time: int
    number: Number
    following: list[Held] = field(default_factory=list)
    _bytes: int = 0
    # The end of the first bytes that each side sent after it.
    _sent: list[int | None] = field(default_factory=lambda: [None, None])

    def refuted_by(self, entry: Held, ends: Nexts) -> bool:
        """Whether a later segment (no reset) shows that the connection goes on; it is kept.

        `ends` is where the bytes of each side ended when the reset came.
        """
        size = len(entry.piece)
        if len(self.following) < limits.HELD_SEGMENTS and self._bytes + size <= limits.HELD_BYTES:
            self.following.append(entry)
            self._bytes += size
        side, end = entry.side, advance(entry.seq, entry.wire)
        known = ends[side]
        new = entry.wire > 0 and (known is None or distance(known, end) > 0)
        if self.number is Number.AHEAD and (new or side == self.side):
            return True
        if new and self._sent[side] is None:
            self._sent[side] = end
        answered = self._sent[1 - side]
        return answered is not None and entry.ack >= 0 and distance(answered, entry.ack) >= 0
