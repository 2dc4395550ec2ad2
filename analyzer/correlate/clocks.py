"""How far the clocks of the captures are apart, told from packets that two of them saw.

Law: a packet is never at the far vantage before it is at the near one. With a clock b that is
`offset` ahead of a clock a, a request seen first at a gives t_b - t_a >= offset, and a response,
which comes the other way, t_b - t_a <= offset: the least of the one and the greatest of the other
enclose the offset, its middle is the estimate and half its width the bound (the clock filter of
NTP, RFC 5905 section 8, over all exchanges at once). Where no constant fits, both clocks are taken
to run steadily and a line is fitted between the two clouds of points, as widely apart from both as
it can be (Moon, Skelly, Towsley 1999: the convex hull of one-way delays).

Times are ns since 1970. An offset is how far a clock is ahead of the reference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analyzer.tables import Array, Store

MOST_SAMPLES = 200_000  # exchanges that are compared, in all
MOST_PATHS = 256  # between two clocks
MOST_VANTAGES = 32  # of one connection that are compared with each other
STEEPEST = 1e-3  # drift of one clock against another that is looked for at the most
USUAL_DRIFT = 1e-4  # what a clock may drift unseen where samples are few
_ROUNDING = 1_000  # ns by which each time may have been cut off (pcap has microseconds)
_JITTER = 100_000  # ns by which processors of one host may put packets in a wrong order
_TRIMMED = 0.01  # share of the samples that may be taken for copies of different packets
_STEPS = 60  # of a search by thirds: (2/3)**60 of the range is left

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock against the reference clock.

    It is ahead by `offset` ns at its own time `at` (ns since 1970), and gains `drift` ns in each
    ns. The true value lies within `bound` ns of that at any time that was compared. `bound` is None
    where nothing tells: the offset is then taken for 0. `applied` is whether times are corrected
    by it: an offset that may as well be 0 is not.
    """

    offset: int = 0
    bound: int | None = 0
    drift: float = 0.0
    at: int = 0
    applied: bool = False

    def ahead(self, times: Ints) -> Ints:
        """By how much the clock is ahead at its own `times`, in ns."""
        if not self.drift:
            return np.full(len(times), self.offset, dtype=np.int64)
        gained = np.rint((times - self.at) * self.drift).astype(np.int64)
        return np.asarray(gained + self.offset)


REFERENCE = Clock()
UNKNOWN = Clock(bound=None)


class Clocks:
    """The clocks of all interfaces, and times put right by them."""

    def __init__(self, of_interface: list[int], clocks: list[Clock]) -> None:
        self.of_interface = np.array(of_interface, dtype=np.int64)
        self.clocks = clocks
        self._any = any(clock.applied for clock in clocks)

    def of(self, interface: int) -> Clock:
        """The clock of an interface."""
        return self.clocks[int(self.of_interface[interface])]

    def corrected(self, rows: Array, interface: npt.NDArray[Any]) -> Array:
        """`rows` with all their times by the reference clock; `interface` is that of each row.

        A time of 0 means none, and stays. Rows come back as they are where nothing is to correct.
        """
        if not self._any or not len(rows):
            return rows
        clock = self.of_interface[interface]
        rows = rows.copy()
        for number in np.unique(clock).tolist():
            if not self.clocks[number].applied:
                continue
            chosen = clock == number
            for name in rows.dtype.names or ():
                if name.endswith("_time"):
                    times = rows[name][chosen]
                    ahead = self.clocks[number].ahead(times)
                    rows[name][chosen] = np.where(times == 0, 0, times - ahead)
        return rows

    def moment(self, time: int, interface: int) -> int:
        """One time of an interface, by the reference clock."""
        clock = self.of(interface)
        return time - int(clock.ahead(np.array([time]))[0]) if clock.applied else time

    def own(self, time: int, interface: int) -> int:
        """A time by the reference clock as the clock of an interface has it, about to 1 us."""
        clock = self.of(interface)
        if not clock.applied:
            return time
        return time + int(clock.ahead(np.array([time + clock.offset]))[0])

    def bound(self, one: int, two: int) -> int | None:
        """By how much times of two interfaces may be wrong against each other, in ns.

        0 for interfaces of one clock; None where nothing tells how the two clocks compare.
        """
        if self.of_interface[one] == self.of_interface[two]:
            return 0
        first, second = self.of(one).bound, self.of(two).bound
        return None if first is None or second is None else first + second


