"""What is known of tshark 4.0: rules, each with its reason and the evidence that it asks for.

A rule never excuses a difference because it looks usual: it asks that a third reader (reference.py:
plain reassembly and h11) says what we say, or that the frames show what the reason says. What no
rule covers is listed with the capture's SHA-256 in known.json, looked at by hand, or is a mistake.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

from tests.differential import compare, reference
from tests.differential.model import Difference, Seen, Side, Talk
from tests.differential.ours import Reading
from tests.differential.reference import Direction, Stream

LISTED = Path(__file__).parent / "known.json"


@dataclass(slots=True)
class Evidence:
    """All that the readers saw, for rules to look at."""

    ours: Reading
    theirs: Seen
    streams: dict[int, Stream]
    complaint: str
    custom_blocks: int
    _h11: dict[int, tuple[Talk, bool] | None] = field(default_factory=dict)

    def by_h11(self, number: int) -> tuple[Talk, bool] | None:
        """What h11 reads of a stream, and whether it read all; None where it cannot begin."""
        if number not in self._h11:
            self._h11[number] = self._read(number)
        return self._h11[number]

    def _read(self, number: int) -> tuple[Talk, bool] | None:
        stream, client = self.streams.get(number), self.ours.clients.get(number)
        if stream is None or client is None or client not in stream.directions:
            return None
        others = [d for source, d in stream.directions.items() if source != client]
        ours = stream.directions[client]
        if len(others) != 1 or not (ours.began and others[0].began):
            return None
        server = others[0]
        found, clean = reference.talk(
            ours.whole, server.whole, closed=server.closed and server.all_shown
        )
        return found, clean and ours.all_shown and server.all_shown

    def marks(self, side: Side) -> set[str]:
        """tshark's marks on a direction; `ack_lost_segment` is on the other side's acks."""
        stream, client = self.streams.get(side.stream), self.ours.clients.get(side.stream)
        found: set[str] = set()
        for segment in stream.frames if stream else ():
            if (segment.source != client) == side.server:
                found |= segment.marks - {"ack_lost_segment"}
            else:
                found |= segment.marks & {"ack_lost_segment"}
        return found

    def all_marks(self, number: int) -> set[str]:
        """tshark's marks on a stream."""
        stream = self.streams.get(number)
        return stream.marks if stream else set()

    def both(self, number: int) -> tuple[Talk, Talk]:
        """What we and tshark say of a stream."""
        nothing = Talk()
        return (
            self.ours.seen.talks.get(number, nothing),
            self.theirs.talks.get(number, nothing),
        )

    def direction(self, number: int, server: bool) -> Direction | None:
        """One direction of a stream."""
        stream, client = self.streams.get(number), self.ours.clients.get(number)
        for source, direction in stream.directions.items() if stream else ():
            if (source != client) == server:
                return direction
        return None

    def holed(self, number: int) -> bool:
        """Whether bytes of the stream are missing."""
        stream = self.streams.get(number)
        return stream is not None and any(
            d.has_hole or d.has_gap for d in stream.directions.values()
        )

    def stands(self, number: int, line: bytes, times: int) -> bool:
        """Whether the captured bytes of a stream have `line` that many times."""
        found = 0
        for direction in self.streams[number].directions.values():
            found += b"".join(data for _, data in sorted(direction.pieces)).count(line)
        return found >= times

    def h11_agrees(self, number: int) -> bool:
        """Whether the third reader read the whole stream and says exactly what we say."""
        judged = self.by_h11(number)
        mine = self.ours.seen.talks.get(number)
        if judged is None or mine is None or not judged[1]:
            return False
        return not compare.of_talk(number, mine, judged[0])

    def cut(self, number: int) -> bool:
        """Whether the snaplen cut segments of the stream."""
        stream = self.streams.get(number)
        return stream is not None and any(f.cut for f in stream.frames)

    def refused(self, number: int) -> bool:
        """Whether h11 refuses something in a stream of which all bytes are there."""
        stream, judged = self.streams.get(number), self.by_h11(number)
        if stream is None or judged is None or judged[1]:
            return False
        return all(d.all_shown for d in stream.directions.values())

    def stream_at(self, frame: int) -> int | None:
        """tshark's stream (by its first frame) that a frame belongs to."""
        for begun, stream in self.streams.items():
            if any(segment.frame == frame for segment in stream.frames):
                return begun
        return None


Rule = Callable[[Difference, Evidence], bool]
RULES: list[tuple[str, Rule]] = []


