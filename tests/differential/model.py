"""What is compared: the HTTP traffic of one capture in a form that every reader can be brought to.

A capture is compared one interface at a time, because tshark 4.0 takes the sightings of one
connection on several interfaces for one connection with everything sent twice.
"""

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(slots=True)
class Request:
    """A request; `length` is its body's in bytes, None where not known or not whole."""

    method: str
    target: str
    length: int | None = None
    frame: int = 0
    whole: bool = True


@dataclass(slots=True)
class Response:
    """A final response. `asked` is the place of its request in `Talk.requests`, None: of none.

    `length` in bytes and `checksum` (Adler-32 of the body, transfer coding removed, content coding
    left) are None where the body is not whole, not looked into, or the reader does not say.
    """

    status: int
    length: int | None = None
    checksum: int | None = None
    asked: int | None = None
    frame: int = 0
    whole: bool = True


@dataclass(slots=True)
class Talk:
    """The HTTP traffic of one connection, in the order in which it was sent."""

    requests: list[Request] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)


class Side(NamedTuple):
    """Where bytes come from: a stream, by its first frame, and whether the server sent them."""

    stream: int
    server: bool


@dataclass(slots=True)
class Seen:
    """What a reader saw of a capture (or of one interface of it).

    `gaps` are the directions in which bytes are missing that the receiver had; `orphans` counts
    responses without a request that the reader mentions without showing them.

    `begun` has for every TCP stream the frame that it begins with; streams are known by that frame.
    """

    frames: int = 0
    begun: set[int] = field(default_factory=set)
    talks: dict[int, Talk] = field(default_factory=dict)
    gaps: set[Side] = field(default_factory=set)
    orphans: int = 0


class Difference(NamedTuple):
    """One thing that two readers say differently."""

    what: str  # requests, responses, pairing, body, streams, gap, mark, frames; h11: by h11
    stream: int  # its first frame; 0: of the capture as a whole
    ours: str
    theirs: str

    def __str__(self) -> str:
        place = f"stream of frame {self.stream}: " if self.stream else ""
        return f"{self.what}: {place}ours {self.ours}; theirs {self.theirs}"
