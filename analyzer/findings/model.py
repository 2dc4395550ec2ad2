"""What judging puts out: findings, and what was worth saying beside them.

The field names are those of the report (schema.json in `report/`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from analyzer.baselines.summaries import EndpointSummary
from analyzer.correlate.frames import Frame
from analyzer.correlate.model import UNTOLD, Request, Response

SWAP = 20.0  # bits: one exchange in a million is given another's response
# What a finding's posterior must reach, in bits for it over all honest reasons together.
POSSIBLE, LIKELY, CERTAIN = 0.0, 5.0, 10.0
MOST_UNDECIDED = 1_000  # listed; all are counted
BACKEND = "server/backend-desync"


class Kind(StrEnum):
    """What is wrong."""

    MISDELIVERED = "misdelivered"
    UNANSWERED = "unanswered"
    INCOMPLETE = "incomplete"
    UNSOLICITED = "unsolicited"


class Confidence(StrEnum):
    """How sure the kind and the owner are."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


# What each cause means, for a person who does not know the names: layer/mechanism -> a sentence.
CAUSES: dict[str, str] = {
    "server/descriptor": "the process wrote to a socket that was no longer this request's: its "
    "descriptor was closed early, or lost, and the number used again",
    "server/crossed": "the process mixed up live responses: each request in question got another's",
    "server/stolen": "the process mixed up two live responses, one way",
    "server/backend-desync": "a connection behind the server slipped: one request after the other "
    "was given what the one before it had asked for",
    "server/silent": "the process never answered",
    "server/closed": "the process ended the connection instead of answering",
    "server/reset": "the server's side broke the connection off instead of answering",
    "connection/desync": "one connection slipped: more was sent on it than was asked for, or a "
    "message was framed wrongly",
    "client/pool-reuse": "the client reused a connection that still owed an answer",
    "client/early-final": "the client took an interim (1xx) response for the final one",
    "client/gave-up": "the client left before the answer came",
    "network/lost": "packets of the request or of its response were lost on the way",
    "network/reset": "something between client and server broke the connection off",
    "unknown/server-or-proxy": "the server, or a proxy before it, gave the response to the wrong "
    "request; which of them, this side of the path does not show",
    "proxy/crossed": "right on one side of a proxy, wrong on the other",
}


class How(StrEnum):
    """How a cause came about, where that says more than its mechanism; the value says what it
    means, for a person.
    """

    IDLE_CLOSE = "the client asked on a connection that the server had just closed as idle"
    CACHE = "a cache gave one client what it had given another"
    SMUGGLING = "one request was hidden in another, and only one of proxy and server saw it"
    KEPT = "the proxy was given the response and did not pass it on"
    GIVEN_UP = "what had been given up on came late, and was given to another request"
    UNACCEPTED = "the server was slow to take the connection, and never answered"
    IDENTITY = "the server took one request to be made on another one's behalf"
    BODY_UNREAD = "the server took the body of one request for the beginning of the next"
    STARVED = "the server answered nobody: its workers were busy, or all waited for one thing"
    STUCK = "what several requests for one thing wait for in the server never came"
    # Of responses that began.
    CLOSED_WITHIN = "the process ended the connection in the middle of its answer"
    CLOSED_BEHIND = "the body came whole, and what ends the message is missing"
    RESET_WITHIN = "the server's side broke the connection off in the middle of its answer"
    STOPPED_WITHIN = "the process began to answer, and stopped"
    BAD_STATUS_LINE = "no client can tell the status of what the server answered"
    NOT_HTTP = "something that is not HTTP/1.x came where the answer had to begin"


