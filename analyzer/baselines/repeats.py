"""The same bytes again: to whom an endpoint gives one answer twice, and to whom at one time.

Law: sums over the exchanges. Where an endpoint gives the same request the same bytes each time, and
others other bytes, the bytes say whose they are, though nothing in them names a request. Where two
different requests that were under way together were given the same bytes, and responses are
otherwise all different, one of the two was hardly meant.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log2
from operator import eq, itemgetter

import numpy as np
import numpy.typing as npt

from analyzer.baselines.tokens import EITHER
from analyzer.correlate.view import ERROR, Id, Row, Tables
from analyzer.tables import Array, Outcome

SHORTEST = 24  # bytes of a body; shorter ones are alike by chance
RARE = 5.0  # bits: how seldom an endpoint gives the same bytes twice, for two to be looked at
MOST_PAIRS = 4_096  # of requests under way together that were given the same bytes

Ints = npt.NDArray[np.int64]


def _usable(rows: Array) -> npt.NDArray[np.bool_]:
    usable: npt.NDArray[np.bool_] = (
        (rows["outcome"] == Outcome.ANSWERED)
        & (rows["status"] < ERROR)
        & (rows["response_sum"] != 0)
        & (rows["response_length"] >= SHORTEST)
        & (rows["request_frame"] > 0)
    )
    return usable


def shared(tables: Tables) -> Ints:
    """Frame ids of requests that were given, while both waited, what another one was given too.

    Only where their endpoint seldom gives the same bytes twice.
    """
    columns: list[Ints] = []
    for rows, _ in tables.judged():
        rows = rows[_usable(rows)]
        place = tables.joined.service[rows["connection"]] << 32 | tables.endpoint_of[rows["route"]]
        said = rows["response_sum"].astype(np.int64) << 24 ^ rows["response_length"].astype(
            np.int64
        )
        frame = rows["request_capture"].astype(np.int64) << 32 | rows["request_frame"]
        columns.append(
            np.stack([place, said, rows["request_time"], rows["response_end_time"], frame])
        )
    if not columns:
        return np.empty(0, np.int64)
    place, said, asked, ended, frame = np.concatenate(columns, axis=1)
    order = np.lexsort((asked, said, place))
    place, said, asked, ended, frame = (c[order] for c in (place, said, asked, ended, frame))
    new = np.r_[True, (place[1:] != place[:-1]) | (said[1:] != said[:-1])]
    group = np.cumsum(new) - 1
    many = np.bincount(group)[group]
    _, number = np.unique(place, return_inverse=True)
    every = np.bincount(number)[number]
    rare = np.log2((every + 1.0) / (np.maximum(many - 2, 0) + 0.5)) >= RARE
    together = np.r_[False, ~new[1:] & (asked[1:] < ended[:-1])] & rare
    at = np.flatnonzero(together)[:MOST_PAIRS]
    return np.unique(np.concatenate([frame[at], frame[at - 1]]))


@dataclass(slots=True)
class Repeats:
    """What the requests in question were given at other times."""

    tables: Tables
    given: dict[tuple[int, int, bytes], list[tuple[Id, int]]] = field(default_factory=dict)
    again: Counter[int] = field(default_factory=Counter)  # by endpoint: asked again
    alike: Counter[int] = field(default_factory=Counter)  # of these: given the same bytes
    bytes: dict[int, Counter[int]] = field(default_factory=dict)  # by endpoint: sums given

    @classmethod
    def around(cls, tables: Tables, rows: Iterable[Row]) -> "Repeats":
        """Count the exchanges of the endpoints of these."""
        out = cls(tables)
        wanted = {
            (tables.server(row), tables.endpoint(row), row.target)
            for row in rows
            if row["request_frame"]
        }
        endpoints = np.array(sorted({endpoint for _, endpoint, _ in wanted}), dtype=np.int64)
        if not len(endpoints):
            return out
        asked: dict[tuple[int, int, bytes], list[tuple[int, int, Id | None]]] = {}
        for chunk, targets in tables.judged():
            of = tables.endpoint_of[chunk["route"]]
            server = tables.joined.service[chunk["connection"]]
            for at in np.flatnonzero(_usable(chunk) & np.isin(of, endpoints)).tolist():
                said = int(chunk["response_sum"][at])
                key = int(server[at]), int(of[at]), targets[at]
                out.bytes.setdefault(key[1], Counter())[said] += 1
                one = Row(chunk[at], targets[at]).id if key in wanted else None
                asked.setdefault(key, []).append((int(chunk["request_time"][at]), said, one))
        for key, times in asked.items():
            times.sort(key=itemgetter(0, 1))  # the tables have them as shares brought them
            given = [said for _, said, _ in times]
            out.again[key[1]] += len(given) - 1
            out.alike[key[1]] += sum(map(eq, given, given[1:]))
            if key in wanted:
                out.given[key] = [(one, said) for _, said, one in times if one]
        return out

    def bits(self, request: Row, response: Row) -> float:
        """What it is worth that a response is, or is not, what the request is given otherwise."""
        endpoint, said = self.tables.endpoint(request), response["response_sum"]
        but = {request.id, response.id}
        key = self.tables.server(request), endpoint, request.target
        others = [s for one, s in self.given.get(key, ()) if one not in but]
        if not others or not said:
            return 0.0
        likely = (self.alike[endpoint] + EITHER) / (self.again[endpoint] + 2 * EITHER)
        sums = self.bytes[endpoint]
        random = (max(0, sums[said] - len(others)) + EITHER) / (sums.total() + 2 * EITHER)
        if said in others:
            return max(0.0, log2(likely / random))
        return min(0.0, log2((1.0 - likely) / (1.0 - random)))
