"""Which connections of the captures are one connection, seen at several places.

Law: a pair of numbers joins them: the sequence and acknowledgement number of the first request
byte, which follow from the two initial sequence numbers and which network address translation
leaves alone. The client's port is the same too, unless translation had to change it; then nothing
but that one pair of numbers may bear the numbers at either place. What was captured late, or in one
direction only, is joined by the numbers of any of its messages. Sightings that contradict each
other, in what was asked or in time, are not joined: two connections are never taken for one.

Of each group one connection is judged: the most complete one, then one that was watched to its
end, then the one nearest the client; every exchange is counted once.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import adler32

import numpy as np
import numpy.typing as npt

from analyzer.correlate.unions import Unions
from analyzer.tables import Array, ConnectionFlag, Outcome, Store

_NEAR = 1_000_000_000  # ns between the sightings of one connection by one clock
_APART = 60_000_000_000  # ns by which a sighting may differ from what its two clocks usually differ
_LONGER = 1_000_000_000  # ns by which a capture must go on after another, to be preferred
_PATIENCE = 600_000_000_000  # ns that a server may take to answer
MOST_LEFT_OVER = 50_000  # connections that are looked for by the numbers of any message

_GAPS = int(ConnectionFlag.CLIENT_GAP | ConnectionFlag.SERVER_GAP | ConnectionFlag.ONE_WAY)
_ONE_WAY = int(ConnectionFlag.ONE_WAY)
_SYNS = int(ConnectionFlag.CLIENT_SYN | ConnectionFlag.SERVER_SYN)
_CLIENT_SYN = int(ConnectionFlag.CLIENT_SYN)
_OPEN_AT_END = int(ConnectionFlag.OPEN_AT_END)

# Sightings of one connection. Where more bear the same numbers, the numbers were not chosen at
# random, and say nothing.
_MOST_SIGHTINGS = 256
_MOST_SHARED = 1_000_000  # pairs of connections with numbers in common that are looked at
_MOST_BEARERS = 64  # connections with the numbers of one message; more are no sign of anything
_PLACE = ("client", "client_port", "server", "server_port")
_TOTALS = ("requests", "answered", "client_acked", "server_acked")
_MOST_MARKS = 16  # messages of a connection by which its other sightings are looked for

Ints = npt.NDArray[np.int64]
Asked = tuple[int, int]  # checksum and length of a target, or (0, 0)


@dataclass(slots=True)
class Joined:
    """Connections joined over vantages; arrays are indexed by connection number.

    `judged` marks the connection of each group that is judged (bool), `group` is the number of
    that connection for every member (int64), `service` a number for its server: the same for all
    addresses and ports under which the sightings of joined connections show one server (int64).
    """

    judged: npt.NDArray[np.bool_]
    group: Ints
    service: Ints
    _members: dict[int, list[int]] = field(default_factory=dict)

    def members(self, connection: int) -> list[int]:
        """All connections that are the same as `connection`, itself included."""
        return self._members.get(int(self.group[connection]), [connection])


def choose(connections: Array, group: Ints, ends: list[int]) -> Joined:
    """Choose the connection of each group that is judged.

    `connections` are rows of CONNECTIONS in the order of their numbers, with times by the reference
    clock, `group` is what `groups` returned, `ends` has for every interface the time of its last
    frame by the reference clock.
    """
    chosen = np.arange(len(connections))
    members: dict[int, list[int]] = {}
    order = np.argsort(group, kind="stable")
    several = order[np.isin(order, _with_company(group), assume_unique=True)]
    rank = _ranks(connections, several)
    for start, stop in _runs(group[several][1:] == group[several][:-1]):
        together = several[start:stop].tolist()
        best = min(together, key=rank.__getitem__)
        end = ends[int(connections["interface"][best])]
        if int(connections["flags"][best]) & _OPEN_AT_END:
            # What came after the end of that capture shows only where another one goes on.
            later = [
                n
                for n in together
                if ends[int(connections["interface"][n])] > end + _LONGER
                and rank[n].gaps <= rank[best].gaps
            ]
            best = min(later, key=rank.__getitem__, default=best)
        chosen[together] = best
        members[best] = sorted(together, key=lambda n: (rank[n].first_time, n))
    judged = chosen == np.arange(len(connections))
    return Joined(judged, chosen, _services(connections, chosen), members)


def _with_company(group: Ints) -> Ints:
    """The connections whose group has others."""
    if not len(group):
        return group
    sizes = np.bincount(group, minlength=len(group))
    return np.flatnonzero(sizes[group] > 1)


class _Rank(NamedTuple):
    """The less the better: what is missing, then how far from the client."""

    gaps: int
    no_syns: int
    first_time: int
    connection: int


def _ranks(connections: Array, wanted: Ints) -> dict[int, _Rank]:
    flags = connections["flags"][wanted].tolist()
    times = connections["first_time"][wanted].tolist()
    return {
        n: _Rank((flag & _GAPS).bit_count(), -(flag & _SYNS).bit_count(), time, n)
        for n, flag, time in zip(wanted.tolist(), flags, times, strict=True)
    }


def _services(connections: Array, group: Ints) -> Ints:
    """A number for the server of every connection; joined connections have one server."""
    places = connections["server"].astype(np.int64) << 16 | connections["server_port"]
    _, place = np.unique(places, return_inverse=True)
    place = place.ravel()
    size = int(place.max(initial=-1)) + 1
    servers = Unions(size)
    for one, two in np.unique(np.stack([place, place[group]], axis=1), axis=0).tolist():
        servers.tie(one, two)
    firsts = np.array([servers.first(n) for n in range(size)], dtype=np.int64)
    return np.asarray(firsts[place])


# --- joining -------------------------------------------------------------------------------


def groups(connections: Array, exchanges: Store, clock_of: list[int]) -> Ints:
    """For every connection a number that all its sightings share.

    `connections` are rows of CONNECTIONS in the order of their numbers, `clock_of` has the clock
    of every interface.
    """
    group = np.arange(len(connections))
    if len(np.unique(connections["interface"])) < 2 and not _twice(connections):
        return group
    _Joining(connections, exchanges, clock_of, group).run()
    return group


def _twice(connections: Array) -> bool:
    """Whether any two connections of one interface bear the same numbers."""
    code = _codes(connections)[_bear_numbers(connections)]
    return len(np.unique(code)) < len(code)


def _bear_numbers(connections: Array) -> npt.NDArray[np.bool_]:
    """The connections with a first request, or in both directions a response without any."""
    whole = connections["flags"].astype(np.int64) & _ONE_WAY == 0
    found: npt.NDArray[np.bool_] = (connections["requests"] > 0) | whole
    return found


def _codes(connections: Array) -> npt.NDArray[np.uint64]:
    seq: npt.NDArray[np.uint64] = connections["join_seq"].astype(np.uint64)
    return np.asarray(seq << np.uint64(32) | connections["join_ack"])


def _runs(same: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open runs of rows in which each is the same as the one before; of two rows or more."""
    edges = np.diff(np.concatenate([[False], same, [False]]).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(a), int(b) + 1) for a, b in zip(starts, stops, strict=True)]


