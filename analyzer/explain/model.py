"""What happened in one incident, as plain data that any renderer can lay out: its STORY.

Text from packets (targets, methods, keys, names of interfaces) is as it came: a renderer makes it
harmless.
"""

from dataclasses import dataclass
from enum import StrEnum

from analyzer.correlate.frames import NO_FRAME, Frame
from analyzer.findings.model import Cause, Explained, Fact, Finding


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
