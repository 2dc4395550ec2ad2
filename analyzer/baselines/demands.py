"""How far the servers of this capture heed what the protocol demands, and what a breach is worth.

Law: a demand is known before any capture is seen, so that the first breach tells already. Where an
endpoint's responses often break it, that is its habit, and tells little.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log2

from analyzer.features.demanded import NOTED

BEFORE = 8.0  # exchanges that what is known beforehand counts for
MOST_BROKEN = 512  # of one endpoint that are looked at one by one
HABIT = 1 / 8  # share of an endpoint's responses from which on breaking a demand is its habit


@dataclass(frozen=True, slots=True)
class Demands:
    """Responses by endpoint: those that keep what the protocol demands, and those that break it."""

    kept: Mapping[int, int] = field(default_factory=dict)
    broken: Mapping[int, int] = field(default_factory=dict)

    def breach(self, endpoint: int, stated: float = NOTED, *, but: int = 0) -> float:
        """The bits of a broken demand, at most those `stated`; `but` so many are not counted."""
        others = max(0, self.broken.get(endpoint, 0) - but)
        every = others + self.kept.get(endpoint, 0)
        likely = (others + BEFORE * 2.0**-stated) / (every + BEFORE)
        return min(stated, -log2(likely))

    def habitual(self) -> set[int]:
        """The endpoints that break demands so often that a breach is nothing odd there.

        Two that are each other's may be all that there is.
        """
        return {
            endpoint
            for endpoint, broken in self.broken.items()
            if broken > MOST_BROKEN
            or (broken > 2 and broken > HABIT * (broken + self.kept.get(endpoint, 0)))
        }
