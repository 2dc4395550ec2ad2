"""The same bytes again: to whom an endpoint gives one answer twice, and to whom at one time.

Law: sums over the exchanges, whatever their order. Where an endpoint gives the same request the
same bytes each time, and others other bytes, the bytes say whose they are, though nothing in them
names a request. Where two different requests that were under way together were given the same
bytes, and responses are otherwise all different, one of the two was hardly meant. The same request
has the same target, credentials and body (`features.asked`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import log2
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from analyzer.baselines.tokens import EITHER
from analyzer.correlate.view import ERROR, Id, Row, Tables, frame_ids
from analyzer.tables import Array, Outcome

SHORTEST = 24  # bytes of a body; shorter ones are alike by chance
RARE = 5.0  # bits: how seldom an endpoint gives the same bytes twice, for two to be looked at
TELLING = 3.0  # bits: what is unlike an endpoint's habit by less is not worth a look
MOST_PAIRS = 4_096  # of requests under way together that were given the same bytes
MOST_OTHERWISE = 4_096  # of requests that were given what another one is given otherwise

# Server, endpoint, target and sum of a request.
_Key = tuple[int, int, bytes, int]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
Number = TypeVar("Number", int, Ints)

# The multipliers of SplitMix64 (Steele, Lea and Flood, 2014): they mix numbers into one word.
_GOLDEN, _FIRST, _SECOND = (
    np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def _mixed(*columns: npt.NDArray[np.generic]) -> Words:
    """One word of several numbers; different ones have different words but for accidents."""
    word = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        word = (word ^ column.astype(np.uint64)) + _GOLDEN
        word = (word ^ word >> np.uint64(30)) * _FIRST
        word = (word ^ word >> np.uint64(27)) * _SECOND
        word ^= word >> np.uint64(31)
    return word


def _numbered(words: Words) -> tuple[Ints, Ints]:
    """The number of each word's kind, and how many there are of it."""
    _, number, count = np.unique(words, return_inverse=True, return_counts=True)
    return number.astype(np.int64), count[number]


class _Given(NamedTuple):
    """Answered requests by column, and what each was given.

    `place` is an endpoint at a server, `asked` the sum of the request, `said` that of the response.
    """

    place: Ints
    asked: Ints
    said: Ints
    began: Ints
    ended: Ints
    frame: Ints

    @classmethod
    def of(cls, tables: Tables) -> "_Given":
        """All of a table."""
        return _joined(_columns(tables, rows[_usable(rows)]) for rows, _ in tables.judged())

    def chosen(self, at: Mask | Ints) -> "_Given":
        """Some of them."""
        return _Given(*(column[at] for column in self))


def _usable(rows: Array) -> Mask:
    usable: Mask = (
        (rows["outcome"] == Outcome.ANSWERED)
        & (rows["status"] < ERROR)
        & (rows["response_sum"] != 0)
        & (rows["response_length"] >= SHORTEST)
        & (rows["request_sum"] != 0)
    )
    return usable


def _columns(tables: Tables, rows: Array) -> _Given:
    return _Given(
        tables.joined.service[rows["connection"]] << 32 | tables.endpoint_of[rows["route"]],
        rows["request_sum"].astype(np.int64),
        _said(rows["response_sum"].astype(np.int64), rows["response_length"].astype(np.int64)),
        rows["request_time"],
        rows["response_end_time"],
        frame_ids(rows, "request"),
    )


def _said(checksum: Number, length: Number) -> Number:
    """What a response says, as a number: equal for equal bytes."""
    return checksum << 24 ^ length


def suspicious(tables: Tables) -> Ints:
    """Frame ids of requests that were given what was rather another one's, by the bytes alone."""
    given = _Given.of(tables)
    return np.union1d(_at_once(given), _otherwise(given)) if len(given.place) else given.frame


def _at_once(given: _Given) -> Ints:
    """Those that were given, while both waited, what another one was given too.

    Only where their endpoint seldom gives the same bytes twice.
    """
    kind, many = _numbered(_mixed(given.place, given.said))
    _, every = _numbered(_mixed(given.place))
    twice = many > 1
    given, kind, many, every = given.chosen(twice), kind[twice], many[twice], every[twice]
    order = np.lexsort((given.began, kind))
    given, kind, many, every = given.chosen(order), kind[order], many[order], every[order]
    rare = np.log2((every + 1.0) / (np.maximum(many - 2, 0) + 0.5)) >= RARE
    together = np.r_[False, (kind[1:] == kind[:-1]) & (given.began[1:] < given.ended[:-1])]
    at = np.flatnonzero(together[: len(given.place)] & rare)[:MOST_PAIRS]
    return np.unique(np.concatenate([given.frame[at], given.frame[at - 1]]))


