"""How long answers take here, and so how long to wait before one that does not come is missed.

Law: sums over all judged exchanges. No wait is long or short by itself: an answer is overdue when
its request has waited for longer than any of its endpoint did, and where few of those are known,
than any at all. A service that is ten times as fast is judged alike.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np

from analyzer.correlate.view import Tables
from analyzer.tables import Outcome

FEW = 8  # answered requests, below which an endpoint's own waits say too little
# In ns: for a moment any server may be held up, by a collector, a disk or a lost segment.
MOMENT = 100_000_000
UNKNOWN = 1_000_000_000  # ns that answers may take where none was seen


class Learned(Protocol):
    """What was learned of an endpoint before."""

    longest: int
    answered: int


@dataclass(slots=True)
class Pace:
    """The longest that answered requests waited, in ns, and how many there were.

    By endpoint, a number of `Tables.names`.
    """

    longest: dict[int, int] = field(default_factory=dict)
    answered: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, tables: Tables, usual: Mapping[int, Learned] = MappingProxyType({})) -> "Pace":
        """Of all judged exchanges, and of what is `usual` already, by endpoint."""
        out = cls()
        for number, known in usual.items():
            if known.answered:
                out.longest[number], out.answered[number] = known.longest, known.answered
        for rows, _ in tables.judged():
            good = (rows["outcome"] == Outcome.ANSWERED) & (rows["request_frame"] > 0)
            endpoint = tables.endpoint_of[rows["route"]][good]
            wait = (rows["response_time"] - rows["request_time"])[good]
            order = np.argsort(endpoint, kind="stable")
            numbers, first = np.unique(endpoint[order], return_index=True)
            waits = np.split(wait[order], first)[1:]
            for number, mine in zip(numbers.tolist(), waits, strict=True):
                out.longest[number] = max(out.longest.get(number, 0), int(mine.max()))
                out.answered[number] += len(mine)
        return out

    def usual(self, endpoint: int) -> int:
        """The longest that an answered request of the endpoint waited, in ns; 0 where none was."""
        return self.longest.get(endpoint, 0)

    def patience(self, endpoint: int) -> int:
        """How long to wait for an answer of the endpoint, in ns, before it is overdue."""
        if not self.longest:
            return UNKNOWN
        known = self.answered[endpoint] >= FEW
        return max(MOMENT, self.longest[endpoint] if known else max(self.longest.values()))
