"""How often things go wrong here, and how long they take: base rates of the capture.

Law: sums over all exchanges as they were served, and a little known beforehand (one request in a
thousand is left without a response), so that few examples say little and many say what they are.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, log2
from types import MappingProxyType
from typing import Protocol

import numpy as np
import numpy.typing as npt

from analyzer.correlate.view import ERROR, Tables, failed
from analyzer.tables import Array, Flag, Outcome

# Known before anything is seen: of so many requests so many are left without a response.
REQUESTS, LEFT = 100.0, 0.1
OCTAVES = 64  # of waiting times in ns, each twice as long as the one before
PLAUSIBLE = 20.0  # octaves in which waiting times lie where nothing is known
MOST_AT_ONCE = 6.0  # bits that it may be worth that two requests were under way together
SPREAD = (1.0, 2.0, 3.0, 2.0, 1.0)  # how a time counts for the octaves around its own

_REQUEST_OPEN, _HEAD_ALONE = int(Flag.REQUEST_OPEN), int(Flag.HEAD_ALONE)


class Learned(Protocol):
    """What was learned of an endpoint before."""

    requests: int
    left: int
    failed: int
    waiting: int
    waits: Counter[int]


@dataclass(slots=True)
class Rates:
    """Base rates; an endpoint is a number of `Tables.names`."""

    requests: Counter[int] = field(default_factory=Counter)  # by endpoint
    # Connections on which a request was left without a response: all of one are one misfortune.
    left: Counter[int] = field(default_factory=Counter)
    shares: float = 0.0  # of each endpoint left so, in all
    failures: Counter[int] = field(default_factory=Counter)  # by endpoint: see `view.failed`
    failed_shares: float = 0.0  # of each endpoint, in all
    waits: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict)
    waiting: Counter[int] = field(default_factory=Counter)  # ns that its requests waited, in all
    span: int = 0  # ns from the first to the last request
    _anybody: npt.NDArray[np.float64] | None = None  # waits of all endpoints, once they are known

    @classmethod
    def of(
        cls, tables: Tables, usual: Mapping[int, Learned] = MappingProxyType({}), span: int = 0
    ) -> "Rates":
        """Count all exchanges, each once as it was served, with what is `usual` already by
        endpoint, of so long a `span` (ns).
        """
        out = cls()
        first, last = 1 << 62, 0
        left = np.empty(0, dtype=np.int64)
        for rows, _ in tables.served():
            left = np.union1d(left, out._add(tables, rows))
            times = rows["request_time"][rows["request_frame"] > 0]
            if len(times):
                first, last = min(first, int(times.min())), max(last, int(times.max()))
        out.span = max(0, last - first) + span
        _count(out.left, left >> 32)
        for number, known in usual.items():
            out._learn(number, known)
        out.shares = sum(out.left[e] / n for e, n in out.requests.items() if n)
        out.failed_shares = sum(out.failures[e] / n for e, n in out.requests.items() if n)
        return out

    def _learn(self, number: int, known: Learned) -> None:
        """Add what was learned of an endpoint."""
        self.requests[number] += known.requests
        self.left[number] += known.left
        self.failures[number] += known.failed
        self.waiting[number] += known.waiting
        if known.waits:
            bins = self.waits.setdefault(number, np.zeros(OCTAVES))
            for place, count in known.waits.items():
                bins[place] += count

    def _add(self, tables: Tables, rows: Array) -> npt.NDArray[np.int64]:
        """Count these; returns endpoint and connection of those without a response, as one."""
        endpoint = tables.endpoint_of[rows["route"]]
        asked = rows["request_frame"] > 0
        _count(self.requests, endpoint[asked])
        _count(self.failures, endpoint[asked & failed(rows)])
        left = asked & (
            (rows["outcome"] == Outcome.UNANSWERED) | (rows["flags"] & _HEAD_ALONE != 0)
        )
        left &= rows["flags"] & _REQUEST_OPEN == 0
        answered = asked & (rows["outcome"] == Outcome.ANSWERED) & (rows["status"] < ERROR)
        wait = np.maximum(rows["response_time"] - rows["request_time"], 1)[answered]
        total = np.bincount(endpoint[answered], wait)
        self.waiting.update({int(n): int(total[n]) for n in np.flatnonzero(total)})
        code = endpoint[answered] * OCTAVES + octave(wait)
        for value, count in zip(*np.unique(code, return_counts=True), strict=True):
            number, place = divmod(int(value), OCTAVES)
            bins = self.waits.setdefault(number, np.zeros(OCTAVES))
            bins[place] += int(count)
        lost: npt.NDArray[np.int64] = endpoint[left] << 32 | rows["connection"][left]
        return np.unique(lost)

    def unserved(self, endpoint: int) -> float:
        """-log2 of how often a request of the endpoint is left without a response, but this one."""
        return self._seldom(endpoint, self.left, self.shares)

    def failed(self, endpoint: int) -> float:
        """-log2 of how often a request of the endpoint is told that it failed, but this one."""
        return self._seldom(endpoint, self.failures, self.failed_shares)

    def asked_in(self, time: int) -> float:
        """How many requests there are in so much time (ns), as busy as the capture is."""
        return self.requests.total() * time / max(1, self.span)

    def _seldom(self, endpoint: int, left: Counter[int], shares: float) -> float:
        every = self.requests.total()
        share = (max(0, left.total() - 1) + LEFT) / (max(0, every - 1) + REQUESTS)
        # One endpoint that hangs all the time says little of the others.
        asked = self.requests[endpoint]
        others = len(self.requests) - (asked > 0)
        if others:
            rest = shares - (left[endpoint] / asked if asked else 0.0)
            share = min(share, (max(0.0, rest) + LEFT) / (others + 1.0))
        own = max(0, left[endpoint] - 1), max(0, asked - 1)
        # That none of so many of its own was left says little where hardly any of all were.
        return -log2((own[0] + LEFT) / (own[1] + LEFT / share))

    def usual_wait(self, endpoint: int) -> float:
        """The time in ns that half of the endpoint's answered requests waited; 0 if unknown."""
        bins = self.waits.get(endpoint)
        if bins is None:
            return 0.0
        return float(2.0 ** int(np.searchsorted(np.cumsum(bins), bins.sum() / 2)))

    def waited(self, endpoint: int, wait: int) -> float:
        """log2 of how much likelier such a wait (ns) is for the endpoint than for any request."""
        bins = self.waits.get(endpoint)
        if bins is None or wait <= 0:
            return 0.0
        place = int(octave(np.array([wait]))[0])
        if self._anybody is None:
            self._anybody = sum(self.waits.values(), np.zeros(OCTAVES))
        every = self._anybody
        anybody = (_near(every, place) + 1.0 / PLAUSIBLE) / (float(every.sum()) + 1.0)
        likely = (_near(bins, place) + 1.0 / PLAUSIBLE) / (float(bins.sum()) + 1.0)
        # A response may come at any time after another request, and often does when others do.
        return log2(likely / (0.5 * anybody + 0.5 / PLAUSIBLE))

    def at_once(self, endpoint: int) -> float:
        """-log2 of how often one of the endpoint's requests is under way at any moment."""
        under_way = self.waiting[endpoint] / max(1, self.span)
        return -log2(max(2.0**-MOST_AT_ONCE, 1.0 - exp(-under_way)))


def _near(bins: npt.NDArray[np.float64], place: int) -> float:
    """How many waits there are in an octave, those beside it counted less."""
    near = bins[max(0, place - 2) : place + 3]
    spread = np.array(SPREAD)[max(0, 2 - place) :][: len(near)] / sum(SPREAD)
    return float((near * spread).sum())


def octave(wait: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """In which octave of a nanosecond a time lies."""
    return np.minimum(np.log2(np.maximum(wait, 1)).astype(np.int64), OCTAVES - 1)


def _count(counter: Counter[int], values: npt.NDArray[np.int64]) -> None:
    for value, count in zip(*np.unique(values, return_counts=True), strict=True):
        counter[int(value)] += int(count)
