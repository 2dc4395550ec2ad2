"""A log's clock against the wire's, by causality.

Law: a server cannot have a request before the wire does, nor answer it before it has it; a client
cannot send one after the wire has it, nor have the answer before the wire. Each pair of row and
exchange so bounds how far the log's clock is ahead. The bounds of all pairs are intersected in the
order of time; where they contradict each other the clock drifted, or was set, and a new stretch
begins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from analyzer.logs.model import LogRow, Moment, Side

INFINITE = 1 << 62
QUARTER = 900_000_000_000  # ns: all zones are whole quarters of an hour from UTC


@dataclass(frozen=True, slots=True)
class Bound:
    """From `low` to `high` ns the log's clock is ahead of the wire's at `time`."""

    time: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """While one bound holds: from when to when (ns, by the wire), of how many pairs."""

    since: int
    until: int
    low: int
    high: int
    pairs: int

    @property
    def width(self) -> int | None:
        """How well it is known, in ns; None where one side is open."""
        open_ = self.low <= -INFINITE or self.high >= INFINITE
        return None if open_ else self.high - self.low


@dataclass(frozen=True, slots=True)
class Clock:
    """A log's clock: the stretches, and the zone where the log does not say it.

    `zone` in ns east of UTC is already taken off the stretches; None where the log says it, or
    nothing tells.
    """

    stretches: tuple[Stretch, ...] = ()
    zone: int | None = None
    low: int = -INFINITE  # the least that it may be ahead at any time, in ns, the zone included
    high: int = INFINITE  # the most

    def allows(self, bound: Bound) -> bool:
        """Whether a pair can be one by the clock."""
        return bound.low <= self.high and self.low <= bound.high


def bound(row: LogRow, side: Side, asked: int, came: int, ended: int) -> Bound | None:
    """What a pair says of the clock; times of the wire in ns, 0 where there is none."""
    if row.time is None:
        return None
    low, high = -INFINITE, INFINITE
    start = row.start
    if side is Side.SERVER:
        high = row.time + row.resolution - asked
        if start is not None:
            high = min(high, start + row.resolution + row.slack - asked)
            if came and row.status is not None:
                low = start - row.slack - came
    else:
        if start is not None:
            low = start - row.slack - asked
        if row.moment is Moment.END and row.status is not None and ended:
            high = row.time + row.resolution - ended
        elif row.moment is Moment.START and row.duration is not None and row.status and ended:
            high = row.time + row.duration + row.resolution + row.duration_unit - ended
    return None if low <= -INFINITE and high >= INFINITE else Bound(asked, low, high)


def settle(bounds: Iterable[Bound], *, zoned: bool) -> Clock:
    """The clock that bounds make; pairs that no other one agrees with are left aside."""
    stretches = list(_stretches(sorted(bounds, key=lambda b: b.time)))
    if not stretches:
        return Clock()
    # Between two pairs it may have moved as far as it was ever seen to move.
    moves = (max(b.low - a.high, a.low - b.high) for a, b in pairwise(stretches))
    moved = max(moves, default=0)
    low, high = min(s.low for s in stretches) - moved, max(s.high for s in stretches) + moved
    most = max(s.pairs for s in stretches)
    # One pair alone may be a wrong one, wherever another stretch has more behind it.
    kept = tuple(s for s in stretches if s.pairs > 1 or most == 1)
    longest = max(kept, key=lambda s: (s.width is not None, s.pairs))
    if zoned or longest.width is None:
        return Clock(kept, None, low, high)
    zone = round((longest.low + longest.high) / 2 / QUARTER) * QUARTER
    by_zone = (replace(s, low=s.low - zone, high=s.high - zone) for s in kept)
    return Clock(tuple(by_zone), zone, low, high)


def _stretches(bounds: Sequence[Bound]) -> Iterable[Stretch]:
    if not bounds:
        return
    low, high, since, until, pairs = -INFINITE, INFINITE, bounds[0].time, 0, 0
    for one in bounds:
        if pairs and (max(low, one.low) > min(high, one.high)):
            yield Stretch(since, until, low, high, pairs)
            low, high, since, pairs = -INFINITE, INFINITE, one.time, 0
        low, high = max(low, one.low), min(high, one.high)
        until, pairs = one.time, pairs + 1
    yield Stretch(since, until, low, high, pairs)