def _otherwise(given: _Given) -> Ints:
    """Those that were given, this once, what another request is given, and they are not.

    Only where their endpoint gives the same request the same bytes as a rule.
    """
    request, times = _numbered(_mixed(given.place, given.asked))
    again = times > 1
    if not again.any():
        return np.empty(0, np.int64)
    answer, same = _numbered(_mixed(given.place, given.asked, given.said))
    _, first = np.unique(answer, return_index=True)  # each request with each of its answers
    kind, askers = _numbered(_mixed(given.place, given.said)[first])
    place, _ = _numbered(_mixed(given.place))
    # How often an endpoint was asked again, and gave what it had given.
    repeated = np.bincount(place[first], weights=(same[first] - 1))
    _, head = np.unique(request, return_index=True)
    asked_again = np.bincount(place[head], weights=(times[head] - 1))
    total = np.bincount(place)
    odd = (same[first] == 1) & again[first] & (askers > 1)
    often = np.bincount(kind, weights=same[first])[kind][odd]  # how often that was given at all
    at = first[odd]
    likely = (repeated[place[at]] + EITHER) / (asked_again[place[at]] - 1 + 2 * EITHER)
    random = (often - 1 + EITHER) / (total[place[at]] + 2 * EITHER)
    bits = np.log2((1.0 - random) / (1.0 - likely))
    most = np.argsort(-bits, kind="stable")[:MOST_OTHERWISE]
    return np.unique(given.frame[at[most[bits[most] >= TELLING]]])


@dataclass(slots=True)
class _Endpoint:
    """What an endpoint gave, at all servers.

    `again` requests were asked that had been asked before, of which `alike` were given what had
    been given before. `others` asked for a target that somebody else had asked for, of which
    `shared` were given what somebody else was.
    """

    given: Counter[int] = field(default_factory=Counter)
    again: int = 0
    alike: int = 0
    others: int = 0
    shared: int = 0

    def learn(self, known: "Learned") -> None:
        """Add what was learned before."""
        self.again += known.again
        self.alike += known.alike
        self.others += known.others
        self.shared += known.shared


class Learned(Protocol):
    """What was learned of an endpoint before."""

    again: int
    alike: int
    others: int
    shared: int


