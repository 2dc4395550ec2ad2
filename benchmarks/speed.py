"""Speed and memory of `wrangler-forensics scan`, beside tshark on the same capture.

\b
python -m benchmarks.speed make     record the capture (root)
python -m benchmarks.speed run      time both, in pairs
python -m benchmarks.speed memory   peak memory as captures grow
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Cost, MeasureError, run
from benchmarks.record import Recording, RecordingError, record, recorded

CACHE = Path.home() / ".cache" / "wrangler-forensics" / "bench"
ROOT = Path(__file__).parent.parent
FIELDS = "frame.number tcp.stream http.request.method http.request.uri http.response.code"
GIGABYTE_LIMIT, EXCHANGE_LIMIT = 400_000_000, 120  # bytes: peak at 1 GB, further exchange
SCRATCH = "{scratch}"  # stands for a folder that is removed after the run
ALSO: dict[str, list[str]] = {"sha256sum": [], "tcpflow": ["-o", SCRATCH, "-r"]}

console = Console()
in_dir = click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=CACHE,
    show_default="~/.cache/wrangler-forensics/bench",
    help="Where captures are kept.",
)
with_command = click.option(
    "--command",
    metavar="WORDS",
    help="What to measure instead of the program; the capture is appended, or put where {} is.",
)
to_json = click.option(
    "--json", "to", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures too."
)


@click.group(help=__doc__)
def main() -> None:
    """The command line; see the module."""


@main.command()
@in_dir
@click.option("--exchanges", default=330_000, show_default=True, help="How many to record.")
@click.option("--again", is_flag=True, help="Record even where a capture is there already.")
def make(folder: Path, exchanges: int, again: bool) -> None:
    """Record real clients and a real Node server."""
    target = capture_in(folder)
    made = None if again else recorded(target)
    if made is None:
        try:
            made = record(target, exchanges, console.print)
        except RecordingError as error:
            raise click.ClickException(str(error)) from error
    console.print(described(made), soft_wrap=True)


@main.command("run")
@in_dir
@click.option("--pairs", default=3, show_default=True, type=click.IntRange(1))
@with_command
@click.option("--also", multiple=True, type=click.Choice(sorted(ALSO)), help="Time this as well.")
@click.option("--require", type=float, metavar="RATIO", help="Fail if the median is under it.")
@click.option("--check/--no-check", default=True, help="Compare the count of answered exchanges.")
@to_json
def run_pairs(
    folder: Path,
    pairs: int,
    command: str | None,
    also: tuple[str, ...],
    require: float | None,
    check: bool,
    to: Path | None,
) -> None:
    """Time the program and tshark, one after the other, PAIRS times."""
    made = needed(folder)
    capture = Path(made.path)
    console.print(described(made), soft_wrap=True)
    subject = "scan" if command is None else "stand-in"
    commands = {subject: scan(command, capture), "tshark": tshark(capture)}
    commands |= {name: [found(name), *ALSO[name], str(capture)] for name in also}
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    warm(capture)
    for number in range(pairs):
        for name, words in commands.items():
            with tempfile.TemporaryDirectory(prefix="wfbench-") as scratch:
                words = [scratch if word == SCRATCH else word for word in words]
                costs[name].append(measured(words, (0, 1) if name == "scan" else (0,)))
            console.print(f"pair {number + 1} · {name}: {costs[name][-1].wall:.2f} s wall")
    show_costs(costs, made)
    ratios = show_ratios(costs[subject], costs["tshark"], subject)
    if to:
        figures = {
            name: {"command": commands[name], "runs": [asdict(cost) for cost in each]}
            for name, each in costs.items()
        }
        save(to, {"capture": asdict(made), "costs": figures, "ratio": ratios})
    if check and command is None:
        check_answered(made)
    median = statistics.median(ratios["wall"])
    if require is not None and median < require:
        raise click.ClickException(f"{median:.1f} times as fast as tshark, under {require:g}")


@main.command()
@in_dir
@with_command
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1))
@click.option("--require", is_flag=True, help="Fail over a limit.")
@to_json
def memory(folder: Path, command: str | None, runs: int, require: bool, to: Path | None) -> None:
    """Measure peak memory on half the capture, all of it, and copies up to 1 GB or more."""
    made = needed(folder)
    whole = max(2, -(-1_000_000_000 // made.size))
    captures = [grown(made, times) for times in (0.5, 1, whole)]
    peaks: list[int] = []
    steps: list[float] = []
    table = Table("capture", "MB", "exchanges", "wall s", "peak MB", "bytes per further exchange")
    for before, each in zip([None, *captures], captures, strict=False):
        warm(Path(each.path))
        words, good = scan(command, Path(each.path)), (0, 1) if command is None else (0,)
        costs = [measured(words, good) for _ in range(runs)]
        peaks.append(int(statistics.median(cost.rss for cost in costs)))
        wall = statistics.median(cost.wall for cost in costs)
        if before:
            steps.append(slope(before, each, peaks[-2:]))
        table.add_row(
            Path(each.path).name,
            f"{each.size / 1e6:,.0f}",
            f"{each.answered:,}",
            f"{wall:.2f}",
            f"{peaks[-1] / 1e6:,.0f}",
            f"{steps[-1]:,.0f}" if before else "",
        )
    console.print(table)
    limits = [
        (f"peak at {captures[-1].size / 1e9:.2f} GB", peaks[-1], GIGABYTE_LIMIT, 1e6, "MB"),
        ("per further exchange, the larger step", max(steps), EXCHANGE_LIMIT, 1, "B"),
    ]
    for what, value, limit, unit, name in limits:
        verdict = "within" if value < limit else "OVER"
        console.print(
            f"{what}: {value / unit:,.0f} {name}, {verdict} the limit of {limit / unit:,.0f} {name}"
        )
    if to:
        rows = [{**asdict(c), "peak": peak} for c, peak in zip(captures, peaks, strict=True)]
        save(to, {"captures": rows, "bytes_per_further_exchange": steps})
    if require and any(value >= limit for _, value, limit, _, _ in limits):
        raise click.ClickException("over a limit")


def capture_in(folder: Path) -> Path:
    """The recorded capture's place."""
    return folder.expanduser().resolve() / "speed.pcap"


