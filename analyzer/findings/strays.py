"""What judging says of responses that went astray: the words that its parts share."""

from dataclasses import dataclass, field
from enum import Enum, auto

from analyzer.echoes import says_who
from analyzer.findings.owners import Score
from analyzer.findings.view import Row


class How(Enum):
    """In which way a response came to the wrong request."""

    SURPLUS = auto()
    STOLEN = auto()
    CROSSED = auto()
    COPIED = auto()
    CACHED = auto()  # the owner had been given it before the victim asked
    REUSED = auto()
    SLIPPED = auto()
    LATE = auto()  # the owner had been given another request's before, on whatever connection
    INSIDE = auto()  # in the body of the victim's own response


@dataclass(frozen=True, slots=True)
class Swap:
    """`victim` got the response that `owner` asked for; `rivals` others could as well have.

    `mute` has the places of the tokens that the response doesn't repeat and ought to, `foreign`
    says that its shape is. Of the `candidates` requests the owner's `score` was the best, and
    `second` the most tokens that another one had repeated.
    """

    victim: Row
    owner: Row | None
    how: How
    rivals: int = 0
    mute: tuple[str, ...] = ()
    foreign: bool = False
    weak: bool = False  # several others of the endpoint don't repeat their tokens either
    score: Score | None = None
    candidates: int = 0
    second: int = 0

    @property
    def by_name(self) -> bool:
        """Whether only who asked tells it: a server may know the same user by another name.

        It may have merged two sessions, or show one user what another one sees.
        """
        told = self.score.hits if self.score is not None else ()
        return bool(self.mute) and not self.foreign and all(map(says_who, (*self.mute, *told)))


@dataclass(slots=True)
class Swaps:
    """What came of all odd rows: swaps, rows that the capture's limits leave open, and oddities."""

    swaps: list[Swap] = field(default_factory=list)
    undecided: list[Row] = field(default_factory=list)
    unexplained: list[Row] = field(default_factory=list)  # foreign, with no owner in sight
    untold: list[Row] = field(default_factory=list)  # don't say whose they are
    early: list[Row] = field(default_factory=list)  # sent before their request, and nobody else's


@dataclass(slots=True)
class Suspicion:
    """A stray response with the requests that may have asked for it, and how they fared."""

    stray: Row
    foreign: bool
    mute: tuple[str, ...]
    candidates: list[tuple[Row, How]] = field(default_factory=list)
    before: list[Row] = field(default_factory=list)  # the request before, where there is one more
    nobody: bool = False  # nothing tells whose it could be
    broken: bool = False  # said to be JSON, and is not: another response may be in it
    weak: bool = False  # so many are mute there that only two that mirror each other count

    @property
    def says_who(self) -> bool:
        """Whether it ought to say who asked, and doesn't."""
        return any(map(says_who, self.mute))


@dataclass(slots=True)
class Suspects:
    """What looks odd, before anybody has looked at the messages."""

    suspicions: list[Suspicion] = field(default_factory=list)
    unasked: list[Suspicion] = field(default_factory=list)  # responses that no request is left for
    found: Swaps = field(default_factory=Swaps)
    robbed: list[Row] = field(default_factory=list)  # requests that got no response

    def rows(self) -> list[Row]:
        """The exchanges whose messages decide."""
        some: list[Row] = []
        for suspicion in (*self.suspicions, *self.unasked):
            if suspicion.candidates:
                some += [suspicion.stray, *(row for row, _ in suspicion.candidates)]
        return some
