"""What happened in one incident, as plain data that any renderer can lay out: in brief its
SUMMARY, in full its STORY.

Text from packets (targets, methods, keys, names of interfaces) is as it came: a renderer makes it
harmless.
"""

from dataclasses import dataclass
from enum import StrEnum

from analyzer.correlate.frames import NO_FRAME, Frame
from analyzer.findings.model import Cause, Confidence, Explained, Fact, Finding, Kind


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


class Manner(StrEnum):
    """What kind of event it is; a renderer may choose how to draw it."""

    OPEN = "open"  # a connection begins
    REQUEST = "request"
    RESPONSE = "response"
    ASTRAY = "astray"  # a response on its way to the wrong request: the moment of the swap
    ACK = "ack"  # a confirmation that matters
    REPEAT = "repeat"  # sent again, because nothing confirmed it
    CLOSE = "close"
    RESET = "reset"
    WINDOW = "window"  # the receiver has no room left
    NOTE = "note"  # nothing is sent: what is worth saying about the time


@dataclass(frozen=True, slots=True)
class Lane:
    """Somebody who takes part: `client 1`, `server`; `place` is ip:port, `inside` that of a server
    behind address translation.
    """

    name: str
    place: str
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that one side of a connection does (its lane is `source`) towards the other one.

    `after` is the time since the story begins, `pause` that since the event before, in ns. `frame`
    is none (number 0) where no packet shows the event. `matters`: it is needed to understand the
    incident. `belongs_to` is the frame of the request that a response belongs to which goes astray,
    where that is in sight.
    """

    after: int
    pause: int
    source: int
    target: int
    manner: Manner
    text: str
    frame: Frame
    connection: int  # number in CONNECTIONS
    matters: bool
    belongs_to: Frame = NO_FRAME


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where the frames of a connection were seen that the story is told by."""

    connection: int
    capture: int
    path: str
    interface: str


@dataclass(frozen=True, slots=True)
class Look:
    """A shape of a response: `lines` are its fields, `count` of `total` responses have it."""

    title: str
    status: int
    lines: tuple[str, ...]
    count: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Bodies:
    """What came, beside what the endpoint usually answers, and a sentence on the two."""

    usual: Look
    came: Look
    owner: Look | None
    comparison: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The facts that prove one finding; `of` says which."""

    of: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do that settles what is open: why, and commands or code to use."""

    why: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A message as it was sent, its body included; made only when bodies may be shown."""

    title: str
    frame: Frame
    head: str
    body: str


@dataclass(frozen=True, slots=True)
class Scale:
    """What an event weighs: (what it is about, bits), in all, as odds, and the reason it beat."""

    lines: tuple[tuple[str, float], ...]
    bits: float
    odds: str
    lost: Explained | None


HINTS = "Known of software that is named here (a hint, no proof)"


@dataclass(frozen=True, slots=True)
class Hint:
    """What is known of software that is named in the messages, and where that stands; no proof."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Story:
    """All that there is to tell of one incident."""

    id: str
    title: str
    findings: tuple[Finding, ...]
    summary: tuple[str, ...]
    lanes: tuple[Lane, ...]
    sightings: tuple[Sighting, ...]
    begins: int  # ns since 1970
    events: tuple[Event, ...]
    bodies: tuple[Bodies, ...]
    legend: tuple[str, ...]  # the words in the events that need one
    evidence: tuple[Proof, ...]
    scales: tuple[Scale, ...]
    causes: tuple[Cause, ...]
    hints: tuple[Hint, ...]
    steps: tuple[Step, ...]
    caveats: tuple[str, ...]
    exhibits: tuple[Exhibit, ...] = ()