def needed(folder: Path) -> Recording:
    """The recorded capture, or one line on how to get it."""
    made = recorded(capture_in(folder))
    if made is None:
        raise click.ClickException("no capture yet: python -m benchmarks.speed make (as root)")
    return made


def described(made: Recording) -> str:
    """A capture in one line."""
    return (
        f"{made.path}: {made.size / 1e6:,.0f} MB, {made.frames:,} frames, "
        f"{made.answered:,} exchanges ({made.short:,} on connections of their own)"
    )


def found(tool: str) -> str:
    """A tool's path, or one line that it is not installed."""
    path = shutil.which(tool)
    if path is None:
        raise click.ClickException(f"{tool} is not installed")
    return path


def scan(command: str | None, capture: Path) -> list[str]:
    """The command that is measured: the program in one process, unless another is given."""
    if command is not None:
        words = shlex.split(command)
        placed = [str(capture) if word == "{}" else word for word in words]
        return placed if "{}" in words else [*words, str(capture)]
    program = Path(sys.executable).parent / "wrangler-forensics"
    if not program.exists():
        raise click.ClickException(f"{program} is not there: pip install -e . first")
    return [str(program), "scan", "--jobs", "1", str(capture)]


def tshark(capture: Path) -> list[str]:
    """What tshark is asked for: the same pairs, as far as it can give them."""
    words = [found("tshark"), "-r", str(capture), "-Y", "http", "-T", "fields"]
    return words + [w for field in [*FIELDS.split(), "http.request_in"] for w in ("-e", field)]


