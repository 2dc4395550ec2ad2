"""What is on the page, as plain data in the order of the page: what the templates are given.

Text from packets is as it came; `render.py` makes it harmless.
"""

from dataclasses import dataclass

from analyzer.correlate.frames import Frame
from analyzer.explain.model import Hint, Look
from analyzer.explain.overviews import Summary
from analyzer.report.page.ladder import Drawing
from analyzer.report.page.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Filter:
    """A Wireshark display filter, and what it shows."""

    shows: str
    text: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The facts that prove one finding; `of` says which."""

    of: str
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Weight:
    """So many bits for a fault, or against it; `size` is the share of the heaviest.

    That is in percent, a multiple of 5.
    """

    about: str
    bits: str
    size: int
    speaks_against: bool


@dataclass(frozen=True, slots=True)
class Shapes:
    """What came, beside what is usual; `owner` is what its owner's endpoint usually answers.

    `same`: that is what came, so that its fields need not be shown again.
    """

    usual: Look
    came: Look
    owner: Look | None
    same: bool
    comparison: str


@dataclass(frozen=True, slots=True)
class Scale:
    """What was weighed; `total` is what is left for a fault, "" where that is nothing."""

    weights: tuple[Weight, ...]
    total: str
    odds: str


@dataclass(frozen=True, slots=True)
class Lost:
    """An explanation that lost, and why."""

    name: str
    because: str


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause that was considered; `verdict` is a name of the style sheet, `word` for people."""

    name: str
    verdict: str
    word: str
    because: str
    where: str


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do next, with commands to copy; `number` is its own on the page."""

    number: int
    why: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A message with its values, line by line; there only with --show-bodies."""

    title: str
    frame: Frame
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """The first of so many sentences; `more` counts those left out."""

    texts: tuple[str, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident in full. `kinds` are those of its findings, `mark` what was said of it."""

    number: int
    summary: Summary
    time: str
    kinds: tuple[str, ...]
    findings: tuple[str, ...]  # their ids
    drawing: Drawing | None
    legend: tuple[str, ...]  # what the ladder's words mean, if no incident before had them
    caveats: tuple[str, ...]  # what the ladder lacks
    why: tuple[str, ...]  # the story's paragraphs on that,
    as_before: int  # or the number of an incident that has the same ones; 0: none
    filters: tuple[Filter, ...]
    shapes: tuple[Shapes, ...]
    proofs: tuple[Proof, ...]
    seen: Listed
    comments: Listed
    scales: tuple[Scale, ...]
    lost: tuple[Lost, ...]
    causes: tuple[Cause, ...]
    hints: tuple[Hint, ...]
    steps: tuple[int, ...]  # numbers of the page's steps
    exhibits: tuple[Exhibit, ...]
    more_facts: int  # that are left out
    mark: str


@dataclass(frozen=True, slots=True)
class Line:
    """An incident in a row of a table; `mark` is what was said of it."""

    summary: Summary
    time: str
    mark: str


@dataclass(frozen=True, slots=True)
class Leading:
    """An incident in a sentence, and how many more are the same, but for who and when."""

    summary: Summary
    more: int


@dataclass(frozen=True, slots=True)
class Group:
    """Incidents that repeat, by the first; `count` is that of all, also unlisted."""

    first: Summary
    count: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """How often an endpoint answered so."""

    count: int
    status: int
    shape: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint, how often it was asked, and what it answers; `more` forms are left out."""

    name: str
    requests: int
    forms: tuple[Form, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Unjudged:
    """So many of something that were not judged, why, and what to do when capturing again."""

    things: str
    why: str
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page. `tone` is `found`, `well` or `unjudged`, a name of the style sheet."""

    title: str
    headline: str
    tone: str
    said: tuple[str, ...]  # below the headline
    warnings: tuple[str, ...]  # what makes all of it doubtful
    leading: tuple[Leading, ...]  # on top
    like_them: int  # incidents that are those, or like them
    incidents: tuple[Incident, ...]
    meanings: tuple[tuple[str, str], ...]  # of the causes that are named
    steps: tuple[Step, ...]  # of all incidents, each once
    groups: tuple[Group, ...]
    in_all: int  # incidents
    shown: frozenset[str]  # their ids that are on the page, in full or in a row
    kinds: tuple[str, ...]  # that there are, to choose from
    confidences: tuple[str, ...]
    timeline: Timeline | None
    endpoints: tuple[Endpoint, ...]
    more_endpoints: int
    unjudged: tuple[Unjudged, ...]
    undecided: Listed
    notices: Listed
    about: tuple[tuple[str, str], ...]
    version: str
    with_bodies: bool