class _Joining:
    """Joins the connections of one scan; `group` is filled in."""

    def __init__(
        self, connections: Array, exchanges: Store, clock_of: list[int], group: Ints
    ) -> None:
        self.connections = connections
        self.exchanges = exchanges
        self.group = group
        self.code = _codes(connections)
        self.interface: list[int] = connections["interface"].tolist()
        self.clock = [clock_of[n] for n in self.interface]
        self.time: list[int] = connections["first_time"].tolist()
        self.port: list[int] = connections["client_port"].tolist()
        self.flags: list[int] = connections["flags"].tolist()
        self.ends = list(
            zip(
                *(connections[n].tolist() for n in ("client", "server", "server_port")), strict=True
            )
        )
        self.asked: dict[int, tuple[Asked, Asked]] = {}
        self.usual: dict[tuple[int, int], int] = {}

    def run(self) -> None:
        """Join by the first request's numbers, then what is left by those of any message."""
        keyed = np.flatnonzero(_bear_numbers(self.connections))
        order = keyed[np.argsort(self.code[keyed], kind="stable")]
        runs = _runs(self.code[order[1:]] == self.code[order[:-1]])
        candidates = [
            run for start, stop in runs for run in self._comparable(order[start:stop].tolist())
        ]
        self._look_up([n for run in candidates for n in run])
        self._compare_clocks(candidates)
        for run in candidates:
            self._join(run)
        self._join_left_over()
        self._join_untranslated()

    def _comparable(self, run: list[int]) -> list[list[int]]:
        """Those of `run`, which bear the same numbers, that may be one connection.

        With another port only single ones at every place are joined.
        """
        parts = [run]
        if len({self.interface[n] for n in run}) < len(run):
            by_port: dict[int, list[int]] = {}
            for number in run:
                by_port.setdefault(self.port[number], []).append(number)
            parts = list(by_port.values())
        return [part for part in parts if 1 < len(part) <= _MOST_SIGHTINGS]

    def _look_up(self, wanted: list[int]) -> None:
        """What was asked first on the wanted connections, and what was answered to that."""
        if not wanted:
            return
        chosen = np.zeros(len(self.connections), dtype=bool)
        chosen[wanted] = True
        first = self.connections["join_seq"]
        for rows, targets in self.exchanges.chunks():
            number = rows["connection"]
            at = np.flatnonzero(
                chosen[number]
                & (rows["request_seq"] == first[number])
                & (rows["request_frame"] > 0)
            )
            answered = rows["outcome"][at] == Outcome.ANSWERED
            for i, n, length, size, checksum in zip(
                at.tolist(),
                number[at].tolist(),
                rows["request_length"][at].tolist(),
                np.where(answered, rows["response_length"][at], 0).tolist(),
                np.where(answered, rows["response_sum"][at], 0).tolist(),
                strict=True,
            ):
                target = targets[i]
                self.asked[n] = ((adler32(target), len(target) + length), (checksum, size))

    def _compare_clocks(self, candidates: list[list[int]]) -> None:
        """By how much the times of sightings usually differ, for every two clocks, in ns."""
        apart: dict[tuple[int, int], list[int]] = {}
        for run in candidates:
            for i, one in enumerate(run):
                for two in run[i + 1 :]:
                    if self.clock[one] != self.clock[two] and self._alike(one, two):
                        a, b = sorted((one, two), key=self.clock.__getitem__)
                        clocks = self.clock[a], self.clock[b]
                        apart.setdefault(clocks, []).append(self.time[b] - self.time[a])
        self.usual = {clocks: int(np.median(times)) for clocks, times in apart.items()}

    def _join(self, run: list[int]) -> None:
        """Join those of `run`, which bear the same numbers, that are one connection."""
        left = sorted(run, key=self.time.__getitem__)
        while left:
            together = [left.pop(0)]
            for other in list(left):
                if all(self._are_one(other, one) for one in together):
                    together.append(other)
                    left.remove(other)
            self.group[together] = min(together)

    def _are_one(self, a: int, b: int) -> bool:
        if self.port[a] != self.port[b] and not self._went_alike(a, b):
            return False
        same_place = self.interface[a] == self.interface[b]
        if same_place and self.ends[a] == self.ends[b]:
            return False
        return self._alike(a, b) and self._in_time(a, b)

    def _went_alike(self, a: int, b: int) -> bool:
        """Whether two whole connections have the same requests, answers, last acks and length."""
        one, two = self.connections[a], self.connections[b]
        whole = self.flags[a] & self.flags[b] & _CLIENT_SYN
        same = all(int(one[name]) == int(two[name]) for name in _TOTALS)
        lasted = [int(row["last_time"]) - int(row["first_time"]) for row in (one, two)]
        return bool(whole and same and abs(lasted[0] - lasted[1]) <= _NEAR)

    def _alike(self, a: int, b: int) -> bool:
        """Whether nothing that was asked or answered first contradicts that they are one."""
        one, two = self.asked.get(a), self.asked.get(b)
        if one is None or two is None:
            return True
        answers_differ = one[1] != two[1] and one[1][0] and two[1][0]
        return one[0] == two[0] and not answers_differ

    def _in_time(self, a: int, b: int) -> bool:
        if self.clock[a] == self.clock[b]:
            return abs(self.time[a] - self.time[b]) <= _NEAR
        if not self.flags[a] & self.flags[b] & _CLIENT_SYN:
            return True  # one of them was captured from some later moment on
        a, b = sorted((a, b), key=self.clock.__getitem__)
        usual = self.usual.get((self.clock[a], self.clock[b]), self.time[b] - self.time[a])
        return abs(self.time[b] - self.time[a] - usual) <= _APART

    # --- captured late, or in one direction ----------------------------------------------

    def _join_left_over(self) -> None:
        """Join connections whose first request is another at each place, by any message."""
        sizes = np.bincount(self.group, minlength=len(self.group))
        flags = self.connections["flags"].astype(np.int64)
        partial = (flags & _GAPS != 0) | (flags & _SYNS != _SYNS)
        lonely = sizes[self.group] == 1
        left = np.flatnonzero(partial & lonely)[:MOST_LEFT_OVER]
        if not len(left):
            return
        wanted = np.zeros(len(self.connections), dtype=bool)
        wanted[left] = True
        marks: dict[tuple[int, int, int], list[int]] = {}
        for number, mark in self._marks(wanted, None):
            marks.setdefault(mark, []).append(number)
        if not marks:
            return
        known = np.array(sorted({seq << 32 | ack for _, seq, ack in marks}), dtype=np.uint64)
        bearers: dict[tuple[int, int, int], list[int]] = {}
        for number, mark in self._marks(np.ones_like(wanted), known):
            if mark in marks:
                bearers.setdefault(mark, []).append(number)
        shared: Counter[tuple[int, int]] = Counter()
        for mark, numbers in sorted(bearers.items()):
            if len(numbers) > _MOST_BEARERS:
                continue
            if len(shared) > _MOST_SHARED:
                break
            places = {self.interface[n] for n in numbers}
            for number in numbers:
                for other in marks[mark]:
                    same_port = self.port[other] == self.port[number]
                    if other != number and (same_port or len(places) == len(numbers)):
                        shared[other, number] += 1
        members = self._members()
        for other, number in sorted(shared, key=lambda pair: (-shared[pair], pair)):
            self._unite(other, number, members)

    def _members(self) -> dict[int, list[int]]:
        """The connections of each group that has several."""
        members: dict[int, list[int]] = {}
        for number in _with_company(self.group).tolist():
            members.setdefault(int(self.group[number]), []).append(number)
        return members

    def _marks(
        self, wanted: npt.NDArray[np.bool_], known: npt.NDArray[np.uint64] | None
    ) -> Iterator[tuple[int, tuple[int, int, int]]]:
        """(connection, (side, seq, ack)) of messages of `wanted`.

        All that bear `known` numbers, or else the first few of every connection.
        """
        taken = np.zeros(len(wanted), dtype=np.int64)
        for rows, _ in self.exchanges.chunks():
            number = rows["connection"]
            for side, name in enumerate(("request", "response")):
                seq, ack = rows[f"{name}_seq"], rows[f"{name}_ack"]
                chosen = wanted[number] & (rows[f"{name}_frame"] > 0)
                if known is None:
                    chosen &= taken[number] < _MOST_MARKS
                    np.add.at(taken, number[chosen], 1)
                else:
                    chosen &= np.isin(seq.astype(np.uint64) << np.uint64(32) | ack, known)
                at = np.flatnonzero(chosen)
                for n, s, a in zip(
                    number[at].tolist(), seq[at].tolist(), ack[at].tolist(), strict=True
                ):
                    yield n, (side, s, a)

    def _may_share(self, a: int, b: int, patience: int = _NEAR) -> bool:
        """Whether place and time allow that two connections are one.

        By one clock there may be `patience` ns between the end of one and the begin of the other.
        """
        if self.interface[a] == self.interface[b] and self.ends[a] == self.ends[b]:
            return False
        if self.clock[a] == self.clock[b]:
            last = self.connections["last_time"]
            return bool(
                self.time[a] <= int(last[b]) + patience and self.time[b] <= int(last[a]) + patience
            )
        return True

    def _unite(self, a: int, b: int, members: dict[int, list[int]], patience: int = _NEAR) -> None:
        """Put `a` and `b` into one group, unless any two in it could not be one connection."""
        mine, others = int(self.group[a]), int(self.group[b])
        if mine == others:
            return
        ours, theirs = members.get(mine, [a]), members.get(others, [b])
        if len(ours) + len(theirs) > _MOST_SIGHTINGS:
            return
        if all(self._may_share(one, other, patience) for one in ours for other in theirs):
            together = sorted([*ours, *theirs])
            self.group[together] = together[0]
            members[together[0]] = together

    def _join_untranslated(self) -> None:
        """Join packets of a server that went out under the address that it has behind a NAT.

        They are a connection of their own, one direction without a request, that acknowledges what
        the client sent on the connection that they should have been part of.
        """
        table = self.connections
        lost = np.flatnonzero((table["flags"] & _ONE_WAY != 0) & (table["requests"] == 0))
        if not len(lost):
            return
        keys = ["client", "client_port", "client_acked"]
        wanted: dict[tuple[int, ...], list[int]] = {}
        for number, *key in zip(
            lost.tolist(), *(table[k][lost].tolist() for k in keys), strict=True
        ):
            wanted.setdefault(tuple(key), []).append(number)
        chosen = np.flatnonzero(
            (table["requests"] > 0) & np.isin(table["client_acked"], table["client_acked"][lost])
        )
        members = self._members()
        for number, *key in zip(
            chosen.tolist(), *(table[k][chosen].tolist() for k in keys), strict=True
        ):
            alike = wanted.get(tuple(key), [])
            for other in alike if len(alike) <= _MOST_BEARERS else ():
                same = members.get(int(self.group[number]), [number])
                if self.ends[other][2:] in {self.ends[one][2:] for one in same}:
                    self._unite(other, number, members, _PATIENCE)
