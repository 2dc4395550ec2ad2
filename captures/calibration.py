"""Predicted against true: what the model's bits promise, and what came of it, bin by bin.

    python -m captures.calibration [--recordings shipped|new|all] [--json] [RECORDING...]

Law: a finding is false if truth has it neither planted nor tolerated, or if it names a wrong owner;
its bits predict that to happen once in 1 + 2^bits times. Findings are of kind misdelivered, and are
taken from every capture of a recording, from all of them together, from the capture on the server's
side thinned out (`captures.curve`), and from one variant of that (`captures.vary`), another one for
each recording. What was weighed and not told is recorded on the way, to see below the threshold.
Findings that come from sequence numbers alone are not weighed, and counted apart.
"""

import hashlib
import json
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from math import exp2
from pathlib import Path
from typing import Any

import click

from captures.curve import EXAMPLES, asked, in_processes, subsets, table
from captures.score import RECORDINGS, chosen, scanned
from captures.scoring import TOGETHER, Json, Truth
from captures.thinning import Learned, learn, read, server_side
from captures.vary.recording import NotApplicable
from captures.vary.variants import VARIANTS, vary

NEW = RECORDINGS.parent / "unseen"
WHERE = {"shipped": [RECORDINGS], "new": [NEW], "all": [RECORDINGS, NEW]}

# Where bins begin, in bits; the last of them has no end, and of `BELOW` the first no beginning.
FINDINGS = (0.0, 2.0, 5.0, 10.0, 15.0)
BELOW = (-15.0, -10.0, -5.0, -2.0)
SEEDS = 1  # choices of examples for each k
MOST_LISTED = 40  # false findings that are listed

RECORDED, THINNED, VARIED = "recorded", "thinned", "varied"


@dataclass(frozen=True, slots=True)
class Point:
    """A finding, or an event that was weighed: where, by how many bits, and whether it is true."""

    recording: str
    source: str  # RECORDED, THINNED or VARIED
    view: str
    what: str
    bits: float
    true: bool
    weighed: bool = True


@dataclass(slots=True)
class Points:
    """All that a recording gave."""

    findings: list[Point]
    events: list[Point]


@dataclass(frozen=True, slots=True)
class Event:
    """An outcome of `explain`, with the moves as the report would name them."""

    bits: float
    name: str
    moves: tuple[Json, ...]


@contextmanager
def recorded() -> Iterator[list[Event]]:
    """Record every event that is weighed meanwhile in this process, whatever becomes of it."""
    deciding: Any = import_module("analyzer.matching.deciding")
    original = deciding.explain
    seen: list[Event] = []

    def explain(judging: Any) -> Any:
        outcome = original(judging)
        seen.append(Event(round(outcome.bits, 1), outcome.name, tuple(_moves(judging))))
        return outcome

    deciding.explain = explain
    try:
        yield seen
    finally:
        deciding.explain = original


def _moves(judging: Any) -> Iterator[Json]:
    tables = judging.tables
    for move in judging.event.moves:
        lone = not move.response["request_frame"]
        in_sight = move.request.id != move.response.id
        yield {
            "kind": "unsolicited" if lone else "misdelivered",
            "request": None if lone else _told(tables.request(move.response)),
            "response": _told(tables.response(move.response)),
            "owner": _told(tables.request(move.request)) if in_sight else None,
        }


def _told(what: Any) -> Json:
    from analyzer.report.escape import rfc3339

    names = ("method", "target", "client") if hasattr(what, "method") else ("status",)
    return {**{name: getattr(what, name) for name in names}, "time": rfc3339(what.time)}


def is_true(truth: Truth, shifts: Sequence[float], finding: Json) -> bool:
    """Whether a finding is planted or tolerated, and names no wrong owner."""
    for one in (*truth.told["planted"], *truth.told["tolerated"]):
        if not truth.is_fault(finding, one, shifts):
            continue
        owners = [owner for owner in (one.get("owner"), *one.get("owner_also", ())) if owner]
        if finding["owner"] is None or not owners:
            return True
        if any(truth.same(finding["owner"], owner, shifts) for owner in owners):
            return True
    return False


