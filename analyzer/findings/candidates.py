"""Who may have asked for a response that went astray.

Law: a request is a candidate only if it was asked at the same server before the response came, and
something of the response fits it: its shape is that of the request's endpoint, or no shape tells.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from analyzer.findings.learning import ENOUGH, MOST_OWNERS, Learned, says_something
from analyzer.findings.pool import Pool
from analyzer.findings.strays import How, Suspicion
from analyzer.findings.view import Row, Tables
from analyzer.shapes import Form, may_be_json
from analyzer.tables import Array, Outcome

LONGEST_WAIT = 600_000_000_000  # ns that an owner may have been waiting
NOWHERE = -1  # the endpoint of a response without a request
MOST_COPIES = 2  # responses of one form that an endpoint may have received as copies


@dataclass(slots=True)
class Search:
    """Where candidates are looked for: requests that got no response, and strays.

    `silent` has the endpoints of which no response was seen, by method and path.
    """

    tables: Tables
    learned: Learned
    robbed: Pool[Row]
    strays: Pool[Suspicion]
    silent: dict[str, set[int]]

    @classmethod
    def among(
        cls, tables: Tables, learned: Learned, strays: list[Suspicion], robbed: Iterable[Row]
    ) -> "Search":
        """Look among these."""
        silent: dict[str, set[int]] = {}
        for number, endpoint in enumerate(tables.names):
            if not learned.total(number):
                silent.setdefault(endpoint.name, set()).add(number)
        return cls(
            tables,
            learned,
            Pool(tables, ((row, row) for row in robbed), len(strays)),
            Pool(tables, ((other.stray, other) for other in strays), len(strays)),
            silent,
        )


def gather(search: Search, suspicion: Suspicion, *, copies: bool) -> bool:
    """Find who may have asked for a stray; returns whether all exchanges were looked through."""
    tables, learned = search.tables, search.learned
    stray = suspicion.stray
    key = tables.key(stray)
    if _is_broken(learned.forms[key[2]]) and suspicion.foreign:
        suspicion.broken = True
        robbed = search.robbed.near(stray, None, LONGEST_WAIT)
        some = [row for row in robbed if _could_own(tables, row, stray, None)]
        suspicion.candidates += [(row, How.INSIDE) for row in some]
        return False
    telling = says_something(learned.forms[key[2]])
    likes = set(learned.endpoints_like(key)) if telling else set()
    if suspicion.mute:
        likes.add(key[0])
        suspicion.foreign &= telling
    elif not likes or len(likes) > MOST_OWNERS or not telling:
        suspicion.nobody = True
        return False
    # Endpoints of other hosts with the same method and path that were never answered.
    for name in {tables.names[number].name for number in likes}:
        likes |= search.silent.get(name, set())
    robbed = search.robbed.near(stray, likes, LONGEST_WAIT)
    strays = search.strays.near(stray, likes, LONGEST_WAIT)
    out = suspicion.candidates
    out += [(row, How.SLIPPED) for row in suspicion.before if tables.key(row)[0] in likes]
    out += [(row, How.STOLEN) for row in robbed if _could_own(tables, row, stray, likes)]
    # Both ways: what the other one got looks like what this one asked for.
    crossed = [
        (other.stray, How.CROSSED)
        for other in strays
        if _could_own(tables, other.stray, stray, likes)
        and ((suspicion.mute and other.mute) or learned.looks_like(tables.key(other.stray), key[0]))
    ]
    out += crossed
    if suspicion.weak and not suspicion.foreign:
        suspicion.candidates = crossed
        return False
    # Those that were answered wrongly before: their own answer is still owed.
    known = {id(row) for row, _ in out}
    out += [
        (other.stray, How.LATE)
        for other in strays
        if id(other.stray) not in known
        and not equal(other.stray, stray)
        and _could_own(tables, other.stray, stray, likes, answered=True)
    ]
    if not copies or (out and not suspicion.says_who):
        return False
    known = {id(row) for row, _ in out}
    out += [
        (row, How.COPIED if row["response_end_time"] > stray["request_time"] else How.CACHED)
        for row in _copies(tables, learned, suspicion, likes)
        if id(row) not in known
    ]
    return True


def gather_unasked(search: Search, suspicion: Suspicion) -> None:
    """Find who may have asked for a response that no request is left for on its connection."""
    stray, learned = suspicion.stray, search.learned
    _, status, form = search.tables.key(stray)
    likes = set(learned.endpoints_like((NOWHERE, status, form)))
    if len(likes) > MOST_OWNERS or not says_something(learned.forms[form]):
        return
    suspicion.candidates += [
        (row, How.STOLEN)
        for row in search.robbed.near(stray, likes, LONGEST_WAIT)
        if _could_own(search.tables, row, stray, likes)
    ]


def equal(one: Row, other: Row) -> bool:
    """Whether two were given the same body: then it is hardly the other's."""
    return bool(one["response_sum"]) and all(
        one[name] == other[name] for name in ("response_sum", "response_length", "status")
    )


def _is_broken(form: Form) -> bool:
    return form.shape is None and may_be_json(form.media_type)


def _could_own(
    tables: Tables, row: Row, stray: Row, endpoints: set[int] | None, *, answered: bool = False
) -> bool:
    """Whether `row` is a request of one of `endpoints` that waited when `stray` was answered.

    Of any endpoint if None. With `answered` the answer that it was given does not count.
    """
    return (
        row is not stray
        and (endpoints is None or tables.key(row)[0] in endpoints)
        and tables.server(row) == tables.server(stray)
        and (row["connection"] != stray["connection"] or bool(row["response_time"]))
        and 0 < stray["response_time"] - row["request_time"] < LONGEST_WAIT
        and (answered or not row["response_time"] or row["response_time"] > stray["request_time"])
    )


def _copies(
    tables: Tables, learned: Learned, suspicion: Suspicion, endpoints: set[int]
) -> list[Row]:
    """Exchanges of `endpoints` that overlap the stray and were sent the same bytes.

    Unless a token tells, only where the endpoint of the stray is well known and almost never
    answers so: two equal responses at one time are otherwise no surprise. Where a token tells
    who asked, also those that were over before.
    """
    stray = suspicion.stray
    endpoint, status, form = tables.key(stray)
    if not stray["response_sum"]:
        return []
    if not suspicion.mute and (
        learned.count(endpoint, form) > MOST_COPIES or learned.total(endpoint) <= ENOUGH
    ):
        return []
    wanted = np.array(sorted(endpoints), dtype=np.int64)
    start, end = stray["request_time"], stray["response_end_time"]
    if suspicion.says_who:
        start = 0

    def alike(rows: Array) -> np.ndarray:
        chosen: np.ndarray = (
            (rows["status"] == status)
            & (rows["form"] == form)
            & (rows["response_length"] == stray["response_length"])
            & (rows["response_sum"] == stray["response_sum"])
            & (rows["outcome"] == Outcome.ANSWERED)
            & np.isin(tables.endpoint_of[rows["route"]], wanted)
        )
        return chosen

    copies = [
        row
        for row in tables.pick(alike)
        if row.position != stray.position and tables.server(row) == tables.server(stray)
    ]
    # What many are given is nobody's own.
    if len(copies) > MOST_COPIES and not suspicion.says_who:
        return []
    return [r for r in copies if r["request_time"] < end and r["response_end_time"] > start]
