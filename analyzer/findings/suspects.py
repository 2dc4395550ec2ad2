"""Responses that may have gone astray, with the requests that may have asked for them.

Law: a response has gone astray only with an owner in sight, or where the numbers show it.

- By the numbers: it was sent before its request had arrived (a surplus), unless all that was asked
  is answered all the same: a server may answer a connection rather than a request.
- By its shape: it is foreign to its endpoint, and a request of an endpoint that answers so was
  waiting at the same server.
- By a missing echo: it does not repeat a token of its request as the endpoint's others do, and it
  repeats one of another request that was waiting, of the same endpoint or of one that answers so.
- By a slip: its connection had a surplus before, and it looks or sounds like the answer to the
  request before its own (slipped).
- By what is in it: its body is said to be JSON and has another response in it, whose request was
  waiting and was left without one (inside).
- By what came before: the request that it fits had been given another's response (late).
- By the client's habits: one that asks one at a time, and all the same asks on a connection that
  still owes an answer, takes that answer for its own (reused).

What the owner got tells how it went: nothing (stolen), the other's response (crossed), the same
response at the same time (copied), or before (cached). Two that ask for the very same thing may be
given one answer, and whoever asks again the answer to the first attempt.
"""

from bisect import bisect_left
from collections import Counter

import numpy as np

from analyzer.echoes import says_who
from analyzer.findings.candidates import LONGEST_WAIT, Search, gather, gather_unasked
from analyzer.findings.history import History, histories
from analyzer.findings.learning import EchoRules, Learned
from analyzer.findings.strays import How, Suspects, Suspicion, Swap, Swaps
from analyzer.findings.touched import touched
from analyzer.findings.view import Key, Row, Tables
from analyzer.tables import Array, Flag, Outcome

HABIT = 0.1  # share of a client's requests sent while another was outstanding, up to which it is
# one that asks one at a time
LEAST_REQUESTS = 20  # of a client, to know its habits
TOGETHER = 5_000_000  # ns between two requests that a client sends as one pipeline
LONGEST_PIPELINE = 1_000_000_000  # ns after which nobody adds a request to a pipeline
AT_ONCE = 50_000_000  # ns after an answer in which nobody closes who keeps connections for later
MOST_LOOKED_UP = 64  # strays whose copies are looked for among all exchanges

_OPEN_AT_END = int(Flag.OPEN_AT_END)
_PIPELINED = int(Flag.PIPELINED)
_SURPLUS, _ECHOES = int(Flag.SURPLUS), int(Flag.ECHOES)
_REQUEST_OPEN = int(Flag.REQUEST_OPEN)


def suspects(
    tables: Tables,
    learned: Learned,
    foreign: set[Key],
    rows: list[Row],
    lost: set[int],
    serial: set[int],
    rules: EchoRules,
) -> Suspects:
    """What among the odd `rows` may be swaps.

    `lost` has the ids of rows whose response never arrived, `serial` the addresses of clients that
    ask one at a time.
    """
    out = Suspects()
    strays: list[Suspicion] = []
    slipped: set[int] = set()  # connections that have had a surplus response
    before = histories(tables, [row for row in rows if row["flags"] & (_SURPLUS | _PIPELINED)])
    out.robbed = [
        row
        for row in rows
        if id(row) in lost
        or (row["outcome"] == Outcome.UNANSWERED and not row["flags"] & _REQUEST_OPEN)
    ]
    vain = _asked_in_vain(tables, out.robbed)
    excess = {row["connection"] for row in rows if row["outcome"] == Outcome.UNSOLICITED}
    for row in rows:
        if row["outcome"] != Outcome.ANSWERED or id(row) in lost:
            continue
        mute = rules.mute(row.position)
        if mute and all(map(says_who, mute)) and rules.says_what(tables.key(row)[0]):
            # It is what was asked for, whoever else it may belong to.
            out.found.untold.append(row)
            mute = ()
        # A body that repeats its own request's id is no stray, however it looks.
        strange = tables.key(row) in foreign and not row["flags"] & _ECHOES
        if row["flags"] & _SURPLUS:
            slipped.add(row["connection"])
            if row["connection"] in excess or _earlier(row, before) or _missed(tables, row, vain):
                _surplus(tables, row, before, out.found)
            else:
                out.found.early.append(row)
        elif strange or mute:
            suspicion = Suspicion(row, strange, mute, weak=row.position not in rules.missed)
            if row["connection"] in slipped:
                suspicion.before = _earlier(row, before)[-1:]
            strays.append(suspicion)
        elif row["flags"] & _PIPELINED and tables.connection(row)["client"] in serial:
            _reused(tables, row, before, out.found)
    looked_up = 0
    search = Search.among(tables, learned, strays, out.robbed)
    for suspicion in strays:
        looked_up += gather(search, suspicion, copies=looked_up < MOST_LOOKED_UP)
    out.suspicions = strays
    out.unasked = _unasked(tables, rows) if out.robbed else []
    for suspicion in out.unasked:
        gather_unasked(search, suspicion)
    return out