def of_scan(name: str, source: str, view: str, truth: Truth, files: Sequence[Path]) -> Points:
    """The findings and events of one scan."""
    ahead = {
        one["vantage"]: float(one.get("clock", {}).get("ahead", 0.0))
        for one in truth.told["captures"]
    }
    vantage = view.partition(" ")[0]
    shifts = [ahead[vantage]] if vantage in ahead else sorted({0.0, *ahead.values()})
    with recorded() as seen:
        report = scanned(files)
    findings = [
        Point(name, source, view, asked(one["request"]), one["bits"], is_true(truth, shifts, one),
              bool(one["weighed"]))
        for one in report["findings"]
        if one["kind"] == "misdelivered"
    ]  # fmt: skip
    events = [
        Point(name, source, view, f"{asked(one.moves[0]['request'])}: {one.name}", one.bits,
              all(is_true(truth, shifts, move) for move in one.moves))
        for one in seen
    ]  # fmt: skip
    return Points(findings, events)


def points(directory: Path, most: Sequence[int], thin: bool, varied: bool) -> Points:
    """All of a recording: as recorded, thinned out and varied."""
    out = Points([], [])
    for one in _scans(directory, most, thin, varied):
        out.findings += one.findings
        out.events += one.events
    return out


def _scans(directory: Path, most: Sequence[int], thin: bool, varied: bool) -> Iterator[Points]:
    truth = Truth(json.loads((directory / "truth.json").read_text()))
    files = {one["vantage"]: directory / one["file"] for one in truth.told["captures"]}
    for view, path in files.items():
        yield of_scan(directory.name, RECORDED, view, truth, [path])
    if len(files) > 1:
        yield of_scan(directory.name, RECORDED, TOGETHER, truth, list(files.values()))
    vantage = server_side(truth.told)
    if vantage is None:
        return
    if thin:
        yield from _thinned(learn(directory, vantage), most)
    if varied:
        yield from _varied(directory, vantage)


def _thinned(learned: Learned, most: Sequence[int]) -> Iterator[Points]:
    done = set()
    for k, seed, kept in subsets(learned, most, SEEDS):
        if not k or kept in done:
            continue
        done.add(kept)
        with tempfile.TemporaryDirectory(prefix="calibration-") as made:
            path = Path(made) / "thinned.pcap"
            learned.write(kept, path)
            view = f"{learned.vantage} k={k} seed={seed}"
            yield of_scan(learned.recording.name, THINNED, view, learned.truth, [path])


def _varied(directory: Path, vantage: str) -> Iterator[Points]:
    """The first variant that the recording can have, in an order of its own."""
    name = directory.name
    for variant in sorted(set(VARIANTS) - {"none"}, key=lambda one: _hash(f"{name} {one}")):
        one = read(directory, vantage)
        try:
            vary(one, [variant], 1)
        except NotApplicable:
            continue
        with tempfile.TemporaryDirectory(prefix="calibration-") as made:
            one.write(Path(made), [variant], 1)
            path = Path(made) / one.truth["captures"][0]["file"]
            view = f"{vantage} {variant}"
            yield of_scan(name, VARIED, view, Truth(one.truth), [path])
        return


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Bin:
    """A range of bits, what is in it, and what share of that is false."""

    name: str
    many: int
    predicted: float | None
    false: int
    recordings: int  # different ones that the false ones are of

    @property
    def true_share(self) -> float | None:
        """The share that is false, by the truth."""
        return self.false / self.many if self.many else None


def predicted_false(bits: float) -> float:
    """The chance that something with so many bits for it is not so: 1 / (1 + 2^bits)."""
    return 1.0 / (1.0 + exp2(min(bits, 1000.0)))


