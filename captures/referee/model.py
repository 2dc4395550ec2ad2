"""What a reader makes of one capture, in a form that every reader can be brought to."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

Json = dict[str, Any]


class Pair(NamedTuple):
    """A request as a reader shows it, and the response that it puts beside it.

    `client` is ip:port, or blank where the reader does not tell it. `status` 0 is no response;
    `digest` is the SHA-256 of the response's body in hex, None where the reader does not show the
    body whole as it was sent (a content coding that it undid, say). `time` is the request's, in
    seconds since 1970. `whose` is whether the reader says that the response is another request's.
    """

    client: str
    method: str
    target: str
    time: float
    status: int
    digest: str | None
    whose: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """All pairs of a capture; `doubted` are the clients (ip:port) of whose connections the reader
    says that something is missing or malformed, None that it says so of the whole capture.

    `refused` is what it said when it did not read the capture at all.
    """

    pairs: tuple[Pair, ...] = ()
    doubted: Set[str] | None = frozenset()
    refused: str = ""


def seconds(moment: str) -> float:
    """A moment of RFC 3339 in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()
