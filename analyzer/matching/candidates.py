"""Which requests may have asked for which odd response: few pairs, by place, time and form.

Law: a request is a candidate only if it was asked at the same server before the response came; and
of many those that fit best before anybody has looked at the messages. However many there are, the
time is bounded.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analyzer.correlate.history import History, histories
from analyzer.correlate.pool import Pool
from analyzer.correlate.view import Id, Row, Tables, failed
from analyzer.matching.slips import may_have_slipped
from analyzer.matching.triage import ODD, Odd
from analyzer.matching.weights import Weigher
from analyzer.tables import Array, Outcome

LONGEST_WAIT = 600_000_000_000  # ns that a request may have been waiting
MOST_CANDIDATES = 8  # for one response, whose messages are looked at
SAYS = 3.0  # bits from which on a response fits its own request badly
# Bits that speak for a pair before its messages are looked at: tokens may add what is missing, and
# in a circle the other pairs.
PROMISING = 3.0
MOST_ALONE = 64  # responses without a candidate whose messages are looked at all the same
MOST_LOOKED_UP = 64  # responses whose copies are looked for among all exchanges


@dataclass(slots=True)
class Candidates:
    """For every odd response the requests that may have asked for it, by the response's exchange.

    `copies` are exchanges that were given the same bytes, or were under way at the same endpoint;
    `before` what was asked before a response on its own connection.
    """

    responses: list[Row] = field(default_factory=list)
    of: dict[Id, list[Row]] = field(default_factory=dict)
    copies: dict[Id, list[Row]] = field(default_factory=dict)
    before: dict[Id, Row] = field(default_factory=dict)
    # Requests that were told that they failed; what is theirs may have come later, or elsewhere.
    failed: list[Row] = field(default_factory=list)
    # By a response that nobody had asked for what its connection was asked since one was given up.
    since: dict[Id, tuple[Row, ...]] = field(default_factory=dict)
    # How many different requests were given the bytes of a response, by `said`.
    given: Counter[tuple[int, int, int, int]] = field(default_factory=Counter)

    def rows(self) -> list[Row]:
        """All exchanges whose messages decide; some of those that may be nobody's come last."""
        found: dict[Id, Row] = {}
        alone: list[Row] = []
        for row in self.responses:
            others = [*self.of[row.id], *self.copies.get(row.id, ())]
            if others or row.id in self.before:
                before = [self.before[row.id]] if row.id in self.before else []
                for one in (row, *others, *before):
                    found.setdefault(one.id, one)
            elif row["request_frame"]:
                alone.append(row)
        for some in self.since.values():
            found |= {one.id: one for one in some if one.id not in found}
        for row in alone[:MOST_ALONE]:
            found.setdefault(row.id, row)
        return list(found.values())


def candidates(tables: Tables, weigher: Weigher, odd: Odd) -> Candidates:
    """Find the candidates of all odd responses: suspects, and those that nobody had asked for."""
    out = Candidates(responses=[*odd.suspects, *odd.lone])
    size = len(out.responses)
    unserved = Pool(tables, odd.unserved, size)
    suspects = Pool(tables, odd.suspects, size)
    if size:
        # One who had left before it was told so is unserved, and counted as that.
        known = {row.id for row in (*odd.suspects, *odd.unserved)}
        out.failed = [row for row in tables.pick(failed) if row.id not in known]
    failures = Pool(tables, out.failed, size)
    asked = histories(tables, out.responses if size <= MOST_LOOKED_UP * 8 else odd.lone)
    near: dict[Id, list[Row]] = {}
    for row in out.responses:
        some = [
            *unserved.near(row, LONGEST_WAIT),
            *suspects.near(row, LONGEST_WAIT),
            *failures.near(row, LONGEST_WAIT),
        ]
        earlier = _before(row, asked.get(row["connection"]))
        if earlier is not None:
            out.before[row.id] = earlier
            some.append(earlier)
        near[row.id] = [one for one in {o.id: o for o in some}.values() if _may_own(one, row)]
    for row in odd.lone[:MOST_LOOKED_UP]:
        since = (
            may_have_slipped(asked[row["connection"]], row) if row["connection"] in asked else ()
        )
        if since:
            out.since[row.id] = since
    weigher.prepare((row, row) for row in out.responses)
    weigher.prepare((one, row) for row in out.responses for one in near[row.id])
    left = {row.id for row in odd.unserved}
    for row in out.responses:
        out.of[row.id] = _best(tables, weigher, row, near[row.id], left)
        if row.id in out.before and out.before[row.id].id not in {o.id for o in out.of[row.id]}:
            out.of[row.id].append(out.before[row.id])
    _copies(tables, weigher, odd, out)
    _beside(tables, weigher, odd, out)
    return out


def _may_own(request: Row, response: Row) -> bool:
    """Whether a request was asked in time, and not where another answer has to come first."""
    return (
        request.id != response.id
        and request["request_frame"] > 0
        and 0 < response["response_time"] - request["request_time"] < LONGEST_WAIT
        and (request["connection"] != response["connection"] or bool(request["response_time"]))
    )


