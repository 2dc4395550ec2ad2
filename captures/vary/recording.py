"""A recording in memory: its captures and its truth, read, varied and written.

Law: what is written is a recording like any other: `captures.scoring` can score it, and its
truth.json says how it was made. Truth follows the packets: a request that was left as it is keeps
its target, client and time there too.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from captures.scoring import OWN_HOST
from captures.vary import packets
from captures.vary.connections import Connection, connections
from captures.vary.content import Change
from captures.vary.ids import Vocabulary, learn
from captures.vary.packets import Capture
from captures.vary.rewrite import Left, Spoken, rewrite, spoken

Json = dict[str, Any]
CLOCKS = 2.0  # seconds by which a client's clock may differ from the wire
_ROWS = ("log", "planted", "tolerated")


class NotApplicable(ValueError):
    """A variant that a recording can't have; the argument says why."""


@dataclass
class Recording:
    """The captures in the order of truth.json, and what was left as it is so far."""

    name: str
    truth: Json
    captures: list[Capture]
    left: Left = field(default_factory=Left)
    notes: Counter[str] = field(default_factory=Counter)
    hosts: Mapping[str, str] = field(default_factory=lambda: OWN_HOST)

    @cached_property
    def spoken(self) -> list[Spoken]:
        """What was said on all connections that can be read."""
        return spoken(connections(self.captures), self.left)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Its words."""
        return learn(pair for one in self.spoken for pair in one.exchanges)

    @property
    def start(self) -> float:
        """The time of its first packet, in seconds on the lab's own clock."""
        firsts = [
            packets.first_time([each]) / 1e6 - ahead(told)
            for each, told in zip(self.captures, self.truth["captures"], strict=True)
            if each.packets
        ]
        return min(firsts, default=0.0)

    def forget(self) -> None:
        """The packets were changed: connections have to be told anew."""
        self.__dict__.pop("spoken", None)
        self.__dict__.pop("vocabulary", None)
        self.left = Left()

    def rewrite(self, changes: Sequence[Change], bodies: bool = False) -> None:
        """Rewrite what is said, in the packets and in truth; `bodies` if these change.

        NotApplicable if a request that truth names as planted can't be rewritten, or (with
        `bodies`) has an answer beside it that can't, whose words would be of another vocabulary.
        """
        said, _ = self.spoken, self.vocabulary
        if any(named(self, one) for one in self.left.connections):
            raise NotApplicable(f"planted on what can't be rewritten: {_reasons(self.left)}")
        if changes and not self._asked(said):
            raise NotApplicable("planted on a request that stands in another one's body")
        if bodies and any(one.broken and named(self, one.connection) for one in said):
            raise NotApplicable("planted on an answer that is not whole")
        self.notes["connections"] = len(said) + len(self.left.connections)
        changed = [rewrite(one, changes, always=not changes) for one in said]
        self.notes["rewritten"] = sum(changed)
        self.notes["left"] = len(self.left.connections)

        def change(request: Json) -> Json:
            if self.untouched(request):
                return request
            target = str(request["target"])
            for one in changes:
                target = one.target(target)
            return {**request, "target": target}

        self.requests(change)
        for row in self.truth.get("log", ()) if changes else ():
            # Bodies have changed.
            for name in ("length", "sha256"):
                row.pop(name, None)
        self.forget()

    def _asked(self, said: Sequence[Spoken]) -> bool:
        """Whether every planted request is one that its connection shows as a request."""
        seen: dict[str, set[tuple[str, str]]] = {}
        for one in said:
            names = {
                (asked.method.decode("latin-1"), asked.target.decode("latin-1"))
                for asked, _ in one.exchanges
            }
            for end in one.connection.clients:
                seen.setdefault(text(end), set()).update(names)
        planted = [one["request"] for one in self.truth["planted"]]
        return all(
            (one["method"], one["target"]) in seen[one["client"]]
            for one in planted
            if one["method"] != "-" and seen.get(one["client"])
        )

    def untouched(self, request: Json) -> bool:
        """Whether a request of truth is on a connection that was left as it is."""
        time = seconds(request["time"])
        for one in self.left.connections:
            first, last = one.times
            near = first / 1e6 - CLOCKS <= time <= last / 1e6 + CLOCKS
            if near and any(text(end) == request["client"] for end in one.clients):
                return True
        return False

    def requests(self, change: Callable[[Json], Json]) -> None:
        """Change every request that truth names."""
        for name in _ROWS:
            if name in self.truth:
                self.truth[name] = [_request(one, change) for one in self.truth[name]]

    def write(self, directory: Path, variants: Sequence[str], seed: int) -> None:
        """Write it, with how it was made."""
        directory.mkdir(parents=True, exist_ok=True)
        for capture, told in zip(self.captures, self.truth["captures"], strict=True):
            path = directory / told["file"]
            packets.write(capture, path)
            told["frames"] = len(capture.packets)
            told["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        self.truth["varied"] = {
            "from": self.name,
            "variants": list(variants),
            "seed": seed,
            "hosts": dict(self.hosts),
            "notes": dict(sorted(self.notes.items())),
        }
        truth = json.dumps(self.truth, indent=1, ensure_ascii=False)
        (directory / "truth.json").write_text(truth + "\n")


def read(directory: Path) -> Recording:
    """Read a recording; NotACapture if one of its captures is in another format."""
    truth = json.loads((directory / "truth.json").read_text())
    captures = [packets.read(directory / one["file"]) for one in truth["captures"]]
    return Recording(directory.name, truth, captures)


def ahead(told: Json) -> float:
    """By how many seconds the clock of a capture is ahead, as its truth tells."""
    return float(told.get("clock", {}).get("ahead", 0.0))


def text(end: packets.End) -> str:
    """An address and port as truth.json writes them."""
    return ".".join(map(str, end[0])) + f":{end[1]}"


def seconds(rfc3339: str) -> float:
    """Seconds since 1970 of a time with up to six decimals."""
    return datetime.fromisoformat(rfc3339[:26].rstrip("Z") + "+00:00").timestamp()


def rfc3339(time: float) -> str:
    """A time with six decimals."""
    stamp = datetime.fromtimestamp(round(time, 6), UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def named(recording: Recording, connection: Connection) -> bool:
    """Whether a connection has a request that truth names as planted or tolerated."""
    first, last = connection.times
    ends = {text(one) for one in connection.clients}
    for one in (*recording.truth["planted"], *recording.truth["tolerated"]):
        for request in (one["request"], one.get("owner")):
            if request and request["client"] in ends:
                time = seconds(request["time"])
                if first / 1e6 - CLOCKS <= time <= last / 1e6 + CLOCKS:
                    return True
    return False


def _reasons(left: Left) -> str:
    return ", ".join(f"{why} ({times})" for why, times in sorted(left.why.items()))


def _request(row: Json, change: Callable[[Json], Json]) -> Json:
    if "request" not in row:
        return change(row)
    inner = {name: change(row[name]) for name in ("request", "owner") if row.get(name)}
    return {**row, **inner}