@dataclass(slots=True)
class Samples:
    """Packets seen by two clocks: when by the first, and how much later by the second, in ns.

    `near` is of packets that went from the first vantage to the second, `far` of the others. The
    law of `near` is a lower limit for each delay, so each value is an upper limit for the offset.
    """

    near_at: Ints
    near: Ints
    far_at: Ints
    far: Ints

    def turned(self) -> "Samples":
        """The same, the vantages being the other way round on the path."""
        return Samples(self.far_at, self.far, self.near_at, self.near)

    def from_second(self) -> "Samples":
        """The same, by the clock of the second vantage."""
        return Samples(self.far_at + self.far, -self.far, self.near_at + self.near, -self.near)


# --- one pair of clocks --------------------------------------------------------------------


def fit(paths: list[Samples]) -> Clock:
    """The second clock against the first, from samples of one or more paths between them.

    On each path it is told from the samples alone which vantage is nearer the client. UNKNOWN where
    packets went one way only, or where no steady clock fits.
    """
    usable = [path for path in paths if len(path.near) and len(path.far)]
    if not usable:
        return UNKNOWN
    middle = int(np.median(np.concatenate([path.near_at for path in usable])))
    base = int(np.median(np.concatenate([path.near for path in usable])))
    turned = [_Limits.of(_better(path, middle, base), middle, base) for path in usable]
    parts = [limits.parts() for limits in turned]
    limits = _Limits(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    for _ in range(3):
        found = _line(limits, middle, base)
        if found is not None:
            return found
        limits = limits.trimmed()
    return UNKNOWN


def _better(path: Samples, middle: int, base: int) -> Samples:
    """`path` in the direction that fits: the one that leaves the wider gap for the offset."""
    turned = path.turned()
    one, two = _Limits.of(path, middle, base), _Limits.of(turned, middle, base)
    gaps = one.gap(0.0), two.gap(0.0)
    if max(gaps) < 0:
        gaps = one.gap(one.steepest()), two.gap(two.steepest())
    if max(gaps) < 0:
        one, two = one.trimmed(), two.trimmed()
        gaps = one.gap(one.steepest()), two.gap(two.steepest())
    return path if gaps[0] >= gaps[1] else turned


@dataclass(slots=True)
class _Limits:
    """Upper limits of the offset and lower ones, each with its time; times from the middle."""

    upper_at: Floats
    upper: Floats
    lower_at: Floats
    lower: Floats

    @staticmethod
    def of(path: Samples, middle: int, base: int) -> "_Limits":
        """The limits that samples set, from `base` and with the rounding of times allowed for."""
        return _Limits(
            (path.near_at - middle).astype(np.float64),
            (path.near - base).astype(np.float64) + _ROUNDING,
            (path.far_at - middle).astype(np.float64),
            (path.far - base).astype(np.float64) - _ROUNDING,
        )

    def parts(self) -> tuple[Floats, Floats, Floats, Floats]:
        """The four arrays."""
        return self.upper_at, self.upper, self.lower_at, self.lower

    def highest(self, drift: float) -> float:
        """The greatest offset at the middle that the upper limits leave, with this drift."""
        return float((self.upper - drift * self.upper_at).min())

    def lowest(self, drift: float) -> float:
        """The least offset at the middle that the lower limits leave, with this drift."""
        return float((self.lower - drift * self.lower_at).max())

    def gap(self, drift: float) -> float:
        """What is left between the two; concave in the drift."""
        return self.highest(drift) - self.lowest(drift)

    def steepest(self) -> float:
        """The drift that leaves the widest gap, 0 if nothing is gained by one."""
        best = _peak(self.gap, -STEEPEST, STEEPEST)
        return best if self.gap(best) > self.gap(0.0) else 0.0

    def trimmed(self) -> "_Limits":
        """Without the few that contradict the others most.

        The first copy of a packet may be missing in a capture: the second one is compared then.
        """
        high = np.quantile(self.upper, _TRIMMED)
        low = np.quantile(self.lower, 1 - _TRIMMED)
        upper, lower = self.upper > high, self.lower < low
        if not upper.any() or not lower.any():
            return self
        return _Limits(
            self.upper_at[upper], self.upper[upper], self.lower_at[lower], self.lower[lower]
        )


def _line(limits: _Limits, middle: int, base: int) -> Clock | None:
    """The clock that the limits leave, or None if they leave none."""
    drift = 0.0
    if limits.gap(0.0) < 0:
        drift = limits.steepest()
        if limits.gap(drift) < 0 and limits.gap(0.0) >= -_JITTER:
            drift = 0.0
    lack = max(0.0, -limits.gap(drift))
    if lack > _JITTER:
        return None
    limits = _Limits(
        limits.upper_at, limits.upper + lack / 2, limits.lower_at, limits.lower - lack / 2
    )
    offset = (limits.highest(drift) + limits.lowest(drift)) / 2
    flattest, steepest = _drifts(limits, drift)
    ends = np.concatenate([limits.upper_at, limits.lower_at])
    bound = 0.0
    zero = True
    for at in (float(ends.min()), float(ends.max())):
        line = offset + drift * at
        high, low = _extremes(limits, at, flattest, steepest)
        bound = max(bound, high - line, line - low)
        zero = zero and low <= -base <= high
    return Clock(
        offset=base + round(offset),
        bound=round(bound),
        # By the second clock's own time, as `at` is.
        drift=drift / (1 + drift),
        at=middle + base + round(offset),
        applied=not zero,
    )


def _drifts(limits: _Limits, best: float) -> tuple[float, float]:
    """The least and the greatest drift that the limits leave, around `best`."""
    widest = USUAL_DRIFT if not best else STEEPEST
    found = []
    for end in (-widest, widest):
        inside, outside = best, end
        if limits.gap(outside) >= 0:
            found.append(outside)
            continue
        for _ in range(_STEPS):
            between = (inside + outside) / 2
            if limits.gap(between) >= 0:
                inside = between
            else:
                outside = between
        found.append(inside)
    return found[0], found[1]


def _extremes(limits: _Limits, at: float, flattest: float, steepest: float) -> tuple[float, float]:
    """The greatest and the least offset at a time, over all lines that the limits leave."""

    def high(drift: float) -> float:
        return limits.highest(drift) + drift * at

    def low(drift: float) -> float:
        return -(limits.lowest(drift) + drift * at)

    return (
        high(_peak(high, flattest, steepest)),
        -low(_peak(low, flattest, steepest)),
    )


def _peak(of: Callable[[float], float], low: float, high: float) -> float:
    """Where a concave function is greatest between two places."""
    for _ in range(_STEPS):
        third = (high - low) / 3
        if of(low + third) < of(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2


# --- all clocks ----------------------------------------------------------------------------


def estimate(exchanges: Store, connections: Array, group: Ints, of_interface: list[int]) -> Clocks:
    """Compare the clocks of all interfaces.

    `connections` are rows of CONNECTIONS in the order of their numbers, `group` has for each the
    number that it shares with its other sightings, `of_interface` the clock of every interface.
    The reference is the clock that saw the most requests.
    """
    clock_of = np.array(of_interface, dtype=np.int64)
    count = int(clock_of.max(initial=-1)) + 1
    clocks = [UNKNOWN] * count
    if not count:
        return Clocks(of_interface, clocks)
    seen = np.bincount(
        clock_of[connections["interface"]], weights=connections["requests"], minlength=count
    )
    reference = int(seen.argmax())
    clocks[reference] = REFERENCE
    pairs = _pairs(exchanges, connections, group, clock_of) if count > 1 else {}
    known = {reference}
    while True:
        # The surest next step from a clock that is known.
        steps: list[tuple[int, int, Clock]] = []
        for (one, two), paths in pairs.items():
            for near, far, samples in (
                (one, two, paths),
                (two, one, [path.from_second() for path in paths]),
            ):
                if near in known and far not in known:
                    found = _through(clocks[near], fit(samples))
                    if found.bound is not None:
                        steps.append((found.bound, far, found))
        if not steps:
            return Clocks(of_interface, clocks)
        _, far, found = min(steps, key=lambda step: step[:2])
        clocks[far] = found
        known.add(far)


def _through(known: Clock, step: Clock) -> Clock:
    """A clock against the reference: `step` is it against a clock that is `known` against it."""
    if step.bound is None or known.bound is None:
        return UNKNOWN
    there = step.at - step.offset - known.at
    return Clock(
        offset=step.offset + known.offset + round(known.drift * there),
        bound=step.bound + known.bound,
        drift=step.drift + known.drift * (1 - step.drift),
        at=step.at,
        applied=step.applied or known.applied,
    )


def _pairs(
    exchanges: Store, connections: Array, group: Ints, clock_of: Ints
) -> dict[tuple[int, int], list[Samples]]:
    """For every two clocks the samples of the paths between them."""
    rows = _sightings(exchanges, connections, group, clock_of)
    found: dict[tuple[int, int], list[Samples]] = {}
    if not len(rows):
        return found
    same = rows[["group", "request_seq", "request_ack"]]
    apart = 1
    columns: list[Array] = []
    while apart < min(len(rows), MOST_VANTAGES):
        # Rows lie side by side by what they are sightings of.
        alike = np.flatnonzero(same[apart:] == same[:-apart])
        if not len(alike):
            break
        columns.append(np.stack([alike, alike + apart], axis=1))
        apart += 1
    if not columns:
        return found
    both = np.concatenate(columns)
    one, two = rows[both[:, 0]], rows[both[:, 1]]
    keep = one["clock"] != two["clock"]
    one, two = one[keep], two[keep]
    kinds = np.stack(
        [one["clock"], two["clock"], one["interface"], two["interface"], one["server"]], axis=1
    )
    keys, which, counts = np.unique(kinds, axis=0, return_inverse=True, return_counts=True)
    which = which.ravel()
    for number in np.argsort(-counts, kind="stable").tolist():
        clocks = int(keys[number, 0]), int(keys[number, 1])
        paths = found.setdefault(clocks, [])
        if len(paths) < MOST_PATHS:
            chosen = which == number
            paths.append(_samples(one[chosen], two[chosen]))
    return found


def _samples(one: Array, two: Array) -> Samples:
    answered = (
        (one["response_time"] != 0)
        & (two["response_time"] != 0)
        & (one["response_seq"] == two["response_seq"])
        & (one["response_ack"] == two["response_ack"])
    )
    back = one["response_time"][answered]
    return Samples(
        one["request_time"],
        two["request_time"] - one["request_time"],
        back,
        two["response_time"][answered] - back,
    )


_COLUMNS = (
    "request_seq",
    "request_ack",
    "request_time",
    "response_seq",
    "response_ack",
    "response_time",
)


def _sightings(exchanges: Store, connections: Array, group: Ints, clock_of: Ints) -> Array:
    """The exchanges that several clocks saw (of very many a part), sorted by what they are."""
    clock = clock_of[connections["interface"]]
    least = np.full(len(group), len(clock_of), dtype=np.int64)
    most = np.full(len(group), -1, dtype=np.int64)
    np.minimum.at(least, group, clock)
    np.maximum.at(most, group, clock)
    several = (least != most)[group]
    total = int(connections["requests"][several].sum())
    every = np.uint64(total // MOST_SAMPLES + 1)
    parts: list[Array] = []
    names = ("group", "clock", "interface", "server", *_COLUMNS)
    kind = np.dtype([(name, np.int64) for name in names])
    for rows, _ in exchanges.chunks():
        # The same exchanges at every vantage, whatever lies around them.
        drawn = rows["request_seq"].astype(np.uint64) * np.uint64(2_654_435_761) >> np.uint64(16)
        chosen = several[rows["connection"]] & (rows["request_frame"] > 0) & (drawn % every == 0)
        picked = rows[chosen]
        part = np.empty(len(picked), dtype=kind)
        number = picked["connection"]
        part["group"] = group[number]
        part["clock"] = clock[number]
        part["interface"] = connections["interface"][number]
        part["server"] = connections["server"][number]
        for name in _COLUMNS:
            part[name] = picked[name]
        parts.append(part)
    whole = np.concatenate(parts) if parts else np.empty(0, dtype=kind)
    order = np.lexsort(
        (
            whole["interface"],
            whole["clock"],
            whole["request_ack"],
            whole["request_seq"],
            whole["group"],
        )
    )
    return np.asarray(whole[order])
