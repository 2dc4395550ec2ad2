"""Which exchanges only hand on what another one was served: two sides of a proxy, both in sight.

Law: what is learned is learned of each response once, as it was served, however many sides of
proxies it was seen on. An exchange is *forwarded* where another one, its *origin*, asked another
server for the same while it lasted, and was given the same. Which of several that are alike is the
origin of which makes no difference to any sum. What a proxy says by itself (from its cache, or
because it gave up), or gives to another than it was meant for, is nobody's but its own.

Both sides are judged all the same: where they differ, something happened in between.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from analyzer.correlate.clocks import Clocks
from analyzer.correlate.vantages import Joined
from analyzer.tables import Array, Outcome

ENOUGH = 5  # pairs that it takes to link two services that no address links
NEARLY_ALL = 0.9  # of what a service is asked, or of what is handed on as it came
MOST_BETWEEN = 64  # others that ask for the same and are given the same, begun in between
LONGEST = 600_000_000_000  # ns that a proxy's client may wait
# ns that two clocks with no packet in common may differ; only where nearly all of the traffic fits,
# which it would not if they differed by more
UNLINKED = 5_000_000

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def _nothing() -> Ints:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The forwarded exchanges, sorted by `code`, with connection, route and code of the origins.

    A code is where a request begins: connection << 32 | sequence number.
    """

    code: Ints = field(default_factory=_nothing)
    connection: Ints = field(default_factory=_nothing)
    route: Ints = field(default_factory=_nothing)
    origin_code: Ints = field(default_factory=_nothing)

    def among(self, rows: Array) -> Mask:
        """Which of some rows are forwarded."""
        if not len(self.code):
            return np.zeros(len(rows), dtype=np.bool_)
        return self._found(code_of(rows["connection"], rows["request_seq"]))[0]

    def has(self, connection: int, seq: int) -> bool:
        """Whether the exchange whose request begins there is forwarded."""
        return self._place(connection, seq) is not None

    def origins(self, rows: Array) -> tuple[Ints, Ints]:
        """Connection and route of each row's origin, or its own where it has none."""
        connection, route = rows["connection"].astype(np.int64), rows["route"].astype(np.int64)
        if len(self.code):
            found, at = self._found(code_of(rows["connection"], rows["request_seq"]))
            connection = np.where(found, self.connection[at], connection)
            route = np.where(found, self.route[at], route)
        return connection, route

    def origin(self, connection: int, route: int, seq: int) -> tuple[int, int]:
        """Connection and route of one exchange's origin, or its own."""
        at = self._place(connection, seq)
        return (connection, route) if at is None else (self.connection[at], self.route[at])

    def origin_of(self, connection: int, seq: int) -> int | None:
        """The code of an exchange's origin; None where it was not forwarded."""
        at = self._place(connection, seq)
        return None if at is None else int(self.origin_code[at])

    def _found(self, codes: Ints) -> tuple[Mask, Ints]:
        at = np.minimum(np.searchsorted(self.code, codes), len(self.code) - 1)
        return self.code[at] == codes, at

    def _place(self, connection: int, seq: int) -> int | None:
        code = connection << 32 | seq
        at = int(np.searchsorted(self.code, code))
        return at if at < len(self.code) and int(self.code[at]) == code else None


def code_of(connection: npt.NDArray[np.generic], seq: npt.NDArray[np.generic]) -> Ints:
    """Where a request begins, as a number: connection and sequence number."""
    return connection.astype(np.int64) << 32 | seq.astype(np.int64)


def forwarded(
    judged: Iterable[tuple[Array, Sequence[bytes]]],
    connections: Array,
    joined: Joined,
    clocks: Clocks,
    method: Ints,
) -> Forwarded:
    """Find the forwarded among the `judged` exchanges; `method` has a number for every route's."""
    if len(np.unique(joined.service[joined.judged])) < 2:
        return Forwarded()
    parts = [_columns(*chunk, connections, joined, method) for chunk in judged]
    if not parts:
        return Forwarded()
    every = _Asked._make(map(np.concatenate, zip(*parts, strict=True)))
    sides = _Sides(every, connections, joined, clocks)
    front, origin = _pairs(every, sides)
    order = np.argsort(every.code[front])
    front, origin = front[order], origin[order]
    codes = every.code[front], every.code[origin]
    return Forwarded(codes[0], every.connection[origin], every.route[origin], codes[1])


# --- what is compared ----------------------------------------------------------------------


