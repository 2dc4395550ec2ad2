"""Rows of a log and exchanges of the wire, joined one to one.

Law: a pair is made only where the row fits no other exchange and the exchange no other row: by the
client's address and port where the log has them, else by method, target, status, length and time.
What fits in two ways is ambiguous and stays so.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from analyzer.logs.clocks import Bound, Clock, bound, settle
from analyzer.logs.model import Log, LogRow
from analyzer.logs.wired import Wired

Pairs = dict[int, int]  # row of the log → exchange, both by their places


@dataclass(slots=True)
class JoinedLog:
    """A log and what its rows are on the wire.

    `pairs` by places. `ambiguous` rows fit several exchanges, or share one; `absent` fit none.
    `by_port` counts the pairs that the client's port made.
    """

    log: Log
    clock: Clock = field(default_factory=Clock)
    pairs: Pairs = field(default_factory=dict)
    ambiguous: list[int] = field(default_factory=list)
    absent: list[int] = field(default_factory=list)
    by_port: int = 0
    row_at: Pairs = field(default_factory=dict)  # the pairs the other way: exchange → row

    @property
    def knows_ports(self) -> bool:
        """Whether the peers that it names are the clients' addresses and ports of the wire.

        Behind a proxy that is not captured, or translation, they are others.
        """
        named = sum(1 for row in self.log.rows if row.port is not None)
        return self.by_port > 1 and 2 * self.by_port > named


def join(log: Log, exchanges: Sequence[Wired]) -> JoinedLog:
    """Join a log's rows to the exchanges."""
    out = JoinedLog(log)
    rows = log.rows
    cut = not any("?" in row.target for row in rows)
    targets = [_target(one.target, cut) for one in exchanges]
    free = set(range(len(exchanges)))
    open_ = set(range(len(rows)))
    # By port: no other connection has it at the time.
    _match(
        out, exchanges, open_, free,
        lambda n: (rows[n].peer, *rows[n].key) if rows[n].port is not None else None,
        lambda n: [(client, exchanges[n].method, targets[n]) for client in exchanges[n].clients],
        in_order=True,
    )  # fmt: skip
    out.by_port = len(out.pairs)
    ports = out.knows_ports
    if ports:
        # Its peers are the wire's: what is asked for from another one is another request.
        open_ = {n for n in open_ if rows[n].port is None}

    def said(n: int) -> Hashable | None:
        row = rows[n]
        return (*row.key, row.status or 0, row.length)

    lengths = {row.length for row in rows} != {None}

    def seen(n: int) -> list[Hashable]:
        one = exchanges[n]
        status = one.status if one.answered else 0
        return [(one.method, targets[n], status, one.length if lengths and status else None)]

    def asked(n: int) -> Hashable | None:
        return rows[n].key

    def wanted(n: int) -> list[Hashable]:
        return [(exchanges[n].method, targets[n])]

    for _ in range(3):  # what was joined tells the clock, and that tells more apart
        before = len(out.pairs)
        _match(out, exchanges, open_, free, said, seen)
        _match(out, exchanges, open_, free, asked, wanted)
        if len(out.pairs) == before:
            break
    out.clock = _clock(out, exchanges)
    out.row_at = {m: n for n, m in out.pairs.items()}
    fitting = {(exchanges[n].method, targets[n]) for n in free}
    for n in sorted(set(range(len(rows))) - out.pairs.keys()):
        alone = ports and rows[n].port is not None
        (out.absent if alone or rows[n].key not in fitting else out.ambiguous).append(n)
    return out


def _target(target: str, cut: bool) -> str:
    return target.partition("?")[0] if cut else target


def _clock(out: JoinedLog, exchanges: Sequence[Wired]) -> Clock:
    bounds = (
        found
        for n, m in out.pairs.items()
        if (found := _bound(out.log, out.log.rows[n], exchanges[m])) is not None
    )
    return settle(bounds, zoned=out.log.zoned)


def _bound(log: Log, row: LogRow, one: Wired) -> Bound | None:
    return bound(row, log.side, one.asked, one.came, one.ended)


def _match(
    out: JoinedLog,
    exchanges: Sequence[Wired],
    open_: set[int],
    free: set[int],
    of_row: Callable[[int], Hashable | None],
    of_exchange: Callable[[int], Iterable[Hashable]],
    *,
    in_order: bool = False,
) -> None:
    """Join what has one key, where it fits in one way by the clock.

    With `in_order` as many rows as exchanges under one key go together in the order of time: one
    connection asks for one thing after the other.
    """
    clock = _clock(out, exchanges)
    rows_of: dict[Hashable, list[int]] = defaultdict(list)
    for n in sorted(open_):
        if (key := of_row(n)) is not None:
            rows_of[key].append(n)
    exchanges_of: dict[Hashable, list[int]] = defaultdict(list)
    for m in sorted(free):
        for key in of_exchange(m):
            if key in rows_of:
                exchanges_of[key].append(m)
    made: Pairs = {}
    rows = out.log.rows
    for key, some in rows_of.items():
        there = exchanges_of.get(key, [])
        if in_order and len(some) == len(there):
            some = sorted(some, key=lambda n: (rows[n].time or 0, n))
            there = sorted(there, key=lambda m: exchanges[m].asked)
            made.update(zip(some, there, strict=True))
            continue
        if len(some) == len(there) and _in_order(out, some, there, exchanges, clock, made):
            continue
        fits = {n: [m for m in there if _may(out, rows[n], exchanges[m], clock)] for n in some}
        many = Counter(m for every in fits.values() for m in every)
        made.update(
            (n, every[0]) for n, every in fits.items() if len(every) == 1 and many[every[0]] == 1
        )
    twice = Counter(made.values())
    for n, m in made.items():
        if twice[m] == 1:
            out.pairs[n] = m
            open_.discard(n)
            free.discard(m)


def _may(out: JoinedLog, row: LogRow, one: Wired, clock: Clock) -> bool:
    found = _bound(out.log, row, one)
    return found is None or clock.allows(found)


def _in_order(
    out: JoinedLog,
    some: Sequence[int],
    there: Sequence[int],
    exchanges: Sequence[Wired],
    clock: Clock,
    made: Pairs,
) -> bool:
    """Join as many rows as exchanges of one key in the order of time, where it can be but one.

    That is where between an exchange and the next is more time than the clock may be wrong by, the
    rows have different times, and the clock allows every pair.
    """
    rows = [(out.log.rows[n].time, n) for n in some]
    if len(rows) < 2 or any(time is None for time, _ in rows):
        return False
    if len({time for time, _ in rows}) < len(rows):
        return False
    some = [n for _, n in sorted(rows, key=lambda one: (one[0] or 0, one[1]))]
    there = sorted(there, key=lambda m: exchanges[m].asked)
    for before, after in pairwise(exchanges[m] for m in there):
        if not before.ended or after.asked - before.ended <= clock.high - clock.low:
            return False
    pairs = list(zip(some, there, strict=True))
    if not all(_may(out, out.log.rows[n], exchanges[m], clock) for n, m in pairs):
        return False
    made.update(pairs)
    return True
