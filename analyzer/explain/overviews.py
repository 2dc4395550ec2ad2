"""What happened in the incidents in brief, as plain data that any renderer can lay out: SUMMARIES.

Text from packets is as it came, as in a story (`model.py`).
"""

from dataclasses import dataclass

from analyzer.correlate.frames import Frame
from analyzer.findings.model import Confidence, Kind


@dataclass(frozen=True, slots=True)
class Pointer:
    """A frame to look at, and what it is: `the response`."""

    frame: Frame
    what: str


@dataclass(frozen=True, slots=True)
class Summary:
    """An incident in a sentence or two; `asked`, `got`, `whose` and `more` make its `sentence`.

    `id` is the incident's, which `--finding` takes. `kind`, `confidence`, `cause` and `endpoint`
    are those of the finding that it is about, `findings` is the number of all. `time` is when it
    began (ns since 1970); `endpoint` is "" where no request is in sight.
    """

    id: str
    title: str
    time: int
    kind: Kind
    confidence: Confidence
    cause: str
    endpoint: str
    findings: int
    asked: str  # who asked what
    got: str  # what they got
    whose: str  # whose it was, and what became of that one; "": it is nobody's
    more: str  # what else happened in the incident; "": nothing
    why: str
    sure: str  # `certain (more than 1,000 to 1 for a fault)`
    frames: tuple[Pointer, ...]  # to look at, two at most

    @property
    def sentence(self) -> str:
        """What happened: who asked what, what they got, and whose it was."""
        return " ".join(text for text in (self.asked, self.got, self.whose, self.more) if text)

    @property
    def where(self) -> str:
        """The frames to look at, in a sentence; "": there are none."""
        told = " and ".join(f"{one.frame} ({one.what})" for one in self.frames)
        return f"Look at frame{'s' if len(self.frames) > 1 else ''} {told}." if told else ""


@dataclass(frozen=True, slots=True)
class Group:
    """So many incidents that repeat (one kind, confidence, cause and endpoint), by the first.

    `within` is the time from the first's beginning to the last's, in words.
    """

    summary: Summary
    count: int
    within: str


@dataclass(frozen=True, slots=True)
class Overview:
    """All incidents of a report, the worst first: the first groups of them, and how many there are.

    `groups_in_all` counts those that are not in `groups` too, `incidents` those of all groups.
    """

    groups: tuple[Group, ...]
    groups_in_all: int
    incidents: int

    @property
    def left_out(self) -> int:
        """The incidents in groups that are not told."""
        return self.incidents - sum(group.count for group in self.groups)