class _Asked(NamedTuple):
    """Requests by column: what was asked for, and what was given."""

    code: Ints
    connection: Ints
    service: Ints
    route: Ints
    asked: Ints  # method and path
    kind: Ints  # outcome, status and form of what was given
    said: Ints  # its bytes
    began: Ints
    answered: Ints  # when its response began; 0: there was none
    until: Ints  # when its client stopped waiting

    def chosen(self, at: Ints | Mask) -> "_Asked":
        return _Asked(*(column[at] for column in self))


def _columns(
    rows: Array, targets: Sequence[bytes], connections: Array, joined: Joined, method: Ints
) -> _Asked:
    at = np.flatnonzero(rows["request_frame"] > 0)
    rows = rows[at]
    connection = rows["connection"].astype(np.int64)
    began, answered = rows["request_time"], rows["response_time"]
    left = connections["client_fin_time"][connection]
    left = np.where(left == 0, connections["reset_time"][connection], left)
    patient = np.where(left > began, left, began + LONGEST)
    whole = rows["outcome"] == Outcome.ANSWERED
    asked = [targets[n] for n in at.tolist()]
    sums = (crc32(one if one[:1] == b"/" else path_of(one)) for one in asked)
    path = np.fromiter(sums, np.int64, len(asked))
    numbers = [rows[name].astype(np.int64) for name in ("outcome", "status", "form")]
    outcome, status, form = numbers
    return _Asked(
        code=code_of(rows["connection"], rows["request_seq"]),
        connection=connection,
        service=joined.service[connection],
        route=rows["route"].astype(np.int64),
        asked=method[rows["route"]] << 32 | path,
        kind=outcome << 48 | status << 32 | form,
        said=rows["response_length"].astype(np.int64) << 32 ^ rows["response_sum"],
        began=began,
        answered=answered,
        until=np.where(whole, rows["response_end_time"], patient),
    )


def path_of(target: bytes) -> bytes:
    """A target without scheme and authority, which a proxy is sent (RFC 9112 §3.2.2)."""
    start = target[:8].lower()
    for scheme in (b"http://", b"https://"):
        if start.startswith(scheme):
            slash = target.find(b"/", len(scheme))
            return target[slash:] if slash >= 0 else b"/"
    return target


# --- pairs ---------------------------------------------------------------------------------


class _Sides:
    """Which services may be the two sides of a proxy, and how far their clocks may be apart."""

    def __init__(self, every: _Asked, connections: Array, joined: Joined, clocks: Clocks) -> None:
        self.clock = clocks.of_interface[connections["interface"].astype(np.int64)]
        self.apart = len(np.unique(self.clock)) > 1
        self.bound = np.array([-1 if c.bound is None else c.bound for c in clocks.clocks])
        self.asked = np.bincount(every.service)
        # By service: the addresses of its servers, and of its clients, at any sighting.
        self.servers = _by_service(joined.service, connections["server"])
        self.clients = _by_service(joined.service, connections["client"])

    def slack(self, one: Ints, two: Ints) -> Ints:
        """How far the times of connections `one` and `two` may be wrong against each other, in ns.

        As `Clocks.bound` has it for interfaces.
        """
        clocks = self.clock[one], self.clock[two]
        first, second = self.bound[clocks[0]], self.bound[clocks[1]]
        known = np.where((first < 0) | (second < 0), UNLINKED, first + second)
        slack: Ints = np.where(clocks[0] == clocks[1], 0, known)
        return slack

    def linked(self, front: int, back: int, pairs: int) -> bool:
        """Whether an address links two services, or their traffic."""
        if self.servers[front] & self.clients[back]:
            return True
        return pairs >= max(ENOUGH, NEARLY_ALL * int(self.asked[back]))