def rule(sentence: str) -> Callable[[Rule], Rule]:
    """Register a rule under its reason."""

    def put(function: Rule) -> Rule:
        RULES.append((sentence, function))
        return function

    return put


def reason(difference: Difference, evidence: Evidence) -> str | None:
    """Why a difference is tshark's doing, if that is known."""
    return next((text for text, holds in RULES if holds(difference, evidence)), None)


@cache
def _listed() -> dict[str, list[dict[str, str]]]:
    loaded: dict[str, list[dict[str, str]]] = json.loads(LISTED.read_text())
    return loaded


def by_hash(digest: str, text: str) -> str | None:
    """The reason that is listed for a difference of one capture."""
    for one in _listed().get(digest, []):
        if text.startswith(one["difference"]):
            return one["reason"]
    return None


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- rules ---------------------------------------------------------------------------------------


@rule("tshark takes the most recent request for the one that a response answers")
def _most_recent(difference: Difference, evidence: Evidence) -> bool:
    if difference.what != "pairing" or evidence.holed(difference.stream):
        return False
    judged = evidence.by_h11(difference.stream)
    mine, _ = evidence.both(difference.stream)
    if judged is None:
        return False
    count, said = len(judged[0].requests), len(judged[0].responses)
    cut = Talk(mine.requests[:count], mine.responses[:said])
    return not compare.of_talk(difference.stream, cut, judged[0])


@rule("a response whose request is not in the capture is counted, not listed")
def _orphan(difference: Difference, evidence: Evidence) -> bool:
    if difference.what != "responses":
        return False
    mine, others = evidence.both(difference.stream)
    extra = Counter(r.status for r in others.responses) - Counter(r.status for r in mine.responses)
    missing = Counter(r.status for r in mine.responses) - Counter(
        r.status for r in others.responses
    )
    return not missing and extra.total() <= evidence.ours.seen.orphans


@rule("the one number that is missing at the end may be a byte, or a FIN that was not captured")
def _byte_or_fin(difference: Difference, evidence: Evidence) -> bool:
    if difference.what != "gap" or "whole" not in difference.theirs:
        return False
    direction = evidence.direction(difference.stream, difference.ours.startswith("server"))
    return direction is not None and direction.misses_one_number


@rule("all of a direction that was not captured is missing")
def _one_way(difference: Difference, evidence: Evidence) -> bool:
    if difference.what not in ("gap", "mark") or "missing" not in difference.ours:
        return False
    return len(evidence.streams[difference.stream].directions) == 1


@rule("a SYN with another initial sequence number begins another connection")
def _reused(difference: Difference, evidence: Evidence) -> bool:
    if difference.what != "streams" or difference.ours != "begins":
        return False
    place = evidence.stream_at(difference.stream)
    if place is None:
        return False
    frames = evidence.streams[place].frames
    here = next(segment for segment in frames if segment.frame == difference.stream)
    earlier = {f.seq for f in frames if f.frame < here.frame and f.source == here.source}
    return bool(here.flags & reference.SYN) and here.seq not in earlier


@rule("tshark takes two connections of the same ports for one: we read the second on its own")
def _second_connection(difference: Difference, evidence: Evidence) -> bool:
    if difference.what not in ("requests", "responses", "gap", "mark"):
        return False
    split = evidence.ours.seen.begun - evidence.theirs.begun
    places = {evidence.stream_at(frame): frame for frame in split}
    return difference.stream in places or difference.stream in split


@rule("tshark's stream is of frames that we do not read and count by name")
def _not_read(difference: Difference, evidence: Evidence) -> bool:
    stream = evidence.streams.get(difference.stream)
    named = any(evidence.ours.anomalies.get(name) for name in NOT_READ)
    if stream is None or not named:
        return False
    unread = [f for f in stream.frames if f.frame not in evidence.ours.decoded]
    return unread == stream.frames and difference.what in ("streams", "requests", "responses")


NOT_READ = (
    "ip-fragment-incomplete", "udp", "not-tcp", "link-type-unknown", "not-ip", "header-invalid",
    "tunnel-too-deep",
)  # fmt: skip


@rule("behind a 2xx to CONNECT the connection is a tunnel (RFC 9110 §9.3.6)")
def _tunnel(difference: Difference, evidence: Evidence) -> bool:
    mine, others = evidence.both(difference.stream)
    tunnels = [
        place
        for place, response in enumerate(mine.responses)
        if response.asked is not None
        and mine.requests[response.asked].method == "CONNECT"
        and response.status < 300
    ]
    if not tunnels or difference.what not in ("requests", "responses", "body"):
        return False
    before = tunnels[0] + 1
    if difference.what == "body":
        return f"response {tunnels[0]}:" in difference.ours
    asked = mine.responses[tunnels[0]].asked or 0
    return _start_lines(mine) == _start_lines(
        Talk(others.requests[: asked + 1], others.responses[:before])
    )


