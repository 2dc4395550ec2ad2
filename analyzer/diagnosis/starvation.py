"""Requests that hang at one server at one time: one cause, said once.

Law: a cause is shared where none that came later was answered before: by the whole server, whose
workers are all busy then or wait for one thing; or at one endpoint of it, while others are
answered. Those that hang while later ones of their endpoint are answered may have several causes.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.correlate.frames import listed
from analyzer.correlate.view import Row, Tables
from analyzer.findings.model import Cause, How, Verdict
from analyzer.findings.words import counted, seconds
from analyzer.tables import Outcome

Times = npt.NDArray[np.int64]  # ns since 1970
LEAST = 2  # requests that came from that moment on, and hung at once
SLOW = 1_000_000_000  # ns that an answered request waited, from which on it kept a worker busy
MOST_NAMED = 5  # frames
MOST_LOOKED_AT = (
    64  # times at a server at which requests hung; each costs a pass over all exchanges
)


class Starved(NamedTuple):
    """Requests that hung at once, in the order of time, at an `endpoint` (-1: at all of a server).

    `waiting` of them were not overtaken, those from `since` on; so were `came` others, which were
    answered later or not at all. `holding` are requests of before that were at work for long, the
    `longest` of them for so many ns.
    """

    rows: tuple[Row, ...]
    endpoint: int
    since: Row
    waiting: int
    came: int
    holding: tuple[Row, ...]
    longest: int


def starving(tables: Tables, rows: Iterable[Row]) -> list[Starved]:
    """The unanswered `rows` that hung for one cause, together; of very many times the first."""
    found = []
    for some in _at_once(tables, rows, tables.server)[:MOST_LOOKED_AT]:
        whole = _starved(tables, some, -1)
        if whole is not None:
            found.append(whole)
            continue
        for its in _at_once(tables, some, tables.endpoint):
            part = _starved(tables, its, tables.endpoint(its[0]))
            if part is not None:
                found.append(part)
    return found


def _at_once(tables: Tables, rows: Iterable[Row], by: Callable[[Row], int]) -> list[list[Row]]:
    """The rows that are alike `by` something and whose waits overlap, in the order of time."""
    alike: dict[int, list[Row]] = {}
    for row in sorted(rows, key=_when):
        alike.setdefault(by(row), []).append(row)
    found: list[list[Row]] = []
    for its in alike.values():
        until = 0
        for row in its:
            if row["request_time"] >= until:
                found.append([])
            found[-1].append(row)
            until = max(until, _left(tables, row))
    return [some for some in found if len(some) >= LEAST]


def _when(row: Row) -> tuple[int, int]:
    return row["request_time"], row["request_frame"]


def _left(tables: Tables, row: Row) -> int:
    """When nobody waited for the request any more, or the capture ended, in ns."""
    return tables.ended(row, row["request_time"]) or tables.watched_until(row)


def _starved(tables: Tables, rows: list[Row], endpoint: int) -> Starved | None:
    """What the rows have in common; None where later ones like them were answered before them."""
    first, server = rows[0]["request_time"], tables.server(rows[0])
    left = [_left(tables, row) for row in rows]
    until, own = max(left), {row.id for row in rows}
    asked_of, said_of = [], []
    others: list[Row] = []
    for chunk, targets in tables.judged():
        here = tables.joined.service[chunk["connection"]] == server
        here &= (chunk["request_frame"] > 0) & (chunk["request_time"] < until)
        if endpoint >= 0:
            here &= tables.endpoint_of[chunk["route"]] == endpoint
        asked, said = chunk["request_time"], chunk["response_time"]
        good = here & (chunk["outcome"] == Outcome.ANSWERED)
        meanwhile = good & (asked > first)
        asked_of.append(asked[meanwhile])
        said_of.append(said[meanwhile])
        waited = here & (~good | (said - asked >= SLOW)) & (~good | (said > first))
        waited &= good | (asked >= first)
        others += [Row(chunk[at], targets[at]) for at in np.flatnonzero(waited).tolist()]
    overtaken = _overtaken(rows, left, np.concatenate(asked_of), np.concatenate(said_of))
    after = [row for row, was in zip(rows, overtaken, strict=True) if not was]
    if len(after) < LEAST:
        return None
    since = after[0]["request_time"]
    others = sorted((row for row in others if row.id not in own), key=_when)
    holding = tuple(row for row in others if row["request_time"] < since <= row["response_time"])
    return Starved(
        tuple(rows),
        endpoint,
        after[0],
        len(after),
        sum(row["request_time"] >= since for row in others),
        holding,
        max((row["response_time"] - row["request_time"] for row in holding), default=0),
    )


def _overtaken(rows: list[Row], left: list[int], asked: Times, answered: Times) -> list[bool]:
    """Whether one that was asked after a row was answered before the row was given up."""
    order = np.argsort(asked, kind="stable")
    # For each of them the earliest answer to it or to any that was asked after it.
    soonest = np.minimum.accumulate(answered[order][::-1])[::-1]
    soonest = np.append(soonest, np.iinfo(np.int64).max)
    later = np.searchsorted(asked[order], [row["request_time"] for row in rows], side="right")
    found: list[bool] = (soonest[later] < np.array(left, dtype=np.int64)).tolist()
    return found


def shared(tables: Tables, starved: Starved, causes: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """The causes of one of them, the first of which says what all have in common."""
    frames = [tables.asked(row) for row in starved.rows[:MOST_NAMED]]
    earlier = len(starved.rows) - starved.waiting
    busy = [tables.asked(row) for row in starved.holding[:MOST_NAMED]]
    like = "" if starved.endpoint < 0 else f" for {tables.names[starved.endpoint].name}"
    told = (
        f"{counted(len(starved.rows), 'request', 'requests')} hung, each while another one waited. "
        f"From frame {tables.asked(starved.since)} on no request{like} that came was answered "
        "before those that had come earlier were given up"
    )
    if starved.came:
        told += f"; {counted(starved.came, 'other', 'others')} waited as well"
    if earlier:
        told += f"; {counted(earlier, 'earlier one hangs', 'earlier ones hang')} too"
    if busy:
        many = len(starved.holding)
        told += (
            f"; {counted(many, 'earlier one was', 'earlier ones were')} still at work then, and "
            f"took up to {seconds(starved.longest)} s ({listed(busy, MOST_NAMED, many)})"
        )
    if starved.endpoint < 0:
        how = How.STARVED
        told += (
            ". All that works on requests there was busy, or waited for one thing (a lock, a pool "
            "of connections, another service)"
        )
    else:
        how = How.STUCK
        told += ". Others it did answer: what these wait for, those do not need"
    own = next(cause for cause in causes if cause.cause == "server/silent")
    at = tuple(dict.fromkeys((*own.frames, *frames, *busy)))
    because = f"{told}. Of this one: {own.because}"
    common = Cause("server/silent", Verdict.SUPPORTED, because, at, own.how or how)
    return (common, *(cause for cause in causes if cause is not own))