def bins(found: Sequence[Point], edges: Sequence[float], below: bool = False) -> list[Bin]:
    """The points by bits: [edge, next edge), the last without an end; `below`: one before all."""
    members: list[list[Point]] = [[] for _ in range(len(edges) + 1)]
    for one in found:
        members[bisect_right(edges, one.bits)].append(one)
    ends = [*edges, None]
    names = [f"< {edges[0]:g}"]
    names += [f"{a:g}+" if b is None else f"{a:g} to {b:g}" for a, b in zip(edges, ends[1:])]  # noqa: B905
    every = list(zip(names, members, strict=True))
    return [_bin(name, some) for name, some in (every if below or members[0] else every[1:])]


def _bin(name: str, some: Sequence[Point]) -> Bin:
    wrong = [one for one in some if not one.true]
    predicted = sum(predicted_false(one.bits) for one in some) / len(some) if some else None
    return Bin(name, len(some), predicted, len(wrong), len({one.recording for one in wrong}))


HEADS = ("bits", "many", "false", "of recordings", "predicted false", "true false")


def _rows(found: Iterable[Bin]) -> Iterator[tuple[str, ...]]:
    for one in found:
        yield (one.name, str(one.many), str(one.false), str(one.recordings),
               _share(one.predicted), _share(one.true_share))  # fmt: skip


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.3f} %"


def text(found: Points) -> Iterator[str]:
    """The tables, and below them what is false."""
    weighed = [one for one in found.findings if one.weighed]
    for source in (RECORDED, THINNED, VARIED):
        some = [one for one in weighed if one.source == source]
        if some:
            yield f"findings, {source}:"
            yield from table(HEADS, _rows(bins(some, FINDINGS)))
            yield ""
    yield "findings, all:"
    yield from table(HEADS, _rows(bins(weighed, FINDINGS)))
    rest = [one for one in found.findings if not one.weighed]
    if rest:
        wrong = sum(not one.true for one in rest)
        yield f"told by sequence numbers, not weighed: {len(rest)}, {wrong} of them false"
    yield ""
    yield "all that was weighed, told or not:"
    yield from table(HEADS, _rows(bins(found.events, (*BELOW, *FINDINGS), below=True)))
    wrong_ones = [one for one in found.findings if not one.true]
    for one in sorted(wrong_ones, key=lambda one: -one.bits)[:MOST_LISTED]:
        yield f"false: {one.recording}/{one.view}: {one.what} ({one.bits:.1f} bits)"
    if len(wrong_ones) > MOST_LISTED:
        yield f"and {len(wrong_ones) - MOST_LISTED} more"


@click.command()
@click.argument("recordings", nargs=-1)
@click.option(
    "--recordings", "which", type=click.Choice(list(WHERE)), default="all", show_default=True,
    help="Which ones, if none is named.",
)  # fmt: skip
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--thin/--no-thin", default=True, help="Thinned out, too.")
@click.option("--vary/--no-vary", "varied", default=True, help="A variant of each, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the bins, and every point.")
def main(
    recordings: tuple[str, ...], which: str, jobs: int, thin: bool, varied: bool, as_json: bool
) -> None:
    """Scan recordings in all ways, and hold the bits of what is found against the truth."""
    directories = list(chosen(recordings)) if recordings else _all(which)
    work = partial(points, most=EXAMPLES, thin=thin, varied=varied)
    found = Points([], [])
    for one in in_processes(work, directories, jobs):
        found.findings += one.findings
        found.events += one.events
    if not as_json:
        for line in text(found):
            click.echo(line)
        return
    weighed = [one for one in found.findings if one.weighed]
    told = {
        "findings": [asdict(one) for one in bins(weighed, FINDINGS)],
        "weighed": [asdict(one) for one in bins(found.events, (*BELOW, *FINDINGS), below=True)],
        "points": {
            "findings": [asdict(one) for one in found.findings],
            "weighed": [asdict(one) for one in found.events],
        },
    }
    click.echo(json.dumps(told, indent=1))


def _all(which: str) -> list[Path]:
    return [truth.parent for each in WHERE[which] for truth in sorted(each.glob("*/truth.json"))]


if __name__ == "__main__":
    main()