@rule("tshark does not show a message that never ends")
def _never_ends(difference: Difference, evidence: Evidence) -> bool:
    if difference.what not in ("requests", "responses"):
        return False
    mine, others = evidence.both(difference.stream)
    whole = Talk(
        [request for request in mine.requests if request.whole],
        [response for response in mine.responses if response.whole],
    )
    return _within(whole, others) and _within(others, mine)


def _within(few: Talk, many: Talk) -> bool:
    """Whether all messages of one are among those of the other."""
    asked = Counter((r.method, r.target) for r in few.requests)
    said = Counter(r.status for r in few.responses)
    return asked <= Counter((r.method, r.target) for r in many.requests) and said <= Counter(
        r.status for r in many.responses
    )


@rule("a body that was refused (Expect, RFC 9110 §10.1.1) is not sent: the next request follows")
def _refused_expectation(difference: Difference, evidence: Evidence) -> bool:
    if difference.what not in ("requests", "h11: requests"):
        return False
    mine, _ = evidence.both(difference.stream)
    direction = evidence.direction(difference.stream, server=False)
    refused = {r.asked for r in mine.responses if r.status >= 400}
    sent = b"".join(data for _, data in sorted(direction.pieces)) if direction else b""
    for place, pair in enumerate(pairwise(mine.requests)):
        one, two = (re.escape(f"{r.method} {r.target} HTTP/1".encode("latin-1")) for r in pair)
        head = one + rb"\.1\r\n" + _FIELDS + rb"Expect: *100-continue\r\n" + _FIELDS + rb"\r\n"
        if place in refused and re.search(head + two, sent, re.IGNORECASE):
            return True
    return False


_FIELDS = rb"(?:[^\r\n]+\r\n)*"


@rule(
    "a request with Content-Length and Transfer-Encoding: what follows is in question, not paired"
)
def _two_lengths(difference: Difference, evidence: Evidence) -> bool:
    direction = evidence.direction(difference.stream, server=False)
    named = evidence.ours.anomalies.get("content-length-and-chunked")
    if difference.what != "h11: responses" or direction is None or not named:
        return False
    sent = b"".join(data for _, data in sorted(direction.pieces))
    heads = re.findall(rb"[A-Z]+ [^\r\n]+ HTTP/1\.1\r\n" + _FIELDS, sent)
    names = [{line.partition(b":")[0].lower() for line in head.split(b"\r\n")} for head in heads]
    return any({b"content-length", b"transfer-encoding"} <= some for some in names)


@rule("the connection does not begin with HTTP/1.x (SOCKS, HTTP/0.9 ...): counted as not-http")
def _not_http(difference: Difference, evidence: Evidence) -> bool:
    if difference.what not in ("requests", "responses"):
        return False
    mine, _ = evidence.both(difference.stream)
    stream = evidence.streams.get(difference.stream)
    named = evidence.ours.anomalies.get("not-http") or evidence.ours.anomalies.get("tls")
    if stream is None or not named or mine.requests or mine.responses:
        return False
    first = next((f.payload for f in stream.frames if f.payload), b"")
    line = first.lstrip(b"\r\n").partition(b"\n")[0]
    return not re.search(rb"HTTP/1\.[0-9]", line)


@rule("the preface of HTTP/2, which h11 takes for a request")
def _preface(difference: Difference, evidence: Evidence) -> bool:
    return difference.what == "h11: requests" and "1 ('PRI *')" in difference.theirs


@rule("data behind a reset, on a connection that has ended: counted as data-after-close")
def _after_reset(difference: Difference, evidence: Evidence) -> bool:
    if difference.what not in ("requests", "responses"):
        return False
    mine, others = evidence.both(difference.stream)
    named = evidence.ours.anomalies.get("data-after-close")
    stream = evidence.streams.get(difference.stream)
    resets = [f.frame for f in stream.frames if f.flags & reference.RST] if stream else []
    if not named or not resets:
        return False
    frames = [r.frame for r in others.requests] + [r.frame for r in others.responses]
    late = [frame > resets[0] for frame in frames]
    return _within(mine, others) and sum(late) >= len(late) - len(mine.requests)


