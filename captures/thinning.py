"""A recording's capture with few examples left in it: whole connections gone, never a planted one.

Law: a connection stays whole or goes whole, and every packet that stays is as it was, in its place.
Connections with a request that truth names as planted or tolerated, or with its owner, stay. What
goes is chosen by a hash of the connection, so the same from run to run.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from captures.scoring import Json, Truth
from captures.vary import packets
from captures.vary.connections import Connection, connections
from captures.vary.packets import Capture
from captures.vary.recording import Recording, named, text

# Where the server's side of a recording was captured, what is nearest to the server first.
SERVER_SIDE = ("container", "bridge", "host-any")
ERROR = 400  # status codes from here on are no examples of what an endpoint answers

Endpoint: TypeAlias = tuple[str, str]  # ip:port of the server, method and path template


@dataclass(slots=True)
class Line:
    """A connection: its packets' places in the capture, and what it has examples of."""

    key: str
    places: list[int]
    planted: bool
    examples: Counter[Endpoint] = field(default_factory=Counter)


@dataclass(slots=True)
class Learned:
    """A capture with all that is known of its connections.

    `endpoints` has, for each planted fault, the endpoints of its request and of its owner, as far
    as the capture shows them. `others` are the places of packets that are of no connection.
    """

    recording: Recording
    truth: Truth
    vantage: str
    lines: list[Line]
    endpoints: list[set[Endpoint]]
    others: list[int]

    @property
    def capture(self) -> Capture:
        """The capture itself."""
        return self.recording.captures[0]

    @property
    def clock(self) -> float:
        """By how many seconds its clock is ahead."""
        return float(self.recording.truth["captures"][0].get("clock", {}).get("ahead", 0.0))

    def examples(self, kept: frozenset[int]) -> Counter[Endpoint]:
        """How many ordinary exchanges of each endpoint these connections have."""
        found: Counter[Endpoint] = Counter()
        for number in kept:
            found.update(self.lines[number].examples)
        return found

    def scarcest(self, fault: Json, kept: frozenset[int]) -> int | None:
        """The examples of that endpoint of a planted fault which has fewest; None if not seen."""
        have = self.examples(kept)
        number = next(n for n, one in enumerate(self.truth.told["planted"]) if one is fault)
        return min((have[one] for one in self.endpoints[number]), default=None)

    def write(self, kept: frozenset[int], path: Path) -> None:
        """Write the capture with these connections only."""
        places = [*self.others, *(n for one in kept for n in self.lines[one].places)]
        some = [self.capture.packets[n] for n in sorted(places)]
        packets.write(Capture(self.capture.link_type, self.capture.snaplen, some), path)


def server_side(truth: Json) -> str | None:
    """The vantage on the server's side at which all swapped responses are to be seen, if any."""
    there = [one["vantage"] for one in truth["captures"]]
    swapped = [one for one in truth["planted"] if one["kind"] == "misdelivered"]
    for vantage in SERVER_SIDE:
        if vantage in there and all(vantage in one["seen_at"] for one in swapped):
            return vantage
    return None


def read(directory: Path, vantage: str) -> Recording:
    """A recording as if it had been captured at one vantage only."""
    truth = json.loads((directory / "truth.json").read_text())
    truth["captures"] = [one for one in truth["captures"] if one["vantage"] == vantage]
    captures = [packets.read(directory / one["file"]) for one in truth["captures"]]
    return Recording(directory.name, truth, captures)


def learn(directory: Path, vantage: str) -> Learned:
    """Tell the connections of a capture, and scan it to know of what they have examples."""
    import analyzer
    from analyzer.report.escape import rfc3339

    recording = read(directory, vantage)
    truth = Truth(recording.truth)
    capture = recording.captures[0]
    place = {id(one): n for n, one in enumerate(capture.packets)}
    told = connections([capture])
    lines = [_line(recording, one, place) for one in told]
    line_of = {n: number for number, one in enumerate(lines) for n in one.places}
    out = Learned(recording, truth, vantage, lines, [set() for _ in recording.truth["planted"]], [])
    out.others = [n for n in range(len(capture.packets)) if n not in line_of]
    shifts = [out.clock]
    exchanges = analyzer.scan(directory / recording.truth["captures"][0]["file"]).exchanges
    for row in exchanges.to_dict("records"):
        frame = row["request_frame"] or row["response_frame"]
        line = lines[line_of[frame - 1]]
        asked = {name: row[name] for name in ("method", "target", "client")}
        asked["time"] = rfc3339(row["request_time"].value)
        endpoint = row["server"], row["endpoint"]
        ordinary = row["outcome"] == "answered" and 200 <= row["status"] < ERROR
        for number, one in enumerate(_named(recording.truth)):
            if any(truth.same(asked, wanted, shifts) for wanted in _requests(one)):
                ordinary, line.planted = False, True
                if number < len(out.endpoints):
                    out.endpoints[number].add(endpoint)
        if ordinary:
            line.examples[endpoint] += 1
    return out


def every(learned: Learned) -> frozenset[int]:
    """All connections."""
    return frozenset(range(len(learned.lines)))


def thinned(learned: Learned, most: int, seed: int) -> frozenset[int]:
    """The planted connections, and others until each endpoint has `most` examples, or all it has.

    Connections are whole, and may bring more of one endpoint than were asked for; none is kept that
    is not needed.
    """
    lines = learned.lines
    wanted = {e: min(most, n) for e, n in learned.examples(every(learned)).items()}
    kept = {n for n, one in enumerate(lines) if one.planted}
    have = learned.examples(frozenset(kept))
    rest = sorted(set(range(len(lines))) - kept, key=lambda n: _hash(lines[n].key, seed))
    added = []
    for n in rest:
        if any(have[one] < wanted[one] for one in lines[n].examples):
            have.update(lines[n].examples)
            added.append(n)
    for n in reversed(added):
        if all(have[one] - many >= wanted[one] for one, many in lines[n].examples.items()):
            have.subtract(lines[n].examples)
            added.remove(n)
    return frozenset(kept.union(added))


def _line(recording: Recording, one: Connection, place: dict[int, int]) -> Line:
    places = sorted(place[id(packet)] for _, _, packet in one.packets)
    key = f"{' '.join(sorted(map(text, one.clients)))} {one.times[0]}"
    return Line(key, places, named(recording, one))


def _named(truth: Json) -> Sequence[Json]:
    return [*truth["planted"], *truth["tolerated"]]


def _requests(fault: Json) -> Iterator[Any]:
    yield fault["request"]
    yield fault.get("owner")
    yield from fault.get("owner_also", ())


def _hash(key: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {key}".encode()).digest()