def measured(words: list[str], good: tuple[int, ...]) -> Cost:
    """`measure.run`, a failure being one line."""
    try:
        return run(words, good)
    except MeasureError as error:
        raise click.ClickException(str(error)) from error


def warm(capture: Path) -> None:
    """Reads the capture once, so that every run finds it in the page cache."""
    with capture.open("rb") as file:
        while file.read(1 << 20):
            pass


def grown(made: Recording, times: float) -> Recording:
    """The recording `times` over; made once, in a process of its own to keep this one small."""
    source = Path(made.path)
    if times == 1:
        return made
    target = source.with_name(f"{source.stem}-x{times:g}.pcap")
    counts = target.with_suffix(".json")
    earlier = recorded(target)
    if earlier is None or target.stat().st_mtime < source.stat().st_mtime:
        console.print(f"making {target.name}")
        words = [sys.executable, "-m", "benchmarks.copies", str(source), str(target), f"{times:g}"]
        done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        earlier = Recording(str(target), short=0, **json.loads(done.stdout))
        counts.write_text(json.dumps(asdict(earlier), indent=2) + "\n")
    return earlier


def slope(less: Recording, more: Recording, peaks: list[int]) -> float:
    """Bytes of peak memory per exchange that the larger capture has more."""
    return (peaks[1] - peaks[0]) / (more.answered - less.answered)


def show_costs(costs: dict[str, list[Cost]], made: Recording) -> None:
    """A row for every command: its medians."""
    table = Table("command", "wall s", "user s", "system s", "peak MB", "MB/s", "exchanges/s")
    for name, each in costs.items():
        wall, user, system, rss = (
            statistics.median(getattr(cost, field) for cost in each)
            for field in ("wall", "user", "system", "rss")
        )
        table.add_row(
            name,
            f"{wall:.2f}",
            f"{user:.2f}",
            f"{system:.2f}",
            f"{rss / 1e6:,.0f}",
            f"{made.size / 1e6 / wall:,.0f}",
            f"{made.answered / wall:,.0f}",
        )
    console.print(table)


def show_ratios(ours: list[Cost], theirs: list[Cost], subject: str) -> dict[str, list[float]]:
    """How many times as fast as tshark, pair by pair: by the clock and by processor time."""
    table = Table(f"tshark / {subject}", "per pair", "min", "median", "max")
    kinds: dict[str, Callable[[Cost], float]] = {"wall": lambda c: c.wall, "cpu": lambda c: c.cpu}
    ratios: dict[str, list[float]] = {}
    for kind, value in kinds.items():
        ratios[kind] = each = [
            value(b) / max(value(a), 1e-6) for a, b in zip(ours, theirs, strict=True)
        ]
        figures = [f"{x:.1f}" for x in (min(each), statistics.median(each), max(each))]
        table.add_row(kind, "  ".join(f"{ratio:.1f}" for ratio in each), *figures)
    console.print(table)
    return ratios


def check_answered(made: Recording) -> None:
    """A fast wrong answer is worth nothing: the report must count what the clients counted."""
    with tempfile.TemporaryDirectory(prefix="wfbench-") as scratch:
        report = Path(scratch) / "report.json"
        measured([*scan(None, Path(made.path)), "--json", str(report)], (0, 1))
        answered = json.loads(report.read_text())["totals"]["answered"]
    console.print(f"answered exchanges: {answered:,} reported, {made.answered:,} at the clients")
    if answered != made.answered:
        raise click.ClickException("the report does not count what the clients counted")


def save(to: Path, figures: dict[str, Any]) -> None:
    """Writes figures with the machine they are from."""
    machine = {"machine": platform.machine(), "system": platform.platform()}
    python = platform.python_version()
    to.write_text(
        json.dumps({**machine, "cores": os.cpu_count(), "python": python, **figures}, indent=2)
        + "\n"
    )


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.speed")