def _best(
    tables: Tables, weigher: Weigher, response: Row, some: list[Row], left: set[Id]
) -> list[Row]:
    """Those that speak for themselves before anything is read, the best first."""
    lacks = weigher.lacking_bits(response)
    own = weigher.form_bits(response, response)
    rated = []
    for one in some:
        form = weigher.form_bits(one, response)
        # What is unlike that endpoint's responses as well is no better there.
        if form <= -ODD and not tables.is_unreadable(response):
            continue
        bits = form - own + lacks
        if one.id in left:
            bits += weigher.rates.unserved(tables.endpoint(one))
        elif failed(one):
            bits += weigher.failed_bits(one, response)
        else:
            its = _oddness(weigher, one)
            # One that had been answered well by then has no answer to come.
            if its < SAYS and one["response_end_time"] <= response["request_time"]:
                continue
            bits += its
        if bits >= PROMISING:
            rated.append((bits, one["request_time"], one))
    rated.sort(key=_by_worth, reverse=True)
    return [one for _, _, one in rated[:MOST_CANDIDATES]]


def _oddness(weigher: Weigher, row: Row) -> float:
    """How little a response fits its own request, before anything is read."""
    return weigher.lacking_bits(row) + max(0.0, -weigher.form_bits(row, row))


def _by_worth(rated: tuple[float, int, Row]) -> tuple[float, int]:
    return rated[0], rated[1]


def _before(row: Row, known: History | None) -> Row | None:
    """The request before a response's own on its connection, or before the lone response."""
    if known is None:
        return None
    return known.before(row["request_time"] or row["response_time"])


def _copies(tables: Tables, weigher: Weigher, odd: Odd, out: Candidates) -> None:
    """Exchanges that were given the same bytes as a suspect, at the same server."""
    wanted = [
        row
        for row in odd.suspects
        if row["response_sum"] and row["response_length"] and not out.of[row.id]
    ]
    wanted += [row for row in odd.suspects if row["response_sum"] and out.of[row.id]]
    wanted = wanted[:MOST_LOOKED_UP]
    sums = np.array(sorted({row["response_sum"] for row in wanted}), dtype=np.uint32)
    if not len(sums):
        return

    def alike(rows: Array) -> np.ndarray:
        chosen: np.ndarray = (rows["outcome"] == Outcome.ANSWERED) & np.isin(
            rows["response_sum"], sums
        )
        return chosen

    by_bytes: dict[tuple[int, int, int, int], list[Row]] = {}
    for row in tables.pick(alike):
        by_bytes.setdefault(said(tables, row), []).append(row)
    out.given.update({key: len(set(map(question, rows))) for key, rows in by_bytes.items()})
    for row in wanted:
        equal = [one for one in by_bytes.get(said(tables, row), ()) if one.id != row.id]
        out.copies[row.id] = _nearest(equal, row)


def _beside(tables: Tables, weigher: Weigher, odd: Odd, out: Candidates) -> None:
    """Requests that were under way with a suspect at its endpoint, and were served as well.

    Its response may be made of what they asked for, where it lacks what its own request names.
    """
    wanted = [row for row in odd.suspects if row.position in weigher.echoes.missed]
    wanted = wanted[:MOST_LOOKED_UP]

    # Names in paths that responses repeat are values, and their endpoints in truth one.
    named = weigher.echoes.shared
    beside = {
        endpoint: [one for one in tables.beside(endpoint) if one == endpoint or one in named]
        if endpoint in named
        else [endpoint]
        for endpoint in map(tables.endpoint, wanted)
    }

    def served(rows: Any, row: Row) -> Any:
        endpoint = tables.endpoint_of[rows["route"]]
        its = np.isin(endpoint, beside[tables.endpoint(row)])
        return its & (rows["outcome"] == Outcome.ANSWERED)

    met = tables.meanwhile(wanted, served)
    for row in wanted:
        copies = out.copies.setdefault(row.id, [])
        known = {one.id for one in (*out.of[row.id], *copies)}
        copies += _nearest((one for one in met[row.id] if one.id not in known), row)[
            :MOST_CANDIDATES
        ]


def said(tables: Tables, row: Row) -> tuple[int, int, int, int]:
    """What a response says, as far as sums tell: equal for equal bytes of one server."""
    return tables.server(row), row["status"], row["response_length"], row["response_sum"]


def question(row: Row) -> tuple[bytes, int, int]:
    """What is asked, and on whose behalf, as far as targets and sums tell."""
    return row.target, row["request_sum"], row["request_behalf"]


def _nearest(rows: Iterable[Row], response: Row) -> list[Row]:
    """The few nearest in time; all that matters of very many is that they are many."""
    ordered = sorted(rows, key=lambda r: abs(r["response_time"] - response["response_time"]))
    return ordered[: 4 * MOST_CANDIDATES]
