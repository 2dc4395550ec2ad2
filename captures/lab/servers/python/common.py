"""What the Python servers share: their configuration, their log, and invented facts."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

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
        self, peer: str, method: str, target: str, received: float, status: int, body: bytes
    ) -> None:
        """A response as it was handed to the HTTP library."""
        sent = b"" if method == "HEAD" or status in (204, 304) else body
        self.write(
            peer=peer,
            method=method,
            target=target,
            received=received,
            written=time.time(),
            status=status,
            length=len(sent),
            sha256=hashlib.sha256(sent).hexdigest(),
        )


def matches(patterns: str | Sequence[str] | None, name: str) -> bool:
    """Whether `GET /x` is meant by a pattern; a final `*` stands for anything."""
    if patterns is None:
        return False
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(one == name or (one.endswith("*") and name.startswith(one[:-1])) for one in listed)


def slowness(name: str) -> float:
    """Seconds that a request takes, by the scenario."""
    for pattern, milliseconds in CONFIG.get("slow", {}).items():
        if matches(pattern, name):
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
