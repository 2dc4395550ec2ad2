"""What each endpoint's responses repeat of their requests, as rates; and what one response repeats.

Law: a rate is a share of counted exchanges, and how much a token tells follows from it alone: a
place whose tokens are always repeated tells much when one is missing, one that never is tells
nothing. A value that others have as well tells little when it is there. There is no number of
examples from which on a rule holds: few examples are worth few bits.

Source: the m- and u-probabilities of Fellegi and Sunter (1969); issue 11.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2
from types import MappingProxyType
from typing import Protocol

from analyzer.features.echoes import Position, Rule, Rules

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
# A place is repeated always or never, hardly now and then: so many responses either way are known
# beforehand (a beta distribution in the form of a U).
EITHER = 0.125
AT_ITS_PLACE = 0.0001  # how likely a token stands by accident just where its endpoint has it
UNLEARNED = 0.5  # how often a token is repeated at a place of which nothing is known
MOST_UNLEARNED = 6.0  # bits that a token at such a place may be worth
ODD = 2.0  # bits from which on a missing token is looked at


@dataclass(frozen=True, slots=True)
class Rate:
    """Of one place of an endpoint's requests: how many had a token, and how many were repeated.

    `distinct` is how many different tokens there were.
    """

    asked: int = 0
    hits: int = 0
    distinct: int = 0

    def repeated(self, *, but: int = 0) -> float:
        """The chance that a response repeats the token, `but` so many of those that don't."""
        asked = max(self.hits, self.asked - but)
        return (self.hits + EITHER) / (asked + 2 * EITHER)


class Learned(Protocol):
    """What was learned of a place before."""

    asked: int
    hits: int

    @property
    def distinct(self) -> int: ...


@dataclass(slots=True)
class Echoes:
    """The rates of all endpoints, and which exchanges lack what is otherwise repeated."""

    rates: dict[int, dict[str, Rate]] = field(default_factory=dict)
    missed: dict[Position, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        rules: Rules,
        endpoint_of: Sequence[int],
        counts: Callable[[int], float],
        known: Mapping[tuple[int, str], Learned] = MappingProxyType({}),
    ) -> "Echoes":
        """Join the rules of each endpoint's routes, and what is `known` already of their places.

        `counts` tells of a connection's number whether its exchanges count: each connection is
        judged at one place only, however many saw it. -1 stands for the share of all that do.
        """
        joined: dict[tuple[int, str], Rule] = defaultdict(Rule)
        hits: Counter[tuple[int, str]] = Counter()
        for (route, place), rule in rules.items():
            key = int(endpoint_of[route]), place
            joined[key].add(rule)
            hits[key] += rule.hits
        share = counts(-1)
        out = cls()
        for key in known:
            joined[key]  # also those of which the capture has no token
        for key, rule in sorted(joined.items(), key=_by_key):
            before = known.get(key)
            if not rule.varies and (before is None or before.distinct < 2):
                continue  # one and the same for all: it tells none from another
            endpoint, place = key
            at = [position for position in rule.misses if counts(position[0])]
            asked = int(rule.asked * share)
            repeated = min(asked, int(hits[key] * share)) if rule.dead else asked - len(at)
            rate = Rate(asked, max(0, repeated), rule.distinct)
            if before is not None:
                rate = Rate(
                    rate.asked + before.asked,
                    rate.hits + before.hits,
                    max(rate.distinct, before.distinct),
                )
            out.rates.setdefault(endpoint, {})[place] = rate
            if at and lacking(rate, but=1) >= ODD:
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

    def is_nameless(self, endpoint: int) -> bool:
        """Whether requests name different things, of which no response repeats any."""
        return bool(self.rates.get(endpoint)) and not any(self.places(endpoint))

    def lacking_bits(self, endpoint: int, position: Position) -> float:
        """How odd it is that the response to the request at `position` lacks what it does."""
        rates = self.rates.get(endpoint, {})
        every = [lacking(rates[p], but=1) for p in self.missed.get(position, ()) if p in rates]
        return max(every, default=0.0)


def _by_key(entry: tuple[tuple[int, str], Rule]) -> tuple[int, str]:
    return entry[0]


def lacking(rate: Rate, *, but: int) -> float:
    """-log2 of how often a response lacks the token of its own request."""
    return -log2(1.0 - rate.repeated(but=but))


def accident(
    token: bytes,
    rate: Rate | None,
    *,
    at_its_place: bool = False,
    share: float = 0.0,
    standing: int = 0,
    texts: int = 0,
) -> float:
    """How likely a token stands in the response to a request that does not name it.

    By what it is made of, unless it is looked for only where its endpoint has it; where responses
    often repeat what others name, by the `share` of requests that name this; and by in how many of
    so many other `texts` it was found `standing`.
    """
    before = AT_ITS_PLACE
    if not at_its_place:
        before = next((chance for pattern, chance in _ACCIDENT if pattern.match(token)), _WORD)
    if rate is not None:
        # A response that does not say what was asked for says something else that is asked for.
        usual = max(share, 1.0 / max(1, rate.distinct))
        before += (1.0 - rate.repeated()) * usual
    return min(0.9, (standing + before * 2.0) / (texts + 2.0))