def _by_service(service: Ints, address: npt.NDArray[np.generic]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    pairs = np.unique(np.stack([service, address.astype(np.int64)], axis=1), axis=0)
    for number, one in pairs.tolist():
        found.setdefault(number, set()).add(one)
    return found


def _pairs(every: _Asked, sides: _Sides) -> tuple[Ints, Ints]:
    """The forwarded exchanges and the origin of each, as places in `every`."""
    many = len(every.code)
    front, back = _linked(every, sides, *_nested(every, sides, every.said))
    # What is left may have been changed on the way, compressed for instance: by its form alone.
    paired = np.zeros(many, dtype=np.bool_)
    paired[front] = paired[back] = True
    rest = np.flatnonzero(np.isin(every.asked, np.unique(every.asked[~paired])))
    if len(rest):
        left = every.chosen(rest)
        ones, twos = (rest[at] for at in _linked(left, sides, *_nested(left, sides)))
        free = ~(paired[ones] & np.isin(ones, front) | paired[twos] & np.isin(twos, back))
        ones, twos = ones[free], twos[free]
        # A proxy that leaves bodies as they are has not handed on what it was not given.
        exact = {
            _services(every, front[at], back[at]): len(at) for at in _by_pair(every, front, back)
        }
        for at in _by_pair(every, ones, twos):
            same = exact.get(_services(every, ones[at], twos[at]), 0)
            if same < NEARLY_ALL * (same + len(at)):
                front, back = np.concatenate([front, ones[at]]), np.concatenate([back, twos[at]])
    return front, _first(front, back, many)


def _first(front: Ints, back: Ints, many: int) -> Ints:
    """The origins of origins: where one proxy stands behind another."""
    origin = np.arange(many)
    origin[front] = back
    while True:
        further = origin[back]
        if (further == back).all():
            return back
        back = further


def _nested(every: _Asked, sides: _Sides, *more: Ints) -> tuple[Ints, Ints]:
    """Pairs of exchanges alike at two services (and in `more`), one within the other's time.

    Of several in front of which one may be handed on, the one that began last; each is in one pair.
    """
    keys = (every.asked, every.kind, *more)
    order = np.lexsort((every.began, *keys))
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = np.logical_or.reduce([key[order[1:]] != key[order[:-1]] for key in keys])
    content = np.cumsum(new) - 1
    # Only what two services were asked for.
    begin = np.flatnonzero(new)
    service = every.service[order]
    lowest, highest = (of.reduceat(service, begin) for of in (np.minimum, np.maximum))
    several = (lowest != highest)[content]
    order, content = order[several], content[several]
    mine = every.chosen(order)
    fronts = np.full(len(order), -1)  # of each its front, as a place in `order`
    taken = np.zeros(len(order), dtype=np.bool_)
    for step in range(1, min(MOST_BETWEEN, len(order) - 1) + 1):
        near = np.flatnonzero(content[step:] == content[:-step])
        if not len(near):
            break
        near = near[mine.service[near] != mine.service[near + step]]
        pairs = [(near, near + step)]
        if sides.apart:
            pairs.append((near + step, near))
        for front, back in pairs:
            free = (fronts[back] < 0) & ~taken[front]
            front, back = front[free], back[free]
            fits = _within(mine, sides, front, back)
            fronts[back[fits]] = front[fits]
            taken[front[fits]] = True
    behind = np.flatnonzero(fronts >= 0)
    return order[fronts[behind]], order[behind]


def _within(every: _Asked, sides: _Sides, front: Ints, back: Ints) -> Mask:
    """Whether one exchange may have been asked for another, by their times."""
    slack: Ints | int = 0
    if sides.apart:
        slack = sides.slack(every.connection[front], every.connection[back])
    asked, asked_behind = every.began[front], every.began[back]
    came, came_behind = every.answered[front], every.answered[back]
    asked_within = (asked - slack <= asked_behind) & (asked_behind <= every.until[front] + slack)
    # Of two that the clocks don't put in order the one in front of the other lasts longer.
    came_within = (came_behind <= came + slack) & (came - asked >= came_behind - asked_behind)
    fits: Mask = asked_within & ((came == 0) | came_within)
    return fits


def _linked(every: _Asked, sides: _Sides, front: Ints, back: Ints) -> tuple[Ints, Ints]:
    """The pairs whose services are linked."""
    kept = np.zeros(len(front), dtype=np.bool_)
    for at in _by_pair(every, front, back):
        kept[at] = sides.linked(*_services(every, front[at], back[at]), len(at))
    return front[kept], back[kept]


def _services(every: _Asked, front: Ints, back: Ints) -> tuple[int, int]:
    """The two services of pairs that all have the same."""
    return int(every.service[front[0]]), int(every.service[back[0]])


def _by_pair(every: _Asked, front: Ints, back: Ints) -> Iterator[Ints]:
    """Where the pairs of each two services are."""
    if not len(front):
        return
    code = every.service[front] << 32 | every.service[back]
    order = np.argsort(code, kind="stable")
    first = np.flatnonzero(np.diff(code[order])) + 1
    yield from np.split(order, first)