def _unasked(tables: Tables, rows: list[Row]) -> list[Suspicion]:
    """The responses that no request was left for, each with what was asked before it."""
    lone = [row for row in rows if row["outcome"] == Outcome.UNSOLICITED]
    lone = [row for row in lone if not touched(tables, row, but=_OPEN_AT_END)]
    before = histories(tables, lone)
    found = []
    for row in lone:
        known = before.get(row["connection"])
        last = known.before(row["response_time"]) if known else None
        found.append(Suspicion(row, True, (), before=[] if last is None else [last]))
    return found


def _surplus(tables: Tables, row: Row, before: dict[int, History], out: Swaps) -> None:
    """A surplus response belongs to the request before, on the same connection."""
    if touched(tables, row):
        out.undecided.append(row)
        return
    earlier = _earlier(row, before)
    out.swaps.append(Swap(row, earlier[-1] if earlier else None, How.SURPLUS))


def _asked_in_vain(tables: Tables, robbed: list[Row]) -> dict[int, list[int]]:
    """When the requests were made that got no response, in order, by server."""
    found: dict[int, list[int]] = {}
    for row in robbed:
        found.setdefault(tables.server(row), []).append(row["request_time"])
    return {server: sorted(times) for server, times in found.items()}


def _missed(tables: Tables, row: Row, vain: dict[int, list[int]]) -> bool:
    """Whether a request to the server was left without a response that could be this one."""
    times = vain.get(tables.server(row), [])
    latest = bisect_left(times, row["response_time"]) - 1
    return latest >= 0 and row["response_time"] - times[latest] < LONGEST_WAIT


def _earlier(row: Row, before: dict[int, History]) -> list[Row]:
    """The request before the row's own on its connection, if there is one."""
    known = before.get(row["connection"])
    last = known.before(row["request_time"]) if known else None
    return [] if last is None else [last]


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


def _reused(tables: Tables, row: Row, before: dict[int, History], out: Swaps) -> None:
    """A client that asks one at a time reads the answer still owed as the answer to `row`.

    Not so where it pipelined for once: both requests sent together, one more without a byte of an
    answer in between, or a later one that waited until nothing was owed.
    """
    on_it = before.get(row["connection"])
    if on_it is None or touched(tables, row):
        return
    earlier = on_it.answered_before(row)
    if earlier is None or earlier["response_end_time"] <= row["request_time"]:
        return
    waited = row["request_time"] - earlier["request_time"]
    # A connection that pipelines does so from its start, does not wait long, and is kept.
    habit = on_it.owes_since(row) > 0 or waited > LONGEST_PIPELINE or _given_up(tables, row)
    alone = waited >= TOGETHER and not on_it.is_eager
    if habit and alone and not on_it.waits_after(row["request_time"]):
        out.swaps.append(Swap(row, earlier, How.REUSED))


def _given_up(tables: Tables, row: Row) -> bool:
    """Whether the client closed the connection as soon as the answer to `row` had come."""
    left = int(tables.connection(row)["client_fin_time"])
    return 0 < left - row["response_end_time"] < AT_ONCE
