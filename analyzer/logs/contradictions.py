"""What a log and the wire disagree about: a closed table of kinds, and where one was seen."""

from dataclasses import dataclass
from enum import StrEnum

from analyzer.correlate.frames import Frame
from analyzer.logs.joining import JoinedLog


class Contradiction(StrEnum):
    """What a log and the wire disagree about: its name in JSON. MEANINGS says it in words."""

    OTHER_PEER = "other-peer"
    ANSWERED_ELSEWHERE = "answered-elsewhere"
    ANSWERED_NOWHERE = "answered-nowhere"
    NEVER_LOGGED = "never-logged"
    NOT_READ = "not-read"
    OTHER_STATUS = "other-status"


MEANINGS: dict[Contradiction, str] = {
    Contradiction.OTHER_PEER: "the server's log has another client's connection for a request than "
    "its packets came on",
    Contradiction.ANSWERED_ELSEWHERE: "the server's log has an answer for a client that got no "
    "byte; those bytes went to another",
    Contradiction.ANSWERED_NOWHERE: "the server's log has an answer that is on no wire",
    Contradiction.NEVER_LOGGED: "the server's log has no line for a request that its host had "
    "acknowledged",
    Contradiction.NOT_READ: "the client's log has no answer, and its host had acknowledged all of "
    "it",
    Contradiction.OTHER_STATUS: "log and wire have different statuses",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A contradiction: where, the lines, the frames, and the sentence."""

    kind: Contradiction
    path: str
    lines: tuple[int, ...]
    frames: tuple[Frame, ...]
    sentence: str
    finding: str = ""  # its id, where it is about one


@dataclass(frozen=True, slots=True)
class Beside:
    """The logs beside the captures, and what they and the wire disagree about."""

    logs: tuple[JoinedLog, ...]
    contradictions: tuple[Told, ...]
