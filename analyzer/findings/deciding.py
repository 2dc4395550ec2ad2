"""Which suspicions are swaps: each stray response is given to the request that fits it best.

Law: no request asked for two strays, and what servers do honestly is not taken for a swap (see
`honest`). What the capture's limits may have caused stays undecided.
"""

from dataclasses import dataclass, field

from analyzer.echoes import says_who
from analyzer.findings.candidates import equal
from analyzer.findings.honest import SAME, by_chance, meant, over, shared, still_waits, too_late
from analyzer.findings.inside import fits, inside
from analyzer.findings.learning import Learned
from analyzer.findings.lens import Said
from analyzer.findings.owners import Score, Scorer, best
from analyzer.findings.strays import How, Suspects, Suspicion, Swap, Swaps
from analyzer.findings.touched import only_doubtful, touched
from analyzer.findings.view import Row, Tables
from analyzer.tables import Flag

Candidates = list[tuple[Row, How]]

_OPEN_AT_END = int(Flag.OPEN_AT_END)


def decide(tables: Tables, learned: Learned, suspects: Suspects, scorer: Scorer) -> Swaps:
    """The swaps among the suspicions, and what else came of these."""
    deciding = _Deciding(tables, learned, scorer, suspects.found)
    for suspicion in suspects.suspicions:
        deciding.stray(suspicion)
    for suspicion in suspects.unasked:
        deciding.unasked(suspicion)
    return deciding.finished(suspects.robbed)


@dataclass(slots=True)
class _Deciding:
    """What has been decided so far.

    `taken` are owners found already, each of which asked for one response; `misled` victims, whose
    own responses are still owed.
    """

    tables: Tables
    learned: Learned
    scorer: Scorer
    out: Swaps
    found: list[Swap] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    misled: set[int] = field(default_factory=set)

    def stray(self, suspicion: Suspicion) -> None:
        """Decide on a response that looks or sounds like another's."""
        stray, tables = suspicion.stray, self.tables
        if suspicion.nobody:
            self.out.unexplained.append(stray)
            return
        left, said = self._left(suspicion), None
        if suspicion.broken:
            said, left = self._inside(stray, left)
        scores = self.scorer.scores(stray, [row for row, _ in left], said)
        swap = _best(tables, suspicion, dict(zip(map(id, scores), left, strict=True)), scores)
        if swap is None or swap.owner is None or too_late(tables, swap):
            self._without_owner(suspicion, named=swap is not None)
        elif touched(tables, stray) or (
            touched(tables, swap.owner, but=_OPEN_AT_END) and not only_doubtful(tables, swap.owner)
        ):
            self.out.undecided.append(stray)
        else:
            self.misled.add(id(stray))
            self.taken.add(id(swap.owner))
            self.found.append(swap)

    def _left(self, suspicion: Suspicion) -> Candidates:
        """The candidates that nothing honest explains."""
        stray, scorer = suspicion.stray, self.scorer
        left = [
            (row, how)
            for row, how in suspicion.candidates
            if id(row) not in self.taken
            and (how is not How.LATE or id(row) in self.misled)
            and not over(self.tables, row, stray, how)
            and not shared(self.tables, scorer, row, stray, how)
        ]
        if not suspicion.mute or suspicion.foreign:
            return left
        left = [(row, how) for row, how in left if not scorer.own(stray, suspicion.mute, row)]
        # Whatever else may fit: two that have each other's answers.
        mirrored: Candidates = [
            (row, how) for row, how in left if how is How.CROSSED and scorer.mirrored(row, stray)
        ]
        if mirrored or suspicion.weak:
            return mirrored
        by_name = all(map(says_who, suspicion.mute))
        return [
            (row, how)
            for row, how in left
            if how is not How.CROSSED or not (by_name or equal(row, stray))
        ]

    def _inside(self, stray: Row, left: Candidates) -> tuple[Said | None, Candidates]:
        """The response in a broken body, and those of the candidates whose endpoint it fits."""
        said = self.scorer.lens.said(stray)
        within = said and inside(said)
        if within is None:
            return None, []
        asked = {self.tables.key(row)[0] for row, _ in left}
        fitting = {number for number in asked if fits(within, self.learned, number)}
        return within, [(row, how) for row, how in left if self.tables.key(row)[0] in fitting]

    def _without_owner(self, suspicion: Suspicion, *, named: bool) -> None:
        if touched(self.tables, suspicion.stray):
            return
        if suspicion.foreign:
            self.out.unexplained.append(suspicion.stray)
        elif not suspicion.weak and (named or suspicion.says_who):
            self.out.untold.append(suspicion.stray)

    def unasked(self, suspicion: Suspicion) -> None:
        """Decide on a response that no request was left for: somebody's who got none?

        Not where it may as well answer what was asked before it, on its connection, once more.
        """
        tables, stray = self.tables, suspicion.stray
        left = [
            (row, how)
            for row, how in suspicion.candidates
            if id(row) not in self.taken and not touched(tables, row, but=_OPEN_AT_END)
        ]
        scores = self.scorer.scores(stray, [row for row, _ in left])
        swap = _best(tables, suspicion, dict(zip(map(id, scores), left, strict=True)), scores)
        if swap is None or swap.owner is None or swap.rivals:
            return
        hits = len(swap.score.hits) if swap.score is not None else 0
        for row in suspicion.before:
            again = self.scorer.scores(stray, [row])[0]
            alike = again.hits or tables.key(row)[0] == tables.key(swap.owner)[0]
            if len(again.hits) >= hits and alike:
                return
        self.taken.add(id(swap.owner))
        self.out.swaps.append(swap)

    def finished(self, robbed: list[Row]) -> Swaps:
        """All swaps, without those that are honest in the light of the others."""
        honest = by_chance(self.tables, self.learned, self.found, robbed)
        self.out.unexplained += [s.victim for s in self.found if id(s.victim) in honest]
        honest |= meant(self.tables, self.found)
        self.out.swaps += [swap for swap in self.found if id(swap.victim) not in honest]
        return self.out