@rule("tshark gives the file up, or does not know its link type")
def _given_up(difference: Difference, evidence: Evidence) -> bool:
    return bool(evidence.complaint) and difference.what in ("frames", "streams")


@rule("tshark numbers the custom blocks of a pcapng file as frames")
def _custom_blocks(difference: Difference, evidence: Evidence) -> bool:
    return difference.what == "frames" and (
        evidence.theirs.frames - evidence.ours.seen.frames == evidence.custom_blocks
    )


@rule("tshark marks nothing where the capture's snaplen cut the bytes off")
def _snaplen(difference: Difference, evidence: Evidence) -> bool:
    return difference.what == "mark" and evidence.cut(difference.stream)


@rule("the snaplen cut the head off: tshark shows what there is of it")
def _cut_head(difference: Difference, evidence: Evidence) -> bool:
    if difference.what not in ("requests", "responses") or not evidence.cut(difference.stream):
        return False
    mine, others = evidence.both(difference.stream)
    extra = _start_lines(others) - _start_lines(mine)
    cut = [f.payload for f in evidence.streams[difference.stream].frames if f.cut]
    return not _start_lines(mine) - _start_lines(others) and all(
        any((line in head or line.startswith(head)) and b"\r\n\r\n" not in head for head in cut)
        for line in extra
    )


@rule("a message without a body by its status (RFC 9112 §6.3) whose head announces one")
def _bodyless(difference: Difference, evidence: Evidence) -> bool:
    if difference.what != "body" or not difference.ours.startswith("response"):
        return False
    mine, _ = evidence.both(difference.stream)
    place = int(difference.ours.split()[1].rstrip(":"))
    status = mine.responses[place].status
    return (status < 200 or status in (204, 304)) and mine.responses[place].length == 0


@rule("h11 refuses the message: it is malformed, and readers of such may differ (RFC 9112 §11.2)")
def _malformed(difference: Difference, evidence: Evidence) -> bool:
    if difference.what not in ("requests", "responses", "body", "pairing"):
        return False
    return evidence.refused(difference.stream)


@rule("tshark loses its place at a hole: what we read stands in the captured bytes")
def _hole(difference: Difference, evidence: Evidence) -> bool:
    if difference.what not in ("requests", "responses") or not evidence.holed(difference.stream):
        return False
    mine, others = evidence.both(difference.stream)
    return all(
        evidence.stands(difference.stream, line, mine_count)
        for line, mine_count in _start_lines(mine).items()
    ) and _orphans_only(mine, others, evidence)


def _start_lines(talk: Talk) -> Counter[bytes]:
    asked = [f"{r.method} {r.target} HTTP/1".encode("latin-1") for r in talk.requests]
    return Counter(asked) + Counter(f" {r.status} ".encode() for r in talk.responses)


def _orphans_only(mine: Talk, others: Talk, evidence: Evidence) -> bool:
    """Whether the other reader has nothing over ours but responses whose request is missing."""
    asked = Counter((r.method, r.target) for r in others.requests)
    asked -= Counter((r.method, r.target) for r in mine.requests)
    said = Counter(r.status for r in others.responses)
    said -= Counter(r.status for r in mine.responses)
    return not asked and said.total() <= evidence.ours.seen.orphans


@rule("tshark pairs over a hole by order alone")
def _pairs_over_hole(difference: Difference, evidence: Evidence) -> bool:
    return difference.what == "pairing" and evidence.holed(difference.stream)


@rule("plain reassembly and h11 read what we read: tshark counted a retransmission again")
def _retransmission(difference: Difference, evidence: Evidence) -> bool:
    return bool(
        difference.what in ("requests", "responses", "body")
        and evidence.all_marks(difference.stream) & _REPEATED
        and evidence.h11_agrees(difference.stream)
    )


@rule("plain reassembly and h11 read what we read: tshark lost a message out of order")
def _out_of_order(difference: Difference, evidence: Evidence) -> bool:
    return bool(
        difference.what in ("requests", "responses", "body")
        and evidence.all_marks(difference.stream) & {"out_of_order", "lost_segment"}
        and evidence.h11_agrees(difference.stream)
    )


@rule("plain reassembly and h11 read what we read: tshark took a part of a message for data")
def _continuation(difference: Difference, evidence: Evidence) -> bool:
    return difference.what in ("requests", "responses", "body") and evidence.h11_agrees(
        difference.stream
    )


_REPEATED = {"retransmission", "fast_retransmission", "spurious_retransmission"}
