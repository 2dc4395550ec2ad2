"""What each endpoint's responses repeat of their requests, as rates; and what one response repeats.

Law: a rate is a share of counted exchanges, and how much a token tells follows from it alone: a
place whose tokens are always repeated tells much when one is missing, one that never is tells
nothing. A value that others have as well tells little when it is there. There is no number of
examples from which on a rule holds: few examples are worth few bits.

Source: the m- and u-probabilities of Fellegi and Sunter (1969); issue 11.
"""

import re
from collections import defaultdict
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
    """The rates of all endpoints, and which exchanges lack what is otherwise repeated.

    Of a segment of the path that all of an endpoint's requests share, which may be a value all the
    same (`/products/red-shoes`), `shared` has the rate at all endpoints that differ in it only.
    """

    rates: dict[int, dict[str, Rate]] = field(default_factory=dict)
    shared: dict[int, dict[str, Rate]] = field(default_factory=dict)
    missed: dict[Position, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        rules: Rules,
        endpoint_of: Sequence[int],
        siblings: Callable[[int, str], str | None],
        shares: Sequence[float],
        judged: Callable[[Position], bool],
        teaches: Callable[[Position], bool],
        known: Mapping[tuple[int, str], Learned] = MappingProxyType({}),
    ) -> "Echoes":
        """Join the rules of each endpoint's routes, and what is `known` already of their places.

        `judged` tells whether an exchange counts: each is judged at one place only, however many
        saw it; and `teaches` whether it is one that is learned from, as all are but those that a
        proxy only handed on. `shares` has for every route how many of its exchanges are, and
        `siblings` says what the endpoints have in common that differ in one name only.
        """
        own: dict[tuple[int, str], _Sum] = defaultdict(_Sum)
        families: dict[tuple[str, str], list[int]] = defaultdict(list)
        for (route, place), rule in rules.items():
            own[int(endpoint_of[route]), place].add(rule, shares[route])
        out = cls()
        for key in known:
            own[key]  # also those of which the capture has no token
        for (endpoint, place), one in sorted(own.items(), key=_by_key):
            before = known.get((endpoint, place))
            one.at = [position for position in one.rule.misses if judged(position)]
            one.rate = one.learn(sum(map(teaches, one.at)), before)
            # What is one and the same for all tells none from another.
            if one.rate.distinct > 1:
                out.rates.setdefault(endpoint, {})[place] = one.rate
                out._note(one.rate, one.at, place)
            family = siblings(endpoint, place)
            if family is not None:
                families[family, place].append(endpoint)
        for (_, place), some in sorted(families.items()):
            for endpoint, rate in _of_siblings({e: own[e, place].rate for e in some}).items():
                out.shared.setdefault(endpoint, {})[place] = rate
                out._note(rate, own[endpoint, place].at, place)
        return out

    def _note(self, rate: Rate, at: list[Position], place: str) -> None:
        """Note which exchanges lack what is mostly repeated."""
        if at and lacking(rate, but=1) >= ODD:
            for position in at:
                self.missed[position] = (*self.missed.get(position, ()), place)

    def rate(self, endpoint: int, place: str) -> Rate | None:
        """The rate of a place; None where nothing is known of it."""
        own = self.rates.get(endpoint, {}).get(place)
        return own if own is not None else self.shared.get(endpoint, {}).get(place)

    def tells(self, endpoint: int, place: str) -> bool:
        """Whether what stands at a place may tell one request from another."""
        return place in self.shared.get(endpoint, ())

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
        rates = (self.rate(endpoint, place) for place in self.missed.get(position, ()))
        return max((lacking(rate, but=1) for rate in rates if rate is not None), default=0.0)


@dataclass(slots=True)
class _Sum:
    """What is known of one place of an endpoint; `at`: which exchanges lack the token."""

    rule: Rule = field(default_factory=Rule)
    asked: float = 0.0  # of those that are learned from
    hits: float = 0.0
    missed: float = 0.0
    at: list[Position] = field(default_factory=list)
    rate: Rate = field(default_factory=Rate)

    def add(self, rule: Rule, share: float) -> None:
        self.rule.add(rule)
        self.asked += rule.asked * share
        self.hits += rule.hits * share
        self.missed += rule.missed * share

    def learn(self, missed: int, before: Learned | None = None) -> Rate:
        """The rate, with what was learned `before`.

        `missed` of those that are learned from are known to lack the token.

        A token that only one side of a proxy has (its own cookie) is lacked by those that it handed
        on: then the share of all that lack it says more.
        """
        asked = round(self.asked)
        if self.rule.dead:
            hits = min(asked, round(self.hits))
        else:
            hits = asked - max(missed, round(self.missed))
        rate = Rate(asked, max(0, hits), self.rule.distinct)
        if before is None:
            return rate
        distinct = max(rate.distinct, before.distinct)
        return Rate(rate.asked + before.asked, rate.hits + before.hits, distinct)


def _of_siblings(rates: dict[int, Rate]) -> dict[int, Rate]:
    """What holds for endpoints that differ in one name only, by what each is known to do.

    Those whose responses repeat it are taken together; one that was asked once only is taken to do
    as most of the others. Of one whose responses seldom do nothing is expected.
    """
    repeating = {e: rate for e, rate in rates.items() if rate.hits and 2 * rate.hits >= rate.asked}
    many = len(rates)
    if many < 2 or not repeating:
        return {}
    asked, hits = (sum(getattr(r, what) for r in repeating.values()) for what in ("asked", "hits"))
    once = {e: Rate(many, len(repeating), many) for e, rate in rates.items() if rate.asked <= 1}
    return once | dict.fromkeys(repeating, Rate(asked, hits, many))


def _by_key(entry: tuple[tuple[int, str], _Sum]) -> tuple[int, str]:
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
