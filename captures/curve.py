"""Recall against the number of examples: the recordings with ever fewer ordinary exchanges.

    python -m captures.curve [--k 1,2,3,5,10,30] [--seeds 3] [--lines | --json] [RECORDING...]

Law: nothing of a planted fault is taken away, only examples of what is usual (`thinning`). Each
recording is seen from its server's side; those where the swap is not to be seen there are named and
left out. Kept connections bring more examples than were asked for, so the second table counts the
same swaps by the examples that the scarcer one of their two endpoints really had.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import click

from captures import scoring
from captures.score import chosen, scanned
from captures.scoring import Json, Verdict
from captures.thinning import Learned, every, learn, server_side, thinned
from captures.vary.packets import NotACapture

EXAMPLES = (1, 2, 3, 5, 10, 30)
SEEDS = 3
WHOLE = 0  # stands for k where nothing was taken away
# The second table's rows: from so many examples on.
FROM = (0, 1, 2, 3, 5, 10, 30)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Swap:
    """A planted misdelivered response, and what was made of it: `owner` is right, wrong or none."""

    request: str
    examples: int | None  # that the scarcer endpoint had
    found: bool
    owner: str = ""
    confidence: str = ""
    bits: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One recording with `k` examples of each endpoint, chosen by `seed`."""

    recording: str
    k: int
    seed: int
    connections: int
    swaps: tuple[Swap, ...]
    alarms: tuple[str, ...]


def points(directory: Path, most: Sequence[int], seeds: int) -> list[Point]:
    """What is found with so many examples, and in the whole capture; [] if no swap is seen."""
    truth = json.loads((directory / "truth.json").read_text())
    vantage = server_side(truth)
    if vantage is None:
        return []
    learned = learn(directory, vantage)
    known: dict[frozenset[int], Json] = {}
    out = []
    for k, seed, kept in subsets(learned, most, seeds):
        if kept not in known:
            known[kept] = report(learned, kept)
        out.append(_point(learned, k, seed, kept, known[kept]))
    return out


def subsets(
    learned: Learned, most: Iterable[int], seeds: int
) -> Iterator[tuple[int, int, frozenset[int]]]:
    """k, seed and the connections that stay; last the whole capture."""
    for k in most:
        for seed in range(1, seeds + 1):
            yield k, seed, thinned(learned, k, seed)
    yield WHOLE, 0, every(learned)


def report(learned: Learned, kept: frozenset[int]) -> Json:
    """The report of a scan of these connections alone."""
    with tempfile.TemporaryDirectory(prefix="curve-") as made:
        path = Path(made) / "thinned.pcap"
        learned.write(kept, path)
        return scanned([path])


def _point(learned: Learned, k: int, seed: int, kept: frozenset[int], told: Json) -> Point:
    view = scoring.judge(learned.truth, learned.vantage, told)
    swaps = [
        _swap(one, learned.scarcest(one.fault, kept))
        for one in view.verdicts
        if one.fault["kind"] == "misdelivered"
    ]
    alarms = [f"{one['kind']} {asked(one['request'])} ({one['confidence']})" for one in view.alarms]
    return Point(learned.recording.name, k, seed, len(kept), tuple(swaps), tuple(alarms))


def _swap(verdict: Verdict, examples: int | None) -> Swap:
    request = asked(verdict.fault["request"])
    if not verdict.findings:
        return Swap(request, examples, found=False)
    best = max(verdict.findings, key=lambda one: float(one["bits"]))
    names = any(one["owner"] is not None for one in verdict.findings)
    owner = "right" if verdict.owner_right else "wrong" if names else "none"
    return Swap(request, examples, True, owner, best["confidence"], float(best["bits"]))


def asked(request: Json | None) -> str:
    """A request in a word."""
    return f"{request['method']} {request['target']}" if request else "-"


def in_processes(work: Callable[[Path], T], on: Sequence[Path], jobs: int) -> Iterator[T]:
    """What the work comes to on each directory, in their order.

    Raises ClickException for a capture in another format than the lab's.
    """
    try:
        if jobs < 2:
            yield from map(work, on)
            return
        with ProcessPoolExecutor(jobs) as pool:
            yield from pool.map(work, on)
    except NotACapture as why:
        raise click.ClickException(str(why)) from None


@dataclass(slots=True)
class Row:
    """A line of a table."""

    name: str
    swaps: list[Swap] = field(default_factory=list)
    alarms: int = 0
    captures: int = 0

    def cells(self) -> Iterator[str]:
        """The cells, in the order of `HEADS`."""
        found = [one for one in self.swaps if one.found]
        examples = [one.examples for one in self.swaps if one.examples is not None]
        bits = [one.bits for one in found if one.bits is not None]
        owners = [one.owner for one in found]
        called = [one.confidence for one in found]
        yield self.name
        yield f"{median(examples):.0f}" if examples else ""
        yield str(len(self.swaps))
        yield str(len(found))
        yield f"{100 * len(found) / len(self.swaps):.1f}" if self.swaps else ""
        yield from (str(owners.count(one)) for one in ("right", "wrong", "none"))
        yield from (str(called.count(one)) for one in ("possible", "likely", "certain"))
        yield f"{median(bits):.1f}" if bits else ""
        yield str(self.alarms) if self.captures else ""


