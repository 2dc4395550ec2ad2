"""Which other connections a reader of an incident's packets needs, to see what is unusual about it.

Law: shapes, echoes, waits and habits are learned from ordinary exchanges, so that an incident alone
proves nothing. Those of the same endpoints come first, the nearest in time first.
"""

import numpy as np
import numpy.typing as npt

from analyzer.correlate.view import Tables
from analyzer.explain.incidents import Incident
from analyzer.tables import Array, Outcome

Ints = npt.NDArray[np.int64]
MOST = 16_384  # connections


def company(incident: Incident, tables: Tables) -> tuple[list[int], list[int]]:
    """Numbers of judged connections, the most telling first, and of any others near in time.

    The first list has ordinary exchanges of the incident's endpoints, the one with the longest wait
    at its head; neither has the incident's own connections.
    """
    asked = {
        request.endpoint
        for finding in incident.findings
        for request in (finding.request, finding.owner)
        if request is not None
    }
    endpoints = np.array(
        [n for n, endpoint in enumerate(tables.names) if endpoint.name in asked], dtype=np.int64
    )
    moment = incident.headline[2]
    alike: list[tuple[Ints, Ints]] = []
    others: list[tuple[Ints, Ints]] = []
    slowest = (-1, -1)
    for rows, _ in tables.judged():
        same = np.isin(tables.endpoint_of[rows["route"]], endpoints)
        good = same & (rows["outcome"] == Outcome.ANSWERED) & (rows["request_frame"] > 0)
        alike.append(_distances(rows[good], moment))
        others.append(_distances(rows[~good], moment))
        if good.any():
            waits = (rows["response_time"] - rows["request_time"])[good]
            longest = int(waits.argmax())
            slowest = max(slowest, (int(waits[longest]), int(rows["connection"][good][longest])))
    own = set(incident.every)
    first = [n for n in dict.fromkeys([slowest[1], *_nearest(alike)]) if n >= 0 and n not in own]
    rest = [n for n in _nearest(others) if n not in own and n not in set(first)]
    return first, rest


def _distances(rows: Array, moment: int) -> tuple[Ints, Ints]:
    times = np.where(rows["request_frame"] > 0, rows["request_time"], rows["response_time"])
    return rows["connection"].astype(np.int64), np.abs(times - moment)


def _nearest(found: list[tuple[Ints, Ints]]) -> list[int]:
    """Each connection once, the nearest first."""
    if not found:
        return []
    numbers = np.concatenate([numbers for numbers, _ in found])
    order = np.argsort(np.concatenate([apart for _, apart in found]), kind="stable")
    unique, first = np.unique(numbers[order], return_index=True)
    nearest: list[int] = unique[np.argsort(first)].tolist()
    return nearest[:MOST]
