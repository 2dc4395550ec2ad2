"""What the Python servers share: their configuration, their log, and invented facts."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from captures.lab.asked import about

T = TypeVar("T")
CONFIG: dict[str, Any] = json.loads(os.environ.get("WF_SERVER", "{}"))


@dataclass(frozen=True)
class Request:
    """One request as an API sees it."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def about(self) -> str | None:
        """What tells it from another request for the same target."""
        return about(self.headers.get("x-request-id"), self.body)


@dataclass(frozen=True)
class Answer:
    """One response; the body is JSON unless it is bytes already."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    def encoded(self) -> bytes:
        """The body's bytes."""
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, separators=(",", ":")).encode()


class Named(Protocol):
    """As much of a request as the log tells."""

    @property
    def method(self) -> str:
        """GET, POST, …"""

    @property
    def about(self) -> str | None:
        """What tells it from another request for the same target."""


class Log:
    """One line of JSON per answer, or per note about the planted bug."""

    def __init__(self) -> None:
        self._file = Path(CONFIG["log"]).open("a")  # noqa: SIM115 (open as long as the server)
        self._lock = threading.Lock()

    def write(self, **row: Any) -> None:
        with self._lock:
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()

    def answer(
        self,
        peer: str,
        request: Named,
        target: str,
        received: float,
        status: int,
        body: bytes,
    ) -> None:
        """A response as it was handed to the HTTP library."""
        method = request.method
        sent = b"" if method == "HEAD" or status in (204, 304) else body
        self.write(
            peer=peer,
            method=method,
            target=target,
            about=request.about,
            received=received,
            written=time.time(),
            status=status,
            length=len(sent),
            sha256=hashlib.sha256(sent).hexdigest(),
        )


def matches(
    patterns: str | Sequence[str] | None, name: str, request: Request | None = None
) -> bool:
    """Whether `GET /x` is meant by a pattern.

    A final `*` stands for anything; a third word must be in the request's body, or be its id.
    """
    listed = [patterns] if isinstance(patterns, str) else patterns or ()
    return any(_match(pattern, name, request) for pattern in listed)


def _match(pattern: str, name: str, request: Request | None) -> bool:
    wanted, _, word = pattern.partition(" ")
    target, _, word = word.partition(" ")
    wanted = f"{wanted} {target}"
    if word and not (
        request and (word.encode() in request.body or request.headers.get("x-request-id") == word)
    ):
        return False
    return wanted == name or (wanted.endswith("*") and name.startswith(wanted[:-1]))


def slowness(name: str, request: Request | None = None) -> float:
    """Seconds that a request takes, by the scenario."""
    for pattern, milliseconds in CONFIG.get("slow", {}).items():
        if matches(pattern, name, request):
            return float(milliseconds) / 1000
    return float(CONFIG.get("wait", 0)) / 1000


def number(key: str, limit: int) -> int:
    """A stable number below a limit."""
    return int.from_bytes(hashlib.md5(key.encode()).digest()[:4], "big") % limit


def pick(key: str, choices: Sequence[T]) -> T:
    """A stable choice."""
    return choices[number(key, len(choices))]


def code(key: str, length: int) -> str:
    """A stable hexadecimal string."""
    return hashlib.sha1(key.encode()).hexdigest()[:length]
