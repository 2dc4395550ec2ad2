"""What each endpoint's responses repeat of their requests, as rates; and what one response repeats.

Law: a rate is a share of counted exchanges, and how much a token tells follows from it alone: a
place whose tokens are always repeated tells much when one is missing, one that never is tells
nothing. A value that others have as well tells little when it is there. There is no number of
examples from which on a rule holds: few examples are worth few bits.

Source: the m- and u-probabilities of Fellegi and Sunter (1969); issue 11.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import log2

from analyzer.echoes import Position, Rules

# How likely a token stands in a text by accident, by what it is made of; the first that fits.
_ACCIDENT: tuple[tuple[re.Pattern[bytes], float], ...] = (
    (re.compile(rb"\d{1,2}\Z"), 0.3),
    (re.compile(rb"\d{3}\Z"), 0.03),
    (re.compile(rb"\d{4}\Z"), 0.01),
    (re.compile(rb"\d{5,6}\Z"), 0.002),
    (re.compile(rb"(?=.*\d).{12,}\Z", re.S), 0.0001),
    (re.compile(rb"(?=.*\d).{4,}\Z", re.S), 0.001),
    (re.compile(rb".{16,}\Z", re.S), 0.005),
)
_WORD = 0.05  # any other
UNLEARNED = 0.5  # how often a token is repeated at a place of which nothing is known
MOST_UNLEARNED = 6.0  # bits that a token at such a place may be worth
ODD = 2.0  # bits from which on a missing token is looked at


@dataclass(frozen=True, slots=True)
class Rate:
    """Of one place of an endpoint's requests: how many had a token, how many were not repeated.

    `missed` is None where there were too many to be counted.
    """

    asked: int = 0
    missed: int | None = 0

    def repeated(self, *, but: int = 0) -> float:
        """The chance that a response repeats the token, `but` so many of those that don't."""
        if self.missed is None:
            return UNLEARNED / 4
        missed = max(0, self.missed - but)
        asked = max(missed, self.asked - but)
        return (asked - missed + 0.5) / (asked + 1.0)


@dataclass(slots=True)
class Echoes:
    """The rates of all endpoints, and which exchanges lack what is otherwise repeated."""

    rates: dict[int, dict[str, Rate]] = field(default_factory=dict)
    missed: dict[Position, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, rules: Rules, endpoint_of: Sequence[int], counts: Callable[[int], float]
    ) -> "Echoes":
        """Join the rules of each endpoint's routes.

        `counts` tells of a connection's number whether its exchanges count: each connection is
        judged at one place only, however many saw it. -1 stands for the share of all that do.
        """
        asked: dict[tuple[int, str], int] = defaultdict(int)
        missed: dict[tuple[int, str], list[Position]] = defaultdict(list)
        values: dict[tuple[int, str], set[bytes]] = defaultdict(set)
        many: set[tuple[int, str]] = set()
        varies: set[tuple[int, str]] = set()
        for (route, place), rule in sorted(rules.items()):
            key = int(endpoint_of[route]), place
            asked[key] += rule.asked
            missed[key] += rule.misses
            values[key].add(rule.first)
            if rule.varies:
                varies.add(key)
            if rule.dead:
                many.add(key)
        share = counts(-1)
        out = cls()
        for key, number in asked.items():
            if key not in varies and len(values[key]) < 2:
                continue  # one and the same for all: it tells none from another
            endpoint, place = key
            at = [position for position in missed[key] if counts(position[0])]
            rate = Rate(int(number * share), None if key in many else len(at))
            out.rates.setdefault(endpoint, {})[place] = rate
            if rate.missed and lacking(rate, but=1) >= ODD:
                for position in at:
                    out.missed[position] = (*out.missed.get(position, ()), place)
        return out

    def rate(self, endpoint: int, place: str) -> Rate | None:
        """The rate of a place; None where nothing is known of it."""
        return self.rates.get(endpoint, {}).get(place)

    def places(self, endpoint: int) -> Iterator[str]:
        """The places of an endpoint whose tokens its responses mostly repeat."""
        for place, rate in self.rates.get(endpoint, {}).items():
            if rate.repeated() > UNLEARNED:
                yield place

    def lacking_bits(self, endpoint: int, position: Position) -> float:
        """How odd it is that the response to the request at `position` lacks what it does."""
        rates = self.rates.get(endpoint, {})
        every = [lacking(rates[p], but=1) for p in self.missed.get(position, ()) if p in rates]
        return max(every, default=0.0)


def lacking(rate: Rate, *, but: int) -> float:
    """-log2 of how often a response lacks the token of its own request."""
    return -log2(1.0 - rate.repeated(but=but))


def accident(token: bytes, *, standing: int = 0, texts: int = 0) -> float:
    """How likely a token stands in the response to a request that does not name it.

    `standing` is in how many of so many other `texts` it was found.
    """
    before = next((rate for pattern, rate in _ACCIDENT if pattern.match(token)), _WORD)
    return min(0.9, (standing + before * 2.0) / (texts + 2.0))