class Verdict(StrEnum):
    """What the evidence says of a cause."""

    SUPPORTED = "supported"
    POSSIBLE = "possible"
    RULED_OUT = "ruled-out"


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence, and the frames that show it."""

    fact: str
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause that was considered: `layer/mechanism`, why, and the frames that show it."""

    cause: str
    verdict: Verdict
    because: str
    frames: tuple[Frame, ...] = ()

    how: How | None = field(default=None, metadata=UNTOLD)
    both_sides: bool = field(default=False, metadata=UNTOLD)  # of a proxy were captured, and tell

    @property
    def meaning(self) -> str:
        """What it means, for a person who does not know the name."""
        return self.how or CAUSES.get(self.cause, self.cause)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one vantage saw of a finding's request and response, in the order of the way.

    `vantage` is the index in `Judgement.vantages`, `leg` the side of a proxy ("front", "back"; ""
    where none is known), `connection` its number there. Frames are those of the first bytes, in
    the file `..._capture`; None: not seen, and where `whole` it was not there. `first_wrong` is
    where a misdelivered response was first on the wrong connection.
    """

    vantage: int
    leg: str
    connection: int | None
    request_capture: int | None
    request_frame: int | None
    response_capture: int | None
    response_frame: int | None
    whole: bool
    first_wrong: bool


@dataclass(frozen=True, slots=True)
class Vantage:
    """An interface of a capture, or of a rotated set; its clock against the reference clock.

    `offset_ns` is how far it is ahead, `bound_ns` how wrong that may be; None where nothing tells.
    `corrected` is whether times were put right by it. `role` is "client side", "between" or "server
    side" of the other vantages that saw the same connections, "alone" where none did.
    """

    captures: tuple[int, ...]
    interface: str
    role: str
    connections: int
    offset_ns: int | None
    bound_ns: int | None
    drift_ppm: float
    corrected: bool


@dataclass(frozen=True, slots=True)
class Weighed:
    """A comparison that was weighed: what speaks for a finding in bits, or against it."""

    comparison: str
    bits: float
    frames: tuple[Frame, ...]
    fact: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A reason that was considered: whether it was `chosen` or `lost`, and why."""

    name: str
    verdict: str
    because: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One response that went astray, or never came."""

    kind: Kind
    confidence: Confidence
    cause: str
    causes: tuple[Cause, ...]
    request: Request | None
    response: Response | None
    owner: Request | None
    evidence: tuple[Fact, ...]
    filter: str
    id: str = ""
    incident: str = ""
    seen: tuple[Seen, ...] = ()
    weighed: tuple[Weighed, ...] = ()
    explanations: tuple[Explained, ...] = ()
    bits: float = 0.0  # for a fault over all benign reasons together
    # Requests of its endpoints that were learned from: in baselines, and in the capture itself.
    known: tuple[int, int] | None = field(default=None, metadata=UNTOLD)
    resembles: str = ""  # the endpoint whose form the response has, where no owner is in sight

    @property
    def rests_on_baseline(self) -> bool:
        """Whether most of what is known of its endpoints comes from a baseline."""
        return self.known is not None and self.known[0] > self.known[1]

    @property
    def is_extra(self) -> bool:
        """Whether it is bytes behind a response's end, rather than a response of its own."""
        return (
            self.kind is Kind.UNSOLICITED
            and self.confidence is Confidence.CERTAIN
            and self.owner is not None
            and self.response is not None
            and self.response.extra > 0
            and self.owner.connection == self.response.connection
        )


@dataclass(frozen=True, slots=True)
class Undecided:
    """A request that could not be judged, and why."""

    request: Request
    why: str


NOT_SAID = "it doesn't repeat what its request names, as its endpoint's other responses do"


@dataclass(frozen=True, slots=True)
class Notice:
    """Worth a look, no finding."""

    notice: str
    request: Request | None
    response: Response | None
    weighed: tuple[Weighed, ...] = ()
    explanations: tuple[Explained, ...] = ()


def expected_false(findings: Iterable[Finding]) -> float:
    """How many of the findings are false, as the bits that speak for them have it."""
    shares: list[float] = [1.0 / (1.0 + 2.0**f.bits) for f in findings if f.weighed]
    return round(sum(shares), 6)


@dataclass(slots=True)
class Judgement:
    """All that judging puts out."""

    requests: int = 0
    answered: int = 0
    unanswered: int = 0
    # Of `requests`: those of endpoints that are asked for different things and name none of them.
    nameless: int = 0
    connections: int = 0
    endpoints: list[EndpointSummary] = field(default_factory=list)
    # The same, with what baselines and documents know; what findings are held against.
    usual: list[EndpointSummary] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    undecided: list[Undecided] = field(default_factory=list)
    undecided_total: int = 0
    expected_false: float = 0.0  # findings of those above that are false, as their bits have it
    vantages: list[Vantage] = field(default_factory=list)
