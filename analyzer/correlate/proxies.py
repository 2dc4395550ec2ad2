"""Exchanges on the two sides of a proxy, joined by what was asked and when.

Law: a proxy asks for what it was asked for, while its client waits. So an exchange behind it has
the method and target of one before it, and begins within its time. Only an unambiguous assignment
counts: where two clients wait for the same target at the same time, which of them an exchange
behind belongs to is left open, however alike the responses are (that is what is to be judged).

The two sides are linked by the proxy's address, server of one side and client of the other; where
translation or a second address hides that, by the traffic alone: nearly all of what the one service
is asked has its frame in what the other is asked, with the same response.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.correlate.forwarded import LONGEST, NEARLY_ALL, UNLINKED, path_of
from analyzer.correlate.view import Row, Tables
from analyzer.features.echoes import Position
from analyzer.tables import Array, Outcome

WINDOW = 60_000_000_000  # ns around a finding in which the traffic tells how a proxy works
MOST = 200_000  # exchanges that are looked at
MOST_ALIKE = 5_000  # of one target; where there are more nothing is told
MOST_PAIRS = 5_000_000  # of exchanges for one target at one time; where there are more, likewise
ENOUGH = 5  # pairs that it takes to link two services by their traffic
SOME = 3  # pairs that it takes to know whether a proxy leaves bodies as they are

_ANSWERED = int(Outcome.ANSWERED)


What = tuple[str, bytes]  # method and target


class Leg(NamedTuple):
    """One exchange; times in ns by the reference clock, `until` is when its client stopped."""

    request_time: int
    until: int
    row: Row
    what: What
    group: int
    service: int
    interface: int

    @property
    def response(self) -> tuple[int, int, int] | None:
        """What tells responses apart: status, checksum and length; None without a whole one."""
        row = self.row
        if row["outcome"] != _ANSWERED:
            return None
        return row["status"], row["response_sum"], row["response_length"]


class _Passing(NamedTuple):
    """Of how many it is known whether they were passed on, and when those were asked that were."""

    told: int
    passed: list[int]

    def around(self, leg: Leg, behind: list[Leg] | None) -> bool:
        """Whether nearly all others were passed on, before `leg` and after."""
        told, passed = self.told - (behind is not None), self.passed
        if behind:
            at = bisect_left(passed, leg.request_time)
            passed = passed[:at] + passed[at + 1 :]
        return (
            len(passed) >= max(SOME, NEARLY_ALL * told)
            and passed[0] < leg.request_time < passed[-1]
        )


class _Service(NamedTuple):
    """What a service's exchanges show of it as a proxy.

    `same` counts how often a response was the same behind it, and how often not.
    """

    passing: _Passing
    same: Counter[bool]


@dataclass(slots=True)
class Proxies:
    """The sides of proxies around some exchanges."""

    tables: Tables
    _legs: dict[What, list[Leg]] = field(default_factory=dict)
    _by_service: dict[int, list[Leg]] = field(default_factory=dict)
    # By how long they lasted (a power of two of ns), so that one that hung for minutes does not
    # make all that came within those minutes candidates.
    _lasting: dict[What, dict[int, list[Leg]]] = field(default_factory=dict)
    _services: dict[int, _Service] = field(default_factory=dict)
    _endpoints: dict[tuple[int, int], _Passing] = field(default_factory=dict)
    _pairs: int = 0
    _known: dict[Position, list[Leg] | None] = field(default_factory=dict)
    _by_position: dict[Position, Leg] = field(default_factory=dict)
    _servers: dict[int, frozenset[int]] = field(default_factory=dict)
    _clients: dict[int, frozenset[int]] = field(default_factory=dict)
    _widest: int = 0  # ns by which any two times may be wrong against each other
    _links: set[tuple[int, int]] = field(default_factory=set)  # services linked by their traffic

    @staticmethod
    def around(tables: Tables, rows: Iterable[Row]) -> "Proxies":
        """Look at the traffic around `rows`; at none if nothing can be a proxy in it."""
        found = Proxies(tables)
        bounds = [clock.bound for clock in tables.clocks.clocks]
        found._widest = max(UNLINKED, 2 * max((b for b in bounds if b is not None), default=0))
        times = sorted(r["request_time"] or r["response_time"] for r in rows)
        judged = np.flatnonzero(tables.joined.judged)
        if times and len(np.unique(tables.joined.service[judged])) > 1:
            found._collect(times)
            found._link()
        return found

    def behind(self, row: Row) -> list[Leg] | None:
        """What the proxy that `row` went to asked for it; None where that is ambiguous.

        Empty also where no proxy is known: see `passes_on`.
        """
        leg = self._by_position.get(row.position)
        return [] if leg is None else self._behind(leg)

    def before(self, row: Row) -> Leg | None:
        """The exchange for which a proxy asked `row`, if that is unambiguous."""
        leg = self._by_position.get(row.position)
        if leg is None:
            return None
        found = self._around(leg)
        return found[0] if len(found) == 1 and self._behind(found[0]) is not None else None

    def passes_on(self, row: Row) -> bool:
        """Whether what `row`'s server is asked is seen behind it too, just before and after."""
        leg = self._by_position.get(row.position)
        if leg is None:
            return False
        everything, alike = self._service(leg.service).passing, self._alike(leg)
        return any(passing.around(leg, self._behind(leg)) for passing in (everything, alike))

    def _alike(self, leg: Leg) -> "_Passing":
        """How what is asked of `leg`'s endpoint is passed on: a cache keeps some and not others."""
        endpoint = self.tables.endpoint(leg.row)
        key = leg.service, endpoint
        if key not in self._endpoints:
            legs = self._by_service[leg.service]
            its = [one for one in legs if self.tables.endpoint(one.row) == endpoint]
            self._endpoints[key] = self._passing(its)
        return self._endpoints[key]

    def _passing(self, legs: list[Leg]) -> "_Passing":
        told = [(leg, behind) for leg in legs if (behind := self._behind(leg)) is not None]
        return _Passing(len(told), [leg.request_time for leg, behind in told if behind])

    def leaves_bodies(self, row: Row) -> bool:
        """Whether the proxy that `row` went to hands on responses byte for byte."""
        leg = self._by_position.get(row.position)
        if leg is None:
            return False
        same = self._service(leg.service).same
        own = self._same(leg)
        count, total = same[True] - (own is True), same.total() - (own is not None)
        return count >= max(SOME, NEARLY_ALL * total)

    def _service(self, service: int) -> _Service:
        found = self._services.get(service)
        if found is None:
            legs = self._by_service[service]
            same = Counter(same for leg in legs if (same := self._same(leg)) is not None)
            found = self._services[service] = _Service(self._passing(legs), same)
        return found

    def _same(self, front: Leg) -> bool | None:
        """Whether a response was the same behind the proxy; None where that is not known."""
        if front.response is None:
            return None
        back = self._behind(front)
        if not back or len(back) != 1 or back[0].response is None:
            return None
        return front.response == back[0].response

    @property
    def slack(self) -> int:
        """How much later than another, in ns, something must be to be so for certain."""
        return max(self._widest, UNLINKED)

    # --- looking ---------------------------------------------------------------------------

    def _collect(self, times: list[int]) -> None:
        tables = self.tables
        starts = np.array(times, dtype=np.int64) - WINDOW

        def near(rows: Array) -> npt.NDArray[np.bool_]:
            asked = rows["request_time"]
            last = np.searchsorted(starts, asked, side="right") - 1
            inside = (last >= 0) & (asked - starts[np.maximum(last, 0)] <= 2 * WINDOW)
            return np.asarray(inside & (rows["request_frame"] > 0))

        asked = [rows["request_time"][near(rows)] for rows, _ in tables.judged()]
        every = np.concatenate(asked) if asked else np.zeros(0, dtype=np.int64)
        # The first ones, in whatever order the chunks come.
        many = len(every) > MOST
        until = np.partition(every, MOST - 1)[MOST - 1] if many else every.max(initial=0)
        for rows, targets in tables.judged():
            for i in np.flatnonzero(near(rows) & (rows["request_time"] <= until)).tolist():
                self._add(Row(rows[i], targets[i]))
        lasting = (legs for of in self._lasting.values() for legs in of.values())
        for legs in (*self._legs.values(), *self._by_service.values(), *lasting):
            legs.sort(key=lambda leg: (leg.request_time, leg.row.position))

    def _add(self, row: Row) -> None:
        tables = self.tables
        connection = tables.connection(row)
        until = row["response_end_time"] or row["response_time"]
        if not until:
            left = int(connection["client_fin_time"]) or int(connection["reset_time"])
            until = left if left > row["request_time"] else row["request_time"] + LONGEST
        what = tables.names[int(tables.endpoint_of[row["route"]])].method, path_of(row.target)
        group = int(tables.joined.group[row["connection"]])
        service = int(tables.joined.service[row["connection"]])
        interface = int(connection["interface"])
        leg = Leg(row["request_time"], until, row, what, group, service, interface)
        self._legs.setdefault(what, []).append(leg)
        lasted = max(0, until - row["request_time"]).bit_length()
        self._lasting.setdefault(what, {}).setdefault(lasted, []).append(leg)
        self._by_service.setdefault(service, []).append(leg)
        self._by_position[row.position] = leg
        if group not in self._servers:
            members = tables.joined.members(row["connection"])
            rows = tables.connections[members]
            self._servers[group] = frozenset(rows["server"].tolist())
            self._clients[group] = frozenset(rows["client"].tolist())

    def _by_address(self, front: Leg, back: Leg) -> bool:
        return bool(self._servers[front.group] & self._clients[back.group])

    def _linked(self, front: Leg, back: Leg) -> bool:
        if front.group == back.group or front.service == back.service:
            return False
        if (front.service, back.service) in self._links:
            return True
        clocks = self.tables.clocks.bound(front.interface, back.interface)
        return clocks is not None and self._by_address(front, back)

    def _behind(self, front: Leg) -> list[Leg] | None:
        key = front.row.position
        if key not in self._known:
            self._known[key] = self._found_behind(front)
        return self._known[key]

    def _found_behind(self, front: Leg) -> list[Leg] | None:
        if len(self._legs[front.what]) > MOST_ALIKE or self._pairs > MOST_PAIRS:
            return None
        found = [back for back in self._during(front) if self._linked(front, back)]
        clear = all(len(self._around(back)) == 1 for back in found)
        return found if clear and self._pairs <= MOST_PAIRS else None

    def _during(self, front: Leg) -> list[Leg]:
        """The exchanges for the same target that begin while `front` lasts."""
        legs, slack = self._legs[front.what], self._widest
        first = bisect_left(legs, front.request_time - slack, key=_asked)
        last = bisect_right(legs, front.until + slack, key=_asked)
        self._pairs += last - first
        return [back for back in legs[first:last] if self._within(back, front)]

    def _fronts(self, back: Leg) -> list[Leg]:
        """The exchanges for the same target that last when `back` begins."""
        slack = self._widest
        found: list[Leg] = []
        for lasted, legs in self._lasting[back.what].items():
            first = bisect_left(legs, back.request_time - (1 << lasted) - slack, key=_asked)
            last = bisect_right(legs, back.request_time + slack, key=_asked)
            self._pairs += last - first
            found += [front for front in legs[first:last] if self._within(back, front)]
        return found

    def _around(self, back: Leg) -> list[Leg]:
        """The exchanges before a proxy for which it may have asked `back`."""
        return [front for front in self._fronts(back) if self._linked(front, back)]

    def _within(self, back: Leg, front: Leg) -> bool:
        slack = self.tables.clocks.bound(front.interface, back.interface)
        if slack is None:
            slack = UNLINKED
            # Of two that the clocks don't put in order, the one in front of the other lasts longer.
            if front.response and back.response and _lasted(front) < _lasted(back):
                return False
        return front.request_time - slack <= back.request_time <= front.until + slack

    # --- linking by traffic ----------------------------------------------------------------

    def _link(self) -> None:
        """Link services whose traffic is the two sides of something that hides its address."""
        frames: Counter[tuple[int, int]] = Counter()
        clear: Counter[tuple[int, int]] = Counter()  # those with one frame only
        same: Counter[tuple[int, int]] = Counter()
        for _, legs in sorted(self._legs.items()):
            if len(legs) > MOST_ALIKE:
                continue
            for back in legs:
                if self._pairs > MOST_PAIRS:
                    return
                around: dict[int, list[Leg]] = {}
                for front in self._fronts(back):
                    if front.service != back.service:
                        around.setdefault(front.service, []).append(front)
                for service, fronts in around.items():
                    frames[service, back.service] += 1
                    if len(fronts) == 1:
                        clear[service, back.service] += 1
                        same[service, back.service] += fronts[0].response == back.response
        for (front_service, back_service), count in frames.items():
            total = len(self._by_service[back_service])
            pair = front_service, back_service
            if same[pair] >= max(ENOUGH, NEARLY_ALL * clear[pair]) and count >= NEARLY_ALL * total:
                self._links.add(pair)


def _asked(leg: Leg) -> int:
    return leg.request_time


def _lasted(leg: Leg) -> int:
    return leg.until - leg.request_time
