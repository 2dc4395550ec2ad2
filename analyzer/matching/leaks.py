"""Responses that show somebody else, and which requests of theirs may have brought that about.

Law: what such a response shows goes with other credentials (`baselines.identities`); the rest of it
may well be its own request's. So no response is moved here: it is the identity that came from
another request. That is one that was under way at the same server, the one for the same endpoint
first; where there is none, something kept it (a cache, a session, a connection to a database), and
no request is named.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analyzer.baselines.identities import Identities
from analyzer.correlate.view import Row, Tables

MOST_OTHERS = 2  # identities that one response is held against


class Leak(NamedTuple):
    """A response that shows another identity, and a request of that one, if one was under way."""

    row: Row
    whose: int  # the identity, as `request_behalf` has it
    owner: Row | None


def leaks(tables: Tables, identities: Identities, suspects: list[Row]) -> list[Leak]:
    """What the suspects show of others, the likeliest of whom something was under way."""
    shown = {
        row.id: identities.showing[row.position[1]][:MOST_OTHERS]
        for row in suspects
        if row.position[1] in identities.showing
    }
    odd = [row for row in suspects if row.id in shown]
    under_way = tables.meanwhile(
        odd, lambda rows, row: np.isin(rows["request_behalf"], shown[row.id])
    )
    return [_leak(tables, row, shown[row.id], under_way[row.id]) for row in odd]


def _leak(tables: Tables, row: Row, shown: Sequence[int], under_way: list[Row]) -> Leak:
    for whose in shown:
        theirs = [one for one in under_way if one["request_behalf"] == whose]
        if theirs:
            endpoint = tables.endpoint(row)
            latest = max(
                theirs, key=lambda one: (tables.endpoint(one) == endpoint, one["request_time"])
            )
            return Leak(row, whose, latest)
    return Leak(row, shown[0], None)
