"""Responses that went astray, and whose they are.

Law: a response has gone astray only with an owner in sight, or where the numbers show it.

- By the numbers: it was sent before its request had arrived (a surplus).
- By its shape: it is foreign to its endpoint, and a request of an endpoint that answers so was
  waiting at the same server.
- By a missing echo: it does not repeat its request's id as the endpoint's others do, and another
  request of the endpoint was waiting.
- By the client's habits: one that asks one at a time, and all the same asks on a connection that
  still owes an answer, takes that answer for its own (reused).

What the owner got tells how it went: nothing (stolen), the other's response (crossed), or the same
response (copied).
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np

from analyzer.findings.learning import ENOUGH, MOST_OWNERS, Learned, says_something
from analyzer.findings.touched import touched
from analyzer.findings.view import Key, Row, Tables
from analyzer.tables import Array, Flag, Outcome

LONGEST_WAIT = 600_000_000_000  # ns that an owner may have been waiting
MOST_COPIES = 2  # responses of one form that an endpoint may have received as copies
HABIT = 0.1  # share of a client's requests sent while another was outstanding, up to which it is
# one that asks one at a time
LEAST_REQUESTS = 20  # of a client, to know its habits
MOST_LOOKED_UP = 64  # strays whose copies are looked for among all exchanges

_OPEN_AT_END = int(Flag.OPEN_AT_END)
_PIPELINED, _HAS_TOKEN = int(Flag.PIPELINED), int(Flag.HAS_TOKEN)
_TOKEN = int(Flag.HAS_TOKEN | Flag.ECHOES)
_SURPLUS, _ECHOES = int(Flag.SURPLUS), int(Flag.ECHOES)
_REQUEST_OPEN = int(Flag.REQUEST_OPEN)


class How(Enum):
    """In which way a response came to the wrong request."""

    SURPLUS = auto()
    STOLEN = auto()
    CROSSED = auto()
    COPIED = auto()
    REUSED = auto()


@dataclass(frozen=True, slots=True)
class Swap:
    """`victim` got the response that `owner` asked for; `rivals` others could as well have."""

    victim: Row
    owner: Row | None
    how: How
    rivals: int = 0
    mute: bool = False  # told by the token that the response doesn't repeat, not by its shape


@dataclass(slots=True)
class Swaps:
    """What came of all odd rows: swaps, rows that the capture's limits leave open, and oddities."""

    swaps: list[Swap] = field(default_factory=list)
    undecided: list[Row] = field(default_factory=list)
    unexplained: list[Row] = field(default_factory=list)  # foreign, with no owner in sight


def find(
    tables: Tables,
    learned: Learned,
    foreign: set[Key],
    rows: list[Row],
    lost: set[int],
    serial: set[int],
    mute: set[Key],
) -> Swaps:
    """The swaps among the odd `rows`.

    `lost` has the ids of rows whose response never arrived, `serial` the addresses of clients that
    ask one at a time, `mute` the keys whose responses repeat their request's token but for a few.
    """
    out = Swaps()
    strays: list[Row] = []
    before = history(tables, [row for row in rows if row["flags"] & (_SURPLUS | _PIPELINED)])
    for row in rows:
        if row["outcome"] != Outcome.ANSWERED or id(row) in lost:
            continue
        if row["flags"] & _SURPLUS:
            _surplus(tables, row, before, out)
        elif tables.key(row) in foreign and not row["flags"] & _ECHOES:
            # A body that repeats its own request's id is no stray, however it looks.
            strays.append(row)
        elif tables.key(row) in mute and row["flags"] & _TOKEN == _HAS_TOKEN:
            # And one that doesn't is one, however it looks, where all others do.
            strays.append(row)
        elif row["flags"] & _PIPELINED and tables.connection(row)["client"] in serial:
            _reused(tables, row, before, out)
    deprived = [
        row
        for row in rows
        if id(row) in lost
        or (row["outcome"] == Outcome.UNANSWERED and not row["flags"] & _REQUEST_OPEN)
    ]
    _match(tables, learned, strays, deprived, foreign, out)
    return out


def history(tables: Tables, rows: list[Row]) -> dict[int, list[Row]]:
    """The requests on the connections of `rows`, by connection, in the order of time."""
    found: dict[int, list[Row]] = {}
    wanted = np.array(sorted({row["connection"] for row in rows}), dtype=np.int64)
    if len(wanted):
        for row in tables.pick(
            lambda rows: np.isin(rows["connection"], wanted) & (rows["request_frame"] > 0)
        ):
            found.setdefault(row["connection"], []).append(row)
    return found


def _surplus(tables: Tables, row: Row, before: dict[int, list[Row]], out: Swaps) -> None:
    """A surplus response belongs to the request before, on the same connection."""
    if touched(tables, row):
        out.undecided.append(row)
        return
    earlier = [
        other
        for other in before.get(row["connection"], ())
        if other["request_time"] < row["request_time"]
    ]
    out.swaps.append(Swap(row, earlier[-1] if earlier else None, How.SURPLUS))


def serial_clients(tables: Tables) -> set[int]:
    """The addresses of clients that pipeline now and then, but not as a habit."""
    asked: Counter[int] = Counter()
    early: Counter[int] = Counter()
    for rows, _ in tables.judged():
        client = tables.connections["client"][rows["connection"]]
        asked.update(dict(zip(*_counted(client[rows["request_frame"] > 0]), strict=True)))
        early.update(dict(zip(*_counted(client[rows["flags"] & _PIPELINED != 0]), strict=True)))
    return {c for c, n in early.items() if asked[c] >= LEAST_REQUESTS and n <= HABIT * asked[c]}


