"""FINDINGS -> what is usual: what a judged capture teaches for the next one.

Law: what is at fault, or in question, teaches nothing: those that were given another's response,
those whose it was, and what is worth a look. A request that merely hung counts among the failures,
of which every service has some.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from analyzer.baselines.learned import Learned, Name, fold
from analyzer.correlate.model import Request, Response
from analyzer.correlate.view import Tables
from analyzer.features.echoes import Position
from analyzer.findings.model import Judgement, Kind
from analyzer.matching.messages import Look, Messages, Read
from analyzer.matching.weights import stands

_HUNG = (Kind.UNANSWERED, Kind.INCOMPLETE)


def learn(
    tables: Tables, judgement: Judgement, look: Look | None = None, read: Read | None = None
) -> Learned:
    """What is usual in a capture, as far as it was judged to be in order.

    With `look` (and `read`) some ordinary messages are read again, to learn where their responses
    have what was asked for.
    """
    apart = in_question(judgement)
    found = fold(tables, apart)
    messages = Messages(tables, look, read)
    numbers = {Name.of(endpoint): number for number, endpoint in enumerate(tables.names)}
    examples = tables.examples(
        {numbers[name] for name, usual in found.endpoints.items() if usual.tokens},
        but=_Odd(apart, frozenset(_missed(tables))),
    )
    messages.take([], [], [row for some in examples.values() for row in some])
    for name, usual in found.endpoints.items():
        for place, tokens in usual.tokens.items():
            for row in examples.get(numbers[name], ()):
                where = stands(place, messages.tokens(row), messages.said(row))
                if where is not None:
                    tokens.examples += 1
                    tokens.where.update(where)
    return found


@dataclass(frozen=True, slots=True)
class _Odd:
    """The positions of exchanges that are no examples."""

    apart: frozenset[int]
    missed: frozenset[Position]

    def __contains__(self, position: object) -> bool:
        """Whether an exchange is in question, or lacks what others repeat."""
        assert isinstance(position, tuple)
        return position[1] in self.apart or position in self.missed


def _missed(tables: Tables) -> Iterator[Position]:
    for rule in tables.echoes.values():
        if rule.hits > rule.missed:
            yield from rule.misses


def in_question(judgement: Judgement) -> frozenset[int]:
    """The frame ids (capture << 32 | frame) of the requests that nothing is learned from."""
    told: list[Request | Response | None] = []
    incidents = {one.incident for one in judgement.findings if one.kind not in _HUNG}
    for finding in judgement.findings:
        if finding.kind not in _HUNG or finding.incident in incidents:
            told += [finding.request, finding.owner]
    told += [notice.request for notice in judgement.notices]
    return frozenset(one.capture << 32 | one.frame for one in told if one is not None)
