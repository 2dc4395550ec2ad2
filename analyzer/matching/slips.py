"""Connections that gave one response more than they were asked for, because one came too late.

Law: on one connection responses come in the order of the requests (RFC 9112 §9.3.2). Where a
request was given up on, told so, and its connection used further, its own response may still come.
From then on each response answers the request before, and at the end one is left that nobody waits
for. So of the responses since then the surplus is the first, not the last. Nothing but the whole of
it is told: from the request that was given up on to the response that is left.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from analyzer.correlate.history import History
from analyzer.correlate.view import Row, given_up
from analyzer.matching.weights import Weigher
from analyzer.tables import Outcome

MOST = 64  # exchanges on a connection that are looked at before a response that is left


class Slip(NamedTuple):
    """Responses on one connection that each answer the request before: (request, response)."""

    steps: tuple[tuple[Row, Row], ...]


def may_have_slipped(history: History, left: Row) -> tuple[Row, ...]:
    """What was asked before a response that is `left`, since the first that was given up on.

    Nothing where none was, or where one in between was not answered.
    """
    found: list[Row] = []
    for row in history.asked_before(left["response_time"])[-MOST:]:
        if row["outcome"] != Outcome.ANSWERED:
            found.clear()
        elif found or given_up(row):
            found.append(row)
    return tuple(found)


def slip(weigher: Weigher, asked: tuple[Row, ...], left: Row) -> Slip | None:
    """Where a connection slipped that had been `asked` this, by what fits best; None: it did not.

    Where it did the response must rather answer the request that had been given up on than its own.
    """
    best, most = None, 0.0
    for place, row in enumerate(asked):
        if not given_up(row):
            continue
        for at in range(place + 1, len(asked)):
            steps = tuple(pairwise((*asked[at:], left)))
            gains = list(_gains(weigher, ((row, asked[at]), *steps)))
            if gains[0] > 0 and sum(gains) > most:
                best, most = Slip(((row, asked[at]), *steps)), sum(gains)
    return best


def _gains(weigher: Weigher, steps: tuple[tuple[Row, Row], ...]) -> Iterator[float]:
    """By how many bits each response fits the request before better than its own."""
    for request, response in steps:
        own = weigher.weight(response, response).bits if response["request_frame"] else 0.0
        yield weigher.weight(request, response).bits - own