HEADS = ("", "examples", "swaps", "found", "%", "owner", "wrong", "none", "possible", "likely",
         "certain", "bits", "alarms")  # fmt: skip


def by_asked(every_point: Sequence[Point], most: Sequence[int]) -> list[Row]:
    """A row for each k, and one for the whole captures."""
    rows = {k: Row(f"k={k}" if k else "whole") for k in (*most, WHOLE)}
    for one in every_point:
        row = rows[one.k]
        row.swaps += one.swaps
        row.alarms += len(one.alarms)
        row.captures += 1
    return list(rows.values())


def by_had(every_point: Sequence[Point]) -> list[Row]:
    """A row for each number of examples that the scarcer endpoint had."""
    ends = [*(one - 1 for one in FROM[1:]), None]
    names = [
        f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        for low, high in zip(FROM, ends, strict=True)
    ]
    rows = [Row(name) for name in names]
    for swap in (swap for one in every_point for swap in one.swaps):
        if swap.examples is not None:
            rows[max(n for n, low in enumerate(FROM) if low <= swap.examples)].swaps.append(swap)
    return rows


def lines(every_point: Iterable[Point]) -> Iterator[str]:
    """Every swap that was missed or given to a wrong owner, and every alarm."""
    for one in every_point:
        where = f"{one.recording} k={one.k or 'whole'} seed={one.seed}"
        for swap in one.swaps:
            if not swap.found:
                yield f"{where}: missed {swap.request} ({swap.examples} examples)"
            elif swap.owner != "right":
                bits = f"{swap.confidence}, {swap.bits:.1f} bits, {swap.examples} examples"
                yield f"{where}: owner {swap.owner}: {swap.request} ({bits})"
        for alarm in one.alarms:
            yield f"{where}: false alarm {alarm}"


def table(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Lines with the columns set right, the first one left."""
    cells = [list(heads), *(list(row) for row in rows)]
    wide = [max(len(row[n]) for row in cells) for n in range(len(heads))]
    for row in cells:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], wide[1:], strict=True))
        yield "  ".join([row[0].ljust(wide[0]), *rest]).rstrip()


def numbers(context: click.Context, option: click.Parameter, value: str) -> tuple[int, ...]:
    """Numbers from 1, written with commas."""
    parts = value.split(",")
    if not all(one.isdigit() and int(one) > 0 for one in parts):
        raise click.BadParameter("numbers from 1, with commas between them")
    return tuple(dict.fromkeys(int(one) for one in parts))


@click.command()
@click.argument("recordings", nargs=-1)
@click.option(
    "--k", "most", default=",".join(map(str, EXAMPLES)), show_default=True, callback=numbers,
    help="Examples of each endpoint.",
)  # fmt: skip
@click.option("--seeds", default=SEEDS, show_default=True, help="Choices for each number.")
@click.option("--jobs", default=2, show_default=True, help="Processes.")
@click.option("--controls", is_flag=True, help="Recordings without a swap too, for their alarms.")
@click.option("--lines", "as_lines", is_flag=True, help="Print what was missed or wrong as well.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def main(
    recordings: tuple[str, ...],
    most: tuple[int, ...],
    seeds: int,
    jobs: int,
    controls: bool,
    as_lines: bool,
    as_json: bool,
) -> None:
    """Thin recordings out, scan them, and print what is still found."""
    directories = [one for one in chosen(recordings) if controls or recordings or _has_swap(one)]
    found = list(in_processes(partial(points, most=most, seeds=seeds), directories, jobs))
    flat = [point for one in found for point in one]
    if as_json:
        click.echo(json.dumps([asdict(one) for one in flat], indent=1))
        return
    for line in table(("asked for", *HEADS[1:]), (row.cells() for row in by_asked(flat, most))):
        click.echo(line)
    click.echo()
    for line in table(("had", *HEADS[1:-1]), (list(row.cells())[:-1] for row in by_had(flat))):
        click.echo(line)
    for directory, one in zip(directories, found, strict=True):
        if not one:
            click.echo(f"{directory.name}: not to be seen on the server's side")
    for line in lines(flat) if as_lines else ():
        click.echo(line)


def _has_swap(directory: Path) -> bool:
    planted = json.loads((directory / "truth.json").read_text())["planted"]
    return any(one["kind"] == "misdelivered" for one in planted)


if __name__ == "__main__":
    main()