def _counted(values: Array) -> tuple[list[int], list[int]]:
    found, counts = np.unique(values, return_counts=True)
    return found.tolist(), counts.tolist()


def _reused(tables: Tables, row: Row, before: dict[int, list[Row]], out: Swaps) -> None:
    """A client that asks one at a time reads the answer still owed as the answer to `row`."""
    if touched(tables, row):
        return
    earlier = [
        other
        for other in before.get(row["connection"], ())
        if other["request_time"] < row["request_time"] and other["response_frame"]
    ]
    if earlier and earlier[-1]["response_end_time"] > row["request_time"]:
        out.swaps.append(Swap(row, earlier[-1], How.REUSED))


def _match(
    tables: Tables,
    learned: Learned,
    strays: list[Row],
    deprived: list[Row],
    foreign: set[Key],
    out: Swaps,
) -> None:
    """Find the owner of each stray response: one that is foreign by its shape, or else is mute."""
    found: list[Swap] = []
    claimed: dict[Key, int] = {}
    taken: set[int] = set()  # owners found already: each asked for one response
    looked_up = 0
    for stray in strays:
        key = tables.key(stray)
        is_mute = key not in foreign
        likes = {key[0]} if is_mute else set(learned.endpoints_like(key))
        telling = is_mute or says_something(learned.forms[key[2]])
        if not likes or len(likes) > MOST_OWNERS or not telling:
            out.unexplained.append(stray)
            continue
        candidates = [
            row
            for row in deprived
            if id(row) not in taken and _could_own(tables, row, stray, likes)
        ]
        how = How.STOLEN
        # Both ways: what the other one got looks like what this one asked for.
        crossed = [
            row
            for row in strays
            if _could_own(tables, row, stray, likes)
            and (is_mute or key[0] in learned.endpoints_like(tables.key(row)))
        ]
        if crossed:
            candidates, how = crossed, How.CROSSED
        elif not candidates and not is_mute and looked_up < MOST_LOOKED_UP:
            looked_up += 1
            candidates, how = _copies(tables, learned, stray, likes), How.COPIED
        if not candidates:
            if not touched(tables, stray) and not is_mute:
                out.unexplained.append(stray)
            continue
        waiting = [row for row in candidates if _still_waits(tables, row, stray)]
        owner = max(waiting or candidates, key=lambda row: row["request_time"])
        if touched(tables, stray) or touched(tables, owner, but=_OPEN_AT_END):
            out.undecided.append(stray)
            continue
        claimed[key] = claimed.get(key, 0) + 1
        taken.add(id(owner))
        rivals = max(0, len(waiting) - 1)
        found.append(Swap(stray, owner, how, rivals=rivals, mute=is_mute))
    for swap in found:
        key = tables.key(swap.victim)
        # An endpoint that answers so at other times too, with nobody left waiting, is honest.
        if not swap.mute and claimed[key] * 2 < learned.count(key[0], key[2]):
            out.unexplained.append(swap.victim)
        else:
            out.swaps.append(swap)


def _could_own(tables: Tables, row: Row, stray: Row, endpoints: set[int]) -> bool:
    """Whether `row` is a request of one of `endpoints` that waited when `stray` was answered."""
    return (
        row is not stray
        and tables.key(row)[0] in endpoints
        and tables.server(row) == tables.server(stray)
        and (row["connection"] != stray["connection"] or bool(row["response_time"]))
        and 0 < stray["response_time"] - row["request_time"] < LONGEST_WAIT
        and (not row["response_time"] or row["response_time"] > stray["request_time"])
    )


def _still_waits(tables: Tables, row: Row, stray: Row) -> bool:
    """Whether the client of `row` had not closed its connection when `stray` was answered."""
    connection = tables.connection(row)
    left = int(connection["client_fin_time"]) or int(connection["reset_time"])
    return not left or left >= stray["response_time"]


def _copies(tables: Tables, learned: Learned, stray: Row, endpoints: set[int]) -> list[Row]:
    """Exchanges of `endpoints` that overlap `stray` and were sent the same bytes.

    Only where the endpoint of `stray` is well known and almost never answers so: two equal
    responses at one time are otherwise no surprise.
    """
    endpoint, status, form = tables.key(stray)
    if (
        not stray["response_sum"]
        or learned.count(endpoint, form) > MOST_COPIES
        or learned.total(endpoint) <= ENOUGH
    ):
        return []
    wanted = np.array(sorted(endpoints), dtype=np.int64)
    start, end = stray["request_time"], stray["response_end_time"]

    def alike(rows: Array) -> np.ndarray:
        chosen: np.ndarray = (
            (rows["status"] == status)
            & (rows["form"] == form)
            & (rows["response_length"] == stray["response_length"])
            & (rows["response_sum"] == stray["response_sum"])
            & (rows["outcome"] == Outcome.ANSWERED)
            & (rows["request_time"] < end)
            & (rows["response_end_time"] > start)
            & np.isin(tables.endpoint_of[rows["route"]], wanted)
        )
        return chosen

    return [row for row in tables.pick(alike) if tables.server(row) == tables.server(stray)]
