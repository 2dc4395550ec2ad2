"""One capture through all readers: what differs, and of that what is known to be tshark's doing."""

import json
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from analyzer.cli import main
from tests.differential import compare, decoders, known, ours, reference, theirs
from tests.differential.known import Evidence
from tests.differential.model import Difference, Seen, Side, Talk

SLOWEST = 10.0  # s for each megabyte, and for what is smaller


@dataclass(slots=True)
class Verdict:
    """What became of one capture.

    `explained` counts the differences by the reason that is known for them; `left` are the others,
    and everything that must not happen at all.
    """

    path: Path
    requests: int = 0
    responses: int = 0
    streams: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)


def of(path: Path, *, faults: bool = False) -> Verdict:
    """Scan a capture, compare it, and explain what can be explained.

    With `faults` (there are some in the traffic) a `misdelivered` is nothing remarkable.
    """
    out = Verdict(path)
    digest = known.digest(path)
    try:
        scanned = _scan(path, out, digest, faults=faults)
        if scanned:
            for difference in decoders.apart(path):
                _settle(str(difference), None, out)
            with tempfile.TemporaryDirectory() as folder:
                for view in ours.views(path, Path(folder)):
                    _compare(view, out, digest)
    except Exception:
        out.left.append("crash: " + traceback.format_exc()[-1_500:])
    return out


def _scan(path: Path, out: Verdict, digest: str, *, faults: bool) -> bool:
    """Scan as a person would; whether there was something to read."""
    begun = time.process_time()
    done = CliRunner().invoke(main, ["scan", str(path), "--json", "-", "--jobs", "1"])
    seconds = time.process_time() - begun
    allowed = SLOWEST * max(1.0, path.stat().st_size / 1e6)
    if seconds > allowed:
        out.left.append(f"slow: {seconds:.1f} s")
    if done.exit_code not in (0, 1, 2, 3):
        out.left.append(f"status {done.exit_code}")
    if "Traceback" in done.output or "Traceback" in done.stderr:
        out.left.append("traceback: " + done.stderr[-1_500:])
        return False
    if done.exit_code == 2:
        return False
    report: dict[str, Any] = json.loads(done.stdout)
    for finding in report["findings"]:
        if finding["kind"] == "misdelivered" and not faults:
            text = f"misdelivered: frame {finding['response']['frame']}"
            _settle(text, known.by_hash(digest, text), out)
    return True


def _settle(text: str, reason: str | None, out: Verdict) -> None:
    if reason:
        out.explained[reason] += 1
    else:
        out.left.append(text)


def _compare(view: Path, out: Verdict, digest: str) -> None:
    mine = ours.read(view)
    heard = theirs.read(view, mine.ports)
    streams = reference.streams(heard.tcp)
    holes = {
        number
        for number, stream in streams.items()
        if any(direction.has_hole for direction in stream.directions.values())
    }
    other = theirs.seen(view, mine.ports, heard, holes)
    for number in mine.seen.talks:
        client = mine.clients[number]
        for source, direction in streams[number].directions.items() if number in streams else ():
            if direction.has_gap:
                other.gaps.add(Side(number, source != client))
    evidence = Evidence(mine, other, streams, heard.complaint, heard.blocks)
    differences = compare.of_capture(mine.seen, other)
    differences += _marks(mine.seen, evidence)
    differences += _by_h11(mine.seen, evidence)
    for difference in differences:
        reason = known.reason(difference, evidence) or known.by_hash(digest, str(difference))
        name = f" [{view.name}]" if view != out.path else ""
        _settle(f"{difference}{name}", reason, out)
    out.streams += len(mine.seen.begun)
    for talk in mine.seen.talks.values():
        out.requests += len(talk.requests)
        out.responses += len(talk.responses)


def _marks(seen: Seen, evidence: Evidence) -> list[Difference]:
    """Gaps where tshark marks no segment as lost."""
    found = []
    for side in sorted(seen.gaps):
        marks = evidence.marks(side)
        if not marks & {"lost_segment", "ack_lost_segment"}:
            found.append(Difference("mark", side.stream, "bytes missing", "nothing lost"))
    return found


def _by_h11(seen: Seen, evidence: Evidence) -> list[Difference]:
    """Our messages beside those that h11 reads, as far as it gets."""
    found = []
    for number, talk in sorted(seen.talks.items()):
        judged = evidence.by_h11(number)
        if judged is None:
            continue
        other, clean = judged
        mine = talk
        if evidence.holed(number):
            # Which response is whose cannot be told by counting.
            other, mine = Talk(other.requests), Talk(talk.requests)
        if not clean:
            count, said = len(other.requests), len(other.responses)
            mine = Talk(talk.requests[:count], talk.responses[:said])
        for difference in compare.of_talk(number, mine, other):
            found.append(difference._replace(what="h11: " + difference.what))
    return found
