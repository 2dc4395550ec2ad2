"""What reading small captures of each kind costs, counted and not timed, beside what it did cost.

\b
python -m benchmarks.guard            what has grown by more than 15 %; status 1 if anything has
python -m benchmarks.guard --write    keep the counts as they are now

Counted are, by kind of traffic, the exchanges that were declined by reason (`analyzer.declined`),
the exchanges that were learned from one by one, and the calls of functions that read (not those
that learn and judge) for each exchange. They are the same on any machine, and rise when something
falls off the short way. Where the processor counts instructions those of the whole command are
shown too, and not held against anything: other processors and libraries have others.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import click

import analyzer
from analyzer import pipeline
from analyzer.features.echoes import Echoes
from analyzer.report.result import as_dict
from benchmarks.kinds import KINDS, make

SIZE = 1_000_000  # bytes of a capture
KEPT = Path(__file__).with_name("guard.json")
MOST_GROWTH = 1.15
SLACK = 3  # what is counted singly may grow by so many, whatever the share
_OWN = Path(analyzer.__file__).parent
# What is called for most exchanges of a small capture, and for next to none of a long one.
_LEARNS = (
    "baselines", "correlate", "diagnosis", "explain", "findings", "judging.py", "matching",
    "report", "features/echoes.py",
)  # fmt: skip
_NOT_COUNTED = tuple(str(_OWN / name) for name in _LEARNS)
_SEE = Echoes.see.__code__
Counts = dict[str, float]


def counts_of(kind: str, path: Path) -> Counts:
    """Read a capture of a kind: what was declined, and how many calls an exchange took."""
    exchanges = make(KINDS[kind], path, SIZE)
    calls = seen = 0

    def called(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls, seen
        code = frame.f_code
        # Comprehensions are calls in some versions of Python.
        if event != "call" or code.co_name[0] == "<":
            return
        seen += code is _SEE
        calls += code.co_filename.startswith(str(_OWN)) and not (
            code.co_filename.startswith(_NOT_COUNTED)
        )

    threading.setprofile(called)
    sys.setprofile(called)
    try:
        report = pipeline.scan([str(path)])
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    declined = as_dict(report)["reading"]["declined"]
    found: Counts = {f"declined: {reason}": times for reason, times in declined.items()}
    return {"calls": round(calls / exchanges, 2), "learned from singly": seen, **found}


def counted() -> dict[str, Counts]:
    """The counts of all kinds."""
    with tempfile.TemporaryDirectory(prefix="wfguard-") as folder:
        path = Path(folder) / "capture"
        counts_of(next(iter(KINDS)), path)  # what is made once, whatever the kind
        return {kind: counts_of(kind, path) for kind in KINDS}


def grown(now: dict[str, Counts], before: dict[str, Counts]) -> list[str]:
    """What costs more than it did, a line each."""
    found = []
    for kind, found_now in now.items():
        for name, value in found_now.items():
            kept = before.get(kind, {}).get(name, 0)
            room = 0 if name == "calls" else SLACK
            if value > kept * MOST_GROWTH + room:
                found.append(f"{kind}, {name}: {value:g}, was {kept:g}")
    return found


def instructions(*command: str) -> int | None:
    """The instructions of a command; None where they are not counted."""
    perf = shutil.which("perf")
    if perf is None:
        return None
    words = [perf, "stat", "-x,", "-e", "instructions:u", *command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    number = done.stderr.strip().rpartition("\n")[2].partition(",")[0]
    return int(number) if number.isdigit() else None


@click.command(help=__doc__)
@click.option("--write", is_flag=True, help="Keep the counts as they are now.")
def main(write: bool) -> None:
    now = counted()
    if write:
        KEPT.write_text(json.dumps(now, indent=1) + "\n")
    able = instructions("true") is not None
    with tempfile.TemporaryDirectory(prefix="wfguard-") as folder:
        for kind, found in now.items():
            told = [f"{name} {value:g}" for name, value in found.items()]
            if able:
                path = str(Path(folder) / kind)
                make(KINDS[kind], Path(path), SIZE)
                scan = sys.executable, "-m", "analyzer", "scan", "--jobs", "1", path
                told.append(f"instructions {instructions(*scan):,}")
            print(f"{kind}: {', '.join(told)}")
    worse = grown(now, json.loads(KEPT.read_text()))
    for line in worse:
        print(f"more than it was: {line}", file=sys.stderr)
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