@dataclass(slots=True)
class Repeats:
    """What the requests in question were given at other times."""

    tables: Tables
    endpoints: dict[int, _Endpoint] = field(default_factory=dict)
    # Whose and what, by request.
    given: dict[_Key, dict[Id, int]] = field(default_factory=dict)
    key_of: dict[Id, _Key] = field(default_factory=dict)

    @classmethod
    def around(
        cls,
        tables: Tables,
        rows: Iterable[Row],
        usual: "Mapping[int, Learned]" = MappingProxyType({}),
    ) -> "Repeats":
        """Count the exchanges of the endpoints of these, with what is `usual` already."""
        out = cls(tables)
        out.given = {out._key(row): {} for row in rows if row["request_sum"]}
        endpoints = np.array(sorted({key[1] for key in out.given}), dtype=np.int64)
        wanted = np.array(sorted({key[3] for key in out.given}), dtype=np.int64)
        if not len(endpoints):
            return out
        parts: list[_Given] = []
        targets_of: list[int] = []
        for chunk, targets in tables.judged():
            of = tables.endpoint_of[chunk["route"]]
            at = np.flatnonzero(_usable(chunk) & np.isin(of, endpoints))
            parts.append(_columns(tables, chunk[at]))
            targets_of += [hash(targets[i]) for i in at.tolist()]
            for i in at[np.isin(chunk["request_sum"][at], wanted)].tolist():
                row = Row(chunk[i], targets[i])
                key = out._key(row)
                if key in out.given:
                    out.given[key][row.id] = _said_in(row)
                    out.key_of[row.id] = key
        given = _joined(parts)
        out.endpoints = dict(_endpoints(given, np.array(targets_of, dtype=np.int64)))
        for number, one in out.endpoints.items():
            if number in usual:
                one.learn(usual[number])
        return out

    def _key(self, row: Row) -> _Key:
        tables = self.tables
        return tables.server(row), tables.endpoint(row), row.target, row["request_sum"]

    def bits(self, request: Row, response: Row, apart: Iterable[Id] = ()) -> float:
        """What it is worth that a response is, or is not, what the request is given otherwise.

        Nothing is learned from these two, nor from those `apart`.
        """
        key = self._key(request)
        endpoint = self.endpoints.get(key[1])
        if endpoint is None or not response["response_sum"]:
            return 0.0
        others = self.given.get(key, {})
        but = {request.id, response.id, *apart}
        left = [one for at, one in others.items() if at not in but]
        if not left:
            return 0.0
        again, alike = self._counted(key[1], but)
        likely = (alike + EITHER) / (again + 2 * EITHER)
        mine = _said_in(response)
        # What the endpoint gives to other requests than this, but for the response itself.
        hits = endpoint.given[mine] - list(others.values()).count(mine)
        random = (max(0, hits - (response.id not in others)) + EITHER) / (
            endpoint.given.total() - len(others) + 2 * EITHER
        )
        if mine in left:
            return max(0.0, log2(likely / random))
        return min(0.0, log2((1.0 - likely) / (1.0 - random)))

    def _counted(self, number: int, but: set[Id]) -> tuple[int, int]:
        """How often an endpoint was asked again, and gave the same, without some exchanges."""
        endpoint = self.endpoints[number]
        again, alike = endpoint.again, endpoint.alike
        for key in {self.key_of[at] for at in but if at in self.key_of}:
            if key[1] == number:
                known = self.given[key]
                left = [one for at, one in known.items() if at not in but]
                again -= len(known) - max(1, len(left))
                alike -= len(known) - len(set(known.values())) - len(left) + len(set(left))
        return again, alike

    def minds(self, row: Row) -> bool:
        """Whether it makes another answer on whose behalf an endpoint is asked, or with what body.

        Then several who ask for one target are given different things oftener than one who asks
        again.
        """
        known = self.endpoints.get(self.tables.endpoint(row))
        if known is None or not known.again or not known.others:
            return False
        changes = (known.again - known.alike + EITHER) / (known.again + 2 * EITHER)
        return (known.others - known.shared) / known.others > 2 * changes


def asked_again(tables: Tables) -> dict[int, tuple[int, int, int, int]]:
    """By endpoint `again`, `alike`, `others` and `shared` of all exchanges (see `_Endpoint`)."""
    parts, targets_of = [], []
    for chunk, targets in tables.judged():
        at = np.flatnonzero(_usable(chunk))
        parts.append(_columns(tables, chunk[at]))
        targets_of += [hash(targets[i]) for i in at.tolist()]
    if not targets_of:
        return {}
    found = _endpoints(_joined(parts), np.array(targets_of, dtype=np.int64))
    return {number: (one.again, one.alike, one.others, one.shared) for number, one in found}


def _said_in(row: Row) -> int:
    return _said(row["response_sum"], row["response_length"])


def _joined(parts: Iterable[_Given]) -> _Given:
    none = _Given(*(np.empty(0, dtype=np.int64) for _ in _Given._fields))
    return _Given(*map(np.concatenate, zip(none, *parts, strict=True)))


def _endpoints(given: _Given, target: Ints) -> Iterator[tuple[int, _Endpoint]]:
    """Every endpoint with what it gave; `target` has a number for each request's target."""
    endpoint = given.place & 0xFFFFFFFF
    order = np.argsort(endpoint, kind="stable")
    numbers, first = np.unique(endpoint[order], return_index=True)
    for number, mine in zip(numbers.tolist(), np.split(order, first)[1:], strict=True):
        part, aims = given.chosen(mine), target[mine]
        out = _Endpoint(given=Counter(part.said.tolist()))
        out.again, out.alike = _repeated(_mixed(part.place, part.asked), part.said)
        aim = _mixed(part.place, aims)
        askers, answers = (len(np.unique(_mixed(aim, of))) for of in (part.asked, part.said))
        out.others = askers - len(np.unique(aim))
        out.shared = max(0, askers - answers)
        yield number, out


def _repeated(kinds: Words, values: Ints) -> tuple[int, int]:
    """How many are not the first of their kind, and how many of these have no new value."""
    different = len(np.unique(kinds))
    return len(kinds) - different, len(kinds) - len(np.unique(_mixed(kinds, values)))
