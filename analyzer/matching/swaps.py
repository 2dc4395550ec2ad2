"""What judging says of a response that came to the wrong request: the words its parts share."""

from dataclasses import dataclass, field
from typing import NamedTuple

from analyzer.correlate.view import Id, Row
from analyzer.findings.model import Confidence, Explained
from analyzer.matching.weights import Comparison

# Beside those of `assignment`.
SURPLUS, REUSED, EARLY_FINAL, UNSEEN = "surplus", "reused", "early final", "unseen"
LEAKED = "leaked"  # it shows what goes with another request's credentials
UNREAD = "unread"  # it answers the body of the request before on its connection


@dataclass(frozen=True, slots=True)
class Swap:
    """`recipient` is the exchange whose request was given the response that `owner` asked for.

    `how` is one of the words of `assignment` or of those above; `bits` speak for it over all
    honest reasons, and `likely` is the endpoint whose form it has where no owner is in sight.
    """

    recipient: Row
    owner: Row | None
    how: str
    confidence: Confidence
    comparisons: tuple[Comparison, ...] = ()
    explanations: tuple[Explained, ...] = ()
    bits: float = 0.0
    rivals: int = 0
    likely: int | None = None


class Oddity(NamedTuple):
    """An exchange that is worth a look and no finding, and why."""

    row: Row
    why: str
    comparisons: tuple[Comparison, ...] = ()
    explanations: tuple[Explained, ...] = ()


@dataclass(slots=True)
class Verdicts:
    """What came of all odd exchanges."""

    swaps: list[Swap] = field(default_factory=list)
    undecided: list[Row] = field(default_factory=list)  # the capture's limits leave them open
    oddities: list[Oddity] = field(default_factory=list)
    # Lone responses that their own connection's request had asked for, which was given another's.
    provided: dict[Id, Row] = field(default_factory=dict)