def _best(
    tables: Tables,
    suspicion: Suspicion,
    candidates: dict[int, tuple[Row, How]],
    scores: list[Score],
) -> Swap | None:
    """The candidate that fits best: by tokens, then by how it fared, then the latest waiting."""
    stray = suspicion.stray
    own = tables.key(stray)[0]
    top = best(
        [
            s
            for s in scores
            # What is foreign to an endpoint is so to all of its requests.
            if s.hits or not (tables.key(s.row)[0] == own or _namesakes(tables, s.row, stray))
        ]
    )
    if not suspicion.foreign:
        # Where shapes say nothing, somebody's token must be there.
        top = [
            score
            for score in top
            if score.hits
            and (candidates[id(score)][1] not in SAME or any(map(says_who, score.hits)))
        ]
    if not top:
        return None
    crossed = [score for score in top if candidates[id(score)][1] is How.CROSSED]
    robbed = [score for score in top if candidates[id(score)][1] not in (*SAME, How.LATE)]
    top = crossed or robbed or top
    waiting = [score for score in top if still_waits(tables, score.row, stray)]
    chosen = max(waiting or top, key=lambda score: score.row["request_time"])
    others = [len(score.hits) for score in scores if score is not chosen]
    return Swap(
        stray,
        chosen.row,
        candidates[id(chosen)][1],
        # Of one user's equal pages it doesn't matter which.
        rivals=0 if candidates[id(chosen)][1] is How.CACHED else max(0, len(waiting) - 1),
        mute=suspicion.mute,
        foreign=suspicion.foreign,
        score=chosen if chosen.known else None,
        weak=suspicion.weak,
        candidates=len(scores),
        second=max(others, default=0),
    )


def _namesakes(tables: Tables, row: Row, stray: Row) -> bool:
    """Whether both were asked for one thing under two hosts: most likely of the same program.

    One variant of its answers may then be usual under one name and rare under the other.
    """
    one, two = tables.names[tables.key(row)[0]], tables.names[tables.key(stray)[0]]
    return one.name == two.name and one.host != two.host
