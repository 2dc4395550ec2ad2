"""What explains an odd response honestly: an answer shared by two, a thing with two names, chance.

Law: where one of these explains a response as well as a swap does, it is no finding.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from analyzer.echoes import says_who
from analyzer.findings.learning import Learned
from analyzer.findings.owners import Scorer
from analyzer.findings.strays import How, Swap
from analyzer.findings.view import Row, Tables
from analyzer.tables import Array, Close, Outcome

# One thing may go by two names, and be given to two who ask at once under the id of one of them:
# where its own request got it too, it must say who asked.
SAME = (How.COPIED, How.CACHED)
CONSTANT = 5  # times that an endpoint gives the same bytes, and they are nobody's own
# Requests without an answer of an owner's endpoint: so many, so many a stray, and this share.
FEW_ROBBED, MOST_ROBBED, OFTEN_ROBBED = 4, 2, 0.2


def shared(tables: Tables, scorer: Scorer, row: Row, stray: Row, how: How) -> bool:
    """Whether both ask for one thing, and the answer to one may rightly be the other's as well.

    Not so where `row` still waited: then both had been given it. Two different answers are no
    shared one.
    """
    if how in (How.STOLEN, How.LATE):
        alone = still_waits(tables, row, stray) and not scorer.repeated(row, stray)
    else:
        alone = how not in SAME
    return not alone and scorer.same(row, stray)


def still_waits(tables: Tables, row: Row, stray: Row) -> bool:
    """Whether the client of `row` had not closed its connection when `stray` was answered."""
    connection = tables.connection(row)
    left = int(connection["client_fin_time"]) or int(connection["reset_time"])
    return not left or left >= stray["response_time"]


def over(tables: Tables, row: Row, stray: Row, how: How) -> bool:
    """Whether both sides had closed the connection of `row` before the stray was sent.

    And the stray's was open already, so that it cannot have taken the other one's number.
    """
    closed = _closed(tables, row)
    opened = int(tables.connection(stray)["first_time"])
    return how is How.STOLEN and opened < min(closed) and max(closed) < stray["response_time"]


def too_late(tables: Tables, swap: Swap) -> bool:
    """Whether the owner's exchange was over, and no id of its request speaks for a swap.

    Both sides had closed in good order, and the server with that all that was asked there: that one
    endpoint answers as another does, or a thing goes by two names, is likelier than an answer that
    was kept for nobody.
    """
    if swap.how is not How.STOLEN or swap.owner is None:
        return False
    closed = _closed(tables, swap.owner)
    return (
        bool(tables.connection(swap.owner)["first_close"] == Close.CLIENT_FIN)
        and all(closed)
        and max(closed) < swap.victim["response_time"]
        and not (swap.score and any(p.startswith("header:") for p in swap.score.hits))
    )


def _closed(tables: Tables, row: Row) -> tuple[int, int]:
    """When the client and the server closed the connection of `row`, in ns; 0: never."""
    connection = tables.connection(row)
    return int(connection["client_fin_time"]), int(connection["server_fin_time"])


def meant(tables: Tables, found: Iterable[Swap]) -> set[int]:
    """The ids of victims that were answered so at another time too, when the owner didn't wait.

    What the server always says to a request is what it means, whatever it names. Where only who
    asked, or the ids of requests, tell two answers apart this says nothing.
    """
    swaps = [swap for swap in found if swap.owner is not None and _by_content(swap)]
    equal: dict[tuple[bytes, int, int], list[Row]] = {}
    for row in _given(tables, swaps):
        equal.setdefault(_said(row), []).append(row)
    return {
        id(swap.victim)
        for swap in swaps
        if swap.owner is not None
        and any(
            _elsewhen(tables, row, swap.victim, swap.owner)
            for row in equal.get(_said(swap.victim), ())
        )
    }


def _given(tables: Tables, swaps: list[Swap]) -> list[Row]:
    """All exchanges with a response that is, as far as sums tell, one of these victims'."""
    sums = np.array(sorted({swap.victim["response_sum"] for swap in swaps} - {0}), dtype=np.uint32)
    if not len(sums):
        return []

    def alike(rows: Array) -> np.ndarray:
        chosen: np.ndarray = (rows["outcome"] == Outcome.ANSWERED) & np.isin(
            rows["response_sum"], sums
        )
        return chosen

    return tables.pick(alike)


def _by_content(swap: Swap) -> bool:
    return not swap.foreign and any(
        not says_who(place) and not place.startswith("header:") for place in swap.mute
    )


def _said(row: Row) -> tuple[bytes, int, int]:
    return row.target, row["response_sum"], row["response_length"]


def _elsewhen(tables: Tables, row: Row, victim: Row, owner: Row) -> bool:
    """Whether `row` asks what `victim` does, at a time when `owner` was not waiting."""
    until = owner["response_time"] or victim["response_time"]
    return (
        row.position != victim.position
        and tables.key(row)[0] == tables.key(victim)[0]
        and row["request_length"] == victim["request_length"]
        and (row["response_time"] < owner["request_time"] or row["request_time"] > until)
    )


def by_chance(
    tables: Tables, learned: Learned, found: list[Swap], robbed: Iterable[Row]
) -> set[int]:
    """The ids of victims whose shape alone tells, where that says little.

    An endpoint that answers so at other times too, with nobody left waiting, is honest; where many
    requests are given up one always waits; and what the owner's endpoint gives to everybody may be
    what the victim's gives to some.
    """
    claimed = Counter(tables.key(swap.victim) for swap in found)
    given_up = Counter(tables.key(row)[0] for row in robbed)
    accused = Counter(tables.key(swap.owner)[0] for swap in found if swap.owner is not None)
    little = set()
    by_shape = [
        swap
        for swap in found
        if swap.owner is not None
        and not swap.mute
        and (swap.score is None or not swap.score.proven)
    ]
    given = Counter((tables.key(row)[0], *_said(row)[1:]) for row in _given(tables, by_shape))
    for swap in by_shape:
        assert swap.owner is not None
        key, owner = tables.key(swap.victim), tables.key(swap.owner)[0]
        often = claimed[key] * 2 < learned.count(key[0], key[2])
        always = given[(owner, *_said(swap.victim)[1:])] >= CONSTANT
        some = given_up[owner]
        many = some > FEW_ROBBED + MOST_ROBBED * accused[owner] or (
            some > FEW_ROBBED and some > OFTEN_ROBBED * (some + learned.total(owner))
        )
        if often or always or many:
            little.add(id(swap.victim))
    return little
