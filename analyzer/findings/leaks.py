"""Responses that show somebody else, and which requests of theirs may have brought that about.

Law: what such a response shows goes with other credentials (`baselines.identities`); the rest of it
may well be its own request's. So no response is moved here: it is the identity that came from
another request. That is one that was under way at the same server, the one for the same endpoint
first; where there is none, something kept it (a cache, a session, a connection to a database), and
no request is named.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.baselines.identities import Identities
from analyzer.correlate.view import Id, Row, Tables
from analyzer.tables import Array

MOST_OTHERS = 2  # identities that one response is held against


class Leak(NamedTuple):
    """A response that shows another identity, and a request of that one, if one was under way."""

    row: Row
    whose: int  # the identity, as `request_behalf` has it
    owner: Row | None


def leaks(tables: Tables, identities: Identities, suspects: list[Row]) -> list[Leak]:
    """What the suspects show of others, the likeliest first of each."""
    odd = [
        (row, whose)
        for row in suspects
        for whose in identities.showing.get(row.position[1], ())[:MOST_OTHERS]
    ]
    if not odd:
        return []
    under_way = _under_way(tables, odd)
    found: dict[Id, Leak] = {}
    for row, whose in odd:
        owners = [one for one in under_way if one["request_behalf"] == whose and _meets(one, row)]
        owners = [one for one in owners if tables.server(one) == tables.server(row)]
        endpoint = tables.endpoint(row)
        owner = max(
            owners,
            key=lambda one: (tables.endpoint(one) == endpoint, one["request_time"]),
            default=None,
        )
        known = found.get(row.id)
        if known is None or (known.owner is None and owner is not None):
            found[row.id] = Leak(row, whose, owner)
    return list(found.values())


def _under_way(tables: Tables, odd: list[tuple[Row, int]]) -> list[Row]:
    wanted = np.array(sorted({whose for _, whose in odd}), dtype=np.int64)

    def together(rows: Array) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(rows), dtype=np.bool_)
        mine = np.isin(rows["request_behalf"], wanted)
        for row, whose in odd if mine.any() else ():
            one = mine & (rows["request_behalf"] == whose)
            one &= rows["request_time"] < row["response_time"]
            ended = rows["response_end_time"]
            found |= one & ((ended == 0) | (ended > row["request_time"]))
        return found

    return tables.pick(together)


def _meets(one: Row, row: Row) -> bool:
    """Whether a request was asked before a response came, and not answered before its request."""
    ended = one["response_end_time"]
    return one["request_time"] < row["response_time"] and (not ended or ended > row["request_time"])
